"""What exists in the database, and how each column joins when the same thing is seen twice.

Two rooms read this page: the store writes what it declares, the queries read it. The table and column names that people query
are a promise (README, "The tables"); the integer keys are this archive's own and stay the same through a rebuild.

Times are unix seconds UTC. Ids of WhatsApp are text as received; a person known by a privacy id and by a number has one row in
``contacts`` (under the number) and all ids in ``aliases``. What waits for a message that was not seen yet (edits, deletions,
receipts, reactions, votes, calls) is keyed by the chat and WhatsApp's own message id, because there may be no row to point to.

A chat's ``name`` is settled from what a directory lists, the group's name or the contact's; a contact's from the phone book
or the profile. ``messages.quoted_message_id`` is no declared foreign key, since SQLite would scan all messages when one is
joined into another; ``verify`` checks it instead.

``payloads.digest`` seals a whole row: its text and everything said beside it. ``text_digest`` is of the text alone and stands
only where a later answer with the same letters may refer to the row. Payloads are never deleted, so the counter that
``AUTOINCREMENT`` keeps says how many there must be.

``message_index`` is contentless: it holds folded words only, so search costs no second copy of the texts. Its rows are
replaced by the ``delete`` command with the old words (SQLite 3.40 has no ``contentless_delete``), which is why only the store
writes here.
"""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from re import MULTILINE, findall
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.schema.measures import THIRD
from whatsapp_mcp.schema.media import FOURTH
from whatsapp_mcp.schema.semantic import FIFTH

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from sqlite_utils import Database

VERSION: Final = 5
"""``PRAGMA user_version`` of a database that this code writes."""

DATABASE_NAME: Final = "whatsapp_chats.db"

TABLES: Final = """
CREATE TABLE contacts (
    contact_id INTEGER PRIMARY KEY,
    phone_number TEXT UNIQUE,
    whatsapp_id TEXT NOT NULL UNIQUE,
    name TEXT,
    profile_picture_url TEXT,
    is_business INTEGER,
    created_at INTEGER,
    updated_at INTEGER,
    phonebook_name TEXT,
    phonebook_name_at INTEGER,
    profile_name TEXT,
    profile_name_at INTEGER,
    picture_at INTEGER
);
CREATE TABLE aliases (
    whatsapp_id TEXT PRIMARY KEY,
    canonical_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE groups (
    group_id INTEGER PRIMARY KEY,
    whatsapp_group_id TEXT NOT NULL UNIQUE,
    group_name TEXT,
    created_by_contact_id INTEGER REFERENCES contacts,
    created_at INTEGER,
    description TEXT,
    group_name_at INTEGER,
    description_at INTEGER,
    created_by TEXT,
    created_by_at INTEGER
);
CREATE TABLE group_members (
    group_id INTEGER NOT NULL REFERENCES groups,
    contact_id INTEGER NOT NULL REFERENCES contacts,
    role TEXT,
    first_seen_at INTEGER,
    last_seen_at INTEGER,
    left_at INTEGER,
    PRIMARY KEY (group_id, contact_id)
) WITHOUT ROWID;
CREATE TABLE group_snapshots (
    group_id INTEGER NOT NULL REFERENCES groups,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, seen_at)
) WITHOUT ROWID;
CREATE TABLE chats (
    chat_id INTEGER PRIMARY KEY,
    whatsapp_chat_id TEXT NOT NULL UNIQUE,
    chat_type TEXT NOT NULL,
    contact_id INTEGER REFERENCES contacts,
    group_id INTEGER REFERENCES groups,
    name TEXT,
    last_message_at INTEGER,
    message_count INTEGER NOT NULL DEFAULT 0,
    is_archived INTEGER,
    listed_name TEXT,
    name_at INTEGER,
    archived_at INTEGER
);
CREATE TABLE messages (
    message_id INTEGER PRIMARY KEY,
    chat_id INTEGER NOT NULL REFERENCES chats,
    sender_contact_id INTEGER REFERENCES contacts,
    whatsapp_message_id TEXT NOT NULL,
    from_me INTEGER NOT NULL,
    content TEXT NOT NULL DEFAULT '',
    message_type TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    timestamp TEXT GENERATED ALWAYS AS (datetime(sent_at, 'unixepoch')) VIRTUAL,
    quoted_message_id INTEGER,
    quoted_whatsapp_message_id TEXT,
    is_forwarded INTEGER,
    delivery_status TEXT,
    edited_at INTEGER,
    deleted_at INTEGER,
    media_url TEXT,
    media_filename TEXT,
    media_mime_type TEXT,
    media_size INTEGER,
    local_media_path TEXT,
    latitude REAL,
    longitude REAL,
    location_name TEXT,
    shared_contact TEXT,
    marker TEXT,
    media_seen_at INTEGER,
    UNIQUE (chat_id, whatsapp_message_id)
);
CREATE INDEX messages_by_chat ON messages (chat_id, sent_at);
CREATE INDEX messages_by_time ON messages (sent_at);
CREATE INDEX messages_awaiting_quote ON messages (chat_id, quoted_whatsapp_message_id)
    WHERE quoted_message_id IS NULL AND quoted_whatsapp_message_id IS NOT NULL;
CREATE TABLE message_versions (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    source TEXT NOT NULL,
    version_at INTEGER NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (chat_id, whatsapp_message_id, source, version_at, content)
) WITHOUT ROWID;
CREATE TABLE deletions (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    deleted_at INTEGER,
    PRIMARY KEY (chat_id, whatsapp_message_id)
) WITHOUT ROWID;
CREATE TABLE receipts (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    delivery_status TEXT,
    PRIMARY KEY (chat_id, whatsapp_message_id)
) WITHOUT ROWID;
CREATE TABLE reactions (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    sender_contact_id INTEGER NOT NULL REFERENCES contacts,
    reacted_at INTEGER NOT NULL,
    emoji TEXT NOT NULL,
    PRIMARY KEY (chat_id, whatsapp_message_id, sender_contact_id, reacted_at, emoji)
) WITHOUT ROWID;
CREATE TABLE poll_votes (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    option TEXT NOT NULL,
    contact_id INTEGER NOT NULL REFERENCES contacts,
    voted_at INTEGER NOT NULL,
    PRIMARY KEY (chat_id, whatsapp_message_id, option, contact_id, voted_at)
) WITHOUT ROWID;
CREATE TABLE poll_tallies (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    voted_at INTEGER NOT NULL,
    PRIMARY KEY (chat_id, whatsapp_message_id, voted_at)
) WITHOUT ROWID;
CREATE TABLE calls (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    is_video INTEGER,
    call_status TEXT,
    duration INTEGER,
    PRIMARY KEY (chat_id, whatsapp_message_id)
) WITHOUT ROWID;
CREATE TABLE sync_status (
    chat_id INTEGER PRIMARY KEY REFERENCES chats,
    last_synced_message_id TEXT,
    sync_progress TEXT NOT NULL DEFAULT 'pending',
    last_synced_at INTEGER,
    oldest_sent_at INTEGER,
    error_count INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    run_id INTEGER REFERENCES runs,
    history_length INTEGER
);
CREATE TABLE runs (
    run_id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    chats_total INTEGER NOT NULL DEFAULT 0,
    chats_done INTEGER NOT NULL DEFAULT 0,
    chats_failed INTEGER NOT NULL DEFAULT 0,
    messages_seen INTEGER NOT NULL DEFAULT 0,
    messages_new INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    throttled INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    updated_at INTEGER
);
CREATE TABLE media_download_queue (
    message_id INTEGER PRIMARY KEY REFERENCES messages,
    media_url TEXT,
    download_status TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    last_error TEXT
);
CREATE TABLE payloads (
    payload_id INTEGER PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    context TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    item_count INTEGER NOT NULL,
    unreadable_count INTEGER NOT NULL DEFAULT 0,
    damaged INTEGER NOT NULL DEFAULT 0,
    encoding INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    text_digest INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX payloads_by_text ON payloads (text_digest) WHERE text_digest IS NOT NULL;
CREATE TABLE payload_items (
    bucket INTEGER NOT NULL,
    digest INTEGER NOT NULL,
    PRIMARY KEY (bucket, digest)
) WITHOUT ROWID;
CREATE TABLE cursors (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE VIRTUAL TABLE message_index USING fts5 (
    content, attachment, content='', tokenize="unicode61 remove_diacritics 2"
);
CREATE VIEW current_reactions AS
    SELECT chat_id, whatsapp_message_id, sender_contact_id, emoji, reacted_at FROM (
        SELECT *, row_number() OVER (
            PARTITION BY chat_id, whatsapp_message_id, sender_contact_id ORDER BY reacted_at DESC, emoji DESC
        ) AS newest FROM reactions
    ) WHERE newest = 1 AND emoji <> '';
CREATE VIEW current_poll_votes AS
    SELECT chat_id, whatsapp_message_id, option, contact_id, voted_at FROM poll_votes AS v
    WHERE voted_at = (
        SELECT max(voted_at) FROM poll_tallies AS t
        WHERE t.chat_id = v.chat_id AND t.whatsapp_message_id = v.whatsapp_message_id
    );
"""
"""The first migration, frozen: later changes are further migrations."""

SECOND: Final = """
ALTER TABLE messages ADD COLUMN origins INTEGER;
ALTER TABLE sync_status ADD COLUMN last_history_length INTEGER;
CREATE TABLE contact_names (
    contact_id INTEGER NOT NULL REFERENCES contacts,
    source TEXT NOT NULL,
    name TEXT NOT NULL,
    first_seen_at INTEGER,
    last_seen_at INTEGER,
    PRIMARY KEY (contact_id, source, name)
) WITHOUT ROWID;
CREATE TABLE group_names (
    group_id INTEGER NOT NULL REFERENCES groups,
    name TEXT NOT NULL,
    first_seen_at INTEGER,
    last_seen_at INTEGER,
    PRIMARY KEY (group_id, name)
) WITHOUT ROWID;
CREATE TABLE group_member_history (
    group_id INTEGER NOT NULL REFERENCES groups,
    contact_id INTEGER NOT NULL REFERENCES contacts,
    role TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, contact_id, role, from_at)
) WITHOUT ROWID;
CREATE TABLE coverage (
    chat_id INTEGER NOT NULL,
    origin TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    verified_at INTEGER NOT NULL,
    PRIMARY KEY (chat_id, origin, from_at)
) WITHOUT ROWID;
CREATE TABLE repairs (
    chat_id INTEGER NOT NULL REFERENCES chats,
    whatsapp_message_id TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    last_attempt_at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (chat_id, whatsapp_message_id)
) WITHOUT ROWID;
CREATE VIEW missing_messages AS SELECT chat_id, whatsapp_message_id, noticed_by FROM (
    SELECT DISTINCT chat_id, quoted_whatsapp_message_id AS whatsapp_message_id, 'quote' AS noticed_by FROM messages
        WHERE quoted_message_id IS NULL AND quoted_whatsapp_message_id IS NOT NULL
    UNION ALL SELECT chat_id, whatsapp_message_id, 'receipt' FROM receipts
    UNION ALL SELECT chat_id, whatsapp_message_id, 'deletion' FROM deletions
    UNION ALL SELECT DISTINCT chat_id, whatsapp_message_id, 'edit' FROM message_versions AS t WHERE NOT EXISTS (
        SELECT 1 FROM messages AS m WHERE m.chat_id = t.chat_id AND m.whatsapp_message_id = t.whatsapp_message_id)
    UNION ALL SELECT DISTINCT chat_id, whatsapp_message_id, 'reaction' FROM reactions AS t WHERE NOT EXISTS (
        SELECT 1 FROM messages AS m WHERE m.chat_id = t.chat_id AND m.whatsapp_message_id = t.whatsapp_message_id)
    UNION ALL SELECT DISTINCT chat_id, whatsapp_message_id, 'vote' FROM poll_tallies AS t WHERE NOT EXISTS (
        SELECT 1 FROM messages AS m WHERE m.chat_id = t.chat_id AND m.whatsapp_message_id = t.whatsapp_message_id)
    ) AS missing WHERE chat_id NOT IN (
        SELECT chat_id FROM chats WHERE whatsapp_chat_id LIKE '%@broadcast' OR whatsapp_chat_id LIKE '%@newsletter');
CREATE VIEW group_events AS
    WITH points AS (
        SELECT group_id, contact_id, from_at AS at FROM group_member_history
        UNION SELECT group_id, contact_id, (SELECT min(seen_at) FROM group_snapshots AS s
            WHERE s.group_id = h.group_id AND s.seen_at > h.until_at) FROM group_member_history AS h
    ), ranks AS (
        SELECT group_id, contact_id, at, coalesce((
            SELECT max(CASE role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END) FROM group_member_history AS h
            WHERE h.group_id = p.group_id AND h.contact_id = p.contact_id AND p.at BETWEEN h.from_at AND h.until_at
        ), 0) AS rank FROM points AS p WHERE at IS NOT NULL
    ), steps AS (
        SELECT *, lag(rank, 1, 0) OVER (PARTITION BY group_id, contact_id ORDER BY at) AS was FROM ranks
    )
    SELECT group_id, contact_id, at,
        CASE WHEN was = 0 THEN 'joined' WHEN rank = 0 THEN 'left' WHEN rank > was THEN 'promoted' ELSE 'demoted' END AS event,
        CASE coalesce(nullif(rank, 0), was) WHEN 3 THEN 'owner' WHEN 2 THEN 'admin' ELSE 'member' END AS role
    FROM steps AS e WHERE rank <> was
        AND (was > 0 OR at > (SELECT min(seen_at) FROM group_snapshots AS s WHERE s.group_id = e.group_id));
"""
"""The second migration: names and members over time, what is known from where, and what is missing.

``coverage`` says which time of a chat (``chat_id`` 0: of all chats) is known from which origin: ``history`` (to the bottom),
``capped_history``, ``journal``, ``queue``, ``import``. ``missing_messages`` holds ids that something refers to and that were
never seen, so a gap closes by itself when its message arrives (statuses and channels have none: nobody promised them);
``repairs`` remembers what the gateway said when it was asked for one. ``messages.origins`` adds up `ASKED`, `TOLD` and
`IMPORTED`. ``group_member_history`` holds runs: the person was in every snapshot of the group between ``from_at`` and
``until_at`` with that role. ``group_events`` tells what changed from one snapshot to the next, at the time of the later one;
``role`` is the new one, or of who left the last one. Who is in a group's first snapshot joined nobody knows when.
"""

ASKED: Final = 1
"""Bit of ``messages.origins``: a journal, a history or getMessage gave it."""
TOLD: Final = 2
"""Bit of ``messages.origins``: a notification brought it, by the queue or the webhook."""
IMPORTED: Final = 4
"""Bit of ``messages.origins``: it stood in an export or another file."""

GIVEN_UP_AFTER: Final = 3
"""So many times the gateway says that it has no such message before it is called unobtainable."""

REBUILD_CURSOR: Final = "rebuild_wanted"
"""The cursor that a migration leaves where the new tables must be filled from the payloads."""

JOINS: Final[dict[str, dict[str, str]]] = {
    "contacts": {
        "phone_number": "known",
        "is_business": "any",
        "created_at": "first",
        "updated_at": "last",
        "phonebook_name": "latest phonebook_name_at",
        "profile_name": "latest profile_name_at",
        "profile_picture_url": "latest picture_at",
    },
    "groups": {
        "group_name": "latest group_name_at",
        "description": "latest description_at",
        "created_by": "latest created_by_at",
        "created_at": "first",
    },
    "group_members": {"role": "latest last_seen_at", "first_seen_at": "first"},
    "chats": {"listed_name": "latest name_at", "is_archived": "latest archived_at"},
    "messages": {
        "from_me": "any",
        "message_type": "revealed",
        "sent_at": "first",
        "quoted_whatsapp_message_id": "known",
        "is_forwarded": "any",
        "delivery_status": "furthest",
        "edited_at": "first",
        "deleted_at": "first",
        "media_url": "latest media_seen_at",
        "media_filename": "known",
        "media_mime_type": "known",
        "media_size": "last",
        "local_media_path": "known",
        "media_sha256": "known",
        "latitude": "known",
        "longitude": "known",
        "location_name": "known",
        "shared_contact": "known",
        "marker": "known",
        "origins": "union",
    },
    "deletions": {"deleted_at": "first"},
    "receipts": {"delivery_status": "furthest"},
    "calls": {"is_video": "any", "call_status": "known", "duration": "last"},
}
"""How two sightings join, per column; whatever is not named here is a key or is settled from other tables.

``first`` the smaller, ``last`` the larger, ``known`` what is not empty (of two, the greater), ``any`` true if ever true,
``union`` all bits of both, ``furthest`` the later of `records.DELIVERY_STATES`, ``revealed`` the later of `records.KINDS`,
``latest C`` the value with the later time in column C. Each is commutative, associative and idempotent, so the order of arrival
cannot matter.
"""

DERIVED: Final = (
    "message_index", "poll_tallies", "poll_votes", "reactions", "receipts", "deletions", "message_versions", "calls",
    "messages", "chats", "group_snapshots", "group_member_history", "group_members", "group_names", "groups", "aliases",
    "contact_names", "contacts",
)  # fmt: skip
"""What a rebuild makes anew from the payloads, in an order that foreign keys allow to empty."""

_BY_VERSION: Final = tuple(
    frozenset(findall(r"^CREATE (?:VIRTUAL )?TABLE (\w+)", text, MULTILINE))
    for text in accumulate((TABLES, SECOND, THIRD, FOURTH, FIFTH))
)

NEEDED: Final = _BY_VERSION[-1]
"""The tables without which nothing can be asked or stored."""


def needed(version: int) -> frozenset[str]:
    """The tables that a database of that ``user_version`` must have."""
    return _BY_VERSION[min(max(version, 1), VERSION) - 1]


FOREIGN: Final = "The archive's database belongs to another program."
CHOOSE_ANOTHER: Final = "Choose another folder with --home; the file was not touched."

lenient_text: Final[Callable[[bytes], str]] = partial(str, encoding="utf-8", errors="replace")
"""The ``text_factory`` of every connection: a damaged letter must not hide the rest, and SQLite's complaint quotes it all."""


def is_foreign(version: int, names: AbstractSet[str]) -> bool:
    """Whether a database of that ``user_version`` with tables of these names is none of this program's."""
    return bool(names) and not (version and names & NEEDED)


def migrate(database: Database) -> None:
    """Bring an opened database to `VERSION`; safe to call any time."""
    from sqlite_utils import Migrations

    migrations = Migrations("whatsapp_mcp")

    @migrations()
    def m001_the_archive(db: Database) -> None:
        _run(db, TABLES)
        db.execute("PRAGMA user_version = 1")

    @migrations()
    def m002_over_time(db: Database) -> None:
        _run(db, SECOND)
        if db.execute("SELECT EXISTS (SELECT 1 FROM payloads)").fetchone()[0]:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (REBUILD_CURSOR, "2"))
        db.execute("PRAGMA user_version = 2")

    @migrations()
    def m003_measures(db: Database) -> None:
        _run(db, THIRD)
        db.execute("PRAGMA user_version = 3")

    @migrations()
    def m004_media(db: Database) -> None:
        _run(db, FOURTH)
        db.execute("PRAGMA user_version = 4")

    @migrations()
    def m005_semantic(db: Database) -> None:
        _run(db, FIFTH)
        db.execute("PRAGMA user_version = 5")

    migrations.apply(database)


def _run(database: Database, statements: str) -> None:
    for statement in statements.split(";\n"):
        if statement.strip():
            database.execute(statement)


def version_of(connection: sqlite3.Connection) -> int:
    """The ``user_version`` of an open database: 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
