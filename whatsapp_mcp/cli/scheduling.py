"""``schedule show|install|remove``: the computer starts the regular jobs by itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from whatsapp_mcp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.schedule.plan import Change, Plan, Scheduler


def show(command: Command) -> int:
    """``schedule show``: exactly what would be installed; nothing is changed."""
    kind, plan = _kind(command), _plan(command)
    scheduler = _scheduler(kind, command)
    items, notes = scheduler.items(plan), (*scheduler.notes(plan), *_own_notes(command))
    if command.args.json:
        say_json({"kind": kind, "items": [{"place": item.place, "text": item.text} for item in items], "notes": list(notes)})
        return 0
    for item in items:
        if item.place != kind and len(items) > 1:
            say(f"==> {item.place}")
        sys.stdout.write(item.text)
    _say_notes(notes)
    return 0


def install(command: Command) -> int:
    """``schedule install``: what `show` prints, put in its place; doing it twice changes nothing."""
    kind, plan = _kind(command), _plan(command)
    scheduler = _scheduler(kind, command)
    change = scheduler.install(plan)
    notes = (*scheduler.notes(plan), *_own_notes(command))
    if command.args.json:
        say_json({"kind": kind, "changed": list(change.places), "notes": list(notes)})
        return 0
    say(f"Installed for {kind}." if change.places else f"For {kind} all was installed already.")
    for job in plan.regular if kind == "cron" else plan.jobs:
        when = ", ".join(map(str, job.moments)) or "always"
        say(f"  {job.name}: {when} ({plan.zone.key}), to {job.purpose}")
    _say_notes(notes)
    return 0


def remove(command: Command) -> int:
    """``schedule remove``: only what `install` wrote."""
    kind = _kind(command)
    change: Change = _scheduler(kind, command).remove()
    if command.args.json:
        say_json({"kind": kind, "changed": list(change.places)})
    else:
        say(f"Removed from {kind}." if change.places else f"Nothing of this program was installed for {kind}.")
    return 0


def _plan(command: Command) -> Plan:
    from whatsapp_mcp.schedule.choosing import plan_for

    return plan_for(command.archive.settings)


def _kind(command: Command) -> str:
    from whatsapp_mcp.schedule.choosing import kind_here

    return str(command.args.kind or kind_here())


def _scheduler(kind: str, command: Command) -> Scheduler:
    from whatsapp_mcp.schedule.choosing import scheduler_of

    return scheduler_of(kind, command.archive.clock.now)


def _own_notes(command: Command) -> tuple[str, ...]:
    """The jobs start in another folder, and without the variables of this terminal."""
    settings = command.archive.settings
    if settings.token and settings.home / ".env" not in settings.env_files:
        return (f"The jobs will not find your settings here: move your .env into {settings.home}.",)
    return ()


def _say_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        sys.stderr.write(f"Note: {note}\n")
