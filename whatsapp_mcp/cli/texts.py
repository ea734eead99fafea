"""The command that reads texts out of stored files, so that search finds them."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.cli.listening import listener_is_running
from whatsapp_mcp.cli.progress import bar
from whatsapp_mcp.cli.terminal import many, say, say_json
from whatsapp_mcp.errors import UsageError, WriterRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.media.texts import TextOutcome

_log = logging.getLogger(__name__)
_EVERY: Final = 5.0


def text(command: Command) -> int:
    """``media text``: documents and voice notes of which nobody has read the text; 0 also where some wait for a model."""
    from whatsapp_mcp.media.texts import read_texts

    archive, args = command.archive, command.args
    if not archive.database.exists():
        raise UsageError("There is no archive yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")
    shown = _shown(archive.clock.monotonic)
    try:
        outcome = read_texts(archive, limit=args.limit, again=args.again, report=shown)
    except WriterRunning as error:
        raise listener_is_running(archive, error) from None
    _log.info(
        "%d texts of documents, %d of voice notes, %d unreadable", outcome.documents, outcome.voice_notes, outcome.unreadable
    )
    if args.json:
        say_json(asdict(outcome))
    else:
        for line in _lines(outcome):
            say(line)
    return 0


def _lines(outcome: TextOutcome) -> Iterator[str]:
    if outcome.documents or outcome.voice_notes:
        read = f"{many(outcome.documents, 'document')} and {many(outcome.voice_notes, 'voice note')}"
        yield f"Read {read}; search finds their words now."
    elif not outcome.done:
        yield "No stored file has a text that is not read yet."
    if outcome.empty:
        yield f"Without any text, like scanned pages: {many(outcome.empty, 'file')}."
    if outcome.unreadable:
        yield f"Damaged, or locked with a password: {many(outcome.unreadable, 'file')}."
    if outcome.waiting:
        yield f"Not read yet: {many(outcome.waiting, 'file')}."
    yield from outcome.notes
    if outcome.left:
        yield f"Left for the next run: {many(outcome.left, 'file')}."


def _shown(monotonic: Callable[[], float]) -> Callable[[int, int], None]:
    """Prints how far it is: a bar on a terminal, elsewhere a line every few seconds."""
    stream, due = sys.stderr, monotonic() + _EVERY

    def show(done: int, total: int) -> None:
        nonlocal due
        if stream.isatty():
            print(
                f"\r{bar(done, total)} {done:,} of {total:,} files", end="\n" if done == total else "", file=stream, flush=True
            )
        elif monotonic() >= due:
            due = monotonic() + _EVERY
            print(f"{done:,} of {many(total, 'file')} read", file=stream, flush=True)

    return show
