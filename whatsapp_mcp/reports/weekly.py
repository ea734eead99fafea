"""The report of the weekly maintenance: each step, the size, and how it grows."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.reports.daily import FOOT, Calls, Trouble, gateway, troubles
from whatsapp_mcp.reports.page import Report, Row, Section, lasted, many, moment, report, size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_POINTS: Final = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the maintenance: what it found in a few words, and how long it took."""

    name: str
    finding: str
    seconds: float
    is_good: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    """How large the archive was at a time (unix seconds)."""

    measured_at: int
    database_bytes: int
    media_bytes: int
    messages: int
    chats: int


@dataclass(frozen=True, slots=True)
class Weekly:
    """Everything that the weekly report says."""

    until: int
    zone: ZoneInfo
    steps: tuple[Step, ...]
    sizes: tuple[Size, ...]
    """Oldest first; the last is now."""
    troubles: tuple[Trouble, ...] = ()
    next_run: int | None = None
    calls: tuple[Calls, ...] = ()
    """Of the whole week."""


def weekly(values: Weekly) -> Report:
    """The weekly report."""
    bad = sum(not step.is_good for step in values.steps) + len(values.troubles)
    well = f"{many(bad, 'problem')}" if bad else "all is well"
    took = lasted(sum(step.seconds for step in values.steps))
    lead = f"The weekly maintenance of {moment(values.until, values.zone)} took {took}: {well}."
    return report(f"WhatsApp archive: weekly maintenance, {well}", lead, _sections(values), FOOT)


def _sections(values: Weekly) -> Iterator[Section]:
    yield troubles(values.troubles)
    yield Section("What did not go well", rows=tuple(_step(step) for step in values.steps if not step.is_good))
    yield Section("What was done", rows=tuple(_step(step) for step in values.steps if step.is_good))
    yield gateway(values.calls)
    if values.sizes:
        yield Section("The archive", rows=tuple(_now(values)))
        yield Section("Growth", rows=tuple(_growth(values)))


def _step(step: Step) -> Row:
    return Row(step.name, f"{step.finding} ({lasted(step.seconds)})")


def _now(values: Weekly) -> Iterator[Row]:
    now = values.sizes[-1]
    yield Row("messages", f"{now.messages:,}")
    yield Row("chats", f"{now.chats:,}")
    yield Row("database", size(now.database_bytes))
    yield Row("files", size(now.media_bytes))
    if values.next_run is not None:
        yield Row("next maintenance", moment(values.next_run, values.zone))


def _growth(values: Weekly) -> Iterator[Row]:
    """Each of the last measurements with what was added since the one before."""
    points = values.sizes[-_POINTS:]
    for before, after in pairwise(points):
        more = after.database_bytes + after.media_bytes - before.database_bytes - before.media_bytes
        said = f"{after.messages - before.messages:+,} messages, {'+' if more >= 0 else ''}{size(more)}"
        yield Row(f"until {moment(after.measured_at, values.zone)}", said)
