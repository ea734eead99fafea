"""WhatsApp's own "Export chat" files: ``.txt``, ``.zip``, and folders of them.

A file is read twice as a stream. The first pass tells the shape of its headers, the order of its dates and who speaks; what
it cannot tell is asked for, never guessed in silence. The second cuts the text into one item per message
(`normalise.chat_export.item` says how an item looks), which the common way turns into records. Media inside a zip are
counted, not yet taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import ImportRefused, UsageError
from whatsapp_mcp.normalise.chat_export import sender_name
from whatsapp_mcp.normalise.chat_export.header import ORDERS
from whatsapp_mcp.normalise.chat_export.item import SENDERS
from whatsapp_mcp.payload import Payload

from .container import Source, find_source
from .cutting import Plan, cut, recount
from .names import ChatName, clean_name, name_chat
from .order import DateOrders, Verdict
from .survey import ShapeCount, Survey, survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

__all__ = ["Export", "ExportReport", "find_exports", "read_export"]

BATCH: Final = 500
"""Items in a payload."""

_MOST_INVALID: Final = 0.5
_LATER: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was found in one file and what was decided about it, for the user to check."""

    file: str
    chat_id: str
    chat_name: str
    is_group: bool
    style: str
    """``android``, ``ios`` or ``old_ios``."""
    lines: int
    messages: int
    system_rows: int
    senders: tuple[str, ...]
    """By the number of their messages, the busiest first."""
    order: str
    """``dmy``, ``mdy``, ``ymd`` or ``ydm``."""
    evidence: tuple[str, ...]
    """Why that order."""
    zone: str
    media_files: int
    """Files beside the text in a zip."""
    replaced_letters: int
    """Letters that could not be decoded as UTF-8."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Export:
    """One chat's file, understood and ready to be read."""

    report: ExportReport
    _source: Source
    _plan: Plan
    _context: Mapping[str, str]
    _received_at: int

    @property
    def payloads(self) -> Iterator[Payload]:
        """The file's messages, some `BATCH` items at a time and in flat memory; each call begins anew.

        Raises:
            ImportRefused: the file changed or vanished since it was understood.

        """
        senders = f"{SENDERS}\n" + "\n".join(self.report.senders)
        items = chain((senders,), cut(self._source.lines(), self._plan))
        while batch := tuple(islice(items, BATCH)):
            yield Payload("chat_export", self._received_at, batch, self._context)


def find_exports(path: Path) -> tuple[Path, ...]:
    """The files to import at `path`: itself, or in a folder every ``.txt`` and ``.zip``, by name.

    Beside a ``_chat.txt`` other files of its folder are that chat's attachments.

    Raises:
        ImportRefused: there is nothing at `path`.

    """
    if not path.exists():
        raise ImportRefused(f"There is no file or folder {path}.")
    if not path.is_dir():
        return (path,)
    found = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in (".txt", ".zip") and _is_plain(file, path)]
    unpacked = {file.parent for file in found if file.name == "_chat.txt"}
    kept = tuple(file for file in found if file.name == "_chat.txt" or file.parent not in unpacked)
    if not kept:
        raise ImportRefused(f"There is no .txt or .zip file in {path}.")
    return kept


def _is_plain(file: Path, root: Path) -> bool:
    parts = file.relative_to(root).parts
    return file.is_file() and not any(part.startswith(".") or part == "__MACOSX" for part in parts)


def read_export(
    path: Path,
    *,
    zone: ZoneInfo,
    received_at: int,
    me: str | None = None,
    order: str | None = None,
    chat_name: str | None = None,
) -> Export:
    """Understand the export at `path`: one pass over it, nothing kept but counts.

    `zone` is where the exporting phone was, `me` the owner's name in the file, `order` one of dmy, mdy, ymd and ydm,
    `chat_name` the chat's name where the file's name does not tell it, `received_at` now, in unix seconds.

    Raises:
        ImportRefused: the file cannot be read or is no chat export.
        UsageError: `order` is none, or it must be given because the dates can be read in several ways.

    """
    if order is not None and order not in ORDERS:
        raise UsageError(f'"{order}" is no order of dates.', advice=f"Use one of {', '.join(ORDERS)}.")
    source = find_source(path)
    latest = (datetime.fromtimestamp(received_at, UTC) + _LATER).date()
    found = survey(source.lines(), latest)
    count = _require_chat(found, path)
    verdict = _order_of(count, path, order)
    plan = Plan(count.shape, verdict.order, count.speakers, found.splits_at_crlf)
    if _has_false_headers(found, count, verdict):
        plan = replace(plan, speakers=recount(source.lines(), plan))
    owner = sender_name(clean_name(me or ""))
    chat = name_chat(path, source.text_name, plan.speakers, me=owner, given=clean_name(chat_name or ""))
    context = MappingProxyType({
        "chat": chat.id,
        "name": chat.name,
        "zone": str(zone),
        "order": verdict.order,
        "style": count.shape.style,
        "me": owner,
    })  # fmt: skip
    report = _report(source, found, plan, chat, verdict)
    return Export(_warned(report, found, owner, verdict, str(zone)), source, plan, context, received_at)


def _require_chat(found: Survey, path: Path) -> ShapeCount:
    if found.count is None or not found.count.speakers.rows:
        raise ImportRefused(f"{path.name} is no WhatsApp chat export: no line in it begins with a date and a time.")
    return found.count


def _order_of(count: ShapeCount, path: Path, order: str | None) -> Verdict:
    verdict = Verdict(order, ("given",)) if order else count.dates.verdict(count.shape.separator)
    if not verdict.order:
        raise UsageError(
            _question(count.dates, verdict, path), advice=f"Say which with --order {' or --order '.join(verdict.open)}."
        )
    if count.dates.invalid_share(verdict.order) > _MOST_INVALID:
        told = f"in the order {order} " if order else ""
        raise ImportRefused(f"The dates of {path.name} cannot be read {told}(the first is {count.dates.example}).")
    return verdict


def _question(dates: DateOrders, verdict: Verdict, path: Path) -> str:
    meanings = " or ".join(f"{day} ({order})" for order, day in dates.readings_of_example(verdict.open))
    return f"The dates of {path.name} can be read in {len(verdict.open)} ways: {dates.example} may be {meanings}."


def _has_false_headers(found: Survey, count: ShapeCount, verdict: Verdict) -> bool:
    pasted = found.splits_at_crlf and count.rows_after_crlf < count.rows
    return pasted or count.dates.invalid_share(verdict.order) > 0


def _report(source: Source, found: Survey, plan: Plan, chat: ChatName, verdict: Verdict) -> ExportReport:
    messages = plan.speakers.messages
    return ExportReport(
        file=source.path.name,
        chat_id=chat.id,
        chat_name=chat.name,
        is_group=chat.is_group,
        style=plan.shape.style,
        lines=found.lines,
        messages=messages,
        system_rows=plan.speakers.rows - messages,
        senders=tuple(plan.speakers.names),
        order=verdict.order,
        evidence=verdict.evidence,
        zone="",
        media_files=source.others,
        replaced_letters=found.replaced,
        warnings=chat.warnings,
    )


def _warned(report: ExportReport, found: Survey, me: str, verdict: Verdict, zone: str) -> ExportReport:
    said = {
        f"Letters that could not be decoded and stand as \ufffd: {report.replaced_letters}.": report.replaced_letters,
        f"Lines with a date of another shape stay text: {found.other_headers}.": found.other_headers,
        f"Another order of the dates is possible; {report.order} fits much better.": verdict.is_weak,
        f"Nobody in the chat is called {me!r} (--me).": me and me not in report.senders,
        "Who of the senders is you was not said; give --me NAME.": not me and report.messages,
        f"Media files in the zip that were not taken: {report.media_files}.": report.media_files,
    }
    return replace(report, zone=zone, warnings=(*(text for text, holds in said.items() if holds), *report.warnings))
