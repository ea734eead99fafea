"""The writer as a flow uses it: one blocking call at a time, in a worker thread, so that no request waits for the disk."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

import anyio
import anyio.to_thread

from whatsapp_mcp.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Extras
    from whatsapp_mcp.ingest import Applied, Ingest
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Mark, Store

_ITEMS_AT_ONCE: Final = 3_000
"""Items in one transaction beside the first payload: bounds what a kill loses, and the memory."""

_ONE_AT_A_TIME: Final[WeakKeyDictionary[Store, anyio.Lock]] = WeakKeyDictionary()
"""One for each store: a listener and the sync that it runs beside itself have a pen each, and one connection."""

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

    @property
    def extras(self) -> Extras:
        """What the settings ask for beyond messages."""
        ...


def keep_unread(store: Store, payload: Payload, mark: Mark) -> None:
    """Store the letters of a payload whose records cannot be stored, so that it blocks nothing behind it."""
    with store.transaction():
        store.payloads.keep(payload, store.payloads.unseen(payload), len(payload.items))
        store.mark_chat(mark)


@dataclass(slots=True)
class _Arrived:
    payload: Payload
    mark: Mark | None
    applied: Applied | None = None
    error: Exception | None = None


class Pen:
    """Calls the writer for many tasks, one after the other; what waits for the disk goes into one transaction."""

    def __init__(self, writer: Writer) -> None:
        """Write with `writer`."""
        self.writer = writer
        self.store = writer.store
        self.extras = writer.extras
        self._ingest = writer.ingest
        self._one = _ONE_AT_A_TIME.setdefault(writer.store, anyio.Lock())
        self._waiting: deque[_Arrived] = deque()

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a blocking call; once begun, it is waited for even when the flow is cancelled."""
        async with self._one:
            return await anyio.to_thread.run_sync(partial(function, *args, **kwargs))

    async def receive(self, payload: Payload, mark: Mark | None = None) -> Applied:
        """Make a payload part of the archive together with `mark`, perhaps in one transaction with others that wait."""
        arrived = _Arrived(payload, mark)
        self._waiting.append(arrived)
        async with self._one:
            while arrived.applied is None and arrived.error is None:
                # A group that left the queue belongs to other tasks as well: a cancelled one may not take it along.
                with anyio.CancelScope(shield=True):
                    await self._write(self._next_group())
        if arrived.applied is None:
            raise arrived.error or RuntimeError("nothing was written")
        return arrived.applied

    def _next_group(self) -> list[_Arrived]:
        group = [self._waiting.popleft()]
        items = len(group[0].payload.items)
        while self._waiting and items + len(self._waiting[0].payload.items) <= _ITEMS_AT_ONCE:
            group.append(self._waiting.popleft())
            items += len(group[-1].payload.items)
        return group

    async def _write(self, group: list[_Arrived]) -> None:
        try:
            applied = await anyio.to_thread.run_sync(
                self._ingest.receive_all, [(arrived.payload, arrived.mark) for arrived in group]
            )
        except Exception as error:  # noqa: BLE001 - it is each waiting task's own
            if group[1:] and not isinstance(error, ArchiveError):
                for arrived in group:  # by a mistake of ours one cannot be stored; the others can
                    await self._write([arrived])
                return
            for arrived in group:
                arrived.error = error
            return
        for arrived, result in zip(group, applied, strict=True):
            arrived.applied = result
