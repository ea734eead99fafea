"""How much of the bandwidth that plain httpx reaches a run of downloads has, how much memory it takes, and what faults leave.

Run it with ``python tests/benchmarks/bench_media.py [files] [median bytes]`` (2,000 and 1,000,000). A host in a process of its
own serves files of the sizes that people send (log-normal) on loopback; one request in ten meets a fault: a cut, a 500, a stale
link, a wrong length, a stall. Plain httpx fetches all of them without a fault, as many at once, into files, hashing nothing,
before and after the real run, which goes at 100 times the documented pace. Nothing is asserted, since figures depend on the
machine.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

if TYPE_CHECKING:
    from collections.abc import Sequence

SCALE: Final = 100
AT_ONCE: Final = 48
FAULTS: Final = ("cut", "error", "stale", "length", "stall")
BLOCK: Final = random.Random(1).randbytes(1 << 20)
LARGEST: Final = 30_000_000


def size_of(number: int, median: int) -> int:
    """Bytes of a file."""
    return min(LARGEST, max(2_000, int(random.Random(number).lognormvariate(math.log(median), 0.8))))


def fault_of(number: int, tries: int) -> str:
    """What happens to a request for a file; a tenth of all."""
    dice = random.Random(number * 100 + tries + 7)
    return dice.choice(FAULTS) if dice.random() < 0.1 else ""


class Host:
    """Files, faults, and the gateway's downloadFile."""

    def __init__(self, median: int) -> None:
        self.median = median
        self.tries: Counter[int] = Counter()
        self.met: Counter[str] = Counter()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if not await self._answer(head, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        path = head.split(" ", 2)[1]
        if path == "/met":
            return self._json(writer, dict(self.met))
        if "/downloadFile/" in path:
            length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length"))
            number = int("0x" + json.loads(await reader.readexactly(length))["idMessage"].removeprefix("3A"), 0)
            port = writer.get_extra_info("sockname")[1]
            return self._json(writer, {"downloadUrl": f"http://127.0.0.1:{port}/fresh/{number}"})
        kind, named = path.rsplit("/", 1)
        wanted = int(named)
        start = next((int(line[13:].rstrip("-\r")) for line in head.split("\n") if line.lower().startswith("range: bytes=")), 0)
        fault = "" if kind == "/plain" else fault_of(wanted, self.tries[wanted])
        self.tries[wanted] += kind != "/plain"
        self.met[fault] += bool(fault)
        return await self._file(wanted, start, "" if fault == "stale" and kind == "/fresh" else fault, writer)

    @staticmethod
    def _json(writer: asyncio.StreamWriter, value: object) -> bool:
        body = json.dumps(value).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        return True

    async def _file(self, number: int, start: int, fault: str, writer: asyncio.StreamWriter) -> bool:
        if fault in ("error", "stale"):
            writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % (500 if fault == "error" else 404))
            return True
        whole = size_of(number, self.median)
        left = whole - start
        claimed = left + 5_000 if fault == "length" else left
        state = b"206 Part" if start else b"200 OK"
        span = b"Content-Range: bytes %d-%d/%d\r\n" % (start, whole - 1, whole) if start else b""
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n" % (state, claimed, span))
        end = start + (left // 2 if fault in ("cut", "stall") else left)
        await self._send(number, start, end, writer)
        if fault == "stall":
            await asyncio.sleep(60)
        return fault not in ("cut", "length", "stall")

    @staticmethod
    async def _send(number: int, start: int, end: int, writer: asyncio.StreamWriter) -> None:
        head = b"\xff\xd8\xff\xe0\x00\x10JFIF%012d" % number
        if start < len(head):
            writer.write(head[start:end])
            start = min(end, len(head))
        while start < end:
            at = start % len(BLOCK)
            piece = memoryview(BLOCK)[at : at + min(len(BLOCK) - at, end - start, 1 << 18)]
            writer.write(piece)
            start += len(piece)
            await writer.drain()


async def host(median: int) -> None:
    """Serve until killed."""
    served = Host(median)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def plain(url: str, numbers: Sequence[int], folder: Path) -> tuple[float, int]:
    """Seconds and bytes of plain httpx."""
    import httpx

    waiting, got = list(numbers), 0

    async def work(client: httpx.AsyncClient) -> None:
        nonlocal got
        while waiting:
            number = waiting.pop()
            async with client.stream("GET", f"{url}/plain/{number}") as response:
                with (folder / str(number)).open("wb") as file:
                    async for piece in response.aiter_raw():
                        file.write(piece)
                        got += len(piece)

    began = time.perf_counter()
    async with (
        httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=None)) as client,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(AT_ONCE):
            tasks.create_task(work(client))
    return time.perf_counter() - began, got


def measure_plain(url: str, count: int, folder: Path) -> float:
    """Bytes a second of plain httpx; measured before and after, because the machine may be busy with other things, too."""
    seconds, got = asyncio.run(plain(url, range(count), folder))
    print(f"plain httpx: {count:,} files, {got / 1e6:,.0f} MB in {seconds:.1f} s, {got / seconds / 1e6:,.0f} MB/s", flush=True)
    for path in folder.iterdir():
        path.unlink()
    os.sync()
    return got / seconds


def fill(home: Path, url: str, count: int) -> None:
    """An archive whose queue holds `count` files."""
    from store_fixtures import history, incoming
    from sync_desk import OpenWriter

    with OpenWriter(home / "whatsapp_chats.db") as writer:
        fields: dict[str, Any] = {"typeMessage": "imageMessage", "fileName": "", "mimeType": "image/jpeg"}
        items = [incoming(number, "", downloadUrl=f"{url}/file/{number}", **fields) for number in range(count)]
        writer.ingest.receive(history(items))


async def ours(home: Path, url: str) -> None:
    """The real run; prints what came of it."""
    from dataclasses import asdict

    from small_gateway import ID, TOKEN
    from sync_desk import OpenWriter

    from whatsapp_mcp.app import Extras, MediaWishes
    from whatsapp_mcp.clock import SystemClock
    from whatsapp_mcp.greenapi import Credentials, GreenApi
    from whatsapp_mcp.media.downloading import download_media

    clock = SystemClock()
    with OpenWriter(home / "whatsapp_chats.db", Extras(media=MediaWishes(home, "127.0.0.1", SCALE))) as writer:
        async with GreenApi(Credentials(url, ID, TOKEN), rate_scale=SCALE, clock=clock) as api:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome = await download_media(api, writer, clock)
            again = await download_media(api, writer, clock)
    peak = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**asdict(outcome), "again": again.requests, "peak_mb": peak.ru_maxrss / 1024, "before_mb": before / 1024,
                      "cpu": peak.ru_utime + peak.ru_stime}))  # fmt: skip


def main(count: int, median: int) -> None:
    """Measure and print."""
    me = [sys.executable, __file__]
    serving = subprocess.Popen([*me, "host", str(median)], stdout=subprocess.PIPE, text=True)
    assert serving.stdout is not None
    url = f"http://127.0.0.1:{int(serving.stdout.readline())}"
    try:
        with tempfile.TemporaryDirectory() as folder:
            home, beside = Path(folder) / "home", Path(folder) / "plain"
            home.mkdir()
            beside.mkdir()
            before = measure_plain(url, count, beside)
            fill(home, url, count)
            done = subprocess.run([*me, "ours", str(home), url], check=True, capture_output=True, text=True)
            after = measure_plain(url, count, beside)
            tell(json.loads(done.stdout), (before + after) / 2)
    finally:
        serving.kill()
        serving.wait()


def tell(found: dict[str, float], fastest: float) -> None:
    """Print the run's figures."""
    rate = found["bytes_stored"] / found["seconds"]
    print(
        f"the queue:   {found['stored']:,} stored, {found['put_off']} put off, {found['left']} left, {found['failed']} failed,"
        f" {found['bytes_stored'] / 1e6:,.0f} MB in {found['seconds']:.1f} s, {rate / 1e6:,.0f} MB/s: {rate / fastest:.0%}\n"
        f"requests {found['requests']:,}, links renewed {found['renewed']}, a second run made {found['again']} requests;"
        f" memory {found['peak_mb']:.0f} MB at most ({found['before_mb']:.0f} before), {found['cpu']:.1f} s of processor"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["host"]:
        asyncio.run(host(int(sys.argv[2])))
    elif sys.argv[1:2] == ["ours"]:
        asyncio.run(ours(Path(sys.argv[2]), sys.argv[3]))
    else:
        main(*map(int, [*sys.argv[1:], "2000", "1000000"][:2] if len(sys.argv) < 2 else [*sys.argv[1:], "1000000"][:2]))
