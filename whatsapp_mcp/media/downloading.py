"""The download queue at work: files come in the order of `store.media`, several at once, each whole or not at all.

Starts are paced as the gateway paces downloadFile (5 a second for each instance; Green API docs, rate limiter). A link that has
run out is renewed by it once; what then happens to a message is decided by `judging`. A file that was hashed, recognised and is
on the disk gets its final name in the transaction that says so; such transactions gather what waits for them.

A run ends when nothing is due, at its limit of files or seconds, or when going on is in vain: the disk is full, or no host can
be reached. What was under way then waits in the queue as before. Nothing here raises for what the network or the disk does.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

import anyio
import anyio.to_thread

from whatsapp_mcp.errors import ArchiveError, UsageError
from whatsapp_mcp.media.fetching import Fetching, NetworkAway, Over
from whatsapp_mcp.media.files import Files
from whatsapp_mcp.media.outcome import MediaOutcome, MediaProgress, Tally
from whatsapp_mcp.media.seeing import see_stored
from whatsapp_mcp.media.settling import Ended, Settling
from whatsapp_mcp.media.transfer import Patience, Transfers
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import MediaWishes
    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.store import Store
    from whatsapp_mcp.store.media import Due
    from whatsapp_mcp.sync.writing import Writer

    Report = Callable[[MediaProgress], None]

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 8
_MORE_AT_ONCE: Final = 40
"""Transfers at once, and so many more at high rates: a host that hangs holds up one of them."""
_BATCH: Final = 200
_GRACE: Final = 30.0
"""Seconds that transfers may still take when the time of a run is over."""
_RESERVE: Final = 100_000_000
"""Bytes of the disk that are left for messages."""
_RUNNING: Final[WeakSet[Store]] = WeakSet()

_TIME_IS_OVER: Final = "The time for files in one run is over; the next one goes on."
_NEARLY_FULL: Final = "The disk is nearly full. Free some space, then run `whatsapp-mcp media download`."
_AWAY: Final = "No host of a file can be reached. Check the network, then run `whatsapp-mcp media download`."


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run ends by itself."""

    seconds: float | None = None
    """No transfer begins after so many seconds."""
    patience: Patience | None = None
    reserve: int = _RESERVE
    """Bytes of the disk that must stay free."""


async def download_media(
    gateway: GreenApi | None,
    writer: Writer,
    clock: Clock,
    *,
    limit: int | None = None,
    report: Report | None = None,
    limits: Limits | None = None,
) -> MediaOutcome:
    """Fetch the files that are due, at most `limit`, and say what came of it; without a `gateway` no link is renewed.

    `report` hears each step, on the event loop, so it must be quick. Raises `UsageError` for a writer that does not say where
    files go. A run beside another one on the same archive does nothing.
    """
    wishes = writer.extras.media
    if wishes is None:
        raise UsageError("This archive is not told where files go.")
    if writer.store in _RUNNING:
        return MediaOutcome()
    _RUNNING.add(writer.store)
    try:
        began, pen, limits = clock.monotonic(), Pen(writer), limits or Limits()
        outcome = await _Run(gateway, pen, clock, wishes, limits).go(limit, report)
        with suppress(OSError, ArchiveError):  # a thumbnail can be made later; the files are stored
            until = float("inf") if limits.seconds is None else began + limits.seconds
            await see_stored(pen, wishes.home, clock, until=until)
        if outcome.requests and writer.store.when_run_ends is not None:
            await pen.call(writer.store.when_run_ends)
        return outcome
    finally:
        _RUNNING.discard(writer.store)


class _Run:
    """One run over the queue."""

    def __init__(self, gateway: GreenApi | None, pen: Pen, clock: Clock, wishes: MediaWishes, limits: Limits) -> None:
        self._gateway = gateway
        self._pen = pen
        self._clock = clock
        self._wishes = wishes
        self._limits = limits
        self._files = Files(wishes.home)
        self._tally = Tally()
        self._settling = Settling(pen, self._files, clock, wishes, self._tally)
        self._transfers = Transfers(clock, wishes.own_host, limits.patience or Patience())
        self._fetching = Fetching(gateway, clock, wishes, self._transfers, self._settling.room)
        self._waiting: deque[Due] = deque()
        self._taking = anyio.Lock()
        self._until = self._left = float("inf")
        self._stopped = ""
        self._is_failure = False
        self._report: Report | None = None

    async def go(self, limit: int | None, report: Report | None) -> MediaOutcome:
        """Everything that is due, or `limit` files of it."""
        began, asked = self._clock.monotonic(), self._asked()
        seconds = self._limits.seconds
        self._report = report
        if limit is not None:
            self._left = limit
        if seconds is not None:
            self._until = began + seconds
        try:
            await self._pen.call(self._prepare)
            with anyio.move_on_after(None if seconds is None else seconds + _GRACE):
                await self._fetch_all()
        except (OSError, ArchiveError) as error:
            self._stop(_said(error), is_failure=True)
        finally:
            left = await self._close()
        return self._outcome(left, self._transfers.requests + self._asked() - asked, self._clock.monotonic() - began)

    def _asked(self) -> int:
        return 0 if self._gateway is None else self._gateway.statistics.requests["downloadFile"]

    def _prepare(self) -> None:
        store = self._pen.store
        with store.transaction():
            self._settling.used = store.media.bytes_stored()
            store.media.reconsider(self._settling.room())
            store.media.prepare(self._wishes.kinds)  # after it: what finds room now may be of a kind that nobody wants
            self._tally.total = int(min(self._left, store.media.due(int(self._clock.now()))))
        if self._tally.total:
            self._files.prepare()

    async def _fetch_all(self) -> None:
        at_once = _AT_ONCE + min(_MORE_AT_ONCE, int(self._wishes.rate_scale / 2))
        async with self._transfers, anyio.create_task_group() as tasks:
            for _ in range(min(at_once, self._tally.total)):
                tasks.start_soon(self._work)

    async def _close(self) -> int:
        """Whatever is under way waits again; the number of files that are still due."""
        with anyio.CancelScope(shield=True), suppress(ArchiveError):  # a full disk cannot even say that it is full
            return await self._pen.call(self._release)
        return max(0, self._tally.total - self._tally.done)

    def _release(self) -> int:
        store = self._pen.store
        with store.transaction():
            store.media.release()
            return store.media.due(int(self._clock.now()))

    def _outcome(self, left: int, requests: int, seconds: float) -> MediaOutcome:
        tally = self._tally
        if tally.no_room:
            lost = f"{tally.no_room:,} files ({tally.bytes_without_room / (1 << 20):,.1f} MB)"
            tally.say(f"{lost} were skipped: MEDIA_MAX_TOTAL_GB leaves too little room; the largest are left out first.")
        return MediaOutcome(
            stored=tally.stored,
            same=tally.same,
            bytes_stored=tally.bytes_stored,
            renewed=tally.renewed,
            expired=tally.expired,
            failed=tally.failed,
            skipped=tally.skipped,
            put_off=tally.put_off,
            left=left,
            requests=requests,
            seconds=seconds,
            stopped=self._stopped,
            is_failure=self._is_failure,
            notes=tuple(tally.notes),
        )

    async def _work(self) -> None:
        while (due := await self._next()) is not None:
            await self._one(due)

    async def _next(self) -> Due | None:
        async with self._taking:
            if self._left < 1 or self._stopped:
                return None
            if not self._waiting:
                await self._take()
            if not self._waiting:
                return None
            if self._clock.monotonic() >= self._until:
                self._stop(_TIME_IS_OVER)
                return None
            self._left -= 1
            return self._waiting.popleft()

    async def _take(self) -> None:
        if await anyio.to_thread.run_sync(self._files.free) < self._limits.reserve:
            self._stop(_NEARLY_FULL, is_failure=True)
            return
        store, now, count = self._pen.store, int(self._clock.now()), int(min(_BATCH, self._left))

        def take() -> list[Due]:
            with store.transaction():
                return store.media.take(now, count)

        self._waiting.extend(await self._pen.call(take))

    async def _one(self, due: Due) -> None:
        part, ended = self._files.part(), Ended(due)
        try:
            try:
                ended.finished = await self._fetching.fetch(due, part, self._tally)
            except Over as over:
                ended.verdict = over.verdict
                _log_verdict(due, over)
            await self._settling.write(ended)
        except NetworkAway:
            self._stop(_AWAY, is_failure=True)
        except (OSError, ArchiveError) as error:
            self._stop(_said(error), is_failure=True)
        finally:
            if ended.finished is None or not ended.is_written:
                with anyio.CancelScope(shield=True), suppress(OSError):
                    await anyio.to_thread.run_sync(part.discard)
        if self._report is not None:
            tally = self._tally
            self._report(MediaProgress(tally.done, tally.total, tally.stored, tally.bytes_stored))

    def _stop(self, why: str, *, is_failure: bool = False) -> None:
        if not self._stopped:
            self._stopped, self._is_failure = why, is_failure
            _log.info("Downloads stop: %s", why)


def _log_verdict(due: Due, over: Over) -> None:
    """One line for what is out of the ordinary; that old files have expired is ordinary."""
    if over.verdict.status in ("failed", "skipped"):
        _log.info("The file of m%d: %s. %s", due.message_id, over.verdict.status, over.verdict.why)


def _said(error: Exception) -> str:
    known = foreseen(error)
    return str(known) if known is not None else f"The disk refused a file ({type(error).__name__})."
