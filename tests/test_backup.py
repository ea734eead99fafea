"""Backups: whole or not there, of one state while somebody writes, each file once, and every changed byte is found."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from backup_desk import TOKEN, add_media, busy_writer, digest, fill, name_media, open_archive, run_killed
from old_versions import take_back
from test_cli import one_line, posix_only, without_the_powers_of_root

from whatsapp_mcp.app import hold_backup_lock, hold_lock
from whatsapp_mcp.backup import back_up, backups_in, check_files, prove, restore
from whatsapp_mcp.backup.keep import Keep, kept
from whatsapp_mcp.backup.manifest import read_manifest
from whatsapp_mcp.cli import main
from whatsapp_mcp.errors import ArchiveError, DatabaseCorrupt
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive

ROOT = Path(__file__).parents[1]
ZONE = ZoneInfo("Europe/Madrid")
DAY = 86_400


@pytest.fixture
def archive(home: Path) -> Archive:
    return fill(open_archive(home))


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return code, *capsys.readouterr()

    return run_command


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_backup_needs_no_lock_and_holds_what_the_archive_holds(archive: Archive, home: Path, tmp_path: Path) -> None:
    with hold_lock(home):
        done = back_up(archive, verify=True)
    assert done.findings == ()
    assert done.made.path.parent == home / "backups"
    assert done.made.manifest.counts["messages"] == 480
    restore(open_archive(tmp_path / "other"), done.made.path)
    assert digest(tmp_path / "other") == digest(home) == done.made.digest


@posix_only
def test_a_backup_beside_a_busy_writer_is_one_state_and_comes_back_clean(archive: Archive, home: Path, tmp_path: Path) -> None:
    with busy_writer(home) as commits:
        for _ in range(2):
            assert back_up(archive, verify=True).findings == ()
        before = commits.value
        done = back_up(archive, verify=True)
        assert done.findings == ()
        assert 0 < before <= done.made.manifest.counts["messages"] - 480
    there = open_archive(tmp_path / "other")
    restore(there, done.made.path)
    with there.reader() as reader:
        assert verify(reader, thorough=True) == []


def test_media_are_copied_once_however_many_backups_keep_them(archive: Archive, home: Path) -> None:
    files = add_media(home, 20)
    first = back_up(archive).made
    assert (first.files_new, len(first.manifest.media)) == (20, 20)
    shutil.copy2(files[0], home / "media" / "images" / "the-same-again.jpg")
    files[1].unlink()
    add_media(home, 1, seed=2)
    second = back_up(archive).made
    assert (second.files_new, len(second.manifest.media)) == (1, 21)
    assert check_files(first.path) == check_files(second.path) == []


def test_what_is_no_archive_is_not_copied(archive: Archive, home: Path) -> None:
    (home / ".env").write_text(f"GREEN_API_TOKEN_INSTANCE={TOKEN}\n")
    for name in ("logs/sync-2026-11-24.log", "exports/chat.txt", "media/temp/half.part"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(TOKEN)
    made = back_up(archive).made
    assert [path.name for path in files_of(home / "backups")] == ["manifest.json", "manifest.json.sha256", "whatsapp_chats.db"]
    assert not any(TOKEN.encode() in path.read_bytes() for path in files_of(home / "backups"))
    assert made.manifest.media == ()


@posix_only
def test_a_backup_is_for_its_owner_only(archive: Archive, home: Path, tmp_path: Path) -> None:
    add_media(home, 3)
    before = os.umask(0)
    try:
        back_up(archive, tmp_path / "elsewhere", verify=True)
    finally:
        os.umask(before)
    entries = [tmp_path / "elsewhere", *(tmp_path / "elsewhere").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in entries} == {0o700, 0o600}


def test_each_of_a_hundred_flipped_bytes_of_a_backup_is_found(archive: Archive, home: Path, run: Any) -> None:
    name_media(archive, add_media(home, 5))
    made = back_up(archive).made
    assert run("verify", str(made.path))[0] == 0
    dice, files = random.Random(4), files_of(home / "backups")
    assert len(files) == 8
    weights = [max(path.stat().st_size, 20_000) for path in files]
    for path in dice.choices(files, weights, k=100):
        data = path.read_bytes()
        at = dice.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :])
        assert check_files(made.path), f"{path.name}, byte {at}"
        path.write_bytes(data)
    assert check_files(made.path) == []


@pytest.mark.parametrize("name", ["manifest.json", "manifest.json.sha256", "whatsapp_chats.db"])
def test_a_lost_file_of_a_backup_is_said_in_one_line(archive: Archive, run: Any, name: str) -> None:
    made = back_up(archive).made
    (made.path / name).unlink()
    code, out, err = run("verify", str(made.path))
    assert (code, err) == (1, "")
    assert name in out or "database" in out


def test_the_proof_compares_with_what_was_copied(archive: Archive) -> None:
    made = back_up(archive).made
    assert prove(archive, made.path) == []
    assert [finding.rung for finding in prove(archive, made.path, "another digest")] == ["backup"]


@pytest.mark.parametrize("place", ["", "media", "media/images/mine", "logs", "exports/x", "backups/backup-media/x"])
def test_a_folder_that_belongs_to_the_archive_is_refused_in_one_line(
    archive: Archive, home: Path, run: Any, place: str
) -> None:
    code, out, err = run("backup", str(home / place))
    assert (code, out) == (2, "")
    assert "Choose another" in one_line(err)
    assert list(home.rglob("backup-*")) == []


@posix_only
@pytest.mark.parametrize("name", [".restoring-1", "replaced-20260101T000000Z"])
def test_what_a_restore_leaves_is_no_place_for_backups(archive: Archive, home: Path, run: Any, name: str) -> None:
    code, _, err = run("backup", str(home / name / "mine"))
    assert code == 2
    assert "belongs to the archive" in one_line(err)


@posix_only
def test_media_that_were_moved_to_another_disk_are_backed_up_and_a_lost_disk_is_told(
    archive: Archive, home: Path, tmp_path: Path
) -> None:
    files = len(add_media(home, 3))
    images, moved = home / "media" / "images", tmp_path / "big"
    images.rename(moved)
    images.symlink_to(moved)
    made = back_up(archive).made
    assert (len(made.manifest.media), made.unreadable) == (files, 0)
    moved.rename(tmp_path / "elsewhere")
    made = back_up(archive).made
    assert (len(made.manifest.media), made.unreadable) == (0, 1)


def test_a_link_into_the_media_folder_is_seen_through(archive: Archive, home: Path, tmp_path: Path, run: Any) -> None:
    add_media(home, 1)
    (tmp_path / "link").symlink_to(home / "media")
    assert run("backup", str(tmp_path / "link" / "mine"))[0] == 2


def test_a_disk_that_is_not_connected_is_not_taken_for_an_empty_one(archive: Archive, tmp_path: Path, run: Any) -> None:
    code, _, err = run("backup", str(tmp_path / "usb" / "whatsapp"))
    assert code == 1
    assert "Connect the disk" in one_line(err)
    assert not (tmp_path / "usb").exists()
    (tmp_path / "file").write_text("")
    assert "is a file" in one_line(run("backup", str(tmp_path / "file"))[2])


def test_without_an_archive_nothing_is_made(home: Path, tmp_path: Path, run: Any) -> None:
    code, _, err = run("backup", str(tmp_path / "elsewhere"))
    assert code == 1
    assert "sync full" in one_line(err)
    assert not home.exists()
    assert not (tmp_path / "elsewhere").exists()


@posix_only
@pytest.mark.parametrize("limit", [100, 3000])
def test_a_full_disk_is_one_line_and_leaves_the_earlier_backups_only(archive: Archive, home: Path, limit: int) -> None:
    """A limit on the size of files stands in for the end of the disk: for the database, then for a media file."""
    earlier = back_up(archive).made.path
    add_media(home, 3)
    add_media(home, 1, size=4_000_000)
    before = {path: path.read_bytes() for path in files_of(home / "backups")}
    command = f'ulimit -f {limit}; exec "{sys.executable}" -m whatsapp_mcp --home "{home}" backup'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    assert process.returncode == 1
    assert "disk of the backups" in one_line(process.stderr)
    assert {path: path.read_bytes() for path in files_of(home / "backups")} == before
    assert check_files(earlier) == []


@posix_only
def test_a_folder_that_cannot_be_written_is_one_line(archive: Archive, home: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    process = subprocess.run(
        [*without_the_powers_of_root(), sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "backup", str(locked)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == 1
    assert "cannot be written" in one_line(process.stderr)


@posix_only
def test_a_home_that_cannot_be_written_can_still_be_copied(archive: Archive, home: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(archive.database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    home.chmod(0o500)
    words = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "backup", "--verify", str(tmp_path / "elsewhere")]
    try:
        process = subprocess.run(
            [*without_the_powers_of_root(), *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, encoding="utf-8", timeout=60,
            check=False,
        )  # fmt: skip
    finally:
        home.chmod(0o700)
    assert process.returncode == 0
    assert "the log cannot be written" in one_line(process.stderr)


@posix_only
def test_an_unreadable_media_file_is_counted_and_does_not_stop_the_rest(archive: Archive, home: Path) -> None:
    add_media(home, 3)[0].chmod(0)
    words = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "--json", "backup"]
    process = subprocess.run(
        [*without_the_powers_of_root(), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == 3
    said = json.loads(process.stdout)
    assert (said["media_files"], said["media_files_unreadable"]) == (2, 1)


@posix_only
def test_a_backup_that_is_killed_is_never_taken_for_a_whole_one(archive: Archive, home: Path) -> None:
    add_media(home, 60)
    began = time.monotonic()
    back_up(archive, home.parent / "measured")
    took = time.monotonic() - began
    dice, killed = random.Random(5), 0
    for _ in range(15):
        killed += run_killed(lambda: back_up(archive), dice.uniform(0, took * 1.2))
        assert [check_files(path) for path in backups_in(home / "backups")] == [[]] * len(backups_in(home / "backups"))
    assert killed
    done = back_up(archive, verify=True)
    assert done.findings == ()
    assert list((home / "backups").glob(".*")) == []


def test_a_damaged_archive_takes_no_earlier_backup_away(archive: Archive, home: Path) -> None:
    earlier = back_up(archive).made.path
    with archive.writer() as writer:
        root = writer.store.connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'messages_by_time'").fetchone()[
            0
        ]
        writer.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(archive.database.read_bytes())
    data[root * 4096 - 8 : root * 4096] = b"\xff" * 8  # the last bytes of a page: its first entry
    archive.database.write_bytes(data)
    with pytest.raises(DatabaseCorrupt, match="no backup"):
        back_up(archive)
    assert backups_in(home / "backups") == [earlier]
    assert list((home / "backups").glob(".*")) == []


def test_two_backups_at_once_are_one_too_many(archive: Archive, home: Path, run: Any) -> None:
    with hold_backup_lock(home):
        code, _, err = run("backup")
    assert code == 4
    assert "Another backup" in one_line(err)


def test_an_archive_of_an_earlier_version_comes_back_and_a_rebuild_brings_it_up_to_date(archive: Archive, run: Any) -> None:
    with closing(sqlite3.connect(archive.database)) as connection, connection:
        take_back(connection, 2)
    made = back_up(archive).made
    code, out, err = run("restore", str(made.path))
    assert (code, err) == (0, "")
    assert "Next: `whatsapp-mcp rebuild`" in out
    code, out, err = run("rebuild")
    assert (code, err) == (0, "")
    assert run("verify", "--thorough")[0] == 0


def test_an_archive_of_an_earlier_version_can_be_copied_before_it_is_changed(archive: Archive) -> None:
    with closing(sqlite3.connect(archive.database)) as connection, connection:
        connection.execute("PRAGMA user_version = 1")
    done = back_up(archive, verify=True)
    assert (done.findings, done.made.manifest.schema_version) == ((), 1)


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "99999999"])
def test_an_impossible_number_of_kept_backups_is_refused_before_anything_is_done(
    archive: Archive, home: Path, run: Any, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BACKUP_KEEP_WEEKLY", value)
    code, _, err = run("backup")
    assert code == 2
    assert "BACKUP_KEEP_WEEKLY" in one_line(err)
    assert not (home / "backups").exists()


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


def test_the_newest_of_each_day_week_and_month_stays() -> None:
    made = [at(f"2026-{month:02}-{day:02} 02:00") for month in range(1, 7) for day in range(1, 29)]
    stay = kept(made, Keep(3, 2, 2), zone=ZONE, now=made[-1])
    assert sorted(stay) == [at(f"2026-{day} 02:00") for day in ("05-28", "06-21", "06-26", "06-27", "06-28")]


def test_nothing_of_the_last_day_goes_and_the_newest_always_stays() -> None:
    made = [at("2026-06-01 02:00"), at("2026-06-01 03:00"), at("2026-06-01 04:00")]
    assert kept(made, Keep(0, 0, 0), zone=ZONE, now=made[-1] + 10) == set(made)
    assert kept(made, Keep(0, 0, 0), zone=ZONE, now=made[-1] + 9 * DAY) == {made[-1]}
    assert kept([], Keep(), zone=ZONE, now=0) == set()


def test_what_a_wrong_clock_made_in_the_future_stays_and_takes_nobodys_place() -> None:
    ahead = [at(f"2027-06-{day:02} 02:00") for day in range(1, 15)]
    made = [at(f"2026-06-{day:02} 02:00") for day in range(1, 15)]
    assert kept(made + ahead, Keep(3, 0, 0), zone=ZONE, now=made[-1] + 10) == {*made[-3:], *ahead}


def test_a_day_begins_in_the_users_zone() -> None:
    made = [at("2026-06-01 23:30"), at("2026-06-02 00:30")]  # one day in UTC
    assert kept(made, Keep(2, 0, 0), zone=ZONE, now=made[-1] + 9 * DAY) == set(made)


def test_old_backups_go_with_the_media_that_only_they_held(home: Path) -> None:
    now = at("2026-06-01 02:00")
    fill(open_archive(home, now=now))
    (old,) = add_media(home, 1)
    for day in range(10):
        back_up(open_archive(home, now=now + day * DAY, BACKUP_KEEP_DAILY="3", BACKUP_KEEP_WEEKLY="0", BACKUP_KEEP_MONTHLY="0"))
        old.unlink(missing_ok=True)
    left = backups_in(home / "backups")
    assert [path.name[:15] for path in left] == ["backup-20260608", "backup-20260609", "backup-20260610"]
    assert [path for path in (home / "backups" / "backup-media").rglob("*") if path.is_file()] == []


def test_backups_of_another_archive_in_the_same_folder_stay(home: Path, tmp_path: Path) -> None:
    place, now = tmp_path / "shared", at("2026-06-01 02:00")
    other = fill(open_archive(tmp_path / "other", now=now))
    add_media(other.home, 2, seed=9)
    theirs = back_up(other, place).made
    fill(open_archive(home, now=now))
    for day in range(40, 43):
        none = {"BACKUP_KEEP_DAILY": "0", "BACKUP_KEEP_WEEKLY": "0", "BACKUP_KEEP_MONTHLY": "0"}
        back_up(open_archive(home, now=now + day * DAY, **none), place)
    assert check_files(theirs.path) == []
    assert len(backups_in(place)) == 2  # and of this archive the newest


@posix_only
def test_an_archive_that_is_reached_by_a_link_is_the_same_archive(home: Path, tmp_path: Path) -> None:
    made = back_up(fill(open_archive(home))).made
    (tmp_path / "link").symlink_to(home)
    assert made.manifest.is_of(tmp_path / "link")
    assert back_up(open_archive(tmp_path / "link")).made.manifest.is_of(home)


def test_what_somebody_else_keeps_in_that_folder_stays(home: Path, tmp_path: Path) -> None:
    place, now = tmp_path / "disk", at("2026-06-01 02:00")
    names = ["backup-media/tv/show.mkv", "backup-media/ab/notes.txt", f"backup-media/ab/{'c' * 64}", "backup-old/x", "tv/film"]
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("mine")
        os.utime(place / name, (0, 0))
    fill(open_archive(home, now=now))
    back_up(open_archive(home, now=now), place)
    assert all((place / name).exists() for name in names)


def test_while_a_manifest_cannot_be_read_no_media_are_given_up(home: Path) -> None:
    now = at("2026-06-01 02:00")
    first = back_up(fill(open_archive(home, now=now))).made
    (file,) = add_media(home, 1)
    back_up(open_archive(home, now=now + DAY))
    file.unlink()
    (first.path / "manifest.json").write_text("{}")
    none = {"BACKUP_KEEP_DAILY": "1", "BACKUP_KEEP_WEEKLY": "0", "BACKUP_KEEP_MONTHLY": "0"}
    done = back_up(open_archive(home, now=now + 9 * DAY, **none))
    assert len(done.pruned.removed) == 1
    assert first.path in backups_in(home / "backups")
    assert len(files_of(home / "backups" / "backup-media")) == 1


def test_a_manifest_is_plain_enough_for_other_tools(archive: Archive, run: Any) -> None:
    code, out, _ = run("backup", "--json")
    said = json.loads(out)
    assert (code, said["verified"], said["counts"]["messages"]) == (0, False, 480)
    assert read_manifest(Path(said["path"])).made_at > 0
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "-c", "manifest.json.sha256"], cwd=said["path"], check=True, capture_output=True)


def test_the_folder_of_the_settings_is_used_and_a_relative_one_is_in_the_home(home: Path, tmp_path: Path) -> None:
    fill(open_archive(home))
    assert back_up(open_archive(home, BACKUP_PATH=str(tmp_path / "disk"))).made.path.parent == tmp_path / "disk"
    assert back_up(open_archive(home, BACKUP_PATH="copies")).made.path.parent == home / "copies"
    with pytest.raises(ArchiveError):
        back_up(open_archive(home, BACKUP_PATH="~nobody-of-that-name/x"))
