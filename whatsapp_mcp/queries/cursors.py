"""Opaque places to read on from: short, bound to the request that they came from, and unchanged by new messages.

A cursor holds a position by value (a time and a message id), never a page number, so what arrives meanwhile shifts nothing.
It carries a digest of the request's filters; with other filters it is refused instead of answering something else.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_AGAIN: Final = "Repeat the first request without a cursor, or send the same filters as the request that gave it."
_CURSOR: Final = re.compile(r"([0-9a-f]{8})([0-9a-f]{4})((?:\.(?:x|-?[0-9a-f]{1,15})){1,9})")


def encode(filters: Sequence[object], position: Sequence[int | None]) -> str:
    """A cursor for `position` within the request that `filters` describe: two digests and the numbers, x for none."""
    numbers = "".join(".x" if number is None else f".{number:x}" for number in position)
    return f"{_digest(filters)}{_check(numbers)}{numbers}"


def decode(cursor: str, filters: Sequence[object], length: int) -> tuple[int | None, ...]:
    """The position of so many numbers in `cursor`; raises `UsageError` when it is broken or of another request."""
    found = _CURSOR.fullmatch(cursor.strip())
    if not found:
        raise UsageError("The cursor is not one that this archive gave.", advice=_AGAIN)
    if found[1] != _digest(filters):
        raise UsageError("The cursor belongs to a request with other filters.", advice=_AGAIN)
    position = found[3].split(".")[1:]
    if len(position) != length or found[2] != _check(found[3]):
        raise UsageError("The cursor is not one that this archive gave.", advice=_AGAIN)
    return tuple(None if number == "x" else int(number, 16) for number in position)


def _check(numbers: str) -> str:
    """Notices a cursor that was changed or cut; nothing is secret in it, for it leads nowhere that a request does not."""
    return blake2b(numbers.encode(), digest_size=2).hexdigest()


def _digest(filters: Sequence[object]) -> str:
    text = json.dumps(filters, ensure_ascii=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=4).hexdigest()


def checked_limit(limit: int, highest: int) -> int:
    """`limit`, at most `highest`; raises `UsageError` below 1."""
    if limit < 1:
        raise UsageError(f"limit is {limit}.", advice=f"Give a number from 1 to {highest}.")
    return min(limit, highest)
