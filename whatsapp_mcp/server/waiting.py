"""Waiting for a job within a call: progress to the client every second, and an answer before clients give up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whatsapp_mcp.errors import NotFound, StorageError, UsageError
from whatsapp_mcp.export.objects import rfc3339
from whatsapp_mcp.server.answers import minute
from whatsapp_mcp.server.fencing import inline, literal
from whatsapp_mcp.server.jobs import CALL_SECONDS, REPORT_SECONDS, progress_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from mcp.server.mcpserver import Context

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.jobs import Job
    from whatsapp_mcp.views import Listener


async def wait_with_progress(job: Job, context: Context[Any, Any]) -> Job:
    """Wait until `job` ends or the call must answer; a cancelled call stops the job."""
    told = -1.0
    try:
        for second in range(int(CALL_SECONDS / REPORT_SECONDS)):
            if await job.wait(REPORT_SECONDS):
                break
            progress = None if job.is_discreet else job.progress
            done = float(second + 1) if progress is None else float(progress.messages_seen)
            if done > told:  # progress must rise (MCP, Progress)
                told = done
                await context.report_progress(done, None, progress_text(progress) if progress else job.name)
    except BaseException:
        job.scope.cancel()
        raise
    return job


def outcome_text(job: Job) -> str:
    """Return what a job brought, or that it goes on."""
    if job.is_running:
        how_far = f" ({progress_text(job.progress)})" if job.progress and not job.is_discreet else ""
        return f"The {job.name} goes on in the background{how_far}; full_sync_status shows its progress."
    outcome = job.outcome
    if job.is_discreet:
        return f"The {job.name} is {outcome.state}; full_sync_status shows what is archived."
    counts = f"{outcome.messages_seen:,} messages seen, {outcome.messages_new:,} new"
    lines = [f"The {job.name} is {outcome.state}: {outcome.chats_done} of {outcome.chats_total} chats, {counts}."]
    if outcome.chats_damaged:
        lines.append(f"A part of {outcome.chats_damaged} histories could not be read; the next sync asks again.")
    if cut := outcome.chats_truncated - outcome.chats_damaged:
        lines.append(f"{cut} histories were cut off by the gateway; older messages are missing.")
    lines += [f"failed: {literal(failure.chat)}: {inline(failure.error, 200)}" for failure in outcome.failures[:20]]
    lines += [f"note: {inline(note, 200)}" for note in outcome.notes[:10]]
    return "\n".join(lines)


def listener_text(listener: Listener, zone: ZoneInfo, *, with_counts: bool = True) -> str:
    """Return who keeps the archive current, and `with_counts` what came, in any chat."""
    if not with_counts:
        return "A listener keeps the archive current. Nothing needs to be fetched."
    who = "A listener" if listener.pid is None else f"A listener (pid {listener.pid})"
    last = "none yet" if listener.last_notification_at is None else minute(listener.last_notification_at, zone)
    since = f"{listener.notifications:,} since {minute(listener.started_at, zone)}, {listener.messages_new:,} messages new"
    return f"{who} keeps the archive current: last notification {last}; {since}. Nothing needs to be fetched."


def listener_object(listener: Listener, zone: ZoneInfo) -> dict[str, Any]:
    """Return the same as a JSON value; what is not known is left out."""
    times = {name: getattr(listener, name) for name in ("started_at", "updated_at", "last_notification_at")}
    said = {
        "pid": listener.pid,
        "mode": listener.mode,
        "notifications": listener.notifications,
        "messages_new": listener.messages_new,
        **{name: rfc3339(moment, zone) for name, moment in times.items() if moment is not None},
    }
    return {name: value for name, value in said.items() if value not in (None, "")}


def chat_to_fetch(archive: Archive, chat: str | int) -> str:
    """Return WhatsApp's id of the chat to fetch: of a known chat, or the id or number of one that is not archived yet.

    Where chats are hidden only a known one that is not. Raises `NotFound` or `Ambiguous` when a name does not lead to one chat.
    """
    from whatsapp_mcp.sync import chat_named

    text = str(chat).strip()
    try:
        return archive.queries.find_chat(chat).whatsapp_id
    except (NotFound, StorageError):
        if archive.sight is not None and archive.database.exists():  # it may be one that is hidden
            raise
        if (meant := chat_named(text)) is not None:
            return meant
        if not archive.database.exists():
            raise UsageError(
                "No chat is archived yet.", advice="start_full_sync fetches all; or give a phone number."
            ) from None
        raise
