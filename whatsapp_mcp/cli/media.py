"""The commands about the files of messages: fetch them, count them, clean up after them."""

from __future__ import annotations

import logging
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.cli.listening import listener_is_running
from whatsapp_mcp.cli.progress import bar
from whatsapp_mcp.cli.reading import files_line
from whatsapp_mcp.cli.terminal import many, moment, say, say_json, say_table, size
from whatsapp_mcp.errors import UsageError, WriterRunning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from whatsapp_mcp.app import Writer
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.media.housekeeping import Litter
    from whatsapp_mcp.media.outcome import MediaOutcome, MediaProgress
    from whatsapp_mcp.queries.files import FileReport

_log = logging.getLogger(__name__)

_ON_TERMINAL: Final = 0.1
_ELSEWHERE: Final = 5.0
_NAMED: Final = 20
_STATES: Final = ("stored", "pending", "expired", "failed", "skipped")


def download(command: Command) -> int:
    """``media download``: the files that are due; 1 when the disk or the network stopped it, 3 when some failed for good."""
    archive = command.archive
    if not archive.database.exists():
        raise UsageError("There is no archive yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")
    shown = FilesLine(sys.stderr, archive.clock.monotonic)
    try:
        outcome = anyio.run(_download, command, shown)
    except WriterRunning as error:
        raise listener_is_running(archive, error) from None
    finally:
        shown.finish()
    _log.info("%d files stored, %d put off, %d left", outcome.stored, outcome.put_off, outcome.left)
    if command.args.json:
        say_json(asdict(outcome))
    else:
        for line in outcome.lines() or ["No file is due."]:
            say(line)
    return 1 if outcome.is_failure else 3 if outcome.failed else 0


async def _download(command: Command, shown: Callable[[MediaProgress], None]) -> MediaOutcome:
    from whatsapp_mcp.media.downloading import download_media

    archive, limit = command.archive, command.args.limit
    has_credentials = _has_credentials(command)
    with archive.writer() as writer:
        _open_again(writer, command)
        async with AsyncExitStack() as stack:
            gateway = await stack.enter_async_context(archive.gateway()) if has_credentials else None
            return await download_media(gateway, writer, archive.clock, limit=limit, report=shown)


def _open_again(writer: Writer, command: Command) -> None:
    """What was lost or cut on the disk is due again and, when asked for, what was given up."""
    from whatsapp_mcp.media.reopening import reopen

    archive, again = command.archive, command.args.again
    for folder, count in reopen(writer.store, archive.home, int(archive.clock.now()), again=again).items():
        what = f"Nothing is left in {folder} ({many(count, 'file')}), as if its disk were not connected."
        print(f"{what} Connect it, or fetch all of it again with `--again`.", file=sys.stderr)


def _has_credentials(command: Command) -> bool:
    """Without any, links that still lead somewhere can be followed all the same; wrong ones are said."""
    settings = command.archive.settings
    if not (settings.token or settings.id_instance):
        return False
    settings.credentials()
    return True


def status(command: Command) -> int:
    """``media status``: by kind and state."""
    report = command.archive.queries.files()
    if command.args.json:
        say_json(_report_object(command, report))
        return 0
    for line in _report_lines(command, report):
        say(line)
    return 0


def _report_object(command: Command, report: FileReport) -> dict[str, object]:
    from whatsapp_mcp.export.objects import rfc3339

    zone = command.archive.settings.timezone
    return {
        **asdict(report.counts),
        "by_kind": {kind: asdict(counts) for kind, counts in report.by_kind.items()},
        "reasons": [asdict(reason) for reason in report.reasons],
        "due": report.due,
        "next_at": None if report.next_at is None else rfc3339(report.next_at, zone),
        "limit_bytes": command.archive.settings.media_total_bytes,
    }


def _report_lines(command: Command, report: FileReport) -> Iterator[str]:
    zone, total = command.archive.settings.timezone, command.archive.settings.media_total_bytes
    rows = [
        (kind, *(getattr(counts, state) for state in _STATES), size(counts.bytes_stored))
        for kind, counts in report.by_kind.items()
    ]
    say_table(("kind", *_STATES, "size"), rows)
    limit = f" of at most {size(total)}" if total else ""
    yield f"{files_line(report.counts)}; {many(report.counts.contents, 'different file')} on the disk{limit}."
    if report.counts.pending:
        later = f", the next one after them at {moment(report.next_at, zone)}" if report.next_at else ""
        yield f"{report.due:,} of {report.counts.pending:,} can be fetched now{later}: `whatsapp-mcp media download`."
    for reason in report.reasons:
        known = f", {size(reason.size)}" if reason.size else ""
        yield f"{reason.state}: {many(reason.files, 'file')}{known}: {reason.why}"


def clean(command: Command) -> int:
    """``media clean``: shows temporary and orphaned files, and removes them after a yes."""
    from whatsapp_mcp.media.housekeeping import clean as remove
    from whatsapp_mcp.media.housekeeping import litter

    archive, args = command.archive, command.args
    if not archive.database.exists():
        raise UsageError("There is no archive yet.", advice="Nothing can be told from what is needed.")
    with archive.writer() as writer:  # held, so that nobody downloads meanwhile
        found = litter(writer.store, archive.home)
        if not args.json:
            _show(found)
        agreed = bool(found) and (args.yes or (not args.json and _is_agreed()))
        freed = remove(archive.home, found) if agreed else 0
    if args.json:
        say_json({"files": [asdict(one) for one in found], "removed": len(found) if agreed else 0, "freed_bytes": freed})
    elif agreed:
        say(f"{many(len(found), 'file')} removed, {size(freed)} freed.")
    elif found:
        say("Nothing was removed; `--yes` removes them.")
    return 0


def _show(found: Sequence[Litter]) -> None:
    for one in found[:_NAMED]:
        say(f"{one.kind:<10} {size(one.size):>10}  {one.path}")
    if len(found) > _NAMED:
        say(f"… and {len(found) - _NAMED:,} more")
    for kind in ("temporary", "orphaned"):
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            say(f"{many(len(of_kind), f'{kind} file')}, {size(sum(one.size for one in of_kind))}")
    if not found:
        say("There is nothing to clean.")


def _is_agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Remove them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class FilesLine:
    """Call it with each `MediaProgress`; it prints as often as is useful. `finish` ends the line."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        """Print to `stream`, at the pace of `monotonic` seconds."""
        self._stream = stream
        self._monotonic = monotonic
        self._is_terminal = stream.isatty()
        self._next = monotonic() + (0 if self._is_terminal else _ELSEWHERE)
        self._is_open = False

    def __call__(self, progress: MediaProgress) -> None:
        """Show `progress`, if it is time to."""
        now = self._monotonic()
        if now < self._next:
            return
        self._next = now + (_ON_TERMINAL if self._is_terminal else _ELSEWHERE)
        line = f"{progress.done:,} of {many(progress.total, 'file')}, {size(progress.bytes_stored)} stored"
        if self._is_terminal:
            print(f"\r{bar(progress.done, progress.total)} {line:<60}", end="", file=self._stream, flush=True)
            self._is_open = True
        else:
            print(line, file=self._stream, flush=True)

    def finish(self) -> None:
        """Leave the bar's line."""
        if self._is_open:
            print(file=self._stream, flush=True)
            self._is_open = False
