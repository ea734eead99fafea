"""The commands that write to the archive, each under the writer's lock, and the one that proves what they wrote."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.cli import objects
from whatsapp_mcp.cli.listening import listener_is_running
from whatsapp_mcp.cli.progress import ProgressLine, duration
from whatsapp_mcp.cli.terminal import say, say_json
from whatsapp_mcp.errors import NotFound, WriterRunning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.sync import Outcome

PARTLY: Final = 3
"""The exit code of work that is done but for a part of it: some chats, lists, journals, files or steps."""

_FAILURES_NAMED: Final = 10


def sync_full(command: Command) -> int:
    """``sync full``: the whole history."""
    from whatsapp_mcp.sync import full_sync

    return _sync(command, partial(full_sync, clock=command.archive.clock, restart=command.args.restart))


def sync_recent(command: Command) -> int:
    """``sync recent``: what is new since the last sync."""
    from whatsapp_mcp.sync import nothing_synced
    from whatsapp_mcp.sync import sync_recent as fetch

    command.archive.settings.credentials()  # what is wrong with the settings comes first
    if not command.archive.database.exists():  # an archive is not made only to find out that it is empty
        raise nothing_synced()
    try:
        return _sync(command, partial(fetch, clock=command.archive.clock))
    except WriterRunning as error:
        raise listener_is_running(command.archive, error) from None


def sync_sweep(command: Command) -> int:
    """``sync sweep``: a share of the histories compared with the archive."""
    from whatsapp_mcp.sync import nothing_synced
    from whatsapp_mcp.sync import sweep as compare

    command.archive.settings.credentials()
    if not command.archive.database.exists():
        raise nothing_synced()
    return _sync(command, partial(compare, clock=command.archive.clock))


def sync_chat(command: Command) -> int:
    """``sync chat``: one chat's history."""
    from whatsapp_mcp.sync import sync_chat as fetch

    chat = _known_or_literal(command)
    return _sync(command, partial(fetch, clock=command.archive.clock, chat=chat, depth=command.args.depth))


def _known_or_literal(command: Command) -> str:
    """A chat that the archive does not know yet can be fetched by its WhatsApp id or its number."""
    from whatsapp_mcp.sync import chat_named

    asked: str = command.args.chat
    meant = chat_named(asked)
    if meant is not None and ("@" in asked or not command.archive.database.exists()):
        return meant
    try:
        return command.archive.queries.find_chat(asked).whatsapp_id
    except NotFound:
        if meant is None:
            raise
        return meant


def _sync(command: Command, fetch: Callable[..., Awaitable[Outcome]]) -> int:
    archive = command.archive
    shown = ProgressLine(sys.stderr, archive.clock.monotonic)
    gateway = archive.gateway()

    async def work() -> Outcome:
        with archive.writer() as writer:
            async with gateway:
                return await fetch(gateway, writer, report=shown)

    try:
        outcome = anyio.run(work)
    finally:
        shown.finish()
    if command.args.json:
        say_json(asdict(outcome))
    else:
        for line in _outcome_lines(outcome):
            say(line)
    return PARTLY if outcome.chats_failed or outcome.state == "partial" else 0


def _outcome_lines(outcome: Outcome) -> Iterator[str]:
    if not outcome.chats_total and not outcome.messages_seen:
        yield f"Nothing is new ({outcome.requests:,} requests in {duration(outcome.seconds)})."
    else:
        chats = f"{outcome.chats_done:,} of {outcome.chats_total:,} chats in {duration(outcome.seconds)}"
        yield f"{chats}: {outcome.messages_seen:,} messages, {outcome.messages_new:,} of them new."
    if outcome.chats_damaged:
        yield f"{outcome.chats_damaged:,} chats have a part that could not be read; the next sync asks for them again."
    if cut := outcome.chats_truncated - outcome.chats_damaged:
        yield f"{cut:,} chats reach further back than Green API gives; `whatsapp-mcp status` names them."
    for failure in outcome.failures[:_FAILURES_NAMED]:
        yield f"Failed: {failure.chat}: {failure.error}"
    if outcome.chats_failed:
        yield f"{outcome.chats_failed:,} chats failed; `whatsapp-mcp sync full --resume` tries them again."
    yield from outcome.notes


def verify(command: Command) -> int:
    """``verify``: what does not fit together, in the archive or in a backup; nothing is repaired."""
    from whatsapp_mcp.cli.keeping import verify_backup
    from whatsapp_mcp.verify import verify as walk
    from whatsapp_mcp.verify import verify_files as walk_files

    backup = command.args.path
    if backup is None:
        with command.archive.reader() as reader:
            findings = walk(reader, thorough=command.args.thorough)
            findings += walk_files(reader, command.archive.home, thorough=command.args.thorough)
    else:
        findings = verify_backup(command, backup)
    if command.args.json:
        say_json(objects.findings_object(findings))
        return int(bool(findings))
    for finding in findings:
        say(f"{finding.rung}: {finding.what} {finding.advice}")
    if not findings:
        say("Everything that is stored fits together." if backup is None else "The backup is what was written, and whole.")
    return int(bool(findings))


def rebuild(command: Command) -> int:
    """``rebuild``: messages and index made anew from the payloads."""
    from whatsapp_mcp.ingest import rebuild as make_anew

    with command.archive.reader(older=True):
        pass  # the writer would make an archive where there is none
    with command.archive.writer() as writer:
        before = command.archive.queries.status().messages
        make_anew(writer.store)
    after = command.archive.queries.status()
    if command.args.json:
        say_json({"messages_before": before, "messages": after.messages, "payloads": after.payloads})
    else:
        say(f"{after.messages:,} messages made anew from {after.payloads:,} stored payloads (before: {before:,}).")
    return 0
