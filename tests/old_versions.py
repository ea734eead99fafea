"""An archive as an earlier version of the program left it, made out of one of today."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from whatsapp_mcp import schema
from whatsapp_mcp.schema.measures import THIRD
from whatsapp_mcp.schema.media import FOURTH
from whatsapp_mcp.schema.semantic import FIFTH

MIGRATIONS = (schema.TABLES, schema.SECOND, THIRD, FOURTH, FIFTH)


def take_back(connection: sqlite3.Connection, version: int) -> None:
    """Removes everything that the migrations after ``version`` brought."""
    with closing(sqlite3.connect(":memory:")) as model:
        model.executescript("".join(MIGRATIONS[:version]))
        kept, columns = _objects(model), _columns(model)
    later = sorted(_objects(connection) - kept, key=lambda thing: ("view", "trigger", "index", "table").index(thing[0]))
    for kind, name in later:
        connection.execute(f"DROP {kind} IF EXISTS {name}")
    for table, column in sorted(_columns(connection) - columns):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    wanted = " OR ".join(f"name LIKE 'm{number:03}%'" for number in range(1, version + 1))
    connection.execute(f"DELETE FROM _sqlite_migrations WHERE NOT ({wanted})")
    connection.execute(f"PRAGMA user_version = {version}")


def _objects(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Kind and name of what the project's migrations made (SQLite's own and the migrations' table aside)."""
    return set(
        connection.execute(
            "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name <> '_sqlite_migrations'"
        )
    )


def _columns(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    tables = [name for kind, name in _objects(connection) if kind == "table"]
    return {(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_xinfo({table})")}
