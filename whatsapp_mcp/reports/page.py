"""A report as plain text and as HTML: one column, no pictures, no links, no colours that a dark screen would swallow.

Names come from outside. They are cleaned like everywhere (`server.fencing`), and stand isolated, so that a name written from
right to left leaves the numbers beside it in their place: in text between U+2068 and U+2069 (Unicode Standard Annex 9), in
HTML in ``<bdi>`` (HTML Living Standard, 4.5.25).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.server.fencing import clean, inline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

_FSI, _PDI = "\u2068", "\u2069"
_NAME_LENGTH: Final = 48
_FONT: Final = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_CELL: Final = "padding:4px 0;border-bottom:1px solid #88888844;vertical-align:top"


@dataclass(frozen=True, slots=True)
class Row:
    """A label with what is said about it; `is_name`: the label was given by somebody out there."""

    label: str
    value: str
    is_name: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences, and rows below them; one without sentences and rows is left out."""

    title: str
    sentences: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What is sent: the subject, the plain text, the HTML."""

    subject: str
    text: str
    html: str


def report(subject: str, lead: str, sections: Iterable[Section], foot: str) -> Report:
    """The finished report: a sentence to begin with, the sections that have something to say, a line below."""
    shown = [section for section in sections if section.sentences or section.rows]
    subject = inline(subject, 120)
    return Report(subject, "\n".join(_text(lead, shown, foot)) + "\n", _html(subject, (lead, foot), shown))


def many(count: int, noun: str) -> str:
    """A number with its noun: ``1 chat``, ``398 chats``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """A number of bytes for people: ``15.2 MB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(count) >= unit:
            return f"{count / unit:,.1f} {name}"
    return many(count, "byte")


def lasted(seconds: float) -> str:
    """A duration for people: ``41 s``, ``6 min 52 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def moment(seconds: int, zone: ZoneInfo) -> str:
    """A time to the minute with its day: ``Mon 2026-11-23 08:00``."""
    return f"{datetime.fromtimestamp(seconds, zone):%a %Y-%m-%d %H:%M}"


def _text(lead: str, sections: Sequence[Section], foot: str) -> Iterator[str]:
    yield clean(lead)
    for section in sections:
        yield ""
        yield clean(section.title).upper()
        yield from (clean(sentence) for sentence in section.sentences)
        for row in section.rows:
            yield f"  {_isolated(row)}: {clean(row.value)}"
    yield ""
    yield "-- "  # what follows is the signature (RFC 3676, 4.3)
    yield clean(foot)


def _isolated(row: Row) -> str:
    label = inline(row.label, _NAME_LENGTH)
    return f"{_FSI}{label}{_PDI}" if row.is_name else label


def _html(subject: str, ends: tuple[str, str], sections: Sequence[Section]) -> str:
    lead, foot = ends
    body = "".join(map(_html_section, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">'
        f"<title>{_safe(subject)}</title></head>\n"
        f'<body style="margin:0;padding:16px;font-size:16px;line-height:1.45;color-scheme:light dark;{_FONT}">\n'
        f'<div style="max-width:560px;margin:0 auto">\n<p style="font-size:18px;margin:0 0 16px">{_safe(lead)}</p>\n'
        f'{body}<p style="margin:24px 0 0;font-size:13px;opacity:.7">{_safe(foot)}</p>\n</div>\n</body></html>\n'
    )


def _html_section(section: Section) -> str:
    sentences = "".join(f'<p style="margin:0 0 8px">{_safe(sentence)}</p>\n' for sentence in section.sentences)
    rows = "".join(map(_html_row, section.rows))
    table = f'<table role="presentation" style="width:100%;border-collapse:collapse">\n{rows}</table>\n' if rows else ""
    return f'<h2 style="font-size:16px;margin:20px 0 6px">{_safe(section.title)}</h2>\n{sentences}{table}'


def _html_row(row: Row) -> str:
    label = escape(inline(row.label, _NAME_LENGTH))
    label = f'<bdi dir="auto">{label}</bdi>' if row.is_name else label
    return (
        f'<tr><td style="{_CELL};overflow-wrap:anywhere">{label}</td>'
        f'<td style="{_CELL};text-align:right;padding-left:12px">{_safe(row.value)}</td></tr>\n'
    )


def _safe(text: str) -> str:
    return escape(clean(text))
