"""A real HTTP server on loopback that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    verb: str
    path: str
    query: dict[str, str]
    body: object
    at: float

    @property
    def method(self) -> str:
        return self.path.split("/")[2]


Answer = tuple[int, str]
Play = Callable[[Asked], Answer | Awaitable[Answer]]


@dataclass
class Loopback:
    play: Play
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while asked := await _read(reader):
                self.asked.append(asked)
                answer = self.play(asked)
                status, text = answer if isinstance(answer, tuple) else await answer
                writer.write(_written(status, text.encode(errors="surrogateescape")))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def _written(status: int, body: bytes) -> bytes:
    location = b"Location: /elsewhere\r\n" if 300 <= status < 400 else b""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + location + b"\r\n" + body


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode().split("\r\n")
    verb, target, _ = lines[0].split(" ")
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length")), 0)
    body = await reader.readexactly(length) if length else b""
    parts = urlsplit(target)
    return Asked(verb, parts.path, dict(parse_qsl(parts.query)), json.loads(body) if body else None, time.monotonic())


@asynccontextmanager
async def loopback(play: Play) -> AsyncIterator[Loopback]:
    gateway = Loopback(play)
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    gateway.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.close()
