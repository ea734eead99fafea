"""What ``doctor --fix`` puts right: rights, missing folders, what a killed process left; never the database, never the network.

Only what is certainly ours is touched: names that this program gives, below the archive's folder, and the ``.env`` files that
it reads. A link is not followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.app import BACKUP_LOCK_NAME, LOCK_NAME, PID_NAME, ensure_private_folder, hold_lock, writer_pid
from whatsapp_mcp.backup.place import PARTIAL, remove
from whatsapp_mcp.backup.restoring import REPLACED, STAGING
from whatsapp_mcp.errors import ArchiveError
from whatsapp_mcp.openmetrics import METRICS_NAME
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.schema import DATABASE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.app import Archive

FOLDERS: Final = (
    *(f"media/{kind}" for kind in ("images", "videos", "audio", "voice", "documents", "stickers", "thumbnails", "temp")),
    "logs", "exports", "backups", "outbox",
)  # fmt: skip
"""The folders of an archive, below its home."""

_FILES: Final = (
    DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm", LOCK_NAME, PID_NAME, BACKUP_LOCK_NAME, METRICS_NAME,
    "scheduler.json", "scheduler.lock", ".env",
)  # fmt: skip
_DAY: Final = 86_400


def mend(archive: Archive) -> list[str]:
    """Put right what is safe, and say in a sentence each what was done, or why it could not be."""
    home, settings = archive.home, archive.settings
    done: list[str] = []
    works: list[Callable[[], Iterator[str]]] = [lambda: _close(settings.env_files)]
    if home.is_dir():
        works += [
            lambda: _close(wrong_rights(home)),
            lambda: _make_folders(home, own_backups="BACKUP_PATH" not in settings.unattended),
            lambda: _free_lock(home),
            lambda: _clear(home, archive.clock.now()),
        ]
    for work in works:
        try:
            done += work()
        except (ArchiveError, OSError) as error:
            known = foreseen(error)
            if known is None:
                raise
            done.append(f"Not put right: {known}")
    return done


def wrong_rights(home: Path) -> list[Path]:
    """What of the archive others on this computer have any right on, or you have too few; Windows is not judged."""
    if os.name != "posix" or not home.is_dir():
        return []
    return [path for path in _ours(home) if is_open_to_others(path) or _is_closed_to_its_owner(path)]


def is_open_to_others(path: Path) -> bool:
    """Whether group or others have any right; of a link nothing is said."""
    return bool((_rights(path) or 0) & 0o077)


def _is_closed_to_its_owner(path: Path) -> bool:
    rights = _rights(path)
    return rights is not None and rights & _own(path) != _own(path)


def _rights(path: Path) -> int | None:
    """The nine bits; None where nothing can be said."""
    with suppress(OSError):
        found = path.lstat()
        if os.name == "posix" and not stat.S_ISLNK(found.st_mode):
            return stat.S_IMODE(found.st_mode) & 0o777
    return None


def _own(path: Path) -> int:
    return 0o700 if path.is_dir() else 0o600


def _ours(home: Path) -> Iterator[Path]:
    """The home where it is an archive's own folder, and everything in it that bears a name of ours."""
    if (home / DATABASE_NAME).exists() and home.resolve() != home.home().resolve():
        yield home
    yield from (home / name for name in _FILES)
    for top in sorted({name.partition("/")[0] for name in FOLDERS} | {path.name for path in home.glob(f"{REPLACED}*")}):
        folder = home / top
        if folder.is_dir() and not folder.is_symlink():
            yield folder
            yield from (path for path in folder.rglob("*") if not path.is_symlink())


def _close(paths: tuple[Path, ...] | list[Path]) -> Iterator[str]:
    """Take away what others may, and give the owner what is needed."""
    closed = 0
    for path in paths:
        rights = _rights(path)
        if rights is not None and (is_open_to_others(path) or _is_closed_to_its_owner(path)):
            path.chmod((rights & 0o700) | _own(path))
            closed += 1
            if closed <= 3:
                yield f"You, and only you, can use {path} now."
    if closed > 3:
        yield f"And so it is with {closed - 3:,} more files and folders."


def _make_folders(home: Path, *, own_backups: bool) -> Iterator[str]:
    wanted = [name for name in FOLDERS if name != "outbox" and (own_backups or name != "backups")]
    missing = [name for name in wanted if not (home / name).exists()]
    for name in missing:
        ensure_private_folder(home / name)
    if missing:
        yield f"Made the folders {', '.join(missing)}."


def _free_lock(home: Path) -> Iterator[str]:
    """The lock itself goes with its process; what a killed one leaves is the file with its number."""
    pid = writer_pid(home)
    if not (home / PID_NAME).exists():
        return
    try:
        with hold_lock(home):
            pass
    except ArchiveError:  # its process lives
        return
    yield f"Removed {PID_NAME}: the process {pid or 'that wrote it'} is gone."


def left_behind(home: Path, now: float) -> list[Path]:
    """Temporary files and folders that interrupted work left more than a day ago."""
    patterns = (
        "media/temp/*", f"media/*/{STAGING}*", f"{STAGING}*", f".{METRICS_NAME}.*", ".scheduler.json.*", f"backups/{PARTIAL}*",
        "outbox/.*.*", "logs/*.partial",
    )  # fmt: skip
    found = (path for pattern in patterns for path in sorted(home.glob(pattern)))
    foreign = (home / "media" / "temp").is_symlink()  # what stands behind a link may be anybody's
    return [path for path in found if not (foreign and path.parent.name == "temp") and _is_old(path, now)]


def _is_old(path: Path, now: float) -> bool:
    with suppress(FileNotFoundError):
        return path.lstat().st_mtime < now - _DAY
    return False


def _clear(home: Path, now: float) -> Iterator[str]:
    found = left_behind(home, now)
    for path in found:
        remove(path)
    gone = sum(not path.exists() for path in found)
    if gone:
        yield f"Removed {gone:,} temporary file{'' if gone == 1 else 's'} older than a day."
