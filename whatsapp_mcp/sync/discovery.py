"""Which chats there are, and which to ask first.

No list of the gateway is complete: getChats misses old ones, getContacts groups (Green API tracker #629, #919), and the
journals know only what happened lately. So all are asked, side by side, and what any of them names is a chat. A contact that
only the phone book names need not have a chat; it is asked last, and becomes one when it turns out to have a history.
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

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.progress import Counters
    from whatsapp_mcp.sync.writing import Pen

WINDOW_MINUTES: Final = 26_300
"""The widest window that Green API's own console asks its journals for; no maximum is documented."""
CALLS_WINDOW_MINUTES: Final = 20 * 365 * 24 * 60
"""Calls stand in no history, so their journal is all there is: the last 10,000 of them, however old (Green API docs)."""

_ASKABLE: Final = re.compile(r"(?!0@)[0-9]+(-[0-9]+)?@(c\.us|lid|g\.us)")
"""Not ``null@c.us`` (tracker #473), ``0@c.us`` (WhatsApp itself), ``status@broadcast`` and newsletters: no history there."""
_LISTS: Final = ("getChats", "getContacts")
_JOURNALS: Final = ("lastIncomingMessages", "lastOutgoingMessages")
_CONCERNS_ONE_LIST: Final = (RequestRefused, Unreachable, RateLimited, UnreadableAnswer)


@dataclass(frozen=True, slots=True)
class Discovery:
    """The chats of an account by the ids under which the archive keeps them."""

    chats: tuple[str, ...]
    """The most active first."""
    contacts_only: tuple[str, ...]
    """People in the phone book without any sign of a chat."""
    asked_as: Mapping[str, str]
    """The id under which the gateway lists a chat, where it is another."""
    notes: tuple[str, ...]
    """Lists that could not be had."""
    lost_journals: bool = False
    """A journal of messages is among them."""

    def ask_as(self, chat: str) -> str:
        """The id to ask the gateway for."""
        return self.asked_as.get(chat, chat)


@dataclass(slots=True)
class _Found:
    records: dict[str, list[Record]]
    errors: dict[str, GatewayError]


async def discover(gateway: GreenApi, pen: Pen, counters: Counters) -> Discovery:
    """Ask all lists and journals at once and store what they say.

    Raises the errors that concern the whole instance; a list that alone fails is noted, unless no list of chats is left.
    """
    found = _Found({}, {})
    async with anyio.create_task_group() as tasks:
        for call in _calls(gateway):
            tasks.start_soon(_ask, call, pen, counters, found)
    if all(name in found.errors for name in _LISTS):
        raise found.errors[_LISTS[0]]
    owner = await pen.call(pen.store.owner)
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


async def _ask(call: tuple[str, Callable[[], Awaitable[Payload]]], pen: Pen, counters: Counters, found: _Found) -> None:
    name, fetch = call
    try:
        payload = await fetch()
    except _CONCERNS_ONE_LIST as error:
        found.errors[name] = error
        return
    applied = await pen.receive(payload)
    if name not in _LISTS:
        counters.received(applied.items, applied.messages)
    found.records[name] = await anyio.to_thread.run_sync(normalise, payload)


def _sorted_out(found: _Found, canonical: Callable[[str], str], owner: str | None) -> Discovery:
    listed = [record.id for record in found.records.get("getChats", ()) if isinstance(record, Chat)]
    activity: Counter[str] = Counter()
    named: list[str] = []
    contacts: list[str] = []
    for name, records in found.records.items():
        for record in records:
            if isinstance(record, Message):
                activity[canonical(record.chat)] += 1
                named.append(record.chat)
            elif isinstance(record, Chat | Group):
                named.append(record.id)
            elif isinstance(record, Contact) and name == "getContacts":
                contacts.append(record.id)
    asked_as = _first_names([*listed, *named], canonical)
    chats = sorted(asked_as, key=lambda chat: -activity[chat])  # stable: ties stay in the order of getChats
    contacts_only = _first_names(contacts, canonical)
    return Discovery(
        tuple(chats),
        tuple(chat for chat in contacts_only if chat not in asked_as and chat != owner),
        {**contacts_only, **asked_as},
        tuple(f"{name}: {error.what}" for name, error in sorted(found.errors.items())),
        any(name in found.errors for name in _JOURNALS),
    )


def _first_names(ids: Iterable[str], canonical: Callable[[str], str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for whatsapp_id in ids:
        if _ASKABLE.fullmatch(whatsapp_id):
            names.setdefault(canonical(whatsapp_id), whatsapp_id)
    return names
