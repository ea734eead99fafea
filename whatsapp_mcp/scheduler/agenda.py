"""What comes next: pure, from the jobs, what is known of them, the zone and the time.

A job is due while a time of its calendar has passed that nothing answered; however many passed, one run answers them all. So
sleep, downtime and a clock that is put forward are caught up with once. What fails is tried again after 1, 5, 15 and 60
minutes, then whenever anything is due, until it succeeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from whatsapp_mcp.scheduler.calendar import last_due, next_due
from whatsapp_mcp.scheduler.memory import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.timetable import Moment

PAUSES: Final = (60, 300, 900, 3_600)
"""Seconds before each further try."""
BUSY: Final = 60
"""Seconds before looking again whether another process still holds the lock."""
LONG_BUSY: Final = 900
"""The same when it has held it for more than an hour: a listener may hold it for ever."""
_MARGIN: Final = 60


class Regular(Protocol):
    """What the agenda must know of a job."""

    @property
    def name(self) -> str:
        """Its key in the memory."""
        ...

    @property
    def moments(self) -> tuple[Moment, ...]:
        """When it is due."""
        ...


@dataclass(frozen=True, slots=True)
class Agenda:
    """The jobs in the order in which those that are due together run, and the zone of their times."""

    jobs: Sequence[Regular]
    zone: ZoneInfo

    def begin(self, entries: dict[str, Entry], now: float) -> bool:
        """Make `entries` fit to the jobs and to the clock; returns whether they did not, and have to be written down.

        A job that is seen for the first time has missed nothing. After a clock that was far ahead, what it said is forgotten:
        else nothing would run until that time comes.
        """
        before = {name: replace(entry) for name, entry in entries.items()}
        for job in self.jobs:
            due, following = last_due(job.moments, self.zone, now), next_due(job.moments, self.zone, now)
            known = int(now) if due is None else due
            entry = entries.setdefault(job.name, Entry(known))
            if following is None or entry.last_due > following:
                entry.last_due = known
            if entry.next_try is not None and entry.next_try > max(now + PAUSES[-1], self.next_of_all(now)) + _MARGIN:
                entry.next_try = int(now)
            if entry.busy_since is not None:
                entry.busy_since = min(entry.busy_since, int(now))
        return entries != before

    def choose(self, entries: Mapping[str, Entry], now: float) -> tuple[str, int] | None:
        """The job to run now with the due time that it answers, or None."""
        for job in self.jobs:
            due = self.pending(job, entries[job.name], now)
            if due is not None and is_ready(entries[job.name], due, now):
                return job.name, due
        return None

    def pending(self, job: Regular, entry: Entry, now: float) -> int | None:
        """The last due time of a job, if nothing answered it."""
        due = last_due(job.moments, self.zone, now)
        return due if due is not None and due > entry.last_due else None

    def wake_at(self, entries: Mapping[str, Entry], now: float) -> float:
        """When to choose again at the latest, if nothing is to be done now."""
        tries = [
            entry.next_try
            for job in self.jobs
            if (entry := entries[job.name]).next_try is not None and self.pending(job, entry, now) is not None
        ]
        return min([self.next_of_all(now), *tries])

    def next_of_all(self, now: float) -> int:
        """When anything is due next."""
        return min(due for job in self.jobs if (due := next_due(job.moments, self.zone, now)) is not None)


def is_ready(entry: Entry, due: int, now: float) -> bool:
    """Whether a job that is due need not wait before it is tried (again)."""
    return entry.trying_for != due or entry.next_try is None or now >= entry.next_try


def succeeded(entry: Entry, due: int) -> None:
    """Everything until `due` is answered."""
    entry.last_due = max(entry.last_due, due)
    entry.failures = entry.tries = 0
    entry.trying_for = entry.next_try = entry.busy_since = None


def failed(entry: Entry, due: int, now: float, following: int) -> None:
    """It is tried again after a pause; `following` is when anything is due next."""
    _try_for(entry, due)
    entry.tries += 1
    entry.failures += 1
    entry.busy_since = None
    pause = PAUSES[entry.tries - 1] if entry.tries <= len(PAUSES) else None
    entry.next_try = following if pause is None else int(now) + pause


def found_busy(entry: Entry, due: int, now: float) -> None:
    """Another process writes: no failure, it is tried again soon."""
    _try_for(entry, due)
    entry.busy_since = int(now) if entry.busy_since is None else entry.busy_since
    entry.next_try = int(now) + (BUSY if now - entry.busy_since <= PAUSES[-1] else LONG_BUSY)


def is_exhausted(entry: Entry) -> bool:
    """Whether all pauses were of no use."""
    return entry.tries > len(PAUSES)


def _try_for(entry: Entry, due: int) -> None:
    if entry.trying_for != due:
        entry.trying_for, entry.tries = due, 0
