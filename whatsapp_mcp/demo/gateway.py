"""A Green API gateway over HTTP for one synthetic account: verbs, paths, limits, error bodies and defects as documented.

It is read-only like everything here: no method that sends, edits, deletes or marks anything at WhatsApp exists (404).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from whatsapp_mcp.demo.faults import Fault, Faults, refusal, spoil
from whatsapp_mcp.demo.instance import Instance, Refusal, error_body
from whatsapp_mcp.demo.limits import Limits
from whatsapp_mcp.demo.pictures import RENEWED, file_bytes
from whatsapp_mcp.demo.shapes import MIME_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from whatsapp_mcp.demo.account import Account
    from whatsapp_mcp.demo.push import Pushed

ID_INSTANCE: Final = "7105000001"
TOKEN: Final = "fictional0token0do0not0use00000000000000000000000000"  # noqa: S105 - invented
VERBS: Final = {
    "getStateInstance": "GET", "getSettings": "GET", "getWaSettings": "GET", "getContacts": "GET", "getChats": "GET",
    "receiveNotification": "GET", "getWebhooksCount": "GET", "lastIncomingMessages": "GET", "lastOutgoingMessages": "GET",
    "lastIncomingCalls": "GET", "lastOutgoingCalls": "GET", "getContactInfo": "POST", "getChatHistory": "POST",
    "getMessage": "POST", "getGroupData": "POST", "getAvatar": "POST", "downloadFile": "POST", "deleteNotification": "DELETE",
    "getIncomingStatuses": "GET", "getOutgoingStatuses": "GET", "getStatusStatistic": "GET",
}  # fmt: skip
"""Every method that is served, with its HTTP verb (Green API docs and official clients)."""

_PATH: Final = re.compile(r"/waInstance([^/]*)/([^/]+)/([^/]*)(?:/([^/]*))?")
_RANGE: Final = re.compile(r"bytes=(\d{1,12})-")
_JSON: Final = "application/json; charset=utf-8"
_BEFORE: Final = {
    Fault.TOO_MANY: Response(b"Too Many Requests", 429, media_type="text/plain"),
    Fault.BAD_GATEWAY: Response(b"<html><head><title>502 Bad Gateway</title></head></html>", 502, media_type="text/html"),
    Fault.SERVER_ERROR: Response(b'{"statusCode":500,"message":"Internal server error"}', 500, media_type=_JSON),
    Fault.UNAVAILABLE: Response(b"", 503),
}
_LOOK_AGAIN: Final = 0.02


class Seen(NamedTuple):
    """One request as the gateway saw it."""

    method: str
    """Green API's name of the method, ``media`` for a file, ``""`` for a path that means nothing."""
    at: float
    """Its arrival, in seconds of the monotonic clock."""
    status: int
    """The answer's HTTP status; 0 where no answer was given."""
    arguments: Mapping[str, Any]


class Gateway(Instance):
    """The instance with its doors open: an ASGI application. Start it with `running.serve_gateway`."""

    def __init__(
        self,
        account: Account,
        url: str,
        *,
        rate_scale: float = 1.0,
        latency: float = 0.0,
        patience: float = 1.0,
        faults: Faults | None = None,
    ) -> None:
        """Serve `account` at `url`.

        `rate_scale` multiplies the documented requests per second, `latency` is waited before each answer (seconds), and
        `patience` multiplies the seconds for which receiveNotification waits on an empty queue, and those of `push`.
        """
        self.url = url
        self.id_instance = ID_INSTANCE
        self.token = TOKEN
        self.latency = latency
        self.patience = patience
        self.requests: list[Seen] = []
        """Every request so far, in the order of their arrival's answer."""
        self.pushes: list[Pushed] = []
        """Every attempt so far to push a notification to the webhook, in order."""
        self.closing = False
        """The server is about to stop: whatever waits gives up."""
        self._limits = Limits(rate_scale)
        super().__init__(account, faults or Faults(), url, int(ID_INSTANCE))

    def count(self, method: str, status: int | None = None) -> int:
        """How many requests of `method` came, or how many of them were answered with `status`."""
        return sum(seen.method == method and status in (None, seen.status) for seen in self.requests)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        arrived = time.monotonic()
        visit = _Visit(self, request)
        response = await visit.response(arrived)
        status = response.status_code if response else 0
        self.requests.append(Seen(visit.method, arrived, status, visit.arguments))
        if response is not None:
            response.headers["Date"] = formatdate(self.now, usegmt=True)
        if response is not None and visit.fault is Fault.BROKEN_CONNECTION:
            await _break_off(response, send)
        elif response is not None:
            await response(scope, receive, send)

    def within_limit(self, method: str, arrived: float) -> bool:
        """Whether the documented pace allows one more request of `method`."""
        return self._limits.accept(method, arrived)


async def _break_off(response: Response, send: Send) -> None:
    """Promise the whole body and send half of it; the server then closes the connection."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    body = bytes(response.body)
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})


class _Visit:
    """One request on its way through the checks, in the order in which Green API makes them."""

    def __init__(self, gateway: Gateway, request: Request) -> None:
        self._gateway = gateway
        self._request = request
        self.method = ""
        self.arguments: Mapping[str, Any] = {}
        self.fault: Fault | None = None

    async def response(self, arrived: float) -> Response | None:
        """The answer, or None where the connection just stays silent."""
        path = self._request.url.path
        if path.startswith("/media/"):
            self.method = "media"
            return await self._media(path.removeprefix("/media/"))
        try:
            self._check_path(path)
            return await self._method_response(arrived)
        except Refusal as error:
            return Response(error_body(error, path), error.status, media_type=_JSON)
        except ClientDisconnect:
            return None

    def _check_path(self, path: str) -> None:
        """403 for another instance, 401 for a wrong token or a deleted instance, 404 for what is not served."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise Refusal(404)
        instance, spelled, token, receipt = found.groups()
        method = spelled[0].lower() + spelled[1:]
        self.method = method if method in VERBS else ""
        self.arguments = {"receiptId": receipt} if receipt else {}
        if instance != self._gateway.id_instance:
            raise Refusal(403)
        if token != self._gateway.token or self._gateway.faults.state == "deleted":
            raise Refusal(401)
        if VERBS.get(method) != self._request.method or bool(receipt) != (method == "deleteNotification"):
            raise Refusal(404)

    async def _method_response(self, arrived: float) -> Response | None:
        gateway = self._gateway
        self.arguments = {**self.arguments, **await self._read_arguments()}
        if not gateway.within_limit(self.method, arrived):
            return _BEFORE[Fault.TOO_MANY]
        self.fault = gateway.faults.take(self.method)
        if self.fault in _BEFORE:
            return _BEFORE[self.fault]
        if self.fault is Fault.NO_ANSWER:
            await self._stay_silent()
            return None
        await asyncio.sleep(gateway.latency)
        body = await self._body()
        return Response(spoil(body, self.fault) if self.fault else body, media_type=_JSON)

    async def _read_arguments(self) -> Mapping[str, Any]:
        """The query of a GET, the JSON of a POST; a body with a GET means nothing (Green API docs)."""
        if self._request.method != "POST":
            return dict(self._request.query_params)
        text = await self._request.body()
        try:
            arguments = json.loads(text or b"{}")
        except ValueError as error:
            raise Refusal(400, f"Unexpected token in JSON at position {len(text)}", brief=False) from error
        if not isinstance(arguments, dict):
            raise Refusal(400, "bad request data")
        return arguments

    async def _body(self) -> bytes:
        gateway = self._gateway
        self._check_state()
        self._check_quota()
        gateway.leak_lids(leaking=gateway.faults.leaking_lids)
        if self.method == "receiveNotification":
            await self._wait_for_notification()
        if self.method in _SHORT:
            return gateway.answer(self.method, self.arguments)
        return await anyio.to_thread.run_sync(gateway.answer, self.method, self.arguments)

    def _check_state(self) -> None:
        text = refusal(self._gateway.faults.state, self.method)
        if text is not None:
            raise Refusal(400, text)

    def _check_quota(self) -> None:
        """466 with the body of the documentation's page on it."""
        faults = self._gateway.faults
        left = faults.quotas.get(self.method)
        if left is not None and left <= 0:
            status = {"method": self.method, "used": 300, "total": 300, "status": "QUOTE_EXCEEDED", "description": _EXCEEDED}
            raise Refusal(466, body={"invokeStatus": status})
        if faults.correspondents_used_up and "chatId" in self.arguments:
            allowed = {"method": self.method, "used": 12, "total": 300, "status": "QUOTE_ALLOWED", "description": ""}
            people = {"method": "correspondents", "used": 3, "total": 3, "status": "CORRESPONDENTS_QUOTE_EXCEEDED"}
            raise Refusal(466, body={"invokeStatus": allowed, "correspondentsStatus": {**people, "description": _EXCEEDED}})
        if left is not None:
            faults.quotas[self.method] = left - 1

    async def _wait_for_notification(self) -> None:
        """Wait on an empty queue for ``receiveTimeout`` seconds, five unless asked otherwise (docs, ReceiveNotification)."""
        try:
            seconds = float(self.arguments.get("receiveTimeout", 5))
        except ValueError:
            seconds = 5.0
        until = time.monotonic() + min(seconds, 60.0) * self._gateway.patience
        # Notifications are put in by other threads, so there is no event of this loop to wait for.
        while not (self._has_news() or self._gateway.closing) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    def _has_news(self) -> bool:
        gateway = self._gateway
        return bool(gateway.settings["webhookUrl"]) or (gateway.next_ticket() is not None and not gateway.faults.empty_polls)

    async def _stay_silent(self) -> None:
        while not (self._gateway.closing or await self._request.is_disconnected()):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN)

    async def _media(self, name: str) -> Response | None:
        self.fault = self._gateway.faults.take("media")
        if self.fault in _BEFORE:
            return _BEFORE[self.fault]
        if self.fault is Fault.NO_ANSWER:
            await self._stay_silent()
            return None
        return self._file(name)

    def _file(self, name: str) -> Response:
        """A file, or the rest of one; with `Faults.stale_links` only renewed addresses work."""
        plain, ending = name.removeprefix(RENEWED), name.rpartition(".")[2]
        faults = self._gateway.faults
        if faults.expired_media or ending not in MIME_TYPES or (faults.stale_links and plain == name):
            return Response(b"", 404)
        body, first = file_bytes(plain), _RANGE.fullmatch(self._request.headers.get("range", ""))
        if first is None or int(first[1]) >= len(body):
            return Response(body, media_type=MIME_TYPES[ending])
        span = {"Content-Range": f"bytes {first[1]}-{len(body) - 1}/{len(body)}"}
        return Response(body[int(first[1]) :], 206, span, MIME_TYPES[ending])


_EXCEEDED: Final = "Monthly quota has been exceeded."
_SHORT: Final = frozenset(VERBS) - {"getChatHistory", "lastIncomingMessages", "lastOutgoingMessages"}
"""Methods whose answer is quick enough for the event loop; the others would let the arrival of other requests be seen late."""
