"""What SQL alone can tell about a database: structure, references, figures, index, payloads.

Each check is one query that finds nothing in a sound archive; `verify` runs them and puts them into words.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.store.payloads import ITEMWISE, bucket_of, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.store.reading import Readable

COUNTS: Final = (
    ("index", "messages that have words but no entry in the search index",
     ("SELECT count(*) FROM messages AS m WHERE m.message_id NOT IN (SELECT id FROM message_index_docsize)"
     " AND (m.content <> '' OR m.media_filename <> '' OR m.location_name <> '' OR m.shared_contact <> '')"
     " AND has_words(CAST(m.content AS BLOB), CAST(m.media_filename AS BLOB),"
     " CAST(m.location_name AS BLOB), CAST(m.shared_contact AS BLOB))")),
    ("index", "entries in the search index without a message",
     "SELECT count(*) FROM message_index_docsize WHERE id NOT IN (SELECT message_id FROM messages)"),
    ("figures", "chats whose message count is wrong",
     "SELECT count(*) FROM chats AS c WHERE message_count <> (SELECT count(*) FROM messages AS m WHERE m.chat_id = c.chat_id)"),
    ("figures", "chats whose last message is wrong",
     ("SELECT count(*) FROM chats AS c WHERE last_message_at IS NOT"
     " (SELECT max(sent_at) FROM messages AS m WHERE m.chat_id = c.chat_id)")),
    ("references", "quotes that point to no message, or to the wrong one",
     ("SELECT count(*) FROM messages AS m LEFT JOIN messages AS q ON q.message_id = m.quoted_message_id"
     " WHERE m.quoted_message_id IS NOT NULL AND (q.chat_id IS NOT m.chat_id"
     " OR q.whatsapp_message_id IS NOT m.quoted_whatsapp_message_id)")),
    ("references", "quotes that could point to their message and do not",
     ("SELECT count(*) FROM messages AS m JOIN messages AS q ON q.chat_id = m.chat_id"
     " AND q.whatsapp_message_id = m.quoted_whatsapp_message_id WHERE m.quoted_message_id IS NULL")),
    ("settled", "deletions that wait although their message is there",
     "SELECT count(*) FROM deletions JOIN messages USING (chat_id, whatsapp_message_id)"),
    ("settled", "delivery states that wait although their message is there",
     "SELECT count(*) FROM receipts JOIN messages USING (chat_id, whatsapp_message_id)"),
    ("settled", "edited messages that do not show their latest text",
     ("SELECT count(*) FROM messages AS m WHERE EXISTS (SELECT 1 FROM message_versions AS v WHERE v.chat_id = m.chat_id"
     " AND v.whatsapp_message_id = m.whatsapp_message_id) AND NOT EXISTS (SELECT 1 FROM message_versions AS v"
     " WHERE v.chat_id = m.chat_id AND v.whatsapp_message_id = m.whatsapp_message_id AND v.content = m.content)")),
    ("people", "private chats without their person",
     "SELECT count(*) FROM chats WHERE chat_type = 'private' AND contact_id IS NULL"),
    ("people", "ids that still have a contact of their own beside the person they belong to",
     "SELECT count(*) FROM aliases JOIN contacts USING (whatsapp_id)"),
)  # fmt: skip
"""(rung, what is counted, query): a sound archive gives 0 everywhere."""


def integrity(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """SQLite's own checks of the file, its references and the index: (rung, what it says)."""
    try:
        for (line,) in connection.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield "file", str(line)
        broken = len(connection.execute("PRAGMA foreign_key_check").fetchall())
        if broken:
            yield "references", f"{broken} rows point to rows that do not exist"
    except sqlite3.DatabaseError as error:
        yield "file", f"SQLite cannot read it ({getattr(error, 'sqlite_errorname', 'unknown')})"


def counts(connection: sqlite3.Connection) -> Iterator[tuple[str, str, int]]:
    """Every check of `COUNTS` that finds something: (rung, what, how many)."""
    connection.create_function("has_words", -1, _has_words, deterministic=True)
    for rung, what, query in COUNTS:
        found = connection.execute(query).fetchone()[0]
        if found:
            yield rung, what, found


def _has_words(*texts: bytes | None) -> bool:
    """Bytes, because SQLite cannot call a function with a text that is no UTF-8."""
    folded = (fold(text.decode("utf-8", "replace")) for text in texts if text)
    return any(any(character.isalnum() for character in text) for text in folded)


def odd_items(source: Readable) -> int:
    """How many items are stored and not registered, or the other way round; each payload is proved to be what was received.

    Raises:
        DatabaseCorrupt: a payload is not what was received.

    """
    with closing(sqlite3.connect("", isolation_level=None)) as scratch:  # a file of SQLite's own, so memory stays flat
        scratch.execute("CREATE TABLE stored (bucket, digest, PRIMARY KEY (bucket, digest)) WITHOUT ROWID")
        for payload in source.payloads.replay():
            if payload.origin in ITEMWISE:
                scope = source.payloads.scope_of(payload)
                places = [(bucket_of(item), digest_of(item, scope)) for item in payload.items]
                scratch.executemany("INSERT OR IGNORE INTO stored VALUES (?, ?)", places)
        both = merge(
            scratch.execute("SELECT bucket, digest FROM stored ORDER BY bucket, digest"),
            source.connection.execute("SELECT bucket, digest FROM payload_items ORDER BY bucket, digest"),
        )
        return sum(len(list(equal)) == 1 for _, equal in groupby(both))


def not_found_again(replayed: sqlite3.Connection, archive: sqlite3.Connection) -> int:
    """How many messages of a store into which a part of an archive's payloads was replayed are not in that archive.

    A text may have been edited by a payload of another part: then it is one of the message's versions.
    """
    return sum(
        archive.execute(_FOUND_AGAIN, {"chat": chat, "message": message, "content": content}).fetchone()[0] == 0
        for chat, message, content in replayed.execute(
            "SELECT whatsapp_chat_id, whatsapp_message_id, content FROM messages JOIN chats USING (chat_id)"
        )
    )


_FOUND_AGAIN: Final = (
    "SELECT EXISTS (SELECT 1 FROM messages AS m JOIN chats USING (chat_id) WHERE whatsapp_message_id = :message"
    " AND whatsapp_chat_id = coalesce((SELECT canonical_id FROM aliases WHERE whatsapp_id = :chat), :chat)"
    " AND (content = :content OR EXISTS (SELECT 1 FROM message_versions AS v WHERE v.chat_id = m.chat_id"
    " AND v.whatsapp_message_id = m.whatsapp_message_id AND v.content = :content)))"
)
