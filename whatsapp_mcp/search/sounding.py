"""Who is called what was typed, going by how it sounds: many names arranged by the consonants that are heard."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.search.names import NEVER, are_comparable, difference, readings
from whatsapp_mcp.search.romanising import Word, joined, parts_of, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST_BEGINNING: Final = 2
_ARTICLES: Final = frozenset({"al", "el", "ul", "ibn", "bin", "ben", "de", "von", "van"})


class Sounds:
    """What names sound like: their words by the consonants that are heard."""

    def __init__(self, holders: dict[str, list[int]]) -> None:
        """Arrange the names in `holders`, each with whose it is."""
        self._holders = holders
        self._lengths: dict[str, int] = {}
        self._names: dict[Word, list[str]] = {}
        for name in holders:
            words = words_of(name)
            self._lengths[name] = len(words)
            for word in dict.fromkeys((*words, *parts_of(words))):
                self._names.setdefault(word, []).append(name)
        self._heard: dict[str, list[Word]] = {}
        for word in self._names:
            for consonants in {reading.consonants for reading in readings(word)}:
                self._heard.setdefault(consonants, []).append(word)
        self._sorted = sorted(self._heard)

    def like(self, typed: tuple[Word, ...]) -> tuple[list[int], list[int]]:
        """Who is called just so, and whose name has such words."""
        found = self._names_like(typed, begun=False)
        return self._ids(name for name in found if self._lengths[name] == len(typed)), self._ids(found)

    def begun(self, typed: tuple[Word, ...]) -> list[int]:
        """Whose name has words that begin so."""
        return self._ids(self._names_like(typed, begun=True))

    def heard(self, typed: tuple[Word, ...]) -> list[int]:
        """Whose name has words that may be the same, also where others of their script are likelier."""
        return self._ids(self._strange(typed, begun=False))

    def _names_like(self, typed: tuple[Word, ...], *, begun: bool) -> list[str]:
        """The names that have a word like each of `typed`; of those in one script the likest only."""
        likest = self._strange(typed, begun=begun)
        best: dict[str, int] = {}
        for strange, script in likest.values():
            best[script] = min(strange, best.get(script, NEVER))
        return [name for name, (strange, script) in likest.items() if strange == best[script]]

    def _strange(self, typed: tuple[Word, ...], *, begun: bool) -> dict[str, tuple[int, str]]:
        """The names that have a word like each of `typed`, with how strange that is in all, and in which script."""
        likest: dict[str, tuple[int, str]] = {}
        for place, word in enumerate(typed):
            if place and not likest:
                return {}
            names: dict[str, tuple[int, str]] = {}
            for like, strange in self._words_like(word, begun=begun).items():
                for name in self._names[like]:
                    if place == 0 or name in likest:
                        known = names.get(name)
                        if known is None or strange < known[0]:
                            names[name] = (strange, like.script)
            likest = {name: (strange + likest.get(name, (0,))[0], script) for name, (strange, script) in names.items()}
        return likest

    def _words_like(self, typed: Word, *, begun: bool) -> dict[Word, int]:
        found = {typed: 0} if typed in self._names else {}
        if typed.letters.isdecimal() or (begun and len(typed.letters) < SHORTEST_BEGINNING):
            return found
        for mine in readings(typed, begun=begun):
            for word in self._candidates(mine.consonants, begun=begun):
                if word == typed or not are_comparable(typed, word):
                    continue
                strange = min(
                    (
                        difference(mine, theirs, begun=begun)
                        for theirs in readings(word)
                        if theirs.consonants == mine.consonants or (begun and theirs.consonants.startswith(mine.consonants))
                    ),
                    default=NEVER,
                )
                if strange < found.get(word, NEVER):
                    found[word] = strange
        return found

    def _candidates(self, consonants: str, *, begun: bool) -> Iterator[Word]:
        if not begun:
            yield from self._heard.get(consonants, ())
            return
        if not consonants:
            return
        for place in range(bisect_left(self._sorted, consonants), len(self._sorted)):
            if not self._sorted[place].startswith(consonants):
                return
            yield from self._heard[self._sorted[place]]

    def _ids(self, names: Iterable[str]) -> list[int]:
        return list(dict.fromkeys(identity for name in names for identity in self._holders[name]))


def ways_to_divide(text: str) -> list[tuple[Word, ...]]:
    """The words that were typed, then other ways to divide them: without articles, two of them as one."""
    words = words_of(text)[:8]
    if not words:
        return []
    ways = [words]
    if bare := tuple(word for word in words if word.letters not in _ARTICLES):
        ways.append(bare)
    for place in range(len(words) - 1):
        one, other = words[place : place + 2]
        if one.script == other.script:
            ways.append((*words[:place], joined(one, other), *words[place + 2 :]))
    return list(dict.fromkeys(ways))
