"""What a failed download means for its message: tried again and when, given up, or left out. Pure.

A file that its host and the gateway both do not have is asked for again after an hour, a day and three days, and is ``expired``
after that: the gateway answers so for files that WhatsApp no longer serves, and now and then for one that it serves an hour
later (Green API tracker #724). Any other failure is tried again six times within about five days. What is too large, or what
the settings do not want, is ``skipped``, and comes back when they change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from whatsapp_mcp.store.media import Verdict

if TYPE_CHECKING:
    from whatsapp_mcp.store.media import Due

HOUR: Final = 3_600
GONE_AFTER: Final = (HOUR, 24 * HOUR, 72 * HOUR)
"""Seconds from one asking for a vanished file to the next."""
FAILED_AFTER: Final = (HOUR // 4, HOUR, 6 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR)
"""Seconds from one failure to the next try."""
NO_LINKS_AFTER: Final = 6 * HOUR
"""When the gateway gives no links now: a used-up quota, an instance that is not linked."""

TOO_LARGE: Final = "It is larger than MEDIA_MAX_FILE_MB."
NO_ROOM: Final = "MEDIA_MAX_TOTAL_GB leaves too little room for it."
GONE: Final = "Neither its link nor the gateway has the file any more."


def gone(due: Due, now: int, url: str | None = None) -> Verdict:
    """Nobody has the file, at least for now."""
    before = due.attempts if due.last_error == GONE else 0
    if before < len(GONE_AFTER):
        return Verdict(due.message_id, "pending", GONE, before + 1, now + GONE_AFTER[before], url=url)
    return Verdict(due.message_id, "expired", GONE, before + 1, url=url)


def failed(due: Due, why: str, now: int, url: str | None = None) -> Verdict:
    """Something went wrong that may not go wrong next time."""
    before = 0 if due.last_error == GONE else due.attempts
    if before < len(FAILED_AFTER):
        return Verdict(due.message_id, "pending", why, before + 1, now + FAILED_AFTER[before], url=url)
    return Verdict(due.message_id, "failed", why, before + 1, url=url)


def refused(due: Due, why: str) -> Verdict:
    """What is there is not to be fetched, today or ever."""
    return Verdict(due.message_id, "failed", why, due.attempts + 1)


def no_link(due: Due, why: str, now: int) -> Verdict:
    """The gateway gives no links now, which is not this file's fault: the try does not count."""
    return Verdict(due.message_id, "pending", why, due.attempts, now + NO_LINKS_AFTER)


def skipped(due: Due, why: str, size: int | None) -> Verdict:
    """More bytes than are wanted; `size` is None where no setting of ours would change that."""
    return Verdict(due.message_id, "skipped", why, due.attempts + 1, size=size)


def too_large(due: Due, size: int, largest: int, file_bytes: int) -> Verdict:
    """A file of at least `size` bytes, where now `largest` and without a limit for all together `file_bytes` are wanted."""
    has_room = largest >= file_bytes or size > file_bytes
    return skipped(due, TOO_LARGE if has_room else NO_ROOM, size)


def room_for(total: int | None, used: int, file_bytes: int) -> int:
    """How large the next file may be, in bytes.

    Where all files together have a limit, one may take at most a tenth of what is left: so big ones are left out first, and
    many small ones still find room.
    """
    return file_bytes if total is None else max(0, min(file_bytes, (total - used) // 10))
