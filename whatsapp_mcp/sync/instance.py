"""What must be true before a run: the instance answers, and it is the account that this archive belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import (
    CredentialsError,
    GatewayError,
    InstanceGone,
    InstanceStarting,
    NotAuthorized,
    QuotaReached,
    UsageError,
)
from whatsapp_mcp.normalise import instance_state, normalise
from whatsapp_mcp.records import ME, Alias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.writing import Pen

_WORKING: Final = frozenset({"authorized", "suspended", "yellowCard"})
"""A suspended number cannot send; receiving goes on (Green API docs, GetStateInstance)."""
_STARTING: Final = frozenset({"starting", "sleepMode", ""})
"""A new instance answers ``null`` for a while; ``sleepMode`` is the old name of a restart (the same page)."""
_PAUSES: Final = (15.0, 30.0, 60.0, 60.0, 60.0, 75.0)
"""Seconds between looks at a restarting instance: five minutes together, as long as a restart may take."""


async def ensure_working(gateway: GreenApi, clock: Clock) -> Payload:
    """Wait for a restarting instance; returns what it says of its state.

    Raises `NotAuthorized`, `InstanceGone` or `InstanceStarting` where no answer can be expected.
    """
    for pause in (*_PAUSES, None):
        payload = await gateway.get_state_instance()
        state = instance_state(payload)
        if state in _WORKING:
            return payload
        if state not in _STARTING:
            raise _not_working(state)
        if pause is not None:
            await clock.sleep(pause)
    raise InstanceStarting("The instance is restarting.")


def _not_working(state: str) -> GatewayError:
    if state == "blocked":
        return InstanceGone("WhatsApp has blocked the number of this instance.")
    if state in {"notAuthorized", "pendingCode"}:
        return NotAuthorized("The instance is not linked to a phone.")
    advice = "Look at the instance in the Green API console."
    return NotAuthorized("The instance is in a state that this program does not know.", advice=advice)


async def concerns_one_method(gateway: GreenApi, error: GatewayError) -> bool:
    """Whether a 403, 404 or 466 is about the method alone: plans leave methods out, and count them one by one.

    (Green API docs, "about tariffs" and "466 error".) A 401 or 403 for the whole instance would meet getStateInstance too.
    """
    if isinstance(error, QuotaReached):
        return True
    return isinstance(error, CredentialsError) and await does_work(gateway)


def done_without(method: str, error: GatewayError) -> str:
    """One line for a method whose answer is missing."""
    if isinstance(error, CredentialsError):  # its text blames the instance, which works
        return f"{method}: Green API does not serve it to this instance; the plan may not include it."
    return f"{method}: {error.what}"


async def does_work(gateway: GreenApi) -> bool:
    """Whether the instance answers at this moment, and says that it works."""
    try:
        return works(await gateway.get_state_instance())
    except GatewayError:
        return False


def works(state: Payload) -> bool:
    """Whether an answer of getStateInstance or getWaSettings says that the instance is linked and works."""
    return instance_state(state) in _WORKING


async def ensure_same_account(gateway: GreenApi, pen: Pen) -> list[Payload]:
    """Fetch what the instance says of its account, and compare it with the archive's owner.

    Returns what may be stored: not the settings, which hold the webhook's secret.

    Raises `UsageError` when the archive belongs to another account.
    """
    return [payload for payload in await account_answers(gateway, pen) if payload.origin != "getSettings"]


async def account_answers(gateway: GreenApi, pen: Pen) -> list[Payload]:
    """As `ensure_same_account`, but with the settings, which must not be stored."""
    payloads: list[Payload] = []

    async def fetch(call: Callable[[], Awaitable[Payload]]) -> None:
        payloads.append(await call())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch, gateway.get_settings)
        tasks.start_soon(fetch, gateway.get_wa_settings)
    await _ensure_owner(pen, _accounts(payloads))
    return payloads


async def ensure_ready(gateway: GreenApi, pen: Pen, clock: Clock, said: Payload | None) -> list[Payload]:
    """Both checks from one answer of getWaSettings, which tells the state and the number (Green API docs, GetWaSettings).

    Where `said` is None or does not say enough, `ensure_working` and `ensure_same_account` ask for themselves; raises as
    they do. Returns what may be stored.
    """
    accounts = _accounts([said]) if said is not None and works(said) else set()
    if said is not None and accounts:
        await _ensure_owner(pen, accounts)
        return [said]
    state = await ensure_working(gateway, clock)
    return [state, *await ensure_same_account(gateway, pen)]


def _accounts(payloads: Iterable[Payload]) -> set[str]:
    return {
        record.other for payload in payloads for record in normalise(payload) if isinstance(record, Alias) and record.one == ME
    }


async def _ensure_owner(pen: Pen, said: Iterable[str]) -> None:
    owner = await pen.call(pen.store.owner)
    accounts = {await pen.call(pen.store.canonical, whatsapp_id) for whatsapp_id in said}
    if owner is not None and accounts and owner not in accounts:
        raise UsageError(
            "This archive belongs to another WhatsApp account than the instance.",
            advice="Give each account an archive of its own: choose another folder with --home or WHATSAPP_MCP_HOME.",
        )
