"""One file from its host to the disk: streamed, limited in size and time, continued where it was cut.

A link is a capability: whoever has it has the file. So no address stands in a log or an error, httpx's own loggers are
silenced, and the client knows no token. A redirect is followed by hand, after `addresses` allowed it.

A silence is told from a slow host by what is usual: the longest wait is a multiple of what answers took so far, and grows with
each try of the same file. A connection that hangs is given up soon, since going on by ``Range`` costs one request. A host that
never falls silent and never gets anywhere, by one letter of a header each second, has a deadline that only bytes of the file
put off.

A file goes on only where it is still the one that was begun: the host is asked by ``If-Range`` (RFC 9110, 13.1.5), and as not
every storage knows that, its ETag and the length of the whole are compared as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import httpcore
import httpx

from whatsapp_mcp.greenapi.transport import silence
from whatsapp_mcp.media.addresses import Refused, checked, leads_inside, redirected

if TYPE_CHECKING:
    from types import TracebackType

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.media.files import Part

_AT_ONCE: Final = 256 * 1024
"""Bytes read at once, as many as asyncio hands over: httpcore's 64 kB make four pieces of them, each with its own way through
five layers, and that way is what a transfer costs."""
_REDIRECTS: Final = 5
_GONE: Final = frozenset({400, 401, 403, 404, 410})
"""What a storage says of a link that has run out, beside the 404 of a file that is no more."""
_HEADERS: Final = {"User-Agent": "whatsapp-mcp", "Accept": "*/*", "Accept-Encoding": "identity"}
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class Stale(Exception):
    """The link leads nowhere any more."""


class Broken(Exception):
    """The host failed or the connection broke; trying again may help."""


class HostUnreachable(Broken):
    """Not even a connection: the host, or the whole network, is away."""


class RangeRefused(Broken):
    """The host does not go on where the part ends: it must begin anew."""


class TooLarge(Exception):
    """The file is larger than what is wanted."""

    def __init__(self, size: int, *, is_known: bool = True) -> None:
        """It has `size` bytes or, where it `is_known` not, at least so many."""
        self.size = size
        self.is_known = is_known
        super().__init__(size)


@dataclass(slots=True)
class Patience:
    """How long a silence may be, in seconds."""

    least: float = 1.0
    most: float = 30.0
    usual: float = 0.1
    """What an answer took lately."""
    slowest: int = 4_000
    """Bytes a second that a file must come with on average, once `grace` is over."""
    grace: float = 60.0

    def silence(self, tries: int) -> float:
        """The longest wait for the next bytes, when a file was tried `tries` times before."""
        return min(self.most, max(self.least, 8 * self.usual) * 2.0**tries)

    def answered(self, seconds: float) -> None:
        """An answer began after so many seconds."""
        self.usual += (seconds - self.usual) / 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is fetched, and what it may be."""

    url: str
    largest: int
    """Bytes."""
    size: int | None = None
    """Bytes, where the message says it."""


@dataclass(slots=True)
class _Answer:
    total: int | None
    """Bytes of the whole file, where the host says it."""
    version: str
    """As `Part.version`."""
    goes_on: bool
    """It begins where the part ends."""


@dataclass
class Transfers:
    """The connections of one run, to be entered with ``async with``."""

    clock: Clock
    own_host: str = ""
    """The gateway's host."""
    patience: Patience = field(default_factory=Patience)
    requests: int = 0
    """Requests so far, redirects among them."""
    _clients: dict[bool, httpx.AsyncClient] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        silence()
        httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = _AT_ONCE  # of the whole process, which it costs nothing
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def fetch(self, wanted: Wanted, part: Part, tries: int = 0) -> None:
        """Fetch a file, or the rest of it, into `part`; raises `Stale`, `Broken`, `TooLarge` or `addresses.Refused`.

        What came before a `Broken` stays in `part`, for another try; an OSError is the disk's.
        """
        url = checked(wanted.url, self.own_host)
        for _ in range(_REDIRECTS):
            try:
                location = await self._ask(url, wanted, part, tries)
            except httpx.TimeoutException as error:
                raise _timed_out(error) from None
            except httpx.ConnectError:
                raise HostUnreachable("The host cannot be reached.") from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError):
                raise Refused("The link is no address.") from None
            except (httpx.HTTPError, httpx.StreamError):
                raise Broken("The connection broke.") from None
            if location is None:
                return
            url = redirected(url, location, self.own_host)
        raise Refused("The link is redirected again and again.")

    async def _ask(self, url: str, wanted: Wanted, part: Part, tries: int) -> str | None:
        """One request: None when the file is whole, or where it is redirected to."""
        self.requests += 1
        with anyio.move_on_after(self.patience.grace) as scope:
            location = await self._answered(url, wanted, part, tries, scope)
        if scope.cancelled_caught:
            raise Broken("The file comes too slowly.")
        return location

    async def _answered(self, url: str, wanted: Wanted, part: Part, tries: int, scope: anyio.CancelScope) -> str | None:
        timeout = {"connect": 15.0, "read": self.patience.silence(tries), "write": 15.0, "pool": None}
        extensions = {"timeout": timeout, "trace": _Door(url, self.own_host)}
        began = self.clock.monotonic()
        async with self._client(url).stream("GET", url, headers=_rest_of(part), extensions=extensions) as response:
            self.patience.answered(self.clock.monotonic() - began)
            if 300 <= response.status_code < 400 and "location" in response.headers:
                return str(response.headers["location"])
            answer = _read_head(response, part)
            if not answer.goes_on:
                if part.size:
                    await anyio.to_thread.run_sync(part.restart)
                part.total, part.version = answer.total, answer.version
            _check_size(part.total, wanted)
            await self._read(response, wanted, part, scope)
        _check_end(part.total, wanted, part)
        return None

    async def _read(self, response: httpx.Response, wanted: Wanted, part: Part, scope: anyio.CancelScope) -> None:
        """Put the body into `part`, and the deadline of `scope` off by what comes."""
        before, until = part.size, scope.deadline - self.patience.grace
        looked = 0.0
        async for piece in response.aiter_raw():
            is_full = part.feed(piece)
            if part.size > wanted.largest:
                raise TooLarge(part.size, is_known=False)
            if is_full:
                await anyio.to_thread.run_sync(part.flush)
            if (now := self.clock.monotonic()) > looked + 1.0:  # each time costs a timer
                looked = now
                scope.deadline = until + max(self.patience.grace, (part.size - before) / self.patience.slowest)

    def _client(self, url: str) -> httpx.AsyncClient:
        """A proxy of the system would not find a host on this very computer, so there are two clients."""
        is_near = (urlsplit(url).hostname or "") in _LOOPBACK
        if is_near not in self._clients:
            self._clients[is_near] = httpx.AsyncClient(
                headers=_HEADERS,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # none is kept, so none is sent
                follow_redirects=False,
                trust_env=not is_near,
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            )
        return self._clients[is_near]


def _timed_out(error: httpx.TimeoutException) -> Broken:
    if isinstance(error, httpx.ConnectTimeout):
        return HostUnreachable("The host cannot be reached.")
    return Broken("The host fell silent.")


class _Door:
    """Looks where a new connection ended, before anything is said on it; for the extension ``trace`` of httpcore.

    A proxy of the system's is asked instead of the host, and may stand in this network; it is asked under its own name.
    """

    def __init__(self, url: str, own_host: str) -> None:
        """Watch over one request for `url`."""
        self._host = httpx.URL(url).raw_host.decode("ascii")
        self._own_host = own_host
        self._is_host = False

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Close what leads into this computer; raises `HostUnreachable`, since a network that one must log into does so."""
        if event == "connection.connect_tcp.started":
            self._is_host = info["host"] == self._host
        elif event == "connection.connect_tcp.complete" and self._is_host:
            stream = info["return_value"]
            peer = stream.get_extra_info("server_addr") or ("",)
            if leads_inside(self._host, str(peer[0]), self._own_host):
                await stream.aclose()
                raise HostUnreachable("The host's name leads into this computer or its network.")


def _rest_of(part: Part) -> dict[str, str]:
    """Headers that ask for what `part` lacks."""
    if not part.size:
        return {}
    return {"Range": f"bytes={part.size}-", **({"If-Range": part.version} if part.version else {})}


def _read_head(response: httpx.Response, part: Part) -> _Answer:
    status, headers, have = response.status_code, response.headers, part.size
    if status in _GONE:
        raise Stale
    if status == 416 and have:  # what we have is not a beginning of what is there now
        raise RangeRefused("The host does not go on where the file was cut.")
    if status not in (200, 206):
        raise Broken(f"The host answered {status}.")
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Broken("The host packed the file although it was asked not to.")
    if status == 206:
        start, total = _content_range(headers.get("content-range", ""))
        if start != have:
            raise RangeRefused("The host sent another part than it was asked for.")
        answer = _Answer(total, _version(headers), goes_on=have > 0)
        if answer.goes_on:
            _check_same(answer, part)
        return answer
    return _Answer(_number(headers.get("content-length", "")), _version(headers), goes_on=False)


def _version(headers: httpx.Headers) -> str:
    """What ``If-Range`` takes: a weak ETag may be the same for other bytes (RFC 9110, 8.8.1)."""
    etag = str(headers.get("etag", "")).strip()
    return etag if etag.startswith('"') else str(headers.get("last-modified", "")).strip()


def _check_same(answer: _Answer, part: Part) -> None:
    if answer.version and part.version and answer.version != part.version:
        raise RangeRefused("The file was changed while it came.")
    if answer.total is not None and part.total is not None and answer.total != part.total:
        raise RangeRefused("The file's length changed while it came.")
    part.total = part.total if answer.total is None else answer.total


def _content_range(value: str) -> tuple[int, int | None]:
    """``bytes 100-199/200`` (RFC 9110, 14.4) as the first position and the whole size."""
    unit, _, rest = value.strip().partition(" ")
    span, _, total = rest.partition("/")
    first = _number(span.partition("-")[0])
    return (-1 if unit != "bytes" or first is None else first), _number(total)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _check_size(total: int | None, wanted: Wanted) -> None:
    if total is not None and total > wanted.largest:
        raise TooLarge(total)
    if total is not None and wanted.size is not None and total != wanted.size:
        raise Broken("The host's file has another length than the message says.")


def _check_end(total: int | None, wanted: Wanted, part: Part) -> None:
    expected = total if total is not None else wanted.size
    if expected is not None and part.size < expected:
        raise Broken("The file was cut.")
    if expected is not None and part.size > expected:
        raise RangeRefused("The file is longer than it was said to be.")
    if not part.size:
        raise Broken("The file is empty.")
