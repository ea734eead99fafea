"""What is new since the last success: the journals cover all chats at once, so a run costs a handful of requests.

The window reaches from the last success to now, with an overlap: a journal is up to two minutes behind, and edits and delivery
states arrive later than their message (Green API docs, LastIncomingMessages). The position moves on only when both journals of
messages were stored whole, so a run that fails in between is simply repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, RequestRefused, UnreadableAnswer, UsageError
from whatsapp_mcp.records import Message
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.discovery import MESSAGE_JOURNALS, WINDOW_MINUTES, damaged_note
from whatsapp_mcp.sync.full import JOURNALS_CURSOR
from whatsapp_mcp.sync.instance import concerns_one_method, done_without, ensure_same_account, ensure_working
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


def nothing_synced() -> UsageError:
    """What to say where there is no position to go on from."""
    return UsageError("Nothing was synced yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")


async def sync_recent(gateway: GreenApi, writer: Writer, clock: Clock, *, report: Report | None = None) -> Outcome:
    """Fetch the journals since the last success.

    A pause that is longer than the journals reach is told in the outcome's notes, and so is a journal that could not be had or
    read; the run is then ``partial``. Raises `UsageError` where nothing was synced yet, and what the gateway said.
    """
    run = Run(gateway, Pen(writer), clock, report)
    since = await run.pen.call(run.pen.store.cursor, JOURNALS_CURSOR)
    if since is None:
        raise nothing_synced()
    async with closing(run):
        await run.begin("recent")
        await _fetch(gateway, run, int(since))
        await run.end_as_it_went()
    return run.outcome()


async def _fetch(gateway: GreenApi, run: Run, since: int) -> None:
    run.tell()
    state = await ensure_working(gateway, run.clock)
    for payload in (state, *await ensure_same_account(gateway, run.pen)):
        await run.pen.receive(payload)
    began = run.now
    minutes = _window(run, began - since)
    await run.enter("journals")
    journals = _Journals(gateway, run, minutes)
    await journals.receive_all()
    run.counters.plan(len(journals.chats), len(journals.chats))
    if not journals.are_lost:
        await run.pen.call(run.pen.store.mark_chat, Mark(began, cursors={JOURNALS_CURSOR: str(began)}))


def _window(run: Run, seconds: int) -> int:
    minutes = max(seconds, 0) // 60 + 1 + OVERLAP_MINUTES
    if minutes <= WINDOW_MINUTES:
        return minutes
    days = seconds // 86_400
    run.note(
        f"The last sync was {days} days ago, and the journals reach {WINDOW_MINUTES // 1440} days back: "
        "`whatsapp-mcp sync full` fetches what lies between.",
        missing=True,
    )
    return WINDOW_MINUTES


class _Journals:
    """The four journals of one run."""

    def __init__(self, gateway: GreenApi, run: Run, minutes: int) -> None:
        self._gateway = gateway
        self._run = run
        self._minutes = minutes
        self.chats: set[str] = set()
        self.are_lost = False
        self._denied: dict[str, GatewayError] = {}

    async def receive_all(self) -> None:
        """Fetch all; raises when no journal of messages can be had at all."""
        gateway = self._gateway
        async with anyio.create_task_group() as tasks:
            for name, fetch in (
                ("lastIncomingMessages", gateway.last_incoming_messages),
                ("lastOutgoingMessages", gateway.last_outgoing_messages),
                ("lastIncomingCalls", gateway.last_incoming_calls),
                ("lastOutgoingCalls", gateway.last_outgoing_calls),
            ):
                tasks.start_soon(self._receive, name, fetch)
        if all(name in self._denied for name in MESSAGE_JOURNALS):
            raise self._denied[MESSAGE_JOURNALS[0]]

    async def _receive(self, name: str, fetch: Callable[[int], Awaitable[Payload]]) -> None:
        try:
            payload = await fetch(self._minutes)
        except GatewayError as error:
            await self._do_without(name, error)
            return
        applied = await self._run.pen.receive(payload)
        self._run.counters.received(applied.items, applied.messages)
        self.chats.update(record.chat for record in applied.records if isinstance(record, Message))
        if payload.damaged:
            self.are_lost = True
            self._run.note(damaged_note(name), missing=True)

    async def _do_without(self, name: str, error: GatewayError) -> None:
        of_messages = name in MESSAGE_JOURNALS
        not_told = not of_messages and isinstance(error, RequestRefused | UnreadableAnswer)
        if not not_told and not await concerns_one_method(self._gateway, error):
            raise error
        self._denied[name] = error
        self.are_lost = self.are_lost or of_messages
        self._run.note(done_without(name, error), missing=of_messages)
