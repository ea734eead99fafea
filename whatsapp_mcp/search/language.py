"""The query language: what a person types becomes a `Query`, and never an error.

Words are joined by AND, which may also be written. ``"words in a row"`` are a phrase, ``OR`` between two words takes
either, ``-word`` leaves out, ``invoi*`` finds every word that begins so. Whatever cannot be meant like that (a lone quote,
a dangling OR, only exclusions) is searched as plain words. A quote opens a phrase only where a word begins, so צה"ל stays one
word.

A plain word also finds its other written forms: inflected (`inflection`), with the particles that Hebrew and Arabic write
together with it, without the article; numbers and phone numbers in other groups (`digits`). A phrase in quotes finds only
itself, also with a particle before its first word. The forms are named in the query, because that costs a look-up of some
microseconds each, while stems in the index would cost half of its size again (see `folding`); `Query.exact` is the query
without them, by which exact spellings are put first. ``from:``, ``has:`` and the like are taken out before (`operators`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.search.digits import is_phone, other_numbers, other_phones
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.inflection import TONGUES, inflected, with_umlauts_spelled_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

LONGEST_QUERY: Final = 32
"""Words of a query that count; what follows is ignored. SQLite limits the depth of an expression, and nobody searches more."""
_LONGEST_TEXT: Final = 4_000
_SHORTEST_PREFIX: Final = 2
"""A shorter ``prefix*`` of letters would have to merge the lists of thousands of words."""
_MOST_FORMS: Final = 320
"""Further forms of one word that are looked up."""
_MOST_OF_QUERY: Final = 900
"""Further forms of a whole query that are looked up: the first words have theirs."""

_PIECE: Final = re.compile(r'(?P<minus>-?)"(?P<phrase>[^"]*)"(?P<star>\*?)(?!\w)|(?P<word>\S+)')
_DIGITS: Final = re.compile(r"[+(]*[0-9][0-9()./,\u2010-\u2015\u00a0-]*")
"""A piece of a number that blanks may divide; compared after its digits became ordinary ones."""

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
_NUMBER: Final = re.compile("[0-9]+( [0-9]+)*")

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
    is_row: bool = True
    """False where each of the words, which may be several in a row, stands anywhere: a number that was typed with blanks."""

    def expression(self) -> str:
        """The term for FTS5; folded words hold no quotes."""
        if not self.is_row:
            return f"({' AND '.join(term.expression() for term in self.parts)})"
        return f'"{" ".join(self.words)}"{"*" if self.is_prefix else ""}'

    @property
    def parts(self) -> tuple[Term, ...]:
        """What has to stand in a row each."""
        return (self,) if self.is_row else tuple(Term(tuple(word.split())) for word in self.words)


@dataclass(frozen=True, slots=True)
class Unit:
    """What one word or phrase of a query stands for: its own spelling first, then its other forms."""

    terms: tuple[Term, ...]
    typed: str = field(default="", compare=False)
    """As somebody typed it, quotes included, so that it can be typed again."""

    def with_forms(self, written: Collection[Term]) -> Unit:
        """The unit with its own spelling and those of its forms that are among the `written`."""
        return Unit((self.terms[0], *(term for term in self.terms[1:] if term in written)), self.typed)

    @property
    def plain(self) -> str:
        """The folded text as typed."""
        return " ".join(self.terms[0].words)


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood: every group of `wanted` must be there by one of its units, and no unit of `unwanted`."""

    wanted: tuple[tuple[Unit, ...], ...]
    unwanted: tuple[Unit, ...] = ()
    is_turned: bool = False
    """Only exclusions were typed, and they stand under `wanted`: by themselves they leave nothing to search."""

    def match(self) -> str:
        """The FTS5 expression, with all forms."""
        return _expression([[term for unit in group for term in unit.terms] for group in self.wanted], self._left_out())

    def any_of(self) -> str:
        """The FTS5 expression for messages that hold anything wanted."""
        return _either([term for unit in self.units for term in unit.terms])

    def exact(self) -> str | None:
        """The FTS5 expression without further forms, or None where there are none to leave out."""
        if all(len(unit.terms) == 1 for unit in self.units):
            return None
        return _expression([[unit.terms[0] for unit in group] for group in self.wanted], self._left_out())

    def others(self) -> str | None:
        """The FTS5 expression of the further forms alone, where the query is one word; None where they are not told apart."""
        if len(self.units) != 1 or self.unwanted or not self.units[0].terms[0].is_row or not self.units[0].terms[1:]:
            return None
        return _expression([list(self.units[0].terms[1:])], [])

    @property
    def further(self) -> list[Term]:
        """The further forms, as many as may be looked up."""
        forms = (term for unit in self.units for term in unit.terms[1:])
        return list(islice(dict.fromkeys(forms), _MOST_OF_QUERY))

    def with_forms(self, written: Collection[Term]) -> Query:
        """The query without the further forms that nobody wrote: scoring takes the longer the more forms are named."""
        return replace(self, wanted=tuple(tuple(unit.with_forms(written) for unit in group) for group in self.wanted))

    @property
    def units(self) -> tuple[Unit, ...]:
        """All wanted units in a row."""
        return tuple(unit for group in self.wanted for unit in group)

    def _left_out(self) -> list[Term]:
        return [term for unit in self.unwanted for term in unit.terms]


def _expression(groups: list[list[Term]], left_out: list[Term]) -> str:
    wanted = " AND ".join(f"({_either(group)})" for group in groups)
    return f"({wanted}) NOT ({_either(left_out)})" if left_out else wanted


def _either(terms: list[Term]) -> str:
    return " OR ".join(term.expression() for term in terms)


def parse(text: str, tongues: Iterable[str] = TONGUES) -> Query | None:
    """The query that `text` means; None when it holds no word at all (empty, only punctuation).

    `tongues` are those by which words in Latin letters are inflected.
    """
    groups: list[list[Unit]] = []
    unwanted: list[Unit] = []
    joins = False
    for unit, negative in _units(text[:_LONGEST_TEXT], frozenset(tongues)):
        if unit is None:
            joins = bool(groups) and negative
            continue
        if len(groups) + len(unwanted) >= LONGEST_QUERY:
            break
        if negative:
            unwanted.append(unit)
        elif joins:
            groups[-1].append(unit)
        else:
            groups.append([unit])
        joins = False
    is_turned = bool(unwanted) and not groups
    if not groups:  # only exclusions, or a joining word by itself: taken as plain words
        groups, unwanted = [[unit] for unit in unwanted] or _plain_words(text), []
    for group, following in pairwise(groups):
        group[-1] = _before(group[-1], following[0])
    wanted = dict.fromkeys(tuple(dict.fromkeys(group)) for group in groups)  # a word said twice costs twice
    return Query(tuple(wanted), tuple(unwanted), is_turned) if groups else None


def _before(unit: Unit, following: Unit) -> Unit:
    """A word too short to take particles by itself takes them where the next word follows: תל אביב finds בתל אביב."""
    first, second = unit.terms[0], following.terms[0]
    words = (*first.words, *second.words)
    if len(words) != 2 or len(words[0]) >= _SHORTEST_STEM or first.is_prefix or second.is_prefix:
        return unit
    return replace(unit, terms=tuple(dict.fromkeys((*unit.terms, *map(Term, _phrases_with_particles(words))))))


def _plain_words(text: str) -> list[list[Unit]]:
    return [[Unit((Term((word,)),), word)] for word in fold(text[:_LONGEST_TEXT]).split()[:LONGEST_QUERY]]


def _units(text: str, tongues: frozenset[str]) -> Iterator[tuple[Unit | None, bool]]:
    """The words and phrases of `text`, each with whether it is to be left out; None is AND, or OR where that is true."""
    row: list[str] = []
    for match in _PIECE.finditer(text):
        if match["word"] and _DIGITS.fullmatch(_ordinary(match["word"])):
            row.append(match["word"])
            continue
        yield from _numbers(row, tongues)
        row = []
        if match[0] in ("OR", "|", "AND"):
            yield None, match[0] != "AND"
            continue
        unit, negative = _unit(match, tongues)
        if unit is not None:
            yield unit, negative
    yield from _numbers(row, tongues)


def _ordinary(word: str) -> str:
    """With the digits of ASCII."""
    return word if word.isascii() else "".join(str(int(letter)) if letter.isdecimal() else letter for letter in word)


def _numbers(pieces: list[str], tongues: frozenset[str]) -> Iterator[tuple[Unit, bool]]:
    """Numbers in a row: one that blanks divide (``+1 555 010 0199``, ``12 500``) may be written in other ways as well."""
    runs = tuple(fold(" ".join(pieces)).split())
    if len(pieces) > 1 and len(runs) <= LONGEST_QUERY:
        others = [*other_numbers(runs), *(other_phones(runs) if _is_one_phone(pieces, runs) else ())]
        if others:
            own = Term(tuple(filter(None, map(fold, pieces))), is_row=False)
            yield _with_forms(own, (runs, *others), " ".join(pieces)), False
            return
    for piece in pieces:
        words = tuple(fold(piece).split())[:LONGEST_QUERY]
        yield _with_forms(Term(words), forms_of(words, piece, tongues)[1:], piece), False


def _is_one_phone(pieces: list[str], runs: tuple[str, ...]) -> bool:
    """Years and other numbers beside each other are none."""
    groups = {len(run) for run in runs}
    return is_phone("".join(runs)) and (pieces[0][0] in "+(" or len(runs) > 2 or groups in ({3, 4}, {3, 7}, {2, 7}, {4, 6}))


def _with_forms(own: Term, forms: Iterable[tuple[str, ...]], typed: str) -> Unit:
    others = (Term(form, own.is_prefix and own.is_row) for form in forms)
    return Unit((own, *islice((term for term in dict.fromkeys(others) if term != own), _MOST_FORMS)), typed)


def _unit(match: re.Match[str], tongues: frozenset[str]) -> tuple[Unit | None, bool]:
    if match["word"] is None:
        words = tuple(fold(match["phrase"]).split())[:LONGEST_QUERY]
        if not words:
            return None, False
        own = _term(words, is_prefix=bool(match["star"]))
        return _with_forms(own, _phrases_with_particles(words), match[0].removeprefix("-")), bool(match["minus"])
    word = match["word"]
    negative = len(word) > 1 and word[0] == "-"
    word = word[1:] if negative else word
    words = tuple(fold(word).split())[:LONGEST_QUERY]
    if not words:
        return None, negative
    own = _term(words, is_prefix=word.endswith("*"))
    is_as_written = negative or word.endswith("*")  # what is left out is the word itself, whatever is written together with it
    forms = _joined_forms(words) if is_as_written else forms_of(words, word, tongues)[1:]
    return _with_forms(own, forms, word.lstrip('-"')), negative


def _term(words: tuple[str, ...], *, is_prefix: bool) -> Term:
    return Term(words, is_prefix and (len(words) > 1 or len(words[0]) >= _SHORTEST_PREFIX))


def forms_of(words: tuple[str, ...], typed: str = "", tongues: Iterable[str] = TONGUES) -> tuple[tuple[str, ...], ...]:
    """The written forms of one typed word, which folding may have made into several: its own first, no form twice.

    A stem keeps at least three letters, so that short words do not find everything; two-letter words get only ה and ו.
    """
    further = islice(dict.fromkeys(_further_forms(words, typed, frozenset(tongues))), _MOST_FORMS)
    return tuple(dict.fromkeys((words, *further)))


def _further_forms(words: tuple[str, ...], typed: str, tongues: frozenset[str]) -> Iterator[tuple[str, ...]]:
    if _NUMBER.fullmatch(" ".join(words)):
        yield from _digit_by_digit(words, typed)
        yield from other_numbers(words)
        yield from other_phones(words)
        return
    if len(words) > 1:
        yield from _without_apostrophe(words, typed)
        yield from _phrases_with_particles(words)
        return
    inflections = inflected(words[0], tongues)
    yield from ((form,) for form in inflections)
    yield from _joined_forms(words)
    for form in inflections:
        yield from ((particle + form,) for particle in _particles(form))
    if (spelled_out := with_umlauts_spelled_out(typed)) != typed:
        out = fold(spelled_out)
        yield from ((form,) for form in (out, *inflected(out, tongues)))
    yield from _with_apostrophe(words[0])


def _digit_by_digit(words: tuple[str, ...], typed: str) -> Iterator[tuple[str, ...]]:
    """A number in digits of Thai, Lao or Burmese, of which the index holds each as a word, and the other way round."""
    if len(words) == 1 and 3 <= len(words[0]) <= 12:
        yield tuple(words[0])
    elif len(words) > 1 and typed.isdecimal():
        yield ("".join(words),)


def _joined_forms(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """With the particles that are written together with a word, and without the article."""
    for stem in (words[0], *_without_article(words[0])) if len(words) == 1 else ():
        if stem != words[0]:
            yield (stem,)
        yield from ((particle + stem,) for particle in _particles(stem))


def _phrases_with_particles(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The phrase with what Hebrew and Arabic write together with its first word: to a reader the phrase still stands there."""
    if len(words) > 1:
        yield from ((particle + words[0], *words[1:]) for particle in _particles(words[0], least=2))


_APOSTROPHES: Final = re.compile("[a-z]+['\u2019`][a-z]{1,2}", re.IGNORECASE)


def _without_apostrophe(words: tuple[str, ...], typed: str) -> Iterator[tuple[str, ...]]:
    """``dont`` for ``don't``."""
    if len(words) == 2 and _APOSTROPHES.fullmatch(typed):
        yield ("".join(words),)


_CONTRACTED: Final = {"nt": "t", "ll": "ll", "re": "re", "ve": "ve", "im": "m"}


def _with_apostrophe(word: str) -> Iterator[tuple[str, ...]]:
    """``don't`` for ``dont``."""
    rest = _CONTRACTED.get(word[-2:])
    if rest and 2 <= len(word) <= 8 and word.isascii():
        yield word[: -len(rest)], rest


def _particles(word: str, least: int = _SHORTEST_STEM) -> tuple[str, ...]:
    """Those of its script, for words of at `least` so many letters; shorter ones would become too many other words."""
    if _HEBREW.fullmatch(word):
        return _HEBREW_PARTICLES if len(word) >= least else ("ה", "ו")[: 2 * (len(word) - 1)]
    return _ARABIC_PARTICLES if _ARABIC.fullmatch(word) and len(word) >= least else ()


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
