"""The command line and the server before damaged, foreign, locked and read-only archives: one clear line, nobody's words."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from test_cli import TOKEN, account, one_line, posix_only, without_the_powers_of_root

from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.logs import all_logs, start_log, stop_log
from whatsapp_mcp.refusals import foreseen, hush

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
CHAT = "14/08/2025, 12:01 - Dana Levi: Where is the lease?\n14/08/2025, 12:02 - Sam: In the blue folder\n"
SOUND = (0, "Everything that is stored fits together.\n", "")
Run = Any


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "Europe/Madrid")

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        return code, *capsys.readouterr()

    return run_command


@pytest.fixture
def database(home: Path, tmp_path: Path, run: Run) -> Path:
    chat = tmp_path / "WhatsApp Chat with Dana Levi.txt"
    chat.write_text(CHAT, encoding="utf-8")
    assert run("import", str(chat), "--me", "Sam")[0] == 0
    return home / "whatsapp_chats.db"


@pytest.mark.usefixtures("database")
def test_verify_needs_no_lock(run: Run, home: Path) -> None:
    with hold_lock(home):
        assert run("verify") == run("verify", "--thorough") == SOUND


def test_verify_sees_one_state_while_somebody_writes_and_writes_nothing(run: Run, database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE messages SET content = 'not committed'")
        assert run("verify", "--thorough") == SOUND
        writer.execute("ROLLBACK")
    before = database.read_bytes()
    assert run("verify", "--thorough") == SOUND
    assert database.read_bytes() == before


@posix_only
def test_verify_works_where_nothing_can_be_written(database: Path, home: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for file in home.glob("whatsapp_chats.db-*"):
        file.unlink()
    database.chmod(0o400)
    home.chmod(0o500)
    try:
        words = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "verify", "--thorough"]
        process = subprocess.run(
            [*without_the_powers_of_root(), *words],
            capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
    finally:
        home.chmod(0o700)
    assert (process.returncode, process.stdout, process.stderr) == SOUND


def test_a_folder_in_the_place_of_the_database_is_said(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, "http://127.0.0.1:9")
    (home / "whatsapp_chats.db").mkdir(parents=True)
    for words in (["sync", "full"], ["status"], ["verify"], ["rebuild"]):
        code, _, err = run(*words)
        assert code == 1
        assert "folder" in one_line(err), words
        assert "mistake" not in err


@pytest.mark.parametrize("version", [0, 1])
def test_the_database_of_another_program_is_refused_and_left_alone(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    account(monkeypatch, "http://127.0.0.1:9")
    home.mkdir()
    path = home / "whatsapp_chats.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (title TEXT)")
        connection.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    for words in (["sync", "full"], ["status"], ["verify"], ["rebuild"], ["search", "x"]):
        code, _, err = run(*words)
        assert code == 1
        assert "another program" in one_line(err), words
        assert "--home" in err
    assert path.read_bytes() == before


def test_an_archive_that_lost_a_table_is_one_line_everywhere_and_a_finding_of_verify(run: Run, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DROP TABLE reactions")
    for words in (["status"], ["search", "lease"], ["rebuild"]):
        code, _, err = run(*words)
        assert code == 1
        assert "reactions" in one_line(err)
    code, out, _ = run("verify")
    assert code == 1
    assert "The table reactions is missing" in out


def test_a_broken_letter_does_not_hide_a_chat_nor_spill_it_elsewhere(run: Run, database: Path, home: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE messages SET content = CAST(x'7365637265742064ff7461' AS TEXT) WHERE content LIKE 'Where%'")
    code, out, err = run("read", "Dana", "--debug")
    assert (code, err) == (0, "")
    assert "secret d\ufffdta" in out
    assert "In the blue folder" in out
    for words in (["verify", "--debug"], ["verify", "--thorough", "--debug"], ["status", "--debug"], ["rebuild", "--debug"]):
        _, out, err = run(*words)
        assert "secret" not in out + err
    assert all("secret" not in path.read_text(encoding="utf-8") for path in all_logs(home))
    assert "Where is the lease?" in run("read", "Dana")[1]


def broken_text() -> sqlite3.Error:
    """Python's own error for a text that is no UTF-8: it quotes the text."""
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("SELECT CAST(x'73656372657420ff' AS TEXT) AS content").fetchall()
        except sqlite3.Error as error:
            return error
    raise LookupError


def test_sqlites_words_leave_a_traceback_and_its_place_stays() -> None:
    error = broken_text()
    assert "secret" in str(error)
    known = foreseen(error)
    assert known is not None
    assert "verify" in str(known)
    assert "secret" not in str(known)
    outer = ExceptionGroup("both", [RuntimeError("outer")])
    outer.exceptions[0].__context__ = error
    hush(outer)
    shown = "".join(traceback.format_exception(outer))
    assert "secret" not in shown
    assert "OperationalError" in shown
    assert "broken_text" in shown


def test_the_log_file_keeps_sqlites_words_out(home: Path) -> None:
    home.mkdir()
    handler = start_log(Settings.load(home=home))
    error = RuntimeError("the job stopped")
    error.__cause__ = broken_text()
    logging.getLogger("whatsapp_mcp.server").error("The job %s stopped", "full", exc_info=error)
    stop_log(handler)
    (path,) = all_logs(home)
    log = path.read_text(encoding="utf-8")
    assert "The job full stopped" in log
    assert "RuntimeError < OperationalError" in log
    assert "secret" not in log


def test_the_servers_log_keeps_sqlites_words_to_itself() -> None:
    script = (
        "import logging\n"
        "from test_damage import broken_text\n"
        "from whatsapp_mcp.server.transport import prepare_logging\n"
        "prepare_logging()\n"
        "log = logging.getLogger('mcp.server')\n"
        "try:\n"
        "    raise RuntimeError('tool') from broken_text()\n"
        "except RuntimeError:\n"
        "    log.exception('Tool %r raised an unexpected exception', 'read_chat')\n"
        "log.error('failed: %s', broken_text())\n"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 0, process.stderr
    assert "secret" not in process.stderr
    assert process.stderr.count("OperationalError") == 1
    assert "RuntimeError: tool" in process.stderr


@posix_only
@pytest.mark.parametrize("more", [[], ["--include-media"]])
def test_an_export_that_grows_too_large_is_one_line_and_leaves_nothing(
    run: Run, home: Path, tmp_path: Path, more: list[str]
) -> None:
    long = tmp_path / "WhatsApp Chat with Max.txt"
    lines = (f"14/08/2025, {hour:02}:{minute:02} - Max: {os.urandom(500).hex()}" for hour in range(8) for minute in range(60))
    long.write_text("\n".join(lines), encoding="utf-8")
    assert run("import", str(long))[0] == 0
    command = f'ulimit -f 100; exec "{sys.executable}" -m whatsapp_mcp --home "{home}" export Max {" ".join(more)}'
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert process.returncode == 1
    one_line(process.stderr)
    assert "mistake" not in process.stderr
    assert list((home / "exports").iterdir()) == []
    assert TOKEN not in process.stderr


def test_a_changed_letter_in_the_words_of_a_view_is_a_finding_and_no_mistake(run: Run, database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'AS noticed_by', 'AS nodiced_by') WHERE name = 'missing_messages'"
        )
        connection.commit()
    code, out, err = run("verify")
    assert (code, err) == (1, "")
    assert "view missing_messages is changed" in out
