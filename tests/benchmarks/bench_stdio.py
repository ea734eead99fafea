"""How many read calls a second one client gets answered over stdio with ten in flight, and what a slow call does to fast ones.

Run it with ``python tests/benchmarks/bench_stdio.py``. The client writes and reads lines of JSON-RPC itself, so that the figure
is the server's. Nothing is asserted, since the figures depend on the machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any, Final

import large_archives

CALLS: Final = 1_500
IN_FLIGHT: Final = 10
ROUNDS: Final = 3


class Caller:
    """Speaks to a server over its pipes; answers are counted and timed by a thread of its own."""

    def __init__(self, pipes: subprocess.Popen[bytes]) -> None:
        self._in: IO[bytes] = pipes.stdin  # type: ignore[assignment]  # opened with pipes
        self._out: IO[bytes] = pipes.stdout  # type: ignore[assignment]
        self._sent: dict[int, float] = {}
        self._number = 0
        self._slots = threading.Semaphore(IN_FLIGHT)
        self.took: dict[int, float] = {}
        self._arrived = threading.Condition()
        self._say(
            "initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}}
        )
        self._out.readline()
        self._say("notifications/initialized", None)
        threading.Thread(target=self._read, daemon=True).start()

    def _say(self, method: str, params: dict[str, Any] | None) -> int:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            self._number += 1
            message |= {"id": self._number, "params": params}
            self._sent[self._number] = time.perf_counter()
        self._in.write(json.dumps(message).encode() + b"\n")
        self._in.flush()
        return self._number

    def _read(self) -> None:
        for line in self._out:
            answer = json.loads(line)
            if "id" not in answer or "method" in answer:
                continue
            if answer.get("error") or answer["result"].get("isError"):
                raise SystemExit(line.decode())
            with self._arrived:
                self.took[answer["id"]] = time.perf_counter() - self._sent[answer["id"]]
                self._arrived.notify_all()
            self._slots.release()

    def call(self, tool: str, **arguments: Any) -> int:
        """Send a call as soon as one of the places in flight is free; returns its number."""
        self._slots.acquire()
        return self._say("tools/call", {"name": tool, "arguments": arguments})

    def wait(self, numbers: list[int]) -> None:
        """Until all of these calls are answered."""
        with self._arrived:
            self._arrived.wait_for(lambda: all(number in self.took for number in numbers), timeout=120)


def rate(caller: Caller, chats: list[int]) -> float:
    """Answered `read_chat` calls a second."""
    began = time.perf_counter()
    caller.wait([caller.call("read_chat", chat=chats[number % len(chats)], limit=20) for number in range(CALLS)])
    return CALLS / (time.perf_counter() - began)


def beside_slow(caller: Caller, chats: list[int], *, slow: bool) -> float:
    """Median milliseconds of a fast call while (or while not) a heavy question is being answered."""
    took = []
    for number in range(40):
        heavy = [caller.call("analyze_range", after="2015", before="today", breakdown=["chat", "day"])] if slow else []
        fast = caller.call("read_chat", chat=chats[number % len(chats)], limit=20)
        caller.wait([fast])
        took.append(caller.took[fast] * 1000)
        caller.wait(heavy)
    return statistics.median(took)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        home = large_archives.seed_sized(Path(folder))
        environment = {**os.environ, "WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "Asia/Jerusalem"}
        command = [sys.executable, "-m", "whatsapp_mcp", "serve"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as server:
            caller = Caller(server)
            chats = list(range(1, 101))
            rates = [rate(caller, chats) for _ in range(ROUNDS)]
            print(f"{statistics.median(rates):.0f} read_chat calls a second with {IN_FLIGHT} in flight (wanted: 300)")
            alone, beside = (beside_slow(caller, chats, slow=slow) for slow in (False, True))
            print(f"a fast call takes {alone:.1f} ms alone, {beside:.1f} ms beside a heavy one")
            server.terminate()


if __name__ == "__main__":
    main()
