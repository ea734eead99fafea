"""The client: one method of ours for each method of the gateway that an archive reads.

Every method answers with a `Payload` that holds the gateway's letters untouched, and raises one of the `GatewayError` classes.
A call waits for its method's turn, and is repeated while that makes sense; different methods do not wait for each other.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from whatsapp_mcp.errors import SettingsError
from whatsapp_mcp.greenapi.judgement import Again, Judge, Verdict, state_trouble
from whatsapp_mcp.greenapi.measuring import Statistics
from whatsapp_mcp.greenapi.methods import METHODS, Method
from whatsapp_mcp.greenapi.pace import Lane
from whatsapp_mcp.payload import Payload

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import httpx

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi.credentials import Credentials
    from whatsapp_mcp.greenapi.pace import Start
    from whatsapp_mcp.greenapi.transport import Reply, Transport

_PAUSES: Final[Mapping[Again, tuple[float, ...]]] = {
    Again.NO: (),
    Again.THROTTLED: (1, 2, 4, 8, 16, 30),
    Again.SERVER: (1, 2, 4, 8),
    Again.STARTING: (15, 30, 60, 60, 60, 75),
    Again.DAMAGED: (1, 3, 8),
    Again.EMPTY: (2, 4),
    Again.TICKET: (0.5,),
}
"""Seconds before each further try, give or take a half; a restart takes up to five minutes (Green API docs)."""

_BROKEN: Final = frozenset({Again.DAMAGED, Again.TICKET})
"""Answers that could not be read, whatever is made of them in the end."""

_FIRST_CONTACT: Final = 2
"""Tries again when nothing was ever answered: a wrong host should be said soon."""


@dataclass(frozen=True, slots=True)
class _Call:
    method: Method
    query: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None
    tail: str = ""

    @property
    def context(self) -> dict[str, str]:
        said = {**(self.query or {}), **(self.body or {})}
        return {key: str(value) for key, value in said.items()}


class GreenApi:
    """One instance at Green API, to be entered with ``async with``."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        rate_scale: float = 1.0,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
        patience: float = 300.0,
    ) -> None:
        """Prepare the client; raises `SettingsError` where `credentials` cannot be used.

        `rate_scale` multiplies the documented requests a second of every method; `transport` replaces the network; `patience`
        is how many seconds a restarting instance is waited for.
        """
        credentials.check()
        if not (math.isfinite(rate_scale) and rate_scale > 0):
            raise SettingsError("GREEN_API_RATE_SCALE must be a number above zero.")
        self.statistics = Statistics()
        self.rate_scale = rate_scale
        self.gateway_ahead: float | None = None
        """By how many seconds the gateway's clock is ahead of ours, as its last answer said; None where none said it."""
        self._credentials = credentials
        self._clock = clock
        self._replacement = transport
        self._patience = patience
        self._judge = Judge(credentials)
        self._transport: Transport | None = None
        self._lanes: dict[str, Lane] = {}
        self._ever_answered = False

    def __repr__(self) -> str:
        return f"GreenApi({self._credentials!r})"

    async def __aenter__(self) -> Self:
        from whatsapp_mcp.greenapi.transport import Transport

        self._transport = Transport(self._credentials.url, self._clock, self._replacement)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def get_state_instance(self) -> Payload:
        """Whether the instance is linked and working; no item while the gateway does not know."""
        return await self._get("getStateInstance")

    async def get_settings(self) -> Payload:
        """The instance's settings: its account and which notifications it keeps."""
        return await self._get("getSettings")

    async def get_wa_settings(self) -> Payload:
        """What WhatsApp knows of the account: number and picture."""
        return await self._get("getWaSettings")

    async def get_contacts(self) -> Payload:
        """All contacts and groups; an empty list is asked for again, because it means "not yet"."""
        return await self._get("getContacts")

    async def get_contact_info(self, chat_id: str) -> Payload:
        """One person's profile; `RequestRefused` for a group."""
        return await self._post("getContactInfo", chatId=chat_id)

    async def get_chats(self) -> Payload:
        """All chats, the most recently used first; an empty list is asked for again."""
        return await self._get("getChats")

    async def get_chat_history(self, chat_id: str, count: int) -> Payload:
        """The newest `count` journal items of a chat, newest first; there is no paging (Green API tracker #746)."""
        return await self._post("getChatHistory", chatId=chat_id, count=count)

    async def get_message(self, chat_id: str, message_id: str) -> Payload:
        """One message of a chat."""
        return await self._post("getMessage", chatId=chat_id, idMessage=message_id)

    async def last_incoming_messages(self, minutes: int) -> Payload:
        """What came in during the last `minutes`, in all chats."""
        return await self._get("lastIncomingMessages", minutes=str(minutes))

    async def last_outgoing_messages(self, minutes: int) -> Payload:
        """What went out, or changed its delivery state, during the last `minutes`, in all chats."""
        return await self._get("lastOutgoingMessages", minutes=str(minutes))

    async def last_incoming_calls(self, minutes: int) -> Payload:
        """Calls received during the last `minutes`; at most 10,000."""
        return await self._get("lastIncomingCalls", minutes=str(minutes))

    async def last_outgoing_calls(self, minutes: int) -> Payload:
        """Calls made during the last `minutes`; at most 10,000."""
        return await self._get("lastOutgoingCalls", minutes=str(minutes))

    async def get_incoming_statuses(self, minutes: int) -> Payload:
        """Statuses (stories) of the phone book's people during the last `minutes`; the gateway keeps them for 30 days."""
        return await self._get("getIncomingStatuses", minutes=str(minutes))

    async def get_outgoing_statuses(self, minutes: int) -> Payload:
        """The owner's own statuses (stories) during the last `minutes`; the gateway keeps them for 30 days."""
        return await self._get("getOutgoingStatuses", minutes=str(minutes))

    async def get_group_data(self, group_id: str) -> Payload:
        """A group's name, owner and members; `RequestRefused` where the account is no member."""
        return await self._post("getGroupData", groupId=group_id)

    async def get_avatar(self, chat_id: str) -> Payload:
        """A short-lived link to somebody's picture."""
        return await self._post("getAvatar", chatId=chat_id)

    async def download_file(self, chat_id: str, message_id: str) -> Payload:
        """A fresh link to a message's file; `RequestRefused` when there is none any more."""
        return await self._post("downloadFile", chatId=chat_id, idMessage=message_id)

    async def receive_notification(self, timeout_seconds: int) -> Payload:
        """The head of the notification queue, waited for up to `timeout_seconds` (5 to 60); no item when it is empty.

        One that is broken JSON, also at a second look, is handed over whole as a ``damaged`` payload.
        """
        return await self._get("receiveNotification", receiveTimeout=str(timeout_seconds))

    async def delete_notification(self, receipt_id: int) -> Payload:
        """Acknowledge a notification that is stored; one that is already gone is no error."""
        return await self._fetch(_Call(METHODS["deleteNotification"], tail=str(receipt_id)))

    async def get_webhooks_count(self) -> Payload:
        """How many notifications wait."""
        return await self._get("getWebhooksCount")

    async def _get(self, name: str, **query: str) -> Payload:
        return await self._fetch(_Call(METHODS[name], query=query or None))

    async def _post(self, name: str, **body: object) -> Payload:
        return await self._fetch(_Call(METHODS[name], body=body))

    async def _fetch(self, call: _Call) -> Payload:
        tries: Counter[Again] = Counter()
        while True:
            verdict = await self._attempt(call)
            if verdict.ask_state:
                await self._raise_what_the_state_says()
            pause = self._pause(verdict.again, tries)
            if pause is None:
                return self._payload(call, verdict)
            tries[verdict.again] += 1
            await self._clock.sleep(pause)

    async def _attempt(self, call: _Call) -> Verdict:
        lane = self._lane(call.method)
        async with lane.turn() as start:
            self.statistics.asked(call.method.name)
            reply = await self._send(call, start)
        self.statistics.answered(call.method.name, None if call.method.waits else self._clock.monotonic() - start.at)
        if reply.status == 429:
            self.statistics.throttle(call.method.name)
            lane.pace.throttled(start)
        elif reply.status:
            self._ever_answered = True
            self.gateway_ahead = None if reply.said_at is None else reply.said_at - self._clock.now()
            lane.pace.accepted()
        verdict = self._judge.verdict(call.method, reply)
        if reply.status != 429 and (verdict.error is not None or verdict.again in _BROKEN):
            self.statistics.fail(call.method.name)
        return verdict

    async def _send(self, call: _Call, start: Start) -> Reply:
        if self._transport is None:
            raise RuntimeError("GreenApi must be entered with `async with`.")
        url = self._credentials.address(call.method.name, call.tail)
        return await self._transport.send(call.method, url, start, query=call.query, body=call.body)

    def _pause(self, again: Again, tries: Counter[Again]) -> float | None:
        done = tries[again]
        pauses = _PAUSES[again]
        if done >= len(pauses) or (again is Again.SERVER and not self._ever_answered and done >= _FIRST_CONTACT):
            return None
        if again is Again.STARTING and sum(pauses[: done + 1]) > self._patience:
            return None
        return pauses[done] * (0.5 + self._clock.random())

    async def _raise_what_the_state_says(self) -> None:
        answer = await self._attempt(_Call(METHODS["getStateInstance"]))
        trouble = answer.error if answer.error is not None and not answer.error.transient else state_trouble(answer.items)
        if trouble is not None:
            raise trouble

    def _payload(self, call: _Call, verdict: Verdict) -> Payload:
        if verdict.error is not None:
            raise verdict.error
        received = int(self._clock.now())
        return Payload(call.method.name, received, verdict.items, call.context, verdict.damaged)

    def _lane(self, method: Method) -> Lane:
        if method.name not in self._lanes:
            self._lanes[method.name] = Lane(method.per_second * self.rate_scale, self._clock)
        return self._lanes[method.name]
