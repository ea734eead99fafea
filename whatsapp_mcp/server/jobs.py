"""Work that outlives the call that began it: one sync at a time, inside the server's process.

A job lives in the server's own task group, so it ends with the server and never after it. It begins in the call that asks for
it, so that a held lock or a missing setting is told at once; from then on it reports to whoever asks, and a failure is kept for
them.
"""

from __future__ import annotations

import logging
import math
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio
import anyio.to_thread

from whatsapp_mcp.errors import ArchiveError, WriterRunning
from whatsapp_mcp.server.strict import foreseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup, TaskStatus

    from whatsapp_mcp.app import Archive, Writer
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync import Progress

_log = logging.getLogger(__name__)

CALL_SECONDS: Final = 45.0
"""After this long a call answers, and its work goes on as a job; clients give up after about a minute."""
REPORT_SECONDS: Final = 1.0
STOP_SECONDS: Final = 3.0
"""How long a job that is told to stop may take to store what it holds."""


class Work(Protocol):
    """A flow of `sync`, ready to run."""

    def __call__(self, gateway: GreenApi, writer: Writer, report: Callable[[Progress], None]) -> Awaitable[object]:
        """Run to the end and return its outcome."""


@dataclass
class Job:
    """One piece of work: where it is, and how it ended."""

    name: str
    progress: Progress | None = None
    outcome: Any = None
    error: str | None = None
    """What to tell, when it failed: one line that says what to do."""
    is_discreet: bool = False
    """It fetches chats that are hidden from whoever asks, so nobody is told how many messages or of which chats."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def is_running(self) -> bool:
        """False once there is an outcome or an error."""
        return not self.ended.is_set()

    @property
    def word(self) -> str:
        """Its name as one word, for the log."""
        return self.name.replace(" ", "_")

    def report(self, progress: Progress) -> None:
        """Take note of how far it is."""
        self.progress = progress

    async def wait(self, seconds: float) -> bool:
        """Wait for the end, but not longer than `seconds`; returns whether it ended."""
        with anyio.move_on_after(seconds):
            await self.ended.wait()
        return not self.is_running


class Jobs:
    """The syncs of this process: at most one runs."""

    def __init__(self, archive: Archive) -> None:
        """Keep the archive whose lock a job takes."""
        self._archive = archive
        self._tasks: TaskGroup | None = None
        self.newest: Job | None = None

    @asynccontextmanager
    async def lifespan(self, _server: object) -> AsyncIterator[None]:
        """Let jobs run while the server serves; its end stops them."""
        async with anyio.create_task_group() as tasks:
            before, self._tasks = self._tasks, tasks
            try:
                yield
            finally:
                self._tasks = before
                tasks.cancel_scope.cancel()

    @property
    def running(self) -> Job | None:
        """The job that runs now."""
        return self.newest if self.newest is not None and self.newest.is_running else None

    async def begin(self, name: str, work: Work, *, of_one_chat: bool = False) -> Job:
        """Start `work` with the gateway and the writer's lock; returns once it holds both.

        With `of_one_chat` it fetches only one that may be seen.

        Raises `WriterRunning` while another sync runs, here or elsewhere, and `SettingsError` without credentials.
        """
        if self.running is not None:
            raise WriterRunning(f"A sync is running in this server ({self.running.name}).", advice=_ASK_STATUS)
        if self._tasks is None:
            raise ArchiveError("The server is shutting down.")
        job = Job(name, is_discreet=self._archive.sight is not None and not of_one_chat)
        await self._tasks.start(self._run, job, work)
        self.newest = job
        return job

    async def stop(self) -> None:
        """Tell a running job to stop, and wait a moment until it has let go of the archive."""
        if (job := self.running) is not None:
            job.scope.cancel()
            await job.wait(STOP_SECONDS)

    async def _run(self, job: Job, work: Work, *, task_status: TaskStatus[None]) -> None:
        begun = False
        began = self._archive.clock.monotonic()
        try:
            with job.scope:
                async with AsyncExitStack() as stack:
                    gateway = self._archive.gateway()
                    writer = await stack.enter_async_context(writing(self._archive))
                    await stack.enter_async_context(gateway)
                    task_status.started()
                    begun = True
                    job.outcome = await work(gateway, writer, job.report)
            if job.outcome is None:
                job.error = "The sync was stopped before its end; start_full_sync mode=resume goes on."
        except Exception as error:  # a job has nobody above it who could be told
            if not begun:
                raise
            job.error = foreseen(error) or _crashed(job)
        finally:
            job.ended.set()
            seconds = self._archive.clock.monotonic() - began
            _log.info("the job %s ended: %s", job.word, "failed" if job.error else "done", extra={"seconds": seconds})


@asynccontextmanager
async def writing(archive: Archive) -> AsyncIterator[Writer]:
    """Hold the writer's lock; taking and leaving it happens in worker threads, because both touch the disk."""
    held = ExitStack()
    writer = await anyio.to_thread.run_sync(held.enter_context, archive.writer())
    try:
        yield writer
    except BaseException:
        with anyio.CancelScope(shield=True):
            # What the disk refused inside the block becomes an error of ours on the way out.
            await anyio.to_thread.run_sync(held.__exit__, *sys.exc_info())
        raise
    else:
        await anyio.to_thread.run_sync(held.close)


def progress_text(progress: Progress) -> str:
    """Return in a few words how far a run is."""
    left = "" if progress.seconds_left is None else f", about {math.ceil(progress.seconds_left)} s left"
    failed = f" ({progress.chats_failed} failed)" if progress.chats_failed else ""
    return (
        f"{progress.state}: {progress.chats_done} of {progress.chats_total} chats{failed}, "
        f"{progress.messages_seen:,} messages seen, {progress.messages_new:,} new{left}"
    )


_ASK_STATUS: Final = "Ask full_sync_status for its progress; reading works meanwhile."


def _crashed(job: Job) -> str:
    _log.exception("the job %s stopped unexpectedly", job.word)
    return (
        "The sync stopped unexpectedly; what was fetched is kept. The log has the details; start_full_sync mode=resume goes on."
    )
