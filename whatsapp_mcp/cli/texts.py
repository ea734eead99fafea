"""The command that reads texts out of stored files, so that search finds them."""

from __future__ import annotations

import logging
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from whatsapp_mcp.cli.listening import listener_is_running
from whatsapp_mcp.cli.progress import counted
from whatsapp_mcp.cli.terminal import many, say, say_json
from whatsapp_mcp.errors import UsageError, WriterRunning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.media.texts import TextOutcome

_log = logging.getLogger(__name__)


def text(command: Command) -> int:
    """``media text``: documents and voice notes of which nobody has read the text; 0 also where some wait for a model."""
    from whatsapp_mcp.media.texts import read_texts

    archive, args = command.archive, command.args
    if not archive.database.exists():
        raise UsageError("There is no archive yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")
    shown = counted(sys.stderr, archive.clock.monotonic, "file")
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
