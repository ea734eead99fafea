"""A desk on which the syncs run: a real archive on disk and a small gateway on loopback."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import anyio
from loopback import Loopback, loopback
from small_gateway import ID, TOKEN, Faults, SmallGateway, group, person

from whatsapp_mcp.app import NO_EXTRAS, Extras
from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import Outcome, Progress, full_sync, sync_chat
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


class Hurried(SystemClock):
    """Pauses between tries are cut short; time itself is real."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(min(seconds, 0.005))


@dataclass
class Desk:
    """An archive, a gateway, and a way to run the flows again and again."""

    path: Path
    gateway: SmallGateway
    server: Loopback
    told: list[Progress] = field(default_factory=list)

    async def full(self, *, restart: bool = False, watch: Callable[[Progress], None] | None = None) -> Outcome:
        def report(progress: Progress) -> None:
            self.told.append(progress)
            if watch is not None:
                watch(progress)

        with self.writer() as writer:
            async with self.client() as api:
                return await full_sync(api, writer, Hurried(), restart=restart, report=report)

    async def chat(self, chat: str, depth: int | None = None) -> Outcome:
        with self.writer() as writer:
            async with self.client() as api:
                return await sync_chat(api, writer, Hurried(), chat, depth=depth, report=self.told.append)

    def client(self) -> GreenApi:
        return GreenApi(Credentials(self.server.url, ID, TOKEN), rate_scale=1000, clock=Hurried())

    def writer(self) -> OpenWriter:
        return OpenWriter(self.path)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            found = connection.execute(sql).fetchall()
        connection.close()
        return found

    def progress(self) -> dict[str, str]:
        return dict(self.rows("SELECT whatsapp_chat_id, sync_progress FROM sync_status JOIN chats USING (chat_id)"))

    def state(self) -> str:
        return str(self.rows("SELECT state FROM runs ORDER BY run_id DESC LIMIT 1")[0][0])

    def messages(self) -> Counter[str]:
        return Counter(chat for (chat,) in self.rows("SELECT whatsapp_chat_id FROM messages JOIN chats USING (chat_id)"))

    def asked_for(self, method: str) -> list[str]:
        bodies = [asked.body for asked in self.server.asked if asked.method == method]
        return [str(body.get("chatId") or body.get("groupId")) if isinstance(body, dict) else "" for body in bodies]


class OpenWriter:
    def __init__(self, path: Path, extras: Extras = NO_EXTRAS) -> None:
        self.store = Store(path)
        self.ingest = Ingest(self.store)
        self.extras = extras

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


@asynccontextmanager
async def desk(folder: Path, gateway: SmallGateway) -> AsyncIterator[Desk]:
    """A desk whose archive is verified when the test is done with it."""
    path = folder / "whatsapp_chats.db"
    async with loopback(gateway) as server:
        yield Desk(path, gateway, server)
    with OpenWriter(path) as writer:
        assert list(verify(writer.store, thorough=True)) == []


def account(
    *,
    listed: list[dict[str, object]] | None = None,
    contacts: list[str] | None = None,
    recent: list[str] | None = None,
    state: str = "authorized",
    faults: Faults | None = None,
) -> SmallGateway:
    return SmallGateway(
        histories={person(2): 5, person(3): 7, group(1): 30, person(4): 1},
        listed=listed,
        contacts=contacts,
        recent=recent or [],
        state=state,
        faults=faults or {},
    )
