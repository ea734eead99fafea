"""What keeps a database quick and small: the search index in few pieces, fresh statistics, no empty pages, a short log.

Each step is short enough, or outside of every reader's way: in WAL mode a reader goes on beside a merge and beside VACUUM.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from whatsapp_mcp.schema.semantic import FOR_LARGE, LARGE

_MERGE_PAGES: Final = 500
_MERGES: Final = 200
"""At most so many bites of a merge in one run; the next run goes on."""


@dataclass(frozen=True, slots=True)
class Pages:
    """How a database's file is filled."""

    size: int
    count: int
    free: int

    @property
    def bytes(self) -> int:
        """The whole file."""
        return self.size * self.count

    @property
    def free_bytes(self) -> int:
        """What a VACUUM would give back at least."""
        return self.size * self.free


def pages(connection: sqlite3.Connection) -> Pages:
    """How many pages there are, and how many of them hold nothing."""
    ask = connection.execute
    return Pages(*(int(ask(f"PRAGMA {name}").fetchone()[0]) for name in ("page_size", "page_count", "freelist_count")))


def index_is_sound(connection: sqlite3.Connection) -> bool:
    """Whether FTS5 finds its own tables in order (SQLite docs, FTS5, "The 'integrity-check' Command")."""
    try:
        connection.execute("INSERT INTO message_index (message_index) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
            return False
        raise
    return True


def merge_index(connection: sqlite3.Connection) -> int:
    """Join the pieces of the search index in short transactions; how many bites it took.

    A negative number begins a merge of all pieces, positive ones go on with it, and one that changes fewer than two rows had
    nothing to do (SQLite docs, FTS5, "The 'merge' Command").
    """
    bite = -_MERGE_PAGES
    for number in range(_MERGES):
        before = connection.total_changes
        connection.execute("INSERT INTO message_index (message_index, rank) VALUES ('merge', ?)", (bite,))
        if connection.total_changes - before < 2:
            return number
        bite = _MERGE_PAGES
    return _MERGES


def make_large_indexes(connection: sqlite3.Connection) -> None:
    """What only a very large archive needs; nothing in any other, and nothing where it is there."""
    (newest,) = connection.execute("SELECT coalesce(max(message_id), 0) FROM messages").fetchone()
    for index in FOR_LARGE if newest >= LARGE else ():
        connection.execute(index)


def refresh_statistics(connection: sqlite3.Connection) -> None:
    """What the planner knows of the tables (SQLite docs, "PRAGMA optimize"), and what it can use in a very large archive."""
    make_large_indexes(connection)
    connection.execute("PRAGMA analysis_limit = 1000")
    connection.execute("PRAGMA optimize")


def vacuum(connection: sqlite3.Connection) -> None:
    """Write the file anew without its empty pages; the new one is built on the disk, not in memory."""
    before = connection.execute("PRAGMA temp_store").fetchone()[0]
    connection.execute("PRAGMA temp_store = FILE")
    try:
        connection.execute("VACUUM")
    finally:
        connection.execute(f"PRAGMA temp_store = {int(before)}")


def checkpoint(connection: sqlite3.Connection) -> bool:
    """Move the log into the main file and empty it; False while a reader still needs a part of it."""
    connection.execute("PRAGMA busy_timeout = 2000")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute("PRAGMA busy_timeout = 30000")
    return not busy
