"""The sync commands as a person types them, against the simulated gateway: exit codes, the lines, what is left on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from whatsapp_mcp.cli import main
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

SCALE = 500
CHAT = make_account(size=SMALL).person("Mike").id
Run = Any


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    monkeypatch.chdir(tmp_path)
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE) as served:
        monkeypatch.setenv("GREEN_API_URL", served.url)
        monkeypatch.setenv("GREEN_API_ID_INSTANCE", str(served.id_instance))
        monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", served.token)
        monkeypatch.setenv("GREEN_API_RATE_SCALE", str(SCALE))
        monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "UTC")
        yield served


@pytest.fixture
def run(gateway: Gateway, home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    assert gateway.url

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(["--home", str(home), *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run_command


def test_a_whole_sync_is_done_and_one_with_a_failing_chat_is_partly_done(run: Run, gateway: Gateway) -> None:
    assert run("sync", "full")[0] == 0
    gateway.faults.failing_chats = {CHAT: 400}
    code, out, _ = run("sync", "full")
    assert code == 3
    assert "1 chats failed" in out
    assert "1 failed" in run("status")[1]


def test_a_missing_journal_is_exit_code_3_and_status_says_so(run: Run, gateway: Gateway) -> None:
    gateway.faults.quotas["lastOutgoingMessages"] = 0
    code, out, _ = run("sync", "full")
    assert code == 3
    assert "lastOutgoingMessages" in out
    code, out, _ = run("status")
    assert code == 0
    assert "full partial" in out
    assert "lastOutgoingMessages" in out
    code, out, _ = run("sync", "full", "--json")
    assert (code, json.loads(out)["state"]) == (3, "partial")


def test_what_is_new_needs_an_archive_and_makes_none(run: Run, home: Path) -> None:
    code, _, err = run("sync", "recent")
    assert code == 2
    assert "sync full" in err
    assert not (home / "whatsapp_chats.db").exists()


@pytest.mark.parametrize("spelled", [f"+{CHAT.split('@')[0]}", CHAT, CHAT.replace("@", ":8@")])
def test_a_chat_can_be_fetched_into_an_empty_archive_by_number_or_id(run: Run, spelled: str) -> None:
    code, out, _ = run("sync", "chat", spelled)
    assert code == 0
    assert "1 of 1 chats" in out
    assert CHAT in run("chats", "--json")[1]


def test_a_chat_that_nobody_knows_is_wrong_use(run: Run) -> None:
    assert run("sync", "full")[0] == 0
    before = json.loads(run("chats", "--json")[1])
    code, _, err = run("sync", "chat", "447700900999@c.us")
    assert code == 2
    assert "447700900999" not in err
    assert json.loads(run("chats", "--json")[1]) == before
