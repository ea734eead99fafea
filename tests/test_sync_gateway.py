"""The full sync against the simulated gateway, its faults, and a process that is killed: the archive ends as the account is."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING

import pytest
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.faults import ANY, Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import CredentialsError, InstanceGone, NotAuthorized, QuotaReached
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.sync import full_sync
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

SCALE = 200


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def gateway(account: Account) -> Iterator[Gateway]:
    with serve_gateway(account, rate_scale=SCALE) as served:
        yield served


async def synced(gateway: Gateway, path: Path) -> Outcome:
    credentials = Credentials(gateway.url, gateway.id_instance, gateway.token)
    with OpenWriter(path) as writer:
        async with GreenApi(credentials, rate_scale=SCALE, clock=Hurried()) as api:
            return await full_sync(api, writer, Hurried())


def assert_is_the_truth(path: Path, account: Account) -> None:
    with sqlite3.connect(path) as connection:
        query = "SELECT whatsapp_chat_id, whatsapp_message_id, sent_at FROM messages JOIN chats USING (chat_id)"
        stored = set(connection.execute(query))
    connection.close()
    assert stored == {(message.chat, message.id, message.sent_at) for message in account.truth()}
    with OpenWriter(path) as writer:
        assert list(verify(writer.store, thorough=True)) == []


async def test_the_archive_ends_as_the_account_is(gateway: Gateway, account: Account, tmp_path: Path) -> None:
    outcome = await synced(gateway, tmp_path / "a.db")
    assert (outcome.state, outcome.chats_total, outcome.chats_done) == ("complete", 32, 32)
    assert_is_the_truth(tmp_path / "a.db", account)


@pytest.mark.parametrize(
    ("fault", "method", "nth"),
    [
        (Fault.TOO_MANY, ANY, 4),
        (Fault.BAD_GATEWAY, ANY, 3),
        (Fault.SERVER_ERROR, "getChatHistory", 3),
        (Fault.UNAVAILABLE, ANY, 4),
        (Fault.BROKEN_CONNECTION, "getChatHistory", 3),
        (Fault.CUT_OFF, "getChatHistory", 5),
        (Fault.STRAY_COMMA, "getChatHistory", 1),
        (Fault.EMPTY_ITEM, "getChatHistory", 1),
        (Fault.EMPTY, "getContacts", 1),
    ],
)
async def test_a_gateway_in_trouble_costs_time_but_no_message(
    gateway: Gateway, account: Account, tmp_path: Path, fault: Fault, method: str, nth: int
) -> None:
    gateway.faults.every(method, fault, nth=nth)
    outcome = await synced(gateway, tmp_path / "a.db")
    assert outcome.chats_done == 32
    assert_is_the_truth(tmp_path / "a.db", account)


async def test_a_chat_that_only_a_journal_or_the_contacts_name_is_found(
    gateway: Gateway, account: Account, tmp_path: Path
) -> None:
    gateway.faults.hidden_chats = set(account.chat_ids[::2])
    await synced(gateway, tmp_path / "a.db")
    assert_is_the_truth(tmp_path / "a.db", account)


async def test_a_quota_in_the_middle_is_resumed_without_asking_twice(
    gateway: Gateway, account: Account, tmp_path: Path
) -> None:
    gateway.faults.quotas["getChatHistory"] = 12
    with pytest.raises(QuotaReached):
        await synced(gateway, tmp_path / "a.db")
    gateway.faults.quotas.clear()
    outcome = await synced(gateway, tmp_path / "a.db")
    assert (outcome.run_id, outcome.chats_done) == (1, 32)
    assert gateway.count("getChatHistory", 200) == 32
    assert_is_the_truth(tmp_path / "a.db", account)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("deleted", CredentialsError),
        ("removed", InstanceGone),
        ("expired", InstanceGone),
        ("blocked", InstanceGone),
        ("notAuthorized", NotAuthorized),
    ],
)
async def test_an_instance_that_cannot_serve_says_why(
    gateway: Gateway, tmp_path: Path, state: str, kind: type[Exception]
) -> None:
    gateway.faults.state = state
    with pytest.raises(kind):
        await synced(gateway, tmp_path / "a.db")


async def test_an_unknown_cap_and_a_largest_count_are_noticed(gateway: Gateway, tmp_path: Path) -> None:
    gateway.faults.largest_count = 5_000
    gateway.faults.history_cap = 30
    outcome = await synced(gateway, tmp_path / "a.db")
    assert outcome.chats_done == 32
    assert outcome.chats_truncated >= 3


SYNC = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import anyio
    from whatsapp_mcp.clock import SystemClock
    from whatsapp_mcp.greenapi import Credentials, GreenApi
    from whatsapp_mcp.sync import full_sync
    from sync_desk import OpenWriter

    async def main(path, url, instance, token):
        with OpenWriter(Path(path)) as writer:
            async with GreenApi(Credentials(url, instance, token), rate_scale=60, clock=SystemClock()) as api:
                await full_sync(api, writer, SystemClock())

    anyio.run(main, *sys.argv[1:])
    """
)


def test_a_sync_that_is_killed_at_random_moments_still_ends_as_the_account_is(
    gateway: Gateway, account: Account, tmp_path: Path
) -> None:
    path = tmp_path / "a.db"
    command = [sys.executable, "-c", SYNC, str(path), gateway.url, gateway.id_instance, gateway.token]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    chance = random.Random(7)
    killed = 0
    for _ in range(6):
        asked = gateway.count("getChatHistory")
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 30
            target = asked + chance.randint(0, 9)
            while process.poll() is None and gateway.count("getChatHistory") < target and time.monotonic() < deadline:
                time.sleep(0.002)
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
    assert killed >= 3
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert_is_the_truth(path, account)
