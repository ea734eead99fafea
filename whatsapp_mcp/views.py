"""The frozen answers that readers get: what the queries return, and what tools, commands and exports render.

Every time is unix seconds UTC; showing it in a zone is the renderer's work. A name is what a person would call the contact or
chat; it is text from outside and must be treated as untrusted wherever it is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Party:
    """A chat or a contact as one knows it in a list: our integer id, WhatsApp's id, the name to show."""

    id: int
    whatsapp_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ChatView:
    """A chat with what is known of its extent."""

    party: Party
    kind: str
    """``private`` or ``group``."""
    message_count: int
    last_message_at: int | None
    is_archived: bool
    phone_number: str | None
    sync_progress: str
    oldest_sent_at: int | None
    last_synced_at: int | None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class ContactView:
    """A person: names, number, and the chats that they are in."""

    party: Party
    phone_number: str | None
    phonebook_name: str | None
    profile_name: str | None
    is_business: bool
    private_chat: Party | None
    groups: tuple[Party, ...]
    aliases: tuple[str, ...]
    message_count: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that a message answers; `message_id` is None while it was not seen."""

    message_id: int | None
    whatsapp_message_id: str
    sender: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class ReactionView:
    """One current reaction."""

    sender: Party
    emoji: str
    reacted_at: int


@dataclass(frozen=True, slots=True)
class MediaView:
    """The facts of a message's file; `path` is relative to the archive's home and None while it is not stored."""

    filename: str | None
    mime_type: str | None
    size: int | None
    path: str | None
    problem: str | None = None
    """Why there is no file: ``too large`` (SWE002), ``no link``."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a location message points to."""

    latitude: float | None
    longitude: float | None
    name: str | None


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message as a reader sees it."""

    message_id: int
    whatsapp_message_id: str
    chat: Party
    sender: Party | None
    from_me: bool
    sent_at: int
    kind: str
    content: str
    quoted: Quoted | None = None
    edited_at: int | None = None
    deleted_at: int | None = None
    forwarded: bool = False
    delivery_status: str | None = None
    reactions: tuple[ReactionView, ...] = ()
    media: MediaView | None = None
    location: Location | None = None
    marker: str | None = None
    matched_in: str | None = None
    """Search only: ``content`` or ``attachment`` (file name, place, shared contact)."""
    snippet: str | None = None
    """Search only: the words around the first hit, hits between ``«`` and ``»``."""
    is_hit: bool = True
    """Search with context only: False for a neighbour of a hit."""

    @property
    def handle(self) -> str:
        """The short stable handle by which tools name the message: ``m`` and the message id."""
        return f"m{self.message_id}"


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span of time in unix seconds; None is open. `text` says it in the user's zone, as it was understood."""

    start: int | None
    end: int | None
    text: str
    zone: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an answer rests on: how many chats were looked at, from when they are known, and what is suspected to be missing."""

    chats: int
    complete: int
    truncated: int
    failed: int
    pending: int
    oldest: int | None
    newest: int | None
    last_synced_at: int | None
    messages: int
    note: str = ""
    """One sentence for a reader when something is not complete; empty when all is well."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of messages: in ascending time for reading, in the asked order for search."""

    messages: tuple[MessageView, ...]
    next_cursor: str | None
    interval: Interval
    coverage: Coverage
    total: int | None = None
    """All messages that fit, or None where counting was not worth it."""
    suggestions: Suggestions | None = None


@dataclass(frozen=True, slots=True)
class Suggestions:
    """What helps when little or nothing was found."""

    near_words: tuple[str, ...] = ()
    months_with_hits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Outside of the asked interval: ``2025-09`` to the number of hits."""
    next_call: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """One row of a breakdown: a label (a month, a type, a name), its numbers, and the party where it is one."""

    label: str
    messages: int
    sent: int
    received: int
    party: Party | None = None


@dataclass(frozen=True, slots=True)
class Analysis:
    """The numbers of an interval."""

    interval: Interval
    coverage: Coverage
    messages: int
    sent: int
    received: int
    chats: int
    contacts: int
    media: int
    first: MessageView | None
    last: MessageView | None
    busiest_day: Count | None
    breakdowns: Mapping[str, tuple[Count, ...]]
    """``contact``, ``chat``, ``day``, ``month``, ``type`` (and more as they come), each sorted for reading."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One execution of a sync."""

    run_id: int
    kind: str
    state: str
    started_at: int
    ended_at: int | None
    chats_total: int
    chats_done: int
    chats_failed: int
    messages_seen: int
    messages_new: int
    requests: int
    throttled: int
    last_error: str | None
    updated_at: int | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A chat whose history could not be fetched."""

    chat: Party
    error: str
    error_count: int


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the whole archive."""

    account: str | None
    chats: int
    private_chats: int
    groups: int
    contacts: int
    messages: int
    media_messages: int
    payloads: int
    unreadable: int
    database_bytes: int
    coverage: Coverage
    runs: tuple[RunView, ...]
    """Newest first."""
    failures: tuple[Failure, ...]
    truncated: tuple[Party, ...]
