"""How the archive listens, and whether somebody else empties the same queue.

Green API hands each notification out once (Green API docs, ReceiveNotification), so a second consumer takes what this one then
never hears of. It shows where a journal or a history has messages of a time of listening that no notification brought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries.listener import listener
from whatsapp_mcp.schema import ASKED, TOLD
from whatsapp_mcp.views import Queue

if TYPE_CHECKING:
    import sqlite3

WINDOW: Final = 30 * 86_400
"""Seconds that are looked back."""
MARGIN: Final = 5 * 60
"""Seconds at both ends of a time of listening that are not judged: its messages may have been told just before or after."""
SUSPICIOUS: Final = 3
"""So many missed messages are no accident; a single one is lost by Green API itself at times (Green API tracker #1118)."""
MOST: Final = 20_000
"""So many messages are looked at, the newest of the window."""

_SPANS: Final = """
SELECT from_at, until_at FROM coverage WHERE chat_id = 0 AND origin = 'queue' AND until_at > ? ORDER BY from_at DESC
"""
_JUDGED: Final = f"""
SELECT from_me, coalesce(sum(origins & {TOLD} <> 0), 0), coalesce(sum(origins & {TOLD} = 0), 0), count(*)
FROM (SELECT * FROM messages WHERE sent_at BETWEEN ? AND ? ORDER BY sent_at DESC LIMIT ?)
WHERE origins & {ASKED | TOLD} <> 0 AND message_type NOT IN ('call', 'system') AND chat_id NOT IN (
    SELECT chat_id FROM chats WHERE whatsapp_chat_id LIKE '%@broadcast' OR whatsapp_chat_id LIKE '%@newsletter')
GROUP BY from_me
"""
"""Statuses and channels are told by no notification (Green API docs, "type-webhook"); calls and system lines by some only."""


def queue(connection: sqlite3.Connection, now: int) -> Queue:
    """The notification queue as the archive saw it, judged over the last 30 days before `now`."""
    rows = connection.execute("SELECT name, value FROM cursors WHERE name IN ('listen_mode', 'queue_since', 'queue_read_at')")
    cursors = dict(rows)
    told, missed = _judge(connection, now - WINDOW)
    return Queue(
        mode=cursors.get("listen_mode", ""),
        listens_now=listener(connection, now) is not None,
        since=_moment(cursors.get("queue_since")),
        read_at=_moment(cursors.get("queue_read_at")),
        told_incoming=told[0],
        told_outgoing=told[1],
        missed_incoming=missed[0],
        missed_outgoing=missed[1],
        suspected=tuple(name for name, count in zip(("incoming", "outgoing"), missed, strict=True) if count >= SUSPICIOUS),
        note=_note(told, missed),
    )


def _moment(value: str | None) -> int | None:
    return int(value) if value and value.isdecimal() else None


def _judge(connection: sqlite3.Connection, since: int) -> tuple[list[int], list[int]]:
    """How many messages were told, and how many missed, each incoming and outgoing."""
    told, missed = [0, 0], [0, 0]
    left = MOST
    for start, end in connection.execute(_SPANS, (since,)).fetchall():
        within = (max(start + MARGIN, since), end - MARGIN)
        for from_me, heard, unheard, count in connection.execute(_JUDGED, (*within, left)) if left > 0 else ():
            told[from_me] += heard
            missed[from_me] += unheard
            left -= count
    return told, missed


def _note(told: list[int], missed: list[int]) -> str:
    """What is suspected, received and sent apart."""
    parts = [
        f"{missed[way]:,} of {missed[way] + told[way]:,} messages {what}"
        for way, what in ((0, "received"), (1, "sent"))
        if missed[way] >= SUSPICIOUS
    ]
    if not parts:
        return ""
    return (
        f"While listening, {' and '.join(parts)} were never told by the queue: another program (a second consumer, such as"
        " Green API's hosted MCP server or an automation) seems to empty the same queue."
    )
