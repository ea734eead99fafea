"""The report of a sync: what came, from where, what is missing, what failed, and when the next one is due.

A pure function from values. What went wrong stands first: a report that is skimmed on a phone must not hide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.reports.page import Report, Row, Section, lasted, many, moment, report, size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

FOOT: Final = (
    "Sent by whatsapp-mcp on your own computer. No word of a message stands in this mail. REPORT_NAMES=no leaves out names."
)
_NAMED: Final = 10
_GOOD: Final = frozenset({"complete", "done", "ok"})


@dataclass(frozen=True, slots=True)
class ChatCount:
    """A chat with how many new messages it has."""

    name: str
    messages: int


@dataclass(frozen=True, slots=True)
class TypeCount:
    """A kind of message (``text``, ``image``, …) with how many are new."""

    kind: str
    messages: int


@dataclass(frozen=True, slots=True)
class Media:
    """Files: new ones that messages have, and what the download queue holds."""

    new: int = 0
    stored: int = 0
    waiting: int = 0
    expired: int = 0
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class JobRun:
    """One execution of a job; `seconds` is None while it did not end."""

    kind: str
    state: str
    started_at: int
    seconds: float | None
    messages_new: int = 0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that fails: what happened, what to do, and whose name it concerns, if it is a chat."""

    what: str
    advice: str = ""
    chat: str = ""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a method of the gateway answered: requests, errors, and milliseconds: the middle one, and the slowest but 5 %."""

    method: str
    requests: int
    errors: int
    median_ms: float | None
    """None where the time says nothing: a method whose answer waits for a message."""
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class Daily:
    """Everything that the daily report says; times are unix seconds."""

    since: int
    until: int
    zone: ZoneInfo
    messages_new: int
    """Stored since `since`."""
    messages_old: int
    """Of these, sent before `since`: the history that a sync brought."""
    chats_new: int
    """Chats with new messages."""
    by_chat: tuple[ChatCount, ...]
    """The most active first."""
    by_type: tuple[TypeCount, ...]
    media: Media
    gaps: tuple[str, ...]
    """Sentences about what is missing."""
    troubles: tuple[Trouble, ...]
    runs: tuple[JobRun, ...]
    messages: int
    chats: int
    database_bytes: int
    media_bytes: int
    next_run: int | None = None
    oldest_sync: int | None = None
    """When the archive was last in step with the gateway."""
    calls: tuple[Calls, ...] = ()


def daily(values: Daily) -> Report:
    """The daily report."""
    count = f"{many(values.messages_new, 'new message')} in {many(values.chats_new, 'chat')}"
    bad = len(values.troubles)
    subject = f"WhatsApp archive: {count}" + (f", {many(bad, 'problem')}" if bad else "")
    lead = f"{count} since {moment(values.since, values.zone)}."
    if values.messages_old:
        lead += f" {values.messages_old:,} of them are older: history that was fetched later."
    return report(subject, lead, _sections(values), FOOT)


def _sections(values: Daily) -> Iterator[Section]:
    yield troubles(values.troubles)
    yield Section("What is missing", values.gaps)
    yield Section("Most active chats", rows=tuple(_chats(values)))
    yield Section("By type", rows=tuple(Row(one.kind.replace("_", " "), f"{one.messages:,}") for one in values.by_type))
    yield Section("Media", rows=tuple(_media(values.media)))
    yield Section("What ran", rows=tuple(_run(run, values.zone) for run in values.runs))
    yield gateway(values.calls)
    yield Section("The archive", rows=tuple(_archive(values)))


def troubles(found: tuple[Trouble, ...]) -> Section:
    """What failed, each with what to do; at most ten by name."""
    rest = len(found) - _NAMED
    said = [f"{one.what} {one.advice}".strip() for one in found[:_NAMED] if not one.chat]
    if rest > 0:
        said.append(f"And {many(rest, 'more problem')}: see `whatsapp-mcp status`.")
    rows = (Row(one.chat, f"{one.what} {one.advice}".strip(), is_name=True) for one in found[:_NAMED] if one.chat)
    return Section("What failed", tuple(said), tuple(rows))


def gateway(calls: tuple[Calls, ...]) -> Section:
    """How the gateway answered, by method."""
    return Section("Green API", rows=tuple(Row(one.method, _answered(one)) for one in calls))


def _answered(calls: Calls) -> str:
    errors = f", {many(calls.errors, 'error')}" if calls.errors else ""
    said = f"{many(calls.requests, 'request')}{errors}"
    if calls.median_ms is None or calls.p95_ms is None:
        return said
    return f"{said}, median {calls.median_ms:,.0f} ms, 95 % within {calls.p95_ms:,.0f} ms"


def _chats(values: Daily) -> Iterator[Row]:
    shown = values.by_chat[:_NAMED]
    yield from (Row(one.name, f"{one.messages:,}", is_name=True) for one in shown)
    rest = values.chats_new - len(shown)
    if rest > 0:
        left = values.messages_new - sum(one.messages for one in shown)
        yield Row(f"{rest:,} others", f"{left:,}")


def _media(media: Media) -> Iterator[Row]:
    told = (
        ("new files", media.new), ("fetched", media.stored), ("waiting", media.waiting), ("expired", media.expired),
        ("failed", media.failed), ("skipped", media.skipped),
    )  # fmt: skip
    return (Row(label, f"{count:,}") for label, count in told if count)


def _run(run: JobRun, zone: ZoneInfo) -> Row:
    said = [] if run.state in _GOOD else [run.state]
    if run.seconds is not None:
        said.append(lasted(run.seconds))
    if run.messages_new:
        said.append(f"{run.messages_new:,} new")
    return Row(f"{run.kind}, {moment(run.started_at, zone)}", ", ".join(said) or run.state)


def _archive(values: Daily) -> Iterator[Row]:
    yield Row("messages", f"{values.messages:,}")
    yield Row("chats", f"{values.chats:,}")
    yield Row("database", size(values.database_bytes))
    if values.media_bytes:
        yield Row("files", size(values.media_bytes))
    if values.oldest_sync is not None:
        yield Row("last sync", moment(values.oldest_sync, values.zone))
    if values.next_run is not None:
        yield Row("next run", moment(values.next_run, values.zone))
