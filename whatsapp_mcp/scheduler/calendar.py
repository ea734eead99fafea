"""From times of the day to instants: what is due when, in whatever zone the user lives.

Each time of the timetable is due once on every day that has it, also on the days on which clocks change: a local time that does
not exist is due at the first instant after the gap, one that exists twice is due at the first of them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.timetable import Moment

_FAR: Final = 9 * 86_400
"""Seconds in which every moment of a week comes round, whatever clocks do meanwhile."""
_NEAR: Final = 86_400
_DAY: Final = timedelta(days=1)


@lru_cache(maxsize=1_000)
def instant(day: date, moment: Moment, zone: ZoneInfo) -> int:
    """The unix second at which `moment` is due on `day`."""
    wanted = datetime.combine(day, time(moment.hour, moment.minute))
    first, second = (int(wanted.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if first <= second:  # equal, but for a time that exists twice
        return first
    early, late = second, first  # a gap: PEP 495 gives the two ways to carry on the clocks around it
    while late - early > 1:
        middle = (early + late) // 2
        reached = datetime.fromtimestamp(middle, zone).replace(tzinfo=None) >= wanted
        early, late = (early, middle) if reached else (middle, late)
    return late


def due_between(moments: Collection[Moment], zone: ZoneInfo, after: float, until: float) -> list[int]:
    """Every instant at which one of `moments` is due, later than `after` and not later than `until`, in order."""
    days = _days(datetime.fromtimestamp(after, UTC).date() - 2 * _DAY, datetime.fromtimestamp(until, UTC).date() + _DAY)
    found = {
        instant(day, moment, zone) for day in days for moment in moments if moment.weekday in (None, day.weekday())
    }  # a set: two moments in one gap are due together
    return sorted(due for due in found if after < due <= until)


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += _DAY


def last_due(moments: Collection[Moment], zone: ZoneInfo, now: float) -> int | None:
    """When one of `moments` was due last, `now` included; None without any."""
    found = due_between(moments, zone, now - _NEAR, now) or due_between(moments, zone, now - _FAR, now)
    return max(found, default=None)


def next_due(moments: Collection[Moment], zone: ZoneInfo, now: float) -> int | None:
    """When one of `moments` is due next, later than `now`; None without any."""
    found = due_between(moments, zone, now, now + _NEAR) or due_between(moments, zone, now, now + _FAR)
    return min(found, default=None)


def once_a_day(moments: Collection[Moment]) -> tuple[Moment, ...]:
    """The first of `moments` on each day; where none is for every day, the first on each day that has one."""
    every_day = [moment for moment in moments if moment.weekday is None]
    if every_day:
        return (min(every_day, key=_time_of_day),)
    first: dict[int | None, Moment] = {}
    for moment in sorted(moments, key=_time_of_day):
        first.setdefault(moment.weekday, moment)
    return tuple(first.values())


def _time_of_day(moment: Moment) -> tuple[int, int]:
    return moment.hour, moment.minute
