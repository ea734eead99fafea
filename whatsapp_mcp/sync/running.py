"""One run from its beginning to its end, whichever way it ends.

A run that is cancelled ends as ``interrupted``, one that an error stops as ``failed`` with that error; both are resumed later.
A process that is killed writes nothing any more: its run still says ``running``, and the next process knows better, because
there is only one writer.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from whatsapp_mcp.errors import ArchiveError
from whatsapp_mcp.greenapi.measuring import Tally, counting
from whatsapp_mcp.sync.progress import ChatFailure, Counters, Outcome, Progress
from whatsapp_mcp.sync.writing import keep_unread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi.measuring import Statistics
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Mark
    from whatsapp_mcp.sync.writing import Pen

    Report = Callable[[Progress], None]

_log = logging.getLogger(__name__)

_SAVE_EVERY: Final = 1.0
"""Seconds between saved counters: they are for people to look at, while each chat's own mark is saved with its rows."""
_LONGEST_ERROR: Final = 1_000


class Asked(Protocol):
    """What a run must know of the gateway that it asks: its pace, and what was asked so far."""

    @property
    def rate_scale(self) -> float:
        """Histories a second."""
        ...

    @property
    def statistics(self) -> Statistics:
        """Requests so far."""
        ...


class Run:
    """A run's counters, failures and state, in the archive and for whoever watches."""

    def __init__(self, gateway: Asked, pen: Pen, clock: Clock, report: Report | None) -> None:
        """Prepare a run that tells `report` how it goes."""
        self.pen = pen
        self.clock = clock
        self.counters = Counters(clock, gateway.rate_scale)
        self.failures: list[ChatFailure] = []
        self.notes: list[str] = []
        self.missing: list[str] = []
        """The notes that make the run ``partial``."""
        self.truncated: set[str] = set()
        self.damaged: set[str] = set()
        self.run_id = 0
        self.kind = ""
        self.state = "checking"
        self.calls = Tally()
        """What this run asks; `closing` lets the gateway count into it."""
        self._gateway = gateway
        self._report = report
        self._requests_before = self._throttled_before = 0
        self._saved_at = 0.0

    @property
    def now(self) -> int:
        """Unix seconds UTC."""
        return int(self.clock.now())

    async def begin(self, kind: str) -> None:
        """Start a new run."""
        self.counters.carry_on(0, 0)
        self.run_id = await self.pen.call(self.pen.store.begin_run, kind, self.now)
        self.kind = kind
        self._note_requests(0, 0)
        self._log_beginning("begins")

    async def resume(self, run_id: int) -> None:
        """Go on with a run."""
        self.run_id = run_id
        await self.pen.call(self.pen.store.resume_run, run_id, self.now)
        so_far = await self.pen.call(self.pen.store.run_counters, run_id)
        self.counters.carry_on(so_far["messages_seen"], so_far["messages_new"])
        self.kind = await self.pen.call(self.pen.store.run_kind, run_id)
        self._note_requests(so_far["requests"], so_far["throttled"])
        self._log_beginning("goes on")

    def _log_beginning(self, how: str) -> None:
        _log.info("the run %s " + how, self.kind, extra={"run": self.run_id})

    def _note_requests(self, requests: int, throttled: int) -> None:
        asked = self._gateway.statistics
        self._requests_before = requests - asked.requests.total()
        self._throttled_before = throttled - asked.throttled.total()

    def tell(self, current: str = "") -> None:
        """Report the progress."""
        if self._report is not None:
            self._report(self.counters.progress(self.run_id, self.state, current))

    def tell_of_files(self, done: int, total: int) -> None:
        """Report how many files were dealt with; the messages are stored by then."""
        if self._report is not None:
            self._report(self.counters.progress(self.run_id, "files", f"{done:,} of {total:,}"))

    async def enter(self, state: str) -> None:
        """Begin a phase."""
        self.state = state
        self.tell()
        await self.save()

    async def moved(self, current: str) -> None:
        """A chat was dealt with: report it, and save the counters now and then."""
        self.tell(current)
        if self.clock.monotonic() - self._saved_at >= _SAVE_EVERY:
            await self.save()

    async def save(self) -> None:
        """Save the counters."""
        self._saved_at = self.clock.monotonic()
        await self.pen.call(self._save)

    def _save(self) -> None:
        count = self.counters
        self.pen.store.update_run(
            self.run_id,
            self.now,
            chats_total=count.chats_total,
            chats_done=count.chats_done,
            chats_failed=count.chats_failed,
            messages_seen=count.messages_seen,
            messages_new=count.messages_new,
            requests=self.requests,
            throttled=self.throttled,
        )

    @property
    def requests(self) -> int:
        """Calls made for this run."""
        return self._requests_before + self._gateway.statistics.requests.total()

    @property
    def throttled(self) -> int:
        """Calls of this run that were answered 429."""
        return self._throttled_before + self._gateway.statistics.throttled.total()

    def fail(self, chat: str, error: ArchiveError) -> None:
        """Remember that a chat's history could not be had."""
        self.failures.append(ChatFailure(chat, str(error)))
        self.counters.failed()

    def note(self, text: str, *, missing: bool = False) -> None:
        """Remember, once, what could not be had; `missing` where messages or chats may be among it."""
        if text not in self.notes:
            self.notes.append(text)
        if missing and text not in self.missing:
            self.missing.append(text)

    async def keep_unread(self, payload: Payload, mark: Mark, error: Exception) -> None:
        """Keep a notification as it came that a mistake of ours (`error`) left unread: it may block nothing behind it."""
        told = {"error": error, "run": self.run_id}
        _log.error("a notification was kept but not read: %s", type(error).__name__, extra=told)
        self.note(f"A mistake in the program ({type(error).__name__}) left a notification unread.", missing=True)
        await self.pen.call(keep_unread, self.pen.store, payload, mark)
        self.counters.received(len(payload.items), 0)

    async def end_as_it_went(self) -> None:
        """Close the run as ``complete``, or as ``partial`` when chats failed or something is missing; the notes are kept."""
        told = [*self.notes, *(failure.error for failure in self.failures[-1:])]
        await self.end("partial" if self.failures or self.missing else "complete", " ".join(told)[:_LONGEST_ERROR] or None)

    async def end(self, state: str, last_error: str | None = None) -> None:
        """Close the run."""
        self.state = state
        await self.save()
        await self.pen.call(self.pen.store.end_run, self.run_id, state, self.now, last_error, self.calls.calls())
        self.calls.clear()
        self._log_end()
        self.tell()

    def _log_end(self) -> None:
        count = self.counters
        _log.log(
            logging.WARNING if self.state in ("partial", "failed") else logging.INFO,
            "the run %s ends: %s, %d of %d chats, %d failed, %d messages new, %d requests, %d throttled",
            self.kind, self.state, count.chats_done, count.chats_total, count.chats_failed, count.messages_new,
            self.requests, self.throttled,
            extra={"run": self.run_id, "seconds": count.seconds},
        )  # fmt: skip

    def outcome(self) -> Outcome:
        """What the run brought."""
        count = self.counters
        return Outcome(
            run_id=self.run_id,
            state=self.state,
            chats_total=count.chats_total,
            chats_done=count.chats_done,
            chats_failed=count.chats_failed,
            chats_truncated=len(self.truncated),
            chats_damaged=len(self.damaged),
            messages_seen=count.messages_seen,
            messages_new=count.messages_new,
            requests=self.requests,
            throttled=self.throttled,
            seconds=count.seconds,
            failures=tuple(self.failures),
            notes=tuple(self.notes),
        )


@asynccontextmanager
async def closing(run: Run) -> AsyncIterator[None]:
    """Whatever happens within the block, the run gets an end in the archive; of a group of errors the foreseen one leaves."""
    stopped: ArchiveError | None = None
    try:
        with counting(run.calls):
            yield
    except anyio.get_cancelled_exc_class():
        await _close(run, "interrupted", None)
        raise
    except (ArchiveError, ExceptionGroup) as error:
        stopped = first_of(error)
        told = {"run": run.run_id, "error": stopped or error}
        _log.error("the run %s is stopped by %s", run.kind, type(stopped or error).__name__, extra=told)
        await _close(run, "failed", str(stopped) if stopped else type(error).__name__)
        if stopped is None:
            raise
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        await _close(run, "interrupted" if interrupted else "failed", None if interrupted else type(error).__name__)
        raise
    if stopped is not None:
        raise stopped


async def _close(run: Run, state: str, last_error: str | None) -> None:
    with anyio.CancelScope(shield=True), suppress(ArchiveError):  # a full disk cannot even say that it is full
        if run.run_id:
            await run.end(state, last_error)


def first_of(error: BaseException) -> ArchiveError | None:
    """The first foreseen error in what a task group raised, or None."""
    if isinstance(error, ArchiveError):
        return error
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return next((found for found in map(first_of, inner) if found is not None), None)
