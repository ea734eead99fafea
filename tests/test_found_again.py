"""What came in is found again: every documented payload and a real exported chat, through the tools that an assistant calls."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from book_club import open_archive
from mcp import Client
from mcp.types import TextContent

from whatsapp_mcp.cli.run import main
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.app import Archive

GOLDENS = Path(__file__).parent / "goldens"
SAMPLES = os.environ.get("WHATSAPP_MCP_SAMPLES", "")


def payloads(folder: str) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    for path in sorted((GOLDENS / folder).glob("*.json")):
        golden = json.loads(path.read_text(encoding="utf-8"))
        yield golden, golden["records"]


@pytest.fixture(params=["journal", "notification"])
def archive(home: Path, request: pytest.FixtureRequest) -> Archive:
    """An archive that received every documented payload of one spelling."""
    opened = open_archive(home)
    with opened.writer() as writer:
        for golden, _ in payloads(request.param):
            text = json.dumps(golden["payload"], ensure_ascii=False)
            writer.ingest.receive(Payload(golden["origin"], golden["received_at"], (text,), golden["context"]))
        assert verify(writer.store, thorough=True) == []
    return opened


def written(records: list[Any]) -> Iterator[tuple[str, str, str]]:
    """The messages among a golden's records: chat, id, text."""
    for kind, fields in records:
        if kind == "Message" and re.search(r"\w", fields.get("content", "")):
            yield fields["chat"], fields["id"], fields["content"]


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, {**arguments, "format": "json"})
    text = "".join(block.text for block in answer.content if isinstance(block, TextContent))
    assert not answer.is_error, text
    return dict(json.loads(text))


async def test_every_documented_message_is_found_by_its_words_and_read_in_its_chat(
    archive: Archive, request: pytest.FixtureRequest
) -> None:
    server, _ = build_server(archive)
    looked_for = 0
    async with Client(server) as client:
        for _, records in payloads(request.node.callspec.params["archive"]):
            for chat, number, content in written(records):
                words = " ".join(re.findall(r"\w+", content)[:4])
                found = await ask(client, "search_messages", query=words, chat=chat, limit=50)
                hits = {message["whatsapp_message_id"]: message for message in found["messages"]}
                assert number in hits, f"{words!r} does not find {number}"
                page = await ask(client, "read_chat", chat=chat, around=hits[number]["handle"], limit=5)
                assert number in {message["whatsapp_message_id"] for message in page["messages"]}
                looked_for += 1
    assert looked_for > 40


@pytest.mark.skipif(not SAMPLES, reason="WHATSAPP_MCP_SAMPLES is not set: public sample files stay outside of the project")
async def test_a_real_exported_chat_is_found_by_its_words_and_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (export,) = [path async for path in anyio.Path(SAMPLES).glob("exports/Pustur*/**/*.zip")]
    assert main(["--home", str(home), "import", str(export), "--chat", "Parser example", "--me", "Loris"]) == 0
    capsys.readouterr()
    server, _ = build_server(open_archive(home))
    async with Client(server) as client:
        found = await ask(client, "search_messages", query="fake conversation")
        assert [message["sender"]["name"] for message in found["messages"]] != []
        assert "start a fake conversation" in found["messages"][0]["content"]
        page = await ask(client, "read_chat", chat="Parser example", after="2019-06-20", before="2019-06-20", limit=100)
        senders = {message["sender"]["name"] for message in page["messages"] if message.get("sender")}
        assert {"John", "Emily"} <= senders
        polls = [message for message in page["messages"] if message["type"] == "poll"]
        assert any(message["content"].startswith("When can we meet?") for message in polls)
