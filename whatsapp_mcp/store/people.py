"""Who is who: contacts, chats, groups, and the ids under which each is known.

Ids are kept as received in ``aliases``; a person with several ids has one contact and one private chat, under the best of them
(a number before a privacy id before a name from an export). Which ids belong together is a union of sightings, so it does not
matter when the relation is learned: what was stored under two ids before is then joined, row by row, by the same rules as two
sightings of anything else. Only a contradiction, one privacy id claimed for two numbers, is settled by arrival: the first one
stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whatsapp_mcp.records import ME, Chat, Contact, Group, Members
from whatsapp_mcp.store import rows
from whatsapp_mcp.store.membership import move_memberships, see_snapshot
from whatsapp_mcp.store.naming import PersonName, move_names, names_in, see_group_name, see_person_names
from whatsapp_mcp.store.portraits import move_portraits
from whatsapp_mcp.store.rows import none_if_empty

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from whatsapp_mcp.store.ids import Ids

_BY_CHAT = ("message_versions", "deletions", "receipts", "reactions", "poll_votes", "poll_tallies", "calls")
_NUMBER = "@c.us"
_GROUP_LIKE = ("@g.us", "@broadcast", "@newsletter")


class People:
    """Resolves ids to our integer keys, makes rows on first sight, and joins those who turn out to be one."""

    def __init__(self, connection: sqlite3.Connection, ids: Ids) -> None:
        """Read the known ids into memory: a few thousand at most."""
        self._connection = connection
        self._ids = ids
        self.reload()

    def reload(self) -> None:
        """Read everything anew, as after a rollback."""
        read = self._connection.execute
        self._canonical: dict[str, str] = dict(read("SELECT whatsapp_id, canonical_id FROM aliases"))
        self._others: dict[str, list[str]] = {}
        for whatsapp_id, canonical in self._canonical.items():
            self._others.setdefault(canonical, []).append(whatsapp_id)
        self._contacts: dict[str, int] = dict(read("SELECT whatsapp_id, contact_id FROM contacts"))
        self._chats: dict[str, int] = dict(read("SELECT whatsapp_chat_id, chat_id FROM chats"))
        self._groups: dict[str, int] = dict(read("SELECT whatsapp_group_id, group_id FROM groups"))
        self.renamed: set[int] = set()
        self.joined: list[tuple[int, int]] = []

    def canonical(self, whatsapp_id: str) -> str:
        """The id under which a person's contact and chat stand."""
        return self._canonical.get(whatsapp_id, whatsapp_id)

    def contact(self, whatsapp_id: str) -> int:
        """The contact's key; a row is made on first sight."""
        canonical = self._canonical.get(whatsapp_id, whatsapp_id)
        key = self._contacts.get(canonical)
        if key is None:
            key = self._contacts[canonical] = self._ids.take("contacts", canonical)
            row = {"contact_id": key, "whatsapp_id": canonical, "phone_number": _phone_number(canonical)}
            rows.insert(self._connection, "contacts", row)
        return key

    def group(self, whatsapp_id: str) -> int:
        """The group's key; a row is made on first sight."""
        key = self._groups.get(whatsapp_id)
        if key is None:
            key = self._groups[whatsapp_id] = self._ids.take("groups", whatsapp_id)
            rows.insert(self._connection, "groups", {"group_id": key, "whatsapp_group_id": whatsapp_id})
        return key

    def chat(self, whatsapp_id: str) -> int:
        """The chat's key; a row is made on first sight."""
        canonical = self._canonical.get(whatsapp_id, whatsapp_id)
        key = self._chats.get(canonical)
        if key is None:
            key = self._chats[canonical] = self._ids.take("chats", canonical)
            private = not canonical.endswith(_GROUP_LIKE)
            row = {
                "chat_id": key,
                "whatsapp_chat_id": canonical,
                "chat_type": "private" if private else "group",
                "contact_id": self.contact(canonical) if private else None,
                "group_id": self.group(canonical) if canonical.endswith("@g.us") else None,
            }
            rows.insert(self._connection, "chats", row)
            self.renamed.add(key)
        return key

    def see_contacts(self, contacts: Iterable[Contact]) -> None:
        """Join what was said of people; the last word on a name is the latest non-empty one."""
        names: list[PersonName] = []
        for contact in contacts:
            if contact.id == ME and ME not in self._canonical and ME not in self._contacts:
                continue
            key = self.contact(contact.id)
            names += names_in(contact, key)
            if rows.merge(self._connection, "contacts", {"contact_id": key}, _contact_values(contact)):
                self._settle_contact(key)
        see_person_names(self._connection, names)

    def _settle_contact(self, key: int) -> None:
        changed = self._connection.execute(
            "UPDATE contacts SET name = coalesce(phonebook_name, profile_name)"
            " WHERE contact_id = ? AND name IS NOT coalesce(phonebook_name, profile_name)",
            (key,),
        )
        if changed.rowcount:
            self.renamed.update(
                chat for (chat,) in self._connection.execute("SELECT chat_id FROM chats WHERE contact_id = ?", (key,))
            )

    def see_chat(self, chat: Chat) -> None:
        """Join what a directory says of a chat."""
        key = self.chat(chat.id)
        values: dict[str, Any] = {"listed_name": chat.name, "name_at": chat.seen_at if chat.name else None}
        if chat.archived is not None:
            values |= {"is_archived": int(chat.archived), "archived_at": chat.seen_at}
        if rows.merge(self._connection, "chats", {"chat_id": key}, values):
            self.renamed.add(key)
        if chat.id.endswith("@g.us"):
            see_group_name(self._connection, self.group(chat.id), chat.name, chat.seen_at)

    def see_group(self, group: Group) -> None:
        """Join what is known of a group."""
        key = self.group(group.id)
        values = {
            "group_name": group.name,
            "group_name_at": group.seen_at if group.name else None,
            "description": group.description,
            "description_at": group.seen_at if group.description else None,
            "created_by": group.owner,
            "created_by_at": group.seen_at if group.owner else None,
            "created_at": group.created_at,
        }
        if group.owner:
            self.contact(group.owner)
        if rows.merge(self._connection, "groups", {"group_id": key}, values):
            self._settle_group(key)
            if group.id in self._chats:
                self.renamed.add(self._chats[group.id])
        see_group_name(self._connection, key, group.name, group.seen_at)

    def _settle_group(self, group: int) -> None:
        row = rows.find(self._connection, "groups", {"group_id": group})
        if row is not None and row["created_by"] is not None:
            creator = {"created_by_contact_id": self.contact(row["created_by"])}
            rows.update(self._connection, "groups", {"group_id": group}, creator)

    def see_members(self, snapshot: Members) -> None:
        """Join a list of members; who is missing from a later list has left at its time."""
        group = self.group(snapshot.group)
        present = {(self.contact(member.id), member.role) for member in snapshot.members}
        see_snapshot(self._connection, group, snapshot.seen_at, present)
        for member in snapshot.members:
            key = {"group_id": group, "contact_id": self.contact(member.id)}
            seen = {"role": member.role, "first_seen_at": snapshot.seen_at, "last_seen_at": snapshot.seen_at}
            rows.merge(self._connection, "group_members", key, seen)
        self._settle_members(group)

    def _settle_members(self, group: int) -> None:
        self._connection.execute(
            "UPDATE group_members SET left_at = (SELECT min(seen_at) FROM group_snapshots AS s"
            " WHERE s.group_id = group_members.group_id AND s.seen_at > group_members.last_seen_at)"
            " WHERE group_id = ?",
            (group,),
        )

    def relate(self, one: str, other: str) -> None:
        """Learn that two ids are one person.

        Two numbers are never one person: a privacy id that is claimed for a second number stays with the first, because a
        wrong join cannot be undone, while a missing one only shows a person twice. The payloads keep the claim.
        """
        winner, loser = sorted((self.canonical(one), self.canonical(other)), key=preference)
        if winner == loser or (winner.endswith(_NUMBER) and loser.endswith(_NUMBER)):
            return
        for member in [loser, *self._others.pop(loser, ())]:
            self._canonical[member] = winner
            self._others.setdefault(winner, []).append(member)
            self._connection.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?)", (member, winner))
        move_portraits(self._connection, loser, winner)
        self._join_contacts(loser, winner)
        self._join_chats(loser, winner)

    def moves(self, one: str, other: str) -> bool:
        """Whether relating these two would move rows from one contact to another."""
        ids = {self.canonical(one), self.canonical(other)}
        return len(ids) > 1 and ids <= self._contacts.keys()

    def preferred(self, one: int, other: int) -> int:
        """Of two contacts claimed for the same message the one with the better id, whatever their keys."""
        if one == other:
            return one
        query = "SELECT whatsapp_id, contact_id FROM contacts WHERE contact_id IN (?, ?)"
        return int(min(self._connection.execute(query, (one, other)), key=lambda row: preference(row[0]))[1])

    def _join_contacts(self, loser: str, winner: str) -> None:
        losing = self._contacts.pop(loser, None)
        if losing is None:
            return
        winning = self._contacts.get(winner)
        if winning is None:
            self._contacts[winner] = losing
            identity = {"whatsapp_id": winner, "phone_number": _phone_number(winner)}
            rows.update(self._connection, "contacts", {"contact_id": losing}, identity)
            return
        self._ids.keep_mark("contacts")
        self._move_contact(losing, winning)

    def _move_contact(self, losing: int, winning: int) -> None:
        write = self._connection.execute
        for table, column in (("messages", "sender_contact_id"), ("groups", "created_by_contact_id"), ("chats", "contact_id")):
            write(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (winning, losing))
        for table, column in (
            ("reactions", "sender_contact_id"),
            ("poll_votes", "contact_id"),
            ("group_members", "contact_id"),
        ):
            rows.move(self._connection, table, column, losing, winning)
        move_names(self._connection, losing, winning)
        move_memberships(self._connection, losing, winning)
        old = rows.find(self._connection, "contacts", {"contact_id": losing}) or {}
        write("DELETE FROM contacts WHERE contact_id = ?", (losing,))
        rows.merge(self._connection, "contacts", {"contact_id": winning}, {**old, "phone_number": None})
        self._settle_contact(winning)
        for (group,) in write("SELECT group_id FROM group_members WHERE contact_id = ?", (winning,)).fetchall():
            self._settle_members(group)

    def _join_chats(self, loser: str, winner: str) -> None:
        losing = self._chats.pop(loser, None)
        if losing is None:
            return
        winning = self._chats.get(winner)
        if winning is None:
            self._chats[winner] = losing
            rows.update(self._connection, "chats", {"chat_id": losing}, {"whatsapp_chat_id": winner})
            self.renamed.add(losing)
            return
        self.joined.append((losing, winning))

    def finish_join(self, losing: int, winning: int) -> None:
        """Move what hangs on a joined-away chat beside its messages, then drop the chat."""
        self._ids.keep_mark("chats")
        for table in _BY_CHAT:
            rows.move(self._connection, table, "chat_id", losing, winning)
        old = rows.find(self._connection, "chats", {"chat_id": losing}) or {}
        for table in ("sync_status", "repairs"):
            self._connection.execute(f"UPDATE OR IGNORE {table} SET chat_id = ? WHERE chat_id = ?", (winning, losing))
            self._connection.execute(f"DELETE FROM {table} WHERE chat_id = ?", (losing,))
        self._connection.execute("DELETE FROM chats WHERE chat_id = ?", (losing,))
        rows.merge(self._connection, "chats", {"chat_id": winning}, old)
        self.renamed.add(winning)

    def settle_names(self) -> None:
        """Give every chat whose name may have changed the name that its sources say now."""
        self._connection.executemany(
            "UPDATE chats SET name = coalesce(listed_name,"
            " (SELECT group_name FROM groups AS g WHERE g.group_id = chats.group_id),"
            " (SELECT c.name FROM contacts AS c WHERE c.contact_id = chats.contact_id)) WHERE chat_id = ?",
            [(key,) for key in self.renamed],
        )
        self.renamed.clear()


def _contact_values(contact: Contact) -> dict[str, Any]:
    return {
        "is_business": None if contact.is_business is None else int(contact.is_business),
        "created_at": contact.seen_at,
        "updated_at": contact.seen_at,
        "phonebook_name": none_if_empty(contact.phonebook_name),
        "phonebook_name_at": contact.seen_at if contact.phonebook_name else None,
        "profile_name": none_if_empty(contact.profile_name),
        "profile_name_at": contact.seen_at if contact.profile_name else None,
        "profile_picture_url": none_if_empty(contact.picture_url),
        "picture_at": contact.seen_at if contact.picture_url else None,
    }


def _phone_number(whatsapp_id: str) -> str | None:
    number, _, kind = whatsapp_id.partition("@")
    return number if kind == "c.us" and number.isascii() and number.isdigit() else None


def preference(whatsapp_id: str) -> tuple[int, int, str]:
    """A number before a privacy id before an export's name before the owner's stand-in; ties by the id itself."""
    kinds = ("@c.us", "@lid")
    rank = next((place for place, suffix in enumerate(kinds) if whatsapp_id.endswith(suffix)), len(kinds))
    return (rank + (whatsapp_id == ME), len(whatsapp_id), whatsapp_id)
