"""The writer as a flow uses it: one blocking call at a time, in a worker thread, so that no request waits for the disk."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.ingest import Applied, Ingest
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Mark, Store

P = ParamSpec("P")
T = TypeVar("T")


class Writer(Protocol):
    """What `app` hands out while it holds the lock."""

    @property
    def store(self) -> Store:
        """Runs, marks and cursors."""
        ...

    @property
    def ingest(self) -> Ingest:
        """Payloads become rows."""
        ...


class Pen:
    """Calls the writer for many tasks, one after the other."""

    def __init__(self, writer: Writer) -> None:
        """Write with `writer`."""
        self.store = writer.store
        self._ingest = writer.ingest
        self._one = anyio.Lock()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a blocking call; once begun, it is waited for even when the flow is cancelled."""
        async with self._one:
            return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))

    async def receive(self, payload: Payload, mark: Mark | None = None) -> Applied:
        """Make a payload part of the archive together with `mark`."""
        return await self.call(self._ingest.receive, payload, mark)
