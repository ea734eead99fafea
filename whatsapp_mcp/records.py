"""The frozen values that flow from the normaliser to the store.

A record says what one sighting claims, in the archive's own words and with WhatsApp's ids as received; it knows nothing of
JSON, SQL or time zones. Ids are text: ``<digits>@c.us`` a person by number, ``<digits>@lid`` a person by privacy id,
``<…>@g.us`` a group, ``export:<name>`` somebody or a chat known only from a chat export, and `ME` the account's owner. All
times are unix seconds UTC. An empty string means "nothing was said", never "it is known to be empty".
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

ME = "me"
"""The account's owner as a sender: outgoing records name nobody (Green API docs, journals)."""

KINDS = (
    "unknown", "system", "text", "image", "video", "audio", "voice", "document", "sticker", "location", "contact",
    "poll", "call", "group_invite", "buttons", "list", "template",
)  # fmt: skip
"""Every ``message_type``; where two sightings of one message disagree, the later in this order wins."""

DELIVERY_STATES = (
    "pending", "sent", "suspended", "notInGroup", "noAccount", "failed", "delivered", "read",
)  # fmt: skip
"""Delivery states from the least to the furthest: a message that was read did arrive, whatever else was said of it."""


class Message(NamedTuple):
    """One sighting of a message that a person would count."""

    chat: str
    id: str
    sent_at: int
    sender: str = ""
    from_me: bool = False
    kind: str = "unknown"
    content: str = ""
    quoted_id: str = ""
    forwarded: bool = False
    delivery: str = ""
    edited: bool = False
    """The record itself says that it was edited (``isEdited``): `content` may be the new or the old text."""
    deleted: bool = False
    """The record itself says that it was deleted (``isDeleted``): `content` is then usually empty."""
    marker: str = ""
    """``SWE001`` and the like: the gateway could not give the text (001 not decrypted, 002 file too large, 003 key problem)."""
    media_url: str = ""
    media_filename: str = ""
    media_mime_type: str = ""
    media_size: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    location_name: str = ""
    shared_contact: str = ""
    """vCards as received, one after the other."""


class Edit(NamedTuple):
    """A new text for a message; `id` is the edit record's own id."""

    chat: str
    target: str
    content: str
    edited_at: int
    id: str = ""
    sender: str = ""


class Deletion(NamedTuple):
    """A message was deleted for everyone."""

    chat: str
    target: str
    deleted_at: int
    sender: str = ""


class Reaction(NamedTuple):
    """A reaction; an empty `emoji` takes it back."""

    chat: str
    target: str
    sender: str
    emoji: str
    reacted_at: int


class Receipt(NamedTuple):
    """How far an outgoing message came: one of `DELIVERY_STATES`."""

    chat: str
    target: str
    status: str
    received_at: int


class PollVote(NamedTuple):
    """One option of a poll as a snapshot of its voters at a time."""

    chat: str
    target: str
    option: str
    voters: tuple[str, ...]
    voted_at: int


class Call(NamedTuple):
    """What is known of a call beside its `Message` of kind ``call`` (same chat and id)."""

    chat: str
    id: str
    is_video: bool | None = None
    status: str = ""
    duration: int | None = None
    """Seconds."""


class Contact(NamedTuple):
    """What a directory or a message says of a person at a time."""

    id: str
    seen_at: int
    phonebook_name: str = ""
    profile_name: str = ""
    is_business: bool | None = None
    picture_url: str = ""


class Chat(NamedTuple):
    """What a directory says of a chat at a time."""

    id: str
    seen_at: int
    name: str = ""
    archived: bool | None = None


class Group(NamedTuple):
    """What is known of a group at a time."""

    id: str
    seen_at: int
    name: str = ""
    description: str = ""
    owner: str = ""
    created_at: int | None = None


class Member(NamedTuple):
    """One person in a `Members` snapshot; `role` is ``member``, ``admin`` or ``owner``."""

    id: str
    role: str = "member"


class Members(NamedTuple):
    """All members of a group at a time: whoever is missing has left."""

    group: str
    seen_at: int
    members: tuple[Member, ...]


class Alias(NamedTuple):
    """Two ids of one person: a privacy id and a number, or `ME` and the owner's number."""

    one: str
    other: str


class Unreadable(NamedTuple):
    """An item that carries nothing this version can read; its text stays in the payloads."""

    reason: str


Record: TypeAlias = (
    Message | Edit | Deletion | Reaction | Receipt | PollVote | Call | Contact | Chat | Group | Members | Alias | Unreadable
)
