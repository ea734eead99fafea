"""How long the listening went without a hole, by what the notifications say of their own time.

Green API hands notifications out in order and keeps them for a day (Green API docs, webhook endpoint), so one that arrives
proves that everything before it was handed out. Nothing else proves anything: silence may mean that all is quiet, or that the
tunnel is down. Several may be on their way into the archive at once, so each proves what it proves only when it is stored.

What counts for the day is when it arrives, not what it tells of: behind a day and more of silence the first to arrive may be of
an hour that is still kept, while others before it were dropped. And a listening begins when something arrives, not at the time
that it tells of: a phone that was offline sends late.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.store import Mark, Span
from whatsapp_mcp.sync.reach import KEPT, MODE, QUEUE, SINCE, UNTIL, WEBHOOK, said_in_earnest, seconds

if TYPE_CHECKING:
    from whatsapp_mcp.store import Store

_BROKEN: Final = {MODE: WEBHOOK, SINCE: "", UNTIL: ""}


@dataclass(slots=True)
class Proof:
    """The unbroken listening so far, in unix seconds."""

    since: int | None = None
    until: int | None = None
    can_prove: bool = True
    """Whether the instance is known to notify of all messages."""

    @classmethod
    def of(cls, store: Store, now: int) -> Proof:
        """Where earlier processes left it, at most up to `now`: the clock may have been put back."""
        since, until = (seconds(store.cursor(name)) for name in (SINCE, UNTIL))
        if store.cursor(MODE) not in {QUEUE, WEBHOOK} or since is None or until is None or since > now:
            return cls()
        return cls(since, min(until, now))

    def mark(self, told_at: int | None, now: int) -> Mark:
        """What becomes true when a notification that speaks of `told_at` is stored; None proves nothing."""
        moment = said_in_earnest(told_at, now)
        if moment is None or not self.can_prove:
            return Mark(now, cursors={MODE: WEBHOOK})
        since, until = self._reached(moment, now)
        cursors = {MODE: WEBHOOK, SINCE: str(since), UNTIL: str(until)}
        return Mark(now, cursors=cursors, covered=(Span("queue", since, moment),) if since < moment else ())

    def settle(self, told_at: int | None, now: int) -> None:
        """That notification is stored."""
        moment = said_in_earnest(told_at, now)
        if moment is not None and self.can_prove:
            self.since, self.until = self._reached(moment, now)

    @staticmethod
    def last(mark: Mark) -> Mark:
        """The same mark where the instance changed its state: what comes does not belong together with what was."""
        return replace(mark, cursors=_BROKEN)

    def broken(self, now: int) -> Mark:
        """What is true when not everything was told until `now`: nothing goes on from there."""
        self.since = self.until = None
        return Mark(now, cursors=_BROKEN)

    def _reached(self, moment: int, now: int) -> tuple[int, int]:
        if self.since is None or self.until is None or now - self.until > KEPT:
            return now, now
        return self.since, max(moment, min(self.until, now))
