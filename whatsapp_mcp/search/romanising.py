"""Names of any script in Latin letters, word by word, as people spell them when they have only such a keyboard.

The letters come from anyascii, which knows every script of Unicode; what it spells letter by letter and people do not is
mended here (Greek μπ is b, Thai vowels that are written before their consonant, ş is sh, Korean surnames). Hebrew and
Arabic stay as they are: their vowels are mostly not written, so `names` reads their letters itself.

Chinese characters are read as Mandarin; how a Japanese name in kanji is read stands in no table, so it has no romanisation
that anybody would type.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

_MARKS: Final = "\u0300-\u036f"
_SCRIPTS: Final = {
    "latin": f"a-z0-9\u00aa\u00ba\u00df-\u00f6\u00f8-\u02af\u1e00-\u1eff{_MARKS}",
    "greek": f"\u0370-\u03ff\u1f00-\u1fff{_MARKS}",
    "cyrillic": f"\u0400-\u052f\u1c80-\u1c8f{_MARKS}",
    "hebrew": "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u05d0-\u05f2\ufb1d-\ufb4f",
    "arabic": "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06fa-\u06ff\u0750-\u077f\u08a0-\u08ff",
    "indic": "\u0900-\u0963\u0966-\u0df3",
    "thai": "\u0e01-\u0e4e",
    "han": "\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "kana": "\u3041-\u3096\u3099\u309a\u30a1-\u30ff",
    "hangul": "\uac00-\ud7a3",
}
_WORD: Final = re.compile("|".join(f"(?P<{name}>[{letters}]+)" for name, letters in _SCRIPTS.items()) + r"|(?P<other>[^\W_]+)")
_JOINERS: Final = re.compile("['’‘ʼ`´׳״\"\u0640\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""What stands within a word without dividing it."""

VOWELLESS: Final = frozenset({"hebrew", "arabic", "indic", "thai"})
"""Scripts in which some or all vowels are understood and not written."""

_GREEK: Final = (
    ("γγ", "ng"), ("γκ", "g"), ("γχ", "nch"), ("μπ", "b"), ("ντ", "d"), ("τζ", "tz"), ("ου", "ou"),
    ("ευ", "ev"), ("αυ", "av"), ("ει", "i"), ("οι", "i"), ("αι", "ai"), ("υ", "y"),
)  # fmt: skip
_LATIN: Final = str.maketrans({
    "č": "ch", "ć": "ch", "ç": "ch", "š": "sh", "ş": "sh", "ș": "sh", "ś": "sh", "ž": "zh", "ż": "zh", "ź": "zh",
    "ț": "ts", "ţ": "ts", "đ": "dj", "ğ": "", "ñ": "ny", "ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe",
})  # fmt: skip
_THAI_BEFORE: Final = re.compile("([\u0e40-\u0e44])([\u0e01-\u0e2e])")
_THAI_SILENT: Final = re.compile("[\u0e01-\u0e2e][\u0e34-\u0e39]?\u0e4c")
_SHORT: Final = 3
"""Letters of a word that may be written together with the next."""
_SURNAMES: Final = {
    "이": "lee", "리": "lee", "박": "park", "최": "choi", "임": "lim", "유": "yoo", "류": "ryu", "노": "noh", "안": "ahn",
    "오": "oh", "백": "paik", "우": "woo", "조": "cho", "정": "chung", "윤": "yoon", "문": "moon", "신": "shin", "선": "sun",
}  # fmt: skip
"""Korean surnames that are hardly ever spelled as the rules say."""


class Word(NamedTuple):
    """A word of a name: its script, its letters, casefolded and composed, and whether it was made of two."""

    script: str
    letters: str
    is_joined: bool = False


def joined(one: Word, other: Word) -> Word:
    """Two words written as one."""
    return Word(one.script, one.letters + other.letters, is_joined=True)


@lru_cache(maxsize=65_536)
def words_of(name: str) -> tuple[Word, ...]:
    """The words of a name in their order; where the script changes a word ends."""
    text = _JOINERS.sub("", unicodedata.normalize("NFC", unicodedata.normalize("NFKC", name).casefold()))
    return tuple(Word(match.lastgroup or "other", match[0]) for match in _WORD.finditer(text))


def parts_of(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """What else somebody with these words for a name is called by.

    Two words may be written as one (Min Su, Abd Allah), and of a Chinese or Korean name the surname, the given name and each
    syllable may stand alone.
    """
    pairs = [pair for pair in pairwise(words) if min(len(word.letters) for word in pair) <= _SHORT]
    parts = [joined(one, other) for one, other in pairs if one.script == other.script != "other"]
    for script, letters, _ in words:
        if script in ("han", "hangul") and len(letters) > 1:
            parts += [Word(script, part) for part in (letters[1:], *letters)]
    return tuple(parts)


@lru_cache(maxsize=65_536)
def romanised(word: Word) -> tuple[str, ...]:
    """Spellings of a word in the letters a to z and digits, the usual one first; none for Hebrew and Arabic."""
    if word.script in ("hebrew", "arabic"):
        return ()
    spellings = [_plain(part) for part in _prepared(word)]
    return tuple(dict.fromkeys(spelling for spelling in spellings if spelling))


def _prepared(word: Word) -> list[str]:
    letters = word.letters
    if word.script == "latin":
        return [letters] if letters.isascii() else [letters, letters.translate(_LATIN)]
    if word.script == "greek":
        return _greek(letters)
    if word.script == "thai":
        return [_THAI_BEFORE.sub(r"\2\1", _THAI_SILENT.sub("", letters))]
    if word.script == "indic":
        return [re.sub("[शष]", "sh", letters).replace("च", "ch")]
    if word.script == "hangul":
        return _korean(letters)
    return [letters]


def _greek(letters: str) -> list[str]:
    plain = "".join(one for one in unicodedata.normalize("NFD", letters) if not unicodedata.combining(one))
    usual = plain
    for written, spoken in _GREEK:
        usual = usual.replace(written, spoken)
    soft = re.sub("^(γι|γ(?=[ειυη]))(?=[αεοωυ])", "y", plain)
    return [usual, plain] if soft == plain else [usual, plain, soft]


def _korean(letters: str) -> list[str]:
    usual = _plain(letters)
    spoken = usual.replace("eo", "o").replace("eu", "u")
    if letters[0] not in _SURNAMES:
        return [usual, spoken]
    return [usual, spoken, _SURNAMES[letters[0]] + _plain(letters[1:]).replace("eo", "o").replace("eu", "u")]


def _plain(letters: str) -> str:
    if not letters.isascii():
        from anyascii import anyascii  # type: ignore[import-untyped, unused-ignore]

        letters = str(anyascii(letters)).lower()
    return re.sub("[^a-z0-9]", "", letters)
