"""Which chats must be asked for their histories after the journals came, and asking them.

Most runs ask nobody. Chats of which a journal kept a message back come first. Where a journal was cut, nobody knows what it
did not tell, so the chats are asked by the gateway's own order, the most recently active first, until many in a row bring
nothing new. After a pause that the journals do not reach over, every chat is asked. And then those that need it anyway: new
ones, those with a hole in what is known of them, and those whose history came shorter than before.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.errors import GatewayError
from whatsapp_mcp.normalise import normalise
from whatsapp_mcp.records import Chat
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.discovery import ASKABLE, CONCERNS_ONE_LIST, WINDOW_MINUTES, damaged_note
from whatsapp_mcp.sync.instance import concerns_one_method, done_without
from whatsapp_mcp.sync.reconciling import Reconciliation, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.store.gaps import ChatState
    from whatsapp_mcp.sync.position import Outage
    from whatsapp_mcp.sync.running import Run

COUNTS: Final = (100,)
QUIET_CHATS: Final = 15
"""So many chats in a row without anything new, in the order of their activity, and the rest has nothing new either."""
AT_ONCE: Final = 60
"""Histories of needy chats in one run: a minute."""
_TRIES: Final = 3
_WEEK: Final = 7 * 86_400
_SHRUNK_CURSOR: Final = "shrunk_histories"
"""The cursor that keeps for which length each shrunken history was asked again: that happens once at once, and then weekly."""


class Filled(NamedTuple):
    """Whether histories told what journals did not."""

    journals: bool
    """Of what they kept back within their window."""
    outage: bool
    """Of the time before it."""


@dataclass(slots=True)
class Needs:
    """The chats of one run that need more than the journals."""

    gateway: GreenApi
    run: Run
    before: int
    """Whatever was known before this moment (unix seconds) was known without a seam."""
    told: set[str]
    """The chats of which the journals brought something new."""
    absent: Sequence[str]
    """The chats of which a journal did not tell a message that it should have told."""
    was_set_back: bool = False
    """Our clock was set back over the outage, so that what was verified before it looks as if it were verified since."""

    async def meet(self, *, are_cut: bool, outage: Outage | None) -> Filled:
        """Ask whoever must be asked; returns what is known now of all that the journals did not tell.

        Raises what concerns the whole instance.
        """
        asking = Reconciliation(self.gateway, self.run, COUNTS)
        asking.count_in(self.told)
        must_list = are_cut or outage is not None
        listed = await listed_chats(self.gateway, self.run) if must_list else {}
        if outage is not None:
            await self._ask_everybody(asking, outage, listed)
        is_over = not asking.is_denied and listed is not None
        if self.absent or are_cut:
            states = await self._states()
            absent = [chat for chat in dict.fromkeys(self.absent) if chat not in asking.tried]
            await asking.ask_all(_wanted(chat, states, self.before) for chat in absent)
            if are_cut:
                await self._ask_by_activity(asking, states, listed)
        is_told = not (self.absent or are_cut) or (not asking.is_denied and listed is not None)
        await self._ask_the_needy(asking)
        return Filled(journals=is_told, outage=outage is None or is_over)

    async def _ask_everybody(self, asking: Reconciliation, outage: Outage, listed: Mapping[str, str] | None) -> None:
        """All chats but those whose histories tell of the whole outage: so a run that was stopped goes on."""
        states = await self._states()
        chats = [
            chat
            for chat in dict.fromkeys([*(listed or {}), *filter(ASKABLE.fullmatch, states)])
            if self.was_set_back or not (chat in states and states[chat].tells(*outage))
        ]
        start, end = outage
        reached = self.run.now - WINDOW_MINUTES * 60
        what = (
            f"The last sync was {(self.run.now - start) // 86_400} days ago, and the journals reach"
            f" {WINDOW_MINUTES // 1440} days back"
            if end >= reached
            else f"A pause of {(end - start) // 86_400} days that the journals did not reach over was not made up for yet"
        )
        self.run.note(f"{what}: the histories of {len(chats)} chats were asked for what lies between.")
        await asking.ask_all(_wanted(chat, states, start, listed) for chat in chats)

    async def _ask_by_activity(
        self, asking: Reconciliation, states: Mapping[str, ChatState], listed: Mapping[str, str] | None
    ) -> None:
        order = (
            chat for chat in (states if listed is None else listed) if ASKABLE.fullmatch(chat) and chat not in asking.tried
        )
        await asking.ask_all((_wanted(chat, states, self.before, listed) for chat in order), until_quiet=QUIET_CHATS)
        self.run.note(
            f"The most recently active chats were asked one by one, until {QUIET_CHATS} in a row had nothing new; the sweep"
            " looks at the rest."
        )

    async def _ask_the_needy(self, asking: Reconciliation) -> None:
        run = self.run
        wanted, shrunk = await run.pen.call(self._needy, run.pen.store, frozenset(asking.tried))
        await asking.ask_all(wanted[:AT_ONCE])
        asked = {chat: length for chat, length in shrunk.items() if chat in asking.asked}
        if asked:
            await run.pen.call(_remember_shrunk, run.pen.store, asked, run.now)
        if len(wanted) > AT_ONCE:
            left = len(wanted) - AT_ONCE
            run.note(f"{left} more chats wait for their histories; the next run goes on with them.", missing=True)

    async def _states(self) -> dict[str, ChatState]:
        return await self.run.pen.call(self.run.pen.store.gaps.chats, self.run.now)

    def _needy(self, store: Store, tried: frozenset[str]) -> tuple[list[Wanted], dict[str, int]]:
        holes = _holes(store.gaps.covered())
        remembered = json.loads(store.cursor(_SHRUNK_CURSOR) or "{}")
        wanted: list[Wanted] = []
        shrunk: dict[str, int] = {}
        for chat, state in store.gaps.chats(self.run.now).items():
            if chat in tried or not ASKABLE.fullmatch(chat):
                continue
            if not state.is_done:
                is_worth_it = chat in self.told or (state.message_count and state.errors < _TRIES)
                if is_worth_it and store.gaps.is_told(chat):
                    wanted.append(Wanted(chat))
            elif state.shrank and (remembered.get(chat) != state.last_length or state.whole_at <= self.run.now - _WEEK):
                wanted.append(Wanted(chat))
                shrunk[chat] = state.last_length
            elif has_hole(state, holes):
                wanted.append(Wanted(chat, state.verified_at))
        return wanted, shrunk


def _wanted(chat: str, states: Mapping[str, ChatState], before: int, listed: Mapping[str, str] | None = None) -> Wanted:
    """A chat that was never had is asked for as a whole."""
    is_known = chat in states and states[chat].is_done and states[chat].message_count > 0
    return Wanted(chat, before if is_known else None, (listed or {}).get(chat, ""))


def _holes(covered: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The times between those of which all chats at once were told; what comes after the last of them is not over yet."""
    return [(end, start) for (_, end), (start, _) in pairwise([(0, 0), *covered])]


def has_hole(state: ChatState, holes: Sequence[tuple[int, int]]) -> bool:
    """Whether a chat was active after a time that neither its history nor anything else tells of.

    Where nothing was heard of a chat since, a hole is the sweep's business.
    """
    begins = ((max(start, state.verified_at), end) for start, end in holes)
    return any(state.last_message_at > begin and not state.tells(begin, end) for begin, end in begins)


def _remember_shrunk(store: Store, asked: Mapping[str, int], now: int) -> None:
    states = store.gaps.chats(now)
    remembered = json.loads(store.cursor(_SHRUNK_CURSOR) or "{}") | asked
    kept = {chat: length for chat, length in remembered.items() if chat in states and states[chat].shrank}
    kept |= {chat: states[chat].last_length for chat in asked if chat in kept}
    store.mark_chat(Mark(now, cursors={_SHRUNK_CURSOR: json.dumps(kept)}))


async def listed_chats(gateway: GreenApi, run: Run) -> dict[str, str] | None:
    """The chats in the gateway's order, the most recently active first, with the ids under which it lists them.

    None, and a note, where the list alone cannot be had whole: an empty one means "not yet" where chats are known (Green API
    docs, GetContacts). Raises what concerns the whole instance.
    """
    try:
        payload = await gateway.get_chats()
    except GatewayError as error:
        if not isinstance(error, CONCERNS_ONE_LIST) and not await concerns_one_method(gateway, error):
            raise
        run.note(done_without("getChats", error), missing=True)
        return None
    await run.pen.receive(payload)
    ids = [record.id for record in normalise(payload) if isinstance(record, Chat) and ASKABLE.fullmatch(record.id)]
    if payload.damaged:
        run.note(damaged_note("getChats"), missing=True)
        return None
    if not ids and bool(await run.pen.call(run.pen.store.known_chats)):
        run.note("getChats: the gateway gave nothing, though there are chats.", missing=True)
        return None
    return await run.pen.call(lambda: dict(_named(ids, run.pen.store)))


def _named(ids: Sequence[str], store: Store) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for whatsapp_id in ids:
        chat = store.canonical(whatsapp_id)
        if chat not in seen:
            seen.add(chat)
            yield chat, whatsapp_id
