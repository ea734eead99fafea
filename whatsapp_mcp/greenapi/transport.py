"""The only place that knows httpx: a request goes out, a `Reply` comes back, also when there was none.

httpx puts the URL, and with it the token, into its log lines and its exceptions. So its loggers are silenced, no exception of
it leaves this file, not even as the context of another, and ``raise_for_status`` is never called.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi.methods import Method
    from whatsapp_mcp.greenapi.pace import Start

_LOUD: Final = ("httpx", "httpcore", *(f"httpcore.{part}" for part in ("connection", "http11", "http2", "proxy", "socks")))
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_TIMEOUT: Final = httpx.Timeout(connect=15, read=180, write=60, pool=None)
"""Seconds; a big history takes long to begin, and a long poll up to 60 (Green API's own client waits 180)."""
_LONGEST_CALL: Final = 900
"""Seconds for a whole answer, so that one that drips cannot hold a run for ever."""
_HEADERS: Final = {"User-Agent": "whatsapp-mcp", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status and a text, or `trouble` in our own words when nothing did (status 0)."""

    status: int
    text: str = ""
    trouble: str = ""
    encoded_well: bool = True
    said_at: float | None = None
    """The gateway's own clock (unix seconds, to the second), where its ``Date`` header says it (RFC 9110)."""


class Transport:
    """Connections to one host, a pool for each method.

    httpcore walks over all connections of a pool at each request, with several system calls for each; at a hundred requests a
    second, one pool for everything cost more than the requests themselves.
    """

    def __init__(self, url: str, clock: Clock, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Prepare for the host of `url`; `transport` replaces the network."""
        silence()
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._clock = clock
        self._replacement = transport
        self._verify = httpx.create_ssl_context() if parts.scheme == "https" else False  # False: there is nothing to verify
        self._pools: dict[str, httpx.AsyncClient] = {}

    async def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()
        self._pools.clear()

    def _pool(self, name: str) -> httpx.AsyncClient:
        if name not in self._pools:
            self._pools[name] = httpx.AsyncClient(
                transport=self._replacement,
                verify=self._verify,
                timeout=_TIMEOUT,
                headers=_HEADERS,
                follow_redirects=False,
                # A proxy of the system would not find a gateway on this very computer.
                trust_env=self._host not in _LOOPBACK,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=10),
            )
        return self._pools[name]

    async def send(
        self,
        method: Method,
        url: str,
        start: Start,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> Reply:
        """Send one request and read the whole answer; never raises for what the network does."""
        silence()  # again, for a program that turned the loggers up meanwhile
        try:
            with anyio.fail_after(_LONGEST_CALL):
                response = await self._pool(method.name).request(
                    method.verb, url, params=query, json=body, extensions={"trace": self._note_departure(start)}
                )
        except TimeoutError:
            return Reply(0, trouble=f"{self._host} did not finish its answer in {_LONGEST_CALL // 60} minutes.")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return Reply(0, trouble=self._in_our_words(error))
        return _decoded(response)

    def _note_departure(self, start: Start) -> Callable[[str, Mapping[str, object]], Awaitable[None]]:
        async def trace(event: str, _: Mapping[str, object]) -> None:
            if event.endswith("send_request_headers.started"):
                start.moved(self._clock.monotonic())

        return trace

    def _in_our_words(self, error: Exception) -> str:
        said = str(error).lower()
        if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.WriteTimeout | httpx.PoolTimeout):
            return f"{self._host} did not answer in time."
        if "certificate" in said or "ssl" in said:
            return f"No safe connection to {self._host}: its certificate was not accepted."
        if any(word in said for word in ("getaddrinfo", "name or service", "name resolution", "nodename", "no address")):
            return f"There is no network, or no host {self._host}."
        if isinstance(error, httpx.ConnectError):
            return f"{self._host} cannot be reached."
        if isinstance(error, httpx.DecodingError):
            return f"The answer of {self._host} cannot be unpacked."
        return f"The connection to {self._host} broke."


def silence() -> None:
    """Keep the URLs out of the logs."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _decoded(response: httpx.Response) -> Reply:
    said_at = _said_at(response.headers.get("date", ""))
    try:
        return Reply(response.status_code, response.content.decode("utf-8"), said_at=said_at)
    except UnicodeDecodeError:
        return Reply(response.status_code, response.content.decode("utf-8", "replace"), encoded_well=False, said_at=said_at)


def _said_at(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None
