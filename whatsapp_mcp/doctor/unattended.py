"""What runs by itself: its times, what starts it, when it last went well, its reports and its backups."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.backup import newest_own
from whatsapp_mcp.backup.manifest import read_manifest
from whatsapp_mcp.doctor.check import Check, failed
from whatsapp_mcp.errors import ArchiveError, SchedulingError, SettingsError
from whatsapp_mcp.reports.outbox import Outbox
from whatsapp_mcp.schedule.choosing import kind_here, plan_for, scheduler_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.config import Settings
    from whatsapp_mcp.views import Status

_DAY: Final = 86_400
_SYNC_DAYS: Final = 2
_BACKUP_DAYS: Final = 8
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_MEMORY: Final = "scheduler.json"
_INSTALL: Final = "`whatsapp-mcp schedule install` lets this computer fetch what is new twice a day."
_INSTALL_ANEW: Final = "Run `whatsapp-mcp schedule install` again; `whatsapp-mcp schedule show` prints what it writes."


def check_times(settings: Settings) -> list[Check]:
    """The times, the numbers of backups and the days of the logs can be understood."""
    wrong: list[Check] = []
    for ask in (settings.timetable, settings.kept_backups, settings.backup_folder, settings.log_keep_days):
        try:
            ask()
        except SettingsError as error:
            wrong.append(failed("times", error))
    if wrong:
        return wrong
    when = settings.timetable()
    recent, tidy = (", ".join(map(str, moments)) for moments in (when.recent, when.maintenance))
    listening = "; it listens in between" if when.listen else ""
    said = f"What is new is fetched at {recent}, the archive is tidied at {tidy} ({settings.timezone.key}){listening}."
    return [Check("times", "ok", said)]


def check_schedule(settings: Settings, *, now: Callable[[], float]) -> list[Check]:
    """Something starts the regular jobs, as the settings want them."""
    kind = kind_here()
    try:
        installed = scheduler_of(kind, now).is_installed(plan_for(settings))
    except SchedulingError as error:
        installed, why = None, f" {error.what}"
    except SettingsError:
        return []  # said among the times
    else:
        why = ""
    if installed:
        return [Check("schedule", "ok", f"The regular jobs are installed ({kind}).")]
    if installed is False:
        return [Check("schedule", "warn", f"What is installed ({kind}) is not what the settings want.", _INSTALL_ANEW)]
    written = _written_at(settings.home / _MEMORY)
    if written is not None and written > now() - _SYNC_DAYS * _DAY:
        return [Check("schedule", "ok", "The scheduler runs, though nothing is installed that would start it again.")]
    wanted = settings.wants_reports or any(name.startswith("SCHEDULE_") for name in settings.unattended)
    said = f"Nothing fetches what is new by itself.{why}"
    return [Check("schedule", "warn" if wanted else "ok", said, _INSTALL)]


def _written_at(path: Path) -> float | None:
    with suppress(OSError):
        return path.stat().st_mtime
    return None


def check_last_sync(status: Status | None, now: float) -> list[Check]:
    """What is new was fetched not long ago; an archive that was never synced is not judged."""
    at = status.coverage.last_synced_at if status else None
    if status is None or at is None:
        return []
    if status.queue.listens_now:
        return [Check("last sync", "ok", "A listener keeps the archive current.")]
    days = max(0.0, now - at) / _DAY
    if days < _SYNC_DAYS:
        return [Check("last sync", "ok", f"What is new was last fetched {days * 24:,.0f} hours ago.")]
    advice = "Run `whatsapp-mcp sync recent`; `whatsapp-mcp status --history` says how the last runs went."
    return [Check("last sync", "warn", f"What is new was last fetched {days:,.0f} days ago.", advice)]


def check_scheduler(home: Path) -> list[Check]:
    """No job of the scheduler fails again and again; without a scheduler there is nothing to say."""
    path = home / _MEMORY
    try:
        told: Any = json.loads(path.read_bytes())
        jobs = dict(told.get("jobs") or {})
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        advice = "Nothing is lost: the scheduler begins a new one at its next start."
        return [Check("scheduler", "warn", f"{_MEMORY} cannot be read.", advice)]
    found = [(str(name)[:40], _failures(entry)) for name, entry in jobs.items()]
    bad = [
        Check("scheduler", "warn", f"The job {name} failed {_times(count)}, and did not succeed since.", _advice(name))
        for name, count in found
        if count
    ]
    return bad or [Check("scheduler", "ok", "No job of the scheduler fails.")]


def _failures(entry: object) -> int:
    count = entry.get("failures") if isinstance(entry, dict) else 0
    return count if isinstance(count, int) and count > 0 else 0


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _advice(name: str) -> str:
    return f"Run `whatsapp-mcp-scheduler --once {name}` to see why; the log of the day in logs/ has the details."


def check_mail(settings: Settings) -> list[Check]:
    """The settings for reports are whole, or there are none at all."""
    if not settings.wants_reports:
        if settings.unattended.get("REPORT_TO"):
            what = "REPORT_TO is set and SMTP_HOST is not, so no report is sent."
            return [Check("reports", "warn", what, "Set SMTP_HOST, then run `whatsapp-mcp send-test-report`.")]
        return [Check("reports", "ok", "No reports are sent by e-mail; README says how to get them.")]
    try:
        mailbox = settings.mailbox()
        settings.report_names()
    except SettingsError as error:
        return [failed("reports", error)]
    if mailbox.bare_password:
        what = "The password for the mail server travels over the network unprotected."
        return [Check("reports", "warn", what, "Set SMTP_SECURITY to starttls or tls.")]
    return [Check("reports", "ok", "The settings for reports are whole; `whatsapp-mcp send-test-report` tries them.")]


def check_outbox(home: Path) -> list[Check]:
    """No report waits to be sent."""
    outbox = Outbox(home)
    waiting, lost = len(outbox.waiting()), outbox.left_out()
    if not waiting and lost is None:
        return []
    more = f", and {lost.count:,} more were left out" if lost else ""
    what = f"Reports that could not be sent and wait: {waiting:,}{more}."
    return [Check("outbox", "warn", what, "Run `whatsapp-mcp send-test-report`: it says why, and sends what waits.")]


def check_webhook(settings: Settings, status: Status | None) -> list[Check]:
    """The receiver does not stand open to everybody."""
    if settings.webhook_token:
        return []
    if settings.webhook_host not in _LOOPBACK:
        what = f"WEBHOOK_HOST is {settings.webhook_host}, which other computers can reach, and there is no WEBHOOK_TOKEN."
        advice = "Set a long random WEBHOOK_TOKEN, here and as webhookUrlToken in the Green API console."
        return [Check("webhook", "fail", what, advice, SettingsError.exit_code)]
    if status is not None and status.queue.mode == "webhook":
        what = "The webhook receiver has no WEBHOOK_TOKEN: whoever reaches it, through a tunnel everybody, may post."
        return [Check("webhook", "warn", what, "Set WEBHOOK_TOKEN, here and as webhookUrlToken in the Green API console.")]
    return []


def check_backups(archive: Archive, status: Status | None) -> list[Check]:
    """There is a backup, it is not old, and its disk has room for the next; an empty archive is not judged."""
    if status is None or not status.messages:
        return []
    try:
        folder = archive.settings.backup_folder()
    except SettingsError:
        return []  # said among the times
    if not folder.parent.is_dir():
        what = f"The folder {folder.parent} for the backups is not there."
        return [Check("backups", "warn", what, "Connect its disk, or set BACKUP_PATH to another folder.")]
    return [_age(folder, archive.home, archive.clock.now()), *_room(folder, archive.home, status.database_bytes)]


def _age(folder: Path, home: Path, now: float) -> Check:
    newest = newest_own(folder, home, now)
    if newest is None:
        what = "There is no backup yet."
        return Check("backups", "warn", what, "Run `whatsapp-mcp backup`; set BACKUP_PATH to a folder on another disk.")
    try:
        days = (now - read_manifest(newest).made_at) / _DAY
    except (ArchiveError, OSError):
        what = f"The newest backup, {newest.name}, cannot be read."
        advice = f'`whatsapp-mcp verify "{newest}"` says why; `whatsapp-mcp backup` makes a new one.'
        return Check("backups", "warn", what, advice)
    if days < -1:
        what = f"The newest backup, {newest.name}, was made {-days:,.0f} days from now."
        return Check("backups", "warn", what, "Check the computer's clock, then run `whatsapp-mcp backup`.")
    said = f"The newest backup is {max(0.0, days):,.0f} days old."
    if days < _BACKUP_DAYS:
        return Check("backups", "ok", said)
    return Check(
        "backups", "warn", said, "Run `whatsapp-mcp backup`, or let it run by itself: `whatsapp-mcp schedule install`."
    )


def _room(folder: Path, home: Path, needed: int) -> list[Check]:
    there = folder if folder.is_dir() else folder.parent
    free = shutil.disk_usage(there).free
    if free < needed:
        what = f"The disk of the backups ({there}) has {free / 1e6:,.0f} MB free; the next backup needs {needed / 1e6:,.0f} MB."
        advice = (
            "Free some space there, keep fewer backups (BACKUP_KEEP_DAILY and its like), or set BACKUP_PATH to another disk."
        )
        return [Check("backups", "warn", what, advice)]
    if there.stat().st_dev == home.stat().st_dev:
        what = "The backups are on the same disk as the archive."
        return [Check("backups", "ok", what, "One on another disk survives the end of this one: set BACKUP_PATH.")]
    return []
