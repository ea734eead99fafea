"""When the unattended jobs run, as the settings say it: pure values, in whatever zone the user lives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""The days of a week, Monday is 0 as in Python's ``datetime``."""

RECENT: Final = "08:00,20:00"
MAINTENANCE: Final = "Sun 02:00"

_MOMENT: Final = re.compile(r"(?:([a-z]{3,9})[ ]+)?([0-9]{1,2}):([0-9]{2})", re.IGNORECASE)
_LONG_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MOST: Final = 24


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A time of the day, on every day or on one day of the week."""

    hour: int
    minute: int
    weekday: int | None = None
    """0 is Monday, None every day."""

    def __str__(self) -> str:
        day = "" if self.weekday is None else f"{DAYS[self.weekday]} "
        return f"{day}{self.hour:02}:{self.minute:02}"


@dataclass(frozen=True, slots=True)
class Timetable:
    """When what is new is fetched, when the archive is looked after, and whether to listen in between."""

    recent: tuple[Moment, ...]
    maintenance: tuple[Moment, ...]
    listen: bool = False


def timetable(values: Mapping[str, str]) -> Timetable:
    """What the settings ``SCHEDULE_…`` among `values` mean; raises `SettingsError` for what is no time."""
    return Timetable(
        recent=_moments("SCHEDULE_RECENT", values.get("SCHEDULE_RECENT", RECENT)),
        maintenance=_moments("SCHEDULE_MAINTENANCE", values.get("SCHEDULE_MAINTENANCE", MAINTENANCE)),
        listen=yes("SCHEDULE_LISTEN", values.get("SCHEDULE_LISTEN", "no")),
    )


def yes(name: str, value: str) -> bool:
    """Whether a setting says ``yes``; raises `SettingsError` for anything but ``yes`` and ``no``."""
    if value.casefold() in {"yes", "no"}:
        return value.casefold() == "yes"
    raise SettingsError(f"{name} is neither yes nor no.")


def _moments(name: str, value: str) -> tuple[Moment, ...]:
    moments = {_moment(name, part.strip()) for part in value.split(",")}
    if len(moments) > _MOST:
        raise SettingsError(f"{name} has {len(moments)} times; at most {_MOST} make sense.")
    return tuple(sorted(moments, key=lambda moment: (moment.weekday or 0, moment.hour, moment.minute)))


def _moment(name: str, text: str) -> Moment:
    found = _MOMENT.fullmatch(text)
    day = (found[1] or "").casefold() if found else ""
    known = not day or day.title() in DAYS or day in _LONG_DAYS
    if found and known and int(found[2]) < 24 and int(found[3]) < 60:
        weekday = DAYS.index(day[:3].title()) if day else None
        return Moment(int(found[2]), int(found[3]), weekday)
    raise SettingsError(f"{name}: {text[:40]!r} is no time.", advice="Write times like 08:00,20:00 or Sun 02:00.")
