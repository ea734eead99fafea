"""A language as the account speaks it: lists of words, and sentences with gaps for them.

The gaps of a sentence are ``{n}`` a thing, ``{p}`` a place, ``{f}`` something to eat, ``{t}`` a time, ``{a}`` a first name,
``{j}`` an adjective, ``{k}`` a small number, ``{h}`` an hour, ``{d}`` a date, ``{m}`` a price.

Words are drawn with a bias to the front of their list, so a few are frequent and many are rare, as in real chats: a search then
finds some words everywhere and others in a handful of messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

_GAP: Final = re.compile(r"\{(\w)\}")
_EMOJI: Final = (
    "👍",
    "😂",
    "❤️",
    "🙏",
    "😊",
    "🎉",
    "😅",
    "🔥",
    "👏",
    "🤔",
    "😍",
    "💪",
    "🙈",
    "☀️",
    "🌹",
    "☕",
    "🍕",
    "🚗",
    "🏡",
    "✅",
)
_ONLY_EMOJI: Final = 0.03
_SHORT: Final = 0.13
_SECOND_SENTENCE: Final = 0.42
_THIRD_SENTENCE: Final = 0.07
_TAIL: Final = 0.10


def words(text: str) -> tuple[str, ...]:
    """The words of `text` in their order, most frequent first; an underscore stands for a blank inside of one."""
    return tuple(word.replace("_", " ") for word in text.split())


def lines(text: str) -> tuple[str, ...]:
    """The non-empty lines of `text`, trimmed."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


@dataclass(frozen=True)
class Language:
    """One language; `say` writes a message in it."""

    code: str
    """ISO 639-1."""
    currency: str
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    group_names: tuple[str, ...]
    short: tuple[str, ...]
    sentences: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    foods: tuple[str, ...]
    times: tuple[str, ...]
    adjectives: tuple[str, ...]
    captions: tuple[str, ...]
    documents: tuple[str, ...]
    polls: tuple[str, ...]
    """A question and its options, parted by ``|``."""
    addresses: tuple[str, ...]
    """A place's name and its address, parted by ``|``."""
    patterns: tuple[tuple[str, str], ...] = field(init=False, repr=False)
    """Each sentence with ``%s`` for its gaps, and the letters of the gaps."""

    def __post_init__(self) -> None:
        """Prepare the sentences, since `say` runs tens of thousands of times."""
        parts = tuple((_GAP.sub("%s", sentence), "".join(_GAP.findall(sentence))) for sentence in self.sentences)
        object.__setattr__(self, "patterns", parts)

    def say(self, rng: Random) -> str:
        """A message of one to three sentences; now and then a single word or an emoji."""
        dice = rng.random()
        if dice < _ONLY_EMOJI:
            return pick(rng, _EMOJI)
        if dice < _ONLY_EMOJI + _SHORT:
            return pick(rng, self.short)
        return self._sentences(rng)

    def caption(self, rng: Random) -> str:
        """What somebody writes under a picture: often nothing."""
        return pick(rng, self.captions) if rng.random() < 0.45 else ""

    def _sentences(self, rng: Random) -> str:
        text = self.sentence(rng)
        dice = rng.random()
        if dice < _SECOND_SENTENCE:
            text = f"{text} {self.sentence(rng)}"
        if dice < _THIRD_SENTENCE:
            text = f"{text} {self.sentence(rng)}"
        return f"{text} {pick(rng, _EMOJI)}" if rng.random() < _TAIL else text

    def sentence(self, rng: Random) -> str:
        """One sentence with all its gaps filled."""
        pattern, gaps = self.patterns[int(len(self.patterns) * rng.random())]
        return pattern % tuple([self._fill(rng, gap) for gap in gaps]) if gaps else pattern

    def _fill(self, rng: Random, gap: str) -> str:
        if gap in _NUMBERS:
            return self._number(rng, gap)
        return pick(rng, self._list(gap))

    def _list(self, gap: str) -> tuple[str, ...]:
        lists = {"n": self.things, "p": self.places, "f": self.foods, "t": self.times, "a": self.first_names}
        return lists.get(gap, self.adjectives)

    def _number(self, rng: Random, gap: str) -> str:
        if gap == "k":
            return str(2 + int(28 * rng.random() ** 2))
        if gap == "h":
            return f"{7 + int(15 * rng.random())}:{15 * int(4 * rng.random()):02}"
        if gap == "d":
            return f"{1 + int(28 * rng.random())}.{1 + int(12 * rng.random())}"
        return f"{10 * (1 + int(240 * rng.random() ** 3))} {self.currency}"


_NUMBERS: Final = frozenset("khdm")


def pick(rng: Random, options: tuple[str, ...]) -> str:
    """One of `options`, the front ones much more often (the first of a hundred about ten times as often as the last)."""
    return options[int(len(options) * rng.random() ** 1.8)]
