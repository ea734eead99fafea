"""Opaque places to read on from: short, bound to the request that they came from, and unchanged by new messages.

A cursor holds a position by value (a time and a message id), never a page number, so what arrives meanwhile shifts nothing.
It carries a digest of the request's filters; with other filters it is refused instead of answering something else.
"""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_AGAIN: Final = "Repeat the first request without a cursor, or send the same filters as the request that gave it."
_LONGEST: Final = 400


def encode(filters: Sequence[object], position: Sequence[int | None]) -> str:
    """A cursor for `position` within the request that `filters` describe."""
    text = json.dumps([_digest(filters), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, filters: Sequence[object], length: int) -> tuple[int | None, ...]:
    """The position of so many numbers in `cursor`; raises `UsageError` when it is broken or of another request."""
    try:
        padded = cursor.strip() + "=" * (-len(cursor.strip()) % 4)
        digest, *position = json.loads(base64.b64decode(padded[:_LONGEST], altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UsageError("The cursor is not one that this archive gave.", advice=_AGAIN) from None
    if digest != _digest(filters):
        raise UsageError("The cursor belongs to a request with other filters.", advice=_AGAIN)
    if len(position) != length or not all(_is_number(number) for number in position):
        raise UsageError("The cursor is not one that this archive gave.", advice=_AGAIN)
    return tuple(position)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62)


def _digest(filters: Sequence[object]) -> str:
    text = json.dumps(filters, ensure_ascii=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=5).hexdigest()


def checked_limit(limit: int, highest: int) -> int:
    """`limit`, at most `highest`; raises `UsageError` below 1."""
    if limit < 1:
        raise UsageError(f"limit is {limit}.", advice=f"Give a number from 1 to {highest}.")
    return min(limit, highest)
