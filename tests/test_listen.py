"""Listening to the notification queue: what happens is stored as it happens, and acknowledged only once it is durable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from listening_desk import SCALE, WITHIN, Listening, verified
from store_fixtures import answer

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.errors import CredentialsError, InstanceGone, NotAuthorized, StorageError, UsageError
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.store import Store
from whatsapp_mcp.sync import full_sync
from whatsapp_mcp.sync.listen import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway

DAY = 86_400


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE, patience=0.02) as served:
        yield served


@pytest.fixture
def desk(gateway: Gateway, tmp_path: Path) -> Iterator[Listening]:
    yield from verified(Listening(tmp_path / "a.db", gateway))


def say(desk: Listening, *texts: str, **more: Any) -> None:
    for text in texts:
        chat = desk.gateway.account.person("Mike").id
        desk.gateway.deliver(desk.gateway.compose(chat, text, at=int(desk.clock.now())), **more)


async def test_what_waits_is_stored_and_the_queue_is_empty_afterwards(desk: Listening) -> None:
    say(desk, "one", "two", "three")
    outcome = await desk.drain()
    assert (outcome.state, outcome.messages_seen, outcome.messages_new) == ("complete", 3, 3)
    assert desk.texts() == ["one", "two", "three"]
    assert len(desk.gateway.queue) == 0
    assert desk.rows("SELECT kind, state, messages_seen, messages_new FROM runs") == [("listen", "complete", 3, 3)]


async def test_a_message_is_stored_while_it_listens(desk: Listening) -> None:
    async with desk.listening():
        await desk.until(lambda: desk.told and desk.told[-1].state == "listening")
        say(desk, "hello")
        await desk.until(lambda: "hello" in desk.texts())
        await desk.until(lambda: not len(desk.gateway.queue))
    assert desk.rows("SELECT state FROM runs") == [("complete",)]


async def test_each_notification_costs_two_requests(desk: Listening) -> None:
    say(desk, *map(str, range(20)))
    await desk.drain()
    assert desk.gateway.count("deleteNotification") == 20
    assert desk.gateway.count("receiveNotification") == 21


async def test_one_whose_acknowledgement_fails_comes_again_and_is_known(desk: Listening) -> None:
    say(desk, "once")
    desk.gateway.faults.next("deleteNotification", Fault.SERVER_ERROR, times=6)
    outcome = await desk.drain()
    assert (outcome.messages_seen, outcome.messages_new) == (1, 1)
    assert desk.texts() == ["once"]
    assert desk.rows("SELECT count(*) FROM payloads WHERE origin = 'receiveNotification'") == [(1,)]
    assert desk.gateway.count("deleteNotification", 200) == 1


async def test_nothing_is_acknowledged_that_could_not_be_stored(desk: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    say(desk, "precious")
    await desk.drain()
    say(desk, "not stored")

    def refuse(store: Store, records: Any, *rest: Any, **more: Any) -> int:
        raise StorageError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "apply", refuse)
        with pytest.raises(StorageError):
            await desk.drain()
    assert len(desk.gateway.queue) == 1
    assert desk.rows("SELECT state, last_error FROM runs ORDER BY run_id DESC LIMIT 1") == [("failed", "The disk is full.")]
    await desk.drain()
    assert desk.texts() == ["precious", "not stored"]


async def test_a_mistake_of_ours_keeps_the_notification_and_blocks_nothing(
    desk: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.drain()
    say(desk, "trips")
    apply = Store.apply

    def trip(store: Store, records: Any, *rest: Any, **more: Any) -> int:
        if any(getattr(record, "content", "") == "trips" for record in records):
            raise ZeroDivisionError("quotes what somebody wrote")
        return apply(store, records, *rest, **more)

    monkeypatch.setattr(Store, "apply", trip)
    say(desk, "behind it")
    outcome = await desk.drain()
    monkeypatch.undo()
    assert outcome.state == "partial"
    assert "ZeroDivisionError" in outcome.notes[0]
    assert "wrote" not in " ".join(outcome.notes)
    assert desk.texts() == ["behind it"]
    assert desk.rows("SELECT count(*), sum(unreadable_count) FROM payloads WHERE origin = 'receiveNotification'") == [(2, 1)]
    with Store(desk.path) as store:
        rebuild(store)
    assert sorted(desk.texts()) == ["behind it", "trips"]


async def test_a_webhook_address_is_explained_and_never_shown(desk: Listening) -> None:
    desk.gateway.settings["webhookUrl"] = "https://secret.example.net/path"
    with pytest.raises(UsageError) as caught:
        await desk.drain()
    assert "exclude each other" in str(caught.value)
    assert "listen --webhook" in str(caught.value)
    assert "console" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "secret" not in str(desk.rows("SELECT last_error FROM runs"))


async def test_an_address_that_is_set_while_it_listens_ends_it_with_the_same_explanation(desk: Listening) -> None:
    async def set_address() -> None:
        await desk.until(lambda: desk.gateway.count("receiveNotification") > 1)
        desk.gateway.settings["webhookUrl"] = "https://secret.example.net/path"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(set_address)
        with anyio.fail_after(WITHIN), pytest.raises(UsageError, match="exclude each other"):
            await desk.run(listen)
    assert desk.rows("SELECT value FROM cursors WHERE name = 'listen_mode'") == [("elsewhere",)]


async def test_wrong_credentials_end_it(desk: Listening) -> None:
    desk.gateway.faults.state = "deleted"
    with pytest.raises(CredentialsError):
        await desk.run(listen)


async def test_an_expired_instance_ends_it(desk: Listening) -> None:
    desk.gateway.faults.state = "expired"
    with pytest.raises(InstanceGone):
        await desk.run(listen)


async def test_troubles_of_the_network_are_waited_out(desk: Listening) -> None:
    async with desk.listening():
        await desk.until(lambda: desk.gateway.count("receiveNotification") > 1)
        desk.gateway.faults.next("receiveNotification", Fault.BAD_GATEWAY, times=12)
        await desk.until(lambda: any(progress.state == "offline" for progress in desk.told))
        say(desk, "after the storm")
        await desk.until(lambda: "after the storm" in desk.texts())
    assert "waited out" in desk.rows("SELECT last_error FROM runs")[0][0]
    assert desk.told[-1].state == "complete"


async def test_an_instance_without_a_phone_is_looked_at_until_it_has_one(desk: Listening) -> None:
    desk.gateway.faults.state = "notAuthorized"
    with pytest.raises(NotAuthorized):
        await desk.drain()
    async with desk.listening():
        await desk.until(lambda: any(progress.state == "waiting" for progress in desk.told))
        say(desk, "told nevertheless")
        await desk.until(lambda: "told nevertheless" in desk.texts())
        desk.gateway.faults.state = "authorized"
        desk.clock.passed += 61
        await desk.until(lambda: desk.told[-1].state == "listening")
        linked_at = int(desk.clock.now())
        desk.clock.passed += 61
        polls = desk.gateway.count("receiveNotification")
        await desk.until(lambda: desk.gateway.count("receiveNotification") > polls + 1)
    assert desk.rows("SELECT state FROM runs ORDER BY run_id DESC LIMIT 1") == [("partial",)]
    assert [abs(start - linked_at) <= 5 for start, _ in desk.spans()] == [True]


async def test_an_empty_queue_is_known_until_it_was_asked(desk: Listening) -> None:
    desk.clock.ahead = -3600
    await desk.drain()
    began = desk.cursor("queue_since")
    desk.clock.ahead = 0
    await desk.drain()
    assert desk.spans() == [(began, desk.cursor("queue_read_at"))]
    assert desk.cursor("queue_read_at") - began >= 3600


async def test_a_pause_longer_than_the_queue_keeps_anything_begins_a_new_span(desk: Listening) -> None:
    desk.clock.ahead = -2 * DAY
    await desk.drain()
    desk.clock.ahead = -2 * DAY + 600
    await desk.drain()
    desk.clock.ahead = 0
    await desk.drain()
    desk.clock.ahead = 600
    await desk.drain()
    assert len(desk.spans()) == 2
    assert desk.cursor("queue_since") == desk.spans()[1][0]


async def test_a_clock_that_goes_back_claims_nothing(desk: Listening) -> None:
    desk.clock.ahead = 30 * DAY
    await desk.drain()
    desk.clock.ahead = 30 * DAY + 60
    await desk.drain()
    desk.clock.ahead = 0
    say(desk, "today")
    await desk.drain()
    assert all(end <= desk.clock.now() for _, end in desk.spans())
    assert desk.cursor("queue_read_at") <= desk.clock.now()
    assert "today" in desk.texts()


async def test_an_instance_that_does_not_tell_of_messages_proves_nothing(desk: Listening) -> None:
    desk.gateway.settings["incomingWebhook"] = "no"
    desk.clock.ahead = -600
    await desk.drain()
    desk.clock.ahead = 0
    outcome = await desk.drain()
    assert desk.spans() == []
    assert any("doctor" in note for note in outcome.notes)


async def test_a_queue_that_hides_what_waits_is_noticed(desk: Listening) -> None:
    say(desk, "hidden")
    desk.gateway.faults.empty_polls = 100
    desk.clock.ahead = -60
    outcome = await desk.drain()
    assert outcome.state == "partial"
    assert any("hands out none" in note for note in outcome.notes)
    assert desk.spans() == []
    desk.gateway.faults.empty_polls = 1
    assert (await desk.drain()).state == "complete"
    assert desk.texts() == ["hidden"]


async def test_the_journals_are_asked_beside_the_queue(desk: Listening) -> None:
    await desk.run(full_sync)
    say(desk, "only in the journal", queue=False)
    async with desk.listening():
        say(desk, "in the queue")
        await desk.until(lambda: {"only in the journal", "in the queue"} <= set(desk.texts()))
        await desk.until(lambda: desk.rows("SELECT 1 FROM runs WHERE kind = 'recent' AND state = 'complete'"))
        assert desk.rows("SELECT state FROM runs WHERE kind = 'listen'") == [("running",)]
    assert desk.rows("SELECT state FROM runs WHERE kind = 'listen'") == [("complete",)]


async def test_journals_that_cannot_be_had_are_a_note(desk: Listening) -> None:
    await desk.run(full_sync)
    desk.gateway.faults.every("lastIncomingMessages", Fault.BAD_GATEWAY)
    async with desk.listening():
        await desk.until(lambda: desk.rows("SELECT 1 FROM runs WHERE kind = 'recent' AND state = 'failed'"))
        say(desk, "still here")
        await desk.until(lambda: "still here" in desk.texts())
    assert "Catching up failed" in desk.rows("SELECT last_error FROM runs WHERE kind = 'listen'")[0][0]


async def test_another_account_is_refused(desk: Listening) -> None:
    with Store(desk.path) as store:
        Ingest(store).receive(answer("getWaSettings", {"phone": "15550109999", "stateInstance": "authorized"}))
    with pytest.raises(UsageError, match="another WhatsApp account"):
        await desk.drain()


async def test_a_phone_that_is_unlinked_while_it_listens_is_noticed(desk: Listening) -> None:
    async with desk.listening():
        await desk.until(lambda: desk.gateway.count("receiveNotification") > 1)
        desk.gateway.faults.state = "notAuthorized"
        body = {"typeWebhook": "stateInstanceChanged", "timestamp": int(desk.clock.now()), "stateInstance": "notAuthorized"}
        desk.gateway.enqueue(body)
        await desk.until(lambda: desk.told[-1].state == "waiting")
        desk.gateway.faults.state = "authorized"
        desk.clock.passed += 61
        await desk.until(lambda: desk.told[-1].state == "listening")
    assert "not linked to a phone for a while" in desk.rows("SELECT last_error FROM runs")[0][0]


async def test_one_that_can_never_be_acknowledged_does_not_make_it_spin(desk: Listening) -> None:
    say(desk, "stubborn")
    desk.gateway.faults.every("deleteNotification", Fault.SERVER_ERROR)
    outcome = await desk.drain()
    assert outcome.state == "partial"
    assert any("again and again" in note for note in outcome.notes)
    assert (outcome.messages_seen, desk.texts()) == (1, ["stubborn"])
