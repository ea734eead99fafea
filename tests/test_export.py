from __future__ import annotations

import json
import re
import tracemalloc
import zipfile
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.export import Exported, Head, Request, export_chat, export_name, message_object
from whatsapp_mcp.views import Coverage, Interval, Location, MediaView, MessageView, Party, Quoted, ReactionView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

ZONE = ZoneInfo("Asia/Jerusalem")
CHAT = Party(12, "120363000000000012@g.us", "Book club")
DANA = Party(7, "15550100040@c.us", "Dana Levi")
OWNER = Party(1, "15550100001@c.us", "Sam Example")


def message(number: int, text: str, **more: object) -> MessageView:
    fixed = {"chat": CHAT, "sender": DANA, "from_me": False, "kind": "text", "sent_at": 1_755_160_000 + 60 * number}
    return MessageView(message_id=number, whatsapp_message_id=f"3A{number}", content=text, **(fixed | more))  # type: ignore[arg-type]


def head(chat: Party = CHAT, *, with_files: bool = False) -> Head:
    coverage = Coverage(1, 1, 0, 0, 0, 1_500_000_000, 1_755_200_000, 1_755_200_000, 3)
    interval = Interval(None, None, "all time (Asia/Jerusalem)", "Asia/Jerusalem")
    return Head(chat, interval, coverage, ZONE, 1_755_250_000, with_files=with_files)


def export(home: Path, form: str, messages: Iterable[MessageView]) -> Exported:
    return export_chat(Request(form, home), head(), messages)


def spoken(home: Path, one: MessageView) -> str:
    return export(home, "txt", [one]).path.read_text(encoding="utf-8").rstrip("\n")


def test_a_text_export_looks_like_the_one_of_a_phone(home: Path) -> None:
    done = export(home, "txt", [message(0, "Hello"), message(1, "two\nlines", sender=OWNER, from_me=True)])
    assert done.path.read_text(encoding="utf-8") == (
        "14/08/2025, 11:26 - Dana Levi: Hello\n14/08/2025, 11:27 - Sam Example: two\nlines\n"
    )
    assert (done.messages, done.mime_type, done.files) == (2, "text/plain", 0)


@pytest.mark.parametrize(
    ("one", "body"),
    [
        (message(0, "new text", edited_at=1_755_160_100), "Dana Levi: new text <This message was edited>"),
        (message(0, "kept text", deleted_at=1_755_160_100), "Dana Levi: kept text <This message was deleted>"),
        (message(0, "", deleted_at=1_755_160_100), "Dana Levi: This message was deleted"),
        (
            message(0, "at the sea", kind="image", media=MediaView("sea.jpg", "image/jpeg", 9, None)),
            "Dana Levi: <Media omitted>\nat the sea",
        ),
        (
            message(0, "Old Harbour", kind="location", location=Location(32.05, 34.75, "Old Harbour")),
            "Dana Levi: location: https://maps.google.com/?q=32.05,34.75\nOld Harbour",
        ),
        (message(0, "When?\nFriday\nSunday", kind="poll"), "Dana Levi: POLL:\nWhen?\nOPTION: Friday\nOPTION: Sunday"),
        (message(0, "Dana Levi left", kind="system", sender=None), "Dana Levi left"),
        (message(0, "", kind="call"), "Dana Levi: Call"),
        (message(0, "x", sender=Party(3, "x", "two\nlines")), "two lines: x"),
        (message(0, "x", sender=None, from_me=True), "You: x"),
    ],
    ids=["edited", "deleted", "deleted-empty", "image", "location", "poll", "system", "call", "name", "owner"],
)
def test_each_kind_of_message_is_told_as_phones_tell_it(home: Path, one: MessageView, body: str) -> None:
    assert spoken(home, one) == f"14/08/2025, 11:26 - {body}"


def test_a_json_export_is_one_document_with_all_facts(home: Path) -> None:
    quoted = Quoted(4, "3A4", "Noam Katz", "Are we")
    full = message(
        5,
        "Yes 👍",
        quoted=quoted,
        forwarded=True,
        edited_at=1_755_160_400,
        reactions=(ReactionView(OWNER, "❤️", 1_755_160_500),),
    )
    done = export(home, "json", [message(4, "half an emoji \ud83d"), full])
    read = json.loads(done.path.read_text(encoding="utf-8"))
    assert read["schema"] == "whatsapp-mcp/chat-export/1"
    assert read["chat"] == {"id": 12, "whatsapp_id": "120363000000000012@g.us", "name": "Book club"}
    assert read["message_count"] == len(read["messages"]) == 2
    assert read["messages"][0]["content"] == "half an emoji \ud83d"
    assert read["messages"][1] == message_object(full, ZONE)
    assert read["messages"][1]["sent_at"] == "2025-08-14T11:31:40+03:00"
    assert list(read["messages"][1])[-4:] == ["quoted", "edited_at", "forwarded", "reactions"]


def test_a_message_in_json_says_nothing_where_there_is_nothing_to_say() -> None:
    assert list(message_object(message(1, "x"), ZONE)) == [
        "handle", "message_id", "whatsapp_message_id", "chat", "sender", "from_me", "sent_at", "type", "content",
    ]  # fmt: skip


def test_an_export_of_nothing_is_still_a_document(home: Path) -> None:
    read = json.loads(export(home, "json", []).path.read_text(encoding="utf-8"))
    assert read["messages"] == []
    assert read["message_count"] == 0


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x00b", "ספר\u202egnp.exe", "CON", "x" * 300, "", "📚", "a/b\\c:d"])
def test_a_file_name_keeps_nothing_dangerous_of_a_chats_name(home: Path, name: str) -> None:
    done = export_chat(Request("txt", home), head(Party(12, "x@g.us", name)), [])
    assert done.path.parent == home / "exports"
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", done.path.name)


def test_the_interval_stands_in_the_name() -> None:
    bounded = Interval(1_753_995_600, None, "from August", "Asia/Jerusalem")
    here = Head(CHAT, bounded, head().coverage, ZONE, 0)
    assert export_name(here) == "book-club-12_20250801_any"


def test_an_export_that_fails_leaves_nothing_behind(home: Path) -> None:
    def breaking() -> Iterator[MessageView]:
        yield message(1, "x")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        export(home, "txt", breaking())
    assert list((home / "exports").iterdir()) == []


def test_an_export_again_replaces_the_file_and_stays_private(home: Path) -> None:
    first = export(home, "txt", [message(1, "old")])
    second = export(home, "txt", [message(1, "new")])
    assert first.path == second.path
    assert "new" in second.path.read_text(encoding="utf-8")
    assert second.path.stat().st_mode & 0o077 == 0
    assert [each.name for each in (home / "exports").iterdir()] == [second.path.name]


def test_a_folder_that_cannot_be_made_is_told_with_what_to_do(home: Path) -> None:
    home.mkdir()
    (home / "exports").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written") as refused:
        export(home, "txt", [])
    assert "rights" in str(refused.value)


def test_stored_files_are_packed_beside_the_text(home: Path) -> None:
    stored = home / "media" / "images" / "ab12.jpg"
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"picture")
    (home / "secret.txt").write_text("not for export", encoding="utf-8")
    messages = [
        message(1, "", kind="image", media=MediaView("sea.jpg", "image/jpeg", 7, "media/images/ab12.jpg")),
        message(2, "", kind="image", media=MediaView("gone.jpg", "image/jpeg", 7, "media/images/gone.jpg")),
        message(3, "", kind="image", media=MediaView("bad.jpg", "image/jpeg", 7, "../outside.jpg")),
    ]
    done = export_chat(Request("txt", home, include_media=True), head(with_files=True), messages)
    assert (done.files, done.mime_type, done.path.name) == (1, "application/zip", "book-club-12.txt.zip")
    with zipfile.ZipFile(done.path) as pack:
        assert sorted(pack.namelist()) == ["ab12.jpg", "book-club-12.txt"]
        assert "ab12.jpg (file attached)" in pack.read("book-club-12.txt").decode()


def test_the_length_of_a_chat_costs_no_memory(home: Path) -> None:
    export(home, "json", [message(0, "warm up")])
    tracemalloc.start()
    told: list[int] = []
    done = export_chat(Request("json", home), head(), (message(number, "x" * 200) for number in range(20_000)), told.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert done.size > 5_000_000
    assert peak < 2_000_000
    assert told[:2] == [500, 1000]
