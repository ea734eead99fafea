"""Where in the original text the words of a query stand; a contentless index cannot say it (FTS5 docs, 4.4.4 and 5.1.2).

The original is folded piece by piece, a letter with its marks at a time, so that each folded word keeps its place.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.search.folding import HEBREW_QUOTE, fold_piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from whatsapp_mcp.search.language import Query, Term

_LONGEST: Final = 20_000
"""Characters of a text that are looked through at a time; nearly every hit stands in the first of them."""
_FURTHEST: Final = 66_000
"""Beyond it nothing is looked for; WhatsApp's own limit is 65,536 characters."""
_LONGEST_MARKED: Final = 400
"""Characters between marks: a letter may carry any number of accents."""
_BEFORE: Final = 60
_WIDTH: Final = 160
_LONGEST_CLUSTER: Final = 40
_JOINER: Final = "\u200d"
_JOINED: Final = frozenset(
    [_JOINER, "\u0e33", "\u0eb3", "\uff9e", "\uff9f", *map(chr, range(0x1F3FB, 0x1F400)), *map(chr, range(0xE0020, 0xE0080))]
)
"""What belongs to the character before it beside marks: skin tones, tags, vowels of Thai and Lao, half-width voicing."""
_FLAGS: Final = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
_JAMO: Final = frozenset(map(chr, range(0x1160, 0x1200)))
_HANGUL: Final = frozenset(map(chr, (*range(0x1100, 0x1200), *range(0xAC00, 0xD7A4))))
_ASCII_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_LETTER: Final = re.compile(
    "[\\s\\S][\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u3099\u309a\uff9e\uff9f"
    "\u1160-\u11ff\u20d0-\u20f0\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]*"
)


class Word(NamedTuple):
    """A folded word and its place in the original text."""

    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The folded words of `text` in order, each with the place of its original."""
    text = text[:_LONGEST]
    if text.isascii():
        return [Word(match[0].lower(), *match.span()) for match in _ASCII_WORD.finditer(text)]
    return [word for word in _placed(text) if word.text]


def _placed(text: str) -> Iterator[Word]:
    silent = {match.start() for match in HEBREW_QUOTE.finditer(text)}
    word, start, end = "", 0, 0
    for match in _LETTER.finditer(text):
        if match.start() in silent:
            continue
        head, *others = fold_piece(match[0]).split(" ")
        if head:
            start = start if word else match.start()
            word, end = word + head, match.end()
        for other in others:
            yield Word(word, start, end)
            word, start, end = other, match.start(), match.end()
    yield Word(word, start, end)


def hits(text: str, query: Query) -> list[tuple[int, int]]:
    """The places (start, end) in `text` of what `query` wants, in order, without overlap; of a long text the first."""
    start = 0
    while start < min(len(text), _FURTHEST):
        end = start + _LONGEST
        if end < len(text):
            blank = text.rfind(" ", start + 1, end)
            end = blank if blank > 0 else end
        if found := _hits(text[start:end], query):
            return [(first + start, min(last, first + _LONGEST_MARKED) + start) for first, last in found]
        start = end
    return []


def _hits(text: str, query: Query) -> list[tuple[int, int]]:
    placed = words(text)
    terms = [part for unit in query.units for term in unit.terms for part in term.parts]
    firsts = {term.words[0] for term in terms}
    prefixes = tuple(term.words[0] for term in terms if term.is_prefix and len(term.words) == 1)
    found: list[tuple[int, int]] = []
    for index, word in enumerate(placed):
        if found and word.start < found[-1][1]:
            continue
        if word.text in firsts or word.text.startswith(prefixes):
            length = max((len(term.words) for term in terms if _stands(term, placed, index)), default=0)
            if length:
                found.append((word.start, placed[index + length - 1].end))
    return found


def _stands(term: Term, placed: Sequence[Word], index: int) -> bool:
    there = [word.text for word in placed[index : index + len(term.words)]]
    if len(there) < len(term.words) or there[:-1] != list(term.words[:-1]):
        return False
    return there[-1].startswith(term.words[-1]) if term.is_prefix else there[-1] == term.words[-1]


def snippet(text: str, places: Sequence[tuple[int, int]]) -> str:
    """One line around the first of `places`, every place in it between ``«`` and ``»``; ``…`` where the text goes on.

    Cut at blanks, so right-to-left words keep their order; where there are none, and at the marks, between what a reader takes
    for whole characters (`_whole`).
    """
    places = [(_whole(text, start, -1), _whole(text, end, 1)) for start, end in places]
    start = _cut(text, max(0, places[0][0] - _BEFORE), 0, places[0][0])
    end = _cut(text, min(len(text), max(start + _WIDTH, places[0][1])), places[0][1], len(text))
    inside = [place for place in places if start <= place[0] and place[1] <= end]
    marked = "".join(_marked(text, start, end, inside))
    return f"{'…' if start else ''}{' '.join(marked.split())}{'…' if end < len(text) else ''}"


def _cut(text: str, wish: int, low: int, high: int) -> int:
    """The nearest blank at or before `wish`, but not before `low`, nor more than 24 characters away."""
    if wish in (0, len(text)):
        return wish
    blank = max(text.rfind(blank, max(low, wish - 24), min(high, wish) + 1) for blank in " \n")
    return blank if blank > 0 else min(max(_whole(text, wish, -1), low), high)


def _whole(text: str, place: int, step: int) -> int:
    """The nearest place at or beyond `place` in that direction that lies within no grapheme cluster (UAX 29, simplified)."""
    for _ in range(_LONGEST_CLUSTER):
        if not 0 < place < len(text) or not _is_inside(text, place):
            break
        place += step
    return place


def _is_inside(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if before == _JOINER or after in _JOINED or unicodedata.category(after)[0] == "M":
        return True
    if after in _FLAGS and before in _FLAGS:
        flags = next((count for count in range(place) if text[place - 1 - count] not in _FLAGS), place)
        return flags % 2 == 1
    return after in _JAMO and before in _HANGUL


def _marked(text: str, start: int, end: int, places: Iterable[tuple[int, int]]) -> Iterator[str]:
    for first, last in places:
        yield f"{text[start:first]}«{text[first:last]}»"
        start = last
    yield text[start:end]
