"""Reads what the gateway may write in the place of a value: the wrong type, an empty string, a number as text, a broken id.

Every function here takes anything and gives either what the archive can store or "nothing was said"; none raises.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from math import isfinite
from typing import Any, Final, TypeAlias

Item: TypeAlias = dict[str, Any]
"""A JSON object as received."""

_LARGEST = 2**63 - 1
_MILLISECONDS = 10**11
"""From here on a time is in milliseconds: as seconds it would lie in the year 5138."""

_PERSON = re.compile(r"\+?([0-9]{1,40})(?:\.[0-9]{1,9})?(?::[0-9]{1,9})?@(c\.us|s\.whatsapp\.net|lid)")
_OTHER = re.compile(r"[0-9]{1,40}(?:-[0-9]{1,40})?@[a-z][a-z.]{0,20}|status@broadcast")
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")
_ESCAPED_UNSTORABLE = re.compile(r"\\u(?:[dD][89a-fA-F]|0000)")
_NOTHING: Final[Item] = {}
_YES = frozenset({"true", "yes", "1", "on"})


_scan = json.JSONDecoder(strict=False).raw_decode
_scan_patiently = json.JSONDecoder(strict=False, parse_int=float).raw_decode


def parse(text: str) -> object:
    """The JSON value that `text` begins with, its strings fit for storing.

    :raises ValueError: there is none.
    :raises RecursionError: it is nested beyond all reason.
    """
    try:
        value: object = _scan(text)[0]
    except ValueError:  # Python refuses numbers of more than 4300 digits, too; leading blanks are rare
        value = _scan_patiently(text.strip(" \t\r\n\ufeff"))[0]
    return _cleaned(value) if _may_hold_unstorable(text) else value


def _may_hold_unstorable(text: str) -> bool:
    if "\0" in text or ("\\u" in text and _ESCAPED_UNSTORABLE.search(text)):
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _cleaned(entry) for key, entry in value.items()}
    return value


def clean(words: str) -> str:
    """`words` as SQLite can store and find them: half a surrogate pair becomes U+FFFD; NUL, where SQLite ends a text, goes."""
    return _UNSTORABLE.sub(lambda match: "" if match[0] == "\0" else "\ufffd", words)


def text(value: object) -> str:
    """A string, or a number as its digits; anything else says nothing."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return ""


def flag(value: object) -> bool:
    """True for true, "true", "yes", 1 and "1"."""
    return value is True or (value is not False and text(value).strip().lower() in _YES)


def known_flag(value: object) -> bool | None:
    """As `flag`, but None where nothing was said."""
    return None if not isinstance(value, bool) and text(value) == "" else flag(value)


def whole(value: object) -> int | None:
    """An integer of at most 64 bits, also from a text or a fraction."""
    number: int | None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) < 20 and value.isdecimal():
        number = int(value)  # not through a fraction, which is exact to 15 digits only
    else:
        fraction = real(value)
        number = None if fraction is None else int(fraction)
    return number if number is not None and -_LARGEST <= number <= _LARGEST else None


def real(value: object) -> float | None:
    """A finite number, also from a text."""
    try:
        number = float(text(value))
    except (ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def unix_seconds(value: object) -> int | None:
    """A moment after 1970; milliseconds and finer are cut to seconds."""
    moment = whole(value)
    while moment is not None and moment >= _MILLISECONDS:
        moment //= 1000
    return moment if moment is not None and moment > 0 else None


def part(item: Item, *names: str) -> Item:
    """The first object found under one of `names`, else an empty one (not to be written to)."""
    for name in names:
        value = item.get(name)
        if isinstance(value, dict):
            return value
    return _NOTHING


def entries(item: Item, name: str) -> list[object]:
    """The list under `name`, else an empty one."""
    value = item.get(name)
    return value if isinstance(value, list) else []


def lines(*values: object) -> str:
    """What was said among `values`, each on its own line."""
    return "\n".join(filter(None, map(text, values)))


def identity(value: object) -> str:
    """A WhatsApp id in the archive's spelling, or an empty string for what is none.

    A device (``15550101001:8@s.whatsapp.net``, Green API docs, GetWaSettings) is its owner's number. ``null@c.us`` is no id:
    it arrives in place of a chat that the gateway lost (Green API tracker #473).
    """
    return _identity(value) if isinstance(value, str) else ""


@lru_cache(maxsize=16384)
def _identity(spelled: str) -> str:
    spelled = spelled.strip()
    person = _PERSON.fullmatch(spelled)
    if person:
        return f"{person[1]}@lid" if person[2] == "lid" else f"{person[1]}@c.us"
    return spelled if _OTHER.fullmatch(spelled) else ""


def are_number_and_privacy_id(one: str, other: str) -> bool:
    """Whether two ids may be one person: two numbers never are, whatever a list says."""
    return {one.partition("@")[2], other.partition("@")[2]} == {"c.us", "lid"}
