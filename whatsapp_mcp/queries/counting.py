"""Numbers about many messages: one pass over those that fit.

A message's person is who sent it, or, of an outgoing one, whose private chat it stands in. Local days come from the zone's
offsets, which change a few times a year: SQLite adds the offset of the stretch in which a message lies, so no time is
converted one by one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from whatsapp_mcp import dates
from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.queries.messages import MEDIA_KINDS, by_ids
from whatsapp_mcp.queries.people import CHAT_NAME, CONTACT_NAME
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.queries.filters import Filters
    from whatsapp_mcp.views import Coverage, Interval, MessageView

_SQL: Final = {
    "chat": "m.chat_id",
    "contact": "CASE WHEN m.from_me THEN ch.contact_id ELSE m.sender_contact_id END",
    "type": "m.message_type",
}
_SQL_OF_TIME: Final = {"day": "({}) / 86400", "hour": "({}) / 3600 % 24"}
UNITS: Final = (*_SQL, *_SQL_OF_TIME)
"""What can be counted by; months, years and weekdays are sums of days."""
_BATCH: Final = 20_000


@dataclass(frozen=True, slots=True)
class Numbers:
    """What an analysis is made of."""

    interval: Interval
    coverage: Coverage
    tallies: Mapping[str, list[Tally]]
    parties: Mapping[str, Mapping[int, Party]]
    """``chat`` and ``contact``, each by id."""
    first: MessageView | None
    last: MessageView | None
    media_kinds: tuple[str, ...] = MEDIA_KINDS


class Tally(NamedTuple):
    """A key (an id, a kind, a day since 1970, an hour) with its messages and how many of them the owner sent."""

    key: Any
    messages: int
    sent: int


def count(
    connection: sqlite3.Connection, filters: Filters, units: Sequence[str], *, interval: Interval, zone: ZoneInfo
) -> Numbers:
    """The numbers of the messages that fit `filters`, by each of `units`."""
    first, last = first_and_last(connection, filters)
    return Numbers(
        interval,
        coverage(connection, zone, chat_id=filters.chat_id, interval=interval),
        tallies(connection, filters, units, zone=zone),
        {unit: parties(connection, unit) for unit in ("chat", "contact")},
        first,
        last,
    )


def tallies(
    connection: sqlite3.Connection, filters: Filters, units: Sequence[str], *, zone: ZoneInfo
) -> dict[str, list[Tally]]:
    """For each of `units` (any of `UNITS`) its tallies, in no particular order."""
    where, values = filters.where()
    span = _span(connection, filters)
    if span is None:
        return {unit: [] for unit in units}
    expressions = [_SQL.get(unit) or _SQL_OF_TIME[unit].format(_local(zone, *span)) for unit in units]
    rows = connection.execute(
        f"SELECT m.from_me, {', '.join(expressions)} FROM messages AS m"
        f" CROSS JOIN chats AS ch ON ch.chat_id = m.chat_id WHERE {where}",
        values,
    )
    return {unit: _tallied(counter) for unit, counter in zip(units, _counted(rows, len(units)), strict=True)}


def _counted(rows: sqlite3.Cursor, units: int) -> list[Counter[tuple[Any, int]]]:
    """For each unit how often each pair of key and direction occurs: counting here is faster than sorting in SQLite."""
    counters: list[Counter[tuple[Any, int]]] = [Counter() for _ in range(units)]
    while batch := rows.fetchmany(_BATCH):
        sent, *columns = zip(*batch, strict=True)
        for counter, column in zip(counters, columns, strict=True):
            counter.update(zip(column, sent, strict=True))
    return counters


def _tallied(counter: Counter[tuple[Any, int]]) -> list[Tally]:
    keys = dict.fromkeys(key for key, _ in counter)
    return [Tally(key, counter[key, 0] + counter[key, 1], counter[key, 1]) for key in keys]


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
        query = (
            f"SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME} FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id)"
        )
    else:
        query = f"SELECT c.contact_id, c.whatsapp_id, {CONTACT_NAME} FROM contacts AS c"
    return {row[0]: Party(*row) for row in connection.execute(query)}
