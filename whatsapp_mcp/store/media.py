"""The queue of downloads and the stored files: which file is due next, and what became of it.

A message enters the queue in the transaction that stores it (`Media.see`); a later link opens its entry again
(`Media.changed`). The order of `Media.take` is what may be lost: first the files of the last day, which people ask for; then
those between ten and thirty days old, which WhatsApp's servers and the gateway's links are about to forget; then those in
between, which can wait; then the older ones, which are probably gone. Within each the newest comes first.

A file that is under way is ``downloading``; only one process writes, so an entry that says so when a run begins was left by one
that was killed, and is ``pending``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.schema.media import FILL_QUEUE, GATEWAY, MEDIA_KINDS, TOO_LARGE_FOR_GATEWAY
from whatsapp_mcp.store import rows
from whatsapp_mcp.store.texts import Texts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from whatsapp_mcp.store.joins import Row

DAY: Final = 86_400
GOING: Final = (10 * DAY, 30 * DAY)
"""Seconds of age between which a file is about to vanish: links to uploaded files live 15 days (Green API docs, UploadFile),
and WhatsApp's own servers forget a file after two to four weeks."""
LATEST: Final = 4 * DAY
"""No entry waits longer than this: one that seems to was written by a clock that ran ahead."""

UNWANTED: Final = "MEDIA_KINDS does not name this kind."
_CARRIERS: Final = frozenset(MEDIA_KINDS)
_TELLING: Final = frozenset({"media_url", "message_type", "origins", "marker"})
"""Columns of a message whose change may mean that there is a file to fetch."""

_TAKE: Final = """
SELECT q.message_id, c.whatsapp_chat_id, m.whatsapp_message_id, q.media_url, m.message_type, m.media_mime_type,
    m.media_size, q.attempts, q.last_error
FROM media_download_queue AS q JOIN messages AS m USING (message_id) JOIN chats AS c USING (chat_id)
WHERE q.download_status = 'pending' AND (coalesce(q.next_attempt_at, 0) <= :now OR q.next_attempt_at > :now + :latest)
ORDER BY CASE
        WHEN m.sent_at > :now - :day THEN 0
        WHEN m.sent_at > :now - :young THEN 2
        WHEN m.sent_at > :now - :old THEN 1
        ELSE 3 END,
    q.attempts > 0, m.sent_at DESC, q.message_id DESC
LIMIT :count"""
_OPEN_AGAIN: Final = """
INSERT INTO media_download_queue (message_id, media_url, download_status, last_error) VALUES (?, ?, ?, ?)
ON CONFLICT (message_id) DO UPDATE SET media_url = excluded.media_url,
    download_status = CASE WHEN download_status = 'downloading' THEN download_status ELSE excluded.download_status END,
    attempts = 0, next_attempt_at = NULL, last_error = excluded.last_error
WHERE download_status IN ('pending', 'downloading', 'expired', 'failed') OR (download_status = 'skipped' AND size IS NULL)"""
_STORE_FILE: Final = """
INSERT INTO media_files (sha256, path, mime_type, size, stored_at, checked_at)
    SELECT value ->> 1, value ->> 2, value ->> 3, value ->> 4, :now, :now FROM json_each(:files) WHERE true
ON CONFLICT (sha256) DO UPDATE SET path = excluded.path, mime_type = excluded.mime_type, size = excluded.size,
    stored_at = coalesce(stored_at, excluded.stored_at), checked_at = excluded.checked_at"""
_GIVE_FILES: Final = """
UPDATE messages SET local_media_path = f.value ->> 2, media_sha256 = f.value ->> 1 FROM json_each(:files) AS f
WHERE message_id = f.value ->> 0"""
_CLOSE: Final = """
UPDATE media_download_queue SET download_status = 'stored', attempts = attempts + 1, next_attempt_at = NULL, last_error = NULL,
    size = f.value ->> 4 FROM json_each(:files) AS f WHERE message_id = f.value ->> 0"""


@dataclass(frozen=True, slots=True)
class Due:
    """A file to fetch now."""

    message_id: int
    chat: str
    """WhatsApp's chat id."""
    whatsapp_message_id: str
    url: str
    """Empty where only the gateway may still give a link."""
    kind: str
    mime_type: str
    """As the message says, which may be anything."""
    size: int | None
    """Bytes, where the message says it."""
    attempts: int
    last_error: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A content that is stored, to be written beside its message."""

    sha256: str
    path: str
    """Relative to the archive's folder."""
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Unseen:
    """A stored content that nobody has looked at; `path` is relative to the archive's folder."""

    sha256: str
    path: str
    mime_type: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a download that did not end in a file."""

    message_id: int
    status: str
    """``pending`` (tried again at `next_at`), ``expired``, ``failed`` or ``skipped``."""
    why: str
    attempts: int
    next_at: int | None = None
    size: int | None = None
    url: str | None = None
    """A newer link; None leaves the one that is there."""


class Media:
    """Writes the queue and the files, inside of the store's transactions."""

    def __init__(self, connection: sqlite3.Connection, texts: Texts) -> None:
        """Work on an open database."""
        self._connection = connection
        self._texts = texts

    def see(self, messages: Iterable[tuple[int, str, str | None, str | None, int]]) -> None:
        """Queue new messages: number, kind, link, marker and origins of each; those without a file are passed over."""
        entries = [_entry(number, url, marker) for number, kind, url, marker, origins in messages
                   if kind in _CARRIERS and (url or origins & GATEWAY)]  # fmt: skip
        if entries:
            columns = ("message_id", "media_url", "download_status", "last_error")
            rows.insert_many(self._connection, "media_download_queue", columns, entries)

    def changed(self, before: Row, after: Row, columns: Iterable[str]) -> None:
        """A message was joined with another sighting that changed these columns: a new link is a new chance."""
        touched = _TELLING.intersection(columns)
        if not touched or after["message_type"] not in _CARRIERS or after["local_media_path"]:
            return
        is_news = touched != {"origins"} or not (before["origins"] or 0) & GATEWAY
        if is_news and (after["media_url"] or (after["origins"] or 0) & GATEWAY):
            self._connection.execute(_OPEN_AGAIN, _entry(after["message_id"], after["media_url"], after["marker"]))

    def unite(self, lost: int, kept: int) -> None:
        """A message turned out to be another one: its place in the queue goes over, unless that one's is as good."""
        write = self._connection.execute
        write(
            "DELETE FROM media_download_queue WHERE message_id = ? AND EXISTS (SELECT 1 FROM media_download_queue"
            " WHERE message_id = ? AND download_status = 'stored')",
            (kept, lost),
        )
        write("UPDATE OR IGNORE media_download_queue SET message_id = ? WHERE message_id = ?", (kept, lost))
        write("DELETE FROM media_download_queue WHERE message_id = ?", (lost,))

    def fill(self) -> None:
        """Queue every message that has a file, or may have one, and is not there yet: after a migration or a rebuild."""
        self._connection.execute(FILL_QUEUE)

    def prepare(self, kinds: Sequence[str]) -> None:
        """Before a run: what a killed one left is free again, and only `kinds` are wanted."""
        write = self._connection.execute
        self.fill()
        self.release()
        marks = ", ".join("?" * len(kinds))
        of_kinds = f"(SELECT message_type FROM messages AS m WHERE m.message_id = media_download_queue.message_id) IN ({marks})"
        write(
            "UPDATE media_download_queue SET download_status = 'skipped', last_error = ?"
            f" WHERE download_status = 'pending' AND NOT {of_kinds}",
            (UNWANTED, *kinds),
        )
        write(
            "UPDATE media_download_queue SET download_status = 'pending', last_error = NULL"
            f" WHERE download_status = 'skipped' AND last_error = ? AND {of_kinds}",
            (UNWANTED, *kinds),
        )

    def reconsider(self, largest: int) -> None:
        """Files that were skipped for their size, and are no larger than this many bytes, are wanted after all."""
        self._connection.execute(
            "UPDATE media_download_queue SET download_status = 'pending', last_error = NULL, next_attempt_at = NULL"
            " WHERE download_status = 'skipped' AND size <= ?",
            (largest,),
        )

    def retry(self) -> None:
        """Files that were given up (``expired``, ``failed``) are tried once more from the beginning."""
        self._connection.execute(
            "UPDATE media_download_queue SET download_status = 'pending', attempts = 0, next_attempt_at = NULL"
            " WHERE download_status IN ('expired', 'failed')"
        )

    def lose(self, paths: Iterable[str]) -> None:
        """Files that are stored no more: their messages wait in the queue again."""
        write = self._connection.execute
        for path in paths:
            write(
                "UPDATE media_download_queue SET download_status = 'pending', attempts = 0, next_attempt_at = NULL,"
                " last_error = 'The stored file was lost.'"
                " WHERE message_id IN (SELECT message_id FROM messages WHERE local_media_path = ?)",
                (path,),
            )
            with self._texts.changing("m.local_media_path = ?", path):
                write("UPDATE messages SET local_media_path = NULL, media_sha256 = NULL WHERE local_media_path = ?", (path,))
            write("DELETE FROM media_files WHERE path = ?", (path,))

    def doubt(self, paths: Iterable[str]) -> None:
        """Files that are not what was stored: fetched again, and kept as they are until that is done; asked for once."""
        self._connection.executemany(
            "UPDATE media_download_queue SET download_status = 'pending', attempts = 0, next_attempt_at = NULL,"
            " last_error = 'The stored file is not what it was.' WHERE download_status = 'stored'"
            " AND message_id IN (SELECT message_id FROM messages WHERE local_media_path = ?)",
            [(path,) for path in paths],
        )

    def look_again(self, paths: Iterable[str]) -> None:
        """Stored contents whose thumbnail is gone are looked at anew."""
        self._connection.executemany("UPDATE media_files SET looked_at = NULL WHERE path = ?", [(path,) for path in paths])

    def take(self, now: int, count: int) -> list[Due]:
        """The next `count` files that are due at `now` (unix seconds); they are ``downloading`` from then on."""
        values = {"now": now, "count": count, "latest": LATEST, "day": DAY, "young": GOING[0], "old": GOING[1]}
        due = [
            Due(number, chat, message, url or "", kind, mime_type or "", size, attempts, error or "")
            for number, chat, message, url, kind, mime_type, size, attempts, error in self._connection.execute(_TAKE, values)
        ]
        self._connection.executemany(
            "UPDATE media_download_queue SET download_status = 'downloading' WHERE message_id = ?",
            [(one.message_id,) for one in due],
        )
        return due

    def release(self) -> None:
        """What is under way waits again, as if it had not been taken."""
        self._connection.execute(
            "UPDATE media_download_queue SET download_status = 'pending' WHERE download_status = 'downloading'"
        )

    def paths_of(self, contents: Iterable[str]) -> dict[str, str]:
        """Where contents are stored already, by their hashes; those that are not are left out."""
        query = "SELECT sha256, path FROM media_files WHERE sha256 IN (SELECT value FROM json_each(?)) AND path IS NOT NULL"
        return dict(self._connection.execute(query, (json.dumps(list(contents)),)).fetchall())

    def path_of(self, sha256: str) -> str | None:
        """Where a content is stored already, relative to the archive's folder."""
        found = self._connection.execute("SELECT path FROM media_files WHERE sha256 = ?", (sha256,)).fetchone()
        return None if found is None else found[0]

    def keep(self, file: StoredFile, now: int) -> None:
        """A content that no message carries is on the disk."""
        listed = json.dumps([(None, file.sha256, file.path, file.mime_type, file.size)])
        self._connection.execute(_STORE_FILE, {"files": listed, "now": now})

    def stored(self, message_id: int, file: StoredFile, now: int) -> None:
        """A message's file is on the disk."""
        self.stored_all([(message_id, file)], now)

    def stored_all(self, files: Iterable[tuple[int, StoredFile]], now: int) -> None:
        """The files of several messages are on the disk.

        Few statements, however many they are: Python's sqlite3 gives up the interpreter's lock at each, and gets it back late
        beside a busy event loop.
        """
        listed = json.dumps([(number, file.sha256, file.path, file.mime_type, file.size) for number, file in files])
        values = {"files": listed, "now": now}
        write = self._connection.execute
        write(_STORE_FILE, values)
        with self._texts.changing("m.message_id IN (SELECT value ->> 0 FROM json_each(?))", listed):
            write(_GIVE_FILES, values)
        write(_CLOSE, values)

    def unseen(self, count: int) -> list[Unseen]:
        """The next `count` stored contents that nobody has looked at, those stored last first."""
        query = (
            "SELECT sha256, path, coalesce(mime_type, '') FROM media_files WHERE looked_at IS NULL AND path IS NOT NULL"
            " ORDER BY stored_at DESC, sha256 LIMIT ?"
        )
        return [Unseen(*row) for row in self._connection.execute(query, (count,))]

    def describe(
        self, sha256: str, facts: tuple[int | None, int | None, float | None], thumbnail: str | None, now: int
    ) -> None:
        """What looking at a stored content told: width and height in pixels, seconds, and where its thumbnail stands."""
        self._connection.execute(
            "UPDATE media_files SET width = ?, height = ?, duration = ?, thumbnail_path = ?, looked_at = ? WHERE sha256 = ?",
            (*facts, thumbnail, now, sha256),
        )

    def note(self, verdict: Verdict) -> None:
        """A message's file could not be had, or not yet."""
        self._connection.execute(
            "UPDATE media_download_queue SET download_status = ?, last_error = ?, attempts = ?, next_attempt_at = ?,"
            " size = coalesce(?, size), media_url = coalesce(?, media_url) WHERE message_id = ?",
            (verdict.status, verdict.why, verdict.attempts, verdict.next_at, verdict.size, verdict.url, verdict.message_id),
        )

    def bytes_stored(self) -> int:
        """The size of all stored files."""
        return int(self._connection.execute("SELECT coalesce(sum(size), 0) FROM media_files").fetchone()[0])

    def count(self, status: str) -> int:
        """How many files of the queue are in that state."""
        query = "SELECT count(*) FROM media_download_queue WHERE download_status = ?"
        return int(self._connection.execute(query, (status,)).fetchone()[0])

    def due(self, now: int) -> int:
        """How many files could be fetched at `now`."""
        query = (
            "SELECT count(*) FROM media_download_queue WHERE download_status = 'pending'"
            " AND (coalesce(next_attempt_at, 0) <= :now OR next_attempt_at > :now + :latest)"
        )
        return int(self._connection.execute(query, {"now": now, "latest": LATEST}).fetchone()[0])


def _entry(message_id: int, url: str | None, marker: str | None) -> tuple[Any, ...]:
    if not url and marker == "SWE002":
        return message_id, None, "skipped", TOO_LARGE_FOR_GATEWAY
    return message_id, url, "pending", None


def stored_files(connection: sqlite3.Connection) -> Iterator[tuple[str, str, int | None, str | None]]:
    """Every stored content: its hash, its path and its thumbnail's, relative to the archive's folder, and its size."""
    query = "SELECT sha256, path, size, thumbnail_path FROM media_files WHERE path IS NOT NULL ORDER BY path"
    yield from connection.execute(query)


def named_paths(connection: sqlite3.Connection) -> set[str]:
    """Every path that a message or a stored content names."""
    query = (
        "SELECT local_media_path FROM messages WHERE local_media_path IS NOT NULL"
        " UNION SELECT path FROM media_files WHERE path IS NOT NULL"
        " UNION SELECT thumbnail_path FROM media_files WHERE thumbnail_path IS NOT NULL"
    )
    return {path for (path,) in connection.execute(query)}


def keep_for_rebuild(connection: sqlite3.Connection) -> None:
    """Before the messages go: what cannot be made anew from the payloads, and the queue as it stands."""
    connection.execute(
        "CREATE TEMP TABLE kept_media AS SELECT message_id, local_media_path, media_sha256 FROM messages"
        " WHERE local_media_path IS NOT NULL OR media_sha256 IS NOT NULL"
    )
    connection.execute("CREATE TEMP TABLE kept_queue AS SELECT * FROM media_download_queue")
    connection.execute("DELETE FROM media_download_queue")


def give_back(connection: sqlite3.Connection) -> None:
    """After a rebuild: the files to their messages; what had become of a download holds, unless its link is another now."""
    write = connection.execute
    with Texts(connection).changing("m.media_sha256 IS NOT NULL"):
        write(
            "UPDATE messages SET (local_media_path, media_sha256) = (SELECT k.local_media_path, k.media_sha256"
            " FROM kept_media AS k WHERE k.message_id = messages.message_id)"
            " WHERE message_id IN (SELECT message_id FROM kept_media)"
        )
    write(
        "INSERT OR REPLACE INTO media_download_queue SELECT k.* FROM kept_queue AS k JOIN messages AS m USING (message_id)"
        " WHERE k.download_status = 'stored' OR k.media_url IS m.media_url OR k.attempts > 0"
    )
    write("DROP TABLE kept_media")
    write("DROP TABLE kept_queue")
    write(FILL_QUEUE)
