"""What people write for a time, read in the user's zone: ``2025-08``, ``yesterday``, ``last 30 days``, an RFC 3339 instant.

A phrase means a span (a year, a month, a week, a day) or an instant. In ``after`` the start of the span counts, in
``before`` its end, so a day or month named in either is included whole; an instant is an inclusive start or an exclusive
end. Weeks begin on Monday (ISO 8601). ``last 30 days`` are the thirty days before today and today. A local midnight that
daylight saving time skips is the first moment of that day; one that it repeats is the first of the two.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil, floor
from typing import TYPE_CHECKING, Final, TypeAlias

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.views import Interval

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

FIRST_YEAR: Final = 1970
LAST_YEAR: Final = 2100
_EXAMPLES: Final = (
    "Write 2025, 2025-08, 2025-08-14, 2025-08-14 10:30, 2025-08-14T10:30:00+03:00, today, yesterday, last week or last 30 days."
)
_DAY: Final = timedelta(days=1)
_EARLIEST: Final = int((datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - _DAY).timestamp())
_LATEST: Final = int((datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) + _DAY).timestamp())
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTH: Final = (
    "(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_UNIT: Final = "(?P<unit>minute|hour|day|week|month|year)"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in unix seconds, half-open; an instant has ``start == end``, or within a second its bounds."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Now:
    """The moment of asking, and the zone in which it is read."""

    zone: ZoneInfo
    moment: datetime

    @property
    def today(self) -> date:
        return self.moment.date()

    def midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def days(self, first: date, end: date) -> Span:
        return Span(self.midnight(first), self.midnight(end))


def interval(after: str | None, before: str | None, *, zone: ZoneInfo, now: float) -> Interval:
    """The half-open interval that `after` and `before` mean at `now` (unix seconds); either may be missing or empty.

    Raises `UsageError` for what is no date, for a date that does not exist, and for an end that is not behind its start.
    """
    start = parse(after, zone=zone, now=now).start if after and after.strip() else None
    end = parse(before, zone=zone, now=now).end if before and before.strip() else None
    if start is not None and end is not None and start >= end:
        raise UsageError(
            f"The interval is empty: after means from {_shown(start, zone)}, before means until {_shown(end, zone)}.",
            advice="Exchange them, or leave one out; for a single day write the same date in both.",
        )
    return resolved(start, end, zone=zone)


def resolved(start: int | None, end: int | None, *, zone: ZoneInfo) -> Interval:
    """The interval of two known moments, said in words."""
    if start is None and end is None:
        said = "all time"
    elif end is None and start is not None:
        said = f"from {_shown(start, zone)}"
    elif start is None and end is not None:
        said = f"until {_shown(end, zone)}"
    else:
        said = f"{_shown(start or 0, zone)} to {_shown(end or 0, zone)}"
    return Interval(start, end, f"{said} ({zone.key or zone})", str(zone.key or zone))


def _shown(moment: int, zone: ZoneInfo) -> str:
    local = datetime.fromtimestamp(moment, zone)
    return local.strftime("%Y-%m-%d %H:%M:%S" if local.second else "%Y-%m-%d %H:%M")


def parse(text: str, *, zone: ZoneInfo, now: float) -> Span:
    """The span that one phrase means; raises `UsageError` when it means none."""
    phrase = re.sub(r"\s+", " ", text.strip().lower())
    here = _Now(zone, datetime.fromtimestamp(now, zone))
    for pattern, read in _READERS:
        match = pattern.fullmatch(phrase)
        if match:
            return _bounded(text, match, read, here)
    raise UsageError(f"{_echo(text)} is no date.", advice=_EXAMPLES)


def _bounded(text: str, match: re.Match[str], read: _Reader, here: _Now) -> Span:
    try:
        span = read(match, here)
    except (ValueError, OverflowError):
        raise UsageError(f"There is no such date as {_echo(text)}.", advice=_EXAMPLES) from None
    if span.start < _EARLIEST or span.end > _LATEST:
        raise UsageError(f"{_echo(text)} is out of range: years run from {FIRST_YEAR} to {LAST_YEAR}.", advice=_EXAMPLES)
    return span


def _echo(text: str) -> str:
    shown = ascii(text[:40])[1:-1]
    return f'"{shown}{"…" if len(text) > 40 else ""}"'


def _year(match: re.Match[str], here: _Now) -> Span:
    year = int(match["year"])
    return here.days(date(year, 1, 1), date(year + 1, 1, 1))


def _month_span(here: _Now, year: int, month: int) -> Span:
    first = date(year, month, 1)
    return here.days(first, (first + 31 * _DAY).replace(day=1))


def _month(match: re.Match[str], here: _Now) -> Span:
    return _month_span(here, int(match["year"]), int(match["month"]))


def _day_span(here: _Now, day: date) -> Span:
    return here.days(day, day + _DAY)


def _day(match: re.Match[str], here: _Now) -> Span:
    return _day_span(here, date(int(match["year"]), int(match["month"]), int(match["day"])))


def _moment(match: re.Match[str], here: _Now) -> Span:
    text = match[0].upper().replace("/", "-")
    moment = datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", ""))
    instant = (moment if moment.tzinfo else moment.replace(tzinfo=here.zone)).timestamp()
    return Span(floor(instant), ceil(instant))  # messages are known to the second, and none of a begun one is left out


def _unix(match: re.Match[str], _here: _Now) -> Span:
    return Span(int(match[0]), int(match[0]))


def _word(match: re.Match[str], here: _Now) -> Span:
    if match[0] == "now":
        return Span(int(here.moment.timestamp()), int(here.moment.timestamp()))
    distance = {"today": 0, "yesterday": -1, "tomorrow": 1}[match[0]]
    return _day_span(here, here.today + distance * _DAY)


def _shifted_month(day: date, months: int) -> date:
    """The first day of the month so many months away."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def _calendar_unit(match: re.Match[str], here: _Now) -> Span:
    steps = -1 if match["which"] in ("last", "previous") else 0
    if match["unit"] == "week":
        monday = here.today + (7 * steps - here.today.weekday()) * _DAY
        return here.days(monday, monday + 7 * _DAY)
    if match["unit"] == "month":
        return here.days(_shifted_month(here.today, steps), _shifted_month(here.today, steps + 1))
    if match["unit"] == "year":
        return here.days(date(here.today.year + steps, 1, 1), date(here.today.year + steps + 1, 1, 1))
    return _day_span(here, here.today + steps * _DAY)


def _back(here: _Now, count: int, unit: str) -> date:
    if unit in ("day", "week"):
        return here.today - count * (7 if unit == "week" else 1) * _DAY
    first = _shifted_month(here.today, -count * (12 if unit == "year" else 1))
    last = _shifted_month(first, 1) - _DAY
    return first.replace(day=min(here.today.day, last.day))


def _rolling(match: re.Match[str], here: _Now) -> Span:
    count, unit = int(match["count"]), match["unit"]
    if unit in ("minute", "hour"):
        end = int(here.moment.timestamp())
        return Span(end - count * (60 if unit == "minute" else 3600), end)
    return here.days(_back(here, count, unit), here.today + _DAY)


def _ago(match: re.Match[str], here: _Now) -> Span:
    if match["unit"] in ("minute", "hour"):
        start = _rolling(match, here).start
        return Span(start, start)
    return _day_span(here, _back(here, int(match["count"]), match["unit"]))


def _named_month(match: re.Match[str], here: _Now) -> Span:
    month = _MONTHS.index(match["name"][:3]) + 1
    groups = match.groupdict()
    year = int(groups["year"]) if groups.get("year") else here.today.year - (month > here.today.month)
    if groups.get("day"):
        return _day_span(here, date(year, month, int(groups["day"])))
    return _month_span(here, year, month)


def _weekday(match: re.Match[str], here: _Now) -> Span:
    back = (here.today.weekday() - _WEEKDAYS.index(match["weekday"][:3])) % 7
    if match["which"] and not back:
        back = 7
    return _day_span(here, here.today - back * _DAY)


_Reader: TypeAlias = Callable[[re.Match[str], _Now], Span]
_READERS: Final[tuple[tuple[re.Pattern[str], _Reader], ...]] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (r"(?P<year>[0-9]{4})", _year),
        (r"(?P<year>[0-9]{4})[-/](?P<month>[0-9]{1,2})", _month),
        (r"(?P<year>[0-9]{4})([-/])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})", _day),
        (r"[0-9]{4}([-/])[0-9]{2}\1[0-9]{2}[t ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)? ?(z|[+-][0-9]{2}:?[0-9]{2})?", _moment),
        (r"[0-9]{9,10}", _unix),
        (r"now|today|yesterday|tomorrow", _word),
        (rf"(?P<which>this|last|previous) {_UNIT.replace('minute|hour|', '')}", _calendar_unit),
        (rf"(?:the )?(?:last|past) (?P<count>[0-9]{{1,4}}) {_UNIT}s?", _rolling),
        (rf"(?P<count>[0-9]{{1,4}}) {_UNIT}s? ago", _ago),
        (rf"{_MONTH}(?:,? (?P<year>[0-9]{{4}}))?", _named_month),
        (rf"(?P<day>[0-9]{{1,2}})\.? {_MONTH}(?:,? (?P<year>[0-9]{{4}}))?", _named_month),
        (rf"{_MONTH} (?P<day>[0-9]{{1,2}})(?:, ?| )(?P<year>[0-9]{{4}})", _named_month),
        (r"(?:(?P<which>last) )?(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)", _weekday),
    )
)


@dataclass(frozen=True, slots=True)
class Offsets:
    """How far local clocks are ahead of UTC, over a stretch of time: `offsets` ``[i]`` seconds from `starts` ``[i]`` on."""

    starts: tuple[int, ...]
    offsets: tuple[int, ...]

    def local(self, moment: int) -> int:
        """`moment` (unix seconds) as seconds of the local clock since 1970-01-01 00:00."""
        return moment + self.offsets[max(0, bisect_right(self.starts, moment) - 1)]


def offsets(zone: ZoneInfo, first: int, last: int) -> Offsets:
    """The offsets of `zone` from `first` to `last` (unix seconds), to the second of each change.

    Looks every five days, so two changes within five days may be missed; no zone in use has had any.
    """
    starts, values = [first], [_offset(zone, first)]
    step, moment = 5 * 86_400, first
    while moment < last:
        following = min(moment + step, last)
        offset = _offset(zone, following)
        if offset != values[-1]:
            starts.append(_change(zone, moment, following))
            values.append(offset)
        moment = following
    return Offsets(tuple(starts), tuple(values))


def _offset(zone: ZoneInfo, moment: int) -> int:
    offset = datetime.fromtimestamp(moment, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def day_label(day: int) -> str:
    """``2025-08-14`` for a day counted from 1970-01-01."""
    return (date(1970, 1, 1) + day * _DAY).isoformat()


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first moment after `low` with the offset of `high`."""
    target = _offset(zone, high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(zone, middle) == target else (middle, high)
    return high
