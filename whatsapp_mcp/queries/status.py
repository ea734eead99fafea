"""The state of the whole archive in numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.queries.database import hidden_in
from whatsapp_mcp.queries.files import file_counts
from whatsapp_mcp.queries.gaps import gaps
from whatsapp_mcp.queries.hiding import told_of_entries
from whatsapp_mcp.queries.messages import MEDIA_KINDS
from whatsapp_mcp.queries.notifications import queue
from whatsapp_mcp.queries.people import CHAT_NAME, owner
from whatsapp_mcp.views import Failure, Party, RunView, Status

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

_RUNS: Final = 10
_LISTED: Final = 100


def status(connection: sqlite3.Connection, zone: ZoneInfo, database_bytes: int, now: int) -> Status:
    """Counts, coverage, gaps, the queue, the last runs, and the chats that failed or were cut off (at most 100 of each)."""
    count = connection.execute(
        "SELECT count(*), coalesce(sum(chat_type = 'private'), 0), coalesce(sum(chat_type = 'group'), 0) FROM chats"
    ).fetchone()
    payloads = connection.execute("SELECT count(*), coalesce(sum(unreadable_count), 0) FROM payloads").fetchone()
    media = "SELECT count(*) FROM messages WHERE message_type IN (SELECT value FROM json_each(?))"
    me = owner(connection)
    known, hidden = coverage(connection, zone), hidden_in(connection)
    known = replace(known, note=f"{known.note} {told_of_entries(hidden)}".strip())
    return Status(
        account=me[1] if me else None,
        chats=count[0],
        private_chats=count[1],
        groups=count[2],
        contacts=connection.execute("SELECT count(*) FROM contacts").fetchone()[0],
        messages=known.messages,
        media_messages=connection.execute(media, (json.dumps(MEDIA_KINDS),)).fetchone()[0],
        payloads=payloads[0],
        unreadable=payloads[1],
        database_bytes=database_bytes,
        coverage=known,
        runs=runs(connection),
        failures=tuple(Failure(party, error or "unknown", count) for party, error, count in _in_state(connection, "failed")),
        truncated=tuple(party for party, _, _ in _in_state(connection, "truncated")),
        gaps=gaps(connection),
        queue=queue(connection, now),
        files=file_counts(connection),
        hidden_chats=len(hidden.chats),
    )


def runs(connection: sqlite3.Connection, limit: int = _RUNS, *, of: Sequence[int] | None = None) -> tuple[RunView, ...]:
    """The last runs, newest first; only those with an id in `of`, where there is such a list."""
    rows = connection.execute(
        "SELECT run_id, kind, state, started_at, ended_at, chats_total, chats_done, chats_failed, messages_seen, messages_new,"
        " requests, throttled, last_error, updated_at FROM runs"
        " WHERE ?1 IS NULL OR run_id IN (SELECT value FROM json_each(?1)) ORDER BY run_id DESC LIMIT ?2",
        (None if of is None else json.dumps(of), limit),
    )
    return tuple(RunView(*row) for row in rows)


def is_unfinished(connection: sqlite3.Connection, kind: str) -> bool:
    """Whether the newest run of `kind` that nobody gave up did not come to its end, or is still under way."""
    row = connection.execute(
        "SELECT state FROM runs WHERE kind = ? AND state <> 'abandoned' ORDER BY run_id DESC LIMIT 1", (kind,)
    ).fetchone()
    return row is not None and row[0] not in ("complete", "partial")


def _in_state(connection: sqlite3.Connection, state: str) -> list[tuple[Party, str | None, int]]:
    rows = connection.execute(
        f"SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, s.last_error, s.error_count"
        " FROM sync_status AS s JOIN chats AS ch USING (chat_id) LEFT JOIN contacts AS c USING (contact_id)"
        " WHERE s.sync_progress = ? ORDER BY ch.message_count DESC, ch.chat_id LIMIT ?",
        (state, _LISTED),
    )
    return [(Party(*row[:3]), row[3], row[4]) for row in rows]


def schema_text(connection: sqlite3.Connection) -> str:
    """The tables, views and indexes as SQL, with what one must know to query them."""
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'message_index_%' AND name NOT LIKE 'sqlite_%'"
        " AND tbl_name NOT LIKE '%migrations%' ORDER BY type = 'index', type = 'view', rowid"
    )
    return "\n".join((_CONVENTIONS, *(f"{sql};" for (sql,) in rows)))


_CONVENTIONS: Final = """\
-- Times are unix seconds UTC; messages.timestamp is sent_at as text in UTC.
-- messages.from_me = 1: sent by the account's owner. chats.chat_type: private or group.
-- messages.message_type: text image video audio voice document sticker location contact poll call group_invite
--   buttons list template system unknown.
-- A deleted message keeps its content and has deleted_at; an edited one shows its newest text.
-- message_index holds folded words only (rowid = message_id): search_messages folds queries alike, MATCH does not.
-- sync_status.sync_progress: pending running complete truncated failed."""
