"""``whatsapp-mcp-scheduler``: every job at its time, or one of them now; stopped by a signal."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio

from whatsapp_mcp.app import hold_scheduler_lock
from whatsapp_mcp.cli.parser import parse_scheduler
from whatsapp_mcp.cli.run import main as run_program
from whatsapp_mcp.cli.terminal import say, say_json
from whatsapp_mcp.errors import SettingsError
from whatsapp_mcp.server.fencing import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskStatus

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.scheduler.jobs import Done
    from whatsapp_mcp.scheduler.running import Scheduler


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scheduler and return its exit code; prints errors, raises none."""
    return run_program(argv, parse_scheduler)


def work(command: Command) -> int:
    """Everything at its time until a signal comes, or with ``--once`` one job."""
    from whatsapp_mcp.scheduler.running import Scheduler

    archive, once = command.archive, command.args.once
    scheduler = Scheduler(archive, say=_say if sys.stderr.isatty() else None)
    _warn_of_mail(archive)
    if once is None:
        archive.settings.credentials()
        with hold_scheduler_lock(archive.home):
            anyio.run(_work, scheduler, None)
        return 0
    done = anyio.run(_work, scheduler, once)
    return _answer(command, {once: done, **scheduler.followed}) if done is not None else 0


def _answer(command: Command, ended: dict[str, Done]) -> int:
    """Tell how the job ended and those that followed it; the code is that of the first that did not go well."""
    code = next((done.exit_code for done in ended.values() if done.exit_code), 0)
    if command.args.json:
        first, *others = ({"job": name, "state": done.state, "said": done.said} for name, done in ended.items())
        say_json({**first, "exit_code": code, "followed": others})
        return code
    for name, done in ended.items():
        if done.state != "complete":
            _say(f"{name}: {done.state}. {done.said}")
        elif sys.stdout.isatty():
            say(f"{name}: complete. {done.said}")
    return code


def _say(text: str) -> None:
    print(f"whatsapp-mcp-scheduler: {clean(' '.join(text.split()))}", file=sys.stderr, flush=True)


def _warn_of_mail(archive: Archive) -> None:
    """What is wrong with e-mail stops no job."""
    if archive.settings.wants_reports:
        try:
            archive.settings.mailbox()
        except SettingsError as error:
            _say(f"no report can be sent: {error}")
        try:
            archive.settings.report_names()
        except SettingsError as error:
            _say(f"reports name no chats: {error}")


async def _work(scheduler: Scheduler, once: str | None) -> Done | None:
    stop = anyio.Event()
    done: Done | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(_heed_signals, stop)
        if once is None:
            await scheduler.run(stop)
        else:
            done = await scheduler.once(once, stop)
        tasks.cancel_scope.cancel()
    return done


async def _heed_signals(stop: anyio.Event, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """The first signal lets the transaction at hand come to its end, the second one cuts; nothing is lost either way."""
    try:
        async with AsyncExitStack() as stack:
            received = stack.enter_context(anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT))
            task_status.started()
            async for sign in received:
                if stop.is_set():
                    signal.signal(sign, signal.SIG_DFL)
                    os.kill(os.getpid(), sign)
                stop.set()
    except NotImplementedError:  # asyncio on Windows: Ctrl-C raises KeyboardInterrupt instead
        task_status.started()
