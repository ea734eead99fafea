from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest
from loopback import loopback
from small_gateway import ID, TOKEN, SmallGateway

from whatsapp_mcp.app import Archive, hold_lock
from whatsapp_mcp.config import Settings
from whatsapp_mcp.doctor import (
    WANTED_OFF,
    WANTED_ON,
    Check,
    check_consumers,
    check_database,
    check_disk,
    check_env_files,
    check_flags,
    check_folder,
    check_gaps,
    check_lock,
    check_settings,
    check_state,
    check_waiting,
    examine,
)
from whatsapp_mcp.views import ChatGaps, Coverage, Gaps, Hole, Party, Queue, Status

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


def test_a_webhook_address_while_polling_is_explained_for_both_cases() -> None:
    (check,) = check_flags({**GOOD, "webhookUrl": "(set)"}, "queue")
    assert check.level == "warn"
    assert "exclude each other" in check.finding
    assert "clear webhookUrl" in check.advice
    assert "listen --webhook" in check.advice


def test_a_webhook_address_at_which_this_archive_listens_is_well() -> None:
    (check,) = check_flags({**GOOD, "webhookUrl": "(set)"}, "webhook")
    assert check.level == "ok"


def test_a_receiver_to_which_nothing_is_sent_is_told_where_the_notifications_are() -> None:
    (check,) = check_flags(GOOD, "webhook")
    assert check.level == "warn"
    assert "wait in the queue" in check.finding
    assert levels(check_flags(GOOD, "queue")) == {"ok"}


@pytest.mark.parametrize(
    ("count", "listens", "is_pushed", "level", "told"),
    [
        (0, False, False, "ok", "0 notifications wait"),
        (1, False, False, "ok", "1 notification waits"),
        (99, True, False, "ok", "99 notifications wait"),
        (1_200, False, False, "warn", "1,200 notifications wait at Green API and nobody listens"),
        (1_200, True, False, "warn", "although this archive listens"),
        (1_200, False, True, "warn", "the webhook address does not take them"),
        (None, False, False, "warn", "does not say"),
    ],
)
def test_many_notifications_that_wait_are_warned_of(
    count: int | None, *, listens: bool, is_pushed: bool, level: str, told: str
) -> None:
    (check,) = check_waiting(count, listens=listens, is_pushed=is_pushed)
    assert check.level == level
    assert told in check.finding
    assert level == "ok" or count is None or check.advice


def test_a_second_consumer_is_suspected_apart_for_received_and_sent() -> None:
    queue = Queue("queue", told_incoming=6, missed_incoming=4, missed_outgoing=9, suspected=("incoming", "outgoing"))
    received, sent = check_consumers(queue, GOOD)
    assert received.level == sent.level == "warn"
    assert "4 of 10 messages received" in received.finding
    assert "9 of 9 messages sent" in sent.finding
    assert all("another program (a second consumer" in check.finding for check in (received, sent))
    assert all("Stop the other program" in check.advice for check in (received, sent))


@pytest.mark.parametrize(("way", "flag"), [("incoming", "incomingWebhook"), ("outgoing", "outgoingMessageWebhook")])
def test_a_setting_that_is_off_explains_what_was_not_told(way: str, flag: str) -> None:
    queue = Queue("queue", missed_incoming=4, missed_outgoing=4, suspected=(way,))
    (check,) = check_consumers(queue, {**GOOD, flag: "no"})
    assert "another program" not in check.finding
    assert check.advice == f"Switch {flag} on in the Green API console."


def test_without_the_settings_of_the_instance_the_suspicion_stands() -> None:
    (check,) = check_consumers(Queue("queue", missed_incoming=4, suspected=("incoming",)), {})
    assert "another program" in check.finding


def test_a_queue_that_brings_all_is_well_and_one_never_listened_to_is_not_judged() -> None:
    assert levels(check_consumers(Queue("queue", told_incoming=9, missed_incoming=2), GOOD)) == {"ok"}
    assert check_consumers(Queue(), GOOD) == []


def status_with(gaps: Gaps, **counts: int) -> Status:
    coverage = Coverage(3, 3, 0, 0, 0, 1, 2, 3, 9, **counts)  # type: ignore[arg-type]
    return Status(None, 3, 3, 0, 3, 9, 0, 0, 0, 0, coverage, (), (), (), gaps)


def test_gaps_are_told_by_kind_with_the_chats_and_what_to_do() -> None:
    gaps = Gaps(
        {"quote": 2},
        (
            ChatGaps(Party(12, "15550100001@c.us", "Dana"), missing=2, holes=(Hole(1, 9),)),
            ChatGaps(Party(15, "15550100002@c.us", "Omer"), unobtainable=1, shrunk_from=9, shrunk_to=3),
        ),
        2,
    )
    checks = check_gaps(status_with(gaps, missing=2, unobtainable=1, shrunk=1, with_holes=1))
    assert [check.level for check in checks] == ["warn", "warn", "warn", "ok"]
    assert checks[0].finding == "In the chat 12 some time was never fetched."
    assert "2 messages that others refer to were never seen" in checks[1].finding
    assert "In the chat 15" in checks[2].finding
    assert all(check.advice for check in checks)
    assert "Dana" not in repr(checks)


def test_an_archive_without_gaps_is_well() -> None:
    assert levels(check_gaps(status_with(Gaps()))) == {"ok"}


def test_of_many_chats_with_gaps_a_few_are_named() -> None:
    chats = tuple(ChatGaps(Party(number, "", ""), missing=1) for number in range(1, 11))
    (check,) = check_gaps(status_with(Gaps({"quote": 12}, chats, 12), missing=12))
    assert "In the chats 1, 2, 3, 4, 5 and others" in check.finding


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


async def test_the_whole_examination_asks_how_many_notifications_wait(tmp_path: Path, home: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": (200, json.dumps(GOOD)), "getWebhooksCount": (200, '{"сount": 1200}')})
    async with loopback(gateway) as server:
        settings = load(
            tmp_path, home, GREEN_API_URL=server.url, GREEN_API_ID_INSTANCE=ID, GREEN_API_TOKEN_INSTANCE=TOKEN,
            GREEN_API_RATE_SCALE="1000",
        )  # fmt: skip
        archive = Archive.open(settings)
        with archive.writer():
            pass
        checks = await anyio.to_thread.run_sync(lambda: list(examine(archive)))
    assert [check.finding for check in checks if check.name == "queue"] == [
        "1,200 notifications wait at Green API and nobody listens; each is dropped after 24 hours."
    ]
    assert [check.finding for check in checks if check.name == "gaps"] == ["Nothing is known to be missing."]
