"""What happened since a time, chat by chat, those that matter most to the owner first.

Nothing is judged by what the messages say. What counts is who waits for whom: a private chat whose last word is the other's
(unless the owner reacted to it), then a group in which somebody answered the owner, then other private chats, then groups in
which the owner wrote, then the rest; among equals the one that was active last comes first. Chats in which nobody else wrote
come last: there is nothing to catch up with.

A notice of WhatsApp's own is nobody's word, a call that was answered waits for nothing, and neither does a message that its
sender took back: then what was said before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.queries import people
from whatsapp_mcp.queries.people import CHAT_NAME
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from whatsapp_mcp.views import Coverage, Interval


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in one chat within an interval."""

    chat: Party
    is_group: bool
    messages: int
    received: int
    """What others wrote; notices of WhatsApp's own are among `messages` only."""
    sent: int
    to_me: int
    """Messages of others that quote one of the owner's."""
    is_waiting: bool
    """A private chat whose last word is the other's, and the owner did not react to it."""
    first_id: int
    last_id: int
    """The message with the latest time."""
    last_at: int

    @property
    def rank(self) -> int:
        """0 matters most."""
        if not self.received:
            return 5
        if self.is_waiting:
            return 0
        if not self.is_group:
            return 2
        if self.to_me:
            return 1
        return 3 if self.sent else 4


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """What happened within an interval, and what that rests on."""

    interval: Interval
    coverage: Coverage
    chats: tuple[Activity, ...]
    note: str = ""
    """Which chat was taken for the one that was named, where that does not go without saying."""


_ACTIVITY: Final = f"""
WITH active AS (
    SELECT m.chat_id, count(*) AS messages, sum(NOT m.from_me AND m.message_type <> 'system') AS received,
        sum(m.from_me) AS sent, min(m.sent_at) AS first_at, max(m.sent_at) AS last_at
    FROM messages AS m WHERE m.sent_at >= :start AND m.sent_at < :end AND (:chat IS NULL OR m.chat_id = :chat)
    GROUP BY m.chat_id
)
SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, ch.chat_type = 'group', a.messages, a.received, a.sent,
    (SELECT count(*) FROM messages AS m JOIN messages AS q ON q.message_id = m.quoted_message_id
        WHERE m.chat_id = a.chat_id AND m.sent_at >= :start AND m.sent_at < :end AND NOT m.from_me AND q.from_me),
    (SELECT min(m.message_id) FROM messages AS m WHERE m.chat_id = a.chat_id AND m.sent_at = a.first_at),
    (SELECT max(m.message_id) FROM messages AS m WHERE m.chat_id = a.chat_id AND m.sent_at = a.last_at),
    a.last_at
FROM active AS a JOIN chats AS ch USING (chat_id) LEFT JOIN contacts AS c USING (contact_id)
"""
_IS_ANSWERED: Final = """
SELECT m.from_me OR coalesce((
    SELECT r.emoji FROM reactions AS r WHERE r.chat_id = m.chat_id AND r.whatsapp_message_id = m.whatsapp_message_id
        AND r.sender_contact_id = :owner ORDER BY r.reacted_at DESC, r.emoji DESC LIMIT 1
), '') <> '' OR EXISTS (
    SELECT 1 FROM calls AS c WHERE c.chat_id = m.chat_id AND c.whatsapp_message_id = m.whatsapp_message_id
        AND (c.duration > 0 OR c.call_status = 'pickUp')
)
FROM messages AS m WHERE m.chat_id = :chat AND m.sent_at >= :start AND m.sent_at < :end
    AND m.message_type <> 'system' AND m.deleted_at IS NULL
ORDER BY m.sent_at DESC, m.message_id DESC LIMIT 1
"""
"""Of the last word of a chat; `reactions` is asked itself, as its view of the current ones walks through all of them."""


def activities(connection: sqlite3.Connection, within: Interval, chat: int | None) -> list[Activity]:
    """Every chat with a message in the interval (of all time where it is open), what matters most first."""
    values: dict[str, int | None] = {
        "start": within.start if within.start is not None else -(2**62),
        "end": within.end if within.end is not None else 2**62,
        "chat": chat,
    }
    me = people.owner(connection)
    values["owner"] = me[0] if me else None
    found = [_activity(connection, values, *row) for row in connection.execute(_ACTIVITY, values).fetchall()]
    return sorted(found, key=lambda one: (one.rank, -one.last_at, one.chat.id))


def _activity(connection: sqlite3.Connection, values: Mapping[str, int | None], *row: int | str) -> Activity:
    chat_id, whatsapp_id, name, is_group, messages, received, sent, to_me, first_id, last_id, last_at = row
    return Activity(
        chat=Party(int(chat_id), str(whatsapp_id), str(name)),
        is_group=bool(is_group),
        messages=int(messages),
        received=int(received),
        sent=int(sent),
        to_me=int(to_me),
        is_waiting=not is_group and _is_waiting(connection, {**values, "chat": int(chat_id)}),
        first_id=int(first_id),
        last_id=int(last_id),
        last_at=int(last_at),
    )


def _is_waiting(connection: sqlite3.Connection, values: Mapping[str, int | None]) -> bool:
    row = connection.execute(_IS_ANSWERED, values).fetchone()
    return row is not None and not row[0]
