"""When the account's messages were written: how many each chat has, and at which seconds.

Messages come in sessions with a day's rhythm, chats begin, fall quiet and end. August 2025 stands apart from the months around
it by more than a day, so that its count is the same in every time zone on earth.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

DAY: Final = 86_400
_HOUR: Final = 3600
SESSION: Final = 4 * _HOUR
"""No session lasts longer."""
_PLACE_OFFSET: Final = 3 * _HOUR
"""The people live three hours east of UTC."""
_HOURS: Final = (2, 1, 1, 0, 0, 1, 6, 16, 24, 26, 26, 26, 28, 28, 26, 26, 28, 32, 38, 42, 44, 38, 24, 8)


def instant(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Unix seconds of a time in UTC."""
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


BEGIN: Final = instant(2017, 1, 8)
"""Nothing is older."""
NOW: Final = instant(2025, 9, 30, 20)
"""The account's present."""


class Window(NamedTuple):
    """A stretch of time, the end excluded."""

    start: int
    end: int


AUGUST: Final = Window(instant(2025, 8, 2), instant(2025, 8, 31))
"""Where the messages of August lie: a day away from both ends of the month."""
_AROUND_AUGUST: Final = Window(instant(2025, 7, 31) - SESSION, instant(2025, 9, 2))
"""Where no session of another month may begin."""


class Life(NamedTuple):
    """How a chat lived: from when to when, with silences, and how many messages before or after August and in it."""

    window: Window
    silences: tuple[Window, ...]
    others: int
    august: int


def share_out(total: int, weights: Sequence[float], *, least: int = 0) -> list[int]:
    """`total` cut by `weights`, each at least `least` and the sum exact."""
    rest = total - least * len(weights)
    whole = sum(weights)
    edges = [round(rest * edge / whole) for edge in accumulate(weights)]
    return [least + after - before for before, after in zip([0, *edges], edges, strict=False)]


def lives(rng: Random, chats: int, others: int, august: int) -> list[Life]:
    """The lives of `chats` chats with `others` and `august` messages in all; the first chats are the oldest and busiest."""
    weights = [rng.lognormvariate(0, 0.9) / (rank + 5) ** 1.15 for rank in range(chats)]
    windows = [_window(rng, rank / chats) for rank in range(chats)]
    in_august = [weight * (0.3 + rng.random()) * (window.end >= NOW) for weight, window in zip(weights, windows, strict=True)]
    silences = [_silences(rng, window) for window in windows]
    counts = zip(windows, silences, share_out(others, weights, least=1), share_out(august, in_august), strict=True)
    return [Life(*parts) for parts in counts]


def _window(rng: Random, rank: float) -> Window:
    start = BEGIN + int((instant(2025, 5, 1) - BEGIN) * min(1.0, rank * 0.7 + 0.3 * rng.random()) * (rank > 0.01))
    if rng.random() < 0.72 - 0.3 * rank or rank <= 0.05:
        return Window(start, NOW)
    return Window(start, start + 40 * DAY + int((instant(2025, 6, 20) - start) * rng.random() * 0.9))


def _silences(rng: Random, window: Window) -> tuple[Window, ...]:
    span = window.end - window.start
    starts = [window.start + int(span * (0.1 + 0.6 * rng.random())) for _ in range(rng.randrange(3))]
    return tuple(Window(start, start + 14 * DAY + int(span * 0.08 * rng.random())) for start in starts)


def moments(rng: Random, life: Life, busy: Sequence[Window] = ()) -> list[int]:
    """The seconds at which the chat's messages were written, ascending and all different; none within `busy`."""
    closed = [Window(window.start - SESSION, window.end) for window in busy]
    others = _sessions(rng, life.others, life.window, [_AROUND_AUGUST, *life.silences, *closed])
    return _distinct(sorted(others + _sessions(rng, life.august, AUGUST, closed)))


def _sessions(rng: Random, count: int, window: Window, closed: Sequence[Window]) -> list[int]:
    times: list[int] = []
    misses = 0
    while len(times) < count:
        start = _session_start(rng, window)
        if any(start >= other.start and start < other.end for other in closed if misses < 200 or other is closed[0]):
            misses += 1
            continue
        times.extend(_session(rng, start))
    return times[:count]


def _session_start(rng: Random, window: Window) -> int:
    last = window.end - SESSION
    while True:
        day = window.start + int((last - window.start) * rng.random() ** 0.62)
        hour = rng.choices(range(24), cum_weights=_RHYTHM)[0]
        start = day - day % DAY + hour * _HOUR - _PLACE_OFFSET + int(_HOUR * rng.random())
        if window.start <= start < last:
            return start


_RHYTHM: Final = tuple(accumulate(_HOURS))


def _session(rng: Random, start: int) -> list[int]:
    length = 1 + int(rng.expovariate(1 / 9))
    times: list[int] = []
    time = start
    while len(times) < length and time < start + SESSION:
        times.append(time)
        time += 6 + int(rng.expovariate(1 / 75))
    return times


def _distinct(times: list[int]) -> list[int]:
    for place in range(1, len(times)):
        if times[place] <= times[place - 1]:
            times[place] = times[place - 1] + 1
    return times
