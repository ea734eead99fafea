"""The real server as a child process: both eras, impatient clients, signals, and only the protocol on standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from book_club import book_club
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVER = str(Path(__file__).parents[1] / "server.py")
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
SECRET = "fictional0token0never0shown0000000000000000000000"


def environment(home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "WHATSAPP_MCP_HOME": str(home),
        "WHATSAPP_MCP_TIMEZONE": "Asia/Jerusalem",
        "GREEN_API_URL": "http://127.0.0.1:9",
        "GREEN_API_ID_INSTANCE": "7105000001",
        "GREEN_API_TOKEN_INSTANCE": SECRET,
    }


class Child:
    """The server by its bare lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.number = 0

    def tell(self, method: str, params: dict[str, Any] | None = None, **more: Any) -> None:
        assert self.process.stdin is not None
        message = {"jsonrpc": "2.0", "method": method, **({} if params is None else {"params": params}), **more}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        self.number += 1
        self.tell(method, params, id=self.number)
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["id"] == self.number
        return answer


@contextmanager
def child(home: Path) -> Iterator[Child]:
    with subprocess.Popen(
        [sys.executable, SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(home),
        cwd=home.parent,
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


def read(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.read()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_real_client_lists_and_asks_over_stdio(home: Path, mode: str) -> None:
    book_club(home)
    parameters = StdioServerParameters(command=sys.executable, args=[SERVER], env=environment(home), cwd=home.parent)
    async with Client(parameters, mode=mode) as client:
        tools = (await client.list_tools()).tools
        answer = await client.call_tool("read_chat", {"chat": "Dana Levi"})
        status = await client.call_tool("full_sync_status", {})
        (content,) = (await client.read_resource("whatsapp://chats")).contents
    assert len(tools) == 13
    assert isinstance(answer.content[0], TextContent)
    assert "שלום, נתראה מחר בשמונה" in answer.content[0].text
    assert status.structured_content is not None
    assert "Book club" in getattr(content, "text", "")


def test_a_client_that_probes_and_then_initializes_is_served(home: Path) -> None:
    with child(home) as server:
        for _ in range(2):
            found = server.ask("server/discover", {"_meta": META})["result"]
            assert "2026-07-28" in found["supportedVersions"]
            assert found["instructions"].startswith("The user's WhatsApp messages")
        first = server.ask("initialize", INITIALIZE)["result"]
        server.tell("notifications/initialized")
        tools = server.ask("tools/list")["result"]["tools"]
    assert first["serverInfo"]["name"] == "whatsapp-mcp"
    assert len(tools) == 13


def test_a_client_that_probes_and_stays_modern_is_served(home: Path) -> None:
    with child(home) as server:
        server.ask("server/discover", {"_meta": META})
        answer = server.ask("tools/call", {"name": "full_sync_status", "arguments": {}, "_meta": META})["result"]
    assert answer["structuredContent"]["state"] == "empty"
    assert answer["resultType"] == "complete"


def test_the_end_of_standard_input_ends_the_server_in_peace(home: Path) -> None:
    with child(home) as server:
        server.ask("initialize", INITIALIZE)
        out, err = server.process.communicate(timeout=20)
    assert (server.process.returncode, out, err) == (0, "", "")
    assert not home.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_server_at_once(home: Path, number: signal.Signals, code: int) -> None:
    with child(home) as server:
        server.ask("initialize", INITIALIZE)
        server.process.send_signal(number)
        assert server.process.wait(timeout=20) == code
        assert read(server.process.stdout) == ""


def test_nothing_but_the_protocol_is_written_and_the_token_nowhere(home: Path) -> None:
    with child(home) as server:
        server.ask("initialize", INITIALIZE)
        server.tell("notifications/initialized")
        answers = [
            server.ask("tools/call", {"name": "search_messages", "arguments": {"query": "x"}}),
            server.ask("tools/call", {"name": "sync_recent", "arguments": {}}),
            server.ask("tools/call", {"name": "sync_chat", "arguments": {"chat": "15550100002@c.us"}}),
            server.ask("tools/call", {"name": "nothing", "arguments": {"a": SECRET[:9]}}),
        ]
        out, err = server.process.communicate(timeout=20)
    assert all(answer["result"]["isError"] for answer in answers)
    assert out == ""
    assert SECRET not in err + json.dumps(answers)


def test_wrong_settings_are_one_line_on_standard_error(home: Path) -> None:
    wrong = environment(home) | {"WHATSAPP_MCP_TIMEZONE": "Nowhere/Else"}
    done = subprocess.run(
        [sys.executable, SERVER], input="", capture_output=True, text=True, env=wrong, cwd=home.parent, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().split("\n")) == 1
    assert "no time zone" in done.stderr


def test_the_server_starts_without_what_only_some_questions_need() -> None:
    rooms = "whatsapp_mcp.server.build, whatsapp_mcp.server.transport, whatsapp_mcp.app, whatsapp_mcp.config"
    command = [sys.executable, "-c", f"import sys, {rooms}; print(*sys.modules)"]
    loaded = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(SERVER).parent, timeout=30, check=True
    ).stdout.split()
    heavy = {"httpx", "sqlite_utils", "PIL", "dotenv", "platformdirs", "filelock", "whatsapp_mcp.queries", "whatsapp_mcp.store"}
    assert not heavy & set(loaded)


def test_the_examples_for_clients_point_at_the_server(home: Path) -> None:
    for name in ("claude_desktop_config.json", "claude_code.mcp.json", "cursor.mcp.json"):
        config = json.loads((Path(SERVER).parent / "examples" / name).read_text(encoding="utf-8"))
        (entry,) = config["mcpServers"].values()
        assert entry["args"][-1].endswith("/server.py")
        assert set(entry["env"]) <= set(environment(home))
