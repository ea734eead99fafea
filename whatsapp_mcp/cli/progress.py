"""Long work, shown: a bar that moves on a terminal, a line every few seconds elsewhere, a line a minute in the log."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.cli.terminal import many

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from whatsapp_mcp.sync import Progress

_BAR: Final = 20
_ON_TERMINAL: Final = 0.1
_ELSEWHERE: Final = 5.0
_IN_LOG: Final = 60.0
_BEGINNING: Final = {"checking": "asking the instance how it is", "discovering": "looking for all chats"}

_log = logging.getLogger(__name__)


class ProgressLine:
    """Call it with each `Progress`; it prints as often as is useful. `finish` ends the line."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        """Print to `stream`, at the pace of `monotonic` seconds."""
        self._stream = stream
        self._monotonic = monotonic
        self._terminal = stream.isatty()
        self._next = self._next_log = 0.0
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """Show `progress`, if it is time to."""
        now = self._monotonic()
        if now >= self._next_log:
            self._next_log = now + _IN_LOG
            _log.info(describe(progress), extra={"run": progress.run_id})
        if now >= self._next:
            self._next = now + (_ON_TERMINAL if self._terminal else _ELSEWHERE)
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        if not self._terminal:
            print(describe(progress), file=self._stream, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        line = f"{bar(progress.chats_done, progress.chats_total)} {describe(progress)}"[:width]
        print(f"\r{line:<{width}}", end="", file=self._stream, flush=True)
        self._open = True

    def finish(self) -> None:
        """Leave the bar's line, so that what follows starts on its own."""
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False


def counted(stream: TextIO, monotonic: Callable[[], float], what: str) -> Callable[[int, int], None]:
    """Shows how many of how many of `what` (one of them, as a word) are done."""
    due = monotonic() + _ELSEWHERE

    def show(done: int, total: int) -> None:
        nonlocal due
        if stream.isatty():
            end = "\n" if done == total else ""
            print(f"\r{bar(done, total)} {done:,} of {many(total, what)}", end=end, file=stream, flush=True)
        elif monotonic() >= due:
            due = monotonic() + _ELSEWHERE
            print(f"{done:,} of {many(total, what)} read", file=stream, flush=True)

    return show


def bar(done: int, total: int) -> str:
    """The share of `done` in `total` as twenty characters; empty while the total is unknown."""
    full = _BAR * min(done, total) // total if total > 0 else 0
    return f"[{'#' * full}{'.' * (_BAR - full)}]"


def describe(progress: Progress) -> str:
    """One line of numbers, without any name: how far, how fast, how long still."""
    if progress.state == "files":
        return f"the messages are stored; files: {progress.current}"
    if not progress.chats_total:
        return _BEGINNING.get(progress.state, progress.state)
    failed = f", {progress.chats_failed} failed" if progress.chats_failed else ""
    rate = f", {progress.rate:,.0f}/s" if progress.rate else ""
    left = f", about {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    chats = f"{progress.chats_done} of {progress.chats_total} chats{failed}"
    return f"{chats}, {progress.messages_seen:,} messages ({progress.messages_new:,} new){rate}{left}"


def duration(seconds: float) -> str:
    """A length of time in the words of a person: ``45 s``, ``6 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
