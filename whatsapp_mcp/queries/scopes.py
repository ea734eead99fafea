"""Among which messages to look for hits, so that the time of a search stays bounded: the costs, and the ways to choose from.

What SQLite 3.40 costs in µs stands below, measured in an archive of a million messages. So:

- Filters that an index knows (chat, dates) are gathered when they leave few messages, and the matches looked up among them.
  Their lowest and highest id bound the matches that FTS5 has to walk at all: of a chat that was fetched at once, its own.
- Else every match is joined with its message and scored, as long as that is affordable, and until it is dear where it is
  unknown how far back a window would have to reach (a sender, kinds of files).
- Very frequent words: only the newest messages within the filters are taken, as many as make enough matches likely, and the
  matches among them scored. The window is widened until a page is full, or until looking at everything costs no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from whatsapp_mcp.queries.filters import Filters

LOOK: Final = 0.11
"""To walk a match and look it up among gathered ids."""
GATHER: Final = 0.5
"""To gather one id."""
JOIN: Final = 1.3
"""To join a match with its message."""
SCORE: Final = 1.3
"""To score a match (bm25)."""
AFFORDABLE: Final = 8_000.0
"""As long as scoring everything takes less, everything is scored."""

_DEAR: Final = 200_000.0
"""What takes more is looked for among the newest `_WIDEST` messages first, also where nobody knows how many of them fit."""
_WANTED: Final = 300
"""Matches to rank of a very frequent word: fifteen pages of the usual length."""
_MOST_GATHERED: Final = 20_000
"""With more, a window is the cheaper way for all but rare words."""
_NARROWEST: Final = 2_000
_WIDEST: Final = 200_000
_WIDER: Final = 8
_FOR_SPARSE: Final = (_WIDEST // _WIDER, _WIDEST)
_LAST_ID: Final = 2**62


class Extent(NamedTuple):
    """How many messages fit what an index knows, None where they are too many to count; and between which ids they lie."""

    size: int | None = None
    low: int = 0
    high: int = _LAST_ID


@dataclass(frozen=True, slots=True)
class Scope:
    """Which hits are looked at: those within `filters`, found by gathering the ids that fit first or by joining every match."""

    filters: Filters
    by_window: bool
    edge: int | None = None
    """Only messages from then on."""


def extent(connection: sqlite3.Connection, filters: Filters, most: int = _MOST_GATHERED) -> Extent:
    """The extent of `filters`, of at most so many messages; counted in an index, at a thirtieth of a µs for each."""
    where, values = filters.where(indexed_only=True)
    if where == "1":
        return Extent()
    size, low, high = connection.execute(
        "SELECT count(*), min(message_id), max(message_id)"
        f" FROM (SELECT m.message_id FROM messages AS m WHERE {where} LIMIT ?)",
        (*values, most + 1),
    ).fetchone()
    return Extent() if size > most else Extent(size, low or 0, high or 0)


def worth_gathering(matches: int) -> int:
    """Of how many messages gathering may be cheaper than joining so many matches."""
    return min(_MOST_GATHERED, int(matches * (JOIN - LOOK) / GATHER))


def is_best_gathered(size: int | None, matches: int) -> bool:
    """Whether gathering the messages that fit is cheaper than joining the matches with theirs."""
    return size is not None and size <= worth_gathering(matches)


def scopes(connection: sqlite3.Connection, filters: Filters, inside: Extent, matches: int) -> Iterator[Scope]:
    """What to try one after the other until a page is full; the last one holds everything."""
    everything = Scope(filters, by_window=is_best_gathered(inside.size, matches))
    whole = matches * (SCORE if filters.are_open else JOIN + SCORE)
    is_dear = filters.are_of_a_kind and (inside.size or 0) * GATHER > AFFORDABLE
    if everything.by_window and not is_dear:
        pass
    elif filters.are_sparse:
        yield from _windows(connection, filters, iter(_FOR_SPARSE if whole > _DEAR and not filters.name_somebody else ()))
    else:
        sizes = windows(connection, inside, matches, wanted=_WANTED, whole=whole)
        widest = _WIDEST
        if everything.by_window:
            widest = (inside.size or 2 * _WIDEST) // 2  # a window that holds more is hardly cheaper than everything
        elif filters.are_of_a_kind and whole < 4 * _DEAR:
            widest = _WIDEST // _WIDER  # photos rarely have a word beside them: what is not in a narrow one is in no wider one
        yield from _windows(connection, filters, takewhile(lambda size: size <= widest, sizes))
    yield everything


def windows(connection: sqlite3.Connection, inside: Extent, matches: int, *, wanted: int, whole: float) -> Iterator[int]:
    """Of how many of the next messages to look at, ever more, as long as that takes less than the `whole` µs of everything.

    `wanted` matches are to be expected in the first.
    """
    if whole < AFFORDABLE:
        return
    messages = connection.execute("SELECT coalesce(sum(message_count), 0) FROM chats").fetchone()[0]
    window = max(_NARROWEST, wanted * min(int(messages), inside.high - inside.low + 1) // matches)
    while window <= _WIDEST and window * GATHER + matches * LOOK + wanted * (JOIN + SCORE) < whole:
        yield window
        window *= _WIDER


def _windows(connection: sqlite3.Connection, filters: Filters, sizes: Iterator[int]) -> Iterator[Scope]:
    for window in sizes:
        edge = edge_of(connection, filters, window)
        if edge is None:
            yield Scope(filters, by_window=True)
            return
        yield Scope(replace(filters, start=max(edge, filters.start or edge)), by_window=True, edge=edge)


def edge_of(connection: sqlite3.Connection, filters: Filters, window: int, *, oldest_first: bool = False) -> int | None:
    """The time of the message at the far side of the window, or None when all that fits is within it."""
    where, values = filters.where(indexed_only=True)
    order = "ASC" if oldest_first else "DESC"
    row = connection.execute(
        f"SELECT m.sent_at FROM messages AS m WHERE {where} ORDER BY m.sent_at {order} LIMIT 1 OFFSET ?", (*values, window)
    ).fetchone()
    return None if row is None else int(row[0])
