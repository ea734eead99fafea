"""The HTTP server below the receiver: who may connect, for how long, and how it stops.

uvicorn waits without end for the rest of a request's headers, and for the rest of a body after its answer was sent (read in its
`h11_impl`); here both are cut. Its own handlers of signals are left out: the process belongs to the command that runs it.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from whatsapp_mcp.errors import SettingsError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Generator

    from starlette.types import ASGIApp

    from whatsapp_mcp.webhook.complaints import Complaints
    from whatsapp_mcp.webhook.receiver import Limits

_BACKLOG: Final = 128
_ANSWER: Final = "HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_SLOW: Final = _ANSWER.format("408 Request Timeout").encode()
_TOO_MANY: Final = _ANSWER.format("503 Service Unavailable").encode()
_LONGEST_HEADERS: Final = 16_384


def is_loopback(host: str) -> bool:
    """Whether only programs of this computer can reach what listens on `host`: an address, or a name that stands for one."""
    try:
        return all(ipaddress.ip_address(address[0].partition("%")[0]).is_loopback for _, address in _addresses(host, 0))
    except ValueError:
        return False


def open_listener(host: str, port: int) -> socket.socket:
    """A socket that listens; raises `SettingsError` where the address is taken, forbidden, or none of this computer."""
    family, address = _addresses(host, port)[0]
    try:
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _no_listener(error, host, port) from None
    # Accepted sockets inherit it; asyncio sets it only where the protocol is named, and each answer would be 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _unknown(host) from None
    return [(family, (str(address[0]), port)) for family, _, _, _, address in found]


def _unknown(host: str) -> SettingsError:
    return SettingsError(f"WEBHOOK_HOST {host} is no address of this computer.", advice="Use 127.0.0.1, or 0.0.0.0 for all.")


def _no_listener(error: OSError, host: str, port: int) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"Port {port} on {host} is taken by another program.", advice="Stop that program, or choose another WEBHOOK_PORT."
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return SettingsError(f"This user may not listen on port {port}.", advice="Choose a WEBHOOK_PORT above 1023.")
    return _unknown(host)


class Server(uvicorn.Server):
    """Serves one application on one open socket until it is told to stop; then finishes the requests at hand."""

    def __init__(self, app: ASGIApp, limits: Limits, complaints: Complaints) -> None:
        """Serve `app`; what is cut before it becomes a request is told to `complaints`."""
        super().__init__(
            uvicorn.Config(
                app, http=_protocol(limits, complaints), loop="none", lifespan="off", ws="none", log_config=None,
                log_level="critical", access_log=False, proxy_headers=False, server_header=False,
                h11_max_incomplete_event_size=_LONGEST_HEADERS, timeout_graceful_shutdown=int(limits.patience) + 10,
            )
        )  # fmt: skip

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave all signals to the command."""
        yield

    async def serve_until(self, stop: anyio.Event, listener: socket.socket) -> None:
        """Serve on `listener` until `stop` is set or the caller is cancelled; both wait for the requests at hand."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve_shielded, listener)
            try:
                await stop.wait()
            finally:
                self.should_exit = True

    async def _serve_shielded(self, listener: socket.socket) -> None:
        with anyio.CancelScope(shield=True):
            await self.serve(sockets=[listener])


def _protocol(limits: Limits, complaints: Complaints) -> type[asyncio.Protocol]:
    """The protocol's class; uvicorn makes its objects itself, so what they need is bound into it."""
    return type("BoundPatient", (Patient,), {"limits": limits, "complaints": complaints})


class Patient(H11Protocol):
    """One connection, which is closed when its peer keeps it waiting."""

    limits: Limits
    complaints: Complaints

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Begin to count the seconds; refuse a connection too many."""
        self._deadline: asyncio.TimerHandle | None = None
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections:
            self._leave(_TOO_MANY, "503, too many connections")
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and stop counting once it is a whole request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to count again."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count no more."""
        super().connection_lost(exc)
        self._rest()

    def _watch(self) -> None:
        """Count the seconds while the peer is to say something; a request at hand has a deadline of its own."""
        if self.transport.is_closing() or self._is_at_work():
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.patience, self._cut)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _request(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn says that there always is one, and begins with None

    def _is_at_work(self) -> bool:
        request = self._request()
        return request is not None and not request.response_complete

    def _cut(self) -> None:
        self._deadline = None
        if self.transport.is_closing() or self._is_at_work():
            return
        self._leave(_TOO_SLOW if self._request() is None else b"", "408, the request came too slowly")

    def _leave(self, answer: bytes, reason: str) -> None:
        self.complaints.tell(reason, self.client[0] if self.client else "an unknown address")
        self.transport.write(answer)
        self.transport.close()
