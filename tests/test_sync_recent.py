"""The sync of what is new: two journals for all chats, from where the last success left off."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import Unreachable, UsageError
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.sync import full_sync, sync_recent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

SCALE = 500


class Later(Hurried):
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE) as served:
        yield served


async def run(flow: Callable[..., Awaitable[Outcome]], gateway: Gateway, path: Path, clock: Later) -> Outcome:
    with OpenWriter(path) as writer:
        async with GreenApi(Credentials(gateway.url, gateway.id_instance, gateway.token), rate_scale=SCALE, clock=clock) as api:
            return await flow(api, writer, clock)


def texts(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    found = {text for (text,) in connection.execute("SELECT content FROM messages")}
    connection.close()
    return found


async def test_what_arrived_since_the_last_sync_is_fetched_with_a_handful_of_requests(gateway: Gateway, tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", Later()
    await run(full_sync, gateway, path, clock)
    chats = list(make_account(size=SMALL).chat_ids)[:3]
    gateway.now += 3600
    clock.ahead += 3600
    for number, chat in enumerate(chats):
        gateway.deliver(gateway.compose(chat, f"news number {number}", from_me=number == 1))
    before = len(gateway.requests)
    outcome = await run(sync_recent, gateway, path, clock)
    assert (outcome.state, outcome.messages_new, outcome.chats_done) == ("complete", 3, 3)
    assert {"news number 0", "news number 1", "news number 2"} <= texts(path)
    assert len(gateway.requests) - before <= 7
    asked = [request.arguments["minutes"] for request in gateway.requests[before:] if request.method == "lastIncomingMessages"]
    assert 70 <= int(asked[0]) <= 75


async def test_a_second_run_brings_nothing_twice(gateway: Gateway, tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", Later()
    await run(full_sync, gateway, path, clock)
    outcome = await run(sync_recent, gateway, path, clock)
    assert outcome.messages_new == 0


async def test_a_run_that_fails_is_repeated_from_the_same_position(gateway: Gateway, tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", Later()
    await run(full_sync, gateway, path, clock)
    gateway.now += 7200
    clock.ahead += 7200
    gateway.deliver(gateway.compose(make_account(size=SMALL).chat_ids[0], "must not be lost", from_me=True))
    gateway.faults.next("lastOutgoingMessages", Fault.BAD_GATEWAY, times=50)
    with pytest.raises(Unreachable):
        await run(sync_recent, gateway, path, clock)
    gateway.faults.clear()
    await run(sync_recent, gateway, path, clock)
    assert "must not be lost" in texts(path)


async def test_a_pause_longer_than_the_journals_reach_is_told(gateway: Gateway, tmp_path: Path) -> None:
    path, clock = tmp_path / "a.db", Later()
    await run(full_sync, gateway, path, clock)
    clock.ahead += 40 * 86_400
    outcome = await run(sync_recent, gateway, path, clock)
    assert any("40 days ago" in note and "sync full" in note for note in outcome.notes)


async def test_without_any_sync_before_it_says_what_to_begin_with(gateway: Gateway, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sync full"):
        await run(sync_recent, gateway, tmp_path / "a.db", Later())
