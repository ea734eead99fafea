"""`whatsapp-mcp listen --webhook` as a process of its own: without any credentials, from its first line to its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from webhook_desk import TOKEN, WITHIN, notification

from whatsapp_mcp.logs import all_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]


def begin(home: Path, **settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WHATSAPP_MCP_HOME": str(home), **settings}
    words = [sys.executable, "-m", "whatsapp_mcp", "listen", "--webhook"]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=home.parent, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def free_port() -> int:
    """One below those that the system gives to clients, so that nobody takes it meanwhile."""
    for candidate in random.Random(os.getpid()).sample(range(20_000, 32_000), 50):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", candidate)):
            return candidate
    raise OSError("no free port")


@pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGTERM that a program can heed")
def test_it_receives_until_it_is_told_to_stop(home: Path) -> None:
    process = begin(home, WEBHOOK_PORT=str(free_port()), WEBHOOK_TOKEN=TOKEN)
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        url = next(found[0] for line in lines if (found := re.search(r"http://127\.0\.0\.1:\d+/webhook", line)))
        body = json.dumps(notification(1, "the lease is signed")).encode()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(trust_env=False, timeout=WITHIN) as client:
            assert client.post(url, content=body).status_code == 401
            assert client.post(url, content=body, headers=headers).status_code == 200
        process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=WITHIN)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "1 new message" in said
    log = all_logs(home)[0].read_text(encoding="utf-8")
    assert "401, without the right token, from 127.0.0.1" in log
    assert not any(secret in said + errors + log for secret in (TOKEN, "lease", "15550100002"))


def test_on_all_addresses_it_does_not_begin_without_a_token(home: Path) -> None:
    process = begin(home, WEBHOOK_HOST="0.0.0.0")  # noqa: S104 - it must be refused
    said, errors = process.communicate(timeout=WITHIN)
    assert (process.returncode, said) == (2, "")
    assert errors.startswith("whatsapp-mcp: WEBHOOK_TOKEN is not set, and 0.0.0.0 can be reached from other computers.")
    assert errors.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(home: Path, port: int) -> None:
    process = begin(home, WEBHOOK_PORT=str(port), WEBHOOK_TOKEN=TOKEN)
    said, errors = process.communicate(timeout=WITHIN)
    assert (process.returncode, said) == (2, "")
    assert errors == (
        f"whatsapp-mcp: Port {port} on 127.0.0.1 is taken by another program. "
        "Stop that program, or choose another WEBHOOK_PORT.\n"
    )
