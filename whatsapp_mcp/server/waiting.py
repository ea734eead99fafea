"""Waiting for a job within a call: progress to the client every second, and an answer before clients give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whatsapp_mcp.errors import NotFound, StorageError, UsageError
from whatsapp_mcp.server.fencing import inline, literal
from whatsapp_mcp.server.jobs import CALL_SECONDS, REPORT_SECONDS, progress_text

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.jobs import Job


async def wait_with_progress(job: Job, context: Context[Any, Any]) -> Job:
    """Wait until `job` ends or the call must answer; a cancelled call stops the job."""
    told = -1.0
    try:
        for second in range(int(CALL_SECONDS / REPORT_SECONDS)):
            if await job.wait(REPORT_SECONDS):
                break
            done = float(second + 1) if job.progress is None else float(job.progress.messages_seen)
            if done > told:  # progress must rise (MCP, Progress)
                told = done
                await context.report_progress(done, None, progress_text(job.progress) if job.progress else job.name)
    except BaseException:
        job.scope.cancel()
        raise
    return job


def outcome_text(job: Job) -> str:
    """Return what a job brought, or that it goes on."""
    if job.is_running:
        how_far = f" ({progress_text(job.progress)})" if job.progress else ""
        return f"The {job.name} goes on in the background{how_far}; full_sync_status shows its progress."
    outcome = job.outcome
    counts = f"{outcome.messages_seen:,} messages seen, {outcome.messages_new:,} new"
    lines = [f"The {job.name} is {outcome.state}: {outcome.chats_done} of {outcome.chats_total} chats, {counts}."]
    if outcome.chats_damaged:
        lines.append(f"A part of {outcome.chats_damaged} histories could not be read; the next sync asks again.")
    if cut := outcome.chats_truncated - outcome.chats_damaged:
        lines.append(f"{cut} histories were cut off by the gateway; older messages are missing.")
    lines += [f"failed: {literal(failure.chat)}: {inline(failure.error, 200)}" for failure in outcome.failures[:20]]
    lines += [f"note: {inline(note, 200)}" for note in outcome.notes[:10]]
    return "\n".join(lines)


def chat_to_fetch(archive: Archive, chat: str | int) -> str:
    """Return WhatsApp's id of the chat to fetch: of a known chat, or the id or number of one that is not archived yet.

    Raises `NotFound` or `Ambiguous` when a name does not lead to one chat.
    """
    from whatsapp_mcp.sync import chat_named

    text = str(chat).strip()
    try:
        return archive.queries.find_chat(chat).whatsapp_id
    except (NotFound, StorageError):
        if (meant := chat_named(text)) is not None:
            return meant
        if not archive.database.exists():
            raise UsageError(
                "No chat is archived yet.", advice="start_full_sync fetches all; or give a phone number."
            ) from None
        raise
