"""Where in the original text the words of a query stand; a contentless index cannot say it (FTS5 docs, 4.4.4 and 5.1.2).

The original is folded piece by piece, a letter with its marks at a time, so that each folded word keeps its place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.search.folding import HEBREW_QUOTE, fold_piece

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from whatsapp_mcp.search.language import Query, Term

_LONGEST: Final = 20_000
"""Characters of a message that are looked through: WhatsApp's own limit is 65,536, and a hit beyond is shown without marks."""
_BEFORE: Final = 60
_WIDTH: Final = 160
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
    """The places (start, end) in `text` of what `query` wants, in order and without overlap."""
    placed = words(text)
    terms = [term for unit in query.units for term in unit.terms]
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

    Cut at blanks, so neither letters with marks nor right-to-left words are torn apart.
    """
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
    return blank if blank > 0 else wish


def _marked(text: str, start: int, end: int, places: Iterable[tuple[int, int]]) -> Iterator[str]:
    for first, last in places:
        yield f"{text[start:first]}«{text[first:last]}»"
        start = last
    yield text[start:end]
