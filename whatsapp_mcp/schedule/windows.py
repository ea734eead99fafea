"""Tasks of the Windows Task Scheduler, in the folder `FOLDER` of its library, written as XML (MS-TSCH, 2.5).

The Task Scheduler goes by the computer's clock; `StartWhenAvailable` makes up for what was missed while the computer was off.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schedule.launchd import clock_notes
from whatsapp_mcp.schedule.plan import Change, Item, refuse_letters
from whatsapp_mcp.schedule.programs import demand, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.schedule.plan import Job, Plan
    from whatsapp_mcp.timetable import Moment

FOLDER: Final = "\\whatsapp-mcp"
NAMES: Final = ("recent", "maintenance", "scheduler")
NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"

_MISSING: Final = "This computer does not run Windows; choose another --kind."
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIRST: Final = "2024-01-01"
"""A trigger needs a first day; one in the past, and always the same, so that two installations write the same text."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The Task Scheduler of this computer."""

    computer_zone: ZoneInfo | None
    now: Callable[[], float] = field(compare=False)

    def items(self, plan: Plan) -> tuple[Item, ...]:
        """Every task, as the XML that is registered."""
        return tuple(Item(_name(job.name), task(job, plan)) for job in plan.jobs)

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """Where the times may differ from what is wanted, and when the tasks run."""
        clock = clock_notes("The Task Scheduler", plan, self.computer_zone, self.now())
        return (*clock, "They run while you are logged in.")

    def is_installed(self, plan: Plan) -> bool | None:
        """Whether just the tasks that are wanted are there, whatever is in them; None where there is none."""
        there = {place for place in map(_name, NAMES) if not run("schtasks", "/Query", "/TN", place, missing=_MISSING).code}
        return there == {item.place for item in self.items(plan)} if there else None

    def install(self, plan: Plan) -> Change:
        """Register the tasks, replacing those of the same name, and take away what is not wanted any more."""
        items = self.items(plan)
        with storage_errors(), tempfile.TemporaryDirectory(prefix="whatsapp-mcp-") as folder:
            for item in items:
                path = Path(folder) / "task.xml"
                path.write_bytes(encoded(item.text))
                ran = run("schtasks", "/Create", "/TN", item.place, "/XML", str(path), "/F", missing=_MISSING)
                demand(ran, "schtasks", "Ask the computer's administrator whether you may make tasks.")
        gone = self._take_away(keep=frozenset(item.place for item in items))
        return Change((*(item.place for item in items), *gone))

    def remove(self) -> Change:
        """Delete the tasks of this program."""
        return Change(tuple(self._take_away(keep=frozenset())))

    @staticmethod
    def _take_away(*, keep: frozenset[str]) -> list[str]:
        gone = []
        for place in map(_name, NAMES):
            if place in keep or run("schtasks", "/Query", "/TN", place, missing=_MISSING).code:
                continue
            ran = run("schtasks", "/Delete", "/TN", place, "/F", missing=_MISSING)
            demand(ran, "schtasks", "Delete it in the Task Scheduler.")
            gone.append(place)
        return gone


def task(job: Job, plan: Plan) -> str:
    """The XML of a job; its first line says UTF-16, so it has to be written like that (`encoded`)."""
    refuse_letters(job.command, "", "A task")
    root = Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    about = SubElement(root, "RegistrationInfo")
    SubElement(about, "Description").text = f"WhatsApp archive: {job.purpose}"
    SubElement(about, "URI").text = _name(job.name)
    triggers = SubElement(root, "Triggers")
    for moment in job.moments:
        _trigger(triggers, moment)
    if not job.moments:
        logon = SubElement(triggers, "LogonTrigger")
        SubElement(logon, "Enabled").text = "true"
        SubElement(logon, "UserId").text = plan.user
    _principal(SubElement(root, "Principals"), plan.user)
    _settings(SubElement(root, "Settings"), has_end=bool(job.moments))
    action = SubElement(SubElement(root, "Actions", {"Context": "Author"}), "Exec")
    SubElement(action, "Command").text = job.command[0]
    SubElement(action, "Arguments").text = subprocess.list2cmdline(job.command[1:])
    SubElement(action, "WorkingDirectory").text = str(plan.home)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{tostring(root, encoding="unicode")}\n'


def encoded(text: str) -> bytes:
    """A task as the file that schtasks reads: UTF-16, with the mark that says so."""
    return text.encode("utf-16")


def _trigger(triggers: Element, moment: Moment) -> None:
    """The elements of a trigger stand in a fixed order (MS-TSCH, 2.5.3.1 and 2.5.3.9)."""
    trigger = SubElement(triggers, "CalendarTrigger")
    SubElement(trigger, "Enabled").text = "true"
    SubElement(trigger, "StartBoundary").text = f"{_FIRST}T{moment.hour:02}:{moment.minute:02}:00"
    if moment.weekday is None:
        SubElement(SubElement(trigger, "ScheduleByDay"), "DaysInterval").text = "1"
        return
    weekly = SubElement(trigger, "ScheduleByWeek")
    SubElement(weekly, "WeeksInterval").text = "1"
    SubElement(SubElement(weekly, "DaysOfWeek"), _DAYS[moment.weekday])


def _principal(principals: Element, user: str) -> None:
    principal = SubElement(principals, "Principal", {"id": "Author"})
    if user:
        SubElement(principal, "UserId").text = user
    SubElement(principal, "LogonType").text = "InteractiveToken"
    SubElement(principal, "RunLevel").text = "LeastPrivilege"


def _settings(settings: Element, *, has_end: bool) -> None:
    said = {
        "MultipleInstancesPolicy": "IgnoreNew",
        "DisallowStartIfOnBatteries": "false",
        "StopIfGoingOnBatteries": "false",
        "StartWhenAvailable": "true",
        "Enabled": "true",
        "ExecutionTimeLimit": "PT12H" if has_end else "PT0S",  # PT0S: no end
    }
    for name, value in said.items():
        SubElement(settings, name).text = value


def _name(job: str) -> str:
    return f"{FOLDER}\\{job}"
