"""Messages that are known to be missing, histories that shrank, and a queue that somebody else empties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_archive import SmallArchive, at
from store_fixtures import ALICE, RECEIVED_AT, history, incoming

from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.queries import gaps, notifications
from whatsapp_mcp.queries.database import open_connection
from whatsapp_mcp.records import Alias, Chat
from whatsapp_mcp.schema import ASKED, GIVEN_UP_AFTER, IMPORTED, TOLD
from whatsapp_mcp.store import Mark, Store
from whatsapp_mcp.views import Gaps, Queue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEGAN, ENDED = at("2025-09-19 08:00"), at("2025-09-20 10:00")
"""A time of listening that ended two hours before now."""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path)
    yield small
    small.close()


@pytest.fixture
def dana(archive: SmallArchive) -> int:
    return archive.private(archive.contact("15550100001", "Dana Levi"))


def quote(archive: SmallArchive, chat: int, target: str, count: int = 1) -> None:
    for _ in range(count):
        archive.message(chat, None, "2025-09-01 10:00", "re", quoted_whatsapp_message_id=target)


def ask(archive: SmallArchive, chat: int, message: str, attempts: int, outcome: str = "not_found") -> None:
    archive.insert("repairs", chat_id=chat, whatsapp_message_id=message, attempts=attempts, last_attempt_at=1, outcome=outcome)


def test_an_archive_without_gaps_says_nothing_of_them(archive: SmallArchive, dana: int) -> None:
    archive.message(dana, None, "2025-09-01 10:00", "hello")
    status = archive.queries.status()
    assert (status.gaps, status.coverage.note) == (Gaps(), "")
    assert (status.coverage.missing, status.coverage.unobtainable, status.coverage.shrunk) == (0, 0, 0)


def test_an_empty_archive_has_no_gaps(archive: SmallArchive) -> None:
    status = archive.queries.status()
    assert (status.gaps, status.queue) == (Gaps(), Queue())


def test_a_message_that_several_things_refer_to_is_missing_once(archive: SmallArchive, dana: int) -> None:
    quote(archive, dana, "LOST1", 3)
    archive.insert("receipts", chat_id=dana, whatsapp_message_id="LOST1", delivery_status="read")
    archive.insert("deletions", chat_id=dana, whatsapp_message_id="LOST2", deleted_at=5)
    status = archive.queries.status()
    assert status.coverage.missing == 2
    assert sum(status.gaps.by_kind.values()) == 2
    assert [(one.chat.name, one.missing) for one in status.gaps.chats] == [("Dana Levi", 2)]
    assert archive.queries.coverage(dana).note == "2 messages are known to be missing."


def test_what_is_asked_for_in_vain_often_enough_is_unobtainable(archive: SmallArchive, dana: int) -> None:
    for name in ("A", "B", "C", "D"):
        quote(archive, dana, name)
    ask(archive, dana, "A", GIVEN_UP_AFTER)
    ask(archive, dana, "B", GIVEN_UP_AFTER - 1)
    ask(archive, dana, "C", GIVEN_UP_AFTER, outcome="failed")
    known = archive.queries.coverage(dana)
    assert (known.missing, known.unobtainable) == (3, 1)
    assert known.note == "3 messages are known to be missing. 1 that is referred to cannot be had any more."


def test_what_cannot_be_had_alone_is_still_said(archive: SmallArchive, dana: int) -> None:
    for name in ("A", "B"):
        quote(archive, dana, name)
        ask(archive, dana, name, GIVEN_UP_AFTER)
    known = archive.queries.coverage(dana)
    assert known.note == "2 messages that are referred to cannot be had any more."
    assert not known.has_gaps


@pytest.mark.parametrize("chat", ["status@broadcast", "120363000000000001@newsletter"])
def test_of_statuses_and_channels_nothing_is_missing_since_nobody_promised_them(archive: SmallArchive, chat: str) -> None:
    archive.private(archive.contact("15550100001", "Dana Levi"))
    stories = archive.insert("chats", whatsapp_chat_id=chat, chat_type="group")
    archive.insert("receipts", chat_id=stories, whatsapp_message_id="3A01", delivery_status="read")
    archive.insert("deletions", chat_id=stories, whatsapp_message_id="3A02", deleted_at=1)
    archive.insert("poll_tallies", chat_id=stories, whatsapp_message_id="3A03", voted_at=1)
    coverage = archive.queries.status().coverage
    assert (coverage.missing, coverage.pending) == (0, 0)


def test_a_gap_closes_when_its_message_arrives() -> None:
    with Store(":memory:") as store:
        ingest = Ingest(store)
        ingest.receive(history([incoming(2, "re", typeMessage="quotedMessage", quotedMessage={"stanzaId": f"3A{1:018X}"})]))
        assert [sum(one.open.values()) for one in gaps.missing(store.connection).values()] == [1]
        ingest.receive(history([incoming(1, "the question")]))
        assert gaps.missing(store.connection) == {}


def test_the_gaps_of_a_chat_that_was_joined_are_those_of_the_chat_that_stays() -> None:
    lid = "900000000000002@lid"
    with Store(":memory:") as store:
        quoting = incoming(2, "re", chat=lid, typeMessage="quotedMessage", quotedMessage={"stanzaId": f"3A{1:018X}"})
        Ingest(store).receive(history([quoting], chat=lid))
        store.apply([Chat(ALICE, 1)], 1)
        store.apply([Alias(lid, ALICE)], 2)
        (stays,) = [
            chat for chat, name in store.connection.execute("SELECT chat_id, whatsapp_chat_id FROM chats") if name == ALICE
        ]
        assert set(gaps.missing(store.connection)) == {stays}


def test_a_history_that_shrank_is_told_with_both_lengths(archive: SmallArchive, dana: int) -> None:
    archive.connection.execute("UPDATE sync_status SET history_length = 120, last_history_length = 80")
    status = archive.queries.status()
    assert [(one.shrunk_from, one.shrunk_to) for one in status.gaps.chats] == [(120, 80)]
    assert archive.queries.coverage(dana).note == "This chat's history has become shorter at the gateway."


@pytest.mark.parametrize(("longest", "last"), [(80, 80), (None, None), (0, 0), (80, None), (80, 90)])
def test_a_history_that_kept_its_length_did_not_shrink(
    archive: SmallArchive, dana: int, longest: int | None, last: int | None
) -> None:
    archive.connection.execute("UPDATE sync_status SET history_length = ?, last_history_length = ?", (longest, last))
    assert archive.queries.coverage(dana).shrunk == 0


def test_a_history_that_the_gateway_cuts_may_be_cut_shorter(archive: SmallArchive) -> None:
    chat = archive.private(archive.contact("15550100001"), progress="truncated")
    archive.connection.execute("UPDATE sync_status SET history_length = 120, last_history_length = 80")
    assert archive.queries.coverage(chat).shrunk == 0


def test_a_history_asked_for_twice_shrinks_in_a_real_store() -> None:
    with Store(":memory:") as store:
        for length in (7, 3):
            store.mark_chat(Mark(RECEIVED_AT, ALICE, "complete", None, length))
        assert [one.shrunk_to for one in gaps.gaps(store.connection).chats] == [3]


def test_at_most_ten_chats_are_named_and_those_to_mend_come_first(archive: SmallArchive) -> None:
    for number in range(12):
        chat = archive.private(archive.contact(f"155501001{number:02}", f"Person {number}"))
        quote(archive, chat, "A")
        if number < 11:
            ask(archive, chat, "A", GIVEN_UP_AFTER)
    found = archive.queries.status().gaps
    assert (len(found.chats), found.chats_total) == (10, 12)
    assert found.chats[0].chat.name == "Person 11"


def test_one_chat_is_looked_up_by_indexes_alone(archive: SmallArchive, dana: int) -> None:
    plan = archive.connection.execute("EXPLAIN QUERY PLAN SELECT * FROM missing_messages WHERE chat_id = ?", (dana,)).fetchall()
    scans = [row[3] for row in plan if row[3].startswith("SCAN") and "chats" not in row[3] and "missing" not in row[3]]
    assert scans == []


def test_what_is_missing_everywhere_is_asked_again_only_after_a_write(archive: SmallArchive, dana: int) -> None:
    connection = open_connection(archive.path)
    asked: list[str] = []
    connection.set_trace_callback(asked.append)
    quote(archive, dana, "A")
    for _ in range(3):
        assert gaps.missing(connection)[dana].open == {"quote": 1}
    assert sum("missing_messages" in statement for statement in asked) == 1
    quote(archive, dana, "B")
    assert gaps.missing(connection)[dana].open == {"quote": 2}
    connection.close()


def listened(archive: SmallArchive, start: int = BEGAN, end: int = ENDED) -> None:
    archive.insert("coverage", chat_id=0, origin="queue", from_at=start, until_at=end, verified_at=end)
    for name, value in (("listen_mode", "queue"), ("queue_since", str(start)), ("queue_read_at", str(end))):
        archive.connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, value))


def messages(archive: SmallArchive, chat: int, count: int, *, origins: int | None, mine: bool = False, **more: object) -> None:
    start = more.pop("start", BEGAN + notifications.MARGIN)
    assert isinstance(start, int)
    for number in range(count):
        archive.message(chat, None if mine else 1, start + number, "x", origins=origins, **more)


def test_messages_that_only_the_history_had_raise_the_suspicion(archive: SmallArchive, dana: int) -> None:
    listened(archive)
    messages(archive, dana, 4, origins=ASKED)
    messages(archive, dana, 5, origins=ASKED | TOLD)
    messages(archive, dana, 2, origins=TOLD, mine=True)
    messages(archive, dana, 2, origins=ASKED, mine=True)
    queue = archive.queries.status().queue
    assert (queue.mode, queue.since, queue.read_at) == ("queue", BEGAN, ENDED)
    assert (queue.told_incoming, queue.missed_incoming, queue.told_outgoing, queue.missed_outgoing) == (5, 4, 2, 2)
    assert queue.suspected == ("incoming",)
    assert queue.note.startswith("While listening, 4 of 9 messages received were never told by the queue: another program")
    assert "sent were" not in queue.note


@pytest.mark.parametrize(
    "more",
    [
        {"message_type": "call"},
        {"message_type": "system"},
        {"start": BEGAN},
        {"start": ENDED - 250},
        {"start": ENDED + 3600},
        {"origins": IMPORTED},
        {"origins": TOLD},
        {"origins": None},
        {"count": 2},
    ],
    ids=["calls", "system", "begin", "end", "later", "imported", "told", "of an earlier version", "two only"],
)
def test_what_proves_nothing_raises_no_suspicion(archive: SmallArchive, dana: int, more: dict[str, object]) -> None:
    listened(archive)
    given = {"count": 4, "origins": ASKED} | more
    count, origins = given.pop("count"), given.pop("origins")
    assert isinstance(count, int)
    messages(archive, dana, count, origins=origins, **given)  # type: ignore[arg-type]
    queue = archive.queries.status().queue
    assert (queue.suspected, queue.note) == ((), "")


def test_statuses_and_channels_are_told_by_nobody(archive: SmallArchive) -> None:
    listened(archive)
    for name in ("status@broadcast", "120363000000000001@newsletter"):
        chat = archive.insert("chats", whatsapp_chat_id=name, chat_type="group")
        messages(archive, chat, 4, origins=ASKED)
    assert archive.queries.status().queue.suspected == ()


def test_a_suspicion_is_forgotten_after_thirty_days(archive: SmallArchive, dana: int) -> None:
    listened(archive, at("2025-06-01 08:00"), at("2025-06-02 08:00"))
    messages(archive, dana, 9, origins=ASKED, start=at("2025-06-01 12:00"))
    assert archive.queries.status().queue.missed_incoming == 0


def test_a_broken_cursor_is_no_time(archive: SmallArchive) -> None:
    listened(archive)
    archive.connection.execute("UPDATE cursors SET value = 'x' WHERE name = 'queue_since'")
    assert archive.queries.status().queue.since is None
