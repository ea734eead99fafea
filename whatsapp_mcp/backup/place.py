"""The folder of the backups: which one may be used, what stands in it, and how a file gets there whole or not at all.

    backup-20261124T142700Z/     one backup: manifest.json, manifest.json.sha256, whatsapp_chats.db
    backup-media/ab/ab12…        what media files hold, each once, by its SHA-256; the manifests refer to it
    .partial-…                   what is not whole yet; a kill leaves it and the next backup removes it

A pool instead of hard links, because the disks that people keep backups on are often formatted without them (exFAT), and
network folders have none.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.backup.manifest import MANIFEST_NAME
from whatsapp_mcp.errors import StorageError, UsageError
from whatsapp_mcp.refusals import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

POOL_NAME: Final = "backup-media"
PARTIAL: Final = ".partial-"

_BACKUP: Final = re.compile(r"backup-\d{8}T\d{6}Z(-\d+)?")
_OF_THE_ARCHIVE: Final = re.compile(r"(media|logs|exports|outbox)|(\.restoring-|replaced-).*")
"""What stands in the archive's folder; what a restore leaves there is removed sooner or later."""
_BLOCK: Final = 1 << 20
_FULL: Final = ("The disk of the backups is full", "Free some space there")
_FORBIDDEN: Final = ("The folder of the backups cannot be written", "Give yourself the right")
_GONE: Final = ("The disk of the backups is gone, or cannot be written", "Connect and check it")
_SAID: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _FORBIDDEN),
    **dict.fromkeys((errno.EIO, errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ESTALE), _GONE),
}
"""What each number means at the disk of the backups; what the archive's own disk refuses to give is caught before."""
_ELSEWHERE: Final = "choose another with `backup PATH` or BACKUP_PATH"


def check_place(folder: Path, home: Path) -> Path:
    """The resolved folder, if backups of the archive in `home` may go there; raises `UsageError` if not."""
    place, archive = folder.resolve(), home.resolve()
    media = (home / "media").resolve()
    inside = place.relative_to(archive).parts[:1] if place.is_relative_to(archive) else None
    if inside == ():
        raise UsageError(f"Backups may not go into the archive's own folder itself ({place}).", advice=_advice())
    if place.is_relative_to(media) or (inside and _OF_THE_ARCHIVE.fullmatch(inside[0])):
        raise UsageError(f"Backups may not go into a folder that belongs to the archive ({place}).", advice=_advice())
    if (place / MANIFEST_NAME).exists() or any(_BACKUP.fullmatch(name) or name == POOL_NAME for name in place.parts):
        raise UsageError(f"{place} is itself a part of a backup.", advice=_advice())
    return place


def _advice() -> str:
    return f"{_ELSEWHERE[0].upper()}{_ELSEWHERE[1:]}."


def ensure_place(place: Path) -> None:
    """Make the folder; the one above it must be there, or a disk that is not connected would be taken for an empty one."""
    if not place.parent.is_dir():
        what = f"The folder {place.parent} for the backups is not there."
        raise StorageError(what, advice=f"Connect the disk or create the folder, or {_ELSEWHERE}.")
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place} is a file, not a folder for backups.", advice=_advice())
    place.mkdir(mode=0o700, exist_ok=True)


def backups_in(folder: Path) -> list[Path]:
    """The backups of a folder, the oldest first, whether they are sound or not."""
    try:
        found = [path for path in folder.iterdir() if _BACKUP.fullmatch(path.name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found)


def free_name(place: Path, made_at: float) -> str:
    """A name for a backup of that time that no other has."""
    stem = f"backup-{datetime.fromtimestamp(made_at, UTC):%Y%m%dT%H%M%SZ}"
    number = 1
    while (place / (name := stem if number == 1 else f"{stem}-{number}")).exists():
        number += 1
    return name


def partial_of(home: Path) -> str:
    """How everything begins that is not whole yet and belongs to backups of this archive."""
    return f"{PARTIAL}{sha256(str(home.resolve()).encode('utf-8', 'surrogatepass')).hexdigest()[:8]}-"


def pooled(place: Path, digest: str) -> Path:
    """Where the pool of the backups in `place` keeps what has that SHA-256."""
    return place / POOL_NAME / digest[:2] / digest


class SourceError(Exception):
    """The file to be copied cannot be opened or read; the cause says why."""


def copy_hashed(source: Path, target: Path) -> tuple[str, int]:
    """Copy into a new private file and sync it to the disk: (SHA-256, bytes) of what was written.

    Raises `SourceError` for what is wrong with the source and `OSError` for what is wrong with the target.
    """
    digest, size = sha256(), 0
    with _private(target) as writing:
        for block in _blocks(source):
            digest.update(block)
            size += len(block)
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest(), size


def _blocks(source: Path) -> Iterator[bytes]:
    try:
        with source.open("rb") as reading:
            while block := reading.read(_BLOCK):
                yield block
    except OSError as error:
        raise SourceError(source.name) from error


def _private(target: Path) -> IO[bytes]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(target, flags, 0o600), "wb")


def hash_of(path: Path) -> tuple[str, int]:
    """SHA-256 and bytes of a file; raises `OSError`."""
    digest, size = sha256(), 0
    with path.open("rb") as reading:
        while block := reading.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def write_synced(path: Path, data: bytes) -> None:
    """Write a new private file and sync it to the disk."""
    with _private(path) as writing:
        writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())


def sync_path(path: Path) -> None:
    """Make a file, or the names in a folder, durable; Windows has no such call for folders."""
    if os.name != "posix" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network folders refuse it for folders
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, as far as it goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def place_errors(place: Path) -> Iterator[None]:
    """Say of what the disk of the backups refuses within the block that it was that disk."""
    try:
        with storage_errors():
            yield
    except (StorageError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        said = _SAID.get(cause.errno or 0) if isinstance(cause, OSError) else None
        if said is None:
            raise
        advice = f"{said[1]}, or {_ELSEWHERE}; earlier backups are kept."
        raise StorageError(f"{said[0]} ({place}).", advice=advice) from error
