"""Chats that are hidden from assistants: nothing of them comes out of any query, and the owner still sees everything."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from small_archive import NOW, ZONE, FixedClock, SmallArchive

from whatsapp_mcp.errors import NotFound
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.queries.hiding import OPEN, ROWS, Sight

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOMENT = int(NOW.timestamp())


class Household:
    """Dana's chat may be seen, Avner's and the group "Surprise party" may not; Ruth is in both groups."""

    def __init__(self, folder: Path) -> None:
        rows = self.rows = SmallArchive(folder)
        rows.owner()
        self.dana, self.avner, self.ruth, self.gil = (
            rows.contact(f"1555010000{number}", name)
            for number, name in ((1, "Dana Levi"), (2, "Avner Secretovich"), (3, "Ruth Azulay"), (4, None))
        )
        self.open = rows.private(self.dana)
        self.secret = rows.private(self.avner)
        self.club = rows.group("Book club", [self.dana, self.ruth])
        self.party = rows.group("Surprise party", [self.ruth, self.gil, self.avner])
        rows.message(self.open, self.dana, "2025-08-14 10:00", "the invoice is paid")
        rows.message(self.club, self.ruth, "2025-08-14 11:00", "chapter seven tonight")
        self.hidden_message = rows.message(
            self.secret, self.avner, "2025-08-15 10:00", "zanzibar invoice", media_sha256="ab" * 32, message_type="document",
            media_filename="zanzibar.pdf", local_media_path="media/documents/ab",
        )  # fmt: skip
        rows.message(self.party, self.gil, "2025-08-16 10:00", "balloons from zanzibar")
        rows.insert("media_files", sha256="ab" * 32, path="media/documents/ab", size=5)
        rows.insert("media_texts", sha256="ab" * 32, source="document", text="zanzibar terms", reader=1, made_at=1)
        rows.insert(
            "reactions", chat_id=self.secret, whatsapp_message_id="3A0", sender_contact_id=self.avner, reacted_at=1, emoji="x"
        )
        rows.insert("media_download_queue", message_id=self.hidden_message, download_status="stored")
        rows.insert("runs", kind="full", state="complete", started_at=1, messages_seen=777, last_error="Avner failed")
        rows.insert("contact_names", contact_id=self.avner, source="profile", name="Zanzi", first_seen_at=1, last_seen_at=2)

    def asked(self, hidden: tuple[str, ...] = (), shown: tuple[str, ...] = ()) -> Queries:
        return Queries(self.rows.path, zone=ZONE, clock=FixedClock(), sight=Sight(hidden, shown))


@pytest.fixture
def household(tmp_path: Path) -> Iterator[Household]:
    made = Household(tmp_path)
    yield made
    made.rows.close()


@pytest.fixture
def asked(household: Household) -> Iterator[Queries]:
    queries = household.asked(("Avner", "Surprise party"))
    yield queries
    queries.close()


def names(queries: Queries) -> list[str]:
    return sorted(chat.party.name for chat in queries.list_chats()[0])


def names_by(household: Household, **sight: tuple[str, ...]) -> list[str]:
    queries = household.asked(**sight)
    try:
        return names(queries)
    finally:
        queries.close()


def test_a_hidden_chat_is_in_no_list_and_cannot_be_named(household: Household, asked: Queries) -> None:
    assert names(asked) == ["Book club", "Dana Levi"]
    for reference in ("Avner Secretovich", "Zanzi", "15550100002", "15550100002@c.us", household.secret, "Surprise party"):
        with pytest.raises(NotFound) as refused:
            asked.find_chat(reference)
        assert "Secretovich" not in str(refused.value).replace(
            "Avner Secretovich", "", 1 if reference == "Avner Secretovich" else 0
        )
    with pytest.raises(NotFound):
        asked.get_message(f"m{household.hidden_message}")


def test_a_search_finds_and_counts_nothing_of_it(asked: Queries) -> None:
    page = asked.search("zanzibar")
    assert page.messages == ()
    assert page.total in (0, None)
    assert asked.search("invoice").total == 1
    assert [message.content for message in asked.search("", after="2025-08").messages] == [
        "chapter seven tonight",
        "the invoice is paid",
    ]
    near = asked.search("zanzibat").suggestions
    assert near is not None
    assert "zanzibar" not in (*near.near_words, near.next_call)
    elsewhere = asked.search("zanzibar", sender="me", after="2025-08-01", before="2025-08-31").suggestions
    assert elsewhere is not None
    assert not elsewhere.months_with_hits
    assert "hit" not in elsewhere.next_call


def test_the_numbers_count_nothing_of_it(asked: Queries) -> None:
    status = asked.status()
    assert (status.chats, status.private_chats, status.groups, status.messages) == (2, 1, 1, 2)
    assert (status.media_messages, status.files.stored, status.files.contents, status.payloads) == (0, 0, 0, 0)
    assert status.hidden_chats == 2
    assert [(run.messages_seen, run.last_error) for run in status.runs] == [(0, None)]
    assert status.coverage.messages == 2
    assert "2 chats are hidden from assistants by the settings." in status.coverage.note
    counted = asked.count("2025-08", "2025-08")
    assert sum(tally.messages for tally in counted.tallies["chat"]) == 2
    assert asked.media_text("ab" * 32) is None


def test_who_is_known_from_hidden_chats_only_is_nobody(asked: Queries) -> None:
    assert asked.find_contacts("Avner") == ()
    assert asked.find_contacts("15550100004") == ()
    assert asked.find_contacts("Zanzi") == ()
    (ruth,) = asked.find_contacts("Ruth")
    assert [group.name for group in ruth.groups] == ["Book club"]
    assert asked.find_contact("me").whatsapp_id == "15550100000@c.us"
    assert "Avner Secretovich" not in asked.nearest("Avner Secretovic", "contact")


def test_who_is_hidden_keeps_a_name_where_they_write_in_a_chat_that_is_seen(household: Household, asked: Queries) -> None:
    household.rows.message(household.club, household.avner, "2025-08-17 10:00", "hello all")
    (message,) = asked.search("hello").messages
    assert message.sender is not None
    assert message.sender.name == "Avner Secretovich"
    (contact,) = asked.find_contacts("Avner")
    assert contact.private_chat is None


def test_a_chat_that_arrives_later_is_hidden_from_its_first_moment_on(household: Household) -> None:
    queries = household.asked(("Night shift",))
    try:
        assert names(queries) == ["Avner Secretovich", "Book club", "Dana Levi", "Surprise party"]
        household.rows.group("Night shift", [household.ruth])
        assert "Night shift" not in names(queries)
    finally:
        queries.close()


@pytest.mark.parametrize(
    ("hidden", "gone"),
    [
        ("Dana Levi", "Dana Levi"), ("dana", "Dana Levi"), ("+1 555 010 0001", "Dana Levi"),
        ("15550100001@s.whatsapp.net", "Dana Levi"), ("c1", "Dana Levi"), ("1", "Dana Levi"),
        ("Zanzi", "Avner Secretovich"), ("BOOK CLUB", "Book club"),
    ],
)  # fmt: skip
def test_a_chat_is_hidden_by_name_number_or_id_and_by_a_former_name(household: Household, hidden: str, gone: str) -> None:
    assert gone not in names_by(household, hidden=(hidden,))


@pytest.mark.parametrize(
    ("hidden", "called"),
    [
        ("Moshe", "משה"), ("משה", "Moshe Cohen"), ("Моше", "משה כהן"), ("Olga Ivanova", "Ольга Иванова"), ("Muhammad", "محمد"),
        ("Mohammed", "Muhammad"), ("Kupat Holim", "קופת חולים"), ("...", "..."), ("🎉", "🎉 🎉"),
    ],
)  # fmt: skip
def test_a_chat_is_hidden_by_its_name_in_another_script_or_spelling(household: Household, hidden: str, called: str) -> None:
    household.rows.private(household.rows.contact("15550100044", called))
    assert called in names_by(household)
    assert called not in names_by(household, hidden=(hidden,))


def test_what_is_shown_is_called_just_so_and_not_only_alike(household: Household) -> None:
    household.rows.private(household.rows.contact("15550100044", "משה"))
    assert names_by(household, shown=("Moshe",)) == []


def test_what_is_hidden_by_its_sound_only_is_told_to_the_owner(household: Household) -> None:
    chat = household.rows.private(household.rows.contact("15550100044", "משה"))
    found = household.rows.queries.hidden(Sight(("Moshe", "Book club"), ()))
    assert found.by_sound == (("Moshe", chat, "משה"),)
    assert found.without_chat == ()


@pytest.mark.parametrize(
    ("stored", "hidden"),
    [
        ("5215550100123", "+52 555 010 0123"), ("447700900123", "٠٧٧٠٠٩٠٠١٢٣"), ("447700900123", "+44 (0)7700–900123"),
        ("447700900123", "07700.900123"),
    ],
)  # fmt: skip
def test_a_number_hides_its_chat_however_it_is_written(household: Household, stored: str, hidden: str) -> None:
    household.rows.private(household.rows.contact(stored, "Zoe"))
    assert "Zoe" not in names_by(household, hidden=(hidden,))


def test_a_name_that_fits_several_chats_hides_all_of_them(household: Household) -> None:
    household.rows.private(household.rows.contact("15550100009", "Dana Cohen"))
    assert names_by(household, hidden=("Dana",)) == ["Avner Secretovich", "Book club", "Surprise party"]


def test_only_what_is_shown_is_seen_and_what_is_hidden_stays_hidden(household: Household) -> None:
    assert names_by(household, shown=("Book club",)) == ["Book club"]
    assert names_by(household, shown=("Book club", "Dana Levi"), hidden=("Dana",)) == ["Book club"]
    queries = household.asked(shown=("Book club",))
    try:
        household.rows.contact("15550100033", "Only In The Phone Book")
        assert queries.find_contacts("Phone Book") == ()
        assert [one.party.name for one in queries.find_contacts("Dana")] == ["Dana Levi"]
    finally:
        queries.close()


def test_an_entry_that_fits_no_chat_or_too_many_is_told(household: Household) -> None:
    household.rows.private(household.rows.contact("15550100009", "Dana Cohen"))
    found = household.rows.queries.hidden(Sight(("Nobody at all",), ("Dana", "Book club")))
    assert found.without_chat == ("Nobody at all",)
    assert found.ambiguous == ("Dana",)
    queries = household.asked(("Nobody at all",))
    try:
        note = queries.status().coverage.note
    finally:
        queries.close()
    assert "1 entry of these settings fits no chat or several: `whatsapp-mcp doctor` names it." in note
    assert "Nobody" not in note


def test_the_owner_sees_everything(household: Household) -> None:
    assert household.rows.queries.status().messages == 4
    assert household.rows.queries.search("zanzibar").total == 2
    assert household.rows.queries.status().hidden_chats == 0


def every_table(path: Path) -> set[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    connection.close()
    inner = ("message_index_", "sqlite_", "_sqlite", "_whatsapp")
    return {name for (name,) in rows if not name.startswith(inner) and "migrations" not in name}


def test_of_every_table_it_is_settled_what_an_assistant_sees(household: Household) -> None:
    """A new table is entered in `hiding.ROWS`, or in `hiding.OPEN` where it says nothing of any chat."""
    laid = set(ROWS) | {"runs", "message_index"}
    assert every_table(household.rows.path) - OPEN == laid


def cells(connection: sqlite3.Connection, name: str) -> Iterator[Any]:
    for row in connection.execute(f"SELECT * FROM {name}"):
        yield from row


def test_no_table_that_a_query_can_name_holds_anything_of_a_hidden_chat(household: Household, asked: Queries) -> None:
    with asked.database.reading() as connection:
        for name in sorted(every_table(household.rows.path) - {"message_index"}):
            told = [str(cell) for cell in cells(connection, name)]
            for word in ("zanzi", "Secretovich", "Surprise", "15550100002", "15550100004"):
                assert not [cell for cell in told if word.casefold() in cell.casefold()], (name, word)
        assert connection.execute("SELECT count(*) FROM message_index WHERE message_index MATCH 'zanzibar'").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM vocabulary WHERE term = 'zanzibar'").fetchone() == (0,)
        assert connection.execute("SELECT doc FROM vocabulary WHERE term = 'invoice'").fetchone() == (1,)
