"""Which chats there are, and which to ask first.

No list of the gateway is complete: getChats misses old ones, getContacts groups (Green API tracker #629, #919), and the
journals know only what happened lately. So all are asked, side by side, and what any of them names, or the archive knows from
before, is a chat. A contact that only the phone book names need not have a chat; it is asked last, and becomes one when it
turns out to have a history.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import GatewayError, RateLimited, RequestRefused, Unreachable, UnreadableAnswer
from whatsapp_mcp.normalise import normalise
from whatsapp_mcp.records import Chat, Contact, Group, Message, Record
from whatsapp_mcp.sync.history import Expected
from whatsapp_mcp.sync.instance import concerns_one_method, done_without

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.progress import Counters
    from whatsapp_mcp.sync.writing import Pen

WINDOW_MINUTES: Final = 26_300
"""The widest window that Green API's own console asks its journals for; no maximum is documented."""
CALLS_WINDOW_MINUTES: Final = 20 * 365 * 24 * 60
"""Calls stand in no history, so their journal is all there is: the last 10,000 of them, however old (Green API docs)."""

ASKABLE: Final = re.compile(r"(?!0@)[0-9]+(-[0-9]+)?@(c\.us|lid|g\.us)")
"""Not ``null@c.us`` (tracker #473), ``0@c.us`` (WhatsApp itself), ``status@broadcast`` and newsletters: no history there."""
_LISTS: Final = ("getChats", "getContacts")
MESSAGE_JOURNALS: Final = ("lastIncomingMessages", "lastOutgoingMessages")
"""The journals of messages; what is missing in them is missing in the archive until the next full sync."""
_CALL_JOURNALS: Final = ("lastIncomingCalls", "lastOutgoingCalls")
CONCERNS_ONE_LIST: Final = (RequestRefused, Unreachable, RateLimited, UnreadableAnswer)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The chats of an account by the ids under which the archive keeps them."""

    chats: tuple[str, ...]
    """The most active first."""
    contacts_only: tuple[str, ...]
    """People in the phone book without any sign of a chat."""
    asked_as: Mapping[str, str]
    """The id under which the gateway lists a chat, where it is another."""
    notes: tuple[str, ...] = ()
    """Journals of calls that could not be had: nothing else tells of calls."""
    missing: tuple[str, ...] = ()
    """Lists and journals of messages that could not be had, or not whole."""
    lost_journals: bool = False
    """A journal of messages is among them."""
    silent_journals: tuple[str, ...] = ()
    """Journals of messages that told of none; whether that can be is known when all histories are there."""
    with_messages: frozenset[str] = frozenset()
    """Chats of which a journal or the archive knows messages, so that their histories cannot be empty."""

    def expected(self, chat: str) -> Expected:
        """What is known of the chat's history."""
        if chat in self.with_messages:
            return Expected.MESSAGES
        return Expected.PERHAPS if chat in self.chats else Expected.NOTHING

    def ask_as(self, chat: str) -> str:
        """The id to ask the gateway for."""
        return self.asked_as.get(chat, chat)


@dataclass(slots=True)
class _Found:
    records: dict[str, list[Record]]
    errors: dict[str, GatewayError]
    damaged: set[str]
    known: dict[str, bool]
    """The chats of the archive, and whether they have messages."""


async def discover(gateway: GreenApi, pen: Pen, counters: Counters) -> Discovery:
    """Ask all lists and journals at once and store what they say.

    Raises the errors that concern the whole instance; a list that alone fails is noted, unless no list of chats is left.
    """
    found = _Found({}, {}, set(), {})
    async with anyio.create_task_group() as tasks:
        for call in _calls(gateway):
            tasks.start_soon(_ask, gateway, call, pen, counters, found)
    if all(name in found.errors for name in _LISTS):
        raise found.errors[_LISTS[0]]
    owner = await pen.call(pen.store.owner)
    found.known = await pen.call(pen.store.known_chats)
    return await pen.call(_sorted_out, found, pen.store.canonical, owner)


def _calls(gateway: GreenApi) -> tuple[tuple[str, Callable[[], Awaitable[Payload]]], ...]:
    return (
        ("getChats", gateway.get_chats),
        ("getContacts", gateway.get_contacts),
        ("lastIncomingMessages", lambda: gateway.last_incoming_messages(WINDOW_MINUTES)),
        ("lastOutgoingMessages", lambda: gateway.last_outgoing_messages(WINDOW_MINUTES)),
        ("lastIncomingCalls", lambda: _all_calls(gateway.last_incoming_calls)),
        ("lastOutgoingCalls", lambda: _all_calls(gateway.last_outgoing_calls)),
    )


async def _all_calls(fetch: Callable[[int], Awaitable[Payload]]) -> Payload:
    """As many calls as the gateway tells of; a window that it finds too wide is narrowed to one that is known to work."""
    try:
        return await fetch(CALLS_WINDOW_MINUTES)
    except (RequestRefused, Unreachable, UnreadableAnswer):
        return await fetch(WINDOW_MINUTES)


async def _ask(
    gateway: GreenApi, call: tuple[str, Callable[[], Awaitable[Payload]]], pen: Pen, counters: Counters, found: _Found
) -> None:
    name, fetch = call
    try:
        payload = await fetch()
    except GatewayError as error:
        if not isinstance(error, CONCERNS_ONE_LIST) and (name in _LISTS or not await concerns_one_method(gateway, error)):
            raise
        found.errors[name] = error
        return
    if payload.damaged:
        found.damaged.add(name)
    applied = await pen.receive(payload)
    if name not in _LISTS:
        counters.received(applied.items, applied.messages)
    found.records[name] = await anyio.to_thread.run_sync(normalise, payload)


def _sorted_out(found: _Found, canonical: Callable[[str], str], owner: str | None) -> Discovery:
    listed = [record.id for record in found.records.get("getChats", ()) if isinstance(record, Chat)]
    activity: Counter[str] = Counter()
    named: list[str] = []
    contacts: list[str] = []
    talking: set[str] = set()
    for name, records in found.records.items():
        for record in records:
            if isinstance(record, Message):
                activity[canonical(record.chat)] += 1
                named.append(record.chat)
            elif isinstance(record, Chat | Group):
                named.append(record.id)
            elif isinstance(record, Contact) and name == "getContacts":
                contacts.append(record.id)
        if name in MESSAGE_JOURNALS:
            talking |= {canonical(record.chat) for record in records if isinstance(record, Message)}
    asked_as = _first_names([*listed, *named, *found.known], canonical)
    contacts_only = _first_names(contacts, canonical)
    missing = _missing(found, are_chats_known=bool(asked_as))
    return Discovery(
        # Sorting is stable: ties stay in the order of getChats, and what no list names comes last.
        chats=tuple(sorted(asked_as, key=lambda chat: -activity[chat])),
        contacts_only=tuple(chat for chat in contacts_only if chat not in asked_as and chat != owner),
        asked_as={**contacts_only, **asked_as},
        notes=tuple(_notes(found, _CALL_JOURNALS)),
        missing=missing,
        lost_journals=any(name in found.errors or name in found.damaged for name in MESSAGE_JOURNALS),
        silent_journals=tuple(name for name in MESSAGE_JOURNALS if found.records.get(name) == []),
        with_messages=frozenset({*talking, *(chat for chat, has_messages in found.known.items() if has_messages)}),
    )


def _missing(found: _Found, *, are_chats_known: bool) -> tuple[str, ...]:
    empty = [name for name in _LISTS if found.records.get(name) == []]
    if not are_chats_known and len(empty) < len(_LISTS):
        empty = []
    why = "though there are chats" if are_chats_known else "and an account without any chat is not likely"
    unlisted = [f"{name}: the gateway gave nothing, {why}." for name in empty]
    return (*_notes(found, (*_LISTS, *MESSAGE_JOURNALS)), *unlisted)


def _notes(found: _Found, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name in found.errors:
            yield done_without(name, found.errors[name])
        elif name in found.damaged:
            yield damaged_note(name)


def damaged_note(name: str) -> str:
    """One line for a journal that stayed damaged."""
    return f"{name}: a part of the gateway's answer could not be read; the next sync asks again for the same time."


def _first_names(ids: Iterable[str], canonical: Callable[[str], str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for whatsapp_id in ids:
        if ASKABLE.fullmatch(whatsapp_id):
            names.setdefault(canonical(whatsapp_id), whatsapp_id)
    return names
