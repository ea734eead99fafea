"""What stands in the way: each check says ok, warn or fail, and what to do about it.

Nothing is changed and nothing is created. Only the checks of the instance use the network, and only to read.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import anyio

from whatsapp_mcp.app import LOCK_NAME, hold_lock
from whatsapp_mcp.config import NAMES
from whatsapp_mcp.errors import ArchiveError, GatewayError, SettingsError, WriterRunning
from whatsapp_mcp.refusals import foreseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.views import Gaps, Queue, Status

Level: TypeAlias = Literal["ok", "warn", "fail"]

WANTED_ON: Final[Mapping[str, str]] = {
    "incomingWebhook": "received messages are missing from the journal",
    "outgoingMessageWebhook": "messages sent from the phone are missing from the journal",
    "outgoingAPIMessageWebhook": "messages sent through the API are not reported",
    "outgoingWebhook": "sent, delivered and read are not reported",
    "editedMessageWebhook": "edits are not reported",
    "deletedMessageWebhook": "deletions are not reported",
    "pollMessageWebhook": "polls and votes are not reported",
    "incomingCallWebhook": "received calls are not reported",
    "outgoingCallWebhook": "outgoing calls are not reported",
    "stateWebhook": "a lost connection is not reported",
}
"""Settings that an archive needs, and what is lost without each (Green API docs, SetSettings). What arrives while one is off is
not kept by Green API."""

WANTED_OFF: Final[Mapping[str, str]] = {
    "markIncomingMessagesReaded": "every message that you receive is marked as read",
    "markIncomingMessagesReadedOnReply": "messages are marked as read when the API answers",
    "keepOnlineStatus": "you are shown as online all day",
}
"""Settings by which the instance would act in your name (Green API docs, SetSettings)."""

_NAMED: Final = 5
_MANY: Final = 100
"""So many notifications wait only where nobody reads them, or too slowly: the queue brings about fifty a second."""
_LOW: Final = 1_000_000_000
_TOO_LOW: Final = 100_000_000
_STATES: Final[Mapping[str, tuple[Level, str]]] = {
    "authorized": ("ok", ""),
    "suspended": ("warn", "WhatsApp limits what this number sends; reading goes on."),
    "starting": ("warn", "The instance is starting; wait five minutes."),
    "sleepMode": ("warn", "The instance sleeps because its phone is off; switch it on."),
    "notAuthorized": ("fail", "Open the Green API console and scan the QR code with the phone."),
    "blocked": ("fail", "WhatsApp has blocked this number; what is archived stays readable."),
}
"""States of an instance (Green API docs, GetStateInstance)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    finding: str
    advice: str = ""
    exit_code: int = 0
    """What the command should return because of it; 0 unless it failed."""


def examine(archive: Archive) -> Iterator[Check]:
    """Look at everything, in the order in which one would mend it; never raises for what it finds."""
    settings = archive.settings
    yield from _look(lambda: check_settings(settings), "settings")
    yield from check_env_files(settings)
    stored: list[Status] = []
    found = [*_look(lambda: check_database(archive, stored), "database")]
    status = stored[0] if stored else None
    yield from _look(lambda: anyio.run(_check_instance, archive, status), "instance")
    yield from _look(lambda: check_folder(archive.home), "folder")
    yield from _look(lambda: check_disk(archive.home), "disk")
    yield from found
    yield from _look(lambda: check_lock(archive.home), "lock")
    yield from check_gaps(status) if status else ()


def _look(check: Callable[[], list[Check]], name: str) -> list[Check]:
    try:
        return check()
    except Exception as error:
        known = foreseen(error)
        if known is None:
            raise
        return [_failed(name, known)]


def _failed(name: str, error: ArchiveError) -> Check:
    return Check(name, "fail", error.what, error.advice, error.exit_code)


def check_settings(settings: Settings) -> list[Check]:
    """The credentials are there and well-formed, no name is mistyped, and the time zone is known."""
    try:
        settings.credentials()
        checks = [Check("settings", "ok", "The credentials are set.")]
    except SettingsError as error:
        checks = [_failed("settings", error)]
    checks += [
        Check("settings", "warn", f"{name} is not a setting.", f"Names are: {', '.join(NAMES)}.") for name in settings.unknown
    ]
    zone: Level = "warn" if settings.zone_is_guess else "ok"
    advice = "Set WHATSAPP_MCP_TIMEZONE, e.g. to Europe/Madrid." if settings.zone_is_guess else ""
    return [*checks, Check("time zone", zone, f"Dates are read and shown in {settings.timezone.key}.", advice)]


def check_env_files(settings: Settings) -> list[Check]:
    """Nobody else on this computer can read the files that hold the token."""
    return [
        Check("rights", "warn", f"Other users of this computer can read {path}.", f'Run: chmod 600 "{path}"')
        if _open_to_others(path)
        else Check("rights", "ok", f"Only you can read {path}.")
        for path in settings.env_files
    ]


def _open_to_others(path: Path) -> bool:
    """Whether group or others have any right; Windows keeps rights elsewhere and is not judged."""
    return os.name == "posix" and bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


async def _check_instance(archive: Archive, status: Status | None) -> list[Check]:
    try:
        gateway = archive.gateway()
    except SettingsError:
        return [Check("instance", "warn", "The instance was not asked: there are no usable credentials.")]
    from whatsapp_mcp.normalise import instance_settings, instance_state

    async with gateway:
        state = instance_state(await gateway.get_state_instance())
        checks = [check_state(state)]
        flags: Mapping[str, str] = {}
        mode = status.queue.mode if status else ""
        try:
            flags = instance_settings(await gateway.get_settings())
            checks += check_flags(flags, mode)
        except GatewayError as error:
            checks.append(_failed("instance settings", error))
        checks += await _check_queue(gateway, status, flags)
    return checks


async def _check_queue(gateway: GreenApi, status: Status | None, flags: Mapping[str, str]) -> list[Check]:
    from whatsapp_mcp.normalise import waiting_count

    listens = status is not None and status.queue.listens_now
    try:
        count = waiting_count(await gateway.get_webhooks_count())
    except GatewayError as error:
        checks = [Check("queue", "warn", f"How many notifications wait is not known: {error.what}", error.advice)]
    else:
        checks = check_waiting(count, listens=listens, is_pushed=bool(flags.get("webhookUrl")))
    return checks + (check_consumers(status.queue, flags) if status else [])


def check_state(state: str) -> Check:
    """The instance is linked to the phone and works."""
    level, advice = _STATES.get(state, ("warn", "This version does not know that state; look into the Green API console."))
    return Check("instance", level, f"The instance is {state or 'in no known state'}.", advice, int(level == "fail"))


def check_flags(flags: Mapping[str, str], mode: str = "") -> list[Check]:
    """The instance reports what an archive needs, to where it listens, and does nothing in your name.

    `mode` is how the archive listened last: ``queue``, ``webhook``, or empty for never.
    """
    checks = [
        Check("instance settings", "warn", f"{name} is off: {loss}.", f"Switch {name} on in the Green API console.")
        for name, loss in WANTED_ON.items()
        if flags.get(name) != "yes"
    ]
    checks += [
        Check("instance settings", "fail", f"{name} is on: {deed}.", f"Switch {name} off in the Green API console.", 1)
        for name, deed in WANTED_OFF.items()
        if flags.get(name) == "yes"
    ]
    checks += _check_address(mode, is_set=bool(flags.get("webhookUrl")))
    return checks or [Check("instance settings", "ok", "The instance reports all that an archive needs.")]


def _check_address(mode: str, *, is_set: bool) -> list[Check]:
    """Polling and a webhook exclude each other (Green API docs, "technology-http-api")."""
    if is_set and mode == "webhook":
        return [Check("webhook", "ok", "Notifications go to a webhook address, and this archive has received some so.")]
    if is_set:
        what = (
            "A webhook address is set at Green API (webhookUrl), so nothing waits in the notification queue:"
            " polling and a webhook exclude each other."
        )
        advice = (
            "To poll with `whatsapp-mcp listen`, clear webhookUrl in the Green API console and wait five minutes."
            " If the address leads to this computer, run `whatsapp-mcp listen --webhook` instead."
            " If another program needs it, leave it: `whatsapp-mcp sync recent` works either way."
        )
        return [Check("webhook", "warn", what, advice)]
    if mode == "webhook":
        what = "This archive listened to a webhook last, but no address is set at Green API: notifications wait in the queue."
        advice = "Run `whatsapp-mcp listen`, or set webhookUrl in the Green API console for `whatsapp-mcp listen --webhook`."
        return [Check("webhook", "warn", what, advice)]
    return []


def check_waiting(count: int | None, *, listens: bool, is_pushed: bool = False) -> list[Check]:
    """Notifications are taken before Green API drops them, which it does after a day (Green API docs, ReceiveNotification).

    `listens` says whether this archive listens now, `is_pushed` whether Green API sends them to a webhook address.
    """
    if count is None:
        return [Check("queue", "warn", "Green API does not say how many notifications wait.")]
    said = f"{count:,} notification{' waits' if count == 1 else 's wait'} at Green API"
    if count < _MANY:
        return [Check("queue", "ok", f"{said}.")]
    if is_pushed:
        advice = "Look whether the receiver at webhookUrl runs and answers 200; until then nothing behind the first one comes."
        return [Check("queue", "warn", f"{said} and the webhook address does not take them.", advice)]
    if listens:
        advice = "Look again in a minute; if the number does not fall, restart `whatsapp-mcp listen`."
        return [Check("queue", "warn", f"{said} although this archive listens.", advice)]
    advice = "Run `whatsapp-mcp listen`, or `whatsapp-mcp listen --drain` to take what waits."
    return [Check("queue", "warn", f"{said} and nobody listens; each is dropped after 24 hours.", advice)]


_TOLD_BY: Final[Mapping[str, tuple[str, str]]] = {
    "incoming": ("received", "incomingWebhook"),
    "outgoing": ("sent", "outgoingMessageWebhook"),
}


def check_consumers(queue: Queue, flags: Mapping[str, str]) -> list[Check]:
    """Nobody else empties the queue: notifications brought what journals and histories have of the time of listening."""
    checks = [_suspicion(queue, way, flags) for way in queue.suspected]
    told = queue.told_incoming + queue.told_outgoing
    if checks or not told:
        return checks
    return [Check("queue", "ok", "Notifications brought what was sent and received while this archive listened.")]


def _suspicion(queue: Queue, way: str, flags: Mapping[str, str]) -> Check:
    what, flag = _TOLD_BY[way]
    missed, told = getattr(queue, f"missed_{way}"), getattr(queue, f"told_{way}")
    said = f"While this archive listened, {missed:,} of {missed + told:,} messages {what} in the last 30 days were never told"
    if flags and flags.get(flag) != "yes":
        return Check("queue", "warn", f"{said}; {flag} is off.", f"Switch {flag} on in the Green API console.")
    why = "another program (a second consumer, such as Green API's hosted MCP server or an automation) seems to empty the same"
    advice = (
        "Stop the other program, or give it an instance of its own: each notification is handed out once."
        " `whatsapp-mcp sync recent` brings what it took, as long as both must run."
    )
    return Check("queue", "warn", f"{said}: {why} queue.", advice)


def check_gaps(status: Status) -> list[Check]:
    """Nothing is known to be missing, or else of which chats and what to do."""
    known, gaps = status.coverage, status.gaps
    told = (
        (
            known.with_holes, "some time was never fetched", [one.chat.id for one in gaps.chats if one.holes],
            "Run `whatsapp-mcp sync full`: it asks those chats for their history again.",
        ),
        (
            known.missing, f"{known.missing:,} messages that others refer to were never seen",
            [one.chat.id for one in gaps.chats if one.missing],
            "Run `whatsapp-mcp sync recent`: it asks Green API for them, three times within about a week.",
        ),
        (
            known.shrunk, "the history at Green API has become shorter than it was",
            [one.chat.id for one in gaps.chats if one.shrunk_from is not None],
            "Nothing that was stored is lost. Run `whatsapp-mcp sync full` after the phone was online for a while.",
        ),
    )  # fmt: skip
    checks = [Check("gaps", "warn", f"{_in_chats(chats, gaps)}{what}.", advice) for count, what, chats, advice in told if count]
    if known.unobtainable:
        what = f"{known.unobtainable:,} messages that others refer to cannot be had any more: Green API does not have them."
        checks.append(Check("gaps", "ok", what, "A chat export from the phone may: `whatsapp-mcp import PATH`."))
    return checks or [Check("gaps", "ok", "Nothing is known to be missing.")]


def _in_chats(chats: list[int], gaps: Gaps) -> str:
    """Which chats, by their ids: names are nothing for a report that may be shown to others."""
    shown = ", ".join(map(str, chats[:_NAMED]))
    more = " and others" if len(chats) > _NAMED or gaps.chats_total > len(gaps.chats) else ""
    return f"In the chat{'s' if len(chats) > 1 else ''} {shown}{more} " if chats else "In some chats "


def check_folder(home: Path) -> list[Check]:
    """The archive's folder can be written by you and read by nobody else."""
    if not home.exists():
        writable = os.access(_nearest(home), os.W_OK)
        if writable:
            return [Check("folder", "ok", f"{home} does not exist yet; the first sync or import creates it.")]
        return [Check("folder", "fail", f"{home} cannot be created.", "Choose another folder with --home.", 1)]
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        return [Check("folder", "fail", f"{home} cannot be written.", "Choose another folder with --home.", 1)]
    if _open_to_others(home):
        return [Check("folder", "warn", f"Other users of this computer can look into {home}.", f'Run: chmod 700 "{home}"')]
    return [Check("folder", "ok", f"Only you can look into {home}.")]


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_disk(home: Path) -> list[Check]:
    """There is room to grow."""
    free = shutil.disk_usage(_nearest(home)).free
    said = f"{free / 1e9:,.1f} GB are free on the disk."
    if free < _TOO_LOW:
        return [Check("disk", "fail", said, "Free some space before the next sync.", 1)]
    if free < _LOW:
        return [Check("disk", "warn", said, "Free some space soon.")]
    return [Check("disk", "ok", said)]


def check_database(archive: Archive, stored: list[Status] | None = None) -> list[Check]:
    """The database opens, and SQLite finds no damage in it; what it says of itself is added to `stored`."""
    if not archive.database.exists():
        return [Check("database", "ok", "There is no archive yet; `whatsapp-mcp sync full` or `import` makes it.")]
    status = archive.queries.status()
    if stored is not None:
        stored.append(status)
    return [Check("database", "ok", f"It can be read; messages: {status.messages:,}, chats: {status.chats:,}.")]


def check_lock(home: Path) -> list[Check]:
    """No other process is writing."""
    if not (home / LOCK_NAME).exists():
        return [Check("lock", "ok", "Nobody is writing to the archive.")]
    try:
        with hold_lock(home):
            return [Check("lock", "ok", "Nobody is writing to the archive.")]
    except WriterRunning as error:
        return [Check("lock", "warn", error.what, error.advice)]
