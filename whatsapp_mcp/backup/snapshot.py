"""Making a backup: one state of the archive, beside a sync that goes on writing; without the writer's lock.

The database comes first and the media after it, so that every file that this state of the database names is there. What is
not whole bears another name until all of it is on the disk, so an interrupted backup is never taken for a whole one. Neither
``.env`` (it holds the token) nor logs and exports are in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whatsapp_mcp import __version__
from whatsapp_mcp.app import hold_backup_lock
from whatsapp_mcp.backup.keep import Keep, kept
from whatsapp_mcp.backup.manifest import MANIFEST_NAME, SUM_NAME, KeptFile, Manifest, read_manifest, seal, this_computer
from whatsapp_mcp.backup.media import Pool, collect, newest_media
from whatsapp_mcp.backup.place import (
    backups_in,
    check_place,
    ensure_place,
    free_name,
    hash_of,
    partial_of,
    place_errors,
    remove,
    sync_path,
    write_synced,
)
from whatsapp_mcp.errors import DatabaseCorrupt, StorageError
from whatsapp_mcp.schema import DATABASE_NAME
from whatsapp_mcp.store.copying import complaints, content_digest, copy_pages, facts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.store.copying import Facts


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that is whole and durable."""

    path: Path
    manifest: Manifest
    files_new: int
    """Media files that no earlier backup held."""
    bytes_new: int
    """What the backup added to the disk."""
    unreadable: int
    """Media files that are not in it because the archive's disk does not give them."""
    digest: str | None
    """Of the archive's content in the state that was copied, where it was asked for."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was given up to the rules of keeping."""

    removed: tuple[str, ...] = ()
    media_bytes: int = 0


def make_backup(archive: Archive, folder: Path | None = None, *, with_digest: bool = False) -> Made:
    """Copy the archive into `folder` (else the one of the settings).

    Raises:
        UsageError: backups may not go there.
        StorageError: there is no archive, or the disk refuses; nothing of the backup is left.
        DatabaseCorrupt: the archive is damaged; older backups are worth more than a copy of it.
        WriterRunning: another backup of this archive is being made.

    """
    place = check_place(folder or archive.settings.backup_folder(), archive.home)
    with place_errors(place), archive.reader(older=True) as reader, hold_backup_lock(archive.home):
        state = facts(reader.connection)  # from here on the transaction sees this state
        ensure_place(place)
        with _half_made(place, archive) as (half, pool):
            copy_pages(reader.connection, half / DATABASE_NAME)
            digest = content_digest(reader.connection) if with_digest else None
            reader.connection.rollback()  # the writer's log may shrink again
            manifest = _manifest(archive, half, state, pool)
            data = manifest.to_bytes()
            write_synced(half / MANIFEST_NAME, data)
            write_synced(half / SUM_NAME, seal(data))
            sync_path(half)
            path = half.rename(place / free_name(place, manifest.made_at))
            sync_path(place)
    size = pool.bytes_added + manifest.database.size + len(data)
    return Made(path, manifest, len(pool.added), size, pool.unreadable, digest)


@contextmanager
def _half_made(place: Path, archive: Archive) -> Iterator[tuple[Path, Pool]]:
    """A folder that grows into a backup, and is removed, with all that came with it, if it does not."""
    prefix, now = partial_of(archive.home), archive.clock.now()
    for leftover in place.glob(f"{prefix}*"):
        remove(leftover)
    pool = Pool(place, prefix, now, newest_media(place, archive.home))
    half = place / f"{prefix}{int(now)}"
    try:
        half.mkdir(mode=0o700)
        yield half, pool
    except BaseException:
        pool.take_back()
        for leftover in place.glob(f"{prefix}*"):
            remove(leftover)
        raise


def _manifest(archive: Archive, half: Path, state: Facts, pool: Pool) -> Manifest:
    database = half / DATABASE_NAME
    database.chmod(0o600)
    sync_path(database)
    if wrong := complaints(database):
        message = f"The archive's database is damaged, so no backup of it was kept: {wrong[0]}."
        raise DatabaseCorrupt(message, advice="Run `whatsapp-mcp verify`; earlier backups are untouched.")
    digest, size = hash_of(database)
    return Manifest(
        made_at=int(archive.clock.now()),
        program=f"whatsapp-mcp {__version__}",
        computer=this_computer(),
        home=str(archive.home.resolve()),
        schema_version=state.schema_version,
        counts=state.counts,
        newest_message_at=state.newest_message_at,
        newest_payload_at=state.newest_payload_at,
        database=KeptFile(DATABASE_NAME, size, digest, database.stat().st_mtime_ns),
        media=tuple(pool.take_all(archive.home / "media")),
    )


def prune(archive: Archive, place: Path) -> Pruned:
    """Remove this archive's backups that the settings do not keep, and media files that no backup refers to any more."""
    keep = Keep(*archive.settings.kept_backups())
    with place_errors(place), hold_backup_lock(archive.home):
        ours = dict(_ours(place, archive.home))
        stay = kept(ours.values(), keep, zone=archive.settings.timezone, now=archive.clock.now())
        gone = [path for path, made_at in ours.items() if made_at not in stay]
        for path in gone:
            remove(path.rename(place / f"{partial_of(archive.home)}{path.name}"))  # from here on nobody takes it for a backup
        return Pruned(tuple(path.name for path in gone), collect(place, backups_in(place), archive.clock.now()))


def _ours(place: Path, home: Path) -> Iterator[tuple[Path, int]]:
    for path in backups_in(place):
        try:
            manifest = read_manifest(path)
        except StorageError:
            continue  # `verify` says so; who cannot be read is not removed
        if manifest.is_of(home):
            yield path, manifest.made_at
