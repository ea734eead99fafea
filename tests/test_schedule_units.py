"""systemd, launchd and the Task Scheduler of Windows: against their own checkers, else against their published formats."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from crontabs import SHOW_WORDS, write_program
from full_disk import full_disk

from whatsapp_mcp.errors import SchedulingError, StorageError
from whatsapp_mcp.schedule.launchd import Launchd
from whatsapp_mcp.schedule.plan import Item, Plan
from whatsapp_mcp.schedule.systemd import MARK, Systemd, service
from whatsapp_mcp.schedule.windows import NAMESPACE, Windows, encoded
from whatsapp_mcp.timetable import timetable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JERUSALEM = ZoneInfo("Asia/Jerusalem")
NOW = 1_795_500_000.0
ODD = "home with 'quotes', \"more\", 100% $HOME \\ `x` & <ünï> קריאה"

NOTING: Final = """#!{python}
import pathlib, sys
with pathlib.Path({log!r}).open("a", encoding="utf-8") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
known = pathlib.Path({known!r})
words = sys.argv[1:]
{body}
"""
SYSTEMCTL: Final = 'print("running")'
SCHTASKS: Final = """
name = known / words[words.index("/TN") + 1].strip("\\\\").replace("\\\\", "-")
known.mkdir(exist_ok=True)
if words[0] == "/Create":
    name.write_bytes(pathlib.Path(words[words.index("/XML") + 1]).read_bytes())
elif words[0] == "/Delete":
    name.unlink()
elif words[0] == "/Query" and not name.exists():
    sys.exit("ERROR: The system cannot find the file specified.")
"""


def plan(home: Path, program: tuple[str, ...] = ("/bin/true",), **values: str) -> Plan:
    return Plan(program, home, JERUSALEM, timetable(values), "sam")


class Noted:
    """A program of the system in a small stand-in that notes how it was called."""

    def __init__(self, folder: Path, name: str, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.log, self.known = folder, folder / "log", folder / "known"
        folder.mkdir()
        text = NOTING.format(python=sys.executable, log=str(self.log), known=str(self.known), body=body)
        write_program(folder / name, text)
        monkeypatch.setenv("PATH", str(folder))

    def calls(self) -> list[str]:
        found = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found


# systemd


@pytest.fixture
def units(tmp_path: Path) -> Systemd:
    return Systemd(tmp_path / "config" / "systemd" / "user")


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Noted:
    return Noted(tmp_path / "bin", "systemctl", SYSTEMCTL, monkeypatch)


def by_name(items: tuple[Item, ...]) -> dict[str, str]:
    return {item.place.rpartition("/")[2]: item.text for item in items}


def test_a_timer_starts_each_job_in_the_users_zone_and_catches_up(units: Systemd, home: Path) -> None:
    texts = by_name(units.items(plan(home)))
    assert sorted(texts) == [f"whatsapp-mcp-{job}.{kind}" for job in ("maintenance", "recent") for kind in ("service", "timer")]
    timer = texts["whatsapp-mcp-recent.timer"]
    assert "OnCalendar=*-*-* 08:00:00 Asia/Jerusalem\nOnCalendar=*-*-* 20:00:00 Asia/Jerusalem\nPersistent=true\n" in timer
    assert "OnCalendar=Sun *-*-* 02:00:00 Asia/Jerusalem\n" in texts["whatsapp-mcp-maintenance.timer"]
    assert "Type=oneshot\n" in texts["whatsapp-mcp-recent.service"]


def test_who_listens_gets_one_service_that_always_runs(units: Systemd, home: Path) -> None:
    texts = by_name(units.items(plan(home, SCHEDULE_LISTEN="yes")))
    assert list(texts) == ["whatsapp-mcp-scheduler.service"]
    assert "Restart=on-failure" in texts["whatsapp-mcp-scheduler.service"]
    assert "WantedBy=default.target" in texts["whatsapp-mcp-scheduler.service"]
    assert "--once" not in texts["whatsapp-mcp-scheduler.service"]


def analyze(tmp_path: Path, *words: str) -> str:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this computer")
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700, exist_ok=True)
    done = subprocess.run(
        ["systemd-analyze", *words],
        env={"XDG_RUNTIME_DIR": str(runtime), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("listen", ["no", "yes"])
def test_systemd_itself_finds_nothing_to_complain_about(units: Systemd, tmp_path: Path, listen: str) -> None:
    program = tmp_path / ODD.replace("/", "") / "scheduler"
    program.parent.mkdir()
    write_program(program, SHOW_WORDS)
    units.folder.mkdir(parents=True)
    texts = by_name(units.items(plan(tmp_path / ODD, (str(program),), SCHEDULE_LISTEN=listen)))
    for name, text in texts.items():
        (units.folder / name).write_text(text, encoding="utf-8")
    assert analyze(tmp_path, "--user", "verify", *(str(units.folder / name) for name in texts)) == ""


def test_systemd_itself_understands_the_times(units: Systemd, home: Path, tmp_path: Path) -> None:
    timer = by_name(units.items(plan(home)))["whatsapp-mcp-maintenance.timer"]
    (when,) = [line.partition("=")[2] for line in timer.splitlines() if line.startswith("OnCalendar=")]
    assert "Normalized form: Sun *-*-* 02:00:00 Asia/Jerusalem" in analyze(tmp_path, "calendar", when)


def test_a_path_with_odd_letters_is_quoted_as_systemd_wants_it(tmp_path: Path) -> None:
    text = service(plan(tmp_path / ODD, ("/opt/a 100% $x/s",)).jobs[0])
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    assert line.startswith('ExecStart="/opt/a 100%% $x/s" "--once" "recent" "--home" ')
    assert '\'quotes\', \\"more\\", 100%% $$HOME \\\\ `x` & <ünï> קריאה"' in line


def test_installing_writes_enables_and_starts_and_doing_it_again_changes_nothing(
    units: Systemd, home: Path, systemctl: Noted
) -> None:
    assert len(units.install(plan(home)).places) == 4
    assert [call for call in systemctl.calls() if "--version" not in call and "is-system" not in call] == [
        "--user daemon-reload",
        "--user enable whatsapp-mcp-recent.timer",
        "--user restart whatsapp-mcp-recent.timer",
        "--user enable whatsapp-mcp-maintenance.timer",
        "--user restart whatsapp-mcp-maintenance.timer",
    ]
    assert {path.name: path.read_text() for path in units.folder.iterdir()} == by_name(units.items(plan(home)))
    assert units.install(plan(home)).places == ()


def test_changing_to_listening_takes_the_timers_away(units: Systemd, home: Path, systemctl: Noted) -> None:
    units.install(plan(home))
    systemctl.calls()
    units.install(plan(home, SCHEDULE_LISTEN="yes"))
    assert [path.name for path in units.folder.iterdir()] == ["whatsapp-mcp-scheduler.service"]
    calls = systemctl.calls()
    assert calls.index("--user disable --now whatsapp-mcp-recent.timer") < calls.index(
        "--user disable --now whatsapp-mcp-recent.service"
    )
    assert calls[-1] == "--user restart whatsapp-mcp-scheduler.service"


def test_removing_touches_only_what_carries_the_mark(units: Systemd, home: Path, systemctl: Noted) -> None:
    units.install(plan(home))
    (units.folder / "whatsapp-mcp-mine.service").write_text("[Service]\nExecStart=/bin/true\n")
    (units.folder / "other.timer").write_text(f"{MARK}\n")
    assert len(units.remove().places) == 4
    assert sorted(path.name for path in units.folder.iterdir()) == ["other.timer", "whatsapp-mcp-mine.service"]
    assert units.remove().places == ()


def test_a_unit_of_somebody_else_stays(units: Systemd, home: Path, systemctl: Noted) -> None:
    units.folder.mkdir(parents=True)
    theirs = units.folder / "whatsapp-mcp-recent.timer"
    theirs.write_text("[Timer]\nOnCalendar=daily\n")
    with pytest.raises(SchedulingError, match="was not written by this program"):
        units.install(plan(home))
    assert [path.name for path in units.folder.iterdir()] == [theirs.name]


@pytest.mark.skipif(sys.platform == "win32", reason="limits are of POSIX")
def test_a_disk_that_is_full_leaves_no_half_unit_that_the_next_installation_takes_for_somebody_elses(
    units: Systemd, home: Path, systemctl: Noted
) -> None:
    with full_disk(len(MARK) - 5), pytest.raises(StorageError):  # room for what the stand-in notes
        units.install(plan(home))
    assert list(units.folder.iterdir()) == []
    assert len(units.install(plan(home)).places) == 4
    assert units.is_installed(plan(home))


def test_without_a_manager_of_the_user_nothing_is_written(
    units: Systemd, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Noted(tmp_path / "bin", "systemctl", 'sys.exit("Failed to connect to bus")', monkeypatch)
    with pytest.raises(SchedulingError, match=r"systemd does not run for your user\. .*enable-linger.*--kind cron"):
        units.install(plan(home))
    assert not units.folder.exists()


# launchd

AGENT: Final[Mapping[str, type]] = {
    "Label": str, "ProgramArguments": list, "StandardOutPath": str, "StandardErrorPath": str, "ProcessType": str,
    "RunAtLoad": bool, "StartCalendarInterval": list, "KeepAlive": dict, "ThrottleInterval": int, "Umask": int,
}  # fmt: skip
"""Keys and types of launchd.plist(5), as far as they are used here."""


@pytest.fixture
def agents(tmp_path: Path) -> Launchd:
    return Launchd(tmp_path / "Library" / "LaunchAgents", JERUSALEM, lambda: NOW)


@pytest.mark.parametrize("listen", ["no", "yes"])
def test_an_agent_holds_only_keys_that_launchd_knows_with_their_types(agents: Launchd, tmp_path: Path, listen: str) -> None:
    home = tmp_path / ODD
    for item in agents.items(plan(home, SCHEDULE_LISTEN=listen)):
        agent = plistlib.loads(item.text.encode())
        assert all(isinstance(value, AGENT[key]) for key, value in agent.items())
        assert item.place.endswith(f"/{agent['Label']}.plist")
        assert agent["ProgramArguments"][0] == "/bin/true"
        assert agent["ProgramArguments"][-2:] == ["--home", str(home)]
        for moment in agent.get("StartCalendarInterval", []):
            assert set(moment) <= {"Hour", "Minute", "Weekday"}


def test_launchd_counts_the_days_from_sunday(agents: Launchd, home: Path) -> None:
    recent, maintenance = (plistlib.loads(item.text.encode()) for item in agents.items(plan(home)))
    assert recent["StartCalendarInterval"] == [{"Hour": 8, "Minute": 0}, {"Hour": 20, "Minute": 0}]
    assert maintenance["StartCalendarInterval"] == [{"Hour": 2, "Minute": 0, "Weekday": 0}]


@pytest.mark.skipif(sys.platform == "win32", reason="launchd is for the Mac")
def test_agents_are_loaded_once_and_unloaded_when_they_go(
    agents: Launchd, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launchctl = Noted(tmp_path / "bin", "launchctl", "", monkeypatch)
    assert len(agents.install(plan(home)).places) == 2
    assert sum(call.startswith("bootstrap gui/") for call in launchctl.calls()) == 2
    assert {item.place: item.text for item in agents.items(plan(home))} == {
        str(p): p.read_text() for p in agents.folder.iterdir()
    }
    assert agents.install(plan(home)).places == ()
    assert not any(call.startswith("bootstrap") for call in launchctl.calls())
    (agents.folder / "com.example.other.plist").write_text("")
    assert len(agents.remove().places) == 2
    assert sum(call.startswith("bootout gui/") for call in launchctl.calls()) == 2
    assert [path.name for path in agents.folder.iterdir()] == ["com.example.other.plist"]


def test_a_clock_that_is_not_the_users_is_told(home: Path, tmp_path: Path) -> None:
    elsewhere = Launchd(tmp_path, ZoneInfo("UTC"), lambda: NOW)
    assert elsewhere.notes(plan(home)) == ("launchd runs the jobs by the computer's clock (zone: UTC), not in Asia/Jerusalem.",)
    assert Launchd(tmp_path, JERUSALEM, lambda: NOW).notes(plan(home)) == ()


# Windows

SEQUENCES: Final[Mapping[str, tuple[str, ...]]] = {
    "CalendarTrigger": (
        "Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit",
        "RandomDelay", "ScheduleByDay", "ScheduleByWeek",
    ),
    "LogonTrigger": ("Enabled", "StartBoundary", "EndBoundary", "Repetition", "ExecutionTimeLimit", "UserId", "Delay"),
}  # fmt: skip
"""Elements whose children have an order (MS-TSCH, 2.5.3: the trigger's own after those of every trigger)."""
SETS: Final[Mapping[str, set[str]]] = {
    "Task": {"RegistrationInfo", "Triggers", "Principals", "Settings", "Actions"},
    "RegistrationInfo": {"Description", "URI", "Author", "Date"},
    "Triggers": {"CalendarTrigger", "LogonTrigger"},
    "ScheduleByDay": {"DaysInterval"},
    "ScheduleByWeek": {"WeeksInterval", "DaysOfWeek"},
    "DaysOfWeek": {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"},
    "Principals": {"Principal"},
    "Principal": {"UserId", "LogonType", "RunLevel"},
    "Settings": {
        "MultipleInstancesPolicy", "DisallowStartIfOnBatteries", "StopIfGoingOnBatteries", "StartWhenAvailable", "Enabled",
        "ExecutionTimeLimit",
    },
    "Actions": {"Exec"},
    "Exec": {"Command", "Arguments", "WorkingDirectory"},
}  # fmt: skip
"""Elements whose children may stand in any order (MS-TSCH, 2.5, ``xs:all`` and choices)."""


def check(element: ET.Element) -> None:
    name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
    children = [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]
    if name in SEQUENCES:
        places = [SEQUENCES[name].index(child) for child in children]
        assert places == sorted(set(places)), f"the children of {name} stand in the wrong order"
    else:
        assert set(children) <= SETS.get(name, set()), f"{name} holds something unknown"
        assert name == "Triggers" or len(children) == len(set(children)), f"{name} holds something twice"
    for child in element:
        check(child)


def task(item: Item) -> ET.Element:
    return ET.fromstring(encoded(item.text))  # noqa: S314 - written a moment ago


def found(element: ET.Element, path: str) -> list[str]:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    return [one.text or "" for one in element.iterfind(f".//{steps}")]


@pytest.fixture
def tasks() -> Windows:
    return Windows(JERUSALEM, lambda: NOW)


@pytest.mark.parametrize("listen", ["no", "yes"])
def test_a_task_has_the_elements_that_windows_knows_in_its_order(tasks: Windows, tmp_path: Path, listen: str) -> None:
    for item in tasks.items(plan(tmp_path / ODD, SCHEDULE_LISTEN=listen)):
        root = task(item)
        assert (root.tag, root.get("version")) == (f"{{{NAMESPACE}}}Task", "1.2")
        check(root)
        context = [one.get("Context") for one in root.iter(f"{{{NAMESPACE}}}Actions")]
        assert context == [one.get("id") for one in root.iter(f"{{{NAMESPACE}}}Principal")]


def test_the_file_is_utf_16_and_says_so(tasks: Windows, home: Path) -> None:
    body = encoded(tasks.items(plan(home))[0].text)
    assert body[:2] in (b"\xff\xfe", b"\xfe\xff")
    assert body.decode("utf-16").startswith('<?xml version="1.0" encoding="UTF-16"?>\n<Task ')


def test_times_days_and_words_stand_in_the_task(tasks: Windows, tmp_path: Path) -> None:
    home = tmp_path / "home with blanks & <ünï>"
    recent, maintenance = map(task, tasks.items(plan(home, ("C:\\my tools\\whatsapp-mcp-scheduler.exe",))))
    assert [when[-8:] for when in found(recent, "StartBoundary")] == ["08:00:00", "20:00:00"]
    assert found(maintenance, "ScheduleByWeek/DaysOfWeek/Sunday") == [""]
    assert found(recent, "Command") == ["C:\\my tools\\whatsapp-mcp-scheduler.exe"]
    assert found(recent, "Arguments") == [f'--once recent --home "{home}"']
    assert found(recent, "StartWhenAvailable") == ["true"]


def test_who_listens_starts_with_the_login_of_this_user_alone(tasks: Windows, home: Path) -> None:
    (item,) = tasks.items(plan(home, SCHEDULE_LISTEN="yes"))
    assert found(task(item), "LogonTrigger/UserId") == ["sam"]
    assert found(task(item), "Settings/ExecutionTimeLimit") == ["PT0S"]


def test_tasks_are_registered_replaced_and_deleted(
    tasks: Windows, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schtasks = Noted(tmp_path / "bin", "schtasks", SCHTASKS, monkeypatch)
    tasks.install(plan(home))
    assert sorted(path.name for path in schtasks.known.iterdir()) == ["whatsapp-mcp-maintenance", "whatsapp-mcp-recent"]
    assert (schtasks.known / "whatsapp-mcp-recent").read_bytes() == encoded(tasks.items(plan(home))[0].text)
    (schtasks.known / "other").write_text("")
    tasks.install(plan(home, SCHEDULE_LISTEN="yes"))
    assert sorted(path.name for path in schtasks.known.iterdir()) == ["other", "whatsapp-mcp-scheduler"]
    assert tasks.remove().places == ("\\whatsapp-mcp\\scheduler",)
    assert [path.name for path in schtasks.known.iterdir()] == ["other"]


@pytest.mark.parametrize("name", ["two\nlines", "bell\x07", "\udcff"])
def test_a_path_that_no_file_of_theirs_can_hold_is_one_line(
    units: Systemd, agents: Launchd, tasks: Windows, tmp_path: Path, name: str
) -> None:
    for scheduler in (units, agents, tasks):
        with pytest.raises(SchedulingError, match="cannot hold the letter") as caught:
            scheduler.items(plan(tmp_path / name))
        assert "\n" not in str(caught.value)
