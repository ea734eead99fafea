"""What is new since the last success: the journals cover all chats at once, so a run costs five requests.

1. The instance says that it works and whose account it is, and the four journals come, all side by side. The window reaches
   from the last success to now, with an overlap: a journal is up to two minutes behind, and edits and delivery states arrive
   later than their message (Green API docs, LastIncomingMessages).
2. Only the chats that need it are asked for their histories: those of which a journal kept something back, those new to us,
   those with a hole; all of them after a pause longer than the journals reach, or without journals.
3. Single messages that others refer to are asked for one by one (`repair`).

No jump of a clock loses anything. The position is the time at which the journals were asked, by this computer's clock and, in
a cursor beside it, by the gateway's own, which its answers carry. A clock that ran ahead leaves a position in the future, which
proves nothing: the widest window is asked for. A clock that fell behind makes the window too short by our own reckoning, and
the gateway's clock then says how wide it must be. A window is never narrower than either clock wants.

The position moves on only when both journals of messages were stored, so a run that fails in between is simply repeated.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, Unreachable, UsageError
from whatsapp_mcp.store import Mark, Span
from whatsapp_mcp.sync.discovery import WINDOW_MINUTES, damaged_note
from whatsapp_mcp.sync.extras import RECENT_FILES_SECONDS, fetch_extras, fetch_files, make_meanings
from whatsapp_mcp.sync.instance import done_without, ensure_ready
from whatsapp_mcp.sync.journals import Journal, Judgement, anchor, ask, ensure_expected, journals_for, judge, proven, receive
from whatsapp_mcp.sync.needs import Filled, Needs
from whatsapp_mcp.sync.position import JOURNALS_CURSOR, OUTAGE_CURSOR, Outage, Position, beyond_doubt, position_of
from whatsapp_mcp.sync.repair import repair
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

OVERLAP_MINUTES: Final = 10


def nothing_synced() -> UsageError:
    """What to say where there is no position to go on from."""
    return UsageError("Nothing was synced yet.", advice="Begin with a full sync: `whatsapp-mcp sync full`.")


async def sync_recent(gateway: GreenApi, writer: Writer, clock: Clock, *, report: Report | None = None) -> Outcome:
    """Fetch what is new since the last success, and what is found to be missing on the way.

    The run is ``complete`` when nothing is known to be missing, however it was fetched; the notes tell what was unusual. Raises
    `UsageError` where nothing was synced yet, and what the gateway said where it concerns the whole instance.
    """
    run = Run(gateway, Pen(writer), clock, report)
    since = await run.pen.call(run.pen.store.cursor, JOURNALS_CURSOR)
    if since is None:
        raise nothing_synced()
    async with closing(run):
        await run.begin("recent")
        await _CatchUp(gateway, run, await run.pen.call(position_of, run.pen.store)).go()
        await fetch_extras(gateway, run)
        await run.end_as_it_went()
    await fetch_files(gateway, run, RECENT_FILES_SECONDS)
    await make_meanings(run)
    return run.outcome()


class _CatchUp:
    """One run."""

    def __init__(self, gateway: GreenApi, run: Run, since: Position) -> None:
        self._gateway = gateway
        self._run = run
        self._since = since
        self._began = run.now
        self._elapsed = run.now - since.ours
        """Seconds since the last success; less than nothing where the clock went back."""
        self._there = self._began + since.ahead
        """The gateway's time, by which its windows and the messages' own times go."""
        self._was_set_back = False
        self._said: Payload | None = None
        self._doubt: GatewayError | None = None

    async def go(self) -> None:
        self._run.tell()
        journals = journals_for(self._gateway, _window(self._elapsed))
        await self._fetch(journals)
        chats = await receive(self._run, journals)
        await ensure_expected(self._gateway, journals)
        judgements = await self._judge(journals)
        self._tell(journals, judgements)
        await self._run.enter("histories")
        absent = [chat for judged in judgements.values() for chat, _ in judged.absent]
        needs = Needs(self._gateway, self._run, self._there - _window(self._elapsed) * 60, chats, absent, self._was_set_back)
        are_cut = any(judged.is_cut for judged in judgements.values())
        filled = await needs.meet(are_cut=are_cut, outage=self._outage)
        if not (filled.journals and filled.outage):
            self._give_up_or_tell(journals, judgements)
        await self._move_on(journals, judgements, filled)
        if found := await repair(self._gateway, self._run):
            self._run.note(f"{found} messages that others refer to were missing, and are here now.")

    @property
    def _is_too_long(self) -> bool:
        return self._elapsed > (WINDOW_MINUTES - OVERLAP_MINUTES) * 60

    @property
    def _outage(self) -> Outage | None:
        """What the journals do not reach over: this pause, and an earlier one of which not all histories told yet."""
        earlier = self._since.outage
        if self._is_too_long and self._was_set_back and self._since.theirs is not None:
            return self._since.theirs, self._there - WINDOW_MINUTES * 60
        if not self._is_too_long:
            return earlier
        return min((self._since.ours, *(earlier or ()))), self._began - WINDOW_MINUTES * 60

    async def _fetch(self, journals: list[Journal]) -> None:
        pen = self._run.pen
        await self._anchor(journals)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask_settings)
            tasks.start_soon(ask, journals)
        if isinstance(self._doubt, Unreachable) and all(journal.error for journal in journals):
            raise self._doubt
        for payload in await ensure_ready(self._gateway, pen, self._run.clock, self._said):
            await pen.receive(payload)
        self._widen(journals)
        await self._set_clock(journals)
        await ask(journals)

    async def _anchor(self, journals: list[Journal]) -> None:
        noticed = frozenset(self._since.noticed)
        await self._run.pen.call(anchor, self._run.pen.store, journals, self._there, noticed)

    async def _set_clock(self, journals: list[Journal]) -> None:
        """Where the gateway's clock is not as far from ours as the last time, its windows began elsewhere than expected."""
        there = self._began + beyond_doubt(self._gateway.gateway_ahead or 0)
        if not beyond_doubt(there - self._there):
            return
        self._there = there
        asked = {journal.name: journal.minutes for journal in journals}
        await self._anchor(journals)
        for journal in journals:
            if journal.minutes > asked[journal.name]:
                journal.payload = None

    async def _ask_settings(self) -> None:
        try:
            self._said = await self._gateway.get_wa_settings()
        except GatewayError as error:
            self._doubt = error

    def _widen(self, journals: list[Journal]) -> None:
        """Ask again for more where the gateway's clock saw more time pass than ours."""
        behind = self._since.lost_since(self._began, self._gateway.gateway_ahead)
        if behind <= 0:
            return
        self._elapsed = max(self._elapsed, 0) + behind
        self._was_set_back = True
        for journal in journals:
            if journal.minutes < _window(self._elapsed):
                journal.minutes, journal.payload = _window(self._elapsed), None
        self._run.note("This computer's clock was set back since the last sync: the gateway's clock was believed.")

    async def _judge(self, journals: list[Journal]) -> dict[str, Judgement]:
        """The judgements of the journals of messages; whatever is absent is remembered, since it may never come."""

        def work(store: Store) -> dict[str, Judgement]:
            noticed = frozenset(self._since.noticed)
            since = self._since.ours + self._there - self._began
            return {
                journal.name: judge(journal, store.canonical, noticed, since=since, now=self._there)
                for journal in _of_messages(journals)
            }

        return await self._run.pen.call(work, self._run.pen.store)

    def _give_up_or_tell(self, journals: list[Journal], judgements: dict[str, Judgement]) -> None:
        errors = [journal.error for journal in _of_messages(journals)]
        if errors[0] is not None and all(errors) and not self._run.counters.chats_done:
            raise errors[0]
        self._tell(journals, judgements, is_missing=True)

    def _tell(self, journals: list[Journal], judgements: dict[str, Judgement], *, is_missing: bool = False) -> None:
        for journal in journals:
            if journal.error is not None:
                self._run.note(done_without(journal.name, journal.error), missing=journal.of_messages and is_missing)
            elif journal.payload is not None and journal.payload.damaged:
                self._run.note(damaged_note(journal.name), missing=journal.of_messages)
        for name, judged in judgements.items():
            if judged.absent or judged.is_cut:
                self._run.note(f"{name} did not tell everything; histories were asked for what it kept back.")

    async def _move_on(self, journals: list[Journal], judgements: dict[str, Judgement], filled: Filled) -> None:
        """The position moves on where nothing is lost by it: the journals came whole, or histories told what they did not.

        An outage that is not filled yet is remembered beside it, so that the histories that were had need not be had again.
        """
        of_messages = _of_messages(journals)
        is_whole = not any(judged.is_cut or judged.is_patchy for judged in judgements.values())
        is_damaged = any(journal.payload is not None and journal.payload.damaged for journal in of_messages)
        if is_damaged or not filled.journals or (self._was_set_back and not filled.outage):
            return
        position = Position.now(self._began, self._gateway.gateway_ahead)
        absent = [key for judged in judgements.values() for key in judged.absent]
        covered = (Span("journal", *proven(journals, min(self._began, self._there))),) if is_whole else ()
        outage = "" if filled.outage else json.dumps(self._outage)
        cursors = position.cursors(self._since.noticed, absent) | {OUTAGE_CURSOR: outage}
        mark = Mark(self._run.now, cursors=cursors, covered=covered)
        await self._run.pen.call(self._run.pen.store.mark_chat, mark)


def _window(elapsed: int) -> int:
    """Minutes to ask for when so many seconds passed; a clock that went back says nothing."""
    return WINDOW_MINUTES if elapsed < 0 else min(elapsed // 60 + 1 + OVERLAP_MINUTES, WINDOW_MINUTES)


def _of_messages(journals: list[Journal]) -> list[Journal]:
    return [journal for journal in journals if journal.of_messages]
