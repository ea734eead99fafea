"""Noticing new messages while others write: cheap while nothing happens, exact when something does.

``PRAGMA data_version`` of a connection changes when another one has committed (SQLite docs, "pragma data_version"), and costs a
look into shared memory. Only then is asked which messages have an id above the highest known one: ids ascend in the order in
which messages are stored, whatever their time.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.queries.database import open_connection

if TYPE_CHECKING:
    from collections.abc import Collection

    from whatsapp_mcp.queries.database import Database

_NEW: Final = "SELECT DISTINCT m.chat_id FROM messages AS m WHERE m.message_id > ?"
_NEW_WITHIN: Final = (
    "SELECT 1 FROM messages AS m WHERE m.message_id > ? AND +m.chat_id = ? AND +m.sent_at >= ? AND +m.sent_at < ? LIMIT 1"
)


class Place(NamedTuple):
    """What is watched: a chat, or of it an interval in unix seconds (half-open); without a chat all chats together."""

    chat: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What happened since the last look."""

    places: frozenset[Place] = frozenset()
    """Those of the watched places that have new messages."""
    has_new_chats: bool = False


class Watch:
    """Looks again and again at one archive; it may be missing, come later, or be exchanged for another.

    A look may happen in any thread, one at a time.
    """

    def __init__(self, database: Database) -> None:
        """Watch `database`; nothing is opened yet."""
        self._database = database
        self._connection: sqlite3.Connection | None = None
        self._seen: tuple[tuple[int, int] | None, int] = (None, -1)
        """The file, and its version at the last look."""
        self._newest, self._newest_chat = 0, 0
        self._lock = Lock()

    def begin(self) -> None:
        """From now on is new what is stored after this moment."""
        with self._lock, suppress(StorageError, sqlite3.Error):
            self._newest = self._newest_chat = 0
            self._close()
            self._look(())

    def look(self, places: Collection[Place]) -> News:
        """What is new in `places` since the last look; nothing where there is no archive, or none that can be read now."""
        with self._lock:
            try:
                return self._look(places)
            except (StorageError, sqlite3.Error):
                self._close()
                return News()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._seen = (self._seen[0], -1)
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _look(self, places: Collection[Place]) -> News:
        identity, version = self._version()
        known, known_version = self._seen
        if (identity, version) == (known, known_version):
            return News()
        news = self._news(places, is_another=identity != known)
        self._seen = (identity, version)
        return news

    def _version(self) -> tuple[tuple[int, int], int]:
        try:
            found = self._database.path.stat()
        except OSError:
            raise StorageError("There is no archive.") from None
        identity = found.st_dev, found.st_ino
        if self._connection is None or identity != self._seen[0]:
            self._close()
            self._connection = open_connection(self._database.path)
        return identity, int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _news(self, places: Collection[Place], *, is_another: bool) -> News:
        """What came since; in another file everything may be different."""
        with self._database.reading() as connection:
            before, before_chat = self._newest, self._newest_chat
            newest = _highest(connection, "message_id", "messages")
            newest_chat = _highest(connection, "chat_id", "chats")
            if is_another or newest < before:
                news = News(frozenset(places), has_new_chats=True)
            else:
                has_new_chats = connection.execute("SELECT 1 FROM chats WHERE chat_id > ? LIMIT 1", (before_chat,)).fetchone()
                chats = {row[0] for row in connection.execute(_NEW, (before,))} if places and newest > before else set()
                told = frozenset(place for place in places if _is_new(connection, place, chats, before))
                news = News(told, has_new_chats is not None)
            self._newest, self._newest_chat = newest, newest_chat  # only now: a look that fails must not lose what was new
            return news


def _highest(connection: sqlite3.Connection, key: str, table: str) -> int:
    """Of the whole archive, what is hidden included: it is only compared with, and never told."""
    return int(connection.execute(f"SELECT coalesce(max({key}), 0) FROM main.{table}").fetchone()[0])


def _is_new(connection: sqlite3.Connection, place: Place, chats: Collection[int], before: int) -> bool:
    if place.chat is None:
        return bool(chats)
    if place.chat not in chats or place.start is None:
        return place.chat in chats
    return connection.execute(_NEW_WITHIN, (before, *place)).fetchone() is not None
