"""The way back: into nothing, over an archive, over a wreck; a kill at any moment leaves the old archive or the new one."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backup_desk import add_media, busy_writer, digest, fill, name_media, open_archive, run_killed
from store_fixtures import RECEIVED_AT, answer
from test_cli import one_line, posix_only

from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.backup import back_up, restore
from whatsapp_mcp.backup.manifest import seal
from whatsapp_mcp.cli import main
from whatsapp_mcp.errors import BackupDamaged, DatabaseCorrupt, DatabaseTooNew, NotFound, StorageError
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from whatsapp_mcp.app import Archive

ROOT = Path(__file__).parents[1]


@pytest.fixture
def archive(home: Path) -> Archive:
    archive = fill(open_archive(home))
    name_media(archive, add_media(home, 5))
    return archive


@pytest.fixture
def backup(archive: Archive, tmp_path: Path) -> Path:
    return back_up(archive, tmp_path / "disk").made.path


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return code, *capsys.readouterr()

    return run_command


def media_of(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "media").rglob("*") if path.is_file()}


def findings(home: Path) -> list[Any]:
    with open_archive(home).reader() as reader:
        return verify(reader, thorough=True)


def newer(home: Path) -> None:
    fill(open_archive(home), range(20, 26), received_at=RECEIVED_AT + 3600)


@pytest.mark.parametrize("exists", [True, False])
def test_a_home_that_is_empty_or_not_there_gets_the_whole_archive(
    backup: Path, home: Path, tmp_path: Path, *, exists: bool
) -> None:
    there = tmp_path / "there"
    if exists:
        there.mkdir(mode=0o700)
    done = restore(open_archive(there), backup)
    assert (done.files_new, done.replaced) == (5, None)
    assert digest(there) == digest(home)
    assert media_of(there) == media_of(home)
    assert findings(there) == []


@posix_only
def test_what_is_restored_is_for_its_owner_only(backup: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    before = os.umask(0)
    try:
        restore(open_archive(there), backup)
        newer(there)
        restore(open_archive(there), backup, force=True)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o077 for path in (there, *there.rglob("*"))} == {0}


def test_a_newer_archive_is_kept_unless_it_is_forced_and_then_kept_beside(backup: Path, home: Path, run: Any) -> None:
    old = digest(home)
    newer(home)
    new = digest(home)
    code, _, err = run("restore", str(backup))
    assert code == 1
    assert "--force" in one_line(err)
    assert digest(home) == new
    code, out, err = run("restore", str(backup), "--force", "--json")
    assert (code, err) == (0, "")
    assert digest(home) == old
    replaced = Path(json.loads(out)["replaced"])
    assert digest(replaced) == new
    assert str(replaced) not in out.replace(str(replaced), "", 1)


def test_the_archive_of_another_account_is_not_replaced_by_a_newer_backup(home: Path, tmp_path: Path) -> None:
    other = open_archive(tmp_path / "other")
    with other.writer() as writer:
        writer.ingest.receive(answer("getSettings", {"wid": "15550199999@c.us"}))
    fill(other, range(30, 50), received_at=RECEIVED_AT + 9000, owner="15550199999@c.us")
    theirs = back_up(other, tmp_path / "disk").made.path
    fill(open_archive(home))
    before = digest(home)
    with pytest.raises(StorageError, match="another WhatsApp account"):
        restore(open_archive(home), theirs)
    assert digest(home) == before
    assert restore(open_archive(home), theirs, force=True).replaced is not None


def test_an_archive_that_holds_more_is_newer_whatever_a_wrong_clock_said(home: Path) -> None:
    archive = fill(open_archive(home), range(20, 32), received_at=RECEIVED_AT + 365 * 86_400)
    backup = back_up(archive).made.path
    fill(archive, range(2), received_at=RECEIVED_AT)
    before = digest(home)
    with pytest.raises(StorageError, match="holds more than the backup"):
        restore(archive, backup)
    assert digest(home) == before


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second disk to try it on")  # noqa: S108
def test_media_come_back_to_another_disk_that_a_link_leads_to(archive: Archive, backup: Path, home: Path) -> None:
    before = media_of(home)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as disk:
        shutil.rmtree(home / "media" / "images")
        (home / "media" / "images").symlink_to(disk)
        assert restore(archive, backup).files_new == len(before)
        assert {path.name: path.read_bytes() for path in Path(disk).iterdir()} == before


def test_the_same_backup_may_come_back_twice(backup: Path, home: Path, run: Any) -> None:
    old = digest(home)
    for _ in range(2):
        code, out, _ = run("restore", str(backup))
        assert code == 0
        assert "delete it when all is well" in out
    assert digest(home) == old
    assert len(list(home.glob("replaced-*"))) == 2
    assert run("verify")[0] == 0


def test_readers_that_were_open_go_on_and_see_what_came_back(backup: Path, home: Path) -> None:
    newer(home)
    with closing(open_archive(home).queries) as queries:
        assert queries.status().messages == 720
        restore(open_archive(home), backup, force=True)
        assert queries.status().messages == 480


def test_what_the_old_log_still_held_does_not_come_back(backup: Path, home: Path) -> None:
    newer(home)
    with closing(sqlite3.connect(home / "whatsapp_chats.db", isolation_level=None)) as held:
        held.execute("BEGIN")
        held.execute("SELECT count(*) FROM messages").fetchone()  # so nobody can empty the log
        fill(open_archive(home), range(30, 34), received_at=RECEIVED_AT + 7200)
        assert (home / "whatsapp_chats.db-wal").stat().st_size > 0
        done = restore(open_archive(home), backup, force=True)
        assert findings(home) == []
    assert done.replaced
    assert findings(home) == findings(done.replaced) == []
    with open_archive(home).reader() as reader:
        assert reader.connection.execute("SELECT count(*) FROM messages").fetchone() == (480,)


@pytest.mark.parametrize("kind", ["garbage", "truncated", "broken pages", "nothing", "zeros in the header"])
def test_a_wreck_is_replaced_without_force_and_kept(backup: Path, home: Path, kind: str) -> None:
    old, path = digest(home), home / "whatsapp_chats.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = path.read_bytes()
    wreck = {
        "garbage": b"not a database at all, " * 500,
        "truncated": data[:50_000],
        "broken pages": data[:4096] + os.urandom(200_000) + data[204_096:],
        "nothing": b"",
        "zeros in the header": data[:18] + bytes(200) + data[218:],
    }[kind]
    path.write_bytes(wreck)
    done = restore(open_archive(home), backup)
    assert digest(home) == old
    assert findings(home) == []
    assert done.replaced
    if kind != "nothing":
        assert (done.replaced / path.name).stat().st_size


def test_the_database_of_another_program_is_left_alone(backup: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with closing(sqlite3.connect(there / "whatsapp_chats.db")) as connection, connection:
        connection.execute("CREATE TABLE recipes (title TEXT)")
    before = (there / "whatsapp_chats.db").read_bytes()
    with pytest.raises(DatabaseCorrupt, match="another program"):
        restore(open_archive(there), backup, force=True)
    assert (there / "whatsapp_chats.db").read_bytes() == before


@pytest.mark.parametrize("part", ["whatsapp_chats.db", "manifest.json", "backup-media"])
@pytest.mark.parametrize("lost", [True, False])
def test_a_damaged_backup_touches_nothing(backup: Path, home: Path, run: Any, part: str, *, lost: bool) -> None:
    before, there = digest(home), sorted(home.rglob("*"))
    path = (
        next(path for path in (backup.parent / part).rglob("*") if path.is_file()) if part == "backup-media" else backup / part
    )
    data = path.read_bytes()
    path.unlink()
    if not lost:
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    code, _, err = run("restore", str(backup), "--force")
    assert code == 1
    assert "backup" in one_line(err)
    assert digest(home) == before
    assert [path for path in there if not path.exists()] == []
    assert list(home.glob("re*")) == []


@pytest.mark.parametrize("path", ["../../outside", "/outside", "a/../../../outside", "", "images//x"])
def test_a_manifest_that_leads_out_of_the_folder_is_refused(backup: Path, home: Path, path: str) -> None:
    said = json.loads((backup / "manifest.json").read_bytes())
    said["media"][0]["path"] = path
    data = json.dumps(said).encode()
    (backup / "manifest.json").write_bytes(data)
    (backup / "manifest.json.sha256").write_bytes(seal(data))
    with pytest.raises(BackupDamaged, match="cannot be understood"):
        restore(open_archive(home), backup, force=True)


def test_a_backup_of_a_later_version_is_refused(backup: Path, home: Path) -> None:
    data = (backup / "manifest.json").read_bytes().replace(b'"schema_version": ', b'"schema_version": 9')
    (backup / "manifest.json").write_bytes(data)
    (backup / "manifest.json.sha256").write_bytes(seal(data))
    with pytest.raises(DatabaseTooNew, match="Update whatsapp-mcp"):
        restore(open_archive(home), backup, force=True)


def test_a_folder_of_backups_names_the_newest(backup: Path, home: Path) -> None:
    with pytest.raises(NotFound, match=backup.name):
        restore(open_archive(home), backup.parent)
    with pytest.raises(NotFound, match="no backup"):
        restore(open_archive(home), home)
    assert restore(open_archive(home), backup / "manifest.json").backup == backup


def test_nobody_restores_beside_a_writer(backup: Path, home: Path, run: Any) -> None:
    with hold_lock(home):
        code, _, err = run("restore", str(backup))
    assert code == 4
    one_line(err)


def test_media_that_are_lost_or_changed_come_back_and_newer_ones_stay(archive: Archive, backup: Path, home: Path) -> None:
    whole = media_of(home)
    first, second, *_ = sorted((home / "media" / "images").iterdir())
    first.unlink()
    second.write_bytes(b"rotten")
    (more,) = add_media(home, 1, seed=3)
    done = restore(archive, backup)
    assert done.files_new == 2
    assert media_of(home) == whole | {more.name: more.read_bytes()}
    assert done.replaced
    assert (done.replaced / "media" / "images" / second.name).read_bytes() == b"rotten"


@posix_only
def test_a_full_disk_leaves_the_old_archive(archive: Archive, backup: Path, home: Path) -> None:
    newer(home)
    before = digest(home)
    command = f'ulimit -f 200; exec "{sys.executable}" -m whatsapp_mcp --home "{home}" restore --force "{backup}"'
    process = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == 1
    one_line(process.stderr)
    assert "mistake" not in process.stderr
    assert digest(home) == before
    assert list(home.glob(".restoring-*")) == []


def test_a_disk_with_too_little_room_is_said_before_anything_is_touched(
    backup: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(home)
    monkeypatch.setattr("whatsapp_mcp.backup.restoring._ROOM", 10**15)
    with pytest.raises(StorageError, match="nothing was touched"):
        restore(open_archive(home), backup)
    assert digest(home) == before


@posix_only
@pytest.mark.parametrize("wreck", [False, True])
def test_a_kill_at_any_moment_leaves_the_old_archive_or_the_new_one(
    archive: Archive, backup: Path, home: Path, *, wreck: bool
) -> None:
    old = digest(home)
    dice, took = random.Random(6), 0.2
    seen: set[tuple[bool, str]] = set()
    for turn in range(14):
        newer(home)
        if wreck and turn % 2:
            (home / "whatsapp_chats.db").write_bytes(b"a wreck")
        new = None if wreck and turn % 2 else digest(home)
        began = time.monotonic()
        seconds = 60 if turn == 0 else dice.uniform(0, took)
        killed = run_killed(lambda: restore(open_archive(home), backup, force=True), seconds)
        took = time.monotonic() - began if turn == 0 else took
        if new is None and (home / "whatsapp_chats.db").read_bytes() == b"a wreck":
            seen.add((killed, "wreck"))
            restore(open_archive(home), backup)
            continue
        assert digest(home) in (old, new)
        assert findings(home) == []
        seen.add((killed, "old" if digest(home) == old else "new"))
    restore(open_archive(home), backup, force=True)
    assert digest(home) == old
    assert list(home.glob(".restoring-*")) == []
    assert (False, "old") in seen


@posix_only
def test_a_backup_made_beside_a_writer_comes_back_over_what_it_wrote_later(
    archive: Archive, home: Path, tmp_path: Path
) -> None:
    with busy_writer(home):
        made = back_up(archive, tmp_path / "disk2", verify=True).made
    restore(archive, made.path, force=True)
    assert digest(home) == made.digest
    assert findings(home) == []
