"""The first pass over a file: which shape its headers have, what order its dates speak for, and who speaks.

Everything is counted per shape, because until the end nobody knows which shape is the file's own and which belongs to a chat
that somebody pasted into a message. Memory stays flat: counts, not lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise.chat_export.header import Shape, match_header, shape_of

from .order import DateOrders
from .speakers import Speakers

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_SHAPES: Final = 64
_MEDIA_DATE: Final = re.compile(
    r"(?:-PHOTO-|-VIDEO-|-AUDIO-|-GIF-|-STICKER-)(20\d\d)-(\d\d)-(\d\d)-|-(20\d\d)(\d\d)(\d\d)-WA\d{4}"
)


class ShapeCount:
    """What the rows of one shape say together."""

    def __init__(self, shape: Shape, latest: date) -> None:
        """Begin to count."""
        self.shape = shape
        self.rows = 0
        self.rows_after_crlf = 0
        self.dates = DateOrders(latest)
        self.speakers = Speakers(shape.style)
        self._date = ""

    def see(self, match: re.Match[str], line: str, *, after_crlf: bool) -> None:
        """Count a line with a header of this shape."""
        self.rows += 1
        self.rows_after_crlf += after_crlf
        raw = match["date"]
        if raw != self._date:
            self._date = raw
            self.dates.see(raw)
        if "-WA" in line or "-20" in line:
            self._see_media(raw, line)
        self.speakers.see(line[match.end() :])

    def _see_media(self, raw: str, line: str) -> None:
        found = _MEDIA_DATE.search(line)
        if found:
            year, month, day = (int(number) for number in found.groups() if number)
            if 1 <= month <= 12 and 1 <= day <= 28:
                self.dates.see_media(raw, date(year, month, day))


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass found; `count` is the dominant shape's, None where no line has a header."""

    lines: int
    replaced: int
    """Letters that could not be decoded."""
    count: ShapeCount | None
    other_headers: int
    """Lines with a header of another shape: they stay text."""
    splits_at_crlf: bool
    """iOS: messages end with CR LF and lines inside them with LF alone, which tells a pasted header from a real one."""


def survey(lines: Iterable[str], latest: date) -> Survey:
    """Count a file's lines; no message is younger than `latest`."""
    counts: dict[Shape, ShapeCount] = {}
    total = replaced = crlf = headers = 0
    after_crlf = False
    for line in lines:
        total += 1
        if not line.isascii():
            replaced += line.count("\ufffd")
        match = match_header(line)
        if match is not None:
            headers += 1
            count = _count_of(counts, shape_of(match), latest)
            if count is not None:
                count.see(match, line.rstrip("\r"), after_crlf=after_crlf or total == 1)
        after_crlf = line.endswith("\r")
        crlf += after_crlf
    best = max(counts.values(), key=lambda count: count.rows, default=None)
    if best is None:
        return Survey(total, replaced, None, 0, splits_at_crlf=False)
    best.speakers.settle()
    # The last line's CR LF is followed by nothing, the first line by no line end before it: both count as right.
    strict = best.shape.bracket and best.rows_after_crlf > 1 and crlf - after_crlf + 1 == best.rows_after_crlf
    return Survey(total, replaced, best, headers - best.rows, splits_at_crlf=strict)


def _count_of(counts: dict[Shape, ShapeCount], shape: Shape, latest: date) -> ShapeCount | None:
    count = counts.get(shape)
    if count is None and len(counts) < _MOST_SHAPES:
        count = counts[shape] = ShapeCount(shape, latest)
    return count
