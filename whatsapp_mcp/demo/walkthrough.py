"""The demonstration: an invented account is synced into a fresh archive, and a real MCP client asks what a person would ask.

Nothing is staged: the gateway is an HTTP server on loopback, the sync is the one of ``sync full``, and the questions go
to ``whatsapp-mcp serve``, started as a child over stdio just as Claude Desktop starts it. Only the pace differs: the
gateway allows `RATE_SCALE` times as many requests a second as Green API.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import anyio

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.demo.account import Account, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import ArchiveError, UsageError
from whatsapp_mcp.schema import DATABASE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mcp import Client

    from whatsapp_mcp.sync import Outcome, Progress

RATE_SCALE: Final = 100.0
ZONE: Final = "Asia/Jerusalem"
_LINES: Final = 24
_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class Question:
    """What a person asks, and the call by which an assistant finds the answer."""

    asked: str
    tool: str
    arguments: Mapping[str, Any]


_JULY: Final = {"after": "2025-07", "before": "2025-07"}
QUESTIONS: Final = (
    Question("Is my archive complete?", "full_sync_status", {}),
    Question("What did Mike and I agree in August?", "read_chat", {"chat": "Mike", "after": "2025-08", "before": "2025-08"}),
    Question("Where is that invoice?", "search_messages", {"query": "חשבונית", "after": "2025-08", "limit": 5}),
    Question("מתי יוצאים לטיול?", "search_messages", {"query": "טיול", "after": "2025-08-15", "limit": 3, "context": 2}),
    Question("Was the oak table a topic in July?", "search_messages", {"query": "oak table", **_JULY}),
    Question("How busy was August?", "analyze_range", {"after": "2025-08", "before": "2025-08", "breakdown": ["type"]}),
    Question("Give me the chat with Mike as a file.", "export_chat", {"chat": "Mike", "format": "txt"}),
)  # fmt: skip


def main(home: Path | None = None) -> int:
    """Run the demonstration into `home`, or into a temporary folder that is removed at the end; the exit code.

    Raises `UsageError` when `home` already holds an archive: an invented one must not be mixed into it.
    """
    with _folder(home) as folder:
        print("An invented account, served by a simulated Green API gateway on this computer. No account, no network.\n")
        account = make_account()
        _sync(account, folder)
        anyio.run(_ask, folder)
        if home is not None:
            print(f"\nThe archive stays in {folder}: ask it with `whatsapp-mcp --home {folder} search oak table`.")
    return 0


@contextmanager
def _folder(home: Path | None) -> Iterator[Path]:
    if home is None:
        with tempfile.TemporaryDirectory(prefix="whatsapp-mcp-demo-") as temporary:
            yield Path(temporary)
        return
    folder = home.expanduser().absolute()
    if (folder / DATABASE_NAME).exists():
        raise UsageError("That folder already holds an archive.", advice="Choose an empty folder with --home, or leave it out.")
    yield folder


def _sync(account: Account, home: Path) -> None:
    with serve_gateway(account, rate_scale=RATE_SCALE) as gateway:
        archive = Archive.open(
            Settings(
                home=home,
                timezone=ZoneInfo(ZONE),
                rate_scale=RATE_SCALE,
                green_api_url=gateway.url,
                id_instance=str(gateway.id_instance),
                token=gateway.token,
                media=False,  # thousands of invented pictures show nothing that a few do not
            )
        )
        outcome = anyio.run(_full_sync, archive)
    size = archive.database.stat().st_size / 1e6
    print(
        f"Synced {outcome.messages_new:,} messages of {outcome.chats_done:,} chats in {outcome.seconds:.1f} s"
        f" with {outcome.requests:,} requests, into {size:.1f} MB with full-text search.\n"
        f"(Green API itself allows one history a second: there, {outcome.chats_total:,} chats take about"
        f" {outcome.chats_total / 60:.0f} minutes.)"
    )


async def _full_sync(archive: Archive) -> Outcome:
    from whatsapp_mcp.sync import full_sync

    with archive.writer() as writer:
        async with archive.gateway() as gateway:
            return await full_sync(gateway, writer, archive.clock, report=_Shown())


class _Shown:
    """A line of progress for each tenth of the chats."""

    def __init__(self) -> None:
        self._tenth = 0

    def __call__(self, progress: Progress) -> None:
        tenth = 10 * progress.chats_done // max(progress.chats_total, 1)
        if tenth > self._tenth:
            self._tenth = tenth
            chats = f"{progress.chats_done:>3} of {progress.chats_total} chats"
            print(f"  {chats}, {progress.messages_seen:,} messages", flush=True)


async def _ask(home: Path) -> None:
    from mcp import Client, StdioServerParameters

    environment = {"WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": ZONE, "PYTHONUTF8": "1"}
    server = StdioServerParameters(command=sys.executable, args=["-m", "whatsapp_mcp", "serve"], env=environment, cwd=home)
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        print(f"\nThe MCP server answers over stdio with {len(tools)} tools: {', '.join(tool.name for tool in tools)}.")
        for question in QUESTIONS:
            await _ask_one(client, question)


async def _ask_one(client: Client, question: Question) -> None:
    arguments = ", ".join(f"{name}={value!r}" for name, value in question.arguments.items())
    print(f"\n─── {question.asked}\n    {question.tool}({arguments})\n")
    answer = await client.call_tool(question.tool, dict(question.arguments))
    text = "\n".join(block.text for block in answer.content if block.type == "text")
    if answer.is_error:
        raise ArchiveError(f"The demonstration's own question was refused: {text}")
    lines = text.splitlines()
    for line in lines[:_LINES]:
        print(line if len(line) <= _WIDTH else f"{line[:_WIDTH]} …")
    if len(lines) > _LINES:
        print(f"… and {len(lines) - _LINES} more lines")
