"""How fast one method may be called: the starts are spaced, the answers may overlap.

Green API counts requests a second for each method and instance. A `Pace` keeps the times of its last starts and lets the next
one go only when even a window of one second and a margin, wherever it is laid, holds no more than the limit; the margin pays
for the network's jitter. Starts are even; one that came late (a busy computer) is caught up with, but never beyond that window.
A 429 lowers the pace, and each accepted call gives a little back.
"""

from __future__ import annotations

import math
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from whatsapp_mcp.clock import Clock

MARGIN: Final = 1.035
"""Seconds of a window: 35 ms of jitter between us and the gateway are forgiven; costs 3.5 % of the speed."""

_LATE: Final = 0.25
"""Seconds of lateness that are caught up with."""
_CLOSEST: Final = 0.1
"""Of the even spacing, while catching up: one late start must not follow another too slowly to ever catch up."""
_LOWER: Final = 1.25
_LOWEST: Final = 4.0
_RECOVER: Final = 0.01
_IN_FLIGHT: Final = 4
_IN_FLIGHT_SECONDS: Final = 0.15
"""At high rates (a gateway with other limits) more calls must overlap to reach the rate at all."""


@dataclass(slots=True)
class Start:
    """When a call started; the transport moves it to the moment at which the request really left."""

    at: float

    def moved(self, now: float) -> None:
        """The request left later than planned, because the connection had to be made first."""
        self.at = max(self.at, now)


class Pace:
    """The starts of one method."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        """Allow `per_second` starts (a fraction is one in more than a second)."""
        self._clock = clock
        count = max(1, math.floor(per_second))
        self._window = MARGIN * max(1.0, count / per_second)
        self._starts: deque[Start] = deque(maxlen=count)
        self._due = -math.inf
        self._queue = anyio.Lock()
        self._slowdown = 1.0
        self._lowered_at = -math.inf

    @property
    def slowdown(self) -> float:
        """1 at full speed, more after a 429."""
        return self._slowdown

    async def start(self) -> Start:
        """Wait for one's turn."""
        async with self._queue:
            while (wait := self._earliest() - self._clock.monotonic()) > 0:
                await self._clock.sleep(wait)
            begun = Start(self._clock.monotonic())
            self._due = max(self._due, begun.at - _LATE) + self._spacing()
            self._starts.append(begun)
            return begun

    def throttled(self, start: Start) -> None:
        """The gateway said 429 to the call that began at `start`; calls that were in flight together count once."""
        if start.at <= self._lowered_at:
            return
        self._slowdown = min(_LOWEST, self._slowdown * _LOWER)
        self._lowered_at = self._clock.monotonic()

    def accepted(self) -> None:
        """The gateway took a call: be a little faster again."""
        self._slowdown = max(1.0, self._slowdown - _RECOVER)

    def _spacing(self) -> float:
        return self._window * self._slowdown / (self._starts.maxlen or 1)

    def _earliest(self) -> float:
        if not self._starts:
            return -math.inf
        earliest = max(self._due, self._starts[-1].at + self._spacing() * _CLOSEST)
        if len(self._starts) == self._starts.maxlen:
            earliest = max(earliest, self._starts[0].at + self._window * self._slowdown)
        return earliest


class Lane:
    """One method's way to the gateway: its pace, and how many of its calls may be under way at once."""

    def __init__(self, per_second: float, clock: Clock) -> None:
        """Allow `per_second` starts."""
        self.pace = Pace(per_second, clock)
        self._room = anyio.CapacityLimiter(max(_IN_FLIGHT, math.ceil(per_second * _IN_FLIGHT_SECONDS)))

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Start]:
        """Wait for a place and for one's turn; the place is held within the block."""
        async with self._room:
            yield await self.pace.start()
