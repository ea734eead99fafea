"""What stands written in the archive: which forms of words, and in which tongues people write."""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from whatsapp_mcp.queries.database import remembered
from whatsapp_mcp.search.endings import SIGNS
from whatsapp_mcp.search.language import Term

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

T = TypeVar("T")

_RARELY: Final = 4_000
"""A little word of a tongue counts when one message in so many holds it."""
_SIGNS_NEEDED: Final = 2
_MOST_ROWS: Final = 200
"""Of so many phrases at most is asked whether anybody wrote them: one of frequent numbers takes half a millisecond."""


def written(connection: sqlite3.Connection, terms: Sequence[Term]) -> frozenset[Term]:
    """Those of `terms` that any message holds: one look-up each, but for phrases of words that nobody wrote."""
    words = {word for term in terms for word in term.words}
    known = _that_match(connection, {word: Term((word,)).expression() for word in words})
    rows = {
        term: term.expression()
        for term in terms
        if (len(term.words) > 1 or term.is_prefix) and known.issuperset(term.words[:-1] if term.is_prefix else term.words)
    }
    found = _that_match(connection, dict(islice(rows.items(), _MOST_ROWS)))
    return frozenset(term for term in terms if term in found or (term not in rows and known.issuperset(term.words)))


def _that_match(connection: sqlite3.Connection, expressions: dict[T, str]) -> set[T]:
    keys = list(expressions)
    query = (
        "SELECT asked.key FROM json_each(?) AS asked"
        " WHERE EXISTS (SELECT 1 FROM message_index WHERE message_index MATCH asked.value)"
    )
    return {keys[place] for (place,) in connection.execute(query, (json.dumps(list(expressions.values())),))}


def tongues(connection: sqlite3.Connection) -> frozenset[str]:
    """The tongues in Latin letters that the archive shows by their little words; English needs none, so it is left out."""
    newest = int(connection.execute("SELECT coalesce(max(message_id), 0) FROM messages").fetchone()[0])
    grown = int(10 * math.log(newest + 1))  # another number whenever the archive has grown by a tenth
    return remembered(connection, "tongues", lambda: _tongues(connection, newest), version=grown)


def _tongues(connection: sqlite3.Connection, messages: int) -> frozenset[str]:
    enough = max(1, messages // _RARELY)
    return frozenset(tongue for tongue, signs in SIGNS.items() if sum(_has(connection, signs, enough)) >= _SIGNS_NEEDED)


def _has(connection: sqlite3.Connection, words: Iterable[str], enough: int) -> Iterable[bool]:
    query = "SELECT 1 FROM message_index WHERE message_index MATCH ? LIMIT 1 OFFSET ?"
    return (connection.execute(query, (Term((word,)).expression(), enough - 1)).fetchone() is not None for word in words)
