"""A clock on which hours pass in no time: time moves on when every task that could run has run."""

from __future__ import annotations

import heapq
import itertools
import random

from anyio.lowlevel import checkpoint

SETTLE = 25


class FakeClock:
    def __init__(self, now: float = 1_790_000_000.0, *, lateness: float = 0.0, seed: int = 1) -> None:
        self.time = 0.0
        self.slept = 0.0
        self._began = now
        self._lateness = lateness
        self._random = random.Random(seed)
        self._sleepers: list[tuple[float, int]] = []
        self._numbers = itertools.count()

    def now(self) -> float:
        return self._began + self.time

    def monotonic(self) -> float:
        return self.time

    def random(self) -> float:
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        late = self._random.random() * self._lateness
        entry = (self.time + max(0.0, seconds) + late, next(self._numbers))
        heapq.heappush(self._sleepers, entry)
        try:
            while self.time < entry[0]:
                for _ in range(SETTLE):
                    await checkpoint()
                if self._sleepers[0] == entry:
                    self.time = max(self.time, entry[0])
        finally:
            self._sleepers.remove(entry)
            heapq.heapify(self._sleepers)
