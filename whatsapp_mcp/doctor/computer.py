"""What is on this computer: settings, rights, folder, disk, database, lock, and what was left behind."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import LOCK_NAME, hold_lock
from whatsapp_mcp.config import NAMES
from whatsapp_mcp.doctor.check import Check, failed
from whatsapp_mcp.doctor.mending import is_open_to_others, left_behind, wrong_rights
from whatsapp_mcp.errors import SettingsError, WriterRunning
from whatsapp_mcp.search.meaning import Meaning
from whatsapp_mcp.store.meanings import stale

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.doctor.check import Level
    from whatsapp_mcp.views import FileCounts, Gaps, Status

_MANY_FILES: Final = 1_000
"""More files than a few runs fetch."""
_NEARLY: Final = 0.95
"""Of the room for files; the largest are left out before."""
_GB: Final = 1 << 30
_NAMED: Final = 5
_LOW: Final = 1_000_000_000
_TOO_LOW: Final = 100_000_000


def check_settings(settings: Settings) -> list[Check]:
    """The credentials are there and well-formed, no name is mistyped, and the time zone is known."""
    try:
        settings.credentials()
        checks = [Check("settings", "ok", "The credentials are set.")]
    except SettingsError as error:
        checks = [failed("settings", error)]
    checks += [
        Check("settings", "warn", f"{name} is not a setting.", f"Names are: {', '.join(NAMES)}.") for name in settings.unknown
    ]
    zone: Level = "warn" if settings.zone_is_guess else "ok"
    advice = "Set WHATSAPP_MCP_TIMEZONE, e.g. to Europe/Madrid." if settings.zone_is_guess else ""
    return [*checks, Check("time zone", zone, f"Dates are read and shown in {settings.timezone.key}.", advice)]


def check_hidden(archive: Archive) -> list[Check]:
    """What the settings hide from assistants, and which of their entries do nothing."""
    settings = archive.settings
    if not (settings.hidden_chats or settings.shown_chats):
        return []
    hidden = archive.for_assistants().hidden()
    count = len(hidden.chats)
    told = (
        (
            hidden.without_chat,
            "fits no chat",
            "Correct it, unless the chat is still to come: it is hidden or shown from then on.",
        ),
        (hidden.ambiguous, "fits several chats, so none of them is shown", "Write the id instead: `whatsapp-mcp chats`."),
    )
    checks = [
        Check("hidden chats", "warn", f"The entry {json.dumps(entry, ensure_ascii=False)} {what}.", advice)
        for entries, what, advice in told for entry in entries
    ]  # fmt: skip
    checks += [_by_sound(*found) for found in hidden.by_sound]
    return [Check("hidden chats", "ok", f"Assistants do not see {count:,} chat{'' if count == 1 else 's'}."), *checks]


def _by_sound(entry: str, chat: int, name: str) -> Check:
    quoted = [json.dumps(text, ensure_ascii=False) for text in (entry, name)]
    said = f"The entry {quoted[0]} also hides the chat {quoted[1]} (id {chat}), whose name sounds like it."
    return Check("hidden chats", "ok", said, "If another chat is meant, write that one's id instead: `whatsapp-mcp chats`.")


def check_meaning(archive: Archive) -> list[Check]:
    """Where searches find by meaning too: its library is there, and all messages are known to it."""
    meaning = Meaning()
    if not archive.settings.semantic:
        return []
    if not meaning.is_there:
        said = "Searches are to find by meaning too, but the library for it is not installed; they go on without."
        return [Check("meaning", "warn", said, 'Run: pip install "whatsapp-mcp[semantic]"')]
    with archive.reader() as reader:
        if stale(reader.connection, meaning.name):
            said = "Searches find by meaning too, but not all messages are read for it yet."
            return [Check("meaning", "warn", said, "Run `whatsapp-mcp index`; each sync also goes on with it.")]
    return [Check("meaning", "ok", "Searches find by meaning too, and all messages are read for it.")]


def check_env_files(settings: Settings) -> list[Check]:
    """Nobody else on this computer can read the files that hold the token."""
    return [
        Check("rights", "warn", f"Other users of this computer can read {path}.", f'Run: chmod 600 "{path}"')
        if is_open_to_others(path)
        else Check("rights", "ok", f"Only you can read {path}.")
        for path in settings.env_files
    ]


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
        writable = os.access(nearest(home), os.W_OK)
        if writable:
            return [Check("folder", "ok", f"{home} does not exist yet; the first sync or import creates it.")]
        return [Check("folder", "fail", f"{home} cannot be created.", "Choose another folder with --home.", 1)]
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        return [Check("folder", "fail", f"{home} cannot be written.", "Choose another folder with --home.", 1)]
    if is_open_to_others(home):
        return [Check("folder", "warn", f"Other users of this computer can look into {home}.", f'Run: chmod 700 "{home}"')]
    return [Check("folder", "ok", f"Only you can look into {home}.")]


def nearest(path: Path) -> Path:
    """The path itself, or the first folder above it that is there."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_disk(home: Path) -> list[Check]:
    """There is room to grow."""
    free = shutil.disk_usage(nearest(home)).free
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


def check_files(files: FileCounts, settings: Settings) -> list[Check]:
    """Files are fetched while somebody still has them, and the disk has room for what may come."""
    lost = "".join(
        f", {count:,} {what}"
        for count, what in ((files.expired, "expired"), (files.failed, "failed"), (files.skipped, "skipped"))
        if count
    )
    said = f"{files.stored:,} files are stored, {files.pending:,} are to be fetched{lost}."
    limit = settings.media_total_bytes
    if limit is not None and files.bytes_stored >= _NEARLY * limit:
        said += f" They take {files.bytes_stored / _GB:,.1f} of the {limit / _GB:,.1f} GB that MEDIA_MAX_TOTAL_GB gives them."
        advice = "Raise MEDIA_MAX_TOTAL_GB; the next sync then fetches what was skipped, while WhatsApp still has it."
        return [Check("files", "warn", said, advice)]
    if files.pending >= _MANY_FILES:
        advice = "Run `whatsapp-mcp media download`: WhatsApp keeps files for a few weeks only."
        return [Check("files", "warn", said, advice)]
    if not settings.media and files.pending:
        advice = "MEDIA_DOWNLOAD is no: only `whatsapp-mcp media download` fetches them."
        return [Check("files", "ok", said, advice)]
    return [Check("files", "ok", said)]


def check_lock(home: Path) -> list[Check]:
    """No other process is writing."""
    if not (home / LOCK_NAME).exists():
        return [Check("lock", "ok", "Nobody is writing to the archive.")]
    try:
        with hold_lock(home):
            return [Check("lock", "ok", "Nobody is writing to the archive.")]
    except WriterRunning as error:
        return [Check("lock", "warn", error.what, error.advice)]


def check_rights(home: Path) -> list[Check]:
    """Nobody else on this computer can read what is in the archive's folder, and you can."""
    found = wrong_rights(home)
    if not found:
        return []
    what = f"Of {len(found):,} files or folders of the archive the rights are not yours alone, such as {found[0]}."
    return [Check("rights", "warn", what, "Run: whatsapp-mcp doctor --fix")]


def check_left_behind(home: Path, now: float) -> list[Check]:
    """Nothing is left of work that was interrupted more than a day ago."""
    found = left_behind(home, now)
    if not found:
        return []
    return [
        Check("leftovers", "warn", f"{len(found):,} temporary files are older than a day.", "Run: whatsapp-mcp doctor --fix")
    ]
