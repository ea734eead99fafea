"""What the commands print: JSON for programs, plain lines for people.

Text from WhatsApp is cleaned like in the MCP answers, so that no message can move a terminal's cursor or hide a part of itself.
"""

from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.server.fencing import clean, inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from zoneinfo import ZoneInfo


_STEERING: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C1 controls, marks of direction, line ends and half letters; JSON escapes the controls below the blank itself."""


def say(text: str) -> None:
    """Print a line of text that may hold what people wrote."""
    print(clean(text))


def say_json(value: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Print a JSON document; letters of every alphabet stay readable, what could steer a terminal stands as an escape."""
    print(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False, indent=2)))


def say_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headings, each column as wide as it needs; numbers stand to the right."""
    shown = [[_cell(value) for value in row] for row in rows]
    if not shown:
        return
    widths = [max(_width(row[column]) for row in [list(headings), *shown]) for column in range(len(headings))]
    right = [all(_is_number(row[column]) for row in shown) for column in range(len(headings))]
    for row in [list(headings), *shown]:
        cells = [_pad(text, width, right=to_right) for text, width, to_right in zip(row, widths, right, strict=True)]
        print("  ".join(cells).rstrip())


def moment(seconds: int | None, zone: ZoneInfo) -> str:
    """A time to the minute in the user's zone; empty for None."""
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, zone):%Y-%m-%d %H:%M}"


def many(count: int, noun: str) -> str:
    """A number with its noun: ``1 chat``, ``398 chats``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes for people: ``15.2 MB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count} bytes"


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return inline(str(value), 48)


def _is_number(text: str) -> bool:
    return text.replace(",", "").isdigit()


def _width(text: str) -> int:
    """Columns on a terminal: two for a wide letter, none for a mark that combines with the one before."""
    return sum(0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _pad(text: str, width: int, *, right: bool) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if right else text + blanks
