"""The system's own programs, found on the PATH and run without a shell."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from whatsapp_mcp.errors import SchedulingError

_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def said(self) -> str:
        """The last line of its complaint."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1][:200] if lines else f"exit code {self.code}"


def run(program: str, *words: str, given: bytes | None = None, missing: str) -> Ran:
    """Run `program` with `words`, and `given` on its standard input, for a minute at most.

    Raises `SchedulingError` with the advice `missing` when there is no such program, or when it does not end.
    """
    path = shutil.which(program)
    if path is None:
        raise SchedulingError(f"There is no program {program} on this computer.", advice=missing)
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program of the system, no shell, words of our own
            [path, *words],
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SchedulingError(f"{program} does not end.", advice="Run it by hand to see what it waits for.") from None
    except OSError as error:
        raise SchedulingError(f"{program} cannot be run ({error.strerror}).", advice=missing) from None
    return Ran(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


def demand(ran: Ran, program: str, advice: str) -> None:
    """Raise `SchedulingError` with the program's own complaint unless it went well."""
    if ran.code:
        raise SchedulingError(f"{program} refused: {ran.said.removesuffix('.')}.", advice=advice)
