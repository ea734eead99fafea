"""One chat, now: its history, and who is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import (
    GatewayError,
    NotFound,
    RateLimited,
    RequestRefused,
    Unreachable,
    UnreadableAnswer,
    UsageError,
)
from whatsapp_mcp.normalise.stories import CHAT as STATUSES
from whatsapp_mcp.normalise.values import identity
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.history import Expected, Histories, History
from whatsapp_mcp.sync.instance import concerns_one_method, done_without, ensure_same_account, ensure_working
from whatsapp_mcp.sync.marking import partial_mark, whole_mark
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer


_SHORTEST_NUMBER: Final = 7
_LONGEST_NUMBER: Final = 15
"""Digits of a phone number with its country code (E.164)."""


def chat_named(text: str) -> str | None:
    """The chat that `text` means by itself: WhatsApp's id in any spelling, or a phone number; None for anything else."""
    text = text.strip()
    if text.endswith(("@c.us", "@s.whatsapp.net", "@g.us", "@lid")):
        return identity(text) or None
    number = text.lstrip("+").translate(str.maketrans("", "", " -()."))
    is_number = number.isascii() and number.isdigit() and _SHORTEST_NUMBER <= len(number) <= _LONGEST_NUMBER
    return f"{number}@c.us" if is_number else None


async def sync_chat(
    gateway: GreenApi, writer: Writer, clock: Clock, chat: str, *, depth: int | None = None, report: Report | None = None
) -> Outcome:
    """Fetch the history of `chat` (WhatsApp's id), or its newest `depth` records, and what is known of its people.

    A `depth` that the history exceeds says nothing about the whole, so the chat's state then stays as it was. Raises `NotFound`
    for a chat of which neither the archive nor the gateway knows anything, and what the gateway said, also when it concerns
    this chat only. Raises `UsageError` for the chat of statuses (stories), which has no history.
    """
    if identity(chat) == STATUSES:
        raise UsageError("Statuses have no history.", advice="With WHATSAPP_MCP_STATUSES=yes each sync reads them.")
    run = Run(gateway, Pen(writer), clock, report)
    async with closing(run):
        await run.begin("chat")
        run.counters.plan(1, 0)
        run.tell()
        await _check(gateway, run)
        await run.enter("histories")
        asked = identity(chat) or chat
        await _store_history(gateway, run, asked, depth)
        await _fetch_people(gateway, run, asked)
        await run.end_as_it_went()
    return run.outcome()


async def _check(gateway: GreenApi, run: Run) -> None:
    state = await ensure_working(gateway, run.clock)
    for payload in (state, *await ensure_same_account(gateway, run.pen)):
        await run.pen.receive(payload)


async def _fetch_people(gateway: GreenApi, run: Run, chat: str) -> None:
    """After the history: a mistyped number leaves no trace, and a stored history is not lost for the people's sake."""
    fetch = gateway.get_group_data if chat.endswith("@g.us") else gateway.get_contact_info
    try:
        payload = await fetch(chat)
    except GatewayError as error:
        concerns_people = isinstance(error, RequestRefused | UnreadableAnswer | Unreachable | RateLimited)
        if not concerns_people and not await concerns_one_method(gateway, error):
            raise
        run.note(done_without("getGroupData" if chat.endswith("@g.us") else "getContactInfo", error))
    else:
        await run.pen.receive(payload)


async def _store_history(gateway: GreenApi, run: Run, chat: str, depth: int | None) -> None:
    history = await _fetch_history(gateway, run, chat, depth)
    mark = await _mark(run, chat, history, depth)
    applied = await run.pen.receive(history.payload, mark)
    run.counters.received(applied.items, applied.messages)
    run.counters.done()
    await run.moved(chat)


async def _fetch_history(gateway: GreenApi, run: Run, chat: str, depth: int | None) -> History:
    store = run.pen.store
    known = await run.pen.call(store.known_chats)
    has_messages = known.get(await run.pen.call(store.canonical, chat))
    expected = Expected.MESSAGES if has_messages else Expected.PERHAPS
    try:
        history = await Histories(gateway, run.clock, depth=depth).fetch(chat, expected)
    except (RequestRefused, UnreadableAnswer) as error:
        if has_messages is None and isinstance(error, RequestRefused) and "not found" in error.what.lower():
            raise _nobody_knows_it() from None
        if has_messages is not None:
            await run.pen.call(store.mark_chat, Mark(run.now, chat, "failed", error=str(error)))
        raise
    if has_messages is None and not history.length:
        raise _nobody_knows_it()
    return history


def _nobody_knows_it() -> NotFound:
    return NotFound(
        "Neither the archive nor Green API knows a chat under that id.",
        advice="Give the phone number with its country code; `whatsapp-mcp chats` lists what is known.",
    )


async def _mark(run: Run, chat: str, history: History, depth: int | None) -> Mark:
    """What the history says of the chat's state: nothing of the whole where it is as long as was asked for."""
    is_partial = depth is not None and history.length >= depth
    return await (partial_mark if is_partial else whole_mark)(run, chat, history)
