from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from whatsapp_mcp.app import Archive, hold_lock
from whatsapp_mcp.config import Settings
from whatsapp_mcp.doctor import (
    WANTED_OFF,
    WANTED_ON,
    Check,
    check_database,
    check_disk,
    check_env_files,
    check_flags,
    check_folder,
    check_lock,
    check_settings,
    check_state,
    examine,
)

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {**dict.fromkeys(WANTED_ON, "yes"), **dict.fromkeys(WANTED_OFF, "no"), "webhookUrl": ""}
posix_only = pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems files have these rights")


def levels(checks: list[Check]) -> set[str]:
    return {check.level for check in checks}


def load(tmp_path: Path, home: Path, **values: str) -> Settings:
    return Settings.load({"WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "UTC", **values}, tmp_path)


def test_missing_credentials_fail_with_the_code_for_settings(tmp_path: Path, home: Path) -> None:
    first = check_settings(load(tmp_path, home))[0]
    assert (first.level, first.exit_code) == ("fail", 2)
    assert "GREEN_API_TOKEN_INSTANCE" in first.finding
    assert first.advice


def test_a_mistyped_setting_is_named_with_the_names_that_exist(tmp_path: Path, home: Path) -> None:
    (tmp_path / ".env").write_text("GREEN_API_TOKEN=abc\n")
    warnings = [check for check in check_settings(load(tmp_path, home)) if check.level == "warn"]
    assert [check.finding for check in warnings] == ["GREEN_API_TOKEN is not a setting."]
    assert "GREEN_API_TOKEN_INSTANCE" in warnings[0].advice


@posix_only
def test_an_env_file_that_others_can_read_is_reported_with_the_command_that_closes_it(tmp_path: Path, home: Path) -> None:
    env = tmp_path / ".env"
    env.write_text("GREEN_API_ID_INSTANCE=7105000001\n")
    env.chmod(0o644)
    (check,) = check_env_files(load(tmp_path, home))
    assert check.level == "warn"
    assert check.advice == f'Run: chmod 600 "{env}"'
    env.chmod(0o600)
    assert levels(check_env_files(load(tmp_path, home))) == {"ok"}


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("authorized", "ok"),
        ("suspended", "warn"),
        ("starting", "warn"),
        ("notAuthorized", "fail"),
        ("blocked", "fail"),
        ("new", "warn"),
    ],
)
def test_each_state_of_the_instance_is_judged(state: str, level: str) -> None:
    check = check_state(state)
    assert check.level == level
    assert check.exit_code == (level == "fail")
    assert level == "ok" or check.advice


def test_an_instance_with_the_right_settings_is_well() -> None:
    assert levels(check_flags(GOOD)) == {"ok"}


@pytest.mark.parametrize("name", WANTED_ON)
def test_a_setting_that_an_archive_needs_is_missed_by_name(name: str) -> None:
    (check,) = check_flags({**GOOD, name: "no"})
    assert check.level == "warn"
    assert check.finding.startswith(f"{name} is off")
    assert check.advice == f"Switch {name} on in the Green API console."


@pytest.mark.parametrize("name", WANTED_OFF)
def test_a_setting_that_acts_in_the_users_name_fails(name: str) -> None:
    (check,) = check_flags({**GOOD, name: "yes"})
    assert (check.level, check.exit_code) == ("fail", 1)


def test_a_webhook_address_is_told_without_being_shown() -> None:
    (check,) = check_flags({**GOOD, "webhookUrl": "(set)"})
    assert check.level == "warn"
    assert "notification queue" in check.finding


def test_a_home_that_does_not_exist_yet_is_well_and_stays_so(home: Path) -> None:
    assert levels(check_folder(home)) == {"ok"}
    assert not home.exists()


@posix_only
def test_a_home_that_others_can_enter_is_reported(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    (check,) = check_folder(home)
    assert check.level == "warn"
    assert "chmod 700" in check.advice


def test_a_home_that_is_a_file_fails(home: Path) -> None:
    home.write_text("")
    assert levels(check_folder(home)) == {"fail"}


def test_the_disk_is_measured_where_the_home_will_be(home: Path) -> None:
    (check,) = check_disk(home / "deep" / "down")
    assert "GB are free" in check.finding


def test_a_lock_that_another_holds_is_reported_and_a_free_one_is_not(home: Path) -> None:
    assert levels(check_lock(home)) == {"ok"}
    with hold_lock(home):
        assert levels(check_lock(home)) == {"warn"}
    assert levels(check_lock(home)) == {"ok"}


def test_a_damaged_database_fails_with_advice(tmp_path: Path, home: Path) -> None:
    archive = Archive.open(load(tmp_path, home))
    with archive.writer():
        pass
    archive.database.write_bytes(b"no database at all" * 1000)
    check = next(check for check in examine(archive) if check.name == "database")
    assert (check.level, check.exit_code) == ("fail", 1)
    assert check.advice


def test_a_sound_database_says_what_is_in_it(tmp_path: Path, home: Path) -> None:
    archive = Archive.open(load(tmp_path, home))
    with archive.writer():
        pass
    (check,) = check_database(archive)
    assert check.finding == "It can be read; messages: 0, chats: 0."


def test_an_examination_without_anything_finds_the_credentials_missing_and_creates_nothing(tmp_path: Path, home: Path) -> None:
    checks = list(examine(Archive.open(load(tmp_path, home))))
    assert [check.name for check in checks if check.level == "fail"] == ["settings"]
    assert not home.exists()


def test_an_instance_that_cannot_be_reached_fails_without_showing_the_token(tmp_path: Path, home: Path) -> None:
    token = "d75b3a66374942c5b3c019c698abc2067e151558acbd451234"
    settings = load(
        tmp_path, home, GREEN_API_URL="http://127.0.0.1:9", GREEN_API_ID_INSTANCE="7105000001", GREEN_API_TOKEN_INSTANCE=token
    )
    checks = list(examine(Archive.open(settings)))
    (failed,) = [check for check in checks if check.level == "fail"]
    assert failed.name == "instance"
    assert token not in repr(checks)
