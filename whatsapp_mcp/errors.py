"""Everything that can go wrong, as one tree.

    ArchiveError
    ├── UsageError              the request cannot be meant           exit 2
    │   ├── SettingsError       a setting is missing or wrong         exit 2
    │   ├── NotFound            no such chat, contact or message      exit 2
    │   └── Ambiguous           several fit; the choice is listed     exit 2
    ├── GatewayError            Green API said no                     exit 1
    │   ├── CredentialsError    401, 403, 404: token, id or host      exit 2
    │   ├── NotAuthorized       the phone is not linked               exit 1
    │   ├── InstanceStarting    restarting: try later                 exit 1, transient
    │   ├── InstanceGone        expired, deleted or blocked           exit 1
    │   ├── QuotaReached        466: nothing before the 1st           exit 1
    │   ├── RateLimited         429                                   exit 1, transient
    │   ├── Unreachable         no network, DNS, time-out, 5xx        exit 1, transient
    │   ├── UnreadableAnswer    a body that is no JSON                exit 1, transient
    │   └── RequestRefused      400: this chat or message             exit 1
    ├── StorageError            the disk, the database, its rights    exit 1
    │   ├── DatabaseCorrupt     SQLite cannot read its own file       exit 1
    │   ├── DatabaseTooNew      written by a later version            exit 1
    │   └── BackupDamaged       not what was written, or not whole    exit 1
    ├── WriterRunning           another process holds the lock        exit 4
    ├── MediaError              a file of a message                   exit 1
    │   ├── UnreadableFile      it is damaged, or not what it says    exit 1
    │   ├── MissingExtra        an optional library or model is absent exit 1
    │   └── DownloadsStopped    the disk or the network stopped them  exit 1, transient
    ├── MailError               a report could not be sent            exit 1
    │   └── MailUnreachable     no mail server answers                exit 1, transient
    ├── SchedulingError         cron, systemd and the like said no    exit 1
    └── ImportRefused           a file that is not what it should be  exit 1

Each class says by ``exit_code`` what the command line returns (DESIGN: 0 done, 1 failed, 2 wrong use, settings or
credentials, 3 done with per-chat failures, 4 another writer), by ``transient`` whether the same call may work in a while, and
by ``advice`` what the user can do. The text never holds a token, a message or a phone number.
"""

from __future__ import annotations


class ArchiveError(Exception):
    """Anything foreseen: ``str(error)`` is one line that says what went wrong and what to do."""

    exit_code = 1
    transient = False
    advice = ""

    def __init__(self, what: str, *, advice: str | None = None) -> None:
        """Say in `what` what happened; `advice` replaces the class's own next step."""
        self.what = what
        self.advice = type(self).advice if advice is None else advice
        super().__init__(f"{what} {self.advice}".strip())


class UsageError(ArchiveError):
    """The request cannot be meant as it stands."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or cannot be used."""

    advice = "Set it in .env or in the environment; .env.example lists every name."


class NotFound(UsageError):
    """No chat, contact, message or file is known under that name."""


class Ambiguous(UsageError):
    """Several fit; the text lists them numbered, with what tells them apart."""


class GatewayError(ArchiveError):
    """Green API did not do what was asked."""


class CredentialsError(GatewayError):
    """401, 403 or 404: the token, the instance id or the host is wrong, or the instance was deleted."""

    exit_code = 2
    advice = (
        "Compare GREEN_API_URL, GREEN_API_ID_INSTANCE and GREEN_API_TOKEN_INSTANCE with the instance's page "
        "in the Green API console."
    )


class NotAuthorized(GatewayError):
    """The instance is not linked to a phone."""

    advice = "Open the Green API console, scan the QR code with the phone, then run the command again."


class InstanceStarting(GatewayError):
    """The instance is restarting, which takes up to five minutes."""

    transient = True
    advice = "Wait five minutes, then run the command again; nothing was lost."


class InstanceGone(GatewayError):
    """The instance is expired, deleted or its number is blocked by WhatsApp."""

    advice = "Renew or replace the instance in the Green API console; what is archived stays readable."


class QuotaReached(GatewayError):
    """466: the monthly quota of the plan is used up."""

    advice = "It opens again on the 1st of next month; `sync full --resume` then goes on, or change the plan in the console."


class RateLimited(GatewayError):
    """429: too many requests a second, after all retries."""

    transient = True
    advice = "Another program may use the same instance; stop it, or lower GREEN_API_RATE_SCALE, and run again."


class Unreachable(GatewayError):
    """No network, no such host, a time-out, or the gateway answers 5xx, after all retries."""

    transient = True
    advice = "Check the network and GREEN_API_URL, then run again; what was fetched is kept."


class UnreadableAnswer(GatewayError):
    """The gateway's answer is no JSON, after all retries."""

    transient = True
    advice = "Run again in a few minutes; what was fetched is kept."


class RequestRefused(GatewayError):
    """400 for this chat or message: unknown to the gateway, or not allowed."""


class StorageError(ArchiveError):
    """The folder or the database cannot be used."""


class DatabaseCorrupt(StorageError):
    """SQLite cannot read the file."""

    advice = "Keep the damaged file, then put back a copy of it, or sync into a new folder with --home."


class DatabaseTooNew(StorageError):
    """The database was written by a later version of this program."""

    advice = "Update whatsapp-mcp; the database was not touched."


class BackupDamaged(StorageError):
    """A backup is not what was written, or a part of it is missing."""

    advice = "Take another backup; `whatsapp-mcp verify PATH` says whether one is whole."


class WriterRunning(ArchiveError):
    """Another process is writing to the archive."""

    exit_code = 4
    advice = "Wait until it ends, or stop it; reading works meanwhile."


class MediaError(ArchiveError):
    """Something about the file of a message."""


class UnreadableFile(MediaError):
    """The file is damaged, is not what it says, or is too large to be unpacked."""


class MissingExtra(MediaError):
    """A library of an optional extra is not installed."""

    def __init__(self, what: str, *, extra: str = "media", advice: str | None = None) -> None:
        """Name the extra that brings it; `advice` says something else where a model is missing."""
        super().__init__(what, advice=f'Install it: pip install "whatsapp-mcp[{extra}]".' if advice is None else advice)


class DownloadsStopped(MediaError):
    """The disk or the network stopped the downloads of files; what is left waits in the queue."""

    transient = True


class MailError(ArchiveError):
    """The mail server did not take a report; it is kept and sent with the next."""

    advice = "Check the SMTP_ settings, then run `whatsapp-mcp send-test-report`."


class MailUnreachable(MailError):
    """No such mail server, no network, or it does not answer in time."""

    transient = True
    advice = "Check SMTP_HOST, SMTP_PORT and the network, then run `whatsapp-mcp send-test-report`."


class SchedulingError(ArchiveError):
    """The program that starts others at set times is missing, or did not do what was asked."""


class ImportRefused(ArchiveError):
    """The file is not what the importer reads."""
