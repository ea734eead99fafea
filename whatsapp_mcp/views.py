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
    note: str = field(default="", compare=False)
    """Who was taken and who else may have been meant, where a name was not just this one's; one line that may be shown."""


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
    former_names: tuple[str, ...] = ()
    """What the group, or the person of a private chat, was called before; the last one first."""


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
    former_names: tuple[str, ...] = ()
    """What the person was called before and is not any more; the last one first."""


@dataclass(frozen=True, slots=True)
class MemberView:
    """One person in a group at a time; `role` is ``member``, ``admin`` or ``owner``."""

    contact: Party
    role: str


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """Who was in a group by its last list of members at or before a moment."""

    group: Party
    asked_at: int
    seen_at: int | None
    """The time of that list; None when the first one is later, or there is none: who was in the group is then not known."""
    next_seen_at: int | None
    """The time of the next list: what happened in between shows in it."""
    members: tuple[MemberView, ...]


@dataclass(frozen=True, slots=True)
class GroupEvent:
    """Something that happened to a member of a group, after the list of `not_before` and no later than that of `at`."""

    at: int
    event: str
    """``joined``, ``left``, ``promoted`` or ``demoted``."""
    contact: Party
    role: str
    """The role from then on; of who left, the one they had."""
    not_before: int


@dataclass(frozen=True, slots=True)
class NameView:
    """A name with its first and last sighting; `source` is ``phonebook``, ``profile`` or ``group``."""

    name: str
    source: str
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that a message answers; `message_id` is None while it was not seen."""

    message_id: int | None
    whatsapp_message_id: str
    sender: str
    excerpt: str
    from_me: bool = False


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
    """By the content of a stored file; before that, as the sender's program said, which may be any text."""
    size: int | None
    path: str | None
    problem: str | None = None
    """Why there is no file: ``too large`` (SWE002), ``no link``, ``expired``, ``failed``, ``skipped``."""
    width: int | None = None
    """Pixels, as it is looked at."""
    height: int | None = None
    duration: float | None = None
    """Seconds of a recording or a video."""
    thumbnail: str | None = None
    """Where a small picture of it stands, relative to the home."""
    claimed_type: str | None = None
    """What the sender's program said that it is, where the content is something else."""
    sha256: str | None = None
    transcript: str | None = None
    """What is said in a voice note, as far as a model on this computer understood it."""


@dataclass(frozen=True, slots=True)
class TextView:
    """The text that was read out of a file; `source` is ``voice`` or ``document``."""

    source: str
    text: str
    language: str | None


@dataclass(frozen=True, slots=True)
class Location:
    """Where a location message points to."""

    latitude: float | None
    longitude: float | None
    name: str | None


@dataclass(frozen=True, slots=True)
class VersionView:
    """One text that an edited message had; `at` is when the edit was made, None for a text that came with the message."""

    content: str
    at: int | None


@dataclass(frozen=True, slots=True)
class CallView:
    """How a call went: `status` as the gateway says it (``pickUp``, ``hungUp``, ``missed``, ``declined``, …), seconds."""

    is_video: bool | None
    status: str | None
    duration: int | None


@dataclass(frozen=True, slots=True)
class VotesView:
    """Who has voted for an option of a poll, as of its latest tally."""

    option: str
    voters: tuple[Party, ...]


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
    """Search only: ``content``, ``attachment`` (file name, place, shared contact), ``document`` or ``voice`` (the text of its
    file), or ``meaning``: it does not hold the words."""
    snippet: str | None = None
    """Search only: the words around the first hit, hits between ``«`` and ``»``."""
    is_hit: bool = True
    """Search with context only: False for a neighbour of a hit."""
    versions: tuple[VersionView, ...] = ()
    """Of an edited message every text that is known, the first one first; empty where only one is known."""
    call: CallView | None = None
    votes: tuple[VotesView, ...] = ()
    """Of a poll the options that have votes, the one with the most first."""

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
class KnownSpan:
    """A time that is known from an origin; both ends are included."""

    origin: str
    """``history``, ``capped_history``, ``journal``, ``queue`` or ``import``."""
    start: int
    end: int
    verified_at: int
    for_all_chats: bool = False
    """A journal or the queue covers every chat at once."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A time that was never fetched: `start` is the end of what is known before, `end` the start of what is known after."""

    start: int
    end: int


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
    """A sentence or more for a reader when something is not complete or suspected to be missing; empty when all is well."""
    missing: int = 0
    """Messages that something refers to (a quote, a receipt, a reaction, …), that were never seen and may still be had."""
    unobtainable: int = 0
    """The same, but Green API was asked often enough and does not have them."""
    shrunk: int = 0
    """Chats whose history at the gateway has become shorter than it was."""
    with_holes: int = 0
    """Chats of which some time was never fetched, between two times that were."""
    holes: tuple[Hole, ...] = ()
    """Of one chat only: the times that were never fetched, in ascending order."""
    known_until: int | None = None
    """Until when the chat is known without a hole; of all chats, until when the newest fetch covers every chat."""
    verified_at: int | None = None
    """When the gateway's history was last compared with the archive; of all chats, the last time for any of them."""
    spans: tuple[KnownSpan, ...] = ()
    """Of one chat only: which times are known from which origin."""

    @property
    def has_gaps(self) -> bool:
        """Whether something is missing that may still be had."""
        return bool(self.missing or self.with_holes)


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
    has_newer: bool = False
    """Around a place only: whether the chat goes on behind the last message of the page."""
    notes: tuple[str, ...] = ()
    """How something in a query was read that may have been meant otherwise; each a sentence."""


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
    notes: tuple[str, ...] = ()
    """Who was taken for a name that may have meant somebody else."""


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
class Listener:
    """A process that listens at this moment."""

    started_at: int
    updated_at: int
    """Its last sign of life."""
    notifications: int
    """Since it started."""
    messages_new: int
    last_notification_at: int | None = None
    """When the last notification was stored, by this listener or an earlier one; None where that is long ago."""
    mode: str = ""
    """``queue`` or ``webhook``."""
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A chat whose history could not be fetched."""

    chat: Party
    error: str
    error_count: int


@dataclass(frozen=True, slots=True)
class ChatGaps:
    """What is suspected to be missing of one chat."""

    chat: Party
    missing: int = 0
    unobtainable: int = 0
    holes: tuple[Hole, ...] = ()
    shrunk_from: int | None = None
    """How long its history was at the gateway, where it has become shorter."""
    shrunk_to: int | None = None


@dataclass(frozen=True, slots=True)
class Gaps:
    """What is suspected to be missing of the whole archive; `Coverage` has the counts."""

    by_kind: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Missing messages that may still be had, by what refers to them: ``quote``, ``receipt``, ``deletion``, ``edit``,
    ``reaction``, ``vote``; each is counted once."""
    chats: tuple[ChatGaps, ...] = ()
    """The chats with the most open gaps first, at most ten."""
    chats_total: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """The notification queue as the archive saw it."""

    mode: str = ""
    """How the archive listened last: ``queue``, ``webhook``, ``elsewhere`` (they go to another address), empty for never."""
    since: int | None = None
    """Since when it listened without a break that the queue does not bridge (24 hours)."""
    read_at: int | None = None
    """Until when all that came into the queue is known to be stored."""
    told_incoming: int = 0
    """Messages of the time of listening that a notification brought, in the last 30 days."""
    told_outgoing: int = 0
    missed_incoming: int = 0
    """Messages of the same time that only a journal or a history had."""
    missed_outgoing: int = 0
    listens_now: bool = False
    """Whether a process listens at this moment."""
    suspected: tuple[str, ...] = ()
    """``incoming``, ``outgoing`` or both: of which so many were missed that it is no accident."""
    note: str = ""
    """What is suspected: somebody else empties the queue; empty where nothing is."""


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Files of messages by what became of them; a message that waits for its file is ``pending``."""

    pending: int = 0
    stored: int = 0
    expired: int = 0
    """WhatsApp and the gateway have them no more."""
    failed: int = 0
    skipped: int = 0
    """Too large, or not wanted by the settings."""
    contents: int = 0
    """Different files on the disk: what was sent twice is stored once."""
    bytes_stored: int = 0


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
    gaps: Gaps = field(default_factory=Gaps)
    queue: Queue = field(default_factory=Queue)
    files: FileCounts = field(default_factory=FileCounts)
    hidden_chats: int = 0
    """Chats that the settings hide from whoever asks: then runs and payloads are not counted, for these are of all chats."""
