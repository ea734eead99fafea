"""Exports as files: a safe name, one pass over the messages, and a rename when all is written.

The file appears under its name only when it is whole; the same request writes the same name again and replaces it. The name is
made of the chat's number, the bounds of the interval and what is left of the chat's name within ``[A-Za-z0-9._-]``.
"""

from __future__ import annotations

import os
import re
import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkstemp
from typing import IO, TYPE_CHECKING, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.export.renderers import RENDERERS
from whatsapp_mcp.media.files import path_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.export.renderers import Head, Renderer
    from whatsapp_mcp.views import MessageView

REPORT_EVERY: Final = 500
"""Messages between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to write and where: the form (a key of `RENDERERS`), the archive's home, and whether stored media come along."""

    form: str
    home: Path
    include_media: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export: its file, and what went in."""

    path: Path
    mime_type: str
    messages: int
    size: int
    files: int
    """Stored media that were packed with it."""


def export_chat(
    request: Request, head: Head, messages: Iterable[MessageView], report: Callable[[int], None] | None = None
) -> Exported:
    """Write a chat to ``exports/`` in the home and return what came of it.

    `messages` is read once, in order; `report` hears the count so far every few hundred messages. Raises `StorageError` when
    the folder cannot be written or the disk is full; nothing is left behind then.
    """
    renderer = RENDERERS[request.form]
    folder = request.home / "exports"
    counted = _Count(messages, report)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if request.include_media:
            path = _pack(request, head, counted)
        else:
            path = folder / f"{export_name(head)}.{renderer.suffix}"
            _write(path, renderer, head, counted)
        size = path.stat().st_size
    except OSError as problem:
        what = f"The export cannot be written to {folder}: {problem.strerror or problem}."
        raise StorageError(what, advice="Free space or correct the folder's rights, then export again.") from problem
    mime_type = "application/zip" if request.include_media else renderer.mime_type
    return Exported(path, mime_type, counted.messages, size, len(counted.files) if request.include_media else 0)


def export_name(head: Head) -> str:
    """The file's name without its ending: ``book-club-12`` or ``chat-12_20250801_20250901``, an instant in UTC."""
    bounds = [_bound(bound, head.zone) for bound in (head.interval.start, head.interval.end)]
    spans = [] if bounds == ["any", "any"] else bounds
    return "_".join([f"{_slug(head.chat.name)}-{head.chat.id}", *spans])


def _bound(moment: int | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "any"
    local = datetime.fromtimestamp(moment, zone)
    is_midnight = (local.hour, local.minute, local.second) == (0, 0, 0)
    return f"{local:%Y%m%d}" if is_midnight else f"{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%SZ}"


def _slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:40].strip("-") or "chat"


class _Count:
    """The stream of messages, counted on its way, with the stored files that it names."""

    def __init__(self, messages: Iterable[MessageView], report: Callable[[int], None] | None) -> None:
        self.messages = 0
        self.files: dict[str, None] = {}
        self._stream = messages
        self._report = report

    def __iter__(self) -> Iterator[MessageView]:
        for message in self._stream:
            self.messages += 1
            if message.media is not None and message.media.path:
                self.files[message.media.path] = None
            if self._report is not None and self.messages % REPORT_EVERY == 0:
                self._report(self.messages)
            yield message


def _write(path: Path, renderer: Renderer, head: Head, messages: Iterable[MessageView]) -> None:
    with _appearing(path) as part, part.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(renderer.render(head, messages))
        _settle(file)


def _pack(request: Request, head: Head, counted: _Count) -> Path:
    """A zip as phones make it: the text and, beside it, the files that it names."""
    renderer = RENDERERS[request.form]
    name = export_name(head)
    path = request.home / "exports" / f"{name}.{renderer.suffix}.zip"
    with _appearing(path) as part:
        with ZipFile(part, "w", ZIP_DEFLATED) as pack:
            with pack.open(f"{name}.{renderer.suffix}", "w", force_zip64=True) as text:
                for piece in renderer.render(head, counted):
                    text.write(piece.encode("utf-8", "replace"))
            for stored in list(counted.files):
                if not _add(pack, request.home, stored):
                    del counted.files[stored]
        with part.open("rb") as file:
            os.fsync(file.fileno())
    return path


def _add(pack: ZipFile, home: Path, stored: str) -> bool:
    source = path_within(home, stored)
    if source is None:
        return False
    pack.write(source, source.name, ZIP_STORED)
    return True


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A private file beside `path` that takes its place if all goes well and is removed if not."""
    descriptor, name = mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)  # 0600, and nobody's name
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _settle(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
