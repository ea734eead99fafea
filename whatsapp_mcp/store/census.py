"""The archive in natural terms: every derived row with WhatsApp's ids instead of our integers.

Two archives are the same when their censuses are, whatever order things arrived in and whatever numbers the rows got. Tests
of the order of arrival, ``verify --thorough`` and the rebuild test all compare by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

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
    "group_snapshots": f"SELECT {_GROUP}, seen_at FROM group_snapshots AS t",
    "chats": f"SELECT whatsapp_chat_id, chat_type, {_person('contact_id')}, {_GROUP}, name, last_message_at, message_count,"
    " is_archived, listed_name, name_at, archived_at FROM chats AS t",
    "messages": f"SELECT {_CHAT}, whatsapp_message_id, {_person('sender_contact_id')}, from_me, content, message_type, sent_at,"
    " (SELECT q.whatsapp_message_id FROM messages AS q WHERE q.message_id = t.quoted_message_id), quoted_whatsapp_message_id,"
    " is_forwarded, delivery_status, edited_at, deleted_at, media_url, media_filename, media_mime_type, media_size, latitude,"
    " longitude, location_name, shared_contact, marker, media_seen_at FROM messages AS t",
    "message_versions": f"SELECT {_CHAT}, whatsapp_message_id, source, version_at, content FROM message_versions AS t",
    "deletions": f"SELECT {_CHAT}, whatsapp_message_id, deleted_at FROM deletions AS t",
    "receipts": f"SELECT {_CHAT}, whatsapp_message_id, delivery_status FROM receipts AS t",
    "reactions": f"SELECT {_CHAT}, whatsapp_message_id, {_person('sender_contact_id')}, reacted_at, emoji FROM reactions AS t",
    "poll_votes": f"SELECT {_CHAT}, whatsapp_message_id, option, {_person('contact_id')}, voted_at FROM poll_votes AS t",
    "poll_tallies": f"SELECT {_CHAT}, whatsapp_message_id, voted_at FROM poll_tallies AS t",
    "calls": f"SELECT {_CHAT}, whatsapp_message_id, is_video, call_status, duration FROM calls AS t",
}
"""One query for each derived table."""

INDEX_QUERY: Final = (
    f"SELECT {_CHAT}, t.whatsapp_message_id, v.term, v.col, v.offset FROM temp.index_words AS v"
    " LEFT JOIN messages AS t ON t.message_id = v.doc"
)
"""Every word of the search index with the message that holds it."""


def census(connection: sqlite3.Connection) -> dict[str, set[tuple[object, ...]]]:
    """All derived rows by table, in natural terms, with the words of the search index under ``message_index``."""
    found = {table: set(connection.execute(query)) for table, query in QUERIES.items()}
    found["message_index"] = set(index_words(connection))
    return found


def index_words(connection: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    """Each occurrence of a word in the search index: chat, message, word, column, position."""
    connection.execute("CREATE VIRTUAL TABLE temp.index_words USING fts5vocab (main, message_index, instance)")
    try:
        yield from connection.execute(INDEX_QUERY).fetchall()
    finally:
        connection.execute("DROP TABLE temp.index_words")
