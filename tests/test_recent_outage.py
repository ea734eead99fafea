"""The sync of what is new where the journals do not suffice: cut, damaged, full of holes, denied, or too short for a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_desk import AccountDesk, account_desk
from sync_desk import Hurried, account, desk

from whatsapp_mcp.demo.account import FULL
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.errors import CredentialsError, QuotaReached
from whatsapp_mcp.store.gaps import ChatState
from whatsapp_mcp.sync import sync_recent
from whatsapp_mcp.sync.needs import has_hole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3_600
DAY = 86_400
JOURNALS = ("lastIncomingMessages", "lastOutgoingMessages")


@pytest.fixture
def d(tmp_path: Path) -> Iterator[AccountDesk]:
    with account_desk(tmp_path) as one:
        yield one


async def test_a_message_that_the_journal_keeps_back_costs_one_history(d: AccountDesk) -> None:
    d.deliver(1, "told by the journal", queue=False)
    await d.full()
    d.wait(HOUR)
    d.deliver(3, "told by the queue alone", journal=False)
    d.deliver(3, "told by nothing but the history", journal=False, queue=False)
    d.wait(HOUR)
    await d.drain()
    assert "told by the queue alone" in d.texts()
    outcome = await d.recent()
    assert (outcome.state, d.asked["getChatHistory"], d.asked["getChats"]) == ("complete", 1, 0)
    assert d.is_the_truth()


async def test_what_a_journal_never_tells_is_noticed_once(d: AccountDesk) -> None:
    await d.full()
    d.deliver(3, "only in the history", journal=False)
    d.wait(DAY)
    await d.full()
    await d.recent()
    assert d.asked["getChatHistory"] > 0
    await d.recent()
    assert d.asked["getChatHistory"] == 0


@pytest.mark.parametrize("cap", [1, 5, 100])
async def test_a_journal_that_is_silently_cut_is_filled_from_the_histories(d: AccountDesk, cap: int) -> None:
    d.deliver(0, "the last one before")
    await d.full()
    d.gateway.faults.journal_cap = cap
    for number in range(130):
        d.deliver(number % 9, f"news {number}", after=60)
    outcome = await d.recent()
    assert outcome.state == "complete"
    assert any("did not tell everything" in note for note in outcome.notes)
    assert d.is_the_truth()
    assert d.asked["getChatHistory"] <= 9 + 15
    assert d.asked["getChats"] == 1


async def test_the_chats_that_a_cut_journal_told_of_do_not_hide_the_others(tmp_path: Path) -> None:
    with account_desk(tmp_path, FULL) as d:
        d.deliver(0, "the last one before")
        await d.full()
        d.gateway.faults.journal_cap = 100
        for number in range(300):
            d.deliver(number % 100, f"news {number}", after=20)
        assert (await d.recent()).messages_new == 300
        assert d.is_the_truth()
        assert d.asked["getChatHistory"] <= 100 + 15


async def test_more_than_a_hundred_new_messages_in_a_cut_chat_are_all_had(d: AccountDesk) -> None:
    d.deliver(0, "the last one before")
    await d.full()
    d.gateway.faults.journal_cap = 100
    for number in range(250):
        d.deliver(6, f"news {number}", after=10)
    assert (await d.recent()).messages_new == 250
    assert d.is_the_truth()


@pytest.mark.parametrize("method", JOURNALS)
@pytest.mark.parametrize("fault", [Fault.EMPTY, Fault.CUT_OFF, Fault.STRAY_COMMA, Fault.EMPTY_ITEM, Fault.BROKEN_CONNECTION])
async def test_a_journal_in_trouble_costs_time_but_no_message(d: AccountDesk, method: str, fault: Fault) -> None:
    d.deliver(0, "the last one before")
    d.deliver(0, "and an answer", from_me=True)
    await d.full()
    d.wait(2 * HOUR)
    for number in range(12):
        d.deliver(number, f"news {number}", after=number, from_me=number % 2 == 0)
    d.gateway.faults.next(method, fault, times=1 if fault is Fault.BROKEN_CONNECTION else 9)
    outcome = await d.recent()
    assert outcome.state in {"complete", "partial"}
    assert d.is_the_truth()


async def test_a_hole_that_a_cut_journal_left_is_filled_when_the_chat_is_heard_of_again(
    d: AccountDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whatsapp_mcp.sync.needs.QUIET_CHATS", 1)
    d.deliver(0, "the last one before")
    await d.full()
    d.wait(DAY)
    d.gateway.faults.hidden_chats = {d.account.chat_ids[7]}
    d.gateway.faults.journal_cap = 1
    d.deliver(7, "falls into the hole")
    d.deliver(1, "the only one told", after=60)
    await d.recent()
    assert "falls into the hole" not in d.texts()
    d.gateway.faults.journal_cap = None
    d.wait(DAY)
    await d.recent()
    assert d.asked["getChatHistory"] == 0
    d.deliver(7, "heard of again")
    await d.recent()
    assert d.asked["getChatHistory"] == 1
    assert d.is_the_truth()


# A pause that the journals do not reach over


async def test_an_outage_of_thirty_days_is_filled_from_all_histories_by_itself(d: AccountDesk) -> None:
    await d.full()
    for day in range(30):
        d.wait(DAY)
        d.deliver(day % 32, f"on day {day}")
    outcome = await d.recent()
    assert outcome.state == "complete"
    assert any("30 days ago" in note and "32 chats" in note for note in outcome.notes)
    assert (d.asked["getChatHistory"], d.asked["getChats"]) == (32, 1)
    assert d.is_the_truth()
    assert (await d.recent()).messages_new == 0
    assert d.asked_slowly == 5


async def test_an_outage_that_a_quota_stops_goes_on_where_it_stopped(d: AccountDesk) -> None:
    await d.full()
    for _ in range(2):  # so that the histories themselves were had long ago
        d.wait(15 * DAY)
        await d.recent()
    d.wait(30 * DAY)
    early = [d.deliver(chat, f"in chat {chat}", after=-20 * DAY) for chat in range(32)]
    d.gateway.faults.quotas["getChatHistory"] = 12
    outcome = await d.recent()
    assert (outcome.state, outcome.chats_done) == ("partial", 12)
    assert any("getChatHistory" in note for note in outcome.notes)
    d.gateway.faults.quotas.clear()
    assert (await d.recent()).state == "complete"
    assert d.asked["getChatHistory"] == 20
    assert {entry.content for entry in early} <= d.texts()


async def test_a_chat_that_fails_after_an_outage_is_asked_in_the_next_run(d: AccountDesk) -> None:
    await d.full()
    d.wait(30 * DAY)
    lost = d.deliver(4, "long ago", after=-20 * DAY)
    d.gateway.faults.failing_chats = {lost.chat: 400}
    outcome = await d.recent()
    assert (outcome.state, outcome.chats_failed) == ("partial", 1)
    d.gateway.faults.failing_chats = {}
    assert (await d.recent()).state == "complete"
    assert d.asked["getChatHistory"] == 1
    assert "long ago" in d.texts()


# Journals that the plan leaves out


@pytest.mark.parametrize("methods", [JOURNALS, JOURNALS[:1]])
async def test_without_journals_the_most_active_chats_are_asked(d: AccountDesk, methods: tuple[str, ...]) -> None:
    await d.full()
    d.wait(DAY)
    d.gateway.faults.quotas = dict.fromkeys(methods, 0)
    for chat in range(4):
        d.deliver(chat, f"news {chat}", from_me=chat % 2 == 0)
    outcome = await d.recent()
    assert outcome.state == "complete"
    assert any("lastIncomingMessages" in note for note in outcome.notes)
    assert d.asked["getChatHistory"] <= 4 + 15
    assert d.is_the_truth()


async def test_without_journals_and_histories_the_run_is_partial_and_the_position_stays(d: AccountDesk) -> None:
    await d.full()
    d.wait(DAY)
    position = d.cursor("journals_since")
    d.gateway.faults.quotas = dict.fromkeys([*JOURNALS, "getChatHistory"], 0)
    with pytest.raises(QuotaReached):
        await d.recent()
    assert d.cursor("journals_since") == position


async def test_a_token_that_is_refused_still_stops_the_run(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = dict.fromkeys(["lastIncomingMessages", "getStateInstance"], (401, ""))
        with d.writer() as writer:
            async with d.client() as api:
                with pytest.raises(CredentialsError):
                    await sync_recent(api, writer, Hurried())


# Holes, by themselves


@pytest.mark.parametrize(
    ("verified_at", "last_message_at", "expected"),
    [(50, 150, True), (50, 90, False), (250, 300, False), (150, 160, True), (150, 140, False), (150, 400, True)],
)
def test_a_hole_matters_to_a_chat_that_was_active_after_it_began(
    verified_at: int, last_message_at: int, *, expected: bool
) -> None:
    state = ChatState("c", last_message_at, 1, "complete", 0, verified_at, 5, 5)
    assert has_hole(state, [(100, 200)]) is expected


def test_a_newer_part_of_a_history_fills_the_hole_that_it_spans() -> None:
    state = ChatState("c", 150, 1, "complete", 0, 50, 5, 5, ((95, 300),))
    assert not has_hole(state, [(100, 200)])
    assert has_hole(state, [(90, 200)])
    assert state.verified_at == 50
