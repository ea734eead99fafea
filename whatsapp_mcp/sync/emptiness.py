"""Whether a queue that hands out nothing is empty."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import GatewayError
from whatsapp_mcp.normalise import waiting_count

if TYPE_CHECKING:
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.sync.running import Run

_log = logging.getLogger(__name__)

SHORTEST_POLL: Final = 5
"""Seconds: the least that Green API accepts (Green API docs, ReceiveNotification)."""
TRIES: Final = 3
"""So often a queue must say the same odd thing before it is believed; counts are ten seconds old (Green API docs)."""
_COMPARE: Final = 3_600.0


class Emptiness:
    """Whether a queue that hands out nothing is empty: it was seen that notifications waited nevertheless (tracker #1115)."""

    def __init__(self, gateway: GreenApi, run: Run) -> None:
        """Doubt nothing yet."""
        self._gateway = gateway
        self._run = run
        self._doubts = 0
        self._due = run.clock.monotonic()

    @property
    def is_hopeless(self) -> bool:
        """Several polls in a row brought nothing while notifications wait."""
        return self._doubts >= TRIES

    def disproved(self) -> None:
        """Something came."""
        self._doubts = 0

    async def is_believed(self, seconds: float, *, ask: bool) -> bool:
        """Whether nothing waits after an empty poll of so many seconds; asks once an hour, at each doubt, and on demand."""
        clock = self._run.clock
        if not (ask or self._doubts or clock.monotonic() >= self._due):
            return True
        self._due = clock.monotonic() + _COMPARE
        if not await self._count():
            self._doubts = 0
            return True
        self._doubts += 1
        if self.is_hopeless:
            self._run.note("Green API says that notifications wait, but hands out none of them.", missing=True)
        elif seconds < SHORTEST_POLL:
            await clock.sleep(SHORTEST_POLL - seconds)
        return False

    async def _count(self) -> int:
        try:
            return waiting_count(await self._gateway.get_webhooks_count()) or 0
        except GatewayError as error:  # a plan may leave the method out; what is wrong with the rest, the next poll meets too
            _log.info("the length of the queue is not known: %s", type(error).__name__)
            return 0
