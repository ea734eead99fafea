"""Search by meaning on the synthetic account: how fast messages are read, how much a vector takes, what a search costs.

Run it: ``python tests/benchmarks/bench_meaning.py``. The walk over a million vectors is over copies of the account's own.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from large_archives import LARGE, seed_sized

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.meanings import index_meanings
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.search.meaning import Block, Meaning, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

QUERIES: Final = (
    "where is the contract",
    "car broke down",
    "מתי נפגשים",
    "подарок на день рождения",
    "flight delayed",
    "invoice",
)
_ROUNDS: Final = 15


def milliseconds(work: Callable[[str], object]) -> tuple[float, float]:
    """Median and 95th percentile of one query."""
    times = []
    for _ in range(_ROUNDS):
        for query in QUERIES:
            began = perf_counter()
            work(query)
            times.append((perf_counter() - began) * 1000)
    return median(times), sorted(times)[int(len(times) * 0.95)]


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        home = seed_sized(Path(folder) / "home")
        archive = Archive.open(Settings(home=home, timezone=ZoneInfo("Asia/Jerusalem"), semantic=True))
        began = perf_counter()
        index_meanings(archive)
        seconds = perf_counter() - began
        connection = sqlite3.connect(archive.database)
        messages, texts = connection.execute("SELECT count(*), sum(length(CAST(content AS BLOB))) FROM messages").fetchone()
        blocks = [Block(*row) for row in connection.execute("SELECT ids, texts, codes FROM meanings")]
        connection.close()
        vectors, taken = sum(len(one.ids) for one in blocks) // 8, sum(map(len, (part for one in blocks for part in one)))
        print(f"{messages:,} messages, {vectors:,} vectors made in {seconds:.0f} s ({messages / seconds:,.0f} messages/s)")
        print(f"{taken / vectors:.0f} bytes a vector, {taken / messages:.0f} a message, {taken / texts:.2f} of the texts")
        without = Queries(archive.database, zone=archive.settings.timezone, clock=archive.clock)
        for name, queries in (("words only", without), ("with meaning", archive.queries)):
            queries.search("warm")
            print(f"{name}: " + "median {:.1f} ms, p95 {:.1f} ms".format(*milliseconds(queries.search)))
        meaning = Meaning()
        meaning.vectors(["warm"])
        print("the model alone: median {:.1f} ms, p95 {:.1f} ms".format(*milliseconds(lambda query: meaning.vectors([query]))))
        million = list(islice((one for _ in range(LARGE) for one in blocks), LARGE * len(blocks) // max(vectors, 1)))
        walk = milliseconds(lambda query: nearest(million, query, meaning, most=2_000))
        print(f"a walk over {LARGE:,} vectors: median {walk[0]:.1f} ms, p95 {walk[1]:.1f} ms")


if __name__ == "__main__":
    main()
