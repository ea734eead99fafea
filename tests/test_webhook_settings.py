"""The settings of the webhook receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def load(tmp_path: Path, **values: str) -> Settings:
    return Settings.load({"WHATSAPP_MCP_HOME": str(tmp_path / "home"), **values}, tmp_path)


def test_unless_told_otherwise_it_waits_on_loopback_without_a_token(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.webhook_host, settings.webhook_port, settings.webhook_token) == ("127.0.0.1", 8723, "")


def test_host_port_and_token_come_from_an_env_file_like_all_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WEBHOOK_HOST=0.0.0.0\nWEBHOOK_PORT=9000\nWEBHOOK_TOKEN='Bearer abc'\n")
    settings = load(tmp_path, WEBHOOK_PORT="9001")
    assert (settings.webhook_host, settings.webhook_port, settings.webhook_token) == ("0.0.0.0", 9001, "Bearer abc")  # noqa: S104


def test_an_address_in_brackets_is_the_address(tmp_path: Path) -> None:
    assert load(tmp_path, WEBHOOK_HOST="[::1]").webhook_host == "::1"


def test_the_token_is_not_in_the_representation(tmp_path: Path) -> None:
    assert "sesame-fictional" not in repr(load(tmp_path, WEBHOOK_TOKEN="sesame-fictional"))


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "8723.0", "8 723", "٨٧٢٣", "9" * 5000])
def test_a_port_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_PORT is no port: a number from 1 to 65535"):
        load(tmp_path, WEBHOOK_PORT=value)


@pytest.mark.parametrize("value", ["http://0.0.0.0", "127.0.0.1/webhook", "my host", "хост"])
def test_a_host_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_HOST is no address"):
        load(tmp_path, WEBHOOK_HOST=value)


@pytest.mark.parametrize("value", ["ключ", "two\nlines", "caf\u00e9"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_TOKEN holds letters") as refused:
        load(tmp_path, WEBHOOK_TOKEN=value)
    assert value not in str(refused.value)


def test_settings_of_other_programs_are_no_typing_mistakes(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("WEBHOOK_URL=https://other.example\nWEBHOOK_SECRET=x\n")
    assert load(tmp_path).unknown == ()


def test_a_wrong_port_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WEBHOOK_PORT", "http")
    assert main(["--home", str(tmp_path / "home"), "status"]) == 2
    assert capsys.readouterr().err.startswith("whatsapp-mcp: WEBHOOK_PORT is no port")
