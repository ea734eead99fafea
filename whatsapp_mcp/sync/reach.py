"""How far the notification queue is known to have been read without a hole.

The queue keeps a notification for a day (Green API docs, ReceiveNotification). Whoever reads on before a day has passed since
the last moment that is proven has missed nothing; whoever comes later begins anew. An empty answer proves the queue until it
was asked for; a notification proves it until its own time at most, because others may still wait behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.store import Mark, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.store import Store

SINCE: Final = "queue_since"
"""The cursor that says when the unbroken listening began."""
UNTIL: Final = "queue_read_at"
"""The cursor that says until when all that came into the queue is stored."""
MODE: Final = "listen_mode"
QUEUE, WEBHOOK, ELSEWHERE = "queue", "webhook", "elsewhere"
"""How notifications come: by polling, to our own receiver, or to somebody else's address."""

KEPT: Final = 86_400 - 1_800
"""Seconds that a notification can be relied on to wait: a day, less half an hour for what a clock may be wrong."""
_WRONG: Final = 1_800
_TOLD_BY: Final[Mapping[str, str]] = {
    "incomingWebhook": "messages that come in",
    "outgoingMessageWebhook": "messages that are sent from the phone",
}
"""The settings without which neither silence nor a notification proves that there were no messages."""


def untold(settings: Mapping[str, str]) -> tuple[str, ...]:
    """Which messages no notification tells of with these settings of the instance, in words; empty where all are told."""
    return tuple(what for name, what in _TOLD_BY.items() if settings.get(name) != "yes")


def break_off(store: Store, since: int, mark: Mark) -> None:
    """Not everything was told after `since`: what was claimed of it is taken back.

    In one transaction with `mark`, which says from where to go on: the old position would claim it all again.
    """
    with store.transaction():
        store.withdraw("queue", since)
        store.mark_chat(mark)


def seconds(stored: str | None) -> int | None:
    """The moment that a cursor keeps, or None where it keeps none."""
    return int(stored) if stored is not None and stored.isascii() and stored.isdecimal() else None


def said_in_earnest(told_at: int | None, now: int) -> int | None:
    """The moment of which a notification tells, at most `now`; None where it says none, or one that has yet to come.

    A clock may be half an hour wrong. A notification from next year would prove that all is told, while others still wait.
    """
    return None if told_at is None or told_at > now + _WRONG else min(told_at, now)


class Reach:
    """The interval that is proven, in unix seconds; empty at first."""

    def __init__(self, cursors: Mapping[str, str | None], now: int) -> None:
        """Go on from the stored `cursors` where that leaves no hole, else begin at `now`."""
        self.since = self.until = now
        since, until = seconds(cursors.get(SINCE)), seconds(cursors.get(UNTIL))
        if cursors.get(MODE) == QUEUE and since is not None and until is not None and since <= until <= now < until + KEPT:
            self.since, self.until = since, until

    def restart(self, now: int) -> None:
        """Whatever came before `now` is not proven to belong together with what comes."""
        self.since = self.until = now

    def drained(self, asked_at: int) -> None:
        """The queue was empty when it was asked."""
        self._meet(asked_at)
        self.until = asked_at

    def taken(self, asked_at: int, happened_at: int | None) -> None:
        """The head of the queue, which tells of that moment, is stored."""
        self._meet(asked_at)
        self.until = max(self.until, said_in_earnest(happened_at, asked_at) or 0)

    def _meet(self, now: int) -> None:
        """The computer slept longer than the queue keeps anything, or its clock went back."""
        if now >= self.until + KEPT:
            self.restart(now)
        elif now < self.until:
            self.since, self.until = min(self.since, now), now

    def mark(self, now: int, *, goes_on: bool = True) -> Mark:
        """What to write together with what was received; whoever comes later begins anew unless this `goes_on`."""
        covered = (Span("queue", self.since, self.until),) if self.since < self.until else ()
        cursors = {SINCE: str(self.since) if goes_on else "", UNTIL: str(self.until), MODE: QUEUE}
        return Mark(now, cursors=cursors, covered=covered)
