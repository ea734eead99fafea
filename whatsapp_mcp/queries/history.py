"""What was so at another time: who was in a group, what happened to its members, and what somebody was called.

The archive knows a group's members from the lists that were fetched, so an answer always says of which list it is: between two
lists something may have happened that nobody saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from whatsapp_mcp import dates
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import people
from whatsapp_mcp.queries.people import CONTACT_NAME
from whatsapp_mcp.views import GroupEvent, GroupMembers, MemberView, NameView, Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import Interval

Kind = Literal["contact", "group"]

_RANK: Final = "CASE {}role WHEN 'owner' THEN 0 WHEN 'admin' THEN 1 ELSE 2 END"
_MEMBERS: Final = f"""
SELECT c.contact_id, c.whatsapp_id, {CONTACT_NAME} AS shown, h.role, min({_RANK.format("h.")}) AS rank, min(h.from_at)
FROM group_member_history AS h JOIN contacts AS c USING (contact_id)
WHERE h.group_id = ?1 AND ?2 BETWEEN h.from_at AND h.until_at GROUP BY c.contact_id ORDER BY rank, shown, c.contact_id
"""
_EVENTS: Final = f"""
SELECT e.at, e.event, c.contact_id, c.whatsapp_id, {CONTACT_NAME}, e.role,
    (SELECT max(seen_at) FROM group_snapshots AS s WHERE s.group_id = e.group_id AND s.seen_at < e.at)
FROM group_events AS e JOIN contacts AS c USING (contact_id)
WHERE e.group_id = ?1 AND e.at >= coalesce(?2, e.at) AND e.at < coalesce(?3, e.at + 1) ORDER BY e.at, e.event, c.contact_id
"""
_SNAPSHOTS: Final = """
SELECT (SELECT max(seen_at) FROM group_snapshots WHERE group_id = ?1 AND seen_at <= ?2),
    (SELECT min(seen_at) FROM group_snapshots WHERE group_id = ?1 AND seen_at > ?2)
"""
_NAMES: Final = {
    "contact": "SELECT name, source, first_seen_at, last_seen_at FROM contact_names WHERE contact_id = ?"
    " ORDER BY first_seen_at, last_seen_at, source, name",
    "group": "SELECT name, 'group', first_seen_at, last_seen_at FROM group_names WHERE group_id = ?"
    " ORDER BY first_seen_at, last_seen_at, name",
}


def moment(text: str | int | None, *, zone: ZoneInfo, now: float) -> int:
    """The unix second that `text` means: of a day, a month or a year its last one; None is now.

    Raises `UsageError` for what is no date.
    """
    if text is None or text == "":
        return int(now)
    if isinstance(text, int):
        return text
    span = dates.parse(text, zone=zone, now=now)
    return span.end - 1 if span.end > span.start else span.end


def members_at(connection: sqlite3.Connection, group: Party, at: int) -> GroupMembers:
    """Who was in the group (a chat) by its last list at or before `at`."""
    key = _group_key(connection, group)
    seen_at, next_seen_at = connection.execute(_SNAPSHOTS, (key, at)).fetchone()
    rows = connection.execute(_MEMBERS, (key, seen_at)) if seen_at is not None else ()
    members = tuple(MemberView(Party(*row[:3]), role=row[3]) for row in rows)
    return GroupMembers(group, asked_at=at, seen_at=seen_at, next_seen_at=next_seen_at, members=members)


def group_events(connection: sqlite3.Connection, group: Party, interval: Interval) -> tuple[GroupEvent, ...]:
    """Who joined, left, was promoted or demoted, by the time of the list that first showed it."""
    key = _group_key(connection, group)
    return tuple(
        GroupEvent(at=row[0], event=row[1], contact=Party(*row[2:5]), role=row[5], not_before=row[6])
        for row in connection.execute(_EVENTS, (key, interval.start, interval.end))
    )


def _group_key(connection: sqlite3.Connection, group: Party) -> int:
    row = connection.execute("SELECT group_id FROM chats WHERE chat_id = ?", (group.id,)).fetchone()
    if row is None or row[0] is None:
        raise UsageError(f"{people.named(group.name)} is no group.", advice="Name a group; list_chats shows them.")
    return int(row[0])


def names_of(connection: sqlite3.Connection, party: Party, kind: Kind) -> tuple[NameView, ...]:
    """Every name that a person, or a group (a chat), was seen with, by first sighting."""
    key = party.id if kind == "contact" else _group_key(connection, party)
    return tuple(NameView(*row) for row in connection.execute(_NAMES[kind], (key,)))


def name_at(names: Iterable[NameView], at: int) -> NameView | None:
    """What somebody was called at `at` by what was seen until then; None before the first sighting.

    As today, the phone book goes before the profile. Of several names of one source the one that was seen on both sides of that
    moment counts, and of these the one that began last; else the one that was seen last before it.
    """
    until_then = [name for name in names if name.first_seen_at <= at]
    return max(until_then, key=lambda name: _closeness(name, at), default=None)


def _closeness(name: NameView, at: int) -> tuple[bool, int, int, str]:
    return name.source == "phonebook", min(name.last_seen_at, at), name.first_seen_at, name.name
