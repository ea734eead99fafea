"""Requests per second that an instance allows for each method (Green API docs, rate limiter); 429 above."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Final

REQUESTS_PER_SECOND: Final = {
    "receiveNotification": 100,
    "deleteNotification": 100,
    "getMessage": 10,
    "getAvatar": 10,
    "downloadFile": 5,
}
"""Methods that allow more than one request a second."""


class Limits:
    """Counts the accepted requests of each method within a sliding second."""

    def __init__(self, scale: float) -> None:
        """`scale` multiplies every documented limit, with at least one request a second."""
        self._scale = scale
        self._accepted: defaultdict[str, deque[float]] = defaultdict(deque)

    def per_second(self, method: str) -> int:
        """How many requests of `method` a second may hold."""
        return max(1, round(REQUESTS_PER_SECOND.get(method, 1) * self._scale))

    def accept(self, method: str, now: float) -> bool:
        """Whether a request at `now` (seconds of a monotonic clock) is within the limit; only then it counts."""
        accepted = self._accepted[method]
        while accepted and accepted[0] <= now - 1.0:
            accepted.popleft()
        if len(accepted) >= self.per_second(method):
            return False
        accepted.append(now)
        return True
