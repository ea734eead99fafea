"""Lists of chats and contacts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import cursors, people
from whatsapp_mcp.queries.directory import Way
from whatsapp_mcp.queries.noting import note_chats
from whatsapp_mcp.queries.people import CHAT_NAME
from whatsapp_mcp.views import ChatView, ContactView, Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

HIGHEST_LIMIT: Final = 500
CHAT_KINDS: Final = ("private", "group")

_CHATS: Final = f"""
SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, ch.chat_type, ch.message_count, ch.last_message_at, ch.is_archived,
    c.phone_number, coalesce(s.sync_progress,
        CASE WHEN ch.whatsapp_chat_id LIKE '%@broadcast' OR ch.whatsapp_chat_id LIKE '%@newsletter' THEN '' ELSE 'pending' END),
    s.oldest_sent_at, s.last_synced_at, s.last_error
FROM json_each(?) AS wanted JOIN chats AS ch ON ch.chat_id = wanted.value
    LEFT JOIN contacts AS c USING (contact_id) LEFT JOIN sync_status AS s ON s.chat_id = ch.chat_id
ORDER BY wanted.key
"""
_MATCHING: Final = (
    "SELECT {} FROM chats WHERE (?1 IS NULL OR chat_id IN (SELECT value FROM json_each(?1))) AND (?2 IS NULL OR chat_type = ?2)"
)
_PAGE: Final = (
    _MATCHING.format("chat_id, coalesce(last_message_at, 0) AS last_at")
    + " AND (?3 IS NULL OR (-coalesce(last_message_at, 0), chat_id) > (-?3, ?4)) ORDER BY last_at DESC, chat_id LIMIT ?5"
)
_CONTACTS: Final = """
SELECT c.contact_id, c.phone_number, c.phonebook_name, c.profile_name, c.is_business
FROM json_each(?) AS wanted JOIN contacts AS c ON c.contact_id = wanted.value ORDER BY wanted.key
"""


def list_chats(
    connection: sqlite3.Connection, *, query: str | None, kind: str | None, limit: int, cursor: str | None
) -> tuple[tuple[ChatView, ...], str | None, int]:
    """Chats, the most recently active first; with a `query` only those whose name or number it fits."""
    limit = cursors.checked_limit(limit, HIGHEST_LIMIT)
    if kind is not None and kind not in CHAT_KINDS:
        raise UsageError(f"There is no kind {people.named(kind)} of chats.", advice="Use private or group, or leave it out.")
    filters = ("chats", query or "", kind or "")
    wanted = json.dumps(list(people.matching_any(connection, "chat", query))) if query and query.strip() else None
    last_at, last_id = cursors.decode(cursor, filters, 2) if cursor else (None, None)
    total = connection.execute(_MATCHING.format("count(*)"), (wanted, kind)).fetchone()[0]
    found = connection.execute(_PAGE, (wanted, kind, last_at, last_id, limit + 1)).fetchall()
    shown, rest = found[:limit], found[limit:]
    following = cursors.encode(filters, (shown[-1][1], shown[-1][0])) if rest else None
    return views(connection, [chat for chat, _ in shown]), following, total


def views(connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[ChatView, ...]:
    """The chats with these ids, in the order given."""
    note_chats(ids)
    former = people.former_names(connection, "chat", ids)
    return tuple(_chat(row, former.get(row[0], ())) for row in connection.execute(_CHATS, (json.dumps(list(ids)),)))


def _chat(row: Sequence[Any], former: tuple[str, ...]) -> ChatView:
    return ChatView(
        party=Party(*row[:3]), kind=row[3], message_count=row[4], last_message_at=row[5], is_archived=bool(row[6]),
        phone_number=row[7], sync_progress=row[8], oldest_sent_at=row[9], last_synced_at=row[10], last_error=row[11],
        former_names=former,
    )  # fmt: skip


def find_contacts(connection: sqlite3.Connection, query: str, limit: int) -> tuple[ContactView, ...]:
    """People whose name or number fits `query`, the best fits first."""
    limit = cursors.checked_limit(limit, HIGHEST_LIMIT)
    if not query.strip():
        raise UsageError("No name is given.", advice="Give a part of a name or of a phone number.")
    if "@" in query:
        row = connection.execute(
            "SELECT contact_id FROM contacts WHERE whatsapp_id = ?", (_canonical(connection, query.strip()),)
        )
        ways = dict.fromkeys((identity for (identity,) in row), Way.NUMBER)
    else:
        ways = people.matching_any(connection, "contact", query, most=limit)
    return contacts(connection, _best_first(connection, "contact", ways, limit))


def names_like(connection: sqlite3.Connection, typed: str, kind: people.Kind, limit: int) -> tuple[Party, ...]:
    """Chats or people whose names may be meant by what was typed so far, the best fits first."""
    return tuple(_best_first(connection, kind, people.matching_any(connection, kind, typed, most=limit, enough=limit), limit))


def _best_first(connection: sqlite3.Connection, kind: people.Kind, ways: dict[int, Way], limit: int) -> list[Party]:
    """At most `limit` of them by the way in which they were found, in each the most recently active first."""
    found: list[Party] = []
    for way in sorted(set(ways.values())):
        if len(found) < limit:
            alike = [identity for identity, other in ways.items() if other == way]
            found += [known.party for known in people.by_ids(connection, kind, alike, limit=limit - len(found))]
    return found


def people_of(connection: sqlite3.Connection, group: str, limit: int) -> tuple[tuple[Party, ...], tuple[ContactView, ...], int]:
    """The groups that are called so, a page of the people in them (the most recently active first), and how many they are."""
    limit = cursors.checked_limit(limit, HIGHEST_LIMIT)
    members = people.people_of(connection, group)
    groups = tuple(known.party for known in people.by_ids(connection, "chat", set(members.values())))
    found = [known.party for known in people.by_ids(connection, "contact", members, limit=limit)]
    return groups, contacts(connection, found), len(members)


def _canonical(connection: sqlite3.Connection, whatsapp_id: str) -> str:
    wanted = whatsapp_id.encode("utf-8", "replace").decode().replace("@s.whatsapp.net", "@c.us")
    row = connection.execute("SELECT canonical_id FROM aliases WHERE whatsapp_id = ?", (wanted,)).fetchone()
    return str(row[0]) if row else wanted


def contacts(connection: sqlite3.Connection, parties: Sequence[Party]) -> tuple[ContactView, ...]:
    """The views of these contacts, in the order given; ``message_count`` is that of their private chat."""
    wanted = json.dumps([party.id for party in parties])
    private = _private_chats(connection, wanted)
    groups = _groups(connection, wanted)
    former = people.former_names(connection, "contact", [party.id for party in parties])
    aliases = _aliases(connection, [party.whatsapp_id for party in parties])
    views = []
    for party, row in zip(parties, connection.execute(_CONTACTS, (wanted,)), strict=True):
        chat, count = private.get(party.id, (None, 0))
        views.append(
            ContactView(
                party=party,
                phone_number=row[1],
                phonebook_name=row[2],
                profile_name=row[3],
                is_business=bool(row[4]),
                private_chat=chat,
                groups=tuple(groups.get(party.id, ())),
                aliases=tuple(aliases.get(party.whatsapp_id, ())),
                message_count=count,
                former_names=former.get(party.id, ()),
            )
        )
    return tuple(views)


def _private_chats(connection: sqlite3.Connection, wanted: str) -> dict[int, tuple[Party, int]]:
    query = (
        f"SELECT c.contact_id, ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, ch.message_count FROM json_each(?) AS wanted"
        " CROSS JOIN contacts AS c ON c.contact_id = wanted.value CROSS JOIN chats AS ch ON ch.whatsapp_chat_id = c.whatsapp_id"
    )
    return {row[0]: (Party(*row[1:4]), row[4]) for row in connection.execute(query, (wanted,))}


def _groups(connection: sqlite3.Connection, wanted: str) -> dict[int, list[Party]]:
    query = (
        "SELECT g.contact_id, ch.chat_id, ch.whatsapp_chat_id, coalesce(nullif(ch.name, ''), ch.whatsapp_chat_id)"
        " FROM groups AS gr CROSS JOIN group_members AS g"
        " ON g.group_id = gr.group_id AND g.contact_id IN (SELECT value FROM json_each(?))"
        " CROSS JOIN chats AS ch ON ch.whatsapp_chat_id = gr.whatsapp_group_id WHERE g.left_at IS NULL"
        " ORDER BY ch.last_message_at DESC, ch.chat_id"
    )
    found: dict[int, list[Party]] = {}
    for contact, *party in connection.execute(query, (wanted,)):
        found.setdefault(contact, []).append(Party(*party))
    return found


def _aliases(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = (
        "SELECT canonical_id, whatsapp_id FROM aliases WHERE canonical_id IN (SELECT value FROM json_each(?))"
        " AND whatsapp_id NOT IN (canonical_id, 'me') ORDER BY whatsapp_id"
    )
    for canonical, other in connection.execute(query, (json.dumps(list(ids)),)):
        found.setdefault(canonical, []).append(other)
    return found
