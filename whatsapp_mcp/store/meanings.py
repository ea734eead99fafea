"""Vectors of messages for search by meaning: which are missing or made of older texts, and how they are stored.

They are made block by block (`schema.semantic`). Ids of messages stay the same through a rebuild, so vectors do; one whose
message has another text by now is told by its checksum, here and by whoever searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.schema.semantic import BLOCK
from whatsapp_mcp.search.meaning import SHORTEST, Block, block_of

if TYPE_CHECKING:
    import sqlite3

    from whatsapp_mcp.search.meaning import Meaning

_STALE: Final = f"""
SELECT n.block, n.seen FROM (
    SELECT message_id / {BLOCK} AS block,
        count(*) || ' ' || sum(message_id) || ' ' || sum(length(content)) || ' ' || total(edited_at) AS seen
    FROM messages WHERE length(content) > {SHORTEST} GROUP BY message_id / {BLOCK}
) AS n LEFT JOIN meanings AS k ON k.block = n.block AND k.model = ? AND k.seen = n.seen
WHERE k.block IS NULL ORDER BY n.block DESC"""
_FORGET: Final = f"DELETE FROM meanings WHERE block NOT IN (SELECT DISTINCT message_id / {BLOCK} FROM messages)"
_TEXTS: Final = "SELECT message_id, content FROM messages WHERE message_id BETWEEN ? AND ? AND length(content) > ?"


class Stale(NamedTuple):
    """A block whose vectors are missing, of another model, or of other texts."""

    block: int
    seen: str


class Made(NamedTuple):
    """A block with its vectors."""

    stale: Stale
    vectors: Block


def stale(connection: sqlite3.Connection, model: str) -> list[Stale]:
    """The blocks that have to be made, the newest messages first; walks all messages, a second for a million."""
    return [Stale(*row) for row in connection.execute(_STALE, (model,))]


def make(connection: sqlite3.Connection, one: Stale, meaning: Meaning) -> Made:
    """The vectors of a block; nothing is written. Takes a second or several; raises `MissingExtra` without the library."""
    first = one.block * BLOCK
    texts = connection.execute(_TEXTS, (first, first + BLOCK - 1, SHORTEST)).fetchall()
    return Made(one, block_of(texts, meaning))


def keep(connection: sqlite3.Connection, made: list[Made], model: str) -> None:
    """Store blocks, within the transaction that is open, and forget those of messages that are gone."""
    connection.executemany(
        "INSERT OR REPLACE INTO meanings (block, model, seen, ids, texts, codes) VALUES (?, ?, ?, ?, ?, ?)",
        [(one.stale.block, model, one.stale.seen, *one.vectors) for one in made],
    )
    connection.execute(_FORGET)
