"""One thing that was looked at, and how a check that fails is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whatsapp_mcp.refusals import foreseen

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.errors import ArchiveError

Level: TypeAlias = Literal["ok", "warn", "fail"]

_LOOK_CLOSER: Final = "Run `whatsapp-mcp doctor --debug` again in a moment; if it stays, report what it shows."


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    level: Level
    finding: str
    advice: str = ""
    """What to do; never empty where the level is not ``ok``."""
    exit_code: int = 0
    """What the command should return because of it; 0 unless it failed."""


def look(check: Callable[[], list[Check]], name: str) -> list[Check]:
    """What `check` found, or a failed check `name` for a trouble that was foreseen."""
    try:
        return check()
    except Exception as error:
        known = foreseen(error)
        if known is None:
            raise
        return [failed(name, known)]


def failed(name: str, error: ArchiveError) -> Check:
    """A check that an error of ours ended."""
    return Check(name, "fail", error.what, error.advice or _LOOK_CLOSER, error.exit_code)
