"""From an FTS5 expression and filters to the ids of a page; which messages are looked at is decided in `scopes`.

Among tens of thousands of messages with the same word, the ones of ten years ago are not what relevance is about: the page
says from when on messages were ranked, and ``oldest`` and dates reach the others. In order of time a window is exact, since
whatever is newer than its edge is complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.queries import stretches
from whatsapp_mcp.queries.scopes import JOIN, Extent, Scope, edge_of, extent, is_best_gathered, scopes, windows, worth_gathering

if TYPE_CHECKING:
    import sqlite3

    from whatsapp_mcp.queries.filters import Filters

_SCORE: Final = f"bm25(message_index, {', '.join(map(str, stretches.WEIGHTS))})"
_WANTED_BY_TIME: Final = 200
_LISTED_AND_COUNTED: Final = 1_000_000
"""In a larger archive, what no index knows is not counted."""
_SURELY_GATHERED: Final = 0.05
"""So many messages for each match are gathered, however the matches lie."""
_COUNTED: Final = 3_000
"""Matches in other forms that are worth counting when the very spelling fills the page."""
_BEST: Final = 200
"""How many more than asked of the best scores are joined with their messages, to put the newer of two equals first."""


class Place(NamedTuple):
    """How far a reader of the best hits has come."""

    edge: int | None = None
    """Only messages sent from then on are ranked."""
    offset: int = 0
    """So many hits of the tier were seen."""
    tier: int = 0
    """0: the very spelling; 1: other forms."""


_BEGINNING: Final = Place()


@dataclass(frozen=True, slots=True)
class Found:
    """The ids of a page and how it was come by."""

    ids: tuple[int, ...]
    has_more: bool
    total: int | None
    """All hits within the filters; None where only a part of them was looked at."""
    edge: int | None = None
    """Only messages sent from then on were ranked."""
    place: Place = _BEGINNING
    """Where the next page begins, of hits in order of relevance."""
    first_inexact: int = 0
    """How many of these ids are hits in the very spelling; those behind are in other forms."""


_EVERYWHERE: Final = Extent()
_NOTHING_FOUND: Final = Found((), has_more=False, total=0)


@dataclass(frozen=True, slots=True)
class Matching:
    """A query ready for FTS5: everything that it matches, and what it matches in the very spelling."""

    match: str
    exact: str | None
    others: str | None = None
    """What matches in other forms, where these can be named by themselves: then nothing is walked twice."""

    @property
    def tiers(self) -> tuple[str, ...]:
        """What it matches in the very spelling, then what it matches in other forms only."""
        return (self.exact, f"({self.others or self.match}) NOT ({self.exact})") if self.exact else (self.match,)


def count_matches(connection: sqlite3.Connection, match: str, inside: Extent = _EVERYWHERE) -> int:
    """How many messages match, whatever the filters, between the ids of an extent."""
    query = "SELECT count(*) FROM message_index WHERE message_index MATCH ? AND rowid BETWEEN ? AND ?"
    return int(connection.execute(query, (match, inside.low, inside.high)).fetchone()[0])


def best(
    connection: sqlite3.Connection, asked: Matching, filters: Filters, *,
    limit: int, newest_id: int, place: Place = _BEGINNING,
) -> Found:  # fmt: skip
    """The most relevant hits: the very spelling before other forms, then by bm25, the newer first among equals.

    Each of the two is a tier of its own, ranked and counted by itself, so a page of a frequent word never asks for the others.
    `newest_id` leaves out what was stored later, and the `place` of the page before repeats its window, so that further pages
    continue the first.
    """
    ids: list[int] = []
    counts: list[int | None] = []
    tiers = list(asked.tiers)[place.tier :]
    found, begun_at, spelt = _NOTHING_FOUND, place.tier, 0
    for tier, match in enumerate(tiers, begun_at):
        start = place if tier == begun_at else Place(place.edge, 0, tier)
        found = _of_tier(connection, match, filters, limit=limit - len(ids), newest_id=newest_id, place=start)
        ids += found.ids
        counts.append(found.total)
        spelt += len(found.ids) if tier == 0 else 0
        place = Place(found.edge, start.offset + len(found.ids), tier)
        if found.has_more:
            break
    others = [match for match in asked.tiers if match not in tiers[: len(counts)]]
    if filters.are_open:
        counts += [count_matches(connection, match, _EVERYWHERE._replace(high=newest_id)) for match in others]
    elif begun_at or place.edge is not None:
        counts = [None]
    else:
        counts += [_count_few(connection, match, filters, newest_id) for match in others]
    total = None if None in counts else sum(count or 0 for count in counts)
    return Found(tuple(ids), found.has_more, total, place.edge, place, spelt)


def _of_tier(
    connection: sqlite3.Connection, match: str, filters: Filters, *, limit: int, newest_id: int, place: Place
) -> Found:
    """A page of one tier, with the number of its hits where all were looked at."""
    inside, matches, known = _reach(connection, match, filters, newest_id)
    edge = place.edge
    ways = scopes(connection, filters, inside, matches) if edge is None else iter((_since(filters, edge),))
    rows: list[tuple[int, int]] = []
    for scope in ways:
        edge = scope.edge
        rows = scored(connection, match, scope, inside, limit=limit, offset=place.offset, matches=matches, known=known)
        if edge is None or len(rows) > limit:
            break
    total = matches if filters.are_open else None
    if edge is None and total is None:
        total = rows[0][1] if rows else None if place.offset else 0
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total, edge)


def _count_few(connection: sqlite3.Connection, match: str, filters: Filters, newest_id: int) -> int | None:
    """How many hits there are within `filters`; None where counting would take longer than the search."""
    inside, matches, _ = _reach(connection, match, filters, newest_id)
    if matches > _COUNTED:
        return None
    source, values = _source(match, Scope(filters, by_window=is_best_gathered(inside.size, matches)), inside, score="0")
    return int(connection.execute(f"SELECT count(*) FROM ({source})", values).fetchone()[0])


def _reach(
    connection: sqlite3.Connection, match: str, filters: Filters, newest_id: int = _EVERYWHERE.high
) -> tuple[Extent, int, int | None]:
    """The extent of `filters`, how many messages match within its ids, and how many anywhere, where that was counted.

    Of a chat the ids leave most matches out.
    """
    anywhere = count_matches(connection, match) if filters.chat_id is None else None
    inside = extent(connection, filters) if anywhere is None else extent(connection, filters, worth_gathering(anywhere))
    inside = inside._replace(high=min(inside.high, newest_id))
    if anywhere is not None and (inside.size is None or inside.size < anywhere * _SURELY_GATHERED):
        return inside, anywhere, anywhere
    return inside, count_matches(connection, match, inside), anywhere


def _since(filters: Filters, edge: int) -> Scope:
    return Scope(replace(filters, start=max(edge, filters.start or edge)), by_window=True, edge=edge)


def scored(
    connection: sqlite3.Connection, match: str, scope: Scope, inside: Extent, *,
    limit: int, offset: int, matches: int = 0, known: int | None = None,
) -> list[tuple[int, int]]:  # fmt: skip
    """Message id and number of hits of the best hits in `scope`, for one more row than asked.

    `matches` is how many there are in all, where that was counted, and `known` the same where it is surely of the whole index.
    """
    if scope.by_window:
        among = stretches.best_among(connection, match, scope.filters, inside, matches=matches, known=known)
        if among is not None:
            return [(message_id, len(among)) for message_id in among[offset : offset + limit + 1]]
    if scope.filters.are_open and not scope.by_window:
        source = _OPEN_SOURCE
        values: list[object] = [match, inside.high, limit + offset + _BEST]
    else:
        source, values = _source(match, scope, inside, score=_SCORE)
    return connection.execute(
        f"WITH hits AS MATERIALIZED ({source}) SELECT message_id, (SELECT count(*) FROM hits) FROM hits"
        " ORDER BY score, sent_at DESC, message_id DESC LIMIT ? OFFSET ?",
        (*values, limit + 1, offset),
    ).fetchall()


_OPEN_SOURCE: Final = (
    f"SELECT m.message_id, s.score, m.sent_at FROM (SELECT rowid AS id, {_SCORE} AS score FROM message_index"
    " WHERE message_index MATCH ? AND rowid <= ? ORDER BY score, rowid DESC LIMIT ?) AS s"
    " CROSS JOIN messages AS m ON m.message_id = s.id"
)
"""The best scores of all matches; only those are joined with their messages."""


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
    inside, matches, _ = _reach(connection, match, filters)
    total = matches if filters.are_open else None
    everything = Scope(filters, by_window=is_best_gathered(inside.size, matches))
    if not everything.by_window:
        for window in windows(connection, inside, matches, wanted=_WANTED_BY_TIME, whole=matches * JOIN):
            found, is_all = in_window(
                connection, match, filters, limit=limit, place=place, oldest_first=oldest_first, window=window, matches=matches
            )
            if is_all or len(found) > limit:
                return Found(tuple(found[:limit]), len(found) > limit, total)
    rows = by_time(connection, match, everything, inside, limit=limit, place=place, oldest_first=oldest_first, matches=matches)
    total = matches if filters.are_open else rows[0][1] if rows else None if place else 0
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total)


def in_window(
    connection: sqlite3.Connection, match: str, filters: Filters, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool, window: int, matches: int = 0,
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
    rows = by_time(connection, match, scope, _EVERYWHERE, limit=limit, place=place, oldest_first=oldest_first, matches=matches)
    return [row[0] for row in rows], edge is None


def _smaller(one: int, other: int | None) -> int:
    return one if other is None else min(one, other)


def by_time(
    connection: sqlite3.Connection, match: str, scope: Scope, inside: Extent, *,
    limit: int, place: tuple[int, int] | None, oldest_first: bool, matches: int = 0,
) -> list[tuple[int, int]]:  # fmt: skip
    """Message id and number of hits in order of time, for one more row than asked; `matches` as in `scored`."""
    among = stretches.ids_among(connection, match, scope.filters, inside, matches) if scope.by_window else None
    if among is None:
        source, values = _source(match, scope, inside, score="0")
    else:
        where, values = scope.filters.where()
        source = (
            "SELECT m.message_id, 0 AS score, m.sent_at FROM json_each(?) AS asked"
            f" CROSS JOIN messages AS m ON m.message_id = asked.value WHERE {where}"
        )
        values.insert(0, json.dumps(among))
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
    messages = connection.execute("SELECT coalesce(sum(message_count), 0) FROM chats").fetchone()[0]
    total = None
    if messages <= _LISTED_AND_COUNTED or filters.are_indexed:
        total = int(connection.execute(f"SELECT count(*) FROM messages AS m WHERE {where}", values).fetchone()[0])
    return Found(tuple(row[0] for row in rows[:limit]), len(rows) > limit, total)
