"""The files of the logs: ``logs/sync-2026-11-24.log`` for commands and syncs, ``logs/server-2026-11-24.log`` for the server.

The day stands in the name, so nothing that is open is ever renamed, and any number of processes write at once: a line is one
``write`` to a file opened for appending, which POSIX keeps in one piece (``write``, "O_APPEND"); Windows does not, so there a
lock is held meanwhile. The file is opened for each line: nothing stands in the way of whoever compresses or removes it.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
from contextlib import nullcontext, suppress
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import ensure_private_folder, hold_log_lock
from whatsapp_mcp.logs.words import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.config import Settings

FOLDER: Final = "logs"
SYNC: Final = "sync"
"""The log of all commands and of what runs by itself."""
SERVER: Final = "server"
"""The log of the MCP server."""

_DATED: Final = re.compile(r"(?P<name>[a-z]+)-(?P<day>\d{4}-\d{2}-\d{2})\.log(?P<packed>\.gz)?")
_EARLIER: Final = re.compile(r"whatsapp-mcp\.log(\.\d)?")
"""How an earlier version of this program called its log."""
_UNFINISHED: Final = ".partial"
_OUTPUT: Final = "scheduler.log"
"""What cron and launchd catch of the jobs' own output; it has no day."""
_MUCH_OUTPUT: Final = 1_000_000
_BLOCK: Final = 1 << 16
_ALLOW: Final = "Give yourself the right to write there, or let `whatsapp-mcp doctor --fix` try."
_ADVICE: Final = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free some space there."),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "A file stands in the folder's place: move it away."),
}


def log_path(home: Path, name: str, day: date) -> Path:
    """Where the log `name` (`SYNC` or `SERVER`) of that day is written."""
    return home / FOLDER / f"{name}-{day.isoformat()}.log"


def all_logs(home: Path) -> list[Path]:
    """Every log that there is, compressed or not, in order of their names."""
    with suppress(OSError):
        return sorted(path for path in (home / FOLDER).iterdir() if _DATED.fullmatch(path.name))
    return []


def newest_log(home: Path, name: str = SYNC) -> Path | None:
    """The file in which the last lines of that log stand; None where there is none."""
    return next((path for path in reversed(all_logs(home)) if path.suffix == ".log" and path.name.startswith(f"{name}-")), None)


logging.getLogger("whatsapp_mcp").addHandler(logging.NullHandler())  # else Python prints errors to stderr before `start_log`


class DailyFile(logging.Handler):
    """Writes each line to the file of its day, once the home exists: a command that only reads leaves no folder behind.

    What the disk refuses costs lines of the log and one warning on stderr, and stops nothing.
    """

    def __init__(self, home: Path, name: str, line: Line, *, locked: bool = os.name == "nt") -> None:
        """Write `line`s to the log `name` in `home`, each under a lock if `locked`."""
        super().__init__()
        self.setFormatter(line)
        self._home = home
        self._name = name
        self._line = line
        self._locked = locked
        self._warned = False

    def emit(self, record: logging.LogRecord) -> None:
        """Append a line."""
        try:
            if self._home.is_dir():
                self._append(log_path(self._home, self._name, self._line.moment(record).date()), self.format(record))
        except OSError as error:
            self._warn(error)
        except Exception:  # noqa: BLE001 - no line of a log may stop the work
            self.handleError(record)

    def _append(self, path: Path, line: str) -> None:
        if not path.parent.is_dir():
            ensure_private_folder(path.parent)
        data = f"{line}\n".encode()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with hold_log_lock(path.parent) if self._locked else nullcontext():
            descriptor = os.open(path, flags, 0o600)
            try:
                written = os.write(descriptor, data)
                if written < len(data):  # the disk is full: the half line is ended as soon as there is room
                    os.write(descriptor, b"\n")
            finally:
                os.close(descriptor)

    def _warn(self, error: OSError) -> None:
        if self._warned:
            return
        self._warned = True
        with suppress(OSError, ValueError):
            what = f"the log cannot be written ({error.strerror}: {self._home / FOLDER}); the work goes on."
            sys.stderr.write(f"whatsapp-mcp: {what} {_ADVICE.get(error.errno or 0, _ALLOW)}\n")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: a line that cannot be made is a mistake, and Python's complaint would quote its values."""


def start_log(settings: Settings, name: str = SYNC, *, now: Callable[[], float] | None = None) -> logging.Handler:
    """Write this program's log into the home folder from now on; `now` tells the time where it is not the computer's."""
    handler = DailyFile(settings.home, name, Line(settings.timezone, settings.secrets, now))
    logger = logging.getLogger("whatsapp_mcp")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False  # the terminal belongs to what the command says
    return handler


def stop_log(handler: logging.Handler | None) -> None:
    """Close what `start_log` opened."""
    if handler is not None:
        logger = logging.getLogger("whatsapp_mcp")
        logger.removeHandler(handler)
        logger.propagate = True
        handler.close()


def compress_and_remove(settings: Settings, now: float) -> str:
    """Compress the logs of earlier days, remove what is older than ``LOG_KEEP_DAYS``, and say in a sentence what was done.

    Interrupted anywhere, the next time goes on. Raises `SettingsError` for a wrong number of days, and `OSError`.
    """
    keep = settings.log_keep_days()
    today = datetime.fromtimestamp(now, settings.timezone).date()
    compressed = removed = 0
    for path, day in _dated(settings.home / FOLDER, now, settings):
        if day < today - timedelta(days=keep):
            path.unlink(missing_ok=True)
            removed += 1
        elif day < today and path.suffix == ".log" and _DATED.fullmatch(path.name):
            _compress(path, path.with_name(f"{path.name}.gz"))
            path.unlink(missing_ok=True)
            compressed += 1
    compressed += _cut_output(settings.home / FOLDER, today)
    return f"{compressed} compressed, {removed} older than {keep} days removed."


def _dated(folder: Path, now: float, settings: Settings) -> Iterator[tuple[Path, date]]:
    """Every file of ours with its day: that of its name, else that on which it was written last."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        found = _DATED.fullmatch(path.name)
        if found:
            with suppress(ValueError):
                yield path, date.fromisoformat(found["day"])
        elif _EARLIER.fullmatch(path.name):
            yield path, datetime.fromtimestamp(path.stat().st_mtime, settings.timezone).date()
        elif path.name.endswith(_UNFINISHED) and path.stat().st_mtime < now - 86_400:
            path.unlink(missing_ok=True)


def _compress(source: Path, target: Path) -> None:
    """Pack a file into another, behind what that one holds: all of it or nothing, and for its owner only."""
    import gzip
    import shutil

    fresh = target.with_name(f"{target.name}.{os.getpid()}{_UNFINISHED}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        with source.open("rb") as plain, os.fdopen(os.open(fresh, flags, 0o600), "wb") as raw:
            with gzip.GzipFile(source.name, "wb", fileobj=raw, mtime=0) as packed:
                packed.write(_lines_only_in(target, source))
                shutil.copyfileobj(plain, packed, _BLOCK)
            raw.flush()
            os.fsync(raw.fileno())
        fresh.replace(target)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _lines_only_in(packed: Path, plain: Path) -> bytes:
    """What a day's compressed log holds, unless it came from the same file: a clock that went back makes a day's log twice."""
    import gzip
    import zlib

    try:
        with gzip.open(packed) as file:
            held = file.read()
    except (OSError, EOFError, zlib.error):  # there is none, or a half one
        return b""
    data = plain.read_bytes()
    return b"" if data.startswith(held) else held.removesuffix(data)


def _cut_output(folder: Path, today: date) -> int:
    """What others append to is emptied in place: they hold it open, and go on at its new end."""
    path = folder / _OUTPUT
    target = folder / f"scheduler-{today.isoformat()}.log.gz"
    if target.exists() or not path.is_file() or path.stat().st_size < _MUCH_OUTPUT:
        return 0
    _compress(path, target)
    os.truncate(path, 0)
    return 1
