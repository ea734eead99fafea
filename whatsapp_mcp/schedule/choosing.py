"""Which scheduler this computer has, and what it would be told for an archive."""

from __future__ import annotations

import getpass
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from whatsapp_mcp.config import folder_of_programs, zone_of_computer
from whatsapp_mcp.schedule.plan import Plan, find_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.schedule.plan import Scheduler


def plan_for(settings: Settings) -> Plan:
    """What is to be started for the archive of these settings; raises `SettingsError` for what is no time."""
    user = ""
    with suppress(OSError, KeyError, ImportError):  # what getpass raises where nobody is logged in
        user = getpass.getuser()
    return Plan(find_program(), settings.home, settings.timezone, settings.timetable(), user)


def kind_here() -> str:
    """What starts jobs on this computer: ``cron``, ``systemd``, ``launchd`` or ``windows``."""
    by_platform = {"win32": "windows", "darwin": "launchd"}
    if sys.platform in by_platform:
        return by_platform[sys.platform]
    from whatsapp_mcp.schedule.systemd import is_running

    return "systemd" if is_running() else "cron"


def scheduler_of(kind: str, now: Callable[[], float]) -> Scheduler:
    """The scheduler of that kind."""
    from whatsapp_mcp.schedule import cron, launchd, systemd, windows

    zone = _computer_zone()
    if kind == "cron":
        return cron.Cron(zone, now)
    if kind == "systemd":
        return systemd.Systemd(folder_of_programs().joinpath(*systemd.FOLDER))
    if kind == "launchd":
        return launchd.Launchd(Path.home().joinpath(*launchd.FOLDER), zone, now)
    return windows.Windows(zone, now)


def _computer_zone() -> ZoneInfo | None:
    with suppress(OSError, ValueError, KeyError):
        return zone_of_computer()
    return None
