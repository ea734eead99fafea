from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.config import NAMES, Settings
from whatsapp_mcp.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "d75b3a66374942c5b3c019c698abc2067e151558acbd451234"
ACCOUNT = {
    "GREEN_API_URL": "https://7105.api.greenapi.com/",
    "GREEN_API_ID_INSTANCE": "7105000001",
    "GREEN_API_TOKEN_INSTANCE": TOKEN,
}


def load(tmp_path: Path, **values: str) -> Settings:
    return Settings.load({"WHATSAPP_MCP_HOME": str(tmp_path / "home"), **values}, tmp_path)


def test_credentials_come_from_the_environment(tmp_path: Path) -> None:
    credentials = load(tmp_path, **ACCOUNT).credentials()
    assert credentials.url == "https://7105.api.greenapi.com"
    assert credentials.id_instance == "7105000001"
    assert credentials.token == TOKEN


def test_the_environment_wins_over_the_working_directory_which_wins_over_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".env").write_text("GREEN_API_URL=https://home\nGREEN_API_ID_INSTANCE=1\nGREEN_API_TOKEN_INSTANCE=home\n")
    (tmp_path / ".env").write_text("GREEN_API_URL=https://here\nGREEN_API_ID_INSTANCE=2\n")
    settings = load(tmp_path, GREEN_API_URL="https://environment")
    assert (settings.green_api_url, settings.id_instance, settings.token) == ("https://environment", "2", "home")
    assert settings.env_files == (tmp_path / ".env", home / ".env")


def test_the_home_folder_may_be_named_in_the_env_file_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"WHATSAPP_MCP_HOME={tmp_path / 'elsewhere'}\n")
    assert Settings.load({}, tmp_path).home == tmp_path / "elsewhere"


def test_the_home_of_the_command_line_wins_over_all(tmp_path: Path) -> None:
    settings = Settings.load({"WHATSAPP_MCP_HOME": "/nowhere"}, tmp_path, home=tmp_path / "told")
    assert settings.home == tmp_path / "told"


def test_a_token_with_a_dollar_and_braces_is_not_expanded(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GREEN_API_TOKEN_INSTANCE='abc${HOME}def'\n")
    assert load(tmp_path).token == "abc${HOME}def"


def test_an_env_file_saved_by_windows_notepad_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfGREEN_API_ID_INSTANCE=7105000001\r\n")
    assert load(tmp_path).id_instance == "7105000001"


def test_an_empty_variable_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GREEN_API_ID_INSTANCE=7105000001\n")
    assert load(tmp_path, GREEN_API_ID_INSTANCE=" ").id_instance == "7105000001"


def test_the_token_is_not_in_the_representation(tmp_path: Path) -> None:
    settings = load(tmp_path, **ACCOUNT)
    assert TOKEN not in repr(settings)
    assert TOKEN not in repr(settings.credentials())


def test_reading_needs_no_credentials_and_asking_for_them_names_what_is_missing(tmp_path: Path) -> None:
    settings = load(tmp_path, GREEN_API_ID_INSTANCE="7105000001")
    with pytest.raises(SettingsError, match=r"GREEN_API_URL and GREEN_API_TOKEN_INSTANCE are not set\. Set them in \.env"):
        settings.credentials()


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("GREEN_API_URL", "7105.api.greenapi.com", "not an address"),
        ("GREEN_API_URL", "http://7105.api.greenapi.com", "not an address"),
        ("GREEN_API_URL", "https://7105.api.greenapi.com/waInstance7105000001", "not an address"),
        ("GREEN_API_URL", "https://[", "not an address"),
        ("GREEN_API_ID_INSTANCE", "seven", "is not a number"),
        ("GREEN_API_TOKEN_INSTANCE", "${GREEN_API_TOKEN}", "letters that no token has"),
        ("GREEN_API_TOKEN_INSTANCE", "abc/../def", "letters that no token has"),
    ],
)
def test_a_wrong_credential_is_named_without_showing_it(tmp_path: Path, name: str, value: str, complaint: str) -> None:
    settings = load(tmp_path, **{**ACCOUNT, name: value})
    with pytest.raises(SettingsError, match=complaint) as caught:
        settings.credentials()
    assert name in str(caught.value)
    assert value == "7105.api.greenapi.com" or value not in str(caught.value)  # that one is the example itself


def test_plain_http_is_allowed_on_this_machine_only(tmp_path: Path) -> None:
    settings = load(tmp_path, **{**ACCOUNT, "GREEN_API_URL": "http://127.0.0.1:8123"})
    assert settings.credentials().url == "http://127.0.0.1:8123"


@pytest.mark.parametrize("value", ["fast", "0", "-1", "nan", "inf", "1e9"])
def test_an_impossible_rate_scale_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="GREEN_API_RATE_SCALE"):
        load(tmp_path, GREEN_API_RATE_SCALE=value)


@pytest.mark.parametrize("value", ["Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime"])
def test_an_unknown_time_zone_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"Use a name like Europe/Madrid"):
        load(tmp_path, WHATSAPP_MCP_TIMEZONE=value)


def test_a_time_zone_is_taken_by_its_name(tmp_path: Path) -> None:
    assert load(tmp_path, WHATSAPP_MCP_TIMEZONE="Asia/Jerusalem").timezone.key == "Asia/Jerusalem"


def test_without_a_time_zone_the_system_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Bogota")
    assert load(tmp_path).timezone.key == "America/Bogota"


def test_a_mistyped_name_is_remembered(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GREEN_API_TOKEN=x\nEDITOR=vi\n")
    assert load(tmp_path).unknown == ("GREEN_API_TOKEN",)


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00G")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        load(tmp_path)


def test_a_home_under_an_unknown_user_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="home folder"):
        Settings.load({"WHATSAPP_MCP_HOME": "~nobody-of-that-name/x"}, tmp_path)


def test_without_a_home_the_systems_folder_for_user_data_is_used(tmp_path: Path) -> None:
    home = Settings.load({}, tmp_path).home
    assert home.is_absolute()
    assert home.name == "whatsapp-mcp"


def test_loading_without_arguments_reads_the_real_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GREEN_API_ID_INSTANCE", "7105000001")
    monkeypatch.chdir(tmp_path)
    assert Settings.load().id_instance == os.environ["GREEN_API_ID_INSTANCE"]


def test_every_setting_is_explained() -> None:
    assert all(NAMES.values())


def test_a_number_with_leading_noughts_is_that_number(tmp_path: Path) -> None:
    told = {"LOG_KEEP_DAYS": "0000050", "BACKUP_KEEP_DAILY": "0000007", "BACKUP_KEEP_WEEKLY": "00", "BACKUP_KEEP_MONTHLY": "3"}
    settings = Settings.load(told, tmp_path)
    assert settings.log_keep_days() == 50
    assert settings.kept_backups() == (7, 0, 3)


def test_chats_to_hide_are_separated_by_commas_and_quoted_where_they_hold_one(tmp_path: Path) -> None:
    settings = load(
        tmp_path, WHATSAPP_MCP_HIDDEN_CHATS='Avner, "Smith, John" ,צה"ל,,+1 555 010 0002', WHATSAPP_MCP_SHOWN_CHATS="12"
    )
    assert settings.hidden_chats == ("Avner", "Smith, John", 'צה"ל', "+1 555 010 0002")
    assert settings.shown_chats == ("12",)


@pytest.mark.parametrize(("value", "told"), [(" , ,", "names no chat"), ('"Avner', "double quote")])
def test_a_list_of_chats_that_hides_nothing_is_refused(tmp_path: Path, value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(tmp_path, WHATSAPP_MCP_HIDDEN_CHATS=value)
