"""What a history proves of its chat: the mark and the span that are stored together with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whatsapp_mcp.normalise import records_of
from whatsapp_mcp.records import Message
from whatsapp_mcp.store import Mark, Span
from whatsapp_mcp.store.gaps import LAG

if TYPE_CHECKING:
    from whatsapp_mcp.sync.history import History
    from whatsapp_mcp.sync.running import Run

CAP_CURSOR = "history_cap"
"""The cursor that keeps the length at which the last full run found the gateway to cut histories; empty where it does not."""

_LAST_ITEMS = 5
"""The oldest message stands at the end (Green API docs, GetChatHistory), but for edits and reactions behind it."""


def covered_by(chat: str, history: History, origin: str) -> tuple[Span, ...]:
    """The time of which a history tells: from its oldest message to when it was asked for, less what it may be behind."""
    payload = history.payload
    times: list[int] = []
    for place, item in enumerate(reversed(payload.items)):
        if times and place >= _LAST_ITEMS:
            break
        records = records_of(payload.origin, item, received_at=payload.received_at, context=payload.context)
        times += [record.sent_at for record in records if isinstance(record, Message)]
    return (Span(origin, min(times), payload.received_at - LAG, chat),) if times and not payload.damaged else ()


async def why_unjoined(run: Run, chat: str, history: History) -> str:
    """One line for a history that begins after all that an earlier one told, else empty.

    A gateway that cuts histories silently gives less than it was asked for, and nothing else shows it of a single chat.
    """
    for span in covered_by(chat, history, "history"):
        if await run.pen.call(run.pen.store.gaps.told_before, chat, span) is not None:
            return "The gateway's history does not reach back to what it told before; messages between may be missing."
    return ""


async def whole_mark(run: Run, chat: str, history: History) -> Mark:
    """The mark of a history that was asked for as a whole; notes in `run` where it is not."""
    # The whole account was seen to be cut at some length: one chat alone could not show it.
    known_cap = await run.pen.call(run.pen.store.cursor, CAP_CURSOR)
    why = history.why_incomplete
    if not why and known_cap == str(history.length):
        why = f"The gateway seems to give no more than {known_cap} messages of a chat; older ones are missing."
    why = why or await why_unjoined(run, chat, history)
    if why:
        run.truncated.add(chat)
    if history.payload.damaged:
        run.damaged.add(chat)
    covered = covered_by(chat, history, "capped_history" if why else "history")
    progress = "truncated" if why else "complete"
    return Mark(run.now, chat, progress, None, history.length, error=why or None, covered=covered)


async def partial_mark(run: Run, chat: str, history: History) -> Mark:
    """The mark of a chat's newest records: they say nothing of the whole, so its state and its length stay as they are."""
    progress = await run.pen.call(run.pen.store.gaps.progress, chat)
    return Mark(run.now, covered=covered_by(chat, history, "history" if progress == "complete" else "capped_history"))
