"""Public export files with a clear licence, counted by others: they are not part of this repository.

``WHATSAPP_MCP_SAMPLES`` names a folder with ``exports/`` and in it the files below, as they lie in their repositories
(``owner__repository/path``).
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from whatsapp_mcp.normalise.chat_export import records_of_export_item
from whatsapp_mcp.records import Message
from whatsapp_mcp.sources.chat_export import read_export

if TYPE_CHECKING:
    from whatsapp_mcp.sources.chat_export import Export

SAMPLES = os.environ.get("WHATSAPP_MCP_SAMPLES", "")
pytestmark = pytest.mark.skipif(not SAMPLES, reason="WHATSAPP_MCP_SAMPLES names no folder of public export files")

MINER = "joweich__chat-miner/test/whatsapp"
MINER_FILES = [
    f"{MINER}/test_{form}.txt"
    for form in ("[mmddyy]_24hrs", "ddmmyy_24hrs", "mmddyy_24hrs", "mmddyyyy_12hrs", "yyyymmdd_24hrs")
]
# file, rows with a header, rows that a person sent, the order of its dates where it must be given
COUNTS = [(name, 9, 7, None) for name in MINER_FILES] + [
    ("skowalak__whatsapp-to-sqlite/tests/logs/testsubdir/WhatsApp Chat mit Jane Doe.txt", 8, 7, None),
    ("Weeshlow__whatsapp-parser/tests/files/input_1.txt", 7, 5, None),
    ("Weeshlow__whatsapp-parser/tests/files/input_2.txt", 5, 3, None),
    ("Weeshlow__whatsapp-parser/tests/files/input_4.txt", 3, 3, "dmy"),
    ("Voles__node-whatsapp-parser/example-input.txt", 6, 2, None),
    ("nmoya__whatsapp-parser/test/testChat2.txt", 9, 9, "dmy"),
    ("Pustur__whatsapp-chat-parser-website/src/assets/whatsapp-chat-parser-example.zip", 52, 48, None),
]


def opened(name: str, order: str | None = None) -> Export:
    now = int(datetime(2025, 9, 1, tzinfo=UTC).timestamp())
    return read_export(Path(SAMPLES) / "exports" / name, zone=ZoneInfo("UTC"), received_at=now, order=order)


def messages_of(export: Export) -> list[Message]:
    items = ((item, payload) for payload in export.payloads for item in payload.items)
    records = (r for item, p in items for r in records_of_export_item(item, received_at=p.received_at, context=p.context))
    return [record for record in records if isinstance(record, Message)]


@pytest.mark.parametrize(("name", "rows", "sent", "order"), COUNTS)
def test_a_public_file_has_the_rows_that_others_counted(name: str, rows: int, sent: int, order: str | None) -> None:
    export = opened(name, order)
    found = messages_of(export)

    assert (len(found), sum(message.kind != "system" for message in found)) == (rows, sent)
    assert (export.report.messages + export.report.system_rows, export.report.messages) == (rows, sent)
    assert len({message.id for message in found}) == rows


@pytest.mark.parametrize("name", MINER_FILES)
def test_five_formats_of_one_chat_give_the_one_published_answer(name: str) -> None:
    """Its authors leave out ``John Doe:.``, which has no blank behind the name; here it is the message that it looks like."""
    target = json.loads((Path(SAMPLES) / "exports" / MINER / "target.json").read_text())
    found = [message for message in messages_of(opened(name)) if message.kind != "system" and message.content != "."]

    assert [
        {
            "timestamp": datetime.fromtimestamp(message.sent_at, UTC).replace(tzinfo=None).isoformat(),
            "author": message.sender.removeprefix("export:"),
            "message": message.content.replace("\n", " "),
        }
        for message in reversed(found)
    ] == target


def test_five_formats_of_one_chat_give_the_same_ids_once_its_name_is_given() -> None:
    now = int(datetime(2025, 9, 1, tzinfo=UTC).timestamp())
    ids = {
        tuple(
            message.id
            for message in messages_of(
                read_export(Path(SAMPLES) / "exports" / name, zone=ZoneInfo("UTC"), received_at=now, chat_name="Groupname")
            )
        )
        for name in MINER_FILES
    }
    assert len(ids) == 1


def test_the_media_of_a_public_zip_are_named() -> None:
    named = {message.media_filename: message.kind for message in messages_of(opened(COUNTS[-1][0])) if message.media_filename}

    assert named == {
        "00000001-PHOTO-2019-06-20-16-00-15.jpg": "image",
        "00000002-VIDEO-2019-06-20-16-01-42.mp4": "video",
        "00000003-AUDIO-2019-06-20-16-03-55.mp3": "audio",
        "00000004-whatsapp-chat-parser-example.zip": "document",
    }
