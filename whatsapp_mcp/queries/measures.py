"""What was measured: runs with their calls, how the gateway answered over time, and how the archive grew."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.files import file_counts
from whatsapp_mcp.queries.measured import CallsView, History, MeasuredRun, Now, SizeView
from whatsapp_mcp.queries.reporting import missing_count
from whatsapp_mcp.queries.status import runs
from whatsapp_mcp.schema.measures import MEDIA_BYTES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from whatsapp_mcp.views import RunView

RUNS: Final = 30

_SUMMED: Final = """
SELECT method, sum(c.requests), sum(errors), sum(c.throttled),
    sum(median_ms * c.requests) / sum(c.requests) FILTER (WHERE median_ms IS NOT NULL),
    sum(p95_ms * c.requests) / sum(c.requests) FILTER (WHERE p95_ms IS NOT NULL)
FROM run_calls AS c JOIN runs USING (run_id) WHERE {where} GROUP BY method ORDER BY method
"""
_LAST: Final = """
SELECT max(run_id) FROM runs WHERE ended_at IS NOT NULL AND state <> 'abandoned' GROUP BY kind ORDER BY kind
"""
_SUCCEEDED: Final = "SELECT kind, max(ended_at) FROM runs WHERE state IN ('complete', 'partial') GROUP BY kind ORDER BY kind"
_SIZES: Final = "SELECT measured_at, database_bytes, media_bytes, messages, chats, payloads FROM sizes ORDER BY measured_at"


def history(connection: sqlite3.Connection, database_bytes: int, now: int, limit: int = RUNS) -> History:
    """The last `limit` runs, what they asked in all, and every size that was measured, with that of `now`."""
    found = runs(connection, limit)
    ids = json.dumps([run.run_id for run in found])
    summed = connection.execute(_SUMMED.format(where="run_id IN (SELECT value FROM json_each(?))"), (ids,))
    calls = tuple(CallsView(*row) for row in summed)
    return History(_measured(connection, found), calls, sizes(connection, database_bytes, now))


def calls_since(connection: sqlite3.Connection, since: int) -> tuple[CallsView, ...]:
    """How each method answered the runs that ended since `since`, together."""
    return tuple(CallsView(*row) for row in connection.execute(_SUMMED.format(where="ended_at >= ?"), (since,)))


def sizes(connection: sqlite3.Connection, database_bytes: int, now: int) -> tuple[SizeView, ...]:
    """Every size that was measured before, and the one of now."""
    before = tuple(SizeView(*row) for row in connection.execute(_SIZES))
    return (*(size for size in before if size.measured_at < now), _size(connection, database_bytes, now))


def at_this_moment(connection: sqlite3.Connection, database_bytes: int, now: int) -> Now:
    """The archive in numbers."""
    last = [run_id for (run_id,) in connection.execute(_LAST)]
    unreadable = connection.execute("SELECT coalesce(sum(unreadable_count), 0) FROM payloads").fetchone()[0]
    return Now(
        size=_size(connection, database_bytes, now),
        unreadable=unreadable,
        missing=missing_count(connection),
        last=_measured(connection, runs(connection, len(last), of=last)) if last else (),
        succeeded=dict(connection.execute(_SUCCEEDED).fetchall()),
        files=file_counts(connection),
    )


def _measured(connection: sqlite3.Connection, found: Sequence[RunView]) -> tuple[MeasuredRun, ...]:
    ids = json.dumps([run.run_id for run in found])
    rows = connection.execute(
        "SELECT run_id, method, requests, errors, throttled, median_ms, p95_ms FROM run_calls"
        " WHERE run_id IN (SELECT value FROM json_each(?)) ORDER BY method",
        (ids,),
    )
    calls: defaultdict[int, list[CallsView]] = defaultdict(list)
    for run_id, *row in rows:
        calls[run_id].append(CallsView(*row))
    return tuple(MeasuredRun(run, tuple(calls[run.run_id])) for run in found)


def _size(connection: sqlite3.Connection, database_bytes: int, now: int) -> SizeView:
    counts = connection.execute(
        f"SELECT ({MEDIA_BYTES}),"
        " (SELECT count(*) FROM messages), (SELECT count(*) FROM chats), (SELECT count(*) FROM payloads)"
    ).fetchone()
    return SizeView(now, database_bytes, *counts)
