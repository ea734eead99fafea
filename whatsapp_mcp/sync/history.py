"""One chat's whole history in as few requests as the gateway allows: usually one.

There is no paging (Green API tracker #746), and no maximum of ``count`` is documented, so the first request asks for more than
any chat holds. Where the gateway refuses such a count or breaks down over it, the next lower step is tried, and a step that
proved to be the gateway's limit is kept for the rest of the run.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import GatewayError, RequestRefused, Unreachable, UnreadableAnswer
from whatsapp_mcp.sync.coverage import is_cut

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload

COUNTS: Final = (1_000_000, 100_000, 10_000, 1_000, 100)
"""From more than any chat holds down to the documented default."""

NOTHING_GIVEN: Final = "The gateway gave nothing for this chat, though it has messages."


class Expected(Enum):
    """What is known of a chat before its history is asked for: how long to doubt an empty answer, in seconds of each pause."""

    NOTHING = ()
    PERHAPS = (3.0,)
    MESSAGES = (3.0, 10.0)


@dataclass(frozen=True, slots=True)
class History:
    """A chat's history as the gateway gave it."""

    payload: Payload
    asked: int

    @property
    def length(self) -> int:
        """How many records it has."""
        return len(self.payload.items)

    @property
    def why_incomplete(self) -> str:
        """One line for a history that is known not to be whole, else empty."""
        if self.payload.damaged:
            return "A part of the gateway's answer could not be read; messages may be missing. The next sync asks again."
        if is_cut(self.length, self.asked):
            return f"The gateway gives no more than {self.asked} messages at once; older ones are missing."
        return ""


class Histories:
    """Fetches histories, and learns how much may be asked for."""

    def __init__(self, gateway: GreenApi, clock: Clock, *, depth: int | None = None) -> None:
        """Ask `gateway`; for at most `depth` records where that is given."""
        self._gateway = gateway
        self._clock = clock
        self._counts = COUNTS if depth is None else (depth, *(count for count in COUNTS if count < depth))
        self._proven = False
        self._all_tried = False
        self.withheld = False
        """The gateway was seen to give nothing, and a moment later a history."""

    async def fetch(self, chat: str, expected: Expected) -> History:
        """The history of a chat; raises what the gateway said to the largest count.

        An empty answer is doubted as long as `expected` says, and raised as `UnreadableAnswer` where there must be messages.
        """
        history = await self._fetch(chat)
        for pause in expected.value:
            if history.length:
                break
            await self._clock.sleep(pause)
            history = await self._fetch(chat)
            self.withheld = self.withheld or history.length > 0
        if not history.length and expected is Expected.MESSAGES:
            raise UnreadableAnswer(NOTHING_GIVEN)
        return history

    async def _fetch(self, chat: str) -> History:
        first: GatewayError | None = None
        counts = deque(self._counts)
        while counts:
            count = counts.popleft()
            try:
                history = History(await self._gateway.get_chat_history(chat, count), count)
            except (RequestRefused, Unreachable, UnreadableAnswer) as error:
                first = first or error
                if not await self._is_worth_less(error, count):
                    raise first from None
                if self._proven or self._all_tried:  # it is this chat's own trouble: one more try, for its newest messages
                    counts = deque(list(counts)[-1:])
            else:
                self._learn(count, first)
                return history
        self._all_tried = True
        raise first or RequestRefused("Nothing was asked for.")

    async def _is_worth_less(self, error: GatewayError, count: int) -> bool:
        """Whether a smaller count may work: not when this count works for other chats, and not without a network."""
        if isinstance(error, RequestRefused):
            return not self._proven or count > self._counts[0]
        try:
            await self._gateway.get_state_instance()
        except Unreachable:
            return False
        return True

    def _learn(self, count: int, error: GatewayError | None) -> None:
        if error is None:
            self._proven = self._proven or count == self._counts[0]
        elif not self._proven:
            self._counts = self._counts[self._counts.index(count) :] if count in self._counts else self._counts
            self._proven = True
