"""What was done and how far it came: runs, the state of each chat in them, and cursors.

A `Mark` travels with a payload and is written in the same transaction as its rows, so a chat is called complete only when its
messages are durable. Runs are how a later process knows what an earlier one left undone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from whatsapp_mcp.store.ledger import Ledger, Span
    from whatsapp_mcp.store.people import People

COUNTERS: Final = (
    "chats_total", "chats_done", "chats_failed", "messages_seen", "messages_new", "requests", "throttled",
)  # fmt: skip
DONE: Final = ("complete", "truncated")
"""The progress of a chat that a resumed run need not ask again."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What becomes true together with a payload's rows."""

    at: int
    chat: str = ""
    """WhatsApp's id of the chat whose history this is; empty where no chat is meant."""
    progress: str = ""
    """``running``, ``complete``, ``truncated`` or ``failed``."""
    run_id: int | None = None
    history_length: int | None = None
    """How many records the gateway returned for the chat; the most that it ever did is kept."""
    cursors: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    error: str | None = None
    """One line for a history that failed or is not whole."""
    covered: tuple[Span, ...] = ()
    """What is known from here on, and from which origin."""


class Runs:
    """Writes runs, chat states and cursors; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection, people: People, ledger: Ledger) -> None:
        """Work on an open database."""
        self._connection = connection
        self._people = people
        self._ledger = ledger
        self._alive: set[int] = set()

    def begin(self, kind: str, now: int) -> int:
        """Start a run; others that call themselves running were killed, since there is one writer only.

        But for those of this very writer: a listener has its run, and catches up in another one meanwhile.
        """
        self._note_killed()
        cursor = self._connection.execute(
            "INSERT INTO runs (kind, state, started_at, updated_at) VALUES (?, 'running', ?, ?)", (kind, now, now)
        )
        run_id = int(cursor.lastrowid or 0)
        self._alive.add(run_id)
        return run_id

    def _note_killed(self) -> None:
        self._connection.execute(
            "UPDATE runs SET state = 'interrupted' WHERE state = 'running' AND run_id NOT IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(self._alive)),),
        )

    def resume(self, run_id: int, now: int) -> None:
        """Go on with an unfinished run."""
        self._alive.add(run_id)
        self._note_killed()
        self._connection.execute(
            "UPDATE runs SET state = 'running', ended_at = NULL, last_error = NULL, updated_at = ? WHERE run_id = ?",
            (now, run_id),
        )

    def update(self, run_id: int, now: int, **counters: int) -> None:
        """Set counters of a run."""
        assignments = "".join(f", {name} = :{name}" for name in COUNTERS if name in counters)
        self._connection.execute(
            f"UPDATE runs SET updated_at = :now{assignments} WHERE run_id = :run_id", {"now": now, "run_id": run_id, **counters}
        )

    def end(self, run_id: int, state: str, now: int, last_error: str | None) -> None:
        """Close a run as ``complete``, ``partial``, ``failed``, ``interrupted`` or ``abandoned``."""
        self._alive.discard(run_id)
        self._connection.execute(
            "UPDATE runs SET state = ?, ended_at = ?, updated_at = ?, last_error = ? WHERE run_id = ?",
            (state, now, now, last_error, run_id),
        )

    def unfinished(self, kind: str) -> int | None:
        """The newest run of that kind if it did not come to its end; one that a restart gave up is passed over."""
        row = self._connection.execute(
            "SELECT run_id, state FROM runs WHERE kind = ? AND state <> 'abandoned' ORDER BY run_id DESC LIMIT 1", (kind,)
        ).fetchone()
        return None if row is None or row[1] in ("complete", "partial") else int(row[0])

    def kind(self, run_id: int) -> str:
        """What kind of run it is; empty for one that is unknown."""
        row = self._connection.execute("SELECT kind FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return str(row[0]) if row else ""

    def counters(self, run_id: int) -> dict[str, int]:
        """The counters of a run so far."""
        row = self._connection.execute(f"SELECT {', '.join(COUNTERS)} FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return dict(zip(COUNTERS, row or [0] * len(COUNTERS), strict=True))

    def began(self, run_id: int) -> int:
        """When a run was begun, in unix seconds."""
        return int(self._connection.execute("SELECT started_at FROM runs WHERE run_id = ?", (run_id,)).fetchone()[0])

    def plan(self, run_id: int, chats: Iterable[str]) -> None:
        """Make the chats part of a run; those that it already brought to an end stay as they are."""
        self._connection.executemany(
            "INSERT INTO sync_status (chat_id, run_id, sync_progress) VALUES (?, ?, 'pending') ON CONFLICT (chat_id) DO UPDATE"
            " SET run_id = excluded.run_id, sync_progress = 'pending' WHERE sync_status.run_id IS NOT excluded.run_id",
            [(key, run_id) for key in dict.fromkeys(map(self._people.chat, chats))],
        )

    def pending(self, run_id: int, done_since: int) -> list[str]:
        """The chats of a run that are not done, or were done before `done_since`, as WhatsApp's ids."""
        rows = self._connection.execute(
            "SELECT whatsapp_chat_id FROM sync_status JOIN chats USING (chat_id) WHERE run_id = ?"
            " AND (sync_progress NOT IN (?, ?) OR coalesce(last_synced_at, 0) < ?) ORDER BY chat_id",
            (run_id, *DONE, done_since),
        )
        return [chat for (chat,) in rows]

    def known_chats(self) -> dict[str, bool]:
        """All chats as WhatsApp's ids, and whether the gateway once told a message of them that stands in a history.

        Calls stand in none, and what only a chat export brought may never have been at the gateway.
        """
        rows = self._connection.execute(
            "SELECT whatsapp_chat_id, coalesce(history_length, 0) > 0 OR EXISTS (SELECT 1 FROM messages AS m WHERE"
            " m.chat_id = chats.chat_id AND m.message_type <> 'call' AND m.whatsapp_message_id NOT LIKE 'export-%')"
            " FROM chats LEFT JOIN sync_status USING (chat_id) ORDER BY last_message_at DESC, chats.chat_id"
        )
        return {chat: bool(has_messages) for chat, has_messages in rows}

    def has_messages_since(self, since: int, *, from_me: bool) -> bool:
        """Whether the gateway told of a message, not a call or a status (story), that was sent or received after `since`."""
        found = self._connection.execute(
            "SELECT 1 FROM messages WHERE sent_at > ? AND from_me = ? AND message_type NOT IN ('call', 'system')"
            " AND whatsapp_message_id NOT LIKE 'export-%'"
            " AND chat_id NOT IN (SELECT chat_id FROM chats WHERE whatsapp_chat_id = 'status@broadcast') LIMIT 1",
            (since, int(from_me)),
        )
        return found.fetchone() is not None

    def forget_progress(self, keep: int | None) -> None:
        """Let the next full sync begin from nothing known; messages and errors seen stay, and so does the run `keep`."""
        self._connection.execute("UPDATE sync_status SET run_id = NULL, sync_progress = 'pending'")
        self._connection.execute(
            "UPDATE runs SET state = 'abandoned', ended_at = coalesce(ended_at, updated_at) WHERE kind = 'full'"
            " AND state IN ('running', 'interrupted', 'failed') AND run_id IS NOT ?",
            (keep,),
        )

    def mark(self, mark: Mark, error: str | None = None) -> None:
        """Write what a mark says."""
        self._connection.executemany("INSERT OR REPLACE INTO cursors VALUES (?, ?)", list(mark.cursors.items()))
        for span in mark.covered:
            self._ledger.cover(span, mark.at)
        if mark.chat and mark.progress:
            self._mark_chat(mark, error or mark.error)

    def _mark_chat(self, mark: Mark, error: str | None) -> None:
        chat = self._people.chat(mark.chat)
        self._connection.execute("INSERT OR IGNORE INTO sync_status (chat_id) VALUES (?)", (chat,))
        self._connection.execute(
            "UPDATE sync_status SET sync_progress = :progress, run_id = coalesce(:run_id, run_id), last_error = :error,"
            " error_count = CASE WHEN :progress = 'failed' THEN error_count + 1"
            " WHEN :progress IN ('complete', 'truncated') THEN 0"
            " ELSE error_count END WHERE chat_id = :chat",
            {"progress": mark.progress, "run_id": mark.run_id, "error": error, "chat": chat},
        )
        if mark.progress in DONE:
            self._note_extent(chat, mark)

    def _note_extent(self, chat: int, mark: Mark) -> None:
        self._connection.execute(
            "UPDATE sync_status SET last_synced_at = :at,"
            " history_length = coalesce(max(:length, history_length), :length, history_length),"
            " last_history_length = coalesce(:length, last_history_length),"
            " oldest_sent_at = (SELECT min(sent_at) FROM messages AS m WHERE m.chat_id = :chat),"
            " last_synced_message_id = (SELECT whatsapp_message_id FROM messages AS m WHERE m.chat_id = :chat"
            " ORDER BY sent_at DESC, message_id DESC LIMIT 1) WHERE chat_id = :chat",
            {"at": mark.at, "length": mark.history_length, "chat": chat},
        )

    def lengths(self, run_id: int) -> dict[str, int]:
        """How many records the histories of a run's chats had."""
        rows: Iterable[tuple[Any, Any]] = self._connection.execute(
            "SELECT whatsapp_chat_id, history_length FROM sync_status JOIN chats USING (chat_id)"
            " WHERE run_id = ? AND history_length IS NOT NULL",
            (run_id,),
        )
        return dict(rows)

    def cursor(self, name: str) -> str | None:
        """A position that was stored, or None."""
        row = self._connection.execute("SELECT value FROM cursors WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])
