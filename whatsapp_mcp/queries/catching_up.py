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
    is_known_in_part: bool = False
    """Of so many messages only the newest were looked at for `received`, `sent` and `to_me`."""

    @property
    def rank(self) -> int:
        """0 matters most."""
        if not self.received and not self.is_known_in_part:
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


_ACTIVE: Final = """
SELECT ch.chat_id, count(*), min(m.sent_at), max(m.sent_at)
FROM chats AS ch CROSS JOIN messages AS m ON m.chat_id = ch.chat_id AND m.sent_at >= :start AND m.sent_at < :end
WHERE :chat IS NULL OR ch.chat_id = :chat GROUP BY ch.chat_id
"""
"""Read from an index alone: one look for each chat, which are hundreds."""
_ACTIVITY: Final = f"""
WITH looked AS (
    SELECT m.from_me, m.message_type, m.quoted_message_id FROM messages AS m
    WHERE m.chat_id = :chat AND m.sent_at >= :start AND m.sent_at < :end ORDER BY m.sent_at DESC LIMIT :look
)
SELECT ch.whatsapp_chat_id, {CHAT_NAME}, ch.chat_type = 'group',
    (SELECT total(NOT from_me AND message_type <> 'system') FROM looked),
    (SELECT total(from_me) FROM looked),
    (SELECT count(*) FROM looked AS l CROSS JOIN messages AS q ON q.message_id = l.quoted_message_id
        WHERE NOT l.from_me AND q.from_me),
    (SELECT min(m.message_id) FROM messages AS m WHERE m.chat_id = :chat AND m.sent_at = :first_at),
    (SELECT max(m.message_id) FROM messages AS m WHERE m.chat_id = :chat AND m.sent_at = :last_at)
FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id) WHERE ch.chat_id = :chat
"""
_MOST_LOOKED_AT: Final = 50_000
"""Messages that are read to learn who wrote and to whom: a year of a busy account. Of more, the newest of each chat are."""
_LEAST_OF_A_CHAT: Final = 20
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
    active = connection.execute(_ACTIVE, values).fetchall()
    is_much = sum(row[1] for row in active) > _MOST_LOOKED_AT
    values["look"] = max(_LEAST_OF_A_CHAT, _MOST_LOOKED_AT // len(active)) if is_much else _MOST_LOOKED_AT
    found = [_activity(connection, values, *row) for row in active]
    return sorted(found, key=lambda one: (one.rank, -one.last_at, one.chat.id))


def _activity(
    connection: sqlite3.Connection, values: Mapping[str, int | None], chat: int, messages: int, *times: int
) -> Activity:
    first_at, last_at = times
    values = {**values, "chat": chat, "first_at": first_at, "last_at": last_at}
    row = connection.execute(_ACTIVITY, values).fetchone()
    whatsapp_id, name, is_group, received, sent, to_me, first_id, last_id = row
    return Activity(
        chat=Party(chat, str(whatsapp_id), str(name)),
        is_group=bool(is_group),
        messages=messages,
        received=int(received),
        sent=int(sent),
        to_me=to_me,
        is_waiting=not is_group and _is_waiting(connection, values),
        first_id=first_id,
        last_id=last_id,
        last_at=last_at,
        is_known_in_part=messages > (values["look"] or 0),
    )


def _is_waiting(connection: sqlite3.Connection, values: Mapping[str, int | None]) -> bool:
    row = connection.execute(_IS_ANSWERED, values).fetchone()
    return row is not None and not row[0]
