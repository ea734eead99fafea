"""The webhook receiver before everybody who may find its door: right and wrong tokens, odd bodies, slow and large clients."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest
from sync_desk import Hurried
from webhook_desk import QUICK, TOKEN, WITHIN, notification, receiving

from whatsapp_mcp.webhook import Limits
from whatsapp_mcp.webhook.admission import Admission
from whatsapp_mcp.webhook.complaints import Complaints

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from webhook_desk import Desk

HEAD = b"POST /webhook HTTP/1.1\r\nHost: loopback\r\n"
AUTHORIZED = HEAD + f"Authorization: Bearer {TOKEN}\r\n".encode()

POISON = {
    "broken JSON": b'{"typeWebhook": "incomingMessageReceived", "timestamp": 17',
    "no JSON": b"typeWebhook=incomingMessageReceived",
    "an empty object": b"{}",
    "null": b"null",
    "an empty array": b"[]",
    "a number": b"42",
    "an array of notifications": json.dumps([notification(901)]).encode(),
    "a deep nest": b"[" * 200_000,
    "a deep nest of objects": b'{"messageData":' * 50_000,
    "no UTF-8": b"\xff\xfe\xc3\x28 {",
    "UTF-16": json.dumps(notification(902)).encode("utf-16"),
    "null bytes": b"\0" * 64,
    "a null byte in a text": json.dumps(notification(903, "be\0fore")).encode(),
    "half a surrogate pair": json.dumps(notification(904, "half \ud83d")).encode(),
    "a wild surrogate": json.dumps(notification(905, "half \ud83d")).encode().replace(b"\\ud83d", b"\xed\xa0\xbd"),
    "60,000 letters": json.dumps(notification(906, "long " * 12_000)).encode(),
    "a number of 5,000 digits": b'{"typeWebhook":"incomingMessageReceived","timestamp":' + b"9" * 5000 + b"}",
    "no number": b'{"typeWebhook":"incomingMessageReceived","timestamp":NaN,"messageData":{}}',
    "an unknown kind": json.dumps({**notification(907), "typeWebhook": "thingHappened", "messageData": None}).encode(),
    "an unknown message": json.dumps({**notification(908), "messageData": {"typeMessage": "hologramMessage"}}).encode(),
    "a list for a name": json.dumps({**notification(909), "senderData": ["x"]}).encode(),
    "lists everywhere": json.dumps({key: [[]] for key in notification(910)}).encode(),
    "no chat": json.dumps({**notification(911), "senderData": {"chatId": "null@c.us"}}).encode(),
    "a time in the far future": json.dumps(notification(912, at=10**17)).encode(),
    "a negative time": json.dumps(notification(913, at=-5)).encode(),
    "an id that is an object": json.dumps({**notification(914), "idMessage": {"id": 1}}).encode(),
    "the separator of stored items": b'{"typeWebhook": "a\x1eb"}',
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with receiving(tmp_path) as opened:
        yield opened


def body(number: int, text: str = "hello") -> bytes:
    return json.dumps(notification(number, text)).encode()


async def raw(desk: Desk, *parts: bytes) -> bytes:
    """What a client gets that sends the parts and then only listens, until the receiver hangs up."""
    async with await desk.connect() as stream:
        for part in parts:
            await stream.send(part)
        return await rest_of(stream)


async def rest_of(stream: anyio.abc.SocketStream) -> bytes:
    heard = b""
    try:
        while True:
            heard += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return heard


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}", f"Basic {TOKEN}", TOKEN, f"bearer  {TOKEN} ", f"BASIC {TOKEN}",
        "Basic " + base64.b64encode(f"greenapi:{TOKEN}".encode()).decode(),
        "Basic " + base64.b64encode(TOKEN.encode()).decode(),
    ],
)  # fmt: skip
def test_the_token_is_known_in_every_form_in_which_green_api_sends_it(header: str) -> None:
    assert Admission(TOKEN).admits(header.encode())
    assert Admission(f"Bearer {TOKEN}").admits(header.encode())


def test_a_token_that_was_stored_as_a_basic_pair_is_compared_as_it_stands() -> None:
    pair = "Basic " + base64.b64encode(b"user:secret").decode()
    assert Admission(pair).admits(pair.encode())
    assert Admission("secret").admits(pair.encode())
    assert not Admission("user").admits(pair.encode())


@pytest.mark.parametrize(
    "header",
    [
        None, b"", b" ", b"Bearer", b"Bearer ", b"Basic", b"Basic !!!", b"Basic ====", b"\xff\xfe\x00", "Bearer ключ".encode(),
        TOKEN[:-1].encode(), f"{TOKEN}x".encode(), f"Bearer {TOKEN}, {TOKEN}".encode(), f"Digest {TOKEN}".encode(),
        f"Bearer Bearer {TOKEN}".encode(), TOKEN.upper().encode(), b"A" * 10_000,
    ],
)  # fmt: skip
def test_anything_else_is_not_the_token(header: bytes | None) -> None:
    assert not Admission(TOKEN).admits(header)


def test_who_may_come_in_is_not_written_into_a_traceback() -> None:
    assert TOKEN not in repr(Admission(TOKEN))


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "0"])
async def test_without_the_right_token_nothing_is_stored_and_the_log_says_nothing_of_the_body(
    desk: Desk, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    before = desk.count("payloads")
    assert await desk.post(body(1, "the lease is signed"), token) == 401
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("whatsapp_mcp.webhook")]
    assert lines == ["401, without the right token, from 127.0.0.1"]
    assert not any(secret in caplog.text for secret in ("lease", "15550100002", TOKEN, token or TOKEN))
    assert desk.count("payloads") == before


async def test_a_header_that_is_no_ascii_is_refused_like_any_other(desk: Desk) -> None:
    answer = await raw(
        desk, HEAD + b"Authorization: Bearer \xff\xfe\xd0\xba\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    )
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_message_is_there_as_soon_as_it_is_answered_and_the_token_is_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert await desk.post(body(1, "the lease is signed")) == 200
    assert desk.rows("SELECT content FROM messages") == [("the lease is signed",)]
    assert desk.rows("SELECT origin, item_count, unreadable_count FROM payloads") == [("webhook", 1, 0)]
    assert TOKEN.encode() not in desk.path.read_bytes() + desk.path.with_name(f"{desk.path.name}-wal").read_bytes()
    assert TOKEN not in caplog.text
    assert "lease" not in caplog.text


async def test_the_same_notification_twice_is_one_message_and_one_payload(desk: Desk) -> None:
    assert [await desk.post(body(1)) for _ in range(3)] == [200, 200, 200]
    assert (desk.count("messages"), desk.count("payloads")) == (1, 1)


async def test_what_nobody_can_read_is_kept_and_blocks_nothing(desk: Desk) -> None:
    for number, (name, poison) in enumerate(POISON.items(), 1):
        assert [await desk.post(poison), await desk.post(poison)] == [200, 200], name
        assert desk.count("payloads") == number, name
    assert await desk.post(body(1, "after it")) == 200
    assert ("after it",) in desk.rows("SELECT content FROM messages")


async def test_all_of_it_at_once_is_accounted_for(desk: Desk) -> None:
    bodies = [*POISON.values(), *(body(number) for number in range(100))] * 2
    statuses: list[int] = []

    async def post(one: bytes) -> None:
        statuses.append(await desk.post(one))

    async with anyio.create_task_group() as tasks:
        for one in bodies:
            tasks.start_soon(post, one)
    assert statuses == [200] * len(bodies)
    assert desk.count("payloads") == len(POISON) + 100
    assert desk.rows("SELECT count(*) FROM messages WHERE content = 'hello'")[0][0] >= 100


@pytest.mark.parametrize("empty", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
async def test_an_empty_body_is_answered_and_counted(tmp_path: Path, empty: bytes) -> None:
    async with receiving(tmp_path) as desk:
        assert await desk.post(empty) == 200
        assert desk.count("payloads") == 0
    assert "Empty notifications: 1." in desk.outcome[0].notes


async def test_the_content_type_does_not_matter(desk: Desk) -> None:
    assert await desk.post(body(1), **{"Content-Type": "text/plain; charset=koi8-r"}) == 200
    assert desk.count("messages") == 1


async def test_there_is_one_path_and_one_verb(desk: Desk) -> None:
    base = desk.url.removesuffix("/webhook")
    headers = {"Authorization": TOKEN}
    for path in ("/", "/webhook/", "/Webhook", "/webhook/more", "/.env", "//webhook"):
        assert (await desk.http.post(base + path, content=body(1), headers=headers)).status_code == 404
    for verb in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        answer = await desk.http.request(verb, desk.url, headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert desk.count("payloads") == 0


async def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(desk: Desk) -> None:
    async with await desk.connect() as stream:
        await stream.send(AUTHORIZED + b"Content-Length: 5242881\r\n\r\n{")
        assert (await stream.receive()).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_turns_out_too_large_is_refused(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 1_000

    async with receiving(tmp_path, limits=Limits(body=10_000)) as desk:
        answer = await desk.http.post(desk.url, content=pieces(), headers={"Authorization": TOKEN})
        assert answer.status_code == 413
        assert await desk.post(b'"' + b"x" * 9_998 + b'"') == 200
        assert await desk.post(b'"' + b"x" * 9_999 + b'"') == 413
        assert desk.count("payloads") == 1


async def test_five_megabytes_are_taken(desk: Desk) -> None:
    assert await desk.post(b'"' + b"x" * (5 * 1024 * 1024 - 2) + b'"') == 200
    assert desk.count("payloads") == 1


@pytest.mark.parametrize(
    "part", [b"", b"P", HEAD, AUTHORIZED + b"X-More: ", AUTHORIZED + b"Content-Length: 10\r\n\r\nabc"],
    ids=["nothing", "a letter", "headers", "more headers", "a body"],
)  # fmt: skip
async def test_a_client_that_stops_in_the_middle_is_cut(tmp_path: Path, part: bytes) -> None:
    async with receiving(tmp_path, limits=QUICK) as desk:
        answer = await raw(desk, *([part] if part else []))
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert await desk.post(body(1)) == 200
        assert desk.count("payloads") == 1


@pytest.mark.parametrize("start", [HEAD, AUTHORIZED + b"Transfer-Encoding: chunked\r\n\r\n"], ids=["headers", "body"])
async def test_a_client_that_dribbles_is_cut(tmp_path: Path, start: bytes) -> None:
    drop = b"X: y\r\n" if start == HEAD else b"1\r\nx\r\n"

    async def dribble(stream: anyio.abc.SocketStream) -> None:
        try:
            while True:
                await stream.send(drop)
                await anyio.sleep(0.05)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return

    async with receiving(tmp_path, limits=QUICK) as desk:
        with anyio.fail_after(WITHIN):
            async with await desk.connect() as stream, anyio.create_task_group() as tasks:
                await stream.send(start)
                tasks.start_soon(dribble, stream)
                await rest_of(stream)
                tasks.cancel_scope.cancel()
        assert await desk.post(body(1)) == 200


async def test_an_answered_client_that_goes_on_sending_is_cut(tmp_path: Path) -> None:
    async with receiving(tmp_path, limits=QUICK) as desk:
        answer = await raw(desk, HEAD + b"Content-Length: 1000000\r\n\r\n{")
        assert answer.startswith(b"HTTP/1.1 401 ")


async def test_too_many_connections_are_told_so_and_the_next_one_is_served(tmp_path: Path) -> None:
    async with receiving(tmp_path, limits=Limits(connections=2)) as desk:
        first, second = await desk.connect(), await desk.connect()
        assert (await raw(desk, AUTHORIZED)).startswith(b"HTTP/1.1 503 ")
        await first.aclose()
        await second.aclose()
        with anyio.fail_after(WITHIN):
            while True:
                with suppress(httpx.TransportError):  # it may not have noticed yet that the two have left
                    if await desk.post(body(1)) == 200:
                        break


async def test_where_there_is_no_room_for_a_request_it_waits_for_its_turn(tmp_path: Path) -> None:
    async with receiving(tmp_path, limits=Limits(requests=1, patience=WITHIN)) as desk, await desk.connect() as stream:
        await stream.send(AUTHORIZED + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 100 ")
        answers: list[int] = []

        async def post(number: int) -> None:
            answers.append(await desk.post(body(number)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, 1)
            tasks.start_soon(post, 2)
            await anyio.wait_all_tasks_blocked()
            assert answers == []
            await stream.send(b"{}")
        assert answers == [200, 200]


async def test_two_hundred_at_once_are_all_stored(desk: Desk) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(199):  # a connection of the desk's own may still be open
            tasks.start_soon(desk.post, body(number))
    assert desk.count("messages") == 199


async def test_a_request_that_waits_too_long_is_told_to_come_again(tmp_path: Path) -> None:
    async with receiving(tmp_path, limits=Limits(requests=0, patience=0.5)) as desk:
        assert await desk.post(body(1)) == 503


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(desk: Desk) -> None:
    async with await desk.connect() as stream:
        await stream.send(AUTHORIZED + b"Content-Length: 100\r\n\r\n{")
    assert await desk.post(body(1)) == 200
    assert desk.count("payloads") == 1


async def test_two_requests_in_one_packet_are_both_answered(desk: Desk) -> None:
    one, two = body(1), body(2)
    requests = [AUTHORIZED + b"Content-Length: %d\r\n" % len(each) for each in (one, two)]
    answer = await raw(desk, requests[0] + b"\r\n" + one + requests[1] + b"Connection: close\r\n\r\n" + two)
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert desk.count("messages") == 2


@pytest.mark.parametrize("request_line", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"POST /webhook HTTP/9\r\n\r\n"])
async def test_what_is_no_http_is_hung_up_on(desk: Desk, request_line: bytes) -> None:
    assert (await raw(desk, request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert await desk.post(body(1)) == 200


async def test_without_a_token_loopback_is_open_to_programs_but_not_to_web_pages(tmp_path: Path) -> None:
    async with receiving(tmp_path, token="") as desk:
        assert any("no WEBHOOK_TOKEN" in line for line in desk.said)
        assert await desk.post(body(1), "whatever") == 200
        assert await desk.post(body(2), Origin="https://page.example") == 403
        assert desk.count("messages") == 1


class Minutes(Hurried):
    time = 0.0

    def monotonic(self) -> float:
        return self.time


def test_a_scanner_cannot_fill_the_disk_with_lines(caplog: pytest.LogCaptureFixture) -> None:
    clock = Minutes()
    complaints = Complaints(clock)
    for _ in range(1_000):
        complaints.tell("401, without the right token", "203.0.113.9")
    assert len(caplog.records) == 10
    clock.time += 61
    complaints.tell("401, without the right token", "203.0.113.9")
    assert [record.getMessage() for record in caplog.records[10:]] == [
        "990 more requests were refused", "401, without the right token, from 203.0.113.9",
    ]  # fmt: skip
    assert complaints.counts.total() == 1_001
