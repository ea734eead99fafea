"""What people and groups were called, and when: every name that was ever seen, from its first sighting to its last.

A name's stretch may overlap another's, for a name can come back and two sources can disagree; both ends are joined by min and
max, so the order of arrival cannot matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from whatsapp_mcp.records import Contact

PersonName = tuple[int, str, str, int, int]
"""The contact's key, the source (``phonebook`` or ``profile``), the name, and the two ends of its stretch."""

_WIDEN: Final = (
    " ON CONFLICT DO UPDATE SET first_seen_at = min(first_seen_at, excluded.first_seen_at),"
    " last_seen_at = max(last_seen_at, excluded.last_seen_at)"
    " WHERE excluded.first_seen_at < first_seen_at OR excluded.last_seen_at > last_seen_at"
)


def names_in(contact: Contact, key: int) -> Iterator[PersonName]:
    """The names that one sighting of the person with that key tells."""
    if contact.phonebook_name:
        yield key, "phonebook", contact.phonebook_name, contact.seen_at, contact.seen_at
    if contact.profile_name:
        yield key, "profile", contact.profile_name, contact.seen_at, contact.seen_at


def see_person_names(connection: sqlite3.Connection, names: Iterable[PersonName]) -> None:
    """Remember what people were called; what lies within a known stretch writes nothing."""
    connection.executemany("INSERT INTO contact_names VALUES (?, ?, ?, ?, ?)" + _WIDEN, names)


def see_group_name(connection: sqlite3.Connection, group: int, name: str, seen_at: int) -> None:
    """Remember what a group was called; an empty name says nothing."""
    if name:
        connection.execute("INSERT INTO group_names VALUES (?, ?, ?, ?)" + _WIDEN, (group, name, seen_at, seen_at))


def move_names(connection: sqlite3.Connection, losing: int, winning: int) -> None:
    """Give the names of a contact to the one that it turned out to be."""
    names = connection.execute("SELECT * FROM contact_names WHERE contact_id = ?", (losing,)).fetchall()
    connection.execute("DELETE FROM contact_names WHERE contact_id = ?", (losing,))
    see_person_names(connection, [(winning, *name[1:]) for name in names])
