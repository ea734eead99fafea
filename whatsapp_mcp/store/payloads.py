"""The lowest rung: what came in, kept verbatim and compressed, each item once.

Items of journals and exports mean the same whenever they arrive, so an item whose letters were seen before is neither stored
nor applied again. A directory (contacts, chats, a group's data) speaks of the moment at which it was asked: every answer is
kept, but one with the same letters as the answer before it costs only a reference.
"""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import DatabaseCorrupt
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.store import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

ITEMWISE: Final = frozenset({
    "getChatHistory", "getMessage", "lastIncomingMessages", "lastOutgoingMessages", "lastIncomingCalls",
    "lastOutgoingCalls", "receiveNotification", "webhook", "chat_export", "getIncomingStatuses", "getOutgoingStatuses",
})  # fmt: skip
"""Origins whose items mean the same whenever they arrive."""
_STATUSES: Final = frozenset({"getIncomingStatuses", "getOutgoingStatuses"})

_ZLIB, _REFERENCE = 1, 2
_LEVEL: Final = 3
_LONG: Final = 20
"""Digits that no number of a payload has."""
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


_NEAR: Final = 2 * 86_400
"""Seconds: a notification waits in the queue for a day at most."""
_LOOKED_AT: Final = 3000
_UNPACKED: Final = 8_000_000
"""Bytes of packed bodies that one look for a message costs at most: about a fifth of a second."""

Fresh = dict[str, tuple[int, int]]
"""Unseen items with the bucket and the digest under which they are registered."""

_BUCKETS: Final = 2048
_REGISTERED: Final = (-1, 0)
_BEFORE: Final = 20
"""So many characters before the first ``@`` hold the whole number of a person or the end of a group's id."""


def bucket_of(item: str) -> int:
    """Where an item's digest is kept: beside those of the same chat, by the first id that its text names.

    Digests are random, and a history of 150 items would touch as many pages of one big index, to be written at each commit.
    """
    at = item.find("@")
    return zlib.crc32(item[max(0, at - _BEFORE) : at].encode("utf-8", "surrogatepass")) % _BUCKETS if at > 0 else 0


def digest_of(text: str, context: str = "") -> int:
    """64 bits of BLAKE2b as a signed integer; with a context, the same text counts anew in another context."""
    data = text.encode("utf-8", "surrogatepass")
    hasher = blake2b(data, digest_size=8, key=_key(context)) if context else blake2b(data, digest_size=8)
    return int.from_bytes(hasher.digest(), "big", signed=True)


@lru_cache(maxsize=64)
def _key(context: str) -> bytes:
    return blake2b(context.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class Payloads:
    """The payload tables."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on an open database."""
        self._connection = connection

    def scope_of(self, payload: Payload) -> str:
        """What an item's letters count in: an export's lines in their file's context, a journal's wherever they come from.

        The same letters as a status and as a message would not mean the same.
        """
        if payload.origin in _STATUSES:
            return "statuses"
        return _context(payload) if payload.origin == "chat_export" else ""

    def unseen(self, payload: Payload) -> Fresh:
        """The items that were not seen before, each once, with where they will be registered."""
        if payload.origin not in ITEMWISE:
            return dict.fromkeys(payload.items, (0, 0))
        context = self.scope_of(payload)
        fresh = {item: (bucket_of(item), digest_of(item, context)) for item in payload.items}
        buckets: dict[int, list[int]] = {}
        for bucket, digest in fresh.values():
            buckets.setdefault(bucket, []).append(digest)
        known = {(bucket, digest) for bucket, digests in buckets.items() for (digest,) in self._known(bucket, digests)}
        return {item: place for item, place in fresh.items() if place not in known} if known else fresh

    def again(self, item: str) -> Fresh:
        """An item that is kept once more, for what its payload says beyond it; it is registered already."""
        return {item: _REGISTERED}

    def _known(self, bucket: int, digests: Sequence[int]) -> list[tuple[int]]:
        return self._connection.execute(
            "SELECT digest FROM payload_items WHERE bucket = ? AND digest IN (SELECT value FROM json_each(?))",
            (bucket, json.dumps(digests)),
        ).fetchall()

    def keep(self, payload: Payload, fresh: Fresh, unreadable: int) -> None:
        """Store the unseen items of a payload."""
        text = _pack(list(fresh))
        text_digest = digest_of(text)
        said = (payload.origin, _context(payload), payload.received_at, len(fresh), unreadable, int(payload.damaged))
        encoding, body, findable = _ZLIB, b"", None
        if payload.origin in ITEMWISE:
            registered = sorted(set(fresh.values()) - {_REGISTERED})
            rows.insert_many(self._connection, "payload_items", ("bucket", "digest"), registered)
        else:
            encoding, body = self._reference(said[0], said[1], text_digest)
            findable = text_digest if encoding == _ZLIB else None
        if encoding == _ZLIB:
            body = _deflate(text.encode("utf-8", "surrogatepass"))
        self._connection.execute(
            "INSERT INTO payloads (origin, context, received_at, item_count, unreadable_count, damaged, encoding, digest,"
            " text_digest, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*said, encoding, _seal(said, text_digest), findable, body),
        )

    def _reference(self, origin: str, context: str, text_digest: int) -> tuple[int, bytes]:
        row = self._connection.execute(
            "SELECT payload_id FROM payloads WHERE text_digest = ? AND origin = ? AND context = ? AND encoding = ? LIMIT 1",
            (text_digest, origin, context, _ZLIB),
        ).fetchone()
        return (_ZLIB, b"") if row is None else (_REFERENCE, str(row[0]).encode())

    def replay(self) -> Iterator[Payload]:
        """Every stored payload in the order of arrival.

        Raises:
            DatabaseCorrupt: a payload is missing or is not what was stored, in its text or in what is said beside it.

        """
        if missing := self._missing():
            message = f"{missing} stored payloads are missing."
            raise DatabaseCorrupt(message)
        last = 0
        while True:
            found = self._connection.execute(
                "SELECT payload_id, digest, text_digest, origin, context, received_at, item_count, unreadable_count, damaged"
                " FROM payloads WHERE payload_id > ? ORDER BY payload_id LIMIT 200",
                (last,),
            ).fetchall()
            if not found:
                return
            for last, digest, findable, *said in found:
                text = self._text(last)
                self._prove(last, (digest, findable), said, digest_of(text))
                origin, context, received_at, count, _, damaged = said
                items = _unpack(text) if count else ()
                yield Payload(origin, received_at, items, json.loads(context), damaged=bool(damaged))

    def mentioning(self, words: str, chat: str, sent_at: int) -> Iterator[Payload]:
        """Payloads of one item each that hold `words`: those that came about `sent_at` or were asked for `chat`, nearest first.

        For one message at a time: nothing says which payload brought it, so only so much is unpacked as takes a blink. What is
        damaged is passed over.
        """
        found = self._connection.execute(
            "SELECT payload_id, origin, received_at, context, length(body) FROM payloads WHERE item_count > 0 AND encoding = ?"
            " AND (received_at BETWEEN ? AND ? OR instr(context, ?)) ORDER BY abs(received_at - ?) LIMIT ?",
            (_ZLIB, sent_at - _NEAR, sent_at + _NEAR, json.dumps(chat), sent_at, _LOOKED_AT),
        )
        left = _UNPACKED
        for payload_id, origin, received_at, context, size in found:
            left -= size
            if left < 0:
                return
            with suppress(DatabaseCorrupt):
                text = self._text(payload_id)
                items = [item for item in _unpack(text) if words in item] if words in text else []
                for item in items:
                    yield Payload(origin, received_at, (item,), json.loads(context))

    def _missing(self) -> int:
        """Payloads are never deleted; SQLite keeps the highest number that it gave to one."""
        given = self._connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'payloads'").fetchone()[0]
        there, highest = self._connection.execute("SELECT count(*), max(payload_id) FROM payloads").fetchone()
        return int(max(given or 0, highest or 0) - there)

    def _prove(self, payload_id: int, digests: tuple[object, object], said: Sequence[object], text_digest: int) -> None:
        if digests[0] != _seal(said, text_digest) or digests[1] not in (None, text_digest):
            message = f"The stored payload {payload_id} is not what was received."
            raise DatabaseCorrupt(message)

    def _text(self, payload_id: int, referring: int | None = None) -> str:
        row = self._connection.execute("SELECT encoding, body FROM payloads WHERE payload_id = ?", (payload_id,)).fetchone()
        encoding, body = row or (None, None)
        if encoding == _ZLIB and isinstance(body, bytes):
            return _inflate(body, payload_id)
        if encoding == _REFERENCE and referring is None and isinstance(body, bytes) and body.isdigit() and len(body) < _LONG:
            earlier = int(body)
            if earlier < payload_id:
                return self._text(earlier, payload_id)
        message = f"The text of the stored payload {payload_id if referring is None else referring} is missing."
        raise DatabaseCorrupt(message)


def _seal(said: Sequence[object], text_digest: int) -> int:
    """One digest of a whole row; what is no value of ours (a blob, say) only has to give another one."""
    return digest_of(json.dumps([*said, text_digest], default=repr))


def _context(payload: Payload) -> str:
    return json.dumps(dict(payload.context), ensure_ascii=False, sort_keys=True)


def _pack(items: Sequence[str]) -> str:
    """RFC 7464's separator cannot stand inside of JSON; a damaged rest or an export's line may hold it: then an array."""
    if any("\x1e" in item or not item for item in items):
        return "\x1e" + json.dumps(items)
    return "\x1e".join(items)


def _unpack(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text[1:])) if text.startswith("\x1e") else tuple(text.split("\x1e"))


def _inflate(body: bytes, payload_id: int) -> str:
    try:
        return zlib.decompressobj(zdict=_DICTIONARY).decompress(body).decode("utf-8", "surrogatepass")
    except (zlib.error, UnicodeDecodeError) as error:
        message = f"The stored payload {payload_id} cannot be unpacked."
        raise DatabaseCorrupt(message) from error


def _deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(_LEVEL, zdict=_DICTIONARY)
    return packer.compress(text) + packer.flush()
