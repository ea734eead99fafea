"""One database into another file, or over another database, page by page and as one state.

SQLite's backup begins anew whenever another process commits (SQLite docs, "Online Backup API"), so beside a busy sync it would
never end. With a read transaction held on the source it copies that one state and the writer goes on; its log only grows
meanwhile, by what it writes in the seconds that the pages take.

`take_over` writes into the living database in one transaction instead of exchanging its file: a database, its log and the
index of the log are three files, no rename exchanges three at once, and a reader that opens them in between mixes old with
new (SQLite docs, "How To Corrupt An SQLite Database File", 1.4 and 2.4).
"""

from __future__ import annotations

import errno
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from marshal import dumps
from time import monotonic
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.records import ME
from whatsapp_mcp.schema import lenient_text, needed, version_of
from whatsapp_mcp.store.checks import integrity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SIDE_FILES: Final = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside a database; without the first, the last commits are lost."""

COUNTED: Final = ("messages", "chats", "contacts", "payloads")

_STEP: Final = 256
"""Pages copied at once: a megabyte."""
_PATIENCE: Final = 30.0
_BRIEFLY_MS: Final = 500
_PLAIN: Final = 2
"""The last form of `marshal` in which equal values have equal bytes."""
_OF_TARGET: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What tells one state of an archive from another; times in unix seconds, None where there is nothing."""

    schema_version: int
    counts: dict[str, int]
    """Rows of each of `COUNTED`."""
    newest_message_at: int | None
    newest_payload_at: int | None
    bytes: int
    """Of the main file in this state."""
    owner: frozenset[str]
    """See `owner_ids`."""


def facts(connection: sqlite3.Connection) -> Facts:
    """What is in an open archive."""
    version = version_of(connection)
    there = needed(version)
    ask = connection.execute
    pages, size = ask("PRAGMA page_count").fetchone()[0], ask("PRAGMA page_size").fetchone()[0]
    return Facts(
        version,
        {table: ask(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COUNTED if table in there},
        ask("SELECT max(sent_at) FROM messages").fetchone()[0],
        ask("SELECT max(received_at) FROM payloads").fetchone()[0],
        pages * size,
        owner_ids(connection),
    )


def owner_ids(connection: sqlite3.Connection) -> frozenset[str]:
    """Every id of the account whose archive it is; empty before any sync told one."""
    ask = "SELECT {} FROM aliases WHERE canonical_id = (SELECT canonical_id FROM aliases WHERE whatsapp_id = ?)"
    found = connection.execute(f"{ask.format('whatsapp_id')} UNION {ask.format('canonical_id')}", (ME, ME))
    return frozenset(one for (one,) in found) - {ME}


def content_digest(connection: sqlite3.Connection) -> str:
    """SHA-256 of every row of every table, with the pages of the search index: equal archives give equal digests."""
    digest = sha256()
    tables = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    ).fetchall()
    for name, sql in tables:
        digest.update(dumps((name, sql), _PLAIN))
        places = ", ".join(str(place + 1) for place, _ in enumerate(connection.execute(f'PRAGMA table_info("{name}")')))
        for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY {places}'):
            digest.update(dumps(row, _PLAIN))
    return digest.hexdigest()


def named_media(connection: sqlite3.Connection) -> set[str]:
    """The files of messages and profile pictures that are stored, as the database names them."""
    query = "SELECT local_media_path FROM messages WHERE local_media_path <> ''"
    if "media_files" in needed(version_of(connection)):
        query += " UNION SELECT path FROM media_files WHERE path <> ''"
    return {path for (path,) in connection.execute(query)}


def copy_pages(source: sqlite3.Connection, target: Path) -> None:
    """Write the state that `source` sees (it holds a read transaction) into a new file; not yet synced to the disk.

    Raises `OSError` for what the target's disk refuses.
    """
    with _target_errors(target), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")  # nobody else sees the file before it is whole
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=_STEP, progress=_impatience())


def complaints(path: Path) -> list[str]:
    """What SQLite finds wrong with a file that nobody writes to, beyond what a rebuild mends; leaves no side files."""
    with open_copy(path) as connection:
        return [what for rung, what in integrity(connection) if rung == "file"]


@contextmanager
def open_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A database that nobody writes to, read without making files beside it; temporary tables are possible."""
    address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        connection.text_factory = lenient_text
        yield connection


def take_over(source: Path, target: Path) -> bool:
    """Make the archive at `target` what `source` is: one transaction, durable when this returns, for its readers too.

    False where SQLite takes `target` for no database. Raises `sqlite3.Error`, and the archive is what it was.
    """
    address = f"{target.absolute().as_uri()}?mode=rw"
    with open_copy(source) as new, closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as old:
        try:
            old.execute("PRAGMA synchronous = FULL")
            old.execute("BEGIN IMMEDIATE")  # may it be written to?
            old.execute("ROLLBACK")
            new.backup(old, pages=_STEP, progress=_impatience())
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                return False
            raise
        with suppress(sqlite3.Error):  # a reader, or a disk with no room for it, leaves it to the next writer
            old.execute(f"PRAGMA busy_timeout = {_BRIEFLY_MS}")
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def _impatience() -> Callable[[int, int, int], None]:
    """Python's own loop waits for a busy database for ever."""
    waiting: list[float] = []

    def look(status: int, _remaining: int, _total: int) -> None:
        if status in (sqlite3.SQLITE_OK, sqlite3.SQLITE_DONE):
            waiting.clear()
        elif waiting and monotonic() - waiting[0] > _PATIENCE:
            error = sqlite3.OperationalError("busy")
            error.sqlite_errorcode = status
            raise error
        elif not waiting:
            waiting.append(monotonic())

    return look


@contextmanager
def _target_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        number = _OF_TARGET.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if number is None:
            raise
        raise OSError(number, "SQLite cannot write the copy", str(target)) from error
