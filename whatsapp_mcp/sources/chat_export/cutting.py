"""The second pass over a file: its lines become the items of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise.chat_export.header import Shape, identity, local_time, match_header, shape_of
from whatsapp_mcp.normalise.chat_export.item import LOOSE, put_together

from .container import LONGEST_LINE
from .speakers import Speakers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REMEMBERED: Final = 65_536
"""Messages of which the number is remembered, once or twice: equal messages of one time stand close together in a file."""


@dataclass(slots=True)
class _Block:
    """The lines of one message; without `local` they belong to none."""

    lines: list[str] = field(default_factory=list)
    local: str = ""
    start: int = 0
    size: int = 0


class _Occurrences:
    """Numbers messages that nothing tells apart, in flat memory."""

    def __init__(self) -> None:
        self._recent: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def number(self, local: str, text: str) -> int:
        key = hash((local, identity(text)))
        number = (self._recent.get(key) or self._before.get(key, 0)) + 1
        self._recent[key] = number
        if len(self._recent) > _REMEMBERED:
            self._before, self._recent = self._recent, {}
        return number


@dataclass(frozen=True, slots=True)
class Plan:
    """How to cut a file: all that the first pass and the user decided."""

    shape: Shape
    order: str
    speakers: Speakers
    splits_at_crlf: bool


def cut(lines: Iterable[str], plan: Plan) -> Iterator[str]:
    """The items of a file's messages, in its order; nothing of the file is left out."""
    block = _Block()
    occurrences = _Occurrences()
    for line, begun in _begun(lines, plan):
        if begun is not None or block.size > LONGEST_LINE:
            item = _item(block, plan, occurrences)
            if item:
                yield item
            block = begun or _Block([line], size=len(line))
        else:
            block.lines.append(line)
            block.size += len(line)
    item = _item(block, plan, occurrences)
    if item:
        yield item


def recount(lines: Iterable[str], plan: Plan) -> Speakers:
    """Count the speakers of the lines that `plan` takes for headers: needed where the first pass saw some that are none."""
    speakers = Speakers(plan.shape.style)
    for line, begun in _begun(lines, plan):
        if begun is not None:
            speakers.see(line[begun.start :].rstrip("\r"))
    speakers.settle()
    return speakers


def _begun(lines: Iterable[str], plan: Plan) -> Iterator[tuple[str, _Block | None]]:
    """Each line, with a new block where it begins a message."""
    strict, after_crlf = plan.splits_at_crlf, True
    for line in lines:
        yield line, _begin(line, plan) if after_crlf or not strict else None
        after_crlf = line.endswith("\r")


def _begin(line: str, plan: Plan) -> _Block | None:
    match = match_header(line)
    if match is None or shape_of(match) != plan.shape:
        return None
    local = local_time(match, plan.order)
    return None if local is None else _Block([line], local, match.end(), len(line))


def _item(block: _Block, plan: Plan, occurrences: _Occurrences) -> str:
    text = "\n".join(block.lines)
    text = text.removesuffix("\r")
    if block.local:
        rest = text[block.start :]
        return put_together(occurrences.number(block.local, rest), plan.speakers.sender_length(rest), text)
    return f"{LOOSE}\n{text}" if text.strip() else ""
