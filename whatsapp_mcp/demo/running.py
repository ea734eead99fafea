"""Starting and stopping a gateway: a real HTTP server on a free port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from whatsapp_mcp.demo.account import Account, make_account
from whatsapp_mcp.demo.gateway import Gateway
from whatsapp_mcp.demo.push import push

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    import uvicorn

    from whatsapp_mcp.demo.faults import Faults

_STOP_WITHIN = 10.0
_GRACE = 1.0


@contextmanager
def serve_gateway(
    account: Account | None = None,
    *,
    rate_scale: float = 1.0,
    latency: float = 0.0,
    patience: float = 1.0,
    faults: Faults | None = None,
) -> Iterator[Gateway]:
    """A gateway that answers at ``gateway.url`` until the block ends; of the full account unless another is given."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        # Accepted sockets inherit it; asyncio sets it only where the protocol is named, and each answer would be 40 ms late.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = {"rate_scale": rate_scale, "latency": latency, "patience": patience}
        gateway = Gateway(account or make_account(), url, **options, faults=faults)
        config = uvicorn.Config(
            gateway, lifespan="off", ws="none", log_config=None, log_level="critical", access_log=False,
            date_header=False, timeout_keep_alive=30,
        )  # fmt: skip
        runner, stop = asyncio.Runner(loop_factory=config.get_loop_factory()), asyncio.Event()
        work = _serve(uvicorn.Server(config), listener, gateway, stop)
        loop = runner.get_loop()
        thread = threading.Thread(target=_run, args=(runner, work), name="gateway", daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.closing = True
            with suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(stop.set)
            thread.join(_STOP_WITHIN)


def _run(runner: asyncio.Runner, work: Coroutine[Any, Any, None]) -> None:
    with runner:
        runner.run(work)


async def _serve(server: uvicorn.Server, listener: socket.socket, gateway: Gateway, stop: asyncio.Event) -> None:
    pushing, serving, stopping = map(asyncio.create_task, (push(gateway), server.serve(sockets=[listener]), stop.wait()))
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    await _finish(server)
    for task in (pushing, serving, stopping):
        task.cancel()
    await asyncio.wait([pushing, serving, stopping])


async def _finish(server: uvicorn.Server) -> None:
    """End the connections: uvicorn's own way to stop sleeps two tenths of a second, and a gateway is started for every test."""
    for listening in getattr(server, "servers", ()):  # there are none before it has begun
        listening.close()
    state = server.server_state
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(list(state.tasks), timeout=_GRACE)
    await asyncio.sleep(0)  # a transport that was closed says so in the loop's next round


@asynccontextmanager
async def running_gateway(
    account: Account | None = None,
    *,
    rate_scale: float = 1.0,
    latency: float = 0.0,
    patience: float = 1.0,
    faults: Faults | None = None,
) -> AsyncIterator[Gateway]:
    """`serve_gateway` for async code: the caller's event loop stays free."""
    chosen = account or await anyio.to_thread.run_sync(make_account)
    served = serve_gateway(chosen, rate_scale=rate_scale, latency=latency, patience=patience, faults=faults)
    gateway = served.__enter__()
    try:
        yield gateway
    finally:
        await anyio.to_thread.run_sync(served.__exit__, None, None, None)
