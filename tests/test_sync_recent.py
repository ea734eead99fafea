"""The sync of what is new: the journals for all chats, from where the last success left off, and no more than is needed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from account_desk import AccountDesk, account_desk
from small_gateway import person
from sync_desk import Hurried, OpenWriter, account, desk

from whatsapp_mcp.demo.account import FULL
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.errors import NotAuthorized, Unreachable, UsageError
from whatsapp_mcp.sync import sync_recent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sync_desk import Desk

    from whatsapp_mcp.sync import Outcome

HOUR = 3_600
DAY = 86_400
JOURNALS = ("lastIncomingMessages", "lastOutgoingMessages")


@pytest.fixture
def d(tmp_path: Path) -> Iterator[AccountDesk]:
    with account_desk(tmp_path) as one:
        yield one


async def test_842_new_messages_in_50_of_398_chats_cost_five_requests(tmp_path: Path) -> None:
    with account_desk(tmp_path, FULL) as d:
        await d.full()
        chats = random.Random(3).sample(range(398), 50)
        for number in range(842):
            d.deliver(chats[number % 50], f"news {number}", after=number % 5, from_me=number % 3 == 0)
        outcome = await d.recent()
        assert (outcome.state, outcome.messages_new, outcome.chats_done) == ("complete", 842, 50)
        assert (d.asked_slowly, d.asked.total()) == (5, 5)
        assert d.is_the_truth()


async def test_what_arrived_since_the_last_sync_is_fetched_with_a_handful_of_requests(d: AccountDesk) -> None:
    await d.full()
    d.wait(HOUR)
    for chat in range(3):
        d.deliver(chat, f"news number {chat}", from_me=chat == 1)
    outcome = await d.recent()
    assert (outcome.state, outcome.messages_new, outcome.chats_done, outcome.notes) == ("complete", 3, 3, ())
    assert d.asked_slowly == 5
    assert d.minutes() >= 70
    assert d.is_the_truth()


async def test_a_second_run_brings_nothing_twice(d: AccountDesk) -> None:
    await d.full()
    outcome = await d.recent()
    assert (outcome.messages_new, d.asked_slowly) == (0, 5)


async def test_a_run_that_fails_is_repeated_from_the_same_position(d: AccountDesk) -> None:
    await d.full()
    d.wait(2 * HOUR)
    d.deliver(0, "must not be lost", from_me=True)
    d.gateway.faults.next("lastOutgoingMessages", Fault.BAD_GATEWAY, times=50)
    position = d.cursor("journals_since")
    with pytest.raises(Unreachable):
        await d.recent()
    assert d.cursor("journals_since") == position
    d.gateway.faults.clear()
    await d.recent()
    assert "must not be lost" in d.texts()


async def test_without_any_sync_before_it_says_what_to_begin_with(d: AccountDesk) -> None:
    with pytest.raises(UsageError, match="sync full"):
        await d.recent()


async def test_the_time_of_which_whole_journals_told_is_in_the_ledger(d: AccountDesk) -> None:
    await d.full()
    d.wait(HOUR)
    await d.recent()
    now = d.gateway.now
    spans = d.rows("SELECT from_at, until_at FROM coverage WHERE chat_id = 0 AND origin = 'journal'")
    assert spans == [(now - HOUR - 26_300 * 60, now - 120)]


async def test_a_chat_that_is_new_gets_its_history(d: AccountDesk) -> None:
    d.gateway.faults.failing_chats = {d.account.chat_ids[4]: 400}
    assert (await d.full()).state == "partial"
    d.gateway.faults.failing_chats = {}
    d.deliver(4, "hello again")
    outcome = await d.recent()
    assert (outcome.state, d.asked["getChatHistory"]) == ("complete", 1)
    assert d.is_the_truth()


async def test_many_new_chats_are_left_for_the_next_run_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whatsapp_mcp.sync.needs.AT_ONCE", 3)
    with account_desk(tmp_path) as d:
        d.gateway.faults.failing_chats = dict.fromkeys(d.account.chat_ids[:5], 400)
        await d.full()
        d.gateway.faults.failing_chats = {}
        for chat in range(5):
            d.deliver(chat, f"hello {chat}")
        first = await d.recent()
        assert (first.state, d.asked["getChatHistory"]) == ("partial", 3)
        assert any("2 more chats wait" in note for note in first.notes)
        assert (await d.recent()).state == "complete"
        assert d.asked["getChatHistory"] == 2
        assert d.is_the_truth()


async def test_a_history_that_came_shorter_than_before_is_asked_again_once(d: AccountDesk) -> None:
    await d.full()
    chat = d.account.chat_ids[2]
    d.gateway.faults.short_histories = {chat: 1}
    d.wait(DAY)
    await d.full()
    await d.recent()
    assert d.asked["getChatHistory"] == 1
    await d.recent()
    assert d.asked["getChatHistory"] == 0
    d.wait(8 * DAY)
    await d.recent()
    assert d.asked["getChatHistory"] == 1


# What the instance says


async def recent_of(d: Desk) -> Outcome:
    with d.writer() as writer:
        async with d.client() as api:
            return await sync_recent(api, writer, Hurried(), report=d.told.append)


async def test_settings_that_cannot_be_had_cost_the_longer_check(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {"getWaSettings": lambda _: next(answers, None)}
        answers = iter([(400, '{"message":"bad request data"}')])
        before = len(d.server.asked)
        assert (await recent_of(d)).state == "complete"
        methods = [asked.method for asked in d.server.asked[before:]]
        assert (methods.count("getStateInstance"), methods.count("getSettings"), methods.count("getWaSettings")) == (1, 1, 2)


async def test_another_account_is_refused_before_anything_is_stored(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.owner = "15550100077@c.us"
        d.gateway.recent = [person(9)]
        with pytest.raises(UsageError, match="another WhatsApp account"):
            await recent_of(d)
        assert person(9) not in d.messages()


async def test_an_instance_that_is_not_linked_is_told_at_once(d: AccountDesk) -> None:
    await d.full()
    d.gateway.faults.state = "notAuthorized"
    with pytest.raises(NotAuthorized):
        await d.recent()
    assert d.rows("SELECT state FROM runs ORDER BY run_id DESC LIMIT 1") == [("failed",)]


# Clocks


@pytest.mark.parametrize("wrong", [90 * DAY, 3 * DAY, 5 * HOUR])
async def test_a_clock_that_ran_ahead_and_was_set_right_loses_nothing(d: AccountDesk, wrong: int) -> None:
    await d.full()
    d.clock.wrong = wrong
    await d.recent()
    d.clock.wrong = 0
    d.wait(4 * HOUR)
    d.deliver(1, "said meanwhile", after=-2 * HOUR)
    await d.recent()
    assert d.minutes() == 26_300
    assert "said meanwhile" in d.texts()
    assert d.rows(f"SELECT count(*) FROM coverage WHERE until_at > {d.gateway.now}") == [(0,)]
    await d.recent()
    assert d.minutes() < 26_300


async def test_a_clock_that_fell_behind_is_corrected_by_the_gateways_own(d: AccountDesk) -> None:
    """The gateway's answers carry its time."""
    await d.full()
    d.wait(3 * DAY)
    d.clock.wrong = 60 - 3 * DAY
    d.deliver(1, "said in the three days", after=-2 * DAY)
    outcome = await d.recent()
    assert "said in the three days" in d.texts()
    assert any("clock was set back" in note for note in outcome.notes)
    d.clock.wrong = 0
    await d.recent()
    assert d.is_the_truth()


async def test_a_long_history_of_clock_jumps_ends_as_the_account_is(d: AccountDesk) -> None:
    await d.full()
    chance = random.Random(11)
    for number in range(12):
        d.clock.wrong = chance.choice([0, 0, 0, 2 * DAY, 30 * DAY])
        d.wait(chance.randint(60, 6 * HOUR))
        d.deliver(chance.randrange(32), f"step {number}")
        await d.recent()
    d.clock.wrong = 0
    await d.recent()
    assert d.is_the_truth()
    with OpenWriter(d.path) as writer:
        assert all(end <= d.gateway.now for _, end in writer.store.gaps.covered())
