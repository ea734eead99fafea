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
    from logging import LogRecord

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
    errno.EFBIG: ("A file may not grow that large here.", "Raise the limit (`ulimit -f`) or use another disk, then run again."),
    errno.EIO: ("The disk cannot be read or written.", "Check the disk and its free space, then run again."),
    errno.EISDIR: ("A folder stands where a file belongs.", "Move it away, or choose another folder with --home."),
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
    if _quotes_a_text(error):
        what = "A text in the database is damaged."
        return DatabaseCorrupt(what, advice="Run `whatsapp-mcp verify`: it says where and what to do.")
    if code not in _OF_SQLITE:
        return None
    what, advice = _OF_SQLITE[code]
    return StorageError(what, advice=advice)


def _quotes_a_text(error: sqlite3.Error) -> bool:
    """Python's complaint of a text that is no UTF-8 (sqlite3, module `statement`): it has no code and quotes the whole text."""
    return str(error).startswith("Could not decode to UTF-8")


def hush(error: BaseException | None) -> None:
    """Take out of an error, and of all that led to it, the words in which SQLite quotes what is stored.

    To be called before a traceback is shown or logged; class and place stay.
    """
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, sqlite3.Error):
            one.args = ()
        waiting += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]


def hush_record(record: LogRecord) -> LogRecord:
    """`hush` every error that a line of a log would show."""
    values = record.args.values() if isinstance(record.args, dict) else record.args or ()
    for shown in (record.exc_info[1] if record.exc_info else None, *values):
        hush(shown if isinstance(shown, BaseException) else None)
    return record


def _placed(what: str, filename: object) -> str:
    return f"{what.removesuffix('.')}: {filename}." if isinstance(filename, (str, Path)) else what
