"""One spelling for everything that a reader would call the same word, for the index and for queries alike.

`fold` decides what a word is, so FTS5's own tokenizer (``unicode61``) only has to split at blanks:

- Case, accents, Greek accents, ß, ё, Turkish ı, full-width forms, digits of other scripts: one plain form. й stays apart
  from и.
- Hebrew: niqqud goes, final letters become ordinary ones, quotes inside a word go (צה"ל is one word).
- Arabic: harakat and tatweel go; the forms of alef, ya, kaf and ta marbuta are one letter each, as careless typing has them.
- Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese, Tibetan: each character is a word of its own, so that a query, which
  becomes a phrase of characters, is found inside a sentence, from one character on.
- Emoji and other symbols, which ``unicode61`` drops, and the vowel signs of Indic scripts, at which it would split, are
  replaced by their *twin*: the private-use character of plane 15 with the same lower 16 bits, which ``unicode61`` takes for
  a letter. An emoji is a word of its own, whatever its skin tone; a flag or a family is a phrase of its parts.

What is *not* done here is anything that depends on a language: particles (ה, ל, ال), inflection, thousands separators.
Indexing the stem of each Hebrew or Arabic word as a further token would cost about half of the index again, shift the
positions that exact phrases need, and a better rule would mean a new index; the query names the forms instead
(`language.forms_of`), for a few more look-ups in a B-tree each. An index therefore has to be rebuilt only when
`FOLD_VERSION` changes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

FOLD_VERSION: Final = 1
"""Changes when `fold` gives another result for any text; an index made with another version must be made anew."""

HEBREW_QUOTE: Final = re.compile("[\"'\u2018\u2019\u201c\u201d](?<=[\u05d0-\u05ea].)(?=[\u05d0-\u05ea])")
"""A quote inside of a Hebrew word, as in acronyms."""

_ONE_CHARACTER_WORDS: Final = (
    (0x0E00, 0x109F),  # Thai, Lao, Tibetan, Burmese
    (0x1100, 0x11FF),  # Hangul jamo
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007), (0x3040, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),  # kana, bopomofo, Han
    (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xAC00, 0xD7FF),  # Burmese, Hangul
    (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip

_LETTERS: Final = {
    **dict(zip("ךםןףץ", "כמנפצ", strict=True)),
    **dict.fromkeys("׳״\u0640\u034f", ""),
    "й": "й", "Й": "й",
    "ı": "i", "ø": "o", "đ": "d", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th",
    "ٱ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ے": "ي", "ة": "ه", "ہ": "ه", "ھ": "ه", "ە": "ه", "ک": "ك", "ڪ": "ك",
    "\u200b": " ",
}  # fmt: skip
"""Letters whose plain form Unicode does not know, and the exceptions from what it does know."""

_EMOJI: Final = (0x1F000, 0x1FAFF)
"""Also those that this Python's Unicode tables do not have yet, so that the index is the same under every Python."""
_SKIN_TONES: Final = (0x1F3FB, 0x1F3FF)
_VARIATION_SELECTORS: Final = ((0xFE00, 0xFE0F), (0x180B, 0x180F), (0xE0100, 0xE01EF))


def _within(code: int, *spans: tuple[int, int]) -> bool:
    return any(low <= code <= high for low, high in spans)


def _twin(code: int) -> str:
    return chr(0xF0000 | (code & 0xFFFF))


def _plain_mark(code: int) -> str:
    """Accents, niqqud and harakat go; signs that carry a vowel or join letters stay, as twins.

    The canonical combining class tells them apart (Unicode Standard 4.3): accents have 200 and more, fixed-position
    points of Hebrew, Arabic and Syriac 10 to 36, nukta and the like 1 to 8; Indic and Thai signs have 0, 9 or 84 to 132.
    """
    combining = unicodedata.combining(chr(code))
    if combining >= 200 or 10 <= combining <= 36 or 1 <= combining <= 8:
        return ""
    if _within(code, *_VARIATION_SELECTORS) or unicodedata.category(chr(code)) == "Me":
        return ""
    return _twin(code)


def _plain_character(character: str) -> str:
    """One decomposed, casefolded character as it stands in the index; a blank where words end."""
    if character in _LETTERS:
        return _LETTERS[character]
    code, category = ord(character), unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.digit(character))
    if category[0] == "M":
        return _plain_mark(code)
    if category[0] in "LN":
        return character
    if _within(code, _SKIN_TONES) or category == "Cf":
        return ""
    return f" {_twin(code)} " if category == "So" or _within(code, _EMOJI) else " "


def _plain(code: int) -> str:
    character = chr(code)
    if character in _LETTERS:
        return _LETTERS[character]
    if _within(code, *_ONE_CHARACTER_WORDS):  # not decomposed: kana would lose its voicing, Hangul its syllables
        return f" {_plain_character(character)} "
    decomposed = unicodedata.normalize("NFKD", character.casefold())
    return "".join(_plain_character(part) for part in decomposed)


class _Table(dict[int, str]):
    """What `str.translate` asks for each character; filled as characters are met, at most once for each."""

    def __missing__(self, code: int) -> str:
        self[code] = plain = _plain(code)
        return plain


_TABLE: Final = _Table({code: _plain(code) for code in range(128)})


def fold(text: str) -> str:
    """The words of `text` in their plain spelling, joined by one blank; empty when there is none.

    Pure and total: any string is fine, also with NUL and lone surrogates. ``fold(fold(text))`` may differ, as twins are no
    letters.
    """
    if not text.isascii():
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFKC", text)
        text = HEBREW_QUOTE.sub("", text)
    return " ".join(text.translate(_TABLE).split())


def fold_piece(piece: str) -> str:
    """One letter with its marks, as `fold` would make it; a blank in it is where a word ends or begins."""
    return unicodedata.normalize("NFKC", piece).translate(_TABLE)
