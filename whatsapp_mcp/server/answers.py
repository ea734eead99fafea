"""How pages of messages are answered: a header of our own words, the fenced lines, and how to go on.

The header names the chat, the interval as it was understood, how many of how many messages follow, and what the answer rests
on; a zero is explained in the same place. ``format="json"`` carries the same facts in one JSON document whose lines ``"fence"``
and ``"fence_end"`` hold the random mark before and after everything that people wrote.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.export.objects import coverage_object, interval_object, message_object, party_object, suggestions_object
from whatsapp_mcp.server.fencing import clean, cleaned, fence, fresh_mark, inline, literal
from whatsapp_mcp.server.fitting import HEADER_CHARACTERS, characters, fit
from whatsapp_mcp.server.lines import Style, counted, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.server.fitting import Fitted
    from whatsapp_mcp.views import Coverage, Interval, MessageView, Page, Party

NAME_IN_HEADER: Final = 40
NOTE_IN_HEADER: Final = 150
CURSOR_WORDS: Final = {"older": "Older", "more": "More"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page answers: the words for its header, and how it is to be shown."""

    zone: ZoneInfo
    title: str
    """Our own words and JSON literals: ``Chat "Book club" (12, group)``."""
    chat: Party | None = None
    """The only chat of the answer, where there is one: its lines then need not name it."""
    limit: int = 50
    tokens: int = 20_000
    form: str = "text"
    onward: str = "more"
    """What the cursor leads to: a key of `CURSOR_WORDS`."""
    advice: str = ""
    """The next useful call where nothing was found and the page itself suggests none."""


def answer(asked: Asked, ask: Callable[[int], Page]) -> str:
    """Return the text of an answer: the rows that fit into the budget, and all that belongs around them."""
    if asked.form == "json":
        return _json_answer(asked, ask)

    def write(page: Page, longest: int) -> list[str]:
        return write_lines(page.messages, Style(asked.zone, asked.chat is None, longest))

    fitted = fit(ask, asked.limit, characters(asked.tokens), write)
    parts = [_header(asked, fitted), fence("\n".join(fitted.rows)), _footer(asked, fitted)]
    return _with_suggestions([part for part in parts if part], asked, fitted)


def chat_title(chat: Party) -> str:
    """Return how a header names a chat: ``Chat "Book club" (12, group)``."""
    kind = "group" if chat.whatsapp_id.endswith("@g.us") else "private"
    return f"Chat {literal(chat.name, NAME_IN_HEADER)} ({chat.id}, {kind})"


def interval_text(interval: Interval) -> str:
    """Return an interval with its zone, once."""
    return interval.text if interval.zone in interval.text else f"{interval.text} ({interval.zone})"


def coverage_text(coverage: Coverage, zone: ZoneInfo) -> str:
    """Return in a few words what an answer rests on."""
    since = f" since {day(coverage.oldest, zone)}" if coverage.oldest is not None else ""
    known = f"{_only_state(coverage) if coverage.chats == 1 else counted(coverage.chats, 'chat')}{since}"
    synced = "" if coverage.last_synced_at is None else f", synced {minute(coverage.last_synced_at, zone)}"
    note = f". {inline(coverage.note, NOTE_IN_HEADER)}" if coverage.note else ""
    return f"{known}{synced}{note}"


def day(moment: int, zone: ZoneInfo) -> str:
    """Return a time as a date of the reader's zone."""
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d}"


def minute(moment: int, zone: ZoneInfo) -> str:
    """Return a time to the minute in the reader's zone."""
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}"


def compact_json(value: object) -> str:
    """Return a JSON value without blanks, letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _only_state(coverage: Coverage) -> str:
    for name, count in (("history cut off", coverage.truncated), ("last sync failed", coverage.failed)):
        if count:
            return f"{name}, known"
    return "complete" if coverage.complete else "not fully synced, known"


def _header(asked: Asked, fitted: Fitted) -> str:
    page = fitted.page
    shown = sum(message.is_hit for message in page.messages) if fitted.rows else 0
    more = page.total is not None and page.total > shown
    count = f"{shown} of {page.total:,} messages" if more else counted(shown, "message")
    facts = [asked.title, interval_text(page.interval), count, coverage_text(page.coverage, asked.zone)]
    return " · ".join(facts)


def _footer(asked: Asked, fitted: Fitted) -> str:
    if not fitted.rows and fitted.page.messages:
        handle = next(message.handle for message in fitted.page.messages if message.is_hit)
        return f"Not one message fits into this token_budget; raise it, or read_chat around={handle} limit=1."
    if fitted.page.next_cursor is None:
        return ""
    return f"{CURSOR_WORDS[asked.onward]}: cursor={fitted.page.next_cursor}"


def _with_suggestions(parts: list[str], asked: Asked, fitted: Fitted) -> str:
    """Add what helps after a poor search, as far as the budget goes."""
    room = characters(asked.tokens) + HEADER_CHARACTERS
    for line in _suggestions(asked, fitted.page):
        if sum(map(len, parts)) + len(parts) + len(line) <= room:
            parts.append(line)
    return "\n".join(parts)


def _suggestions(asked: Asked, page: Page) -> list[str]:
    found = page.suggestions
    lines = []
    if found is not None and found.months_with_hits:
        months = ", ".join(f"{month}: {count}" for month, count in list(found.months_with_hits.items())[:12])
        lines.append(f"Outside this interval it is found in {months}.")
    next_call = found.next_call if found is not None else ""
    if not next_call and not page.messages:
        next_call = asked.advice
    onward = f"Next: {inline(next_call, 200)}" if next_call else ""
    if found is not None and found.near_words:
        # The only untrusted text of an answer without rows: words as people wrote them, which the next call may repeat.
        near = f"near words: {', '.join(inline(word, 30) for word in found.near_words[:8])}"
        return [*lines, fence(f"{near}\n{onward}".rstrip())]
    return [*lines, onward] if onward else lines


def _json_answer(asked: Asked, ask: Callable[[int], Page]) -> str:
    def write(page: Page, longest: int) -> list[str]:
        return [_json_row(message, asked.zone, longest) for message in page.messages]

    fitted = fit(ask, asked.limit, characters(asked.tokens), write)
    page = fitted.page
    opening: dict[str, Any] = {"chat": cleaned(party_object(asked.chat))} if asked.chat else {}
    opening |= {"interval": interval_object(page.interval, asked.zone), "coverage": coverage_object(page.coverage, asked.zone)}
    if page.total is not None:
        opening["total"] = page.total
    closing: dict[str, Any] = {"next_cursor": page.next_cursor}
    if note := _footer(asked, replace(fitted, page=replace(page, next_cursor=None))):
        closing["note"] = note
    suggestions = cleaned(suggestions_object(page.suggestions)) if page.suggestions else None
    return json_document(opening, fitted.rows, closing, suggestions=suggestions)


def json_document(opening: dict[str, Any], rows: list[str], closing: dict[str, Any], *, suggestions: object = None) -> str:
    """Return one JSON document with the random mark on a line before and on a line after what people wrote."""
    quoted = '"messages":[\n' + ",\n".join(rows) + "\n]"
    if suggestions:
        quoted += f',\n"suggestions":{compact_json(suggestions)}'
    mark = fresh_mark(quoted)
    before = compact_json(cleaned(opening))[:-1]
    return f'{before},\n"fence":"{mark}",\n{quoted},\n"fence_end":"{mark}",\n{compact_json(closing)[1:]}'


def _json_row(message: MessageView, zone: ZoneInfo, longest: int) -> str:
    shown = message_object(message, zone)
    if len(message.content) > longest:
        shown["content"] = clean(message.content[:longest])
        shown["content_cut"] = f"part of {len(message.content)} characters: read_chat around={message.handle} limit=1"
    return compact_json(cleaned(shown))
