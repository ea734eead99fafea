"""The simulated gateway's queue, what happens while it runs, and everything that can go wrong."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from gateway_caller import Caller, calling, mike

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.faults import ANY, Fault
from whatsapp_mcp.demo.running import running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def caller(account: Account) -> Iterator[Caller]:
    with calling(account) as caller:
        yield caller


# Queue


def test_an_empty_queue_is_null_after_the_time_that_was_asked_for(caller: Caller) -> None:
    began = time.monotonic()
    assert caller.get("receiveNotification", receiveTimeout=20) is None
    assert 0.2 <= time.monotonic() - began < 3


def test_the_head_of_the_queue_stays_until_it_is_deleted(caller: Caller, account: Account) -> None:
    gateway = caller.gateway
    first = gateway.deliver(gateway.compose(mike(account), "first"))
    gateway.deliver(gateway.compose(mike(account), "second", from_me=True))
    one, again = caller.get("receiveNotification"), caller.get("receiveNotification")
    assert one == again
    assert set(one) == {"receiptId", "body"}
    assert one["body"] == {
        "typeWebhook": "incomingMessageReceived",
        "instanceData": {"idInstance": 7105000001, "wid": "15550100001@c.us", "typeInstance": "whatsapp"},
        "timestamp": first.sent_at,
        "idMessage": first.id,
        "senderData": {
            "chatId": mike(account), "chatName": "Mike Turner", "sender": mike(account), "senderName": "Mike",
            "senderContactName": "Mike Turner",
        },
        "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": "first"}},
    }  # fmt: skip
    assert caller.get("getWebhooksCount") == {"count": 2}
    assert caller.get("deleteNotification", f"/{one['receiptId']}") == {"result": True}
    assert caller.get("deleteNotification", f"/{one['receiptId']}") == {"result": False, "reason": "not found"}
    second = caller.get("receiveNotification")["body"]
    assert second["typeWebhook"] == "outgoingMessageReceived"
    assert second["senderData"]["sender"] == "15550100001@c.us"


def test_a_long_poll_is_answered_as_soon_as_something_arrives(account: Account) -> None:
    with calling(account, patience=1) as caller:
        gateway = caller.gateway
        timer = threading.Timer(0.2, lambda: gateway.deliver(gateway.compose(mike(account), "there you are")))
        timer.start()
        began = time.monotonic()
        assert caller.get("receiveNotification", receiveTimeout=60)["body"]["idMessage"]
        assert time.monotonic() - began < 4
        timer.join()


def test_polling_is_refused_while_a_webhook_is_set(caller: Caller) -> None:
    caller.gateway.settings["webhookUrl"] = "https://hooks.example.org/"
    assert caller.call("receiveNotification").status_code == 400


def test_what_is_delivered_appears_everywhere_and_changes_its_target(caller: Caller, account: Account) -> None:
    gateway, chat = caller.gateway, mike(account)
    before = len(gateway.truth())
    said = gateway.deliver(gateway.compose(chat, "See you at seven"))
    gateway.deliver(gateway.compose_reaction(said, "👍", from_me=True))
    gateway.deliver(gateway.compose_edit(said, "See you at eight"))
    assert len(gateway.truth()) == before + 1
    assert [message.content for message in gateway.truth() if message.id == said.id] == ["See you at eight"]
    told = {item["typeMessage"]: item for item in caller.history(chat, 3)}
    assert set(told) == {"textMessage", "reactionMessage", "editedMessage"}
    assert told["textMessage"]["isEdited"] is True
    assert told["editedMessage"]["editedMessageId"] == said.id
    assert said.id in {item["idMessage"] for item in caller.get("lastIncomingMessages")}
    assert caller.get("getChats")[0]["id"] == chat
    gateway.deliver(gateway.compose_deletion(said))
    assert caller.get("getMessage", chatId=chat, idMessage=said.id)["isDeleted"] is True
    assert len(gateway.queue) == 4


def test_a_message_can_be_missing_from_queue_journal_or_history(caller: Caller, account: Account) -> None:
    gateway, chat = caller.gateway, mike(account)
    gateway.deliver(gateway.compose(chat, "history only"), journal=False, queue=False)
    gateway.deliver(gateway.compose(chat, "queue only"), journal=False, history=False)
    assert [item["textMessage"] for item in caller.history(chat, 1)] == ["history only"]
    assert "history only" not in str(caller.get("lastIncomingMessages"))
    assert len(gateway.queue) == 1


def test_a_status_moves_the_message_and_is_notified(caller: Caller, account: Account) -> None:
    gateway = caller.gateway
    said = gateway.deliver(
        gateway.compose(mike(account), "did you read this?", from_me=True)._replace(status="sent"), queue=False
    )
    gateway.report_status(said, "read")
    body = caller.get("receiveNotification")["body"]
    assert set(body) == {"typeWebhook", "chatId", "instanceData", "timestamp", "idMessage", "status", "sendByApi"}
    assert (body["typeWebhook"], body["status"]) == ("outgoingMessageStatus", "read")
    assert caller.get("getMessage", chatId=said.chat, idMessage=said.id)["statusMessage"] == "read"


# Faults


@pytest.mark.parametrize(
    ("fault", "status", "start"),
    [
        (Fault.TOO_MANY, 429, "Too Many"), (Fault.BAD_GATEWAY, 502, "<html>"), (Fault.SERVER_ERROR, 500, "{"),
        (Fault.UNAVAILABLE, 503, ""), (Fault.EMPTY, 200, "[]"), (Fault.CUT_OFF, 200, "["), (Fault.STRAY_COMMA, 200, "["),
        (Fault.EMPTY_ITEM, 200, '[{"type":"outgoing","typeMessage":""}'),
    ],
)  # fmt: skip
def test_a_planned_fault_meets_the_next_call_and_no_other(caller: Caller, fault: Fault, status: int, start: str) -> None:
    good = caller.get("getContacts")
    caller.gateway.faults.next("getContacts", fault)
    spoilt = caller.call("getContacts")
    assert spoilt.status_code == status
    assert spoilt.text.startswith(start)
    assert caller.get("getContacts") == good


def test_cut_off_and_stray_comma_are_no_json(caller: Caller) -> None:
    for fault in (Fault.CUT_OFF, Fault.STRAY_COMMA):
        caller.gateway.faults.next("getChats", fault)
        with pytest.raises(ValueError, match=r"."):
            caller.call("getChats").json()
    assert '},,{"' in _spoilt(caller, Fault.STRAY_COMMA)


def _spoilt(caller: Caller, fault: Fault) -> str:
    caller.gateway.faults.next("getChats", fault)
    return caller.call("getChats").text


def test_a_regular_fault_meets_every_nth_call(caller: Caller) -> None:
    caller.gateway.faults.every(ANY, Fault.BAD_GATEWAY, nth=3)
    assert [caller.call("getChats").status_code for _ in range(6)] == [200, 200, 502, 200, 200, 502]
    caller.gateway.faults.clear()
    assert {caller.call("getChats").status_code for _ in range(3)} == {200}


def test_no_answer_lasts_until_the_caller_gives_up(caller: Caller) -> None:
    caller.gateway.faults.next("getChats", Fault.NO_ANSWER)
    caller.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        caller.call("getChats")


def test_a_broken_connection_ends_within_the_body(caller: Caller) -> None:
    caller.gateway.faults.next("getChats", Fault.BROKEN_CONNECTION)
    with pytest.raises(httpx.RemoteProtocolError):
        caller.call("getChats")
    assert caller.call("getChats").status_code == 200


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        ("notAuthorized", 400, "instance is starting or not authorized"),
        ("starting", 400, "instance in starting process try later"),
        ("expired", 400, "Instance account is expired. Renew your instance from personal area"),
        ("removed", 400, "Instance is deleted"), ("blocked", 400, "instance is starting or not authorized"),
        ("deleted", 401, ""), ("yellowCard", 200, ""), ("suspended", 200, ""),
    ],
)  # fmt: skip
def test_an_instance_in_a_bad_state_refuses_with_the_documented_text(
    caller: Caller, state: str, status: int, text: str
) -> None:
    caller.gateway.faults.state = state
    answer = caller.call("getChats")
    assert answer.status_code == status
    assert text in answer.text
    if state not in ("expired", "removed", "deleted"):
        assert caller.get("getStateInstance") == {"stateInstance": state}
        assert set(caller.get("getWaSettings").values()) == {"", state}


def test_a_new_instance_has_no_state(caller: Caller) -> None:
    caller.gateway.faults.state = None
    assert caller.get("getStateInstance") is None


def test_a_used_up_quota_is_466_with_its_body(caller: Caller, account: Account) -> None:
    caller.gateway.faults.quotas["getChatHistory"] = 1
    caller.history(mike(account))
    answer = caller.call("getChatHistory", chatId=mike(account))
    assert answer.status_code == 466
    assert set(answer.json()["invokeStatus"]) == {"method", "used", "total", "status", "description"}
    assert answer.json()["invokeStatus"]["status"] == "QUOTE_EXCEEDED"
    caller.gateway.faults.quotas.clear()
    caller.gateway.faults.correspondents_used_up = True
    body = caller.call("getChatHistory", chatId=mike(account)).json()
    assert body["invokeStatus"]["status"] == "QUOTE_ALLOWED"
    assert body["correspondentsStatus"]["status"] == "CORRESPONDENTS_QUOTE_EXCEEDED"


def test_histories_can_be_capped_refused_or_fail(caller: Caller, account: Account) -> None:
    faults, chat = caller.gateway.faults, mike(account)
    faults.history_cap = 10
    assert len(caller.history(chat)) == 10
    faults.history_cap = None
    faults.largest_count = 500
    assert caller.call("getChatHistory", chatId=chat, count=501).status_code == 400
    assert len(caller.history(chat, 500)) > 10
    faults.failing_chats[chat] = 500
    assert caller.call("getChatHistory", chatId=chat, count=5).status_code == 500


def test_chats_can_hide_journals_lag_and_the_count_be_misspelt(caller: Caller, account: Account) -> None:
    faults, chat = caller.gateway.faults, mike(account)
    faults.hidden_chats.add(chat)
    assert len(caller.get("getChats")) == len(account.chat_ids) - 1
    caller.gateway.deliver(caller.gateway.compose(chat, "just now"))
    faults.journal_lag = 120
    assert "just now" not in str(caller.history(chat, 3))
    caller.gateway.now += 120
    assert "just now" in str(caller.history(chat, 3))
    faults.cyrillic_count = True
    assert list(caller.get("getWebhooksCount")) == ["\u0441ount"]


async def test_an_async_program_has_a_gateway_too(account: Account) -> None:
    async with running_gateway(account, latency=0.05) as gateway, httpx.AsyncClient() as client:
        began = time.monotonic()
        url = f"{gateway.url}/waInstance{gateway.id_instance}/getStateInstance/{gateway.token}"
        assert (await client.get(url)).json() == {"stateInstance": "authorized"}
        assert time.monotonic() - began >= 0.05
