"""What lies in the media folder that nobody needs, and what is missing or damaged there.

A file is an orphan when no message and no stored content names it: what a killed run moved and did not write down, or what a
database that was restored from an older copy does not know. Only files in the folders of this program, under names that it
gives, are looked at.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from whatsapp_mcp.media.files import Files, path_within
from whatsapp_mcp.store.media import named_paths, stored_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from whatsapp_mcp.store.reading import Readable

State: TypeAlias = Literal["missing", "resized", "damaged", "misplaced", "unreadable", "bare"]
"""``resized``: of another size, like a cut one; ``damaged``: of the same size and another content; ``misplaced``: behind a link
that leads away; ``bare``: its thumbnail is missing."""

_PIECE: Final = 1 << 20
_ALL_AT_ONCE: Final = 20
"""So many files of one folder, and all of it, are not lost one by one: their disk is not there."""


@dataclass(frozen=True, slots=True)
class Litter:
    """A file that `clean` would remove."""

    path: str
    """Relative to the archive's folder."""
    size: int
    """Bytes."""
    kind: Literal["temporary", "orphaned"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A stored file that is not as it should be."""

    path: str
    """Relative to the archive's folder."""
    state: State


def litter(source: Readable, home: Path) -> list[Litter]:
    """Temporary and orphaned files; to be asked while nobody downloads, since their files are temporary, too."""
    files = Files(home)
    named = {_within(home, path) for path in named_paths(source.connection)}
    wanted = {PurePosixPath(path).name for path in named if not (home / path).is_file()}
    temporary = (path.relative_to(home).as_posix() for path in files.temporary())
    orphans = sorted(path for path in files.kept() if path not in named and PurePosixPath(path).name not in wanted)
    found = [_litter(home, path, "temporary") for path in temporary] + [_litter(home, path, "orphaned") for path in orphans]
    return [one for one in found if one is not None]


def _within(home: Path, path: str) -> str:
    """A path as the folders of the home have it, however the database writes it."""
    plain = path.replace("\\", "/")
    with suppress(ValueError):
        plain = Path(plain).relative_to(home).as_posix()
    return normpath(plain)


def _litter(home: Path, path: str, kind: Literal["temporary", "orphaned"]) -> Litter | None:
    with suppress(FileNotFoundError):
        return Litter(path, (home / path).lstat().st_size, kind)
    return None


def clean(home: Path, found: Iterable[Litter]) -> int:
    """Remove what `litter` found; how many bytes that freed."""
    freed = 0
    for one in found:
        with suppress(FileNotFoundError):
            (home / one.path).unlink()
            freed += one.size
    return freed


def faults(source: Readable, home: Path, *, thorough: bool = False) -> Iterator[Fault]:
    """Stored files that are missing, of another size or, when `thorough`, of another content than they were."""
    for sha256, path, size, thumbnail in stored_files(source.connection):
        state = _state(home, path, size, sha256 if thorough else None)
        if state is not None:
            yield Fault(path, state)
        if thumbnail and path_within(home, thumbnail) is None:
            yield Fault(path, "bare")


def _state(home: Path, path: str, size: int | None, sha256: str | None) -> State | None:
    try:
        file = path_within(home, path)
        if file is None:
            return "misplaced" if (home / path).exists() else "missing"
        if size is not None and file.stat().st_size != size:
            return "resized"
        if sha256 is not None and hash_of(file) != sha256:
            return "damaged"
    except OSError:
        return "unreadable"
    return None


def hash_of(path: Path) -> str:
    """The SHA-256 of a file, in a little memory."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
    return found.hexdigest()


@dataclass(frozen=True, slots=True)
class Losses:
    """Stored files that have to be fetched again, and those of which that is not certain."""

    missing: tuple[str, ...]
    """Paths of contents that are no files any more."""
    resized: tuple[str, ...]
    """Paths of contents that are not as large as they were."""
    bare: tuple[str, ...]
    """Paths of contents whose thumbnail is not there."""
    away: Mapping[str, tuple[str, ...]]
    """Folders of which nothing is there that should be, and those paths: their disk may not be connected."""


def losses(source: Readable, home: Path) -> Losses:
    """What `faults` finds without reading any file; links that lead away are left alone."""
    found: dict[State, list[str]] = {"missing": [], "resized": [], "bare": []}
    for fault in faults(source, home):
        found.setdefault(fault.state, []).append(fault.path)
    stored = Counter(_folder(path) for _, path, _, _ in stored_files(source.connection))
    missing: dict[str, list[str]] = {}
    for path in found["missing"]:
        missing.setdefault(_folder(path), []).append(path)
    away = {
        folder: tuple(paths)
        for folder, paths in missing.items()
        if not (home / folder).is_dir() or (len(paths) >= _ALL_AT_ONCE and len(paths) == stored[folder])
    }
    lost = tuple(path for path in found["missing"] if _folder(path) not in away)
    return Losses(lost, tuple(found["resized"]), tuple(found["bare"]), away)


def _folder(path: str) -> str:
    return PurePosixPath(path).parent.as_posix()
