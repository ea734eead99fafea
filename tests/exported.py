"""Exported chats that tests write and read; all names and numbers are invented."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from whatsapp_mcp.normalise.chat_export import records_of_export_item
from whatsapp_mcp.records import Message, Record
from whatsapp_mcp.sources.chat_export import Export, read_export

if TYPE_CHECKING:
    from pathlib import Path

BERLIN = ZoneInfo("Europe/Berlin")
NOW = int(datetime(2025, 9, 1, tzinfo=UTC).timestamp())
LRM, RLM, NARROW = "\u200e", "\u200f", "\u202f"

ANDROID = """\
27/03/2022, 21:40 - Messages and calls are end-to-end encrypted. Tap to learn more.
27/03/2022, 21:41 - Ada Berg: hello
over two

lines
27/03/2022, 21:41 - Ben Light: hi
27/03/2022, 21:42 - Ben Light: hi
27/03/2022, 21:42 - Ben Light: hi
"""


def written(folder: Path, text: str, name: str = "WhatsApp Chat with Ada Berg.txt") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def read(
    path: Path, *, zone: ZoneInfo = BERLIN, me: str | None = None, order: str | None = None, name: str | None = None
) -> Export:
    return read_export(path, zone=zone, received_at=NOW, me=me, order=order, chat_name=name)


def records_of(export: Export) -> list[Record]:
    return [
        record
        for payload in export.payloads
        for item in payload.items
        for record in records_of_export_item(item, received_at=payload.received_at, context=payload.context)
    ]


def messages_of(export: Export) -> list[Message]:
    return [record for record in records_of(export) if isinstance(record, Message)]


def local(message: Message, zone: ZoneInfo = BERLIN) -> str:
    return datetime.fromtimestamp(message.sent_at, zone).strftime("%Y-%m-%d %H:%M:%S")
