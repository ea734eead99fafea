"""What happens to a message after it was sent, told by journals and by notifications, and how a reader meets it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from store_fixtures import ALICE, OWNER, answer, history, incoming, outgoing

from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.export import message_object
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.server.lines import Style, write_lines
from whatsapp_mcp.store import Store
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.views import MessageView

ZONE = ZoneInfo("UTC")
BEGAN = 1_750_000_000


class Desk:
    """An archive that is told things, one payload after the other, and asked what it shows."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.ingest = Ingest(self.store)
        self.queries = Queries(path, zone=ZONE, clock=SystemClock())
        self.tickets = 0

    def told(self, kind: str, *, at: int, **fields: Any) -> None:
        """One ticket of the notification queue."""
        self.tickets += 1
        instance = {"idInstance": 7105000001, "wid": OWNER, "typeInstance": "whatsapp"}
        body = {"typeWebhook": kind, "instanceData": instance, "timestamp": at, **fields}
        self.ingest.receive(answer("receiveNotification", {"receiptId": self.tickets, "body": body}))

    def says(self, message_id: str, type_message: str, *, at: int, chat: str = ALICE, sender: str = ALICE, **data: Any) -> None:
        """A notification about a message."""
        who = {"chatId": chat, "sender": sender, "senderName": "Alice Example", "chatName": ""}
        message = {"typeMessage": type_message, **data}
        kind = "outgoingMessageReceived" if sender == OWNER else "incomingMessageReceived"
        self.told(kind, at=at, idMessage=message_id, senderData=who, messageData=message)

    def asked(self, *items: dict[str, Any]) -> None:
        """A history."""
        self.ingest.receive(history(list(items)))

    def shown(self) -> list[MessageView]:
        return list(self.queries.read_chat(ALICE).messages)

    def lines(self) -> list[str]:
        return [line.partition(" ")[2] for line in "\n".join(write_lines(self.shown(), Style(ZONE))).split("\n")[1:]]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    told = Desk(tmp_path / "whatsapp_chats.db")
    yield told
    assert verify(told.store, thorough=True) == []
    before = [message_object(message, ZONE) for message in told.shown()]
    rebuild(told.store)
    assert [message_object(message, ZONE) for message in told.shown()] == before
    told.queries.close()
    told.store.close()


def text(words: str) -> dict[str, Any]:
    return {"textMessageData": {"textMessage": words}}


def edit(words: str, target: str) -> dict[str, Any]:
    return {"editedMessageData": {"textMessage": words, "stanzaId": target}}


def test_every_version_of_an_edited_message_is_kept_and_can_be_read(desk: Desk) -> None:
    desk.says("M1", "textMessage", at=BEGAN, **text("dinner at seven"))
    desk.says("E2", "editedMessage", at=BEGAN + 120, **edit("dinner at nine", "M1"))
    desk.says("E1", "editedMessage", at=BEGAN + 60, **edit("dinner at eight", "M1"))
    (message,) = desk.shown()
    assert message.content == "dinner at nine"
    assert [(version.content, version.at) for version in message.versions] == [
        ("dinner at seven", None), ("dinner at eight", BEGAN + 60), ("dinner at nine", BEGAN + 120),
    ]  # fmt: skip
    assert '⟦edited 15:08, before: "dinner at seven"⟧ dinner at nine' in desk.lines()[0]
    assert [version["content"] for version in message_object(message, ZONE)["versions"]] == [
        "dinner at seven", "dinner at eight", "dinner at nine",
    ]  # fmt: skip


def test_an_edit_without_the_old_text_shows_no_earlier_version(desk: Desk) -> None:
    desk.says("E1", "editedMessage", at=BEGAN + 60, **edit("dinner at eight", "M1"))
    assert desk.shown() == []
    desk.asked(incoming(1, "dinner at eight", idMessage="M1", isEdited=True))
    (message,) = desk.shown()
    assert (message.content, message.versions) == ("dinner at eight", ())


def test_a_deleted_message_keeps_its_text_and_says_when(desk: Desk) -> None:
    desk.says("M1", "textMessage", at=BEGAN, **text("I never said that"))
    desk.says("D1", "deletedMessage", at=BEGAN + 30, deletedMessageData={"stanzaId": "M1"})
    desk.asked(incoming(0, "", idMessage="M1", isDeleted=True))
    (message,) = desk.shown()
    assert (message.content, message.deleted_at) == ("I never said that", BEGAN + 30)
    assert "⟦deleted 15:07⟧ I never said that" in desk.lines()[0]


def reaction(emoji: str) -> dict[str, Any]:
    return {"extendedTextMessageData": {"text": emoji}, "quotedMessage": {"stanzaId": "M1", "participant": OWNER}}


def test_a_reaction_is_known_with_who_and_when_until_it_is_taken_back(desk: Desk) -> None:
    desk.says("R1", "reactionMessage", at=BEGAN + 5, **reaction("👍"))
    desk.asked(outgoing(1, "shall we?", idMessage="M1"))
    (seen,) = desk.shown()[0].reactions
    assert (seen.emoji, seen.reacted_at, seen.sender.name) == ("👍", BEGAN + 5, "Alice Example")
    desk.says("R3", "reactionMessage", at=BEGAN + 50, **reaction(""))
    desk.says("R2", "reactionMessage", at=BEGAN + 20, **reaction("❤"))
    assert desk.shown()[0].reactions == ()
    events = desk.store.connection.execute("SELECT emoji, reacted_at FROM reactions ORDER BY reacted_at").fetchall()
    assert events == [("👍", BEGAN + 5), ("❤", BEGAN + 20), ("", BEGAN + 50)]


def test_a_delivery_state_only_moves_forward_and_may_come_before_its_message(desk: Desk) -> None:
    for status in ("read", "sent", "delivered"):
        desk.told("outgoingMessageStatus", at=BEGAN + 9, chatId=ALICE, idMessage="M1", status=status, sendByApi=False)
    assert desk.shown() == []
    desk.asked(outgoing(1, "are you there?", idMessage="M1", statusMessage="sent"))
    assert desk.shown()[0].delivery_status == "read"


def votes(*, lullaby: list[str], waltz: list[str]) -> dict[str, Any]:
    told = [{"optionName": "Lullaby", "optionVoters": lullaby}, {"optionName": "Waltz", "optionVoters": waltz}]
    return {"pollMessageData": {"stanzaId": "P1", "name": "What first?", "votes": told}}


def test_a_poll_shows_who_votes_for_what_now(desk: Desk) -> None:
    desk.says("V1", "pollUpdateMessage", at=BEGAN + 20, **votes(lullaby=[ALICE, OWNER], waltz=[]))
    options = [{"optionName": "Lullaby"}, {"optionName": "Waltz"}]
    desk.says("P1", "pollMessage", at=BEGAN, pollMessageData={"name": "What first?", "options": options})
    assert "⟦votes: Lullaby 2 (" in "\n".join(desk.lines())
    desk.says("V2", "pollUpdateMessage", at=BEGAN + 40, **votes(lullaby=[OWNER], waltz=[ALICE]))
    (poll,) = desk.shown()
    assert {one.option: [who.whatsapp_id for who in one.voters] for one in poll.votes} == {"Lullaby": [OWNER], "Waltz": [ALICE]}
    assert poll.content == "What first?\nLullaby\nWaltz"
    assert [vote["option"] for vote in message_object(poll, ZONE)["votes"]] == ["Lullaby", "Waltz"]


def test_a_call_is_one_row_however_it_is_told(desk: Desk) -> None:
    for at, status in ((BEGAN, "offer"), (BEGAN + 4, "pickUp"), (BEGAN + 70, "hangUp")):
        desk.told("incomingCall", at=at, idMessage="C1", status=status, **{"from": ALICE})
    call = {
        "type": "incoming", "idMessage": "C1", "timestamp": BEGAN + 70, "typeMessage": "incomingCall", "chatId": ALICE,
        "isVideo": True, "status": "pickUp", "isGroup": False,
    }  # fmt: skip
    desk.ingest.receive(answer("lastIncomingCalls", [call]))
    (message,) = desk.shown()
    assert (message.kind, message.sent_at) == ("call", BEGAN)
    assert message.call is not None
    assert (message.call.is_video, message.call.status) == (True, "pickUp")
    assert "⟦call video answered⟧" in desk.lines()[0]
    assert message_object(message, ZONE)["call"] == {"is_video": True, "status": "pickUp"}


def test_a_missed_call_says_so(desk: Desk) -> None:
    desk.told("incomingCall", at=BEGAN, idMessage="C1", status="offer", **{"from": ALICE})
    desk.told("incomingCall", at=BEGAN + 30, idMessage="C1", status="missed", **{"from": ALICE})
    assert "⟦call missed⟧" in desk.lines()[0]


def test_an_outgoing_call_tells_its_length(desk: Desk) -> None:
    called = [{"id": ALICE, "status": "pickUp"}]
    fields = {"from": OWNER, "isVideo": False, "duration": 725, "status": "pickUp", "participants": called}
    desk.told("outgoingCall", at=BEGAN, idMessage="C2", **fields)
    assert "⟦call answered 12:05⟧" in desk.lines()[0]


def test_a_forwarded_message_is_marked(desk: Desk) -> None:
    data = {"text": "passed on", "isForwarded": True, "forwardingScore": 2}
    desk.says("F1", "extendedTextMessage", at=BEGAN, extendedTextMessageData=data)
    assert desk.shown()[0].forwarded
    assert "⟦forwarded⟧ passed on" in desk.lines()[0]


def test_a_quote_points_at_its_message_even_when_that_arrives_later(desk: Desk) -> None:
    quoted = {"stanzaId": "M1", "participant": OWNER, "typeMessage": "textMessage", "textMessage": "shall we?"}
    reply: dict[str, Any] = {"extendedTextMessageData": {"text": "yes", "stanzaId": "M1"}, "quotedMessage": quoted}
    desk.says("Q1", "quotedMessage", at=BEGAN + 9, **reply)
    before = desk.shown()[0].quoted
    assert before is not None
    assert (before.message_id, before.whatsapp_message_id) == (None, "M1")
    missing = "SELECT whatsapp_message_id, noticed_by FROM missing_messages"
    assert desk.store.connection.execute(missing).fetchall() == [("M1", "quote")]
    desk.asked(outgoing(1, "shall we?", idMessage="M1"))
    after = desk.shown()[-1].quoted
    assert after is not None
    assert after.message_id == desk.shown()[0].message_id
    assert desk.store.connection.execute(missing).fetchall() == []


@pytest.mark.parametrize("marker", ["SWE001", "SWE003"])
def test_a_lost_text_is_told_until_the_real_one_comes(desk: Desk, marker: str) -> None:
    desk.says("M1", "textMessage", at=BEGAN, **text(f"{{{{{marker}}}}}"))
    assert "text lost" in desk.lines()[0]
    assert desk.shown()[0].marker == marker
    desk.asked(incoming(0, "the real text", idMessage="M1"))
    assert desk.shown()[0].content == "the real text"
    assert desk.shown()[0].marker is None
    assert "text lost" not in desk.lines()[0]


def test_a_marker_that_comes_after_the_text_takes_nothing_away(desk: Desk) -> None:
    desk.asked(incoming(0, "the real text", idMessage="M1"))
    desk.says("M1", "textMessage", at=BEGAN, **text("{{SWE001}}"))
    assert (desk.shown()[0].content, desk.shown()[0].marker) == ("the real text", None)


def test_each_way_of_arrival_leaves_its_mark_on_the_message(desk: Desk) -> None:
    desk.says("M1", "textMessage", at=BEGAN, **text("hello"))
    desk.says("M2", "textMessage", at=BEGAN + 1, **text("there"))
    desk.asked(incoming(0, "hello", idMessage="M1"), incoming(2, "never told", idMessage="M3"))
    origins = desk.store.connection.execute("SELECT whatsapp_message_id, origins FROM messages ORDER BY 1").fetchall()
    assert origins == [("M1", 3), ("M2", 2), ("M3", 1)]


@pytest.mark.parametrize("reference", ["edit", "deletion", "reaction", "receipt", "vote", "quote"])
def test_whatever_speaks_of_an_unknown_message_makes_it_missing_until_it_comes(desk: Desk, reference: str) -> None:
    {
        "edit": lambda: desk.says("X", "editedMessage", at=BEGAN + 1, **edit("later", "M1")),
        "deletion": lambda: desk.says("X", "deletedMessage", at=BEGAN + 1, deletedMessageData={"stanzaId": "M1"}),
        "reaction": lambda: desk.says("X", "reactionMessage", at=BEGAN + 1, **reaction("👍")),
        "receipt": lambda: desk.told("outgoingMessageStatus", at=BEGAN, chatId=ALICE, idMessage="M1", status="read"),
        "vote": lambda: desk.says(
            "X", "pollUpdateMessage", at=BEGAN + 1,
            pollMessageData=votes(lullaby=[ALICE], waltz=[])["pollMessageData"] | {"stanzaId": "M1"},
        ),
        "quote": lambda: desk.says(
            "X", "quotedMessage", at=BEGAN + 1, extendedTextMessageData={"text": "yes", "stanzaId": "M1"},
            quotedMessage={"stanzaId": "M1", "participant": OWNER, "typeMessage": "textMessage", "textMessage": "?"},
        ),
    }[reference]()  # fmt: skip
    missing = "SELECT whatsapp_message_id, noticed_by FROM missing_messages"
    assert desk.store.connection.execute(missing).fetchall() == [("M1", reference)]
    desk.asked(outgoing(1, "here it is", idMessage="M1"))
    assert desk.store.connection.execute(missing).fetchall() == []


def test_the_messages_address_tells_all_versions_whole(desk: Desk) -> None:
    desk.says("M1", "textMessage", at=BEGAN, **text("a long first text " * 20))
    desk.says("E1", "editedMessage", at=BEGAN + 60, **edit("short", "M1"))
    versions = json.loads(json.dumps(message_object(desk.shown()[0], ZONE)))["versions"]
    assert versions[0] == {"content": "a long first text " * 20}
    assert versions[1] == {"content": "short", "edited_at": "2025-06-15T15:07:40+00:00"}
