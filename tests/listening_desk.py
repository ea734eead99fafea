"""A desk for the listener: a simulated gateway with a queue, a durable archive on disk, and a way to stop."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from sync_desk import Hurried

from whatsapp_mcp.app import Writer
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync.listen import listen
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome, Progress

SCALE = 1000
WITHIN = 30
"""Seconds after which a test gives up waiting."""


class Later(Hurried):
    """A clock that can be put forward and back, and on which time can pass at once."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.passed = 0.0

    def now(self) -> float:
        return super().now() + self.ahead + self.passed

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


@dataclass
class Listening:
    """A gateway, an archive, and the listener between them."""

    path: Path
    gateway: Gateway
    clock: Later = field(default_factory=Later)
    told: list[Progress] = field(default_factory=list)

    def client(self) -> GreenApi:
        credentials = Credentials(self.gateway.url, self.gateway.id_instance, self.gateway.token)
        return GreenApi(credentials, rate_scale=SCALE, clock=self.clock)

    async def run(self, flow: Callable[..., Any], **more: Any) -> Outcome:
        with Store(self.path, synchronous="FULL") as store:
            async with self.client() as api:
                outcome: Outcome = await flow(api, Writer(store, Ingest(store)), self.clock, report=self.told.append, **more)
                return outcome

    async def drain(self) -> Outcome:
        with anyio.fail_after(WITHIN):
            return await self.run(listen, drain=True)

    @asynccontextmanager
    async def listening(self, **more: Any) -> AsyncIterator[None]:
        """A listener within the block, stopped cleanly at its end."""
        stop = anyio.Event()
        with anyio.fail_after(WITHIN):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep, stop, more)
                yield
                stop.set()

    async def _keep(self, stop: anyio.Event, more: dict[str, Any]) -> None:
        await self.run(listen, stop=stop, **more)

    async def until(self, happened: Callable[[], object]) -> None:
        with anyio.fail_after(WITHIN):
            while not happened():  # noqa: ASYNC110 - another process or thread makes it true
                await anyio.sleep(0.01)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def texts(self) -> list[str]:
        if not self.path.exists():
            return []
        return [text for (text,) in self.rows("SELECT content FROM messages ORDER BY message_id")]

    def cursor(self, name: str) -> int:
        return int(self.rows(f"SELECT value FROM cursors WHERE name = '{name}'")[0][0])

    def spans(self) -> list[tuple[int, int]]:
        return [
            (start, end)
            for start, end in self.rows("SELECT from_at, until_at FROM coverage WHERE origin = 'queue' ORDER BY from_at")
        ]


def verified(desk: Listening) -> Iterator[Listening]:
    """The desk, whose archive is verified when the test is done with it."""
    yield desk
    if desk.path.exists():
        with Store(desk.path) as store:
            assert list(verify(store, thorough=True)) == []
