"""The answers about what was measured; times are unix seconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from whatsapp_mcp.views import FileCounts, RunView


@dataclass(frozen=True, slots=True)
class CallsView:
    """How a method of the gateway answered; times in milliseconds, None where none was measured."""

    method: str
    requests: int
    errors: int
    throttled: int
    median_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class SizeView:
    """How large the archive was at a time."""

    measured_at: int
    database_bytes: int
    media_bytes: int
    messages: int
    chats: int
    payloads: int


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A run with what it asked of the gateway."""

    run: RunView
    calls: tuple[CallsView, ...]


@dataclass(frozen=True, slots=True)
class History:
    """What was measured."""

    runs: tuple[MeasuredRun, ...]
    """Newest first."""
    calls: tuple[CallsView, ...]
    """Of all these runs together; times are means, weighted by requests."""
    sizes: tuple[SizeView, ...]
    """Oldest first, the last one of now."""


@dataclass(frozen=True, slots=True)
class Now:
    """The archive in numbers at this moment, for programs that watch over it."""

    size: SizeView
    unreadable: int
    missing: int
    """Messages that something refers to and that were never seen."""
    last: tuple[MeasuredRun, ...]
    """The last run of each kind that came to an end, by kind."""
    succeeded: Mapping[str, int]
    """When the last run of each kind ended well (``complete`` or ``partial``)."""
    files: FileCounts
