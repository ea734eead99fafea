"""Reading a chat: pages in ascending time from the end backwards or around a place, or all of it as a stream."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp import dates
from whatsapp_mcp.errors import NotFound, UsageError
from whatsapp_mcp.queries import cursors, messages
from whatsapp_mcp.queries.coverage import coverage
from whatsapp_mcp.views import Interval, MessageView, Page, Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

HIGHEST_LIMIT: Final = 1_000
_LIKE_A_DATE: Final = re.compile(r"\d{4}[-/.]\d")
_OLDER: Final = "ORDER BY m.sent_at DESC, m.message_id DESC LIMIT ?"
_NEWER: Final = "ORDER BY m.sent_at, m.message_id LIMIT ?"


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a chat is wanted."""

    chat: Party
    after: str | None
    before: str | None
    around: int | str | None
    limit: int
    cursor: str | None

    @property
    def filters(self) -> tuple[object, ...]:
        """What a cursor is bound to."""
        return ("read", self.chat.id, self.after or "", self.before or "", str(self.around or ""))


def read(connection: sqlite3.Connection, asked: Asked, *, zone: ZoneInfo, now: float) -> Page:
    """The newest messages of the interval, those before a cursor, or those around a message or a date."""
    if asked.around is not None and (asked.after or asked.before):
        raise UsageError("around cannot be combined with after or before.", advice="Leave out one of them.")
    limit = cursors.checked_limit(asked.limit, HIGHEST_LIMIT)
    place: tuple[int | None, ...] = (None, None)
    if asked.cursor:
        start, end, *place = cursors.decode(asked.cursor, asked.filters, 4)  # type: ignore[assignment]
        within = dates.resolved(start, end, zone=zone)
    else:
        within = dates.interval(asked.after, asked.before, zone=zone, now=now)
    if asked.around is not None and not asked.cursor:
        found, has_more, has_newer = _around(connection, asked, limit, zone=zone, now=now)
    else:
        has_newer = False
        found = _backwards(connection, asked.chat.id, within, place, limit + 1)
        has_more = len(found) > limit
        found = found[-limit:]
    return Page(
        messages=tuple(found),
        next_cursor=_cursor(asked, within, found[0]) if has_more and found else None,
        interval=within,
        coverage=coverage(connection, zone, chat_id=asked.chat.id, interval=within),
        total=_count(connection, asked.chat.id, within),
        has_newer=has_newer,
        notes=(asked.chat.note,) if asked.chat.note else (),
    )


def _cursor(asked: Asked, within: Interval, oldest: MessageView) -> str:
    return cursors.encode(asked.filters, (within.start, within.end, oldest.sent_at, oldest.message_id))


def _where(chat: int, within: Interval) -> tuple[str, list[object]]:
    conditions, values = ["m.chat_id = ?"], [chat]
    if within.start is not None:
        conditions.append("m.sent_at >= ?")
        values.append(within.start)
    if within.end is not None:
        conditions.append("m.sent_at < ?")
        values.append(within.end)
    return " AND ".join(conditions), list(values)


def _backwards(
    connection: sqlite3.Connection, chat: int, within: Interval, place: tuple[int | None, ...], limit: int
) -> list[MessageView]:
    where, values = _where(chat, within)
    if place[0] is not None:
        where += " AND (m.sent_at, m.message_id) < (?, ?)"
        values += place
    rows = connection.execute(messages.select("messages AS m", f"WHERE {where} {_OLDER}"), (*values, limit)).fetchall()
    return messages.views(connection, rows[::-1])


def _around(
    connection: sqlite3.Connection, asked: Asked, limit: int, *, zone: ZoneInfo, now: float
) -> tuple[list[MessageView], bool, bool]:
    """Half of `limit` before the place, the rest from it on; whether there are older ones, and newer ones."""
    sent_at, message_id = _place(connection, asked, zone=zone, now=now)
    before, values = limit // 2, (asked.chat.id, sent_at, message_id)
    query = "WHERE m.chat_id = ? AND (m.sent_at, m.message_id) {} (?, ?) {}"
    newer = connection.execute(
        messages.select("messages AS m", query.format(">=", _NEWER)), (*values, limit - before + 1)
    ).fetchall()
    before = before if newer else max(1, before)  # behind the last message even a single one is the last
    older = connection.execute(messages.select("messages AS m", query.format("<", _OLDER)), (*values, before + 1)).fetchall()
    shown = [*older[:before][::-1], *newer[: limit - before]]
    return messages.views(connection, shown), len(older) > before, len(newer) > limit - before


def _place(connection: sqlite3.Connection, asked: Asked, *, zone: ZoneInfo, now: float) -> tuple[int, int]:
    """The time and id from which to read on: of a message, or of the first moment of a date."""
    around = str(asked.around).strip()

    def day() -> tuple[int, int]:
        return dates.parse(around, zone=zone, now=now).start, 0

    is_handle = messages.is_handle(around)
    if not is_handle:  # a date is tried before WhatsApp's ids, which are looked up in every chat
        try:
            return day()
        except UsageError as no_date:
            if _LIKE_A_DATE.match(around):
                raise no_date from None
    try:
        message_id, chat, sent_at = messages.find(connection, around)
    except NotFound:
        if not is_handle:
            raise
        with suppress(UsageError):  # 2024 is a year where it is no message
            return day()
        raise
    if chat != asked.chat.id:
        raise NotFound(
            f"The message m{message_id} is not in this chat but in chat {chat}.", advice=f"Read chat {chat} around it."
        )
    return sent_at, message_id


def _count(connection: sqlite3.Connection, chat: int, within: Interval) -> int:
    where, values = _where(chat, within)
    return int(connection.execute(f"SELECT count(*) FROM messages AS m WHERE {where}", values).fetchone()[0])


def stream(connection: sqlite3.Connection, chat: Party, within: Interval) -> Iterator[MessageView]:
    """Every message of the interval in ascending time."""
    where, values = _where(chat.id, within)
    query = messages.select("messages AS m", f"WHERE {where} ORDER BY m.sent_at, m.message_id")
    return messages.streamed(connection, query, values)
