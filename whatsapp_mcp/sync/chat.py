"""One chat, now: its history, and who is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from whatsapp_mcp.errors import RequestRefused, UnreadableAnswer
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.full import CAP_CURSOR
from whatsapp_mcp.sync.history import Histories, History
from whatsapp_mcp.sync.instance import ensure_same_account, ensure_working
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer


async def sync_chat(
    gateway: GreenApi, writer: Writer, clock: Clock, chat: str, *, depth: int | None = None, report: Report | None = None
) -> Outcome:
    """Fetch the history of `chat` (WhatsApp's id), or its newest `depth` records, and what is known of its people.

    A `depth` that the history exceeds says nothing about the whole, so the chat's state then stays as it was. Raises what the
    gateway said, also when it concerns this chat only.
    """
    run = Run(gateway, Pen(writer), clock, report)
    async with closing(run):
        await run.begin("chat")
        run.counters.plan(1, 0)
        run.tell()
        await _check(gateway, run)
        await run.enter("histories")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_fetch_people, gateway, run, chat)
            tasks.start_soon(_fetch_history, gateway, run, chat, depth)
        await run.end("complete")
    return run.outcome()


async def _check(gateway: GreenApi, run: Run) -> None:
    state = await ensure_working(gateway, run.clock)
    for payload in (state, *await ensure_same_account(gateway, run.pen)):
        await run.pen.receive(payload)


async def _fetch_people(gateway: GreenApi, run: Run, chat: str) -> None:
    fetch = gateway.get_group_data if chat.endswith("@g.us") else gateway.get_contact_info
    try:
        payload = await fetch(chat)
    except (RequestRefused, UnreadableAnswer) as error:
        run.notes.append(error.what)
    else:
        await run.pen.receive(payload)


async def _fetch_history(gateway: GreenApi, run: Run, chat: str, depth: int | None) -> None:
    history = await Histories(gateway, depth=depth).fetch(chat)
    mark = await _mark(run, chat, history, depth)
    applied = await run.pen.receive(history.payload, mark)
    run.counters.received(applied.items, applied.messages)
    run.counters.done()
    await run.moved(chat)


async def _mark(run: Run, chat: str, history: History, depth: int | None) -> Mark | None:
    """What the history says of the chat's state; nothing when it is empty, so that a mistyped id makes no chat."""
    if not history.length or (depth is not None and history.length >= depth):
        return None
    # The whole account was seen to be cut at some length: one chat alone could not show it.
    known_cap = await run.pen.call(run.pen.store.cursor, CAP_CURSOR)
    cut = history.why_incomplete or known_cap == str(history.length)
    if cut:
        run.truncated.add(chat)
    return Mark(run.now, chat, "truncated" if cut else "complete", None, history.length)
