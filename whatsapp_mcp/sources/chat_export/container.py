"""Where an exported chat's text lies: a ``.txt`` file, or a ``.zip`` with one chat and its media.

A zip comes from outside. One that holds paths which climb out of a folder, links, or far more data than its size explains is
refused whole; what macOS adds (``__MACOSX``) is skipped, and a zip inside a zip is somebody's attachment. Only the chat's
text is read, as a stream: its media stay where they are.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Final

from whatsapp_mcp.errors import ImportRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_TEXT: Final = 4 << 30
"""Bytes of text that one chat may have; a chat of ten years has some 20 MB."""

_MOST_ENTRIES: Final = 200_000
_HIGHEST_RATIO: Final = 200
_SUSPICIOUS_FROM: Final = 64 << 20
_CHUNK: Final = 1 << 20
LONGEST_LINE: Final = 1 << 18
"""Letters after which a line is cut: WhatsApp's own limit for a message is 65,536."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, LookupError, OSError)


@dataclass(frozen=True, slots=True)
class Source:
    """One chat's text, readable again and again, and what stands around it."""

    path: Path
    member: str
    """The text's name inside the zip; empty for a plain file."""
    others: int
    """Files beside the text in the zip."""

    @property
    def text_name(self) -> str:
        """The name of the text file itself."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    def lines(self) -> Iterator[str]:
        """The text's lines without their LF (a CR stays); very long ones in pieces, undecodable bytes as U+FFFD.

        Raises:
            ImportRefused: the file cannot be read, or its zip is damaged.

        """
        with _refusing(self.path), self._open() as binary:
            start = binary.read(3)
            encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            whole = io.BufferedReader(_Joined(start, binary), _CHUNK)
            with io.TextIOWrapper(whole, encoding, errors="replace", newline="\n") as text:
                yield from _lines(text, self.path)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if not self.member:
            with self.path.open("rb") as file:
                yield file
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as member:
            yield member


class _Joined(io.RawIOBase):
    """A stream with the bytes already read from it put back."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._start or self._rest.read(len(buffer))
        self._start = b""
        buffer[: len(data)] = data
        return len(data)


def _lines(text: IO[str], path: Path) -> Iterator[str]:
    rest, size = "", 0
    while chunk := text.read(_CHUNK):
        size += len(chunk)
        if size > LONGEST_TEXT:
            raise ImportRefused(f"{path.name} holds more than {LONGEST_TEXT >> 30} GB of text: no chat is that long.")
        lines = (rest + chunk).split("\n")
        rest = lines.pop()
        yield from lines
        while len(rest) > LONGEST_LINE:
            # One letter over the limit, so that what follows begins a new item instead of a new line of this one.
            yield rest[: LONGEST_LINE + 1]
            rest = rest[LONGEST_LINE + 1 :]
    if rest:
        yield rest


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise ImportRefused(f"{path.name} cannot be read: {_reason(error)}.") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if "password" in str(error) or "encrypted" in str(error):
        return "it is encrypted"
    return "the zip is damaged or cut short"


def find_source(path: Path) -> Source:
    """The chat's text in the file at `path`.

    Raises:
        ImportRefused: no such file, no zip, no text in it, several chats in it, or a zip that is not safe to open.

    """
    with _refusing(path):
        if path.stat().st_size == 0:
            raise ImportRefused(f"{path.name} is empty.")
        with path.open("rb") as file:
            is_zip = file.read(4)[:2] == b"PK" or path.suffix.lower() == ".zip"
        if not is_zip:
            return Source(path, "", 0)
        with zipfile.ZipFile(path) as archive:
            return _in_zip(path, archive.infolist())


def _in_zip(path: Path, entries: list[zipfile.ZipInfo]) -> Source:
    files = [entry for entry in entries if not entry.is_dir()]
    _check(path, files)
    kept = [entry for entry in files if not entry.filename.startswith("__MACOSX/") and not _name(entry).startswith("._")]
    chat = _chat_of(path, [entry for entry in kept if _name(entry).lower().endswith(".txt")])
    return Source(path, chat.filename, len(kept) - 1)


def _chat_of(path: Path, texts: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    if not texts:
        raise ImportRefused(f"{path.name} holds no chat: there is no .txt file in it.")
    named = [entry for entry in texts if _name(entry) == "_chat.txt" or "whatsapp" in _name(entry).lower()]
    same = [entry for entry in texts if PurePosixPath(_name(entry)).stem == path.stem]
    choice = same or named or texts
    if len(choice) > 1:
        shallow = min(entry.filename.count("/") for entry in choice)
        choice = [entry for entry in choice if entry.filename.count("/") == shallow]
    if len(choice) > 1:
        raise ImportRefused(
            f"{path.name} holds {len(choice)} texts that may be chats.", advice="Unpack it and import the folder."
        )
    return choice[0]


def _name(entry: zipfile.ZipInfo) -> str:
    return PurePosixPath(entry.filename).name


def _check(path: Path, files: list[zipfile.ZipInfo]) -> None:
    if len(files) > _MOST_ENTRIES:
        raise ImportRefused(f"{path.name} holds {len(files)} files: no chat export has so many.")
    for entry in files:
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0][1:2]:
            raise ImportRefused(f"{path.name} holds a path that leaves its folder; it is not opened.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ImportRefused(f"{path.name} holds a link; it is not opened.")
        if entry.file_size > _SUSPICIOUS_FROM and entry.file_size > _HIGHEST_RATIO * max(entry.compress_size, 1):
            raise ImportRefused(f"{path.name} unpacks to far more than its size explains; it is not opened.")
