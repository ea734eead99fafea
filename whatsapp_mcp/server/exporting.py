"""What ``export_chat`` answers: the file is written in a worker thread while progress goes to the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
from mcp.types import Annotations, CallToolResult, ResourceLink, TextContent

from whatsapp_mcp.export import Head, Request, export_chat
from whatsapp_mcp.server.answers import chat_title, coverage_text, interval_text
from whatsapp_mcp.server.fencing import literal
from whatsapp_mcp.server.lines import counted, size_text

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.export import Exported


@dataclass(frozen=True, slots=True)
class Export:
    """What to export."""

    chat: str | int
    form: Literal["json", "txt"]
    after: str | None = None
    before: str | None = None
    include_media: bool = False


@dataclass
class _Told:
    """How many messages are written so far; the worker thread writes it, the event loop reads it."""

    messages: int = 0

    def report(self, messages: int) -> None:
        self.messages = messages


async def export_answer(archive: Archive, export: Export, context: Context[Any, Any]) -> CallToolResult:
    """Answer ``export_chat``; raises `ArchiveError` with what to do next."""
    told = _Told()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_report, told, context)
        head, done = await anyio.to_thread.run_sync(_write, archive, export, told)
        tasks.cancel_scope.cancel()
    return CallToolResult(content=[TextContent(type="text", text=_text(export, head, done)), _link(done)])


async def _report(told: _Told, context: Context[Any, Any]) -> None:
    before = 0
    while True:
        await anyio.sleep(1.0)
        if told.messages > before:
            before = told.messages
            await context.report_progress(float(before), None, f"{before:,} messages written")


def _write(archive: Archive, export: Export, told: _Told) -> tuple[Head, Exported]:
    queries = archive.queries
    chat = queries.find_chat(export.chat)
    interval = queries.interval(export.after, export.before)
    head = Head(
        chat,
        interval,
        queries.coverage(chat.id, interval),
        archive.settings.timezone,
        int(archive.clock.now()),
        with_files=export.include_media,
    )
    request = Request(export.form, archive.home, include_media=export.include_media)
    return head, export_chat(request, head, queries.iter_messages(chat, export.after, export.before), told.report)


def _text(export: Export, head: Head, done: Exported) -> str:
    files = ""
    if export.include_media:
        files = f" and {counted(done.files, 'file')}" if done.files else "; no file of these messages is stored yet"
    nothing = "" if done.messages else "\nNext: export_chat with a wider interval, or without after and before."
    coverage = coverage_text(head.coverage, head.zone)
    taken = f"\n{head.chat.note}" if head.chat.note else ""
    return (
        f"{chat_title(head.chat)} · {interval_text(head.interval)} · {counted(done.messages, 'message')}{files} · {coverage}\n"
        f"Written to {literal(str(done.path), 400)} ({size_text(done.size)}, {done.mime_type}).{nothing}{taken}"
    )


def _link(done: Exported) -> ResourceLink:
    return ResourceLink(
        type="resource_link",
        uri=f"whatsapp://exports/{done.path.name}",
        name=done.path.name,
        mime_type=done.mime_type,
        size=done.size,
        annotations=Annotations(audience=["user"]),
    )
