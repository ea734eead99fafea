"""`listen` as a person or a supervisor starts it: a process of its own, stopped by a signal."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.types import TextContent

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli import main
from whatsapp_mcp.cli.listening import ListeningLine
from whatsapp_mcp.config import Settings
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.server.build import build_server
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import Progress
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

SCALE = 500
WITHIN = 30.0

posix = pytest.mark.skipif(sys.platform == "win32", reason="a signal to stop is of POSIX")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.chdir(tmp_path)
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE, patience=0.05) as served:
        monkeypatch.setenv("GREEN_API_URL", served.url)
        monkeypatch.setenv("GREEN_API_ID_INSTANCE", str(served.id_instance))
        monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", served.token)
        monkeypatch.setenv("GREEN_API_RATE_SCALE", str(SCALE))
        monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "UTC")
        yield served


@pytest.fixture(autouse=True)
def _verified(home: Path) -> Iterator[None]:
    yield
    if (home / "whatsapp_chats.db").exists():
        with Store(home / "whatsapp_chats.db") as store:
            assert list(verify(store, thorough=True)) == []


def say(gateway: Gateway, *texts: str) -> None:
    for text in texts:
        gateway.deliver(gateway.compose(gateway.account.person("Mike").id, text))


def texts(home: Path) -> list[str]:
    path = home / "whatsapp_chats.db"
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return [text for (text,) in connection.execute("SELECT content FROM messages ORDER BY message_id")]
        except sqlite3.OperationalError:  # the tables are being made
            return []


def until(happened: Callable[[], object], child: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + WITHIN
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        assert child is None or child.poll() is None, "the child ended"
        time.sleep(0.01)


@contextmanager
def started(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "whatsapp_mcp", "--home", str(home), "listen", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) as child:
        try:
            yield child
        finally:
            child.kill()


@posix
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_code_0(gateway: Gateway, home: Path, sign: int) -> None:
    with started(home, "--json") as child:
        say(gateway, "hello")
        until(lambda: texts(home) == ["hello"] and not len(gateway.queue), child)
        child.send_signal(sign)
        out, err = child.communicate(timeout=WITHIN)
    assert child.returncode == 0, err
    outcome = json.loads(out)
    assert (outcome["state"], outcome["messages_seen"], outcome["messages_new"]) == ("complete", 1, 1)
    assert gateway.token not in out + err
    assert "Traceback" not in err


@posix
def test_a_signal_while_the_instance_restarts_ends_it_as_well(gateway: Gateway, home: Path) -> None:
    gateway.faults.state = "starting"
    with started(home) as child:
        until(lambda: gateway.count("getStateInstance"), child)
        child.terminate()
        child.communicate(timeout=WITHIN)
    assert child.returncode == 0


@posix
def test_killed_between_commit_and_acknowledgement_it_loses_and_repeats_nothing(gateway: Gateway, home: Path) -> None:
    gateway.faults.next("deleteNotification", Fault.NO_ANSWER)
    say(gateway, "stored", "behind it")
    with started(home) as child:
        until(lambda: texts(home) == ["stored"], child)
        child.kill()
        child.communicate(timeout=WITHIN)
    assert gateway.count("deleteNotification", 200) == 0
    assert len(gateway.queue) == 2
    assert main(["--home", str(home), "listen", "--drain"]) == 0
    assert texts(home) == ["stored", "behind it"]
    assert len(gateway.queue) == 0


def test_drain_ends_by_itself_and_says_what_it_brought(
    gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say(gateway, "one", "two")
    assert main(["--home", str(home), "listen", "--drain"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 notifications in ")
    assert "2 new messages" in out
    assert "one" not in out + err


def test_a_webhook_address_is_wrong_use_and_not_shown(gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.settings["webhookUrl"] = "https://secret.example.net"
    assert main(["--home", str(home), "listen"]) == 2
    out, err = capsys.readouterr()
    assert "listen --webhook" in err
    assert "secret" not in out + err


def test_without_credentials_no_folder_is_made(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home), "listen"]) == 2
    assert "GREEN_API_URL" in capsys.readouterr().err
    assert not home.exists()


def test_drain_and_webhook_exclude_each_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(home), "listen", "--drain", "--webhook"]) == 2
    assert "not allowed with" in capsys.readouterr().err


@posix
def test_a_sync_or_a_listener_beside_a_listener_says_that_nothing_needs_to_be_fetched(
    gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(home) as child:
        say(gateway, "hello")
        until(lambda: texts(home) == ["hello"], child)
        assert main(["--home", str(home), "sync", "recent"]) == 4
        assert main(["--home", str(home), "listen"]) == 4
        child.terminate()
        child.communicate(timeout=WITHIN)
    err = capsys.readouterr().err
    assert err.count(f"A listener (pid {child.pid}) is running and keeps the archive current") == 2
    assert "Nothing needs to be fetched" in err


@posix
async def test_the_tool_answers_that_a_listener_keeps_the_archive_current(gateway: Gateway, home: Path) -> None:
    with started(home) as child:
        say(gateway, "hello")
        until(lambda: texts(home) == ["hello"], child)
        server, _ = build_server(Archive.open(Settings.load(home=home)))
        async with Client(server) as client:
            answer = await client.call_tool("sync_recent", {})
            full = await client.call_tool("start_full_sync", {})
        child.terminate()
        child.communicate(timeout=WITHIN)
    text = "\n".join(block.text for block in answer.content if isinstance(block, TextContent))
    assert not answer.is_error, text
    assert text.startswith(f"A listener (pid {child.pid}) keeps the archive current: last notification 2")
    assert answer.structured_content is not None
    assert answer.structured_content["message"] == text
    assert answer.structured_content["listener"]["mode"] == "queue"
    assert full.is_error


@posix
def test_the_receiver_stores_what_is_posted_and_ends_at_a_signal(
    gateway: Gateway, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    monkeypatch.setenv("WEBHOOK_PORT", str(port))
    monkeypatch.setenv("WEBHOOK_TOKEN", "fictional-webhook-token")
    say(gateway, "posted")
    (ticket,) = gateway.queue
    with started(home, "--webhook", "--json") as child:
        until(lambda: _post(port, ticket.text) == 200, child)
        assert texts(home) == ["posted"]
        child.terminate()
        out, err = child.communicate(timeout=WITHIN)
    assert child.returncode == 0, err
    assert json.loads(out)["messages_new"] == 1
    assert "Waiting for notifications at http://127.0.0.1" in err
    assert "fictional-webhook-token" not in out + err


def _post(port: int, body: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN)
    try:
        connection.request("POST", "/webhook", body.encode(), {"Authorization": "Bearer fictional-webhook-token"})
        return connection.getresponse().status
    except ConnectionError:
        return 0
    finally:
        connection.close()


class Stream:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        self.lines += text.strip().splitlines()
        return len(text)

    def flush(self) -> None:
        pass


def test_an_idle_listener_prints_a_line_a_minute_and_a_busy_one_every_few_seconds() -> None:
    stream: Any = Stream()
    now = 0.0
    line = ListeningLine(stream, lambda: now)

    def passes(seconds: int, *, busy: bool) -> int:
        nonlocal now
        before = len(stream.lines)
        for _ in range(seconds):
            now += 1
            seen = int(now) if busy else 7
            line(Progress(1, "listening", 0, 0, 0, messages_seen=seen, messages_new=0, rate=0.0, seconds_left=None))
        return len(stream.lines) - before

    assert passes(600, busy=False) == 10
    assert passes(60, busy=True) == 12
