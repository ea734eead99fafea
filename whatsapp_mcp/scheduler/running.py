"""The scheduler at work: one job at a time, whatever happens to it, until it is told to stop.

Between the jobs it listens, if the settings say so. The listener pauses while a job runs: both need the writer's lock, and what
the gateway tells meanwhile waits in its queue for a day. The wall clock is looked at every minute, since it may jump, and since
a computer that slept wakes up in the middle of a pause.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from whatsapp_mcp.errors import ArchiveError, WriterRunning
from whatsapp_mcp.refusals import foreseen, hush
from whatsapp_mcp.reports.mail import DEADLINE
from whatsapp_mcp.scheduler.agenda import PAUSES, Agenda, failed, found_busy, is_exhausted, succeeded
from whatsapp_mcp.scheduler.calendar import last_due, next_due
from whatsapp_mcp.scheduler.jobs import Done, Job, jobs
from whatsapp_mcp.scheduler.memory import Entry, Memory
from whatsapp_mcp.scheduler.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.errors import MailError

    Say = Callable[[str], None]

_log = logging.getLogger(__name__)

LOOK: Final = 60.0
"""Seconds between looks at the clock."""
_LONG_BUSY: Final = 6 * 3_600
"""Seconds after which another process that still writes is told of."""
_FOLLOWERS: Final = ("sweep", "media", "backup")
"""What `once` does after ``recent`` if it is due: a cron that starts nothing else has these as well."""
_LISTENER: Final = "A listener keeps the archive current; there was nothing to fetch."


class Scheduler:
    """The jobs of one archive; everything that must outlive the process is in its memory's file."""

    def __init__(self, archive: Archive, *, say: Say | None = None, look: float = LOOK, deadline: float = DEADLINE) -> None:
        """Prepare to run the jobs of `archive`; raises `SettingsError` for times that are none.

        `say` is called with a line at each start and end of a job; the clock is looked at every `look` seconds, and a delivery
        of mail may take `deadline` seconds.
        """
        self._archive = archive
        self._clock = archive.clock
        self._timetable = archive.settings.timetable()
        self._zone = archive.settings.timezone
        self._jobs: dict[str, Job] = {job.name: job for job in jobs(self._timetable)}
        self._agenda = Agenda(tuple(self._jobs.values()), self._zone)
        self._memory = Memory(archive.home, self._clock.now())
        self._teller = Teller(archive, self._memory, deadline=deadline)
        self._say_line = say
        self._look = look
        self._listening = Listening()
        self.followed: dict[str, Done] = {}
        """How the jobs ended that followed the one that `once` was asked for."""
        self._stop: anyio.Event  # whoever lets it work brings it along

    @property
    def _entries(self) -> dict[str, Entry]:
        return self._memory.book.jobs

    def _say(self, text: str) -> None:
        if self._say_line is not None:
            self._say_line(text)

    async def run(self, stop: anyio.Event) -> None:
        """Run every job at its time until `stop` is set; a job that runs then is cut after its transaction, and due again."""
        self._stop = stop
        _log.info("the scheduler begins")
        self._say(f"the scheduler begins; next: {self._moment(self._agenda.next_of_all(self._clock.now()))}")
        while not stop.is_set():
            now = self._clock.now()
            self._memory.reread(now)
            is_new = self._agenda.begin(self._entries, now)
            if is_new or not self._memory.is_written or self._memory.is_missing:  # else the next look would read the old again
                self._memory.write()
            chosen = self._agenda.choose(self._entries, now)
            if chosen is not None:
                await self._run_due(self._jobs[chosen[0]], chosen[1])
            elif self._timetable.listen and self._listening.is_ready(now):
                await self._listen()
            else:
                await self._pause(min(self._agenda.wake_at(self._entries, now) - now, self._look))
        _log.info("the scheduler ends")
        self._say("the scheduler ends")

    async def once(self, name: str, stop: anyio.Event) -> Done:
        """Run one job now, due or not, with its reports and alerts; after ``recent`` also those that follow it and are due.

        How these ended stands in `followed`.
        """
        self._stop = stop
        self._agenda.begin(self._entries, self._clock.now())
        if name == "report":
            return await self._report_once()
        job = self._jobs[name]
        due = last_due(job.moments, self._zone, self._clock.now())
        done = await self._run(job, int(self._clock.now()) if due is None else due, is_last_try=True)
        if name == "recent" and (done.state != "busy" or done.is_listened):
            for follower in map(self._jobs.__getitem__, _FOLLOWERS):
                due = self._agenda.pending(follower, self._entries[follower.name], self._clock.now())
                if due is not None and not stop.is_set():
                    await self._follow(follower, due)
        return done

    async def _follow(self, job: Job, due: int) -> None:
        if (done := await self._run_due(job, due, is_last_try=True)) is not None:
            self.followed[job.name] = done

    async def _report_once(self) -> Done:
        self._archive.settings.mailbox()  # what is wrong there is all that matters now
        told = await self._teller.tell_daily(self._next("recent"))
        return Done("complete", "The report is on its way.") if told.error is None else _failed_by(told.error)

    # One job

    async def _run_due(self, job: Job, due: int, *, is_last_try: bool = False) -> Done | None:
        """Run it; None where it is not wanted now, which answers its time as well."""
        if await self._is_wanted(job):
            return await self._run(job, due, is_last_try=is_last_try)
        succeeded(self._entries[job.name], due)
        self._memory.write()
        return None

    async def _is_wanted(self, job: Job) -> bool:
        try:
            return await anyio.to_thread.run_sync(job.is_wanted, self._archive)
        except Exception:  # noqa: BLE001 - the job itself will meet it, and tell
            return True

    async def _run(self, job: Job, due: int, *, is_last_try: bool = False) -> Done:
        entry = self._entries[job.name]
        entry.last_start = int(self._clock.now())
        entry.result = "running"
        self._memory.write()
        began = self._clock.monotonic()
        _log.info("%s begins", job.name)
        self._say(f"{job.name} begins, due {self._moment(due)}")
        done = await self._work(job, is_last_try=is_last_try)
        seconds = self._clock.monotonic() - began
        level = logging.INFO if done.state in ("complete", "interrupted") else logging.WARNING
        _log.log(level, "%s ends: %s", job.name, done.state, extra={"seconds": seconds, "error": done.error})
        self._say(f"{job.name} ends after {seconds:.0f} s: {done.state}. {done.said}".rstrip())
        self._memory.reread(self._clock.now())
        entry = self._entries.setdefault(job.name, entry)
        entry.last_end, entry.result = int(self._clock.now()), done.state
        self._settle(entry, due, done)
        self._memory.write()
        try:
            await self._tell(job, due, done, is_last_try=is_last_try)
        except Exception as error:  # noqa: BLE001 - a mail that cannot be written fails no job
            _crashed("telling", error)
        return done

    async def _work(self, job: Job, *, is_last_try: bool) -> Done:
        """Do it; whatever it raises is an end like others."""
        done = Done("interrupted", "It was told to stop.")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_at_stop, tasks.cancel_scope)
            try:
                done = await job.work(self._archive)
            except Exception as error:  # noqa: BLE001 - no job may take the others down
                done = self._end_by(job, error, is_last_try=is_last_try)
            tasks.cancel_scope.cancel()
        return done

    async def _cancel_at_stop(self, scope: anyio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    def _end_by(self, job: Job, error: Exception, *, is_last_try: bool) -> Done:
        known = foreseen(error)
        if isinstance(known, WriterRunning):
            if job.name == "recent" and self._is_listened_to():
                return Done("busy" if is_last_try else "complete", _LISTENER, known if is_last_try else None, is_listened=True)
            return Done("busy", str(known), known)
        return _failed_by(known) if known is not None else _crashed(job.name, error)

    def _is_listened_to(self) -> bool:
        try:
            return self._archive.listener() is not None
        except ArchiveError:
            return False

    def _settle(self, entry: Entry, due: int, done: Done) -> None:
        now = self._clock.now()
        if done.state == "busy" and not done.is_listened:
            found_busy(entry, due, now)
        elif done.state == "failed":
            failed(entry, due, now, self._agenda.next_of_all(now))
        elif done.state != "interrupted":
            succeeded(entry, due)

    async def _tell(self, job: Job, due: int, done: Done, *, is_last_try: bool) -> None:
        entry = self._entries[job.name]
        if entry.busy_since is not None and done.state == "busy" and self._clock.now() - entry.busy_since < _LONG_BUSY:
            return
        await self._teller.tell_change(job, done, entry.failures, is_last_try=is_last_try)
        is_over = (
            done.is_listened
            or done.state in ("complete", "partial")
            or (done.state == "failed" and (is_last_try or is_exhausted(entry)))
        )
        if job.name == "recent" and is_over and (is_last_try or entry.reported != due):
            entry.reported = due
            await self._teller.tell_daily(self._next("recent"))
        elif job.name == "maintenance" and done.steps:
            await self._teller.tell_weekly(done, self._next("maintenance"))
        self._memory.write()

    def _next(self, name: str) -> int | None:
        return next_due(self._jobs[name].moments, self._zone, self._clock.now())

    def _moment(self, seconds: int) -> str:
        from whatsapp_mcp.reports.page import moment

        return moment(seconds, self._zone)

    # Between the jobs

    async def _pause(self, seconds: float) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_at_stop, tasks.cancel_scope)
            await self._clock.sleep(max(0.0, seconds))
            tasks.cancel_scope.cancel()

    async def _listen(self) -> None:
        """Listen until a job is due; what goes wrong is tried again after a pause, like a job."""
        until = anyio.Event()
        job = Job("listening", (), _nothing, of_gateway=True, writes=True)
        done = Done("complete")
        _log.info("listening begins")
        self._say("listening")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_when_due, until)
            try:
                await self._hear(until)
            except Exception as error:  # noqa: BLE001 - no listener may take the jobs down
                done = self._end_by(job, error, is_last_try=False)
            tasks.cancel_scope.cancel()
        if done.state == "complete":
            self._listening = Listening()
        else:
            _log.warning("listening ends: %s", done.state, extra={"error": done.error})
            self._say(f"listening ended: {done.state}. {done.said}")
            self._listening.failed(self._clock.now())
        if done.state != "busy":
            await self._teller.tell_change(job, done, self._listening.failures)

    async def _hear(self, until: anyio.Event) -> None:
        from whatsapp_mcp.sync.listen import listen

        gateway = self._archive.gateway()
        with self._archive.writer(durable=True) as writer:  # what is acknowledged is gone at the gateway
            async with gateway:
                await listen(gateway, writer, self._clock, stop=until)

    async def _end_when_due(self, until: anyio.Event) -> None:
        now = self._clock.now()
        while not self._stop.is_set() and self._agenda.choose(self._entries, now) is None:
            await self._pause(min(self._agenda.wake_at(self._entries, now) - now, self._look))
            now = self._clock.now()
        until.set()


class Listening:
    """When a listener that failed may be tried again."""

    def __init__(self) -> None:
        """It has not failed."""
        self.failures = 0
        """So often in a row."""
        self._next_try = 0.0

    def is_ready(self, now: float) -> bool:
        """Whether it may be tried at `now`; a pause that a clock has put far away is over."""
        return not self._next_try - PAUSES[-1] <= now < self._next_try

    def failed(self, now: float) -> None:
        """Wait a while, each time longer, at most an hour."""
        self._next_try = now + PAUSES[min(self.failures, len(PAUSES) - 1)]
        self.failures += 1


async def _nothing(_: Archive) -> Done:
    return Done("complete")


def _failed_by(error: ArchiveError | MailError) -> Done:
    return Done("failed", str(error), error)


def _crashed(name: str, error: Exception) -> Done:
    """A mistake in the program: its text may quote a message, its place in the code cannot."""
    hush(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s stops by a mistake in the program: %s", name, type(error).__name__, extra={"error": error})
    where = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    return Done("failed", f"This is a mistake in the program ({where}); the log has the details.")
