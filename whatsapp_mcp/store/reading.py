"""The stored rungs as `verify` reads them: a connection and its payloads, whoever opened it and for whatever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from whatsapp_mcp.schema import lenient_text
from whatsapp_mcp.store.payloads import Payloads

if TYPE_CHECKING:
    import sqlite3


class Readable(Protocol):
    """What can be walked rung by rung: a `Store`, or a `Reader`."""

    connection: sqlite3.Connection
    payloads: Payloads


class Reader:
    """An archive that somebody else may be writing to; the connection is the caller's, with its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read through an open connection."""
        connection.text_factory = lenient_text
        self.connection = connection
        self.payloads = Payloads(connection)


def marked_chats(connection: sqlite3.Connection) -> list[str]:
    """The chats whose progress is kept, as WhatsApp's ids: some of them no payload ever names."""
    return [
        chat for (chat,) in connection.execute("SELECT whatsapp_chat_id FROM sync_status JOIN chats USING (chat_id) ORDER BY 1")
    ]
