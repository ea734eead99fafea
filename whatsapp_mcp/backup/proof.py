"""Whether a backup is what was written, byte by byte, and whether an archive comes out of it."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from whatsapp_mcp.backup.manifest import read_manifest
from whatsapp_mcp.backup.place import hash_of, pooled
from whatsapp_mcp.backup.restoring import restore
from whatsapp_mcp.errors import BackupDamaged, StorageError
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.schema import VERSION
from whatsapp_mcp.store.copying import content_digest, facts, named_media
from whatsapp_mcp.verify import Finding, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.backup.manifest import KeptFile, Manifest
    from whatsapp_mcp.store.reading import Reader

_ANOTHER = "Keep another backup; the next `whatsapp-mcp backup` makes a new one."
_COPY_AGAIN = "Delete that file; the next `whatsapp-mcp backup` copies it anew while the archive has it."


def check_files(backup: Path, *, media: bool = True) -> list[Finding]:
    """Everything in a backup that is not what was written; with `media` false only its own folder is looked at."""
    try:
        manifest = read_manifest(backup)
    except BackupDamaged as error:
        return [Finding("backup", error.what, _ANOTHER)]
    return list(_odd_files(backup, manifest, media=media))


def _odd_files(backup: Path, manifest: Manifest, *, media: bool) -> Iterator[Finding]:
    if problem := _problem(backup / manifest.database.path, manifest.database):
        yield Finding("backup", f"The database of {backup.name} {problem}.", _ANOTHER)
    for one in {kept.sha256: kept for kept in manifest.media}.values() if media else ():
        path = pooled(backup.parent, one.sha256)
        if problem := _problem(path, one):
            yield Finding("backup", f"The media file {path} {problem}.", _COPY_AGAIN)


def _problem(path: Path, wanted: KeptFile) -> str:
    try:
        return "" if hash_of(path) == (wanted.sha256, wanted.size) else "is not what was written"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def prove(archive: Archive, backup: Path, digest: str | None = None, *, thorough: bool = False) -> list[Finding]:
    """Restore a backup into a temporary folder, walk through what comes out, and compare it with what was copied.

    `digest` is that of the state that was copied; `thorough` is `verify`'s. The archive itself is neither read nor touched; its
    media stay where they are and are proved by their hashes.
    """
    found = check_files(backup)
    if found:
        return found
    manifest = read_manifest(backup)
    with tempfile.TemporaryDirectory(prefix="whatsapp-mcp-backup-", ignore_cleanup_errors=True) as folder:
        there = type(archive)(replace(archive.settings, home=Path(folder) / "home"), archive.clock)
        try:
            restore(there, backup, with_media=False)
            with there.reader(older=True) as reader:
                found += verify(reader, thorough=thorough) if manifest.schema_version == VERSION else ()
                found += _compare(reader, manifest, digest)
        except (StorageError, OSError) as error:
            known = foreseen(error)
            if known is None:
                raise
            found.append(Finding("backup", known.what, known.advice))
        finally:
            there.queries.close()
    return found


def _compare(reader: Reader, manifest: Manifest, digest: str | None) -> Iterator[Finding]:
    state = facts(reader.connection)
    if (state.counts, state.newest_message_at) != (manifest.counts, manifest.newest_message_at):
        yield Finding("backup", "The restored archive has other counts than the one that was copied.", _ANOTHER)
    elif digest is not None and content_digest(reader.connection) != digest:
        yield Finding("backup", "The restored archive has other contents than the one that was copied.", _ANOTHER)
    kept = {f"media/{one.path}" for one in manifest.media} | {one.path for one in manifest.media}
    lost = [path for path in named_media(reader.connection) if _within_home(path, manifest.home) not in kept]
    if lost:
        what = f"{len(lost)} files that messages name were not there to be copied."
        yield Finding("media", what, "Run `whatsapp-mcp maintenance`: it says whether the archive still has them.")


def _within_home(path: str, home: str) -> str:
    with suppress(ValueError):
        return Path(path).relative_to(home).as_posix()
    return Path(path).as_posix()
