"""The sweep: a share of the histories each day, compared with what the archive knows."""

from __future__ import annotations

import sys
from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

import pytest
from account_desk import AccountDesk, account_desk

from whatsapp_mcp.cli.run import main
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.store.gaps import ChatState
from whatsapp_mcp.sync.reconciling import Wanted
from whatsapp_mcp.sync.sweep import due

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


DAY = 86_400
NOW = 1_790_000_000


@pytest.fixture
def d(tmp_path: Path) -> Iterator[AccountDesk]:
    with account_desk(tmp_path) as one:
        yield one


async def test_nothing_is_due_on_the_day_of_a_full_sync(d: AccountDesk) -> None:
    await d.full()
    outcome = await d.sweep()
    assert (outcome.state, outcome.chats_total, d.asked["getChatHistory"]) == ("complete", 0, 0)


async def test_an_active_chat_is_compared_daily_and_what_was_missed_is_told(d: AccountDesk) -> None:
    await d.full()
    d.wait(DAY)
    d.deliver(3, "never in a journal or the queue", journal=False, queue=False)
    d.deliver(3, "told")
    d.wait(DAY)
    await d.recent()
    assert "never in a journal or the queue" not in d.texts()
    outcome = await d.sweep()
    assert any("had missed 1 messages" in note for note in outcome.notes)
    assert (outcome.state, outcome.messages_new) == ("complete", 1)
    assert d.is_the_truth()
    assert d.rows("SELECT kind, state FROM runs ORDER BY run_id DESC LIMIT 1") == [("sweep", "complete")]


async def test_what_is_merely_new_was_not_missed(d: AccountDesk) -> None:
    await d.full()
    d.wait(DAY)
    d.deliver(3, "a moment ago")
    await d.recent()
    d.wait(DAY)
    d.deliver(3, "since the last recent sync")
    outcome = await d.sweep()
    assert (outcome.messages_new, outcome.notes) == (1, ())


async def test_more_than_the_first_count_is_asked_for_until_the_last_comparison_is_met(d: AccountDesk) -> None:
    await d.full()
    d.wait(DAY)
    d.deliver(3, "deep below", journal=False)
    for number in range(420):
        d.deliver(3, f"told {number}", after=30)
    d.wait(DAY)
    await d.recent()
    await d.sweep()
    asked = [request.arguments["count"] for request in d.gateway.requests if request.method == "getChatHistory"]
    assert set(asked[-3:]) >= {200, 1_000} or 1_000_000 in asked[-3:]
    assert "deep below" in d.texts()


async def test_daily_sweeps_come_round_within_four_weeks(d: AccountDesk) -> None:
    await d.full()
    lost = [d.deliver(chat, f"lost in chat {chat}", journal=False, queue=False) for chat in range(32)]
    asked = []
    for _ in range(28):
        d.wait(DAY)
        await d.sweep()
        asked.append(d.asked["getChatHistory"])
    assert {entry.content for entry in lost} <= d.texts()
    assert max(asked) <= ceil(32 / 28) + 2


async def test_a_group_comes_with_its_members(d: AccountDesk) -> None:
    await d.full()
    chats = list(d.account.chat_ids)
    place = next(place for place, chat in enumerate(chats) if chat.endswith("@g.us"))
    d.wait(DAY)
    d.deliver(place, "in the group", sender=d.account.people[0].id)
    await d.recent()
    d.wait(DAY)
    await d.sweep()
    assert chats[place] in {
        request.arguments["groupId"] for request in d.gateway.requests[-9:] if request.method == "getGroupData"
    }


async def test_a_quota_in_the_middle_makes_the_run_partial(d: AccountDesk) -> None:
    await d.full()
    d.wait(DAY)
    for chat in range(6):
        d.deliver(chat, f"news {chat}")
    await d.recent()
    d.wait(DAY)
    d.gateway.faults.quotas["getChatHistory"] = 3
    outcome = await d.sweep()
    assert (outcome.state, outcome.chats_done) == ("partial", 3)


async def test_without_any_sync_before_it_says_what_to_begin_with(d: AccountDesk) -> None:
    with pytest.raises(UsageError, match="sync full"):
        await d.sweep()


def test_the_command_sweeps(d: AccountDesk, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("URL", d.gateway.url), ("ID_INSTANCE", d.gateway.id_instance), ("TOKEN_INSTANCE", d.gateway.token),
        ("RATE_SCALE", "500"),
    ):  # fmt: skip
        monkeypatch.setenv(f"GREEN_API_{name}", value)
    assert main(["--home", str(home), "sync", "sweep"]) == 2
    assert main(["--home", str(home), "sync", "full"]) == 0
    assert main(["--home", str(home), "sync", "sweep"]) == 0


# What is due, by itself


def state(number: int, *, last: int = 0, whole: int = 0, proven: int = 0, errors: int = 0) -> ChatState:
    progress = "complete" if whole else "failed"
    whole_at = NOW - whole * DAY if whole else 0
    spans = ((whole_at - DAY, NOW - proven * DAY),) if proven else ()
    return ChatState(f"1555010{number:04d}@c.us", NOW - last * DAY, 5, progress, errors, whole_at, 5, 5, spans)


def wanted(*states: ChatState, listed: dict[str, str] | None = None) -> list[Wanted]:
    return due({one.chat: one for one in states}, listed or {}, NOW)


def test_the_share_is_whole_and_the_oldest_first_and_the_active_only_reach_back() -> None:
    states = [state(number, last=60, whole=20 - number) for number in range(14)]
    busy = state(99, last=1, whole=3, proven=2)
    assert [(one.chat, one.before) for one in wanted(*states, busy)] == [
        (states[0].chat, None), (busy.chat, busy.verified_at),
    ]  # fmt: skip


def test_a_chat_verified_within_a_day_waits_and_counts_for_the_share() -> None:
    recent = ChatState("15550100001@c.us", NOW, 5, "complete", 0, NOW - 3_600, 5, 5)
    assert wanted(recent, state(2, last=50, whole=30)) == []


def test_chats_that_always_fail_come_round_by_themselves_and_take_no_share_from_others() -> None:
    failing = [ChatState(f"1555010{number:04d}@c.us", NOW, 9, "failed", 12 - number, 0, 5, 5) for number in range(10)]
    assert {one.chat for one in wanted(*failing, state(99, last=90, whole=40))} == {state(99).chat, failing[-1].chat}


async def test_histories_that_fail_for_ever_are_not_asked_every_day(d: AccountDesk) -> None:
    await d.full()
    d.gateway.faults.failing_chats = dict.fromkeys(d.account.chat_ids[:10], 400)
    days: Counter[str] = Counter()
    for day in range(24):
        d.wait(DAY)
        before = len(d.gateway.requests)
        await d.sweep()
        if day >= 14:
            asked = {str(request.arguments.get("chatId")) for request in d.gateway.requests[before:]}
            days.update(asked.intersection(d.account.chat_ids[:10]))
    assert 5 <= days.total() <= 2 * 10


async def test_so_many_chats_are_due_that_the_rest_waits_for_the_next_sweep(
    d: AccountDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["whatsapp_mcp.sync.sweep"], "AT_ONCE", 5)
    await d.full()
    d.wait(DAY)
    lost = [d.deliver(chat, f"lost in chat {chat}", journal=False, queue=False) for chat in range(12)]
    for chat in range(12):
        d.deliver(chat, f"told in chat {chat}")
    await d.recent()
    d.wait(DAY)
    outcome = await d.sweep()
    assert outcome.state == "partial"
    assert any("more chats are due" in note for note in outcome.notes)
    assert d.asked["getChatHistory"] == 5
    for _ in range(2):
        await d.sweep()
    assert {entry.content for entry in lost} <= d.texts()


def test_a_chat_that_only_a_list_names_is_asked_as_a_whole() -> None:
    assert wanted(listed={"15550100009@c.us": "900000000000009@lid"}) == [
        Wanted("15550100009@c.us", None, "900000000000009@lid")
    ]


def test_a_chat_that_only_an_import_knows_is_not_asked() -> None:
    imported = ChatState("15550100001@c.us", NOW, 5, "", 0, 0, 0, 0)
    assert wanted(imported) == []
