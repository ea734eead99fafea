"""The user's crontab: a few lines between two marks at its end; every other byte stays as it is.

Only cronie knows ``CRON_TZ`` (crontab(5) of cronie); the crons of Debian, of the BSDs and of macOS run by the computer's clock.
The block stands at the end because a variable counts for every line below it.
"""

from __future__ import annotations

import shlex
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import ensure_private_file, ensure_private_folder
from whatsapp_mcp.errors import SchedulingError
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schedule.plan import Change, Item, refuse_letters, same_clock
from whatsapp_mcp.schedule.programs import Ran, demand, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.schedule.plan import Job, Plan
    from whatsapp_mcp.timetable import Moment

BEGIN: Final = "# >>> whatsapp-mcp >>>"
END: Final = "# <<< whatsapp-mcp <<<"
PLACE: Final = "crontab"

_MISSING: Final = "Install cron with your system's package manager (on Debian: apt install cron), or choose another --kind."
_LONGEST: Final = 990
"""Vixie's cron and cronie take commands of up to 999 bytes (``MAX_COMMAND`` in their ``cron.h``)."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Cron, on a computer whose clock shows `computer_zone` (None: unknown)."""

    computer_zone: ZoneInfo | None
    now: Callable[[], float] = field(compare=False)

    def items(self, plan: Plan) -> tuple[Item, ...]:
        """The block between the marks."""
        own_clock = self._is_computers(plan.zone)
        return (Item(PLACE, block(plan, name_zone=not own_clock and knows_zones())),)

    def notes(self, plan: Plan) -> tuple[str, ...]:
        """What cron cannot do."""
        notes = []
        if not self._is_computers(plan.zone) and not knows_zones():
            here = self.computer_zone.key if self.computer_zone else "an unknown zone"
            notes.append(
                f"This cron knows no time zones: the jobs run at these times by the computer's clock ({here}), not in"
                f" {plan.zone.key}. Set the computer's zone, write SCHEDULE_RECENT and SCHEDULE_MAINTENANCE in it, or use"
                " --kind systemd."
            )
        if plan.timetable.listen:
            notes.append("Cron cannot keep a program running, so nothing listens in between; --kind systemd can.")
        notes.append("Cron does not catch up on what was due while the computer was off; the next run fetches what was missed.")
        return tuple(notes)

    def is_installed(self, plan: Plan) -> bool | None:
        """Whether the crontab has the block as it is wanted; None where it has none."""
        before = _read()
        if without_block(before) == before:
            return None
        return self.items(plan)[0].text.encode() in before

    def install(self, plan: Plan) -> Change:
        """Put the block at the end of the crontab, in place of any earlier one."""
        text = self.items(plan)[0].text.encode()
        before = _read()
        after = without_block(before)
        if after and not after.endswith(b"\n"):
            after += b"\n"
        with storage_errors():
            ensure_private_file(ensure_private_folder(plan.log.parent) / plan.log.name)
        return _write(before, after + text)

    def remove(self) -> Change:
        """Take the block out of the crontab."""
        before = _read()
        return _write(before, without_block(before))

    def _is_computers(self, zone: ZoneInfo) -> bool:
        return self.computer_zone is not None and same_clock(zone, self.computer_zone, self.now())


def knows_zones() -> bool:
    """Whether this computer's cron is cronie, whose crontab tells its version."""
    if shutil.which("crontab") is None:
        return False
    with suppress(SchedulingError):
        ran = run("crontab", "-V", missing=_MISSING)
        return "cronie" in (ran.out.decode(errors="replace") + ran.err).casefold()
    return False


def block(plan: Plan, *, name_zone: bool) -> str:
    """The lines for the crontab with their marks; raises `SchedulingError` for a path that no crontab can hold."""
    lines = [BEGIN, "# Written by `whatsapp-mcp schedule install`; `whatsapp-mcp schedule remove` takes it away."]
    lines.append("SHELL=/bin/sh")
    if name_zone:
        lines.append(f"CRON_TZ={plan.zone.key}")
    lines += [_line(job, moment, plan) for job in plan.regular for moment in job.moments]
    return "\n".join((*lines, END)) + "\n"


def _line(job: Job, moment: Moment, plan: Plan) -> str:
    weekday = "*" if moment.weekday is None else str((moment.weekday + 1) % 7)  # cron's 0 is Sunday
    return f"{moment.minute} {moment.hour} * * {weekday} {_command(job, plan)}"


def _command(job: Job, plan: Plan) -> str:
    words = (*job.command, str(plan.log))
    refuse_letters(words, "\\", "A crontab")  # cron itself eats some backslashes, and not every cron the same
    *command, log = map(shlex.quote, words)
    line = f"{' '.join(command)} >>{log} 2>&1".replace("%", "\\%")  # a bare % ends the command (crontab(5))
    if len(line.encode()) > _LONGEST:
        raise SchedulingError("The command is too long for a crontab.", advice="Use a shorter --home, or another --kind.")
    return line


def without_block(text: bytes) -> bytes:
    """A crontab without what stands between the marks; raises `SchedulingError` when only one of the two is there."""
    kept: list[bytes] = []
    inside = False
    for line in text.splitlines(keepends=True):
        mark = line.strip()
        if mark == BEGIN.encode():
            if inside:
                raise _broken(END)
            inside = True
        elif mark == END.encode():
            if not inside:
                raise _broken(BEGIN)
            inside = False
        elif not inside:
            kept.append(line)
    if inside:
        raise _broken(END)
    return b"".join(kept)


def _broken(mark: str) -> SchedulingError:
    return SchedulingError(f"The crontab has lost its line {mark!r}.", advice="Mend it with `crontab -e`; nothing was changed.")


def _read() -> bytes:
    ran = run("crontab", "-l", missing=_MISSING)
    if ran.code and _is_none_yet(ran):
        return b""
    demand(ran, "crontab", "Ask the computer's administrator to allow you cron (cron.allow), or choose another --kind.")
    return ran.out


def _is_none_yet(ran: Ran) -> bool:
    """``no crontab for …`` says every cron but busybox's, which cannot open the file."""
    return "no crontab" in ran.err.casefold() or "can't open" in ran.err


def _write(before: bytes, after: bytes) -> Change:
    if before == after:
        return Change(())
    words, given = (("-",), after) if after else (("-r",), None)
    ran = run("crontab", *words, given=given, missing=_MISSING)
    demand(ran, "crontab", "The crontab is as it was.")
    return Change((PLACE,))
