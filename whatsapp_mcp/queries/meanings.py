"""Hits by meaning beside those by words: which there are, and where they stand on a page.

Only the first page of a search by relevance has them, so that pages of hits by words go on as they would without: nobody sees
a message twice, none is left out. A message that holds the words is never among them. Exact spellings stay in front; other
forms and hits by meaning are merged by the reciprocal of their ranks (Cormack, Clarke and Büttcher, SIGIR 2009).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import MissingExtra
from whatsapp_mcp.queries.database import hidden_in
from whatsapp_mcp.queries.scopes import extent
from whatsapp_mcp.search.meaning import Block, checksum, is_readable, nearest
from whatsapp_mcp.search.operators import LINK

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from whatsapp_mcp.queries.asking import Asked, Wanted
    from whatsapp_mcp.queries.filters import Filters
    from whatsapp_mcp.queries.ranking import Found
    from whatsapp_mcp.search.meaning import Meaning, Near
    from whatsapp_mcp.views import MessageView

MOST: Final = 10
"""Hits by meaning on a page: further ones are hardly ever meant."""
_SHARE: Final = 4
"""Of a page that words alone would fill, one place in so many is for hits by meaning."""
_LOOKED_AT: Final = 2_000
_LOOKED_AT_WITH_FILTERS: Final = 10_000
_SLICE: Final = 500
_RANKS: Final = 60
"""The constant of the formula."""
_LONGEST_QUERY: Final = 400


def beside(connection: sqlite3.Connection, meaning: Meaning, wanted: Wanted, found: Found, limit: int) -> tuple[int, ...]:
    """The hits by meaning that get a place on a page of `limit` that words have filled with `found`, the nearest first."""
    places = min(MOST, max(limit - len(found.ids), limit // _SHARE))
    try:
        return tuple(_near(connection, meaning, wanted, places))
    except MissingExtra:  # `doctor` says it; the search goes on
        return ()


def marked(shown: Sequence[MessageView], near: Sequence[int]) -> list[MessageView]:
    """The messages of a page, those by meaning told apart."""
    return [replace(one, matched_in="meaning", snippet=None) if one.message_id in near else one for one in shown]


def notes(near: Sequence[int]) -> tuple[str, ...]:
    """Which hits are guesses."""
    handles = ", ".join(f"m{number}" for number in near)
    return (f"Found by meaning, not by these words (a small model's guess): {handles}.",) if near else ()


def is_plain(asked: Asked, wanted: Wanted) -> bool:
    """Whether a search is for plain words, in a script that the model reads, and by relevance."""
    if wanted.query is None or wanted.query.unwanted or asked.order != "relevance" or asked.cursor:
        return False
    if any(mark in wanted.words for mark in '"*') or " OR " in wanted.words:
        return False
    links = LINK in asked.states or f"has:{LINK}" in wanted.without_dates
    return not links and is_readable(wanted.words[:_LONGEST_QUERY])


def merged(found: Found, near: Sequence[int]) -> Found:
    """One list of `found` and the hits by meaning; exact spellings first."""
    exact, forms = found.ids[: found.first_inexact], found.ids[found.first_inexact :]
    ranks = {number: (rank, 0) for rank, number in enumerate(forms, len(exact))}
    ranks |= {number: (rank, 1) for rank, number in enumerate(near)}
    rest = sorted(ranks, key=lambda number: (-1 / (_RANKS + ranks[number][0]), ranks[number][1]))
    total = None if found.total is None else found.total + len(near)
    return replace(found, ids=(*exact, *rest), total=total)


def _near(connection: sqlite3.Connection, meaning: Meaning, wanted: Wanted, places: int) -> Iterator[int]:
    if not places or wanted.query is None:
        return
    among = _among(connection, wanted.filters)
    is_open = wanted.filters.are_open and not hidden_in(connection).chats
    most = _LOOKED_AT if is_open or among is not None else _LOOKED_AT_WITH_FILTERS
    query = wanted.words[:_LONGEST_QUERY]
    near = nearest(_blocks(connection, meaning), query, meaning, most=most, among=among)
    given = 0
    for first in range(0, len(near), _SLICE):
        for number in _fitting(connection, near[first : first + _SLICE], wanted.filters, wanted.query.match()):
            yield number
            given += 1
            if given == places:
                return


def _among(connection: sqlite3.Connection, filters: Filters) -> list[int] | None:
    """The messages that what an index knows leaves, where they are few."""
    inside = extent(connection, filters)
    if inside.size is None:
        return None
    where, values = filters.where(indexed_only=True)
    return [row[0] for row in connection.execute(f"SELECT m.message_id FROM messages AS m WHERE {where}", values)]


def _blocks(connection: sqlite3.Connection, meaning: Meaning) -> Iterator[Block]:
    """All vectors, of hidden chats as well: they say nothing, and whoever is found is looked up where these cannot be seen."""
    query = "SELECT ids, texts, codes FROM main.meanings WHERE model = ? AND length(ids) > 0"
    return (Block(*row) for row in connection.execute(query, (meaning.name,)))


def _fitting(connection: sqlite3.Connection, near: Sequence[Near], filters: Filters, match: str) -> Iterator[int]:
    """Those that may be seen, fit the filters, still say what they said, and do not hold the words."""
    where, values = filters.where()
    ids = json.dumps([one.message_id for one in near])
    listed = "IN (SELECT value FROM json_each(?))"
    texts = dict(
        connection.execute(
            f"SELECT m.message_id, m.content FROM messages AS m WHERE m.message_id {listed} AND {where}", (ids, *values)
        ).fetchall()
    )
    by_words = {
        row[0]
        for row in connection.execute(
            f"SELECT rowid FROM message_index WHERE message_index MATCH ? AND +message_index.rowid {listed}", (match, ids)
        )
    }
    for one in near:
        text = texts.get(one.message_id)
        if text is not None and one.message_id not in by_words and checksum(text) == one.text:
            yield one.message_id
