"""The normaliser's rules, one sentence each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from whatsapp_mcp.normalise import instance_settings, instance_state, normalise, records_of
from whatsapp_mcp.payload import Payload, cut_items
from whatsapp_mcp.records import (
    ME,
    Alias,
    Call,
    Chat,
    Contact,
    Deletion,
    Edit,
    Group,
    Member,
    Members,
    Message,
    PollVote,
    Reaction,
    Receipt,
    Record,
    Unreadable,
)

CHAT = "447700900142@c.us"
GROUP = "120363777000000314@g.us"
AT = 1_756_600_000
RECEIVED = 1_759_000_000


def read(origin: str, value: object, **context: str) -> list[Record]:
    return records_of(origin, json.dumps(value), received_at=RECEIVED, context=context)


def item(type_message: str = "textMessage", **fields: object) -> dict[str, Any]:
    usual = {"type": "incoming", "idMessage": "3A01", "timestamp": AT, "chatId": CHAT, "senderId": CHAT}
    return {key: value for key, value in (usual | {"typeMessage": type_message} | fields).items() if value is not ...}


def journal(type_message: str = "textMessage", **fields: object) -> list[Record]:
    return read("getChatHistory", item(type_message, **fields))


def message(type_message: str = "textMessage", **fields: object) -> Message:
    first = journal(type_message, **fields)[0]
    assert isinstance(first, Message)
    return first


def notification(type_message: str, data: dict[str, Any], **fields: object) -> list[Record]:
    body = {
        "typeWebhook": "incomingMessageReceived",
        "timestamp": AT,
        "idMessage": "3A01",
        "senderData": {"chatId": CHAT, "sender": CHAT},
        "messageData": {"typeMessage": type_message} | data,
    }
    return read("webhook", body | fields)


@pytest.mark.parametrize(
    ("type_message", "flat", "nested"),
    [
        ("textMessage", {"textMessage": "Low tide"}, {"textMessageData": {"textMessage": "Low tide"}}),
        ("extendedTextMessage", {"extendedTextMessage": {"text": "x"}}, {"extendedTextMessageData": {"text": "x"}}),
        (
            "imageMessage",
            {
                "downloadUrl": "https://media.example.net/a.jpg",
                "caption": "Pier",
                "fileName": "a.jpg",
                "mimeType": "image/jpeg",
            },
            {
                "fileMessageData": {
                    "downloadUrl": "https://media.example.net/a.jpg",
                    "caption": "Pier",
                    "fileName": "a.jpg",
                    "mimeType": "image/jpeg",
                }
            },
        ),
        (
            "locationMessage",
            {"location": {"nameLocation": "Pier", "latitude": 1.5, "longitude": "2.5"}},
            {"locationMessageData": {"nameLocation": "Pier", "latitude": "1.5", "longitude": 2.5}},
        ),
        ("contactMessage", {"contact": {"displayName": "Ines"}}, {"contactMessageData": {"displayName": "Ines"}}),
        (
            "contactsArrayMessage",
            {"contacts": [{"displayName": "Ines"}]},
            {"messageData": {"contacts": [{"displayName": "Ines"}]}},
        ),
        ("ContactsArrayMessage", {"contacts": [{"displayName": "Ines"}]}, {"contacts": [{"displayName": "Ines"}]}),
        (
            "pollMessage",
            {"pollCreationMessage": {"name": "Tea?", "options": [{"optionName": "Yes"}]}},
            {"pollMessageData": {"name": "Tea?", "options": ["Yes"]}},
        ),
    ],
)
def test_a_message_says_the_same_flat_and_nested(type_message: str, flat: dict[str, Any], nested: dict[str, Any]) -> None:
    assert message(type_message, **flat) == message(type_message, **nested) == notification(type_message, nested)[0]


@pytest.mark.parametrize(
    ("fields", "from_me"),
    [
        ({"statusMessage": "sent", "senderId": ...}, True),
        ({"sendByApi": False, "senderId": ...}, True),
        ({"senderName": "Nora"}, False),
        ({"senderId": ...}, False),
        ({"type": "OUTGOING"}, True),
    ],
)
def test_the_direction_is_inferred_where_old_builds_do_not_name_it(fields: dict[str, Any], *, from_me: bool) -> None:
    seen = message(**({"type": ...} | fields))
    assert (seen.from_me, seen.sender) == (from_me, ME if from_me else CHAT)


def test_an_incoming_message_without_a_sender_is_from_the_other_side_of_a_private_chat_and_from_nobody_in_a_group() -> None:
    assert message(senderId=...).sender == CHAT
    assert message(senderId=..., chatId=GROUP).sender == ""
    assert message(senderId="null@c.us", chatId=GROUP).sender == ""


def test_the_names_of_the_sender_become_one_contact() -> None:
    assert journal(senderName="Nora", senderContactName="Nora (choir)")[1:] == [Contact(CHAT, AT, "Nora (choir)", "Nora")]
    assert journal(senderName="", senderContactName="")[1:] == []
    assert journal(senderName="Nora", senderId=..., chatId=GROUP)[1:] == []


def test_a_notification_names_its_chat_but_not_the_chat_of_the_stories() -> None:
    senders = {"chatId": CHAT, "sender": CHAT, "chatName": "Nora (choir)"}
    data = {"textMessageData": {"textMessage": "hi"}}
    assert notification("textMessage", data, senderData=senders)[1:] == [Chat(CHAT, AT, "Nora (choir)")]
    stories = senders | {"chatId": "status@broadcast"}
    assert notification("textMessage", data, senderData=stories) == [
        Message("status@broadcast", "3A01", AT, CHAT, kind="text", content="hi")
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"isForwarded": True},
        {"isForwarded": "true"},
        {"forwardingScore": 4},
        {"forwardingScore": "1"},
        {"extendedTextMessage": {"text": "x", "isForwarded": True}},
        {"someFutureData": {"forwardingScore": 2}},
    ],
)
def test_a_forwarded_message_is_recognised_wherever_it_says_so(fields: dict[str, Any]) -> None:
    assert message(**fields).forwarded


def test_an_answer_to_a_forwarded_message_is_not_forwarded() -> None:
    assert not message(quotedMessage={"stanzaId": "3A00", "isForwarded": True}, isForwarded=False, forwardingScore=0).forwarded


@pytest.mark.parametrize(
    "fields",
    [
        {"quotedMessage": {"stanzaId": "Q"}, "extendedTextMessage": {"stanzaId": "other"}},
        {"quotedMessage": None, "extendedTextMessage": {"stanzaId": "Q"}},
        {"extendedTextMessageData": {"contextInfo": {"stanzaId": "Q"}}},
        {"quotedMessage": {"stanzaId": "", "typeMessage": "imageMessage"}, "extendedTextMessage": {"stanzaId": "Q"}},
    ],
)
def test_the_answered_message_is_found_in_each_place_that_may_name_it(fields: dict[str, Any]) -> None:
    assert message("quotedMessage", **fields).quoted_id == "Q"


def test_a_quoted_message_beside_the_message_data_counts_as_well() -> None:
    data = {"extendedTextMessageData": {"text": "yes"}}
    seen = notification("quotedMessage", data, quotedMessage={"stanzaId": "Q"})[0]
    assert seen == Message(CHAT, "3A01", AT, CHAT, kind="text", content="yes", quoted_id="Q")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"mimeType": "audio/ogg; codecs=opus"}, "voice"),
        ({"mimeType": "audio/ogg"}, "voice"),
        ({"fileName": "PTT-1.opus"}, "voice"),
        ({"downloadUrl": "https://media.example.net/1.OGA"}, "voice"),
        ({"ptt": True}, "voice"),
        ({"mimeType": "audio/mpeg", "fileName": "song.mp3"}, "audio"),
        ({}, "audio"),
    ],
)
def test_opus_in_ogg_is_a_voice_message_and_other_sounds_are_not(fields: dict[str, Any], kind: str) -> None:
    assert message("audioMessage", **fields).kind == kind


def test_a_round_video_note_is_a_video() -> None:
    assert message("videoMessage", fileMessageData={"videoNote": True, "caption": ""}).kind == "video"


@pytest.mark.parametrize(
    ("type_message", "fields", "content"),
    [
        (
            "pollMessage",
            {"pollMessageData": {"name": "Tea?", "options": [{"optionName": "Yes"}, {"optionName": "No"}]}},
            "Tea?\nYes\nNo",
        ),
        ("contactMessage", {"contact": {"vcard": "BEGIN:VCARD\r\nFN;CHARSET=UTF-8:Ines M\r\nEND:VCARD"}}, "Ines M"),
        ("contactMessage", {"senderContactName": {"displayName": "Ines"}}, "Ines"),
        ("locationMessage", {"location": {"nameLocation": "", "address": "14 Lantern Row"}}, "14 Lantern Row"),
        ("locationMessage", {}, ""),
        ("groupInviteMessage", {"groupInviteMessageData": {"caption": "Come", "groupName": "Choir"}}, "Come\nChoir"),
        ("interactiveButtons", {"interactiveButtons": {"header": "H", "body": "B", "footer": "F"}}, "H\nB\nF"),
        ("buttonsMessage", {"buttonsMessage": {"contentText": "?", "buttons": ["A", {"buttonText": 7}, None]}}, "?\nA\n7"),
        ("templateMessage", {"templateMessage": {"templateId": "t1", "params": ["Nora", "nine"]}}, "Nora\nnine"),
        ("listMessage", {"listMessage": {"sections": [{"rows": [{"title": "a"}, "b"]}, 5]}}, "a\nb"),
        ("interactiveButtonsReply", {"interactiveButtonsReply": {"selectedDisplayText": "A", "contentText": "?"}}, "A"),
        ("listResponseMessage", {"listResponseMessage": {"title": "", "singleSelectReply": "row-2"}}, "row-2"),
        ("textMessage", {"extendedTextMessage": {"text": ""}, "textMessage": "", "caption": "left over"}, "left over"),
        ("textMessage", {"textMessage": 42}, "42"),
        ("someFutureMessage", {"someFutureMessageData": {"caption": "still readable"}}, "still readable"),
        ("someFutureMessage", {"caption": "still readable"}, "still readable"),
        ("someFutureMessage", {"quotedMessage": {"text": "not mine"}}, ""),
        ("", {"textMessage": "no type"}, "no type"),
    ],
)
def test_the_content_is_what_a_person_would_read(type_message: str, fields: dict[str, Any], content: str) -> None:
    assert message(type_message, **fields).content == content


def test_an_unknown_type_keeps_its_file_and_says_that_it_is_unknown() -> None:
    seen = message("ptvMessage", downloadUrl="https://media.example.net/v.mp4", fileName="v.mp4", mimeType="video/mp4")
    assert seen[5:6] + seen[13:16] == ("unknown", "https://media.example.net/v.mp4", "v.mp4", "video/mp4")


@pytest.mark.parametrize(
    ("latitude", "longitude", "stored"),
    [("1.5", 2, (1.5, 2.0)), (91, 2, (None, None)), (1, 181, (None, None)), ("nan", 2, (None, None)), (1, None, (None, None))],
)
def test_only_coordinates_on_this_planet_are_kept(latitude: object, longitude: object, stored: tuple[Any, Any]) -> None:
    seen = message("locationMessage", location={"latitude": latitude, "longitude": longitude})
    assert (seen.latitude, seen.longitude) == stored


@pytest.mark.parametrize("where", ["textMessage", "downloadUrl", "caption"])
def test_a_marker_in_the_place_of_a_text_or_an_address_is_not_shown_as_one(where: str) -> None:
    seen = message("textMessage" if where == "textMessage" else "imageMessage", **{where: " {{SWE003}} "})
    assert (seen.content, seen.media_url, seen.marker) == ("", "", "SWE003")


def test_a_person_may_write_about_a_marker() -> None:
    seen = message(textMessage="What does {{SWE001}} mean?")
    assert (seen.content, seen.marker) == ("What does {{SWE001}} mean?", "")


@pytest.mark.parametrize(
    ("said", "state"),
    [("read", "read"), ("yellowCard", "suspended"), ("NOACCOUNT", "noAccount"), ("flying", ""), (None, ""), ({}, ""), (3, "")],
)
def test_the_delivery_state_is_one_of_ours_or_nothing(said: object, state: str) -> None:
    assert message(type="outgoing", statusMessage=said).delivery == state


def test_a_message_that_says_that_it_was_edited_or_deleted_stays_a_message() -> None:
    assert message(isEdited=True, textMessage="now").edited
    assert message(isDeleted="true", textMessage="").deleted
    assert not message(isDeleted=False, isEdited="false").edited


def test_an_edit_changes_its_target_and_is_no_message() -> None:
    edit = Edit(CHAT, "3A00", "seven", AT, "3A01", CHAT)
    assert journal("editedMessage", editedMessageId="3A00", editedMessageData={"textMessage": "seven"}) == [edit]
    assert journal("editedMessage", editedMessageData={"caption": "seven", "stanzaId": "3A00"}) == [edit]
    assert journal("editedMessage", editedMessageId="3A00", textMessage="seven") == [edit]


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


def test_deletions_and_reactions_name_their_target() -> None:
    assert journal("deletedMessage", deletedMessageData={"stanzaId": "3A00"}) == [Deletion(CHAT, "3A00", AT, CHAT)]
    reaction = {"extendedTextMessageData": {"text": ""}, "quotedMessage": {"stanzaId": "3A00"}}
    assert journal("reactionMessage", type="outgoing", **reaction) == [Reaction(CHAT, "3A00", ME, "", AT)]


def test_votes_are_one_record_per_option_and_voters_may_be_objects() -> None:
    votes = [{"optionName": "Yes", "optionVoters": [CHAT, {"wid": "447700900001@c.us"}, CHAT, None]}, {"optionName": "No"}, 5]
    assert journal("pollUpdateMessage", pollMessageData={"stanzaId": "3A00", "votes": votes}) == [
        PollVote(CHAT, "3A00", "Yes", (CHAT, "447700900001@c.us"), AT),
        PollVote(CHAT, "3A00", "No", (), AT),
    ]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        (AT, AT),
        (str(AT), AT),
        (AT * 1000 + 7, AT),
        (f"{AT}.9", AT),
        (float(AT), AT),
        (AT * 10**6, AT),
        (10**40, None),
        ("soon", None),
    ],
)
def test_a_time_may_be_text_a_fraction_or_in_milliseconds(said: object, at: int | None) -> None:
    first = journal(timestamp=said)[0]
    assert first == Unreadable("no time") if at is None else isinstance(first, Message) and first.sent_at == at


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("447700900142:8@s.whatsapp.net", CHAT),
        ("447700900142.0:8@s.whatsapp.net", CHAT),
        (" +447700900142@c.us ", CHAT),
        ("611000000000042:3@lid", "611000000000042@lid"),
        ("447700900001-1548671234@g.us", "447700900001-1548671234@g.us"),
        ("120363555000000111@newsletter", "120363555000000111@newsletter"),
        ("611000000000042@c.us", "611000000000042@c.us"),
    ],
)
def test_ids_are_kept_as_received_but_a_device_is_its_owner(said: str, kept: str) -> None:
    assert message(chatId=said).chat == kept


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
