"""The queue of notifications: first in, first out, the head stays until it is deleted, nothing is kept longer than a day."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_FOR: Final = 86_400
"""Seconds after which a notification that nobody fetched is dropped (Green API docs, ReceiveNotification)."""

_FIRST_RECEIPT: Final = 1_234_568


class Ticket(NamedTuple):
    """One waiting notification."""

    receipt: int
    text: str
    """The notification's body as it will be sent: JSON, unless a test put something else."""
    put_at: int
    """When it came into the queue, unix seconds of the gateway's time."""

    def answer(self) -> bytes:
        """The body of ReceiveNotification."""
        return f'{{"receiptId":{self.receipt},"body":{self.text}}}'.encode(errors="surrogateescape")


class Queue:
    """Waiting notifications. Several threads may use it at once."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._waiting: deque[Ticket] = deque()
        self._receipts = _FIRST_RECEIPT

    def __len__(self) -> int:
        """How many notifications wait."""
        return len(self._waiting)

    def __iter__(self) -> Iterator[Ticket]:
        """Those that wait now, the oldest first."""
        with self._lock:
            return iter(tuple(self._waiting))

    def put(self, text: str, now: int) -> Ticket:
        """Add a notification at `now`."""
        with self._lock:
            ticket = Ticket(self._receipts, text, now)
            self._receipts += 1
            self._waiting.append(ticket)
            return ticket

    def head(self) -> Ticket | None:
        """The oldest notification, which stays."""
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def remove(self, receipt: str) -> bool:
        """Delete the notification of that receipt id, wherever it stands; False where there is none."""
        with self._lock:
            for ticket in self._waiting:
                if str(ticket.receipt) == receipt:
                    self._waiting.remove(ticket)
                    return True
        return False

    def drop_older(self, moment: int) -> None:
        """Forget what was put before `moment`."""
        with self._lock:
            kept = [ticket for ticket in self._waiting if ticket.put_at >= moment]
            if len(kept) < len(self._waiting):
                self._waiting = deque(kept)
