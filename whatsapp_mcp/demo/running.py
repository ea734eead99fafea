"""Starting and stopping a gateway: a real HTTP server on a free port of loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio.to_thread

from whatsapp_mcp.demo.account import Account, make_account
from whatsapp_mcp.demo.gateway import Gateway
from whatsapp_mcp.demo.push import push

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import uvicorn

    from whatsapp_mcp.demo.faults import Faults

_STOP_WITHIN = 10.0


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
            date_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=_run, args=(server, listener, gateway), name="gateway", daemon=True)
        thread.start()
        try:
            yield gateway
        finally:
            gateway.closing = True
            server.should_exit = True
            thread.join(_STOP_WITHIN)


def _run(server: uvicorn.Server, listener: socket.socket, gateway: Gateway) -> None:
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, listener, gateway))


async def _serve(server: uvicorn.Server, listener: socket.socket, gateway: Gateway) -> None:
    pushing = asyncio.create_task(push(gateway))
    try:
        await server.serve(sockets=[listener])
    finally:
        pushing.cancel()
        await asyncio.wait([pushing])


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
