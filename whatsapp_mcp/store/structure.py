"""Whether a database has the tables, indexes and views that this program makes, and each column values of its own kind.

A fresh schema in memory is the pattern. Tables and views that a person has added are left alone; a trigger that is not ours is
not, because it changes what is stored.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whatsapp_mcp import schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind: TypeAlias = Literal["table", "index", "view", "trigger"]
State: TypeAlias = Literal["missing", "changed", "foreign"]

REPLACEABLE: Final = frozenset({"index", "view"})
"""What holds nothing of its own, so that `restore` can make it anew."""

_OBJECTS: Final = (
    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '%migrations%'"
)
_ALLOWED: Final = {
    "INTEGER": "'integer', 'null'",
    "REAL": "'real', 'null'",
    "TEXT": "'text', 'null'",
    "BLOB": "'blob', 'null'",
}


@dataclass(frozen=True, slots=True)
class Oddity:
    """One object of the schema that is not as a fresh archive has it."""

    kind: Kind
    name: str
    state: State


def oddities(connection: sqlite3.Connection) -> Iterator[Oddity]:
    """Every object that is missing or changed, and every trigger that is not ours."""
    found = _objects(connection)
    wanted = _fresh()
    for (kind, name), sql in wanted.items():
        if (kind, name) not in found:
            yield Oddity(kind, name, "missing")
        elif found[kind, name] != sql and not name.startswith("message_index_"):  # SQLite writes those of its own tables
            yield Oddity(kind, name, "changed")
    for kind, name in found.keys() - wanted.keys():
        if kind == "trigger":
            yield Oddity(kind, name, "foreign")


def restore(connection: sqlite3.Connection) -> None:
    """Make indexes and views anew that are missing or changed."""
    for oddity in list(oddities(connection)):
        if oddity.kind in REPLACEABLE:
            connection.execute(f"DROP {oddity.kind} IF EXISTS {oddity.name}")
            connection.execute(_fresh()[oddity.kind, oddity.name])


def _objects(connection: sqlite3.Connection) -> dict[tuple[Kind, str], str]:
    return {(kind, name): sql or "" for kind, name, sql in connection.execute(_OBJECTS)}


@cache
def _fresh() -> Mapping[tuple[Kind, str], str]:
    from sqlite_utils import Database

    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        schema.migrate(Database(connection))
        return _objects(connection)
    finally:
        connection.close()


def odd_values(connection: sqlite3.Connection) -> Iterator[tuple[str, str, int]]:
    """Rows that hold what their columns cannot mean: (table, what, how many).

    SQLite stores a text in a column of integers, and bytes that are no UTF-8 in one of texts, when somebody insists.
    """
    connection.create_function("is_utf8", -1, _is_utf8, deterministic=True)
    for kind, table in _fresh():
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        if kind != "table" or table.startswith("message_index") or not columns:
            continue
        wrong = " OR ".join(f"typeof({name}) NOT IN ({_ALLOWED[declared]})" for _, name, declared, *_ in columns)
        texts = ", ".join(f"CAST({name} AS BLOB)" for _, name, declared, *_ in columns if declared == "TEXT")
        broken = f"NOT is_utf8({texts})" if texts else "0"
        query = f"SELECT coalesce(sum({wrong}), 0), coalesce(sum({broken}), 0) FROM {table}"
        misplaced, unreadable = connection.execute(query).fetchone()
        if misplaced:
            yield table, f"rows of {table} hold values of another kind than their columns", misplaced
        if unreadable:
            yield table, f"rows of {table} hold texts that are no UTF-8", unreadable


def _is_utf8(*texts: bytes | None) -> bool:
    try:
        for text in texts:
            if text is not None:
                text.decode()
    except UnicodeDecodeError:
        return False
    return True
