"""The words of a message as the search index holds them, and the texts that were read out of files.

A text belongs to a content, not to a message: a document that was sent five times is read once and found five times. Its
words stand in the index beside the file's name, as long as a message carries that content. The index keeps no text, and a row
of it can only be taken out with the very words that went in; so whatever moves a content or its text does it inside of
`Texts.changing`.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.search.folding import fold

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

WAITING: Final = """
SELECT f.sha256, f.path, f.mime_type, f.size, f.duration, max(m.sent_at) AS sent, max(m.message_type = 'voice')
FROM media_files AS f JOIN messages AS m ON m.media_sha256 = f.sha256
WHERE f.path IS NOT NULL AND NOT EXISTS (SELECT 1 FROM media_texts AS t WHERE t.sha256 = f.sha256 AND t.reader >= ?)
GROUP BY f.sha256 ORDER BY sent DESC, f.sha256"""
_WITH_TEXT: Final = """
SELECT m.message_id, m.content, m.media_filename, m.location_name, m.shared_contact, t.text FROM messages AS m
    JOIN media_texts AS t ON t.sha256 = m.media_sha256 WHERE t.text <> '' AND """
_WITHOUT_TEXT: Final = """
SELECT m.message_id, m.content, m.media_filename, m.location_name, m.shared_contact, NULL FROM messages AS m
    WHERE m.message_id = ?"""
_KEEP: Final = """
INSERT INTO media_texts (sha256, source, language, text, made_by, reader, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, language = excluded.language, text = excluded.text,
    made_by = excluded.made_by, reader = excluded.reader, made_at = excluded.made_at"""
_TRIED: Final = """
INSERT INTO media_texts (sha256, source, language, text, made_by, reader, made_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sha256) DO UPDATE SET reader = max(reader, excluded.reader)"""

VOICE: Final = "voice"
DOCUMENT: Final = "document"


@dataclass(frozen=True, slots=True)
class MediaText:
    """What was read out of a file; an empty text says that there is nothing to read, so it is not tried again."""

    sha256: str
    source: str
    """`VOICE` or `DOCUMENT`."""
    text: str
    language: str | None = None
    """ISO 639-1, where whoever read it could tell."""
    made_by: str = ""
    """The model or the way in which it was read."""
    is_broken: bool = False
    """The reader could not do it, today: what an earlier one has read of the same content stays."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A stored content of which nobody has tried to read a text."""

    sha256: str
    path: str
    """Relative to the archive's folder."""
    mime_type: str
    size: int
    duration: float | None
    is_voice: bool


class Texts:
    """Writes texts of files, inside of the store's transactions."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on an open database."""
        self._connection = connection

    def of(self, sha256: str | None) -> str | None:
        """The text of a content, or None."""
        if not sha256:
            return None
        found = self._connection.execute("SELECT text FROM media_texts WHERE sha256 = ?", (sha256,)).fetchone()
        return None if found is None else found[0]

    def keep(self, text: MediaText, now: int, reader: int) -> None:
        """Store a text, read by a `reader` of that number, and make the messages that carry its content findable by it."""
        with self.changing("m.media_sha256 = ?", text.sha256):
            said = (text.sha256, text.source, text.language, text.text, text.made_by, reader, now)
            self._connection.execute(_TRIED if text.is_broken else _KEEP, said)

    @contextmanager
    def changing(self, where: str, *values: object) -> Iterator[None]:
        """While the block gives or takes contents, or their texts, keep the index of the messages `where` as it must be.

        `where` speaks of messages as ``m`` and must name the same ones before and after, or those that have a text by then.
        """
        before = self._with_text(where, values)
        yield
        after = self._with_text(where, values)
        for message_id in before.keys() | after.keys():
            if before.get(message_id) != after.get(message_id):
                bare = self._connection.execute(_WITHOUT_TEXT, (message_id,)).fetchone()
                self._take_out(before.get(message_id) or bare)
                self._put_in(after.get(message_id) or bare)

    def _with_text(self, where: str, values: tuple[object, ...]) -> dict[int, tuple[Any, ...]]:
        return {row[0]: row for row in self._connection.execute(_WITH_TEXT + where, values)}

    def _take_out(self, row: tuple[Any, ...]) -> None:
        found = words(*row[1:])
        if any(found):
            self._connection.execute(
                "INSERT INTO message_index (message_index, rowid, content, attachment) VALUES ('delete', ?, ?, ?)",
                (row[0], *found),
            )

    def _put_in(self, row: tuple[Any, ...]) -> None:
        found = words(*row[1:])
        if any(found):
            self._connection.execute(
                "INSERT INTO message_index (rowid, content, attachment) VALUES (?, ?, ?)", (row[0], *found)
            )


def words(content: str, *attachment: str | None) -> tuple[str, str]:
    """The two columns of the index: what was written, and what hangs on it (names, places, texts of files)."""
    said = " ".join(text for text in attachment if text)
    return fold(content) if content else "", fold(said) if said else ""


def unread(connection: sqlite3.Connection, reader: int) -> list[Unread]:
    """The stored contents that no reader of at least that number has tried, those sent last first."""
    return [
        Unread(row[0], row[1], row[2] or "", row[3] or 0, row[4], bool(row[6]))
        for row in connection.execute(WAITING, (reader,))
    ]


def adopt(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Give the messages of `target` the contents and texts that `source` has for them: a replay knows only payloads."""
    texts = Texts(target)
    query = (
        "SELECT c.whatsapp_chat_id, m.whatsapp_message_id, t.sha256, t.source, t.text FROM messages AS m"
        " JOIN media_texts AS t ON t.sha256 = m.media_sha256 JOIN chats AS c USING (chat_id) WHERE t.text <> ''"
    )
    for chat, message, sha256, origin, text in source.execute(query):
        found = target.execute(
            "SELECT message_id FROM messages JOIN chats USING (chat_id) WHERE whatsapp_chat_id = ? AND whatsapp_message_id = ?",
            (chat, message),
        ).fetchone()
        if found is not None:
            with texts.changing("m.message_id = ?", found[0]):
                target.execute("INSERT OR IGNORE INTO media_texts (sha256, source, text, reader, made_at)"
                               " VALUES (?, ?, ?, 0, 0)", (sha256, origin, text))  # fmt: skip
                target.execute("UPDATE messages SET media_sha256 = ? WHERE message_id = ?", (sha256, found[0]))
