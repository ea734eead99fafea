"""What is new since the last success: the journals cover all chats at once, so a run costs a handful of requests.

The window reaches from the last success to now, with an overlap: a journal is up to two minutes behind, and edits and delivery
states arrive later than their message (Green API docs, LastIncomingMessages). The position moves on only when both journals of
messages were stored, so a run that fails in between is simply repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.records import Message
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.discovery import WINDOW_MINUTES
from whatsapp_mcp.sync.full import JOURNALS_CURSOR
from whatsapp_mcp.sync.instance import ensure_same_account, ensure_working
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

OVERLAP_MINUTES: Final = 10


async def sync_recent(gateway: GreenApi, writer: Writer, clock: Clock, *, report: Report | None = None) -> Outcome:
    """Fetch the journals since the last success.

    A pause that is longer than the journals reach is told in the outcome's notes. Raises `UsageError` where nothing was synced
    yet, and what the gateway said.
    """
    run = Run(gateway, Pen(writer), clock, report)
    since = await run.pen.call(run.pen.store.cursor, JOURNALS_CURSOR)
    if since is None:
        raise UsageError("Nothing was synced yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")
    async with closing(run):
        await run.begin("recent")
        await _fetch(gateway, run, int(since))
        await run.end("complete")
    return run.outcome()


async def _fetch(gateway: GreenApi, run: Run, since: int) -> None:
    run.tell()
    state = await ensure_working(gateway, run.clock)
    for payload in (state, *await ensure_same_account(gateway, run.pen)):
        await run.pen.receive(payload)
    began = run.now
    minutes = _window(run, began - since)
    await run.enter("journals")
    chats: set[str] = set()
    async with anyio.create_task_group() as tasks:
        for fetch in (
            gateway.last_incoming_messages,
            gateway.last_outgoing_messages,
            gateway.last_incoming_calls,
            gateway.last_outgoing_calls,
        ):
            tasks.start_soon(_receive, fetch, minutes, run, chats)
    run.counters.plan(len(chats), len(chats))
    await run.pen.call(run.pen.store.mark_chat, Mark(began, cursors={JOURNALS_CURSOR: str(began)}))


def _window(run: Run, seconds: int) -> int:
    minutes = max(seconds, 0) // 60 + 1 + OVERLAP_MINUTES
    if minutes <= WINDOW_MINUTES:
        return minutes
    days = seconds // 86_400
    run.notes.append(
        f"The last sync was {days} days ago, and the journals reach {WINDOW_MINUTES // 1440} days back: "
        "`whatsapp-mcp sync full` fetches what lies between."
    )
    return WINDOW_MINUTES


async def _receive(fetch: Callable[[int], Awaitable[Payload]], minutes: int, run: Run, chats: set[str]) -> None:
    applied = await run.pen.receive(await fetch(minutes))
    run.counters.received(applied.items, applied.messages)
    chats.update(record.chat for record in applied.records if isinstance(record, Message))
