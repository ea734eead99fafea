"""Quick questions one after the other: in Python threads that compute at once only take time from each other.

Ten quick questions in ten threads need half as much processor time again as in a row, for changing from one to the next
(``bench_stdio.py``: 190 to 240 answers a second, against 260 to 330). A question that turns out slow holds up nobody for
longer than `PATIENCE`, and what may be slow by its nature (searches, counts, exports) takes no turns at all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENCE: Final = 0.05
"""Seconds that a question waits for its turn at most; then it is answered beside the others."""


class Turns:
    """Who is being answered."""

    def __init__(self) -> None:
        """Nobody is."""
        self._place = anyio.Semaphore(1)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn; it lasts as long as the block."""
        has_turn = False
        with anyio.move_on_after(PATIENCE):
            await self._place.acquire()
            has_turn = True
        try:
            yield
        finally:
            if has_turn:
                self._place.release()
