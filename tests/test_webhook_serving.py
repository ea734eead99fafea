"""`listen --webhook` as a whole: the same rows as from the queue, a disk that refuses, proofs, notes, and its end."""

from __future__ import annotations

import json
import logging
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from loopback import loopback
from small_gateway import ID, OWNER, SmallGateway, person
from small_gateway import TOKEN as INSTANCE_TOKEN
from store_fixtures import RECEIVED_AT
from webhook_desk import TOKEN, WITHIN, Fixed, notification, receiving, until

from whatsapp_mcp.app import NO_EXTRAS, Archive, Writer
from whatsapp_mcp.config import Settings
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import running_gateway
from whatsapp_mcp.doctor import WANTED_ON
from whatsapp_mcp.errors import SettingsError, UsageError
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.store import Mark, Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.webhook import serve_webhook
from whatsapp_mcp.webhook.proof import Proof

if TYPE_CHECKING:
    from webhook_desk import Desk

GOLDENS = sorted((Path(__file__).parent / "goldens" / "notification").glob("*.json"))
DAY = 86_400


def body(number: int, text: str = "hello", *, at: int = RECEIVED_AT - 60) -> bytes:
    return json.dumps(notification(number, text, at=at)).encode()


def golden_bodies() -> list[dict[str, Any]]:
    payloads = [json.loads(path.read_text(encoding="utf-8"))["payload"] for path in GOLDENS]
    return [payload.get("body", payload) for payload in payloads]


async def test_every_documented_notification_makes_the_same_rows_as_from_the_queue(tmp_path: Path) -> None:
    bodies = golden_bodies()
    async with receiving(tmp_path) as desk:
        for one in bodies:
            assert await desk.post(json.dumps(one, ensure_ascii=False).encode()) == 200
        pushed = census(desk.writer.store.connection)
    with Store(tmp_path / "queue.db") as store:
        for number, one in enumerate(bodies):
            wrapped = json.dumps({"receiptId": number, "body": one}, ensure_ascii=False)
            Ingest(store).receive(Payload("receiveNotification", RECEIVED_AT, (wrapped,)))
        polled = census(store.connection)
    assert len(bodies) > 90
    assert pushed == polled


async def test_a_disk_that_refuses_is_told_to_green_api_which_comes_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    large = body(1, "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(60_000)))
    async with receiving(tmp_path) as desk:
        connection = desk.writer.store.connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        answer = await desk.http.post(desk.url, content=large, headers={"Authorization": TOKEN})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert desk.count("messages") == desk.count("payloads") == 0
        connection.execute("PRAGMA max_page_count = 1000000")
        assert await desk.post(large) == 200
        assert desk.count("messages") == desk.count("payloads") == 1
    assert "503, not stored: The disk is full., from 127.0.0.1" in caplog.text


async def test_a_mistake_in_the_program_keeps_the_letters_and_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(tmp_path) as desk:
        with monkeypatch.context() as broken:
            broken.setattr(Store, "apply", lambda *_: 1 // 0)
            assert await desk.post(body(1, "the lease is signed")) == 200
        assert desk.rows("SELECT origin, item_count, unreadable_count FROM payloads") == [("webhook", 1, 1)]
        assert desk.count("messages") == 0
        desk.writer.store.connection.execute("DELETE FROM payload_items")
        desk.writer.store.connection.execute("DELETE FROM payloads")
        desk.writer.store.connection.execute("DELETE FROM sqlite_sequence WHERE name = 'payloads'")
    assert desk.outcome[0].state == "partial"
    assert "ZeroDivisionError" in caplog.text
    assert "lease" not in caplog.text


async def test_what_arrives_at_once_shares_a_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    whole = Ingest.receive_all

    def counted(self: Ingest, arrived: Any) -> Any:
        sizes.append(len(arrived))
        return whole(self, arrived)

    monkeypatch.setattr(Ingest, "receive_all", counted)
    async with receiving(tmp_path) as desk, anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(desk.post, body(number))
    assert sum(sizes) == 40
    assert len(sizes) < 40
    assert desk.count("messages") == 40


async def test_the_run_is_written_down_with_what_it_brought(tmp_path: Path) -> None:
    async with receiving(tmp_path) as desk:
        assert desk.rows("SELECT kind, state FROM runs") == [("listen", "running")]
        await desk.post(body(1))
        await desk.post(body(2))
        await until(lambda: desk.rows("SELECT messages_new FROM runs") == [(2,)])
        await desk.post(b"x", "wrong")
    assert desk.rows("SELECT state, messages_seen, messages_new FROM runs") == [("complete", 2, 2)]
    assert desk.outcome[0].notes == ("Refused 1 times: 401, without the right token.",)


async def test_a_stop_waits_for_the_request_at_hand(tmp_path: Path) -> None:
    one = body(1)
    async with receiving(tmp_path) as desk, await desk.connect() as stream:
        head = f"POST /webhook HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\nContent-Length: {len(one)}\r\n"
        await stream.send(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        desk.stop.set()
        await stream.send(one)
        assert (await stream.receive()).startswith(b"HTTP/1.1 200 ")
    assert desk.count("messages") == 1
    assert desk.outcome[0].state == "complete"


async def test_a_cancelled_receiver_finishes_the_request_at_hand_too(tmp_path: Path) -> None:
    with anyio.move_on_after(WITHIN) as scope:
        async with receiving(tmp_path) as desk:
            assert await desk.post(body(1)) == 200
            scope.cancel()
            await anyio.sleep_forever()
    assert desk.rows("SELECT state FROM runs") == [("interrupted",)]
    assert desk.count("messages") == 1


async def test_signals_stay_with_the_command(tmp_path: Path) -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    async with receiving(tmp_path) as desk:
        await desk.post(body(1))
        assert {each: signal.getsignal(each) for each in before} == before


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - it must be refused
async def test_on_another_address_a_token_is_needed(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match="WEBHOOK_TOKEN is not set") as refused:
        await serve(tmp_path, host, 8723, "")
    assert refused.value.exit_code == 2
    assert not (tmp_path / "home" / "whatsapp_chats.db").exists() or run_count(tmp_path) == 0


async def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port} on 127.0.0.1 is taken by another program. Stop that program"):
            await serve(tmp_path, "127.0.0.1", port, TOKEN)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_an_address_of_another_computer_is_named(tmp_path: Path, host: str) -> None:
    with pytest.raises(SettingsError, match=f"WEBHOOK_HOST {host} is no address of this computer"):
        await serve(tmp_path, host, 8723, TOKEN)


async def serve(folder: Path, host: str, port: int, token: str) -> None:
    archive = Archive.open(Settings.load({"WHATSAPP_MCP_HOME": str(folder / "home")}, folder))
    with archive.writer(durable=True) as writer:
        await serve_webhook(writer, archive.clock, host=host, port=port, token=token, stop=anyio.Event())


def run_count(folder: Path) -> int:
    with Store(folder / "home" / "whatsapp_chats.db") as store:
        return int(store.connection.execute("SELECT count(*) FROM runs").fetchone()[0])


async def test_it_answers_on_all_addresses_with_a_token(tmp_path: Path) -> None:
    async with receiving(tmp_path, host="0.0.0.0") as desk:  # noqa: S104 - with a token it may
        desk.url = desk.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104
        assert (await desk.post(body(1), ""), await desk.post(body(1))) == (401, 200)


# What is proven


def spans(desk: Desk) -> list[tuple[int, int]]:
    return desk.rows("SELECT from_at, until_at FROM coverage WHERE origin = 'queue' AND chat_id = 0 ORDER BY from_at")


async def test_a_notification_proves_the_time_between_it_and_the_first_one(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=Fixed(RECEIVED_AT - 600)) as desk:
        assert desk.cursors()["listen_mode"] == "webhook"
        await desk.post(body(1, at=RECEIVED_AT - 600))
        assert spans(desk) == []
        desk.clock.time = RECEIVED_AT
        await desk.post(body(2, at=RECEIVED_AT - 60))
        await desk.post(b"nothing that says a time")
        await desk.post(body(3, at=RECEIVED_AT - 300))
        assert spans(desk) == [(RECEIVED_AT - 600, RECEIVED_AT - 60)]
        assert desk.cursors()["queue_read_at"] == str(RECEIVED_AT - 60)


async def test_what_a_phone_sends_late_does_not_prove_the_time_before_the_listening(tmp_path: Path) -> None:
    async with receiving(tmp_path) as desk:
        await desk.post(body(1, at=RECEIVED_AT - DAY // 2))
        await desk.post(body(2, at=RECEIVED_AT - 10))
        assert spans(desk) == []
        desk.clock.time += 600
        await desk.post(body(3, at=RECEIVED_AT + 500))
        assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 500)]


async def test_listening_again_within_a_day_leaves_no_hole_and_later_does(tmp_path: Path) -> None:
    found: list[tuple[int, int]] = []
    for day, number in ((0.0, 1), (0.5, 2), (0.9, 3), (3.0, 4), (3.1, 5)):
        now = RECEIVED_AT + int(day * DAY)
        async with receiving(tmp_path, clock=Fixed(now)) as desk:
            await desk.post(body(number, at=now))
            found = spans(desk)
    later = RECEIVED_AT + 3 * DAY
    assert found == [(RECEIVED_AT, RECEIVED_AT + int(0.9 * DAY)), (later, later + int(0.1 * DAY))]


async def test_after_more_than_a_day_what_still_waited_does_not_prove_what_was_dropped(tmp_path: Path) -> None:
    async with receiving(tmp_path, clock=Fixed(RECEIVED_AT)) as desk:
        await desk.post(body(1, at=RECEIVED_AT))
        desk.clock.time = RECEIVED_AT + 30 * 3600
        for number, hour in enumerate((7, 12, 29), start=2):  # those of the first six hours were dropped
            await desk.post(body(number, at=RECEIVED_AT + hour * 3600))
        assert spans(desk) == []


async def test_a_notification_from_the_future_proves_nothing(tmp_path: Path) -> None:
    async with receiving(tmp_path) as desk:
        await desk.post(body(1, at=RECEIVED_AT - 10))
        desk.clock.time += 600
        await desk.post(body(2, at=RECEIVED_AT + 10 * DAY))
        assert spans(desk) == []
        await desk.post(body(3, at=RECEIVED_AT + 700))  # a clock may be some minutes wrong
        assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 600)]


async def test_a_clock_that_was_put_back_does_no_harm(tmp_path: Path) -> None:
    async with receiving(tmp_path) as desk:
        await desk.post(body(1, at=RECEIVED_AT))
        desk.clock.time = RECEIVED_AT + DAY // 2
        await desk.post(body(2, at=RECEIVED_AT + DAY // 2))
    async with receiving(tmp_path, clock=Fixed(RECEIVED_AT + 600)) as desk:
        assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 600)]
        await desk.post(body(3, at=RECEIVED_AT + 700))
        await desk.post(body(4, at=RECEIVED_AT + 500))
        assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 600)]
        assert desk.count("messages") == 4


def test_one_that_is_not_stored_proves_nothing() -> None:
    proof = Proof(100, 200)
    proof.mark(300, 1_000)
    assert proof.mark(250, 1_000).covered[0].end == 250
    assert proof.until == 200


def test_what_went_to_somebody_elses_address_is_a_hole(tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        cursors = {"queue_since": "100", "queue_read_at": "200"}
        store.mark_chat(Mark(200, cursors={**cursors, "listen_mode": "elsewhere"}))
        assert Proof.of(store, 300) == Proof()
        store.mark_chat(Mark(200, cursors={**cursors, "listen_mode": "queue"}))
        assert Proof.of(store, 300) == Proof(100, 200)


def test_a_change_of_the_state_is_the_last_that_a_listening_proves() -> None:
    proof = Proof(100, 200)
    mark = proof.last(proof.mark(300, 1_000))
    assert mark.covered[0].end == 300
    assert (mark.cursors["queue_since"], mark.cursors["listen_mode"]) == ("", "webhook")


# The instance


def flags(**more: str) -> tuple[int, str]:
    return 200, json.dumps({"wid": OWNER, "webhookUrlToken": TOKEN, **dict.fromkeys(WANTED_ON, "yes"), **more})


async def said_with(folder: Path, gateway: SmallGateway) -> tuple[list[str], Desk]:
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(folder, gateway=api) as desk:
            assert await desk.post(body(1)) == 200
            desk.clock.time += 60
            assert await desk.post(body(2, at=RECEIVED_AT + 60)) == 200
    return [line for line in desk.said if not line.startswith("Waiting for notifications at http://127.0.0.1:")], desk


async def test_all_in_order_is_not_worth_a_word(tmp_path: Path) -> None:
    said, desk = await said_with(
        tmp_path, SmallGateway(faults={"getSettings": flags(webhookUrl="https://tunnel.example/webhook")})
    )
    assert said == []
    assert spans(desk)
    assert not any(TOKEN in str(row) for row in desk.rows("SELECT * FROM payloads"))


async def test_an_instance_without_an_address_is_explained_and_never_changed(tmp_path: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": flags(webhookUrl="")})
    said, _ = await said_with(tmp_path, gateway)
    assert len(said) == 1
    assert "no webhook address" in said[0]
    assert "webhookUrlToken" in said[0]


async def test_settings_that_are_off_point_to_the_doctor_and_prove_nothing(tmp_path: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": flags(webhookUrl="https://x.example", incomingWebhook="no")})
    said, desk = await said_with(tmp_path, gateway)
    assert "whatsapp-mcp doctor" in said[0]
    assert spans(desk) == []


async def test_a_gateway_that_refuses_does_not_close_the_receiver(tmp_path: Path) -> None:
    said, desk = await said_with(tmp_path, SmallGateway(faults={"getSettings": (401, "")}))
    assert said[0].startswith("Green API could not be asked:")
    assert desk.count("messages") == 2


async def test_the_archive_of_another_account_is_left_alone(tmp_path: Path) -> None:
    _, desk = await said_with(tmp_path, SmallGateway(faults={"getSettings": flags(webhookUrl="https://x.example")}))
    other = SmallGateway(owner=person(9), faults={"getSettings": (200, json.dumps({"wid": person(9)}))})
    async with loopback(other) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        with Store(desk.path) as store:
            writer = Writer(store, Ingest(store), NO_EXTRAS)
            where: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "token": TOKEN, "stop": anyio.Event()}
            async with client as api:
                with pytest.raises(UsageError, match="another WhatsApp account"):
                    await serve_webhook(writer, Fixed(), **where, gateway=api)
    assert desk.rows("SELECT state FROM runs ORDER BY run_id") == [("complete",), ("failed",)]


async def test_the_journals_bring_what_no_notification_told(tmp_path: Path) -> None:
    gateway = SmallGateway(
        histories={person(2): 1}, recent=[person(2)], faults={"getSettings": flags(webhookUrl="https://tunnel.example")}
    )
    with Store(tmp_path / "whatsapp_chats.db") as store:
        store.mark_chat(Mark(RECEIVED_AT - 60, cursors={"journals_since": str(RECEIVED_AT - 60)}))
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(tmp_path, gateway=api) as desk:
            with anyio.fail_after(WITHIN):
                while ("message 0",) not in desk.rows("SELECT content FROM messages"):
                    assert await desk.post(body(1)) == 200
            assert desk.rows("SELECT state FROM runs WHERE kind = 'listen'") == [("running",)]
    assert desk.rows("SELECT state FROM runs WHERE kind = 'listen'") == [("complete",)]


async def test_uvicorn_stays_silent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    async with receiving(tmp_path) as desk:
        await desk.post(body(1))
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
    assert capfd.readouterr() == ("", "")


async def test_what_is_said_on_a_phone_is_pushed_and_stored(tmp_path: Path) -> None:
    account = make_account(size=SMALL)
    async with running_gateway(account, rate_scale=1000, patience=0.001) as gateway, receiving(tmp_path) as desk:
        chat = next(iter(account.chat_ids))
        gateway.settings.update(webhookUrl=desk.url, webhookUrlToken="wrong")
        gateway.deliver(gateway.compose(chat, "the bus is late", from_me=False))
        await until(lambda: any(pushed.status == 401 for pushed in gateway.pushes))
        gateway.settings["webhookUrlToken"] = TOKEN
        await until(lambda: ("the bus is late",) in desk.rows("SELECT content FROM messages"))
        await until(lambda: len(gateway.queue) == 0)


async def test_settings_that_are_switched_off_take_back_what_was_claimed_since(tmp_path: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": flags(webhookUrl="https://x.example")})
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(tmp_path, gateway=api) as desk:
            await desk.post(body(1, at=RECEIVED_AT))
            desk.clock.time += 1800
            await desk.post(body(2, at=RECEIVED_AT + 1700))
            assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 1700)]
            gateway.faults["getSettings"] = flags(webhookUrl="https://x.example", incomingWebhook="no")
            await desk.post(state_change("authorized", at=RECEIVED_AT + 1750))  # a new setting restarts an instance
            await until(lambda: any("whatsapp-mcp doctor" in line for line in desk.said))
            await desk.post(body(3, at=RECEIVED_AT + 1780))
            assert spans(desk) == [(RECEIVED_AT, RECEIVED_AT + 1750)]
            assert desk.cursors()["queue_since"] == ""


def state_change(state: str, *, at: int) -> bytes:
    return json.dumps({"typeWebhook": "stateInstanceChanged", "timestamp": at, "stateInstance": state}).encode()


async def test_what_was_not_asked_at_the_start_is_asked_later_and_proves_nothing_until_then(tmp_path: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": (401, "")})
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(tmp_path, gateway=api) as desk:
            await desk.post(body(1, at=RECEIVED_AT))
            desk.clock.time += 60
            await desk.post(body(2, at=RECEIVED_AT + 50))
            assert spans(desk) == []
            gateway.faults["getSettings"] = flags(webhookUrl="")
            await desk.post(state_change("authorized", at=RECEIVED_AT + 55))
            await until(lambda: any("no webhook address" in line for line in desk.said))
            await desk.post(body(3, at=RECEIVED_AT + 60))
            desk.clock.time += 60
            await desk.post(body(4, at=RECEIVED_AT + 110))
            assert spans(desk) == [(RECEIVED_AT + 60, RECEIVED_AT + 110)]


async def relinked(folder: Path) -> None:
    """The archive's own notification, and one of the phone that took its place."""
    gateway = SmallGateway(faults={"getSettings": flags(webhookUrl="https://x.example")})
    ours = {**notification(1), "instanceData": {"wid": OWNER}}
    theirs = {**notification(2, "of somebody else"), "instanceData": {"wid": person(9)}}
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(folder, gateway=api) as desk:
            assert await desk.post(json.dumps(ours).encode()) == 200
            gateway.owner = person(9)
            gateway.faults["getSettings"] = (200, json.dumps({"wid": person(9)}))
            assert await desk.post(json.dumps(theirs).encode()) == 503


async def test_another_phone_closes_the_receiver_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await relinked(tmp_path)
    assert caught.group_contains(UsageError, match="another WhatsApp account")
    with Store(tmp_path / "whatsapp_chats.db") as store:
        assert store.connection.execute("SELECT content FROM messages").fetchall() == [("hello",)]


async def test_a_second_instance_that_posts_here_is_told(tmp_path: Path) -> None:
    gateway = SmallGateway(faults={"getSettings": flags(webhookUrl="https://x.example")})
    async with loopback(gateway) as server:
        client = GreenApi(Credentials(server.url, ID, INSTANCE_TOKEN), rate_scale=1000, clock=Fixed())
        async with client as api, receiving(tmp_path, gateway=api) as desk:
            theirs = {**notification(2), "instanceData": {"wid": person(9)}}
            assert await desk.post(json.dumps(theirs).encode()) == 200
    assert any("another account" in line for line in desk.said)
    assert person(9).partition("@")[0] not in " ".join(desk.said)
