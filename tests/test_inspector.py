"""The MCP Inspector, a client that nobody here wrote: it lists and calls everything of the real server, in both eras."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.running import serve_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSPECTOR = "2.12.0"
NODE = (22, 19)
LISTS = ("initialize", "tools/list --strict", "resources/list", "resources/templates/list", "prompts/list")
READS: dict[str, dict[str, Any]] = {
    "full_sync_status": {},
    "list_chats": {"kind": "private"},
    "find_contact": {"query": "Mike"},
    "read_chat": {"chat": "Mike", "after": "2025-08", "before": "2025-08"},
    "search_messages": {"query": "oak table", "context": 1},
    "analyze_range": {"after": "2025-08", "before": "2025-08", "breakdown": ["type", "day"]},
    "catch_up": {"since": "2025-08"},
    "verify_quote": {"message": ..., "quote": "a purple elephant in a submarine"},
    "export_chat": {"chat": "Mike", "format": "txt"},
    "get_media": {"message": ...},
}
SYNCS: dict[str, dict[str, Any]] = {"start_full_sync": {"mode": "resume"}, "sync_chat": {"chat": "Mike"}, "sync_recent": {}}
"""These come one after the other: only one process writes."""

Answer = subprocess.CompletedProcess[str]


def _said(*command: str) -> str:
    found = shutil.which(command[0])
    return subprocess.run([found or "true", *command[1:]], capture_output=True, text=True, timeout=30, check=False).stdout


def missing() -> str | None:
    """What this computer lacks."""
    if tuple(map(int, re.findall(r"\d+", _said("node", "--version"))[:2])) < NODE:
        return "needs Node 22.19 or newer on the PATH: npm install node@22"
    if INSPECTOR not in _said("mcp-inspector", "--cli", "--version"):
        return f"needs the MCP Inspector on the PATH: npm install @modelcontextprotocol/inspector@{INSPECTOR}"
    return None


class Desk(NamedTuple):
    """A synced archive, and the Inspector with which it is asked."""

    home: Path
    settings: dict[str, str]

    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home.parent), **self.settings}

    def ask(self, era: str, method: str, *more: str) -> Answer:
        settings = [part for name, value in self.settings.items() for part in ("-e", f"{name}={value}")]
        server = (sys.executable, "-m", "whatsapp_mcp", "serve")
        asked = ("--protocol-era", era, "--format", "json", "--method", method, *more)
        return subprocess.run(
            ["mcp-inspector", "--cli", *settings, *server, *asked],
            capture_output=True, text=True, encoding="utf-8", env=self.environment(), cwd=self.home.parent,
            timeout=60, check=False,
        )  # fmt: skip

    def call(self, era: str, tool: str, arguments: dict[str, Any]) -> Answer:
        return self.ask(era, "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))

    def a_picture(self) -> str:
        with closing(sqlite3.connect(f"file:{self.home / 'whatsapp_chats.db'}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT message_id FROM messages WHERE message_type = 'image' LIMIT 1").fetchone()
        return f"m{found[0]}"


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture(scope="module")
def desk(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if lacking := missing():
        pytest.skip(lacking)
    home = tmp_path_factory.mktemp("inspector") / "home"
    with serve_gateway(account, rate_scale=100) as gateway:
        settings = {
            "GREEN_API_URL": gateway.url,
            "GREEN_API_ID_INSTANCE": str(gateway.id_instance),
            "GREEN_API_TOKEN_INSTANCE": gateway.token,
            "GREEN_API_RATE_SCALE": "100",
            "WHATSAPP_MCP_HOME": str(home),
            "WHATSAPP_MCP_TIMEZONE": "Asia/Jerusalem",
        }
        made = Desk(home, settings)
        command = [sys.executable, "-m", "whatsapp_mcp", "sync", "full"]
        subprocess.run(command, capture_output=True, env=made.environment(), cwd=home.parent, timeout=60, check=True)
        yield made


@pytest.fixture(scope="module", params=["legacy", "modern"])
def answers(desk: Desk, request: pytest.FixtureRequest) -> dict[str, Answer]:
    """Everything that the Inspector was told in one era, by method, resource or tool; two questions at a time."""
    era = request.param
    reads = {tool: {k: desk.a_picture() if v is ... else v for k, v in arguments.items()} for tool, arguments in READS.items()}
    with ThreadPoolExecutor(2) as pool:
        waiting = {method: pool.submit(desk.ask, era, *method.split()) for method in LISTS}
        waiting["whatsapp://status"] = pool.submit(desk.ask, era, "resources/read", "--uri", "whatsapp://status")
        waiting |= {tool: pool.submit(desk.call, era, tool, arguments) for tool, arguments in reads.items()}
        told = {name: answer.result() for name, answer in waiting.items()}
    return told | {tool: desk.call(era, tool, arguments) for tool, arguments in SYNCS.items()}


def result(answer: Answer) -> dict[str, Any]:
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)["result"]
    return found


def text(answer: Answer) -> str:
    return "\n".join(block.get("text", "") for block in result(answer)["content"])


def test_the_inspector_lists_what_there_is(answers: dict[str, Answer]) -> None:
    assert result(answers["initialize"])["serverInfo"]["name"] == "whatsapp-mcp"
    assert sorted(tool["name"] for tool in result(answers["tools/list --strict"])["tools"]) == sorted([*READS, *SYNCS])
    assert len(result(answers["resources/list"])["resources"]) == 3 + SMALL.private + SMALL.groups
    assert len(result(answers["resources/templates/list"])["resourceTemplates"]) == 8
    assert len(result(answers["prompts/list"])["prompts"]) == 10


def test_the_schemas_of_the_tools_are_portable(answers: dict[str, Answer]) -> None:
    """With ``--strict`` it names on standard error whatever a client that is not its own may refuse."""
    assert answers["tools/list --strict"].returncode == 0
    assert answers["tools/list --strict"].stderr == ""


def test_the_inspector_reads_a_resource(answers: dict[str, Answer], account: Account) -> None:
    (content,) = result(answers["whatsapp://status"])["contents"]
    assert json.loads(content["text"])["messages"] == len(account.truth())


def test_the_inspector_calls_every_tool_that_reads(answers: dict[str, Answer], account: Account, desk: Desk) -> None:
    assert result(answers["full_sync_status"])["structuredContent"]["messages"] == len(account.truth())
    assert f"{SMALL.private} of {SMALL.private} private chats" in text(answers["list_chats"])
    assert '"Mike Turner"' in text(answers["find_contact"])
    assert all(
        line in text(answers["read_chat"]) for message in account.thread("table") for line in message.content.splitlines()
    )
    assert "oak table 180 x 90" in text(answers["search_messages"])
    assert result(answers["analyze_range"])["structuredContent"]["messages"] == SMALL.august
    assert str(desk.home / "exports") in text(answers["export_chat"])
    assert "Mike Turner" in text(answers["catch_up"])
    assert text(answers["verify_quote"]).startswith("No: m")
    assert "Stored at" in text(answers["get_media"])
    assert [block["type"] for block in result(answers["get_media"])["content"]] == ["text", "image", "resource_link"]


def test_the_inspector_calls_every_tool_that_fetches(answers: dict[str, Answer]) -> None:
    assert "complete: 32 of 32 chats" in text(answers["start_full_sync"])
    assert "complete: 1 of 1 chats" in text(answers["sync_chat"])
    assert "complete" in text(answers["sync_recent"])


def test_a_refusal_is_an_error_of_the_tool_and_says_what_to_do(desk: Desk) -> None:
    refused = desk.call("modern", "read_chat", {"chat": "Mikhael Turnbull"})
    assert refused.returncode == 5
    assert "The nearest" in refused.stdout
