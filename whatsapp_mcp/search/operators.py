"""The operators of a query, ``from:dana``, ``in:"Book club"``, ``has:image``, ``before:2025-08``, ``is:edited``.

Each may be negated with ``-``. What looks like one and cannot be meant (``from:`` alone, ``has:nonsense``,
``before:2025-02-30``) stays in the text, where it is searched as plain words, and a note says so. Names are not resolved here,
nor dates read: whoever knows the archive and the zone does that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.records import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

STATES: Final = ("edited", "deleted", "forwarded", "quoted", "reacted", "sent", "received", "private", "group")
"""What ``is:`` knows: changed later, deleted, passed on, an answer, with a reaction; by the owner or by others; where."""
MEDIA: Final = ("image", "video", "audio", "voice", "document", "sticker")
LINK: Final = "link"
MOST: Final = 20
"""Operators of a query that count; what follows is searched as words."""
LONGEST_TEXT: Final = 4_000
"""Characters of a query that count."""

_PIECE: Final = re.compile(
    r'-?"[^"]*"\*?|(?<!\S)(?P<minus>-?)(?P<name>from|in|has|before|after|is):'
    r'(?:"(?P<quoted>[^"]*)"|[\u201c\u201d\u201e](?P<curly>[^\u201c\u201d]*)[\u201c\u201d]|(?P<bare>[^\s"]\S*)?)(?!\S)'
    r'|(?<!\S)-?(?P<begun>from|in|has|before|after|is):"\S*|\S+',
    re.IGNORECASE,
)
_OTHER_KINDS: Final = {"photo": "image", "picture": "image", "pic": "image", "file": "document", "place": "location"}
_OTHER_STATES: Final = {"reply": "quoted", "answer": "quoted", "mine": "sent"}


@dataclass(frozen=True, slots=True)
class Operator:
    """``name:value``; `is_negative` leaves out what it says."""

    name: str
    value: str
    is_negative: bool = False

    def __str__(self) -> str:
        """As one writes it."""
        return f"{'-' * self.is_negative}{self.name}:{_quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Split:
    """A query without its operators, the operators in order, and how what was malformed was read."""

    words: str
    operators: tuple[Operator, ...] = ()
    notes: tuple[str, ...] = ()


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"\s", value) else value


def split(text: str, is_date: Callable[[str], bool]) -> Split:
    """Take the operators out of `text`; `is_date` says whether a value of ``before:`` and ``after:`` can be read."""
    words: list[str] = []
    found: list[Operator] = []
    notes: list[str] = []
    for match in _PIECE.finditer(text[:LONGEST_TEXT]):
        operator = _operator(match, is_date) if match["name"] else None
        if operator and (operator in found or len(found) < MOST):
            found += [] if operator in found else [operator]
            continue
        words.append(match[0])
        if operator:
            notes.append(f"Only the first {MOST} operators of the query count; the others were searched as plain words.")
        elif name := match["name"] or match["begun"]:
            notes.append(_note(name.lower()))
    if len(text) > LONGEST_TEXT:
        notes.append(f"Only the first {LONGEST_TEXT:,} characters of the query were read.")
    return Split(" ".join(words), tuple(found), tuple(dict.fromkeys(notes)))


def _operator(match: re.Match[str], is_date: Callable[[str], bool]) -> Operator | None:
    name = match["name"].lower()
    value = " ".join((match["quoted"] or match["curly"] or match["bare"] or "").split())
    if not any(character.isalnum() for character in value):
        return None
    if name == "has":
        value = has_of(value) or ""
    elif name == "is":
        value = state_of(value) or ""
    elif name in ("before", "after") and not is_date(value):
        value = ""
    return Operator(name, value, bool(match["minus"])) if value else None


def has_of(value: str) -> str | None:
    """What ``has:value`` means: a kind of message, ``media`` or ``link``; None for anything else."""
    plain = value.lower()
    for word in (plain, plain.removesuffix("s"), f"{plain.removesuffix('ies')}y"):
        word = _OTHER_KINDS.get(word, word)  # noqa: PLW2901 - the word in the archive's own terms
        if word in KINDS or word in ("media", LINK):
            return word
    return None


def state_of(value: str) -> str | None:
    """What ``is:value`` means, one of `STATES`; None for anything else."""
    plain = value.lower()
    plain = _OTHER_STATES.get(plain, plain)
    return plain if plain in STATES else None


def _note(name: str) -> str:
    known = {
        "has": f"has: takes {', '.join((*KINDS, 'media', 'link'))}",
        "is": f"is: takes {', '.join(STATES)}",
        "before": "before: takes a date such as 2025-08 or 2025-08-14",
        "after": "after: takes a date such as 2025-08 or 2025-08-14",
        "from": 'from: takes a name, number or id, in quotes where it has blanks (from:"Dana Levi")',
        "in": 'in: takes the name, number or id of a chat, in quotes where it has blanks (in:"Book club")',
    }[name]
    return f"An operator in the query was searched as plain words: {known}."
