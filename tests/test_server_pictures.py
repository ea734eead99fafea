"""What a model gets to see of a stored file."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING

from book_club import book_club
from mcp import Client
from mcp.types import ImageContent, TextContent
from PIL import Image

from whatsapp_mcp.server.build import build_server

if TYPE_CHECKING:
    from pathlib import Path

    from mcp.types import CallToolResult

    from whatsapp_mcp.app import Archive


def noise(path: Path, size: tuple[int, int], **options: object) -> Path:
    Image.effect_noise(size, 90).convert("RGB").save(path, **options)  # type: ignore[arg-type]
    return path


def store_file(archive: Archive, path: str) -> str:
    """Let the one message with a file say that its file is stored at `path`; returns its handle."""
    with closing(sqlite3.connect(archive.database)) as database, database:
        (number,) = database.execute("SELECT message_id FROM messages WHERE media_filename IS NOT NULL").fetchone()
        database.execute(
            "UPDATE messages SET local_media_path = ?, media_mime_type = 'image/png', message_type = 'image'"
            " WHERE message_id = ?",
            (path, number),
        )
    return f"m{number}"


async def media_of(archive: Archive, handle: str) -> CallToolResult:
    server, _ = build_server(archive)
    async with Client(server) as client:
        answer = await client.call_tool("get_media", {"message": handle})
    assert not answer.is_error
    assert answer.structured_content is None
    return answer


async def test_a_stored_picture_is_shown_and_linked(home: Path) -> None:
    archive = book_club(home)
    (home / "media" / "images").mkdir(parents=True)
    stored = noise(home / "media" / "images" / "ab12.png", (1600, 900))
    handle = store_file(archive, "media/images/ab12.png")
    facts, picture, link = (await media_of(archive, handle)).content
    assert isinstance(facts, TextContent)
    assert isinstance(picture, ImageContent)
    assert str(stored) in facts.text
    with Image.open(BytesIO(base64.b64decode(picture.data))) as shown:
        assert shown.size == (1024, 576)
    assert link.type == "resource_link"
    assert link.uri == f"whatsapp://media/{handle[1:]}"


async def test_a_small_stored_file_can_be_opened_by_its_address(home: Path) -> None:
    archive = book_club(home)
    (home / "media").mkdir()
    noise(home / "media" / "tiny.png", (16, 16))
    handle = store_file(archive, "media/tiny.png")
    server, _ = build_server(archive)
    async with Client(server) as client:
        (content,) = (await client.read_resource(f"whatsapp://media/{handle[1:]}")).contents
    assert content.mime_type == "image/png"
    assert base64.b64decode(getattr(content, "blob", "")).startswith(b"\x89PNG")


async def test_a_path_that_leads_out_of_the_archive_is_no_file(home: Path) -> None:
    archive = book_club(home)
    noise(home.parent / "outside.png", (16, 16))
    (facts,) = (await media_of(archive, store_file(archive, "../outside.png"))).content
    assert isinstance(facts, TextContent)
    assert "gone from the disk" in facts.text
