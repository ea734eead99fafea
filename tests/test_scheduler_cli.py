"""`whatsapp-mcp-scheduler` as a person, cron or systemd starts it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from smtp_sink import READER, mail_server, silent_server

from whatsapp_mcp.app import hold_lock, hold_scheduler_lock
from whatsapp_mcp.cli import main
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.scheduler.memory import FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

SCALE = 500
WITHIN = 30.0
ZONE = ZoneInfo("Asia/Kathmandu")

posix = pytest.mark.skipif(sys.platform == "win32", reason="a signal to stop is of POSIX")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.chdir(tmp_path)
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE, patience=0.05) as served:
        monkeypatch.setenv("GREEN_API_URL", served.url)
        monkeypatch.setenv("GREEN_API_ID_INSTANCE", str(served.id_instance))
        monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", served.token)
        monkeypatch.setenv("GREEN_API_RATE_SCALE", str(SCALE))
        monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", ZONE.key)
        yield served


@pytest.fixture
def filled(gateway: Gateway, home: Path) -> Gateway:
    assert main(["--home", str(home), "sync", "full", "--json"]) == 0
    return gateway


def command(home: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "whatsapp_mcp.scheduler", "--home", str(home), *words]


def run(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(home, *words), capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **settings}
    )


@contextmanager
def started(home: Path, *words: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        command(home, *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **settings}
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def until(happened: Callable[[], object], child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + WITHIN
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        assert child.poll() is None, "the child ended"
        time.sleep(0.01)


def kinds(home: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(f"{(home / 'whatsapp_chats.db').as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT kind, state FROM runs ORDER BY run_id").fetchall()


# One job


def test_once_is_quiet_when_all_went_well(filled: Gateway, home: Path) -> None:
    for job in ("recent", "sweep", "backup", "full", "maintenance"):
        ended = run(home, "--once", job)
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert [kind for kind, _ in kinds(home)] == ["full", "recent", "sweep", "full", "maintenance"]
    assert len(list(home.glob("backups/*/manifest.json"))) == 1
    told = json.loads(run(home, "--once", "recent", "--json").stdout)
    assert (told["job"], told["state"], told["exit_code"]) == ("recent", "complete", 0)


def test_once_says_in_one_line_what_went_wrong(filled: Gateway, home: Path) -> None:
    with hold_lock(home):
        ended = run(home, "--once", "recent")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (4, "", 1)
    assert "is writing to this archive" in ended.stderr
    filled.faults.state = "notAuthorized"
    ended = run(home, "--once", "recent")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "Traceback" not in ended.stderr
    ended = run(home, "--once", "recent", GREEN_API_TOKEN_INSTANCE="wrong0token")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert filled.token not in ended.stderr
    assert filled.token not in (home / FILE).read_text(encoding="utf-8")


def test_once_mails_its_report_and_a_dead_mail_server_fails_no_job(filled: Gateway, home: Path) -> None:
    with mail_server() as sink:
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(sink.port), "SMTP_SECURITY": "none", "REPORT_TO": READER}
        assert run(home, "--once", "recent", **mail).returncode == 0
        assert [str(letter["Subject"]) for letter in sink.letters] == ["WhatsApp archive: 0 new messages in 0 chats"]
    assert run(home, "--once", "recent", **mail).returncode == 0
    assert len(list(home.glob("outbox/*.eml"))) == 1
    ended = run(home, "--once", "report", **mail)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert run(home, "--once", "report").returncode == 2, "nobody is named who would get it"


def test_settings_of_the_mail_that_make_no_sense_are_said_and_the_job_runs(filled: Gateway, home: Path) -> None:
    ended = run(home, "--once", "recent", SMTP_HOST="mail.example.com", SMTP_SECURITY="perhaps", REPORT_TO=READER)
    assert ended.returncode == 0
    assert "SMTP_SECURITY is neither" in ended.stderr
    assert ended.stderr.count("\n") == 1


# The settings


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("SCHEDULE_RECENT", "8 o'clock", "is no time"),
        ("SCHEDULE_RECENT", "24:00", "is no time"),
        ("SCHEDULE_MAINTENANCE", "Someday 02:00", "is no time"),
        ("SCHEDULE_LISTEN", "perhaps", "neither yes nor no"),
        ("WHATSAPP_MCP_TIMEZONE", "Europe/Atlantis", "is no time zone"),
        ("GREEN_API_TOKEN_INSTANCE", "", "GREEN_API_TOKEN_INSTANCE is not set"),
    ],
)
def test_a_wrong_setting_is_one_line_with_code_2(gateway: Gateway, home: Path, setting: str, value: str, said: str) -> None:
    ended = run(home, **{setting: value})
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert said in ended.stderr
    assert not (home / FILE).exists()


def test_a_job_that_there_is_not_is_one_line_with_code_2(home: Path) -> None:
    ended = run(home, "--once", "recnet")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "recent" in ended.stderr


def test_a_second_scheduler_is_refused_with_code_4(gateway: Gateway, home: Path) -> None:
    with hold_scheduler_lock(home):
        ended = run(home)
    assert (ended.returncode, ended.stderr.count("\n")) == (4, 1)


# In the foreground


@posix
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_code_0(filled: Gateway, home: Path, sign: int) -> None:
    with started(home) as child:
        until((home / FILE).exists, child)
        child.send_signal(sign)
        out, err = child.communicate(timeout=WITHIN)
    assert (child.returncode, out, err) == (0, "", "")


@posix
@pytest.mark.timeout(110)
def test_a_job_that_was_due_while_it_was_off_runs_at_once_and_a_signal_in_its_middle_is_no_failure(
    filled: Gateway, home: Path
) -> None:
    due = datetime.now(ZONE).replace(second=0, microsecond=0) - timedelta(hours=2)
    times = {"SCHEDULE_RECENT": due.strftime("%H:%M")}
    with started(home, **times) as child:
        until((home / FILE).exists, child)
        child.terminate()
        child.communicate(timeout=WITHIN)
    told = json.loads((home / FILE).read_text(encoding="utf-8"))
    told["jobs"]["recent"]["last_due"] -= 86_400
    (home / FILE).write_text(json.dumps(told), encoding="utf-8")
    filled.faults.next("lastIncomingMessages", Fault.NO_ANSWER)
    with started(home, **times) as child:
        until(lambda: ("recent", "running") in kinds(home) and filled.count("lastOutgoingMessages"), child)
        child.terminate()
        child.communicate(timeout=WITHIN)
    assert child.returncode == 0
    assert kinds(home)[-1] == ("recent", "interrupted")
    filled.faults.clear()
    with started(home, **times) as child:
        until(lambda: ("recent", "complete") in kinds(home), child)
        until(lambda: json.loads((home / FILE).read_text(encoding="utf-8"))["jobs"]["recent"]["result"] == "complete", child)
        child.terminate()
        child.communicate(timeout=WITHIN)
    assert child.returncode == 0
    assert [kind for kind, _ in kinds(home)].count("recent") == 2


@posix
def test_a_second_signal_cuts_and_the_mail_is_not_lost(filled: Gateway, home: Path) -> None:
    with silent_server() as port:
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "none", "REPORT_TO": READER}
        with started(home, "--once", "recent", **mail) as child:
            until(lambda: list(home.glob("outbox/*.eml")), child)
            child.terminate()
            with pytest.raises(subprocess.TimeoutExpired):
                child.wait(0.5)
            child.terminate()
            assert child.wait(WITHIN) == -signal.SIGTERM
    assert len(list(home.glob("outbox/*.eml"))) == 1


@posix
def test_what_cron_is_told_to_start_can_be_started(filled: Gateway, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["--home", str(home), "schedule", "show", "--kind", "cron"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "--once" in line]
    assert len(lines) == 3
    for line in lines:
        shell = line.split(maxsplit=5)[5]
        assert subprocess.run(["sh", "-c", shell], timeout=60, check=False).returncode == 0
    assert (home / "logs" / "scheduler.log").read_text(encoding="utf-8") == ""


@posix
def test_it_listens_when_the_settings_say_so_and_a_signal_ends_that_too(filled: Gateway, home: Path) -> None:
    with started(home, SCHEDULE_LISTEN="yes") as child:
        filled.deliver(filled.compose(filled.account.person("Mike").id, "hello"))
        until(lambda: not len(filled.queue), child)
        child.terminate()
        _, err = child.communicate(timeout=WITHIN)
    assert (child.returncode, err) == (0, "")
    assert ("listen", "complete") in kinds(home)
