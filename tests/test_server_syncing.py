"""The tools that fetch: a real gateway on loopback, the real flows, jobs that outlive the call."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import pytest
from book_club import open_archive
from loopback import loopback
from mcp import Client
from mcp.types import TextContent
from small_gateway import ID, TOKEN, SmallGateway, group, person

from whatsapp_mcp.app import Archive, hold_lock
from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.config import Settings
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.server.numbers import NOTHING, next_step, sync_state
from whatsapp_mcp.views import Coverage, RunView

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from loopback import Answer, Asked
    from mcp.types import CallToolResult

SMALL = {person(2): 30, person(3): 5, group(1): 40}


class Hurried(SystemClock):
    """Pauses between tries are cut short; time itself is real."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(min(seconds, 0.005))


@asynccontextmanager
async def client_of(home: Path, gateway: SmallGateway, mode: str = "auto", **options: Any) -> AsyncIterator[Client]:
    async with loopback(gateway) as server:
        settings = Settings(
            home=home,
            timezone=ZoneInfo("UTC"),
            rate_scale=1000.0,
            green_api_url=server.url,
            id_instance=ID,
            token=TOKEN,
        )
        built, _ = build_server(Archive.open(settings, Hurried()))
        async with Client(built, mode=mode, **options) as client:
            yield client


def text_of(answer: CallToolResult) -> str:
    return "\n".join(block.text for block in answer.content if isinstance(block, TextContent))


async def until_done(client: Client) -> CallToolResult:
    with anyio.fail_after(30):
        while True:
            status = await client.call_tool("full_sync_status", {})
            assert status.structured_content is not None
            if status.structured_content["state"] not in ("running", "empty"):
                return status
            await anyio.sleep(0.05)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_full_sync_starts_at_once_and_can_be_followed(home: Path, mode: str) -> None:
    async with client_of(home, SmallGateway(dict(SMALL)), mode) as client:
        started = await client.call_tool("start_full_sync", {})
        assert not started.is_error, text_of(started)
        status = await until_done(client)
        found = await client.call_tool("read_chat", {"chat": person(3)})
    assert status.structured_content is not None
    (run,) = status.structured_content["runs"]
    assert (run["state"], run["chats_done"], run["chats_total"], run["messages_new"]) == ("complete", 3, 3, 75)
    assert "run 1 (full) complete" in text_of(status)
    assert "3 of 3 chats" in text_of(status)
    assert "message 5" in text_of(found)
    assert TOKEN not in text_of(status) + text_of(started)


async def test_a_second_sync_is_refused_while_one_runs(home: Path) -> None:
    release = anyio.Event()

    async def late(_asked: Asked) -> Answer:
        await release.wait()
        return 200, "[]"

    gateway = SmallGateway(dict(SMALL))

    def play(asked: Asked) -> Any:
        return late(asked) if asked.method == "getChatHistory" else gateway(asked)

    async with client_of(home, play) as client:  # type: ignore[arg-type]
        first = await client.call_tool("start_full_sync", {})
        second = await client.call_tool("sync_chat", {"chat": person(2)})
        status = await client.call_tool("full_sync_status", {})
        release.set()
    assert "goes on in the background" in text_of(first)
    assert second.is_error
    assert "full_sync_status" in text_of(second)
    assert "State: running" in text_of(status)


async def test_a_sync_of_another_process_is_told(home: Path) -> None:
    async with client_of(home, SmallGateway(dict(SMALL))) as client:
        with hold_lock(home):
            answer = await client.call_tool("start_full_sync", {})
    assert answer.is_error
    assert "Wait until it ends" in text_of(answer)


async def test_one_chat_is_fetched_now_and_counted(home: Path) -> None:
    async with client_of(home, SmallGateway(dict(SMALL))) as client:
        answer = await client.call_tool("sync_chat", {"chat": "+1 555 010 0002"})
        again = await client.call_tool("sync_chat", {"chat": person(2), "depth": 10})
    assert text_of(answer) == "The sync of one chat is complete: 1 of 1 chats, 30 messages seen, 30 new."
    assert "10 messages seen, 0 new" in text_of(again)


async def test_a_chat_that_nobody_knows_is_not_guessed(home: Path) -> None:
    async with client_of(home, SmallGateway(dict(SMALL))) as client:
        before = await client.call_tool("sync_chat", {"chat": "Book club"})
        await client.call_tool("sync_chat", {"chat": person(2)})
        after = await client.call_tool("sync_chat", {"chat": "Book club"})
    assert before.is_error
    assert "start_full_sync" in text_of(before)
    assert after.is_error
    assert '"Book club"' in text_of(after)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, '{"stateInstance": "notAuthorized"}'), "scan the QR code"),
        ((401, "{}"), "GREEN_API_TOKEN_INSTANCE"),
        ((466, "{}"), "1st of next month"),
    ],
    ids=["not linked", "wrong token", "quota"],
)
async def test_what_the_gateway_refuses_is_told_at_once_with_what_to_do(home: Path, answer: Answer, told: str) -> None:
    gateway = SmallGateway(dict(SMALL), faults={"getStateInstance": answer})
    async with client_of(home, gateway) as client:
        started = await client.call_tool("start_full_sync", {})
        status = await client.call_tool("full_sync_status", {})
    assert started.is_error
    assert told in text_of(started)
    assert told in text_of(status)
    assert TOKEN not in text_of(started) + text_of(status)


async def test_the_end_of_the_server_stops_the_sync_and_frees_the_archive(home: Path) -> None:
    async def never(_asked: Asked) -> Answer:
        await anyio.sleep(60)
        return 200, "[]"

    gateway = SmallGateway(dict(SMALL))

    def play(asked: Asked) -> Any:
        return never(asked) if asked.method == "getChatHistory" else gateway(asked)

    with anyio.fail_after(20):
        async with client_of(home, play) as client:  # type: ignore[arg-type]
            await client.call_tool("start_full_sync", {})
    with open_archive(home).writer() as writer:
        assert writer.store.unfinished_run("full") is not None


def run(state: str, updated_at: int) -> RunView:
    return RunView(1, "full", state, 1000, None, 10, 4, 0, 100, 100, 9, 0, None, updated_at)


def test_a_run_that_gives_no_sign_of_life_counts_as_interrupted() -> None:
    assert sync_state(replace(NOTHING, runs=(run("running", 1000),)), 1060) == "running"
    status = replace(NOTHING, runs=(run("running", 1000),))
    assert sync_state(status, 5000) == "interrupted"
    assert "mode=resume" in next_step("interrupted", status)


def test_each_state_names_the_next_step() -> None:
    def known(**counts: int) -> Coverage:
        given = {"complete": 0, "truncated": 0, "pending": 0} | counts
        return Coverage(9, given["complete"], given["truncated"], 0, given["pending"], None, None, None, 5)

    full = replace(NOTHING, chats=9, messages=5)
    assert sync_state(NOTHING, 0) == "empty"
    assert sync_state(replace(full, coverage=known(complete=9)), 0) == "complete"
    for counts, told in (({"pending": 2}, "2 of 9 chats are not fetched yet"), ({"truncated": 1}, "import PATH")):
        status = replace(full, coverage=known(**counts))
        assert sync_state(status, 0) == "incomplete"
        assert told in next_step("incomplete", status)
