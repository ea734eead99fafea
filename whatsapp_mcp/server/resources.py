"""What a client may open by address: the state, the tables, chats, months of chats, contacts, messages and files."""

from __future__ import annotations

import json
import mimetypes
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from whatsapp_mcp.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.strict import StrictServer

TEXT_BYTES: Final = 700_000
"""Above this a client may refuse the whole answer (Claude Desktop: 1 MB); the path is told instead."""

ANSWER_BYTES: Final = 950_000
"""The same for a text as it stands in an answer."""

_MONTH: Final = re.compile("[0-9]{4}-[0-9]{2}")
_EXPORT_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}")


class Address(NamedTuple):
    """A resource as it is listed."""

    uri: str
    title: str
    description: str
    mime_type: str = "text/plain"


ADDRESSES: Final = {
    "status": Address(
        "whatsapp://status", "Archive status", "Counts, coverage, freshness and the last syncs.", "application/json"
    ),
    "schema": Address(
        "whatsapp://schema", "Tables", "The tables and columns of the SQLite database, for queries of one's own."
    ),
    "chats": Address("whatsapp://chats", "Chats", "The most recently active chats with id, kind, messages and last activity."),
    "chat": Address("whatsapp://chats/{chat_id}", "Chat", "One chat: what is known of it, and its newest messages."),
    "month": Address(
        "whatsapp://chats/{chat_id}/messages/{month}", "Month of a chat", "A chat's messages of a month like 2025-08."
    ),
    "contact": Address(
        "whatsapp://contacts/{contact_id}", "Contact", "One person: names, number, private chat and shared groups."
    ),
    "message": Address("whatsapp://messages/{message_id}", "Message", "One message with all its facts.", "application/json"),
    "media": Address(
        "whatsapp://media/{message_id}", "File of a message", "The stored file itself.", "application/octet-stream"
    ),
    "export": Address("whatsapp://exports/{name}", "Export", "A file that export_chat wrote."),
}
"""Every resource by the method that reads it."""


class Resources:
    """Reads what the addresses name; everything comes from the local archive."""

    def __init__(self, archive: Archive) -> None:
        """Keep the archive; it is opened with the first address."""
        self._archive = archive

    def register(self, server: StrictServer) -> None:
        """Tell `server` of every address."""
        for name, address in ADDRESSES.items():
            read: Callable[..., Any] = getattr(self, name)
            server.resource(
                address.uri, name=name, title=address.title, description=address.description, mime_type=address.mime_type
            )(read)
        server.type_of = self.type_of

    def status(self) -> str:
        """Return the archive's state as JSON."""
        from whatsapp_mcp.server.answers_json import compact_json
        from whatsapp_mcp.server.numbers import archive_status, status_object

        now = int(self._archive.clock.now())
        return compact_json(status_object(archive_status(self._archive), self._archive.settings.timezone, now))

    def schema(self) -> str:
        """Return the tables that people may query."""
        return str(self._archive.queries.schema_text())

    def chats(self) -> str:
        """Return the chats, one a line."""
        from whatsapp_mcp.server.lists import chats_answer

        return chats_answer(self._archive, query=None, kind=None, limit=500, cursor=None)

    def chat(self, chat_id: str) -> str:
        """Return a chat's newest messages under its header."""
        from whatsapp_mcp.server.conversations import Reading, chat_answer

        return chat_answer(self._archive, _number(chat_id), Reading())

    def month(self, chat_id: str, month: str) -> str:
        """Return a chat's messages of a month; where they are too many, the newest with the cursor to the rest."""
        from whatsapp_mcp.server.conversations import Reading, chat_answer

        if not _MONTH.fullmatch(month):
            raise ResourceNotFoundError("A month is written like 2025-08.")
        return chat_answer(self._archive, _number(chat_id), Reading(after=month, before=month, limit=500))

    def contact(self, contact_id: str) -> str:
        """Return what is known of a person."""
        from whatsapp_mcp.server.lists import contact_line

        return contact_line(self._archive.queries.get_contact(_number(contact_id)))

    def message(self, message_id: str) -> str:
        """Return a message as JSON, whole, between its marks."""
        from whatsapp_mcp.export.objects import message_object
        from whatsapp_mcp.server.answers_json import compact_json, json_document
        from whatsapp_mcp.server.fencing import cleaned

        zone = self._archive.settings.timezone
        message = self._archive.queries.get_message(_number(message_id))
        row = compact_json(cleaned(message_object(message, zone)))
        return json_document({"zone": zone.key}, [row], {"next_cursor": None})

    def media(self, message_id: str) -> bytes:
        """Return the stored file of a message."""
        from whatsapp_mcp.server.pictures import stored_file

        path = stored_file(self._archive, self._archive.queries.get_message(_number(message_id)))
        if path is None:
            raise ResourceNotFoundError(f"No file is stored for m{message_id}; get_media says why.")
        try:
            return _checked(path).read_bytes()
        except OSError as error:
            raise ResourceError(f"The file cannot be read: {error.strerror}. It is at {path}.") from error

    def export(self, name: str) -> str | bytes:
        """Return a file that ``export_chat`` wrote."""
        folder = self._archive.home / "exports"
        path = folder / name
        if not _EXPORT_NAME.fullmatch(name) or not path.is_file():
            raise ResourceNotFoundError(f"There is no such export; export_chat writes one. The folder is {folder}.")
        data = _checked(path).read_bytes()
        return data if name.endswith(".zip") else _not_too_long(data.decode("utf-8", "replace"), path)

    def type_of(self, uri: str) -> str | None:
        """Return the MIME type of an address that only its file knows."""
        kind, _, name = uri.removeprefix("whatsapp://").partition("/")
        if kind == "exports":
            return mimetypes.guess_type(name)[0]
        if kind == "media":
            from whatsapp_mcp.server.pictures import stored_file, type_of_file

            path = stored_file(self._archive, self._archive.queries.get_message(_number(name)))
            return None if path is None else type_of_file(path)
        return None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound("Addresses take the archive's own ids, which are numbers; list_chats and find_contact show them.")
    return int(text)


def _not_too_long(text: str, path: Path) -> str:
    """Refuse what is too long once quotes and line feeds are written as two characters each, as an answer needs them."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > ANSWER_BYTES:
        raise ResourceError(f"The file is too large to be shown here; it is at {path}.")
    return text


def _checked(path: Path) -> Path:
    if path.stat().st_size > TEXT_BYTES:
        raise ResourceError(f"The file is too large to be shown here; it is at {path}.")
    return path
