"""What stands in the way: each check says ok, warn or fail, and what to do about it.

``computer`` looks at what is on this disk, ``instance`` asks Green API, ``unattended`` looks at what runs by itself, and
``mending`` puts right what is safe. Only ``mending`` changes anything, and only ``instance`` uses the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from whatsapp_mcp.doctor.check import Check, Level, look
from whatsapp_mcp.doctor.computer import (
    check_database,
    check_disk,
    check_env_files,
    check_files,
    check_folder,
    check_gaps,
    check_hidden,
    check_left_behind,
    check_lock,
    check_meaning,
    check_rights,
    check_settings,
)
from whatsapp_mcp.doctor.instance import (
    WANTED_OFF,
    WANTED_ON,
    check_consumers,
    check_flags,
    check_instance,
    check_state,
    check_waiting,
)
from whatsapp_mcp.doctor.mending import mend
from whatsapp_mcp.doctor.unattended import (
    check_backups,
    check_last_sync,
    check_mail,
    check_outbox,
    check_schedule,
    check_scheduler,
    check_times,
    check_webhook,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.views import Status

__all__ = [
    "WANTED_OFF", "WANTED_ON", "Check", "Level", "check_backups", "check_consumers", "check_database", "check_disk",
    "check_env_files", "check_files", "check_flags", "check_folder", "check_gaps", "check_hidden", "check_last_sync",
    "check_left_behind", "check_lock", "check_mail",
    "check_meaning", "check_outbox", "check_rights", "check_schedule", "check_scheduler",
    "check_settings", "check_state", "check_times", "check_waiting", "check_webhook", "examine", "mend",
]  # fmt: skip


def examine(archive: Archive) -> Iterator[Check]:
    """Look at everything, in the order in which one would mend it; never raises for what it finds."""
    settings, home, now = archive.settings, archive.home, archive.clock.now()
    yield from look(lambda: check_settings(settings), "settings")
    yield from check_env_files(settings)
    stored: list[Status] = []
    found = [*look(lambda: check_database(archive, stored), "database")]
    status = stored[0] if stored else None
    yield from look(lambda: anyio.run(check_instance, archive, status), "instance")
    yield from look(lambda: check_folder(home), "folder")
    yield from look(lambda: check_rights(home), "rights")
    yield from look(lambda: check_left_behind(home, now), "leftovers")
    yield from look(lambda: check_disk(home), "disk")
    yield from found
    yield from look(lambda: check_lock(home), "lock")
    yield from look(lambda: check_hidden(archive), "hidden chats") if status else ()
    yield from look(lambda: check_meaning(archive), "meaning") if status else ()
    yield from check_gaps(status) if status else ()
    yield from check_files(status.files, settings) if status else ()
    yield from look(lambda: check_webhook(settings, status), "webhook")
    yield from _unattended(archive, status)


def _unattended(archive: Archive, status: Status | None) -> Iterator[Check]:
    settings, home, now = archive.settings, archive.home, archive.clock.now()
    yield from look(lambda: check_times(settings), "times")
    yield from look(lambda: check_schedule(settings, now=archive.clock.now), "schedule")
    yield from look(lambda: check_last_sync(status, now), "last sync")
    yield from look(lambda: check_scheduler(home), "scheduler")
    yield from look(lambda: check_mail(settings), "reports")
    yield from look(lambda: check_outbox(home), "outbox")
    yield from look(lambda: check_backups(archive, status), "backups")
