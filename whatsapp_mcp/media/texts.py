"""Texts of stored files: each content is read once, and what is found stands in the search index beside its messages.

A file of which nothing can be read is noted as well, so it is not tried again before its reader has become a better one
(`READER`); what waits for a library or a model is not noted, and is read when that is there.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.errors import MediaError, MissingExtra, WriterRunning
from whatsapp_mcp.media.aside import MEMORY, Aside
from whatsapp_mcp.media.documents import PDF, is_readable, text_of
from whatsapp_mcp.media.extras import check_pdf
from whatsapp_mcp.media.files import path_within
from whatsapp_mcp.media.transcribing import HOW_TO_GET, NO_MODEL, checked_model, transcribe
from whatsapp_mcp.store.texts import DOCUMENT, VOICE, MediaText, Unread, unread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from whatsapp_mcp.app import Archive

READER: Final = 1
"""The number of this way of reading; a greater one reads again what gave nothing."""

AGAIN: Final = 1_000_000
"""As the number of a reader: everything is read again."""

_DOCUMENT_SECONDS: Final = 60.0
_VOICE_SECONDS: Final = 120.0
_SECONDS_AT_ONCE: Final = 10.0
_SLOWEST: Final = 20.0
"""A large model on an old computer needs so many times the length of a recording."""


@dataclass
class TextOutcome:
    """What one run read."""

    documents: int = 0
    """Documents with a text."""
    voice_notes: int = 0
    empty: int = 0
    """Files without anything to read."""
    unreadable: int = 0
    """Files that are damaged, locked, or broke their reader."""
    waiting: int = 0
    """Files that wait for a library or a model."""
    left: int = 0
    """Files beyond the limit of the run."""
    notes: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Files that were dealt with."""
        return self.documents + self.voice_notes + self.empty + self.unreadable

    def count(self, source: str, *, is_broken: bool, is_empty: bool) -> None:
        """Count one file that was read."""
        if is_broken:
            self.unreadable += 1
        elif is_empty:
            self.empty += 1
        elif source == VOICE:
            self.voice_notes += 1
        else:
            self.documents += 1

    def note(self, said: str) -> None:
        """Say something once."""
        if said not in self.notes:
            self.notes.append(said)


@dataclass(frozen=True, slots=True)
class _Read:
    """What came of one file."""

    text: str
    language: str | None = None
    is_broken: bool = False


class Allowance:
    """How long a run may read; it can be ended before its time, by another thread too."""

    def __init__(self, monotonic: Callable[[], float], seconds: float = float("inf")) -> None:
        """Allow so many seconds of `monotonic` from now on."""
        self.seconds = seconds
        self._monotonic = monotonic
        self._until = monotonic() + seconds
        self._ended = threading.Event()
        self._readers: tuple[Aside[Any, Any], ...] = ()

    def end(self) -> None:
        """Let the run end in the middle of a file, which is read another time."""
        self._ended.set()
        for reader in self._readers:
            reader.end()

    def give_to(self, *readers: Aside[Any, Any]) -> None:
        """Name the readers that have to end with it."""
        self._readers = readers

    @property
    def left(self) -> float:
        """Seconds that a file may still take; none is broken off only because it began late."""
        return self._until - self._monotonic() + self.seconds / 2

    @property
    def is_over(self) -> bool:
        """Whether nothing may be begun any more."""
        return self._ended.is_set() or self._monotonic() >= self._until


def has_unread(archive: Archive) -> bool:
    """Whether a run would find a text to read now; raises `StorageError` when the archive cannot be read."""
    ready = _without_waiting(_unread(archive, again=False), archive.settings.transcribe_model, TextOutcome())
    return any(path_within(archive.home, one.path) is not None for one in ready)


def read_texts(
    archive: Archive, *, limit: int | None = None, again: bool = False, report: Callable[[int, int], None] | None = None,
    allowance: Allowance | None = None,
) -> TextOutcome:  # fmt: skip
    """Read the texts of stored documents and, where a model is set, of voice notes, those sent last first; blocks for long.

    The writer's lock is taken for an instant every few seconds, so a sync can run meanwhile. `again` reads anew what was read
    before. `report` hears how many of how many are done. With an `allowance` of time short recordings come before long ones,
    so that one that takes too long keeps no other waiting.

    Raises:
        StorageError: the database cannot be read or written.
        WriterRunning: another process writes, so nothing is begun; or it still does at the end, and what was read since the
            last time is read again another day.

    """
    outcome = TextOutcome()
    ready = _without_waiting(_unread(archive, again=again), archive.settings.transcribe_model, outcome)
    if allowance is None:
        allowance = Allowance(archive.clock.monotonic)
    else:
        ready.sort(key=lambda one: (_source(one) == VOICE, one.duration or 0.0))
    chosen = ready if limit is None else ready[:limit]
    outcome.left = len(ready) - len(chosen)
    if chosen:
        with hold_lock(archive.home):  # a listener would keep it until the end, and hours of listening would be for nothing
            pass
    with Aside(text_of, memory=MEMORY) as documents, Aside(transcribe) as voices, _Notes(archive) as notes:
        allowance.give_to(documents, voices)
        desk = _Desk(archive, documents, voices, notes, allowance)
        for number, one in enumerate(chosen, 1):
            if allowance.is_over:
                outcome.left += len(chosen) - number + 1
                break
            desk.read_one(one, outcome)
            if report is not None:
                report(number, len(chosen))
    return outcome


def _unread(archive: Archive, *, again: bool) -> list[Unread]:
    with archive.reader() as reader:
        return [one for one in unread(reader.connection, AGAIN if again else READER) if _source(one)]


class _Notes:
    """Texts that were read and wait for the writer's lock."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._waiting: list[MediaText] = []
        self._since = archive.clock.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self._write()
        else:
            with suppress(WriterRunning):
                self._write()

    def add(self, text: MediaText) -> None:
        """Keep one, and write all every few seconds unless somebody else is writing."""
        self._waiting.append(text)
        if self._archive.clock.monotonic() - self._since > _SECONDS_AT_ONCE:
            self._since = self._archive.clock.monotonic()
            with suppress(WriterRunning):
                self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        with self._archive.writer() as writer, writer.store.transaction():
            for text in self._waiting:
                writer.store.texts.keep(text, int(self._archive.clock.now()), READER)
        self._waiting.clear()


@dataclass(slots=True)
class _Desk:
    archive: Archive
    documents: Aside[[Path, str], str]
    voices: Aside[[Path | None, Path], tuple[str, str | None]]
    notes: _Notes
    allowance: Allowance
    trouble: MissingExtra | None = None
    """Why the model is of no use, once that is known."""
    is_tried: bool = False

    def read_one(self, one: Unread, outcome: TextOutcome) -> None:
        """Read a file and note what came of it."""
        path = path_within(self.archive.home, one.path)
        if path is None:
            outcome.note("Some files are not on the disk any more; `whatsapp-mcp verify` names them.")
            return
        try:
            read = self._read(one, path)
        except MissingExtra as error:
            outcome.waiting += 1
            outcome.note(str(error))
            return
        if read.is_broken and self.allowance.is_over:  # by the end of the time, for all that is known
            outcome.left += 1
            return
        source, model = _source(one), self.archive.settings.transcribe_model
        made_by = model.name if source == VOICE and model else ""
        self.notes.add(MediaText(one.sha256, source, read.text, read.language, made_by, read.is_broken))
        outcome.count(source, is_broken=read.is_broken, is_empty=not read.text)

    def _read(self, one: Unread, path: Path) -> _Read:
        model = self.archive.settings.transcribe_model
        try:
            if _source(one) == DOCUMENT or model is None:
                return _Read(self.documents.call(min(_DOCUMENT_SECONDS, self.allowance.left), path, one.mime_type))
            self._try_model(model)
            seconds = min(_VOICE_SECONDS + _SLOWEST * (one.duration or 60.0), self.allowance.left)
            text, language = self.voices.call(seconds, path, model)
        except MissingExtra:
            raise
        except MediaError:
            return _Read("", is_broken=True)
        return _Read(text, language)

    def _try_model(self, model: Path) -> None:
        """Raise `MissingExtra` for a model that is of no use: a cut one ends its reader, which is no recording's fault."""
        if not self.is_tried:
            try:
                self.voices.call(min(_VOICE_SECONDS, self.allowance.left), None, model)
            except MediaError:
                if self.allowance.is_over:
                    raise
                self.trouble = MissingExtra(NO_MODEL, advice=HOW_TO_GET)
            self.is_tried = True
        if self.trouble is not None:
            raise self.trouble


def _source(one: Unread) -> str:
    """How a content is read; empty where it is not."""
    if one.is_voice and one.mime_type.startswith("audio/"):
        return VOICE
    return DOCUMENT if is_readable(one.mime_type) else ""


def _without_waiting(found: list[Unread], model: Path | None, outcome: TextOutcome) -> list[Unread]:
    """What can be read now: voice notes only where there is a model, PDF files only where their library is."""
    for is_of_kind, check in (
        (lambda one: _source(one) == VOICE, lambda: checked_model(model)),
        (lambda one: one.mime_type == PDF, check_pdf),
    ):
        waiting = [one for one in found if is_of_kind(one)]
        try:
            if waiting:
                check()
        except MediaError as error:
            outcome.waiting += len(waiting)
            outcome.note(str(error))
            found = [one for one in found if not is_of_kind(one)]
    return found
