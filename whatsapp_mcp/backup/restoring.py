"""A backup in the place of an archive, so that a kill at any moment leaves either the old archive or the new one.

Everything is proved first. Then the media files come, each beside and renamed: what a path of ``media/`` holds never changes,
so the old archive is none the worse for more of them. Last comes the database, in one step (see `store.copying.take_over`), or
by one rename where there is none, or none that SQLite can open. What was there before stays as ``replaced-<time>/``.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import ensure_private_folder, hold_lock
from whatsapp_mcp.backup.manifest import MANIFEST_NAME, SUM_NAME, KeptFile, Manifest, read_manifest
from whatsapp_mcp.backup.place import (
    SourceError,
    backups_in,
    copy_hashed,
    hash_of,
    pooled,
    remove,
    sync_path,
)
from whatsapp_mcp.errors import BackupDamaged, DatabaseCorrupt, DatabaseTooNew, NotFound, StorageError
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schema import CHOOSE_ANOTHER, DATABASE_NAME
from whatsapp_mcp.store.copying import SIDE_FILES, Facts, copy_pages, facts, open_copy, owner_ids, take_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from whatsapp_mcp.app import Archive

STAGING: Final = ".restoring-"
"""How the folder in the home begins in which a restored archive grows."""
REPLACED: Final = "replaced-"
"""How the folder in the home begins that keeps what a restore replaced."""

_ROOM: Final = 50_000_000
"""Bytes that stay free on the disk at least."""
_FORCE: Final = "Run it again with --force to replace it all the same; what is there now is then kept beside it."


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    backup: Path
    manifest: Manifest
    files_new: int
    """Media files that were not there, or were not what the backup says."""
    replaced: Path | None
    """Where the archive that was there before is kept; None where there was none."""


@dataclass(frozen=True, slots=True)
class _Work:
    home: Path
    backup: Path
    manifest: Manifest
    staging: Path
    replaced: Path

    @property
    def database(self) -> Path:
        return self.home / DATABASE_NAME

    @property
    def staged(self) -> Path:
        return self.staging / DATABASE_NAME


def restore(archive: Archive, backup: Path, *, force: bool = False, with_media: bool = True) -> Restored:
    """Put the backup in that folder in the archive's place.

    Raises:
        NotFound: there is no backup.
        BackupDamaged: it is not what was written, or not whole; the archive is untouched.
        DatabaseTooNew: a later version made it.
        WriterRunning: another process writes to the archive.
        StorageError: the archive has newer or more messages or payloads than the backup, or is of another account, and `force`
            is not given, or the disk refuses; the archive is what it was.

    """
    backup = find_backup(backup)
    with storage_errors():
        manifest = read_manifest(backup)
        media = manifest.media if with_media else ()
        _prove(
            backup, [(backup / DATABASE_NAME, manifest.database), *((pooled(backup.parent, one.sha256), one) for one in media)]
        )
        with hold_lock(archive.home):
            present = _present(archive)
            if present and not force:
                _refuse_another(present, backup / DATABASE_NAME)
                _refuse_newer(present, manifest)
            with _staging(archive, backup, manifest) as work:
                _refuse_small_disk(work, present, media)
                return _restore(archive, work, media)


def find_backup(path: Path) -> Path:
    """The folder of one backup; raises `NotFound` that names the newest one where `path` holds several."""
    path = path.absolute()
    path = path.parent if path.name == MANIFEST_NAME else path
    if (path / MANIFEST_NAME).exists() or (path / SUM_NAME).exists() or path in backups_in(path.parent):
        return path
    if inside := backups_in(path):
        what = f"{path} holds {len(inside)} backups; the newest is {inside[-1].name}."
        raise NotFound(what, advice=f"Name one of them: {inside[-1]}")
    raise NotFound(f"There is no backup in {path}.", advice="Name the folder that holds manifest.json.")


def _prove(backup: Path, files: Sequence[tuple[Path, KeptFile]]) -> None:
    """Read all of it before anything is touched."""
    for path, wanted in files:
        try:
            sound = hash_of(path) == (wanted.sha256, wanted.size)
        except FileNotFoundError:
            message = f"The backup {backup.name} is not whole: {path} is missing."
            raise BackupDamaged(message) from None
        if not sound:
            message = f"The backup {backup.name} is damaged: {path} is not what was written."
            raise BackupDamaged(message)


def _present(archive: Archive) -> Facts | None:
    """What is in the archive that is to be replaced; None where there is none, or none that can be read."""
    try:
        with archive.reader(older=True) as reader:
            return facts(reader.connection)
    except DatabaseCorrupt as error:
        if error.advice == CHOOSE_ANOTHER:
            raise  # the database of another program
        return None
    except DatabaseTooNew:
        raise
    except StorageError:
        if archive.database.is_dir():
            raise
        return None


def _refuse_another(present: Facts, database: Path) -> None:
    with open_copy(database) as connection:
        owner = owner_ids(connection)
    if present.owner and owner and not present.owner & owner:
        raise StorageError("The backup is of another WhatsApp account than the archive.", advice=_FORCE)


def _refuse_newer(present: Facts, manifest: Manifest) -> None:
    for what, here, there in (
        ("a message", present.newest_message_at, manifest.newest_message_at),
        ("something received", present.newest_payload_at, manifest.newest_payload_at),
    ):
        if here is not None and (there is None or here > there):
            then = "the backup has none" if there is None else f"the backup ends at {_utc(there)}"
            message = f"The archive is newer than the backup: it has {what} of {_utc(here)}, {then}."
            raise StorageError(message, advice=_FORCE)
    for what in ("messages", "payloads"):  # with a clock that was wrong the newest is not the latest
        if (here := present.counts.get(what, 0)) > (there := manifest.counts.get(what, 0)):
            message = f"The archive holds more than the backup: {here:,} {what}, the backup {there:,}."
            raise StorageError(message, advice=_FORCE)


def _utc(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


@contextmanager
def _staging(archive: Archive, backup: Path, manifest: Manifest) -> Iterator[_Work]:
    for leftover in archive.home.glob(f"{STAGING}*"):
        remove(leftover)
    stamp = f"{datetime.fromtimestamp(archive.clock.now(), UTC):%Y%m%dT%H%M%SZ}"
    number = 1
    while (replaced := archive.home / f"{REPLACED}{stamp}{'' if number == 1 else f'-{number}'}").exists():
        number += 1
    staging = archive.home / f"{STAGING}{stamp}"
    staging.mkdir(mode=0o700)
    try:
        yield _Work(archive.home, backup, manifest, staging, replaced)
    finally:
        remove(staging)


def _refuse_small_disk(work: _Work, present: Facts | None, media: Sequence[KeptFile]) -> None:
    """Room for the new database, its way through the log, what it replaces, and the media files that are not there."""
    absent = sum(one.size for one in media if not (work.home / "media" / one.path).exists())
    wanted = 2 * work.manifest.database.size + (present.bytes if present else 0) + absent + _ROOM
    free = shutil.disk_usage(work.home).free
    if free < wanted:
        what = f"The disk is too full to restore: {wanted / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free."
        raise StorageError(what, advice="Free some space, then run the command again; nothing was touched.")


def _restore(archive: Archive, work: _Work, media: Sequence[KeptFile]) -> Restored:
    _fetch(work.backup / DATABASE_NAME, work.manifest.database, work.staged)
    kept = _keep_old(archive, work)
    new = sum(_bring(work, one) for one in media)
    try:
        _exchange(work)
    except BaseException:
        if kept and not (work.replaced / "media").exists():
            remove(work.replaced)
        raise
    replaced = work.replaced if work.replaced.exists() else None
    return Restored(work.backup, work.manifest, new, replaced)


def _fetch(source: Path, wanted: KeptFile, target: Path) -> None:
    try:
        found = copy_hashed(source, target)
    except SourceError as error:
        raise BackupDamaged(f"The backup cannot be read any more: {source}.") from error
    if found != (wanted.sha256, wanted.size):
        raise BackupDamaged(f"The backup has changed while it was read: {source}.")


def _keep_old(archive: Archive, work: _Work) -> bool:
    """Copy the database that is there into ``replaced-<time>/``; as bytes where SQLite cannot read it."""
    if not work.database.exists():
        return False
    growing = work.staging / "replaced"
    growing.mkdir(mode=0o700)
    try:
        with archive.reader(older=True) as reader:
            facts(reader.connection)  # from here on the transaction sees one state
            copy_pages(reader.connection, growing / DATABASE_NAME)
    except StorageError:
        for path in (work.database, *(_beside(work.database, ending) for ending in SIDE_FILES)):
            if path.exists():
                copy_hashed(path, growing / path.name)
    (growing / DATABASE_NAME).chmod(0o600)
    sync_path(growing / DATABASE_NAME)
    growing.rename(work.replaced)
    sync_path(work.home)
    return True


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def _bring(work: _Work, one: KeptFile) -> bool:
    """Put one media file in its place, unless it is there; another of that name goes to what is replaced."""
    target = work.home / "media" / one.path
    with suppress(FileNotFoundError, IsADirectoryError):
        if hash_of(target) == (one.sha256, one.size):
            return False
    ensure_private_folder(target.parent)
    near = work.staging.stat().st_dev == target.parent.stat().st_dev  # a link may lead to another disk, a rename does not
    growing = (work.staging if near else target.parent) / f"{STAGING}file"
    _fetch(pooled(work.backup.parent, one.sha256), one, growing)
    os.utime(growing, ns=(one.modified_ns, one.modified_ns))
    if target.exists():
        old = work.replaced / "media" / one.path
        ensure_private_folder(old.parent)
        shutil.copy2(target, old)  # a copy, so that the path is never without a file
    growing.replace(target)
    sync_path(target.parent)
    return True


def _exchange(work: _Work) -> None:
    """The one moment in which the archive becomes another."""
    if _has_known_header(work) and take_over(work.staged, work.database):
        return
    for ending in SIDE_FILES:  # they belong to what is going, and a copy of them is kept
        _beside(work.database, ending).unlink(missing_ok=True)
    work.staged.replace(work.database)
    sync_path(work.home)


def _has_known_header(work: _Work) -> bool:
    """Whether there is a database with a header that SQLite knows and with pages of the same size."""
    try:
        with work.database.open("rb") as there, work.staged.open("rb") as coming:
            old, new = there.read(18), coming.read(18)
    except FileNotFoundError:
        return False
    return len(old) == 18 and old == new
