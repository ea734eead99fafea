"""Lines of an "Export chat" file become records.

An export holds no ids, no zone and no word on who its owner is. So each message gets an id of its own: ``export-`` and the
start of a SHA-256 over chat name, local time as precise as written, sender with text (as compared, not as shown) and
occurrence. Neither zone, owner, batch, file name nor anything that a later version may recognise better is in it: a later,
longer or second export of the chat gives the same ids. Local times become UTC by the context's zone; of an hour that the
clock showed twice the first is meant, and a time that the clock skipped counts as if it had not (PEP 495, fold 0). Android
writes minutes only: messages of one minute keep the file's order because the store keeps the order of arrival.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from whatsapp_mcp.records import ME, Call, Chat, Contact, Group, Message, Record, Unreadable

from .body import Body, is_notice, read_body, shown
from .header import identity, local_time, match_header, plain_text
from .item import LOOSE, SENDERS, Item, take_apart

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GROUP_SUFFIX", "chat_id_of", "person_id", "records_of_export_item"]

GROUP_SUFFIX = "@g.us"
_NUMBER = re.compile(r"\+[\d \u2010-\u2015().-]{6,24}$")
_UNSAVED = "~"


def records_of_export_item(item: str, *, received_at: int, context: Mapping[str, str]) -> list[Record]:
    """The records of one item as `item` describes it; ``[Unreadable(…)]`` for anything else, and it never raises."""
    parts = take_apart(item)
    if parts is None:
        return [Unreadable("not an item of a chat export")]
    if parts.what == LOOSE:
        return [Unreadable("text without a date")]
    if parts.what == SENDERS:
        return _directory(parts.text, received_at, context)
    try:
        return _message(parts, context)
    except (KeyError, ValueError, OverflowError, OSError) as error:  # a context that no reader of exports wrote
        return [Unreadable(f"context of a chat export: {type(error).__name__}")]


def person_id(name: str) -> str:
    """The id of a sender as written: ``<digits>@c.us`` for a number, else ``export:<name>``."""
    plain = sender_name(name)
    if _NUMBER.match(plain):
        digits = "".join(str(int(letter)) for letter in plain if letter.isdigit())
        if 7 <= len(digits) <= 15:
            return f"{digits}@c.us"
    return f"export:{plain}"


def chat_id_of(name: str, *, is_group: bool) -> str:
    """The id of a chat by its name: a group's ends with `GROUP_SUFFIX`, a private one is the other person's id."""
    return f"export:{sender_name(name)}{GROUP_SUFFIX}" if is_group else person_id(name)


@lru_cache(maxsize=4096)
def sender_name(written: str) -> str:
    """A name without marks and with plain blanks; ``~ Name`` (not in the phone's contacts) becomes ``~Name``."""
    plain = " ".join(plain_text(written).split())
    return _UNSAVED + plain[1:].strip() if plain.startswith(_UNSAVED) and len(plain) > 1 else plain


def _directory(text: str, received_at: int, context: Mapping[str, str]) -> list[Record]:
    chat, name = context.get("chat", ""), context.get("name", "")
    me = sender_name(context.get("me", ""))
    people = {sender_name(line) for line in text.split("\n")} - {"", me}
    records: list[Record] = [Chat(chat, received_at, name=name)]
    if chat.endswith(GROUP_SUFFIX):
        records.append(Group(chat, received_at, name=name))
    else:
        people.add(sender_name(name))
    return records + [_contact(person, received_at) for person in sorted(people) if person]


def _contact(name: str, received_at: int) -> Contact:
    identifier = person_id(name)
    if identifier.endswith("@c.us"):
        return Contact(identifier, received_at)
    if name.startswith(_UNSAVED):
        return Contact(identifier, received_at, profile_name=name[1:])
    return Contact(identifier, received_at, phonebook_name=name)


def _message(parts: Item, context: Mapping[str, str]) -> list[Record]:
    match = match_header(parts.text)
    local = local_time(match, context["order"]) if match else None
    if match is None or local is None:
        return [Unreadable("no date in the file's order")]
    rest = parts.text[match.end() :]
    chat = context["chat"]
    identifier = message_id(context.get("name", ""), local, rest, parts.occurrence)
    sent_at = unix_time(local, context["zone"])
    written, text = rest[: parts.sender_length], rest[parts.sender_length :]
    text = text[1:].removeprefix(" ") if written else text
    if not written or is_notice(text.partition("\n")[0], context.get("style", "")):
        return [Message(chat, identifier, sent_at, kind="system", content=shown(text.replace("\r", "")))]
    return _sent(chat, identifier, sent_at, sender=sender_name(written), me=context.get("me", ""), body=read_body(text))


def _sent(chat: str, identifier: str, sent_at: int, *, sender: str, me: str, body: Body) -> list[Record]:
    from_me = bool(me) and sender == sender_name(me)
    message = Message(
        chat,
        identifier,
        sent_at,
        sender=ME if from_me else person_id(sender),
        from_me=from_me,
        kind=body.kind,
        content=body.content,
        edited=body.edited,
        deleted=body.deleted,
        marker=body.marker,
        media_filename=body.filename,
        latitude=body.latitude,
        longitude=body.longitude,
        location_name=body.place,
    )
    if body.kind != "call":
        return [message]
    return [message, Call(chat, identifier, body.is_video, body.status, body.duration)]


def message_id(chat_name: str, local: str, rest: str, occurrence: int) -> str:
    """The derived id of a message; see the module for what is in it."""
    told = f"{chat_name}\n{local}\n{occurrence}\n{identity(rest)}"
    return "export-" + sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def unix_time(local: str, zone: str) -> int:
    """Unix seconds of a local time as `local_time` writes it.

    Raises:
        KeyError: there is no such zone (`zoneinfo.ZoneInfoNotFoundError`).
        ValueError: the name cannot be a zone's.

    """
    return _minute(local[:16], zone) + (int(local[17:]) if len(local) > 16 else 0)


@lru_cache(maxsize=4096)
def _minute(local: str, zone: str) -> int:
    return int(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp())
