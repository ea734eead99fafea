"""A host of files on loopback with every fault on demand, and an archive whose queue points to it."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loopback import Answer, Asked, Loopback, loopback
from small_gateway import ID, TOKEN
from store_fixtures import ALICE, history, incoming
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.app import Extras, MediaWishes
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.media.downloading import Limits, download_media
from whatsapp_mcp.media.transfer import Patience
from whatsapp_mcp.verify import verify, verify_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.media.outcome import MediaOutcome

JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffdb004300") + bytes(range(256)) * 8 + bytes.fromhex("ffd9")
NOW = 1_790_000_000
QUICK = Limits(patience=Patience(least=0.2, most=0.4, usual=0.01, grace=2.0), reserve=0)


def picture(number: int, size: int = 2_000) -> bytes:
    """A content that begins like a JPEG and is like no other."""
    return (JPEG + f"{number:08d}".encode() + bytes(size))[:size]


@dataclass
class Served:
    """One file, and what goes wrong with it."""

    body: bytes
    status: int = 200
    cut_after: int | None = None
    """The connection breaks after so many bytes of a whole answer."""
    stall_after: int | None = None
    length: int | None = None
    """What Content-Length claims; -1 for none."""
    faults: int = 10**9
    """How many requests meet the fault; after that all is well."""
    ranges: bool = True
    location: str = ""
    endless: bool = False
    later: bytes | None = None
    """What it is once the faults are over."""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Host:
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Range of each request."""
    url: str = ""
    sent: int = 0
    at_once: int = 0
    most_at_once: int = 0
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def count(self, path: str) -> int:
        return sum(asked == path for asked, _ in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ", 2)[1]
                found = re.search(r"^range: (.*)\r$", head, re.MULTILINE | re.IGNORECASE)
                self.asked.append((path, found[1].strip() if found else ""))
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
                try:
                    stays = await self._answer(path, found[1].strip() if found else "", writer)
                finally:
                    self.at_once -= 1
                if not stays:
                    break
        writer.close()

    async def _answer(self, path: str, span: str, writer: asyncio.StreamWriter) -> bool:
        """False when the connection ends."""
        file = self.files.get(path, Served(b"", 404))
        is_faulty = file.faults > 0
        file.faults -= 1
        if not is_faulty and file.later is not None:
            file.body = file.later
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and file.ranges else 0
        status = file.status if is_faulty else 200
        if status == 200 and start:
            status = 206 if start < len(file.body) else 416
        body = file.body[start:] if status in (200, 206) else b""
        length = file.length if file.length is not None and is_faulty else len(body)
        head = {"Content-Length": str(length)} if length >= 0 else {"Connection": "close"}
        if start:
            head["Content-Range"] = f"bytes {start}-{len(file.body) - 1}/{len(file.body)}"
        if file.location:
            head["Location"] = file.location
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**head, **file.headers}.items())
        writer.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode())
        return await self._send(file, body, writer, is_faulty=is_faulty) and length >= 0

    async def _send(self, file: Served, body: bytes, writer: asyncio.StreamWriter, *, is_faulty: bool) -> bool:
        end = len(body)
        if is_faulty:
            end = next((at for at in (file.cut_after, file.stall_after) if at is not None), end)
        writer.write(body[:end])
        self.sent += len(body[:end])
        await writer.drain()
        while is_faulty and file.endless:
            writer.write(bytes(65_536))
            self.sent += 65_536
            await writer.drain()
        if is_faulty and file.stall_after is not None:
            await self.closing.wait()
        return not (is_faulty and file.cut_after is not None)


@dataclass
class MediaDesk:
    """An archive, a host of files, and a gateway that renews links."""

    home: Path
    host: Host
    gateway: Loopback
    links: dict[str, Answer]
    """What downloadFile says of a message id; 400 for all others."""
    wishes: dict[str, Any] = field(default_factory=dict)
    clock: Hurried = field(default_factory=Hurried)
    origins: int = 1

    @property
    def path(self) -> Path:
        return self.home / "whatsapp_chats.db"

    @contextmanager
    def writer(self) -> Iterator[OpenWriter]:
        self.home.mkdir(exist_ok=True)
        wishes = MediaWishes(self.home, "127.0.0.1", **{"rate_scale": 1000, **self.wishes})
        with OpenWriter(self.path, Extras(media=wishes)) as writer:
            yield writer

    def send(self, *items: dict[str, Any]) -> None:
        with self.writer() as writer:
            writer.ingest.receive(history(items[::-1]))

    def offer(self, number: int, body: bytes, kind: str = "image", **served: Any) -> str:
        """Message `number` carries `body`, to be fetched from the host; its path there."""
        path = f"/file{number}"
        self.host.files[path] = Served(body, **served)
        self.send(self.message(number, self.host.url + path, kind))
        return path

    def message(self, number: int, url: str, kind: str = "image", **more: Any) -> dict[str, Any]:
        fields = {"fileName": f"{number}.jpg", "mimeType": "image/jpeg", "caption": "", **more}
        return incoming(number, "", typeMessage=f"{kind}Message", downloadUrl=url, **fields)

    async def download(self, *, limits: Limits = QUICK, limit: int | None = None, with_gateway: bool = True) -> MediaOutcome:
        with self.writer() as writer:
            if not with_gateway:
                return await download_media(None, writer, self.clock, limit=limit, limits=limits)
            async with GreenApi(Credentials(self.gateway.url, ID, TOKEN), rate_scale=1000, clock=self.clock) as api:
                return await download_media(api, writer, self.clock, limit=limit, limits=limits)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        found = connection.execute(sql).fetchall()
        connection.close()
        return found

    def states(self) -> dict[str, int]:
        return dict(Counter(state for (state,) in self.rows("SELECT download_status FROM media_download_queue")))

    def state(self, number: int = 1) -> tuple[Any, ...]:
        query = (
            "SELECT download_status, attempts, next_attempt_at, last_error FROM media_download_queue JOIN messages"
            f" USING (message_id) WHERE whatsapp_message_id = '3A{number:018X}'"
        )
        return self.rows(query)[0]

    def stored(self) -> dict[str, bytes]:
        """Every file below the media folder by its path, thumbnails apart."""
        root = self.home / "media"
        files = (path for path in root.rglob("*") if path.is_file() and "thumbnails" not in path.parts)
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


@asynccontextmanager
async def serving(host: Host) -> AsyncIterator[Host]:
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield host
    finally:
        host.closing.set()
        server.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def media_desk(home: Path, **wishes: Any) -> AsyncIterator[MediaDesk]:
    """A desk whose archive is verified when the test is done with it."""
    links: dict[str, Answer] = {}

    def play(asked: Asked) -> Answer:
        body = asked.body if isinstance(asked.body, dict) else {}
        refusal = {"statusCode": 400, "message": "File message encrypted url not found by chatId and idMessage"}
        return links.get(str(body.get("idMessage")), links.get("*", (400, json.dumps(refusal))))

    async with serving(Host()) as host, loopback(play) as gateway:
        desk = MediaDesk(home, host, gateway, links, wishes)
        yield desk
    if desk.path.exists():
        with desk.writer() as writer:
            assert list(verify(writer.store, thorough=True)) == []
            assert list(verify_files(writer.store, home, thorough=True)) == []


def link_to(url: str) -> Answer:
    """What downloadFile answers."""
    return 200, json.dumps({"downloadUrl": url})


def id_of(number: int) -> str:
    """WhatsApp's id of message `number`."""
    return f"3A{number:018X}"


__all__ = [
    "ALICE", "JPEG", "NOW", "QUICK", "Callable", "Host", "Hurried", "MediaDesk", "Served", "history", "id_of", "incoming",
    "link_to", "media_desk", "picture", "serving",
]  # fmt: skip
