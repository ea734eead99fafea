"""Items of the journals: chat histories, recent messages in both directions, single messages, calls.

An item is one message a person would count, or something that happened to one: an edit, a deletion, a reaction, a vote.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from whatsapp_mcp.normalise.content import content_of
from whatsapp_mcp.normalise.parts import is_forwarded, quoted_id, usual_text
from whatsapp_mcp.normalise.structured import option_name
from whatsapp_mcp.normalise.values import (
    Item,
    are_number_and_privacy_id,
    entries,
    flag,
    identity,
    known_flag,
    part,
    text,
    unix_seconds,
    whole,
)
from whatsapp_mcp.records import (
    DELIVERY_STATES,
    ME,
    Alias,
    Call,
    Contact,
    Deletion,
    Edit,
    Message,
    PollVote,
    Reaction,
    Record,
    Unreadable,
)

_MARKER = re.compile(r"\s*\{\{(SWE[0-9]{1,9})\}\}\s*")
_DELIVERY: Final = {spelling: state for state in DELIVERY_STATES for spelling in (state, state.lower())} | {
    "yellowcard": "suspended"
}
_GROUP_LIKE = ("@g.us", "@broadcast", "@newsletter")
_CALL_ENDS: Final = {"hangup": "hungUp", "hungup": "hungUp", "pickup": "pickUp", "offer": ""}


class _Envelope(NamedTuple):
    chat: str
    id: str
    at: int
    sender: str
    from_me: bool


_Event: TypeAlias = Callable[[Item, _Envelope], list[Record]]


def journal_records(item: Item) -> list[Record]:
    """What one journal item says."""
    type_message = item.get("typeMessage")
    if type_message.__class__ is not str:
        type_message = text(type_message)
    envelope = _envelope(item, type_message)
    if isinstance(envelope, Unreadable):
        return [envelope]
    event = _EVENTS.get(type_message)
    records: list[Record] = [_message(item, envelope, type_message)] if event is None else event(item, envelope)
    if not records or isinstance(records[0], Unreadable):
        return records
    contact = _contact(item, envelope)
    if contact is not None:
        records.append(contact)
    if envelope.sender != envelope.chat and are_number_and_privacy_id(envelope.sender, envelope.chat):
        records.append(Alias(envelope.chat, envelope.sender))  # in a private chat nobody else can have written
    return records


def delivery_state(value: object) -> str:
    """One of `DELIVERY_STATES`, or an empty string; ``yellowCard`` is the name that ``suspended`` had until July 2026."""
    said = text(value)
    return _DELIVERY.get(said) or _DELIVERY.get(said.lower(), "")


def _envelope(item: Item, type_message: str) -> _Envelope | Unreadable:
    chat = identity(item.get("chatId"))
    if not chat:
        return Unreadable("no chat")
    message = text(item.get("idMessage"))
    if not message:
        return Unreadable("no message id")
    at = unix_seconds(item.get("timestamp"))
    if at is None:
        return Unreadable("no time")
    if _is_outgoing(item, type_message):
        return _Envelope(chat, message, at, ME, True)  # noqa: FBT003 - positional: this is the hot path
    return _Envelope(chat, message, at, _sender(item, chat), False)  # noqa: FBT003


def _is_outgoing(item: Item, type_message: str) -> bool:
    """The direction; items of 2023 and of older builds do not name it."""
    direction = item.get("type")
    if direction in ("incoming", "outgoing"):
        return bool(direction == "outgoing")
    if type_message in {"incomingCall", "outgoingCall"}:
        return type_message == "outgoingCall"
    if text(direction).lower() in {"incoming", "outgoing"}:
        return text(direction).lower() == "outgoing"
    return not item.get("senderId") and ("statusMessage" in item or "sendByApi" in item)


def _sender(item: Item, chat: str) -> str:
    return identity(item.get("senderId")) or ("" if chat.endswith(_GROUP_LIKE) else chat)


def _message(item: Item, envelope: _Envelope, type_message: str) -> Message:
    content = content_of(item, type_message)
    words, url, marker = content.words, content.url, ""
    if "{{SWE" in words or "{{SWE" in url:
        words, url, marker = _without_marker(words, url)
    edited, deleted = item.get("isEdited"), item.get("isDeleted")
    status = item.get("statusMessage")
    return Message(
        envelope.chat,
        envelope.id,
        envelope.at,
        envelope.sender,
        envelope.from_me,
        content.kind,
        words,
        content.quoted_id or quoted_id(item),
        is_forwarded(item),
        delivery_state(status) if status else "",
        flag(edited) if edited else False,
        flag(deleted) if deleted else False,
        marker,
        url,
        content.filename,
        content.mime_type,
        None,
        content.latitude,
        content.longitude,
        content.place,
        content.vcards,
    )


def _without_marker(words: str, url: str) -> tuple[str, str, str]:
    """The gateway writes ``{{SWE001}}`` in the place of a text or an address that it could not get (Green API docs)."""
    in_words, in_url = _MARKER.fullmatch(words), _MARKER.fullmatch(url)
    marker = in_words or in_url
    return "" if in_words else words, "" if in_url else url, marker[1] if marker else ""


def _contact(item: Item, envelope: _Envelope) -> Contact | None:
    """What the item says of its sender; of the owner only notifications say something."""
    profile, phonebook = item.get("senderName"), item.get("senderContactName")
    if not profile and not phonebook:
        return None
    person = identity(item.get("senderId")) if envelope.from_me else envelope.sender
    profile, phonebook = text(profile), text(phonebook)
    return Contact(person, envelope.at, phonebook, profile) if person and (profile or phonebook) else None


def _edit(item: Item, envelope: _Envelope) -> list[Record]:
    data = part(item, "editedMessageData", "editedMessage")
    target = text(item.get("editedMessageId")) or text(data.get("stanzaId"))
    words = text(data.get("textMessage")) or text(data.get("caption")) or usual_text(data) or usual_text(item)
    if not target:
        return [Unreadable("edit without a target")]
    if not words or _MARKER.fullmatch(words):  # blank edits are a known defect (Green API tracker #758): the old text stays
        return [Unreadable("edit without a text")]
    return [Edit(envelope.chat, target, words, envelope.at, envelope.id, envelope.sender)]


def _deletion(item: Item, envelope: _Envelope) -> list[Record]:
    data = part(item, "deletedMessageData", "deletedMessage")
    target = text(item.get("deletedMessageId")) or text(data.get("stanzaId"))
    if not target:
        return [Unreadable("deletion without a target")]
    return [Deletion(envelope.chat, target, envelope.at, envelope.sender)]


def _reaction(item: Item, envelope: _Envelope) -> list[Record]:
    data = part(item, "extendedTextMessageData", "extendedTextMessage")
    target = quoted_id(item)
    if not target:
        return [Unreadable("reaction without a target")]
    emoji = data.get("text", item.get("textMessage"))
    if not isinstance(emoji, str):  # an empty one takes the reaction back, a missing one says nothing
        return [Unreadable("reaction without an emoji")]
    return [Reaction(envelope.chat, target, envelope.sender, emoji, envelope.at)]


def _poll_votes(item: Item, envelope: _Envelope) -> list[Record]:
    data = part(item, "pollMessageData", "pollUpdateMessageData", "pollUpdateMessage")
    target = text(data.get("stanzaId")) or quoted_id(item)
    if not target:
        return [Unreadable("votes without a poll")]
    votes = [vote for vote in entries(data, "votes") if isinstance(vote, dict) and option_name(vote)]
    counted = [PollVote(envelope.chat, target, option_name(vote), _voters(vote), envelope.at) for vote in votes]
    if not counted and data.get("votes") == []:
        counted = [PollVote(envelope.chat, target, "", (), envelope.at)]  # nobody votes any more
    return [*counted]


def _voters(vote: Item) -> tuple[str, ...]:
    """Ids, which some clients of Green API model as objects."""
    voters = (identity(voter.get("wid") if isinstance(voter, dict) else voter) for voter in entries(vote, "optionVoters"))
    return tuple(dict.fromkeys(filter(None, voters)))


def _call(item: Item, envelope: _Envelope) -> list[Record]:
    status = text(item.get("status"))
    duration = whole(item.get("duration"))
    return [
        Message(*envelope, "call"),
        Call(
            envelope.chat,
            envelope.id,
            known_flag(item.get("isVideo")),
            _CALL_ENDS.get(status.lower(), status),
            duration if duration is not None and duration >= 0 else None,
        ),
    ]


_EVENTS: Final[dict[str, _Event]] = {
    "editedMessage": _edit,
    "deletedMessage": _deletion,
    "reactionMessage": _reaction,
    "pollUpdateMessage": _poll_votes,
    "incomingCall": _call,
    "outgoingCall": _call,
}
