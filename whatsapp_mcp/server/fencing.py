"""The one place where text from WhatsApp is made safe to show to a model.

Whatever people wrote, and whatever they call themselves, their chats and their files, is untrusted: it may try to look like an
instruction, like another message, or like the end of the quotation. Three things stand against that:

* `clean` removes what could hide or reorder text: controls, bidirectional marks, zero-width and tag characters, and variation
  selectors outside of emoji (all of which have been used to smuggle text past human eyes).
* `fence` puts the text between two lines with a fresh random mark, which nobody who wrote a message can know.
* `literal` writes a name as a JSON string on one line, the only form in which it may stand outside the fence.

Nothing here judges what a text says, and nothing ever fetches what it points to.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, Final

MARK_LENGTH: Final = 8
MARK_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without the letters that are easily taken for others."""

NAME_LENGTH: Final = 60
"""The most that is shown of a name; WhatsApp allows 25 letters to people and 100 to groups."""

_LINE_ENDS: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")

_HIDING: Final = (
    "\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"  # controls
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners and fillers that show nothing
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f"  # zero-width, joiners, bidirectional controls
    "\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"  # blanks that are letters, byte order mark, annotations
    "\ufe00-\ufe0f\U000e0000-\U000e0fff"  # variation selectors and tags
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # shorthand and musical format controls
    "\ud800-\udfff"  # half an emoji, as gateways cut texts: no UTF-8 at all
)
_PICTURE: Final = (
    "\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u24c2\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
_TONE: Final = "\U0001f3fb-\U0001f3ff"
_EMOJI: Final = re.compile(
    "\U0001f3f4(?:\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074"
    "|\U000e0077\U000e006c\U000e0073)\U000e007f)"  # the flags of England, Scotland and Wales are the only ones in use
    "|[0-9#*]\ufe0f\u20e3"
    f"|[{_PICTURE}][\ufe0e\ufe0f]?[{_TONE}]?(?:\u200d[{_PICTURE}][\ufe0e\ufe0f]?[{_TONE}]?)*"
)
_SHOWN: Final = re.compile(f"({_EMOJI.pattern})|[{_HIDING}]")
_HIDDEN: Final = re.compile(f"[{_HIDING}]")


def clean(text: str) -> str:
    """Return `text` without anything that hides or reorders it; line ends become a line feed, emoji stay whole.

    Plain text, which is nearly all, costs one scan.
    """
    if _LINE_ENDS.search(text):
        text = _LINE_ENDS.sub("\n", text)
    if _HIDDEN.search(text):
        text = _SHOWN.sub(_keep_emoji, text)
    return text


def inline(text: str, length: int = NAME_LENGTH) -> str:
    """Return `text` cleaned, on one line, and cut to `length` characters with an ellipsis."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def literal(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name as a JSON string on one line: how it may stand outside the fence."""
    return json.dumps(inline(name, length), ensure_ascii=False)


def fresh_mark(body: str) -> str:
    """Return a random mark that does not occur in `body`, from a source that nobody can foresee."""
    while True:
        mark = "".join(secrets.choice(MARK_LETTERS) for _ in range(MARK_LENGTH))
        if mark not in body.casefold():
            return mark


def fence(body: str) -> str:
    """Return `body`, already cleaned, between its two lines with the mark; an empty body stays empty."""
    if not body:
        return ""
    mark = fresh_mark(body)
    return f"<<{mark} untrusted\n{body}\n{mark}>>"


def cleaned(members: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with every string in it cleaned, keys included."""
    return {clean(key): _cleaned(member) for key, member in members.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return cleaned(value)
    if isinstance(value, list):
        return [_cleaned(member) for member in value]
    return value


def _keep_emoji(found: re.Match[str]) -> str:
    return found[1] or ""
