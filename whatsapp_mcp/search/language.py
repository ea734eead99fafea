"""The query language: what a person types becomes a `Query`, and never an error.

Words are joined by AND, which may also be written. ``"words in a row"`` are a phrase, ``OR`` between two words takes
either, ``-word`` leaves out, ``invoi*`` finds every word that begins so. Whatever cannot be meant like that (a lone quote,
a dangling OR, only exclusions) is searched as plain words. A quote opens a phrase only where a word begins, so צה"ל stays one
word.

A plain word also finds its other written forms: with the particles that Hebrew and Arabic write together with it, without
the article, and numbers with and without thousands separators. A phrase in quotes finds only itself. The forms are named in
the query, because that costs a look-up of some microseconds each, while stems in the index would cost half of its size
again (see `folding`); `Query.exact` is the query without them, by which exact spellings are put first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.search.folding import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_QUERY: Final = 32
"""Words of a query that count; what follows is ignored. SQLite limits the depth of an expression, and nobody searches more."""
_LONGEST_TEXT: Final = 4_000
_SHORTEST_PREFIX: Final = 2
"""A shorter ``prefix*`` of letters would have to merge the lists of thousands of words."""

_PIECE: Final = re.compile(r'(?P<minus>-?)"(?P<phrase>[^"]*)"(?P<star>\*?)(?!\w)|(?P<word>\S+)')

_HEBREW: Final = re.compile("[\u05d0-\u05ea]+")
_HEBREW_PARTICLES: Final = (
    "ה", "ו", "ב", "כ", "ל", "מ", "ש", "וה", "וב", "וכ", "ול", "ומ", "וש", "שה", "שב", "שכ", "של", "שמ", "מה", "כש",
    "לכש", "מש", "כשה", "ושה", "ושב", "ושל", "וכש", "ומה", "בה", "לה",
)  # fmt: skip
_ARABIC: Final = re.compile("[\u0621-\u064a]+")
_ARABIC_PARTICLES: Final = (
    "ال", "و", "ف", "ب", "ك", "ل", "وال", "فال", "بال", "كال", "لل", "ولل", "وبال", "وب", "ول", "فب", "فل", "وك", "س", "وس",
)  # fmt: skip
_ARTICLES: Final = (("ה", _HEBREW), ("ال", _ARABIC))
_SHORTEST_STEM: Final = 3
_THOUSANDS: Final = re.compile(r"[0-9]{1,3}( [0-9]{3})+")

_ALPHABETS: Final = (
    "abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשת", "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "ابتثجحخدذرزسشصضطظعغفقكلمنهوي", "αβγδεζηθικλμνξοπρστυφχψω",
)  # fmt: skip
_FINALS: Final = str.maketrans("כמנפצ", "ךםןףץ")


@dataclass(frozen=True, slots=True)
class Term:
    """Words in a row, folded; the last one may be the beginning of a word."""

    words: tuple[str, ...]
    is_prefix: bool = False

    def expression(self) -> str:
        """The term for FTS5; folded words hold no quotes."""
        return f'"{" ".join(self.words)}"{"*" if self.is_prefix else ""}'


@dataclass(frozen=True, slots=True)
class Unit:
    """What one word or phrase of a query stands for: its own spelling first, then its other forms."""

    terms: tuple[Term, ...]

    def with_forms(self, is_written: Callable[[Term], bool]) -> Unit:
        """The unit with its own spelling and those of its forms for which `is_written` holds."""
        return Unit((self.terms[0], *(term for term in self.terms[1:] if is_written(term))))

    @property
    def plain(self) -> str:
        """The folded text as typed."""
        return " ".join(self.terms[0].words)


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood: every group of `wanted` must be there by one of its units, and no unit of `unwanted`."""

    wanted: tuple[tuple[Unit, ...], ...]
    unwanted: tuple[Unit, ...] = ()

    def match(self) -> str:
        """The FTS5 expression, with all forms."""
        return _expression([[term for unit in group for term in unit.terms] for group in self.wanted], self._left_out())

    def exact(self) -> str | None:
        """The FTS5 expression without further forms, or None where there are none to leave out."""
        if all(len(unit.terms) == 1 for unit in self.units):
            return None
        return _expression([[unit.terms[0] for unit in group] for group in self.wanted], self._left_out())

    def with_forms(self, is_written: Callable[[Term], bool]) -> Query:
        """The query without the further forms that nobody wrote: scoring takes the longer the more forms are named."""
        return Query(tuple(tuple(unit.with_forms(is_written) for unit in group) for group in self.wanted), self.unwanted)

    @property
    def units(self) -> tuple[Unit, ...]:
        """All wanted units in a row."""
        return tuple(unit for group in self.wanted for unit in group)

    def _left_out(self) -> list[Term]:
        return [unit.terms[0] for unit in self.unwanted]


def _expression(groups: list[list[Term]], left_out: list[Term]) -> str:
    wanted = " AND ".join(f"({_either(group)})" for group in groups)
    return f"({wanted}) NOT ({_either(left_out)})" if left_out else wanted


def _either(terms: list[Term]) -> str:
    return " OR ".join(term.expression() for term in terms)


def parse(text: str) -> Query | None:
    """The query that `text` means; None when it holds no word at all (empty, only punctuation)."""
    groups: list[list[Unit]] = []
    unwanted: list[Unit] = []
    joins = False
    for match in _PIECE.finditer(text[:_LONGEST_TEXT]):
        if match[0] in ("OR", "|", "AND"):
            joins = bool(groups) and match[0] != "AND"
            continue
        unit, negative = _unit(match)
        if unit is None or len(groups) + len(unwanted) >= LONGEST_QUERY:
            continue
        if negative:
            unwanted.append(unit)
        elif joins:
            groups[-1].append(unit)
        else:
            groups.append([unit])
        joins = False
    if not groups:  # only exclusions, or a joining word by itself: taken as plain words
        groups, unwanted = [[unit] for unit in unwanted] or _plain_words(text), []
    wanted = dict.fromkeys(tuple(dict.fromkeys(group)) for group in groups)  # a word said twice costs twice
    return Query(tuple(wanted), tuple(unwanted)) if groups else None


def _plain_words(text: str) -> list[list[Unit]]:
    return [[Unit((Term((word,)),))] for word in fold(text[:_LONGEST_TEXT]).split()[:LONGEST_QUERY]]


def _unit(match: re.Match[str]) -> tuple[Unit | None, bool]:
    if match["word"] is None:
        words = tuple(fold(match["phrase"]).split())[:LONGEST_QUERY]
        return (Unit((_term(words, is_prefix=bool(match["star"])),)) if words else None), bool(match["minus"])
    word = match["word"]
    negative = len(word) > 1 and word[0] == "-"
    words = tuple(fold(word[1:] if negative else word).split())[:LONGEST_QUERY]
    if not words:
        return None, negative
    is_prefix = word.endswith("*")
    return Unit(tuple(_term(form, is_prefix=is_prefix) for form in forms_of(words))), negative


def _term(words: tuple[str, ...], *, is_prefix: bool) -> Term:
    return Term(words, is_prefix and (len(words) > 1 or len(words[0]) >= _SHORTEST_PREFIX))


def forms_of(words: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The written forms of one typed word, which folding may have made into several: its own first, no form twice.

    A stem keeps at least three letters, so that short words do not find everything; two-letter words get only ה and ו.
    """
    return tuple(dict.fromkeys((words, *_further_forms(words))))


def _further_forms(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if _THOUSANDS.fullmatch(" ".join(words)):
        yield ("".join(words),)
    if len(words) > 1:
        return
    word = words[0]
    if word.isdecimal() and 4 <= len(word) <= 12:
        yield _in_thousands(word)
    for stem in (word, *_without_article(word)):
        if stem != word:
            yield (stem,)
        yield from ((particle + stem,) for particle in _particles(stem))


def _in_thousands(number: str) -> tuple[str, ...]:
    head = len(number) % 3
    return tuple(part for part in (number[:head], *(number[i : i + 3] for i in range(head, len(number), 3))) if part)


def _particles(word: str) -> tuple[str, ...]:
    if _HEBREW.fullmatch(word):
        return _HEBREW_PARTICLES if len(word) >= _SHORTEST_STEM else ("ה", "ו")[: 2 * (len(word) - 1)]
    return _ARABIC_PARTICLES if _ARABIC.fullmatch(word) and len(word) >= _SHORTEST_STEM else ()


def _without_article(word: str) -> Iterator[str]:
    for article, letters in _ARTICLES:
        if word.startswith(article) and letters.fullmatch(word) and len(word) - len(article) >= _SHORTEST_STEM:
            yield word.removeprefix(article)


def neighbours(word: str) -> Iterator[str]:
    """Every spelling one slip away from a folded word: a letter missing, doubled, wrong, or two exchanged.

    Letters come from the word's own alphabet; nothing for words under three or over 24 letters and for other scripts.
    """
    alphabet = next((letters for letters in _ALPHABETS if word and word[0] in letters), "")
    if not alphabet or not 3 <= len(word) <= 24:
        return
    for place in range(len(word) + 1):
        before, after = word[:place], word[place:]
        yield from (before + letter + after for letter in alphabet)
        if after:
            yield before + after[1:]
            yield from (before + letter + after[1:] for letter in alphabet if letter != after[0])
        if len(after) > 1:
            yield before + after[1] + after[0] + after[2:]


def spelled(word: str) -> str:
    """A folded word as one writes it: Hebrew ends in final letters."""
    return word[:-1] + word[-1].translate(_FINALS) if _HEBREW.fullmatch(word) and len(word) > 1 else word
