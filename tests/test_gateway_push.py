"""The simulated gateway pushes to a webhook: a real receiver on loopback says what it got."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from gateway_caller import Caller, calling, mike

from whatsapp_mcp.demo.account import SMALL, Account, make_account

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN = 10.0


@dataclass
class Receiver:
    """What came in, and with which statuses to answer it; 200 when there is no other left."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    hold_first: threading.Event | None = None
    """The first one is not answered before this is set."""

    def take(self, body: str, headers: dict[str, str]) -> int:
        with self.arrived:
            self.got.append((body, headers))
            self.arrived.notify_all()
            status = self.statuses.pop(0) if self.statuses else 200
        if self.hold_first is not None and len(self.got) == 1:
            self.hold_first.wait(WITHIN)
        return status

    def wait_for(self, count: int) -> list[str]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, WITHIN), f"only {len(self.got)} came"
            return [body for body, _ in self.got]


@contextmanager
def receiving(path: str = "/webhook") -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == path
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(receiver.take(body, {name.lower(): value for name, value in self.headers.items()}))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(WITHIN)


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def caller(account: Account) -> Iterator[Caller]:
    with calling(account, patience=0.001) as caller:
        yield caller


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def say(caller: Caller, *texts: str) -> list[str]:
    gateway = caller.gateway
    return [gateway.deliver(gateway.compose(mike(gateway.account), text)).id for text in texts]


def until_empty(caller: Caller) -> None:
    end = time.monotonic() + WITHIN
    while caller.get("getWebhooksCount") != {"count": 0}:
        assert time.monotonic() < end, "the queue does not drain"


def test_notifications_are_pushed_in_order_and_leave_the_queue(caller: Caller, receiver: Receiver) -> None:
    ids = say(caller, "first", "second")
    caller.gateway.settings["webhookUrl"] = receiver.url
    ids += say(caller, "third")
    bodies = receiver.wait_for(3)
    assert [one in body for one, body in zip(ids, bodies, strict=True)] == [True] * 3
    assert bodies[0].startswith('{"typeWebhook":"incomingMessageReceived"')
    assert receiver.got[0][1]["content-type"] == "application/json; charset=utf-8"
    assert "authorization" not in receiver.got[0][1]
    until_empty(caller)
    assert caller.call("receiveNotification").status_code == 400
    assert [pushed.status for pushed in caller.gateway.pushes] == [200, 200, 200]


@pytest.mark.parametrize(
    ("stored", "sent"),
    [("secret-word", "Bearer secret-word"), ("Bearer secret-word", "Bearer secret-word"), ("Basic c2VjcmV0", "Basic c2VjcmV0")],
)
def test_the_token_is_sent_as_documented(caller: Caller, receiver: Receiver, stored: str, sent: str) -> None:
    caller.gateway.settings["webhookUrlToken"] = stored
    caller.gateway.settings["webhookUrl"] = receiver.url
    say(caller, "hello")
    receiver.wait_for(1)
    assert receiver.got[0][1]["authorization"] == sent


def test_a_refused_notification_comes_again_and_the_others_wait_behind_it(caller: Caller, receiver: Receiver) -> None:
    receiver.statuses += [500, 401, 202]
    caller.gateway.settings["webhookUrl"] = receiver.url
    first, second = say(caller, "first", "second")
    bodies = receiver.wait_for(5)
    assert [first in body for body in bodies] == [True, True, True, True, False]
    assert second in bodies[4]
    until_empty(caller)
    assert [pushed.status for pushed in caller.gateway.pushes] == [500, 401, 202, 200, 200]


def test_a_receiver_that_takes_too_long_gets_the_same_again(caller: Caller, receiver: Receiver) -> None:
    receiver.hold_first = threading.Event()
    caller.gateway.settings["webhookUrl"] = receiver.url
    (said,) = say(caller, "hello?")
    bodies = receiver.wait_for(2)
    receiver.hold_first.set()
    assert [said in body for body in bodies] == [True, True]
    until_empty(caller)
    assert [pushed.status for pushed in caller.gateway.pushes] == [0, 200]


def test_a_raw_text_is_pushed_as_it_stands(caller: Caller, receiver: Receiver) -> None:
    caller.gateway.settings["webhookUrl"] = receiver.url
    caller.gateway.enqueue_raw('{"typeWebhook": broken')
    assert receiver.wait_for(1) == ['{"typeWebhook": broken']


def test_nobody_at_the_address_loses_nothing(caller: Caller) -> None:
    with receiving() as gone:
        caller.gateway.settings["webhookUrl"] = gone.url
    (said,) = say(caller, "is anybody there?")
    end = time.monotonic() + WITHIN
    while len(caller.gateway.pushes) < 2:
        assert time.monotonic() < end
        caller.get("getStateInstance")
    assert {pushed.status for pushed in caller.gateway.pushes} == {0}
    caller.gateway.settings["webhookUrl"] = ""
    assert caller.get("receiveNotification")["body"]["idMessage"] == said


def test_a_push_in_its_pause_does_not_keep_the_gateway_from_stopping(account: Account, receiver: Receiver) -> None:
    receiver.statuses += [500]
    with calling(account, patience=1) as caller:
        caller.gateway.settings["webhookUrl"] = receiver.url
        say(caller, "hello")
        receiver.wait_for(1)
        began = time.monotonic()
    assert time.monotonic() - began < 9
    assert len(receiver.got) == 1
