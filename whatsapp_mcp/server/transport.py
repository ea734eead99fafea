"""MCP over standard input and output, for clients of both eras, until the client leaves or a signal comes.

mcp 2.3 settles the protocol's era by the first request. A client that probes with ``server/discover``, loses patience while
Python still imports, and then sends ``initialize`` would be refused (-32022) and show no tools. So leading probes are answered
here, and the first other request decides.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp import types
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage

from whatsapp_mcp.refusals import hush_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.streams.memory import MemoryObjectSendStream
    from mcp.server import MCPServer
    from mcp.server.lowlevel import Server
    from mcp.shared._stream_protocols import ReadStream, WriteStream

    Incoming = ReadStream[SessionMessage | Exception]
    Outgoing = WriteStream[SessionMessage]

MODERN: Final = "2026-07-28"
_META: Final = "io.modelcontextprotocol/"
_CHATTY: Final = ("httpx", "httpcore", "httpx2", "httpcore2", "mcp")
"""httpx logs whole addresses, and Green API's token is in them; mcp logs what models asked for."""


class _Discreet(logging.Formatter):
    """Clients keep what a server writes to standard error: SQLite's errors may quote a message, so their words stay out."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(hush_record(record))


def prepare_logging() -> None:
    """Send warnings to standard error and silence the chatty, before the SDK sets up logging of its own."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)


async def serve_stdio(server: MCPServer[Any], clean_up: Callable[[], Awaitable[None]]) -> None:
    """Serve until standard input ends; on SIGTERM or SIGINT clean up and leave at once with 143 or 130."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_leave_on_signal, clean_up)
        await _serve_after_probes(server)
        tasks.cancel_scope.cancel()


async def _leave_on_signal(clean_up: Callable[[], Awaitable[None]]) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for number in signals:
                await clean_up()
                sys.stderr.flush()
                os._exit(128 + number)  # the thread that reads standard input cannot be interrupted
    except NotImplementedError:  # Windows has no receivers: Ctrl-C then ends Python as it always does
        return


async def _serve_after_probes(server: MCPServer[Any]) -> None:
    low = server._lowlevel_server  # noqa: SLF001 - the SDK has no public way between its transport and its loop
    async with stdio_server() as (incoming, outgoing):
        forward, messages = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer_probes, low, incoming, outgoing, forward)
            await low.run(messages, outgoing, low.create_initialization_options())
            tasks.cancel_scope.cancel()


async def _answer_probes(
    low: Server[Any], incoming: Incoming, outgoing: Outgoing, forward: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    probing = True
    async with forward:
        async for item in incoming:
            request = getattr(item, "message", None)
            if probing and isinstance(request, types.JSONRPCRequest):
                probing = is_probe(request)
                if probing:
                    reply = types.JSONRPCResponse(jsonrpc="2.0", id=request.id, result=discovery(low))
                    await outgoing.send(SessionMessage(reply))
                    continue
            await forward.send(item)


def is_probe(request: types.JSONRPCRequest) -> bool:
    """Whether a request only asks what the server speaks."""
    meta = (request.params or {}).get("_meta") or {}
    return request.method == "server/discover" and meta.get(f"{_META}protocolVersion") == MODERN


def discovery(low: Server[Any]) -> dict[str, Any]:
    """Return what the SDK itself would answer to ``server/discover``."""
    result: dict[str, Any] = types.DiscoverResult(
        supported_versions=[MODERN],
        capabilities=low.get_capabilities(protocol_version=MODERN),
        instructions=low.instructions,
        ttl_ms=0,
        cache_scope="private",
    ).model_dump(by_alias=True, mode="json", exclude_none=True)
    result.setdefault("resultType", "complete")
    result.setdefault("_meta", {})[f"{_META}serverInfo"] = low.server_info_stamp
    return result
