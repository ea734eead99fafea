"""Subscriptions: a client is told when another process (a sync, a listener) has stored new messages in a chat.

What can be subscribed to is the list of chats, a chat, and a month of a chat: ``whatsapp://chats``, ``whatsapp://chats/12``,
``whatsapp://chats/12/messages/2025-08``. What is told is only that the address is worth reading again. Clients of 2025 say
``resources/subscribe`` and ``resources/unsubscribe``; those of 2026-07-28 hold one ``subscriptions/listen`` open for a set of
addresses, and may ask there as well to be told when a chat arrives in the list of resources.

Only while somebody has subscribed is looked, once a second (`queries.watching` tells how cheaply), and all of it ends with the
client.
"""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import anyio.to_thread
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourcesListChanged, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from whatsapp_mcp.errors import ArchiveError, NotFound
from whatsapp_mcp.server.accesses import address_told
from whatsapp_mcp.server.strict import foreseen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from anyio.abc import TaskGroup, TaskStatus
    from mcp.server.context import ServerRequestContext
    from mcp.server.mcpserver import Context
    from mcp.server.session import ServerSession

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.queries.watching import News, Place, Watch
    from whatsapp_mcp.server.accesses import Accesses
    from whatsapp_mcp.server.strict import StrictServer

    Request = ServerRequestContext[Any, Any]

_log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
MOST: Final = 500
"""So many addresses one client may subscribe to."""
_ADDRESS: Final = re.compile(r"whatsapp://chats(?:/(?P<chat>[0-9]{1,18})(?:/messages/(?P<month>[0-9]{4}-[0-9]{2}))?)?")


class Subscriptions:
    """What the client of one connection has subscribed to, and the looking that this takes."""

    def __init__(self, archive: Archive, access: Accesses, tasks: TaskGroup) -> None:
        """Look at `archive` in `tasks` once somebody subscribes; what for is kept account of in `access`."""
        self._archive = archive
        self._access = access
        self._tasks = tasks
        self._bus = InMemorySubscriptionBus()
        self._streams = ListenHandler(self._bus)
        self._held: dict[object, dict[str, Place | None]] = {}
        """By who holds them (a stream, or the one client of 2025) the addresses; None stands for the list of resources."""
        self._session: ServerSession | None = None
        self._is_looking = False

    async def subscribe(self, context: Request, address: str) -> None:
        """Tell the client from now on when `address` has new messages; raises `MCPError` for what cannot be subscribed to."""
        place = await self._place(context, address)
        self._check_room(1)
        self._session = context.session
        await self._hold(self, {**self._held.get(self, {}), address: place})

    def unsubscribe(self, address: str) -> None:
        """Tell no more of `address`; one that was never subscribed to is no error."""
        self._held.get(self, {}).pop(address, None)

    async def listen(self, context: Request, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """Hold a stream open; what cannot be subscribed to is not among what it acknowledges."""
        asked = params.notifications
        wanted: dict[str, Place | None] = {}
        refused: list[MCPError] = []
        for address in asked.resource_subscriptions or ():
            try:
                wanted[address] = await self._place(context, address)
            except MCPError as refusal:
                refused.append(refusal)
        if refused and not wanted and not asked.resources_list_changed:
            raise refused[0]
        self._check_room(len(wanted))
        honoured = asked.model_copy(update={"resource_subscriptions": list(wanted) or None})
        if asked.resources_list_changed:
            wanted["resources/list"] = None
        stream = object()
        try:
            await self._hold(stream, wanted)
            return await self._streams(context, params.model_copy(update={"notifications": honoured}))
        finally:
            self._held.pop(stream, None)

    def _check_room(self, more: int) -> None:
        if sum(map(len, self._held.values())) + more > MOST:
            raise MCPError(INVALID_PARAMS, f"There are {MOST} subscriptions already; unsubscribe from some first.")

    async def _place(self, context: Request, address: str) -> Place:
        with self._access.of("subscription", address_told(address), cast("Context[Any, Any]", context)):
            return await self._known(address)

    async def _known(self, address: str) -> Place:
        found = _ADDRESS.fullmatch(address)
        if found is None:
            what = "whatsapp://chats, whatsapp://chats/{chat_id} and whatsapp://chats/{chat_id}/messages/{month}"
            raise MCPError(INVALID_PARAMS, f"One can subscribe to {what} only.", {"uri": address})
        try:
            return await anyio.to_thread.run_sync(self._checked, found["chat"], found["month"])
        except ArchiveError as refusal:  # a chat that is hidden is no other than one that does not exist
            raise MCPError(INVALID_PARAMS, foreseen(refusal) or "", {"uri": address}) from None

    def _checked(self, chat: str | None, month: str | None) -> Place:
        from whatsapp_mcp.queries.watching import Place

        if chat is None:
            return Place()
        if self._archive.queries.get_chat(int(chat)).party.id != int(chat):  # a number may be that of a phone
            raise NotFound("There is no such chat.", advice="list_chats shows the ids.")
        within = self._archive.queries.interval(month, month)
        return Place(int(chat), within.start, within.end)

    async def _hold(self, holder: object, wanted: dict[str, Place | None]) -> None:
        self._held[holder] = wanted
        if wanted and not self._is_looking:
            self._is_looking = True
            await self._tasks.start(self._look, self._archive.queries.watch())

    async def _look(self, watch: Watch, *, task_status: TaskStatus[None]) -> None:
        try:
            await anyio.to_thread.run_sync(watch.begin)
            task_status.started()
            while any(self._held.values()):
                await anyio.sleep(LOOK_SECONDS)
                news = await anyio.to_thread.run_sync(watch.look, self._places())
                await self._tell(news)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # the client has left
        except Exception:  # noqa: BLE001 - nobody stands above it, and the server has to go on
            _log.exception("looking for new messages has stopped")
        finally:
            self._is_looking = False
            watch.close()

    def _places(self) -> frozenset[Place]:
        return frozenset(place for wanted in self._held.values() for place in wanted.values() if place is not None)

    async def _tell(self, news: News) -> None:
        if news.has_new_chats:
            await self._bus.publish(ResourcesListChanged())
        streams = (wanted for holder, wanted in self._held.items() if holder is not self)
        for address in _told(streams, news):
            await self._bus.publish(ResourceUpdated(address))
        for address in _told([self._held.get(self, {})], news):
            if self._session is not None:
                await self._session.send_resource_updated(address)

    def end(self) -> None:
        """End every stream in good order."""
        self._held.clear()
        self._streams.close()


def _told(held: Iterable[dict[str, Place | None]], news: News) -> list[str]:
    found = {address: None for wanted in held for address, place in wanted.items() if place in news.places}
    return list(found)


@asynccontextmanager
async def subscribing(archive: Archive, access: Accesses) -> AsyncIterator[Subscriptions]:
    """The subscriptions of one connection, until it ends."""
    async with anyio.create_task_group() as tasks:
        subscriptions = Subscriptions(archive, access, tasks)
        try:
            yield subscriptions
        finally:
            subscriptions.end()
            tasks.cancel_scope.cancel()


def register(server: StrictServer) -> None:
    """Let `server` take subscriptions in both eras; its lifespan has to be `subscribing`'s."""

    def of(context: Request) -> Subscriptions:
        return cast("Subscriptions", context.lifespan_context)

    async def subscribe(context: Request, params: SubscribeRequestParams) -> EmptyResult:
        await of(context).subscribe(context, str(params.uri))
        return EmptyResult()

    async def unsubscribe(context: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        of(context).unsubscribe(str(params.uri))
        return EmptyResult()

    async def listen(context: Request, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        return await of(context).listen(context, params)

    low = server._lowlevel_server  # noqa: SLF001 - the SDK's own server knows neither of the first two
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
    low.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, listen)
