"""What becomes of calls, receipts, groups, chats and settings."""

from __future__ import annotations

import pytest
from normalised import AT, CHAT, GROUP, RECEIVED, journal, read

from whatsapp_mcp.normalise import instance_settings, instance_state
from whatsapp_mcp.payload import Payload, cut_items
from whatsapp_mcp.records import ME, Alias, Call, Chat, Group, Member, Members, Message, Receipt, Unreadable


def test_calls_are_messages_of_their_own_kind_with_one_spelling_of_each_end() -> None:
    seen = Message(CHAT, "3A01", AT, ME, from_me=True, kind="call")
    fields = {"type": "outgoing", "isVideo": True, "duration": "42", "status": "hangUp"}
    assert journal("outgoingCall", **fields) == [seen, Call(CHAT, "3A01", is_video=True, status="hungUp", duration=42)]
    assert journal("incomingCall", type=..., senderId=..., status="hungUp")[1] == Call(CHAT, "3A01", status="hungUp")


@pytest.mark.parametrize("duration", [2**63, 10**30, -1, "1e400", "long", None, True])
def test_a_duration_that_is_none_is_not_kept(duration: object) -> None:
    assert journal("outgoingCall", duration=duration)[1] == Call(CHAT, "3A01")


def test_an_offered_call_has_no_end_yet() -> None:
    call = {"typeWebhook": "incomingCall", "from": CHAT, "status": "offer", "idMessage": "3A01", "timestamp": AT}
    assert read("webhook", call) == [Message(CHAT, "3A01", AT, CHAT, kind="call"), Call(CHAT, "3A01")]


def test_an_outgoing_call_belongs_to_the_chat_of_who_was_called() -> None:
    call = {"typeWebhook": "outgoingCall", "from": "447700900001@c.us", "idMessage": "3A01", "timestamp": AT}
    assert read("webhook", call | {"participants": [{"id": CHAT}]})[0] == Message(
        CHAT, "3A01", AT, ME, from_me=True, kind="call"
    )
    assert read("webhook", call) == [Unreadable("no chat")]


def test_a_receipt_is_dated_by_its_arrival_where_it_names_no_time() -> None:
    status = {"typeWebhook": "outgoingMessageStatus", "chatId": CHAT, "idMessage": "3A01", "status": "yellowCard"}
    assert read("webhook", status) == [Receipt(CHAT, "3A01", "suspended", RECEIVED)]
    assert read("webhook", status | {"status": "flying"}) == [Unreadable("unknown delivery state")]


@pytest.mark.parametrize("value", [{"receiptId": 3, "body": None}, {"receiptId": 3, "body": "x"}])
def test_a_notification_without_a_body_is_unreadable(value: object) -> None:
    assert read("receiveNotification", value) == [Unreadable("no notification")]


def test_a_group_lists_its_members_with_their_roles_and_both_ids() -> None:
    people = [
        {"id": CHAT, "lid": "611000000000142@lid", "isAdmin": True},
        {"id": "447700900187@c.us", "isAdmin": False},
        {"id": "", "lid": "611000000000777@lid"},
        {"id": "447700900001@c.us", "isAdmin": "true", "isSuperAdmin": "true"},
        {"id": "null@c.us"},
        7,
    ]
    data = {
        "groupId": GROUP,
        "owner": "447700900187@c.us",
        "creation": "1554175033",
        "subject": "Choir",
        "participants": people,
    }
    assert read("getGroupData", data) == [
        Group(GROUP, RECEIVED, "Choir", "", "447700900187@c.us", 1554175033),
        Members(
            GROUP,
            RECEIVED,
            (
                Member(CHAT, "admin"),
                Member("447700900187@c.us", "owner"),
                Member("611000000000777@lid"),
                Member("447700900001@c.us", "owner"),
            ),
        ),
        Alias(CHAT, "611000000000142@lid"),
    ]


def test_a_group_that_lists_nobody_does_not_say_that_all_have_left() -> None:
    assert read("getGroupData", {"subject": "Choir", "participants": []}, groupId=GROUP) == [Group(GROUP, RECEIVED, "Choir")]


def test_a_chat_that_changed_its_id_is_the_same_person() -> None:
    assert read("getChats", {"id": CHAT, "newChatId": "611000000000142@lid"})[1] == Alias(CHAT, "611000000000142@lid")
    assert read("getChats", {"id": CHAT, "newChatId": CHAT}) == [Chat(CHAT, RECEIVED)]


def test_the_owner_is_learned_from_the_settings() -> None:
    assert read("getWaSettings", {"phone": 447700900001}) == [Alias(ME, "447700900001@c.us")]
    assert read("getWaSettings", {"phone": "", "deviceId": "447700900001:8@s.whatsapp.net"}) == [Alias(ME, "447700900001@c.us")]
    assert read("getSettings", {"wid": ""}) == []


def test_an_instance_tells_its_state_under_the_new_names() -> None:
    def state(body: str) -> str:
        return instance_state(Payload("getStateInstance", RECEIVED, cut_items(body)[0]))

    assert state('{"stateInstance": "authorized"}') == "authorized"
    assert state('{"stateInstance": "yellowCard"}') == "suspended"
    assert [state(body) for body in ("null", "[]", "{", '"x"', "[" * 5000)] == [""] * 5


def test_settings_are_texts_and_keep_their_secrets() -> None:
    body = '{"wid": "447700900001@c.us", "webhookUrlToken": "Bearer s3cret", "webhookUrl": "", "incomingWebhook": true, "n": 5}'
    settings = instance_settings(Payload("getSettings", RECEIVED, (body,)))
    assert settings == {
        "wid": "447700900001@c.us",
        "webhookUrlToken": "(set)",
        "webhookUrl": "",
        "incomingWebhook": "yes",
        "n": "5",
    }
