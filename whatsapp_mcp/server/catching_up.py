"""What ``catch_up`` answers: every chat with news in a strict budget, the important ones in full.

Each chat has a line with its counts and its first and last handle. What is left of the budget goes to the last messages of
each chat, shortened, in the order of the chats; and then, in the same order, to the whole text of a chat where all of it fits.
So a small budget still names every chat that it has room for, and a large one reads like the chats themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from whatsapp_mcp.export.objects import coverage_object, interval_object, party_object, rfc3339
from whatsapp_mcp.server.answers import chat_title, coverage_text, interval_text, minute
from whatsapp_mcp.server.answers_json import compact_json, json_document, shortened
from whatsapp_mcp.server.fencing import cleaned, fence, inline
from whatsapp_mcp.server.fitting import HEADER_CHARACTERS, characters
from whatsapp_mcp.server.lines import Style, counted, name_in_line, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.queries.catching_up import Activity, CaughtUp
    from whatsapp_mcp.views import MessageView

DEFAULT_TOKENS: Final = 8_000
_LAST: Final = 3
"""So many of a chat's last messages stand for it where the whole does not fit."""
_SHORT: Final = 100
"""The most characters of each of them."""
_MOST_WHOLE: Final = 500
"""A chat with more messages is never shown whole: nobody catches up with that in one answer."""
_LEAST_OF_A_MESSAGE: Final = 8
"""Characters that a message needs at the very least: a chat that cannot fit is not even fetched."""
_WHY: Final = {0: "waits for your answer", 1: "answers you", 5: "only you wrote"}
_NOTE: Final = 300


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """Since when, where, and how much to tell."""

    since: str
    chat: str | int | None = None
    tokens: int | None = None
    form: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a chat is written: as lines or as JSON."""

    archive: Archive
    found: CaughtUp
    form: str

    def write(self, one: Activity, shown: str, messages: Sequence[MessageView] = (), longest: int = 100_000) -> str:
        """Return the chat with so much of it."""
        if self.form == "json":
            return self._as_json(one, shown, messages, longest)
        lines = write_lines(messages, Style(self.archive.settings.timezone, longest=longest)) if messages else []
        return "\n".join([self._counts(one), *lines])

    @property
    def gap(self) -> int:
        """Characters between two chats: a line end, in JSON with a comma before it."""
        return 2 if self.form == "json" else 1

    def last(self, one: Activity, limit: int) -> tuple[MessageView, ...]:
        """Return the last messages of the chat within the interval."""
        start = self.found.interval.start
        after = None if start is None else datetime.fromtimestamp(start, UTC).isoformat()  # zones have odd offsets in old years
        return self.archive.queries.read_chat(one.chat, after=after, limit=limit).messages

    def _counts(self, one: Activity) -> str:
        why = _WHY.get(one.rank, "") if one.received or one.sent else ""
        facts = [
            f"# {one.chat.id} {name_in_line(one.chat.name)}",
            counted(one.messages, "message") + _received(one),
            why,
            f"m{one.first_id} to m{one.last_id}" if one.messages > 1 else f"m{one.last_id}",
            f"last {minute(one.last_at, self.archive.settings.timezone)}",
        ]
        return " · ".join(fact for fact in facts if fact)

    def _as_json(self, one: Activity, shown: str, messages: Sequence[MessageView], longest: int) -> str:
        zone = self.archive.settings.timezone
        facts: dict[str, Any] = {
            "chat": party_object(one.chat), "kind": "group" if one.is_group else "private", "count": one.messages,
            "waits_for_you": one.is_waiting, "first": f"m{one.first_id}", "last": f"m{one.last_id}",
            "last_at": rfc3339(one.last_at, zone), "shown": shown,
        }  # fmt: skip
        if not one.is_known_in_part:
            facts |= {"received": one.received, "answers_to_you": one.to_me}
        if messages:
            facts["messages"] = [shortened(message, zone, longest) for message in messages]
        return compact_json(cleaned(facts))


def _received(one: Activity) -> str:
    return "" if one.is_known_in_part or one.received == one.messages else f" ({one.received} received)"


def catching_up_answer(archive: Archive, asked: CatchingUp, enclose: Callable[[str], str] = fence) -> str:
    """Answer ``catch_up``; raises `ArchiveError` with what to do next. A terminal needs no fence: `enclose` says how."""
    party = None if asked.chat is None else archive.queries.find_chat(asked.chat)
    found = archive.queries.catch_up(asked.since, party)
    writer = _Writer(archive, found, asked.form)
    budget = characters(asked.tokens or DEFAULT_TOKENS)
    blocks = _fitted(writer, found.chats, budget)
    title = f"Catch up{f' in {chat_title(party)}' if party else ''}"
    if asked.form == "json":
        return _as_json(writer, asked, blocks)
    return _as_text(writer, asked, title, enclose("\n".join(block for block, _ in blocks)) if blocks else "", blocks)


def _fitted(writer: _Writer, chats: Sequence[Activity], budget: int) -> list[tuple[str, bool]]:
    """The chats that fit, each with whether all of it is shown."""
    blocks: list[tuple[str, bool]] = []
    for one in chats:
        block = writer.write(one, "counts")
        if len(block) + writer.gap > budget:
            break
        blocks.append((block, False))
        budget -= len(block) + writer.gap
    budget = _upgraded(blocks, chats, budget, lambda one, _: writer.write(one, "snippets", writer.last(one, _LAST), _SHORT))
    _upgraded(
        blocks, chats, budget, lambda one, room: writer.write(one, "whole", writer.last(one, one.messages), room), whole=True
    )
    return blocks


def _upgraded(
    blocks: list[tuple[str, bool]], chats: Sequence[Activity], budget: int, write: Callable[[Activity, int], str],
    *, whole: bool = False,
) -> int:  # fmt: skip
    """Put more into each block, in order, where it fits; returns what is left of the budget.

    `write` takes a chat and how long its block may become; of what is longer it need not write all.
    """
    for place, (block, _) in enumerate(blocks):
        least = min(chats[place].messages, _LAST if not whole else chats[place].messages) * _LEAST_OF_A_MESSAGE
        if least > budget or (whole and chats[place].messages > _MOST_WHOLE):
            continue
        larger = write(chats[place], len(block) + budget)
        more = len(larger) - len(block)
        if more <= budget:
            blocks[place] = (larger, whole)
            budget -= more
    return budget


def _as_text(writer: _Writer, asked: CatchingUp, title: str, body: str, blocks: list[tuple[str, bool]]) -> str:
    found = writer.found
    total = sum(one.messages for one in found.chats)
    room = HEADER_CHARACTERS
    header = " · ".join(
        [
            title,
            interval_text(found.interval),
            f"{counted(len(found.chats), 'chat')}, {counted(total, 'message')}",
            coverage_text(found.coverage, writer.archive.settings.timezone),
        ]
    )
    ends = _onward(writer, asked, blocks)
    room -= len(ends) + 40
    header = header if len(header) <= room else header[: max(0, room - 1)] + "…"
    shown = "\n".join(part for part in (header, body, ends) if part)
    note = inline(found.note, _NOTE)
    left = characters(asked.tokens or DEFAULT_TOKENS) + HEADER_CHARACTERS - len(shown) - 1
    return f"{shown}\n{note}" if note and len(note) <= left else shown


def _onward(writer: _Writer, asked: CatchingUp, blocks: list[tuple[str, bool]]) -> str:
    """What is not shown, and the call that shows it."""
    found = writer.found
    if not found.chats:
        newest = found.coverage.newest
        last = f"the last message is of {minute(newest, writer.archive.settings.timezone)}. " if newest is not None else ""
        said = "That time is still to come" if _is_ahead(writer) else "Nothing was said since then"
        return f"{said}; {last}Next: full_sync_status says how fresh the archive is, sync_recent fetches."
    left = found.chats[len(blocks) :]
    lines = []
    if any(not whole for _, whole in blocks):
        lines.append("More of a chat: read_chat chat=ID around=HANDLE, with the id and a handle of its line.")
    if left:
        messages = sum(one.messages for one in left)
        lines.append(
            f"Not shown: {counted(len(left), 'chat')} with {counted(messages, 'message')}; raise token_budget above "
            f"{asked.tokens or DEFAULT_TOKENS}, or begin later."
        )
    return "\n".join(lines)


def _is_ahead(writer: _Writer) -> bool:
    start = writer.found.interval.start
    return start is not None and start > writer.archive.clock.now()


def _as_json(writer: _Writer, asked: CatchingUp, blocks: list[tuple[str, bool]]) -> str:
    zone, found = writer.archive.settings.timezone, writer.found
    around = {
        "interval": interval_object(found.interval, zone),
        "coverage": coverage_object(found.coverage, zone),
        "chats_in_all": len(found.chats),
        "messages_in_all": sum(one.messages for one in found.chats),
    }
    closing = {"chats_not_shown": len(found.chats) - len(blocks)} | (
        {"note": note} if (note := _onward(writer, asked, blocks)) else {}
    )
    if found.note:
        around["notes"] = [found.note]
    return _within(asked, around, [block for block, _ in blocks], closing)


def _within(asked: CatchingUp, around: dict[str, Any], rows: list[str], closing: dict[str, Any]) -> str:
    """The document; what stands around the chats goes, the least useful first, where the budget leaves no room for it."""
    room = characters(asked.tokens or DEFAULT_TOKENS) + HEADER_CHARACTERS
    shown = json_document(around, rows, closing, rows_name="chats")
    for members, name in ((around, "coverage"), (closing, "note"), (around, "notes")):
        if len(shown) <= room:
            break
        members.pop(name, None)
        shown = json_document(around, rows, closing, rows_name="chats")
    return shown
