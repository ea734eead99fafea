"""What is started when: the same for every system, before each writes it in its own words."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from unicodedata import category

from whatsapp_mcp.errors import SchedulingError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.timetable import Moment, Timetable

PROGRAM: Final = "whatsapp-mcp-scheduler"
LOG: Final = Path("logs") / "scheduler.log"

_NO_TEXT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Controls, line ends, and bytes of a path that are no UTF-8 (Unicode's general categories)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to start: its name, what it is for, its whole command, and when; no moments: always running."""

    name: str
    purpose: str
    command: tuple[str, ...]
    moments: tuple[Moment, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be started for one archive."""

    program: tuple[str, ...]
    """The scheduler of this very environment: an absolute path, and whatever has to follow it."""
    home: Path
    zone: ZoneInfo
    timetable: Timetable
    user: str = ""
    """Who is logged in; Windows wants to know."""

    @property
    def log(self) -> Path:
        """Where the jobs' output goes, where the system keeps none itself."""
        return self.home / LOG

    @property
    def regular(self) -> tuple[Job, ...]:
        """The jobs that are started at their times and end."""
        when = self.timetable
        return (
            Job("recent", "fetch what is new", self._command("--once", "recent"), when.recent),
            Job("maintenance", "check and tidy the archive", self._command("--once", "maintenance"), when.maintenance),
        )

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What a system that can keep a program running starts: one that does everything, if it shall listen."""
        if not self.timetable.listen:
            return self.regular
        return (Job("scheduler", "listen, and run every job at its time", self._command()),)

    def _command(self, *words: str) -> tuple[str, ...]:
        return (*self.program, *words, "--home", str(self.home))


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is installed: where (a path, or a name in words) and its exact text."""

    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What an installation or removal did: the places that it wrote or took away; none if all was as wanted."""

    places: tuple[str, ...]


class Scheduler(Protocol):
    """What each system can do."""

    def items(self, plan: Plan) -> tuple[Item, ...]:
        """What `install` would write, exactly; changes nothing."""
        ...

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """What the user should know beside it, in sentences."""
        ...

    def is_installed(self, plan: Plan) -> bool | None:
        """Whether all that `install` would write is there; None where nothing of this program is. Raises `SchedulingError`."""
        ...

    def install(self, plan: Plan) -> Change:
        """Write it, replacing what an earlier installation wrote; raises `SchedulingError`."""
        ...

    def remove(self) -> Change:
        """Take away what was installed, and nothing else; raises `SchedulingError`."""
        ...


def find_program() -> tuple[str, ...]:
    """The scheduler that was installed beside this interpreter; failing that, the module run by this interpreter."""
    beside = Path(sys.executable).absolute().parent  # not resolved: a virtual environment's Python is often a link out of it
    for name in (PROGRAM, f"{PROGRAM}.exe"):
        if (beside / name).is_file():
            return (str(beside / name),)
    return (str(Path(sys.executable).absolute()), "-m", "whatsapp_mcp.scheduler")


def same_clock(one: ZoneInfo, other: ZoneInfo, now: float) -> bool:
    """Whether two zones show the same time on every day of the coming two years, whatever they are called."""
    day = datetime.fromtimestamp(now, UTC)
    days = (day + timedelta(days=count) for count in range(731))
    return all(moment.astimezone(one).utcoffset() == moment.astimezone(other).utcoffset() for moment in days)


def refuse_letters(words: tuple[str, ...], forbidden: str, where: str) -> None:
    """Raise `SchedulingError` when a path holds a letter that `where` has no way to write."""
    for word in words:
        if found := next((letter for letter in word if letter in forbidden or category(letter) in _NO_TEXT), ""):
            what = f"{where} cannot hold the letter {found!r} of the path {word!r}."
            raise SchedulingError(what, advice="Move the folder to a path without it.")
