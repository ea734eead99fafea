"""How an exported chat looks: one JSON document, or the text of WhatsApp's own "Export chat" on Android.

A renderer turns a head and a stream of messages into pieces of text, one after the other, so that the length of a chat costs no
memory. The shapes of the text form are those that phones write: media named with ``(file attached)`` or left out as
``<Media omitted>``, edits and deletions told at the end, system rows without a sender, minutes without seconds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol

from whatsapp_mcp.export.objects import coverage_object, interval_object, message_object, party_object, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import Coverage, Interval, MessageView, Party

JSON_SCHEMA: Final = "whatsapp-mcp/chat-export/1"
"""Names the shape of a JSON export; a change that breaks a reader raises the number."""

_LINE_END: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Whatever some reader takes for the end of a line."""
_LIKE_A_MESSAGE: Final = re.compile(
    "(?<=\n)(?=[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]*\\[?[\u200e\u200f]*[0-9\u0660-\u0669\u06f0-\u06f9]{1,4}[./-])"
)

CALLED_BY_KIND: Final = {"call": "Call", "unknown": "Unknown message", "sticker": "Sticker", "group_invite": "Group invite"}
MEDIA_KINDS: Final = frozenset({"image", "video", "audio", "voice", "document", "sticker"})


@dataclass(frozen=True, slots=True)
class Head:
    """What an export says of itself: the chat, the interval and zone, what is known to be missing, when it was made."""

    chat: Party
    interval: Interval
    coverage: Coverage
    zone: ZoneInfo
    exported_at: int
    with_files: bool = False
    """Whether stored media stand beside the text, so that it may point to them."""


class Renderer(Protocol):
    """One form of export."""

    suffix: str
    """The file name's ending, without the dot."""
    mime_type: str

    def render(self, head: Head, messages: Iterable[MessageView]) -> Iterator[str]:
        """Yield the document piece by piece, in the order of `messages`."""


class JsonRenderer:
    """One JSON document: what it is, then all messages, then how many there were."""

    suffix = "json"
    mime_type = "application/json"

    def render(self, head: Head, messages: Iterable[MessageView]) -> Iterator[str]:
        """Yield the head, each message on its own line, and the count (last, because it is known last)."""
        opening = {
            "schema": JSON_SCHEMA,
            "exported_at": rfc3339(head.exported_at, head.zone),
            "chat": party_object(head.chat),
            "interval": interval_object(head.interval, head.zone),
            "coverage": coverage_object(head.coverage, head.zone),
        }
        yield _json(opening)[:-1] + ',"messages":['
        count = 0
        for count, message in enumerate(messages, start=1):
            yield ("\n" if count == 1 else ",\n") + _json(message_object(message, head.zone))
        yield f'\n],"message_count":{count}}}\n'


class TextRenderer:
    """The lines of WhatsApp's own export (Android, 24 hours): ``14/08/2025, 12:01 - Name: text``.

    A further line of a text that begins like a message is moved in by one blank, so that nobody can write in another's name.
    """

    suffix = "txt"
    mime_type = "text/plain"

    def render(self, head: Head, messages: Iterable[MessageView]) -> Iterator[str]:
        """Yield one message after the other; a text of several lines stays as it is, as phones write it."""
        for message in messages:
            stamp = datetime.fromtimestamp(message.sent_at, head.zone).strftime("%d/%m/%Y, %H:%M")
            spoken = _LINE_END.sub("\n", _spoken(message, with_files=head.with_files))
            yield f"{stamp} - {_LIKE_A_MESSAGE.sub(' ', spoken)}\n"


RENDERERS: Final[dict[str, Renderer]] = {"json": JsonRenderer(), "txt": TextRenderer()}
"""Every form of export by the name that people ask for."""


def _json(value: object) -> str:
    # A lone surrogate (half an emoji, as gateways cut texts) is no UTF-8: it must leave as an escape.
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace").decode("utf-8") if not text.isascii() else text


def _spoken(message: MessageView, *, with_files: bool) -> str:
    body = _body(message, with_files=with_files)
    if message.kind == "system":
        return body
    name = " ".join(message.sender.name.split()) if message.sender else ""
    return f"{name or ('You' if message.from_me else 'Unknown')}: {body}"


def _body(message: MessageView, *, with_files: bool) -> str:
    body = "\n".join(part for part in (_attachment(message, with_files=with_files), _text(message)) if part)
    if message.deleted_at is not None:
        return f"{body} <This message was deleted>" if body else "This message was deleted"
    body = body or CALLED_BY_KIND.get(message.kind, "")
    return f"{body} <This message was edited>" if message.edited_at is not None else body


def _attachment(message: MessageView, *, with_files: bool) -> str:
    if message.location is not None and message.location.latitude is not None:
        return f"location: https://maps.google.com/?q={message.location.latitude},{message.location.longitude}"
    if message.kind not in MEDIA_KINDS and message.media is None:
        return ""
    if with_files and message.media is not None and message.media.path:
        return f"{message.media.path.rpartition('/')[2]} (file attached)"
    return "<Media omitted>"


def _text(message: MessageView) -> str:
    if message.kind != "poll":
        return message.content
    question, *options = message.content.split("\n")
    return "\n".join(["POLL:", question, *(f"OPTION: {option}" for option in options)])
