"""What people and groups were called, and when; and that a name once in use still finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fake_clock import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from small_archive import ZONE
from store_fixtures import RECEIVED_AT, answer, history, incoming

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import Ambiguous
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.queries import Queries
from whatsapp_mcp.queries.history import name_at
from whatsapp_mcp.records import Alias, Chat, Contact, Group, Message
from whatsapp_mcp.server.lists import chats_answer, contacts_answer
from whatsapp_mcp.server.numbers import analysis_answer
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.verify import verify
from whatsapp_mcp.views import NameView

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.records import Record

ANA, ANA_LID, BEN, CLUB = "15550100002@c.us", "900000000000002@lid", "447700900123@c.us", "120363000000000001@g.us"
DAY = 86_400
APRIL_1 = 1_743_454_800
"""Midnight of 2025-04-01 in Jerusalem."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "whatsapp_chats.db") as opened:
        yield opened
        assert verify(opened) == []


@pytest.fixture
def queries(store: Store, tmp_path: Path) -> Iterator[Queries]:
    asked = Queries(tmp_path / "whatsapp_chats.db", zone=ZONE, clock=FakeClock(APRIL_1 + 30 * DAY))
    yield asked
    asked.close()


def person_names(store: Store) -> list[tuple[str, str, int, int]]:
    return store.connection.execute(
        "SELECT source, name, first_seen_at, last_seen_at FROM contact_names ORDER BY 1, 2, 3"
    ).fetchall()


def test_each_name_is_kept_with_its_first_and_last_sighting(store: Store) -> None:
    for seen_at, name in ((30, "Ana Weiss"), (10, "Ana Sela"), (20, "Ana Sela"), (40, "Ana Weiss"), (15, "")):
        store.apply([Contact(ANA, seen_at, phonebook_name=name, profile_name="ana")], 50)
    assert person_names(store) == [
        ("phonebook", "Ana Sela", 10, 20),
        ("phonebook", "Ana Weiss", 30, 40),
        ("profile", "ana", 10, 40),
    ]


def test_a_group_is_named_by_its_data_and_by_the_list_of_chats(store: Store) -> None:
    store.apply([Chat(CLUB, 20, "Readers"), Group(CLUB, 10, "Readers"), Group(CLUB, 30, "Book club"), Chat(CLUB, 5)], 50)
    store.apply([Chat(ANA, 20, "Ana")], 50)
    found = store.connection.execute("SELECT name, first_seen_at, last_seen_at FROM group_names ORDER BY 2").fetchall()
    assert found == [("Readers", 10, 20), ("Book club", 30, 30)]


def test_two_ids_of_one_person_have_one_history_of_names(store: Store) -> None:
    store.apply([Contact(ANA, 30, profile_name="Ana"), Contact(ANA_LID, 10, profile_name="Ana"), Contact(ANA_LID, 5, "A")], 50)
    store.apply([Alias(ANA_LID, ANA)], 50)
    assert person_names(store) == [("phonebook", "A", 5, 5), ("profile", "Ana", 10, 30)]


def test_a_sighting_within_a_known_stretch_writes_nothing(store: Store) -> None:
    store.apply([Contact(ANA, seen_at, "Ana") for seen_at in (10, 30)], 50)
    before = store.connection.total_changes
    store.apply([Contact(ANA, 20, "Ana")], 50)
    assert store.connection.total_changes == before


NAMES = st.sampled_from(["", "Ana", "Ana Sela"])
TIMES = st.integers(1, 9)
SIGHTINGS = st.lists(
    st.tuples(st.sampled_from([ANA, ANA_LID]), TIMES, NAMES, NAMES).map(lambda drawn: Contact(*drawn))
    | st.tuples(TIMES, NAMES).map(lambda drawn: Group(CLUB, *drawn))
    | st.just(Alias(ANA_LID, ANA)),
    min_size=1,
    max_size=10,
)


@settings(deadline=None)
@given(sightings=SIGHTINGS, random=st.randoms())
def test_names_are_what_a_plain_count_says_in_any_order(sightings: list[Record], random: random.Random) -> None:
    one = {ANA_LID: ANA} if Alias(ANA_LID, ANA) in sightings else {}
    times: dict[tuple[str, str, str], list[int]] = {}
    for seen in sightings:
        if isinstance(seen, Group) and seen.name:
            times.setdefault((CLUB, "group", seen.name), []).append(seen.seen_at)
        elif isinstance(seen, Contact):
            for source, name in (("phonebook", seen.phonebook_name), ("profile", seen.profile_name)):
                if name:
                    times.setdefault((one.get(seen.id, seen.id), source, name), []).append(seen.seen_at)
    random.shuffle(sightings)
    with Store(":memory:") as store:
        for seen in sightings:
            store.apply([seen], 50)
        found = census(store.connection)
    persons = set(found["contact_names"])
    groups = {(row[0], "group", *row[1:]) for row in found["group_names"]}
    assert persons | groups == {(*key, min(seen), max(seen)) for key, seen in times.items()}


def test_a_rebuild_arrives_at_the_same_names(store: Store) -> None:
    ingest = Ingest(store)
    for day, name in enumerate(("Alice Example", "Alice Example", "Alice Newname")):
        contacts = [{"id": "15550100002@c.us", "name": "Alice", "contactName": name, "type": "user"}]
        ingest.receive(answer("getContacts", contacts, received_at=RECEIVED_AT + day))
    ingest.receive(history([incoming(1, "Which book?", senderName="Al"), incoming(2, "This one", senderName="Alice")]))
    before = census(store.connection)
    assert len(before["contact_names"]) == 4
    assert verify(store, thorough=True) == []
    rebuild(store)
    assert census(store.connection) == before


def test_names_are_told_in_order_and_at_any_moment(store: Store, queries: Queries) -> None:
    store.apply(
        [Contact(ANA, APRIL_1 + day * DAY, name) for day, name in ((0, "Ana Sela"), (9, "Ana Sela"), (12, "Ana Weiss"))], 1
    )
    assert [name.name for name in queries.names_of("Ana Weiss")] == ["Ana Sela", "Ana Weiss"]
    called = {day: queries.name_at(ANA, day) for day in ("2025-03-31", "2025-04-05", "2025-04-11", "2025-04-20")}
    assert [name and name.name for name in called.values()] == [None, "Ana Sela", "Ana Sela", "Ana Weiss"]
    assert queries.name_at(ANA) == NameView("Ana Weiss", "phonebook", APRIL_1 + 12 * DAY, APRIL_1 + 12 * DAY)


def test_a_groups_names_are_told_as_well(store: Store, queries: Queries) -> None:
    store.apply([Chat(CLUB, APRIL_1, "Readers"), Chat(CLUB, APRIL_1 + 9 * DAY, "Book club")], 1)
    assert [name.name for name in queries.names_of("Book club", "group")] == ["Readers", "Book club"]
    found = queries.name_at(CLUB, "2025-04-03", "group")
    assert found is not None
    assert (found.name, found.source) == ("Readers", "group")


def test_of_a_name_that_came_back_the_stretch_between_belongs_to_the_other() -> None:
    names = [NameView("A", "profile", 1, 9), NameView("B", "profile", 4, 6), NameView("Book", "phonebook", 8, 8)]
    assert [getattr(name_at(names, at), "name", None) for at in (0, 3, 5, 7, 8, 20)] == [None, "A", "B", "A", "Book", "Book"]


@pytest.fixture
def renamed(store: Store) -> Store:
    """Ana Weiss was Ana Sela, the Book club was called Readers, and Ben Sela is somebody else."""
    names = [Contact(ANA, APRIL_1, "Ana Sela"), Contact(ANA, APRIL_1 + DAY, "Ana Weiss"), Contact(BEN, APRIL_1, "Ben Sela")]
    messages = [Message(ANA, "A1", APRIL_1, ANA, content="hi"), Message(BEN, "B1", APRIL_1, BEN, content="hi")]
    store.apply([*names, Chat(CLUB, APRIL_1, "Readers"), Chat(CLUB, APRIL_1 + DAY, "Book club"), *messages], 1)
    return store


@pytest.fixture
def archive(renamed: Store, tmp_path: Path) -> Iterator[Archive]:
    opened = Archive.open(Settings(home=tmp_path, timezone=ZONE), FakeClock(APRIL_1 + 30 * DAY))
    yield opened
    opened.queries.close()


@pytest.mark.usefixtures("renamed")
def test_a_person_and_a_chat_are_found_by_a_name_that_they_no_longer_have(queries: Queries) -> None:
    assert queries.find_contact("ana sela").name == "Ana Weiss"
    assert queries.find_chat("Ana Sela").name == "Ana Weiss"
    assert queries.find_chat("readers").name == "Book club"
    assert [found.former_names for found in queries.find_contacts("ana sela")] == [("Ana Sela",)]
    assert [chat.former_names for chat in queries.list_chats("readers")[0]] == [("Readers",)]


@pytest.mark.usefixtures("renamed")
def test_whoever_is_called_so_today_goes_before_whoever_was(queries: Queries) -> None:
    assert queries.find_contact("Sela").name == "Ben Sela"
    assert [found.party.name for found in queries.find_contacts("sela")] == ["Ben Sela", "Ana Weiss"]


def test_several_who_once_had_the_name_are_told_apart_by_it(renamed: Store, queries: Queries) -> None:
    renamed.apply([Contact(BEN, APRIL_1 + 2 * DAY, "Ben Weiss")], 1)
    with pytest.raises(Ambiguous, match=r'formerly "Ana Sela".*formerly "Ben Sela"'):
        queries.find_contact("sela")


def test_another_spelling_of_the_same_words_is_no_former_name(store: Store, queries: Queries) -> None:
    store.apply([Contact(ANA, 10, "ANA  sela"), Contact(ANA, 20, "Ana Sela"), Contact(ANA, 20, profile_name="Anička")], 1)
    store.apply([Contact(ANA, 30, profile_name="Anicka")], 1)
    assert queries.get_contact("Ana Sela").former_names == ()


@pytest.mark.usefixtures("renamed")
def test_the_command_line_says_what_a_chat_was_called_formerly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path), "chats", "readers"]) == 0
    assert "Book club (formerly Readers)" in capsys.readouterr().out
    assert main(["--home", str(tmp_path), "chats"]) == 0
    assert "formerly" not in capsys.readouterr().out


def test_the_numbers_say_who_was_taken_for_a_name(archive: Archive) -> None:
    text, structured = analysis_answer(archive, after="2025", before="2025", chat=None, contact="Бен Села", breakdown=None)
    assert structured["notes"][0].startswith('"Бен Села" was taken for "Ben Sela" (person, …0123')
    assert structured["notes"][0] in text
    text, structured = analysis_answer(archive, after="2025", before="2025", chat="Ben Sela", contact=None, breakdown=None)
    assert "notes" not in structured


def test_the_tools_say_what_somebody_was_called_formerly(archive: Archive) -> None:
    assert 'formerly "Ana Sela"' in contacts_answer(archive, "sela")
    found = chats_answer(archive, query="readers", kind=None, limit=50, cursor=None)
    assert '"Book club" group' in found
    assert 'formerly "Readers"' in found
    assert "formerly" not in chats_answer(archive, query=None, kind=None, limit=50, cursor=None)
