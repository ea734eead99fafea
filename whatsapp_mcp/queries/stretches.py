"""Few messages asked of the index by stretches of ids, and weighed one by one, where walking a frequent word takes too long.

FTS5 seeks to an id, but it walks from there on: among the newest thousand messages of an archive in which a word stands in a
million, nearly all of the walk is for nothing. And a ``bm25`` of its own for each stretch would count all rows of the word each
time. So the ids come from the index, stretch by stretch, and their scores from the texts, by the same sums in the same order
(SQLite 3.40, ext/fts5/fts5_aux.c): the store writes each text folded, so its words are known, and ``message_index_docsize``
says for each row whether they were counted alike. Where anything is not as expected the answer is None, and FTS5 is asked.
"""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.database import hidden_in
from whatsapp_mcp.search.folding import fold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from whatsapp_mcp.queries.filters import Filters
    from whatsapp_mcp.queries.scopes import Extent

WEIGHTS: Final = (1.0, 0.6)
"""A word in a file name counts for less than one that somebody wrote."""

_ASK: Final = 35.0
"""µs to ask for a stretch, for each phrase of the expression."""
_LOOK: Final = 0.2
"""µs to walk one match and look it up among others."""
_FETCH: Final = 0.5
"""µs to walk one match within a stretch."""
_READ: Final = 8.0
"""µs to read and fold a text."""
_MOST_IDS: Final = 220_000
_MOST_WEIGHED: Final = 6_000
_WORTH: Final = 20_000
"""With fewer matches walking them all is quick enough."""

_PHRASE: Final = re.compile(r'"([^"]+)"')
_EITHER: Final = r'"[^"]+"(?: OR "[^"]+")*'
_ALL: Final = rf'(?:\({_EITHER}\)|"[^"]+")(?: AND (?:\({_EITHER}\)|"[^"]+"))*'
_PLAIN: Final = re.compile(rf"(?P<all>{_ALL})|\((?P<wanted>{_ALL})\) NOT \(+{_EITHER}\)+")
"""An expression whose phrases count wherever they stand: no beginnings of words, nothing within each other; what is left out
stands nowhere."""


def ids_among(connection: sqlite3.Connection, match: str, filters: Filters, inside: Extent, matches: int) -> list[int] | None:
    """Which of the messages that fit what an index knows of `filters` match; None where walking all `matches` is cheaper."""
    if matches < _WORTH:
        return None
    where, values = filters.where(indexed_only=True)
    query = f"SELECT m.message_id FROM messages AS m WHERE {where} LIMIT ?"
    ids = sorted(row[0] for row in connection.execute(query, (*values, _MOST_IDS + 1)))
    if len(ids) > _MOST_IDS:
        return None
    (newest,) = connection.execute("SELECT coalesce(max(message_id), 1) FROM messages").fetchone()
    ask = _ASK * max(1, match.count('"') // 2)
    dense = _FETCH * matches / newest
    wanted = list(_stretches(ids, int(ask / dense)))
    if len(wanted) * ask + sum(last - first for first, last in wanted) * dense > matches * _LOOK:
        return None
    found = connection.execute(
        "SELECT message_index.rowid FROM json_each(?) AS s CROSS JOIN message_index"
        " ON message_index.rowid BETWEEN json_extract(s.value, '$[0]') AND json_extract(s.value, '$[1]')"
        " WHERE message_index MATCH ?",
        (json.dumps(wanted), match),
    )
    fitting = {one for one in ids if inside.low <= one <= inside.high}
    return [row[0] for row in found if row[0] in fitting]


def _stretches(ids: Sequence[int], widest_gap: int) -> Iterator[tuple[int, int]]:
    if not ids:
        return
    first = ids[0]
    for before, after in pairwise(ids):
        if after - before > widest_gap:
            yield first, before
            first = after
    yield first, ids[-1]


def best_among(
    connection: sqlite3.Connection, match: str, filters: Filters, inside: Extent, *, matches: int, known: int | None
) -> list[int] | None:
    """The hits within `filters`, the best first and the newer first among equals; None where FTS5 has to be asked.

    `known` is in how many rows the whole of `match` stands, where that was counted.
    """
    plain = _PLAIN.fullmatch(match)
    if plain is None or (ids := ids_among(connection, match, filters, inside, matches)) is None:
        return None
    where, values = filters.where()
    rows = connection.execute(
        "SELECT m.message_id, m.sent_at, m.content, m.media_filename, m.location_name, t.text, z.sz"
        " FROM json_each(?) AS asked CROSS JOIN messages AS m ON m.message_id = asked.value"
        " LEFT JOIN media_texts AS t ON t.sha256 = m.media_sha256"
        f" LEFT JOIN main.message_index_docsize AS z ON z.id = m.message_id WHERE {where} LIMIT ?",
        (json.dumps(ids), *values, _MOST_WEIGHED + 1),
    ).fetchall()
    if len(rows) > _MOST_WEIGHED:
        return None
    is_whole = plain["wanted"] is None and not hidden_in(connection).chats
    weigh = _Scale(connection, plain["wanted"] or match, known if is_whole else None)
    hits = []
    for message_id, sent_at, content, *beside, size in rows:
        columns = (fold(content).split(), fold(" ".join(text for text in beside if text)).split())
        if list(_numbers(size or b"")) != [len(words) for words in columns]:
            return None
        hits.append((weigh(columns), -sent_at, -message_id))
    return [-message_id for _, _, message_id in sorted(hits)]


class _Scale:
    """What `bm25` of FTS5 gives for a row, by its words."""

    def __init__(self, connection: sqlite3.Connection, match: str, known: int | None) -> None:
        self._phrases = [phrase.split() for phrase in _PHRASE.findall(match)]
        (totals,) = connection.execute("SELECT block FROM main.message_index_data WHERE id = 1").fetchone()
        rows, *tokens = _numbers(totals)
        self._average = sum(tokens) / rows
        if known is not None and len(self._phrases) == 1:
            counts = [known]
        else:
            count = "SELECT count(*) FROM main.message_index WHERE message_index MATCH ?"
            counts = [connection.execute(count, (f'"{" ".join(one)}"',)).fetchone()[0] for one in self._phrases]
        rarity = [math.log((rows - count + 0.5) / (count + 0.5)) for count in counts]
        self._rarity = [one if one > 0.0 else 1e-6 for one in rarity]

    def __call__(self, columns: Sequence[list[str]]) -> float:
        length = float(sum(map(len, columns)))
        score = 0.0
        for phrase, rarity in zip(self._phrases, self._rarity, strict=True):
            often = 0.0
            for words, weight in zip(columns, WEIGHTS, strict=True):
                for _ in range(_occurrences(words, phrase)):
                    often += weight
            score += rarity * ((often * (1.2 + 1.0)) / (often + 1.2 * (1 - 0.75 + 0.75 * length / self._average)))
        return -score


def _occurrences(words: list[str], phrase: list[str]) -> int:
    if len(phrase) == 1:
        return words.count(phrase[0])
    return sum(words[place : place + len(phrase)] == phrase for place in range(len(words) - len(phrase) + 1))


def _numbers(blob: bytes) -> Iterator[int]:
    """The varints of SQLite's that a blob holds (of fewer than nine bytes)."""
    number = 0
    for byte in blob:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            yield number
            number = 0
