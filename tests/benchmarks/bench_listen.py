"""From a notification at the gateway to a row that a search finds, and how many a listener takes in a second.

Run it with ``python tests/benchmarks/bench_listen.py``. The real command listens to the simulated gateway, which runs in this
process; a reader asks the archive as the server would. It prints medians; nothing is asserted, since figures depend on the
machine.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.demo.gateway import Gateway

SINGLE: Final = 200
BURST: Final = 1_000
TARGET_MS: Final = 100


@contextmanager
def listening(gateway: Gateway, home: Path) -> Iterator[Queries]:
    """The command at work on an archive in `home`, and a reader of it."""
    environment = {
        **os.environ,
        "GREEN_API_URL": gateway.url,
        "GREEN_API_ID_INSTANCE": str(gateway.id_instance),
        "GREEN_API_TOKEN_INSTANCE": gateway.token,
        "WHATSAPP_MCP_TIMEZONE": "UTC",
    }
    command = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "listen"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    queries = Queries(home / "whatsapp_chats.db", zone=ZoneInfo("UTC"), clock=SystemClock())
    try:
        yield queries
    finally:
        queries.close()
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def found(queries: Queries, word: str) -> bool:
    """Whether a search finds the word."""
    try:
        return bool(queries.search(word, limit=1).messages)
    except StorageError:  # the listener has not made the archive yet
        return False


def seconds_until_found(queries: Queries, word: str) -> float:
    """From now until a search finds it."""
    began = time.perf_counter()
    while not found(queries, word):
        time.sleep(0.001)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    account = make_account(size=SMALL)
    mike = account.person("Mike").id
    with tempfile.TemporaryDirectory() as folder, serve_gateway(account, patience=1.0) as gateway:
        home = Path(folder)
        with listening(gateway, home) as queries:
            gateway.deliver(gateway.compose(mike, "warmup"))
            seconds_until_found(queries, "warmup")
            taken = []
            for number in range(SINGLE):
                gateway.deliver(gateway.compose(mike, f"single{number}"))
                taken.append(1000 * seconds_until_found(queries, f"single{number}"))
            taken.sort()
            middle, late = statistics.median(taken), taken[int(len(taken) * 0.95)]
            print(f"one notification until it is found: median {middle:.1f} ms, 95th percentile {late:.1f} ms (of {TARGET_MS})")
            for number in range(BURST):
                gateway.deliver(gateway.compose(mike, f"burst{number}"))
            began = time.perf_counter()
            seconds_until_found(queries, f"burst{BURST - 1}")
            print(f"{BURST} waiting notifications: {BURST / (time.perf_counter() - began):.0f} a second, two requests each")


if __name__ == "__main__":
    main()
