"""A payload: what came in, verbatim, with its origin and its time.

Every source hands over the same value. An answer that is a JSON array is cut into the exact texts of its items, so that an item
that arrives again in another answer is recognised by its letters; anything else is one item.

The cutting is tolerant, because Green API's big arrays were seen with a stray comma (tracker #800) and cut short right after a
send (tracker #505): items that can be read are kept, and `damaged` says that something could not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_decode = json.JSONDecoder(strict=False).raw_decode
_BLANKS = " \t\r\n\ufeff"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
"""Strings, also one that the end cuts off, and brackets outside of them."""
_SEPARATORS = " \t\r\n,"


@dataclass(frozen=True, slots=True)
class Payload:
    """What one call, file or notification brought."""

    origin: str
    """The gateway's method (``getChatHistory``) or the source (``chat_export``)."""
    received_at: int
    """Unix seconds UTC."""
    items: tuple[str, ...]
    """The verbatim texts of its items."""
    context: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The arguments on which the meaning depends: ``chatId``, a file's name, a time zone."""
    damaged: bool = False
    """A part of the body could not be cut into items; it is kept as the last item."""


def cut_items(body: str) -> tuple[tuple[str, ...], bool]:
    """Cut `body` into its items' exact texts; also says whether a part was damaged (then it is the last item)."""
    start = _skip(body, 0, _BLANKS)
    if start == len(body) or body[start] != "[":
        return _single(body)
    return _cut_array(body, start + 1)


def _single(body: str) -> tuple[tuple[str, ...], bool]:
    text = body.strip(_BLANKS)
    if text in ("", "null"):
        return (), False
    try:
        _decode(text)
    except (ValueError, RecursionError):
        return (text,), True
    return (text,), False


def _cut_array(body: str, position: int) -> tuple[tuple[str, ...], bool]:
    items: list[str] = []
    damaged = False
    while True:
        start = _skip(body, position, _SEPARATORS)
        damaged = damaged or body.count(",", position, start) > (1 if items else 0)
        if start == len(body):
            return tuple(items), True
        if body[start] == "]":
            rest = body[start + 1 :].strip(_BLANKS)
            return (*items, *([rest] if rest else [])), damaged or bool(rest)
        try:
            position = _decode(body, start)[1]
        except (ValueError, RecursionError):
            damaged = True
            position = _end_of_item(body, start)
        items.append(body[start:position])


def _end_of_item(body: str, start: int) -> int:
    """Where an item ends that Python does not read (a number of 5,000 digits, a depth of 1,000), so that the next ones are had.

    Only brackets and strings are looked at; an item that never closes, or does not begin as an object, is the whole rest.
    """
    depth = 0
    for token in _BRACKETS.finditer(body, start) if body[start] == "{" else ():
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth <= 0:
            return token.end()
    return len(body)


def _skip(body: str, position: int, what: str) -> int:
    while position < len(body) and body[position] in what:
        position += 1
    return position
