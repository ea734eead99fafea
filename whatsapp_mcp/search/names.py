"""Whether two words may be the same name, written in two scripts or by two people: משה, Moshe and Моше; Mohammed and Muhammad.

A word is read into *readings*: the consonants that are heard, one letter for each class of spellings that people mix (kh, ch
and h; w and v; ts, tz and z; sh), and the vowels between them. Hebrew and Arabic write few vowels, so their letters are read
here: ו may be v, o or u, a medial vowel that is not written may be any, but one that is written must be heard, and whether a
word ends in a vowel is always seen. That keeps דן (Dan) apart from דנה (Dana), and דינה (Dina) from both.

Two words of one script that leaves vowels out are never compared: who writes Hebrew writes דנה when Dana is meant.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.search.romanising import VOWELLESS, Word, romanised

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_READINGS: Final = 24

_SOUND: Final = re.compile(
    "shch|tsch|tch|dzh|sch|sh|ch|kh|ph|th|gh|dh|zh|dj|tz|ts|ck|cz|qu|oo|ou|ee|ii|[a-z]|[0-9]"
)  # fmt: skip
_SPOKEN: Final = {
    "shch": "x", "tsch": "c", "tch": "c", "dzh": "j", "sch": "x", "sh": "x", "ch": "hckx", "kh": "hk", "ph": "fp", "th": "t",
    "gh": "g", "dh": "d", "zh": "j", "dj": "j", "tz": "z", "ts": "z", "ck": "k", "cz": "c", "qu": "k", "q": "k", "j": "jy",
}  # fmt: skip
"""What is heard, each letter a possibility; a letter that is not here is heard as itself."""
_VOWELS: Final = {"a": "a", "e": "e", "i": "i", "o": "o", "u": "o", "y": "i", "oo": "o", "ou": "o", "ee": "i", "ii": "i"}
_BEGUN: Final = {"s": "sx", "t": "tzc", "k": "kh", "c": "kchsx", "z": "zj", "p": "pf", "d": "dj", "g": "gj"}
"""What a letter may become when it is the last that was typed so far."""
_MIXED: Final = {"hangul": {"g": "gk", "d": "dt", "b": "bp", "j": "jc", "l": "lr", "r": "rl"}, "thai": {"l": "ln", "r": "rn"}}

_HEBREW: Final = {
    "ב": "bv", "ג": "gj", "ד": "d", "ז": "zj", "ח": "h", "ט": "t", "כ": "kh", "ך": "kh", "ל": "l", "מ": "m", "ם": "m", "נ": "n",
    "ן": "n", "ס": "s", "פ": "pf", "ף": "pf", "צ": "zc", "ץ": "zc", "ק": "k", "ר": "r", "ש": "xs", "ת": "t",
}  # fmt: skip
_ARABIC: Final = {
    "ب": "b", "ت": "t", "ث": "ts", "ج": "jg", "ح": "h", "خ": "hk", "د": "d", "ذ": "dz", "ر": "r", "ز": "z", "س": "s",
    "ش": "x", "ص": "s", "ض": "dz", "ط": "t", "ظ": "zd", "غ": "g", "ف": "f", "ق": "kg", "ك": "k", "ک": "k", "گ": "g",
    "ل": "l", "م": "m", "ن": "n", "ں": "n", "پ": "p", "چ": "c", "ژ": "j", "ڤ": "v", "ٹ": "t", "ڈ": "d", "ڑ": "r",
}  # fmt: skip
_CONSONANTS: Final = _HEBREW | _ARABIC
_V, _Y, _H, _SILENT = "وו", "يیיئ", "هהہ", "אاأإآٱעع"
_ENDING: Final = {"ة": "A", "ى": "AI", "ے": "I"}
_UNWRITTEN: Final = "?"
_CLOSED: Final = "-"


class Reading(NamedTuple):
    """One way to say a word: its consonants, and the vowels before, between and after them.

    Vowels are ``a e i o`` where all are written. In scripts that leave them out ``I`` ``O`` ``A`` are what the letter may stand
    for, ``*`` is any vowel, ``?`` any or none, ``-`` none but an ``e`` that is not heard.
    """

    consonants: str
    vowels: tuple[str, ...]


_Piece = tuple[str, str]
"""Consonants, then vowels, as one more letter adds them."""


@lru_cache(maxsize=65_536)
def readings(word: Word, *, begun: bool = False) -> tuple[Reading, ...]:
    """The ways to say a word, at most `_MOST_READINGS`; with `begun` its end is not typed yet."""
    if word.script in ("hebrew", "arabic"):
        found = _joined(_written(word.letters))
        if word.script == "arabic" and word.letters.startswith("ال") and len(word.letters) > 4:
            found |= _joined(_written(word.letters[2:]))
    else:
        found = {}
        for spelling in romanised(word):
            found |= _joined(_spoken(spelling, _MIXED.get(word.script, {}), begun=begun))
    if word.script in VOWELLESS:
        found = dict.fromkeys(_with_unwritten(reading, "" if begun else _CLOSED) for reading in found)
    return tuple(found)[:_MOST_READINGS]


def _joined(letters: list[list[_Piece]]) -> dict[Reading, None]:
    partial = {Reading("", ("",)): None}
    for pieces in letters:
        partial = dict.fromkeys([_after(reading, piece) for reading in partial for piece in pieces][: 4 * _MOST_READINGS])
    return {reading: None for reading in partial if reading.consonants or any(reading.vowels)}


def _after(reading: Reading, piece: _Piece) -> Reading:
    consonants, vowels = reading
    for consonant in piece[0]:
        if consonants[-1:] != consonant or vowels[-1]:  # doubled letters are heard once
            consonants, vowels = consonants + consonant, (*vowels, "")
    if piece[1] and not vowels[-1].endswith(piece[1]):
        vowels = (*vowels[:-1], vowels[-1] + piece[1])
    return Reading(consonants, vowels)


def _with_unwritten(reading: Reading, ending: str) -> Reading:
    if len(reading.vowels) == 1:
        return reading
    first, *between, last = reading.vowels
    return Reading(reading.consonants, (first, *(vowel or _UNWRITTEN for vowel in between), last or ending))


def _spoken(spelling: str, mixed: dict[str, str], *, begun: bool) -> list[list[_Piece]]:
    """The letters of a romanised word, each as what it may be heard as."""
    sounds = ["", *_SOUND.findall(spelling), ""]
    pieces = [_heard(*around, mixed) for around in zip(sounds, sounds[1:], sounds[2:], strict=False)]
    if begun and sounds[-2] in _BEGUN:
        pieces[-1] = [(heard, "") for heard in _BEGUN[sounds[-2]]]
    return pieces


def _heard(before: str, sound: str, after: str, mixed: dict[str, str]) -> list[_Piece]:
    special = _UNSTEADY.get(sound)
    if special and sound not in mixed:
        return special(before, after)
    if sound in _VOWELS:
        return [("", _VOWELS[sound])]
    heard = _SPOKEN.get(sound, sound)
    return [(one, "") for letter in heard for one in mixed.get(letter, letter)]


def _of_y(before: str, after: str) -> list[_Piece]:
    if not before:
        return [("y", ""), ("", "")] if after == "e" else [("y", "")] if after in _VOWELS else [("", "i")]
    return [("y", ""), ("", "i")] if before in _VOWELS and after in _VOWELS else [("", "i")]


def _of_i(before: str, after: str) -> list[_Piece]:
    if before:
        return [("", "i")]
    return [("", "i"), ("y", "")] if after in _VOWELS else [("", "i"), ("y", "i")]


def _of_h(before: str, after: str) -> list[_Piece]:
    if before in _VOWELS and after not in _VOWELS:
        return [("h", ""), ("", "")] if after else [("", "")]
    return [("h", "")]


def _of_w(before: str, after: str) -> list[_Piece]:
    return [("v", ""), ("", "o")] if before in _VOWELS and after not in _VOWELS else [("v", "")]


def _of_g(_: str, after: str) -> list[_Piece]:
    return [("g", ""), ("j", "")] if after in ("e", "i", "y", "ee") else [("g", "")]


def _of_c(_: str, after: str) -> list[_Piece]:
    return [("s", ""), ("k", ""), ("c", "")] if after in ("e", "i", "y", "ee") else [("k", ""), ("c", "")]


_UNSTEADY: Final[dict[str, Callable[[str, str], list[_Piece]]]] = {
    "y": _of_y, "i": _of_i, "h": _of_h, "w": _of_w, "g": _of_g, "c": _of_c, "x": lambda _, __: [("ks", "")],
}  # fmt: skip
"""Letters that are heard by what stands around them."""


def _written(letters: str) -> list[list[_Piece]]:
    """The letters of a Hebrew or Arabic word, each as what it may stand for."""
    bare = [one for one in letters if one in _CONSONANTS or one in _V + _Y + _H + _SILENT or one in _ENDING]
    last = len(bare) - 1
    pieces = [_meant(letter, is_first=place == 0, is_last=place == last) for place, letter in enumerate(bare)]
    for place, (one, other) in enumerate(pairwise(bare)):
        if one == other and one in _V:
            pieces[place], pieces[place + 1] = [("v", "")], [("", "")]
    return pieces


def _meant(letter: str, *, is_first: bool, is_last: bool) -> list[_Piece]:
    if letter in _CONSONANTS:
        return [(one, "") for one in _CONSONANTS[letter]]
    if letter in _ENDING:
        return [("", one) for one in _ENDING[letter]]
    if letter in _H:
        return [("", "A"), ("h", "")] if is_last else [("h", "")]
    if letter in _SILENT:
        return _silent(letter, is_first=is_first, is_last=is_last)
    consonant, vowel = ("v", "O") if letter in _V else ("y", "I")
    if is_first:
        return [(consonant, "")]
    return [("", vowel), (consonant, "")]


def _silent(letter: str, *, is_first: bool, is_last: bool) -> list[_Piece]:
    if is_first:
        return [("", "*")]
    if is_last:
        return [("", "A"), ("", "")] if letter in "עع" else [("", "A")]
    return [("", "A")] if letter in "اآ" else [("", "")]


@lru_cache(maxsize=65_536)
def _strangeness(one: str, other: str, *, ends: bool, loose: bool) -> int:
    """How ill two groups of vowels agree: 0 well, `NEVER` not at all."""
    if one == other:
        return 0
    wild, spoken = (one, other) if one in _WILD or one.isupper() or one.startswith("*") else (other, one)
    if _UNWRITTEN in (wild, spoken):
        return int(bool(set(wild + spoken) & set("ioIO")))
    if wild == _CLOSED:
        return 0 if spoken in ("", "e") else NEVER
    if wild == "*":
        return 0 if spoken else NEVER
    if not wild.strip("*").isupper():
        return 0 if loose and _plainest(one) == _plainest(other) else NEVER
    return 0 if _is_heard(wild.lstrip("*"), spoken, ends=ends) else NEVER


def _is_heard(wild: str, spoken: str, *, ends: bool) -> bool:
    """Whether each vowel that stands in `wild` is heard in `spoken`, and at the end of a word no other last one."""
    if not all(set(_STANDS_FOR[letter]) & set(spoken) for letter in wild):
        return False
    return not ends or (spoken[-1] in _STANDS_FOR[wild[-1]] and ("I" in wild or "i" not in spoken[:-1]))


_WILD: Final = (_UNWRITTEN, _CLOSED)
_STANDS_FOR: Final = {"I": "ieI", "O": "oO", "A": "aeoA*", "*": "aeioIOA*"}
NEVER: Final = 99


def _plainest(vowels: str) -> str:
    plain = vowels.replace("e", "a")
    return re.sub(r"(.)\1", r"\1", plain)


def difference(one: Reading, other: Reading, *, begun: bool = False) -> int:
    """How much two readings with the same consonants differ in their vowels; `NEVER` or more when they are two names.

    With `begun`, `one` is the beginning of a word, and `other` has its consonants and further ones.
    """
    last = len(one.vowels) - 1
    loose = last >= 3
    pairs = list(zip(one.vowels, other.vowels, strict=False))
    if begun and (last < len(other.vowels) - 1 or not one.vowels[-1]):
        if not one.vowels[-1]:
            pairs.pop()
        return sum(_strangeness(mine, theirs, ends=False, loose=loose) for mine, theirs in pairs)
    total = 0
    for place, (mine, theirs) in enumerate(pairs):
        total += _strangeness(mine, theirs, ends=place == last, loose=loose)
    return total


def are_comparable(one: Word, other: Word) -> bool:
    """Whether the readings of two words say anything: not within a script that leaves vowels out, nor of pairs of words."""
    if one.is_joined and other.is_joined:
        return False
    return one.script != other.script or one.script not in VOWELLESS
