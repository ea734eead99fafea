"""A webhook receiver that really listens on loopback, on a real archive, and somebody who posts to it."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx
from store_fixtures import RECEIVED_AT
from sync_desk import Hurried

from whatsapp_mcp.app import NO_EXTRAS, Writer
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.store import Store
from whatsapp_mcp.verify import verify
from whatsapp_mcp.webhook import Limits, serve_webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anyio.abc import SocketStream

    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync import Outcome

TOKEN = "sesame-fictional-0123456789"
WITHIN = 20.0
QUICK = Limits(patience=0.5)


class Fixed(Hurried):
    """A clock that stands still until it is put forward."""

    def __init__(self, now: float = RECEIVED_AT) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await (anyio.sleep_forever() if seconds > 60 else super().sleep(seconds))


@dataclass
class Desk:
    """What a test needs of one receiver."""

    path: Path
    writer: Writer
    http: httpx.AsyncClient
    stop: anyio.Event
    clock: Fixed
    url: str = ""
    said: list[str] = field(default_factory=list)
    outcome: list[Outcome] = field(default_factory=list)

    async def post(self, body: bytes, token: str = TOKEN, **headers: str) -> int:
        proof = {"Authorization": f"Bearer {token}"} if token else {}
        return (await self.http.post(self.url, content=body, headers={**proof, **headers})).status_code

    async def connect(self) -> SocketStream:
        address = urlsplit(self.url)
        return await anyio.connect_tcp(str(address.hostname), int(address.port or 0))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.path)
        found = connection.execute(sql).fetchall()
        connection.close()
        return found

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    def cursors(self) -> dict[str, str]:
        return dict(self.rows("SELECT name, value FROM cursors"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait, but not for ever, for what happens in the receiver's own time."""
    with anyio.fail_after(WITHIN):
        while not condition():  # noqa: ASYNC110 - it is the database that changes, which sets no event
            await anyio.sleep(0.01)


@asynccontextmanager
async def receiving(
    folder: Path,
    *,
    token: str = TOKEN,
    limits: Limits | None = None,
    gateway: GreenApi | None = None,
    clock: Fixed | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[Desk]:
    """A receiver until the block ends; the archive is verified then."""
    path = folder / "whatsapp_chats.db"
    with Store(path, synchronous="FULL") as store:
        writer = Writer(store, Ingest(store), NO_EXTRAS)
        async with httpx.AsyncClient(timeout=WITHIN, trust_env=False) as http:
            desk = Desk(path, writer, http, anyio.Event(), clock or Fixed())
            with anyio.fail_after(WITHIN * 2):
                async with anyio.create_task_group() as tasks:
                    await _open(desk, tasks, token=token, limits=limits, gateway=gateway, host=host)
                    yield desk
                    await http.aclose()
                    desk.stop.set()
        assert list(verify(store, thorough=True)) == []


async def _open(
    desk: Desk, tasks: anyio.abc.TaskGroup, *, token: str, limits: Limits | None, gateway: GreenApi | None, host: str
) -> None:
    is_open = anyio.Event()

    def opened(url: str) -> None:
        desk.url = url
        is_open.set()

    async def serve() -> None:
        desk.outcome.append(
            await serve_webhook(
                desk.writer, desk.clock, host=host, port=0, token=token, stop=desk.stop, gateway=gateway, limits=limits,
                say=desk.said.append, opened=opened,
            )
        )  # fmt: skip

    tasks.start_soon(serve)
    await is_open.wait()


def notification(number: int, text: str = "hello", *, at: int = RECEIVED_AT - 60) -> dict[str, Any]:
    """A message as Green API posts it (its docs, IncomingMessageReceived)."""
    return {
        "typeWebhook": "incomingMessageReceived",
        "instanceData": {"idInstance": 7105000001, "wid": "15550100001@c.us", "typeInstance": "whatsapp"},
        "timestamp": at,
        "idMessage": f"3A{number:018X}",
        "senderData": {"chatId": "15550100002@c.us", "sender": "15550100002@c.us", "senderName": "Alice Example"},
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": text}},
    }
