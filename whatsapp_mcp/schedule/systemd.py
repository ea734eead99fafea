"""systemd's user units: a timer with its service for each job, or one service that always runs.

What is written follows systemd.unit(5), systemd.service(5), systemd.timer(5) and systemd.exec(5). A unit of this program has
`MARK` as its first line; one of the same name without it is somebody else's and stays.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import replace_private_file
from whatsapp_mcp.errors import SchedulingError
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schedule.plan import Change, Item, refuse_letters
from whatsapp_mcp.schedule.programs import demand, run
from whatsapp_mcp.timetable import DAYS

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.schedule.plan import Job, Plan
    from whatsapp_mcp.timetable import Moment

MARK: Final = "# Written by `whatsapp-mcp schedule install`."
PREFIX: Final = "whatsapp-mcp-"
FOLDER: Final = ("systemd", "user")

_MISSING: Final = "This computer has no systemd; choose another --kind."
_NO_MANAGER: Final = "Log in at the computer itself or run `loginctl enable-linger`, then try again; or use --kind cron."
_RUNNING: Final = frozenset({"running", "degraded", "starting", "initializing", "maintenance"})
_QUOTES: Final = frozenset("\"'\\")
_HARDENED: Final = """\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
Nice=10
"""
"""What a user's own manager can enforce without rights of its own: all that needs no mount namespace."""


@dataclass(frozen=True, slots=True)
class Systemd:
    """The manager of the user's units, which lie in `folder`."""

    folder: Path

    def items(self, plan: Plan) -> tuple[Item, ...]:
        """Every unit file."""
        units: list[Item] = []
        for job in plan.jobs:
            units.append(self._item(f"{PREFIX}{job.name}.service", service(job)))
            if job.moments:
                units.append(self._item(f"{PREFIX}{job.name}.timer", timer(job, plan)))
        return tuple(units)

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """When they run, and where they speak."""
        first = plan.jobs[0].name
        return (
            "They run while you are logged in. To let them run always: loginctl enable-linger",
            f"What they say: journalctl --user -u {PREFIX}{first}.service",
        )

    def is_installed(self, plan: Plan) -> bool | None:
        """Whether every unit file is there as it is wanted, and no other of ours; None where there is none."""
        wanted = {self.folder / item.place.rpartition("/")[2]: item.text for item in self.items(plan)}
        ours = self._ours()
        return {path: _read(path) for path in ours} == wanted if ours else None

    def install(self, plan: Plan) -> Change:
        """Write the units, take away those that are not wanted any more, and start what has to run."""
        wanted = self.items(plan)
        demand_manager()
        paths = {self.folder / item.place.rpartition("/")[2]: item.text for item in wanted}
        for path in paths:
            if path.exists() and not _is_ours(path):
                raise SchedulingError(f"{path} was not written by this program.", advice="Move it away, then try again.")
        gone = self._take_away(keep=frozenset(paths))
        with storage_errors():
            self.folder.mkdir(parents=True, exist_ok=True)
            changed = [path for path, text in paths.items() if _read(path) != text]
            for path in changed:
                replace_private_file(path, paths[path].encode())
        _systemctl("daemon-reload")
        for path in paths:
            if _is_started(path, paths):
                _systemctl("enable", path.name)
                _systemctl("restart" if path in changed else "start", path.name)
        return Change(tuple(map(str, (*gone, *changed))))

    def remove(self) -> Change:
        """Stop and delete the units that carry the mark."""
        if not self._ours():
            return Change(())
        demand_manager()
        gone = self._take_away(keep=frozenset())
        _systemctl("daemon-reload")
        return Change(tuple(map(str, gone)))

    def _item(self, name: str, text: str) -> Item:
        return Item(str(self.folder / name), text)

    def _ours(self) -> list[Path]:
        found = (*self.folder.glob(f"{PREFIX}*.service"), *self.folder.glob(f"{PREFIX}*.timer"))
        return sorted(path for path in found if _is_ours(path))

    def _take_away(self, *, keep: frozenset[Path]) -> list[Path]:
        gone = [path for path in self._ours() if path not in keep]
        for path in sorted(gone, key=lambda path: path.suffix, reverse=True):  # the timer before what it starts
            _systemctl("disable", "--now", path.name)
            with storage_errors():
                path.unlink(missing_ok=True)
        return gone


def service(job: Job) -> str:
    """The unit that runs a job: once for one with moments, else for ever."""
    kind = "Type=oneshot\nTimeoutStartSec=12h\n" if job.moments else "Type=simple\nRestart=on-failure\nRestartSec=60\n"
    wanted = "" if job.moments else "\n[Install]\nWantedBy=default.target\n"
    program, *words = _startable(job.command)
    command = " ".join((_quoted(program), *(_quoted(word).replace("$", "$$") for word in words)))
    return (
        f"{MARK}\n[Unit]\nDescription=WhatsApp archive: {job.purpose}\n\n"
        f"[Service]\n{kind}ExecStart={command}\n{_HARDENED}{wanted}"
    )


def timer(job: Job, plan: Plan) -> str:
    """The unit that starts a job at its moments, in the user's zone; a moment that was missed is caught up once."""
    calendar = "".join(f"OnCalendar={_calendar(moment, plan.zone.key)}\n" for moment in job.moments)
    return (
        f"{MARK}\n[Unit]\nDescription=WhatsApp archive: when to {job.purpose}\n\n"
        f"[Timer]\n{calendar}Persistent=true\nAccuracySec=1min\n\n[Install]\nWantedBy=timers.target\n"
    )


def is_running() -> bool:
    """Whether a manager of this user's units runs here."""
    with suppress(SchedulingError):
        ran = run("systemctl", "--user", "is-system-running", missing=_MISSING)
        return ran.out.decode(errors="replace").strip() in _RUNNING
    return False


def demand_manager() -> None:
    """Raise `SchedulingError` with what to do unless a manager of this user's units runs here."""
    run("systemctl", "--version", missing=_MISSING)
    if not is_running():
        raise SchedulingError("systemd does not run for your user.", advice=_NO_MANAGER)


def _is_started(path: Path, among: dict[Path, str]) -> bool:
    """Timers, and services that no timer starts."""
    return path.suffix == ".timer" or path.with_suffix(".timer") not in among


def _systemctl(*words: str) -> None:
    ran = run("systemctl", "--user", *words, missing=_MISSING)
    demand(ran, f"systemctl --user {words[0]}", f"Try it by hand: systemctl --user {' '.join(words)}")


def _calendar(moment: Moment, zone: str) -> str:
    day = "" if moment.weekday is None else f"{DAYS[moment.weekday]} "
    named = f" {zone}" if zone != "localtime" else ""  # a zone whose name is not known: the computer's own
    return f"{day}*-*-* {moment.hour:02}:{moment.minute:02}:00{named}"


def _startable(command: tuple[str, ...]) -> tuple[str, ...]:
    """What systemd can start: no program whose path holds a quote or a backslash, however it is written; a shell can."""
    if _QUOTES.isdisjoint(command[0]):
        return command
    return ("/bin/sh", "-c", 'exec "$0" "$@"', *command)


def _quoted(word: str) -> str:
    """A word of a command line (systemd.service(5), COMMAND LINES); variables are looked for in all words but the program."""
    refuse_letters((word,), "", "A systemd unit")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _is_ours(path: Path) -> bool:
    return _read(path).startswith(MARK)
