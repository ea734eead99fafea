"""What was measured: how the gateway answered each run, and how large the archive was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from whatsapp_mcp.schema.measures import MEDIA_BYTES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

Calls: TypeAlias = tuple[str, int, int, int, float | None, float | None]
"""A method, its requests, errors and 429s, the median and the 95th percentile of its answers in milliseconds."""

_DAY: Final = 86_400


class Measures:
    """Writes what was measured; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on an open database."""
        self._connection = connection

    def add_calls(self, run_id: int, calls: Iterable[Calls]) -> None:
        """Add what a process asked for a run to what earlier ones asked for it; times are weighted by requests."""
        self._connection.executemany(
            "INSERT INTO run_calls VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run_id, method) DO UPDATE SET"
            f" median_ms = {_weighted('median_ms')}, p95_ms = {_weighted('p95_ms')},"
            " requests = requests + excluded.requests, errors = errors + excluded.errors,"
            " throttled = throttled + excluded.throttled",
            [(run_id, *one) for one in calls],
        )

    def note_size(self, now: int) -> None:
        """Measure the archive, unless that was done on this day (UTC)."""
        measured = "SELECT EXISTS (SELECT 1 FROM sizes WHERE measured_at >= ? AND measured_at < ?)"
        today = now - now % _DAY
        if self._one(measured, today, today + _DAY):
            return
        size = self._one("PRAGMA page_count") * self._one("PRAGMA page_size")
        counts = [self._one(f"SELECT count(*) FROM {table}") for table in ("messages", "chats", "payloads")]
        self._connection.execute("INSERT INTO sizes VALUES (?, ?, ?, ?, ?, ?)", (now, size, self._one(MEDIA_BYTES), *counts))

    def _one(self, query: str, *values: int) -> int:
        return int(self._connection.execute(query, values).fetchone()[0])


def _weighted(column: str) -> str:
    both = f"({column} * requests + excluded.{column} * excluded.requests) / (requests + excluded.requests)"
    return f"coalesce({both}, excluded.{column}, {column})"
