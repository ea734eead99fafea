"""What is asked of the gateway, counted by method: requests, 429s, errors, and how long the answers took.

Of the answers' times a histogram is kept whose classes grow by 4 %: a few hundred numbers however long a program listens, of
which the median and the 95th percentile can be told to 2 %. A run counts for itself (`counting`), so that a listener and the
sync that it runs beside itself do not count each other's calls.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_GROWTH: Final = math.log(1.04)
_LEAST: Final = 1e-5
"""Seconds; less is not told apart."""


class Calls(NamedTuple):
    """How one method of the gateway answered; times in milliseconds, None where none was measured."""

    method: str
    requests: int
    errors: int
    """No answer, another status than 200 and 429, or one that cannot be read."""
    throttled: int
    """Answers with 429."""
    median_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts by the gateway's method names."""

    requests: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    times: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """By method, how many answers took how long: the class of the time, see `quantile`."""

    def calls(self) -> tuple[Calls, ...]:
        """All that was counted, by the method's name."""
        return tuple(
            Calls(
                name,
                self.requests[name],
                self.errors[name],
                self.throttled[name],
                quantile(self.times.get(name, {}), 0.5),
                quantile(self.times.get(name, {}), 0.95),
            )
            for name in sorted(self.requests)
        )

    def clear(self) -> None:
        """Begin anew."""
        for counts in (self.requests, self.throttled, self.errors, self.times):
            counts.clear()


_CURRENT: Final[ContextVar[Tally | None]] = ContextVar("whatsapp_mcp_tally", default=None)


class Statistics(Tally):
    """What was asked so far, in all and for each `Tally` that is `counting` in the task at hand."""

    def asked(self, method: str) -> None:
        """A request goes out."""
        for tally in self._tallies():
            tally.requests[method] += 1

    def answered(self, method: str, seconds: float | None) -> None:
        """An answer, or its absence, was waited for; None where the time says nothing."""
        if seconds is None:
            return
        kind = math.floor(math.log(max(seconds, _LEAST) / _LEAST) / _GROWTH)
        for tally in self._tallies():
            tally.times[method][kind] += 1

    def throttle(self, method: str) -> None:
        """The gateway said 429."""
        for tally in self._tallies():
            tally.throttled[method] += 1

    def fail(self, method: str) -> None:
        """There was no answer that could be used."""
        for tally in self._tallies():
            tally.errors[method] += 1

    def _tallies(self) -> tuple[Tally, ...]:
        current = _CURRENT.get()
        return (self,) if current is None else (self, current)


@contextmanager
def counting(tally: Tally) -> Iterator[None]:
    """Count into `tally` as well what this task, and those that it starts, ask within the block."""
    before = _CURRENT.get()
    _CURRENT.set(tally)
    try:
        yield
    finally:
        _CURRENT.set(before)


def quantile(times: dict[int, int], share: float) -> float | None:
    """The time in milliseconds within which that `share` of the answers came, to 2 %; None without any."""
    needed = math.ceil(share * sum(times.values()))
    for kind in sorted(times):
        needed -= times[kind]
        if needed <= 0:
            return round(1_000 * _LEAST * math.exp((kind + 0.5) * _GROWTH), 2)
    return None
