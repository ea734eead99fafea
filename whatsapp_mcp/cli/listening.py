"""``listen``: stays until it is told to stop, or until the queue is empty."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.cli.progress import duration
from whatsapp_mcp.cli.terminal import many, say, say_json
from whatsapp_mcp.errors import SettingsError, WriterRunning
from whatsapp_mcp.server.fencing import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from anyio.abc import TaskStatus

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.sync import Outcome, Progress
    from whatsapp_mcp.views import Listener

_log = logging.getLogger(__name__)

CATCH_UP_MINUTES: Final = 60

_ON_TERMINAL: Final = 0.1
_BUSY: Final = 5.0
_IDLE: Final = 60.0
_IN_LOG: Final = 600.0
_STATES: Final = {
    "checking": "asking the instance how it is",
    "waiting": "the instance is not linked to a phone; looking again every minute",
    "refused": "nothing can be stored; trying again",
    "offline": "Green API does not answer; trying again",
}


def listen(command: Command) -> int:
    """``listen``: the notification queue or, with ``--webhook``, the receiver; a signal to stop is a success."""
    if not command.args.webhook:
        command.archive.settings.credentials()  # what is wrong with the settings comes before any folder is made
    shown = ListeningLine(sys.stderr, command.archive.clock.monotonic)
    try:
        outcome = anyio.run(_work, command, shown)
    except KeyboardInterrupt:  # where signals cannot be received (Windows), or at the second one
        outcome = None
    finally:
        shown.finish()
    if outcome is None:
        print("whatsapp-mcp: stopped.", file=sys.stderr)
        return 0
    if command.args.json:
        say_json(asdict(outcome))
    else:
        for line in _outcome_lines(outcome):
            say(line)
    return 3 if command.args.drain and outcome.state == "partial" else 0


def _outcome_lines(outcome: Outcome) -> Iterator[str]:
    notifications = f"{many(outcome.messages_seen, 'notification')} in {duration(outcome.seconds)}"
    yield f"{notifications}: {many(outcome.messages_new, 'new message')}."
    yield from outcome.notes


async def _work(command: Command, shown: ListeningLine) -> Outcome | None:
    stop = anyio.Event()
    outcome: Outcome | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_heed_signals, stop, tasks.cancel_scope)
        try:
            outcome = await (_receive if command.args.webhook else _poll)(command, stop, shown)
        except WriterRunning as error:
            raise listener_is_running(command.archive, error) from None
        finally:
            tasks.cancel_scope.cancel()
    return outcome


async def _heed_signals(
    stop: anyio.Event, scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """The first signal lets the work come to its end, the second one cuts it off."""
    try:
        async with AsyncExitStack() as stack:
            received = stack.enter_context(anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT))
            task_status.started()
            async for _ in received:
                if stop.is_set():
                    scope.cancel()
                stop.set()
    except NotImplementedError:  # asyncio on Windows: Ctrl-C raises KeyboardInterrupt instead
        task_status.started()


async def _poll(command: Command, stop: anyio.Event, shown: ListeningLine) -> Outcome:
    from whatsapp_mcp.sync.listen import listen as flow

    archive, args = command.archive, command.args
    minutes = CATCH_UP_MINUTES if args.catch_up is None else args.catch_up
    with archive.writer(durable=True) as writer:
        async with archive.gateway() as gateway:
            return await flow(
                gateway, writer, archive.clock, stop=stop, drain=args.drain, catch_up_minutes=minutes, report=shown
            )


async def _receive(command: Command, stop: anyio.Event, shown: ListeningLine) -> Outcome:
    from whatsapp_mcp.webhook import serve_webhook

    archive, settings = command.archive, command.archive.settings
    minutes = CATCH_UP_MINUTES if command.args.catch_up is None else command.args.catch_up
    with archive.writer(durable=True) as writer:
        async with AsyncExitStack() as stack:
            try:
                gateway = await stack.enter_async_context(archive.gateway())
            except SettingsError:  # what arrives needs no credentials
                gateway = None
            return await serve_webhook(
                writer,
                archive.clock,
                host=settings.webhook_host,
                port=settings.webhook_port,
                token=settings.webhook_token,
                stop=stop,
                gateway=gateway,
                catch_up_minutes=minutes,
                report=shown,
                say=shown.say,
            )


def listener_is_running(archive: Archive, error: WriterRunning) -> WriterRunning:
    """What to say in place of `error` where it is a listener that holds the archive: nothing needs to be done."""
    listener = archive.listener()
    if listener is None:
        return error
    return WriterRunning(_about(listener), advice="Nothing needs to be fetched; reading works meanwhile.")


def _about(listener: Listener) -> str:
    who = "A listener" if listener.pid is None else f"A listener (pid {listener.pid})"
    return f"{who} is running and keeps the archive current: {many(listener.notifications, 'notification')} since it started."


class ListeningLine:
    """Call it with each `Progress`: a line moves on a terminal; elsewhere one comes when something came, or each minute."""

    def __init__(self, stream: TextIO, monotonic: Callable[[], float]) -> None:
        """Print to `stream`, at the pace of `monotonic` seconds."""
        self._stream = stream
        self._monotonic = monotonic
        self._terminal = stream.isatty()
        self._shown_at = self._logged_at = -_IN_LOG
        self._shown: Progress | None = None
        self._open = False

    def __call__(self, progress: Progress) -> None:
        """Show `progress`, if it is time to."""
        now = self._monotonic()
        if now - self._logged_at >= _IN_LOG:
            self._logged_at = now
            _log.info(describe(progress), extra={"run": progress.run_id})
        if now - self._shown_at >= self._patience(progress):
            self._shown_at, self._shown = now, progress
            with suppress(OSError):  # a terminal that is gone is no reason to stop listening
                self._show(describe(progress))

    def _patience(self, progress: Progress) -> float:
        if self._terminal:
            return _ON_TERMINAL
        if self._shown is None or self._shown.state != progress.state:
            return 0.0
        return _BUSY if progress.messages_seen > self._shown.messages_seen else _IDLE

    def _show(self, text: str) -> None:
        if not self._terminal:
            print(text, file=self._stream, flush=True)
            return
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{text[:width]:<{width}}", end="", file=self._stream, flush=True)
        self._open = True

    def say(self, text: str) -> None:
        """Print a line for people between the lines of the progress."""
        self.finish()
        print(clean(text), file=self._stream, flush=True)

    def finish(self) -> None:
        """Leave the moving line, so that what follows starts on its own."""
        if self._open:
            print(file=self._stream, flush=True)
            self._open = False


def describe(progress: Progress) -> str:
    """One line of numbers, without any name."""
    counts = f"{many(progress.messages_seen, 'notification')}, {many(progress.messages_new, 'new message')}"
    return f"{_STATES.get(progress.state, progress.state)}: {counts}"
