"""The full sync: every chat of the account, each history asked for once, and nothing lost when it stops in between.

1. The instance works, and it is the account that the archive belongs to.
2. All lists and journals are asked side by side; what they name is planned as the chats of this run.
3. Histories, the most active chat first, several under way at once; a group's members are fetched with its history. Each
   history is committed in one transaction with its mark: the checkpoint. A chat that fails is marked, and the rest goes on.
4. The lengths of all histories together show whether the gateway cuts them silently.

The methods' own paces make a run as long as its slowest method; nothing here waits by itself.
"""

from __future__ import annotations

import json
from collections import deque
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, RateLimited, RequestRefused, StorageError, Unreachable, UnreadableAnswer
from whatsapp_mcp.store import Mark, Span
from whatsapp_mcp.store.gaps import LAG
from whatsapp_mcp.sync.coverage import silent_cap, silent_caps
from whatsapp_mcp.sync.discovery import WINDOW_MINUTES, Discovery, discover
from whatsapp_mcp.sync.extras import FULL_FILES_SECONDS, fetch_extras, fetch_files, make_meanings
from whatsapp_mcp.sync.history import Expected, Histories, History
from whatsapp_mcp.sync.instance import concerns_one_method, does_work, done_without, ensure_same_account, ensure_working
from whatsapp_mcp.sync.marking import CAP_CURSOR, covered_by, why_unjoined
from whatsapp_mcp.sync.position import JOURNALS_CURSOR, Position, beyond_doubt
from whatsapp_mcp.sync.running import Run, closing
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

_CONCERN_ONE_CHAT: Final = (RequestRefused, Unreachable, RateLimited, UnreadableAnswer)
_CONCERN_THE_NETWORK: Final = (Unreachable, RateLimited)
_IN_A_ROW: Final = 3
"""So many chats failing one after the other while the instance does not answer either mean that the network is gone: the rest
is left for a resume."""
_WINDOW_SECONDS: Final = (WINDOW_MINUTES - 60) * 60
"""What a chat said since is in the journals that each start of a run asks; an hour less, since they are late."""
_WORTH_COMPACTING: Final = 1_000
"""New messages from which on it pays to copy the database once."""
_WORKERS: Final = 8
_MORE_WORKERS: Final = 48
"""Histories that are fetched or wait for the disk; at high rates more, so that a large one being stored holds up nobody."""
_CHATLESS_CURSOR: Final = "full_sync_without_chat"
_SAVE_CHATLESS_EVERY: Final = 25


async def full_sync(
    gateway: GreenApi, writer: Writer, clock: Clock, *, restart: bool = False, report: Report | None = None
) -> Outcome:
    """Sync the whole account: continues an unfinished run, or else sweeps all chats; `restart` forgets the progress first.

    `report` is called with each `Progress`, on the event loop, so it must be quick. Raises the errors that concern the whole
    instance (credentials, quota, not linked, expired) and `StorageError`; the run can then be resumed.
    """
    run = Run(gateway, Pen(writer), clock, report)
    async with closing(run):
        unfinished = await run.pen.call(run.pen.store.unfinished_run, "full")
        if unfinished is None:
            await run.begin("full")
        else:
            await run.resume(unfinished)
        await _check(gateway, run)
        if restart:
            await _begin_anew(run, resumed=unfinished is not None)
        await _Sweep(gateway, run).go()
    await fetch_files(gateway, run, FULL_FILES_SECONDS)
    await make_meanings(run)
    return run.outcome()


async def _check(gateway: GreenApi, run: Run) -> None:
    run.tell()
    state = await ensure_working(gateway, run.clock)
    for payload in (state, *await ensure_same_account(gateway, run.pen)):
        await run.pen.receive(payload)


async def _begin_anew(run: Run, *, resumed: bool) -> None:
    """Only now that the checks passed is the progress forgotten: a wrong token must not cost a long run."""
    await run.pen.call(run.pen.store.restart, keep=None if resumed else run.run_id)
    if resumed:
        await run.begin("full")


class _Sweep:
    """One process's share of a full run."""

    def __init__(self, gateway: GreenApi, run: Run) -> None:
        self._gateway = gateway
        self._run = run
        self._pen = run.pen
        self._histories = Histories(gateway, run.clock)
        self._found = Discovery((), (), {})
        self._began = run.now
        self._lengths: dict[str, int] = {}
        self._waiting: deque[str] = deque()
        self._maybe: frozenset[str] = frozenset()
        self._chatless: set[str] = set()
        self._failed_in_a_row = 0
        self._empty: list[str] = []
        self._members_refused = False
        self._stopped_by: GatewayError | None = None

    async def go(self) -> None:
        await self._run.enter("discovering")
        self._began = self._run.now
        self._found = await discover(self._gateway, self._pen, self._run.counters)
        for note in self._found.notes:
            self._run.note(note)
        for note in self._found.missing:
            self._run.note(note, missing=True)
        if not self._found.lost_journals and not self._found.silent_journals:
            await self._journals_are_stored()
        await self._plan()
        await self._run.enter("histories")
        await self._fetch_all()
        await self._run.enter("finishing")
        await self._ask_empty_ones_again()
        await self._finish()

    async def _journals_are_stored(self) -> None:
        position = Position.now(self._began, self._gateway.gateway_ahead)
        asked_at = self._began + min(beyond_doubt(self._gateway.gateway_ahead or 0), 0)
        covered = (Span("journal", asked_at - WINDOW_MINUTES * 60, asked_at - LAG),)
        mark = Mark(self._began, cursors=position.cursors(), covered=covered)
        await self._pen.call(self._pen.store.mark_chat, mark)

    async def _plan(self) -> None:
        """What is left of this run's chats, in the order of their activity, then the contacts that may have a chat."""
        store, run = self._pen.store, self._run
        await self._pen.call(store.plan_chats, run.run_id, self._found.chats)
        done_since = self._began - _WINDOW_SECONDS
        pending = set(await self._pen.call(store.pending_chats, run.run_id, done_since=done_since))
        planned = [chat for chat in self._found.chats if chat in pending]
        self._waiting.extend([*planned, *sorted(pending.difference(planned))])
        already = await self._pen.call(store.history_lengths, run.run_id)
        done = sum(chat not in pending for chat in {*already, *self._found.chats})
        self._chatless = await self._known_chatless()
        maybe = [chat for chat in self._found.contacts_only if chat not in self._chatless and chat not in already]
        self._maybe = frozenset(maybe)
        run.counters.plan(done + len(self._waiting) + len(maybe), done)
        self._waiting.extend(maybe)

    async def _known_chatless(self) -> set[str]:
        saved = await self._pen.call(self._pen.store.cursor, _CHATLESS_CURSOR)
        state = json.loads(saved) if saved else {}
        is_fresh = state.get("run") == self._run.run_id and state.get("at", 0) >= self._began - _WINDOW_SECONDS
        return set(state["contacts"]) if is_fresh else set()

    async def _fetch_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(_WORKERS + min(_MORE_WORKERS, int(self._gateway.rate_scale / 2))):
                tasks.start_soon(self._work)
        if self._stopped_by is not None:
            raise self._stopped_by

    async def _work(self) -> None:
        """Take chats until there are none, or one says that the rest is in vain; what is under way then is still stored."""
        while self._waiting and self._stopped_by is None:
            chat = self._waiting.popleft()
            try:
                history = await self._fetch(chat)
            except GatewayError as error:
                await self._fail(chat, error)
            else:
                self._failed_in_a_row = 0
                with anyio.CancelScope(shield=True):  # a plan may allow 300 histories a month: none is fetched for nothing
                    await self._take(chat, history)
            await self._run.moved(chat)

    async def _fetch(self, chat: str) -> History:
        asked = self._found.ask_as(chat)
        if asked.endswith("@g.us"):
            await self._fetch_group(asked)
        return await self._histories.fetch(asked, self._found.expected(chat))

    async def _fetch_group(self, group: str) -> None:
        """A group's members; those of a group that was left are not told, and that is no failure."""
        if self._members_refused:
            return
        try:
            payload = await self._gateway.get_group_data(group)
        except RequestRefused:
            return
        except GatewayError as error:
            if not isinstance(error, _CONCERN_ONE_CHAT):
                if not await concerns_one_method(self._gateway, error):
                    raise
                self._members_refused = True
            self._run.note(f"Members of groups are missing: {done_without('getGroupData', error)}")
            return
        await self._pen.receive(payload)

    async def _take(self, chat: str, history: History) -> None:
        if not history.length and chat in self._maybe:
            await self._note_chatless(chat)
            return
        if not history.length:
            self._empty.append(chat)
        await self._store(chat, history)
        self._run.counters.done()

    async def _ask_empty_ones_again(self) -> None:
        """A gateway that was caught withholding a history may have withheld those of chats that are only listed, too."""
        for chat in self._empty if self._histories.withheld else ():
            try:
                history = await self._histories.fetch(self._found.ask_as(chat), Expected.PERHAPS)
            except _CONCERN_ONE_CHAT as error:
                self._run.note(f"A history that was empty could not be asked for again: {error.what}", missing=True)
            else:
                await self._store(chat, history)

    async def _store(self, chat: str, history: History) -> None:
        why = history.why_incomplete or await why_unjoined(self._run, chat, history)
        progress = "truncated" if why else "complete"
        covered = covered_by(chat, history, "capped_history" if why else "history")
        mark = Mark(self._run.now, chat, progress, self._run.run_id, history.length, error=why or None, covered=covered)
        applied = await self._pen.receive(history.payload, mark)
        self._lengths[chat] = history.length
        self._run.counters.received(applied.items, applied.messages)
        if why:
            self._run.truncated.add(chat)
        if history.payload.damaged:
            self._run.damaged.add(chat)

    async def _note_chatless(self, chat: str) -> None:
        self._chatless.add(chat)
        self._run.counters.dropped()
        if len(self._chatless) % _SAVE_CHATLESS_EVERY == 0:
            state = json.dumps({"run": self._run.run_id, "at": self._began, "contacts": sorted(self._chatless)})
            await self._pen.call(self._pen.store.mark_chat, Mark(self._run.now, cursors={_CHATLESS_CURSOR: state}))

    async def _fail(self, chat: str, error: GatewayError) -> None:
        if isinstance(error, _CONCERN_THE_NETWORK):
            self._failed_in_a_row = 0 if await does_work(self._gateway) else self._failed_in_a_row + 1
        if not isinstance(error, _CONCERN_ONE_CHAT) or self._failed_in_a_row >= _IN_A_ROW:
            self._stopped_by = self._stopped_by or error
        if self._stopped_by is not None:
            return  # the chat stays pending
        if chat in self._maybe and isinstance(error, RequestRefused):
            await self._note_chatless(chat)  # the phone book's number has no chat, and no account perhaps
            return
        self._run.fail(chat, error)
        mark = Mark(self._run.now, chat, "failed", self._run.run_id)
        await self._pen.call(self._pen.store.mark_chat, mark, str(error))

    async def _finish(self) -> None:
        run, store = self._run, self._pen.store
        lengths = {**await self._pen.call(store.history_lengths, run.run_id), **self._lengths}
        failed = {failure.chat for failure in run.failures}
        lengths = {chat: length for chat, length in lengths.items() if chat not in failed}
        cut = silent_caps(lengths) - run.truncated
        await self._pen.call(self._mark_cut, silent_cap(lengths), {chat: lengths[chat] for chat in cut})
        run.truncated |= cut
        await self._doubt_silent_journals()
        await self._ensure_position()
        if run.counters.messages_new > _WORTH_COMPACTING:
            await self._compact()
        await fetch_extras(self._gateway, run)
        await run.end_as_it_went()

    async def _doubt_silent_journals(self) -> None:
        """A journal may be empty in a quiet month, but not when the histories hold messages of these days."""
        silent, since = self._found.silent_journals, self._began - _WINDOW_SECONDS
        doubted = [
            name
            for name in silent
            if await self._pen.call(self._pen.store.has_messages_since, since, from_me=name == "lastOutgoingMessages")
        ]
        for name in doubted:
            self._run.note(
                f"{name}: the gateway gave nothing, though there are messages of these days: `whatsapp-mcp doctor` looks at "
                "the settings of the instance.",
                missing=True,
            )
        if silent and not doubted and not self._found.lost_journals:
            await self._journals_are_stored()

    async def _ensure_position(self) -> None:
        """Without journals the histories told of everything up to the run's begin: the next recent sync can go on from there.

        It asks the journals as far back as they reach, because they may tell of chats that no list names.
        """
        store = self._pen.store
        if await self._pen.call(store.cursor, JOURNALS_CURSOR) is None:
            began = await self._pen.call(store.run_began, self._run.run_id)
            position = Position.now(began - _WINDOW_SECONDS, None)
            await self._pen.call(store.mark_chat, Mark(self._run.now, cursors=position.cursors()))

    async def _compact(self) -> None:
        try:
            await self._pen.call(self._pen.store.compact)
        except StorageError as error:  # everything is stored; a disk too full for a second copy only keeps the file larger
            self._run.note(f"The database was not compacted: {error.what}")

    def _mark_cut(self, cap: int | None, cut: dict[str, int]) -> None:
        store, run = self._pen.store, self._run
        why = f"Several chats have exactly {cap} messages: the gateway seems to give no more; older ones are missing."
        with store.transaction():
            store.mark_chat(Mark(run.now, cursors={CAP_CURSOR: str(cap or "")}))
            for chat, length in cut.items():
                store.mark_chat(Mark(run.now, chat, "truncated", run.run_id, length), why)
