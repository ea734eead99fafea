"""Where text hides in text, and what to say of it.

Tag characters and variation selectors carry whole sentences that nobody sees (each stands for a letter or a byte), overrides
show text in another order than it has, and runs of invisible characters may carry bits. These are taken out, and a remark in
their place says what they were, in clear where that is known.

Others belong to honest text and stay: marks and isolates of direction in Hebrew and Arabic, joiners in Persian, Indic scripts
and emoji, selectors behind emoji. What is merely left over from a web page (a soft hyphen, a zero-width space, a byte order
mark) goes without a word.
"""

from __future__ import annotations

import json
import re
from typing import Final

_LONGEST: Final = 300
"""So many characters of a hidden text are shown."""
_RUN: Final = 3
"""So many invisible characters in a row are no accident."""
_SPREAD: Final = 12
"""So many of them anywhere in a text of letters that need none are none either."""

_CONTROLS: Final = "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
_TAGS: Final = "\U000e0000-\U000e007f"
_SELECTORS: Final = "\ufe00-\ufe0f\U000e0100-\U000e01ef"
_OVERRIDES: Final = "\u202d\u202e"
_MARKS: Final = "\u200e\u200f\u061c"
_ISOLATES: Final = "\u2066-\u2069"
_JOINERS: Final = "\u200c\u200d"
_LEFTOVERS: Final = (
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers that show nothing
    "\u200b\u202a-\u202c\u2060-\u2065\u206a-\u206f"  # zero-width, embeddings, invisible operators, obsolete marks
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"  # blanks that are letters, byte order mark, annotations
    "\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"  # what tags and selectors leave of their plane
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\ud800-\udfff"  # half an emoji, as gateways cut texts: no UTF-8 at all
)
_INVISIBLE: Final = f"{_CONTROLS}{_TAGS}{_SELECTORS}{_OVERRIDES}{_MARKS}{_ISOLATES}{_JOINERS}{_LEFTOVERS}"
_ANY: Final = re.compile(f"[{_INVISIBLE}]")

_PICTURE: Final = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_TONE: Final = "\U0001f3fb-\U0001f3ff"
_EMOJI: Final = (
    "\U0001f3f4(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f)"  # the flags of England, Scotland and Wales are the only ones in use
    "|[0-9#*]\ufe0f\u20e3"
    f"|[{_PICTURE}][\ufe0e\ufe0f]?[{_TONE}]?(?:\u200d[{_PICTURE}][\ufe0e\ufe0f]?[{_TONE}]?)*"
)
_JOINING: Final = (
    "\u0600-\u06ff\u0700-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u1800-\u18af\ua800-\ua9ff\ufb50-\ufdff\ufe70-\ufeff"
)
"""Scripts in which a joiner changes how a letter looks: Arabic, Syriac, Indic, Tibetan, Burmese, Khmer, Mongolian."""
_PART: Final = re.compile(
    f"(?P<emoji>{_EMOJI})"
    f"|(?P<joined>(?<=[{_JOINING}])[{_JOINERS}](?=[{_JOINING}\\s]|$))"
    f"|(?P<run>[{_INVISIBLE}](?:[{_INVISIBLE}]|\\x20(?=[{_TAGS}]))*)"
)
_BYTES: Final = {
    **{chr(0xFE00 + number): number for number in range(16)},
    **{chr(0xE0100 + number): number + 16 for number in range(240)},
}
_OPENING: Final = frozenset("\u2066\u2067\u2068")
_CLOSING: Final = "\u2069"
_KEPT: Final = re.compile(f"[{_MARKS}]{{1,2}}|[{_MARKS}]?[{_ISOLATES}][{_MARKS}{_ISOLATES}]?")
"""As honest programs write them: a mark or two, an isolate with a mark or another one beside it."""
_DRAWN_SELECTORS: Final = re.compile(f"(?<![{_PICTURE}0-9#*\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[{_SELECTORS}]")


def revealed(text: str) -> str:
    """`text` without what hides, and with remarks in ``⟦…⟧`` where something was hidden."""
    if not _ANY.search(text):
        return text
    return _balanced(_with_spread(text, _PART.sub(_told, text)))


def removed(text: str) -> str:
    """`text` without what hides, and without a word about it."""
    if not _ANY.search(text):
        return text
    return _balanced(_PART.sub(lambda found: found[0] if _is_kept(found) else "", text))


def _is_kept(found: re.Match[str]) -> bool:
    return found["run"] is None or _KEPT.fullmatch(found[0]) is not None


def _told(found: re.Match[str]) -> str:
    if _is_kept(found):
        return found[0]
    run = found[0]
    said = [part for part in (_overridden(run), _tagged(run), _selected(run)) if part]
    rest = len(re.sub(f"[{_TAGS}{_SELECTORS}{_OVERRIDES}\\x20]", "", run))
    if not said and rest >= _RUN:
        said = [f"{rest} invisible characters"]
    return f"⟦{'; '.join(said)}⟧" if said else ""


def _overridden(run: str) -> str:
    return "the order of letters was overridden" if re.search(f"[{_OVERRIDES}]", run) else ""


def _tagged(run: str) -> str:
    """A tag is the letter 0xE0000 below it (Unicode, "Tags")."""
    letters = "".join(chr(ord(letter) - 0xE0000) for letter in run if 0xE0000 <= ord(letter) <= 0xE007F)
    return _in_clear("tag characters", letters) if letters else ""


def _selected(run: str) -> str:
    """The 256 selectors count as bytes where several follow one another; one alone only chooses a form."""
    data = bytes(_BYTES[letter] for letter in run if letter in _BYTES)
    return _in_clear("variation selectors", data.decode("utf-8", "replace")) if len(data) > 1 else ""


def _in_clear(where: str, letters: str) -> str:
    """What was hidden, in clear; letters that show nothing even then are left out."""
    shown = "".join(letter for letter in letters if letter.isprintable() and letter not in "⟦⟧\ufffd")
    if not shown.strip():
        return f"{len(letters)} {where}"
    more = "…" if len(shown) > _LONGEST else ""
    return f"hidden in {where}: {json.dumps(_ANY.sub('', shown[:_LONGEST]) + more, ensure_ascii=False)}"


def _with_spread(text: str, shown: str) -> str:
    """A remark at the end where single characters between visible letters carry something: bytes, or bits."""
    stray = "".join(_DRAWN_SELECTORS.findall(text))
    if len(stray) > _RUN and "hidden in variation" not in shown:
        return f"{shown} ⟦{_selected(stray)}⟧"
    gone = sum(len(found["run"]) == 1 and not _is_kept(found) for found in _PART.finditer(text) if found["run"])
    return f"{shown} ⟦{gone} invisible characters between the letters⟧" if gone >= _SPREAD and "⟦" not in shown else shown


def _balanced(text: str) -> str:
    """`text` with those isolates only that are closed on their line: an open one would reorder what follows."""
    if not re.search(f"[{_ISOLATES}]", text):
        return text
    return "\n".join(_balanced_line(line) for line in text.split("\n"))


def _balanced_line(line: str) -> str:
    kept: list[str] = []
    opened: list[int] = []
    for letter in line:
        if letter in _OPENING:
            opened.append(len(kept))
        elif letter == _CLOSING:
            if not opened:
                continue
            opened.pop()
        kept.append(letter)
    for place in opened:
        kept[place] = ""
    return "".join(kept)
