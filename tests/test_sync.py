"""The full sync and the sync of one chat: a real gateway on loopback, a real archive on disk."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import anyio
import pytest
from loopback import Answer, Asked, Loopback, loopback
from small_gateway import ID, OWNER, TOKEN, Faults, SmallGateway, group, message, person

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.errors import (
    CredentialsError,
    InstanceGone,
    InstanceStarting,
    NotAuthorized,
    QuotaReached,
    RequestRefused,
    Unreachable,
    UsageError,
)
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import Outcome, Progress, full_sync, silent_caps, sync_chat
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from pathlib import Path


class Hurried(SystemClock):
    """Pauses between tries are cut short; time itself is real."""

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(min(seconds, 0.005))


@dataclass
class Desk:
    """An archive, a gateway, and a way to run the flows again and again."""

    path: Path
    gateway: SmallGateway
    server: Loopback
    told: list[Progress] = field(default_factory=list)

    async def full(self, *, restart: bool = False, watch: Callable[[Progress], None] | None = None) -> Outcome:
        def report(progress: Progress) -> None:
            self.told.append(progress)
            if watch is not None:
                watch(progress)

        with self.writer() as writer:
            async with self.client() as api:
                return await full_sync(api, writer, Hurried(), restart=restart, report=report)

    async def chat(self, chat: str, depth: int | None = None) -> Outcome:
        with self.writer() as writer:
            async with self.client() as api:
                return await sync_chat(api, writer, Hurried(), chat, depth=depth, report=self.told.append)

    def client(self) -> GreenApi:
        return GreenApi(Credentials(self.server.url, ID, TOKEN), rate_scale=1000, clock=Hurried())

    def writer(self) -> OpenWriter:
        return OpenWriter(self.path)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.path) as connection:
            found = connection.execute(sql).fetchall()
        connection.close()
        return found

    def progress(self) -> dict[str, str]:
        return dict(self.rows("SELECT whatsapp_chat_id, sync_progress FROM sync_status JOIN chats USING (chat_id)"))

    def state(self) -> str:
        return str(self.rows("SELECT state FROM runs ORDER BY run_id DESC LIMIT 1")[0][0])

    def messages(self) -> Counter[str]:
        return Counter(chat for (chat,) in self.rows("SELECT whatsapp_chat_id FROM messages JOIN chats USING (chat_id)"))

    def asked_for(self, method: str) -> list[str]:
        bodies = [asked.body for asked in self.server.asked if asked.method == method]
        return [str(body.get("chatId") or body.get("groupId")) if isinstance(body, dict) else "" for body in bodies]


class OpenWriter:
    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.ingest = Ingest(self.store)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()


OpenDesk = Callable[[SmallGateway], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def opened() -> Iterator[list[Path]]:
    """Each archive that a test used is verified at its end."""
    paths: list[Path] = []
    yield paths
    for path in paths:
        with OpenWriter(path) as writer:
            assert list(verify(writer.store, thorough=True)) == []


@pytest.fixture
def desk(tmp_path: Path, opened: list[Path]) -> OpenDesk:
    @asynccontextmanager
    async def open_desk(gateway: SmallGateway) -> AsyncIterator[Desk]:
        path = tmp_path / "whatsapp_chats.db"
        opened.append(path)
        async with loopback(gateway) as server:
            yield Desk(path, gateway, server)

    return open_desk


def account(
    *,
    listed: list[dict[str, object]] | None = None,
    contacts: list[str] | None = None,
    recent: list[str] | None = None,
    state: str = "authorized",
    faults: Faults | None = None,
) -> SmallGateway:
    return SmallGateway(
        histories={person(2): 5, person(3): 7, group(1): 30, person(4): 1},
        listed=listed,
        contacts=contacts or [],
        recent=recent or [],
        state=state,
        faults=faults or {},
    )


async def test_a_full_sync_brings_every_message_of_every_chat(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_total, outcome.chats_done, outcome.chats_failed) == ("complete", 4, 4, 0)
        assert (outcome.messages_seen, outcome.messages_new) == (43, 43)
        assert d.messages() == d.gateway.histories
        assert set(d.progress().values()) == {"complete"}
        assert d.state() == "complete"


async def test_each_history_and_each_group_is_asked_for_once(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        outcome = await d.full()
        assert sorted(d.asked_for("getChatHistory")) == sorted(d.gateway.histories)
        assert d.asked_for("getGroupData") == [group(1)]
        assert outcome.requests == len(d.server.asked)
        assert d.rows("SELECT requests FROM runs") == [(len(d.server.asked),)]


async def test_chats_are_found_in_chats_contacts_groups_and_journals_together(desk: OpenDesk) -> None:
    gateway = account(listed=[{"id": person(2)}], contacts=[person(3), group(1)], recent=[person(4)])
    async with desk(gateway) as d:
        await d.full()
        assert d.messages().keys() == gateway.histories.keys()


async def test_a_contact_without_a_history_becomes_no_chat(desk: OpenDesk) -> None:
    async with desk(account(contacts=[person(9), OWNER])) as d:
        outcome = await d.full()
        assert (outcome.chats_total, outcome.chats_done) == (4, 4)
        assert person(9) in d.asked_for("getChatHistory")
        assert OWNER not in d.asked_for("getChatHistory")
        assert d.rows("SELECT count(*) FROM chats") == [(4,)]


async def test_the_most_active_chats_come_first(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 40)}, recent=[person(30), person(31), person(31)])
    async with desk(gateway) as d:
        await d.full()
        # Several are under way at once, so the first few may overtake each other on their way.
        assert {person(31), person(30)} <= set(d.asked_for("getChatHistory")[:12])


async def test_what_has_no_history_is_not_asked_for(desk: OpenDesk) -> None:
    odd = ["null@c.us", "0@c.us", "status@broadcast", "120363000000000009@newsletter", "garbage"]
    gateway = account(listed=[{"id": chat} for chat in [person(2), *odd]], recent=odd[:1])
    async with desk(gateway) as d:
        await d.full()
        assert d.asked_for("getChatHistory") == [person(2)]


async def test_a_chat_with_two_ids_is_asked_for_once_under_the_listed_one(desk: OpenDesk) -> None:
    lid = "900000000000002@lid"
    gateway = SmallGateway({lid: 4}, listed=[{"id": lid, "newChatId": person(2)}], recent=[person(2)])
    async with desk(gateway) as d:
        outcome = await d.full()
        assert d.asked_for("getChatHistory") == [lid]
        assert outcome.chats_total == 1
        assert d.rows("SELECT whatsapp_chat_id FROM chats") == [(person(2),)]


async def test_a_failing_chat_is_recorded_and_the_rest_goes_on(desk: OpenDesk) -> None:
    refused: Answer = (400, json.dumps({"message": f"chatId {person(3)} not found"}))
    async with desk(account(faults={f"getChatHistory {person(3)}": refused})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done, outcome.chats_failed) == ("partial", 3, 1)
        assert [failure.chat for failure in outcome.failures] == [person(3)]
        assert "\n" not in outcome.failures[0].error
        assert d.progress()[person(3)] == "failed"
        assert d.messages()[group(1)] == 30


async def test_a_chat_over_which_the_gateway_breaks_down_fails_alone(desk: OpenDesk) -> None:
    async with desk(account(faults={f"getChatHistory {person(3)}": (502, "<html>")})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_failed) == ("partial", 1)


async def test_a_group_that_was_left_is_no_failure(desk: OpenDesk) -> None:
    async with desk(account(faults={"getGroupData": (200, '"Error: forbidden"')})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 4)


async def test_a_list_that_cannot_be_had_is_noted_and_the_others_serve(desk: OpenDesk) -> None:
    async with desk(account(faults={"getContacts": (400, '{"message":"odd"}'), "lastIncomingCalls": (200, "<html>")})) as d:
        outcome = await d.full()
        assert outcome.state == "complete"
        assert [note.split(":")[0] for note in outcome.notes] == ["getContacts", "lastIncomingCalls"]


def quota_after(count: int) -> Callable[[Asked], Answer | None]:
    served = iter(range(count))
    return lambda _: None if next(served, None) is not None else (466, '{"invokeStatus":{"status":"QUOTE_EXCEEDED"}}')


async def test_the_quota_stops_the_run_and_a_later_one_goes_on_where_it_was(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 42)}, faults={"getChatHistory": quota_after(10)})
    async with desk(gateway) as d:
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
    desk: OpenDesk, method: str, answer: Answer, kind: type[Exception]
) -> None:
    async with desk(account(faults={method: answer})) as d:
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
async def test_an_instance_that_cannot_answer_is_not_asked_for_chats(desk: OpenDesk, state: str, kind: type[Exception]) -> None:
    async with desk(account(state=state)) as d:
        with pytest.raises(kind):
            await d.full()
        assert {asked.method for asked in d.server.asked} == {"getStateInstance"}


@pytest.mark.parametrize("state", ["authorized", "suspended", "yellowCard"])
async def test_a_suspended_number_can_still_be_read(desk: OpenDesk, state: str) -> None:
    async with desk(account(state=state)) as d:
        assert (await d.full()).state == "complete"


async def test_a_restarting_instance_is_waited_for(desk: OpenDesk) -> None:
    answers = iter([(200, '{"stateInstance":"starting"}'), (200, "null")])
    async with desk(account(faults={"getStateInstance": lambda _: next(answers, None)})) as d:
        assert (await d.full()).state == "complete"


async def test_an_archive_takes_nothing_from_another_account(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        await d.full()
        before = d.rows("SELECT count(*) FROM payloads")
        d.gateway.owner = person(77)
        with pytest.raises(UsageError, match="another WhatsApp account") as caught:
            await d.full()
        with pytest.raises(UsageError, match="another WhatsApp account"):
            await d.chat(person(2))
        assert "15550" not in str(caught.value)
        assert d.rows("SELECT count(*) FROM payloads") == before


async def test_without_a_network_the_run_stops_instead_of_failing_every_chat(desk: OpenDesk) -> None:
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
    async with desk(gateway) as d:
        with pytest.raises(Unreachable):
            await d.full(watch=watch)
        assert Counter(d.progress().values())["failed"] < 10
        assert d.state() == "failed"


async def test_ctrl_c_leaves_a_run_that_can_be_resumed(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 102)})
    async with desk(gateway) as d:
        with anyio.CancelScope() as scope:
            await d.full(watch=lambda progress: scope.cancel() if progress.chats_done >= 15 else None)
        assert scope.cancelled_caught
        assert d.state() == "interrupted"
        done = d.rows("SELECT chats_done FROM runs")[0][0]
        assert 15 <= done < 100
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 100)
        assert d.messages() == gateway.histories


async def test_a_finished_run_is_followed_by_one_that_sweeps_all_chats_for_what_was_missed(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        await d.full()
        d.gateway.histories[person(2)] += 2
        outcome = await d.full()
        assert (outcome.chats_done, outcome.messages_new) == (4, 2)
        assert d.messages() == d.gateway.histories
        assert d.rows("SELECT count(*) FROM runs") == [(2,)]


async def test_a_restart_forgets_the_progress_and_keeps_every_message(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 22)}, faults={"getChatHistory": quota_after(5)})
    async with desk(gateway) as d:
        with pytest.raises(QuotaReached):
            await d.full()
        gateway.faults.clear()
        d.server.asked.clear()
        gateway.histories = dict.fromkeys(gateway.histories, 0)
        stored = d.messages()
        outcome = await d.full(restart=True)
        assert len(d.asked_for("getChatHistory")) == 20
        assert outcome.state == "complete"
        assert d.messages() == stored


async def test_a_resumed_run_does_not_ask_again_for_contacts_that_have_no_chat(desk: OpenDesk) -> None:
    nobody = [person(n) for n in range(100, 200)]
    gateway = account(contacts=nobody, faults={"getChatHistory": quota_after(4 + 60)})
    async with desk(gateway) as d:
        with pytest.raises(QuotaReached):
            await d.full()
        gateway.faults.clear()
        d.server.asked.clear()
        outcome = await d.full()
        assert (outcome.chats_total, outcome.chats_done) == (4, 4)
        assert len(d.asked_for("getChatHistory")) <= 75


async def test_a_gateway_that_cuts_histories_silently_is_noticed(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(2): 90, person(3): 70, person(4): 60, person(5): 49}, cap=50)
    async with desk(gateway) as d:
        outcome = await d.full()
        assert outcome.chats_truncated == 3
        assert d.progress() == {person(2): "truncated", person(3): "truncated", person(4): "truncated", person(5): "complete"}
        await d.chat(person(2))
        assert d.progress()[person(2)] == "truncated"


async def test_a_count_that_the_gateway_refuses_is_lowered_once_for_the_whole_run(desk: OpenDesk) -> None:
    def play(asked: Asked) -> Answer | None:
        assert isinstance(asked.body, dict)
        return (400, '{"message":"Validation failed. Details: count"}') if asked.body["count"] > 10_000 else None

    gateway = SmallGateway({person(n): 3 for n in range(2, 62)}, faults={"getChatHistory": play})
    async with desk(gateway) as d:
        outcome = await d.full()
        assert (outcome.chats_done, outcome.chats_failed, outcome.chats_truncated) == (60, 0, 0)
        assert len(d.asked_for("getChatHistory")) <= 60 + 2 * 56


async def test_a_history_that_only_a_lower_count_can_bring_is_marked_truncated(desk: OpenDesk) -> None:
    def play(asked: Asked) -> Answer | None:
        assert isinstance(asked.body, dict)
        return (500, "") if asked.body["count"] > 100 else None

    gateway = SmallGateway({person(2): 300, person(3): 20}, faults={f"getChatHistory {person(2)}": play})
    async with desk(gateway) as d:
        outcome = await d.full()
        assert d.progress() == {person(2): "truncated", person(3): "complete"}
        assert outcome.chats_truncated == 1
        assert d.messages()[person(2)] == 100


async def test_a_history_that_stays_damaged_is_kept_as_far_as_it_goes_and_marked(desk: OpenDesk) -> None:
    whole = json.dumps([message(person(3), n) for n in range(7, 0, -1)])
    async with desk(account(faults={f"getChatHistory {person(3)}": (200, whole[:-120])})) as d:
        await d.full()
        assert d.progress()[person(3)] == "truncated"
        assert d.messages()[person(3)] == 6


async def test_progress_tells_how_far_how_fast_and_how_long(desk: OpenDesk) -> None:
    gateway = SmallGateway({person(n): 3 for n in range(2, 42)})
    async with desk(gateway) as d:
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


async def test_one_chat_is_fetched_with_its_people(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        private, choir = await d.chat(person(3)), await d.chat(group(1))
        assert (private.messages_new, choir.messages_new) == (7, 30)
        assert d.asked_for("getContactInfo") == [person(3)]
        assert d.asked_for("getGroupData") == [group(1)]
        assert d.progress() == {person(3): "complete", group(1): "complete"}
        assert d.rows("SELECT count(*) FROM group_members") == [(2,)]


async def test_a_shallow_look_at_a_chat_does_not_call_it_complete(desk: OpenDesk) -> None:
    async with desk(account()) as d:
        await d.chat(group(1), depth=10)
        assert d.messages()[group(1)] == 10
        assert d.progress() == {}
        await d.chat(group(1), depth=50)
        assert d.progress() == {group(1): "complete"}
        await d.chat(group(1), depth=10)
        assert d.progress() == {group(1): "complete"}


async def test_an_unknown_chat_is_refused_and_leaves_no_trace(desk: OpenDesk) -> None:
    async with desk(account(faults={"getChatHistory": (400, '{"message":"chatId not found"}')})) as d:
        with pytest.raises(RequestRefused, match="chatId not found"):
            await d.chat(person(99))
        assert d.rows("SELECT count(*) FROM chats WHERE whatsapp_chat_id LIKE '%0099%'") == [(0,)]
        assert d.state() == "failed"


@pytest.mark.parametrize(
    ("lengths", "cut"),
    [
        ({}, set()),
        ({"a": 100, "b": 100, "c": 100, "d": 3}, {"a", "b", "c"}),
        ({"a": 100, "b": 100, "d": 3}, set()),
        ({"a": 200, "b": 100, "c": 100, "d": 100}, set()),
        ({"a": 2, "b": 2, "c": 2}, set()),
        ({"a": 0, "b": 0, "c": 0}, set()),
    ],
)
def test_a_greatest_length_that_several_chats_share_is_a_silent_cap(lengths: dict[str, int], cut: set[str]) -> None:
    assert silent_caps(lengths) == cut
