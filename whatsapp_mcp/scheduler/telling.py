"""What is told by e-mail, and that no mail ever fails a job.

A report goes out after what is new was fetched, and one after the maintenance; one mail when something begins to fail, and one
when it works again.
Mails that cannot be sent wait in the outbox, on a full disk in the process.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from whatsapp_mcp.errors import (
    ArchiveError,
    CredentialsError,
    GatewayError,
    InstanceGone,
    InstanceStarting,
    MailError,
    NotAuthorized,
    RateLimited,
    SettingsError,
    StorageError,
    Unreachable,
    UnreadableAnswer,
)
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.reports.alert import alert, is_told, settle
from whatsapp_mcp.reports.daily import FOOT, Trouble, daily, troubles
from whatsapp_mcp.reports.gathering import gather_calls, gather_daily, gather_sizes
from whatsapp_mcp.reports.letter import write
from whatsapp_mcp.reports.mail import DEADLINE, send_one
from whatsapp_mcp.reports.outbox import Outbox, deliver
from whatsapp_mcp.reports.page import many, report
from whatsapp_mcp.reports.weekly import Step, Weekly, weekly

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.mailbox import Mailbox
    from whatsapp_mcp.reports.alert import State
    from whatsapp_mcp.reports.daily import Calls
    from whatsapp_mcp.reports.page import Report
    from whatsapp_mcp.reports.weekly import Size
    from whatsapp_mcp.scheduler.jobs import Done, Job
    from whatsapp_mcp.scheduler.memory import Memory

_log = logging.getLogger(__name__)

GREEN_API: Final = "Green_API"
STORAGE: Final = "storage"
"""What several jobs have in common, so that one outage is one mail."""

_OF_INSTANCE: Final = (
    CredentialsError, NotAuthorized, InstanceStarting, InstanceGone, RateLimited, Unreachable, UnreadableAnswer,
)  # fmt: skip
_PATIENCE: Final = 3
"""What passes by itself is told at the third failure in a row: after about six minutes."""
_NEVER: Final = 2**62
_WEEK: Final = 604_800
_QUIET: Final = 86_400
"""Seconds after an alarm in which its thing gets no other one: what comes and goes stands in the reports."""
_KEPT: Final = 50


@dataclass(frozen=True, slots=True)
class Told:
    """How a mail fared: `error` where it could not be sent now, though it will be."""

    error: MailError | None = None


class Post:
    """The way out for mails; without settings for e-mail everything is silently dropped."""

    def __init__(self, archive: Archive, *, deadline: float = DEADLINE) -> None:
        """Send for `archive`; one delivery may take `deadline` seconds."""
        self._archive = archive
        self._deadline = deadline
        self._outbox = Outbox(archive.home)
        self._unkept: deque[EmailMessage] = deque(maxlen=_KEPT)
        """Mails that could be neither sent nor written down, because the disk is full."""

    async def send(self, new: Report, kept: Callable[[], None] = lambda: None) -> Told:
        """Send `new` and whatever waits; raises nothing for what mail servers and disks do.

        `kept` is called as soon as `new` cannot be lost, before any server is asked: one that hangs takes long, and who is
        killed meanwhile must not tell the same again.
        """
        try:
            mailbox = self._archive.settings.mailbox()
        except SettingsError as error:
            if self._archive.settings.wants_reports:
                _log.error("no report can be sent: %s", type(error).__name__, extra={"error": error})
            return Told()
        zone, now = self._archive.settings.timezone, self._archive.clock.now()
        self._keep_what_was_unkept(now)
        message = write(new, mailbox, now=now, zone=zone)
        try:
            self._outbox.keep(message, now)
        except StorageError:
            kept()
            return await self._send_without_disk(mailbox, message)
        kept()
        try:
            done = await deliver(self._outbox, mailbox, None, now=now, zone=zone, deadline=self._deadline)
        except StorageError as error:
            _log.warning("what was sent cannot be taken out of the outbox: %s", type(error).__name__, extra={"error": error})
            return Told()
        return Told(done.error)

    def _keep_what_was_unkept(self, now: float) -> None:
        with suppress(StorageError):
            while self._unkept:
                self._outbox.keep(self._unkept[0], now)
                self._unkept.popleft()

    async def _send_without_disk(self, mailbox: Mailbox, message: EmailMessage) -> Told:
        self._unkept.append(message)
        try:
            while self._unkept:
                await send_one(mailbox, self._unkept[0], deadline=self._deadline)
                self._unkept.popleft()
        except MailError as error:
            _log.warning("%d reports wait in the process, for the disk takes none: %s", len(self._unkept), type(error).__name__)
            return Told(error)
        return Told()


class Teller:
    """Says what happened, each thing once, and notes in the memory what was said."""

    def __init__(self, archive: Archive, memory: Memory, *, deadline: float = DEADLINE) -> None:
        """Tell of the jobs of `archive`."""
        self._archive = archive
        self._memory = memory
        self._post = Post(archive, deadline=deadline)

    @property
    def _zone(self) -> ZoneInfo:
        return self._archive.settings.timezone

    async def tell_change(self, job: Job, done: Done, failures: int, *, is_last_try: bool = False) -> None:
        """One mail when something begins to fail, one when it is well again; the job has failed `failures` times in a row.

        `is_last_try`: nobody tries again by itself soon, so what may pass by itself is told at once.
        """
        now = int(self._archive.clock.now())
        for key, trouble in seen(job, done):
            may_pass = _may_pass(done.error) and failures < _PATIENCE and not is_last_try
            patience = _NEVER if may_pass else 1
            state, alarms = settle(self._memory.book.alerts, {key: trouble}, now, patience=patience, quiet=_QUIET)
            note = partial(self._note_alerts, state)
            for alarm in alarms:  # one at most, of this key
                _log.warning("%s: %s", alarm.key.casefold(), alarm.kind)
                await self._post.send(alert(alarm, self._zone), note)
            note()

    def _note_alerts(self, state: State) -> None:
        if self._memory.book.alerts != state:
            self._memory.book.alerts = state
            self._memory.write()

    async def tell_daily(self, next_run: int | None) -> Told:
        """The report of what came since the last one."""
        now = int(self._archive.clock.now())
        try:
            made, newest = await anyio.to_thread.run_sync(self._daily, next_run)
        except Exception as error:  # noqa: BLE001 - a report that says so is better than none
            _log.warning("the report cannot say what came: %s", type(error).__name__, extra={"error": error})
            return await self._post.send(self._without_numbers(error), self._memory.write)
        note = partial(self._note_reported, now, newest)
        told = await self._post.send(made, note)
        note()
        return told

    def _note_reported(self, now: int, newest: int) -> None:
        reported = self._memory.book.reported
        if (reported.at, reported.newest_id) != (now, newest):
            reported.at, reported.newest_id = now, newest
            self._memory.write()

    async def tell_weekly(self, done: Done, next_run: int | None) -> Told:
        """The report of a maintenance."""
        return await self._post.send(await anyio.to_thread.run_sync(self._weekly, done, next_run))

    def _daily(self, next_run: int | None) -> tuple[Report, int]:
        archive, since = self._archive, self._memory.book.reported
        values, newest = gather_daily(
            archive.queries, since.at, zone=self._zone, names=self._names(), after_id=since.newest_id,
            media_bytes=archive.queries.sizes()[-1].media_bytes, troubles=self._troubles(), next_run=next_run,
        )  # fmt: skip
        return daily(values), newest

    def _names(self) -> bool:
        """Names only where it is clear that they are wanted."""
        try:
            return self._archive.settings.report_names()
        except SettingsError as error:
            _log.warning("reports name no chats: %s", type(error).__name__, extra={"error": error})
            return False

    def _without_numbers(self, error: Exception) -> Report:
        known = foreseen(error)
        mistake = f"A mistake in the program ({type(error).__name__}); the log has the details."
        why = mistake if known is None else str(known)
        found = self._troubles() or (Trouble(why),)
        subject = f"WhatsApp archive: it cannot be read, {many(len(found), 'problem')}"
        return report(subject, f"The archive cannot be read, so this report knows no numbers. {why}", [troubles(found)], FOOT)

    def _weekly(self, done: Done, next_run: int | None) -> Report:
        steps = tuple(Step(step.name, step.said, step.seconds, is_good=step.state in ("ok", "skipped")) for step in done.steps)
        now = int(self._archive.clock.now())
        sizes: tuple[Size, ...] = ()
        calls: tuple[Calls, ...] = ()
        with suppress(StorageError):  # what is damaged was found by the steps
            sizes, calls = gather_sizes(self._archive.queries), gather_calls(self._archive.queries, now - _WEEK)
        return weekly(Weekly(now, self._zone, steps, sizes, self._troubles(but="maintenance"), next_run, calls))

    def _troubles(self, *, but: str = "") -> tuple[Trouble, ...]:
        """What was told to fail and still does, also what is only told here because it comes and goes."""
        return tuple(
            Trouble(f"{key.replace('_', ' ')}: {entry['what']}")
            for key, entry in self._memory.book.alerts.items()
            if key != but and is_told(entry)
        )


def seen(job: Job, done: Done) -> list[tuple[str, Trouble | None]]:
    """What the end of a job says of which thing: its trouble, or None where it is well.

    One outage of the gateway or of the disk stops several jobs; under a common key it is told once. What is said of one method
    only (a quota, a refusal) belongs to the job, and so does the disk of the backups.
    """
    if done.is_listened:
        return [(job.name, None)]
    if done.state in ("complete", "partial"):
        is_well = done.state == "complete" or job.of_gateway  # chats that failed stand in the daily report
        found: list[tuple[str, Trouble | None]] = [(job.name, None if is_well else Trouble(done.said))]
        if job.writes:
            found.append((STORAGE, None))
        if job.of_gateway:
            found.append((GREEN_API, None))
        return found
    if done.state == "failed":
        advice = done.error.advice if done.error is not None else ""
        return [(key_of(job, done.error), Trouble(done.error.what if done.error is not None else done.said, advice))]
    if done.state == "interrupted":
        return []
    is_locked = done.state == "busy" and job.writes
    return [(STORAGE if is_locked else job.name, Trouble(done.said))]


def _may_pass(error: ArchiveError | None) -> bool:
    """An instance that loses its phone for a while comes back by itself as well."""
    return error is not None and (error.transient or isinstance(error, NotAuthorized))


def key_of(job: Job, error: ArchiveError | None) -> str:
    """Under which key a failure is told."""
    if isinstance(error, GatewayError) and isinstance(error, _OF_INSTANCE):
        return GREEN_API
    if isinstance(error, StorageError) and job.writes:
        return STORAGE
    return job.name
