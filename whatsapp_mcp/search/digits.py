"""How else a number or a phone number may be written: with other separators, in other groups, with or without a country code.

The index holds runs of digits; what stood between them is gone (`folding`), so ``1,234.56`` and ``1.234,56`` are alike there,
and a number typed in another way is a phrase of other runs. A phone number has no groups of its own: all that people use are
named, and the archive then says which of them anybody wrote.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Runs = tuple[str, ...]

_THOUSANDS: Final = re.compile(r"[0-9]{1,3}(?: [0-9]{3})+")
MARKS: Final = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
"""Marks of direction that come along when a number is copied from an address book."""
_SHORTEST_PHONE: Final = 7
_LONGEST_PHONE: Final = 15
_CODES: Final = ("1", "7", "20", "27", "30", "31", "33", "34", "39", "44", "48", "49", "52", "54", "55", "57", "61", "62", "81",
                 "86", "90", "91", "92", "234", "351", "353", "380", "420", "961", "962", "966", "971", "972")  # fmt: skip
"""Country codes to try before a number that was typed without one."""


def other_numbers(runs: Runs) -> Iterator[Runs]:
    """The number in `runs` of digits with and without separators of thousands; its decimals stay as they are."""
    for decimals in (0, 1):
        whole, rest = (runs, ()) if not decimals else (runs[:-1], runs[-1:])
        if not whole or (decimals and len(rest[0]) > 2):
            continue
        if _THOUSANDS.fullmatch(" ".join(whole)):
            yield ("".join(whole), *rest)
        if len(whole) == 1 and 4 <= len(whole[0]) <= 12:
            yield (*_in_thousands(whole[0]), *rest)
            yield from (((*_in_lakhs(whole[0]), *rest),) if len(whole[0]) > 5 else ())


def _in_thousands(number: str) -> Runs:
    head = len(number) % 3
    return tuple(part for part in (number[:head], *(number[i : i + 3] for i in range(head, len(number), 3))) if part)


def _in_lakhs(number: str) -> Runs:
    """As in India: ``12,34,567``."""
    head = number[:-3]
    return (*(part for part in (head[: len(head) % 2], *re.findall("..", head[len(head) % 2 :])) if part), number[-3:])


def is_phone(digits: str) -> bool:
    """Whether so many digits may be a phone number."""
    return _SHORTEST_PHONE <= len(digits) <= _LONGEST_PHONE


def other_phones(runs: Runs) -> Iterator[Runs]:
    """The phone number in `runs` of digits as others may write it."""
    digits = "".join(runs)
    if not is_phone(digits):
        return
    local = digits.removeprefix("00") if digits.startswith("00") else digits
    yield from _grouped(local)
    if local.startswith("0"):
        yield from _grouped(local[1:])
        yield from ((code + local[1:],) for code in _CODES)
    elif len(local) > 10:
        for code in (1, 2, 3):
            yield (local[:code], local[code:])
            for rest in (local[code:], f"0{local[code:]}"):
                if len(rest) > 8:
                    yield from _grouped(rest)
    elif len(local) > 8:
        yield from ((code + local,) for code in _CODES)


def _grouped(digits: str) -> Iterator[Runs]:
    yield (digits,)
    for lengths in _groupings(len(digits)):
        runs, start = [], 0
        for length in lengths:
            runs.append(digits[start : start + length])
            start += length
        yield tuple(runs)


@cache
def _groupings(length: int) -> tuple[tuple[int, ...], ...]:
    """Lengths of two to four digits in a row, at the front also a country code; or a long group at the end."""
    found: list[tuple[int, ...]] = [(length - tail, tail) for tail in (5, 6, 7) if 2 <= length - tail <= 5]
    for first in (1, 2, 3, 4):
        found += [(first, *rest) for rest in _even(length - first) if rest]
    return tuple(found)


@cache
def _even(length: int) -> tuple[tuple[int, ...], ...]:
    """The ways to write so many digits in groups of two to four, of at most two different lengths."""
    if length == 0:
        return ((),)
    ways = [(first, *rest) for first in (2, 3, 4) if first <= length for rest in _even(length - first)]
    return tuple(way for way in ways if len(set(way)) <= 2 and len(way) <= 5)


def plain_number(text: str) -> str:
    """`text` without marks of direction, its digits of any script as ASCII and its dashes as hyphens."""
    letters = text.translate(MARKS).strip()
    return "".join(str(unicodedata.decimal(one, "-" if unicodedata.category(one) == "Pd" else one)) for one in letters)


def same_line(digits: str) -> str:
    """A number as its country writes it abroad, without what WhatsApp's ids carry besides or leave out.

    Mexican ids have a 1 after the country code and Argentine ones a 9; Brazilian ids of old accounts lack the 9 before the
    eight digits (WhatsApp, "About international phone number format"). A Russian number may begin with 8 at home.
    """
    if len(digits) == 13 and digits.startswith(("521", "549")):
        return digits[:2] + digits[3:]
    if len(digits) == 13 and digits.startswith("55") and digits[4] == "9":
        return digits[:4] + digits[5:]
    if len(digits) == 11 and digits.startswith("89"):
        return f"7{digits[1:]}"
    return digits
