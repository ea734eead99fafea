"""Lines that imitate ours: a fence, a day's heading, another message, a cursor; and the brackets of our remarks.

A reader who skims might take such a line for one of ours, also where letters and brackets only look alike. It begins with a bar
then, which none of ours does. Nothing else of it changes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

BAR: Final = "│ "
"""Before a line that looks like one of ours."""

_BRACKETS: Final = str.maketrans("⟦⟧〚〛⁅⁆⟬⟭⦋⦌⦍⦎⦏⦐", "[][][][][][][]")
_BRACKET: Final = re.compile("[⟦⟧〚〛⁅⁆⟬⟭⦋⦌⦍⦎⦏⦐]")

_LOOK_ALIKE: Final = str.maketrans(
    {
        **dict(zip("аеорсухмткнвіјѕԁԛԝɡ", "aeopcyxmtkhbijsdqwg", strict=True)),
        **dict(zip("АЕОРСУХМТКНВІЈЅ", "AEOPCYXMTKHBIJS", strict=True)),
        **dict(zip("αορνικ", "aopvik", strict=True)), **dict(zip("ΑΒΕΗΙΚΜΝΟΡΤΥΧΖ", "ABEHIKMNOPTYXZ", strict=True)),
        **dict.fromkeys("∶ː꞉׃：", ":"), **dict.fromkeys("‐‑‒–—―−－", "-"),
        "«": "<<", "»": ">>", "≪": "<<", "≫": ">>", "⟪": "<<", "⟫": ">>", "《": "<<", "》": ">>", "⋘": "<<", "⋙": ">>",
        **dict.fromkeys("‹〈⟨〈˂≺ᐸ❮❬", "<"), **dict.fromkeys("›〉⟩〉˃≻ᐳ❯❭", ">"),
    }
)  # fmt: skip
_OURS: Final = re.compile(
    r"\s*(?:"
    r"<<\s*\w{6,16}(?:\s+\w{0,12})?\s*|\w{6,16}\s*>>\s*"  # a fence
    r'|"fence(?:_end)?"\s*:.*'
    r"|(?:\d{4}-)?\d\d-\d\d\s+(?:mon|tue|wed|thu|fri|sat|sun)\b.*"  # a heading
    r"|(?:[>-]\s+)?(?::?\d\d(?::\d\d)?\s+)?m\d+(?:\s.*)?"  # a message
    r"|(?:older|more):\s*cursor=.*|newer:\s*around=.*"
    r"|#\s*\d+\s.* · .*"  # a chat of a catch-up
    r'|(?:chat|search) "[^"\n]*".* · .*'  # the head of an answer
    r")\Z",
    re.IGNORECASE,
)


def without_brackets(text: str) -> str:
    """`text` with ordinary brackets where it had those of our remarks, or some that look like them."""
    return text.translate(_BRACKETS) if not text.isascii() and _BRACKET.search(text) else text


def marked(text: str) -> str:
    """`text` without the brackets of our remarks, and with a bar before each line that looks like one of ours.

    A text of one line stands behind its speaker or within quotation marks, where it cannot pass for a line.
    """
    text = without_brackets(text)
    if "\n" not in text:
        return text
    return "\n".join(BAR + line if is_like_ours(line) else line for line in text.split("\n"))


def is_like_ours(line: str) -> bool:
    """Whether a line looks like one that only we write."""
    if len(line) < 3 or len(line) > 2_000:
        return False
    return _OURS.match(looks(line)) is not None


def looks(text: str) -> str:
    """`text` in the ordinary letters and signs that it looks like."""
    if text.isascii():
        return text
    shown = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cf", "Mn", "Cc"))
    return unicodedata.normalize("NFKC", shown.translate(_LOOK_ALIKE)).translate(_LOOK_ALIKE)
