"""Which number of a date is the day: inferred from all dates of a file, or asked for.

Each order reads the whole sequence of dates. An order pays in bits of surprise: much for a date that does not exist or lies in
the future, something for each step back and each leap over a year, and the logarithm of each step's days, because in the right
order a chat goes on in small steps. Media names that carry a date, and what is known of separators, count too. The cheapest
order is taken if the next one costs at least `MARGIN` more or reads every date the same; else the question stays open.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.normalise.chat_export.header import ORDERS, date_of

if TYPE_CHECKING:
    from datetime import date

MARGIN: Final = 8.0
"""Bits between the best and the next order from which the best is taken: one file in some 250 would be misread."""

_INVALID: Final = 20.0
_BACKWARDS: Final = 6.0
_LEAP: Final = 4.0
_MEDIA_PROOF: Final = 6.0
_UNUSUAL: Final = 12.0
_MOST_PROOFS: Final = 5


@dataclass(slots=True)
class _Reading:
    cost: float = 0.0
    last: date | None = None
    dates: int = 0
    invalid: int = 0
    first_invalid: str = ""
    proofs: int = 0
    fingerprint: int = 0

    def see(self, raw: str, day: date | None, latest: date) -> None:
        self.dates += 1
        if day is None or day > latest:
            self.cost += _INVALID
            self.invalid += 1
            self.first_invalid = self.first_invalid or raw
            return
        self.fingerprint = hash((self.fingerprint, day))
        if self.last is not None:
            step = (day - self.last).days
            self.cost += log2(1 + abs(step)) + (_BACKWARDS if step < -1 else _LEAP if step > 400 else 0)
        self.last = day


class Verdict(NamedTuple):
    """The order that a file's dates speak for, and why; `order` is empty while two or more remain, listed in `open`."""

    order: str
    evidence: tuple[str, ...]
    open: tuple[str, ...] = ()
    is_weak: bool = False
    """Taken although another order gives dates that exist as well."""


def _readings() -> dict[str, _Reading]:
    return {order: _Reading() for order in ORDERS}


@dataclass(slots=True)
class DateOrders:
    """All orders reading one file's dates; dates of equal neighbours count once."""

    latest: date
    """No message is younger than this."""
    example: str = ""
    _readings: dict[str, _Reading] = field(default_factory=_readings)

    def see(self, raw: str) -> None:
        """Read the next date as written; the caller leaves out one that equals the one before."""
        self.example = self.example or raw
        for order, reading in self._readings.items():
            reading.see(raw, date_of(raw, order), self.latest)

    def see_media(self, raw: str, day: date) -> None:
        """Note that a message of the date `raw` names a file of `day`."""
        for order, reading in self._readings.items():
            if reading.proofs < _MOST_PROOFS and date_of(raw, order) == day:
                reading.proofs += 1
                reading.cost -= _MEDIA_PROOF

    def invalid_share(self, order: str) -> float:
        """Which part of the dates does not exist in `order`."""
        reading = self._readings[order]
        return reading.invalid / reading.dates if reading.dates else 1.0

    def verdict(self, separator: str) -> Verdict:
        """Judge; `separator` stands between a date's numbers."""
        ranked = sorted(self._readings, key=lambda order: self._cost(order, separator))
        best = ranked[0]
        rivals = [order for order in ranked[1:] if self._is_rival(order, best, separator)]
        if rivals:
            return Verdict("", self._evidence(best), (best, *rivals))
        weak = any(self._is_possible(order, separator) and not self._same(order, best) for order in ranked[1:])
        return Verdict(best, self._evidence(best), is_weak=weak)

    def readings_of_example(self, orders: tuple[str, ...]) -> list[tuple[str, date | None]]:
        """What the first date means in each of `orders`."""
        return [(order, date_of(self.example, order)) for order in orders]

    def _is_rival(self, order: str, best: str, separator: str) -> bool:
        return self._cost(order, separator) - self._cost(best, separator) < MARGIN and not self._same(order, best)

    def _is_possible(self, order: str, separator: str) -> bool:
        return not self._readings[order].invalid and not self._is_unusual(order, separator)

    def _same(self, order: str, other: str) -> bool:
        one, two = self._readings[order], self._readings[other]
        return one.fingerprint == two.fingerprint and one.invalid == two.invalid

    def _cost(self, order: str, separator: str) -> float:
        return self._readings[order].cost + (_UNUSUAL if self._is_unusual(order, separator) else 0)

    def _is_unusual(self, order: str, separator: str) -> bool:
        """No locale writes year-day-month or month.day.year, and a short year first only the likes of ``22. 3. 27``."""
        if order == "ymd":
            return self._is_short() and separator != ". "
        return order == "ydm" or (order == "mdy" and separator.startswith("."))

    def _is_short(self) -> bool:
        return not any(len(part) == 4 for part in self.example.replace("-", "/").replace(".", "/").split("/"))

    def _evidence(self, best: str) -> tuple[str, ...]:
        found = [
            f"{r.first_invalid} is no past date as {o}" for o, r in self._readings.items() if r.first_invalid and o != best
        ]
        if self._readings[best].proofs:
            found.append(f"names of media files agree with {best}")
        if not self._readings[best].invalid:
            found.append(f"every date in it exists as {best} ({self._readings[best].dates} in a row)")
        return tuple(found)
