"""What nobody can read is kept, counted and acknowledged: it never blocks what waits behind it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from listening_desk import SCALE, WITHIN, Listening, verified
from loopback import Answer, Asked, loopback
from small_gateway import ID, TOKEN, SmallGateway, person
from sync_desk import Hurried, OpenWriter

from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.faults import Fault
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.normalise import receipt_id, waiting_count
from whatsapp_mcp.payload import Payload
from whatsapp_mcp.sync.listen import listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.demo.gateway import Gateway
    from whatsapp_mcp.sync import Outcome

ALL = 600
EACH = 10
DEEP = 3_000


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serve_gateway(make_account(size=SMALL), rate_scale=SCALE, patience=0.02) as served:
        yield served


@pytest.fixture
def desk(gateway: Gateway, tmp_path: Path) -> Iterator[Listening]:
    yield from verified(Listening(tmp_path / "a.db", gateway))


def text_message(number: int, words: str) -> dict[str, Any]:
    return {
        "typeWebhook": "incomingMessageReceived",
        "timestamp": 1_790_000_000 + number,
        "idMessage": f"3AB{number:09d}",
        "senderData": {"chatId": person(2), "sender": person(2), "senderName": "Noor Example"},
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": words}},
    }


def readable(number: int) -> list[str]:
    """Odd, but a message each."""
    long, nulls = json.dumps(text_message(number, "x" * 60_000)), text_message(number + 1, "before\0after")
    return [
        long,
        json.dumps(nulls),
        json.dumps(nulls | {"idMessage": f"3AC{number:09d}"}).replace("\\u0000", "\0"),
        json.dumps(text_message(number + 2, 'says "receiptId": 1, and {"receiptId":2}')),
        json.dumps(text_message(number + 3, "\ud83d half an emoji")),
        '{"receiptId":999999999,' + json.dumps(text_message(number + 4, "another receipt inside"))[1:],
        json.dumps(text_message(number + 5, "one bracket too many")) + "}",
    ]


def unreadable(number: int) -> list[str]:
    """Nothing that can be stored as a message; each differs from all others."""
    message = json.dumps(text_message(number, "cut off"))
    wrong = text_message(number, "wrong types") | {"senderData": 7, "messageData": [1], "timestamp": {}}
    return [
        message[: len(message) // 2],
        f"{{broken {number}",
        f'"only text {number}"',
        f"[{number}]",
        "null",
        str(number),
        json.dumps(wrong),
        json.dumps({"typeWebhook": f"kindOfTheFuture{number}", "timestamp": number}),
        json.dumps({"typeWebhook": {"no": "text"}, "messageData": None, "number": number}),
        "[" * DEEP + str(number) + "]" * DEEP,
        '{"a":' * DEEP + "1" + "}" * DEEP,
        f'{{"timestamp": {"9" * 5_000}, "number": {number}}}',
        f'"\udcff\udcfe is no UTF-8 {number}"',
    ]


def poisoned(gateway: Gateway) -> None:
    """Fill the queue, poison and messages in turn."""
    good = (json.dumps(text_message(1_000_000 + number, f"good {number}")) for number in itertools.count())
    odd = [text for number in range(EACH) for text in (*readable(1000 * number + 10), *unreadable(1000 * number + 500))]
    for text in odd:
        gateway.enqueue_raw(next(good))
        gateway.enqueue_raw(text)
    while len(gateway.queue) < ALL:
        gateway.enqueue_raw(next(good))


@pytest.mark.timeout(180)
async def test_all_of_600_notifications_are_accounted_for_poison_included(desk: Listening) -> None:
    poisoned(desk.gateway)
    assert len(desk.gateway.queue) == ALL
    with anyio.fail_after(150):
        outcome = await desk.run(listen, drain=True)
    assert len(desk.gateway.queue) == 0
    assert outcome.messages_seen == ALL
    kept = "SELECT sum(item_count), sum(unreadable_count) FROM payloads WHERE origin = 'receiveNotification'"
    bad = EACH * len(unreadable(0))
    assert desk.rows(kept) == [(ALL, bad)]
    assert desk.rows("SELECT count(*) FROM messages") == [(ALL - bad,)]
    assert outcome.messages_new == ALL - bad
    assert f"{bad} notifications could not be read" in outcome.notes[-1]
    assert desk.rows("SELECT max(length(content)) FROM messages") == [(60_000,)]
    assert desk.rows("SELECT count(*) FROM messages WHERE content = 'beforeafter'") == [(2 * EACH,)]


async def test_one_that_only_arrived_broken_is_read_at_the_second_look(desk: Listening) -> None:
    desk.gateway.enqueue(text_message(1, "whole after all"))
    desk.gateway.faults.next("receiveNotification", Fault.CUT_OFF)
    outcome = await desk.drain()
    assert (desk.texts(), outcome.messages_seen, outcome.notes) == (["whole after all"], 1, ())


class Script:
    """A gateway whose queue says, whole and raw, what a test wrote, until it is acknowledged."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.acknowledged: list[str] = []
        self._rest = SmallGateway()

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "receiveNotification":
            return 200, self.answers[0] if self.answers else "null"
        if asked.method == "deleteNotification":
            self.acknowledged.append(asked.path.rpartition("/")[2])
            del self.answers[:1]
            return 200, '{"result": true}'
        if asked.method == "getWebhooksCount":
            return 200, '{"\u0441ount": 0}'
        return self._rest(asked)


async def drained(path: Path, script: Script) -> Outcome:
    async with loopback(script) as server:
        with OpenWriter(path) as writer, anyio.fail_after(WITHIN):
            async with GreenApi(Credentials(server.url, ID, TOKEN), rate_scale=1000, clock=Hurried()) as api:
                return await listen(api, writer, Hurried(), drain=True)


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        ('{"receiptId": 7, "body": {"typeWebhook": ', "7"),
        ('{"receiptId":"8","body":{}}', "8"),
        ('{"body": {"typeWebhook": "x"}, "receiptId": 9', "9"),
        ('[{"receiptId": 10, "body": {}}]', "10"),
        ('\ufeff {"receiptId" : 11, "body" : nonsense }', "11"),
        ('{"receiptId": 12}', "12"),
    ],
)
async def test_a_receipt_is_found_also_in_a_damaged_answer(tmp_path: Path, answer: str, receipt: str) -> None:
    script = Script(answer, json.dumps({"receiptId": 99, "body": text_message(1, "behind it")}))
    outcome = await drained(tmp_path / "a.db", script)
    assert script.acknowledged == [receipt, "99"]
    assert (outcome.messages_seen, outcome.messages_new) == (2, 1)


@pytest.mark.parametrize(
    "answer",
    ['{"body": {"typeWebhook": "x"}}', '"text"', "[1, 2]", '{"receiptId": "none"}', '[{"receiptId":1},{"receiptId":2}]', "{oh"],
)
async def test_without_a_receipt_it_is_kept_once_and_told_and_does_not_spin(tmp_path: Path, answer: str) -> None:
    script = Script(answer)
    outcome = await drained(tmp_path / "a.db", script)
    assert (outcome.state, outcome.messages_seen, script.acknowledged) == ("partial", 1, [])
    assert any("cannot be acknowledged" in note for note in outcome.notes)
    with OpenWriter(tmp_path / "a.db") as writer:
        kept = writer.store.connection.execute(
            "SELECT item_count FROM payloads WHERE origin = 'receiveNotification'"
        ).fetchall()
    assert kept == [(1,)]


class Noting(Hurried):
    """Remembers the pauses that were wanted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await super().sleep(seconds)

    def random(self) -> float:
        return 0.5


async def test_a_refusal_without_an_address_is_asked_again_after_ever_longer_pauses(tmp_path: Path) -> None:
    refusals = 8
    script, clock, stop = Script(), Noting(), anyio.Event()

    def play(asked: Asked) -> Answer:
        nonlocal refusals
        if asked.method == "receiveNotification":
            refusals -= 1
            if refusals < 0:
                stop.set()
                return 200, "null"
            return 400, '{"message": "not now"}'
        return script(asked)

    async with loopback(play) as server:
        with OpenWriter(tmp_path / "a.db") as writer, anyio.fail_after(WITHIN):
            async with GreenApi(Credentials(server.url, ID, TOKEN), rate_scale=1000, clock=clock) as api:
                outcome = await listen(api, writer, clock, stop=stop, catch_up_minutes=0)
    assert [pause for pause in clock.pauses if pause >= 1][:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert outcome.state == "complete"


def payload(text: str) -> Payload:
    return Payload("receiveNotification", 0, (text,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"receiptId": 5, "body": {"receiptId": 6}}', 5),
        ('{"receiptId": 5, "body": {"receiptId": 6}', 5),
        ('{"body": {"receiptId": 6}, "receiptId": 5', None),
        (r'{"body": {"text": "\"receiptId\": 6"}, "receiptId": 5', 5),
        ('{"receiptId": true}', None),
        ('{"receiptId": -5}', None),
        ('{"receiptId": 5.5, "body', None),
        ('{"receiptId": 5.5}', None),
        ('{"receiptId": "5.5"}', None),
        ('{"receiptId": 5.0}', 5),
        ('{"receiptId": "5"}', 5),
        ('{"receiptId": 9007199254740993.0}', None),
        ('{"receiptId": 1' + "0" * 40 + "}", None),
        ("", None),
    ],
)
def test_a_receipt_is_never_guessed(text: str, expected: int | None) -> None:
    assert receipt_id(payload(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"count": 3}', 3), ('{"\u0441ount": 0}', 0), ("{}", None), ('{"a": 1, "b": 2}', None), ("[3]", None)],
)
def test_the_number_that_waits_is_read_whatever_it_is_called(text: str, expected: int | None) -> None:
    assert waiting_count(payload(text)) == expected
