"""Media files into the pool of the backups: what a file holds is copied once, however many backups keep it."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.backup.manifest import KeptFile, read_manifest
from whatsapp_mcp.backup.place import POOL_NAME, SourceError, backups_in, copy_hashed, pooled, sync_path
from whatsapp_mcp.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_UNFINISHED: Final = "temp"
"""The folder within ``media/`` where downloads grow."""
_GRACE: Final = 86_400
"""Another archive's backup in the same folder may be about to refer to what it has just copied."""


@dataclass(slots=True)
class Pool:
    """The media files of the backups in one folder, and what one backup adds to them."""

    place: Path
    prefix: str
    """How unfinished files begin."""
    now: float
    known: Mapping[str, KeptFile] = field(default_factory=dict)
    """The files of an earlier backup by path: one with the same size and time of change is not read again."""
    added: list[Path] = field(default_factory=list)
    bytes_added: int = 0
    unreadable: int = 0
    """Files that the archive's disk does not give; they are left out, since a backup without them is better than none."""

    def take_all(self, media: Path) -> Iterator[KeptFile]:
        """Bring every file below the archive's ``media/`` into the pool; one that is gone meanwhile is left out."""
        self.unreadable += sum(path.is_symlink() and not path.exists() for path in (media, *_folders(media)))
        for path, found in files_below(media):
            try:
                yield self._take(path, path.relative_to(media).as_posix(), found)
            except SourceError as error:
                self.unreadable += not isinstance(error.__cause__, FileNotFoundError)
        for folder in {self.place / POOL_NAME, *(path.parent for path in self.added)} if self.added else ():
            sync_path(folder)

    def _take(self, path: Path, name: str, found: os.stat_result) -> KeptFile:
        known = self.known.get(name)
        if known and (known.size, known.modified_ns) == (found.st_size, found.st_mtime_ns) and self._has(known):
            return known
        self._ensure(self.place / POOL_NAME)
        unfinished = self.place / f"{self.prefix}file"
        digest, size = copy_hashed(path, unfinished)
        target = pooled(self.place, digest)
        self._ensure(target.parent)
        if not target.exists():
            self.added.append(target)
            self.bytes_added += size
        os.utime(unfinished, (self.now, self.now))
        unfinished.replace(target)  # also over one that is there: what was just read is what is meant
        return KeptFile(name, size, digest, found.st_mtime_ns)

    def _has(self, known: KeptFile) -> bool:
        path = pooled(self.place, known.sha256)
        try:
            if path.stat().st_size != known.size:
                return False
            os.utime(path, (self.now, self.now))
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _ensure(folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)

    def take_back(self) -> None:
        """Remove what was added: the backup did not come to its end."""
        for path in self.added:
            path.unlink(missing_ok=True)


def files_below(media: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every finished file below ``media/`` with what the disk says of it, in a certain order.

    Of links only ``media/`` itself and the folders in it are followed, which people move to larger disks.
    """
    for top in (media, *(path for path in _folders(media) if path.is_dir() and path.name != _UNFINISHED)):
        yield from _files_below(top, deep=top != media)


def _folders(media: Path) -> list[Path]:
    """What stands in ``media/`` and is no file: folders, and links to them, also to those that are gone."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(path for path in media.iterdir() if not path.is_file())
    return []


def _files_below(top: Path, *, deep: bool) -> Iterator[tuple[Path, os.stat_result]]:
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(folders) if deep else ()
        for name in sorted(names):
            path = Path(folder) / name
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode) and not name.startswith("."):
                yield path, found


def newest_media(place: Path, home: Path) -> dict[str, KeptFile]:
    """The media files of this archive's newest backup that can be read, by path."""
    for backup in reversed(backups_in(place)):
        try:
            manifest = read_manifest(backup)
        except (StorageError, OSError):
            continue
        if manifest.is_of(home):
            return {one.path: one for one in manifest.media}
    return {}


def newest_own(place: Path, home: Path, now: float) -> Path | None:
    """The newest backup of the archive in `home`, or a newer one that cannot be read: it may be that archive's.

    One that a wrong clock made in the future says nothing of today, so an earlier one goes before it.
    """
    ahead: Path | None = None
    for backup in reversed(backups_in(place)):
        try:
            manifest = read_manifest(backup)
        except (StorageError, OSError):
            return backup
        if manifest.is_of(home):
            if manifest.made_at <= now + _GRACE:
                return backup
            ahead = ahead or backup
    return ahead


def collect(place: Path, backups: Sequence[Path], now: float) -> int:
    """Remove from the pool what no backup refers to any more; the bytes that it gave back.

    While one of the manifests cannot be read, nobody knows what it refers to, and everything stays.
    """
    try:
        wanted = {one.sha256 for backup in backups for one in read_manifest(backup).media}
    except (StorageError, OSError):
        return 0
    freed = 0
    for path in sorted((place / POOL_NAME).glob("??/*")):
        found = path.lstat()
        ours = _DIGEST.fullmatch(path.name) and path.name.startswith(path.parent.name)
        if ours and path.name not in wanted and found.st_mtime < now - _GRACE:
            path.unlink()
            freed += found.st_size
    return freed
