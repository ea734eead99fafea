"""The lowest rung: what came in, kept verbatim and compressed, each item once.

Items of journals and exports mean the same whenever they arrive, so an item whose letters were seen before is neither stored
nor applied again. A directory (contacts, chats, a group's data) speaks of the moment at which it was asked: every answer is
kept, but one with the same letters as the answer before it costs only a reference.
"""

from __future__ import annotations

import json
import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import DatabaseCorrupt
from whatsapp_mcp.payload import Payload

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

ITEMWISE: Final = frozenset({
    "getChatHistory", "getMessage", "lastIncomingMessages", "lastOutgoingMessages", "lastIncomingCalls",
    "lastOutgoingCalls", "receiveNotification", "webhook", "chat_export",
})  # fmt: skip
"""Origins whose items mean the same whenever they arrive."""

_ZLIB, _REFERENCE = 1, 2
_LEVEL: Final = 6
_DICTIONARY: Final = (
    b'"sendByApi":false"statusMessage":"delivered""senderContactName":"","chatId":"120363@g.us","typeMessage":"imageMessage",'
    b'"downloadUrl":"https://sw-media.storage.yandexcloud.net/","caption":"","fileName":"","jpegThumbnail":"","mimeType":"image/jpeg",'
    b'"isForwarded":false,"forwardingScore":0,"extendedTextMessage":{"text":"","description":"","title":"","previewType":"None",'
    b'"jpegThumbnail":"","stanzaId":"","participant":"@c.us"},"quotedMessage":{"stanzaId":"","participant":"","typeMessage":"textMessage",'
    b'"textMessage":""},{"type":"outgoing","idMessage":"3EB0","timestamp":17,"typeMessage":"extendedTextMessage","chatId":"@c.us",'
    b'"statusMessage":"read","sendByApi":false,{"type":"incoming","idMessage":"3A","timestamp":17,"typeMessage":"textMessage",'
    b'"chatId":"@c.us","textMessage":"","senderId":"@c.us","senderName":"","senderContactName":"","deletedMessageId":"",'
    b'"editedMessageId":"","isEdited":false,"isDeleted":false}'
)
"""What most payloads repeat: it makes a single notification a third of its size. Frozen, since stored bodies depend on it."""


def digest_of(text: str, origin: str = "", context: str = "") -> int:
    """64 bits of BLAKE2b as a signed integer; an export's lines count per file context, a journal's wherever they come from."""
    person = context.encode() if origin == "chat_export" else b""
    hasher = blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=8, key=blake2b(person, digest_size=16).digest() if person else b""
    )
    return int.from_bytes(hasher.digest(), "big", signed=True)


class Payloads:
    """The payload tables."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on an open database."""
        self._connection = connection

    def context_text(self, payload: Payload) -> str:
        """A payload's context as it is stored and as it counts in digests."""
        return _context(payload)

    def unseen(self, payload: Payload) -> tuple[list[str], list[int]]:
        """The items that were not seen before, each once, with their digests."""
        context = _context(payload)
        by_digest = {digest_of(item, payload.origin, context): item for item in payload.items}
        if payload.origin in ITEMWISE:
            known = self._connection.execute(
                "SELECT digest FROM payload_items WHERE digest IN (SELECT value FROM json_each(?))",
                (json.dumps(list(by_digest)),),
            )
            for (digest,) in known.fetchall():
                del by_digest[digest]
        return list(by_digest.values()), list(by_digest)

    def keep(self, payload: Payload, items: Sequence[str], digests: Sequence[int], unreadable: int) -> None:
        """Store the unseen items of a payload."""
        context = _context(payload)
        text = _pack(items)
        digest = digest_of(text)
        encoding, body = _ZLIB, b""
        if payload.origin in ITEMWISE:
            self._connection.execute("INSERT INTO payload_items SELECT value FROM json_each(?)", (json.dumps(digests),))
        else:
            encoding, body = self._reference(payload.origin, context, digest)
        if encoding == _ZLIB:
            body = _deflate(text.encode("utf-8", "surrogatepass"))
        self._connection.execute(
            "INSERT INTO payloads (origin, context, received_at, item_count, unreadable_count, damaged, encoding, digest, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (payload.origin, context, payload.received_at, len(items), unreadable, payload.damaged, encoding, digest, body),
        )

    def _reference(self, origin: str, context: str, digest: int) -> tuple[int, bytes]:
        row = self._connection.execute(
            "SELECT payload_id FROM payloads WHERE digest = ? AND origin = ? AND context = ? AND encoding = ? LIMIT 1",
            (digest, origin, context, _ZLIB),
        ).fetchone()
        return (_ZLIB, b"") if row is None else (_REFERENCE, str(row[0]).encode())

    def replay(self) -> Iterator[Payload]:
        """Every stored payload in the order of arrival.

        Raises:
            DatabaseCorrupt: a body cannot be unpacked, or is not what was stored.

        """
        last = 0
        while True:
            rows = self._connection.execute(
                "SELECT payload_id, origin, context, received_at, item_count, damaged, digest FROM payloads"
                " WHERE payload_id > ? ORDER BY payload_id LIMIT 200",
                (last,),
            ).fetchall()
            if not rows:
                return
            for last, origin, context, received_at, count, damaged, digest in rows:
                items = self._items(last, count, digest)
                yield Payload(origin, received_at, items, json.loads(context), damaged=bool(damaged))

    def _items(self, payload_id: int, count: int, digest: int) -> tuple[str, ...]:
        text = self._text(payload_id)
        items = _unpack(text) if count else ()
        if len(items) != count or digest_of(text) != digest:
            message = f"The stored payload {payload_id} is not what was received."
            raise DatabaseCorrupt(message)
        return items

    def _text(self, payload_id: int) -> str:
        row = self._connection.execute("SELECT encoding, body FROM payloads WHERE payload_id = ?", (payload_id,)).fetchone()
        if row is None:
            message = f"The payload {payload_id} is missing."
            raise DatabaseCorrupt(message)
        encoding, body = row
        if encoding == _REFERENCE:
            return self._text(int(body))
        try:
            return zlib.decompressobj(zdict=_DICTIONARY).decompress(body).decode("utf-8", "surrogatepass")
        except (zlib.error, UnicodeDecodeError) as error:
            message = f"The stored payload {payload_id} cannot be unpacked."
            raise DatabaseCorrupt(message) from error


def _context(payload: Payload) -> str:
    return json.dumps(dict(payload.context), ensure_ascii=False, sort_keys=True)


def _pack(items: Sequence[str]) -> str:
    """RFC 7464's separator cannot stand inside of JSON; a damaged rest or an export's line may hold it: then an array."""
    if any("\x1e" in item or not item for item in items):
        return "\x1e" + json.dumps(items)
    return "\x1e".join(items)


def _unpack(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text[1:])) if text.startswith("\x1e") else tuple(text.split("\x1e"))


def _deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zdict=_DICTIONARY)
    return packer.compress(text) + packer.flush()
