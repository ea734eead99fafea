"""`listen` is killed at any moment, a hundred times in a row: nothing lost, nothing twice, and the queue drains."""

from __future__ import annotations

import multiprocessing
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.store import Store
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

KILLS = 100
SAID = "said.txt"
WAITING = 40
"""So many notifications wait at each start: more than one life of the listener takes."""

_PRELOADED = [
    "whatsapp_mcp.cli.listening", "whatsapp_mcp.cli.parser", "whatsapp_mcp.sync.listen", "whatsapp_mcp.sync.recent",
    "whatsapp_mcp.greenapi.transport", "whatsapp_mcp.ingest", "whatsapp_mcp.store", "sqlite_utils", "filelock", "httpx",
]  # fmt: skip


def _listen(home: str, environment: dict[str, str], words: list[str]) -> None:
    """The whole command, in a process of its own."""
    os.environ.update(environment)
    os.chdir(home)
    sys.stderr = sys.stdout = open(SAID, "a", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115 - until the process ends
    from whatsapp_mcp.cli import main

    sys.exit(main(["--home", home, "listen", *words]))


def _start(home: Path, gateway: Gateway, *words: str) -> ForkServerProcess:
    environment = {
        "GREEN_API_URL": gateway.url,
        "GREEN_API_ID_INSTANCE": str(gateway.id_instance),
        "GREEN_API_TOKEN_INSTANCE": gateway.token,
        "GREEN_API_RATE_SCALE": "1000",
    }
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=_listen, args=(str(home), environment, list(words)))
    process.start()
    return process


def _wait_for_receiving(gateway: Gateway, process: ForkServerProcess, since: int) -> None:
    """Until this life of the listener has begun to receive; the moment of the kill is random from then on."""
    end = time.monotonic() + 30
    while not any(seen.method == "receiveNotification" for seen in gateway.requests[since:]):
        assert process.is_alive(), f"listen ended by itself ({process.exitcode})"
        assert time.monotonic() < end, "listen asks for nothing"
        process.join(0.002)


def _tell(gateway: Gateway, told: list[str], chats: list[str]) -> None:
    while len(gateway.queue) < WAITING:
        number = len(told)
        entry = gateway.deliver(
            gateway.compose(chats[number % len(chats)], f"message number {number}", from_me=number % 3 == 0)
        )
        told.append(entry.id)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and a fork server are of POSIX")
@pytest.mark.timeout(300)
def test_a_listener_that_is_killed_a_hundred_times_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    multiprocessing.set_forkserver_preload(_PRELOADED)
    chance = random.Random(3)
    account = make_account(size=SMALL)
    chats = [account.person("Mike").id, next(group.id for group in account.groups if not group.left)]
    told: list[str] = []
    with serve_gateway(account, rate_scale=1000, patience=0.05) as gateway:
        for _ in range(KILLS):
            _tell(gateway, told, chats)
            since = len(gateway.requests)
            process = _start(tmp_path, gateway)
            _wait_for_receiving(gateway, process, since)
            process.join(chance.random() * 0.12)
            process.kill()
            process.join(10)
        taken = len(told) - len(gateway.queue)
        ended = _start(tmp_path, gateway, "--drain")
        ended.join(60)
        assert ended.exitcode == 0, (tmp_path / SAID).read_text(encoding="utf-8")[-1_000:]
        assert not gateway.queue
        assert gateway.count("deleteNotification", 200) >= len(told)
    assert KILLS < taken < len(told), "the kills came while notifications were being taken"
    _compare(tmp_path, told)


def _compare(home: Path, told: list[str]) -> None:
    with closing(sqlite3.connect(home / "whatsapp_chats.db")) as connection:
        stored = Counter(number for (number,) in connection.execute("SELECT whatsapp_message_id FROM messages"))
        receipts = connection.execute("SELECT count(*) FROM payloads WHERE origin = 'receiveNotification'").fetchone()[0]
        interrupted = connection.execute("SELECT count(*) FROM runs WHERE kind = 'listen' AND state = 'interrupted'").fetchone()
    assert stored == Counter(told)
    assert receipts == len(told), "a ticket that came again is stored once"
    assert KILLS * 0.9 < interrupted[0] <= KILLS, "a few were killed before they had begun"
    with Store(home / "whatsapp_chats.db") as store:
        assert verify(store, thorough=True) == []
