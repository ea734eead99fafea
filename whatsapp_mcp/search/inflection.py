"""Other forms of a word that the same dictionary entry would hold: plurals, cases, persons and tenses of regular words.

The forms are made from the endings in `endings` when somebody asks, and the archive then says which of them anybody wrote
(`queries.ranking.written`). So the index holds words as written, does not grow, and needs no rebuilding when a rule becomes
better; and the cost is bounded by `MOST`, however large the archive is.

Why no stemmer of a library: those known (Snowball) want words as spelled, with their accents, while the index holds folded
ones. On folded words they miss what matters (*reunião* and *reuniões*, *luz* and *luces*, *fatura* and *faturayı*,
*τιμολόγιο* and *τιμολόγια*), and they join what does not belong together (*new* and *news*, *universe* and *university* in
older ones), since a stem drops derivation as well. They cannot be turned around either: to find a stem's words in the index
one has to walk all words that begin like it, which in five million messages takes longer than the search.

The script tells Hebrew, Arabic, Greek and Cyrillic. Which tongue a Latin word is of nobody knows, so endings are exchanged as
in English and in those tongues whose little words the archive holds (`endings.SIGNS`); little words themselves never are.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.search.endings import ARABIC, CYRILLIC, GREEK, HEBREW, LATIN, UNCHANGING
from whatsapp_mcp.search.folding import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from whatsapp_mcp.search.endings import Pattern

MOST: Final = 160
"""Forms of one word."""
TONGUES: Final = frozenset(LATIN)
"""Those whose words are written in Latin letters."""
_LONGEST: Final = 32
"""Letters of a word that has forms: longer ones are no words of a tongue."""

_SCRIPTS: Final = (
    (re.compile("[\u0430-\u045f\u0491]+"), CYRILLIC),
    (re.compile("[\u03b1-\u03c9]+"), GREEK),
    (re.compile("[\u05d0-\u05ea]+"), HEBREW),
    (re.compile("[\u0621-\u064a]+"), ARABIC),
)
_LATIN: Final = re.compile("[a-z]+")
_UNCHANGING: Final = frozenset(map(fold, UNCHANGING))
_DOUBLED: Final = re.compile("(.*[aeiou]([bdgklmnprtv]))(?:\\2(?:ed|ing|ings|er))")
_TO_DOUBLE: Final = re.compile("[^aeiou]+[aeiou][bdgklmnprtv]|.+[^aeiou][aeiou][lmnprt]")
_UMLAUT: Final = re.compile("(?<![aeiouq])([aou])e(?![aeiou])")


def inflected(word: str, tongues: Iterable[str] = TONGUES) -> list[str]:
    """Other forms that a folded `word` may have, likelier ones first, at most `MOST`; Latin words by these tongues."""
    if not 2 <= len(word) <= _LONGEST or word in _UNCHANGING:
        return []
    if _LATIN.fullmatch(word):
        spelled = _in_latin(word, frozenset(tongues))
    else:
        spelled = _exchanged(word, next((patterns for script, patterns in _SCRIPTS if script.fullmatch(word)), ()))
    forms = dict.fromkeys(form for form in spelled if form != word and form not in _UNCHANGING)
    return list(islice(forms, MOST))


def _in_latin(word: str, tongues: frozenset[str]) -> Iterator[str]:
    for tongue, patterns in LATIN.items():
        if tongue == "en":
            yield from _exchanged(word, patterns)
            yield from _doubled(word)
        elif tongue in tongues:
            yield from _exchanged(word, patterns)
            if tongue == "de" and len(word) > 4 and _UMLAUT.search(word):
                plain = _UMLAUT.sub(r"\1", word)
                yield plain
                yield from _exchanged(plain, patterns)


def _doubled(word: str) -> Iterator[str]:
    """English *running* for *run* and the other way round."""
    doubled = _DOUBLED.fullmatch(word)
    base = doubled[1] if doubled else word if _TO_DOUBLE.fullmatch(word) and len(word) > 2 else ""
    if base and base not in _UNCHANGING:
        yield from (base, f"{base}s", *(f"{base}{base[-1]}{ending}" for ending in ("ed", "ing", "ings")))


def _exchanged(word: str, patterns: Iterable[Pattern]) -> Iterator[str]:
    for pattern in patterns:
        for ending in pattern.endings:
            if not word.endswith(ending) or (not ending and not pattern.from_bare):
                continue
            base = word.removesuffix(ending) if ending else word
            if len(base) >= pattern.least and (pattern.base is None or pattern.base.fullmatch(base)):
                yield from (base + other for other in pattern.endings if other != ending)


def with_umlauts_spelled_out(typed: str) -> str:
    """A word typed with ä, ö or ü as one without umlauts on the keyboard writes it, not folded yet."""
    return typed.translate(_SPELLED_OUT)


_SPELLED_OUT: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "ae", "Ö": "oe", "Ü": "ue"})
