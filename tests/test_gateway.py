"""The simulated gateway over real HTTP: verbs, limits, errors, shapes, queue, faults."""

from __future__ import annotations

import io
import time
import zipfile
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from gateway_caller import Caller, calling, mike
from PIL import Image

from whatsapp_mcp.demo.account import SMALL, Account, make_account
from whatsapp_mcp.demo.gateway import VERBS, Gateway
from whatsapp_mcp.demo.limits import Limits
from whatsapp_mcp.demo.pictures import file_bytes, thumbnail

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = {"deletedMessageId", "editedMessageId", "isEdited", "isDeleted"}
COMMON = {"type", "idMessage", "timestamp", "typeMessage", "chatId"}
INCOMING = COMMON | STATE | {"senderId", "senderName", "senderContactName"}
OUTGOING = COMMON | STATE | {"statusMessage", "sendByApi"}
FILE = {"downloadUrl", "caption", "fileName", "jpegThumbnail", "mimeType", "isForwarded", "forwardingScore"}
SETTINGS = """
    wid typeInstance webhookUrl webhookUrlToken delaySendMessagesMilliseconds autoTyping linkPreview markIncomingMessagesReaded
    markIncomingMessagesReadedOnReply outgoingWebhook outgoingMessageWebhook outgoingAPIMessageWebhook incomingWebhook
    deviceWebhook statusInstanceWebhook stateWebhook enableMessagesHistory keepOnlineStatus pollMessageWebhook
    incomingBlockWebhook incomingCallWebhook outgoingCallWebhook editedMessageWebhook deletedMessageWebhook
    catalogWebhook avatarInfoWebhook enableLidMode incomingMessageStatusWebhook
"""


@pytest.fixture(scope="module")
def account() -> Account:
    return make_account(size=SMALL)


@pytest.fixture
def caller(account: Account) -> Iterator[Caller]:
    with calling(account) as caller:
        yield caller


@pytest.fixture(scope="module")
def reader(account: Account) -> Iterator[Caller]:
    """For tests that leave the gateway as it was."""
    with calling(account) as caller:
        yield caller


@pytest.fixture
def gateway(reader: Caller) -> Gateway:
    return reader.gateway


# Doors


def test_a_wrong_token_is_401_and_a_wrong_instance_403_with_empty_bodies(gateway: Gateway) -> None:
    wrong_token = httpx.get(f"{gateway.url}/waInstance{gateway.id_instance}/getStateInstance/nonsense")
    wrong_instance = httpx.get(f"{gateway.url}/waInstance7105999999/getStateInstance/{gateway.token}")
    assert (wrong_token.status_code, wrong_token.content) == (401, b"")
    assert (wrong_instance.status_code, wrong_instance.content) == (403, b"")


@pytest.mark.parametrize(
    "method", ["noSuchMethod", "sendMessage", "editMessage", "deleteMessage", "readChat", "setSettings", "reboot", "logout"]
)
def test_what_does_not_exist_or_would_change_something_is_404(gateway: Gateway, method: str) -> None:
    url = f"{gateway.url}/waInstance{gateway.id_instance}/{method}/{gateway.token}"
    assert {httpx.get(url).status_code, httpx.post(url, json={}).status_code} == {404}


@pytest.mark.parametrize("method", sorted(VERBS))
def test_each_method_answers_to_its_own_verb_only(gateway: Gateway, method: str) -> None:
    receipt = "/1" if method == "deleteNotification" else ""
    url = f"{gateway.url}/waInstance{gateway.id_instance}/{method}/{gateway.token}{receipt}"
    statuses = {verb: httpx.request(verb, url).status_code for verb in ("GET", "POST", "DELETE")}
    assert {verb for verb, status in statuses.items() if status != 404} == {VERBS[method]}


def test_methods_are_also_spelled_with_a_capital_as_in_parts_of_the_documentation(caller: Caller) -> None:
    assert caller.get("GetStateInstance") == {"stateInstance": "authorized"}
    assert caller.gateway.count("getStateInstance", 200) == 1


def test_a_body_that_is_no_json_is_refused_with_the_path_and_its_token(gateway: Gateway) -> None:
    url = f"{gateway.url}/waInstance{gateway.id_instance}/getChatHistory/{gateway.token}"
    answer = httpx.post(url, content=b"{nonsense")
    assert answer.status_code == 400
    assert set(answer.json()) == {"statusCode", "timestamp", "path", "message"}
    assert gateway.token in answer.json()["path"]


def test_the_log_of_requests_says_what_when_and_how(reader: Caller, account: Account) -> None:
    reader.history(mike(account), 5)
    seen = reader.gateway.requests[-1]
    assert (seen.method, seen.status, seen.arguments) == ("getChatHistory", 200, {"chatId": mike(account), "count": 5})
    assert 0 <= time.monotonic() - seen.at < 5


# Limits


@pytest.mark.parametrize(
    ("method", "per_second"),
    [
        ("receiveNotification", 100), ("deleteNotification", 100), ("getMessage", 10), ("getAvatar", 10), ("downloadFile", 5),
        ("getChatHistory", 1), ("lastIncomingMessages", 1), ("lastOutgoingMessages", 1), ("lastIncomingCalls", 1),
        ("lastOutgoingCalls", 1), ("getContacts", 1), ("getContactInfo", 1), ("getChats", 1), ("getGroupData", 1),
        ("getSettings", 1), ("getStateInstance", 1), ("getWaSettings", 1), ("getWebhooksCount", 1),
    ],
)  # fmt: skip
def test_a_second_holds_as_many_requests_as_documented(method: str, per_second: int) -> None:
    for scale in (1, 20):
        limits = Limits(scale)
        allowed = per_second * scale
        assert [limits.accept(method, 100 + step / 10_000) for step in range(allowed + 1)] == [True] * allowed + [False]
        assert not limits.accept(method, 100.999)
        assert limits.accept(method, 101.0), "the first request is a second old now"
        assert not limits.accept(method, 101.00001) or allowed > 1


def test_a_request_too_many_is_429_and_other_methods_go_on(account: Account) -> None:
    with calling(account, rate_scale=1) as caller:
        first, second, other = (caller.call(method) for method in ("getChats", "getChats", "getSettings"))
        assert [first.status_code, second.status_code, other.status_code] == [200, 429, 200]
        assert second.text == "Too Many Requests"
        assert caller.gateway.count("getChats", 429) == 1


# Shapes


def test_settings_have_the_28_keys_of_a_live_instance(reader: Caller, account: Account) -> None:
    settings = reader.get("getSettings")
    assert set(settings) == set(SETTINGS.split())
    assert len(settings) == 28
    assert settings["wid"] == account.owner.id
    assert settings["incomingWebhook"] == "yes"
    assert settings["markIncomingMessagesReaded"] == "no"


def test_wa_settings_name_the_phone(reader: Caller) -> None:
    settings = reader.get("getWaSettings")
    assert set(settings) == {"avatar", "phone", "stateInstance", "deviceId"}
    assert settings["phone"] == "15550100001"
    assert settings["deviceId"] == "15550100001:8@s.whatsapp.net"


def test_contacts_are_people_and_groups_and_can_be_asked_for_apart(reader: Caller, account: Account) -> None:
    contacts = reader.get("getContacts")
    assert {frozenset(contact) for contact in contacts} == {frozenset({"id", "name", "contactName", "type"})}
    assert len(contacts) == SMALL.private + 1 + SMALL.groups
    assert {contact["type"] for contact in reader.get("getContacts", group="true")} == {"group"}
    assert len(reader.get("getContacts", group="false")) == len(account.contacts)
    assert len(reader.get("getContacts", count=3)) == 3
    hidden = next(person for person in account.people if person.hidden)
    assert {"id": hidden.id, "name": "", "contactName": "", "type": "user"} in contacts


def test_chats_are_ordered_by_their_last_activity_and_show_moved_ids(reader: Caller, account: Account) -> None:
    chats = reader.get("getChats")
    plain = {"archive", "id", "name", "type", "ephemeralExpiration", "ephemeralSettingTimestamp"}
    assert {frozenset(chat) for chat in chats} == {frozenset(plain), frozenset(plain | {"newChatId"})}
    ids = [chat.get("newChatId", chat["id"]) for chat in chats]
    assert sorted(ids) == sorted(account.chat_ids)
    last = [account.history[chat][-1].sent_at for chat in ids]
    assert last == sorted(last, reverse=True)
    assert all(chat["id"].endswith("@lid") for chat in chats if "newChatId" in chat)
    assert {chat["id"] for chat in chats if chat["archive"]} == account.archived
    assert len(reader.get("getChats", count=4)) == 4


def test_history_is_newest_first_and_holds_a_hundred_unless_asked_for_more(reader: Caller, account: Account) -> None:
    chat = max(account.chat_ids, key=lambda name: len(account.history[name]))
    everything = reader.history(chat)
    assert len(everything) == sum(entry.kind != "call" for entry in account.history[chat]) > 100
    assert len(reader.get("getChatHistory", chatId=chat)) == 100
    assert reader.history(chat, 7) == everything[:7]
    times = [item["timestamp"] for item in everything]
    assert times == sorted(times, reverse=True)


def test_history_of_an_unknown_chat_is_empty_and_of_no_chat_refused(reader: Caller) -> None:
    assert reader.history("15550109999@c.us") == []
    assert reader.call("getChatHistory", count=5).status_code == 400
    assert reader.call("getChatHistory", chatId="15550100002@c.us", count=0).status_code == 400


def test_records_have_the_documented_keys(reader: Caller, account: Account) -> None:
    own = {
        "textMessage": {"textMessage"}, "extendedTextMessage": {"textMessage", "extendedTextMessage"},
        "quotedMessage": {"textMessage", "extendedTextMessage", "quotedMessage"}, "stickerMessage": FILE | {"isAnimated"},
        "locationMessage": {"location"}, "contactMessage": {"contact"}, "pollMessage": {"pollMessageData"},
        "pollUpdateMessage": {"pollMessageData"}, "editedMessage": {"editedMessageData"},
        "deletedMessage": {"deletedMessageData"},
        "reactionMessage": {"extendedTextMessageData", "quotedMessage"}, "groupInviteMessage": {"groupInviteMessageData"},
        "buttonsMessage": {"buttonsMessage"}, "listMessage": {"listMessage"}, "templateMessage": {"templateMessage"},
        "someFutureMessage": {"someFutureData"},
        **dict.fromkeys(("imageMessage", "videoMessage", "documentMessage", "audioMessage"), FILE),
    }  # fmt: skip
    seen = set()
    for chat in account.chat_ids:
        for item in reader.history(chat):
            kind = item["typeMessage"]
            seen.add(kind)
            if kind == "contactsArrayMessage":
                continue
            allowed = [own[kind], own[kind] | {"quotedMessage"}] if kind == "extendedTextMessage" else [own[kind]]
            common = INCOMING if item["type"] == "incoming" else OUTGOING
            assert set(item) in [common | fields for fields in allowed], item
    assert len(seen) > 12


def test_calls_stand_in_their_own_journals_only(reader: Caller, account: Account) -> None:
    incoming, outgoing = reader.get("lastIncomingCalls"), reader.get("lastOutgoingCalls")
    assert [set(call) for call in incoming] == [COMMON | {"isVideo", "status", "isGroup"}]
    assert [set(call) for call in outgoing] == [COMMON | {"duration", "isVideo", "status", "participants"}]
    assert outgoing[0]["duration"] == 65
    ids = {call["idMessage"] for call in incoming + outgoing}
    assert not ids & {item["idMessage"] for item in reader.history(account.thread("dinner")[0].chat)}
    years = 5_000_000
    assert len(reader.get("lastIncomingCalls", minutes=years)) + len(reader.get("lastOutgoingCalls", minutes=years)) == sum(
        message.kind == "call" for message in account.truth()
    )


def test_the_journals_count_minutes_back_from_the_gateways_present(caller: Caller, account: Account) -> None:
    assert len(caller.get("lastIncomingMessages")) >= 2
    assert caller.get("lastIncomingMessages", minutes=60) == []
    years = 5_000_000
    both = caller.get("lastIncomingMessages", minutes=years) + caller.get("lastOutgoingMessages", minutes=years)
    everything = [entry for entries in account.history.values() for entry in entries if entry.kind != "call"]
    assert len(both) == len(everything)
    assert {item["type"] for item in caller.get("lastOutgoingMessages", minutes=years)} == {"outgoing"}
    caller.gateway.now += 40 * 1440 * 60
    assert caller.get("lastIncomingMessages") == []


def test_the_outgoing_journal_tells_the_time_of_the_last_action(reader: Caller, account: Account) -> None:
    chat = mike(account)
    sent = {item["idMessage"]: item["timestamp"] for item in reader.history(chat) if item["type"] == "outgoing"}
    journal = reader.get("lastOutgoingMessages", minutes=5_000_000)
    later = [item["timestamp"] - sent[item["idMessage"]] for item in journal if item["idMessage"] in sent]
    assert len(later) == len(sent)
    assert min(later) >= 2
    assert max(later) <= 402


def test_get_message_finds_one_or_says_what_is_missing(reader: Caller, account: Account) -> None:
    chat = mike(account)
    item = reader.history(chat, 1)[0]
    assert reader.get("getMessage", chatId=chat, idMessage=item["idMessage"]) == item
    no_message = reader.call("getMessage", chatId=chat, idMessage="3A0")
    no_chat = reader.call("getMessage", chatId="15550109999@c.us", idMessage="3A0")
    assert (no_message.status_code, no_message.json()) == (400, {"statusCode": 400, "message": "ID message notfound"})
    assert (no_chat.status_code, no_chat.json()) == (400, {"statusCode": 400, "message": "chatId not found"})


def test_contact_info_knows_people_but_no_groups(reader: Caller, account: Account) -> None:
    info = reader.get("getContactInfo", chatId=mike(account))
    expected = """avatar name contactName email category description products chatId lastSeen isArchive isDisappearing isMute
        messageExpiration muteExpiration isBusiness"""
    assert set(info) == set(expected.split())
    assert (info["name"], info["contactName"]) == ("Mike", "Mike Turner")
    refused = reader.call("getContactInfo", chatId=account.groups[0].id)
    assert refused.status_code == 400
    assert refused.json()["message"].endswith("does not support group chat")
    assert set(refused.json()) == {"statusCode", "timestamp", "path", "message"}


def test_group_data_relates_privacy_ids_to_numbers_and_unknown_groups_are_a_bare_string(
    reader: Caller, account: Account
) -> None:
    family = account.group("המשפחה")
    data = reader.get("getGroupData", groupId=family.id)
    expected = """groupId owner subject creation participants subjectTime subjectOwner groupInviteLink ephemeralExpiration
        allowParticipantsEditGroupSettings allowParticipantsSendMessages allowParticipantsAddMembers isCommunity
        isCommunityAnnounce size description"""
    assert set(data) == set(expected.split())
    assert data["size"] == len(data["participants"]) == 4
    assert {(member["id"], member["lid"]) for member in data["participants"]} >= {(account.owner.id, account.owner.lid)}
    assert {frozenset(member) for member in data["participants"]} == {frozenset({"id", "lid", "isAdmin", "isSuperAdmin"})}
    assert reader.get("getGroupData", groupId="120363999999999999@g.us") == "Error: item-not-found"


def test_a_group_that_was_left_is_forbidden() -> None:
    account = make_account()
    with calling(account) as reader:
        left = next(group for group in account.groups if group.left)
        assert reader.get("getGroupData", groupId=left.id) == "Error: forbidden"


def test_an_avatar_is_told_with_its_availability(reader: Caller, account: Account) -> None:
    assert set(reader.get("getAvatar", chatId=mike(account))) == {"urlAvatar", "available"}
    assert reader.get("getAvatar", chatId="15550109999@c.us") == {"urlAvatar": "", "available": False}


def test_a_private_chat_answers_to_both_of_its_ids_and_leaks_the_privacy_id(account: Account, caller: Caller) -> None:
    moved = next(person for person in account.people if person.moved)
    assert caller.history(moved.lid) == caller.history(moved.id)
    caller.gateway.faults.leaking_lids = True
    assert {item["chatId"] for item in caller.history(moved.id)} == {moved.lid}
    caller.gateway.faults.leaking_lids = False
    assert moved.id in {item["chatId"] for item in caller.history(moved.id)}


# Files


def first_with(caller: Caller, account: Account, mime: str) -> dict[str, Any]:
    items = (item for chat in account.chat_ids for item in caller.history(chat) if item.get("mimeType") == mime)
    return next(item for item in items if item["downloadUrl"].startswith("http"))


def test_a_file_downloads_from_the_address_that_the_record_and_download_file_tell(caller: Caller, account: Account) -> None:
    item = first_with(caller, account, "image/jpeg")
    again = caller.get("downloadFile", chatId=item["chatId"], idMessage=item["idMessage"])
    assert again == {"downloadUrl": item["downloadUrl"]}
    assert len(item["downloadUrl"]) < 60
    answer = httpx.get(item["downloadUrl"])
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert caller.gateway.count("media", 200) == 1


def test_download_file_says_what_is_missing(reader: Caller, account: Account) -> None:
    chat = mike(account)
    refused = reader.call("downloadFile", chatId=chat, idMessage="3AF1C7FFFFFFFFFFFFFF")
    text = f"File message encrypted url not found by chatId {chat} and idMessage 3AF1C7FFFFFFFFFFFFFF"
    assert (refused.status_code, refused.json()) == (400, {"statusCode": 400, "message": text})


def test_vanished_media_are_a_500_and_a_dead_address(caller: Caller, account: Account) -> None:
    item = first_with(caller, account, "image/jpeg")
    caller.gateway.faults.expired_media = True
    assert caller.call("downloadFile", chatId=item["chatId"], idMessage=item["idMessage"]).status_code == 500
    assert httpx.get(item["downloadUrl"]).status_code == 404


@pytest.mark.parametrize(
    ("ending", "magic"),
    [("ogg", b"OggS"), ("mp3", b"ID3"), ("pdf", b"%PDF-1.4"), ("webp", b"RIFF"), ("jpg", b"\xff\xd8\xff"), ("docx", b"PK")],
)
def test_files_are_what_their_names_promise_and_differ_by_name(ending: str, magic: bytes) -> None:
    assert file_bytes(f"a.{ending}").startswith(magic)
    assert file_bytes(f"a.{ending}") == file_bytes(f"a.{ending}") != file_bytes(f"b.{ending}")
    assert file_bytes("a.mp4")[4:8] == b"ftyp"
    assert zipfile.ZipFile(io.BytesIO(file_bytes("a.xlsx"))).testzip() is None
    assert thumbnail(3).startswith("/9j/")
