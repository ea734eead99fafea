"""What the database knows of the meaning of texts, and what finds messages by their sender or state: the fifth migration."""

from __future__ import annotations

from typing import Final

BLOCK: Final = 2_048
"""So many message ids in a row share one row of ``meanings``."""

FIFTH: Final = """
CREATE TABLE meanings (
    block INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    seen TEXT NOT NULL,
    ids BLOB NOT NULL,
    texts BLOB NOT NULL,
    codes BLOB NOT NULL
);
CREATE INDEX messages_edited ON messages (sent_at) WHERE edited_at IS NOT NULL;
CREATE INDEX messages_deleted ON messages (sent_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX messages_forwarded ON messages (sent_at) WHERE is_forwarded <> 0;
"""
"""The fifth migration: vectors of messages for search by meaning; empty unless the settings ask for it.

``block`` is ``message_id / BLOCK``. ``ids`` holds a message id each (8 bytes), ``texts`` the CRC-32 of the text that the vector
was made of (4 bytes), ``codes`` the vectors (`search.meaning`); ``seen`` says in which state the messages of the block were, so
that an edit is noticed. One row for many vectors, because a query walks all of them: a million rows would take SQLite a second.

The indexes are for searches of a frequent word in what was edited, deleted or forwarded.
"""

LARGE: Final = 500_000
"""Messages from which on an archive is worth `FOR_LARGE`."""
FOR_LARGE: Final = (
    "CREATE INDEX IF NOT EXISTS messages_by_sender ON messages (sender_contact_id, sent_at)",
    "CREATE INDEX IF NOT EXISTS messages_by_kind ON messages (message_type, sent_at) WHERE message_type <> 'text'",
)
"""Indexes for a frequent word by one person or beside a file. They are eight bytes of a hundred, and a smaller archive answers
such a question in some milliseconds without them; so `Store.compact` makes them where they pay. No query names them."""
