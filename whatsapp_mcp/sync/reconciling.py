"""Histories of chosen chats: each asked for no further back than needed, and stored with what it proves.

There is no paging, so a history is asked for by a small count first, and by larger ones until the answer meets a message that
was known from before the time in question: what lies between is then whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, RateLimited, RequestRefused, Unreachable, UnreadableAnswer
from whatsapp_mcp.normalise import normalise
from whatsapp_mcp.records import Message
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.coverage import is_cut
from whatsapp_mcp.sync.history import Expected, Histories, History
from whatsapp_mcp.sync.instance import concerns_one_method, does_work, done_without
from whatsapp_mcp.sync.marking import partial_mark, whole_mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.ingest import Applied
    from whatsapp_mcp.sync.running import Run

_CONCERN_ONE_CHAT: Final = (RequestRefused, Unreachable, RateLimited, UnreadableAnswer)
_CONCERN_THE_NETWORK: Final = (Unreachable, RateLimited)
_IN_A_ROW: Final = 3
_WORKERS: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """A chat whose history is to be asked for."""

    chat: str
    """The id under which the archive keeps it."""
    before: int | None = None
    """Ask until the answer meets a message known from before this moment (unix seconds); None for the whole history."""
    asked_as: str = ""
    """The id under which the gateway lists it, where it is another."""


class Reconciliation:
    """Asks for histories and counts what they brought."""

    def __init__(self, gateway: GreenApi, run: Run, counts: Iterable[int], *, told_until: int = 0) -> None:
        """Ask by these counts, one after the other, before asking for everything.

        Until `told_until` (unix seconds) something else told of all chats: what a history adds to that was missed.
        """
        self._gateway = gateway
        self._run = run
        self._counts = (*counts, None)
        self._by_count: dict[int | None, Histories] = {}
        self._told_until = told_until
        self._active: set[str] = set()
        self._counted: set[str] = set()
        self._planned: set[str] = set()
        self._quiet = 0
        self._failed_in_a_row = 0
        self._stopped_by: GatewayError | None = None
        self.asked: set[str] = set()
        """The chats whose histories were had."""
        self.tried: set[str] = set()
        """Those and the ones that failed."""
        self.missed: Counter[str] = Counter()
        """How many messages each chat's history brought that should have been known."""
        self.is_denied = False
        """The gateway gives no histories any more, while the instance works."""

    def count_in(self, chats: Iterable[str]) -> None:
        """Chats of which something new came already: done as far as the run's counters go, and anything but quiet."""
        self._active.update(chats)
        self._counted.update(chats)
        self._run.counters.plan(len(self._counted), len(self._counted))

    def plan(self, chats: Iterable[str]) -> None:
        """Chats that will be asked."""
        self._planned.update(chats)
        self._run.counters.plan(len(self._planned), 0)

    async def ask_all(self, wanted: Iterable[Wanted], *, until_quiet: int | None = None) -> None:
        """Ask for all, in their order; no further when `until_quiet` chats in a row brought nothing new.

        A chat that alone fails is noted as a failure of the run; raises what concerns the whole instance, and notes where the
        plan gives no more histories.
        """
        if self.is_denied:
            return
        self._quiet = 0
        waiting = iter(wanted)
        async with anyio.create_task_group() as tasks:
            for _ in range(_WORKERS if until_quiet is None else 1):
                tasks.start_soon(self._work, waiting, until_quiet)
        if self._stopped_by is None:
            return
        if not await concerns_one_method(self._gateway, self._stopped_by):
            raise self._stopped_by
        self.is_denied = True
        self._run.note(done_without("getChatHistory", self._stopped_by), missing=True)

    async def _work(self, waiting: Iterator[Wanted], until_quiet: int | None) -> None:
        for wanted in waiting:
            if self._stopped_by is not None:
                return
            self._count(wanted.chat)
            self.tried.add(wanted.chat)
            try:
                new = await self._ask(wanted)
            except GatewayError as error:
                await self._fail(wanted.chat, error)
            else:
                self._failed_in_a_row = 0
                self._done(wanted.chat, new)
            await self._run.moved(wanted.chat)
            if until_quiet is not None and self._quiet >= until_quiet:
                return

    def _count(self, chat: str) -> None:
        if chat in self._counted:
            self._run.counters.chats_done -= 1
        elif chat not in self._planned:
            self._counted.add(chat)
            self._run.counters.chats_total += 1

    def _done(self, chat: str, new: int) -> None:
        self._run.counters.done()
        self.asked.add(chat)
        if new:
            self._quiet = 0
        elif chat not in self._active:
            self._quiet += 1

    async def _ask(self, wanted: Wanted) -> int:
        new = 0
        for count in self._counts if wanted.before is not None else (None,):
            history = await self._fetch(wanted, count)
            is_whole = count is None or not is_cut(history.length, history.asked)
            is_enough = is_whole or await self._meets(wanted, history)
            mark = await (whole_mark if is_whole else partial_mark)(self._run, wanted.chat, history)
            with anyio.CancelScope(shield=True):  # a plan may allow 300 histories a month: none is fetched for nothing
                applied = await self._run.pen.receive(history.payload, mark)
            self._run.counters.received(applied.items, applied.messages)
            new += applied.messages
            self.missed[wanted.chat] += max(0, applied.messages - self._news_in(applied))
            if is_enough:
                break
        return new

    def _news_in(self, applied: Applied) -> int:
        return sum(isinstance(record, Message) and record.sent_at > self._told_until for record in applied.records)

    async def _fetch(self, wanted: Wanted, count: int | None) -> History:
        if count not in self._by_count:
            self._by_count[count] = Histories(self._gateway, self._run.clock, depth=count)
        has_messages = await self._run.pen.call(self._run.pen.store.gaps.is_told, wanted.chat)
        expected = Expected.MESSAGES if has_messages else Expected.PERHAPS
        return await self._by_count[count].fetch(wanted.asked_as or wanted.chat, expected)

    async def _meets(self, wanted: Wanted, history: History) -> bool:
        """Whether the answer reaches back to what was known; asked before it is stored, when all of it is known."""
        if history.payload.damaged or wanted.before is None:
            return False
        records = await anyio.to_thread.run_sync(normalise, history.payload)
        ids = [record.id for record in records if isinstance(record, Message)]
        return await self._run.pen.call(self._run.pen.store.gaps.knows_any, wanted.chat, ids, wanted.before)

    async def _fail(self, chat: str, error: GatewayError) -> None:
        if isinstance(error, _CONCERN_THE_NETWORK):
            self._failed_in_a_row = 0 if await does_work(self._gateway) else self._failed_in_a_row + 1
        if not isinstance(error, _CONCERN_ONE_CHAT) or self._failed_in_a_row >= _IN_A_ROW:
            self._stopped_by = self._stopped_by or error
            return
        self._run.fail(chat, error)
        mark = Mark(self._run.now, chat, "failed", error=str(error))
        await self._run.pen.call(self._run.pen.store.mark_chat, mark)
