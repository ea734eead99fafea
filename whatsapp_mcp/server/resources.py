"""What a client may open by address: the state, the tables, chats, months of chats, contacts, messages and files."""

from __future__ import annotations

import json
import mimetypes
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError

from whatsapp_mcp.errors import NotFound
from whatsapp_mcp.server.fencing import clean, cleaned, fence

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.server.strict import StrictServer

TEXT_BYTES: Final = 700_000
"""Above this a client may refuse the whole answer (Claude Desktop: 1 MB); the path is told instead."""

ANSWER_BYTES: Final = 950_000
"""The same for a text as it stands in an answer."""

PAGE_TOKENS: Final = 19_800
"""Of the 20,000 that an answer may have; the rest is for the header and the address of what follows."""

CHATS_ON_PAGE: Final = 200
"""At up to 300 characters for a chat they stay within that as well."""

_MONTH: Final = re.compile("[0-9]{4}-[0-9]{2}")
_EXPORT_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}")
_EXPORTED_CHAT: Final = re.compile(r"-([0-9]{1,18})(?:_[A-Za-z0-9]+_[A-Za-z0-9]+)?\.[a-z]+\Z")


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
    "chats": Address(
        "whatsapp://chats",
        "Chats",
        "The most recently active chats with id, kind, messages and last activity; the last line leads to the next page.",
    ),
    "chats_after": Address(
        "whatsapp://chats/after/{chat_id}", "Chats, next page", "The chats that were active less recently than this one."
    ),
    "chat": Address(
        "whatsapp://chats/{chat_id}",
        "Chat",
        "One chat: what is known of it, its newest messages, and the address of what is older. May be subscribed to.",
    ),
    "month": Address(
        "whatsapp://chats/{chat_id}/messages/{month}",
        "Month of a chat",
        "The newest messages of a month like 2025-08, at most 20,000 tokens; the last line leads to what is older.",
    ),
    "month_before": Address(
        "whatsapp://chats/{chat_id}/messages/{month}/before/{message_id}",
        "Month of a chat, next page",
        "What was written in that month before this message.",
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
        """Return the chats, one a line: the first page."""
        return self._chats(None)

    def chats_after(self, chat_id: str) -> str:
        """Return the next page of them."""
        return self._chats(self._archive.queries.after_chat(_number(chat_id)))

    def _chats(self, cursor: str | None) -> str:
        from whatsapp_mcp.server.lists import chats_answer

        return chats_answer(
            self._archive, query=None, kind=None, limit=CHATS_ON_PAGE, cursor=cursor, address="whatsapp://chats/after"
        )

    def chat(self, chat_id: str) -> str:
        """Return a chat's newest messages under its header."""
        from whatsapp_mcp.server.conversations import Reading, chat_answer

        number = _number(chat_id)
        return chat_answer(self._archive, number, Reading(tokens=PAGE_TOKENS, address=_months_of(number)))

    def month(self, chat_id: str, month: str) -> str:
        """Return the newest of a chat's messages of a month, and where to read on."""
        return self._month(_number(chat_id), _checked_month(month), None)

    def month_before(self, chat_id: str, month: str, message_id: str) -> str:
        """Return those before a message."""
        chat, month = _number(chat_id), _checked_month(month)
        return self._month(chat, month, self._archive.queries.before_message(chat, month, _number(message_id)))

    def _month(self, chat: int, month: str, cursor: str | None) -> str:
        from whatsapp_mcp.server.conversations import Reading, chat_answer

        address = _months_of(chat)
        reading = Reading(after=month, before=month, limit=500, tokens=PAGE_TOKENS, cursor=cursor, address=address)
        text = chat_answer(self._archive, chat, reading)
        if any(line.startswith(f"Older: {address}/") for line in text.rpartition(">>\n")[2].split("\n")):
            return text
        earlier = next((each for each in self._archive.queries.months(chat) if each < month), None)
        return text if earlier is None else f"{text}\nEarlier: {address}/{earlier}"

    def contact(self, contact_id: str) -> str:
        """Return what is known of a person."""
        from whatsapp_mcp.server.lists import contact_line

        return contact_line(self._archive.queries.get_contact(_number(contact_id)))

    def message(self, message_id: str) -> str:
        """Return a message as JSON, whole, between its marks."""
        from whatsapp_mcp.export.objects import message_object
        from whatsapp_mcp.server.answers_json import compact_json, json_document

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
        if not _EXPORT_NAME.fullmatch(name) or not self._may_be_seen(name) or not path.is_file():
            raise ResourceNotFoundError(f"There is no such export; export_chat writes one. The folder is {folder}.")
        data = _checked(path).read_bytes()
        if name.endswith(".zip"):
            return data
        text = data.decode("utf-8", "replace")
        return _not_too_long(_cleaned_json(text) if name.endswith(".json") else fence(clean(text)), path)

    def _may_be_seen(self, name: str) -> bool:
        """Whether an export is of a chat that is not hidden; its name holds the chat's id."""
        if self._archive.sight is None:
            return True
        found = _EXPORTED_CHAT.search(name)
        try:
            return found is not None and bool(self._archive.queries.get_chat(int(found[1])))
        except NotFound:
            return False

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


def _months_of(chat: int) -> str:
    return f"whatsapp://chats/{chat}/messages"


def _checked_month(text: str) -> str:
    if not _MONTH.fullmatch(text):
        raise ResourceNotFoundError("A month is written like 2025-08.")
    return text


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise NotFound("Addresses take the archive's own ids, which are numbers; list_chats and find_contact show them.")
    return int(text)


def _cleaned_json(text: str) -> str:
    """An export as JSON with every text in it made safe to show; what is no object any more is fenced."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return json.dumps(cleaned(found), ensure_ascii=False, indent=1) if isinstance(found, dict) else fence(clean(text))


def _not_too_long(text: str, path: Path) -> str:
    """Refuse what is too long once quotes and line feeds are written as two characters each, as an answer needs them."""
    if len(json.dumps(text, ensure_ascii=False).encode()) > ANSWER_BYTES:
        raise ResourceError(f"The file is too large to be shown here; it is at {path}.")
    return text


def _checked(path: Path) -> Path:
    if path.stat().st_size > TEXT_BYTES:
        raise ResourceError(f"The file is too large to be shown here; it is at {path}.")
    return path
