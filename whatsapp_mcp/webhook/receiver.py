"""One address, ``POST /webhook``: check the token, read the body within its limits, hand it on, answer.

| answer | when |
|---|---|
| 200 | what came is stored, also where nobody can read it; or nothing came |
| 401, 403 | no token or a wrong one; a web page asks while there is no token |
| 404, 405 | another path, another verb |
| 408, 413 | the body came too slowly, is too large |
| 503 | too many at once, the disk refuses, or it is of another account: Green API sends it again after a minute |
| 500 | a mistake of ours |
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from whatsapp_mcp.errors import ArchiveError
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.webhook.admission import Admission
from whatsapp_mcp.webhook.complaints import Complaints

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from whatsapp_mcp.clock import Clock

_log = logging.getLogger(__name__)

PATH: Final = "/webhook"
ORIGIN: Final = "webhook"
RETRY_AFTER: Final = 60
"""Seconds until Green API sends a refused notification again (Green API docs, webhook endpoint)."""

_BLANKS: Final = " \t\r\n\ufeff"
LONG: Final = 100_000
"""Bytes from which on a body is too long to be read in the event loop, where others wait to be answered."""
_CLOSE: Final = {"Connection": "close"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of whom is put up with."""

    body: int = 5 * 1024 * 1024
    """Bytes of one body."""
    patience: float = 10.0
    """Seconds in which the headers must be there, and again as many for the body."""
    requests: int = 150
    """Bodies that are read or stored at once; another one waits for as long as `patience`."""
    connections: int = 200
    """Connections at once, whatever they do; some systems give a process 256 open files, and the database needs a few."""


class Tally(Protocol):
    """Whoever counts what came."""

    def empty(self) -> None:
        """A notification without a body was answered."""
        ...


def build_app(
    receive: Callable[[Payload], Awaitable[object]],
    *,
    token: str,
    clock: Clock,
    limits: Limits | None = None,
    complaints: Complaints | None = None,
    tally: Tally | None = None,
) -> ASGIApp:
    """An ASGI application that hands each body to `receive`, which returns when it is durable.

    `receive` raises an `ArchiveError` where it may not or cannot be stored. An empty `token` admits everybody: then only listen
    on loopback.
    """
    told = complaints or Complaints(clock)
    entrance = _Entrance(
        receive, admission=Admission(token), clock=clock, limits=limits or Limits(), complaints=told, tally=tally
    )
    app = Starlette(routes=[Route(PATH, entrance, methods=["POST"])])
    app.router.redirect_slashes = False
    return app


class _Refused(Exception):
    def __init__(self, status: int, reason: str = "", **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class _Entrance:
    """Answers every POST to the one path."""

    def __init__(
        self,
        receive: Callable[[Payload], Awaitable[object]],
        *,
        admission: Admission,
        clock: Clock,
        limits: Limits,
        complaints: Complaints,
        tally: Tally | None,
    ) -> None:
        self._receive = receive
        self._admission = admission
        self._clock = clock
        self._limits = limits
        self._complaints = complaints
        self._tally = tally
        self._room = anyio.Semaphore(self._limits.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        peer = request.client.host if request.client else "an unknown address"
        try:
            self._check(request)
            await self._take_in(request)
        except _Refused as refused:
            self._complaints.tell(refused.reason, peer)
            return Response(status_code=refused.status, headers=refused.headers)
        except ArchiveError as error:
            self._complaints.tell(f"503, not stored: {error.what}", peer, logging.ERROR, error)
            return Response(status_code=503, headers={"Retry-After": str(RETRY_AFTER)})
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - it must become an answer, and its text may quote a message
            self._complaints.tell(f"500, a mistake in the program: {type(error).__name__}", peer, logging.ERROR, error)
            return Response(status_code=500)
        return Response(status_code=200)

    def _check(self, request: Request) -> None:
        """Everything that can be said before the body comes."""
        if not self._admission.admits(_raw_header(request, b"authorization")):
            raise _Refused(401, "401, without the right token", **{"WWW-Authenticate": "Bearer"})
        if not self._admission.needs_token and "origin" in request.headers:
            # A browser says on whose behalf it posts; any page that the user opens could post to loopback.
            raise _Refused(403, "403, a web page may not post here")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limits.body:
            raise _too_large()

    async def _take_in(self, request: Request) -> None:
        await self._find_room()
        try:
            body = await self._body(request)
            text = _text(body) if len(body) < LONG else await anyio.to_thread.run_sync(_text, body)
            if text:
                await self._receive(Payload(ORIGIN, int(self._clock.now()), (text,)))
            elif self._tally is not None:
                self._tally.empty()
        finally:
            self._room.release()

    async def _find_room(self) -> None:
        with anyio.move_on_after(self._limits.patience):
            await self._room.acquire()
            return
        raise _Refused(503, "503, too many requests at once", **{"Retry-After": "1"})

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            with anyio.fail_after(self._limits.patience):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._limits.body:
                        raise _too_large()
        except TimeoutError:
            raise _Refused(408, "408, the body came too slowly", **_CLOSE) from None
        return bytes(body)


def _too_large() -> _Refused:
    return _Refused(413, "413, the body is too large")


def _raw_header(request: Request, name: bytes) -> bytes | None:
    return next((value for key, value in request.headers.raw if key == name), None)


def _text(body: bytes) -> str:
    """The body's letters, its exact bytes where it is no UTF-8; empty where nothing was said."""
    return body.decode("utf-8", "surrogateescape").strip(_BLANKS)
