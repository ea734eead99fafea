"""The third migration: how the gateway answered, and how large the archive was."""

from __future__ import annotations

from typing import Final

THIRD: Final = """
CREATE TABLE run_calls (
    run_id INTEGER NOT NULL REFERENCES runs,
    method TEXT NOT NULL,
    requests INTEGER NOT NULL, errors INTEGER NOT NULL, throttled INTEGER NOT NULL,
    median_ms REAL, p95_ms REAL,
    PRIMARY KEY (run_id, method)
) WITHOUT ROWID;
CREATE TABLE sizes (
    measured_at INTEGER PRIMARY KEY,
    database_bytes INTEGER NOT NULL, media_bytes INTEGER NOT NULL,
    messages INTEGER NOT NULL, chats INTEGER NOT NULL, payloads INTEGER NOT NULL
);
"""
"""The third migration: how the gateway answered each run, by method, and how large the archive was, once a day at most.

``median_ms`` and ``p95_ms`` are milliseconds from the departure of a request to the end of its answer, without the waiting for
one's turn; null for a method whose answer waits for something to happen. ``media_bytes`` counts files that messages name, each
once. Both tables are measured, not derived, and a rebuild leaves them alone.
"""

MEDIA_BYTES: Final = """SELECT coalesce(sum(size), 0) FROM (
    SELECT max(media_size) AS size FROM messages WHERE local_media_path IS NOT NULL GROUP BY local_media_path)"""
"""What ``sizes.media_bytes`` is at this moment."""
