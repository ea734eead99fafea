"""From an FTS5 expression and filters to the ids of a page, in bounded time.

What SQLite 3.40 costs, per row: to walk the matches 0.03 µs, to score one (bm25) 1.3 µs, to join one with its message
1.3 µs, to gather the ids of a window 0.6 µs and to look a match up among them 0.1 µs. So:

- Ordinary words: all matches are scored, by a statement of their own that the filters can never turn into a scan.
- Very frequent words (all matches would take over 8 ms): only the newest messages within the filters are taken, as many as
  make about 500 matches likely, and the matches among them scored. The page says from when on. Among tens of thousands of
  messages with the same word, the ones of ten years ago are not what relevance is about; ``oldest`` and dates reach them.
- In order of time the same window is exact: whatever is newer than its edge is complete. It is widened until a page is full.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from whatsapp_mcp.search.language import Term

_SCORE: Final = "bm25(message_index, 1.0, 0.6)"
"""A word in a file name counts for less than one that somebody wrote."""
_MATCHES_WANTED: Final = 500
_MATCHES_WANTED_BY_TIME: Final = 200
_AFFORDABLE: Final = 8_000.0
"""Microseconds: as long as scoring everything takes less, everything is scored."""
_WITH: Final = (
    "CASE WHEN m.from_me THEN (SELECT w.contact_id FROM chats AS w WHERE w.chat_id = m.chat_id)"
    " ELSE m.sender_contact_id END = ?"
)
_NARROWEST: Final = 2_000
_WIDEST: Final = 200_000
_BEST: Final = 200
"""How many more than asked of the best scores are joined with their messages, to put the newer of two equals first."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a hit must be beside matching; None and empty leave open."""

    chat_id: int | None = None
    start: int | None = None
    end: int | None = None
    sender_id: int | None = None
    from_me: bool | None = None
    kinds: tuple[str, ...] = ()
    with_contact: int | None = None
    """Written by this person anywhere, or to them in their private chat."""

    @property
    def are_open(self) -> bool:
        """Whether every message fits."""
        return self == Filters()

    def where(self, *, indexed_only: bool = False) -> tuple[str, list[object]]:
        """SQL over the messages ``m``; `indexed_only` leaves out what no index knows (sender and kind)."""
        told: list[tuple[str, object]] = [
            ("m.chat_id = ?", self.chat_id), ("m.sent_at >= ?", self.start), ("m.sent_at < ?", self.end),
        ]  # fmt: skip
        if not indexed_only:
            told += [
                ("m.sender_contact_id = ?", self.sender_id), ("m.from_me = ?", self.from_me),
                ("m.message_type IN (SELECT value FROM json_each(?))", json.dumps(self.kinds) if self.kinds else None),
                (_WITH, self.with_contact),
            ]  # fmt: skip
        used = [(condition, value) for condition, value in told if value is not None]
        return " AND ".join(["1", *(condition for condition, _ in used)]), [value for _, value in used]


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page and how it was come by."""

    ids: tuple[int, ...]
    has_more: bool
    total: int | None
    """All hits within the filters; None where only a part of them was looked at."""
    edge: int | None = None
    """Only messages sent from then on were ranked."""


@dataclass(frozen=True, slots=True)
class Matching:
    """A query ready for FTS5: everything that it matches, and what it matches in the very spelling."""

    match: str
    exact: str | None


def count_matches(connection: sqlite3.Connection, match: str) -> int:
    """How many messages match, whatever the filters."""
    return int(connection.execute("SELECT count(*) FROM message_index WHERE message_index MATCH ?", (match,)).fetchone()[0])


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
    matches = count_matches(connection, asked.match)
    rows: list[tuple[int, int]] = []
    for scope in _scopes(connection, matches, filters, edge):
        edge = scope.edge
        rows = _scored(connection, asked, scope, newest_id=newest_id, limit=limit, offset=offset)
        if edge is None or len(rows) > limit:
            break
    total = matches if filters.are_open else None
    if total is None and edge is None:
        total = rows[0][1] if rows else None if offset else 0
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total, edge)


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which hits are scored: those within `filters`, found by gathering the ids that fit first or by joining every match."""

    filters: Filters
    by_window: bool
    edge: int | None


def _scopes(connection: sqlite3.Connection, matches: int, filters: Filters, edge: int | None) -> Iterator[_Scope]:
    """What to try one after the other until a page is full; the last one holds everything."""
    if edge is not None:
        yield _Scope(_from(filters, edge), by_window=True, edge=edge)
        return
    window = _window(connection, matches, 1.3 if filters.are_open else 2.6)
    while 0 < window <= _WIDEST:
        edge = _edge(connection, filters, window)
        if edge is None:
            yield _Scope(filters, by_window=True, edge=None)
            return
        if filters.sender_id is not None or filters.from_me is not None or filters.kinds:
            break  # no index knows how far back a window would have to reach
        yield _Scope(_from(filters, edge), by_window=True, edge=edge)
        window *= 8
    yield _Scope(filters, by_window=False, edge=None)


def _from(filters: Filters, edge: int) -> Filters:
    return replace(filters, start=max(edge, filters.start or edge))


def _scored(
    connection: sqlite3.Connection, asked: Matching, scope: _Scope, *, newest_id: int, limit: int, offset: int
) -> list[tuple[int, int]]:
    """Message id and number of hits, for one more row than asked."""
    if scope.filters.are_open and not scope.by_window:
        source, values = _open_source(asked, newest_id, limit + offset + _BEST)
    else:
        source, values = _source(asked.match, scope.filters, score=_SCORE, by_window=scope.by_window, newest_id=newest_id)
    exact, spelled = _exact_first("message_id", asked) if scope.edge is None else ("", [])
    return connection.execute(
        f"WITH hits AS MATERIALIZED ({source}) SELECT message_id, (SELECT count(*) FROM hits) FROM hits"
        f" ORDER BY {exact}score, sent_at DESC, message_id DESC LIMIT ? OFFSET ?",
        (*values, *spelled, limit + 1, offset),
    ).fetchall()


def _exact_first(column: str, asked: Matching) -> tuple[str, list[object]]:
    if not asked.exact:
        return "", []
    return f"{column} IN (SELECT rowid FROM message_index WHERE message_index MATCH ?) DESC, ", [asked.exact]


def _open_source(asked: Matching, newest_id: int, count: int) -> tuple[str, list[object]]:
    """The best scores of all matches; only those are joined with their messages."""
    exact, spelled = _exact_first("rowid", asked)
    source = (
        f"SELECT m.message_id, s.score, m.sent_at FROM (SELECT rowid AS id, {_SCORE} AS score FROM message_index"
        f" WHERE message_index MATCH ? AND rowid <= ? ORDER BY {exact}score, rowid DESC LIMIT ?) AS s"
        " CROSS JOIN messages AS m ON m.message_id = s.id"
    )
    return source, [asked.match, newest_id, *spelled, count]


def _source(
    match: str, filters: Filters, *, score: str, by_window: bool, newest_id: int | None = None
) -> tuple[str, list[object]]:
    """All hits within `filters`, with their time.

    By window, the ids that fit are gathered from an index first and the matches looked up among them; ``+rowid`` keeps SQLite
    from asking FTS5 for each id, which would parse the expression anew each time.
    """
    where, values = filters.where()
    inside = ""
    window: list[object] = []
    if by_window:
        indexed, window = filters.where(indexed_only=True)
        inside = f" AND +message_index.rowid IN (SELECT m.message_id FROM messages AS m WHERE {indexed})"
    bound = " AND message_index.rowid <= ?" if newest_id is not None else ""
    source = (
        f"SELECT m.message_id, {score} AS score, m.sent_at FROM message_index"
        " CROSS JOIN messages AS m ON m.message_id = message_index.rowid"
        f" WHERE message_index MATCH ?{bound}{inside} AND {where}"
    )
    return source, [match, *([newest_id] if bound else ()), *window, *values]


def _window(connection: sqlite3.Connection, matches: int, cost: float, wanted: int = _MATCHES_WANTED) -> int:
    """How many of the newest messages to look at; 0 where looking at all matches is the better way."""
    if matches * cost < _AFFORDABLE:
        return 0
    messages = connection.execute("SELECT coalesce(sum(message_count), 0) FROM chats").fetchone()[0]
    window = max(_NARROWEST, wanted * messages // matches)
    return int(window) if window * 0.6 + matches * 0.12 + wanted * 2.6 < matches * cost else 0


def _edge(connection: sqlite3.Connection, filters: Filters, window: int, *, oldest_first: bool = False) -> int | None:
    """The time of the message at the far side of the window, or None when all that fits is within it."""
    where, values = filters.where(indexed_only=True)
    order = "ASC" if oldest_first else "DESC"
    row = connection.execute(
        f"SELECT m.sent_at FROM messages AS m WHERE {where} ORDER BY m.sent_at {order} LIMIT 1 OFFSET ?", (*values, window)
    ).fetchone()
    return None if row is None else int(row[0])


def in_time(
    connection: sqlite3.Connection, match: str, filters: Filters, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool,
) -> Found:  # fmt: skip
    """Hits from the newest back, or from the oldest on, behind `place` (time and id of the last one seen)."""
    matches = count_matches(connection, match)
    window = _window(connection, matches, 1.5, _MATCHES_WANTED_BY_TIME)
    while 0 < window <= _WIDEST:
        found, is_all = in_window(
            connection, match, filters, limit=limit, place=place, oldest_first=oldest_first, window=window
        )
        if is_all or len(found) > limit:
            total = matches if filters.are_open else None
            return Found(tuple(found[:limit]), len(found) > limit, total)
        window *= 8
    rows = by_time(connection, match, filters, limit=limit, place=place, oldest_first=oldest_first, by_window=False)
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
    edge = _edge(connection, filters, window, oldest_first=oldest_first)
    if edge is not None:
        filters = replace(filters, end=edge) if oldest_first else replace(filters, start=edge + 1)
    rows = by_time(connection, match, filters, limit=limit, place=place, oldest_first=oldest_first, by_window=True)
    return [row[0] for row in rows], edge is None


def _smaller(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


def by_time(
    connection: sqlite3.Connection, match: str, filters: Filters, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool, by_window: bool,
) -> list[tuple[int, int]]:  # fmt: skip
    """Message id and number of hits in order of time, for one more row than asked."""
    source, values = _source(match, filters, score="0", by_window=by_window)
    beyond, order = (">", "ASC") if oldest_first else ("<", "DESC")
    behind = f"WHERE (sent_at, message_id) {beyond} (?, ?)" if place else ""
    return connection.execute(
        f"WITH hits AS MATERIALIZED ({source}) SELECT message_id, (SELECT count(*) FROM hits) FROM hits {behind}"
        f" ORDER BY sent_at {order}, message_id {order} LIMIT ?",
        (*values, *(place or ()), limit + 1),
    ).fetchall()
