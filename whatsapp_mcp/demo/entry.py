"""What lies in the account: journal records as they will be told, and the messages that a person would count.

An `Entry` is one record of Green API's journals before it is written as JSON. Entries of the kind ``""`` are the extra records
beside the messages: edits, deletions, reactions and votes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Entry(NamedTuple):
    """One record of the journals. Times are unix seconds UTC; ids are as WhatsApp writes them."""

    chat: str
    id: str
    sent_at: int
    sender: str
    """Who wrote it; the owner's id where `from_me`."""
    from_me: bool = False
    type_message: str = "textMessage"
    kind: str = "text"
    """The archive's ``message_type``, or ``""`` for an extra record."""
    content: str = ""
    """What a person reads in the end: after edits, and ``""`` after a deletion that left nothing."""
    fields: Mapping[str, Any] | None = None
    """The fields that only this ``typeMessage`` has; None where plain ``textMessage`` says it all."""
    shown: str | None = None
    """The text that the journal gives instead of `content`: the old one of an edited message."""
    edited: bool = False
    deleted: bool = False
    forwarded: bool = False
    quoted_id: str = ""
    target: str = ""
    """The message that an edit or a deletion is about."""
    status: str = "read"
    action_at: int = 0
    """When something last happened to an outgoing message; 0 means at `sent_at`."""
    by_api: bool = False
    by_lid: bool = False
    """The journal names the sender (and in a private chat the chat) by the privacy id (tracker #826, #954, #982, #1032)."""


class TrueMessage(NamedTuple):
    """One message (or call) that a person would count, as an archive of the whole account must know it."""

    chat: str
    """``<digits>@c.us``, ``<…>@g.us``, or ``<…>@lid`` for somebody whose number nobody knows."""
    id: str
    sender: str
    """The sender's id in the same three shapes; the owner's for own messages."""
    from_me: bool
    sent_at: int
    """Unix seconds UTC."""
    kind: str
    """``text``, ``image``, ``call`` and so on: the archive's ``message_type``."""
    content: str
    """What a person reads, after edits. For `LOOSE_KINDS` only lines that must be found in it."""
    edited: bool
    deleted: bool
    forwarded: bool
    quoted_id: str


LOOSE_KINDS = frozenset({"group_invite", "buttons", "list", "template", "unknown", "call"})
"""Kinds whose text an archive may arrange in its own way."""


def true_message(entry: Entry) -> TrueMessage:
    """The message behind `entry`, without how the journal tells it."""
    return TrueMessage(
        entry.chat, entry.id, entry.sender, entry.from_me, entry.sent_at, entry.kind, entry.content,
        entry.edited, entry.deleted, entry.forwarded, entry.quoted_id,
    )  # fmt: skip
