"""What an answer rests on, and one sentence about what may be missing from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from whatsapp_mcp.views import Coverage, Interval

if TYPE_CHECKING:
    import sqlite3
    from zoneinfo import ZoneInfo

_STATES = """
SELECT count(*), coalesce(sum(s.sync_progress = 'complete'), 0), coalesce(sum(s.sync_progress = 'truncated'), 0),
    coalesce(sum(s.sync_progress = 'failed'), 0), coalesce(sum(s.sync_progress IN ('pending', 'running')), 0),
    coalesce(sum(s.chat_id IS NULL), 0), max(s.last_synced_at), coalesce(sum(ch.message_count), 0)
FROM chats AS ch LEFT JOIN sync_status AS s USING (chat_id)
"""


def coverage(
    connection: sqlite3.Connection, zone: ZoneInfo, *, chat_id: int | None = None, interval: Interval | None = None
) -> Coverage:
    """The coverage of one chat or of the whole archive, as far as it matters for `interval`.

    A chat that no sync knows of counts as pending as soon as anything was synced; in an archive that was only imported it
    does not.
    """
    one, values = (" WHERE ch.chat_id = ?", (chat_id,)) if chat_id is not None else ("", ())
    states = connection.execute(_STATES + one, values).fetchone()
    chats, complete, truncated, failed, pending, unknown, synced_at, messages = states
    synced = connection.execute("SELECT EXISTS (SELECT 1 FROM sync_status)").fetchone()[0]
    inside, span = (" WHERE chat_id = ?", (chat_id,)) if chat_id is not None else ("", ())
    oldest = connection.execute(f"SELECT min(sent_at) FROM messages{inside}", span).fetchone()[0]
    newest = connection.execute(f"SELECT max(sent_at) FROM messages{inside}", span).fetchone()[0]
    bare = Coverage(
        chats, complete, truncated, failed, pending + (unknown if synced else 0), oldest, newest, synced_at, messages
    )
    return replace(bare, note=_note(bare, interval, zone, is_one=chat_id is not None))


def _note(known: Coverage, interval: Interval | None, zone: ZoneInfo, *, is_one: bool) -> str:
    sentences = [*(_gaps_of_one(known) if is_one else _gaps(known)), *_edges(known, interval, zone)]
    return " ".join(sentences)


def _gaps_of_one(known: Coverage) -> list[str]:
    if known.truncated:
        return ["The gateway cut this chat's history off: older messages are likely missing."]
    if known.failed:
        return ["The last fetch of this chat failed: messages may be missing."]
    return ["This chat's history was not fetched yet: most of it may be missing."] if known.pending else []


def _gaps(known: Coverage) -> list[str]:
    if not known.messages:
        return ["The archive holds no messages yet."]
    told = (
        (known.truncated, "cut off by the gateway"), (known.failed, "failed to fetch"), (known.pending, "not fetched yet"),
    )  # fmt: skip
    parts = [f"{count} {said}" for count, said in told if count]
    return [f"Incomplete: of {known.chats} chats {', '.join(parts)}; messages may be missing."] if parts else []


def _edges(known: Coverage, interval: Interval | None, zone: ZoneInfo) -> list[str]:
    """Where the interval reaches beyond what is known."""
    if interval is None:
        return []
    said = []
    if interval.start is not None and known.oldest is not None and interval.start < known.oldest:
        said.append(f"Messages are known from {_day(known.oldest, zone)}.")
    last = max(known.last_synced_at or 0, known.newest or 0)
    if interval.start is not None and last and interval.start > last:
        said.append(f"Nothing newer than {_day(last, zone)} was fetched yet.")
    return said


def _day(moment: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d}"
