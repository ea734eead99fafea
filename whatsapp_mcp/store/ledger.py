"""The coverage ledger: which time of which chat is known, and from which origin.

Absence of messages and absence of knowledge look alike in a table of messages. So whatever was asked, or listened to, leaves a
span here, in the transaction that stores what it brought. Spans of one chat and one origin that touch become one; a hole
between them stays visible until something fills it.

A history of two chats that turn out to be one person proves nothing about the other's messages: only the spans of the chat
that stays are kept, which may ask once too often and never once too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from whatsapp_mcp.store.people import People

ALL_CHATS: Final = 0
"""The ``chat_id`` of what covers every chat at once."""

ORIGINS: Final = ("history", "capped_history", "journal", "queue", "import")


@dataclass(frozen=True, slots=True)
class Span:
    """One stretch of time, both ends included, in unix seconds, that is known from an origin (one of `ORIGINS`)."""

    origin: str
    start: int
    end: int
    chat: str = ""
    """WhatsApp's id of the chat; empty for all chats at once."""


class Ledger:
    """Writes spans; the caller holds the transaction."""

    def __init__(self, connection: sqlite3.Connection, people: People) -> None:
        """Work on an open database."""
        self._connection = connection
        self._people = people

    def cover(self, span: Span, verified_at: int) -> None:
        """Add a span, seen at `verified_at`; one that ends before it begins covers nothing, and nothing ends in the future."""
        end = min(span.end, verified_at)
        if end < span.start:
            return
        chat = self._people.chat(span.chat) if span.chat else ALL_CHATS
        touching = self._connection.execute(
            "SELECT from_at, until_at, verified_at FROM coverage WHERE chat_id = ? AND origin = ? AND from_at <= ?"
            " AND until_at >= ?",
            (chat, span.origin, end + 1, span.start - 1),
        ).fetchall()
        start = min([span.start, *(row[0] for row in touching)])
        until = max([end, *(row[1] for row in touching)])
        verified = max([verified_at, *(row[2] for row in touching)])
        self._connection.executemany(
            "DELETE FROM coverage WHERE chat_id = ? AND origin = ? AND from_at = ?",
            [(chat, span.origin, row[0]) for row in touching],
        )
        self._connection.execute(
            "INSERT INTO coverage (chat_id, origin, from_at, until_at, verified_at) VALUES (?, ?, ?, ?, ?)",
            (chat, span.origin, start, until, verified),
        )

    def forget_future(self, now: int) -> None:
        """Take back what is said of a time that has not come: a clock that ran ahead wrote it."""
        self._connection.execute("DELETE FROM coverage WHERE from_at > ?", (now,))
        self._connection.execute(
            "UPDATE coverage SET until_at = min(until_at, ?1), verified_at = min(verified_at, ?1)"
            " WHERE until_at > ?1 OR verified_at > ?1",
            (now,),
        )

    def withdraw(self, origin: str, since: int) -> None:
        """Take back what is said of all chats at once and of the time after `since`: it turned out to be unproven."""
        self._connection.execute(
            "DELETE FROM coverage WHERE chat_id = ? AND origin = ? AND from_at >= ?", (ALL_CHATS, origin, since)
        )
        self._connection.execute(
            "UPDATE coverage SET until_at = ?3 WHERE chat_id = ?1 AND origin = ?2 AND until_at > ?3", (ALL_CHATS, origin, since)
        )

    def drop_chat(self, chat: int) -> None:
        """Forget the spans of a chat that was joined into another."""
        self._connection.execute("DELETE FROM coverage WHERE chat_id = ?", (chat,))

    def spans(self, chat: str = "") -> list[Span]:
        """The spans of a chat, or of all chats at once, by origin and time."""
        key = self._people.chat(chat) if chat else ALL_CHATS
        rows = self._connection.execute(
            "SELECT origin, from_at, until_at FROM coverage WHERE chat_id = ? ORDER BY origin, from_at", (key,)
        )
        return [Span(origin, start, end, chat) for origin, start, end in rows]
