"""What the tests share: an environment without the developer's own account, and a home folder that does not exist yet."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

OURS = ("GREEN_API_", "WHATSAPP_MCP_", "SMTP_", "REPORT_", "SCHEDULE_", "BACKUP_", "WEBHOOK_", "LOG_", "MEDIA_", "TRANSCRIBE_")


def pytest_configure() -> None:
    """Some runners start in the background, where Ctrl-C is ignored, and every child would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_account_of_the_developer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may see real credentials or a real archive: neither from the environment nor from a .env nearby."""
    for name in list(os.environ):
        if name.startswith(OURS) and name != "WHATSAPP_MCP_SAMPLES":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"
