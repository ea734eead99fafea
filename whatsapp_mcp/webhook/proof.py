"""How long the listening went without a hole, by what the notifications say of their own time.

Green API hands notifications out in order and keeps them for a day (Green API docs, webhook endpoint), so one that arrives
proves that everything before it was handed out. Nothing else proves anything: silence may mean that all is quiet, or that the
tunnel is down. Several may be on their way into the archive at once, so each proves what it proves only when it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatsapp_mcp.store import Mark, Span
from whatsapp_mcp.sync.reach import KEPT, MODE, QUEUE, SINCE, UNTIL, WEBHOOK

if TYPE_CHECKING:
    from whatsapp_mcp.store import Store


@dataclass(slots=True)
class Proof:
    """The unbroken listening so far, in unix seconds."""

    since: int | None = None
    until: int | None = None
    can_prove: bool = True
    """Whether the instance notifies of all messages at all."""

    @classmethod
    def of(cls, store: Store, now: int) -> Proof:
        """Where earlier processes left it, at most up to `now`: the clock may have been put back."""
        since, until = (_whole(store.cursor(name)) for name in (SINCE, UNTIL))
        if store.cursor(MODE) not in {QUEUE, WEBHOOK} or since is None or until is None or since > now:
            return cls()
        return cls(since, min(until, now))

    def mark(self, told_at: int | None, now: int) -> Mark:
        """What becomes true when a notification that speaks of `told_at` is stored; None proves nothing."""
        if told_at is None or not self.can_prove:
            return Mark(now, cursors={MODE: WEBHOOK})
        moment = min(told_at, now)
        since, until = self._reached(moment)
        cursors = {MODE: WEBHOOK, SINCE: str(since), UNTIL: str(until)}
        return Mark(now, cursors=cursors, covered=(Span("queue", since, moment),) if since < moment else ())

    def settle(self, told_at: int | None, now: int) -> None:
        """That notification is stored."""
        if told_at is not None and self.can_prove:
            self.since, self.until = self._reached(min(told_at, now))

    def _reached(self, moment: int) -> tuple[int, int]:
        """A notification after more than a day of silence begins anew: what lay between may have been dropped."""
        if self.since is None or self.until is None or moment - self.until > KEPT:
            return moment, moment
        return self.since, max(moment, self.until)


def _whole(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdecimal() else None
