"""The whole archive put together: the only place that knows every class.

Opening an `Archive` costs nothing, so the MCP server can do it before its first answer; the parts come when they are asked for.
Whatever the disk or SQLite refuse while writing becomes a `StorageError` (see `refusals`).
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from whatsapp_mcp.clock import Clock, SystemClock
from whatsapp_mcp.errors import ArchiveError, WriterRunning
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.schema import DATABASE_NAME
from whatsapp_mcp.schema.media import MEDIA_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.ingest import Ingest
    from whatsapp_mcp.queries import Queries
    from whatsapp_mcp.queries.hiding import Hidden, Sight
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.store.reading import Reader
    from whatsapp_mcp.views import Listener

_log = logging.getLogger(__name__)

LOCK_NAME: Final = "writer.lock"
BACKUP_LOCK_NAME: Final = "backup.lock"
SCHEDULER_LOCK_NAME: Final = "scheduler.lock"
LOG_LOCK_NAME: Final = ".lock"
PID_NAME: Final = "writer.pid"
"""Stands beside the lock: on Windows a locked file cannot be read by others."""


class MediaWishes(NamedTuple):
    """Where files go, and which of them are wanted."""

    home: Path
    own_host: str = ""
    """The gateway's host: the only one that may be on this very computer."""
    rate_scale: float = 1.0
    with_sync: bool = True
    """A sync fetches files at its end."""
    kinds: tuple[str, ...] = MEDIA_KINDS
    file_bytes: int = 100 << 20
    total_bytes: int | None = None


class Extras(NamedTuple):
    """What a sync does only because the settings say so."""

    statuses: bool = False
    avatars: bool = False
    media: MediaWishes | None = None
    meanings: bool = False


NO_EXTRAS: Final = Extras()


@dataclass(frozen=True, slots=True)
class Writer:
    """The two ways into the archive, while the lock is held."""

    store: Store
    ingest: Ingest
    extras: Extras = NO_EXTRAS


@dataclass(frozen=True)
class Archive:
    """One archive on this disk and its instance at Green API."""

    settings: Settings
    clock: Clock
    sight: Sight | None = None
    """What of it is shown; None: everything."""

    @classmethod
    def open(cls, settings: Settings, clock: Clock | None = None) -> Archive:
        """Put the archive together without touching the disk; it need not exist yet."""
        return cls(settings, clock or SystemClock())

    def for_assistants(self) -> Archive:
        """The same archive as the settings let assistants see it; this very one where they may see all of it."""
        asked = self.settings
        if not (asked.hidden_chats or asked.shown_chats):
            return self
        from whatsapp_mcp.queries.hiding import Sight

        return replace(self, sight=Sight(asked.hidden_chats, asked.shown_chats))

    def hidden(self) -> Hidden:
        """What `sight` comes to: the chats that are hidden, and the entries of the settings that do nothing."""
        from whatsapp_mcp.queries import Queries
        from whatsapp_mcp.queries.hiding import Sight

        queries = Queries(self.database, zone=self.settings.timezone, clock=self.clock)  # entries are looked for everywhere
        try:
            return queries.hidden(self.sight or Sight())
        finally:
            queries.close()

    @property
    def home(self) -> Path:
        """The archive's folder."""
        return self.settings.home

    @property
    def database(self) -> Path:
        """The database's file."""
        return self.home / DATABASE_NAME

    @cached_property
    def queries(self) -> Queries:
        """The questions; each opens the database read-only for itself, so any thread may ask."""
        from whatsapp_mcp.queries import Queries
        from whatsapp_mcp.search.meaning import Meaning

        meaning = Meaning() if self.settings.semantic else None
        return Queries(self.database, zone=self.settings.timezone, clock=self.clock, sight=self.sight, meaning=meaning)

    @contextmanager
    def writer(self, *, durable: bool = False) -> Iterator[Writer]:
        """Hold the writer's lock; creates folder and database where they are missing, and brings an older archive up to date.

        What a `durable` writer has committed survives a power cut as well: for whatever the gateway is told to forget.

        Raises `WriterRunning` when another process holds the lock, and `StorageError` for whatever disk and database refuse,
        also from within the block.
        """
        from whatsapp_mcp.ingest import Ingest, rebuild
        from whatsapp_mcp.store import Store

        with storage_errors(), hold_lock(self.home):
            ensure_private_file(self.database)
            with Store(self.database, synchronous="FULL" if durable else "NORMAL") as store:
                if store.is_outdated:
                    rebuild(store)
                store.when_run_ends = self.write_metrics
                yield Writer(store, Ingest(store), self._extras())

    def _extras(self) -> Extras:
        asked = self.settings
        host = urlsplit(asked.green_api_url).hostname or ""
        limits = (asked.media_kinds, asked.media_file_bytes, asked.media_total_bytes)
        wishes = MediaWishes(self.home, host, asked.rate_scale, asked.media, *limits)
        return Extras(asked.statuses, asked.avatars, wishes, asked.semantic)

    @contextmanager
    def reader(self, *, older: bool = False) -> Iterator[Reader]:
        """What is stored, payloads included, as it is now: without the lock, without writing, also while a sync runs.

        Raises `StorageError` when there is no archive, or when it cannot be read; with `older` one of an earlier version can.
        """
        from whatsapp_mcp.store.reading import Reader

        with storage_errors(), self.queries.database.walking(older=older) as connection:
            yield Reader(connection)

    def write_metrics(self) -> None:
        """Write the archive in numbers into ``metrics.prom``; what stands in the way is logged, for no run fails by it."""
        from whatsapp_mcp.openmetrics import METRICS_NAME, metrics
        from whatsapp_mcp.queries import Queries

        queries = Queries(self.database, zone=self.settings.timezone, clock=self.clock)  # one that leaves no connection open
        try:
            replace_private_file(self.home / METRICS_NAME, metrics(queries.at_this_moment()).encode())
        except (ArchiveError, OSError) as error:
            _log.warning("the metrics are not written: %s", type(error).__name__, extra={"error": error})
        finally:
            queries.close()

    def listener(self) -> Listener | None:
        """The listener that holds the writer's lock, or None; to be asked after a `WriterRunning`."""
        found = self.queries.listener() if self.database.exists() else None
        pid = writer_pid(self.home)
        return None if found is None else replace(found, pid=int(pid) if pid else None)

    def gateway(self) -> GreenApi:
        """The client of Green API, to be entered with ``async with``; raises `SettingsError` without credentials."""
        from whatsapp_mcp.greenapi import GreenApi

        return GreenApi(self.settings.credentials(), rate_scale=self.settings.rate_scale, clock=self.clock)


def ensure_private_folder(path: Path) -> Path:
    """Create `path` so that only its owner may look inside (0700); an existing folder keeps its rights."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
    return path


def ensure_private_file(path: Path) -> Path:
    """Create an empty file that only its owner may read (0600); SQLite gives its side files the same rights."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(descriptor)
    return path


def replace_private_file(path: Path, body: bytes) -> Path:
    """Write a file that only its owner may read (0600), all of it or nothing, also when the power goes; raises `OSError`.

    A process that is killed meanwhile leaves the file that was there, and beside it ``.NAME.PID`` for `doctor --fix`.
    """
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:  # on a full disk a file can be made, and nothing be written into it
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return path


@contextmanager
def hold_lock(home: Path) -> Iterator[None]:
    """Hold the lock of the archive in `home`; raises `WriterRunning` with the other's pid at once."""
    ensure_private_folder(home)
    with _held(home / LOCK_NAME, lambda: WriterRunning(_who_writes(home)), or_without=False):
        try:
            ensure_private_file(home / PID_NAME).write_text(str(os.getpid()), encoding="ascii")
            yield
        finally:
            (home / PID_NAME).unlink(missing_ok=True)


def hold_backup_lock(home: Path) -> AbstractContextManager[None]:
    """Hold the lock of making backups of the archive in `home`: beside a writer, but only one at a time.

    A home that cannot be written can still be copied; then nobody is told of it. Raises `WriterRunning`.
    """
    refusal = WriterRunning("Another backup of this archive is being made.", advice="Wait until it ends.")
    return _held(home / BACKUP_LOCK_NAME, lambda: refusal)


def hold_scheduler_lock(home: Path) -> AbstractContextManager[None]:
    """Hold the lock of the scheduler of the archive in `home`, as long as it runs; raises `WriterRunning` beside another.

    A disk that is full is no reason not to begin: then nobody is told of this one.
    """
    with suppress(OSError):
        ensure_private_folder(home)
    refusal = WriterRunning("A scheduler of this archive is running already.", advice="Leave it, or stop it first.")
    return _held(home / SCHEDULER_LOCK_NAME, lambda: refusal)


def hold_log_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold the lock of appending to a log in `folder`, or go on without it after half a second: the line matters more."""
    return _held(folder / LOG_LOCK_NAME, None, patience=0.5)


@contextmanager
def _held(
    path: Path, refusal: Callable[[], WriterRunning] | None, *, patience: float = 0, or_without: bool = True
) -> Iterator[None]:
    """Hold the lock of that file; where another process has it, raise the `refusal` or, with none, go on without.

    `or_without` also goes on where the disk refuses the file, else its `OSError` is raised.
    """
    from filelock import FileLock, Timeout

    # Not bound to a thread: the server enters and leaves in whatever worker thread is free.
    lock = FileLock(path, timeout=patience, mode=0o600, thread_local=False, poll_interval=0.005)
    try:
        lock.acquire()
    except Timeout:
        if refusal is not None:
            raise refusal() from None
    except OSError:
        if not or_without:
            raise
    try:
        yield
    finally:
        lock.release()


def writer_pid(home: Path) -> str:
    """The digits of the pid of the process that holds the lock; empty where it is not known."""
    try:
        pid = (home / PID_NAME).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return pid if pid.isdigit() else ""


def _who_writes(home: Path) -> str:
    pid = writer_pid(home)
    if pid == str(os.getpid()):
        return "A sync is already running in this very process."
    return f"Another process{f' (pid {pid})' if pid else ''} is writing to this archive."
