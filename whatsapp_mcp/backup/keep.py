"""Which backups stay: the newest of each of the last days, weeks and months that have one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo

_DAY: Final = 86_400
"""What was made within so many seconds before `now` always stays: nobody expects a copy of this morning to be gone."""


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many days, weeks and months a backup each is kept."""

    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def kept(made_at: Iterable[int], keep: Keep, *, zone: ZoneInfo, now: float) -> set[int]:
    """Those of the times (unix seconds) whose backups stay; always the newest, days and weeks begin in `zone`.

    Only days, weeks and months that have a backup are counted, so a month without backups loses no older ones. What a wrong
    clock made in the future stays too, and takes nobody's place.
    """
    newest_first = sorted(set(made_at), reverse=True)
    stay = set(newest_first[:1]) | {time for time in newest_first if time > now - _DAY}
    for count, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
        stay.update(_newest_of_each([time for time in newest_first if time <= now], period, zone)[:count])
    return stay


def _newest_of_each(newest_first: list[int], period: Callable[[datetime], tuple[int, ...]], zone: ZoneInfo) -> list[int]:
    found: dict[tuple[int, ...], int] = {}
    for time in newest_first:
        found.setdefault(period(datetime.fromtimestamp(time, zone)), time)
    return list(found.values())


def _day(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month, moment.day


def _week(moment: datetime) -> tuple[int, ...]:
    return tuple(moment.isocalendar())[:2]


def _month(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month
