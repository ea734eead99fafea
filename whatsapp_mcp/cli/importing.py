"""``import``: chats that a phone exported, through the same entrance as everything else.

Each file is understood before the first one is stored, so that a question about its dates changes nothing. Of several files one
that cannot be read, or whose dates must be asked for, is named and left out; the others are imported.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from whatsapp_mcp.cli.terminal import say, say_json
from whatsapp_mcp.cli.writing import PARTLY
from whatsapp_mcp.errors import ImportRefused, UsageError
from whatsapp_mcp.records import Message

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from whatsapp_mcp.app import Writer
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.errors import ArchiveError
    from whatsapp_mcp.sources.chat_export import Export


@dataclass(frozen=True, slots=True)
class _Imported:
    export: Export
    messages_new: int
    unreadable: int


def import_path(command: Command) -> int:
    """``import PATH``: one exported chat, or a folder of them."""
    exports, refused = _understand(command)
    if not exports:
        raise refused[0]
    with command.archive.writer() as writer:
        done = _store_all(writer, exports, int(command.archive.clock.now()))
    if command.args.json:
        say_json({"files": [_object(one) for one in done], "refused": [str(error) for error in refused]})
    else:
        for one in done:
            _tell(one)
        for error in refused:
            say(f"Left out: {error}")
    return PARTLY if refused else 0


def _understand(command: Command) -> tuple[list[Export], list[ArchiveError]]:
    from whatsapp_mcp.sources.chat_export import find_exports

    exports: list[Export] = []
    refused: list[ArchiveError] = []
    for path in find_exports(command.args.path.expanduser()):
        try:
            exports.append(_read(command, path))
        except (ImportRefused, UsageError) as error:
            refused.append(error)
    return exports, refused


def _read(command: Command, path: Path) -> Export:
    from whatsapp_mcp.sources.chat_export import read_export

    archive, args = command.archive, command.args
    now = int(archive.clock.now())
    return read_export(path, zone=archive.settings.timezone, received_at=now, me=args.me, order=args.order, chat_name=args.chat)


def _store_all(writer: Writer, exports: Sequence[Export], now: int) -> list[_Imported]:
    run = writer.store.begin_run("import", now)
    done: list[_Imported] = []
    try:
        for export in exports:
            done.append(_store(writer, export, now))  # noqa: PERF401 - what is done so far counts if the next one fails
    finally:
        counters = {"chats_total": len(exports), "chats_done": len(done), "messages_new": sum(one.messages_new for one in done)}
        writer.store.update_run(run, now, messages_seen=sum(one.export.report.messages for one in done), **counters)
        writer.store.end_run(run, "complete" if len(done) == len(exports) else "interrupted", now)
    return done


def _store(writer: Writer, export: Export, now: int) -> _Imported:
    new = unreadable = 0
    told: dict[str, tuple[int, int]] = {}
    for payload in export.payloads:  # added up as they come: the records of a large export would fill the memory
        applied = writer.ingest.receive(payload)
        new += applied.messages
        unreadable += applied.unreadable
        for record in applied.records:
            if isinstance(record, Message):
                first, last = told.get(record.chat, (record.sent_at, record.sent_at))
                told[record.chat] = min(first, record.sent_at), max(last, record.sent_at)
    for chat, (first, last) in told.items():
        writer.store.note_import(chat, first, last, now)
    return _Imported(export, new, unreadable)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word if number == 1 else word + 's'}"


def _tell(done: _Imported) -> None:
    report = done.export.report
    found = _counted(report.messages, "message")
    if report.system_rows:
        found += f" and {_counted(report.system_rows, 'notice')} of WhatsApp"
    say(f"{report.file}: {found} in {report.chat_name!r}, {done.messages_new:,} of them new")
    say(f"  dates read as {report.order} in {report.zone}; written by {', '.join(report.senders[:8]) or 'nobody'}")
    if done.unreadable:
        say(f"  note: {done.unreadable:,} items were kept, and not understood")
    for warning in report.warnings:
        say(f"  note: {warning}")


def _object(done: _Imported) -> dict[str, Any]:
    return asdict(done.export.report) | {"messages_new": done.messages_new, "unreadable": done.unreadable}
