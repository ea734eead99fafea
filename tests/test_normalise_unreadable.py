"""What is damaged, misplaced or unknown is said to be so, and hides nothing beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from normalised import AT, CHAT, RECEIVED, item, journal, read

from whatsapp_mcp.normalise import normalise, records_of
from whatsapp_mcp.payload import Payload, cut_items
from whatsapp_mcp.records import Message, Unreadable


@pytest.mark.parametrize(
    ("type_message", "fields", "reason"),
    [
        ("editedMessage", {"textMessage": ""}, "edit without a target"),
        ("editedMessage", {"editedMessageId": "3A00", "textMessage": ""}, "edit without a text"),
        ("editedMessage", {"editedMessageId": "3A00", "textMessage": "{{SWE001}}"}, "edit without a text"),
        ("deletedMessage", {"deletedMessageId": ""}, "deletion without a target"),
        ("reactionMessage", {"extendedTextMessageData": {"text": "🎶"}}, "reaction without a target"),
        ("reactionMessage", {"quotedMessage": {"stanzaId": "3A00"}}, "reaction without an emoji"),
        ("pollUpdateMessage", {"pollMessageData": {"votes": []}}, "votes without a poll"),
        ("textMessage", {"chatId": "null@c.us"}, "no chat"),
        ("textMessage", {"chatId": ...}, "no chat"),
        ("textMessage", {"chatId": "@c.us"}, "no chat"),
        ("textMessage", {"chatId": [CHAT]}, "no chat"),
        ("textMessage", {"idMessage": ""}, "no message id"),
        ("textMessage", {"timestamp": ...}, "no time"),
        ("textMessage", {"timestamp": 0}, "no time"),
        ("textMessage", {"timestamp": True}, "no time"),
    ],
)
def test_what_cannot_be_placed_is_unreadable_and_says_why(type_message: str, fields: dict[str, Any], reason: str) -> None:
    assert journal(type_message, senderName="Nora", **fields) == [Unreadable(reason)]


def test_the_empty_item_that_follows_a_send_is_unreadable() -> None:
    assert read("getChatHistory", {"type": "outgoing", "typeMessage": ""}) == [Unreadable("no chat")]


def test_half_a_surrogate_pair_and_nul_cannot_reach_the_store() -> None:
    text = f'{{"typeMessage":"textMessage","idMessage":"3A\\u00001","timestamp":{AT},"chatId":"{CHAT}","textMessage":'
    for words in ('"a\\ud83cb\\u0000c\\ud83c\\udfb6"}', '"a\ud83cb\0c🎶"}'):
        first = records_of("getChatHistory", text + words, received_at=RECEIVED, context={})[0]
        assert first == Message(CHAT, "3A1", AT, CHAT, kind="text", content="a\ufffdbc🎶")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"chatId": ', "not JSON"),
        ("", "not JSON"),
        ("[]", "not an object"),
        ("null", "not an object"),
        ('"Error: forbidden"', "Error: forbidden"),
        ("{}", "no chat"),
    ],
)
def test_what_is_no_item_is_unreadable(text: str, reason: str) -> None:
    assert records_of("getChatHistory", text, received_at=RECEIVED, context={}) == [Unreadable(reason)]


def test_a_number_of_five_thousand_digits_does_not_hide_the_message_around_it() -> None:
    text = json.dumps(item(textMessage="hi", someScore=0)).replace('"someScore": 0', f'"someScore": {"9" * 5000}')
    first = records_of("getChatHistory", text, received_at=RECEIVED, context={})[0]
    assert first == Message(CHAT, "3A01", AT, CHAT, kind="text", content="hi")


def test_a_damaged_array_gives_what_can_be_read_of_it() -> None:
    good = json.dumps(item(textMessage="hi"))
    items, damaged = cut_items(f'[{good},,{good},{{"type":"outg')
    assert damaged
    records = normalise(Payload("lastIncomingMessages", RECEIVED, items))
    assert records == [Message(CHAT, "3A01", AT, CHAT, kind="text", content="hi")] * 2 + [Unreadable("not JSON")]


def test_an_origin_that_nobody_reads_is_unreadable() -> None:
    assert read("getTheMoon", {}) == [Unreadable("unknown origin")]


def test_the_items_of_a_chat_export_have_a_reader_of_their_own() -> None:
    said = records_of("chat_export", "no export at all", received_at=RECEIVED, context={})
    assert said == [Unreadable("not an item of a chat export")]
