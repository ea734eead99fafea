"""Makes the vectors that search by meaning needs: at the end of a sync for a while, by command until all are there."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.errors import WriterRunning
from whatsapp_mcp.search.meaning import Meaning
from whatsapp_mcp.store.meanings import Made, keep, make, stale

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.store import Store

_SECONDS_AT_ONCE: Final = 10.0


class Indexed(NamedTuple):
    """What one run did, in blocks of about two thousand messages."""

    made: int
    left: int


def index_meanings(archive: Archive, report: Callable[[int, int], None] | None = None) -> Indexed:
    """Make every vector that is missing, the newest messages first; blocks for minutes.

    The writer's lock is taken for an instant every few seconds, so a sync can run meanwhile. Raises `MissingExtra` without the
    library, `StorageError`, and `WriterRunning` when another process still writes at the end: the next run makes the rest.
    """
    meaning, clock = Meaning(), archive.clock
    waiting: list[Made] = []
    since = clock.monotonic()
    with archive.reader() as reader:
        todo = stale(reader.connection, meaning.name)
    for number, one in enumerate(todo, 1):
        with archive.reader() as reader:
            waiting.append(make(reader.connection, one, meaning))
        if clock.monotonic() - since > _SECONDS_AT_ONCE:
            since = clock.monotonic()
            with suppress(WriterRunning):
                _write(archive, waiting, meaning.name)
        if report is not None:
            report(number, len(todo))
    _write(archive, waiting, meaning.name)
    return Indexed(len(todo), 0)


def _write(archive: Archive, waiting: list[Made], model: str) -> None:
    if waiting:
        with archive.writer() as writer, writer.store.transaction():
            keep(writer.store.connection, waiting, model)
        waiting.clear()


def index_for(store: Store, seconds: float, monotonic: Callable[[], float]) -> Indexed:
    """Make vectors for about so many seconds, at least one block; raises `MissingExtra` without the library."""
    meaning, until = Meaning(), monotonic() + seconds
    todo = stale(store.connection, meaning.name)
    for number, one in enumerate(todo, 1):
        made = make(store.connection, one, meaning)
        with store.transaction():
            keep(store.connection, [made], meaning.name)
        if monotonic() >= until:
            return Indexed(number, len(todo) - number)
    return Indexed(len(todo), 0)
