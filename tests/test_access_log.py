"""What assistants read is kept account of: ids and numbers, never a name, a text or a word of the question."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from book_club import NOW, book_club, open_archive
from full_disk import full_disk
from mcp import Client, MCPError
from mcp.types import PromptReference, TextContent

from whatsapp_mcp.app import Archive
from whatsapp_mcp.logs import compress_and_remove
from whatsapp_mcp.server.build import build_server

if TYPE_CHECKING:
    from pathlib import Path

ZONE = ZoneInfo("Asia/Jerusalem")


def lines(home: Path) -> list[dict[str, Any]]:
    path = home / "logs" / f"access-{datetime.fromtimestamp(NOW, ZONE):%Y-%m-%d}.log"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_each_answer_leaves_a_line_that_says_what_was_read(home: Path, mode: str) -> None:
    server, _ = build_server(book_club(home))
    async with Client(server, mode=mode) as client:
        await client.call_tool("read_chat", {"chat": "Book club", "limit": 3})
        await client.call_tool("search_messages", {"query": "lease"})
        await client.read_resource("whatsapp://messages/1")
        await client.get_prompt("catch_me_up", {})
        await client.complete(PromptReference(type="ref/prompt", name="catch_me_up"), {"name": "chat", "value": "Book"})
        refused = await client.call_tool("read_chat", {"chat": "Nobody"})
    assert refused.is_error
    told = [
        (line["kind"], line["name"], line["ok"], line["chats"], line["messages"], line.get("handles")) for line in lines(home)
    ]
    assert told.pop(4)[:3] == ("completion", "PromptReference", True)
    assert told == [
        ("tool", "read_chat", True, [1], 3, "m58 to m60"),
        ("tool", "search_messages", True, [2], 2, "m61 to m62"),
        ("resource", "whatsapp://messages/1", True, [1], 1, "m1"),
        ("prompt", "catch_me_up", True, [], 0, None),
        ("tool", "read_chat", False, [], 0, None),
    ]
    first = lines(home)[0]
    assert first["at"].startswith("2025-08-15T12:26:40.000")
    assert isinstance(first["seconds"], float)
    assert first["client"]


async def test_no_name_no_text_and_no_word_of_a_question_stands_in_it(home: Path) -> None:
    server, _ = build_server(book_club(home))
    async with Client(server) as client:
        await client.call_tool("search_messages", {"query": "signed chairs", "sender": "Dana Levi"})
        await client.call_tool("find_contact", {"query": "Ruth"})
        await client.call_tool("export_chat", {"chat": "Book club", "format": "txt"})
        await client.read_resource("whatsapp://exports/book-club-1.txt")
        await client.call_tool("nonsense Ruth", {})
        with pytest.raises(MCPError):
            await client.read_resource("whatsapp://Ruth/of/the/Book/club")
    text = "\n".join(map(json.dumps, lines(home))).casefold()
    assert text.count('"kind"') == 6
    for word in ("signed", "chairs", "dana", "ruth", "club", "1555010", "folding"):
        assert word not in text
    export = lines(home)[2]
    assert (export["chats"], export["messages"], export["handles"]) == ([1], 60, "m1 to m60")


async def test_it_can_be_turned_off(home: Path) -> None:
    from dataclasses import replace

    made = book_club(home)
    server, _ = build_server(Archive(replace(made.settings, access_log=False), made.clock))
    async with Client(server) as client:
        await client.call_tool("read_chat", {"chat": "Book club"})
    assert lines(home) == []


async def test_nothing_is_made_where_there_is_no_archive_yet(home: Path) -> None:
    server, _ = build_server(open_archive(home))
    async with Client(server) as client:
        await client.call_tool("full_sync_status", {})
    assert not await anyio.Path(home).exists()


@pytest.mark.skipif(os.name != "posix", reason="rights are judged on POSIX only")
async def test_only_its_owner_can_read_it_and_old_ones_are_compressed(home: Path) -> None:
    archive = book_club(home)
    server, _ = build_server(archive)
    async with Client(server) as client:
        await client.call_tool("list_chats", {})
    (path,) = (home / "logs").glob("access-*.log")
    assert path.stat().st_mode & 0o777 == 0o600
    compress_and_remove(archive.settings, NOW + 2 * 86_400)
    assert [one.name for one in (home / "logs").iterdir()] == [f"{path.name}.gz"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX can pretend that the disk is full")
async def test_a_full_disk_costs_lines_and_fails_no_answer(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, _ = build_server(book_club(home))
    async with Client(server) as client:
        await client.call_tool("list_chats", {})
        with full_disk():
            answers = [await client.call_tool("read_chat", {"chat": "Book club", "limit": 2}) for _ in range(3)]
        await client.call_tool("list_chats", {})
    assert all(isinstance(answer.content[0], TextContent) and not answer.is_error for answer in answers)
    assert capsys.readouterr().err.count("the log cannot be written") == 1
    assert [line["name"] for line in lines(home)] == ["list_chats", "list_chats"]
