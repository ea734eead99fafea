"""The files that messages carry, in numbers: what is stored, what waits, and what cannot be had any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatsapp_mcp.views import FileCounts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class FileReason:
    """Why files in one state are not there, and how many."""

    state: str
    why: str
    files: int
    size: int
    """Bytes, as far as they are known."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """The files of all messages."""

    counts: FileCounts
    by_kind: Mapping[str, FileCounts]
    """By the kind of message; a content that was sent as two kinds counts in both."""
    reasons: tuple[FileReason, ...]
    due: int
    """Files that could be fetched now."""
    next_at: int | None
    """When the next one after them is due, unix seconds."""


def file_counts(connection: sqlite3.Connection) -> FileCounts:
    """How many files are in which state; one that is under way counts as pending."""
    query = "SELECT download_status, count(*) FROM media_download_queue GROUP BY download_status"
    counts = dict(connection.execute(query).fetchall())
    contents, size = connection.execute("SELECT count(*), coalesce(sum(size), 0) FROM media_files").fetchone()
    pending = counts.get("pending", 0) + counts.get("downloading", 0)
    others = {name: counts.get(name, 0) for name in ("stored", "expired", "failed", "skipped")}
    return FileCounts(pending=pending, contents=contents, bytes_stored=size, **others)


def file_report(connection: sqlite3.Connection, now: int) -> FileReport:
    """The same by the kind of message, with why files are not there, and when the next is due."""
    by_kind = {
        kind: FileCounts(*numbers)
        for kind, *numbers in connection.execute(
            "SELECT m.message_type, sum(q.download_status IN ('pending', 'downloading')), sum(q.download_status = 'stored'),"
            " sum(q.download_status = 'expired'), sum(q.download_status = 'failed'), sum(q.download_status = 'skipped'),"
            " count(DISTINCT m.media_sha256), coalesce(sum(CASE WHEN q.download_status = 'stored' THEN q.size END), 0)"
            " FROM media_download_queue AS q JOIN messages AS m USING (message_id) GROUP BY m.message_type ORDER BY 1"
        )
    }
    reasons = tuple(
        FileReason(*row)
        for row in connection.execute(
            "SELECT download_status, last_error, count(*), coalesce(sum(size), 0) FROM media_download_queue"
            " WHERE last_error IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20"
        )
    )
    due, next_at = connection.execute(
        "SELECT sum(coalesce(next_attempt_at, 0) <= ?1), min(CASE WHEN next_attempt_at > ?1 THEN next_attempt_at END)"
        " FROM media_download_queue WHERE download_status IN ('pending', 'downloading')",
        (now,),
    ).fetchone()
    return FileReport(file_counts(connection), by_kind, reasons, due or 0, next_at)
