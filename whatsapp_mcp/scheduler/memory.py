"""What the scheduler knows from one start to the next: ``scheduler.json`` in the archive's home, beside the database.

It stands apart from the database, so that a database that cannot be read is told and not hidden. A disk that is full costs
nothing but the memory of a crash: what cannot be written is kept in the process and written later.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.app import ensure_private_folder, replace_private_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE: Final = "scheduler.json"
ASIDE: Final = "scheduler.unreadable.json"
"""Where a file goes that nobody understands."""

_VERSION: Final = 1
_LARGEST: Final = 10_000_000
_FARTHEST: Final = 10**11
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Entry:
    """What is known of one job; times in unix seconds."""

    last_due: int
    """Everything that was due until then is answered: done, or not wanted."""
    last_start: int | None = None
    last_end: int | None = None
    result: str = ""
    """How it ended last: ``complete``, ``partial``, ``damaged``, ``failed``, ``busy`` or ``interrupted``."""
    failures: int = 0
    """So often it failed in a row."""
    trying_for: int | None = None
    """The due time for which it was tried without success."""
    tries: int = 0
    """So often for that time."""
    next_try: int | None = None
    busy_since: int | None = None
    """Since then another process has held the lock whenever it was tried."""
    reported: int | None = None
    """The due time of which the last report told."""


@dataclass(slots=True)
class Reported:
    """Where the next report goes on."""

    at: int
    newest_id: int | None = None


@dataclass(slots=True)
class Book:
    """All that is written down."""

    reported: Reported
    jobs: dict[str, Entry] = field(default_factory=dict)
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """The state of `reports.alert`."""


class Memory:
    """The book of one archive, in the process and on the disk."""

    def __init__(self, home: Path, now: float) -> None:
        """Read what there is; a file that nobody understands is kept aside, and the book begins anew at `now`."""
        self.path = home / FILE
        self.is_written = True
        """Whether the disk has what the process has."""
        self.book = self._read(now) or Book(Reported(int(now)))

    def reread(self, now: float) -> None:
        """See what another process has written meanwhile (``--once`` beside a scheduler that runs)."""
        if self.is_written:
            self.book = self._read(now) or self.book

    def write(self) -> None:
        """Bring it to the disk: all of it or nothing, and only its owner may read it; a disk that refuses is tried later."""
        told = {
            "version": _VERSION,
            "jobs": {name: asdict(entry) for name, entry in sorted(self.book.jobs.items())},
            "reported": asdict(self.book.reported),
            "alerts": self.book.alerts,
        }
        try:
            ensure_private_folder(self.path.parent)
            body = json.dumps(told, indent=1).encode()  # in ASCII: a path may hold bytes that are no UTF-8
            replace_private_file(self.path, body)
        except OSError as error:
            if self.is_written:
                _log.warning(
                    "the scheduler's memory cannot be written now (errno %s); it is kept and written later", error.errno
                )
            self.is_written = False
        else:
            self.is_written = True

    @property
    def is_missing(self) -> bool:
        """Whether somebody took the file away; one that cannot be looked at is there."""
        try:
            self.path.stat()
        except OSError as error:
            return isinstance(error, FileNotFoundError)
        return False

    def _read(self, now: float) -> Book | None:
        try:
            text = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._put_aside(f"errno {error.errno}")
            return None
        try:
            return _book(json.loads(text) if len(text) <= _LARGEST else None, int(now))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._put_aside(type(error).__name__)
            return None

    def _put_aside(self, why: str) -> None:
        _log.warning("%s cannot be read (%s): it is kept as %s, and begun anew", FILE, why, ASIDE)
        with suppress(OSError):
            self.path.replace(self.path.with_name(ASIDE))


def _book(told: Any, now: int) -> Book:  # noqa: ANN401 - whatever stood in the file
    """Raises `ValueError`, `TypeError`, `KeyError` or `AttributeError` where `told` is no book."""
    if told["version"] != _VERSION:
        raise ValueError("another version")
    reported = Reported(**told["reported"])
    jobs = {str(name): Entry(**entry) for name, entry in told["jobs"].items()}
    _check(reported)
    for entry in jobs.values():
        _check(entry)
    if not isinstance(told["alerts"], dict):
        raise TypeError("alerts")
    reported.at = min(reported.at, now)
    return Book(reported, jobs, told["alerts"])


def _check(part: Reported | Entry) -> None:
    for one in fields(part):
        value = getattr(part, one.name)
        needed = one.name in ("at", "last_due", "failures", "tries")
        is_right = isinstance(value, str) if one.name == "result" else _is_moderate(value) or (value is None and not needed)
        if not is_right:
            raise TypeError(one.name)


def _is_moderate(value: object) -> bool:
    return type(value) is int and 0 <= value < _FARTHEST
