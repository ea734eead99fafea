"""The structured answers of the status and the analysis, as their JSON schemas tell them.

Two answers only: every pydantic class costs a moment of the start and a model some tokens, so what stands in `gaps`, in the
runs and in the coverage of a count is told in words. All times are RFC 3339 with the offset of the user's zone; what is not
known is left out.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Named(BaseModel):
    """A chat or a contact."""

    id: int
    whatsapp_id: str
    name: str


class KnownRange(BaseModel):
    """What an answer rests on; further members tell of holes."""

    chats: int
    complete: int = Field(description="chats whose whole history is archived")
    truncated: int = Field(description="chats whose history the gateway cut off")
    failed: int
    pending: int = Field(description="chats not fetched yet")
    messages: int
    oldest: str | None = None
    newest: str | None = None
    last_synced_at: str | None = None
    known_until: str | None = None
    missing: int | None = Field(None, description="messages that something refers to and that were never seen")
    with_holes: int | None = Field(None, description="chats of which some time was never fetched")
    note: str | None = None


class SyncStatus(BaseModel):
    """The state of the archive and of its syncs."""

    state: str = Field(description="empty, running, interrupted, complete or incomplete")
    next_step: str
    account: str | None = None
    chats: int
    private_chats: int
    groups: int
    contacts: int
    messages: int
    media_messages: int
    payloads: int | None = None
    unreadable: int | None = None
    database_bytes: int
    coverage: KnownRange
    gaps: dict[str, Any] = Field(description="what is suspected to be missing, by kind and chat, and the next_step")
    queue: dict[str, Any] = Field(description="how it listens, and the suspicion that somebody else empties the queue")
    files: dict[str, int] = Field(description="files of messages by what became of them; contents: different ones on the disk")
    runs: list[dict[str, Any]] = Field(
        description="newest first: run_id, kind, state, times, chats and messages so far, requests, last_error; "
        "while it runs messages_per_second and an estimate of seconds_left"
    )
    failures: list[dict[str, Any]] = Field(description="chats that could not be fetched: chat, error, error_count")
    truncated: list[Named]
    left_out: dict[str, int] = Field(description="how many entries of a list are not shown")


class CountRow(BaseModel):
    """One row of a table."""

    label: str
    id: int | None = Field(None, description="of the contact or chat")
    messages: int
    sent: int
    received: int


class MessageStamp(BaseModel):
    """Which message, without its text."""

    handle: str
    chat: Named
    sender: Named | None = None
    from_me: bool
    sent_at: str
    type: str


class Span(BaseModel):
    """The interval as it was understood: start inclusive, end exclusive."""

    text: str
    zone: str
    start: str | None = None
    end: str | None = None


class RangeAnalysis(BaseModel):
    """The numbers of an interval."""

    interval: Span
    coverage: dict[str, Any] = Field(description="what the numbers rest on, as full_sync_status tells it, within the interval")
    messages: int
    sent: int
    received: int
    chats: int
    contacts: int
    media: int
    first: MessageStamp | None = None
    last: MessageStamp | None = None
    busiest_day: CountRow | None = None
    breakdowns: dict[str, list[CountRow]]
    left_out: dict[str, int] = Field(description="how many rows of a table are not shown")
    notes: list[str] | None = None
    next_step: str | None = None
