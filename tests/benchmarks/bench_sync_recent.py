"""`sync recent` in an archive of a million messages: 842 new ones in 50 chats, and its own time beside the waiting.

Run it with ``python tests/benchmarks/bench_sync_recent.py``. Each run is a process of its own against a gateway in another one.
Its own time is that from opening the archive to closing it, less the time in which any request was under way; importing the
program is not counted. It prints medians; wanted are at most 300 ms and 150 MB. Nothing is asserted, since the figures depend
on the machine.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import anyio
import httpx
import sqlite_utils  # noqa: F401 - not to be counted

import whatsapp_mcp.ingest
import whatsapp_mcp.queries
import whatsapp_mcp.store  # noqa: F401 - not to be counted
from whatsapp_mcp.app import Archive
from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.config import Settings
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.schema import DATABASE_NAME
from whatsapp_mcp.store import Mark, Span, Store
from whatsapp_mcp.sync import sync_recent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

RUNS: Final = 7
MESSAGES: Final = 842
CHATS: Final = 50
WANTED_MS: Final = 300
WANTED_MB: Final = 150
HOUR: Final = 3_600


def prepare(source: Path, home: Path) -> tuple[str, list[str]]:
    """Copy the archive as a sync an hour ago left it; answers with the owner and the chats to write in."""
    path = home / DATABASE_NAME
    shutil.copy(source / DATABASE_NAME, path)
    now = int(time.time()) - HOUR
    with Store(path) as store:
        chats = list(store.gaps.chats(now))
        owner = store.owner() or "15550100001@c.us"
        with store.transaction():
            store.mark_chat(
                Mark(now, cursors={"journals_since": str(now)}, covered=(Span("journal", now - 26_300 * 60, now - 120),))
            )
            for chat in chats:
                covered = (Span("history", now - 100 * 24 * HOUR, now - 120, chat),)
                store.mark_chat(Mark(now, chat, "complete", None, 100, covered=covered))
            for chat, message in store.gaps.missing(
                100_000, now
            ):  # asked for in the last run; ten a second would be waited for
                store.note_repair(chat, message, "not_found", now)
    return owner, [chat for chat in chats if chat.endswith("@c.us")][:CHATS]


def serve(owner: str, chats: list[str], line: Connection) -> None:
    """Answer as Green API does; with each round an hour has passed, and there is news of it."""
    told: list[tuple[int, dict[str, Any]]] = []
    rounds = [int(time.time()) - HOUR]

    class Gateway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            method, minutes = self.path.split("/")[2], int(self.path.rpartition("=")[2] or 0) if "=" in self.path else 0
            answer: object = []
            if method == "getWaSettings":
                answer = {"phone": owner.split("@", maxsplit=1)[0], "stateInstance": "authorized", "avatar": "", "deviceId": ""}
            elif method.endswith("Messages"):
                direction = "incoming" if "Incoming" in method else "outgoing"
                since = rounds[0] - minutes * 60
                answer = [item for at, item in told if at >= since and item["type"] == direction]
            self.reply(answer)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if "anHourPassed" in self.path:
                rounds[0] += HOUR
                told.extend(news(rounds[0], chats))
            self.reply([])

        def date_time_string(self, timestamp: float | None = None) -> str:
            """Its own time, which a sync compares with ours."""
            return super().date_time_string(rounds[0] if timestamp is None else timestamp)

        def reply(self, answer: object) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    line.send(f"http://127.0.0.1:{server.server_port}")
    server.serve_forever()


def news(now: int, chats: list[str]) -> list[tuple[int, dict[str, Any]]]:
    """What was said in the hour before `now`; a third of it goes out."""
    found = []
    for place in range(MESSAGES):
        at, chat = now - 600 - place * 3, chats[place % len(chats)]
        item = {
            "type": "outgoing" if place % 3 == 0 else "incoming", "idMessage": f"3EB0{now:08X}{place:08X}", "timestamp": at,
            "typeMessage": "textMessage", "chatId": chat, "senderId": chat, "senderName": "Noor Example",
            "textMessage": f"This is number {place} of the new messages of this hour.",
        }  # fmt: skip
        found.append((at, item))
    return found


class Later(SystemClock):
    """A clock that some hours were put forward."""

    def __init__(self, hours: int) -> None:
        self._ahead = hours * HOUR

    def now(self) -> float:
        return super().now() + self._ahead


class Watch(httpx.AsyncHTTPTransport):
    """The network, and when it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[float, float]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began = time.perf_counter()
        response = await super().handle_async_request(request)
        await response.aread()
        self.waits.append((began, time.perf_counter()))
        return response

    def waited(self) -> float:
        """Seconds in which at least one request was under way."""
        total, until = 0.0, 0.0
        for began, ended in sorted(self.waits):
            total += max(0.0, ended - max(began, until))
            until = max(until, ended)
        return total


def measure(home: Path, url: str, hours: int, line: Connection) -> None:
    """One run, in a process of its own."""
    watch, clock = Watch(), Later(hours)
    httpx.post(f"{url}/waInstance1/anHourPassed/x", json={})
    archive = Archive.open(Settings(home=home, timezone=ZoneInfo("UTC")), clock)

    async def work() -> None:
        with archive.writer() as writer:
            async with GreenApi(Credentials(url, "7105000001", "x" * 50), clock=clock, transport=watch) as gateway:
                outcome = await sync_recent(gateway, writer, clock)
        line.send((outcome.messages_new, outcome.requests, outcome.notes))

    before = time.process_time()
    began = time.perf_counter()
    anyio.run(work)
    wall = time.perf_counter() - began
    line.send((wall, watch.waited(), time.process_time() - before, peak_memory()))


def peak_memory() -> float:
    """Megabytes at most; what getrusage says may be those of the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def samples(home: Path, url: str) -> Iterator[tuple[float, float, float, float]]:
    """The figures of each run."""
    context = multiprocessing.get_context("spawn")
    for hours in range(RUNS):
        ours, theirs = context.Pipe()
        process = context.Process(target=measure, args=(home, url, hours, theirs))
        process.start()
        new, requests, notes = ours.recv()
        yield ours.recv()
        process.join()
        if new != MESSAGES or requests > 6:
            sys.exit(f"{new} new messages with {requests} requests: {notes}")


def main() -> None:
    """Print the figures."""
    import large_archives  # not in the processes that are measured

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        owner, chats = prepare(large_archives.large(large_archives.seed_sized(Path(folder) / "seed")), home)
        messages = sqlite3.connect(home / DATABASE_NAME).execute("SELECT count(*) FROM messages").fetchone()[0]
        ours, theirs = multiprocessing.Pipe()
        gateway = multiprocessing.Process(target=serve, args=(owner, chats, theirs), daemon=True)
        gateway.start()
        found = list(samples(home, ours.recv()))
        gateway.terminate()
    wall, waited, cpu, memory = (statistics.median(column) for column in zip(*found, strict=True))
    own = statistics.median(one[0] - one[1] for one in found)
    print(f"{MESSAGES} new messages in {CHATS} chats of an archive of {messages:,} messages (median of {RUNS} runs):")
    print(f"own time {own * 1000:.0f} ms (wanted: {WANTED_MS}), {cpu * 1000:.0f} ms of processor;")
    print(
        f"{wall * 1000:.0f} ms in all, {waited * 1000:.0f} ms of them waiting; {memory:.0f} MB resident (wanted: {WANTED_MB})"
    )


if __name__ == "__main__":
    main()
