"""What an answer rests on, and a sentence or more about what may be missing from it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries import gaps
from whatsapp_mcp.queries.database import hidden_in, remembered
from whatsapp_mcp.queries.hiding import told
from whatsapp_mcp.views import Coverage, Hole, Interval

if TYPE_CHECKING:
    import sqlite3
    from zoneinfo import ZoneInfo

_STATES: Final = f"""
SELECT count(*), coalesce(sum(s.sync_progress = 'complete'), 0), coalesce(sum(s.sync_progress = 'truncated'), 0),
    coalesce(sum(s.sync_progress = 'failed'), 0), coalesce(sum(s.sync_progress IN ('pending', 'running')), 0),
    coalesce(sum(s.chat_id IS NULL AND ch.whatsapp_chat_id NOT LIKE '%@broadcast'
        AND ch.whatsapp_chat_id NOT LIKE '%@newsletter'), 0), max(s.last_synced_at),
    coalesce(sum(ch.message_count), 0), coalesce(sum({gaps.IS_SHRUNK}), 0)
FROM chats AS ch LEFT JOIN sync_status AS s USING (chat_id)
"""


def coverage(
    connection: sqlite3.Connection, zone: ZoneInfo, *, chat_id: int | None = None, interval: Interval | None = None
) -> Coverage:
    """The coverage of one chat or of the whole archive, as far as it matters for `interval`.

    A chat that no sync knows of counts as pending as soon as anything was synced; in an archive that was only imported it
    does not. Statuses (stories) and channels are no chats with a history.
    """
    known = (
        remembered(connection, "coverage", lambda: _known(connection, None))  # in thousands of chats it takes 20 ms
        if chat_id is None
        else _known(connection, chat_id)
    )
    note = _note(known, interval, zone, is_one=chat_id is not None)
    hidden = told(hidden_in(connection)) if chat_id is None else ""
    return replace(known, note=f"{hidden} {note}".strip())


def _known(connection: sqlite3.Connection, chat_id: int | None) -> Coverage:
    """The coverage without a word about it."""
    one, values = (" WHERE ch.chat_id = ?", (chat_id,)) if chat_id is not None else ("", ())
    states = connection.execute(_STATES + one, values).fetchone()
    chats, complete, truncated, failed, pending, unknown, synced_at, messages, shrunk = states
    synced = connection.execute("SELECT EXISTS (SELECT 1 FROM sync_status)").fetchone()[0]
    inside, span = (" WHERE chat_id = ?", (chat_id,)) if chat_id is not None else ("", ())
    oldest = connection.execute(f"SELECT min(sent_at) FROM messages{inside}", span).fetchone()[0]
    newest = connection.execute(f"SELECT max(sent_at) FROM messages{inside}", span).fetchone()[0]
    lost = gaps.missing(connection, chat_id).values()
    bare = Coverage(
        chats, complete, truncated, failed, pending + (unknown if synced else 0), oldest, newest, synced_at, messages,
        missing=sum(sum(one.open.values()) for one in lost), unobtainable=sum(one.unobtainable for one in lost), shrunk=shrunk,
    )  # fmt: skip
    if chat_id is None:
        return _of_all(bare, gaps.spans(connection))
    return _of_one(bare, gaps.spans(connection, chat_id), chat_id)


def _of_one(bare: Coverage, known: gaps.Spans, chat_id: int) -> Coverage:
    holes = known.holes(chat_id)
    return replace(
        bare,
        with_holes=int(bool(holes)),
        holes=holes,
        known_until=known.known_until(chat_id),
        verified_at=max((span.verified_at for span in known.of(chat_id) if span.origin in gaps.HISTORIES), default=None),
        spans=known.of(chat_id),
    )


def _of_all(bare: Coverage, known: gaps.Spans) -> Coverage:
    verified = (span.verified_at for own in known.own.values() for span in own if span.origin in gaps.HISTORIES)
    return replace(
        bare,
        with_holes=sum(bool(known.holes(chat)) for chat in known.own),
        known_until=max((span.end for span in known.everywhere), default=None),
        verified_at=max(verified, default=None),
    )


def _note(known: Coverage, interval: Interval | None, zone: ZoneInfo, *, is_one: bool) -> str:
    sentences = [*(_states_of_one(known) if is_one else _states(known)), *_lost(known)]
    sentences += _holes_of_one(known, interval, zone) if is_one else _holes(known)
    return " ".join([*sentences, *_edges(known, interval, zone)])


def _states_of_one(known: Coverage) -> list[str]:
    if known.truncated:
        return ["The gateway cut this chat's history off: older messages are likely missing."]
    if known.failed:
        return ["The last fetch of this chat failed: messages may be missing."]
    return ["This chat's history was not fetched yet: most of it may be missing."] if known.pending else []


def _states(known: Coverage) -> list[str]:
    if not known.messages:
        return ["The archive holds no messages yet."]
    told = (
        (known.truncated, "cut off by the gateway"), (known.failed, "failed to fetch"), (known.pending, "not fetched yet"),
    )  # fmt: skip
    parts = [f"{count} {said}" for count, said in told if count]
    return [f"Incomplete: of {known.chats} chats {', '.join(parts)}; messages may be missing."] if parts else []


def _lost(known: Coverage) -> list[str]:
    """Messages that must have been there."""
    said = []
    if known.missing:
        said.append(f"{known.missing:,} {'message is' if known.missing == 1 else 'messages are'} known to be missing.")
    if known.unobtainable:
        which = "" if known.missing else f" message{'' if known.unobtainable == 1 else 's'}"
        verb = "is" if known.unobtainable == 1 else "are"
        said.append(f"{known.unobtainable:,}{which} that {verb} referred to cannot be had any more.")
    if known.shrunk:
        whose = "This chat's history" if known.chats == 1 else f"The history of {known.shrunk:,} chat{_s(known.shrunk)}"
        said.append(f"{whose} has become shorter at the gateway.")
    return said


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _holes_of_one(known: Coverage, interval: Interval | None, zone: ZoneInfo) -> list[str]:
    """The times within `interval` that were never fetched; the last one with its dates."""
    inside = [hole for hole in known.holes if interval is None or _touches(hole, interval)]
    if not inside:
        return []
    more = f", and in {len(inside) - 1} earlier time{_s(len(inside) - 1)}" if inside[1:] else ""
    return [f"Between {_bounds(inside[-1], zone)} nothing was fetched{more}."]


def _touches(hole: Hole, interval: Interval) -> bool:
    return (interval.start is None or interval.start < hole.end) and (interval.end is None or interval.end > hole.start)


def _holes(known: Coverage) -> list[str]:
    if not known.with_holes:
        return []
    return [f"Of {known.with_holes:,} chat{_s(known.with_holes)} some time was never fetched."]


def _bounds(hole: Hole, zone: ZoneInfo) -> str:
    first, last = _day(hole.start, zone), _day(hole.end, zone)
    if first != last:
        return f"{first} and {last}"
    return f"{first} {_minute(hole.start, zone)} and {_minute(hole.end, zone)}"


def _edges(known: Coverage, interval: Interval | None, zone: ZoneInfo) -> list[str]:
    """Where the interval reaches beyond what is known."""
    if interval is None:
        return []
    said = []
    if interval.start is not None and known.oldest is not None and interval.start < known.oldest:
        said.append(f"Messages are known from {_day(known.oldest, zone)}.")
    ends = (known.known_until, known.last_synced_at, known.newest, *(span.end for span in known.spans))
    last = max(end or 0 for end in ends)
    if interval.start is not None and last and interval.start > last:
        said.append(f"Nothing newer than {_day(last, zone)} was fetched yet.")
    return said


def _day(moment: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d}"


def _minute(moment: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%H:%M}"
