"""From starting a process to its first answer: ``server.py`` against a bare server of the same SDK with one tool.

Run it with ``python tests/benchmarks/bench_server_start.py``. The two take turns, so that a busy machine slows both; it prints
the medians and their ratio, which should be at most 1.4. Nothing is asserted, since the figures depend on the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

RUNS: Final = 9
TARGET: Final = 1.4
SERVER: Final = Path(__file__).parents[2] / "server.py"
BARE: Final = '''\
from mcp.server import MCPServer

server = MCPServer("bare")


@server.tool()
def echo(text: str) -> str:
    """Say it again."""
    return text


server.run("stdio")
'''
_INITIALIZE: Final = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
}  # fmt: skip


def first_answer(program: Path, home: Path) -> float:
    """Seconds from starting `program` to its answer to ``initialize``."""
    environment = {"PATH": os.environ["PATH"], "WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "Asia/Jerusalem"}
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=home
    ) as process:
        answer = _ask(process)
        taken = time.perf_counter() - began
        process.kill()
    if b'"result"' not in answer:
        raise SystemExit(f"{program}: {answer!r}")
    return taken


def _ask(process: subprocess.Popen[bytes]) -> bytes:
    if process.stdin is None or process.stdout is None:
        return b""
    process.stdin.write(json.dumps(_INITIALIZE).encode() + b"\n")
    process.stdin.flush()
    return process.stdout.readline()


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        bare = home / "bare.py"
        bare.write_text(BARE, encoding="utf-8")
        for program in (bare, SERVER):  # once each, so that both find their byte code
            first_answer(program, home)
        pairs = [(first_answer(bare, home), first_answer(SERVER, home)) for _ in range(RUNS)]
    plain, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"bare server:  {plain:.3f} s to its first answer (median of {RUNS}, by turns)")
    print(f"server.py:    {ours:.3f} s, {ours / plain:.2f} times as long (wanted: {TARGET})")


if __name__ == "__main__":
    main()
