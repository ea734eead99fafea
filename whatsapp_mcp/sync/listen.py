"""The notification queue: each notification is acknowledged only after its transaction is durable.

The head of the queue stays until it is acknowledged, so a process that is killed at any moment loses nothing: what it had
stored and not acknowledged comes again and is recognised. For the same reason nothing may block the head: what nobody can read
is kept as it came, counted, and acknowledged like the rest.

Messages come to the queue that no journal has, and the other way round (Green API tracker #1118, #1020): so the journals are
asked now and then by the same process, and the number of notifications that wait is compared with what is handed out (#1115).
"""

from __future__ import annotations

import logging
import math
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.errors import (
    ArchiveError,
    DatabaseCorrupt,
    DatabaseTooNew,
    GatewayError,
    InstanceStarting,
    NotAuthorized,
    RequestRefused,
    StorageError,
    UsageError,
)
from whatsapp_mcp.normalise import (
    changed_state,
    instance_settings,
    notified_at,
    receipt_id,
    told_account,
)
from whatsapp_mcp.store import Mark
from whatsapp_mcp.store.gaps import LAG
from whatsapp_mcp.sync.emptiness import SHORTEST_POLL, TRIES, Emptiness
from whatsapp_mcp.sync.instance import account_answers, ensure_working, works
from whatsapp_mcp.sync.position import JOURNALS_CURSOR
from whatsapp_mcp.sync.reach import ELSEWHERE, MODE, SINCE, UNTIL, Reach, break_off, untold
from whatsapp_mcp.sync.recent import sync_recent
from whatsapp_mcp.sync.running import Run, closing, first_of
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

_log = logging.getLogger(__name__)

_POLL: Final = 20
"""Seconds for which an empty queue is waited on."""
_ACKNOWLEDGE: Final = 10.0
"""Seconds after which an acknowledgement is given up, so that a stop is not held up; the notification then comes again."""
_SAVE: Final = 5.0
_MARK: Final = 60.0
"""Seconds between the transactions that only say how far the queue is read."""
_LOOK: Final = 3_600.0
_LOOK_OFTEN: Final = 60.0
"""Seconds between looks at the instance: while it works, and while it does not."""
_GLANCE: Final = 5.0
SETTLED: Final = LAG + 60.0
"""Seconds after which the journals tell of a moment: without a second look the listening would begin behind a hole."""
_LONGEST_PAUSE: Final = 60.0


def webhook_is_set() -> UsageError:
    """What to say where notifications are sent to an address, so that none wait in the queue."""
    return UsageError(
        "Green API sends the notifications of this instance to a webhook address, so none wait in the queue: "
        "the two exclude each other.",
        advice="Clear webhookUrl in the Green API console, or let it point to this computer and run `listen --webhook`.",
    )


async def listen(
    gateway: GreenApi,
    writer: Writer,
    clock: Clock,
    *,
    stop: anyio.Event | None = None,
    drain: bool = False,
    catch_up_minutes: int = 60,
    report: Report | None = None,
) -> Outcome:
    """Store what the queue brings until `stop` is set or, with `drain`, until the queue is empty.

    `writer` must be durable: what was acknowledged is gone at Green API. A stop finishes the notification at hand and ends the
    run as ``complete``; troubles of the network and a disk that refuses are waited out, except with `drain`. Every
    `catch_up_minutes` (0 is never) the journals are asked as well; with `drain` they are not.

    Raises `UsageError` where a webhook address is set or the archive belongs to another account, `CredentialsError`,
    `InstanceGone` and `DatabaseCorrupt`, and with `drain` also what else the gateway or the disk said.
    """
    run = Run(gateway, Pen(writer), clock, report)
    async with closing(run):
        await run.begin("listen")
        journals = _Journals(gateway, writer, run, 0 if drain else catch_up_minutes * 60.0)
        listener = _Listener(gateway, run, journals, drain=drain)
        await _until(stop, listener.work, journals.keep_up)
        await listener.leave()
        await run.end_as_it_went()
    return run.outcome()


async def catch_up(gateway: GreenApi, writer: Writer, run: Run) -> None:
    """Fetch from the journals what the notifications missed, if there ever was a sync; a failure becomes a note of `run`."""
    try:
        if await run.pen.call(run.pen.store.cursor, JOURNALS_CURSOR) is not None:
            await sync_recent(gateway, writer, run.clock)
    except Exception as error:  # noqa: BLE001 - notifications are more important than the journals
        known = first_of(error)
        _log.warning("catching up failed: %s", type(known or error).__name__, extra={"run": run.run_id})
        run.note(f"Catching up failed once: {known.what if known else type(error).__name__}")


async def _until(
    stop: anyio.Event | None, work: Callable[[], Awaitable[None]], beside: Callable[[], Coroutine[object, object, None]]
) -> None:
    async def cancel_when(stopped: anyio.Event) -> None:
        await stopped.wait()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        if stop is not None:
            tasks.start_soon(cancel_when, stop)
        tasks.start_soon(beside)
        await work()
        tasks.cancel_scope.cancel()


class _Listener:
    """Takes notifications one by one."""

    def __init__(self, gateway: GreenApi, run: Run, journals: _Journals, *, drain: bool) -> None:
        self._gateway = gateway
        self._run = run
        self._clock = run.clock
        self._journals = journals
        self._drain = drain
        self._emptiness = Emptiness(gateway, run)
        self._reach = Reach({}, run.now)
        self._sure_at = run.now  # then it was last seen to be linked and to tell everything; what is said of later may be wrong
        self._accounts: set[str | None] = {None}
        self._is_known = self._is_done = False
        self._is_working = True
        self._proves = True
        self._waited = False
        self._troubles = self._refusals = self._odd = self._repeats = self._quick = 0
        self._last_receipt: int | None = None
        self._unreadable = 0
        self._saved_at = self._marked_at = self._looked_at = self._clock.monotonic()

    async def work(self) -> None:
        """Listen until the queue is drained, where that is wanted; else only an error or a cancellation ends it."""
        cursors = {name: await self._run.pen.call(self._run.pen.store.cursor, name) for name in (SINCE, UNTIL, MODE)}
        self._reach = Reach(cursors, self._run.now)
        while not self._is_done:
            try:
                await self._step()
            except StorageError as error:
                await self._bear_disk(error)

    async def _step(self) -> None:
        try:
            await (self._poll() if self._is_known else self._get_to_know())
        except (GatewayError, ExceptionGroup) as error:
            known = first_of(error)
            if not isinstance(known, GatewayError):
                raise
            await self._bear(known)

    async def leave(self) -> None:
        """Write down how far it came."""
        if self._is_known:
            await self._write()
        if self._unreadable:
            self._run.note(f"{self._unreadable:,} notifications could not be read; they are kept as they came.")

    # The instance

    async def _get_to_know(self) -> None:
        """Look at the instance: whether it works, whose it is, and whether it puts what matters into the queue."""
        self._run.state = "checking"
        self._run.tell()
        self._looked_at = self._clock.monotonic()
        try:
            await self._run.pen.receive(await ensure_working(self._gateway, self._clock))
            self._start_working()
        except (NotAuthorized, InstanceStarting) as error:
            await self._stop_working(error.what)
            if self._drain:
                raise
        for payload in await account_answers(self._gateway, self._run.pen):
            if payload.origin == "getSettings":
                await self._heed(instance_settings(payload))
            else:
                await self._run.pen.receive(payload)
        self._is_known = True
        self._accounts.add(await self._run.pen.call(self._run.pen.store.owner))
        if self._tells_all:
            self._sure_at = self._run.now
        await self._write()
        self._journals.begin()
        self._enter_listening()

    async def _heed(self, settings: Mapping[str, str]) -> None:
        if settings.get("webhookUrl"):
            # What is sent there never comes here, also when the address is cleared again within a day.
            await self._break_off(Mark(self._run.now, cursors={MODE: ELSEWHERE, SINCE: ""}))
            raise webhook_is_set()
        missing = untold(settings)
        if self._proves == bool(missing):
            await self._break_off()
            self._proves = not missing
        if missing:
            self._run.note(f"The instance does not tell {' or '.join(missing)}; `whatsapp-mcp doctor` says what to switch on.")

    async def _break_off(self, mark: Mark | None = None) -> None:
        """Not everything was told since it was last looked at, and nobody knows since when: claim nothing of it."""
        self._reach.restart(self._run.now)
        await self._run.pen.call(break_off, self._run.pen.store, self._sure_at, mark or self._mark(goes_on=False))

    def _start_working(self) -> None:
        if not self._is_working:
            self._is_working = True
            self._reach.restart(self._run.now)
            self._journals.hurry()

    async def _stop_working(self, why: str) -> None:
        if self._is_working:
            await self._break_off()
            self._is_working = False
        self._run.note(f"{why} What happened meanwhile may be missing until the next sync.", missing=True)

    async def _look(self) -> None:
        """Notice when the instance lost its phone, is linked again, perhaps to another one, or got other settings."""
        self._looked_at = self._clock.monotonic()
        if works(await self._gateway.get_state_instance()):
            self._is_known = False
        elif self._is_working:
            await self._stop_working("The instance was not linked to a phone for a while.")
            self._enter_listening()

    def _enter_listening(self) -> None:
        self._run.state = "listening" if self._is_working else "waiting"
        self._run.tell()

    async def _bear(self, error: GatewayError) -> None:
        """Wait out what passes by itself; raises the rest."""
        passes = error.transient or isinstance(error, NotAuthorized | RequestRefused)
        if self._drain or not passes:
            raise error
        if isinstance(error, NotAuthorized | InstanceStarting):
            await self._stop_working(error.what)
            self._run.state, pause = "waiting", _LOOK_OFTEN
        else:
            self._run.note(f"There was trouble, and it was waited out: {error.what}")
            self._troubles += 1
            self._run.state, pause = "offline", self._growing(self._troubles)
        if isinstance(error, RequestRefused | NotAuthorized | InstanceStarting):
            self._is_known = False  # the phone may be another one now, or a webhook address may have been set
        self._run.tell()
        _log.warning("waiting %.0f s after %s", pause, type(error).__name__, extra={"run": self._run.run_id})
        await self._clock.sleep(pause)
        self._enter_listening()

    async def _bear_disk(self, error: StorageError) -> None:
        """Wait until there is room again, or another program lets go of the database; nothing was acknowledged."""
        if self._drain or isinstance(error, DatabaseCorrupt | DatabaseTooNew):
            raise error
        self._run.note(f"Nothing could be stored for a while, and it was waited out: {error.what}")
        self._refusals += 1
        self._looked_at -= _LOOK  # what it refused may have been the end of a time that was claimed
        self._run.state, pause = "refused", self._growing(self._refusals)
        self._run.tell()
        _log.warning("waiting %.0f s: %s", pause, error.what)
        await self._clock.sleep(pause)
        self._enter_listening()

    def _growing(self, times: int) -> float:
        return min(_LONGEST_PAUSE, 2.0 ** min(times - 1, 6)) * (0.75 + self._clock.random() / 2)

    # The queue

    async def _poll(self) -> None:
        asked_at, began = self._run.now, self._clock.monotonic()
        seconds = _POLL if self._waited and not self._drain else SHORTEST_POLL
        payload = await self._gateway.receive_notification(seconds)
        self._troubles = 0
        if payload.items:
            await self._take(replace(payload, context={}), asked_at)
        else:
            self._waited = True
            await self._found_empty(asked_at, self._clock.monotonic() - began)
        await self._between(is_quiet=not payload.items)

    async def _take(self, payload: Payload, asked_at: int) -> None:
        self._quick = 0
        self._emptiness.disproved()
        receipt = receipt_id(payload)
        if receipt is None:
            await self._keep_odd(payload)
            return
        self._odd = 0
        await self._ensure_account(told_account(payload))
        with anyio.CancelScope(shield=True):
            before = copy(self._reach)
            self._prove(partial(self._reach.taken, asked_at, notified_at(payload)))
            try:
                await self._store(payload, self._mark(goes_on=not changed_state(payload)))
            except ArchiveError:
                self._reach = before
                raise
            self._refusals = 0
            await self._acknowledge(receipt)
        if changed_state(payload):
            # Linked or not, it was not for a while; behind the notification may come those of another phone.
            self._sure_at = max(self._sure_at, self._reach.until)
            self._reach.restart(self._run.now)
            self._looked_at -= _LOOK
        await self._guard_against_repetition(receipt)

    async def _ensure_account(self, account: str) -> None:
        """The first notification of an account makes sure that the instance is not linked to another phone by now."""
        if not account:
            return
        account = await self._run.pen.call(self._run.pen.store.canonical, account)
        if account not in self._accounts:
            await account_answers(self._gateway, self._run.pen)
            if self._accounts - {None}:
                self._run.note("Some notifications say that they are of another account than this archive's.")
            self._accounts.add(account)

    async def _store(self, payload: Payload, mark: Mark) -> None:
        """Make a notification durable; whatever it holds, it can be acknowledged then."""
        try:
            applied = await self._run.pen.receive(payload, mark)
        except ArchiveError:
            raise
        except Exception as error:  # noqa: BLE001 - one that nobody can store must not block all that wait behind it
            await self._run.keep_unread(payload, mark, error)
            self._unreadable += 1
            return
        if applied.unseen:
            self._unreadable += bool(applied.unreadable)
            self._run.counters.received(applied.unseen, applied.messages)

    async def _acknowledge(self, receipt: int) -> None:
        """A failure does no harm: the notification comes again, and is known."""
        with anyio.move_on_after(_ACKNOWLEDGE):
            try:
                await self._gateway.delete_notification(receipt)
            except GatewayError as error:
                _log.warning("an acknowledgement failed: %s", type(error).__name__, extra={"run": self._run.run_id})

    async def _guard_against_repetition(self, receipt: int) -> None:
        self._repeats = self._repeats + 1 if receipt == self._last_receipt else 0
        self._last_receipt = receipt
        if self._repeats < TRIES:
            return
        self._run.note("Green API hands out the same notification again and again, although it is acknowledged.")
        await self._pause_or_give_up(self._repeats)

    async def _keep_odd(self, payload: Payload) -> None:
        """Something without a receipt: it cannot be acknowledged, and will be there again, so it is kept once."""
        self._odd += 1
        if self._odd == 1:
            with anyio.CancelScope(shield=True):
                await self._store(payload, Mark(self._run.now))
            self._run.note("Green API answered with something that cannot be acknowledged; it is kept.")
        await self._pause_or_give_up(self._odd)

    async def _pause_or_give_up(self, times: int) -> None:
        if self._drain and times >= TRIES:
            self._is_done = True
            self._run.note("What waits behind it was not read.", missing=True)
            return
        self._run.tell()
        await self._clock.sleep(self._growing(times))

    async def _found_empty(self, asked_at: int, seconds: float) -> None:
        self._odd = 0
        self._last_receipt = None
        is_empty = await self._emptiness.is_believed(seconds, ask=self._drain)
        if is_empty:
            self._prove(partial(self._reach.drained, asked_at))
        self._is_done = self._drain and (is_empty or self._emptiness.is_hopeless)
        self._quick = self._quick + 1 if seconds < 1 else 0
        if self._quick and not self._is_done:
            await self._clock.sleep(min(1.0, self._quick / 10))

    @property
    def _tells_all(self) -> bool:
        return self._proves and self._is_working

    def _prove(self, step: Callable[[], None]) -> None:
        step()
        if not self._tells_all:
            self._reach.restart(self._reach.until)

    def _mark(self, *, goes_on: bool = True) -> Mark:
        """Whoever listens after this process goes on from here only where it `goes_on`, and the instance tells everything."""
        return self._reach.mark(self._run.now, goes_on=goes_on and self._tells_all)

    # Between polls

    async def _between(self, *, is_quiet: bool) -> None:
        now = self._clock.monotonic()
        self._run.tell()
        if now - self._marked_at >= _MARK:
            await self._write()
        elif now - self._saved_at >= _SAVE and not is_quiet:
            self._saved_at = now
            await self._run.save()
        if now - self._looked_at >= (_LOOK if self._is_working else _LOOK_OFTEN):
            await self._look()

    async def _write(self) -> None:
        self._marked_at = self._saved_at = self._clock.monotonic()
        await self._run.pen.call(self._run.pen.store.mark_chat, self._mark())
        await self._run.save()


class _Journals:
    """Asks the journals now and then, beside the queue and under the same lock."""

    def __init__(self, gateway: GreenApi, writer: Writer, run: Run, every: float) -> None:
        """Do it every so many seconds; 0 is never."""
        self._gateway = gateway
        self._writer = writer
        self._run = run
        self._every = every
        self._due = math.inf
        self._is_new = False  # the listening began a moment ago, which no journal tells of yet

    def begin(self) -> None:
        """The instance is known: from now on they are asked."""
        if self._due == math.inf:
            self.hurry()

    def hurry(self) -> None:
        """Ask at once, because a listening begins, and again when the journals reach up to its beginning."""
        self._is_new = True
        self._due = self._run.clock.monotonic()

    async def keep_up(self) -> None:
        """Ask whenever it is time."""
        while self._every:
            await self._run.clock.sleep(_GLANCE)
            if self._run.clock.monotonic() >= self._due:
                self._due = self._run.clock.monotonic() + (min(SETTLED, self._every) if self._is_new else self._every)
                self._is_new = False
                await catch_up(self._gateway, self._writer, self._run)
