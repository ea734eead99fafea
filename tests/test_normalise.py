"""What a message becomes: one rule of the normaliser a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from normalised import AT, CHAT, GROUP, journal, message, notification

from whatsapp_mcp.records import ME, Chat, Contact, Deletion, Edit, Message, PollVote, Reaction, Unreadable


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


def test_deletions_and_reactions_name_their_target() -> None:
    assert journal("deletedMessage", deletedMessageData={"stanzaId": "3A00"}) == [Deletion(CHAT, "3A00", AT, CHAT)]
    reaction = {"extendedTextMessageData": {"text": ""}, "quotedMessage": {"stanzaId": "3A00"}}
    assert journal("reactionMessage", type="outgoing", **reaction) == [Reaction(CHAT, "3A00", ME, "", AT)]


def test_a_poll_for_which_nobody_votes_any_more_has_an_empty_tally_and_one_without_votes_says_nothing() -> None:
    poll = {"stanzaId": "3EB0AB", "name": "When?"}
    (nobody,) = (r for r in journal("pollUpdateMessage", pollMessageData={**poll, "votes": []}) if isinstance(r, PollVote))
    assert (nobody.option, nobody.voters) == ("", ())
    assert not any(isinstance(r, PollVote) for r in journal("pollUpdateMessage", pollMessageData={**poll, "votes": "many"}))


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
