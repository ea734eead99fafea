"""Statuses (stories) and avatars: read and stored where the settings say so, and never asked for where they do not."""

from __future__ import annotations

import sqlite3
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.app import NO_EXTRAS, Archive, Extras
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import SettingsError, UsageError
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.sync import Outcome, full_sync, sync_chat, sync_recent
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

ACCOUNT = make_account(size=SMALL)
BOTH = Extras(statuses=True, avatars=True)
STORIES = "SELECT content FROM messages JOIN chats USING (chat_id) WHERE whatsapp_chat_id = 'status@broadcast'"
OPTIONAL = ("getIncomingStatuses", "getOutgoingStatuses", "getAvatar", "getStatusStatistic")


class Then(Hurried):
    """The gateway's own present."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def now(self) -> float:
        return float(self.gateway.now)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(ACCOUNT, rate_scale=1000, patience=0.01) as gateway:
        yield gateway


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "whatsapp_chats.db"
    yield path
    if path.exists():
        with OpenWriter(path) as writer:
            assert list(verify(writer.store, thorough=True)) == []


async def run(flow: Callable[..., Any], gateway: Gateway, path: Path, extras: Extras = BOTH) -> Outcome:
    """One run of a flow; the gateway's log then holds its requests only."""
    gateway.requests.clear()
    clock = Then(gateway)
    credentials = Credentials(gateway.url, gateway.id_instance, gateway.token)
    with OpenWriter(path, extras) as writer:
        async with GreenApi(credentials, rate_scale=1000, clock=clock) as api:
            outcome: Outcome = await flow(api, writer, clock)
    return outcome


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def asked(gateway: Gateway) -> Counter[str]:
    return Counter(seen.method for seen in gateway.requests if seen.method in OPTIONAL)


def minutes_asked(gateway: Gateway) -> set[int]:
    return {int(seen.arguments["minutes"]) for seen in gateway.requests if "Statuses" in seen.method}


# Settings


def test_the_settings_say_no_unless_told_otherwise(tmp_path: Path) -> None:
    silent, told = Settings.load({}, tmp_path), Settings.load({"WHATSAPP_MCP_STATUSES": "Yes"}, tmp_path)
    assert (silent.statuses, silent.avatars) == (False, False)
    assert (told.statuses, told.avatars) == (True, False)
    with pytest.raises(SettingsError, match="WHATSAPP_MCP_AVATARS is neither yes nor no"):
        Settings.load({"WHATSAPP_MCP_AVATARS": "perhaps"}, tmp_path)


def test_the_writer_tells_the_flows_what_the_settings_say(tmp_path: Path) -> None:
    settings = Settings.load({"WHATSAPP_MCP_AVATARS": "yes"}, tmp_path, home=tmp_path / "home")
    with Archive.open(settings).writer() as writer:
        assert writer.extras[:2] == (False, True)


@pytest.mark.parametrize("told", ["yes", "no"])
def test_the_command_line_does_what_the_environment_says(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "GREEN_API_URL": gateway.url, "GREEN_API_ID_INSTANCE": gateway.id_instance, "GREEN_API_TOKEN_INSTANCE": gateway.token,
        "GREEN_API_RATE_SCALE": "1000", "WHATSAPP_MCP_STATUSES": told, "WHATSAPP_MCP_AVATARS": told,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert main(["sync", "full", "--home", str(tmp_path / "home")]) == 0
    assert set(asked(gateway)) == (set(OPTIONAL[:3]) if told == "yes" else set())


async def test_without_the_settings_nothing_of_it_is_asked_for(gateway: Gateway, path: Path) -> None:
    await run(full_sync, gateway, path, NO_EXTRAS)
    assert asked(gateway) == Counter()
    await run(sync_recent, gateway, path, NO_EXTRAS)
    assert asked(gateway) == Counter()
    assert rows(path, STORIES) == []


# Statuses


async def test_statuses_become_messages_of_their_authors_in_the_chat_of_statuses(gateway: Gateway, path: Path) -> None:
    outcome = await run(full_sync, gateway, path, Extras(statuses=True))
    assert outcome.state == "complete"
    assert asked(gateway) == Counter(getIncomingStatuses=1, getOutgoingStatuses=1)
    assert minutes_asked(gateway) == {30 * 1440}
    told = rows(
        path,
        "SELECT c.whatsapp_id, from_me, message_type, content FROM messages AS m JOIN chats AS ch USING (chat_id)"
        " JOIN contacts AS c ON c.contact_id = m.sender_contact_id WHERE whatsapp_chat_id = 'status@broadcast'"
        " ORDER BY sent_at",
    )
    one, other = ACCOUNT.person("Mike").id, ACCOUNT.people[1].id
    assert told == [
        (one, 0, "text", "Fresh bread from the oven"),
        (other, 0, "text", "שבת שלום לכולם"),
        (one, 0, "image", "View from the ferry"),
        (ACCOUNT.owner.id, 1, "text", "Back on Monday"),
    ]


async def test_a_status_that_is_deleted_later_keeps_its_text_and_one_that_was_never_read_is_no_gap(
    gateway: Gateway, path: Path
) -> None:
    mike = ACCOUNT.person("Mike")
    story = gateway.stories.post(mike, "Sold the boat", gateway.now)
    await run(full_sync, gateway, path)
    gateway.now += 600
    gateway.stories.take_back(mike, story, gateway.now - 60)
    await run(sync_recent, gateway, path)
    kept = rows(path, f"SELECT content, deleted_at FROM messages WHERE whatsapp_message_id = '{story}'")
    assert kept == [("Sold the boat", gateway.now - 60)]
    assert rows(path, "SELECT * FROM missing_messages JOIN chats USING (chat_id) WHERE chat_type = 'group'") == []


async def test_later_runs_ask_for_the_time_since_the_last_one_only(gateway: Gateway, path: Path) -> None:
    await run(full_sync, gateway, path)
    before = len(rows(path, STORIES))
    gateway.now += 3600
    gateway.stories.post(None, "On my way", gateway.now - 5)
    outcome = await run(sync_recent, gateway, path)
    assert minutes_asked(gateway) == {71}
    assert outcome.messages_new == 1
    assert len(rows(path, STORIES)) == before + 1


async def test_a_refused_list_is_a_note_and_is_asked_for_again_over_the_whole_time(gateway: Gateway, path: Path) -> None:
    gateway.faults.quotas["getOutgoingStatuses"] = 0
    outcome = await run(full_sync, gateway, path)
    assert outcome.state == "complete"
    assert [note for note in outcome.notes if note.startswith("getOutgoingStatuses")]
    assert len(rows(path, STORIES)) == 3
    gateway.faults.quotas.clear()
    await run(sync_recent, gateway, path)
    assert minutes_asked(gateway) == {30 * 1440}
    assert len(rows(path, STORIES)) == 4


async def test_a_broken_list_gives_what_can_be_read_and_comes_again(gateway: Gateway, path: Path) -> None:
    gateway.faults.next("getIncomingStatuses", Fault.CUT_OFF, times=9)
    outcome = await run(full_sync, gateway, path)
    assert [note for note in outcome.notes if note.startswith("getIncomingStatuses")]
    gateway.faults.clear()
    await run(sync_recent, gateway, path)
    assert minutes_asked(gateway) == {30 * 1440}
    assert len(rows(path, STORIES)) == 4


async def test_statuses_are_no_chat_that_waits_for_its_history(gateway: Gateway, path: Path, tmp_path: Path) -> None:
    await run(full_sync, gateway, path)
    await run(full_sync, gateway, path)
    planned = "SELECT count(*) FROM sync_status JOIN chats USING (chat_id) WHERE whatsapp_chat_id = 'status@broadcast'"
    assert rows(path, planned) == [(0,)]
    assert "status@broadcast" not in {seen.arguments.get("chatId") for seen in gateway.requests}
    archive = Archive.open(Settings.load({}, tmp_path, home=tmp_path))
    assert archive.queries.status().coverage.pending == 0
    listed, _, _ = archive.queries.list_chats(kind="group")
    assert [chat.sync_progress for chat in listed if chat.party.whatsapp_id == "status@broadcast"] == [""]
    with OpenWriter(path) as writer:
        assert not writer.store.has_messages_since(gateway.now - 3 * 3600 - 1, from_me=True)


async def test_the_history_of_statuses_cannot_be_asked_for(gateway: Gateway, path: Path) -> None:
    with pytest.raises(UsageError, match="no history"):
        await run(partial(sync_chat, chat="status@broadcast"), gateway, path)
    assert gateway.requests == []


# Avatars


async def test_avatars_of_people_are_stored_as_addresses_and_asked_for_once(gateway: Gateway, path: Path) -> None:
    await run(full_sync, gateway, path, Extras(avatars=True))
    people = {person.id for person in ACCOUNT.people}
    assert {seen.arguments["chatId"] for seen in gateway.requests if seen.method == "getAvatar"} == people
    pictures = dict(rows(path, "SELECT whatsapp_id, profile_picture_url FROM contacts WHERE profile_picture_url IS NOT NULL"))
    assert people <= pictures.keys()
    assert rows(path, "SELECT count(*) FROM payloads WHERE origin = 'getAvatar'") == [(len(people),)]
    await run(sync_recent, gateway, path, Extras(avatars=True))
    assert asked(gateway) == Counter()


async def test_avatars_are_due_again_after_thirty_days_the_most_recently_active_first(
    gateway: Gateway, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whatsapp_mcp.sync.extras.AVATARS_A_RUN", 3)
    await run(full_sync, gateway, path, Extras(avatars=True))
    active = rows(path, "SELECT whatsapp_chat_id FROM chats WHERE chat_type = 'private' ORDER BY last_message_at DESC, chat_id")
    asked_for = [seen.arguments["chatId"] for seen in gateway.requests if seen.method == "getAvatar"]
    assert set(asked_for) == {chat for (chat,) in active[:3]}
    await run(sync_recent, gateway, path, Extras(avatars=True))
    assert {seen.arguments["chatId"] for seen in gateway.requests if seen.method == "getAvatar"} == {
        chat for (chat,) in active[3:6]
    }
    gateway.now += 30 * 86_400
    await run(sync_recent, gateway, path, Extras(avatars=True))
    assert {seen.arguments["chatId"] for seen in gateway.requests if seen.method == "getAvatar"} == set(asked_for)


async def test_a_used_up_quota_of_avatars_is_a_note_and_the_rest_is_asked_for_later(gateway: Gateway, path: Path) -> None:
    gateway.faults.quotas["getAvatar"] = 2
    outcome = await run(full_sync, gateway, path, Extras(avatars=True))
    assert outcome.state == "complete"
    assert [note for note in outcome.notes if note.startswith("getAvatar")]
    assert len(rows(path, "SELECT 1 FROM contacts WHERE picture_at IS NOT NULL AND is_business IS NULL")) >= 2
    gateway.faults.quotas.clear()
    await run(sync_recent, gateway, path, Extras(avatars=True))
    assert asked(gateway)["getAvatar"] == len(ACCOUNT.people) - 2
