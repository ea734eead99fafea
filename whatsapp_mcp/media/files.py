"""Files on the disk: written under a name of ours in ``media/temp``, and moved under their final name when they are whole.

A final name is the first 32 digits of the content's SHA-256 and the ending of what the content is, so nothing that came from
outside is ever a part of a path, and the same content is one file however often it was sent. What is moved is whole and on the
disk before; a process killed at any instant leaves at most a file in ``media/temp``.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from whatsapp_mcp.media.contents import HEAD, Content, recognise

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FOLDER: Final = "media"
TEMP: Final = "temp"
THUMBNAILS: Final = "thumbnails"
FOLDERS: Final = {
    "image": "images", "video": "videos", "audio": "audio", "voice": "voice", "document": "documents", "sticker": "stickers",
}  # fmt: skip
"""Which folder the files of a kind of message are kept in."""

HELD: Final = 512 * 1024
"""Bytes of a file that wait in memory for the disk: a thread is woken for each such piece, not for each packet."""
DIGITS: Final = 32
"""Hexadecimal digits of the SHA-256 in a name: 128 bits."""

_FINAL: Final = re.compile(rf"{FOLDER}/(?:{'|'.join(FOLDERS.values())})/[0-9a-f]{{{DIGITS}}}\.[a-z0-9]{{1,8}}")
_PICTURES: Final = {"image": ("image/",), "sticker": ("image/",), "video": ("video/", "image/")}
_SOUNDS: Final = ("audio/", "video/", "application/ogg")
_PART: Final = ".part"
_KEPT: Final = re.compile(rf"[0-9a-f]{{{DIGITS}}}\.[a-z0-9]{{1,8}}|\.[0-9a-f]{{16}}{re.escape(_PART)}")
"""A final name, or that of a thumbnail which a killed run was writing."""
_PLAIN: Final = re.compile(r"(?!\.\.?$)[^/\\]+")
_OURS: Final = re.compile(rf"[0-9a-f]+{re.escape(_PART)}")


@dataclass(frozen=True, slots=True)
class Finished:
    """A whole file that is on the disk, still under its temporary name."""

    temporary: Path
    sha256: str
    size: int
    content: Content


class Part:
    """A file that is being written; hashed on its way. One task at a time."""

    def __init__(self, folder: Path) -> None:
        """Write into `folder`; nothing is created before there is something to write."""
        self.size = 0
        self.total: int | None = None
        """Bytes of the whole file, as its host said when it began to send it."""
        self.version = ""
        """What its host calls this state of the file: a strong ETag or a date, or nothing."""
        self._path = folder / f"{secrets.token_hex(12)}{_PART}"
        self._hash = hashlib.sha256()
        self._head = self._tail = b""
        self._held: list[bytes] = []
        self._bytes_held = 0
        self._file: BinaryIO | None = None

    def feed(self, piece: bytes) -> bool:
        """Take the next bytes; true when it is time to `flush`."""
        self._held.append(piece)
        self._bytes_held += len(piece)
        self.size += len(piece)
        return self._bytes_held >= HELD

    def flush(self) -> None:
        """Hash and write what is held; blocks."""
        held, self._held, self._bytes_held = self._held, [], 0
        if self._file is None:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            self._file = os.fdopen(descriptor, "wb", buffering=0)
        data = b"".join(held)
        self._hash.update(data)  # once: each call gives up the interpreter's lock, and gets it back late beside a busy loop
        if len(self._head) < HEAD:
            self._head += data[: HEAD - len(self._head)]
        self._tail = data[-HEAD:] if len(data) >= HEAD else (self._tail + data)[-HEAD:]
        _write_all(self._file, data)

    def restart(self) -> None:
        """Forget everything: the host cannot go on where it stopped; blocks."""
        self.size = self._bytes_held = 0
        self.total, self.version = None, ""
        self._head = self._tail = b""
        self._held.clear()
        self._hash = hashlib.sha256()
        self.discard()

    def finish(self) -> Finished:
        """Write the rest, find out what it is, and wait until it is on the disk; blocks."""
        self.flush()
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None
        return Finished(self._path, self._hash.hexdigest(), self.size, recognise(self._path, self._head, self._tail))

    def discard(self) -> None:
        """Remove what is on the disk; safe to call at any time, also after its move."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._path.unlink(missing_ok=True)


def _write_all(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


class Files:
    """The folder ``media`` of an archive."""

    def __init__(self, home: Path) -> None:
        """Work in `home`; nothing is created yet."""
        self.home = home
        self.root = home / FOLDER

    def prepare(self) -> None:
        """Create the folders, readable by their owner alone, and remove what a killed run left in the temporary one.

        Only names that `Part` gives are removed without a question: the folder may be a link to one that others use.
        """
        for folder in (self.root, *(self.root / name for name in (*FOLDERS.values(), THUMBNAILS, TEMP))):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self.temporary():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def part(self) -> Part:
        """A new temporary file."""
        return Part(self.root / TEMP)

    def temporary(self) -> Iterator[Path]:
        """Files that a run is writing, or that a killed one left; where the folder is a link, those of our names alone."""
        folder = self.root / TEMP
        if folder.is_dir():
            is_ours = not folder.is_symlink()
            yield from (
                path for path in sorted(folder.iterdir()) if not path.is_dir() and (is_ours or _OURS.fullmatch(path.name))
            )

    def kept(self) -> Iterator[str]:
        """Every file under a name that this program gives, relative to the home, thumbnails among them.

        What else somebody put there is theirs; so is all that stands behind a folder that is a link.
        """
        for name in (*FOLDERS.values(), THUMBNAILS):
            folder = self.root / name
            if folder.is_dir() and not folder.is_symlink():
                for entry in os.scandir(folder):
                    if _KEPT.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        yield f"{FOLDER}/{name}/{entry.name}"

    def place(self, finished: Finished, kind: str, known: str | None) -> str:
        """Move a finished file under its final name, or under the one where that content is `known` to be; its path.

        The path is relative to the home. A file that stands there already is replaced: the content is the same, or damaged.
        """
        path = known if known and _FINAL.fullmatch(known) else final_path(finished, kind)
        finished.temporary.replace(self.home / path)
        return path

    def settle(self, paths: Iterable[str]) -> None:
        """Make the names that `place` gave last through a power cut; blocks. Windows has no such call for folders."""
        if os.name != "posix":
            return
        for folder in {(self.home / path).parent for path in paths}:
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                with suppress(OSError):  # some network folders refuse it for folders
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def free(self) -> int:
        """Free bytes on the disk."""
        return shutil.disk_usage(self.root).free


def final_path(finished: Finished, kind: str) -> str:
    """Where a content belongs, relative to the home: by the kind of its message, unless it is something else."""
    folder = FOLDERS[kind if fits(kind, finished.content.mime_type) else "document"]
    return f"{FOLDER}/{folder}/{finished.sha256[:DIGITS]}{finished.content.ending}"


def fits(kind: str, mime_type: str) -> bool:
    """Whether such a content can be what a message of that kind says that it carries; a document may be anything."""
    if kind in ("audio", "voice"):
        return mime_type.startswith(_SOUNDS)
    return mime_type.startswith(_PICTURES.get(kind, ""))


def path_within(home: Path, relative: str) -> Path | None:
    """The stored file at `relative`, or None where that leads out of the media folder or is no file.

    That folder and those in it may be links to a larger disk, as for backups; a file that is a link must not leave them.
    """
    top, _, rest = relative.partition("/")
    folder, _, name = rest.partition("/")
    if top == FOLDER and _PLAIN.fullmatch(folder) and _PLAIN.fullmatch(name):
        with suppress(OSError):
            if stat.S_ISREG((home / relative).lstat().st_mode):  # what nearly all are, and a tenth of the work
                return home / relative
    roots = [home / FOLDER, *([home / FOLDER / folder] if _PLAIN.fullmatch(folder) else [])]
    try:
        path, tops = (home / relative).resolve(), [root.resolve() for root in roots]
    except RuntimeError:  # a link to itself, before Python 3.13
        return None
    return path if path.is_file() and any(path.is_relative_to(root) for root in tops) else None
