"""Reports that wait: each a file ``outbox/*.eml`` in the archive's home that any mail program opens, and only its owner reads.

A report is kept before anybody tries to send it, and removed when the server has it. So neither a dead mail server nor a crash
loses one; at worst one arrives twice, with one id.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import SMTP
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.app import ensure_private_folder, replace_private_file
from whatsapp_mcp.errors import MailError
from whatsapp_mcp.refusals import storage_errors
from whatsapp_mcp.reports.letter import address, write
from whatsapp_mcp.reports.mail import DEADLINE, MessageRefused, connected
from whatsapp_mcp.reports.page import moment, report

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.mailbox import Mailbox
    from whatsapp_mcp.reports.mail import Send
    from whatsapp_mcp.reports.page import Report

FOLDER: Final = "outbox"
KEPT: Final = 50
"""So many reports wait at most; of the oldest beyond that only their number and time are told."""

_LOST: Final = "left-out.json"
_FARTHEST: Final = 10**11
"""Unix seconds beyond any calendar that is of use."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """How sending went."""

    sent: int = 0
    waiting: int = 0
    refused: int = 0
    """Recipients that the server did not accept, while it accepted others."""
    error: MailError | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Reports that were dropped because too many waited: how many, and from when to when (unix seconds)."""

    count: int
    first_at: int
    last_at: int


class Outbox:
    """The waiting reports of one archive."""

    def __init__(self, home: Path) -> None:
        """Look after the folder below `home`; it is made when something is kept."""
        self.folder = home / FOLDER

    def waiting(self) -> list[Path]:
        """The reports that wait, oldest first."""
        return sorted(self.folder.glob("*.eml"))

    def keep(self, message: EmailMessage, now: float) -> Path:
        """Write `message`, made at `now`, into a file; drops the oldest beyond `KEPT`. Raises `StorageError`."""
        body = message.as_bytes()
        made = f"{datetime.fromtimestamp(int(now), UTC):%Y%m%dT%H%M%SZ}"
        path = self.folder / f"{made}-{hashlib.sha256(body).hexdigest()[:12]}.eml"
        with storage_errors():
            ensure_private_folder(self.folder)
            replace_private_file(path, body)
            self._limit()
        return path

    def read(self, path: Path) -> EmailMessage | None:
        """The message in a file; None for one that vanished or that holds none."""
        try:
            message: EmailMessage = message_from_bytes(path.read_bytes(), policy=SMTP)
            is_whole = bool(message["Subject"] and message["Message-ID"] and message.as_bytes())
        except Exception:  # noqa: BLE001 - Python's parser of headers fails in many ways at what is none
            return None
        return message if is_whole else None

    def left_out(self) -> LeftOut | None:
        """What had to be dropped since the last report that arrived."""
        try:
            told: Any = json.loads((self.folder / _LOST).read_text(encoding="utf-8"))
            known = LeftOut(int(told["count"]), int(told["first_at"]), int(told["last_at"]))
        except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
            return None
        return known if all(0 <= number < _FARTHEST for number in (known.count, known.first_at, known.last_at)) else None

    def forget_left_out(self) -> None:
        """It was told. Raises `StorageError`."""
        with storage_errors():
            (self.folder / _LOST).unlink(missing_ok=True)

    def _limit(self) -> None:
        for path in self.waiting()[:-KEPT]:
            made, known = _made_at(path), self.left_out()
            count, first = (known.count, min(known.first_at, made)) if known else (0, made)
            last = max(known.last_at, made) if known else made
            told = json.dumps({"count": count + 1, "first_at": first, "last_at": last})
            replace_private_file(self.folder / _LOST, told.encode())
            path.unlink(missing_ok=True)


async def deliver(
    outbox: Outbox, mailbox: Mailbox, new: Report | None, *, now: float, zone: ZoneInfo, deadline: float = DEADLINE
) -> Delivery:
    """Keep `new`, then send all that waits, oldest first, over one connection; what cannot be sent waits for the next time.

    A mail server that is dead, hangs or says no makes no error here but stands in the answer. Raises `StorageError` only.
    """
    if new is not None:
        outbox.keep(write(new, mailbox, now=now, zone=zone), now)
    if mailbox.bare_password:
        _log.warning("the password for the mail server travels unprotected")
    tally = _Tally()
    try:
        if outbox.waiting() or outbox.left_out():
            async with connected(mailbox, deadline=deadline) as send:
                await _empty(outbox, mailbox, send, tally=tally, letter=_left_out_letter(outbox, mailbox, now, zone))
    except MailError as error:
        tally.error = error
    waiting = len(outbox.waiting())
    if tally.error:
        _log.warning("%d reports wait: %s", waiting, type(tally.error).__name__)
    return Delivery(tally.sent, waiting, tally.refused, tally.error)


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    refused: int = 0
    error: MailError | None = None


async def _empty(outbox: Outbox, mailbox: Mailbox, send: Send, *, tally: _Tally, letter: EmailMessage | None) -> None:
    if letter is not None:
        tally.refused = max(tally.refused, await send(letter))
        outbox.forget_left_out()
    for path, message in _readable(outbox):
        address(message, mailbox)
        try:
            tally.refused = max(tally.refused, await send(message))
        except MessageRefused as error:  # this one only: it must not stand in the way of the others for ever
            tally.error = error
            continue
        tally.sent += 1
        with storage_errors():
            path.unlink(missing_ok=True)


def _readable(outbox: Outbox) -> Iterator[tuple[Path, EmailMessage]]:
    for path in outbox.waiting():
        message = outbox.read(path)
        if message is None:
            _log.warning("a file in the outbox is no message")
            if path.exists():
                with storage_errors():
                    path.rename(path.with_suffix(".unreadable"))
        else:
            yield path, message


def _left_out_letter(outbox: Outbox, mailbox: Mailbox, now: float, zone: ZoneInfo) -> EmailMessage | None:
    lost = outbox.left_out()
    if lost is None:
        return None
    said = (
        f"{lost.count:,} earlier reports, from {moment(lost.first_at, zone)} to {moment(lost.last_at, zone)}, could not be sent"
        f" and were left out, because more than {KEPT} waited. The archive itself is not concerned."
    )
    summary = report("WhatsApp archive: some reports were left out", said, (), "whatsapp-mcp")
    return write(summary, mailbox, now=now, zone=zone)


def _made_at(path: Path) -> int:
    try:
        return int(datetime.strptime(path.name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return int(path.stat().st_mtime)
