"""Resources in pages: whatever a chat, a month or the account holds, an answer stays small and says where it goes on."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from book_club import open_archive
from fake_clock import FakeClock
from mcp import Client, MCPError
from mcp.types import PromptReference, Resource, ResourceTemplateReference
from small_archive import NOW, ZONE, SmallArchive, at

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.fitting import CHARACTERS_PER_TOKEN

if TYPE_CHECKING:
    from pathlib import Path

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
MESSAGES = 1_800
OTHERS = 420
AUGUST = at("2025-08-01 00:00")


@pytest.fixture
def archive(home: Path) -> Archive:
    """One chat with much in August, a little in July and March; and many more chats."""
    home.mkdir(mode=0o700)
    rows = SmallArchive(home)
    rows.connection.execute("BEGIN")
    rows.owner()
    chat = rows.private(rows.contact("15550100011", "Dana Levi"))
    for when in ("2025-03-10 10:00", "2025-07-30 10:00", "2025-07-31 23:59"):
        rows.message(chat, 2, when, f"on {when}")
    for number in range(MESSAGES):
        rows.message_fast(chat, AUGUST + number * 60, f"{number}: " + "a sentence of some length, " * 6)
    for number in range(OTHERS):
        rows.message(rows.private(rows.contact(f"1555010{2000 + number}", f"Person {number}")), None, AUGUST + number, "hello")
    rows.connection.execute("COMMIT")
    rows.close()
    return Archive.open(Settings(home=home, timezone=ZONE, access_log=False), FakeClock(NOW.timestamp()))


async def read(client: Client, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    text = getattr(content, "text", "")
    assert content.mime_type == "text/plain"
    assert len(text) <= 20_000 * CHARACTERS_PER_TOKEN, f"{uri} has {len(text)} characters"
    return str(text)


async def pages(client: Client, uri: str, word: str) -> list[str]:
    """The page at `uri` and all to which the lines with that word lead, one after the other."""
    found: list[str] = []
    address: str | None = uri
    while address is not None:
        assert len(found) < 50, "the pages do not end"
        found.append(await read(client, address))
        onward = re.findall(rf"^{word}: (whatsapp://\S+)$", found[-1], re.MULTILINE)
        assert len(onward) <= 1
        address = onward[0] if onward else None
    return found


@ERAS
async def test_a_month_with_many_messages_comes_in_pages_that_hold_each_message_once(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        found = await pages(client, "whatsapp://chats/1/messages/2025-08", "Older")
        numbers = [int(number) for page in reversed(found) for number in re.findall(r"(\d+): a sentence", page)]
        assert numbers == list(range(MESSAGES))
        assert len(found) > 3
        assert found[-1].endswith("\nEarlier: whatsapp://chats/1/messages/2025-07")
        (july,) = await pages(client, "whatsapp://chats/1/messages/2025-07", "Older")
        assert "on 2025-07-31 23:59" in july
        assert july.endswith("\nEarlier: whatsapp://chats/1/messages/2025-03")
        (march,) = await pages(client, "whatsapp://chats/1/messages/2025-03", "Older")
        assert "Earlier" not in march


async def test_a_chat_leads_to_its_months_and_a_list_of_chats_to_the_rest_of_them(archive: Archive) -> None:
    server, _ = build_server(archive)
    async with Client(server) as client:
        newest, *older = await pages(client, "whatsapp://chats/1", "Older")
        assert f"{MESSAGES - 1}: a sentence" in newest
        assert sum(len(re.findall(r"\d+: a sentence", page)) for page in (newest, *older)) == MESSAGES
        lists = await pages(client, "whatsapp://chats", "More")
    ids = [int(found) for page in lists for found in re.findall(r"^(\d+) \"", page, re.MULTILINE)]
    assert len(lists) == 3
    assert len(ids) == len(set(ids)) == OTHERS + 1
    assert ids[0] == 1


@pytest.mark.parametrize(
    "uri",
    [
        "chats/after/9999", "chats/after/x", "chats/1/messages/2025-08/before/99999", "chats/1/messages/2025-08/before/x",
        "chats/2/messages/2025-08/before/1", "chats/1/messages/August/before/1", "chats/9999/messages/2025-08/before/1",
    ],
)  # fmt: skip
async def test_a_page_that_nothing_leads_to_is_not_found(archive: Archive, uri: str) -> None:
    server, _ = build_server(archive)
    async with Client(server) as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource(f"whatsapp://{uri}")
    assert refused.value.code == -32602


@ERAS
async def test_the_list_of_resources_has_every_chat_with_the_time_of_its_last_message(archive: Archive, mode: str) -> None:
    server, _ = build_server(archive)
    async with Client(server, mode=mode) as client:
        listed: list[Resource] = []
        cursor, count = None, 0
        while cursor is not None or not listed:
            page = await client.list_resources(cursor=cursor)
            listed += page.resources
            cursor, count = page.next_cursor, count + 1
        with pytest.raises(MCPError) as refused:
            await client.list_resources(cursor="nonsense")
    assert refused.value.code == -32602
    assert count == 5
    by_uri = {each.uri: each for each in listed}
    assert len(by_uri) == len(listed) == 3 + OTHERS + 1
    dana = by_uri["whatsapp://chats/1"]
    assert dana.title == 'Chat "Dana Levi" (1, private)'
    assert dana.annotations is not None
    last = datetime.fromisoformat(dana.annotations.last_modified or "")
    assert last.timestamp() == AUGUST + (MESSAGES - 1) * 60
    assert by_uri["whatsapp://chats"].annotations == dana.annotations
    assert by_uri["whatsapp://status"].annotations is not None
    assert by_uri["whatsapp://schema"].annotations is None


@ERAS
async def test_before_the_first_sync_the_list_has_what_can_be_read_all_the_same(home: Path, mode: str) -> None:
    server, _ = build_server(open_archive(home))
    async with Client(server, mode=mode) as client:
        listed = await client.list_resources()
    assert [each.uri for each in listed.resources] == ["whatsapp://status", "whatsapp://schema", "whatsapp://chats"]
    assert listed.next_cursor is None


async def test_a_completion_has_a_hundred_values_at_most_and_says_that_there_are_more(archive: Archive) -> None:
    server, _ = build_server(archive)
    prompt = PromptReference(type="ref/prompt", name="prepare_meeting")
    address = ResourceTemplateReference(type="ref/resource", uri="whatsapp://chats/{chat_id}/messages/{month}")
    async with Client(server) as client:
        for reference, name, typed in (
            (prompt, "contact", ""), (prompt, "contact", "pers"), (address, "chat_id", ""), (address, "chat_id", "1"),
        ):  # fmt: skip
            found = (await client.complete(reference, {"name": name, "value": typed})).completion
            assert len(found.values) == len(set(found.values)) == 100, (name, typed)
            assert found.has_more
        months = (await client.complete(address, {"name": "month", "value": ""}, context_arguments={"chat_id": "1"})).completion
    assert (months.values, months.total, months.has_more) == (["2025-08", "2025-07", "2025-03"], 3, False)
