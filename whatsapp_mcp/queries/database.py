"""The database as readers have it: opened read-only, checked once, never waiting for a sync.

Connections are kept and lent out one at a time, so a reader finds its pages warm; each lending is one read transaction, so
an answer made of several statements sees one state of the archive even while a sync commits. A file that was exchanged
(restored, rebuilt elsewhere) is noticed by its inode. For assistants the connections show only what the settings let them see
(`hiding`); without such settings nothing is laid over anything.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from whatsapp_mcp.errors import DatabaseCorrupt, DatabaseTooNew, StorageError, UsageError
from whatsapp_mcp.queries import hiding
from whatsapp_mcp.schema import CHOOSE_ANOTHER, FOREIGN, NEEDED, VERSION, is_foreign, lenient_text, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

_KEPT: Final = 4
"""Idle connections that are kept; each may hold up to `_CACHE_KIB` of pages."""
_CACHE_KIB: Final = 8_000
_NO_ARCHIVE: Final = "Run `whatsapp-mcp sync full`, `whatsapp-mcp import PATH` or `whatsapp-mcp demo` first."

_UPGRADE: Final = "Any sync brings it up to date, and so does `whatsapp-mcp rebuild`."

_Identity = tuple[int, int]


class Database:
    """One database file for any number of reading threads."""

    def __init__(self, path: Path, sight: hiding.Sight | None = None) -> None:
        """Remember where it is, and what of it may be seen (None: everything); nothing is opened yet."""
        self.path = path
        self._sight = sight
        self._writers = hiding.Writers()
        self._idle: list[tuple[_Identity, _Connection]] = []

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection with one read transaction around the block.

        Raises `StorageError` when there is no archive, `DatabaseCorrupt` or `DatabaseTooNew` when it cannot be read, also
        for what SQLite finds within the block.
        """
        identity = self._identity()
        connection = self._borrow(identity)
        try:
            connection.execute("BEGIN")
            if self._sight is not None:
                self._settle(connection, self._sight)
            yield connection
        except sqlite3.Error as error:
            connection.close()
            raise _foreseen(error) from error
        except UsageError:  # an answer like any other
            self._give_back(identity, connection)
            raise
        except BaseException:
            connection.close()  # an abandoned iteration may have statements under way
            raise
        self._give_back(identity, connection)

    def _give_back(self, identity: _Identity, connection: _Connection) -> None:
        connection.commit()  # a rollback would forget what was settled
        if len(self._idle) < _KEPT:
            self._idle.append((identity, connection))
        else:
            connection.close()

    @contextmanager
    def walking(self, *, older: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection of its own with one read transaction, for a long walk: it may make temporary tables, and nothing else.

        Raises like `reading`, but is content with any tables of ours, so that somebody can say which are missing; with `older`
        also with those of an earlier version of this program.
        """
        self._identity()
        connection = _opened(self.path, _check_owner if older else _check_version)
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as error:
            raise _foreseen(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[1].close()

    def size(self) -> int:
        """Bytes on the disk, with what is not merged into the main file yet."""
        total = 0
        for path in (self.path, self.path.with_name(self.path.name + "-wal")):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def _identity(self) -> _Identity:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            raise StorageError("There is no archive yet.", advice=_NO_ARCHIVE) from None
        except OSError as error:
            raise StorageError(
                f"The archive cannot be reached ({error.strerror}).", advice="Check the rights of its folder."
            ) from error
        if S_ISDIR(found.st_mode):
            what = f"{self.path} is a folder, not a database."
            raise StorageError(what, advice="Move it away, or choose another with --home.")
        if not found.st_size:
            raise StorageError("The archive is still empty.", advice=_NO_ARCHIVE)
        return found.st_dev, found.st_ino

    def _borrow(self, identity: _Identity) -> _Connection:
        while True:
            try:
                known, connection = self._idle.pop()
            except IndexError:
                return _opened(self.path, _prepare if self._sight is None else _prepare_for_assistants)
            if known == identity:
                return connection
            connection.close()
            self._writers = hiding.Writers()  # another file has other ids

    def _settle(self, connection: _Connection, sight: hiding.Sight) -> None:
        """Settle who is hidden, unless nobody has written since; the first statement fixes the state that is read."""
        connection.execute("SELECT 1 FROM main.chats LIMIT 1").fetchone()
        version = connection.execute("PRAGMA data_version").fetchone()[0]
        if connection.settled_at != version:
            connection.hidden = hiding.settle(connection, sight, self._writers, connection.listed)
            connection.settled_at = version


class _Connection(sqlite3.Connection):
    """A connection that keeps what took long to find out."""

    memory: dict[str, tuple[int, Any]]
    hidden: hiding.Hidden
    listed: hiding.Listed
    settled_at: int | None


def remembered(connection: sqlite3.Connection, name: str, find: Callable[[], T], *, version: int | None = None) -> T:
    """What `find` says, asked again only after somebody has written to the database, or when `version` is another one.

    ``PRAGMA data_version`` changes for a connection when another one has committed (SQLite docs, "pragma data_version").
    """
    if not isinstance(connection, _Connection):
        return find()
    if version is None:
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
    known = connection.memory.get(name)
    if known is None or known[0] != version:
        known = connection.memory[name] = (version, find())
    return cast("T", known[1])


def hidden_in(connection: sqlite3.Connection) -> hiding.Hidden:
    """What of the archive this connection does not show."""
    return connection.hidden if isinstance(connection, _Connection) else hiding.Hidden()


def open_connection(path: Path) -> sqlite3.Connection:
    """Open the database at `path` read-only and check that it is an archive of a version that can be read."""
    return _opened(path, _prepare)


def _opened(path: Path, prepare: Callable[[sqlite3.Connection], None]) -> _Connection:
    try:
        return _connect(path, "mode=ro", prepare)
    except sqlite3.OperationalError as error:
        wal = path.with_name(path.name + "-wal")
        if not _needs_side_files(error) or (wal.exists() and wal.stat().st_size):
            raise _foreseen(error) from error
    except sqlite3.Error as error:
        raise _foreseen(error) from error
    # In WAL mode in a folder that cannot be written, or on a full disk: without a log beside it, nobody is changing it.
    try:
        return _connect(path, "mode=ro&immutable=1", prepare)
    except sqlite3.Error as error:
        raise _foreseen(error) from error


def _connect(path: Path, options: str, prepare: Callable[[sqlite3.Connection], None]) -> _Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}", uri=True, timeout=5, isolation_level=None, check_same_thread=False,
        factory=_Connection,
    )  # fmt: skip
    connection.memory, connection.settled_at = {}, None
    connection.hidden, connection.listed = hiding.Hidden(), hiding.Listed()
    connection.text_factory = lenient_text
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    _ready(
        connection, lambda: connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, message_index, row)")
    )


def _prepare_for_assistants(connection: sqlite3.Connection) -> None:
    _ready(connection, lambda: hiding.prepare(connection))


def _ready(connection: sqlite3.Connection, make: Callable[[], object]) -> None:
    _check_version(connection)
    _check_tables(connection)
    connection.execute("PRAGMA temp_store = MEMORY")  # before what is temporary is made: changing it drops that
    make()  # has to come before query_only, which forbids even what is the connection's own
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")


def _check_version(connection: sqlite3.Connection) -> None:
    _check_owner(connection)
    if version_of(connection) < VERSION:
        raise StorageError("The archive was made by an earlier version of this program.", advice=_UPGRADE)


def _check_owner(connection: sqlite3.Connection) -> None:
    version = version_of(connection)
    if version > VERSION:
        raise DatabaseTooNew(f"The database has version {version}; this program reads up to {VERSION}.")
    if is_foreign(version, _names(connection)):
        raise DatabaseCorrupt(FOREIGN, advice=CHOOSE_ANOTHER)
    if version < 1:
        raise StorageError("The archive is still empty.", advice=_NO_ARCHIVE)


def _check_tables(connection: sqlite3.Connection) -> None:
    if lost := sorted(NEEDED - _names(connection)):
        raise DatabaseCorrupt(f"The database has lost its table {lost[0]}.")


def _names(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE '%migrations%'")}


_NO_SHARED_MEMORY: Final = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP)


def _needs_side_files(error: sqlite3.OperationalError) -> bool:
    primary = error.sqlite_errorcode & 0xFF
    return primary in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or error.sqlite_errorcode in _NO_SHARED_MEMORY


def _foreseen(error: sqlite3.Error) -> StorageError | sqlite3.Error:
    """What `error` means to a user, or `error` itself when it is a mistake in this program."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseCorrupt("SQLite cannot read the archive's database.")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StorageError("Another program holds the database.", advice="Close it, or ask again in a moment.")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return StorageError("The database cannot be opened.", advice="Check the rights of the archive's folder and its files.")
    if code == sqlite3.SQLITE_IOERR:
        return StorageError("The disk cannot be read.", advice="Check the disk, then ask again.")
    return error
