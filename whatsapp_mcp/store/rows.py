"""Rows of the small tables: find by key, join, insert or update, and say which rows changed.

Messages have their own, faster way (`messages`), because they come by the ten thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whatsapp_mcp.schema import JOINS
from whatsapp_mcp.store.joins import Row, join

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence


def find(connection: sqlite3.Connection, table: str, key: Mapping[str, Any]) -> Row | None:
    """The row with that key, or None."""
    where = " AND ".join(f"{column} = ?" for column in key)
    cursor = connection.execute(f"SELECT * FROM {table} WHERE {where}", tuple(key.values()))
    row = cursor.fetchone()
    return None if row is None else dict(zip([name for name, *_ in cursor.description], row, strict=True))


def insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> None:
    """Insert one full row."""
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))


def insert_many(connection: sqlite3.Connection, table: str, columns: Sequence[str], many: Sequence[Sequence[Any]]) -> None:
    """Insert full rows by statements of many rows each.

    Python's sqlite3 gives up the interpreter's lock at every step, and ``executemany`` makes a step of each row: beside a busy
    event loop it spends most of its time waiting to get the lock back. A statement of 64 rows is one step.
    """
    done = 0
    for size in (64, 16, 4, 1):
        places = ", ".join(["(" + ", ".join("?" * len(columns)) + ")"] * size)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {places}"
        while len(many) - done >= size:
            values = [value for row in many[done : done + size] for value in row]
            connection.execute(statement, values)
            done += size


def update(connection: sqlite3.Connection, table: str, key: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Write `changes` into the row with that key."""
    assignments = ", ".join(f"{column} = ?" for column in changes)
    where = " AND ".join(f"{column} = ?" for column in key)
    connection.execute(f"UPDATE {table} SET {assignments} WHERE {where}", (*changes.values(), *key.values()))


def merge(connection: sqlite3.Connection, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Join `values` into the row with that key, or insert it; True when anything changed."""
    said = {name: none_if_empty(value) for name, value in values.items()}
    old = find(connection, table, key)
    if old is None:
        insert(connection, table, {**key, **said})
        return True
    changes = join(table, old, said)
    if changes:
        update(connection, table, key, changes)
    return bool(changes)


def move(connection: sqlite3.Connection, table: str, column: str, loser: int, winner: int) -> None:
    """Give all rows of a joined-away chat or contact to the winner, joining the rows that both have."""
    cursor = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (loser,))
    names = [name for name, *_ in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (loser,))
    keys = primary_key(connection, table)
    for row in rows:
        row[column] = winner
        merge_or_ignore(connection, table, {name: row[name] for name in keys}, row)


def merge_or_ignore(connection: sqlite3.Connection, table: str, key: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Insert a full row, or join it into the one that is there; tables of pure keys have nothing to join."""
    if table in JOINS:
        merge(connection, table, key, {name: value for name, value in row.items() if name not in key})
        return
    places = ", ".join("?" * len(row))
    connection.execute(f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({places})", tuple(row.values()))


def primary_key(connection: sqlite3.Connection, table: str) -> Sequence[str]:
    """The columns of a table's primary key, in their order."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    return [name for _, name in sorted((column[5], column[1]) for column in columns if column[5])]


def none_if_empty(value: Any) -> Any:
    """NULL instead of an empty text: in the database nothing said is NULL."""
    return None if value == "" else value
