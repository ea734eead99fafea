"""The download queue: what enters it and when, in which order it is worked off, and what survives a rebuild."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from store_fixtures import ALICE, RECEIVED_AT, history, incoming

from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.media import DAY, UNWANTED, StoredFile, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_760_000_000
ALL = ("image", "video", "audio", "voice", "document", "sticker")
SAM = "15550100009@c.us"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "whatsapp_chats.db") as store:
        yield store


def picture(number: int, url: str | None = None, *, kind: str = "image", age: int | None = None, **more: Any) -> dict[str, Any]:
    link = f"https://storage.example/{number}" if url is None else url
    fields = {"downloadUrl": link, "fileName": "x.jpg", "mimeType": "image/jpeg", "caption": "", **more}
    when: dict[str, Any] = {} if age is None else {"timestamp": NOW - age}
    return incoming(number, "", typeMessage=f"{kind}Message", **fields, **when)


def receive(store: Store, *items: dict[str, Any], at: int = RECEIVED_AT) -> None:
    Ingest(store).receive(history(items[::-1], received_at=at))  # newest first, as the gateway lists them


def queue(store: Store) -> list[tuple[Any, ...]]:
    return store.connection.execute(
        "SELECT download_status, media_url, attempts, last_error FROM media_download_queue ORDER BY message_id"
    ).fetchall()


def take(store: Store, count: int = 100, now: int = NOW) -> list[str]:
    with store.transaction():
        return [due.url.rpartition("/")[2] for due in store.media.take(now, count)]


def put(store: Store, number: int, *, path: str = "media/images/a.jpg", sha256: str = "a" * 64) -> None:
    with store.transaction():
        store.media.stored(number, StoredFile(sha256, path, "image/jpeg", 5), NOW)


def test_a_message_with_a_file_is_queued_in_the_transaction_that_stores_it(store: Store) -> None:
    receive(store, incoming(1, "no file"), picture(2), picture(3, kind="document"))
    assert [entry[:2] for entry in queue(store)] == [
        ("pending", "https://storage.example/2"), ("pending", "https://storage.example/3"),
    ]  # fmt: skip


def test_what_cannot_be_stored_leaves_no_entry(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            receive(store, picture(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert queue(store) == []


def test_a_file_without_a_link_is_queued_because_the_gateway_may_still_give_one(store: Store) -> None:
    receive(store, picture(1, ""))
    assert queue(store) == [("pending", None, 0, None)]


def test_a_file_that_the_gateway_calls_too_large_is_skipped_and_stays_listed(store: Store) -> None:
    receive(store, picture(1, "{{SWE002}}"))
    assert [(entry[0], "100 MB" in entry[3]) for entry in queue(store)] == [("skipped", True)]


def test_a_message_that_only_an_export_told_has_nothing_to_fetch(store: Store) -> None:
    from whatsapp_mcp.records import Message
    from whatsapp_mcp.schema import ASKED, IMPORTED

    known = Message(ALICE, "E1", NOW, ALICE, kind="image", media_filename="IMG-1.jpg")
    store.apply([known], NOW, IMPORTED)
    assert queue(store) == []
    store.apply([known], NOW, ASKED)
    assert queue(store) == [("pending", None, 0, None)]


def test_a_newer_link_opens_an_entry_again_that_was_given_up(store: Store) -> None:
    receive(store, picture(1))
    with store.transaction():
        store.media.note(Verdict(1, "expired", "gone", 4))
    receive(store, picture(1, "https://storage.example/new"), at=RECEIVED_AT + 5)
    assert queue(store) == [("pending", "https://storage.example/new", 0, None)]


def test_seeing_a_message_again_with_the_same_link_changes_nothing(store: Store) -> None:
    receive(store, picture(1))
    with store.transaction():
        store.media.note(Verdict(1, "expired", "gone", 4))
    receive(store, picture(1, isForwarded=True), at=RECEIVED_AT + 5)
    assert queue(store)[0][0] == "expired"


def test_a_stored_file_is_not_fetched_again_for_a_newer_link(store: Store) -> None:
    receive(store, picture(1))
    put(store, 1)
    receive(store, picture(1, "https://storage.example/new"), at=RECEIVED_AT + 5)
    assert queue(store)[0][0] == "stored"


def test_today_comes_first_then_what_is_about_to_vanish_then_what_can_wait_then_what_is_old(store: Store) -> None:
    ages = {1: 100 * DAY, 2: 5 * DAY, 3: 29 * DAY, 4: 12 * DAY, 5: 3_600, 6: 60, 7: 40 * DAY, 8: 2 * DAY}
    receive(store, *(picture(number, age=age) for number, age in ages.items()))
    assert take(store) == ["6", "5", "4", "3", "8", "2", "7", "1"]


def test_what_was_tried_before_comes_after_what_was_not(store: Store) -> None:
    receive(store, *(picture(number, age=number) for number in range(1, 4)))
    with store.transaction():
        store.media.note(Verdict(1, "pending", "broken", 1, next_at=NOW - 1))
    assert take(store) == ["2", "3", "1"]


def test_what_waits_for_its_next_attempt_is_not_taken_before(store: Store) -> None:
    receive(store, picture(1, age=5))
    with store.transaction():
        store.media.note(Verdict(1, "pending", "broken", 1, next_at=NOW + 60))
    assert take(store) == []
    assert take(store, now=NOW + 60) == ["1"]


def test_a_clock_that_ran_ahead_holds_no_file_back_for_ever(store: Store) -> None:
    receive(store, picture(1, age=5))
    with store.transaction():
        store.media.note(Verdict(1, "pending", "broken", 1, next_at=NOW + 400 * DAY))
    assert take(store) == ["1"]


def test_a_file_is_taken_once_and_what_a_killed_run_left_is_free_again(store: Store) -> None:
    receive(store, picture(1, age=5))
    assert take(store) == ["1"]
    assert take(store) == []
    with store.transaction():
        store.media.prepare(ALL)
    assert take(store) == ["1"]


def test_kinds_that_are_not_wanted_are_skipped_until_they_are(store: Store) -> None:
    receive(store, picture(1, age=5), picture(2, age=4, kind="video"))
    with store.transaction():
        store.media.prepare(("image",))
    assert take(store) == ["1"]
    assert queue(store)[1][0::3] == ("skipped", UNWANTED)
    with store.transaction():
        store.media.prepare(ALL)
    assert take(store) == ["2", "1"]


def test_a_rebuild_keeps_files_and_what_became_of_downloads(store: Store) -> None:
    receive(store, *(picture(number) for number in range(1, 5)))
    receive(store, picture(3, "https://storage.example/3b"), at=RECEIVED_AT + 5)
    put(store, 1)
    with store.transaction():
        store.media.note(Verdict(2, "expired", "gone", 4))
        store.media.note(Verdict(3, "pending", "broken", 2, next_at=NOW))
    before = queue(store)
    rebuild(store)
    assert queue(store) == before
    stored = store.connection.execute("SELECT local_media_path, media_sha256 FROM messages WHERE message_id = 1").fetchone()
    assert stored == ("media/images/a.jpg", "a" * 64)


def test_an_archive_of_the_second_version_gets_its_queue_by_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with Store(path) as store:
        receive(store, picture(1), picture(2), incoming(3, "text"))
    connection = sqlite3.connect(path)
    connection.execute("DELETE FROM media_download_queue")
    connection.commit()
    connection.close()
    with Store(path) as store:
        assert queue(store) == []
        with store.transaction():
            store.media.prepare(ALL)
        assert [entry[0] for entry in queue(store)] == ["pending", "pending"]


def test_two_chats_that_turn_out_to_be_one_keep_one_entry_and_the_file(store: Store) -> None:
    from whatsapp_mcp.records import Alias, Message

    lid = "99000000000001@lid"
    for chat in (lid, SAM):
        store.apply([Message(chat, "M1", NOW, chat, kind="image", media_url="https://storage.example/1")], NOW, 1)
    numbers = dict(store.connection.execute("SELECT whatsapp_chat_id, message_id FROM messages JOIN chats USING (chat_id)"))
    put(store, numbers[lid])
    store.apply([Alias(lid, SAM)], NOW)
    rows = store.connection.execute(
        "SELECT download_status, local_media_path, media_sha256 FROM media_download_queue JOIN messages USING (message_id)"
    ).fetchall()
    assert rows == [("stored", "media/images/a.jpg", "a" * 64)]


def test_a_file_that_was_lost_from_the_disk_is_due_again(store: Store) -> None:
    receive(store, picture(1, age=5), picture(2, age=6))
    put(store, 1)
    put(store, 2)
    with store.transaction():
        store.media.lose(["media/images/a.jpg"])
    assert take(store) == ["1", "2"]
    assert store.media.bytes_stored() == 0
