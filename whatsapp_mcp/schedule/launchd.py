"""launchd's agents of a user: one property list for each job (launchd.plist(5)).

launchd goes by the computer's clock. What was due while the Mac slept runs once when it wakes; what was due while it was
off does not run.
"""

from __future__ import annotations

import os
import plistlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.app import ensure_private_file, ensure_private_folder, replace_private_file
from whatsapp_mcp.errors import SchedulingError
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schedule.plan import Change, Item, refuse_letters, same_clock
from whatsapp_mcp.schedule.programs import demand, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.schedule.plan import Job, Plan
    from whatsapp_mcp.timetable import Moment

PREFIX: Final = "io.github.whatsapp-mcp."
FOLDER: Final = ("Library", "LaunchAgents")

_MISSING: Final = "This computer is no Mac; choose another --kind."


@dataclass(frozen=True, slots=True)
class Launchd:
    """The user's agents, which lie in `folder`."""

    folder: Path
    computer_zone: ZoneInfo | None
    now: Callable[[], float] = field(compare=False)

    def items(self, plan: Plan) -> tuple[Item, ...]:
        """Every property list."""
        return tuple(Item(str(self._path(job.name)), agent(job, plan).decode()) for job in plan.jobs)

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """Where the times may differ from what is wanted."""
        return clock_notes("launchd", plan, self.computer_zone, self.now())

    def is_installed(self, plan: Plan) -> bool | None:
        """Whether every list is there as it is wanted, and no other of ours; None where there is none."""
        ours = {path: _read(path) for path in self.folder.glob(f"{PREFIX}*.plist")}
        return ours == {self._path(job.name): agent(job, plan) for job in plan.jobs} if ours else None

    def install(self, plan: Plan) -> Change:
        """Write the lists, and load those that changed or were unloaded."""
        wanted = {self._path(job.name): agent(job, plan) for job in plan.jobs}
        run("launchctl", "help", missing=_MISSING)
        with storage_errors():
            ensure_private_file(ensure_private_folder(plan.log.parent) / plan.log.name)
            self.folder.mkdir(parents=True, exist_ok=True)
        gone = self._take_away(keep=frozenset(wanted))
        changed = [path for path, body in wanted.items() if _read(path) != body or not _is_loaded(path)]
        for path in changed:
            _unload(path)
            with storage_errors():
                replace_private_file(path, wanted[path])
            ran = run("launchctl", "bootstrap", _domain(), str(path), missing=_MISSING)
            demand(ran, "launchctl", f'Try it by hand: launchctl bootstrap {_domain()} "{path}"')
        return Change(tuple(map(str, (*gone, *changed))))

    def remove(self) -> Change:
        """Unload and delete the lists of this program."""
        return Change(tuple(map(str, self._take_away(keep=frozenset()))))

    def _path(self, name: str) -> Path:
        return self.folder / f"{PREFIX}{name}.plist"

    def _take_away(self, *, keep: frozenset[Path]) -> list[Path]:
        gone = [path for path in sorted(self.folder.glob(f"{PREFIX}*.plist")) if path not in keep]
        for path in gone:
            _unload(path)
            with storage_errors():
                path.unlink(missing_ok=True)
        return gone


def agent(job: Job, plan: Plan) -> bytes:
    """The property list of a job."""
    refuse_letters((*job.command, str(plan.log)), "", "A property list")
    values: dict[str, Any] = {
        "Label": PREFIX + job.name,
        "ProgramArguments": list(job.command),
        "ProcessType": "Background",
        "StandardOutPath": str(plan.log),
        "StandardErrorPath": str(plan.log),
        "Umask": 0o077,
    }
    if job.moments:
        values |= {"RunAtLoad": False, "StartCalendarInterval": [_calendar(moment) for moment in job.moments]}
    else:
        values |= {"RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False}, "ThrottleInterval": 60}
    return plistlib.dumps(values, sort_keys=True)


def clock_notes(name: str, plan: Plan, computer_zone: ZoneInfo | None, now: float) -> tuple[str, ...]:
    """What to say of a scheduler that goes by the computer's clock, where that is not the user's."""
    if not plan.jobs[0].moments or (computer_zone is not None and same_clock(plan.zone, computer_zone, now)):
        return ()
    here = computer_zone.key if computer_zone else "unknown"
    return (f"{name} runs the jobs by the computer's clock (zone: {here}), not in {plan.zone.key}.",)


def _calendar(moment: Moment) -> dict[str, int]:
    day = {} if moment.weekday is None else {"Weekday": (moment.weekday + 1) % 7}  # 0 is Sunday
    return {"Hour": moment.hour, "Minute": moment.minute, **day}


def _domain() -> str:
    if os.name != "posix":
        raise SchedulingError("launchd is for the Mac.", advice=_MISSING)
    return f"gui/{os.getuid()}"


def _is_loaded(path: Path) -> bool:
    return run("launchctl", "print", f"{_domain()}/{path.stem}", missing=_MISSING).code == 0


def _unload(path: Path) -> None:
    """One that is not loaded is as wanted."""
    run("launchctl", "bootout", f"{_domain()}/{path.stem}", missing=_MISSING)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
