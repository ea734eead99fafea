"""Rows of ``messages`` as views: a page of any size takes three statements, one each for rows, quotes and reactions.

Pages with edited messages, calls or polls take one more for each of these (`details`).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.errors import Ambiguous, NotFound, UsageError
from whatsapp_mcp.queries.details import Details, details
from whatsapp_mcp.queries.noting import note_messages
from whatsapp_mcp.queries.people import CHAT_NAME, CONTACT_NAME, named
from whatsapp_mcp.views import Location, MediaView, MessageView, Party, Quoted, ReactionView, TextView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

MEDIA_KINDS: Final = ("image", "video", "audio", "voice", "document", "sticker")
YOU: Final = "You"
"""The owner's name where no other is known."""

_SELECT: Final = f"""
SELECT m.message_id, m.whatsapp_message_id, m.chat_id, ch.whatsapp_chat_id, {CHAT_NAME.replace("c.", "cc.")},
    m.sender_contact_id, c.whatsapp_id, {CONTACT_NAME}, m.from_me, m.sent_at, m.message_type, m.content,
    m.quoted_message_id, m.quoted_whatsapp_message_id, m.edited_at, m.deleted_at, m.is_forwarded, m.delivery_status,
    m.media_filename, m.media_mime_type, m.media_size, m.local_media_path, m.media_url,
    m.latitude, m.longitude, m.location_name, m.marker, m.shared_contact, c.name,
    f.mime_type, f.size, f.width, f.height, f.duration, f.thumbnail_path, m.media_sha256, q.download_status,
    CASE WHEN m.message_type = 'voice' AND m.media_sha256 IS NOT NULL THEN
        (SELECT nullif(t.text, '') FROM media_texts AS t WHERE t.sha256 = m.media_sha256 AND t.source = 'voice') END
"""
_JOINS: Final = (
    "JOIN chats AS ch ON ch.chat_id = m.chat_id LEFT JOIN contacts AS cc ON cc.contact_id = ch.contact_id"
    " LEFT JOIN contacts AS c ON c.contact_id = m.sender_contact_id"
    " LEFT JOIN media_files AS f ON f.sha256 = m.media_sha256"
    " LEFT JOIN media_download_queue AS q ON q.message_id = m.message_id"
)
_HANDLE: Final = re.compile(r"m?([0-9]{1,18})", re.IGNORECASE)
_EXCERPT: Final = 80
_NOWHERE: Final = (None, None, None)
_GIVEN_UP: Final = frozenset({"expired", "failed", "skipped"})

Row = tuple[Any, ...]


def select(source: str, order: str = "") -> str:
    """SQL for message rows from `source`, which must name the messages ``m``; `order` follows the joins."""
    return f"{_SELECT} FROM {source} {_JOINS} {order}"


def views(connection: sqlite3.Connection, rows: Sequence[Row]) -> list[MessageView]:
    """The views of `rows` as `select` gives them, in the same order."""
    note_messages((row[0], row[2]) for row in rows)
    quotes = _quotes(connection, {row[12] for row in rows if row[12] is not None})
    reactions = _reactions(connection, [(row[2], row[1]) for row in rows])
    more = details(
        connection,
        [(row[2], row[1]) for row in rows if row[14] is not None],
        [(row[2], row[1]) for row in rows if row[10] == "call"],
        [(row[2], row[1]) for row in rows if row[10] == "poll"],
    )
    return [_view(row, quotes, reactions.get((row[2], row[1]), ()), more) for row in rows]


def by_ids(connection: sqlite3.Connection, ids: Sequence[int]) -> list[MessageView]:
    """The messages with these ids, in the order of `ids`; what does not exist is left out."""
    query = select("json_each(?) AS wanted JOIN messages AS m ON m.message_id = wanted.value", "ORDER BY wanted.key")
    return views(connection, connection.execute(query, (json.dumps(list(ids)),)).fetchall())


def _view(row: Row, quotes: dict[int, Quoted], reactions: Iterable[ReactionView], more: Details) -> MessageView:
    from_me = bool(row[8])
    versions = more.versions.get((row[2], row[1]), ())
    return MessageView(
        message_id=row[0],
        whatsapp_message_id=row[1],
        chat=Party(row[2], row[3], row[4]),
        sender=_sender(row, from_me=from_me),
        from_me=from_me,
        sent_at=row[9],
        kind=row[10],
        content=row[11],
        quoted=quotes.get(row[12]) or (Quoted(None, row[13], "", "") if row[13] else None),
        edited_at=row[14],
        deleted_at=row[15],
        forwarded=bool(row[16]),
        delivery_status=row[17],
        reactions=tuple(reactions),
        media=_media(row),
        location=Location(*row[23:26]) if row[23:26] != _NOWHERE else None,
        marker=_open_marker(row),
        versions=tuple(versions) if len(versions) > 1 else (),
        call=more.calls.get((row[2], row[1])),
        votes=tuple(more.votes.get((row[2], row[1]), ())),
    )


def _open_marker(row: Row) -> str | None:
    """What the gateway could not give, until it could: the text came later, or the file is stored."""
    is_about_file = row[26] == "SWE002"
    has_come = (row[21] or row[22]) if is_about_file else row[11]
    return None if has_come else row[26]


def _sender(row: Row, *, from_me: bool) -> Party | None:
    if row[5] is None:
        return None
    return Party(row[5], row[6], YOU if from_me and not row[28] else row[7])


def _media(row: Row) -> MediaView | None:
    filename, claimed, size, path, url = row[18:23]
    if row[10] not in MEDIA_KINDS and not (filename or path or url):
        return None
    found_type, found_size, width, height, duration, thumbnail, sha256, status, transcript = row[29:38]
    return MediaView(
        filename, found_type or claimed, found_size or size, path, _problem(row, status), width, height, duration, thumbnail,
        claimed if found_type and claimed and _bare(claimed) != found_type else None, sha256, transcript,
    )  # fmt: skip


def _problem(row: Row, status: str | None) -> str | None:
    """Why there is no file and will be none; one that waits in the queue has no problem yet."""
    path, url = row[21:23]
    if path is not None:
        return None
    if status in _GIVEN_UP and (status != "skipped" or row[26] != "SWE002"):
        return status
    return None if url else "too large" if row[26] == "SWE002" else "no link"


def _bare(mime_type: str) -> str:
    """``audio/ogg; codecs=opus`` without what follows."""
    return mime_type.partition(";")[0].strip().lower()


def text_of(connection: sqlite3.Connection, sha256: str) -> TextView | None:
    """The text that was read out of a content; None where nobody read it, or there is none."""
    query = "SELECT source, text, language FROM media_texts WHERE sha256 = ? AND text <> ''"
    found = connection.execute(query, (sha256,)).fetchone()
    return None if found is None else TextView(*found)


def content_of(connection: sqlite3.Connection, message: int) -> str:
    """The text of a message; empty where there is no such message."""
    found = connection.execute("SELECT content FROM messages WHERE message_id = ?", (message,)).fetchone()
    return str(found[0]) if found else ""


def _quotes(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Quoted]:
    query = (
        f"SELECT m.message_id, m.whatsapp_message_id, m.from_me, c.name, {CONTACT_NAME}, m.content, m.message_type"
        " FROM json_each(?) AS wanted JOIN messages AS m ON m.message_id = wanted.value"
        " LEFT JOIN contacts AS c ON c.contact_id = m.sender_contact_id"
    )
    wanted = json.dumps(list(ids))
    if wanted == "[]":
        return {}
    return {row[0]: _quoted(row) for row in connection.execute(query, (wanted,))}


def _quoted(row: Row) -> Quoted:
    message, whatsapp_id, from_me, name, shown, text, kind = row
    sender = YOU if from_me and not name else shown or ""
    return Quoted(message, whatsapp_id, sender, excerpt(text) or f"[{kind}]", bool(from_me))


def excerpt(text: str, length: int = _EXCERPT) -> str:
    """The beginning of `text` on one line, ``…`` where it goes on."""
    line = " ".join(text[: 2 * length].split())
    return line if len(line) <= length and len(text) <= 2 * length else line[:length].rstrip() + "…"


def _reactions(connection: sqlite3.Connection, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], list[ReactionView]]:
    query = (
        f"SELECT r.chat_id, r.whatsapp_message_id, c.contact_id, c.whatsapp_id, {CONTACT_NAME}, r.emoji, r.reacted_at"
        " FROM json_each(?) AS wanted CROSS JOIN reactions AS r ON r.chat_id = json_extract(wanted.value, '$[0]')"
        " AND r.whatsapp_message_id = json_extract(wanted.value, '$[1]')"
        " JOIN contacts AS c ON c.contact_id = r.sender_contact_id ORDER BY r.reacted_at, r.emoji"
    )
    latest: dict[tuple[int, str], dict[int, ReactionView]] = {}
    for chat, message, *who, emoji, at in connection.execute(query, (json.dumps(keys),)):
        latest.setdefault((chat, message), {})[who[0]] = ReactionView(Party(*who), emoji, at)
    return {key: [view for view in by_sender.values() if view.emoji] for key, by_sender in latest.items()}


def is_handle(text: str) -> bool:
    """Whether `text` is spelled like the handle of a message: ``m123`` or ``123``."""
    return _HANDLE.fullmatch(text) is not None


def find(connection: sqlite3.Connection, handle: int | str) -> tuple[int, int, int]:
    """The message id, chat id and time of the message that `handle` names.

    A handle is ``m123``, ``123`` or WhatsApp's own message id. Raises `NotFound`, or `Ambiguous` when an id of WhatsApp
    stands in several chats.
    """
    text = str(handle).strip()
    if not text:
        raise UsageError("No message is named.", advice="Give its handle, such as m123.")
    matched = _HANDLE.fullmatch(text)
    query = "SELECT message_id, chat_id, sent_at FROM messages WHERE message_id = ?"
    found = connection.execute(query, (int(matched[1]),)).fetchall() if matched else []
    found = found or _by_whatsapp_id(connection, text)
    if not found:
        raise NotFound(f"There is no message {named(text)}.", advice="Handles such as m123 stand at each message in a list.")
    if len(found) > 1:
        choice = "; ".join(f"{number}) m{row[0]} in chat {row[1]}" for number, row in enumerate(found, 1))
        raise Ambiguous(
            f"{named(text)} stands in {len(found)} chats: {choice}.", advice=f"Name one by its handle, e.g. m{found[0][0]}."
        )
    return int(found[0][0]), int(found[0][1]), int(found[0][2])


BY_WHATSAPP_ID: Final = (
    "SELECT message_id, chat_id, sent_at FROM chats CROSS JOIN messages USING (chat_id) WHERE whatsapp_message_id = ?"
    " ORDER BY message_id LIMIT 9"
)
"""One look-up for each chat: the unique index begins with the chat, and there are hundreds of those, not millions."""


def _by_whatsapp_id(connection: sqlite3.Connection, text: str) -> list[Row]:
    return connection.execute(BY_WHATSAPP_ID, (text.encode("utf-8", "replace").decode(),)).fetchall()


def streamed(connection: sqlite3.Connection, query: str, values: Sequence[object], batch: int = 500) -> Iterator[MessageView]:
    """The views of a `select` query one after the other, a batch at a time in memory."""
    cursor = connection.execute(query, values)
    while rows := cursor.fetchmany(batch):
        yield from views(connection, rows)
