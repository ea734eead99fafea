"""What the archive does not have and could ask for: messages that others refer to, chats that no history proved lately.

Everything here is small beside the messages: it walks chats, spans and what waits, and looks at messages by their index only,
so a run that finds nothing to do costs the same in a large archive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.schema import GIVEN_UP_AFTER
from whatsapp_mcp.store.ledger import ALL_CHATS
from whatsapp_mcp.store.runs import DONE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Iterable

    from whatsapp_mcp.store.ledger import Span
    from whatsapp_mcp.store.people import People

_DAY: Final = 86_400
REPAIR_AFTER: Final = (0, _DAY, 7 * _DAY)
"""Seconds to wait before the gateway is asked for a missing message the first, the second and any further time."""
LAG: Final = 120
"""Histories and journals are up to so many seconds behind (Green API docs, GetChatHistory, LastIncomingMessages)."""

_TOLD: Final = "coalesce(m.origins, 1) & 3 AND m.message_type <> 'call' AND m.whatsapp_message_id NOT LIKE 'export-%'"
"""What the gateway gave, and gives again: calls stand in no history, and what only an import brought it may never have had."""
_OF_PEOPLE: Final = (
    "c.whatsapp_chat_id <> '0@c.us' AND (c.whatsapp_chat_id LIKE '%@c.us' OR c.whatsapp_chat_id LIKE '%@g.us'"
    " OR c.whatsapp_chat_id LIKE '%@lid')"
)
_DUE: Final = f"""(r.attempts IS NULL OR r.last_attempt_at > :now OR r.last_attempt_at <= :now - CASE r.attempts
    WHEN 1 THEN {REPAIR_AFTER[1]} ELSE {REPAIR_AFTER[2]} END)
    AND NOT (coalesce(r.outcome, '') = 'not_found' AND r.attempts >= {GIVEN_UP_AFTER})"""
_MISSING_IN: Final = f"""
SELECT c.chat_id FROM (
    SELECT DISTINCT chat_id FROM missing_messages LEFT JOIN repairs AS r USING (chat_id, whatsapp_message_id) WHERE {_DUE}
) AS due JOIN chats AS c USING (chat_id)
WHERE {_OF_PEOPLE} AND (NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.chat_id = c.chat_id)
    OR EXISTS (SELECT 1 FROM messages AS m WHERE m.chat_id = c.chat_id AND {_TOLD}))
ORDER BY c.last_message_at DESC LIMIT :limit
"""
"""The most recently active chats with something to ask for, which leaves few rows to be put in order."""
_MISSING: Final = f"""
SELECT DISTINCT coalesce((SELECT max(q.sent_at) FROM messages AS q WHERE q.chat_id = g.chat_id
    AND q.quoted_whatsapp_message_id = g.whatsapp_message_id AND q.quoted_message_id IS NULL), c.last_message_at, 0),
    c.whatsapp_chat_id, g.whatsapp_message_id
FROM missing_messages AS g JOIN chats AS c USING (chat_id) LEFT JOIN repairs AS r USING (chat_id, whatsapp_message_id)
WHERE g.chat_id = :chat AND {_DUE} ORDER BY 1 DESC, 3 LIMIT :limit
"""
"""Chat by chat, because SQLite looks for a single chat in each part of the view by its index."""
_CHATS: Final = f"""
SELECT whatsapp_chat_id, coalesce(last_message_at, 0), message_count, coalesce(sync_progress, ''), coalesce(error_count, 0),
    CASE WHEN sync_progress IN {DONE} AND last_synced_at <= :now + {_DAY} THEN min(last_synced_at, :now) ELSE 0 END,
    coalesce(history_length, 0), coalesce(last_history_length, history_length, 0)
FROM chats LEFT JOIN sync_status USING (chat_id) ORDER BY last_message_at DESC, chats.chat_id
"""
_SPANS: Final = f"""
SELECT whatsapp_chat_id, from_at, until_at FROM coverage JOIN chats USING (chat_id)
WHERE chat_id <> {ALL_CHATS} AND origin IN ('history', 'capped_history') ORDER BY chat_id, from_at
"""
_SPANS_OF: Final = "SELECT from_at, until_at FROM coverage WHERE origin IN ('history', 'capped_history')"


@dataclass(frozen=True, slots=True)
class ChatState:
    """What is known of a chat's completeness; times are unix seconds UTC, 0 where there is none."""

    chat: str
    last_message_at: int
    message_count: int
    progress: str
    """As in ``sync_status``; empty for a chat that no sync knows."""
    errors: int
    """How often in a row its history could not be had."""
    whole_at: int
    """When its whole history was had last."""
    longest: int
    """The most records that its history ever had."""
    last_length: int
    """How many it had when it was asked for last."""
    spans: tuple[tuple[int, int], ...] = ()
    """The times of which its histories, whole or only their newer parts, told; the earliest first."""

    @property
    def verified_at(self) -> int:
        """Until when its histories tell of it without a break."""
        until = self.whole_at
        for start, end in self.spans:
            if start <= until + 1:
                until = max(until, end)
        return until

    def tells(self, start: int, end: int) -> bool:
        """Whether its histories tell of that whole time."""
        return end <= self.verified_at or any(first <= start and end <= last for first, last in self.spans)

    @property
    def is_done(self) -> bool:
        """Its history was had once, as far as the gateway gives it."""
        return self.progress in DONE

    @property
    def shrank(self) -> bool:
        """The gateway gave less of it than before."""
        return 0 < self.last_length < self.longest


class Gaps:
    """Finds what is missing; writing is for the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, people: People) -> None:
        """Work on an open database."""
        self._connection = connection
        self._people = people

    def missing(self, limit: int, now: int) -> list[tuple[str, str]]:
        """Chats and ids of at most `limit` messages that something refers to and that may be asked for now.

        Those of the most recently active chats, and among them the newest first. A message is asked for at once, after a day
        and after a week; three times "not found", and it is unobtainable. Chats that only an import knows are not asked.
        """
        asked = {"limit": limit, "now": now}
        chats = self._connection.execute(_MISSING_IN, asked).fetchall()
        found = [row for (chat,) in chats for row in self._connection.execute(_MISSING, {**asked, "chat": chat})]
        return [(chat, message) for _, chat, message in sorted(found, key=lambda row: (-row[0], row[2]))[:limit]]

    def note_repair(self, chat: str, message: str, outcome: str, now: int) -> None:
        """Remember what asking for a message brought: ``found``, ``not_found`` or ``failed``."""
        self._connection.execute(
            "INSERT INTO repairs (chat_id, whatsapp_message_id, attempts, last_attempt_at, outcome) VALUES (?, ?, 1, ?, ?)"
            " ON CONFLICT DO UPDATE SET attempts = attempts + 1, last_attempt_at = excluded.last_attempt_at,"
            " outcome = excluded.outcome",
            (self._people.chat(chat), message, now, outcome),
        )

    def has_message(self, chat: str, message: str) -> bool:
        """Whether that message is there."""
        query = "SELECT 1 FROM messages WHERE chat_id = ? AND whatsapp_message_id = ?"
        return self._connection.execute(query, (self._key(chat), message)).fetchone() is not None

    def _key(self, chat: str) -> int | None:
        """Our key of a chat, or None for one that has no row: a question makes none."""
        query = "SELECT chat_id FROM chats WHERE whatsapp_chat_id = ?"
        row = self._connection.execute(query, (self._people.canonical(chat),)).fetchone()
        return None if row is None else int(row[0])

    def known_between(self, start: int, end: int, *, from_me: bool) -> dict[tuple[str, str], int]:
        """Chats and ids of one direction's messages that the gateway gave, sent from `start` to `end`, with their times."""
        rows = self._connection.execute(
            "SELECT whatsapp_chat_id, m.whatsapp_message_id, m.sent_at FROM messages AS m JOIN chats AS c USING (chat_id)"
            f" WHERE m.sent_at BETWEEN ? AND ? AND m.from_me = ? AND m.message_type <> 'system' AND {_TOLD} AND {_OF_PEOPLE}",
            (start, end, int(from_me)),
        )
        return {(chat, message): sent_at for chat, message, sent_at in rows}

    def newest_before(self, moment: int, since: int, *, from_me: bool, without: Collection[tuple[str, str]] = ()) -> int | None:
        """When the newest message of one direction that the gateway gave was sent, if that was from `since` up to `moment`.

        The messages `without` which to look are passed over.
        """
        rows = self._connection.execute(
            "SELECT c.whatsapp_chat_id, m.whatsapp_message_id, m.sent_at FROM messages AS m JOIN chats AS c USING (chat_id)"
            " WHERE m.sent_at BETWEEN ? AND ?"
            f" AND m.from_me = ? AND m.message_type <> 'system' AND {_TOLD} AND {_OF_PEOPLE} ORDER BY m.sent_at DESC LIMIT ?",
            (since, moment, int(from_me), len(without) + 1),
        )
        return next((int(sent_at) for chat, message, sent_at in rows if (chat, message) not in without), None)

    def knows_any(self, chat: str, messages: Iterable[str], before: int) -> bool:
        """Whether one of these messages of a chat is there and was sent before `before`."""
        row = self._connection.execute(
            "SELECT 1 FROM messages WHERE chat_id = ? AND sent_at < ?"
            " AND whatsapp_message_id IN (SELECT value FROM json_each(?)) LIMIT 1",
            (self._key(chat), before, json.dumps(list(messages))),
        ).fetchone()
        return row is not None

    def is_told(self, chat: str) -> bool:
        """Whether the gateway once gave a message of that chat, or a history, so that its history cannot be empty."""
        row = self._connection.execute(
            f"SELECT EXISTS (SELECT 1 FROM messages AS m WHERE m.chat_id = ?1 AND {_TOLD})"
            " OR EXISTS (SELECT 1 FROM sync_status WHERE chat_id = ?1 AND history_length > 0)",
            (self._key(chat),),
        ).fetchone()
        return bool(row[0])

    def chats(self, now: int) -> dict[str, ChatState]:
        """What is known of each chat, the most recently active first; a time that has not come is a clock's mistake."""
        spans: dict[str, list[tuple[int, int]]] = {}
        for chat, start, end in self._connection.execute(_SPANS):
            spans.setdefault(chat, []).append((start, end))
        rows = self._connection.execute(_CHATS, {"now": now})
        return {row[0]: ChatState(*(*row, tuple(spans.get(row[0], ())))) for row in rows}

    def told_before(self, chat: str, span: Span) -> int | None:
        """Until when an earlier history of the chat told, where what this span adds does not reach back to it; else None."""
        start, query = span.start, f"{_SPANS_OF} AND chat_id = ? ORDER BY from_at DESC"
        for first, last in self._connection.execute(query, (self._key(chat),)):
            if last < start - 1:
                return int(last)
            start = min(start, first)
        return None

    def progress(self, chat: str) -> str:
        """A chat's ``sync_progress``; empty for one that no sync knows."""
        query = "SELECT sync_progress FROM sync_status WHERE chat_id = ?"
        row = self._connection.execute(query, (self._key(chat),)).fetchone()
        return "" if row is None else str(row[0])

    def covered(self) -> list[tuple[int, int]]:
        """The times of which a journal or the queue told for all chats at once, joined where they touch, the oldest first."""
        joined: list[tuple[int, int]] = []
        for start, end in self._connection.execute(
            "SELECT from_at, until_at FROM coverage WHERE chat_id = ? AND origin IN ('journal', 'queue') ORDER BY from_at",
            (ALL_CHATS,),
        ):
            if joined and start <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            else:
                joined.append((start, end))
        return joined
