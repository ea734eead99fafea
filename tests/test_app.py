from __future__ import annotations

import errno
import os
import sqlite3
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from full_disk import full_disk

from whatsapp_mcp.app import PID_NAME, Archive, ensure_private_file, ensure_private_folder, hold_lock, replace_private_file
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import DatabaseCorrupt, NotFound, SettingsError, StorageError, WriterRunning
from whatsapp_mcp.refusals import foreseen, storage_errors

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def archive(tmp_path: Path, home: Path) -> Archive:
    return Archive.open(Settings.load({"WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "UTC"}, tmp_path))


def test_opening_an_archive_touches_nothing(archive: Archive, home: Path) -> None:
    assert archive.queries is archive.queries
    assert not home.exists()


def test_a_writer_makes_the_archive_and_lets_go_of_it(archive: Archive, home: Path) -> None:
    with archive.writer() as writer:
        assert writer.ingest.store is writer.store
        assert (home / PID_NAME).read_text(encoding="ascii") == str(os.getpid())
    assert archive.database.exists()
    assert not (home / PID_NAME).exists()
    with archive.writer():
        pass


def test_two_writers_in_one_process_exclude_each_other_also_across_threads(archive: Archive) -> None:
    refused: list[str] = []

    def try_to_write() -> None:
        with pytest.raises(WriterRunning) as caught, archive.writer():
            pass
        refused.append(str(caught.value))

    with archive.writer():
        thread = threading.Thread(target=try_to_write)
        thread.start()
        thread.join(timeout=60)
        try_to_write()
    assert len(refused) == 2
    assert all("this very process" in text for text in refused)


def test_a_lock_may_be_let_go_in_another_thread(archive: Archive, home: Path) -> None:
    lock = hold_lock(home)
    lock.__enter__()
    thread = threading.Thread(target=lock.__exit__, args=(None, None, None))
    thread.start()
    thread.join(timeout=60)
    with archive.writer():
        pass


def test_a_lock_left_by_a_killed_process_holds_nobody_up(home: Path) -> None:
    ensure_private_folder(home)
    (home / PID_NAME).write_text("999999", encoding="ascii")
    with hold_lock(home):
        pass


def test_without_credentials_there_is_no_gateway(archive: Archive) -> None:
    with pytest.raises(SettingsError):
        archive.gateway()


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems files have these rights")
def test_what_is_created_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = ensure_private_folder(tmp_path / "a" / "b")
        file = ensure_private_file(folder / "c")
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder, file)] == [0o700, 0o700, 0o600]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "The disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
        (errno.ENOTDIR, "is a file"),
    ],
)
def test_what_the_disk_refuses_says_what_to_do(number: int, said: str) -> None:
    with pytest.raises(StorageError, match=said) as caught, storage_errors():
        raise OSError(number, os.strerror(number), "/somewhere/file")
    assert "/somewhere/file" in caught.value.what
    assert caught.value.advice


def test_a_full_database_says_what_to_do(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "full.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(StorageError, match="The disk is full"), storage_errors():
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")


def test_a_damaged_database_is_told_from_a_full_one(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(b"not a database" * 100)
    with closing(sqlite3.connect(path)) as connection, pytest.raises(DatabaseCorrupt), storage_errors():
        connection.execute("SELECT * FROM sqlite_master")


def test_an_error_of_ours_passes_unchanged_also_out_of_a_group() -> None:
    ours = NotFound("There is no such chat.")
    assert foreseen(ours) is ours
    assert foreseen(ExceptionGroup("tasks", [ValueError(), ExceptionGroup("inner", [ours])])) is ours


def test_what_nobody_foresaw_stays_what_it_is() -> None:
    assert foreseen(ValueError("x")) is None
    assert foreseen(OSError(errno.ECHILD, "x")) is None
    with pytest.raises(ValueError, match="x"), storage_errors():
        raise ValueError("x")


@pytest.mark.skipif(sys.platform == "win32", reason="rights and limits are of POSIX")
def test_a_file_is_replaced_as_a_whole_for_its_owner_only_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text("before")
    path.chmod(0o644)
    with full_disk(), pytest.raises(OSError, match="large"):
        replace_private_file(path, b"after")
    assert ([one.name for one in tmp_path.iterdir()], path.read_text()) == (["small.json"], "before")
    assert replace_private_file(path, b"a\r\nb\n") == path
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"a\r\nb\n", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["small.json"]
