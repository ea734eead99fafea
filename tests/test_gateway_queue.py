"""What the simulated gateway's queue, journals and directories do when time passes and things go wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from gateway_caller import Caller, calling, mike

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whatsapp_mcp.demo.entry import Entry

YEARS = 5_000_000


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def caller(account: Account) -> Iterator[Caller]:
    with calling(account) as caller:
        yield caller


def say(caller: Caller, *texts: str) -> list[Entry]:
    gateway = caller.gateway
    return [gateway.deliver(gateway.compose(mike(gateway.account), text)) for text in texts]


def drain(caller: Caller) -> list[dict[str, Any]]:
    """Receive and delete until the queue says that it is empty."""
    bodies = []
    while ticket := caller.get("receiveNotification", receiveTimeout=5):
        bodies.append(ticket["body"])
        caller.get("deleteNotification", f"/{ticket['receiptId']}")
    return bodies


# Queue


def test_a_raw_notification_is_served_as_it_stands(caller: Caller) -> None:
    receipts = [caller.gateway.enqueue_raw(text) for text in ("{broken", '"text"', "[1,", '{"a":"\u0000"}')]
    answer = caller.call("receiveNotification")
    assert answer.text == f'{{"receiptId":{receipts[0]},"body":{{broken}}'
    assert caller.get("deleteNotification", f"/{receipts[0]}") == {"result": True}
    assert caller.get("receiveNotification") == {"receiptId": receipts[1], "body": "text"}


def test_raw_bytes_that_are_no_text_can_be_served(caller: Caller) -> None:
    caller.gateway.enqueue_raw('"\udcff"')
    assert caller.call("receiveNotification").content.endswith(b'"body":"\xff"}')


def test_what_waited_a_day_is_dropped_unless_that_is_switched_off(caller: Caller) -> None:
    first, second = say(caller, "old", "newer")
    caller.gateway.now = first.sent_at + 86_400
    assert caller.get("getWebhooksCount") == {"count": 2}
    caller.gateway.faults.queue_expiry = False
    caller.gateway.now += 1
    assert caller.get("getWebhooksCount") == {"count": 2}
    caller.gateway.faults.queue_expiry = True
    assert [body["idMessage"] for body in drain(caller)] == [second.id]


def test_a_poll_can_say_null_although_the_queue_holds_something(caller: Caller) -> None:
    (said,) = say(caller, "are you there?")
    caller.gateway.faults.empty_polls = 2
    assert [caller.get("receiveNotification") for _ in range(2)] == [None, None]
    assert caller.get("getWebhooksCount") == {"count": 1}
    assert caller.get("receiveNotification")["body"]["idMessage"] == said.id


def test_another_program_takes_a_share_of_the_queue(caller: Caller) -> None:
    said = say(caller, *map(str, range(10)))
    assert caller.gateway.steal(0.3) == 3
    assert len(caller.gateway.stolen) == 3
    assert len(drain(caller)) == 7
    assert {item["idMessage"] for item in caller.history(mike(caller.gateway.account), 10)} == {one.id for one in said}


def test_every_third_notification_is_stolen_as_it_comes(caller: Caller) -> None:
    caller.gateway.faults.stolen = 3
    said = say(caller, *map(str, range(9)))
    lost = {said[place].id for place in (2, 5, 8)}
    assert [body["idMessage"] for body in drain(caller)] == [one.id for one in said if one.id not in lost]


def test_a_notification_can_come_twice_and_be_told_again_later(caller: Caller) -> None:
    caller.gateway.faults.duplicates = 2
    first, second = say(caller, "once", "twice")
    caller.gateway.faults.duplicates = 0
    caller.gateway.tell_again(first)
    assert [body["idMessage"] for body in drain(caller)] == [first.id, second.id, second.id, first.id]


def test_a_delivery_state_can_come_before_its_message(caller: Caller) -> None:
    gateway = caller.gateway
    said = gateway.deliver_status_first(gateway.compose(mike(gateway.account), "photo", from_me=True), "delivered")
    bodies = drain(caller)
    assert [body["typeWebhook"] for body in bodies] == ["outgoingMessageStatus", "outgoingMessageReceived"]
    assert {body["idMessage"] for body in bodies} == {said.id}
    assert caller.get("getMessage", chatId=said.chat, idMessage=said.id)["statusMessage"] == "delivered"


# Journals and histories


def test_journals_can_be_cut_without_a_word(caller: Caller) -> None:
    whole = caller.get("lastIncomingMessages", minutes=YEARS)
    caller.gateway.faults.journal_cap = 5
    assert caller.get("lastIncomingMessages", minutes=YEARS) == whole[:5]
    assert len(caller.get("lastOutgoingMessages", minutes=YEARS)) == 5
    caller.gateway.faults.journal_cap = 1
    assert len(caller.get("lastIncomingCalls", minutes=YEARS)) == 1


def test_journals_can_have_holes_that_the_history_fills(caller: Caller) -> None:
    hole, told = say(caller, "not in the journal", "in the journal")
    caller.gateway.faults.journal_holes.add(hole.id)
    journal = {item["idMessage"] for item in caller.get("lastIncomingMessages")}
    assert told.id in journal
    assert hole.id not in journal
    assert [item["idMessage"] for item in caller.history(hole.chat, 2)] == [told.id, hole.id]


def test_one_history_can_shrink(caller: Caller, account: Account) -> None:
    whole = caller.history(mike(account))
    caller.gateway.faults.short_histories[mike(account)] = 3
    assert caller.history(mike(account)) == whole[:3]
    assert caller.history(mike(account), 2) == whole[:2]


def test_get_message_can_fail_to_find_what_the_history_tells(caller: Caller) -> None:
    (said,) = say(caller, "find me")
    caller.gateway.faults.unknown_messages.add(said.id)
    answer = caller.call("getMessage", chatId=said.chat, idMessage=said.id)
    assert (answer.status_code, answer.json()["message"]) == (400, "ID message notfound")


# Names and members


def test_a_group_changes_over_time(caller: Caller, account: Account) -> None:
    gateway, family = caller.gateway, account.group("המשפחה")
    before = {member["id"]: member for member in caller.get("getGroupData", groupId=family.id)["participants"]}
    gone, promoted = (member for member in family.members if member not in (family.owner, account.owner.id))
    gateway.change_group(family, add=[account.person("Carmen").id], remove=[gone], promote=[promoted], subject="Home")
    data = caller.get("getGroupData", groupId=family.id)
    after = {member["id"]: member for member in data["participants"]}
    assert set(after) == set(before) - {gone} | {account.person("Carmen").id}
    assert after[promoted]["isAdmin"]
    assert data["subject"] == "Home"
    assert {"id": family.id, "name": "Home", "contactName": "", "type": "group"} in caller.get("getContacts", group="true")
    assert "Home" in {chat["name"] for chat in caller.get("getChats")}
    gateway.change_group(family.id, demote=[promoted])
    assert not next(m for m in caller.get("getGroupData", groupId=family.id)["participants"] if m["id"] == promoted)["isAdmin"]
    gateway.change_group(family, remove=[account.owner.id])
    assert caller.get("getGroupData", groupId=family.id) == "Error: forbidden"
    gateway.change_group(family, add=[account.owner.id])
    assert caller.get("getGroupData", groupId=family.id)["size"] == len(after)
    assert account.group("המשפחה") == family


def test_a_renamed_contact_is_told_by_the_new_names_from_then_on(caller: Caller, account: Account) -> None:
    gateway, chat = caller.gateway, mike(account)
    (before,) = say(caller, "as Mike")
    gateway.rename(chat, phonebook="Michael T.", profile="Captain")
    (after,) = say(caller, "as Captain")
    told = {item["idMessage"]: (item["senderName"], item["senderContactName"]) for item in caller.history(chat, 2)}
    assert told == {before.id: ("Mike", "Mike Turner"), after.id: ("Captain", "Michael T.")}
    notified = [(body["senderData"]["senderName"], body["senderData"]["chatName"]) for body in drain(caller)]
    assert notified == [("Mike", "Mike Turner"), ("Captain", "Michael T.")]
    assert caller.get("getContactInfo", chatId=chat)["contactName"] == "Michael T."
    assert "Michael T." in {contact["contactName"] for contact in caller.get("getContacts")}
    assert "Michael T." in {line["name"] for line in caller.get("getChats")}


# Statuses


def test_statuses_of_the_last_day_are_told_unless_more_is_asked_for(caller: Caller, account: Account) -> None:
    day, month = caller.get("getIncomingStatuses"), caller.get("getIncomingStatuses", minutes=43_200)
    assert [item["typeMessage"] for item in day] == ["deletedMessage", "imageMessage", "extendedTextMessage"]
    assert month[:3] == day
    assert len(month) == 4
    assert {item["type"] for item in month} == {"incoming"}
    assert set(day[2]) == {
        "type", "idMessage", "timestamp", "typeMessage", "chatId", "textMessage", "extendedTextMessage", "senderId",
        "senderName", "senderContactName",
    }  # fmt: skip
    assert {item["senderId"] for item in month} <= {person.id for person in account.people if person.phonebook_name}


def test_own_statuses_name_those_who_may_see_them_and_who_did(caller: Caller, account: Account) -> None:
    (own,) = caller.get("getOutgoingStatuses")
    assert own["chatId"] == account.owner.id
    assert len(own["extendedTextMessage"]["participants"]) == 3
    assert (own["statusMessage"], own["sendByApi"]) == ("read", True)
    views = caller.get("getStatusStatistic", idMessage=own["idMessage"])
    assert [set(view) for view in views] == [{"participant", "timestamp", "status"}] * 3
    assert caller.get("getStatusStatistic", idMessage="3A0") == []
    assert caller.call("getStatusStatistic").status_code == 400


def test_statuses_are_kept_for_thirty_days(caller: Caller) -> None:
    posted = caller.gateway.stories.post(caller.gateway.account.person("Mike"), "hello", caller.gateway.now + 1)
    assert posted not in str(caller.get("getIncomingStatuses"))
    caller.gateway.now += 30 * 86_400
    assert [item["idMessage"] for item in caller.get("getIncomingStatuses", minutes=YEARS)] == [posted]
    caller.gateway.now += 2
    assert caller.get("getIncomingStatuses", minutes=YEARS) == []


@pytest.mark.parametrize("method", ["getIncomingStatuses", "getOutgoingStatuses", "getStatusStatistic"])
def test_statuses_can_be_asked_for_once_a_second(method: str) -> None:
    limits = Limits(1)
    assert [limits.accept(method, at) for at in (100, 100.5, 101.0)] == [True, False, True]
