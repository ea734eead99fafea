"""The journals of one run: asked side by side, and judged, because a journal may be cut or full of holes and not say so.

Three signs show what a journal keeps back: a part that cannot be read; a length that is a round number, while its oldest item
does not reach back to the last success; and messages that the archive knows from within the window, and the journal does not
tell. One that tells none of these is mute, and nothing is proven by it. So that there is always such a message, the window of
each direction reaches back to the newest one that is known: a journal that tells of it, and of all the rest, joins what was
known without a seam.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, InstanceStarting, NotAuthorized, RequestRefused, UnreadableAnswer
from whatsapp_mcp.normalise import normalise
from whatsapp_mcp.records import Message
from whatsapp_mcp.store.gaps import LAG
from whatsapp_mcp.sync.discovery import WINDOW_MINUTES
from whatsapp_mcp.sync.instance import concerns_one_method

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.sync.running import Run

Key = tuple[str, str]
"""A message by its chat's and its own WhatsApp id."""

_ROUND: Final = 100
_EDGE: Final = 60
"""Seconds at the beginning of a window that may fall out of it on the way to the gateway."""
_TOO_FRESH: Final = 180
"""A message may be in the queue so many seconds before a journal tells of it, which is up to two minutes behind (docs)."""
_MOST_ABSENT: Final = 4
"""A journal loses single messages (Green API tracker #601, #1020), but one that lacks more than a quarter is no witness."""
_WELL_INSIDE: Final = 600
"""Seconds behind a window's beginning, at least, where it is not known since when there is news."""


@dataclass(slots=True)
class Journal:
    """One journal, what it should contain, and what came."""

    name: str
    fetch: Callable[[int], Awaitable[Payload]]
    minutes: int
    from_me: bool = False
    of_messages: bool = True
    known: Mapping[Key, int] = field(default_factory=dict)
    """Messages that it must tell of, with the times at which they were sent."""
    payload: Payload | None = None
    error: GatewayError | None = None

    @property
    def is_whole(self) -> bool:
        """It came, and could be read."""
        return self.payload is not None and not self.payload.damaged


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong with a journal that came."""

    absent: tuple[Key, ...] = ()
    """Messages that it must tell of and does not."""
    is_cut: bool = False
    """Whatever is older than some moment is missing, or nobody knows what."""
    is_patchy: bool = False
    """So much is absent that it is no proof of what nobody else told."""


def journals_for(gateway: GreenApi, minutes: int) -> list[Journal]:
    """The four journals, for a window of so many minutes."""
    return [
        Journal("lastIncomingMessages", gateway.last_incoming_messages, minutes),
        Journal("lastOutgoingMessages", gateway.last_outgoing_messages, minutes, from_me=True),
        Journal("lastIncomingCalls", gateway.last_incoming_calls, minutes, of_messages=False),
        Journal("lastOutgoingCalls", gateway.last_outgoing_calls, minutes, from_me=True, of_messages=False),
    ]


def anchor(store: Store, journals: Collection[Journal], now: int, noticed: AbstractSet[Key]) -> None:
    """Widen each window to the newest known message of its direction, and note what it must tell of.

    What was `noticed` never to be told joins nothing.
    """
    reach = now - WINDOW_MINUTES * 60
    for journal in (journal for journal in journals if journal.of_messages):
        start = now - journal.minutes * 60 + _EDGE
        newest = store.gaps.newest_before(start, reach + 2 * _EDGE, from_me=journal.from_me, without=noticed)
        known = store.gaps.known_between(start, now - _TOO_FRESH, from_me=journal.from_me)
        if newest is not None and known.keys() <= noticed:
            journal.minutes = min((now - newest) // 60 + 2, WINDOW_MINUTES)
            start = now - journal.minutes * 60 + _EDGE
        journal.known = store.gaps.known_between(start, now - _TOO_FRESH, from_me=journal.from_me)


async def ask(journals: Collection[Journal]) -> None:
    """Ask for all that did not come yet, side by side: each method has a pace of its own.

    Again also for those to which the instance said that it was not ready, but for no other error.
    """
    async with anyio.create_task_group() as tasks:
        for journal in journals:
            if journal.payload is None and isinstance(journal.error, InstanceStarting | NotAuthorized | None):
                tasks.start_soon(_ask, journal)


async def _ask(journal: Journal) -> None:
    try:
        journal.payload, journal.error = await journal.fetch(journal.minutes), None
    except GatewayError as error:
        journal.error = error


async def ensure_expected(gateway: GreenApi, journals: Collection[Journal]) -> None:
    """Raise what a journal met if it concerns more than that journal."""
    for journal in journals:
        error = journal.error
        if error is None or isinstance(error, RequestRefused | UnreadableAnswer):
            continue
        if not await concerns_one_method(gateway, error):
            raise error


async def receive(run: Run, journals: Collection[Journal]) -> set[str]:
    """Store what came, in one transaction where the disk is slower; returns the chats of which something is new."""
    chats: set[str] = set()

    async def store(payload: Payload) -> None:
        applied = await run.pen.receive(payload)
        run.counters.received(applied.items, applied.messages)
        chats.update(record.chat for record in applied.records if isinstance(record, Message))

    async with anyio.create_task_group() as tasks:
        for journal in journals:
            if journal.payload is not None:
                tasks.start_soon(store, journal.payload)
    return await run.pen.call(lambda: {run.pen.store.canonical(chat) for chat in chats})


def judge(journal: Journal, canonical: Callable[[str], str], noticed: Collection[Key], *, since: int, now: int) -> Judgement:
    """What a journal keeps back of what came `since`; what was `noticed` before is no news.

    To be asked once the answer is stored, since only then it is known which ids are one person's.
    """
    if journal.payload is None:
        return Judgement(is_cut=True)
    items = len(journal.payload.items)
    is_round = items >= _ROUND and items % _ROUND == 0
    if not journal.known and not is_round:
        return Judgement(is_cut=journal.payload.damaged)
    told = [record for record in normalise(journal.payload) if isinstance(record, Message)]
    seen = {(canonical(message.chat), message.id) for message in told}
    oldest = min((message.sent_at for message in told), default=now)
    absent = tuple(key for key in journal.known if key not in seen and key not in noticed)
    start = now - journal.minutes * 60
    is_cut = is_round and oldest > (since if since <= now else start + max(_WELL_INSIDE, journal.minutes * 6))
    is_behind = any(journal.known[key] < oldest for key in absent)
    is_mute = bool(journal.known) and seen.isdisjoint(journal.known)  # though all may have been noticed before
    is_patchy = len(absent) * _MOST_ABSENT > len(journal.known)
    return Judgement(absent, is_cut or is_behind or is_mute or journal.payload.damaged, is_patchy)


def proven(journals: Collection[Journal], now: int) -> tuple[int, int]:
    """The time of which the journals of messages told together: from the shorter window's start to what they were behind."""
    return now - min(journal.minutes for journal in journals if journal.of_messages) * 60, now - LAG
