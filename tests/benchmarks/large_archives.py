"""Archives to measure readers with: the synthetic account as a sync leaves it, and sixteen or eighty times as much of it.

The large ones are written straight into the tables, with the index rows that the store would have made, because receiving a
million messages takes a minute; they are kept in the temporary folder until the account, the schema or the folding changes.
"""

from __future__ import annotations

import sqlite3
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

import bench_ingest

from whatsapp_mcp.schema import DATABASE_NAME, TABLES
from whatsapp_mcp.search import folding
from whatsapp_mcp.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE: Final = 1_000_000
LARGEST: Final = 5_000_000
_COPIES: Final = {LARGE: 16, LARGEST: 80}
_A_CHAT: Final = 4
"""So many copies of a chat's messages stand in one chat; the other copies are other people's."""
_SHIFT: Final = 31 * 60 + 7
"""Seconds by which one copy of a chat's messages comes after the one before."""


def seed_sized(folder: Path) -> Path:
    """The home of an archive of the whole synthetic account, received and compacted as `sync full` does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DATABASE_NAME
    bench_ingest.ingest(path, bench_ingest.bodies())
    _finish(path)
    return folder


def large(seed: Path, size: int = LARGE) -> Path:
    """The home of an archive of `size` messages, made of the one in `seed`; the one made last time, if it still fits."""
    folder = Path(tempfile.gettempdir()) / f"whatsapp-mcp-bench-{size}-{_digest(seed / DATABASE_NAME)}"
    path = folder / DATABASE_NAME
    if not path.exists():
        folder.mkdir(exist_ok=True)
        unfinished = folder / "unfinished.db"
        unfinished.unlink(missing_ok=True)
        _multiply(seed / DATABASE_NAME, unfinished, size)
        _finish(unfinished)
        unfinished.rename(path)
    Store(path).close()  # brings one of an earlier version up to date
    return folder


def _digest(path: Path) -> str:
    """What the large archive depends on: these lines, the schema, the folding and the texts."""
    digest = blake2b(Path(__file__).read_bytes() + TABLES.encode() + str(folding.FOLD_VERSION).encode(), digest_size=6)
    connection = sqlite3.connect(path)
    for (text,) in connection.execute("SELECT content FROM messages ORDER BY message_id"):
        digest.update(text.encode())
    connection.close()
    return digest.hexdigest()


def _finish(path: Path) -> None:
    with Store(path) as store:
        store.compact()


def _multiply(source: Path, path: Path, size: int) -> None:
    Store(path).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -200000")
    connection.execute("ATTACH ? AS seed", (str(source),))
    connection.execute("BEGIN")
    for number in range(_COPIES[size] // _A_CHAT):
        for statement in _PEOPLE:
            connection.execute(statement, {"n": number, "p": f"9990{number}" if number else ""})
    _copy_messages(connection, size)
    connection.execute(
        "UPDATE chats SET message_count = (SELECT count(*) FROM messages AS m WHERE m.chat_id = chats.chat_id),"
        " last_message_at = (SELECT max(sent_at) FROM messages AS m WHERE m.chat_id = chats.chat_id)"
    )
    connection.execute("COMMIT")
    connection.close()


_PEOPLE: Final = (
    (
        "INSERT INTO contacts (contact_id, phone_number, whatsapp_id, name)"
        " SELECT contact_id + :n * 1000, :p || phone_number, :p || whatsapp_id, name FROM seed.contacts"
    ),
    (
        "INSERT INTO chats (chat_id, whatsapp_chat_id, chat_type, contact_id, name)"
        " SELECT chat_id + :n * 1000, :p || whatsapp_chat_id, chat_type, contact_id + :n * 1000, name"
        " FROM seed.chats"
    ),
    (
        "INSERT INTO sync_status (chat_id, sync_progress, last_synced_at)"
        " SELECT chat_id + :n * 1000, sync_progress, last_synced_at FROM seed.sync_status"
    ),
    "INSERT OR IGNORE INTO aliases SELECT whatsapp_id, :p || canonical_id FROM seed.aliases",
)

_COPIED: Final = (
    "quoted_message_id", "quoted_whatsapp_message_id", "is_forwarded", "delivery_status", "edited_at", "deleted_at",
    "media_url", "media_filename", "media_mime_type", "media_size", "latitude", "longitude", "location_name", "marker",
)  # fmt: skip


def _copy_messages(connection: sqlite3.Connection, size: int) -> None:
    """Chat by chat, as a full sync numbers them."""
    copied = ", ".join(_COPIED)
    connection.execute(
        "INSERT INTO messages (chat_id, sender_contact_id, whatsapp_message_id, from_me, content, message_type, sent_at,"
        f" {copied})"
        " WITH RECURSIVE copies (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM copies WHERE n < ?1 - 1)"
        " SELECT chat_id + n % ?2 * 1000, sender_contact_id + n % ?2 * 1000, whatsapp_message_id || '-' || n, from_me, content,"
        f" message_type, sent_at + n / ?2 * ?3, {copied} FROM seed.messages CROSS JOIN copies"
        " ORDER BY n % ?2, chat_id, n / ?2, message_id LIMIT ?4",
        (_COPIES[size], _COPIES[size] // _A_CHAT, _SHIFT, size),
    )
    connection.execute("UPDATE messages SET quoted_message_id = message_id - 1 WHERE quoted_message_id IS NOT NULL")
    connection.executemany("INSERT INTO message_index (rowid, content, attachment) VALUES (?, ?, ?)", _index_rows(connection))


def _index_rows(connection: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    folded: dict[str, str] = {}
    query = "SELECT message_id, content, coalesce(media_filename, '') || ' ' || coalesce(location_name, '') FROM messages"
    for message, *texts in connection.execute(query):
        for text in texts:
            if text not in folded:
                folded[text] = folding.fold(text)
        content, attachment = texts
        yield message, folded[content], folded[attachment]
