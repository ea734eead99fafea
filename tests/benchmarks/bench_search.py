"""How long a search takes in 62,673, in 1,000,000 and in 5,000,000 messages, and what a server holds in memory after 1,000.

Run it with ``python tests/benchmarks/bench_search.py [--small]``; the first run takes some minutes to make the large archives
(``--small`` leaves them out). Each
search is asked once in each of several rounds, each with a connection of its own that has answered only what the round asked
before; its time is the median of the rounds. Nothing is asserted, since the figures depend on the machine.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import anyio
import large_archives
from mcp import Client, StdioServerParameters
from search_mix import Ask, Mix

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.schema import DATABASE_NAME

ROUNDS: Final = 3
CALLS: Final = 1_000
ZONE: Final = "Asia/Jerusalem"
TARGETS: Final = {
    "62,673 messages": {"two words, a chat and dates": 5},
    "1,000,000 messages": {"two words, a chat and dates": 15, "most frequent words": 30, "a page of a chat": 2, "a name": 5},
    "5,000,000 messages": {"two words, a chat and dates": 40},
}
"""Milliseconds that 95 of 100 questions of a kind should stay under; in the largest archive none should take over 250."""


def mix_of(home: Path) -> list[Ask]:
    """The searches to make in the archive in `home`."""
    connection = sqlite3.connect(home / DATABASE_NAME)
    asks = Mix(connection).asks()
    connection.close()
    return asks


def timed(home: Path, asks: list[Ask]) -> list[float]:
    """Milliseconds that each search takes."""
    rounds = []
    for _ in range(ROUNDS):
        queries = Queries(home / DATABASE_NAME, zone=ZoneInfo(ZONE), clock=SystemClock())
        queries.coverage()
        rounds.append([_milliseconds(queries, ask) for ask in asks])
        queries.close()
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def _milliseconds(queries: Queries, ask: Ask) -> float:
    began = time.perf_counter()
    getattr(queries, ask.method)(ask.query, **ask.filters)
    return (time.perf_counter() - began) * 1000


def sizes(home: Path) -> None:
    """Print how large the search index is beside the texts that it finds."""
    connection = sqlite3.connect(home / DATABASE_NAME)
    (texts,) = connection.execute("SELECT sum(length(CAST(content AS BLOB))) FROM messages").fetchone()
    (index,) = connection.execute("SELECT sum(length(block)) FROM message_index_data").fetchone()
    connection.close()
    print(f"\nindex {index / 1e6:.1f} MB for {texts / 1e6:.1f} MB of texts: {index / texts:.2f} times (wanted: 1.5)")


def report(name: str, asks: list[Ask], times: list[float]) -> None:
    """Print the figures of each kind and of all."""
    print(f"\n{name}: {len(asks)} searches{'':13} median     p95     max  ms")
    by_kind: dict[str, list[float]] = {}
    for ask, taken in zip(asks, times, strict=True):
        by_kind.setdefault(ask.kind, []).append(taken)
    for kind, taken_of_kind in sorted(by_kind.items(), key=lambda pair: -statistics.quantiles(pair[1], n=20)[-1]):
        wanted = TARGETS[name].get(kind)
        _line(f"{kind} (wanted: {wanted})" if wanted else kind, taken_of_kind)
    _line("all", times)
    if "-v" in sys.argv:
        for taken, ask in sorted(zip(times, asks, strict=True), key=lambda pair: -pair[0])[:40]:
            print(f"  {taken:8.2f}  {ask.kind}: {ask.query!r} {ask.filters}")


def _line(kind: str, times: list[float]) -> None:
    p95 = statistics.quantiles(times, n=20)[-1]
    print(f"  {kind:44} {statistics.median(times):8.2f}{p95:8.2f}{max(times):8.2f}")


async def resident(home: Path, asks: list[Ask]) -> tuple[float, float, list[float]]:
    """MB that a server holds after its first search and after `CALLS`; the milliseconds of each call as the client sees it."""
    environment = {"PATH": os.environ["PATH"], "WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": ZONE}
    command = StdioServerParameters(command=sys.executable, args=["-m", "whatsapp_mcp", "serve"], env=environment)
    times, first, asks = [], 0.0, [ask for ask in asks if ask.method == "search"]
    async with Client(command) as client:
        (pid,) = _children()
        for number in range(CALLS):
            ask = asks[number % len(asks)]
            began = time.perf_counter()
            result = await client.call_tool("search_messages", {"query": ask.query, **ask.filters})
            times.append((time.perf_counter() - began) * 1000)
            if result.is_error:
                raise SystemExit(f"{ask}: {result.content}")
            first = first or _megabytes(pid)
        return first, _megabytes(pid), times


def _children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def _megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        seed = large_archives.seed_sized(Path(folder))
        homes = {"62,673 messages": seed}
        if "--small" not in sys.argv:
            homes["1,000,000 messages"] = large_archives.large(seed)
            homes["5,000,000 messages"] = large_archives.large(seed, large_archives.LARGEST)
        for name, home in homes.items():
            sizes(home)
            asks = mix_of(home)
            report(name, asks, timed(home, asks))
            if Path("/proc/self/status").exists():
                first, last, times = anyio.run(resident, home, asks)
                median, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
                print(f"  server: {last:.0f} MB resident after {CALLS:,} searches (wanted: 130), {first:.0f} MB after one;")
                print(f"          a call takes {median:.1f} ms, p95 {p95:.1f}")


if __name__ == "__main__":
    main()
