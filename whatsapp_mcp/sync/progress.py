"""How far a run has come, and what it ended with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from whatsapp_mcp.clock import Clock

_ENOUGH_TO_JUDGE: Final = 5
"""Chats after which the speed of this run tells more than the gateway's limit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment in a run."""

    run_id: int
    state: str
    """``checking`` the instance, ``discovering`` chats, fetching ``histories``, ``finishing``, fetching ``files``, or what it
    ended as."""
    chats_total: int
    chats_done: int
    """Histories stored; a chat that failed is not among them."""
    chats_failed: int
    messages_seen: int
    """Journal items received, also those that were stored before."""
    messages_new: int
    rate: float
    """Journal items a second since this process went to work."""
    seconds_left: float | None
    """An estimate; None while nothing can be said."""
    current: str = ""
    """WhatsApp's id of the chat that was stored last: a phone number or a group, so it belongs on no shared screen.
    While files are fetched: how many of how many."""


@dataclass(frozen=True, slots=True)
class ChatFailure:
    """A chat whose history could not be fetched, and the one line that says why."""

    chat: str
    error: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run brought; the counters include what earlier processes did for the same run."""

    run_id: int
    state: str
    """``complete``, or ``partial`` when some chats failed or a list or journal is missing."""
    chats_total: int
    chats_done: int
    chats_failed: int
    chats_truncated: int
    """Chats done whose history the gateway seems to have cut, known to this process."""
    messages_seen: int
    messages_new: int
    requests: int
    throttled: int
    seconds: float
    chats_damaged: int = 0
    """Those of them of whose history a part could not be read."""
    failures: tuple[ChatFailure, ...] = ()
    notes: tuple[str, ...] = ()
    """What could not be had beside the histories, one line each."""


class Counters:
    """Counts for one run, on top of what earlier processes counted for it."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        """Start the watch; `per_second` histories are allowed."""
        self._clock = clock
        self._per_second = per_second
        self._began = clock.monotonic()
        self.chats_total = 0
        self.chats_done = 0
        self.chats_failed = 0
        self.messages_seen = 0
        self.messages_new = 0
        self._seen_before = 0
        self._handled = 0
        self._first_at = self._began

    def carry_on(self, messages_seen: int, messages_new: int) -> None:
        """Count on from what earlier processes reached."""
        self.messages_seen = self._seen_before = messages_seen
        self.messages_new = messages_new

    def plan(self, total: int, done: int) -> None:
        """So many chats belong to the run, and so many are done already; the histories begin now."""
        self.chats_total, self.chats_done = total, done
        self._first_at = self._clock.monotonic()

    def received(self, items: int, new: int) -> None:
        """A payload was stored."""
        self.messages_seen += items
        self.messages_new += new

    def done(self) -> None:
        """A chat's history is stored."""
        self.chats_done += 1
        self._handled += 1

    def failed(self) -> None:
        """A chat's history cannot be had."""
        self.chats_failed += 1
        self._handled += 1

    def dropped(self) -> None:
        """What was taken for a chat is none."""
        self.chats_total -= 1
        self._handled += 1

    @property
    def seconds(self) -> float:
        """Since this process went to work."""
        return self._clock.monotonic() - self._began

    def progress(self, run_id: int, state: str, current: str = "") -> Progress:
        """How far it is at this moment."""
        seconds = self.seconds
        rate = (self.messages_seen - self._seen_before) / seconds if seconds > 0 else 0.0
        return Progress(
            run_id=run_id,
            state=state,
            chats_total=self.chats_total,
            chats_done=self.chats_done,
            chats_failed=self.chats_failed,
            messages_seen=self.messages_seen,
            messages_new=self.messages_new,
            rate=rate,
            seconds_left=self._seconds_left(),
            current=current,
        )

    def _seconds_left(self) -> float | None:
        if not self.chats_total:
            return None
        left = self.chats_total - self.chats_done - self.chats_failed
        each = 1 / self._per_second
        if self._handled >= _ENOUGH_TO_JUDGE:
            each = (self._clock.monotonic() - self._first_at) / self._handled
        return max(0.0, left * each)
