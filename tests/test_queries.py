from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlite_utils
from small_archive import SmallArchive, at

from whatsapp_mcp import schema
from whatsapp_mcp.errors import Ambiguous, DatabaseCorrupt, DatabaseTooNew, NotFound, StorageError, UsageError
from whatsapp_mcp.queries.messages import BY_WHATSAPP_ID

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path)
    yield small
    small.close()


class Book:
    """Three people, two of whom share a first name, and a group."""

    def __init__(self, small: SmallArchive) -> None:
        self.me = small.owner()
        self.dana = small.contact("15550100001", "Dana Levi")
        self.dana_mor = small.contact("15550100002", "Dana Mor")
        self.moshe = small.contact("447700900123", "משה כהן", profile_name="Moshe C")
        small.insert("aliases", whatsapp_id="9911@lid", canonical_id="15550100001@c.us")
        self.with_dana, self.with_mor, self.with_moshe = (small.private(one) for one in (self.dana, self.dana_mor, self.moshe))
        self.club = small.group("Book club", [self.dana, self.moshe])


@pytest.fixture
def book(archive: SmallArchive) -> Book:
    return Book(archive)


@pytest.mark.parametrize(
    "reference",
    [
        "Dana Levi",
        "dana levi",
        "levi",
        "lev",
        "evi",
        "15550100001@c.us",
        "15550100001@s.whatsapp.net",
        "9911@lid",
        "+1 (555) 010-0001",
        "5550100001",
        "0015550100001",
    ],
)
def test_a_chat_is_found_by_whatever_one_calls_it(archive: SmallArchive, book: Book, reference: str) -> None:
    assert archive.queries.find_chat(reference).id == book.with_dana


def test_a_chat_is_found_by_its_number_in_the_archive(archive: SmallArchive, book: Book) -> None:
    for reference in (book.club, str(book.club), f"c{book.club}", archive.queries.find_chat("book CLUB")):
        assert archive.queries.find_chat(reference).name == "Book club"


def test_a_person_is_found_by_any_of_their_names(archive: SmallArchive, book: Book) -> None:
    assert {archive.queries.find_contact(name).id for name in ("משה", "moshe", "משה כהן")} == {book.moshe}
    assert archive.queries.find_contact("me").id == book.me


def test_several_that_fit_are_refused_with_what_tells_them_apart(archive: SmallArchive, book: Book) -> None:
    archive.message(book.with_mor, book.dana_mor, "2025-08-14 10:00", "hi")
    with pytest.raises(Ambiguous) as caught:
        archive.queries.find_chat("dana")
    text = str(caught.value)
    assert '1) "Dana Mor" (private, …0002, last message 2025-08-14, id 2)' in text
    assert '2) "Dana Levi" (private, …0001, id 1)' in text
    assert "\n" not in text


def test_an_exact_name_wins_over_longer_ones(archive: SmallArchive, book: Book) -> None:
    plain = archive.private(archive.contact("15550100009", "Dana"))
    assert archive.queries.find_chat("dana").id == plain != book.with_dana


@pytest.mark.parametrize(
    ("reference", "nearest"),
    [("Dana Lavin", '"Dana Levi"'), ("c999", "list_chats"), ("zzz", "list_chats"), ("+15550199", "list_chats")],
)
def test_none_that_fits_names_the_nearest(archive: SmallArchive, book: Book, reference: str, nearest: str) -> None:
    assert book.club
    with pytest.raises(NotFound) as caught:
        archive.queries.find_chat(reference)
    assert nearest in str(caught.value)


def test_names_from_outside_stand_on_one_line_as_literals(archive: SmallArchive, book: Book) -> None:
    assert book.club
    for number in (1, 2):
        archive.private(archive.contact(f"1555010010{number}", f"Evil\n\u202e{number}"))
    with pytest.raises(Ambiguous) as caught:
        archive.queries.find_chat("evil")
    assert '"Evil\\n\\u202e1"' in str(caught.value)


@pytest.mark.parametrize(
    "reference", ["", "  ", "\ud800", "a" * 100_000, "%", "'; DROP TABLE chats; --", "-1", "c0", "@", "9" * 40]
)
def test_a_strange_reference_gets_a_clear_answer(archive: SmallArchive, book: Book, reference: str) -> None:
    assert book.club
    with pytest.raises(UsageError) as caught:
        archive.queries.find_chat(reference)
    assert len(str(caught.value)) < 400


def test_chats_are_listed_by_their_last_message_and_paged(archive: SmallArchive, book: Book) -> None:
    for day, chat in enumerate((book.club, book.with_moshe, book.with_dana), 1):
        archive.message(chat, book.dana, f"2025-08-0{day} 10:00", "x")
    first, cursor, total = archive.queries.list_chats(limit=2)
    assert [chat.party.id for chat in first] == [book.with_dana, book.with_moshe]
    archive.message(book.with_mor, None, "2025-09-01 10:00", "new")
    rest, end, _ = archive.queries.list_chats(limit=2, cursor=cursor)
    assert [chat.party.id for chat in rest] == [book.club]
    assert (total, end) == (4, None)
    assert [chat.party.name for chat in archive.queries.list_chats("dana")[0]] == ["Dana Mor", "Dana Levi"]
    assert [chat.kind for chat in archive.queries.list_chats(kind="group")[0]] == ["group"]


def test_contacts_are_found_with_all_that_is_known_of_them(archive: SmallArchive, book: Book) -> None:
    dana, mor = archive.queries.find_contacts("dana")
    assert (dana.party.id, mor.party.id) == (book.dana, book.dana_mor)
    assert dana.private_chat is not None
    assert dana.private_chat.id == book.with_dana
    assert [group.name for group in dana.groups] == ["Book club"]
    assert dana.aliases == ("9911@lid",)
    assert [found.party.id for found in archive.queries.find_contacts("0900123")] == [book.moshe]
    assert archive.queries.find_contacts("nobody") == ()


def fill(archive: SmallArchive, chat: int, sender: int, count: int = 25) -> list[int]:
    return [archive.message(chat, sender, at("2025-08-14 10:00") + number // 2, f"message {number}") for number in range(count)]


def test_a_chat_is_read_from_its_end_backwards_without_gaps(archive: SmallArchive, book: Book) -> None:
    ids = fill(archive, book.with_dana, book.dana)
    page = archive.queries.read_chat(book.with_dana, limit=10)
    seen = [message.message_id for message in page.messages]
    archive.message(book.with_dana, book.dana, "2025-09-19 10:00", "later")
    while page.next_cursor:
        page = archive.queries.read_chat(book.with_dana, limit=10, cursor=page.next_cursor)
        seen = [*(message.message_id for message in page.messages), *seen]
    assert seen == ids
    assert page.total == 26


def test_an_interval_bounds_what_is_read(archive: SmallArchive, book: Book) -> None:
    for when in ("2025-07-31 23:59", "2025-08-01 00:00", "2025-08-31 23:59", "2025-09-01 00:00"):
        archive.message(book.with_dana, book.dana, when, when)
    page = archive.queries.read_chat("levi", after="2025-08", before="2025-08")
    assert [message.content for message in page.messages] == ["2025-08-01 00:00", "2025-08-31 23:59"]
    assert page.interval.text == "2025-08-01 00:00 to 2025-09-01 00:00 (Asia/Jerusalem)"
    assert page.total == 2


def test_reading_around_a_message_or_a_date(archive: SmallArchive, book: Book) -> None:
    ids = fill(archive, book.with_dana, book.dana)
    page = archive.queries.read_chat(book.with_dana, around=f"m{ids[12]}", limit=5)
    assert [message.message_id for message in page.messages] == ids[10:15]
    older = archive.queries.read_chat(book.with_dana, around=f"m{ids[12]}", limit=5, cursor=page.next_cursor)
    assert [message.message_id for message in older.messages] == ids[5:10]
    dated = archive.queries.read_chat(book.with_dana, around="2025-08-14", limit=4)
    assert [message.message_id for message in dated.messages] == ids[:2]
    elsewhere = archive.message(book.club, book.dana, "2025-08-14 10:00", "elsewhere")
    with pytest.raises(NotFound, match=f"in chat {book.club}"):
        archive.queries.read_chat(book.with_dana, around=elsewhere)


def test_a_cursor_of_another_request_is_refused(archive: SmallArchive, book: Book) -> None:
    fill(archive, book.with_dana, book.dana)
    cursor = archive.queries.read_chat(book.with_dana, limit=5).next_cursor
    with pytest.raises(UsageError, match="other filters"):
        archive.queries.read_chat(book.with_dana, after="2025", cursor=cursor)
    for broken in ("x", "", "AAAA", "é", f"{cursor}AA", "W10", "A" * 100_000):
        if broken:
            with pytest.raises(UsageError, match="Repeat the first request"):
                archive.queries.read_chat(book.with_dana, limit=5, cursor=broken)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(archive: SmallArchive, book: Book, limit: int) -> None:
    with pytest.raises(UsageError, match="from 1 to"):
        archive.queries.read_chat(book.club, limit=limit)
    assert archive.queries.read_chat(book.club, limit=10**6).messages == ()


def test_a_message_carries_what_belongs_to_it(archive: SmallArchive, book: Book) -> None:
    first = archive.message(book.club, None, "2025-08-14 10:00", "Who brings\nthe cake?", whatsapp_message_id="A1")
    second = archive.message(
        book.club,
        book.dana,
        "2025-08-14 10:01",
        "me",
        whatsapp_message_id="A2",
        quoted_message_id=first,
        quoted_whatsapp_message_id="A1",
        is_forwarded=1,
    )
    for who, emoji, when in (
        (book.me, "👍", 1),
        (book.me, "❤", 2),
        (book.moshe, "😂", 3),
        (book.dana_mor, "😂", 4),
        (book.dana_mor, "", 5),
    ):
        archive.insert(
            "reactions", chat_id=book.club, whatsapp_message_id="A2", sender_contact_id=who, reacted_at=when, emoji=emoji
        )
    archive.message(
        book.club, book.dana, "2025-08-14 10:02", "", message_type="image", media_mime_type="image/jpeg", marker="SWE002"
    )
    archive.message(book.club, book.dana, "2025-08-14 10:03", "Park", message_type="location", latitude=1.5, longitude=2.5)
    message = archive.queries.get_message(f"m{second}")
    assert message.quoted is not None
    assert (message.quoted.message_id, message.quoted.sender, message.quoted.excerpt) == (first, "You", "Who brings the cake?")
    assert [(reaction.sender.name, reaction.emoji) for reaction in message.reactions] == [
        ("+15550100000", "❤"),
        ("משה כהן", "😂"),
    ]
    assert message.forwarded
    assert archive.queries.get_message("A1").message_id == first
    image, place = archive.queries.read_chat(book.club).messages[2:]
    assert image.media is not None
    assert image.media.problem == "too large"
    assert place.location is not None
    assert (place.location.latitude, place.media) == (1.5, None)


def test_an_unknown_message_is_not_found_and_a_doubled_id_is_ambiguous(archive: SmallArchive, book: Book) -> None:
    for chat in (book.with_dana, book.club):
        archive.message(chat, book.dana, "2025-08-14 10:00", "x", whatsapp_message_id="SAME")
    with pytest.raises(Ambiguous, match="1\\) m1 in chat 1; 2\\) m2 in chat 4"):
        archive.queries.get_message("SAME")
    for unknown in ("m999", "nope", "\ud800", "9" * 18):
        with pytest.raises(NotFound):
            archive.queries.get_message(unknown)


def test_export_reads_everything_in_order(archive: SmallArchive, book: Book) -> None:
    ids = fill(archive, book.with_dana, book.dana, 1_203)
    assert [message.message_id for message in archive.queries.iter_messages("levi", after="2025-08")] == ids


def test_coverage_says_what_may_be_missing(archive: SmallArchive, book: Book) -> None:
    archive.message(book.with_dana, book.dana, "2019-03-02 10:00", "first")
    archive.private(archive.contact("15550100010", "Cut Off"), progress="truncated")
    archive.private(archive.contact("15550100011", "Failed"), progress="failed")
    archive.insert("chats", whatsapp_chat_id="15550100012@c.us", chat_type="private")
    known = archive.queries.coverage()
    assert (known.chats, known.complete, known.truncated, known.failed, known.pending) == (7, 4, 1, 1, 1)
    assert (
        known.note
        == "Incomplete: of 7 chats 1 cut off by the gateway, 1 failed to fetch, 1 not fetched yet; messages may be missing."
    )
    assert "cut this chat's history off" in archive.queries.read_chat("cut off").coverage.note
    assert "known from 2019-03-02" in archive.queries.read_chat("levi", after="2018").coverage.note
    assert "Nothing newer than 2025-09-20" in archive.queries.read_chat("levi", after="2025-10").coverage.note
    assert archive.queries.read_chat("levi", after="2020").coverage.note == ""


def test_an_archive_that_was_only_imported_waits_for_nothing(archive: SmallArchive) -> None:
    chat = archive.insert("chats", whatsapp_chat_id="export:Holiday", chat_type="group")
    archive.message(chat, None, "2025-08-14 10:00", "x")
    known = archive.queries.coverage()
    assert (known.pending, known.note) == (0, "")
    assert archive.queries.find_chat("holiday").name == "Holiday"


def test_status_tells_the_whole_archive(archive: SmallArchive, book: Book) -> None:
    archive.message(book.with_dana, book.dana, "2025-08-14 10:00", "", message_type="image")
    archive.insert("runs", kind="full", state="done", started_at=1, chats_total=4)
    archive.private(archive.contact("15550100011", "Failed"), progress="failed")
    archive.connection.execute("UPDATE sync_status SET last_error = '400', error_count = 2 WHERE sync_progress = 'failed'")
    told = archive.queries.status()
    assert (told.account, told.chats, told.groups, told.contacts, told.messages, told.media_messages) == (
        "15550100000@c.us",
        5,
        1,
        5,
        1,
        1,
    )
    assert [(run.kind, run.chats_total) for run in told.runs] == [("full", 4)]
    assert [(failure.chat.name, failure.error, failure.error_count) for failure in told.failures] == [("Failed", "400", 2)]
    assert told.database_bytes > 0


def test_the_schema_is_told_without_shadow_tables(archive: SmallArchive) -> None:
    text = archive.queries.schema_text()
    assert "CREATE TABLE messages" in text
    assert "message_index_data" not in text
    scratch = sqlite3.connect(":memory:")
    scratch.executescript(text)
    scratch.close()


def test_without_an_archive_the_next_step_is_named(tmp_path: Path) -> None:
    queries = SmallArchive(tmp_path).queries
    queries.database.path = tmp_path / "missing.db"
    with pytest.raises(StorageError, match="whatsapp-mcp sync full"):
        queries.status()
    queries.database.path.touch()
    with pytest.raises(StorageError, match="still empty"):
        queries.status()


@pytest.mark.parametrize("damage", ["text", "torn", "foreign"])
def test_a_file_that_is_no_archive_is_called_corrupt(archive: SmallArchive, damage: str, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    if damage == "text":
        other.write_bytes(b"This is not a database. " * 100)
    elif damage == "torn":
        archive.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.write_bytes(archive.path.read_bytes()[:20_000])
    else:
        foreign = sqlite_utils.Database(other)
        foreign.execute("CREATE TABLE something (x)")
        foreign.execute("PRAGMA user_version = 1")
        foreign.close()
    archive.queries.database.path = other
    with pytest.raises(DatabaseCorrupt):
        archive.queries.status()


def test_a_database_of_a_later_version_is_left_alone(archive: SmallArchive) -> None:
    archive.connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    with pytest.raises(DatabaseTooNew):
        archive.queries.status()


def test_readers_do_not_wait_for_a_writer_and_see_one_state(archive: SmallArchive, book: Book) -> None:
    fill(archive, book.with_dana, book.dana, 5)
    stream = archive.queries.iter_messages(book.with_dana)
    next(stream)
    archive.connection.execute("BEGIN IMMEDIATE")
    archive.message(book.with_dana, book.dana, "2025-09-01 10:00", "uncommitted")
    assert archive.queries.read_chat(book.with_dana).total == 5
    archive.connection.execute("COMMIT")
    assert len(list(stream)) == 4
    assert archive.queries.read_chat(book.with_dana).total == 6


def test_many_threads_may_ask_at_once(archive: SmallArchive, book: Book) -> None:
    fill(archive, book.with_dana, book.dana)
    totals: list[int | None] = []
    threads = [threading.Thread(target=lambda: totals.append(archive.queries.search("message").total)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [25] * 12


def test_nothing_can_be_written_through_a_reader(archive: SmallArchive) -> None:
    with pytest.raises(StorageError), archive.queries.database.reading() as connection:
        connection.execute("DELETE FROM messages")


def test_a_replaced_file_is_noticed(archive: SmallArchive, book: Book, tmp_path: Path) -> None:
    fill(archive, book.with_dana, book.dana, 3)
    assert archive.queries.status().messages == 3
    (tmp_path / "new").mkdir()
    other = SmallArchive(tmp_path / "new")
    other.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    archive.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.path.rename(archive.path)
    assert archive.queries.status().messages == 0


@contextmanager
def as_somebody_without_rights(folder: Path) -> Iterator[None]:
    """Take the right to write there away; root has every right, so root becomes nobody meanwhile."""
    folder.chmod(0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has other rights")
def test_an_archive_in_a_folder_that_cannot_be_written_is_read() -> None:
    with tempfile.TemporaryDirectory() as folder:
        small = SmallArchive(Path(folder))
        small.message(small.private(small.contact("15550100001", "Dana")), None, "2025-08-14 10:00", "hello")
        small.close()
        small.path.chmod(0o444)
        assert [path.name for path in Path(folder).iterdir()] == [small.path.name]
        with as_somebody_without_rights(Path(folder)):
            assert small.queries.search("hello").total == 1
            small.queries.close()


def test_a_message_is_found_by_whatsapps_id_with_one_look_up_in_an_index_for_each_chat(archive: SmallArchive) -> None:
    plan = archive.connection.execute(f"EXPLAIN QUERY PLAN {BY_WHATSAPP_ID}", ("3EB0",)).fetchall()
    assert [row[3] for row in plan if "messages" in row[3] and "chat_id=? AND whatsapp_message_id=?" in row[3]], plan
    assert not [row[3] for row in plan if row[3].startswith("SCAN messages")]
