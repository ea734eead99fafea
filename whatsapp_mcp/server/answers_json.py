"""The same pages as one JSON document, for those who want every fact under its name.

What people wrote stands between the lines ``"fence"`` and ``"fence_end"``, which hold the random mark; line feeds within JSON
strings are escaped, so no text can look like such a line.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.export.objects import coverage_object, interval_object, message_object, party_object, suggestions_object
from whatsapp_mcp.server.answers import Asked, footer
from whatsapp_mcp.server.fencing import cleaned, fresh_mark
from whatsapp_mcp.server.fitting import HEADER_CHARACTERS, characters, fit
from whatsapp_mcp.server.lines import LONGEST_ALONE, rest_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import MessageView, Page

_DISPENSABLE: Final = (
    ("coverage", "spans"),
    ("coverage", "holes"),
    ("suggestions",),
    ("notes",),
    ("coverage", "verified_at"),
    ("coverage", "known_until"),
    ("coverage", "oldest"),
    ("coverage", "newest"),
    ("coverage", "last_synced_at"),
    ("interval", "start"),
    ("interval", "end"),
    ("coverage", "note"),
    ("chat",),
    ("total",),
)
"""What stands around the rows and may go, in this order, where a small budget leaves no room for it."""


def json_answer(asked: Asked, ask: Callable[[int], Page]) -> str:
    """Return a page as JSON: the rows that fit into the budget, and around them what is known of the page."""

    def write(page: Page, longest: int) -> list[str]:
        is_alone = len(page.messages) == 1 and longest >= LONGEST_ALONE
        return [_row(message, asked.zone, longest, is_alone=is_alone) for message in page.messages]

    fitted = fit(ask, asked.limit, characters(asked.tokens), write)
    page = fitted.page
    around = _around(asked, page)
    closing: dict[str, Any] = {"next_cursor": page.next_cursor if fitted.rows else None}
    if note := footer(asked, replace(fitted, page=replace(page, next_cursor=None))):
        closing["note"] = note
    shown = json_document(around, fitted.rows, closing)
    for path in _DISPENSABLE:
        if len(shown) <= characters(asked.tokens) + HEADER_CHARACTERS:
            break
        _remove(around, path)
        shown = json_document(around, fitted.rows, closing)
    return shown


def json_document(around: dict[str, Any], rows: list[str], closing: dict[str, Any], rows_name: str = "messages") -> str:
    """Return one JSON document with the random mark on a line before and on a line after what people wrote."""
    before = {name: value for name, value in around.items() if name != "suggestions"}
    quoted = f'"{rows_name}":[\n' + ",\n".join(rows) + "\n]"
    if "suggestions" in around:
        quoted += f',\n"suggestions":{compact_json(cleaned(around["suggestions"]))}'
    mark = fresh_mark(quoted)
    opening = compact_json(cleaned(before))[:-1]
    opening += ",\n" if before else ""
    return f'{opening}"fence":"{mark}",\n{quoted},\n"fence_end":"{mark}",\n{compact_json(closing)[1:]}'


def compact_json(value: object) -> str:
    """Return a JSON value without blanks, letters of every script as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _around(asked: Asked, page: Page) -> dict[str, Any]:
    around: dict[str, Any] = {} if asked.chat is None else {"chat": party_object(asked.chat)}
    around["interval"] = interval_object(page.interval, asked.zone)
    around["coverage"] = coverage_object(page.coverage, asked.zone, with_spans=True)
    if page.total is not None:
        around["total"] = page.total
    if page.notes:
        around["notes"] = list(page.notes)
    if page.suggestions is not None:
        around["suggestions"] = suggestions_object(page.suggestions)
    return around


def _remove(members: dict[str, Any], path: tuple[str, ...]) -> None:
    *above, last = path
    for name in above:
        members = members[name]
    members.pop(last, None)


def _row(message: MessageView, zone: ZoneInfo, longest: int, *, is_alone: bool) -> str:
    return compact_json(cleaned(shortened(message, zone, longest, is_alone=is_alone)))


def shortened(message: MessageView, zone: ZoneInfo, longest: int, *, is_alone: bool = False) -> dict[str, Any]:
    """Return a message with a text of at most `longest` characters; where it was cut it is said, and where the rest is."""
    shown = message_object(message, zone)
    if len(message.content) > longest:
        shown["content"] = message.content[:longest]
        shown["content_cut"] = f"part of {len(message.content)} characters: {rest_at(message, is_alone=is_alone)}"
    return shown
