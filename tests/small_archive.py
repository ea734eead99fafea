"""A real database filled row by row, for tests of the readers; people and numbers are invented."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import sqlite_utils

from whatsapp_mcp import schema
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.search.folding import fold

if TYPE_CHECKING:
    from pathlib import Path

ZONE = ZoneInfo("Asia/Jerusalem")
NOW = datetime(2025, 9, 20, 12, 0, tzinfo=ZONE)


class FixedClock:
    """It is always `NOW`."""

    def now(self) -> float:
        return NOW.timestamp()

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(0 * seconds)

    def random(self) -> float:
        return 0.5


def at(text: str) -> int:
    """Unix seconds of a local time such as ``2025-08-14 10:30``."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


class SmallArchive:
    """Writes rows as the store would leave them; `queries` reads them back."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / schema.DATABASE_NAME
        database = sqlite_utils.Database(self.path)
        schema.migrate(database)
        database.close()
        self.connection = sqlite3.connect(self.path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.queries = Queries(self.path, zone=ZONE, clock=FixedClock())

    def close(self) -> None:
        self.queries.close()
        self.connection.close()

    def insert(self, table: str, **values: Any) -> int:
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        cursor = self.connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)

    def contact(self, number: str, name: str | None = None, **values: Any) -> int:
        values = {"phonebook_name": name, **values}
        return self.insert("contacts", whatsapp_id=f"{number}@c.us", phone_number=number, name=name, **values)

    def owner(self, number: str = "15550100000") -> int:
        self.insert("aliases", whatsapp_id="me", canonical_id=f"{number}@c.us")
        return self.contact(number)

    def private(self, contact: int, *, progress: str = "complete") -> int:
        number, name = self.connection.execute(
            "SELECT whatsapp_id, name FROM contacts WHERE contact_id = ?", (contact,)
        ).fetchone()
        chat = self.insert("chats", whatsapp_chat_id=number, chat_type="private", contact_id=contact, name=name)
        self.insert("sync_status", chat_id=chat, sync_progress=progress, last_synced_at=at("2025-09-20 08:00"))
        return chat

    def group(self, name: str, members: list[int]) -> int:
        number = f"1203630{len(name):04}{sum(map(ord, name))}@g.us"
        group = self.insert("groups", whatsapp_group_id=number, group_name=name)
        chat = self.insert("chats", whatsapp_chat_id=number, chat_type="group", group_id=group, name=name)
        for member in members:
            self.insert("group_members", group_id=group, contact_id=member, role="member")
        self.insert("sync_status", chat_id=chat, sync_progress="complete", last_synced_at=at("2025-09-20 08:00"))
        return chat

    def message(self, chat: int, sender: int | None, when: str | int, text: str = "", **values: Any) -> int:
        """`sender` None is the owner."""
        sent_at = at(when) if isinstance(when, str) else when
        count = self.connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        values = {"message_type": "text", "whatsapp_message_id": f"3EB0{count:012X}", **values}
        values["from_me"] = int(sender is None)
        message = self.insert("messages", chat_id=chat, sender_contact_id=sender, content=text, sent_at=sent_at, **values)
        beside = " ".join(
            str(values[name]) for name in ("media_filename", "location_name", "shared_contact") if values.get(name)
        )
        self.insert("message_index", rowid=message, content=fold(text), attachment=fold(beside))
        self.connection.execute(
            "UPDATE chats SET message_count = message_count + 1, last_message_at = max(coalesce(last_message_at, 0), ?)"
            " WHERE chat_id = ?",
            (sent_at, chat),
        )
        return message

    def message_fast(self, chat: int, sent_at: int, text: str) -> None:
        """One of many received messages; times must ascend."""
        message = self.insert(
            "messages", chat_id=chat, sender_contact_id=2, content=text, sent_at=sent_at, from_me=0, message_type="text",
            whatsapp_message_id=f"{chat}-{sent_at}-{self.connection.total_changes}",
        )  # fmt: skip
        self.insert("message_index", rowid=message, content=fold(text), attachment="")
        self.connection.execute(
            "UPDATE chats SET message_count = message_count + 1, last_message_at = ? WHERE chat_id = ?", (sent_at, chat)
        )
