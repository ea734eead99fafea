"""The archive in natural terms: every derived row with WhatsApp's ids instead of our integers.

Two archives are the same when their censuses are, whatever order things arrived in and whatever numbers the rows got. Tests
of the order of arrival, ``verify --thorough`` and the rebuild test all compare by it.
"""

from __future__ import annotations

from collections import Counter
from marshal import dumps
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

_CHAT: Final = "(SELECT whatsapp_chat_id FROM chats AS c WHERE c.chat_id = t.chat_id)"
_GROUP: Final = "(SELECT whatsapp_group_id FROM groups AS g WHERE g.group_id = t.group_id)"


def _person(column: str) -> str:
    return f"(SELECT whatsapp_id FROM contacts AS p WHERE p.contact_id = t.{column})"


QUERIES: Final = {
    "contacts": "SELECT whatsapp_id, phone_number, name, profile_picture_url, is_business, created_at, updated_at,"
    " phonebook_name, phonebook_name_at, profile_name, profile_name_at, picture_at FROM contacts AS t",
    "aliases": "SELECT whatsapp_id, canonical_id FROM aliases AS t",
    "groups": f"SELECT whatsapp_group_id, group_name, {_person('created_by_contact_id')}, created_at, description,"
    " group_name_at, description_at, created_by, created_by_at FROM groups AS t",
    "group_members": f"SELECT {_GROUP}, {_person('contact_id')}, role, first_seen_at, last_seen_at, left_at"
    " FROM group_members AS t",
    "group_member_history": f"SELECT {_GROUP}, {_person('contact_id')}, role, from_at, until_at FROM group_member_history AS t",
    "contact_names": f"SELECT {_person('contact_id')}, source, name, first_seen_at, last_seen_at FROM contact_names AS t",
    "group_names": f"SELECT {_GROUP}, name, first_seen_at, last_seen_at FROM group_names AS t",
    "group_snapshots": f"SELECT {_GROUP}, seen_at FROM group_snapshots AS t",
    "chats": f"SELECT whatsapp_chat_id, chat_type, {_person('contact_id')}, {_GROUP}, name, last_message_at, message_count,"
    " is_archived, listed_name, name_at, archived_at FROM chats AS t",
    "messages": f"SELECT {_CHAT}, whatsapp_message_id, {_person('sender_contact_id')}, from_me, content, message_type, sent_at,"
    " (SELECT q.whatsapp_message_id FROM messages AS q WHERE q.message_id = t.quoted_message_id), quoted_whatsapp_message_id,"
    " is_forwarded, delivery_status, edited_at, deleted_at, media_url, media_filename, media_mime_type, media_size, latitude,"
    " longitude, location_name, shared_contact, marker, media_seen_at, origins FROM messages AS t",
    "message_versions": f"SELECT {_CHAT}, whatsapp_message_id, source, version_at, content FROM message_versions AS t",
    "deletions": f"SELECT {_CHAT}, whatsapp_message_id, deleted_at FROM deletions AS t",
    "receipts": f"SELECT {_CHAT}, whatsapp_message_id, delivery_status FROM receipts AS t",
    "reactions": f"SELECT {_CHAT}, whatsapp_message_id, {_person('sender_contact_id')}, reacted_at, emoji FROM reactions AS t",
    "poll_votes": f"SELECT {_CHAT}, whatsapp_message_id, option, {_person('contact_id')}, voted_at FROM poll_votes AS t",
    "poll_tallies": f"SELECT {_CHAT}, whatsapp_message_id, voted_at FROM poll_tallies AS t",
    "calls": f"SELECT {_CHAT}, whatsapp_message_id, is_video, call_status, duration FROM calls AS t",
}
"""One query for each derived table."""

TABLES: Final = (*QUERIES, "message_index")
"""Everything that is compared."""

INDEX_QUERY: Final = (
    f"SELECT {_CHAT}, t.whatsapp_message_id, v.term, v.col, v.offset FROM temp.index_words AS v"
    " LEFT JOIN messages AS t ON t.message_id = v.doc"
)
"""Every word of the search index with the message that holds it."""

SIZES_QUERY: Final = (
    f"SELECT {_CHAT}, t.whatsapp_message_id, s.sz FROM message_index_docsize AS s"
    " LEFT JOIN messages AS t ON t.message_id = s.id"
)
"""How many words the search index counts for each message: ranking divides by it."""

_PARTS: Final = 4096
_PLAIN: Final = 2
"""The last form of `marshal` in which equal values have equal bytes: later ones note which objects are shared."""


def census(connection: sqlite3.Connection) -> dict[str, set[tuple[Any, ...]]]:
    """All derived rows by table, in natural terms, with the words of the search index under ``message_index``."""
    return {table: set(natural_rows(connection, table)) for table in TABLES}


def natural_rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of one of `TABLES` in natural terms, in no certain order, one after the other."""
    return _index_words(connection) if table == "message_index" else connection.execute(QUERIES[table])


def _index_words(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Each occurrence of a word in the search index: chat, message, word, column, position; and how many words there are."""
    connection.execute("CREATE VIRTUAL TABLE temp.index_words USING fts5vocab (main, message_index, instance)")
    cursor = connection.execute(INDEX_QUERY)
    try:
        yield from cursor
    finally:
        cursor.close()
        connection.execute("DROP TABLE temp.index_words")
    yield from connection.execute(SIZES_QUERY)


def differences(found: sqlite3.Connection, expected: sqlite3.Connection) -> Iterator[tuple[str, int, int]]:
    """Tables whose rows differ: (table, rows that are too many, rows that are missing).

    Memory stays the same however long the tables are: rows are summed up in a few thousand parts by a hash of their bytes, and
    only those of parts whose sums differ are looked at again.
    """
    for table in TABLES:
        sums = zip(_sums(natural_rows(found, table)), _sums(natural_rows(expected, table)), strict=True)
        odd = {part for part, (one, other) in enumerate(sums) if one != other}
        if odd:
            there, wanted = (_of_parts(natural_rows(each, table), odd) for each in (found, expected))
            yield table, (there - wanted).total(), (wanted - there).total()


def _sums(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    sums = [0] * _PARTS
    for row in rows:
        number = hash(dumps(row, _PLAIN))
        sums[number % _PARTS] += number
    return sums


def _of_parts(rows: Iterable[tuple[Any, ...]], parts: AbstractSet[int]) -> Counter[int]:
    return Counter(number for row in rows if (number := hash(dumps(row, _PLAIN))) % _PARTS in parts)
