"""Lines of the log about what strangers do: few enough that a scanner of ports cannot fill the disk."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock

_log = logging.getLogger(__name__)

_LINES: Final = 10
_PERIOD: Final = 60.0
"""At most so many lines in so many seconds, and one more that counts the rest."""


class Complaints:
    """Writes a line for what was refused, and counts what it leaves out."""

    def __init__(self, clock: Clock) -> None:
        """Judge by `clock` how many lines are enough."""
        self.counts: Counter[str] = Counter()
        """All that was refused, by its reason."""
        self._clock = clock
        self._began = clock.monotonic()
        self._written = self._left_out = 0

    def tell(self, reason: str, peer: str, level: int = logging.WARNING, error: BaseException | None = None) -> None:
        """Say why a request from `peer` (its network address) was refused, by which `error`; never what was in it."""
        self.counts[reason] += 1
        now = self._clock.monotonic()
        if now - self._began >= _PERIOD:
            if self._left_out:
                _log.warning("%d more requests were refused", self._left_out)
            self._began, self._written, self._left_out = now, 0, 0
        if self._written >= _LINES:
            self._left_out += 1
            return
        self._written += 1
        line = f"{reason}, from {peer}"  # as the text itself: the log lets no values of several words through
        _log.log(level, line, extra={"error": error})
