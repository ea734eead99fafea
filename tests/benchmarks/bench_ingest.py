"""Above the network: journal messages a second from JSON to committed, searchable rows, on one core; and a replay.

Run it with ``python tests/benchmarks/bench_ingest.py``. It prints medians of several runs and the database's size; nothing is
asserted, since the figures depend on the machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.demo.account import make_account
from whatsapp_mcp.demo.journal import Teller, encode
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.payload import Payload, cut_items
from whatsapp_mcp.store import Mark, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS: Final = 5
GROUP: Final = 3_000
NOW: Final = 1_790_000_000


class Measured(NamedTuple):
    """One pass over all histories."""

    seconds: float
    messages: int


def bodies() -> list[tuple[str, str]]:
    """Every chat of the synthetic account with the body that getChatHistory answers, the busiest chat first."""
    account = make_account()
    people = {person.id: person for person in account.contacts}
    teller = Teller(account.owner, people, "http://127.0.0.1:8080", 7105000001)
    found = [
        (chat, encode([teller.record(entry) for entry in reversed(entries)]).decode())
        for chat, entries in account.history.items()
    ]
    return sorted(found, key=lambda pair: len(pair[1]), reverse=True)


def ingest(path: Path, histories: list[tuple[str, str]]) -> Measured:
    """Receive every history as a full sync does."""
    new = 0
    began = time.perf_counter()
    with Store(path) as store:
        desk = Ingest(store)
        run = store.begin_run("full", NOW)
        for group in grouped(histories):
            arrived = [(payload(chat, body), chat) for chat, body in group]
            marked = [(found, Mark(NOW, chat, "complete", run, len(found.items))) for found, chat in arrived]
            new += sum(applied.messages for applied in desk.receive_all(marked))
    return Measured(time.perf_counter() - began, new)


def payload(chat: str, body: str) -> Payload:
    """What the client makes of a body."""
    items, damaged = cut_items(body)
    return Payload("getChatHistory", NOW, items, {"chatId": chat, "count": "1000000"}, damaged=damaged)


def grouped(histories: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """As `sync.writing` groups what waits for the disk into transactions."""
    group: list[tuple[str, str]] = []
    size = 0
    for chat, body in histories:
        size += body.count('"idMessage"')
        if group and size > GROUP:
            yield group
            group, size = [], body.count('"idMessage"')
        group.append((chat, body))
    yield group


def main() -> None:
    """Print the figures."""
    histories = bodies()
    first, again, size, payloads = [], [], 0, 0
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "whatsapp_chats.db"
            first.append(ingest(path, histories))
            again.append(ingest(path, histories))
            with Store(path) as store:
                store.compact()
                stored = "SELECT sum(pgsize) FROM dbstat WHERE name IN ('payloads', 'payload_items')"
                payloads = store.connection.execute(stored).fetchone()[0]
            size = path.stat().st_size
    rate = statistics.median(run.messages / run.seconds for run in first)
    ratio = statistics.median(one.seconds / other.seconds for one, other in zip(first, again, strict=True))
    print(f"first:  {first[0].messages:,} messages, {rate:,.0f} a second (median of {RUNS})")
    print(f"replay: {ratio:.1f} times faster, {sum(run.messages for run in again)} messages changed anything")
    print(f"size:   {(size - payloads) / 1e6:.2f} MB with full-text search, {size / 1e6:.2f} MB with the payloads")


if __name__ == "__main__":
    main()
