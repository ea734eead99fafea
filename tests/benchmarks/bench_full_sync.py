"""A whole account over HTTP: the wall time of a full sync against what the gateway's limit allows.

``python tests/benchmarks/bench_full_sync.py [SCALE ...]`` (default 20 and 100; 1 is the real pace and takes seven minutes). The
gateway runs in a process of its own, as it does in life. The limit is one history a second times the scale.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.demo.account import make_account
from whatsapp_mcp.demo.running import serve_gateway

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CHATS: Final = 398
FOREBEAR_SECONDS: Final = 29 * 60
"""What the system that this one follows took for an account of this size."""


def serve(scale: float, line: Connection) -> None:
    """Serve the account until the other side says stop; answers with how many calls there were, and how many got 429."""
    with serve_gateway(make_account(), rate_scale=scale) as gateway:
        gateway.prepare()
        line.send((gateway.url, str(gateway.id_instance), gateway.token))
        line.recv()
        line.send((len(gateway.requests), sum(request.status == 429 for request in gateway.requests)))


def measure(scale: float) -> None:
    """Sync once with the real command, and print what it took."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(scale, theirs))
    process.start()
    url, id_instance, token = ours.recv()
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "GREEN_API_URL": url,
            "GREEN_API_ID_INSTANCE": id_instance,
            "GREEN_API_TOKEN_INSTANCE": token,
            "GREEN_API_RATE_SCALE": str(scale),
            "WHATSAPP_MCP_HOME": home,
        }
        began = time.perf_counter()
        command = [sys.executable, "-m", "whatsapp_mcp", "sync", "full"]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        size = (Path(home) / "whatsapp_chats.db").stat().st_size
    ours.send("stop")
    calls, refused = ours.recv()
    process.join()
    limit = CHATS / scale
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"scale {scale:g}: {seconds:.1f} s, {seconds / limit:.2f} times the limit of {limit:.1f} s,"
          f" {FOREBEAR_SECONDS / seconds:.1f} times as fast as the forebear; {calls} calls, {refused} answered 429;"
          f" {size / 1e6:.1f} MB; at most {memory:.0f} MB of memory")  # fmt: skip
    print(f"  {ended.stdout.splitlines()[0]}")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or ["20", "100"]:
        measure(float(chosen))
