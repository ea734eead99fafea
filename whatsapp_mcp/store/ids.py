"""Our own integer keys: handed out one after the other, and the same again after a rebuild.

A number is never given out twice: where a row goes because it turned out to be another one, the largest number so far is
kept in ``cursors``, so that a handle in somebody's notes cannot come to name a stranger's message.

A handle such as ``m1234`` in somebody's notes must still name the same message when the archive was rebuilt from its
payloads, so a rebuild first remembers which natural key had which number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import sqlite3

_NATURAL: Final = {
    "contacts": ("contact_id", "SELECT contact_id, whatsapp_id FROM contacts"),
    "groups": ("group_id", "SELECT group_id, whatsapp_group_id FROM groups"),
    "chats": ("chat_id", "SELECT chat_id, whatsapp_chat_id FROM chats"),
    "messages": ("message_id", "SELECT message_id, chat_id, whatsapp_message_id FROM messages"),
}

_MARK: Final = "highest number in "


class Ids:
    """The next number of each table; reserved ones first."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Continue behind the largest number of each table."""
        self._connection = connection
        self._reserved: dict[tuple[str, Any], int] = {}
        self.reload()

    def reload(self) -> None:
        """Read the largest numbers anew, as after a rollback."""
        self._next = {
            table: self._connection.execute(
                f"SELECT 1 + max(coalesce((SELECT max({column}) FROM {table}), 0),"
                " coalesce((SELECT cast(value AS INTEGER) FROM cursors WHERE name = ?), 0))",
                (_MARK + table,),
            ).fetchone()[0]
            for table, (column, _) in _NATURAL.items()
        }

    def keep_mark(self, table: str) -> None:
        """Before rows of `table` go: remember durably how far the numbers went."""
        self._connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (_MARK + table, str(self._next[table] - 1)))

    def reserve(self) -> None:
        """Remember who has which number now, to give it out again for the same natural key."""
        for table, (_, query) in _NATURAL.items():
            for number, *natural in self._connection.execute(query):
                self._reserved[table, natural[0] if len(natural) == 1 else tuple(natural)] = number

    def release(self) -> None:
        """Forget the reservations."""
        self._reserved.clear()

    def take(self, table: str, natural: Any) -> int:
        """A number for a new row of `table` with that natural key."""
        if self._reserved:
            number = self._reserved.get((table, natural))
            if number is not None:
                return number
        number = self._next[table]
        self._next[table] = number + 1
        return int(number)
