"""Numbers about many messages: one pass over those that fit, everything else from its sums.

The pass counts by chat, sender, direction, kind and local day at once. Local days come from the zone's offsets, which change a few
times a year: SQLite adds the offset of the stretch in which a message lies, so no time is converted one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from whatsapp_mcp import dates
from whatsapp_mcp.queries.messages import by_ids
from whatsapp_mcp.queries.people import CHAT_NAME, CONTACT_NAME
from whatsapp_mcp.queries.ranking import Filters
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import MessageView

UNITS: Final = {"chat": "chat", "contact": "sender", "type": "kind", "day": "day", "hour": "hour"}
"""What can be counted by, and its column below; months, years and weekdays are sums of days."""


class Tally(NamedTuple):
    """A key (an id, a kind, a day since 1970, an hour) with its messages and how many of them the owner sent."""

    key: Any
    messages: int
    sent: int


def tallies(
    connection: sqlite3.Connection, filters: Filters, units: Sequence[str], *, zone: ZoneInfo
) -> dict[str, list[Tally]]:
    """For each of `units` (keys of `UNITS`) its tallies, in no particular order."""
    where, values = filters.where()
    span = _span(connection, filters)
    if span is None:
        return {unit: [] for unit in units}
    counted = " UNION ALL ".join(
        f"SELECT '{unit}', {UNITS[unit]}, sum(n), sum(n * sent) FROM sums GROUP BY {UNITS[unit]}" for unit in units
    )
    rows = connection.execute(
        f"WITH sums AS MATERIALIZED (SELECT chat, sender, sent, kind, local / 86400 AS day, local / 3600 % 24 AS hour,"
        " count(*) AS n FROM (SELECT m.chat_id AS chat, CASE WHEN m.from_me THEN NULL ELSE m.sender_contact_id END AS sender,"
        f" m.from_me AS sent, m.message_type AS kind, {_local(zone, *span)} AS local FROM messages AS m WHERE {where})"
        f" GROUP BY {_grouping(units)}) {counted}",
        values,
    )
    found: dict[str, list[Tally]] = {unit: [] for unit in units}
    for unit, *tally in rows:
        found[unit].append(Tally(*tally))
    return found


def _grouping(units: Sequence[str]) -> str:
    return ", ".join(["sent", *(UNITS[unit] for unit in units)])


def _local(zone: ZoneInfo, first: int, last: int) -> str:
    """SQL: the local clock of a message, in seconds since 1970; the latest stretch is asked for first."""
    ahead = dates.offsets(zone, first, last)
    cases = "".join(
        f" WHEN m.sent_at >= {start} THEN {offset}"
        for start, offset in reversed(list(zip(ahead.starts[1:], ahead.offsets[1:], strict=True)))
    )
    return f"m.sent_at + CASE{cases} ELSE {ahead.offsets[0]} END" if cases else f"m.sent_at + {ahead.offsets[0]}"


def _span(connection: sqlite3.Connection, filters: Filters) -> tuple[int, int] | None:
    """The first and last time of the messages that fit what an index knows."""
    where, values = filters.where(indexed_only=True)
    first = connection.execute(f"SELECT min(m.sent_at) FROM messages AS m WHERE {where}", values).fetchone()[0]
    last = connection.execute(f"SELECT max(m.sent_at) FROM messages AS m WHERE {where}", values).fetchone()[0]
    return None if first is None else (int(first), int(last))


def first_and_last(connection: sqlite3.Connection, filters: Filters) -> tuple[MessageView | None, MessageView | None]:
    """The earliest and the latest message that fit."""
    where, values = filters.where()
    query = f"SELECT m.message_id FROM messages AS m WHERE {where} ORDER BY m.sent_at {{0}}, m.message_id {{0}} LIMIT 1"
    ids = [connection.execute(query.format(order), values).fetchone() for order in ("ASC", "DESC")]
    if ids[0] is None or ids[1] is None:
        return None, None
    found = {message.message_id: message for message in by_ids(connection, sorted({ids[0][0], ids[1][0]}))}
    return found[ids[0][0]], found[ids[1][0]]


def parties(connection: sqlite3.Connection, unit: str) -> dict[int, Party]:
    """Everyone (``contact``) or every chat (``chat``) by id."""
    if unit == "chat":
        query = f"SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME} FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id)"
    else:
        query = f"SELECT c.contact_id, c.whatsapp_id, {CONTACT_NAME} FROM contacts AS c"
    return {row[0]: Party(*row) for row in connection.execute(query)}
