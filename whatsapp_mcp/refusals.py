"""What the disk and SQLite refuse, in our words: one table for everybody who touches them.

The texts name what happened and what to do; they hold neither SQL nor values, and of paths only the one that was refused.
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.errors import ArchiveError, DatabaseCorrupt, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL: Final = "The disk is full."
_FREE_SPACE: Final = "Free some space, then run the command again; nothing stored was lost."
_READ_ONLY: Final = "The archive's folder cannot be written."
_ALLOW: Final = "Give yourself the right to write there, or choose another folder with --home."
_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: (_FULL, _FREE_SPACE),
    sqlite3.SQLITE_READONLY: (_READ_ONLY, _ALLOW),
    sqlite3.SQLITE_CANTOPEN: (
        "The database cannot be opened.",
        "Check that the archive's folder exists and is yours, or choose another with --home.",
    ),
    sqlite3.SQLITE_PERM: (_READ_ONLY, _ALLOW),
    sqlite3.SQLITE_IOERR: ("The disk cannot be read or written.", "Check the disk and its free space, then run again."),
    sqlite3.SQLITE_BUSY: ("Another program holds the database.", "Close other programs that have it open, then run again."),
    sqlite3.SQLITE_LOCKED: ("Another program holds the database.", "Close other programs that have it open, then run again."),
}
_OF_DISK: Final = {
    errno.ENOSPC: (_FULL, _FREE_SPACE),
    errno.EDQUOT: ("Your share of the disk is used up.", _FREE_SPACE),
    errno.EROFS: (_READ_ONLY, _ALLOW),
    errno.EACCES: (_READ_ONLY, _ALLOW),
    errno.EPERM: (_READ_ONLY, _ALLOW),
    errno.ENOTDIR: ("The archive's folder is a file.", "Choose another folder with --home."),
    errno.EEXIST: ("The archive's folder is a file.", "Choose another folder with --home."),
}


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn what the disk and SQLite refuse within the block into a `StorageError`."""
    try:
        yield
    except (OSError, sqlite3.Error, ExceptionGroup) as error:
        known = foreseen(error)
        if known is None:
            raise
        raise known from error


def foreseen(error: BaseException) -> ArchiveError | None:
    """The error of ours that `error` means, or None for one that nobody foresaw.

    A task group wraps even a single failure into a group; the first foreseen one in it speaks for all.
    """
    if isinstance(error, ArchiveError):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((known for known in map(foreseen, error.exceptions) if known), None)
    if isinstance(error, sqlite3.Error):
        return _from_sqlite(error)
    if isinstance(error, OSError) and error.errno in _OF_DISK:
        what, advice = _OF_DISK[error.errno]
        return StorageError(_placed(what, error.filename), advice=advice)
    return None


def _from_sqlite(error: sqlite3.Error) -> ArchiveError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code; the rest says where
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseCorrupt("SQLite cannot read the archive's database.")
    if code not in _OF_SQLITE:
        return None
    what, advice = _OF_SQLITE[code]
    return StorageError(what, advice=advice)


def _placed(what: str, filename: object) -> str:
    return f"{what.removesuffix('.')}: {filename}." if isinstance(filename, (str, Path)) else what
