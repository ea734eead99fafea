"""The first line of an exported message: when it was sent, as the exporting phone wrote it.

``[27.03.22, 21:41:55] Ada: hi`` (iOS), ``27/03/2022, 9:41 pm - Ada: hi`` (Android), ``27/03/14 21:41:55: Ada: hi`` (iOS until
about 2016), and the same with the time first (Vietnamese iOS), with other digits, with direction marks between the parts and
with narrow spaces. Which number is the day is not said in the line: that is the file's `order`, given from outside.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from .words import AFTERNOON, MORNING

MARKS: Final = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
"""Direction marks and the byte order mark: they show nothing and may stand anywhere in app-made text."""
ORDERS: Final = {"dmy": (2, 1, 0), "mdy": (2, 0, 1), "ymd": (0, 1, 2), "ydm": (0, 2, 1)}
"""For each order of a date's three numbers, where its year, month and day stand."""

OLDEST_YEAR: Final = 2009
"""WhatsApp's first year: an earlier date is a misread one."""

_M = f"[{MARKS}]*"
_S = "[ \u00a0\u2009\u202f]"
_HALF_DAYS = dict.fromkeys(MORNING, False) | dict.fromkeys(AFTERNOON, True)
_BEFORE = [word for word in _HALF_DAYS if not word.isascii() or word.endswith(".")]
_FORMS = {re.escape(form) for word in _HALF_DAYS for form in (word, word.upper(), word.title())}
_AFTER = "|".join(sorted(_FORMS, key=lambda form: (-len(form), form)))
_HALF = rf"(?:{_S}*(?P<half>[apAP]\.?{_S}?[mM]\b\.?|{_AFTER}))?"
_DATE = rf"(?P<date>[A-Z]?\d{{1,4}}{_M}(?P<sep>[/-]|\.{_S}?){_M}\d{{1,2}}{_M}(?P=sep){_M}\d{{1,4}}(?:{_S}?BE)?)"
_TIME = rf"(?P<hour>\d{{1,2}})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?(?!\d){_HALF}"
_GAP = r"(?P<gap>[^\d\[\]:]{1,16})"
_START = rf"{_M}(?P<open>\[)?{_M}"
_END = rf"(?P<end>(?(open){_M}\]{_S}?|(?:{_M}{_S}[-\u2013](?:{_S}|$)|:{_S})))"
_DATE_FIRST = re.compile(_START + _DATE + _GAP + _TIME + _END)
_TIME_FIRST = re.compile(_START + _TIME + _GAP + _DATE + _END)
_NUMBERS = re.compile(r"[A-Z]?\d+")
_INVISIBLE = re.compile(f"[{MARKS}]")
_ODD = re.compile(f"[{MARKS}\u00a0\u2009\u202f]")
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u2009\u202f", " "))
_ERAS = {"R": 2018, "H": 1988}
_BUDDHIST = 543


class Shape(NamedTuple):
    """What all headers of one file have in common; a line of another shape is text that somebody pasted."""

    bracket: bool
    separator: str
    gap: str
    seconds: bool
    half_day: bool
    end: str
    time_first: bool

    @property
    def style(self) -> str:
        """``ios``, ``old_ios`` or ``android``: which rules hold for the text behind the header."""
        return "ios" if self.bracket else "old_ios" if self.end == ":" else "android"


def match_header(line: str) -> re.Match[str] | None:
    """Match the header at the start of `line`; `local_time` and `shape_of` read the match, its end is where the rest begins."""
    return _DATE_FIRST.match(line) or _TIME_FIRST.match(line)


def shape_of(match: re.Match[str]) -> Shape:
    """The shape of a matched header."""
    opened, separator, gap, second, half, end = match.group("open", "sep", "gap", "second", "half", "end")
    return _shape((opened, separator, gap, end), (second is not None, half is not None, match.re is _TIME_FIRST))


@lru_cache(maxsize=1024)
def _shape(marks: tuple[str | None, str, str, str], having: tuple[bool, bool, bool]) -> Shape:
    opened, separator, gap, end = marks
    seconds, half, time_first = having
    word = _half_day_in(gap)
    plain = gap.lower().replace(word, "") if word else gap
    return Shape(
        bracket=opened is not None,
        separator=plain_text(separator),
        gap=plain_text(plain).strip(),
        seconds=seconds,
        half_day=bool(word) or half,
        end=plain_text(end).strip() or "-",
        time_first=time_first,
    )


@lru_cache(maxsize=256)
def _half_day_in(gap: str) -> str:
    return next((word for word in _BEFORE if word in gap.lower()), "")


def local_time(match: re.Match[str], order: str) -> str | None:
    """The local wall time of a header as ``2022-03-27T21:41`` or with seconds, as precise as written; None if there is none."""
    raw, hour, minute, second, half, gap = match.group("date", "hour", "minute", "second", "half", "gap")
    day = _day(raw, order)
    clock = _clock(hour, minute, half or _half_day_in(gap))
    if not (day and clock):
        return None
    if second is None:
        return day + clock
    return f"{day}{clock}:{int(second):02}" if int(second) <= 59 else None


@lru_cache(maxsize=4096)
def _clock(hour: str, minute: str, half: str) -> str:
    hours = int(hour)
    if half and hours <= 12:
        letters = half.lower()
        afternoon = _HALF_DAYS.get(letters, letters[:1] == "p")
        hours = hours % 12 + (12 if afternoon else 0)
    return f"T{hours:02}:{int(minute):02}" if hours < 24 and int(minute) <= 59 else ""


@lru_cache(maxsize=4096)
def _day(raw: str, order: str) -> str:
    day = date_of(raw, order)
    return "" if day is None else day.isoformat()


def date_of(raw: str, order: str) -> date | None:
    """Read a written date in one of `ORDERS`; None where that gives no day since `OLDEST_YEAR`.

    Buddhist years (2565) and Japanese eras (R4, H31) are told by themselves.
    """
    numbers = _NUMBERS.findall(_INVISIBLE.sub("", raw))
    year, month, day = (numbers[place] for place in ORDERS[order])
    number = _year(year)
    if number is None or max(len(month), len(day)) > 2 or not (month + day).isdigit():
        return None
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


def _year(text: str) -> int | None:
    if not text[0].isdigit():
        base = _ERAS.get(text[0].upper())
        year = base + int(text[1:]) if base else 0
    elif len(text) == 4:
        year = int(text) - (_BUDDHIST if int(text) > 2400 else 0)
    else:
        year = 2000 + int(text) if len(text) == 2 else 0
    return year if year >= OLDEST_YEAR else None


def plain_text(text: str) -> str:
    """`text` without direction marks, with every kind of space as a blank: for comparing, never for showing a message."""
    if text.isascii() or not _ODD.search(text):
        return text
    return _INVISIBLE.sub("", text).translate(_SPACES)


def identity(rest: str) -> str:
    """What makes a message the same one in a later export: sender and text without marks and line end variants."""
    plain = plain_text(rest)
    if "\r" in plain:
        plain = plain.replace("\r", "")
    return plain.rstrip()
