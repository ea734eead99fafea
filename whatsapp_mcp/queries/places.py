"""Where addresses go on, and what there is to choose from: after a chat, before a message, months, people met lately."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from whatsapp_mcp import dates
from whatsapp_mcp.errors import NotFound
from whatsapp_mcp.queries import cursors, messages, people
from whatsapp_mcp.queries.reading import Asked

if TYPE_CHECKING:
    import sqlite3
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import Party


def after_chat(connection: sqlite3.Connection, chat: Party) -> str:
    """The cursor with which a list of all chats goes on after `chat`."""
    row = connection.execute("SELECT coalesce(last_message_at, 0) FROM chats WHERE chat_id = ?", (chat.id,)).fetchone()
    return cursors.encode(("chats", "", ""), (row[0], chat.id))


def before_message(connection: sqlite3.Connection, chat: Party, month: str, message: int, *, zone: ZoneInfo, now: float) -> str:
    """The cursor with which reading `chat` in `month` goes on before `message`. Raises `NotFound` for one of another chat."""
    message_id, its_chat, sent_at = messages.find(connection, message)
    if its_chat != chat.id:
        raise NotFound(f"The message m{message_id} is not in this chat.", advice="Read the chat's month without it.")
    within = dates.interval(month, month, zone=zone, now=now)
    filters = Asked(chat, month, month, None, 1, None).filters
    return cursors.encode(filters, (within.start, within.end, sent_at, message_id))


def months(connection: sqlite3.Connection, chat: int | None, zone: ZoneInfo) -> tuple[str, ...]:
    """The months with messages, like ``2025-08``, the newest first: of one chat, or of all.

    Each month costs one look into an index, however many messages it has.
    """
    found: list[str] = []
    where, values = ("chat_id = ? AND", (chat,)) if chat is not None else ("", ())
    query = f"SELECT sent_at FROM messages WHERE {where} sent_at < ? ORDER BY sent_at DESC LIMIT 1"
    end: float = 2**62
    while (row := connection.execute(query, (*values, int(end))).fetchone()) is not None:
        first = datetime.fromtimestamp(row[0], zone).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        found.append(f"{first:%Y-%m}")
        end = min(first.timestamp(), row[0])
    return tuple(found)


def recent_people(connection: sqlite3.Connection, limit: int) -> tuple[Party, ...]:
    """The people of the most recently active private chats, the latest first."""
    rows = connection.execute(
        "SELECT contact_id FROM chats WHERE chat_type = 'private' AND contact_id IS NOT NULL"
        " ORDER BY last_message_at DESC, chat_id LIMIT ?",
        (limit,),
    )
    return tuple(known.party for known in people.by_ids(connection, "contact", [row[0] for row in rows]))
