"""From an FTS5 expression and filters to the ids of a page; which messages are looked at is decided in `scopes`.

Among tens of thousands of messages with the same word, the ones of ten years ago are not what relevance is about: the page
says from when on messages were ranked, and ``oldest`` and dates reach the others. In order of time a window is exact, since
whatever is newer than its edge is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.scopes import JOIN, Extent, Scope, edge_of, extent, is_best_gathered, scopes, windows, worth_gathering

if TYPE_CHECKING:
    import sqlite3

    from whatsapp_mcp.queries.filters import Filters
    from whatsapp_mcp.search.language import Term

_SCORE: Final = "bm25(message_index, 1.0, 0.6)"
"""A word in a file name counts for less than one that somebody wrote."""
_WANTED_BY_TIME: Final = 200
_BEST: Final = 200
"""How many more than asked of the best scores are joined with their messages, to put the newer of two equals first."""


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page and how it was come by."""

    ids: tuple[int, ...]
    has_more: bool
    total: int | None
    """All hits within the filters; None where only a part of them was looked at."""
    edge: int | None = None
    """Only messages sent from then on were ranked."""


_EVERYWHERE: Final = Extent()


@dataclass(frozen=True, slots=True)
class Matching:
    """A query ready for FTS5: everything that it matches, and what it matches in the very spelling."""

    match: str
    exact: str | None

    @property
    def inexact(self) -> str:
        """What it matches in other forms only."""
        return f"({self.match}) NOT ({self.exact})"


def count_matches(connection: sqlite3.Connection, match: str, inside: Extent = _EVERYWHERE) -> int:
    """How many messages match, whatever the filters, between the ids of an extent."""
    query = "SELECT count(*) FROM message_index WHERE message_index MATCH ? AND rowid BETWEEN ? AND ?"
    return int(connection.execute(query, (match, inside.low, inside.high)).fetchone()[0])


def is_written(connection: sqlite3.Connection, term: Term) -> bool:
    """Whether any message holds `term`."""
    query = "SELECT 1 FROM message_index WHERE message_index MATCH ? LIMIT 1"
    return connection.execute(query, (term.expression(),)).fetchone() is not None


def best(
    connection: sqlite3.Connection, asked: Matching, filters: Filters, *,
    limit: int, offset: int, newest_id: int, edge: int | None = None,
) -> Found:  # fmt: skip
    """The most relevant hits: the very spelling before other forms, then by bm25, the newer first among equals.

    `newest_id` leaves out what was stored later, and `edge` repeats a window, so that further pages continue the first.
    """
    inside, matches = _reach(connection, asked.match, filters, newest_id)
    ways = scopes(connection, filters, inside, matches) if edge is None else iter((_since(filters, edge),))
    rows: list[tuple[int, int]] = []
    for scope in ways:
        edge = scope.edge
        rows = scored(connection, asked, scope, inside, limit=limit, offset=offset)
        if edge is None or len(rows) > limit:
            break
    total = matches if filters.are_open else None
    if total is None and edge is None:
        total = rows[0][1] if rows else None if offset else 0
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total, edge)


def _reach(
    connection: sqlite3.Connection, match: str, filters: Filters, newest_id: int = _EVERYWHERE.high
) -> tuple[Extent, int]:
    """The extent of `filters` and how many messages match within its ids; of a chat the ids leave most matches out."""
    matches = count_matches(connection, match) if filters.chat_id is None else None
    inside = extent(connection, filters) if matches is None else extent(connection, filters, worth_gathering(matches))
    inside = inside._replace(high=min(inside.high, newest_id))
    if matches is None or inside.size is not None:
        matches = count_matches(connection, match, inside)
    return inside, matches


def _since(filters: Filters, edge: int) -> Scope:
    return Scope(replace(filters, start=max(edge, filters.start or edge)), by_window=True, edge=edge)


def scored(
    connection: sqlite3.Connection, asked: Matching, scope: Scope, inside: Extent, *, limit: int, offset: int
) -> list[tuple[int, int]]:
    """Message id and number of hits of the best hits in `scope`, for one more row than asked."""
    exact, spelled = _exact_first(connection, asked, inside) if scope.edge is None else ("", [])
    if scope.filters.are_open and not scope.by_window:
        source = _OPEN_SOURCE.format(order=exact.format("rowid"))
        values: list[object] = [asked.match, inside.high, *spelled, limit + offset + _BEST]
    else:
        source, values = _source(asked.match, scope, inside, score=_SCORE)
    return connection.execute(
        f"WITH hits AS MATERIALIZED ({source}) SELECT message_id, (SELECT count(*) FROM hits) FROM hits"
        f" ORDER BY {exact.format('message_id')}score, sent_at DESC, message_id DESC LIMIT ? OFFSET ?",
        (*values, *spelled, limit + 1, offset),
    ).fetchall()


_OPEN_SOURCE: Final = (
    f"SELECT m.message_id, s.score, m.sent_at FROM (SELECT rowid AS id, {_SCORE} AS score FROM message_index"
    " WHERE message_index MATCH ? AND rowid <= ? ORDER BY {order}score, rowid DESC LIMIT ?) AS s"
    " CROSS JOIN messages AS m ON m.message_id = s.id"
)
"""The best scores of all matches; only those are joined with their messages."""


def _exact_first(connection: sqlite3.Connection, asked: Matching, inside: Extent) -> tuple[str, list[object]]:
    """The first part of an order, to be formatted with a column, and its values.

    Of the exact hits and the others, those are listed that are fewer: to list one takes as long as to score one.
    """
    if not asked.exact:
        return "", []
    few, order = asked.inexact, "ASC"
    if count_matches(connection, asked.exact, inside) <= count_matches(connection, asked.inexact, inside):
        few, order = asked.exact, "DESC"
    listed = "SELECT rowid FROM message_index WHERE message_index MATCH ? AND rowid BETWEEN ? AND ?"
    return f"{{}} IN ({listed}) {order}, ", [few, inside.low, inside.high]


def _source(match: str, scope: Scope, inside: Extent, *, score: str) -> tuple[str, list[object]]:
    """All hits of `scope`, with their time.

    By window, the ids that fit are gathered from an index first and the matches looked up among them; ``+rowid`` keeps SQLite
    from asking FTS5 for each id, which would parse the expression anew each time.
    """
    where, values = scope.filters.where()
    gathered = ""
    window: list[object] = []
    if scope.by_window:
        indexed, window = scope.filters.where(indexed_only=True)
        gathered = f" AND +message_index.rowid IN (SELECT m.message_id FROM messages AS m WHERE {indexed})"
    source = (
        f"SELECT m.message_id, {score} AS score, m.sent_at FROM message_index"
        " CROSS JOIN messages AS m ON m.message_id = message_index.rowid"
        f" WHERE message_index MATCH ? AND message_index.rowid BETWEEN ? AND ?{gathered} AND {where}"
    )
    return source, [match, inside.low, inside.high, *window, *values]


def in_time(
    connection: sqlite3.Connection, match: str, filters: Filters, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool,
) -> Found:  # fmt: skip
    """Hits from the newest back, or from the oldest on, behind `place` (time and id of the last one seen)."""
    inside, matches = _reach(connection, match, filters)
    total = matches if filters.are_open else None
    everything = Scope(filters, by_window=is_best_gathered(inside.size, matches))
    if not everything.by_window:
        for window in windows(connection, inside, matches, wanted=_WANTED_BY_TIME, whole=matches * JOIN):
            found, is_all = in_window(
                connection, match, filters, limit=limit, place=place, oldest_first=oldest_first, window=window
            )
            if is_all or len(found) > limit:
                return Found(tuple(found[:limit]), len(found) > limit, total)
    rows = by_time(connection, match, everything, inside, limit=limit, place=place, oldest_first=oldest_first)
    total = matches if filters.are_open else rows[0][1] if rows else None if place else 0
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total)


def in_window(
    connection: sqlite3.Connection, match: str, filters: Filters, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool, window: int,
) -> tuple[list[int], bool]:  # fmt: skip
    """The ids found within the next `window` messages behind `place`, and whether nothing lies beyond."""
    if place:
        start, end = (
            (max(place[0], filters.start or 0), filters.end)
            if oldest_first
            else (filters.start, _smaller(place[0] + 1, filters.end))
        )
        filters = replace(filters, start=start, end=end)
    edge = edge_of(connection, filters, window, oldest_first=oldest_first)
    if edge is not None:
        filters = replace(filters, end=edge) if oldest_first else replace(filters, start=edge + 1)
    scope = Scope(filters, by_window=True)
    rows = by_time(connection, match, scope, _EVERYWHERE, limit=limit, place=place, oldest_first=oldest_first)
    return [row[0] for row in rows], edge is None


def _smaller(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


def by_time(
    connection: sqlite3.Connection, match: str, scope: Scope, inside: Extent, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool,
) -> list[tuple[int, int]]:  # fmt: skip
    """Message id and number of hits in order of time, for one more row than asked."""
    source, values = _source(match, scope, inside, score="0")
    beyond, order = (">", "ASC") if oldest_first else ("<", "DESC")
    behind = f"WHERE (sent_at, message_id) {beyond} (?, ?)" if place else ""
    return connection.execute(
        f"WITH hits AS MATERIALIZED ({source}) SELECT message_id, (SELECT count(*) FROM hits) FROM hits {behind}"
        f" ORDER BY sent_at {order}, message_id {order} LIMIT ?",
        (*values, *(place or ()), limit + 1),
    ).fetchall()


def listed(
    connection: sqlite3.Connection, filters: Filters, *, limit: int, place: tuple[int, int] | None, oldest_first: bool
) -> Found:
    """What the filters leave, whatever it says, from the newest back or from the oldest on, behind `place`."""
    where, values = filters.where()
    beyond, order = (">", "ASC") if oldest_first else ("<", "DESC")
    behind = f" AND (m.sent_at, m.message_id) {beyond} (?, ?)" if place else ""
    rows = connection.execute(
        f"SELECT m.message_id FROM messages AS m WHERE {where}{behind}"
        f" ORDER BY m.sent_at {order}, m.message_id {order} LIMIT ?",
        (*values, *(place or ()), limit + 1),
    ).fetchall()
    total = connection.execute(f"SELECT count(*) FROM messages AS m WHERE {where}", values).fetchone()[0]
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, int(total))
