"""A real gateway, the real command in a process of its own, and the account's truth, message by message."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.demo.account import FULL, SMALL, Account, make_account
from whatsapp_mcp.demo.entry import LOOSE_KINDS, TrueMessage
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

STORED = """
    SELECT c.whatsapp_chat_id, m.whatsapp_message_id, p.whatsapp_id, m.from_me, m.sent_at, m.message_type, m.content,
        m.edited_at IS NOT NULL, m.deleted_at IS NOT NULL, coalesce(m.is_forwarded, 0),
        coalesce(m.quoted_whatsapp_message_id, '')
    FROM messages AS m JOIN chats AS c USING (chat_id) LEFT JOIN contacts AS p ON p.contact_id = m.sender_contact_id
"""


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), *arguments]


def environment(gateway: Gateway, scale: float) -> dict[str, str]:
    return {
        **os.environ,
        "GREEN_API_URL": gateway.url,
        "GREEN_API_ID_INSTANCE": str(gateway.id_instance),
        "GREEN_API_TOKEN_INSTANCE": gateway.token,
        "GREEN_API_RATE_SCALE": str(scale),
        "WHATSAPP_MCP_TIMEZONE": "UTC",
    }


def run(gateway: Gateway, home: Path, *arguments: str, scale: float = 100) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(home, *arguments), env=environment(gateway, scale),
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def stored(home: Path) -> dict[tuple[str, str], TrueMessage]:
    with closing(sqlite3.connect(f"file:{home / 'whatsapp_chats.db'}?mode=ro", uri=True)) as connection:
        found = [
            TrueMessage(chat, number, sender, bool(mine), at, kind, text, bool(edited), bool(deleted), bool(forwarded), quoted)
            for chat, number, sender, mine, at, kind, text, edited, deleted, forwarded, quoted in connection.execute(STORED)
        ]
    return {(message.chat, message.id): message for message in found}


def differences(home: Path, account: Account) -> list[tuple[TrueMessage | None, TrueMessage | None]]:
    """What is missing, what is too much, and what is not as it was written."""
    found = stored(home)
    truth = {(message.chat, message.id): message for message in account.truth()}
    return [
        (truth.get(key), found.get(key))
        for key in truth.keys() | found.keys()
        if key not in truth or key not in found or not same(truth[key], found[key])
    ]


def same(true: TrueMessage, found: TrueMessage) -> bool:
    if true.kind not in LOOSE_KINDS:
        return true == found
    lines_are_there = all(line in found.content for line in true.content.splitlines())
    return lines_are_there and true._replace(content=found.content) == found


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def gateway(account: Account) -> Iterator[Gateway]:
    with serve_gateway(account, rate_scale=40, latency=0.01) as served:
        yield served


def wait_for_requests(gateway: Gateway, process: subprocess.Popen[str], count: int) -> None:
    end = time.monotonic() + 30
    while len(gateway.requests) < count and process.poll() is None:
        assert time.monotonic() < end, "the sync asks for nothing"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.002)


def test_a_sync_that_is_killed_again_and_again_ends_in_the_accounts_truth(
    account: Account, gateway: Gateway, tmp_path: Path
) -> None:
    chance = random.Random(7)
    killed = 0
    for _ in range(8):
        process = subprocess.Popen(
            command(tmp_path, "sync", "full", "--resume"), env=environment(gateway, 40), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        wait_for_requests(gateway, process, len(gateway.requests) + chance.randint(1, 22))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
        with Store(tmp_path / "whatsapp_chats.db") as store:
            assert verify(store, thorough=True) == []
    assert killed >= 4
    ended = run(gateway, tmp_path, "sync", "full", "--resume", scale=40)
    assert ended.returncode == 0, ended.stderr
    assert differences(tmp_path, account) == []


def test_the_whole_account_arrives_message_by_message_and_can_be_rebuilt(tmp_path: Path) -> None:
    account = make_account(size=FULL)
    with serve_gateway(account, rate_scale=100) as gateway:
        ended = run(gateway, tmp_path, "sync", "full")
        assert ended.returncode == 0, ended.stderr
        assert gateway.token not in ended.stdout + ended.stderr
        refused = sum(request.status == 429 for request in gateway.requests)
        assert refused * 100 < len(gateway.requests)
    assert differences(tmp_path, account) == []
    assert len(stored(tmp_path)) == 62_673
    with Store(tmp_path / "whatsapp_chats.db") as store:
        before = census(store.connection)
        rebuild(store)
        assert census(store.connection) == before
        assert verify(store) == []
