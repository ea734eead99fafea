"""The webhook: while an address is set, notifications are pushed there in order instead of being polled.

Whatever is not answered 200 within 180 seconds is sent again after a pause of a minute, and everything behind it waits
(Green API docs, notifications through a webhook).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

if TYPE_CHECKING:
    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.demo.tickets import Ticket

ANSWER_WITHIN: Final = 180.0
"""Seconds within which the receiver must answer."""
PAUSE: Final = 60.0
"""Seconds until a refused notification is sent again."""

_LOOK_AGAIN: Final = 0.02
_SHORTEST_ANSWER: Final = 1.0
"""However little patience a test has, a receiver on a busy machine gets this many seconds."""
_SCHEMES: Final = ("Bearer ", "Basic ")


class Pushed(NamedTuple):
    """One attempt."""

    receipt: int
    status: int
    """The receiver's HTTP status; 0 where it did not answer in time, or not at all."""


async def push(gateway: Gateway) -> None:
    """Push until cancelled; an address that appears, changes or goes away is noticed within moments."""
    # Without `trust_env` the receiver is reached directly, as a receiver on loopback must be.
    async with httpx.AsyncClient(trust_env=False) as client:
        while not gateway.closing:
            ticket = gateway.next_ticket() if gateway.settings["webhookUrl"] else None
            if ticket is None:
                await asyncio.sleep(_LOOK_AGAIN)
            elif not await _deliver(client, gateway, ticket):
                await asyncio.sleep(PAUSE * gateway.patience)


async def _deliver(client: httpx.AsyncClient, gateway: Gateway, ticket: Ticket) -> bool:
    status = await _post(client, gateway, ticket)
    gateway.pushes.append(Pushed(ticket.receipt, status))
    if status == httpx.codes.OK:
        gateway.queue.remove(str(ticket.receipt))
    return status == httpx.codes.OK


async def _post(client: httpx.AsyncClient, gateway: Gateway, ticket: Ticket) -> int:
    body = ticket.text.encode(errors="surrogateescape")
    within = max(_SHORTEST_ANSWER, ANSWER_WITHIN * gateway.patience)
    try:
        async with asyncio.timeout(within):
            url = str(gateway.settings["webhookUrl"])
            return (await client.post(url, content=body, headers=_headers(gateway.settings), timeout=None)).status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return 0


def _headers(settings: dict[str, Any]) -> dict[str, str]:
    """A bare token is sent as a bearer's, one that was stored with its scheme as it is (docs, SetSettings)."""
    headers = {"Content-Type": "application/json; charset=utf-8"}
    token = str(settings["webhookUrlToken"])
    if token:
        headers["Authorization"] = token if token.startswith(_SCHEMES) else f"Bearer {token}"
    return headers
