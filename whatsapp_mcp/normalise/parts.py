"""What a message of any type is made of, beside who sent it where and when."""

from __future__ import annotations

from typing import NamedTuple

from whatsapp_mcp.normalise.values import Item, flag, part, text, whole


class Content(NamedTuple):
    """What one type of message says; the fields join `records.Message`."""

    kind: str
    words: str = ""
    quoted_id: str = ""
    """Set where the type names the message that it answers in a place of its own."""
    url: str = ""
    filename: str = ""
    mime_type: str = ""
    latitude: float | None = None
    longitude: float | None = None
    place: str = ""
    vcards: str = ""


def usual_text(item: Item) -> str:
    """The text of an item wherever texts usually stand.

    Journals say ``textMessage`` and ``extendedTextMessage``, notifications ``textMessageData`` and ``extendedTextMessageData``,
    and the same message may be called a text by one and an extended text by the other (Green API docs, journals, webhooks).
    """
    plain = item.get("textMessage")
    if plain.__class__ is str and plain and "extendedTextMessage" not in item and "extendedTextMessageData" not in item:
        return str(plain)  # nine of ten messages
    extended = part(item, "extendedTextMessage", "extendedTextMessageData")
    return (
        text(extended.get("text"))
        or text(item.get("textMessage"))
        or text(part(item, "textMessageData", "textMessage").get("textMessage"))
        or text(item.get("caption"))
    )


def quoted_id(item: Item) -> str:
    """The id of the message that this one answers, or an empty string.

    ``quotedMessage`` first, as Green API's own console does: the documented samples name two different ids.
    """
    if "quotedMessage" not in item and "extendedTextMessage" not in item and "extendedTextMessageData" not in item:
        return ""
    quoted = part(item, "quotedMessage")
    extended = part(item, "extendedTextMessage", "extendedTextMessageData")
    return text(quoted.get("stanzaId")) or text(extended.get("stanzaId")) or text(part(extended, "contextInfo").get("stanzaId"))


def is_forwarded(item: Item) -> bool:
    """Whether the item, or an object in it other than the quoted message, says that it was forwarded."""
    if _says_forwarded(item):
        return True
    if dict not in map(type, item.values()):
        return False
    quoted = item.get("quotedMessage")
    nested = [value for value in item.values() if value.__class__ is dict and value is not quoted]
    return bool(nested) and any(map(_says_forwarded, nested))


def _says_forwarded(item: Item) -> bool:
    forwarded = item.get("isForwarded")
    if forwarded and flag(forwarded):
        return True
    score = item.get("forwardingScore")
    return bool(score) and (whole(score) or 0) > 0
