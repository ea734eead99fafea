"""The commands that stand apart: the MCP server, the demonstration, the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.cli import objects
from whatsapp_mcp.cli.terminal import say, say_json
from whatsapp_mcp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.doctor import Check, Level

_SIGNS: Final[Mapping[Level, str]] = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}

_FIXED: Final = "fix "


def serve(command: Command) -> int:
    """``serve``: MCP on standard input and output until the client leaves."""
    from whatsapp_mcp.server import serve as answer

    answer(command.archive)
    return 0


def demo(command: Command) -> int:
    """``demo``: everything on an invented account."""
    try:
        from whatsapp_mcp.demo.walkthrough import main as walk
    except ModuleNotFoundError as missing:
        if missing.name != "whatsapp_mcp.demo.walkthrough":
            raise
        raise UsageError("This version has no demonstration.") from None
    return walk(command.args.home)


def doctor(command: Command) -> int:
    """``doctor``: every check with what to do; fails with the code of the first check that failed.

    ``--fix`` first puts right what is safe, and says what it did.
    """
    from whatsapp_mcp.doctor import examine, mend

    done = mend(command.archive) if command.args.fix else []
    if not command.args.json:
        for line in done or (["Nothing had to be put right."] if command.args.fix else []):
            say(f"{_FIXED} {line}")
    checks: list[Check] = []
    for check in examine(command.archive):
        checks.append(check)
        if not command.args.json:
            say(f"{_SIGNS[check.level]} {check.name}: {check.finding} {check.advice}".rstrip())
    if command.args.json:
        say_json(objects.checks_object(checks) | ({"fixed": done} if command.args.fix else {}))
    return next((check.exit_code for check in checks if check.exit_code), 0)
