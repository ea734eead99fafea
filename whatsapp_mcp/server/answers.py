"""How pages of messages are answered: a header of our own words, the fenced lines, and how to go on.

The header names the chat, the interval as it was understood, how many of how many messages follow, and what the answer rests
on; a zero is explained in the same place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from whatsapp_mcp.server.fencing import fence, inline, literal
from whatsapp_mcp.server.fitting import HEADER_CHARACTERS, characters, fit
from whatsapp_mcp.server.lines import Style, counted, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.server.fitting import Fitted
    from whatsapp_mcp.views import Coverage, Interval, Page, Party

NAME_IN_HEADER: Final = 40
NOTE_IN_HEADER: Final = 240
NEXT_CALL: Final = 400
"""Long enough for every call that the archive suggests: one that is cut cannot be made."""
_SHORTEST_NOTE: Final = 30
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
    address: str = ""
    """Where a resource is read: the address of the chat's months, to which what is older is told instead of a cursor."""
    advice: str = ""
    """The next useful call where nothing was found and the page itself suggests none."""


def answer(asked: Asked, ask: Callable[[int], Page]) -> str:
    """Return the text of an answer: the rows that fit into the budget, and all that belongs around them."""
    if asked.form == "json":
        from whatsapp_mcp.server.answers_json import json_answer

        return json_answer(asked, ask)

    def write(page: Page, longest: int) -> list[str]:
        return write_lines(page.messages, Style(asked.zone, asked.chat is None, longest))

    budget, room = characters(asked.tokens), characters(asked.tokens) + HEADER_CHARACTERS
    fitted = fit(ask, asked.limit, budget, write)
    if (excess := _length(_parts(asked, fitted)) - room) > 0:  # a long header takes from the rows
        fitted = fit(ask, asked.limit, budget - excess, write)
    parts = _parts(asked, fitted)
    if (excess := _length(parts) - room) > 0:
        parts = _parts(asked, _with_shorter_note(fitted, excess))
    return _with_suggestions(parts, asked, fitted)


def _with_shorter_note(fitted: Fitted, excess: int) -> Fitted:
    """Cut `excess` characters from the sentences about coverage; a rest that says nothing goes as well."""
    coverage = fitted.page.coverage
    shown = inline(coverage.note, NOTE_IN_HEADER)
    room = len(shown) - excess
    note = f"{shown[: room - 1]}…" if room >= _SHORTEST_NOTE else ""
    return replace(fitted, page=replace(fitted.page, coverage=replace(coverage, note=note)))


def _parts(asked: Asked, fitted: Fitted) -> list[str]:
    parts = [_header(asked, fitted), fence("\n".join(fitted.rows)), footer(asked, fitted)]
    return [part for part in parts if part]


def _length(parts: list[str]) -> int:
    return len("\n".join(parts))


def chat_title(chat: Party) -> str:
    """Return how a header names a chat: ``Chat "Book club" (12, group)``."""
    kind = "group" if chat.whatsapp_id.endswith("@g.us") else "private"
    return f"Chat {literal(chat.name, NAME_IN_HEADER)} ({chat.id}, {kind})"


def interval_text(interval: Interval) -> str:
    """Return an interval with its zone, once; one of whole days by its first and last day."""
    said = _days(interval) or interval.text
    return said if interval.zone in said else f"{said} ({interval.zone})"


def coverage_text(coverage: Coverage, zone: ZoneInfo) -> str:
    """Return in a few words what an answer rests on."""
    since = f" since {day(coverage.oldest, zone)}" if coverage.oldest is not None else ""
    known = f"{_only_state(coverage) if coverage.chats == 1 else counted(coverage.chats, 'chat')}{since}"
    moment = synced_until(coverage)
    synced = "" if moment is None else f", synced {minute(moment, zone)}"
    note = f". {inline(coverage.note, NOTE_IN_HEADER)}" if coverage.note else ""
    return f"{known}{synced}{note}"


def synced_until(coverage: Coverage) -> int | None:
    """Return until when messages were fetched: of one chat without a hole, of several until the newest fetch of any."""
    if coverage.chats == 1 and coverage.known_until is not None:
        return coverage.known_until
    return max((moment for moment in (coverage.known_until, coverage.last_synced_at) if moment is not None), default=None)


def day(moment: int, zone: ZoneInfo) -> str:
    """Return a time as a date of the reader's zone."""
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d}"


def minute(moment: int, zone: ZoneInfo) -> str:
    """Return a time to the minute in the reader's zone."""
    return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M}"


def _days(interval: Interval) -> str:
    if interval.start is None or interval.end is None:
        return ""
    zone = ZoneInfo(interval.zone)
    first, end = (datetime.fromtimestamp(moment, zone) for moment in (interval.start, interval.end))
    if any((bound.hour, bound.minute, bound.second) != (0, 0, 0) for bound in (first, end)):
        return ""
    last = (end - timedelta(hours=12)).date()
    return f"{first.date()}" if last == first.date() else f"{first.date()} to {last}"


def _only_state(coverage: Coverage) -> str:
    for name, count in (("history cut off", coverage.truncated), ("last sync failed", coverage.failed)):
        if count:
            return f"{name}, known"
    if not coverage.complete:
        return "not fully synced, known"
    return "complete but for gaps, known" if coverage.has_gaps or coverage.unobtainable else "complete"


def _header(asked: Asked, fitted: Fitted) -> str:
    page = fitted.page
    shown = sum(message.is_hit for message in page.messages) if fitted.rows else 0
    more = page.total is not None and page.total > shown
    count = f"{shown} of {page.total:,} messages" if more else counted(shown, "message")
    if meant := sum(message.matched_in == "meaning" for message in page.messages):
        count += f", also by meaning ({meant})"
    facts = [asked.title, interval_text(page.interval), count, coverage_text(page.coverage, asked.zone)]
    return " · ".join(facts)


def footer(asked: Asked, fitted: Fitted) -> str:
    """Return how to go on: the cursor, or what to do where not even one row fits."""
    if not fitted.rows and fitted.page.messages:
        handle = next(message.handle for message in fitted.page.messages if message.is_hit)
        return f"Not one message fits into this token_budget; raise it, or read_chat around={handle} limit=1."
    page = fitted.page
    newer = f"Newer: around={page.messages[-1].handle}" if page.has_newer and page.messages else ""
    older = "" if page.next_cursor is None else f"{CURSOR_WORDS[asked.onward]}: {_onward(asked, page)}"
    return "\n".join(part for part in (newer, older) if part)


def _onward(asked: Asked, page: Page) -> str:
    if not (asked.address and page.messages):
        return f"cursor={page.next_cursor}"
    oldest = page.messages[0]
    return f"{asked.address}/{datetime.fromtimestamp(oldest.sent_at, asked.zone):%Y-%m}/before/{oldest.message_id}"


def _with_suggestions(parts: list[str], asked: Asked, fitted: Fitted) -> str:
    """Add what helps after a poor search, as far as the budget goes."""
    room = characters(asked.tokens) + HEADER_CHARACTERS
    for line in _suggestions(asked, fitted.page):
        if sum(map(len, parts)) + len(parts) + len(line) <= room:
            parts.append(line)
    return "\n".join(parts)


def _suggestions(asked: Asked, page: Page) -> list[str]:
    found = page.suggestions
    lines = [inline(note, 300) for note in page.notes]
    if found is not None and found.months_with_hits:
        months = ", ".join(f"{month}: {count}" for month, count in list(found.months_with_hits.items())[:12])
        lines.append(f"Outside this interval it is found in {months}.")
    next_call = found.next_call if found is not None else ""
    if not next_call and not page.messages:
        next_call = asked.advice
    onward = f"Next: {inline(next_call, NEXT_CALL)}" if next_call else ""
    if found is not None and found.near_words:
        # The only untrusted text of an answer without rows: words as people wrote them, which the next call may repeat.
        near = f"near words: {', '.join(inline(word, 30) for word in found.near_words[:8])}"
        return [*lines, fence(f"{near}\n{onward}".rstrip())]
    return [*lines, onward] if onward else lines
