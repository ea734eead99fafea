from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from whatsapp_mcp.app import hold_lock
from whatsapp_mcp.cli import main
from whatsapp_mcp.logs import all_logs

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
TOKEN = "d75b3a66374942c5b3c019c698abc2067e151558acbd451234"
CHAT = """\
14/08/2025, 12:01 - Dana Levi: Where is the lease?
14/08/2025, 12:02 - Sam: In the blue folder
14/08/2025, 12:05 - Dana Levi: תודה רבה
15/08/2025, 09:00 - Sam: \x1b[31mred\x1b[0m
"""

posix_only = pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems files have these rights")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .env beside the code must not reach these tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "Europe/Madrid")


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_command


Run = Any


@pytest.fixture
def chat_file(tmp_path: Path) -> Path:
    path = tmp_path / "WhatsApp Chat with Dana Levi.txt"
    path.write_text(CHAT, encoding="utf-8")
    return path


@pytest.fixture
def archive(run: Run, chat_file: Path) -> Run:
    """A command line over an archive that holds one imported chat."""
    code, _, err = run("import", str(chat_file), "--me", "Sam")
    assert (code, err) == (0, "")
    return run


def account(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GREEN_API_URL", url)
    monkeypatch.setenv("GREEN_API_ID_INSTANCE", "7105000001")
    monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", TOKEN)


def one_line(err: str) -> str:
    assert err.startswith("whatsapp-mcp: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["serach"], "did you mean search?"),
        (["sync", "ful"], "did you mean full?"),
        (["read"], "CHAT"),
        (["chats", "--limit", "0"], "no number above 0"),
        (["sync", "full", "--resume", "--restart"], "not allowed with"),
        (["chats", "--frobnicate"], "Unrecognized"),
    ],
)
def test_wrong_use_is_one_line_that_says_where_help_is(run: Run, words: list[str], said: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert said in one_line(err)
    assert "--help" in err


def test_help_and_version_are_no_errors(run: Run) -> None:
    assert run("--help")[0] == 0
    code, out, _ = run("--version")
    assert (code, out) == (0, "whatsapp-mcp 0.1.0\n")


def test_without_an_archive_reading_says_how_to_make_one_and_makes_none(run: Run, home: Path) -> None:
    for words in (["status"], ["chats"], ["read", "Dana"], ["search", "x"], ["export", "Dana"], ["verify"], ["rebuild"]):
        code, out, err = run(*words)
        assert (code, out) == (1, ""), words
        assert "sync full" in one_line(err)
        assert not home.exists()


def test_a_sync_without_credentials_says_which_and_creates_nothing(run: Run, home: Path) -> None:
    code, _, err = run("sync", "full")
    assert code == 2
    assert "GREEN_API_URL, GREEN_API_ID_INSTANCE and GREEN_API_TOKEN_INSTANCE are not set." in one_line(err)
    assert not home.exists()


def test_a_gateway_that_cannot_be_reached_is_said_and_leaves_a_sound_archive(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, "http://127.0.0.1:9")
    code, _, err = run("sync", "full")
    assert code == 1
    assert "GREEN_API_URL" in err.splitlines()[-1]
    assert run("verify")[0] == 0


def test_the_token_is_in_nothing_that_is_printed_or_logged(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account(monkeypatch, "http://127.0.0.1:9")
    for words in (["sync", "full", "--debug"], ["doctor", "--debug"], ["doctor", "--json"]):
        _, out, err = run(*words)
        assert TOKEN not in out + err
    assert all(TOKEN not in path.read_text(encoding="utf-8") for path in all_logs(home))


def test_a_second_writer_is_told_who_the_first_is(run: Run, home: Path, chat_file: Path) -> None:
    with hold_lock(home):
        process = subprocess.run(
            [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "import", str(chat_file)],
            capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
    assert process.returncode == 4
    assert f"(pid {os.getpid()})" in one_line(process.stderr)
    assert run("import", str(chat_file))[0] == 0


def test_a_home_that_is_a_file_is_said(run: Run, home: Path, chat_file: Path) -> None:
    home.write_text("")
    code, _, err = run("import", str(chat_file))
    assert code == 1
    assert "--home" in one_line(err)


def test_a_damaged_database_is_said_and_left_alone(archive: Run, home: Path) -> None:
    damaged = b"not a database at all, " * 500
    for file in home.glob("whatsapp_chats.db*"):
        file.unlink()
    (home / "whatsapp_chats.db").write_bytes(damaged)
    for words in (["status"], ["verify"], ["rebuild"]):
        code, _, err = archive(*words)
        assert code == 1
        one_line(err)
    assert (home / "whatsapp_chats.db").read_bytes() == damaged


def test_a_database_of_a_later_version_is_left_alone(archive: Run, home: Path, chat_file: Path) -> None:
    with closing(sqlite3.connect(home / "whatsapp_chats.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    for words in (["status"], ["import", str(chat_file)]):
        code, _, err = archive(*words)
        assert code == 1
        assert "Update whatsapp-mcp" in one_line(err)


def test_an_unknown_chat_and_an_impossible_date_are_wrong_use(archive: Run) -> None:
    assert "Nobody" in one_line(archive("read", "Nobody")[2])
    code, _, err = archive("read", "Dana", "--after", "2025-02-30")
    assert code == 2
    assert "2025-02-30" in one_line(err)


def test_global_options_may_stand_before_or_after_the_command(
    home: Path, archive: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (
        ["--json", "--home", str(home), "status"],
        ["status", "--home", str(home), "--json"],
        ["--home", str(home), "status", "--json"],
    ):
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out)["messages"] == 4


def test_debug_shows_the_traceback_and_then_the_line(archive: Run) -> None:
    for words in (["--debug", "read", "Nobody"], ["read", "Nobody", "--debug"]):
        code, _, err = archive(*words)
        assert code == 2
        assert err.startswith("Traceback")
        assert err.splitlines()[-1].startswith("whatsapp-mcp: ")


def test_what_was_imported_is_read_found_counted_and_exported(archive: Run, home: Path) -> None:
    assert "Where is the lease?" in archive("read", "Dana")[1]
    assert "תודה רבה" in archive("search", "תודה")[1]
    assert "4 messages" in archive("analyze", "--after", "2025-08")[1]
    code, out, _ = archive("export", "Dana", "--json")
    assert code == 0
    exported = json.loads(out)
    assert exported["messages"] == 4
    assert "blue folder" in (home / "exports" / exported["path"].rpartition("/")[2]).read_text(encoding="utf-8")


def test_a_search_without_hits_says_what_was_looked_through(archive: Run) -> None:
    code, out, _ = archive("search", "zeppelin")
    assert code == 0
    assert "4 messages in 1 chat" in out


def test_every_report_is_json_when_asked(archive: Run) -> None:
    for words in (
        ["status"],
        ["chats"],
        ["read", "Dana"],
        ["search", "lease"],
        ["analyze"],
        ["verify"],
        ["rebuild"],
        ["doctor"],
    ):
        code, out, err = archive(*words, "--json")
        assert code == (2 if words == ["doctor"] else 0), err
        assert isinstance(json.loads(out), dict), words


def test_a_page_in_json_keeps_to_the_contract_and_leads_on(archive: Run) -> None:
    first = json.loads(archive("read", "Dana", "--limit", "3", "--json")[1])
    assert set(first) >= {"messages", "next_cursor", "interval", "coverage"}
    message = first["messages"][0]
    assert message["sent_at"] == "2025-08-14T12:02:00+02:00"
    assert message["type"] == "text"
    assert set(message["chat"]) == {"id", "whatsapp_id", "name"}
    second = json.loads(archive("read", "Dana", "--limit", "3", "--cursor", first["next_cursor"], "--json")[1])
    assert [one["content"] for one in second["messages"]] == ["Where is the lease?"]


def test_a_message_cannot_move_the_cursor_of_the_terminal(archive: Run) -> None:
    out = archive("read", "Dana")[1]
    assert "red" in out
    assert "\x1b" not in out


def test_an_import_tells_messages_from_what_whatsapp_says_itself(run: Run, chat_file: Path) -> None:
    notice = "14/08/2025, 08:00 - Messages and calls are end-to-end encrypted.\n"
    chat_file.write_text(notice + CHAT, encoding="utf-8")
    out = run("import", str(chat_file), "--me", "Sam")[1]
    assert "4 messages and 1 notice of WhatsApp in 'Dana Levi', 5 of them new" in out


def test_an_import_repeated_changes_nothing(archive: Run, chat_file: Path) -> None:
    code, out, _ = archive("import", str(chat_file), "--me", "Sam", "--json")
    assert code == 0
    assert [one["messages_new"] for one in json.loads(out)["files"]] == [0]
    assert "4 messages" in archive("rebuild")[1]
    assert archive("verify", "--thorough")[:2] == (0, "Everything that is stored fits together.\n")


def test_one_bad_file_among_several_is_named_and_left_out(run: Run, chat_file: Path) -> None:
    (chat_file.parent / "shopping.txt").write_text("milk\nbread\n")
    code, out, _ = run("import", str(chat_file.parent))
    assert code == 3
    assert "Left out: shopping.txt" in out
    assert run("import", str(chat_file.parent / "shopping.txt"))[0] == 1


def test_verify_finds_a_letter_that_was_changed(archive: Run, home: Path) -> None:
    with closing(sqlite3.connect(home / "whatsapp_chats.db")) as connection, connection:
        connection.execute("UPDATE messages SET content = 'Where is the leash?' WHERE content = 'Where is the lease?'")
    code, out, _ = archive("verify", "--thorough")
    assert code == 1
    assert "rebuild" in out
    assert "leash" not in out
    assert archive("rebuild")[0] == 0
    assert archive("verify", "--thorough")[0] == 0


@posix_only
def test_folders_and_files_are_for_their_owner_only(archive: Run, home: Path) -> None:
    archive("export", "Dana")
    entries = [home, *home.rglob("*")]
    assert set(all_logs(home)) <= set(entries)
    assert home / "metrics.prom" in entries
    assert {path.stat().st_mode & 0o077 for path in entries} == {0}


def test_the_log_says_what_ran_and_no_word_of_a_message(archive: Run, home: Path) -> None:
    archive("search", "lease")
    archive("read", "Nobody")
    (path,) = all_logs(home)
    log = path.read_text(encoding="utf-8")
    assert "reading.search ends with 0" in log
    assert "NotFound" in log
    assert not any(word in log for word in ("lease", "Dana", "Nobody"))


@posix_only
def test_a_reader_that_leaves_early_is_no_error(archive: Run, home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "read", "Dana"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@posix_only
def test_ctrl_c_stops_a_sync_with_one_line_and_a_sound_archive(run: Run, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        environment = {
            **os.environ,
            "GREEN_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "GREEN_API_ID_INSTANCE": "7105000001",
            "GREEN_API_TOKEN_INSTANCE": TOKEN,
        }
        words = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "sync", "full"]
        with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
            connection, _ = silent.accept()  # it waits for an answer that never comes
            with connection:
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "whatsapp-mcp: stopped; run again with --resume."
    assert "Traceback" not in err
    assert run("verify")[0] == 0


@posix_only
def test_a_full_disk_is_one_line_and_leaves_a_sound_archive(archive: Run, home: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the end of the disk: SQLite meets it in the middle of its work."""
    long = tmp_path / "WhatsApp Chat with Max.txt"
    lines = (f"14/08/2025, {hour:02}:{minute:02} - Max: {os.urandom(500).hex()}" for hour in range(24) for minute in range(60))
    long.write_text("\n".join(lines), encoding="utf-8")
    command = f'ulimit -f 400; exec "{sys.executable}" -m whatsapp_mcp --home "{home}" import "{long}"'
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert process.returncode == 1
    one_line(process.stderr)
    assert archive("verify", "--thorough")[0] == 0
    assert archive("import", str(long))[0] == 0


@posix_only
def test_a_folder_that_may_not_be_written_is_one_line_and_can_still_be_read(archive: Run, home: Path, chat_file: Path) -> None:
    home.chmod(0o500)
    try:
        words = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "import", str(chat_file)]
        refused = subprocess.run(
            [*without_the_powers_of_root(), *words],
            capture_output=True, text=True, encoding="utf-8", timeout=60, check=False,
        )  # fmt: skip
        assert refused.returncode == 1
        assert "--home" in one_line(refused.stderr)
        assert archive("read", "Dana")[0] == 0
    finally:
        home.chmod(0o700)


def without_the_powers_of_root() -> list[str]:
    """Root may write anywhere, unless it gives that right away."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may write anywhere")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
