"""What a sync may not call complete: empty answers, lists and journals that stay away, damaged ones, chats done long ago."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from small_gateway import group, message, person
from sync_desk import Hurried, OpenWriter, account, desk

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import CredentialsError, InstanceGone, NotAuthorized, NotFound, QuotaReached, RequestRefused
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.sync import chat_named, full_sync, sync_recent
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from loopback import Answer, Asked

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

SCALE = 500


class AtTheGateway(Hurried):
    """A clock that shows the simulated gateway's time."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def now(self) -> float:
        return float(self._gateway.now)


@pytest.fixture(scope="module")
def people() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def gateway(people: Account) -> Iterator[Gateway]:
    with serve_gateway(people, rate_scale=SCALE) as served:
        yield served


async def run(flow: Callable[..., Awaitable[Outcome]], gateway: Gateway, path: Path, **options: Any) -> Outcome:
    clock = AtTheGateway(gateway)
    with OpenWriter(path) as writer:
        async with GreenApi(Credentials(gateway.url, gateway.id_instance, gateway.token), rate_scale=SCALE, clock=clock) as api:
            return await flow(api, writer, clock, **options)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


PROGRESS = "SELECT sync_progress, count(*) FROM sync_status GROUP BY sync_progress ORDER BY sync_progress"


async def test_an_empty_history_of_a_chat_with_messages_fails_the_chat(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await run(full_sync, gateway, path)
    lengths = "SELECT chat_id, history_length FROM sync_status"
    before = rows(path, lengths)
    gateway.faults.every("getChatHistory", Fault.EMPTY)
    outcome = await run(full_sync, gateway, path)
    assert (outcome.state, outcome.chats_failed) == ("partial", 32)
    assert {failure.error.split(".")[0] for failure in outcome.failures} == {
        "The gateway gave nothing for this chat, though it has messages"
    }
    assert rows(path, PROGRESS) == [("failed", 32)]
    assert rows(path, lengths) == before
    assert "gave nothing" in rows(path, "SELECT last_error FROM runs ORDER BY run_id DESC LIMIT 1")[0][0]


async def test_a_chat_that_a_journal_names_cannot_be_empty(tmp_path: Path) -> None:
    async with desk(tmp_path, account(recent=[person(3)], faults={f"getChatHistory {person(3)}": (200, "[]")})) as d:
        outcome = await d.full()
        assert (outcome.state, [failure.chat for failure in outcome.failures]) == ("partial", [person(3)])
        assert d.progress()[person(3)] == "failed"


@pytest.mark.parametrize("body", ["[]", "null", ""])
async def test_one_empty_answer_is_asked_again(tmp_path: Path, body: str) -> None:
    answers = iter([(200, body)])
    gateway = account(faults={f"getChatHistory {person(3)}": lambda _: next(answers, None)})
    async with desk(tmp_path, gateway) as d:
        assert (await d.full()).state == "complete"
        assert d.messages() == d.gateway.histories


async def test_a_chat_that_is_only_listed_may_be_empty(tmp_path: Path) -> None:
    gateway = account(listed=[{"id": person(2)}, {"id": person(8)}], contacts=[person(2)])
    async with desk(tmp_path, gateway) as d:
        assert (await d.full()).state == "complete"
        assert d.progress() == {person(2): "complete", person(8): "complete"}
        assert d.asked_for("getChatHistory").count(person(8)) == 2


async def test_a_shorter_history_than_before_does_not_lower_what_is_known(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.cap = 3
        await d.full()
        assert d.rows("SELECT max(history_length) FROM sync_status") == [(30,)]


@pytest.mark.parametrize("method", ["getChats", "getContacts"])
@pytest.mark.parametrize("fault", [Fault.EMPTY, Fault.SERVER_ERROR])
async def test_a_list_that_stays_away_makes_the_run_partial_and_is_kept(
    gateway: Gateway, tmp_path: Path, method: str, fault: Fault
) -> None:
    gateway.faults.every(method, fault)
    outcome = await run(full_sync, gateway, tmp_path / "a.db")
    assert outcome.state == "partial"
    ((state, last_error),) = rows(tmp_path / "a.db", "SELECT state, last_error FROM runs")
    assert state == "partial"
    assert method in last_error


@pytest.mark.parametrize("fault", [Fault.EMPTY, Fault.CUT_OFF, Fault.SERVER_ERROR])
async def test_a_journal_that_stays_away_makes_the_run_partial_and_is_asked_for_all_its_days_next_time(
    gateway: Gateway, tmp_path: Path, fault: Fault
) -> None:
    gateway.deliver(gateway.compose(make_account(size=SMALL).chat_ids[0], "today"))
    gateway.faults.every("lastIncomingMessages", fault)
    outcome = await run(full_sync, gateway, tmp_path / "a.db")
    assert outcome.state == "partial"
    assert any("lastIncomingMessages" in note for note in outcome.notes)
    assert rows(tmp_path / "a.db", "SELECT count(*) FROM coverage WHERE chat_id = 0") == [(0,)]
    gateway.faults.clear()
    assert (await run(sync_recent, gateway, tmp_path / "a.db")).state == "complete"
    asked = [request.arguments["minutes"] for request in gateway.requests if request.method == "lastIncomingMessages"]
    assert int(asked[-1]) > 26_000


async def test_a_sweep_asks_also_for_chats_that_no_list_names_any_more(gateway: Gateway, tmp_path: Path) -> None:
    await run(full_sync, gateway, tmp_path / "a.db")
    for method in ("getChats", "getContacts", "lastIncomingMessages", "lastOutgoingMessages"):
        gateway.faults.every(method, Fault.EMPTY)
    before = gateway.count("getChatHistory")
    outcome = await run(full_sync, gateway, tmp_path / "a.db")
    assert (outcome.state, outcome.chats_done) == ("partial", 32)
    assert gateway.count("getChatHistory") - before == 32


@pytest.mark.parametrize(("days", "again"), [(30, True), (10, False)])
async def test_a_resume_asks_again_for_chats_that_were_done_before_the_journals_reach(
    gateway: Gateway, tmp_path: Path, days: int, *, again: bool
) -> None:
    path = tmp_path / "a.db"
    gateway.faults.quotas["getChatHistory"] = 10
    with pytest.raises(QuotaReached):
        await run(full_sync, gateway, path)
    done = rows(path, "SELECT whatsapp_chat_id FROM sync_status JOIN chats USING (chat_id) WHERE sync_progress = 'complete'")
    late = gateway.deliver(gateway.compose(done[0][0], "between the two parts", at=gateway.now + 60))
    gateway.now += days * 86_400
    gateway.faults.quotas.clear()
    before = gateway.count("getChatHistory")
    outcome = await run(full_sync, gateway, path)
    assert (outcome.run_id, outcome.chats_done) == (1, 32)
    assert gateway.count("getChatHistory") - before == (32 if again else 32 - len(done))
    assert rows(path, f"SELECT count(*) FROM messages WHERE whatsapp_message_id = '{late.id}'") == [(1,)]


async def test_a_damaged_journal_does_not_move_the_position(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await run(full_sync, gateway, path)
    chat = make_account(size=SMALL).chat_ids[0]
    late = gateway.deliver(gateway.compose(chat, "behind the damage", at=gateway.now + 60))
    for second in range(6):
        gateway.deliver(gateway.compose(chat, f"later {second}", at=gateway.now + 86_400 + second))
    gateway.now += 2 * 86_400
    gateway.faults.next("lastIncomingMessages", Fault.CUT_OFF, times=4)
    outcome = await run(sync_recent, gateway, path)
    assert outcome.state == "partial"
    assert "lastIncomingMessages" in outcome.notes[0]
    gateway.now += 7_200
    assert (await run(sync_recent, gateway, path)).state == "complete"
    assert rows(path, f"SELECT count(*) FROM messages WHERE whatsapp_message_id = '{late.id}'") == [(1,)]


async def test_chats_that_always_break_the_gateway_fail_alone_and_soon(
    gateway: Gateway, people: Account, tmp_path: Path
) -> None:
    gateway.faults.failing_chats = dict.fromkeys(people.chat_ids[:5], 500)
    outcome = await run(full_sync, gateway, tmp_path / "a.db")
    assert (outcome.state, outcome.chats_done, outcome.chats_failed) == ("partial", 27, 5)
    assert gateway.count("getChatHistory") <= 27 + 5 * 10


@pytest.mark.parametrize("method", ["getGroupData", "lastIncomingCalls"])
@pytest.mark.parametrize("status", [403, 404, 466])
async def test_a_method_that_the_plan_leaves_out_is_noted(tmp_path: Path, method: str, status: int) -> None:
    async with desk(tmp_path, account(faults={method: (status, "")})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 4)
        assert method in d.rows("SELECT last_error FROM runs")[0][0]
        d.gateway.faults = {"getContactInfo": (status, "")}
        chat = await d.chat(person(2))
        assert (chat.state, len(chat.notes)) == ("complete", 1)


@pytest.mark.parametrize("status", [403, 404, 466])
async def test_a_journal_of_messages_that_the_plan_leaves_out_makes_the_run_partial(tmp_path: Path, status: int) -> None:
    async with desk(tmp_path, account(faults={"lastOutgoingMessages": (status, "")})) as d:
        assert (await d.full()).state == "partial"


async def test_a_token_that_is_refused_in_between_still_stops_the_run(tmp_path: Path) -> None:
    states = iter([None])
    faults: dict[str, Answer | Callable[[Asked], Answer | None]] = {
        "getGroupData": (401, ""),
        "getStateInstance": lambda _: next(states, (401, "")),
    }
    async with desk(tmp_path, account(faults=faults)) as d:
        with pytest.raises(CredentialsError):
            await d.full()


async def test_a_restart_whose_checks_fail_costs_no_progress(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    gateway.faults.quotas["getChatHistory"] = 10
    with pytest.raises(QuotaReached):
        await run(full_sync, gateway, path)
    before = rows(path, PROGRESS)
    gateway.faults.state = "notAuthorized"
    with pytest.raises(NotAuthorized):
        await run(full_sync, gateway, path, restart=True)
    assert rows(path, PROGRESS) == before
    gateway.faults.state = "authorized"
    gateway.faults.quotas.clear()
    outcome = await run(full_sync, gateway, path, restart=True)
    assert (outcome.run_id, outcome.chats_done) == (2, 32)
    assert rows(path, "SELECT state FROM runs ORDER BY run_id") == [("abandoned",), ("complete",)]
    with OpenWriter(path) as writer:
        assert writer.store.unfinished_run("full") is None


async def test_a_task_that_is_cancelled_loses_nothing_of_the_others(tmp_path: Path) -> None:
    def payload(number: int) -> Payload:
        return Payload("getChatHistory", 1_790_000_000, (json.dumps(message(person(2), number)),), {"chatId": person(2)})

    with OpenWriter(tmp_path / "a.db") as writer:
        pen = Pen(writer)
        busy = anyio.Event()

        def hold() -> None:
            anyio.from_thread.run_sync(busy.set)
            writer.store.cursor("nothing")

        async def stopped(tasks: anyio.abc.TaskGroup) -> None:
            await pen.call(hold)
            tasks.cancel_scope.cancel()

        async def shielded() -> None:
            with anyio.CancelScope(shield=True):
                await pen.receive(payload(2))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stopped, tasks)
            tasks.start_soon(pen.receive, payload(1))
            tasks.start_soon(shielded)
            await busy.wait()
    stored = rows(tmp_path / "a.db", "SELECT whatsapp_message_id FROM messages")
    assert (message(person(2), 2)["idMessage"],) in stored


async def test_one_chat_that_nobody_knows_is_not_found(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        with pytest.raises(NotFound):
            await d.chat(person(99))
        assert d.rows("SELECT count(*) FROM chats") == [(0,)]


async def test_a_known_chat_that_is_refused_is_marked(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.full()
        d.gateway.faults = {"getChatHistory": (400, '{"message":"chatId not found"}')}
        with pytest.raises(RequestRefused):
            await d.chat(person(3))
        assert d.progress()[person(3)] == "failed"
        assert "chatId not found" in d.rows("SELECT max(last_error) FROM sync_status")[0][0]


async def test_a_device_of_a_person_is_that_persons_chat(tmp_path: Path) -> None:
    async with desk(tmp_path, account()) as d:
        await d.chat(person(2).replace("@", ":8@"))
        assert d.messages() == {person(2): 5}


@pytest.mark.parametrize(
    ("text", "chat"),
    [
        ("+1 (555) 010-0002", person(2)),
        (person(2).replace("@", ":8@"), person(2)),
        (group(1), group(1)),
        ("12", None),
        ("Noor Example", None),
        ("null@c.us", None),
    ],
)
def test_a_number_or_an_id_names_a_chat_by_itself(text: str, chat: str | None) -> None:
    assert chat_named(text) == chat


async def test_a_damaged_history_says_so_with_its_own_words(tmp_path: Path) -> None:
    whole = json.dumps([message(person(3), n) for n in range(7, 0, -1)])
    async with desk(tmp_path, account(faults={f"getChatHistory {person(3)}": (200, whole[:-120])})) as d:
        outcome = await d.full()
        assert (outcome.chats_truncated, outcome.chats_damaged) == (1, 1)
        assert "could not be read" in d.rows("SELECT max(last_error) FROM sync_status")[0][0]


BIG = '{"idMessage":"3AFFFFFF","timestamp":' + "9" * 5_000 + "}"
DEEP = '{"idMessage":"3AFFFFFF","x":' + "[" * 50_000 + "]" * 50_000 + "}"


@pytest.mark.parametrize("odd", [BIG, DEEP], ids=["a number of 5,000 digits", "a depth of 50,000"])
@pytest.mark.parametrize("place", [0, 3, 7])
async def test_an_item_that_python_does_not_read_costs_only_itself(tmp_path: Path, odd: str, place: int) -> None:
    items = [json.dumps(message(person(3), n)) for n in range(7, 0, -1)]
    items.insert(place, odd)
    async with desk(tmp_path, account(faults={f"getChatHistory {person(3)}": (200, f"[{','.join(items)}]")})) as d:
        outcome = await d.full()
        assert (outcome.chats_failed, outcome.chats_damaged) == (0, 1)
        assert d.messages() == d.gateway.histories


@pytest.mark.parametrize(("state", "kind"), [("blocked", InstanceGone), ("notAuthorized", NotAuthorized)])
async def test_an_instance_that_is_lost_in_between_says_why(
    gateway: Gateway, tmp_path: Path, state: str, kind: type[Exception]
) -> None:
    def watch(progress: Any) -> None:
        if progress.state == "histories":
            gateway.faults.state = state

    with pytest.raises(kind):
        await run(full_sync, gateway, tmp_path / "a.db", report=watch)


async def test_listed_chats_are_asked_once_more_when_the_gateway_was_caught_withholding(tmp_path: Path) -> None:
    answers = {person(3): iter([(200, "[]")]), person(4): iter([(200, "[]")] * 2)}

    def play(asked: Asked) -> Answer | None:
        assert isinstance(asked.body, dict)
        return next(answers.get(str(asked.body["chatId"]), iter(())), None)

    async with desk(tmp_path, account(faults={"getChatHistory": play})) as d:
        outcome = await d.full()
        assert (outcome.state, outcome.chats_done) == ("complete", 4)
        assert d.messages() == d.gateway.histories


async def test_a_contact_whose_history_breaks_the_gateway_is_a_failed_chat_that_fits_the_archive(tmp_path: Path) -> None:
    gateway = account(contacts=[person(9)], faults={f"getChatHistory {person(9)}": (500, "")})
    async with desk(tmp_path, gateway) as d:  # which verifies the archive in the end
        outcome = await d.full()
        assert (outcome.state, [failure.chat for failure in outcome.failures]) == ("partial", [person(9)])
