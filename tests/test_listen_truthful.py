"""A listener claims no time that it does not know: other settings, another phone, a full disk, while it listens."""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from listening_desk import SCALE, WITHIN, Listening, verified
from store_fixtures import RECEIVED_AT
from webhook_desk import notification

from whatsapp_mcp.app import Writer
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import NotAuthorized, StorageError, UsageError
from whatsapp_mcp.greenapi import GreenApi
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.store import Mark, Store
from whatsapp_mcp.sync.listen import listen
from whatsapp_mcp.sync.reach import Reach, break_off
from whatsapp_mcp.sync.writing import Pen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

HOUR = 3_600


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE, patience=0.02) as served:
        yield served


@pytest.fixture
def desk(gateway: Gateway, tmp_path: Path) -> Iterator[Listening]:
    yield from verified(Listening(tmp_path / "a.db", gateway))


def say(desk: Listening, *texts: str) -> None:
    for text in texts:
        chat = desk.gateway.account.person("Mike").id
        desk.gateway.deliver(desk.gateway.compose(chat, text, at=int(desk.clock.now())))


async def polled(desk: Listening) -> None:
    polls = desk.gateway.count("receiveNotification")
    await desk.until(lambda: desk.gateway.count("receiveNotification") > polls + 2)


async def test_time_since_the_settings_were_last_seen_to_be_right_is_taken_back(desk: Listening) -> None:
    async with desk.listening():
        await polled(desk)
        desk.clock.passed += 61
        await polled(desk)
        seen_right = desk.clock.now()
        desk.gateway.settings["outgoingMessageWebhook"] = "no"
        desk.clock.passed += HOUR
        looks = desk.gateway.count("getSettings")
        await desk.until(lambda: desk.gateway.count("getSettings") > looks)
        await polled(desk)
        desk.clock.passed += 61
        await polled(desk)
    assert all(end <= seen_right for _, end in desk.spans())
    assert "does not tell messages that are sent from the phone" in desk.rows("SELECT last_error FROM runs")[0][0]


async def test_a_webhook_address_that_was_set_meanwhile_ends_it_within_the_hour(desk: Listening) -> None:
    started_at = desk.clock.now()

    async def set_address() -> None:
        await polled(desk)
        desk.gateway.settings["webhookUrl"] = "https://secret.example.net/path"
        desk.clock.passed += HOUR + 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(set_address)
        with anyio.fail_after(WITHIN), pytest.raises(UsageError, match="exclude each other"):
            await desk.run(listen)
    assert all(end <= started_at + WITHIN for _, end in desk.spans())


def state_change(desk: Listening, state: str) -> None:
    body = {"typeWebhook": "stateInstanceChanged", "timestamp": int(desk.clock.now()), "stateInstance": state}
    desk.gateway.enqueue(body)


async def test_a_phone_that_was_unlinked_while_the_computer_slept_leaves_a_hole(desk: Listening) -> None:
    desk.gateway.faults.queue_expiry = False  # the gateway has a time of its own
    desk.clock.ahead = -3 * HOUR
    await desk.drain()
    desk.clock.ahead = -2 * HOUR
    state_change(desk, "notAuthorized")
    desk.clock.ahead = -HOUR
    state_change(desk, "authorized")
    say(desk, "after it")
    desk.clock.ahead = 0
    awake = int(desk.clock.now())
    await desk.drain()
    (first, last), *later = desk.spans()
    assert last - first <= HOUR + WITHIN
    assert all(start >= awake for start, _ in later)
    assert desk.texts() == ["after it"]


async def test_a_phone_that_is_linked_again_while_nobody_listens_leaves_a_hole(desk: Listening) -> None:
    desk.clock.ahead = -2 * HOUR
    await desk.drain()
    desk.gateway.faults.state = "notAuthorized"
    desk.clock.ahead = -HOUR
    async with desk.listening():
        await desk.until(lambda: any(progress.state == "waiting" for progress in desk.told))
        await polled(desk)
    desk.gateway.faults.state = "authorized"
    desk.clock.ahead = 0
    back = int(desk.clock.now())
    await desk.drain()
    await desk.drain()
    assert all(start >= back for start, _ in desk.spans())


async def test_a_drain_that_meets_no_phone_leaves_a_hole(desk: Listening) -> None:
    desk.clock.ahead = -2 * HOUR
    await desk.drain()
    desk.gateway.faults.state = "notAuthorized"
    desk.clock.ahead = -HOUR
    with pytest.raises(NotAuthorized):
        await desk.drain()
    desk.gateway.faults.state = "authorized"
    desk.clock.ahead = 0
    back = int(desk.clock.now())
    await desk.drain()
    assert all(start >= back for start, _ in desk.spans())


async def test_a_change_of_the_state_is_stored_together_with_the_end_of_the_listening(
    desk: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.clock.ahead = -HOUR
    await desk.drain()
    state_change(desk, "notAuthorized")
    receive, stored = Ingest.receive_all, []

    def look(ingest: Ingest, arrived: Any) -> Any:
        applied = receive(ingest, arrived)
        if any("stateInstanceChanged" in payload.items[0] for payload, _ in arrived if payload.items):
            stored.append(ingest.store.cursor("queue_since"))
        return applied

    monkeypatch.setattr(Ingest, "receive_all", look)
    await desk.drain()
    assert stored == [""]


def test_what_was_claimed_is_taken_back_only_together_with_the_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("The disk is full.")

    with Store(tmp_path / "a.db") as store:
        store.mark_chat(Reach({"listen_mode": "queue", "queue_since": "100", "queue_read_at": "200"}, 200).mark(200))
        monkeypatch.setattr(Store, "mark_chat", refuse)
        with pytest.raises(StorageError):
            break_off(store, 150, Mark(200, cursors={"queue_since": ""}))
        assert [(span.start, span.end) for span in store.ledger.spans()] == [(100, 200)]
        monkeypatch.undo()
        break_off(store, 150, Mark(200, cursors={"queue_since": ""}))
        assert [(span.start, span.end) for span in store.ledger.spans()] == [(100, 150)]
        assert store.cursor("queue_since") == ""


async def test_a_disk_that_refuses_while_there_is_no_phone_is_waited_for(
    desk: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw, refusals = Store.withdraw, 2

    def refuse(store: Store, *rest: Any) -> None:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageError("The disk is full.")
        withdraw(store, *rest)

    receive = GreenApi.receive_notification

    async def unlinked(api: GreenApi, seconds: int) -> Payload:
        if desk.gateway.faults.state != "authorized" and refusals == 2:
            raise NotAuthorized("The instance is not linked to a phone.")
        return await receive(api, seconds)

    monkeypatch.setattr(Store, "withdraw", refuse)
    monkeypatch.setattr(GreenApi, "receive_notification", unlinked)
    async with desk.listening():
        await polled(desk)
        desk.gateway.faults.state = "notAuthorized"
        await desk.until(lambda: any(progress.state == "refused" for progress in desk.told))
        await desk.until(lambda: refusals < 0)
        desk.gateway.faults.state = "authorized"
        desk.clock.passed += 61
        await desk.until(lambda: desk.told[-1].state == "listening")
    assert "The disk is full." in desk.rows("SELECT last_error FROM runs")[0][0]


async def test_messages_of_another_phone_are_not_taken_in_before_the_hour_is_over(desk: Listening) -> None:
    async def link_another_phone() -> None:
        await polled(desk)
        mike = desk.gateway.account.person("Mike")
        desk.gateway.account = copy(desk.gateway.account)  # the account itself is shared by all tests
        desk.gateway.account.owner = mike
        desk.gateway.settings["wid"] = mike.id
        desk.gateway.enqueue({**notification(1, "of somebody else"), "instanceData": {"wid": mike.id}})

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(link_another_phone)
        with anyio.fail_after(WITHIN), pytest.raises(UsageError, match="another WhatsApp account"):
            await desk.run(listen)
    assert desk.texts() == []
    assert len(desk.gateway.queue) == 1


async def test_a_database_that_another_program_holds_is_waited_for(desk: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, refusals = Store.apply, 3

    def refuse(store: Store, *rest: Any, **more: Any) -> int:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageError("The disk is full.")
        return apply(store, *rest, **more)

    async with desk.listening():
        await polled(desk)
        monkeypatch.setattr(Store, "apply", refuse)
        say(desk, "stored in the end")
        await desk.until(lambda: desk.texts() == ["stored in the end"])
        await desk.until(lambda: not len(desk.gateway.queue))
    assert "The disk is full." in desk.rows("SELECT last_error FROM runs")[0][0]
    assert any(progress.state == "refused" for progress in desk.told)
    assert desk.rows("SELECT state FROM runs") == [("complete",)]


async def test_one_that_cannot_be_stored_does_not_take_others_of_its_transaction_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Store.apply

    def trip(store: Store, records: Any, *rest: Any, **more: Any) -> int:
        if any(getattr(record, "content", "") == "trips" for record in records):
            raise ZeroDivisionError
        return apply(store, records, *rest, **more)

    monkeypatch.setattr(Store, "apply", trip)
    failed: list[str] = []
    with Store(tmp_path / "a.db") as store:
        pen = Pen(Writer(store, Ingest(store)))

        async def receive(number: int, text: str) -> None:
            try:
                await pen.receive(Payload("webhook", RECEIVED_AT, (json.dumps(notification(number, text)),)))
            except ZeroDivisionError:
                failed.append(text)

        async with anyio.create_task_group() as tasks:
            for number, text in enumerate(("one", "two", "trips", "three")):
                tasks.start_soon(receive, number, text)
        found = store.connection.execute("SELECT content FROM messages ORDER BY message_id").fetchall()
    assert failed == ["trips"]
    assert [text for (text,) in found] == ["one", "two", "three"]


def test_a_notification_from_the_future_proves_nothing_while_others_wait_behind_it() -> None:
    reach = Reach({"listen_mode": "queue", "queue_since": "100", "queue_read_at": "200"}, 5_000)
    reach.taken(5_000, 99_999)
    assert (reach.since, reach.until) == (100, 200)
    reach.taken(5_000, 5_010)  # a clock may be some seconds wrong
    assert (reach.since, reach.until) == (100, 5_000)


async def test_the_moment_at_which_the_listening_begins_is_no_hole(desk: Listening) -> None:
    desk.gateway.now = int(desk.clock.now())  # it tells its own time with each answer
    with Store(desk.path) as store:
        store.mark_chat(Mark(int(desk.clock.now()), cursors={"journals_since": str(int(desk.clock.now()) - HOUR)}))
    async with desk.listening():
        await desk.until(lambda: desk.rows("SELECT 1 FROM runs WHERE kind = 'recent' AND state = 'complete'"))
        desk.gateway.now += 200
        desk.clock.passed += 200
        await desk.until(lambda: len(desk.rows("SELECT 1 FROM runs WHERE kind = 'recent' AND state = 'complete'")) > 1)
        desk.clock.passed += 61
        await polled(desk)
    (began,) = [start for start, _ in desk.spans()]
    ((told,),) = desk.rows("SELECT max(until_at) FROM coverage WHERE origin = 'journal'")
    assert told >= began
