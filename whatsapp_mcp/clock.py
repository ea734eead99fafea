"""Time, sleeping and randomness: passed in, so that a test decides what the time is."""

from __future__ import annotations

import random
import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """What a room may know of time and chance."""

    def now(self) -> float:
        """Unix seconds UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; other tasks run meanwhile."""
        ...

    def random(self) -> float:
        """At least 0 and less than 1: for jitter, never for secrets."""
        ...


class SystemClock:
    """The computer's own clock."""

    def now(self) -> float:
        """Unix seconds UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; other tasks run meanwhile."""
        await anyio.sleep(seconds)

    def random(self) -> float:
        """At least 0 and less than 1."""
        return random.random()  # noqa: S311 (jitter is no secret)
