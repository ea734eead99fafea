"""What the doctor says of what runs by itself, and what ``doctor --fix`` puts right."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import crontabs
import pytest
from backup_desk import add_media, digest, fill, open_archive
from store_fixtures import RECEIVED_AT
from test_doctor import levels, posix_only

from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.backup import back_up
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.doctor import (
    Check,
    check_backups,
    check_env_files,
    check_files,
    check_last_sync,
    check_left_behind,
    check_mail,
    check_outbox,
    check_rights,
    check_schedule,
    check_scheduler,
    check_times,
    check_webhook,
    examine,
    mend,
)
from whatsapp_mcp.doctor.mending import left_behind
from whatsapp_mcp.schedule import choosing
from whatsapp_mcp.schedule.cron import Cron
from whatsapp_mcp.schedule.launchd import Launchd
from whatsapp_mcp.schedule.systemd import Systemd
from whatsapp_mcp.views import FileCounts

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive

DAY = 86_400
MAIL = {"SMTP_HOST": "smtp.example.com", "REPORT_TO": "me@example.com"}
NOW = RECEIVED_AT + DAY


def told(home: Path, **values: str) -> Settings:
    return open_archive(home, now=NOW, **values).settings


def age(path: Path, days: float = 2) -> Path:
    os.utime(path, (NOW - days * DAY, NOW - days * DAY), follow_symlinks=False)
    return path


def clear(checks: list[Check], level: str) -> Check:
    """The one check, which names its remedy."""
    (check,) = checks
    assert check.level == level
    assert check.advice or level == "ok"
    return check


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULE_RECENT", "25:00"), ("SCHEDULE_MAINTENANCE", "Someday 2:00"), ("BACKUP_KEEP_DAILY", "many"),
        ("LOG_KEEP_DAYS", "0"), ("BACKUP_PATH", "~nobody-of-that-name/backups"),
    ],
)  # fmt: skip
def test_a_time_or_number_that_nobody_understands_fails_by_its_name(home: Path, name: str, value: str) -> None:
    check = clear(check_times(told(home, **{name: value})), "fail")
    assert name in check.finding
    assert check.exit_code == 2


def test_the_times_are_said_in_the_users_zone(home: Path) -> None:
    assert "08:00, 20:00" in clear(check_times(told(home)), "ok").finding
    assert "Europe/Madrid" in clear(check_times(told(home)), "ok").finding


@pytest.mark.parametrize(
    ("values", "level", "said"),
    [
        ({}, "ok", "No reports"),
        ({"REPORT_TO": "me@example.com"}, "warn", "SMTP_HOST"),
        (MAIL, "ok", "whole"),
        ({**MAIL, "SMTP_PORT": "0"}, "fail", "SMTP_PORT"),
        ({**MAIL, "SMTP_USER": "me"}, "fail", "SMTP_PASSWORD"),
        ({**MAIL, "REPORT_NAMES": "maybe"}, "fail", "REPORT_NAMES"),
        ({**MAIL, "SMTP_SECURITY": "none", "SMTP_USER": "me", "SMTP_PASSWORD": "secret"}, "warn", "unprotected"),
    ],
)
def test_the_settings_for_reports_are_judged(home: Path, values: dict[str, str], level: str, said: str) -> None:
    check = clear(check_mail(told(home, **values)), level)
    assert said in check.finding
    assert "secret" not in repr(check)


@pytest.mark.parametrize(
    ("values", "level"),
    [
        ({"WEBHOOK_HOST": "0.0.0.0"}, "fail"),  # noqa: S104 - that is what is warned of
        ({"WEBHOOK_HOST": "0.0.0.0", "WEBHOOK_TOKEN": "t" * 32}, None),  # noqa: S104
        ({}, None),
    ],
)
def test_a_receiver_that_is_open_to_all_fails(home: Path, values: dict[str, str], level: str | None) -> None:
    checks = check_webhook(told(home, **values), None)
    assert [check.level for check in checks] == ([level] if level else [])
    assert all("WEBHOOK_TOKEN" in check.advice for check in checks)


def test_a_receiver_on_loopback_that_is_used_without_a_token_is_told(home: Path) -> None:
    status = fill(open_archive(home), range(1)).queries.status()
    listening = replace(status, queue=replace(status.queue, mode="webhook"))
    assert "tunnel" in clear(check_webhook(told(home), listening), "warn").finding


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> crontabs.Crontab:
    monkeypatch.setattr(choosing, "kind_here", lambda: "cron")
    monkeypatch.setattr("whatsapp_mcp.doctor.unattended.kind_here", lambda: "cron")
    return crontabs.stand_in(tmp_path / "bin", monkeypatch)


def scheduled(settings: Settings) -> Check:
    (check,) = check_schedule(settings, now=lambda: float(NOW))
    return check


def test_whether_the_jobs_are_installed_and_as_they_are_wanted_is_told(home: Path, crontab: crontabs.Crontab) -> None:
    settings = told(home)
    check = scheduled(settings)
    assert (check.level, "schedule install" in check.advice) == ("ok", True)
    assert scheduled(told(home, **MAIL)).level == "warn"
    assert scheduled(told(home, SCHEDULE_RECENT="07:00")).level == "warn"
    choosing.scheduler_of("cron", lambda: NOW).install(choosing.plan_for(settings))
    assert "installed" in scheduled(settings).finding
    other = scheduled(told(home, SCHEDULE_RECENT="07:00"))
    assert (other.level, "schedule install" in other.advice) == ("warn", True)


def test_asking_whether_something_is_installed_changes_nothing(home: Path, crontab: crontabs.Crontab) -> None:
    crontab.write(b"# mine\n")
    scheduled(told(home))
    assert crontab.read() == b"# mine\n"
    assert not home.exists()


def test_without_a_crontab_program_it_says_so(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whatsapp_mcp.doctor.unattended.kind_here", lambda: "cron")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "There is no program crontab" in scheduled(told(home)).finding


def test_a_scheduler_that_runs_without_being_installed_is_well(home: Path, crontab: crontabs.Crontab) -> None:
    home.mkdir()
    age(write(home / "scheduler.json", "{}"), 0.5)
    assert scheduled(told(home, **MAIL)).level == "ok"
    age(home / "scheduler.json", 3)
    assert scheduled(told(home, **MAIL)).level == "warn"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_units_and_agents_are_known_by_their_text(home: Path, tmp_path: Path) -> None:
    wanted = choosing.plan_for(told(home))
    later = choosing.plan_for(told(home, SCHEDULE_RECENT="07:00"))
    zone = ZoneInfo("Europe/Madrid")
    for scheduler in (Systemd(tmp_path / "units"), Launchd(tmp_path / "agents", zone, lambda: NOW)):
        assert scheduler.is_installed(wanted) is None
        scheduler.folder.mkdir()
        for item in scheduler.items(wanted):
            write(scheduler.folder / Path(item.place).name, item.text)
        assert scheduler.is_installed(wanted) is True
        assert scheduler.is_installed(later) is False
    assert isinstance(Cron(zone, lambda: NOW), Cron)


def test_a_last_sync_long_ago_is_told(home: Path) -> None:
    status = fill(open_archive(home), range(1)).queries.status()
    assert status.coverage.last_synced_at == RECEIVED_AT
    assert clear(check_last_sync(status, RECEIVED_AT + 3_600), "ok").finding == "What is new was last fetched 1 hours ago."
    check = clear(check_last_sync(status, RECEIVED_AT + 9 * DAY), "warn")
    assert "9 days ago" in check.finding
    assert "sync recent" in check.advice
    listening = replace(status, queue=replace(status.queue, listens_now=True))
    assert "listener" in clear(check_last_sync(listening, RECEIVED_AT + 9 * DAY), "ok").finding
    assert check_last_sync(None, NOW) == []
    never = replace(status, coverage=replace(status.coverage, last_synced_at=None))
    assert check_last_sync(never, NOW) == []


def test_jobs_that_fail_again_and_again_are_named_with_what_to_run(home: Path) -> None:
    home.mkdir()
    assert check_scheduler(home) == []
    jobs = {"recent": {"failures": 3, "result": "failed"}, "backup": {"failures": 0}, "sweep": {"failures": 1}}
    write(home / "scheduler.json", json.dumps({"version": 1, "jobs": jobs}))
    checks = check_scheduler(home)
    assert [check.finding for check in checks] == [
        "The job recent failed 3 times, and did not succeed since.",
        "The job sweep failed once, and did not succeed since.",
    ]
    assert "--once recent" in checks[0].advice
    write(home / "scheduler.json", json.dumps({"jobs": {"recent": {"failures": 0}}}))
    assert levels(check_scheduler(home)) == {"ok"}


@pytest.mark.parametrize("text", ["", "[]", "7", '{"jobs": 3}', '{"jobs": [1]}', "\x00", "[" * 100_000])
def test_a_memory_of_the_scheduler_that_nobody_understands_is_told(home: Path, text: str) -> None:
    home.mkdir()
    write(home / "scheduler.json", text)
    clear(check_scheduler(home), "warn")


@pytest.mark.parametrize("text", ["{}", '{"jobs": null}', '{"jobs": {"a": 3, "b": {"failures": "x"}}}'])
def test_a_memory_that_lacks_what_we_look_for_is_no_trouble(home: Path, text: str) -> None:
    home.mkdir()
    write(home / "scheduler.json", text)
    clear(check_scheduler(home), "ok")


def test_reports_that_wait_are_counted(home: Path) -> None:
    assert check_outbox(home) == []
    (home / "outbox").mkdir(parents=True)
    write(home / "outbox" / "20261124T080000Z-1.eml", "Subject: x\n\n")
    check = clear(check_outbox(home), "warn")
    assert "1" in check.finding
    assert "send-test-report" in check.advice


def test_a_backup_that_is_missing_old_or_has_no_room_is_told(home: Path, tmp_path: Path) -> None:
    archive = fill(open_archive(home), range(2))
    status = archive.queries.status()
    assert "no backup yet" in check_backups(archive, status)[0].finding
    assert check_backups(archive, status)[0].level == "warn"
    back_up(archive)
    checks = check_backups(archive, status)
    assert levels(checks) == {"ok"}
    assert "same disk" in checks[1].finding
    late = open_archive(home, now=archive.clock.now() + 9 * DAY)
    assert "9 days old" in check_backups(late, status)[0].finding
    assert check_backups(late, status)[0].advice
    full = check_backups(archive, replace(status, database_bytes=10**18))
    assert [check.level for check in full] == ["ok", "warn"]
    assert full[1].advice
    assert check_backups(archive, None) == check_backups(archive, replace(status, messages=0)) == []
    gone = open_archive(home, BACKUP_PATH=str(tmp_path / "not" / "there"))
    assert "is not there" in clear(check_backups(gone, status), "warn").finding


def spoil(archive: Archive) -> None:
    """Rights for everybody, leavings of killed processes, a folder that is missing."""
    home = archive.home
    for path in (home, *home.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    (home / "media" / "temp").mkdir(parents=True, exist_ok=True)
    age(write(home / "media" / "temp" / "half.jpg", "x"))
    write(home / "media" / "temp" / "young.jpg", "x")
    os.utime(home / "media" / "temp" / "young.jpg", (NOW, NOW))
    age(write(home / ".metrics.prom.77", "x"))
    staging = home / ".restoring-1"
    staging.mkdir()
    write(staging / "whatsapp_chats.db", "x")
    age(staging)
    write(home / "writer.pid", "999999")


@posix_only
def test_what_is_safe_is_put_right_told_and_then_well(home: Path) -> None:
    archive = fill(open_archive(home), range(2))
    add_media(home, 5)
    before = digest(home)
    spoil(archive)
    assert levels(check_rights(home)) == levels(check_left_behind(home, NOW)) == {"warn"}
    done = mend(archive)
    assert any("can use" in line for line in done)
    assert any("more files and folders" in line for line in done)
    assert any("Made the folders" in line and "exports" in line for line in done)
    assert "Removed writer.pid: the process 999999 is gone." in done
    assert "Removed 3 temporary files older than a day." in done
    assert {path.stat().st_mode & 0o077 for path in (home, *home.rglob("*"))} == {0}
    assert (home / "media" / "temp" / "young.jpg").exists()
    assert check_rights(home) == check_left_behind(home, NOW) == []
    assert mend(archive) == []
    assert digest(home) == before


@pytest.mark.parametrize("name", ["scheduler.json", "metrics.prom", "outbox/left-out.json", "outbox/20261124T080000Z-12ab.eml"])
def test_half_a_small_file_of_a_process_that_was_killed_is_removed_after_a_day_and_the_whole_one_stays(
    home: Path, name: str
) -> None:
    (home / name).parent.mkdir(parents=True)
    whole = write(home / name, "{}")
    half = write(whole.with_name(f".{whole.name}.77"), "{")
    age(whole)
    assert left_behind(home, NOW) == []
    age(half)
    assert left_behind(home, NOW) == [half]


def test_a_limit_that_leaves_files_out_is_told_with_what_waits_and_what_is_lost(home: Path) -> None:
    settings = replace(open_archive(home).settings, media_total_bytes=1 << 30)
    (well,) = check_files(FileCounts(pending=3, stored=9, expired=2, skipped=1, bytes_stored=1 << 29), settings)
    assert (well.level, well.finding) == ("ok", "9 files are stored, 3 are to be fetched, 2 expired, 1 skipped.")
    (full,) = check_files(FileCounts(stored=9, bytes_stored=(1 << 30) - 9), settings)
    assert full.level == "warn"
    assert "1.0 of the 1.0 GB that MEDIA_MAX_TOTAL_GB gives them" in full.finding


@posix_only
def test_nothing_that_is_not_ours_is_touched(home: Path, tmp_path: Path) -> None:
    archive = fill(open_archive(home), range(1))
    mend(archive)
    outside = write(tmp_path / "outside.txt", "x")
    outside.chmod(0o644)
    foreign = write(home / "holiday.txt", "x")
    foreign.chmod(0o644)
    (home / "photos").mkdir()
    (home / "photos").chmod(0o755)
    (home / "exports" / "link.txt").symlink_to(outside)
    age(write(home / "photos" / "old.tmp", "x"))
    assert mend(archive) == []
    assert [path.stat().st_mode & 0o777 for path in (outside, foreign, home / "photos")] == [0o644, 0o644, 0o755]
    assert (home / "photos" / "old.tmp").exists()


@posix_only
def test_a_folder_that_is_no_archive_yet_keeps_its_own_rights(home: Path) -> None:
    home.mkdir()
    home.chmod(0o755)
    mend(open_archive(home))
    assert home.stat().st_mode & 0o777 == 0o755


@posix_only
def test_an_env_file_that_others_can_read_is_closed(home: Path, tmp_path: Path) -> None:
    env = write(tmp_path / ".env", "GREEN_API_ID_INSTANCE=7105000001\n")
    env.chmod(0o644)
    settings = Settings.load({"WHATSAPP_MCP_HOME": str(home)}, tmp_path)
    done = mend(replace(open_archive(home), settings=settings))
    assert done == [f"You, and only you, can use {env} now."]
    assert levels(check_env_files(settings)) == {"ok"}
    assert not home.exists()


@posix_only
def test_what_the_owner_lost_is_given_back(home: Path) -> None:
    archive = fill(open_archive(home), range(1))
    mend(archive)
    (home / "logs").chmod(0o500)
    assert levels(check_rights(home)) == {"warn"}
    mend(archive)
    assert (home / "logs").stat().st_mode & 0o777 == 0o700


def test_the_number_of_a_process_that_writes_stays(home: Path) -> None:
    archive = fill(open_archive(home), range(1))
    mend(archive)
    with hold_lock(home):
        assert mend(archive) == []
        assert (home / "writer.pid").read_text() == str(os.getpid())


def test_a_file_where_a_folder_belongs_is_told_and_the_rest_is_done(home: Path) -> None:
    archive = fill(open_archive(home), range(1))
    write(home / "media", "x")
    write(home / "writer.pid", "999999")
    done = mend(archive)
    assert any(line.startswith("Not put right: ") for line in done)
    assert "Removed writer.pid: the process 999999 is gone." in done


def test_the_command_says_what_it_did_and_then_examines(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(open_archive(home), range(1))
    assert main(["--home", str(home), "doctor", "--fix"]) == 2
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("fix  ")
    assert any(line.startswith("FAIL settings") for line in out)
    main(["--home", str(home), "doctor", "--fix"])
    assert capsys.readouterr().out.splitlines()[0] == "fix  Nothing had to be put right."
    main(["--home", str(home), "doctor", "--fix", "--json"])
    told_json: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert told_json["fixed"] == []
    main(["--home", str(home), "doctor", "--json"])
    assert "fixed" not in json.loads(capsys.readouterr().out)


def test_every_check_that_is_not_well_names_its_remedy(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = fill(open_archive(home, now=NOW + 30 * DAY, **MAIL, WEBHOOK_HOST="0.0.0.0", LOG_KEEP_DAYS="0"), range(1))  # noqa: S104
    spoil(archive)
    write(home / "scheduler.json", "7")
    checks = list(examine(archive))
    bad = [check for check in checks if check.level != "ok"]
    assert {"settings", "webhook", "times", "scheduler", "backups", "last sync", "rights"} <= {check.name for check in bad}
    assert all(check.advice for check in bad)
    assert all(check.exit_code for check in checks if check.level == "fail")


def test_looking_changes_nothing_but_the_number_of_a_process_that_is_gone(home: Path) -> None:
    archive = fill(open_archive(home), range(1))
    spoil(archive)
    aside = {"writer.pid", "whatsapp_chats.db-wal", "whatsapp_chats.db-shm"}

    def seen() -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_mode) for path in home.rglob("*") if path.name not in aside}

    before = seen()
    list(examine(archive))
    assert seen() == before
