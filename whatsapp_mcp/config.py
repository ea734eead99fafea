"""The settings, and the only place that reads ``.env`` files and the environment.

Three places are asked, and the later wins: ``.env`` in the home folder, ``.env`` in the working directory, the environment.
A ``.env`` is read without expanding ``${…}``, which python-dotenv would do even inside single quotes, so that a token that
happens to hold those letters stays as it is.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from whatsapp_mcp.errors import SettingsError
from whatsapp_mcp.schema.media import MEDIA_KINDS
from whatsapp_mcp.timetable import yes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.greenapi import Credentials
    from whatsapp_mcp.mailbox import Mailbox
    from whatsapp_mcp.timetable import Timetable

NAMES: Final[Mapping[str, str]] = {
    "GREEN_API_URL": "the instance's host as its page in the Green API console shows it, e.g. `https://7105.api.greenapi.com`",
    "GREEN_API_ID_INSTANCE": "the instance's id, digits",
    "GREEN_API_TOKEN_INSTANCE": "the instance's API token; a secret like a password",
    "GREEN_API_RATE_SCALE": "multiplies the documented requests per second of every method (default 1)",
    "WHATSAPP_MCP_HOME": "the folder of the archive (default: the system's folder for user data)",
    "WHATSAPP_MCP_TIMEZONE": "the time zone in which dates are read and shown, e.g. `Europe/Madrid` (default: the system's)",
    "WHATSAPP_MCP_STATUSES": "`yes`: a sync also reads the statuses (stories) of your contacts and your own (default `no`)",
    "WHATSAPP_MCP_AVATARS": "`yes`: a sync also fetches the profile pictures of people and groups, 50 a run (default `no`)",
    "WHATSAPP_MCP_SEMANTIC": "`yes`: searches also find by meaning, with a model on this computer (default `no`)",
    "WHATSAPP_MCP_HIDDEN_CHATS": "chats that no assistant sees: names, numbers or ids, separated by commas",
    "WHATSAPP_MCP_SHOWN_CHATS": "the only chats that assistants see, written alike; what is hidden stays hidden (default: all)",
    "WHATSAPP_MCP_ACCESS_LOG": "whether `logs/access-<day>.log` says what assistants read: `yes` (default) or `no`",
    "MEDIA_DOWNLOAD": "`no`: a sync fetches no photos, voice notes and other files, only `media download` does (default `yes`)",
    "MEDIA_KINDS": "which files are fetched: some of `image,video,audio,voice,document,sticker` (default all)",
    "MEDIA_MAX_FILE_MB": "no file larger than this is fetched (default 100, the most that Green API gives)",
    "MEDIA_MAX_TOTAL_GB": "how large all files together may become; near that, big files are skipped first (default: no limit)",
    "TRANSCRIBE_MODEL": "a Whisper model in ggml format, a file on this computer: with it `media text` reads voice notes",
    "WEBHOOK_HOST": "the address on which `listen --webhook` waits (default `127.0.0.1`); all but loopback need a token",
    "WEBHOOK_PORT": "the port on which it waits (default 8723)",
    "WEBHOOK_TOKEN": "what Green API must send to be believed: the console's `webhookUrlToken`; a secret like a password",
    "BACKUP_PATH": "the folder of the backups, best on another disk (default: `backups` in the archive's folder)",
    "BACKUP_KEEP_DAILY": "the newest backup of each of so many days is kept (default 7)",
    "BACKUP_KEEP_WEEKLY": "and of each of so many weeks (default 5)",
    "BACKUP_KEEP_MONTHLY": "and of each of so many months (default 12)",
    "LOG_KEEP_DAYS": "so many days the logs are kept (default 90); those of earlier days are compressed",
    "SMTP_HOST": "the mail server that takes the reports; without it none are sent",
    "SMTP_PORT": "its port (default: 587, with `tls` 465, with `none` 25)",
    "SMTP_SECURITY": "how the way there is protected: `starttls` (default), `tls`, or `none`",
    "SMTP_USER": "the user name at the mail server; leave it out where no login is wanted",
    "SMTP_PASSWORD": "its password, often an app password; a secret",
    "SMTP_CA_FILE": "a PEM file with the certificates to trust, where a private authority has signed (default: the system's)",
    "REPORT_TO": "who gets the reports; several addresses are separated by commas",
    "REPORT_FROM": "who writes them (default: `SMTP_USER` if it is an address, else the first of `REPORT_TO`)",
    "REPORT_NAMES": "whether reports name chats: `yes` (default) or `no`; what was written never stands in them",
    "SCHEDULE_RECENT": "when what is new is fetched (default `08:00,20:00`)",
    "SCHEDULE_MAINTENANCE": "when the archive is checked and tidied (default `Sun 02:00`)",
    "SCHEDULE_LISTEN": "whether to listen for messages in between: `yes` or `no` (default)",
}
"""Every setting and what it means; README and ``.env.example`` are tested against it."""

_PREFIXES: Final = ("GREEN_API_", "WHATSAPP_MCP_")
_UNATTENDED: Final = ("SMTP_", "REPORT_", "SCHEDULE_", "BACKUP_", "LOG_")
_KEPT_BACKUPS: Final = {"BACKUP_KEEP_DAILY": 7, "BACKUP_KEEP_WEEKLY": 5, "BACKUP_KEEP_MONTHLY": 12}
_MANY_BACKUPS: Final = 10_000
_LOG_DAYS: Final = 90
_MOST_LOG_DAYS: Final = 36_500
_DIGITS: Final = 9
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TOKEN_LETTERS: Final = re.compile(r"[A-Za-z0-9._~-]+")
_ID_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_ENTRY: Final = re.compile(r'[ ]*(?:"([^"]*)"[ ]*(?=,|\Z)|([^",][^,]*))')
_ENTRIES: Final = re.compile(r'[ ]*(?:"[^"]*"[ ]*|[^", ][^,]*)?(?:,[ ]*(?:"[^"]*"[ ]*|[^", ][^,]*)?)*')
_HOST_LETTERS: Final = re.compile(r"[A-Za-z0-9.:%_-]+")
_HEADER_LETTERS: Final = re.compile(r"[ -~]+")
_WEBHOOK_PORT: Final = "8723"
_MB: Final = 1 << 20
_GB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user decided; reading an archive needs no credentials, so these are checked when they are asked for."""

    home: Path
    """The archive's folder, absolute; it need not exist yet."""
    timezone: ZoneInfo
    rate_scale: float = 1.0
    green_api_url: str = ""
    id_instance: str = ""
    token: str = field(default="", repr=False)
    env_files: tuple[Path, ...] = ()
    """The ``.env`` files that were read; they may hold the token, so `doctor` looks at their rights."""
    unknown: tuple[str, ...] = ()
    """Names in those files that look like ours and are not: usually a typing mistake."""
    zone_is_guess: bool = False
    """The system does not say its time zone, so UTC is used."""
    statuses: bool = False
    """Statuses (stories) are read and stored."""
    avatars: bool = False
    """Profile pictures are asked for and stored."""
    semantic: bool = False
    """Searches also find by meaning."""
    hidden_chats: tuple[str, ...] = ()
    """Names, numbers or ids of chats that assistants do not see."""
    shown_chats: tuple[str, ...] = ()
    """The same of the only chats that they see; empty for all."""
    access_log: bool = True
    """What assistants read is logged."""
    media: bool = True
    """A sync fetches files."""
    media_kinds: tuple[str, ...] = MEDIA_KINDS
    media_file_bytes: int = 100 * _MB
    media_total_bytes: int | None = None
    transcribe_model: Path | None = None
    """Where a Whisper model lies; it need not exist."""
    webhook_host: str = "127.0.0.1"
    webhook_port: int = int(_WEBHOOK_PORT)
    webhook_token: str = field(default="", repr=False)
    unattended: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What is told about reports, times, backups and logs, by name; it is checked when `mailbox`, `timetable` and the like are
    asked for."""

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None, *, home: Path | None = None) -> Settings:
        """Read the settings; `home` (``--home``) wins over every ``WHATSAPP_MCP_HOME``.

        Raises `SettingsError` where a value cannot be used; a missing credential is no error before `credentials`.
        """
        environ = os.environ if environ is None else environ
        here = _existing((cwd or Path.cwd()) / ".env")
        values = {**_read_env_file(here), **_told(environ)}
        folder = _home(home, values.get("WHATSAPP_MCP_HOME", ""))
        there = _existing(folder / ".env")
        there = () if there == here else there
        values = {**_read_env_file(there), **values}
        zone, guess = _zone(values.get("WHATSAPP_MCP_TIMEZONE", ""))
        return cls(
            home=folder,
            timezone=zone,
            rate_scale=_rate_scale(values.get("GREEN_API_RATE_SCALE", "")),
            green_api_url=values.get("GREEN_API_URL", "").rstrip("/"),
            id_instance=values.get("GREEN_API_ID_INSTANCE", ""),
            token=values.get("GREEN_API_TOKEN_INSTANCE", ""),
            env_files=(*here, *there),
            unknown=tuple(sorted(name for name in values if name.startswith(_PREFIXES) and name not in NAMES)),
            zone_is_guess=guess,
            statuses=yes("WHATSAPP_MCP_STATUSES", values.get("WHATSAPP_MCP_STATUSES", "no")),
            avatars=yes("WHATSAPP_MCP_AVATARS", values.get("WHATSAPP_MCP_AVATARS", "no")),
            semantic=yes("WHATSAPP_MCP_SEMANTIC", values.get("WHATSAPP_MCP_SEMANTIC", "no")),
            hidden_chats=_listed(values, "WHATSAPP_MCP_HIDDEN_CHATS"),
            shown_chats=_listed(values, "WHATSAPP_MCP_SHOWN_CHATS"),
            access_log=yes("WHATSAPP_MCP_ACCESS_LOG", values.get("WHATSAPP_MCP_ACCESS_LOG", "yes")),
            media=yes("MEDIA_DOWNLOAD", values.get("MEDIA_DOWNLOAD", "yes")),
            media_kinds=_kinds(values.get("MEDIA_KINDS", "")),
            media_file_bytes=int(_amount(values, "MEDIA_MAX_FILE_MB", 100) * _MB),
            media_total_bytes=int(_amount(values, "MEDIA_MAX_TOTAL_GB", 0) * _GB) or None,
            transcribe_model=_file(values.get("TRANSCRIBE_MODEL", "")),
            webhook_host=_webhook_host(values.get("WEBHOOK_HOST", "127.0.0.1")),
            webhook_port=_webhook_port(values.get("WEBHOOK_PORT", _WEBHOOK_PORT)),
            webhook_token=_webhook_token(values.get("WEBHOOK_TOKEN", "")),
            unattended={name: value for name, value in values.items() if name.startswith(_UNATTENDED)},
        )

    def credentials(self) -> Credentials:
        """What the gateway's client needs; raises `SettingsError` that names what is missing or wrong."""
        from whatsapp_mcp.greenapi import Credentials

        missing = [
            name
            for name, value in (
                ("GREEN_API_URL", self.green_api_url),
                ("GREEN_API_ID_INSTANCE", self.id_instance),
                ("GREEN_API_TOKEN_INSTANCE", self.token),
            )
            if not value
        ]
        if missing:
            raise _not_set(missing)
        _check_url(self.green_api_url)
        _check(_ID_DIGITS, self.id_instance, "GREEN_API_ID_INSTANCE is not a number.")
        _check(_TOKEN_LETTERS, self.token, "GREEN_API_TOKEN_INSTANCE holds letters that no token has; copy it again.")
        return Credentials(self.green_api_url, self.id_instance, self.token)

    def backup_folder(self) -> Path:
        """Where backups go; a relative path is meant from the archive's folder. Raises `SettingsError` for an unknown user."""
        try:
            return self.home / Path(self.unattended.get("BACKUP_PATH", "backups")).expanduser()
        except RuntimeError:
            raise SettingsError("BACKUP_PATH names a user that this computer does not know.") from None

    def kept_backups(self) -> tuple[int, int, int]:
        """For how many days, weeks and months a backup each is kept; raises `SettingsError` for what is no such number."""
        daily, weekly, monthly = (
            _whole(name, self.unattended.get(name, str(usual)), 0, _MANY_BACKUPS) for name, usual in _KEPT_BACKUPS.items()
        )
        return daily, weekly, monthly

    def log_keep_days(self) -> int:
        """For how many days logs are kept; raises `SettingsError` for what is no such number."""
        return _whole("LOG_KEEP_DAYS", self.unattended.get("LOG_KEEP_DAYS", str(_LOG_DAYS)), 1, _MOST_LOG_DAYS)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown or logged: tokens and passwords, as far as they are set."""
        told = (self.token, self.webhook_token, self.unattended.get("SMTP_PASSWORD", ""))
        return tuple(secret for secret in told if secret)

    @property
    def wants_reports(self) -> bool:
        """Whether a mail server is named at all."""
        return bool(self.unattended.get("SMTP_HOST"))

    def mailbox(self) -> Mailbox:
        """Where reports go; raises `SettingsError` that names what is missing or wrong."""
        from whatsapp_mcp.mailbox import mailbox

        return mailbox(self.unattended)

    def report_names(self) -> bool:
        """Whether reports may name chats; raises `SettingsError` for what is neither yes nor no."""
        return yes("REPORT_NAMES", self.unattended.get("REPORT_NAMES", "yes"))

    def timetable(self) -> Timetable:
        """When unattended jobs run; raises `SettingsError` that names what is no time."""
        from whatsapp_mcp.timetable import timetable

        return timetable(self.unattended)


def _whole(name: str, value: str, least: int, most: int) -> int:
    number = int(value) if value.isascii() and value.isdigit() and len(value) <= _DIGITS else -1
    if least <= number <= most:
        return number
    raise SettingsError(f"{name} is no number from {least} to {most:,}.")


def _not_set(missing: list[str]) -> SettingsError:
    if len(missing) == 1:
        return SettingsError(f"{missing[0]} is not set.")
    names = f"{', '.join(missing[:-1])} and {missing[-1]}"
    return SettingsError(f"{names} are not set.", advice=SettingsError.advice.replace("Set it", "Set them"))


def _existing(path: Path) -> tuple[Path, ...]:
    try:
        return (path.resolve(),) if path.is_file() else ()
    except OSError:
        return ()


def _read_env_file(paths: tuple[Path, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for path in paths:
        from dotenv import dotenv_values

        try:
            found = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path} cannot be read ({_reason(error)}).", advice="Make it a UTF-8 text file that you may read."
            ) from None
        values |= _told({name: value or "" for name, value in found.items()})
    return values


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "no UTF-8 text"


def _told(values: Mapping[str, str]) -> dict[str, str]:
    """Leave out empty values: an empty variable says nothing, as Claude Desktop passes an unfilled field."""
    return {name: value.strip() for name, value in values.items() if _is_ours(name) and value.strip()}


def _is_ours(name: str) -> bool:
    return name in NAMES or name.startswith(_PREFIXES)


def _home(told: Path | None, value: str) -> Path:
    try:
        if told is not None:
            return told.expanduser().absolute()
        if value:
            return Path(value).expanduser().absolute()
    except RuntimeError:
        raise SettingsError("The home folder names a user that this computer does not know.") from None
    from platformdirs import user_data_path

    return user_data_path("whatsapp-mcp", appauthor=False)


def _file(value: str) -> Path | None:
    try:
        return Path(value).expanduser().absolute() if value else None
    except RuntimeError:
        raise SettingsError("TRANSCRIBE_MODEL names a user that this computer does not know.") from None


def _rate_scale(value: str) -> float:
    try:
        scale = float(value or "1")
    except ValueError:
        scale = 0.0
    if 0 < scale <= 1000:
        return scale
    raise SettingsError("GREEN_API_RATE_SCALE is no number between 0 and 1000.")


def _kinds(value: str) -> tuple[str, ...]:
    named = [word.strip().lower() for word in value.split(",") if word.strip()]
    if wrong := [word for word in named if word not in (*MEDIA_KINDS, "all")]:
        raise SettingsError(f"MEDIA_KINDS names {wrong[0]!r}; it can be {', '.join(MEDIA_KINDS)}, or all.")
    return MEDIA_KINDS if not named or "all" in named else tuple(kind for kind in MEDIA_KINDS if kind in named)


def _listed(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Entries separated by commas; one that holds a comma stands in double quotes, and a quote within a word is a letter."""
    value = values.get(name, "")
    if not _ENTRIES.fullmatch(value):
        raise SettingsError(f"{name} has a double quote without its other half.")
    entries = (quoted or plain.strip() for quoted, plain in _ENTRY.findall(value))
    found = tuple(entry for entry in entries if entry.strip())
    if name in values and not found:
        raise SettingsError(f"{name} names no chat.", advice="Name one, or leave it out.")
    return found


def _amount(values: Mapping[str, str], name: str, default: float) -> float:
    try:
        amount = float(values.get(name, default))
    except ValueError:
        amount = 0.0
    if (name not in values and amount == default) or 0 < amount < 1_000_000:  # a limit of nothing is a typing mistake
        return amount
    raise SettingsError(f"{name} is no number above 0.")


def _webhook_host(value: str) -> str:
    host = value.removeprefix("[").removesuffix("]")
    _check(_HOST_LETTERS, host, "WEBHOOK_HOST is no address of this computer like 127.0.0.1 or 0.0.0.0.")
    return host


def _webhook_port(value: str) -> int:
    port = int(value) if value.isascii() and value.isdecimal() and len(value) <= 5 else 0
    if 0 < port < 65_536:
        return port
    raise SettingsError("WEBHOOK_PORT is no port: a number from 1 to 65535.")


def _webhook_token(value: str) -> str:
    if value:
        _check(_HEADER_LETTERS, value, "WEBHOOK_TOKEN holds letters that no header can carry; use ASCII letters and digits.")
    return value


def _check_url(url: str) -> None:
    """Accept https anywhere and http on loopback: the token travels in the address."""
    problem = "GREEN_API_URL is not an address like https://7105.api.greenapi.com."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError(problem) from None
    bare = port != 0 and not (parts.path or parts.query or parts.fragment or parts.username)
    if not (host and bare and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))):
        raise SettingsError(problem)


def _check(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise SettingsError(what)


def _zone(value: str) -> tuple[ZoneInfo, bool]:
    if not value:
        return _system_zone()
    try:
        return ZoneInfo(value), False
    except (OSError, ValueError, KeyError):  # unknown, a folder's name, or not a name at all
        raise SettingsError(
            f"WHATSAPP_MCP_TIMEZONE {value!r} is no time zone.", advice="Use a name like Europe/Madrid or Asia/Jerusalem."
        ) from None


def _system_zone() -> tuple[ZoneInfo, bool]:
    """Find the system's zone; also says whether UTC is only a guess."""
    for find in (_zone_of_tz, _zone_of_windows, zone_of_computer):
        try:
            zone = find()
        except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
            continue
        if zone is not None:
            return zone, False
    return ZoneInfo("UTC"), True


def _zone_of_tz() -> ZoneInfo | None:
    name = os.environ.get("TZ", "").removeprefix(":")
    return ZoneInfo(name) if name else None


def _zone_of_windows() -> ZoneInfo | None:
    if sys.platform == "win32":
        from tzlocal import get_localzone_name

        return ZoneInfo(get_localzone_name())
    return None


def folder_of_programs() -> Path:
    """Where this user's programs keep their settings on Linux: ``XDG_CONFIG_HOME``, or ``~/.config``."""
    from platformdirs import user_config_path

    return user_config_path()


def zone_of_computer() -> ZoneInfo:
    """The zone that programs without a ``TZ`` of their own use; raises `OSError`, `ValueError` or `KeyError` if none is told.

    Follows ``/etc/localtime``: a link into the zone database on Linux and macOS, in some containers a copy without a name.
    """
    link = Path("/etc/localtime")
    name = link.resolve(strict=True).as_posix().partition("/zoneinfo/")[2]
    if name:
        return ZoneInfo(name)
    with link.open("rb") as file:
        return ZoneInfo.from_file(file, key="localtime")
