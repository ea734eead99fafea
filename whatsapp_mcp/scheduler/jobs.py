"""What there is to do: every job with its times and its work, in the order in which those that are due together run.

A job that is added here is run, retried, told of and kept apart from the others like the rest; nothing else must know it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import anyio
import anyio.to_thread

from whatsapp_mcp.errors import ArchiveError, DownloadsStopped, StorageError, WriterRunning
from whatsapp_mcp.scheduler.calendar import once_a_day

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from whatsapp_mcp.app import Archive, Writer
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.maintenance import Maintained, Step
    from whatsapp_mcp.media.outcome import MediaOutcome
    from whatsapp_mcp.media.texts import Allowance, TextOutcome
    from whatsapp_mcp.sync import Outcome
    from whatsapp_mcp.timetable import Moment, Timetable

State: TypeAlias = Literal["complete", "partial", "damaged", "failed", "busy", "interrupted"]
MEDIA_SECONDS: Final = (600.0, 300.0)
"""How long one round fetches files, at the documented pace some 3,000, and then reads texts."""
BETWEEN_LISTENING: Final = (120.0, 60.0)
"""The same where the scheduler listens between its jobs: messages shall not wait for files."""
EXIT_CODES: Final[dict[str, int]] = {"complete": 0, "partial": 3, "damaged": 1, "failed": 1, "busy": 4, "interrupted": 0}


@dataclass(frozen=True, slots=True)
class Done:
    """How a job ended."""

    state: State
    """``partial``: done but for a part, which its own report names; ``damaged``: done, and something is not as it should be;
    ``busy``: another process writes; ``interrupted``: it was told to stop, and is begun again."""
    said: str = ""
    """One line of what it did or met: no name, no number of a phone, no token."""
    error: ArchiveError | None = None
    steps: tuple[Step, ...] = ()
    """Of a maintenance."""
    is_listened: bool = False
    """A listener does this meanwhile; so nothing was seen of the gateway or the disk."""

    @property
    def exit_code(self) -> int:
        """What the command line returns."""
        return self.error.exit_code if self.error is not None else EXIT_CODES[self.state]


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that is done again and again."""

    name: str
    moments: tuple[Moment, ...]
    work: Callable[[Archive], Awaitable[Done]]
    is_wanted: Callable[[Archive], bool] = lambda _: True
    """Asked when it is due; what is not wanted then is passed over without a word."""
    of_gateway: bool = False
    """It asks Green API."""
    writes: bool = False
    """It writes to the archive, under the writer's lock."""


def jobs(timetable: Timetable) -> tuple[Job, ...]:
    """Every job, in order: what is unfinished, what is new, what was missed, its files, the copy of it all, the tidying."""
    daily = once_a_day(timetable.recent)
    return (
        Job("full", timetable.recent, _full, is_wanted=_is_full_unfinished, of_gateway=True, writes=True),
        Job("recent", timetable.recent, _recent, of_gateway=True, writes=True),
        Job("sweep", daily, _sweep, of_gateway=True, writes=True),
        Job("media", timetable.recent, _media, is_wanted=_is_media_due, of_gateway=True, writes=True),
        Job("backup", daily, _backup),
        Job("maintenance", timetable.maintenance, _maintenance, writes=True),
    )


# The syncs


async def _full(archive: Archive) -> Done:
    from whatsapp_mcp.sync import full_sync

    return await _sync(archive, lambda gateway, writer: full_sync(gateway, writer, archive.clock))


def _is_full_unfinished(archive: Archive) -> bool:
    try:
        return archive.queries.is_unfinished("full")
    except StorageError:  # there is no archive, or it cannot be read: whoever needs it says so
        return False


async def _recent(archive: Archive) -> Done:
    from whatsapp_mcp.sync import sync_recent

    _ensure_begun(archive)
    return await _sync(archive, lambda gateway, writer: sync_recent(gateway, writer, archive.clock))


async def _sweep(archive: Archive) -> Done:
    from whatsapp_mcp.sync import sweep

    _ensure_begun(archive)
    return await _sync(archive, lambda gateway, writer: sweep(gateway, writer, archive.clock))


def _ensure_begun(archive: Archive) -> None:
    """No archive is made only to find out that it is empty."""
    from whatsapp_mcp.sync import nothing_synced

    archive.settings.credentials()
    if not archive.database.exists():
        raise nothing_synced()


async def _sync(archive: Archive, flow: Callable[[GreenApi, Writer], Awaitable[Outcome]]) -> Done:
    gateway = archive.gateway()
    with archive.writer() as writer:
        async with gateway:
            outcome = await flow(gateway, writer)
    said = f"{outcome.messages_new:,} messages new, {outcome.chats_done:,} of {outcome.chats_total:,} chats"
    return Done("partial" if outcome.chats_failed or outcome.state == "partial" else "complete", said)


# The files: a sync fetches those that are due at its end; what it did not reach comes here, behind all messages


def _is_media_due(archive: Archive) -> bool:
    """Whether a file can be fetched now, or a text be read; after a sync that reached everything there is neither."""
    from whatsapp_mcp.media.texts import has_unread

    try:
        return (archive.settings.media and archive.queries.files().due > 0) or has_unread(archive)
    except StorageError:  # as above
        return False


async def _media(archive: Archive) -> Done:
    _ensure_begun(archive)
    fetching, reading = BETWEEN_LISTENING if archive.settings.timetable().listen else MEDIA_SECONDS
    brought = await _fetch_files(archive, fetching) if archive.settings.media else None
    read = await _read_texts(archive, reading)
    if brought is not None and brought.is_failure:
        raise DownloadsStopped(brought.stopped)
    said = _said_of_files(brought, read)
    return Done("partial" if brought is not None and brought.failed else "complete", said)


async def _fetch_files(archive: Archive, seconds: float) -> MediaOutcome:
    from whatsapp_mcp.media.downloading import Limits, download_media

    gateway = archive.gateway()
    with archive.writer() as writer:
        async with gateway:
            return await download_media(gateway, writer, archive.clock, limits=Limits(seconds))


async def _read_texts(archive: Archive, seconds: float) -> TextOutcome:
    from whatsapp_mcp.media.texts import Allowance, read_texts

    allowance = Allowance(archive.clock.monotonic, seconds)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_end_when_cancelled, allowance)
        outcome = await anyio.to_thread.run_sync(partial(read_texts, archive, allowance=allowance))
        tasks.cancel_scope.cancel()
    return outcome


async def _end_when_cancelled(allowance: Allowance) -> None:
    """A thread cannot be cancelled; it is told, and ends within the file."""
    try:
        await anyio.sleep_forever()
    finally:
        allowance.end()


def _said_of_files(brought: MediaOutcome | None, read: TextOutcome) -> str:
    files = "no files, since MEDIA_DOWNLOAD is no" if brought is None else f"{brought.stored:,} files stored"
    counts = [] if brought is None else [
        (brought.put_off, "put off"), (brought.expired, "expired"), (brought.failed, "failed"), (brought.skipped, "skipped"),
        (brought.left, "left"),
    ]  # fmt: skip
    counts += [(read.documents + read.voice_notes, "texts read"), (read.left, "texts left")]
    return ", ".join([files, *(f"{count:,} {what}" for count, what in counts if count)])


# The archive itself: these block, so they work in a thread; one that has begun comes to its end


async def _backup(archive: Archive) -> Done:
    from whatsapp_mcp.backup import back_up

    done = await anyio.to_thread.run_sync(back_up, archive)
    made = done.made
    said = f"{made.manifest.counts['messages']:,} messages, {made.files_new:,} media files new"
    if made.unreadable:
        said = f"Not in the backup, for the disk does not give it: {made.unreadable:,} media files. {said}."
    return Done("partial" if made.unreadable else "complete", said)


async def _maintenance(archive: Archive) -> Done:
    return maintained(await anyio.to_thread.run_sync(_maintain, archive))


def _maintain(archive: Archive) -> Maintained:
    """All of it needs the lock in the end, so without that nothing is begun."""
    from whatsapp_mcp.app import hold_lock
    from whatsapp_mcp.logs import compress_and_remove
    from whatsapp_mcp.maintenance import maintain

    if archive.database.exists():
        with hold_lock(archive.home):
            pass
    return maintain(archive, extra={"logs": partial(compress_and_remove, archive.settings, archive.clock.now())})


def maintained(done: Maintained) -> Done:
    """A maintenance as the end of a job."""
    bad = [step for step in done.steps if step.state in ("damaged", "failed")]
    said = " ".join(f"{step.name}: {step.said}" for step in bad)
    if done.damaged:
        return Done("damaged", said, steps=done.steps)
    if done.locked:
        raise WriterRunning("Another process began to write to this archive.")
    return Done("partial" if done.failed else "complete", said, steps=done.steps)
