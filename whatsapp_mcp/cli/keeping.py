"""The commands that keep an archive for years: backups, the way back, and the weekly tidying."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from whatsapp_mcp.cli import objects
from whatsapp_mcp.cli.progress import duration
from whatsapp_mcp.cli.terminal import many, moment, say, say_json, size
from whatsapp_mcp.cli.writing import PARTLY
from whatsapp_mcp.errors import WriterRunning
from whatsapp_mcp.logs import compress_and_remove
from whatsapp_mcp.schema import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.backup import BackedUp, Restored
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.maintenance import Maintained
    from whatsapp_mcp.verify import Finding

_log = logging.getLogger(__name__)


def backup(command: Command) -> int:
    """``backup``: a copy of the archive as it is now."""
    from whatsapp_mcp.backup import back_up

    clock = command.archive.clock
    began = clock.monotonic()
    done = back_up(command.archive, command.args.path, verify=command.args.verify)
    seconds = clock.monotonic() - began
    _log.info("backup: %d messages, %d files new, %d findings", done.made.manifest.counts["messages"], done.made.files_new,
              len(done.findings), extra={"seconds": seconds})  # fmt: skip
    if command.args.json:
        say_json(objects.backup_object(done, command.archive.settings.timezone, seconds=seconds, proved=command.args.verify))
    else:
        for line in _backup_lines(done, seconds, proved=command.args.verify):
            say(line)
    return 1 if done.findings else PARTLY if done.made.unreadable else 0


def _backup_lines(done: BackedUp, seconds: float, *, proved: bool) -> Iterator[str]:
    made, counts = done.made, done.made.manifest.counts
    media = f"{many(len(made.manifest.media), 'media file')} ({made.files_new:,} of them new)"
    yield f"{many(counts['messages'], 'message')} and {media} are backed up in {duration(seconds)}: {made.path}"
    yield f"It takes {size(made.bytes_new)} more on the disk."
    if made.unreadable:
        yield f"Not in it, for the disk does not give it: {many(made.unreadable, 'media file')}. Check rights and disk."
    yield from _findings(done.findings)
    if proved and not done.findings:
        walked = ", and everything in it fits together" if made.manifest.schema_version == VERSION else ""
        yield f"Restored into a temporary folder, it is what was copied{walked}."
    if done.pruned.removed:
        yield f"Given up: {', '.join(done.pruned.removed)}."


def _findings(findings: tuple[Finding, ...] | list[Finding]) -> Iterator[str]:
    for finding in findings:
        yield f"{finding.rung}: {finding.what} {finding.advice}"


def restore(command: Command) -> int:
    """``restore``: a backup in the archive's place."""
    from whatsapp_mcp.backup import restore as bring_back

    done = bring_back(command.archive, command.args.path, force=command.args.force)
    _log.info("restore: %d messages, %d files", done.manifest.counts["messages"], done.files_new)
    if command.args.json:
        say_json(objects.restored_object(done, command.archive.settings.timezone))
        return 0
    for line in _restored_lines(command, done):
        say(line)
    return 0


def _restored_lines(command: Command, done: Restored) -> Iterator[str]:
    made_at = moment(done.manifest.made_at, command.archive.settings.timezone)
    yield (
        f"The archive is as it was on {made_at}: {many(done.manifest.counts['messages'], 'message')}; "
        f"{many(done.files_new, 'media file')} brought back."
    )
    if done.replaced:
        yield f"What was there before is kept in {done.replaced}; delete it when all is well."
    first = "verify" if done.manifest.schema_version == VERSION else "rebuild"  # which brings an older one up to date
    yield f"Next: `whatsapp-mcp {first}`, then `whatsapp-mcp sync recent`."


def verify_backup(command: Command, path: Path) -> list[Finding]:
    """What is wrong with a backup: every byte against what was written, and the archive that comes out of it."""
    from whatsapp_mcp.backup import find_backup, prove

    return prove(command.archive, find_backup(path), thorough=command.args.thorough)


def maintenance(command: Command) -> int:
    """``maintenance``: what an archive needs once a week."""
    from whatsapp_mcp.maintenance import maintain

    archive = command.archive
    logs = partial(compress_and_remove, archive.settings, archive.clock.now())
    done = maintain(archive, thorough=command.args.thorough, extra={"logs": logs})
    for step in done.steps:
        level = logging.INFO if step.state in ("ok", "skipped") else logging.ERROR
        _log.log(level, "%s: %s", step.name.replace(" ", "_"), step.state, extra={"seconds": step.seconds})
    if command.args.json:
        say_json(objects.maintained_object(done, command.archive.settings.timezone))
    else:
        for line in _maintained_lines(done):
            say(line)
    if done.damaged:
        return 1
    return WriterRunning.exit_code if done.locked else PARTLY if done.failed else 0


def _maintained_lines(done: Maintained) -> Iterator[str]:
    for step in done.steps:
        yield f"{step.name}: {'' if step.state == 'ok' else f'{step.state.upper()}: '}{step.said}"
        yield from (f"{step.name}: DAMAGED: {one.what} {one.advice}" for one in step.findings[1:])
    took = duration(done.ended_at - done.started_at)
    yield f"Done in {took}. The database has {size(done.bytes_after)} (before: {size(done.bytes_before)})."
