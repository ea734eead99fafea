"""The weekly run: every step says how it went, none stops another, readers go on, and a wreck is not written to."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from backup_desk import add_media, fill, name_media, open_archive
from store_fixtures import RECEIVED_AT
from test_cli import one_line, posix_only

from whatsapp_mcp import maintenance
from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.backup import back_up
from whatsapp_mcp.cli import main
from whatsapp_mcp.doctor.mending import mend
from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.maintenance import TIDYING, maintain
from whatsapp_mcp.store import upkeep
from whatsapp_mcp.verify import sample, verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.maintenance import Maintained, Step

NOW = RECEIVED_AT + 86_400
READING = ["archive", "media", "backups", "temporary files"]
COMMAND = [*READING, "logs", *TIDYING]


@pytest.fixture
def archive(home: Path) -> Archive:
    archive = fill(open_archive(home))
    name_media(archive, add_media(home, 4))
    return archive


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return code, *capsys.readouterr()

    return run_command


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def steps(done: Maintained) -> dict[str, Step]:
    return {step.name: step for step in done.steps}


def states(done: Maintained) -> dict[str, str]:
    return {step.name: step.state for step in done.steps}


def test_a_sound_archive_is_checked_tidied_and_still_sound(archive: Archive) -> None:
    done = maintain(archive)
    assert states(done) == dict.fromkeys([*READING, *TIDYING], "ok")
    with archive.reader() as reader:
        assert verify(reader, thorough=True) == []
    assert not archive.database.with_name("whatsapp_chats.db-wal").stat().st_size
    (run,) = (run for run in archive.queries.status().runs if run.kind == "maintenance")
    assert (run.state, run.last_error) == ("complete", None)


def test_the_command_prints_each_step_and_the_size(archive: Archive, run: Any) -> None:
    code, out, err = run("maintenance")
    assert (code, err) == (0, "")
    assert [line.partition(":")[0] for line in out.splitlines()[:-1]] == COMMAND
    assert "The database has" in out.splitlines()[-1]
    code, out, _ = run("maintenance", "--thorough", "--json")
    assert code == 0
    said = json.loads(out)
    assert [step["name"] for step in said["steps"]] == COMMAND
    assert all(step["seconds"] >= 0 for step in said["steps"])


def test_without_an_archive_there_is_nothing_to_tidy(home: Path, run: Any) -> None:
    code, _, err = run("maintenance")
    assert code == 1
    assert "sync full" in one_line(err)
    assert not home.exists()


def test_beside_a_writer_what_only_reads_is_done_and_the_rest_waits(archive: Archive, home: Path, run: Any) -> None:
    with hold_lock(home):
        code, out, _ = run("maintenance", "--json")
    assert code == 4
    done = {step["name"]: step for step in json.loads(out)["steps"]}
    assert {done[name]["state"] for name in READING} == {"ok"}
    assert {done[name]["state"] for name in TIDYING} == {"skipped"}
    assert str(os.getpid()) in done["statistics"]["said"] or "this very process" in done["statistics"]["said"]


def test_a_wrong_figure_is_told_and_the_database_is_not_tidied(archive: Archive, run: Any) -> None:
    change(archive.database, "UPDATE chats SET message_count = 7 WHERE chat_id = 1")
    code, out, _ = run("maintenance")
    assert code == 1
    assert "rebuild" in next(line for line in out.splitlines() if line.startswith("archive: DAMAGED"))
    assert "statistics: SKIPPED" in out


def test_a_damaged_file_is_told_and_not_written_to(archive: Archive, run: Any) -> None:
    change(archive.database, "PRAGMA wal_checkpoint(TRUNCATE)")
    data = archive.database.read_bytes()
    wreck = data[: 4096 * 10] + b"\xff" * 4096 * 5 + data[4096 * 15 :]
    archive.database.write_bytes(wreck)
    code, out, err = run("maintenance")
    assert (code, err) == (1, "")
    assert "archive: DAMAGED" in out
    assert "temporary files: 0 removed" in out
    assert archive.database.read_bytes() == wreck


def test_a_step_that_fails_stops_no_other(archive: Archive) -> None:
    def full() -> str:
        raise StorageError("The disk is full.")

    done = maintain(archive, extra={"logs": full, "greeting": lambda: "hello"})
    assert states(done)["logs"] == "failed"
    assert steps(done)["greeting"].said == "hello"
    assert {states(done)[name] for name in TIDYING} == {"ok"}
    assert (done.damaged, done.failed) == (False, True)
    (run,) = (run for run in archive.queries.status().runs if run.kind == "maintenance")
    assert (run.state, run.last_error) == ("partial", "logs: The disk is full.")


def test_a_step_that_could_not_be_done_ends_the_command_with_3(
    archive: Archive, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(upkeep, "refresh_statistics", full)
    code, out, _ = run("maintenance")
    assert code == 3
    assert "statistics: FAILED: The disk is full." in out
    assert "log of the database: Emptied." in out


def test_missing_media_are_damage_and_media_of_no_message_are_only_counted(archive: Archive, home: Path) -> None:
    first, *_ = sorted((home / "media" / "images").iterdir())
    first.unlink()
    (orphan,) = add_media(home, 1, seed=7)
    done = steps(maintain(archive))["media"]
    assert done.state == "damaged"
    assert "1 files that messages name are missing" in done.said
    first.write_bytes(b"back")
    done = steps(maintain(archive))["media"]
    assert (done.state, done.said) == ("ok", "5 files; 1 of them (0.0 MB) belong to no message.")
    assert orphan.exists()


def test_media_that_have_changed_since_the_backup_are_found_within_a_quarter(home: Path) -> None:
    archive = fill(open_archive(home))
    back_up_of = add_media(home, 3)
    back_up(archive)
    back_up_of[1].write_bytes(b"rotten")
    weeks = [states(maintain(open_archive(home, now=NOW + week * 604_800)))["media"] for week in range(13)]
    assert weeks.count("damaged") == 1


def test_a_damaged_backup_is_told_and_an_old_one_is_mentioned(archive: Archive, home: Path) -> None:
    assert "no backup yet" in steps(maintain(archive))["backups"].said
    made = back_up(archive).made
    said = steps(maintain(open_archive(home, now=NOW + 9 * 86_400)))["backups"].said
    assert "9 days old" in said
    assert "makes a new one" in said
    elsewhere = open_archive(home, BACKUP_PATH=str(home / "usb" / "backups"))
    assert "Connect its disk" in steps(maintain(elsewhere))["backups"].said
    (made.path / "whatsapp_chats.db").write_bytes(b"")
    assert states(maintain(archive))["backups"] == "damaged"


def test_the_backup_of_another_archive_in_the_same_folder_does_not_hide_that_there_is_none(
    home: Path, tmp_path: Path, archive: Archive
) -> None:
    shared = open_archive(home, BACKUP_PATH=str(tmp_path / "shared"))
    back_up(fill(open_archive(tmp_path / "other")), tmp_path / "shared")
    assert "no backup yet" in steps(maintain(shared))["backups"].said


def test_a_backup_that_a_wrong_clock_made_in_the_future_does_not_hide_how_old_the_others_are(
    home: Path, archive: Archive
) -> None:
    back_up(open_archive(home, now=NOW + 365 * 86_400))
    assert "365 days from now" in steps(maintain(archive))["backups"].said
    back_up(open_archive(home, now=NOW - 20 * 86_400))
    assert "20 days old" in steps(maintain(archive))["backups"].said


@posix_only
def test_behind_a_link_in_the_place_of_the_temporary_folder_nothing_is_removed(
    archive: Archive, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_bytes(b"x")
    os.utime(tmp_path / "mine" / "letter", (NOW - 900_000, NOW - 900_000))
    (home / "media" / "temp").symlink_to(tmp_path / "mine")
    assert steps(maintain(archive))["temporary files"].said.startswith("0 removed")
    mend(archive)
    assert (tmp_path / "mine" / "letter").exists()


def test_only_temporary_files_older_than_a_day_are_removed(archive: Archive, home: Path) -> None:
    temp, stale = home / "media" / "temp", home / ".restoring-20260101T000000Z"
    temp.mkdir()
    stale.mkdir()
    (temp / "old").write_bytes(b"x" * 2_000_000)
    (temp / "new").write_bytes(b"x")
    for path in (temp / "old", stale):
        os.utime(path, (NOW - 100_000, NOW - 100_000))
    os.utime(temp / "new", (NOW - 100, NOW - 100))
    (home / "replaced-20260101T000000Z").mkdir()
    said = steps(maintain(archive))["temporary files"].said
    assert [path.name for path in temp.iterdir()] == ["new"]
    assert not stale.exists()
    assert said.startswith("2 removed (2.0 MB).")
    assert "replaced-20260101T000000Z" in said


def test_free_space_is_given_back_only_where_it_pays_and_readers_go_on(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "not worth" in steps(maintain(archive))["free space"].said
    change(archive.database, "CREATE TABLE big (body)")
    change(archive.database, "INSERT INTO big WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
           " SELECT randomblob(1500) FROM n")  # fmt: skip
    change(archive.database, "DROP TABLE big")
    assert "not worth" in steps(maintain(archive))["free space"].said
    monkeypatch.setattr(maintenance, "_WORTH_BYTES", 1_000_000)
    with archive.reader() as reader:
        before = reader.connection.execute("SELECT count(*) FROM messages").fetchone()
        done = maintain(archive)
        assert reader.connection.execute("SELECT count(*) FROM messages").fetchone() == before
    assert "were given back" in steps(done)["free space"].said
    assert "A reader still needs" in steps(done)["log of the database"].said
    done = maintain(archive)
    assert done.bytes_after < done.bytes_before
    assert states(done) == dict.fromkeys([*READING, *TIDYING], "ok")


def test_too_small_a_disk_for_giving_back_is_a_step_that_could_not_be_done(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_WORTH_BYTES", -1)
    monkeypatch.setattr(maintenance, "_WORTH_SHARE", -1.0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    done = steps(maintain(archive))["free space"]
    assert done.state == "failed"
    assert "the next maintenance does it" in done.said


def test_the_pieces_of_the_search_index_are_joined(archive: Archive) -> None:
    def pieces() -> int:
        with archive.reader() as reader:
            return int(reader.connection.execute("SELECT count(DISTINCT segid) FROM message_index_idx").fetchone()[0])

    fill(archive, range(40, 60), messages=3)
    assert pieces() > 1
    found = archive.queries.search("lease").total
    maintain(archive)
    assert pieces() == 1
    assert archive.queries.search("lease").total == found


def test_each_share_of_the_payloads_is_found_again_and_a_lost_message_is_not(archive: Archive) -> None:
    with archive.reader() as reader:
        assert [sample(reader, share, 13) for share in range(13)] == [[]] * 13
    change(archive.database, "DELETE FROM messages WHERE message_id = 100")
    with archive.reader() as reader:
        found = [sample(reader, share, 13) for share in range(13)]
    assert sum(map(len, found)) == 1
    assert [finding.rung for findings in found for finding in findings] == ["messages"]


def test_a_damaged_search_index_is_found(archive: Archive) -> None:
    change(archive.database, "UPDATE message_index_data SET block = zeroblob(30) WHERE id > 10")
    done = maintain(archive)
    assert done.damaged
    assert "index" in json.dumps([step.said for step in done.steps])
