"""The values of the reports, found in the archive: only through its queries, and without a word of any message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.reports.daily import Calls, ChatCount, Daily, JobRun, Media, Trouble, TypeCount
from whatsapp_mcp.reports.page import many
from whatsapp_mcp.reports.weekly import Size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.queries import Queries
    from whatsapp_mcp.queries.measured import SizeView
    from whatsapp_mcp.queries.reporting import Arrivals
    from whatsapp_mcp.views import Party, RunView, Status

_CHATS: Final = 10
_HOUR: Final = 3_600
_WEEK: Final = 604_800


def gather_daily(
    queries: Queries, since: int, *, zone: ZoneInfo, names: bool = True, after_id: int | None = None, media_bytes: int = 0,
    troubles: tuple[Trouble, ...] = (), next_run: int | None = None,
) -> tuple[Daily, int]:  # fmt: skip
    """The values of the daily report of what came since `since`, and the message id after which the next one begins.

    Without `names` a chat is called by its number in this archive, which the commands understand: ``chat c12``. `troubles` are
    those that the archive cannot know, such as a mail server that is dead. Raises `StorageError` when it cannot be read.
    """
    now = int(queries.clock.now())
    status = queries.status()
    came = queries.arrivals(since, after_id=after_id, limit=_CHATS)
    values = Daily(
        since=since,
        until=now,
        zone=zone,
        messages_new=came.messages,
        messages_old=came.older,
        chats_new=came.chats,
        by_chat=tuple(ChatCount(_name(chat, names=names), count) for chat, count in came.by_chat),
        by_type=tuple(TypeCount(kind, count) for kind, count in came.by_type),
        media=_media(came),
        gaps=tuple(_gaps(status, came)),
        troubles=(*troubles, *_failures(status, names=names)),
        runs=tuple(_run(run) for run in reversed(status.runs) if run.started_at >= since),
        messages=status.messages,
        chats=status.chats,
        database_bytes=status.database_bytes,
        media_bytes=media_bytes,
        next_run=next_run,
        oldest_sync=status.coverage.last_synced_at,
        calls=gather_calls(queries, since),
    )
    return values, came.newest_id


def gather_calls(queries: Queries, since: int) -> tuple[Calls, ...]:
    """How Green API answered the runs that ended since `since`, by method."""
    found = queries.calls_since(since)
    return tuple(Calls(one.method, one.requests, one.errors, one.median_ms, one.p95_ms) for one in found)


def gather_sizes(queries: Queries, *, every: int = _WEEK) -> tuple[Size, ...]:
    """How large the archive was, oldest first, in steps of at least `every` seconds back from now, which is the last."""
    kept: list[SizeView] = []
    for size in reversed(queries.sizes()):
        if not kept or kept[-1].measured_at - size.measured_at >= every - _HOUR * 12:
            kept.append(size)
    return tuple(Size(one.measured_at, one.database_bytes, one.media_bytes, one.messages, one.chats) for one in reversed(kept))


def _name(chat: Party, *, names: bool) -> str:
    return chat.name if names else f"chat c{chat.id}"


def _media(came: Arrivals) -> Media:
    queue = came.downloads
    waiting = queue.get("pending", 0) + queue.get("downloading", 0)
    over = {state: queue.get(state, 0) for state in ("stored", "expired", "failed", "skipped")}
    return Media(new=came.media, waiting=waiting, **over)


def _gaps(status: Status, came: Arrivals) -> Iterator[str]:
    if status.coverage.note:
        yield status.coverage.note
    if came.missing:
        yield f"Never seen, although something refers to it: {many(came.missing, 'message')}."
    if status.unreadable:
        yield f"{status.unreadable:,} received items were kept, and not understood."


def _failures(status: Status, *, names: bool) -> Iterator[Trouble]:
    for failure in status.failures:
        what = f"Its history could not be fetched (failed {many(failure.error_count, 'time')})."
        yield Trouble(what, "`whatsapp-mcp sync full --resume` tries again.", _name(failure.chat, names=names))


def _run(run: RunView) -> JobRun:
    seconds = None if run.ended_at is None else float(run.ended_at - run.started_at)
    return JobRun(run.kind, run.state, run.started_at, seconds, run.messages_new)
