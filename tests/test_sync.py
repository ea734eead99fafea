"""The full sync: a real gateway on loopback, a real archive on disk."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest
from small_gateway import OWNER, SmallGateway, group, message, person
from sync_desk import account, desk

from whatsapp_mcp.errors import (
    CredentialsError,
    InstanceGone,
    InstanceStarting,
    NotAuthorized,
    QuotaReached,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loopback import Answer, Asked

    from whatsapp_mcp.sync import Progress


async def test_a_full_sync_brings_every_message_of_every_chat(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_total, outcome.chats_done, outcome.chats_failed) == ("complete", 4, 4, 0)
        assert (outcome.messages_seen, outcome.messages_new) == (43, 43)
        assert d.messages() == d.gateway.histories
        assert set(d.progress().values()) == {"complete"}
        assert d.state() == "complete"


async def test_each_history_and_each_group_is_asked_for_once(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        outcome = await d.full()
        assert sorted(d.asked_for("getChatHistory")) == sorted(d.gateway.histories)
        assert d.asked_for("getGroupData") == [group(1)]
        assert outcome.requests == len(d.server.asked)
        assert d.rows("SELECT requests FROM runs") == [(len(d.server.asked),)]


async def test_chats_are_found_in_chats_contacts_groups_and_journals_together(tmp_path: Path) -> None:
    gateway = account(listed=[{"id": person(2)}], contacts=[person(3), group(1)], recent=[person(4)])
    async with desk(tmp_path, gateway) as d:
        await d.full()
        assert d.messages().keys() == gateway.histories.keys()


async def test_a_contact_without_a_history_becomes_no_chat(tmp_path: Path) -> None:
    async with desk(tmp_path, account(contacts=[person(9), OWNER])) as d:
        outcome = await d.full()
        assert (outcome.chats_total, outcome.chats_done) == (4, 4)
        assert person(9) in d.asked_for("getChatHistory")
        assert OWNER not in d.asked_for("getChatHistory")
        assert d.rows("SELECT count(*) FROM chats") == [(4,)]


async def test_the_most_active_chats_come_first(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 40)}, recent=[person(30), person(31), person(31)])
    async with desk(tmp_path, gateway) as d:
        await d.full()
        # Several are under way at once, so the first few may overtake each other on their way.
        assert {person(31), person(30)} <= set(d.asked_for("getChatHistory")[:12])


async def test_what_has_no_history_is_not_asked_for(tmp_path: Path) -> None:
    odd = ["null@c.us", "0@c.us", "status@broadcast", "120363000000000009@newsletter", "garbage"]
    gateway = account(listed=[{"id": chat} for chat in [person(2), *odd]], recent=odd[:1], contacts=[person(2), *odd])
    async with desk(tmp_path, gateway) as d:
        await d.full()
        assert d.asked_for("getChatHistory") == [person(2)]


async def test_a_chat_with_two_ids_is_asked_for_once_under_the_listed_one(tmp_path: Path) -> None:
    lid = "900000000000002@lid"
    gateway = SmallGateway({lid: 4}, listed=[{"id": lid, "newChatId": person(2)}], recent=[person(2)])
    async with desk(tmp_path, gateway) as d:
        outcome = await d.full()
        assert d.asked_for("getChatHistory") == [lid]
        assert outcome.chats_total == 1
        assert d.rows("SELECT whatsapp_chat_id FROM chats") == [(person(2),)]


async def test_a_failing_chat_is_recorded_and_the_rest_goes_on(tmp_path: Path) -> None:
    refused: Answer = (400, json.dumps({"message": f"chatId {person(3)} not found"}))
    async with desk(tmp_path, account(faults={f"getChatHistory {person(3)}": refused})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done, outcome.chats_failed) == ("partial", 3, 1)
        assert [failure.chat for failure in outcome.failures] == [person(3)]
        assert "\n" not in outcome.failures[0].error
        assert d.progress()[person(3)] == "failed"
        assert d.messages()[group(1)] == 30


async def test_a_chat_over_which_the_gateway_breaks_down_fails_alone(tmp_path: Path) -> None:
    async with desk(tmp_path, account(faults={f"getChatHistory {person(3)}": (502, "<html>")})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_failed) == ("partial", 1)


async def test_a_group_that_was_left_is_no_failure(tmp_path: Path) -> None:
    async with desk(tmp_path, account(faults={"getGroupData": (200, '"Error: forbidden"')})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 4)


async def test_a_list_that_cannot_be_had_is_noted_and_the_others_serve(tmp_path: Path) -> None:
    async with desk(
        tmp_path, account(faults={"getContacts": (400, '{"message":"odd"}'), "lastIncomingCalls": (502, "<html>")})
    ) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("partial", 4)
        assert sorted(note.split(":")[0] for note in outcome.notes) == ["getContacts", "lastIncomingCalls"]


def quota_after(count: int) -> Callable[[Asked], Answer | None]:
    served = iter(range(count))
    return lambda _: None if next(served, None) is not None else (466, '{"invokeStatus":{"status":"QUOTE_EXCEEDED"}}')


async def test_the_quota_stops_the_run_and_a_later_one_goes_on_where_it_was(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 42)}, faults={"getChatHistory": quota_after(10)})
    async with desk(tmp_path, gateway) as d:
        with pytest.raises(QuotaReached):
            await d.full()
        assert d.state() == "failed"
        stored = {chat for chat, progress in d.progress().items() if progress == "complete"}
        assert set(d.messages()) == stored
        gateway.faults.clear()
        d.server.asked.clear()
        outcome = await d.full()
        assert (outcome.state, outcome.chats_total, outcome.chats_done) == ("complete", 40, 40)
        assert not stored & set(d.asked_for("getChatHistory"))
        assert d.messages() == gateway.histories
        assert d.rows("SELECT count(*) FROM runs") == [(1,)]


STOPS = [
    ("getChatHistory", (401, ""), CredentialsError),
    ("getChatHistory", (403, ""), CredentialsError),
    ("getChatHistory", (400, '{"message":"Instance is deleted"}'), InstanceGone),
    ("getChatHistory", (400, '{"message":"instance account not authorized"}'), NotAuthorized),
    ("getChatHistory", (400, '{"message":"instance in starting process try later"}'), InstanceStarting),
    ("getChats", (401, ""), CredentialsError),
    ("getSettings", (401, ""), CredentialsError),
]


@pytest.mark.parametrize(("method", "answer", "kind"), STOPS)
async def test_what_concerns_the_whole_instance_stops_the_run(
    tmp_path: Path, method: str, answer: Answer, kind: type[Exception]
) -> None:
    async with desk(tmp_path, account(faults={method: answer})) as d:
        with pytest.raises(kind):
            await d.full()
        assert d.state() == "failed"
        assert d.rows("SELECT last_error FROM runs")[0][0]
        assert "failed" not in d.progress().values()


STATES = [
    ("notAuthorized", NotAuthorized),
    ("blocked", InstanceGone),
    ("starting", InstanceStarting),
    ("sleepMode", InstanceStarting),
    ("pendingCode", NotAuthorized),
    ("somethingNew", NotAuthorized),
]


@pytest.mark.parametrize(("state", "kind"), STATES)
async def test_an_instance_that_cannot_answer_is_not_asked_for_chats(tmp_path: Path, state: str, kind: type[Exception]) -> None:
    async with desk(tmp_path, account(state=state)) as d:
        with pytest.raises(kind):
            await d.full()
        assert {asked.method for asked in d.server.asked} == {"getStateInstance"}


@pytest.mark.parametrize("state", ["authorized", "suspended", "yellowCard"])
async def test_a_suspended_number_can_still_be_read(tmp_path: Path, state: str) -> None:
    async with desk(tmp_path, account(state=state)) as d:
        assert (await d.full()).state == "complete"


async def test_a_restarting_instance_is_waited_for(tmp_path: Path) -> None:
    answers = iter([(200, '{"stateInstance":"starting"}'), (200, "null")])
    async with desk(tmp_path, account(faults={"getStateInstance": lambda _: next(answers, None)})) as d:
        assert (await d.full()).state == "complete"


async def test_an_archive_takes_nothing_from_another_account(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        before = d.rows("SELECT count(*) FROM payloads")
        d.gateway.owner = person(77)
        with pytest.raises(UsageError, match="another WhatsApp account") as caught:
            await d.full()
        with pytest.raises(UsageError, match="another WhatsApp account"):
            await d.chat(person(2))
        assert "15550" not in str(caught.value)
        assert d.rows("SELECT count(*) FROM payloads") == before


async def test_without_a_network_the_run_stops_instead_of_failing_every_chat(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 300)})
    dead = False

    def play(_: Asked) -> Answer | None:
        if dead:
            raise ConnectionResetError
        return None

    def watch(progress: Progress) -> None:
        nonlocal dead
        dead = progress.chats_done >= 20

    gateway.faults = {"getChatHistory": play, "getStateInstance": play}
    async with desk(tmp_path, gateway) as d:
        with pytest.raises(Unreachable):
            await d.full(watch=watch)
        assert Counter(d.progress().values())["failed"] < 10
        assert d.state() == "failed"


async def test_ctrl_c_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 102)})
    async with desk(tmp_path, gateway) as d:
        with anyio.CancelScope() as scope:
            await d.full(watch=lambda progress: scope.cancel() if progress.chats_done >= 15 else None)
        assert scope.cancelled_caught
        assert d.state() == "interrupted"
        done = d.rows("SELECT chats_done FROM runs")[0][0]
        assert 15 <= done < 100
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 100)
        assert d.messages() == gateway.histories


async def test_a_finished_run_is_followed_by_one_that_sweeps_all_chats_for_what_was_missed(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.histories[person(2)] += 2
        outcome = await d.full()
        assert (outcome.chats_done, outcome.messages_new) == (4, 2)
        assert d.messages() == d.gateway.histories
        assert d.rows("SELECT count(*) FROM runs") == [(2,)]


async def test_a_restart_forgets_the_progress_and_keeps_every_message(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 22)}, faults={"getChatHistory": quota_after(5)})
    async with desk(tmp_path, gateway) as d:
        with pytest.raises(QuotaReached):
            await d.full()
        gateway.faults.clear()
        d.server.asked.clear()
        gateway.histories = dict.fromkeys(gateway.histories, 1)
        stored = d.messages()
        outcome = await d.full(restart=True)
        assert len(d.asked_for("getChatHistory")) == 20
        assert outcome.state == "complete"
        assert sum(d.messages().values()) > sum(stored.values())
        assert d.rows("SELECT state FROM runs ORDER BY run_id") == [("abandoned",), ("complete",)]


async def test_a_resumed_run_does_not_ask_again_for_contacts_that_have_no_chat(tmp_path: Path) -> None:
    nobody = [person(n) for n in range(100, 200)]
    gateway = account(contacts=nobody, faults={"getChatHistory": quota_after(4 + 60)})
    async with desk(tmp_path, gateway) as d:
        with pytest.raises(QuotaReached):
            await d.full()
        gateway.faults.clear()
        d.server.asked.clear()
        outcome = await d.full()
        assert (outcome.chats_total, outcome.chats_done) == (4, 4)
        assert len(d.asked_for("getChatHistory")) <= 75


async def test_a_gateway_that_cuts_histories_silently_is_noticed(tmp_path: Path) -> None:
    gateway = SmallGateway({person(2): 90, person(3): 70, person(4): 60, person(5): 49}, cap=50)
    async with desk(tmp_path, gateway) as d:
        outcome = await d.full()
        assert outcome.chats_truncated == 3
        assert d.progress() == {person(2): "truncated", person(3): "truncated", person(4): "truncated", person(5): "complete"}
        await d.chat(person(2))
        assert d.progress()[person(2)] == "truncated"


async def test_a_count_that_the_gateway_refuses_is_lowered_once_for_the_whole_run(tmp_path: Path) -> None:
    def play(asked: Asked) -> Answer | None:
        assert isinstance(asked.body, dict)
        return (400, '{"message":"Validation failed. Details: count"}') if asked.body["count"] > 10_000 else None

    gateway = SmallGateway({person(n): 3 for n in range(2, 62)}, faults={"getChatHistory": play})
    async with desk(tmp_path, gateway) as d:
        outcome = await d.full()
        assert (outcome.chats_done, outcome.chats_failed, outcome.chats_truncated) == (60, 0, 0)
        assert len(d.asked_for("getChatHistory")) <= 60 + 2 * 56


async def test_a_history_that_only_a_lower_count_can_bring_is_marked_truncated(tmp_path: Path) -> None:
    def play(asked: Asked) -> Answer | None:
        assert isinstance(asked.body, dict)
        return (500, "") if asked.body["count"] > 100 else None

    gateway = SmallGateway({person(2): 300, person(3): 20}, faults={f"getChatHistory {person(2)}": play})
    async with desk(tmp_path, gateway) as d:
        outcome = await d.full()
        assert d.progress() == {person(2): "truncated", person(3): "complete"}
        assert outcome.chats_truncated == 1
        assert d.messages()[person(2)] == 100


async def test_a_history_that_stays_damaged_is_kept_as_far_as_it_goes_and_marked(tmp_path: Path) -> None:
    whole = json.dumps([message(person(3), n) for n in range(7, 0, -1)])
    async with desk(tmp_path, account(faults={f"getChatHistory {person(3)}": (200, whole[:-120])})) as d:
        await d.full()
        assert d.progress()[person(3)] == "truncated"
        assert d.messages()[person(3)] == 6


async def test_progress_tells_how_far_how_fast_and_how_long(tmp_path: Path) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 42)})
    async with desk(tmp_path, gateway) as d:
        await d.full()
        states = list(dict.fromkeys(progress.state for progress in d.told))
        assert states == ["checking", "discovering", "histories", "finishing", "complete"]
        done = [progress.chats_done for progress in d.told]
        assert done == sorted(done)
        middle = next(progress for progress in d.told if progress.chats_done == 20)
        assert middle.chats_total == 40
        assert middle.rate > 0
        assert middle.seconds_left is not None
        assert middle.seconds_left > 0
        assert d.told[-1].seconds_left == 0
