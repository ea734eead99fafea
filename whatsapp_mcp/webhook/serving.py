"""``listen --webhook`` from its beginning to its end: checks, the server, a run with its counters, and the journals in between.

The gateway is only asked, and only where there are credentials; what arrives by the webhook needs none.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.doctor import WANTED_ON
from whatsapp_mcp.errors import ArchiveError, GatewayError, SettingsError, UsageError
from whatsapp_mcp.greenapi.measuring import Statistics
from whatsapp_mcp.normalise import changed_state, instance_settings, notified_at, told_account
from whatsapp_mcp.store import Mark
from whatsapp_mcp.sync.instance import account_answers
from whatsapp_mcp.sync.listen import SETTLED, catch_up
from whatsapp_mcp.sync.reach import MODE, WEBHOOK, break_off, untold
from whatsapp_mcp.sync.running import Run, closing, first_of
from whatsapp_mcp.sync.writing import Pen
from whatsapp_mcp.webhook.admission import Admission
from whatsapp_mcp.webhook.complaints import Complaints
from whatsapp_mcp.webhook.connections import Server, is_loopback, open_listener
from whatsapp_mcp.webhook.proof import Proof
from whatsapp_mcp.webhook.receiver import LONG, PATH, Limits, build_app

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Mapping

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.greenapi import GreenApi
    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.sync.progress import Outcome
    from whatsapp_mcp.sync.running import Report
    from whatsapp_mcp.sync.writing import Writer

_log = logging.getLogger(__name__)

_SAVE_EVERY: Final = 3.0
_SIGN_OF_LIFE: Final = 60.0
"""Seconds after which the run is saved also while nothing arrives: others see by it that somebody listens."""
_LOOK_AGAIN: Final = 3_600.0
_ASK_AGAIN: Final = 120.0
"""Seconds after which the settings and the account are looked at again, and those after a question without an answer."""
_CHECKS_TAKE: Final = 20.0
"""Seconds for the questions at the start; after that the receiver opens all the same."""

_OPEN_HERE: Final = (
    "There is no WEBHOOK_TOKEN, so every program of this computer may post, and through a tunnel everybody. "
    "Set one here and as webhookUrlToken in the Green API console."
)
_NO_ADDRESS: Final = (
    "Green API has no webhook address, so nothing will arrive: in its console set webhookUrl to the public address of this "
    f"receiver, ending in {PATH}, and webhookUrlToken to WEBHOOK_TOKEN. This program changes no setting there."
)
_OF_ANOTHER: Final = (
    "Some notifications say that they are of another account than this archive's: does another instance post here too?"
)
_FLAGS_OFF: Final = "Green API is not told to report all that an archive needs: `whatsapp-mcp doctor` names the settings."


class _NobodyAsks:
    """Stands for the gateway in a run without credentials."""

    def __init__(self) -> None:
        self.rate_scale = 1.0
        self.statistics = Statistics()


async def serve_webhook(
    writer: Writer,
    clock: Clock,
    *,
    host: str,
    port: int,
    token: str,
    stop: anyio.Event,
    gateway: GreenApi | None = None,
    catch_up_minutes: int = 60,
    report: Report | None = None,
    say: Callable[[str], None] | None = None,
    opened: Callable[[str], None] | None = None,
    limits: Limits | None = None,
) -> Outcome:
    """Receive notifications at ``http://host:port/webhook`` until `stop` is set, then finish the requests at hand.

    `writer` must be durable, since Green API forgets what is answered. With a `gateway` the journals are asked at the start and
    every `catch_up_minutes` (0 is never); a failure there is a note. `say` is told, in lines for people, where the receiver
    waits and what stands in its way; `opened` its address, once it is open (`port` 0 takes a free one).

    Raises:
        SettingsError: there is no token and `host` is not loopback, or the address cannot be listened on.
        UsageError: the instance is another account than this archive's.
        StorageError: the run cannot be written.

    """
    admission = Admission(token)
    if not admission.needs_token and not is_loopback(host):
        raise SettingsError(
            f"WEBHOOK_TOKEN is not set, and {host} can be reached from other computers.",
            advice="Set a long random WEBHOOK_TOKEN, or leave WEBHOOK_HOST at 127.0.0.1.",
        )
    listening = _Listening(Run(gateway or _NobodyAsks(), Pen(writer), clock, report), writer, limits or Limits(), say)
    with open_listener(host, port) as listener:
        async with closing(listening.run):
            await listening.begin(gateway, admission)
            listening.opened(listener, opened)
            async with anyio.create_task_group() as beside:
                beside.start_soon(listening.save_now_and_then)
                if gateway is not None:
                    beside.start_soon(listening.look_now_and_then, gateway, stop)
                if gateway is not None and catch_up_minutes:
                    beside.start_soon(listening.catch_up_now_and_then, gateway, catch_up_minutes * 60.0)
                await listening.serve(listener, token, stop)
                beside.cancel_scope.cancel()
            await listening.end()
    return listening.run.outcome()


class _Listening:
    """What one receiver does while it is open."""

    def __init__(self, run: Run, writer: Writer, limits: Limits, say: Callable[[str], None] | None) -> None:
        self.run = run
        self._writer = writer
        self._limits = limits
        self._say = say
        self._complaints = Complaints(run.clock)
        self._proof = Proof()
        self._sure_at = run.now  # then the instance was last known to notify of everything
        self._is_answered = False
        self._accounts: set[str | None] = {None}
        self._one_asks = anyio.Lock()
        self._gateway: GreenApi | None = None
        self._look = anyio.Event()
        self._fatal: ArchiveError | None = None
        self._empty = 0
        self._unsaved = False

    async def begin(self, gateway: GreenApi | None, admission: Admission) -> None:
        """Start the run, and tell what stands in the way."""
        run = self.run
        await run.begin("listen")
        self._proof = await run.pen.call(Proof.of, run.pen.store, run.now)
        await run.pen.call(run.pen.store.mark_chat, Mark(run.now, cursors={MODE: WEBHOOK}))
        if not admission.needs_token:
            self._note(_OPEN_HERE)
        if gateway is not None:
            self._gateway = gateway
            self._proof.can_prove = False  # until the settings are known
            await self._ask(gateway)
        self._accounts.add(await run.pen.call(run.pen.store.owner))

    async def _ask(self, gateway: GreenApi) -> None:
        self._is_answered = False
        with anyio.move_on_after(_CHECKS_TAKE) as scope:
            try:
                for payload in await account_answers(gateway, self.run.pen):
                    if payload.origin == "getSettings":  # it holds the token, so it is not stored
                        await self._judge(instance_settings(payload))
                    else:
                        await self.run.pen.receive(payload)
                self._is_answered = True
            except (ArchiveError, ExceptionGroup) as error:
                known = first_of(error)
                if not isinstance(known, GatewayError):
                    raise
                self._note(f"Green API could not be asked: {known}", "Green API could not be asked.")
        if scope.cancelled_caught:
            self._note("Green API did not answer; the receiver is open all the same.")

    async def _judge(self, flags: Mapping[str, str]) -> None:
        if not flags.get("webhookUrl"):
            self._note(_NO_ADDRESS)
        if any(flags.get(name) != "yes" for name in WANTED_ON):
            self._note(_FLAGS_OFF)
        self._proof.can_prove = not untold(flags)
        if self._proof.can_prove:
            self._sure_at = self.run.now
        else:
            await self._break_off()

    async def _break_off(self) -> None:
        """Not everything was told since it was last looked at, and nobody knows since when: claim nothing of it."""
        await self.run.pen.call(break_off, self.run.pen.store, self._sure_at, self._proof.broken(self.run.now))

    async def look_now_and_then(self, gateway: GreenApi, stop: anyio.Event) -> None:
        """Ask again whose the instance is and what it tells: each hour, and when a notification leaves doubts."""
        while not stop.is_set():
            await self._wait(_LOOK_AGAIN if self._is_answered else _ASK_AGAIN)
            await self._try(lambda: self._look_again(gateway, stop))

    async def _look_again(self, gateway: GreenApi, stop: anyio.Event) -> None:
        try:
            await self._ask(gateway)
        except UsageError as error:  # another account: nothing more of it may come in
            self._fatal = error
            stop.set()

    async def _wait(self, seconds: float) -> None:
        async def cancel_later() -> None:
            await self.run.clock.sleep(seconds)
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel_later)
            await self._look.wait()
            tasks.cancel_scope.cancel()
        self._look = anyio.Event()

    def _note(self, text: str, logged: str = "") -> None:
        if text not in self.run.notes:
            self.run.note(text)
            self._tell(text, logged)

    def _tell(self, text: str, logged: str = "") -> None:
        _log.info(logged or text, extra={"run": self.run.run_id})
        if self._say is not None:
            self._say(text)

    def opened(self, listener: socket.socket, opened: Callable[[str], None] | None) -> None:
        """The receiver is open."""
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"
        self.run.state = "listening"
        self._tell(f"Waiting for notifications at {url}")
        self.run.tell()
        if opened is not None:
            opened(url)

    async def serve(self, listener: socket.socket, token: str, stop: anyio.Event) -> None:
        """Answer until `stop` is set."""
        app = build_app(
            self._receive, token=token, clock=self.run.clock, limits=self._limits, complaints=self._complaints, tally=self
        )
        await Server(app, self._limits, self._complaints).serve_until(stop, listener)

    async def _receive(self, payload: Payload) -> None:
        told_at = notified_at(payload) if len(payload.items[0]) < LONG else None
        if told_at is not None and (account := told_account(payload)):
            try:
                await self._heed_account(account)
            except UsageError:
                self._look.set()
                raise
        mark = self._proof.mark(told_at, payload.received_at)
        is_change = told_at is not None and bool(changed_state(payload))
        await self._store(payload, self._proof.last(mark) if is_change else mark)
        self._proof.settle(told_at, payload.received_at)
        self._unsaved = True
        if told_at is not None and is_change:
            # Linked or not, it was not for a while; behind the notification may come those of another phone.
            self._sure_at = max(self._sure_at, min(told_at, self.run.now))
            await self._break_off()
            self._look.set()

    async def _heed_account(self, account: str) -> None:
        """The first notification of an account makes sure that the instance is not linked to another phone by now."""
        account = await self.run.pen.call(self.run.pen.store.canonical, account)
        async with self._one_asks:
            if account in self._accounts:
                return
            if self._gateway is not None:
                await self._ask(self._gateway)
            if self._accounts - {None}:
                self._note(_OF_ANOTHER)
            self._accounts.add(account)

    async def _store(self, payload: Payload, mark: Mark) -> None:
        """Make it durable; what cannot become rows by a mistake of ours is kept as it came, or it would come for a day."""
        pen = self.run.pen
        try:
            applied = await pen.receive(payload, mark)
        except ArchiveError:
            raise
        except Exception:  # noqa: BLE001 - it may be the mistake of another one in the same transaction
            try:
                applied = await pen.call(self._writer.ingest.receive, payload, mark)
            except ArchiveError:
                raise
            except Exception as error:  # noqa: BLE001 - now it is its own
                await self.run.keep_unread(payload, mark, error)
                return
        self.run.counters.received(applied.items, applied.messages)

    def empty(self) -> None:
        """A notification without a body was answered."""
        self._empty += 1

    async def save_now_and_then(self) -> None:
        """Tell and save the counters while they change; a terminal that is gone must not cost an answer."""
        saved_at = self.run.clock.monotonic()
        while True:
            await self.run.clock.sleep(_SAVE_EVERY)
            if self._unsaved or self.run.clock.monotonic() - saved_at >= _SIGN_OF_LIFE:
                self._unsaved = False
                saved_at = self.run.clock.monotonic()
                await self._try(self.run.save)
                await self._try(self._show)

    async def _show(self) -> None:
        self.run.tell()

    async def catch_up_now_and_then(self, gateway: GreenApi, every: float) -> None:
        """Ask the journals, now and again and again: they know what notifications missed (Green API tracker #601, #1118).

        Sooner where a listening began anew, as soon as they reach up to its beginning.
        """
        clock, reached = self.run.clock, self._proof.since
        while True:
            await catch_up(gateway, self._writer, self.run)
            due = clock.monotonic() + every
            while clock.monotonic() < due and not self._is_reached(reached):
                await clock.sleep(min(every, SETTLED))
            reached = self._proof.since

    def _is_reached(self, before: int | None) -> bool:
        since = self._proof.since
        return since not in {None, before} and self.run.now >= (since or 0) + SETTLED

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        """What is done beside the receiver may fail without closing it."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - what arrives is more important
            known = first_of(error)
            _log.warning("beside the receiver: %s", type(known or error).__name__, extra={"run": self.run.run_id})
            self.run.note(f"Beside the receiver something failed: {known.what if known else type(error).__name__}")

    async def end(self) -> None:
        """Close the run; what was refused, and what came empty, is told in its notes."""
        for reason, count in self._complaints.counts.most_common():
            self.run.note(f"Refused {count} times: {reason}.")
        if self._empty:
            self.run.note(f"Empty notifications: {self._empty}.")
        if self._fatal is not None:
            raise self._fatal
        await self.run.end_as_it_went()
