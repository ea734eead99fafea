"""What the archive gained since a moment, for the reports.

A message is new when it was stored since then. Our ids only grow, also through a rebuild, so the highest id that an earlier
report saw is where the next one goes on; without one, or with one that this archive never gave out, the time of sending
decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries import gaps
from whatsapp_mcp.queries.messages import MEDIA_KINDS
from whatsapp_mcp.queries.people import CHAT_NAME
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

_TOTALS: Final = """
SELECT count(*), coalesce(sum(sent_at < ?), 0), count(DISTINCT chat_id),
    coalesce(sum(message_type IN (SELECT value FROM json_each(?))), 0)
FROM messages WHERE {where}
"""
_BY_CHAT: Final = f"""
SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, n.messages FROM (
    SELECT chat_id, count(*) AS messages FROM messages WHERE {{where}} GROUP BY chat_id
) AS n JOIN chats AS ch USING (chat_id) LEFT JOIN contacts AS c USING (contact_id)
ORDER BY n.messages DESC, ch.chat_id LIMIT ?
"""
_BY_TYPE: Final = "SELECT message_type, count(*) FROM messages WHERE {where} GROUP BY message_type ORDER BY 2 DESC, 1"
_DOWNLOADS: Final = "SELECT download_status, count(*) FROM media_download_queue GROUP BY download_status"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What came since a moment."""

    newest_id: int
    """The highest message id now: the next report begins after it; 0 in an empty archive."""
    messages: int
    older: int
    """Of these, sent before that moment."""
    chats: int
    by_chat: tuple[tuple[Party, int], ...]
    """The chats with most of them, most first."""
    by_type: tuple[tuple[str, int], ...]
    media: int
    missing: int
    """Messages that something refers to and that were never seen, in the whole archive."""
    downloads: Mapping[str, int]
    """The download queue by its state: ``pending``, ``stored``, ``failed``, …"""


def arrivals(connection: sqlite3.Connection, since: int, *, after_id: int | None, limit: int) -> Arrivals:
    """What was stored since `since` (unix seconds), after the message `after_id`; at most `limit` chats by name."""
    newest = int(connection.execute("SELECT coalesce(max(message_id), 0) FROM messages").fetchone()[0])
    known = after_id is not None and after_id <= newest
    where, value = ("message_id > ?", after_id) if known else ("sent_at >= ?", since)
    totals = connection.execute(_TOTALS.format(where=where), (since, json.dumps(MEDIA_KINDS), value)).fetchone()
    by_chat = connection.execute(_BY_CHAT.format(where=where), (value, limit)).fetchall()
    return Arrivals(
        newest_id=newest,
        messages=totals[0],
        older=totals[1],
        chats=totals[2],
        by_chat=tuple((Party(*row[:3]), row[3]) for row in by_chat),
        by_type=tuple((kind, count) for kind, count in connection.execute(_BY_TYPE.format(where=where), (value,))),
        media=totals[3],
        missing=missing_count(connection),
        downloads=dict(connection.execute(_DOWNLOADS).fetchall()),
    )


def missing_count(connection: sqlite3.Connection) -> int:
    """How many messages something refers to that were never seen, those that cannot be had any more among them."""
    return sum(one.open.total() + one.unobtainable for one in gaps.missing(connection).values())
