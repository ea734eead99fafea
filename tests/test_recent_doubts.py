"""The sync of what is new believes no silence: journals that went mute, lists that are empty, histories that begin too late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from account_desk import AccountDesk, account_desk
from small_gateway import message, person
from store_fixtures import history
from sync_desk import OpenWriter

from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.sync.history import History
from whatsapp_mcp.sync.marking import covered_by

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOUR = 3_600
DAY = 86_400
JOURNALS = ("lastIncomingMessages", "lastOutgoingMessages")
COVERED_UNTIL = "SELECT max(until_at) FROM coverage WHERE chat_id = 0"


@pytest.fixture
def d(tmp_path: Path) -> Iterator[AccountDesk]:
    with account_desk(tmp_path) as one:
        yield one


async def test_journals_that_went_mute_for_ever_never_pass_for_a_quiet_time(d: AccountDesk) -> None:
    d.deliver(0, "the last one before")
    d.deliver(0, "and an answer", from_me=True)
    await d.full()
    for method in JOURNALS:
        d.gateway.faults.every(method, Fault.EMPTY)
    until = d.rows(COVERED_UNTIL)
    for number in range(5):
        d.wait(HOUR)
        if number % 2:
            d.deliver(number, f"said to the deaf {number}")
        d.wait(HOUR)
        await d.recent()
        assert d.is_the_truth()
    assert d.rows(COVERED_UNTIL) == until


async def test_single_losses_of_a_journal_cost_single_histories_and_no_more_on_the_next_day(d: AccountDesk) -> None:
    await d.full()
    for day in range(3):
        d.wait(DAY)
        for chat in range(20):
            d.deliver(chat, f"told {day}", after=60)
        d.deliver(3, f"kept back {day}", journal=False)
        d.wait(HOUR)
        await d.drain()
        await d.recent()
        assert d.asked["getChatHistory"] == 1
    d.wait(DAY)
    d.deliver(5, "the day after")
    await d.recent()
    assert d.asked["getChatHistory"] == 0
    assert d.is_the_truth()


async def test_an_empty_list_of_chats_is_no_reason_to_ask_nobody(d: AccountDesk) -> None:
    d.deliver(0, "the last one before")
    await d.full()
    d.wait(HOUR)
    position = d.cursor("journals_since")
    d.gateway.faults.every("getChats", Fault.EMPTY)
    d.gateway.faults.journal_cap = 1
    for chat in range(6):
        d.deliver(chat, f"news {chat}", after=60)
    outcome = await d.recent()
    assert outcome.state == "partial"
    assert any("getChats: the gateway gave nothing" in note for note in outcome.notes)
    assert d.is_the_truth()
    assert d.cursor("journals_since") == position


async def test_a_full_sync_without_journals_is_a_beginning_for_the_next(d: AccountDesk) -> None:
    d.gateway.faults.quotas = dict.fromkeys(JOURNALS, 0)
    await d.full()
    d.wait(HOUR)
    d.deliver(1, "after the full sync")
    assert (await d.recent()).state == "complete"
    assert d.is_the_truth()
    d.wait(30 * DAY)
    d.deliver(2, "after a pause")
    assert (await d.recent()).state == "complete"
    assert d.is_the_truth()


async def test_a_history_that_begins_after_all_that_was_known_is_not_called_complete(d: AccountDesk) -> None:
    """The gateway gives 50 messages at most and does not say so; 150 came since the last history."""
    await d.full()
    d.wait(30 * DAY)
    for number in range(150):
        d.deliver(4, f"said {number}", after=number - 20 * DAY)
    chat = d.account.chat_ids[4]
    d.gateway.faults.short_histories = {chat: 50}
    progress = f"SELECT sync_progress FROM sync_status JOIN chats USING (chat_id) WHERE whatsapp_chat_id = '{chat}'"
    assert (await d.recent()).chats_truncated == 1
    assert d.rows(progress) == [("truncated",)]
    await d.full()
    assert d.rows(progress) == [("truncated",)]
    d.gateway.faults.short_histories = {}
    await d.full()
    assert d.rows(progress) == [("complete",)]
    assert d.is_the_truth()


async def test_an_outage_of_a_large_account_is_filled_by_a_small_quota_month_by_month(d: AccountDesk) -> None:
    await d.full()
    d.wait(40 * DAY)
    early = {d.deliver(chat, f"in chat {chat}", after=-30 * DAY).content for chat in range(32)}
    states = []
    for _ in range(3):
        d.gateway.faults.quotas["getChatHistory"] = 12
        states.append((await d.recent()).state)
        for _ in range(2):
            d.wait(15 * DAY)
            d.deliver(1, "meanwhile")
            await d.recent()
    assert states == ["partial", "partial", "complete"]
    assert early <= d.texts()
    d.gateway.faults.quotas.clear()
    assert (await d.recent()).notes == ()
    assert d.asked_slowly == 5
    assert d.is_the_truth()


async def test_an_outage_within_an_outage_that_was_not_filled_is_filled_with_it(d: AccountDesk) -> None:
    await d.full()
    d.wait(30 * DAY)
    lost = {d.deliver(chat, f"first pause {chat}", after=-20 * DAY).content for chat in range(32)}
    d.gateway.faults.quotas["getChatHistory"] = 9
    assert (await d.recent()).state == "partial"
    d.wait(30 * DAY)
    lost |= {d.deliver(chat, f"second pause {chat}", after=-20 * DAY).content for chat in range(32)}
    d.gateway.faults.quotas.clear()
    assert (await d.recent()).state == "complete"
    assert lost <= d.texts()
    assert d.is_the_truth()


async def test_a_cut_journal_after_an_outage_that_was_filled_in_part_hides_nothing(d: AccountDesk) -> None:
    await d.full()
    d.wait(30 * DAY)
    d.deliver(0, "the last one before")
    d.wait(HOUR)
    d.gateway.faults.quotas["getChatHistory"] = 20
    await d.recent()
    d.gateway.faults.quotas.clear()
    d.wait(HOUR)
    d.gateway.faults.journal_cap = 1
    for chat in range(6):
        d.deliver(chat, f"news {chat}", after=60)
    await d.recent()
    assert d.is_the_truth()


@pytest.mark.parametrize("wrong", [-600, 600, -3 * DAY])
async def test_a_clock_that_is_always_wrong_costs_no_histories(d: AccountDesk, wrong: int) -> None:
    d.clock.wrong = wrong
    await d.full()
    for number in range(4):
        for chat in range(20):
            d.deliver(chat, f"news {number}", after=60)
        await d.recent()
        assert (d.asked["getChatHistory"], d.asked_slowly) == (0, 5)
    assert d.is_the_truth()
    ((until,),) = d.rows(COVERED_UNTIL)
    assert until <= d.gateway.now


async def test_a_clock_that_was_set_back_over_an_outage_does_not_make_it_look_verified(d: AccountDesk) -> None:
    await d.full()
    d.wait(HOUR)
    await d.recent()
    d.wait(25 * DAY)
    d.clock.wrong = HOUR - 25 * DAY
    lost = {d.deliver(chat, f"in chat {chat}", after=-22 * DAY).content for chat in range(32)}
    d.gateway.faults.quotas["getChatHistory"] = 20
    assert (await d.recent()).state == "partial"
    d.gateway.faults.quotas.clear()
    assert (await d.recent()).state == "complete"
    assert lost <= d.texts()
    await d.recent()
    assert d.asked_slowly == 5
    assert d.is_the_truth()


def test_a_history_that_ends_in_many_reactions_still_says_how_far_back_it_reaches(tmp_path: Path) -> None:
    oldest = message(person(2), 1)
    reactions = [
        {**message(person(2), 10 + number), "typeMessage": "reactionMessage", "extendedTextMessageData": {"text": "+"},
         "quotedMessage": {"stanzaId": oldest["idMessage"]}}
        for number in range(9)
    ]  # fmt: skip
    told = History(history([message(person(2), 30), oldest, *reactions]), 100)
    with OpenWriter(tmp_path / "a.db") as writer:
        writer.ingest.receive(told.payload)
    (span,) = covered_by(person(2), told, "history")
    assert span.start == oldest["timestamp"]
