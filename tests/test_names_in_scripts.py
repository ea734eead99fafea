"""That a person or a chat is found by name in any script, by number and by group, and that a short name fits few."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from small_archive import ZONE, SmallArchive, at

from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import Ambiguous, NotFound
from whatsapp_mcp.search.names import NEVER, are_comparable, difference, readings
from whatsapp_mcp.search.romanising import parts_of, words_of
from whatsapp_mcp.server.completions import values
from whatsapp_mcp.server.lists import contacts_answer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SAME = """
Hebrew: משה Moshe, משה Моше, יוסי Yossi, יוסי Yosi, יוסי Йоси, אולגה Ольга, דנה Dana, דן Dan, דינה Dina, לוי Levi, לוי Lewi,
    כהן Cohen, כהן Kohen, חיים Haim, חיים Chaim, צבי Zvi, צבי Tzvi, יצחק Yitzhak, יצחק Itzhak, ישראל Israel, שרה Sarah,
    אברהם Avraham, אברהם Abraham, רחל Rachel, רחל Рахель, מיכאל Michael, מיכאל Михаил, נועה Noa, דוד David,
    דויד David, יהודה Yehuda, ג'ון John, צ'רלי Charlie, מוחמד محمد, ניקול Nicole
Arabic: محمد Mohammed, محمد Muhammad, محمد Мухаммед, أحمد Ahmad, أحمد Ahmed, فاطمة Fatima, يوسف Yousef, يوسف Yusuf, عمر Omar,
    حسين Hussein, خالد Khaled, علي Ali, الشريف Sharif, جورج George, نور Nour, وليد Walid, مصطفى Mustafa, عثمان Osman,
    عائشة Aisha
Persian: علی Ali, رضا Reza, پریسا Parisa
Russian: Моше Moshe, Ольга Olga, Юлия Yulia, Юлия Julia, Щукин Shchukin, Наталья Natalia, Евгений Evgeny, Евгений Yevgeny,
    Алексей Alexey, Сергей Sergey, Хрущёв Khrushchev, Джон John
Greek: Γιώργος Giorgos, Γιώργος Yorgos, Ελένη Eleni, Ευάγγελος Evangelos, Χρήστος Christos, Χρήστος Hristos, Μπάμπης Babis
Latin: Şahin Shahin, Çelik Chelik, Kovač Kovach, Müller Mueller, Müller Muller, Łukasz Lukasz, Jon John, Ana Anna, Leah Lea,
    Mohammed Muhammad
Chinese: 王芳 Wangfang, 王芳 Wang, 李伟 Wei
Japanese: スズキ Suzuki, さくら Sakura
Korean: 김민수 Minsu, 김민수 Kim, 박지성 Jisung, 박지성 Park, 이영희 Lee
Thai: สมชาย Somchai
Hindi: मोहन Mohan, प्रिया Priya, राहुल Rahul, शर्मा Sharma
Georgian: გიორგი Giorgi
"""
OTHERS = """
Hebrew: דן Dana, דן Dina, דנה Dan, דנה דינה, דינה Dana, יוסי Yasi, אורי Ari, נועה Noam, שרה Sharon, חיים Chava, רון Rina,
    לאה Lia, משה Moshik
Arabic: علي Ala, أحمد Hamad, يوسف Yossi, محمد محمود
Russian: Ольга Helga, Ольга Оля, Юлия Юрий, Моше Мойшик
Greek: Νίκος Niki
Latin: Dan Dina, Dana Dena, Dana Dina, Martin Morten, Martin Martina, Yossi Yosef, Ali Eli, Marina Marian
Chinese: 王芳 Wong
Korean: 김민수 Minsoon
Hindi: मोहन Mina
"""


def pairs_of(table: str) -> list[tuple[str, str]]:
    return [(one, other) for pair in re.sub(r"\w+:", ",", table).split(",") if pair.strip() for one, other in [pair.split()]]


def are_alike(one: str, other: str) -> bool:
    """Whether a word of one name may be said like a word of the other."""
    mine, theirs = ((*words_of(name), *parts_of(words_of(name))) for name in (one, other))
    return any(
        difference(reading, like) < NEVER
        for word in mine for another in theirs if are_comparable(word, another)
        for reading in readings(word) for like in readings(another) if reading.consonants == like.consonants
    )  # fmt: skip


@pytest.mark.parametrize(("one", "other"), pairs_of(SAME))
def test_one_name_in_two_spellings_sounds_alike_whichever_is_typed(one: str, other: str) -> None:
    assert are_alike(one, other)
    assert are_alike(other, one)


@pytest.mark.parametrize(("one", "other"), pairs_of(OTHERS))
def test_another_name_does_not_sound_alike(one: str, other: str) -> None:
    assert not are_alike(one, other)
    assert not are_alike(other, one)


def test_the_tables_are_as_large_as_they_look() -> None:
    assert len(pairs_of(SAME)) > 100
    assert len(pairs_of(OTHERS)) > 30


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallArchive]:
    opened = SmallArchive(tmp_path)
    yield opened
    opened.close()


def add(small: SmallArchive, *names: str) -> list[int]:
    """A person with a private chat for each name."""
    first = small.connection.execute("SELECT count(*) + 1 FROM contacts").fetchone()[0]
    people = [small.contact(f"1555010{number:04}", name) for number, name in enumerate(names, first)]
    for person in people:
        small.private(person)
    return people


NAMES = (
    "משה כהן",
    "Ольга Петрова",
    "محمد الشريف",
    "Γιώργος Παπάς",
    "José García",
    "王芳",
    "김민수",
    "สมชาย",
    "राहुल शर्मा",
    "Łukasz Kovač",
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Moshe", "משה כהן"), ("Моше", "משה כהן"), ("Moshe Cohen", "משה כהן"), ("cohen moshe", "משה כהן"), ("Kohen", "משה כהן"),
        ("Olga", "Ольга Петрова"), ("petrova olga", "Ольга Петрова"), ("אולגה", "Ольга Петрова"),
        ("Mohammed", "محمد الشريف"), ("Muhammad al-Sharif", "محمد الشريف"), ("Мухаммед", "محمد الشريف"),
        ("מוחמד", "محمد الشريف"),
        ("Giorgos", "Γιώργος Παπάς"), ("jose", "José García"), ("garcia jose", "José García"), ("Хосе Garcia", ""),
        ("Wang Fang", "王芳"), ("wangfang", "王芳"), ("Kim Minsu", "김민수"), ("Min Su Kim", "김민수"), ("Min-su", "김민수"),
        ("Somchai", "สมชาย"), ("Rahul Sharma", "राहुल शर्मा"), ("Lukasz Kovach", "Łukasz Kovač"), ("lukasz", "Łukasz Kovač"),
    ],
)  # fmt: skip
def test_somebody_is_found_by_their_name_as_it_is_typed_elsewhere(small: SmallArchive, typed: str, meant: str) -> None:
    add(small, *NAMES)
    if not meant:
        with pytest.raises(NotFound):
            small.queries.find_contact(typed)
        return
    assert small.queries.find_contact(typed).name == meant
    assert small.queries.find_chat(typed).name == meant
    assert [found.party.name for found in small.queries.find_contacts(typed)] == [meant]
    assert [chat.party.name for chat in small.queries.list_chats(typed)[0]] == [meant]


def test_what_is_written_goes_before_what_begins_so_and_that_before_what_only_sounds_alike(small: SmallArchive) -> None:
    exact, longer, foreign, inside = add(small, "Dan", "Daniel Mor", "דן לוי", "Jordan")
    assert small.queries.find_contact("dan").id == exact
    assert [found.party.id for found in small.queries.find_contacts("dan")] == [exact, longer, foreign, inside]
    assert small.queries.find_contact("dan levi").id == foreign


def test_a_short_name_does_not_fit_everybody_with_its_consonants(small: SmallArchive) -> None:
    add(small, "דינה", "דנה", "דוד", "Dina", "Adina", "עדן")
    assert [found.party.name for found in small.queries.find_contacts("Dan")] == ["דנה"]
    assert small.queries.find_contact("Dan").note.startswith('"Dan" was taken for "דנה"')
    assert [found.party.name for found in small.queries.find_contacts("Din")] == ["Dina", "Adina"]


def test_of_names_in_one_script_the_likelier_one_is_taken_and_the_other_told(small: SmallArchive) -> None:
    dina, _ = add(small, "דינה", "דנה")
    assert small.queries.find_contact("Dina").id == dina
    assert small.queries.find_contact("Dana").name == "דנה"


def test_one_name_in_two_scripts_is_refused_with_the_choice(small: SmallArchive) -> None:
    add(small, "משה כהן", "Моше Леви")
    with pytest.raises(Ambiguous, match=r'"Moshe" fits 2 people: 1\) "משה כהן" .*2\) "Моше Леви"'):
        small.queries.find_contact("Moshe")


def test_who_was_taken_for_a_name_that_only_sounds_alike_is_told(small: SmallArchive) -> None:
    add(small, "משה כהן", "Dana Levi")
    taken = small.queries.find_chat("Moshe")
    assert taken.note == '"Moshe" was taken for "משה כהן" (private, …0001, id 1).'
    assert small.queries.find_chat("Dana Levi").note == ""
    assert small.queries.find_chat("משה").note == ""
    assert small.queries.read_chat("Moshe").notes == (taken.note,)
    assert small.queries.search("", sender="Moshe").notes == ('"Moshe" was taken for "משה כהן" (person, …0001, id 1).',)


def test_others_who_are_called_so_are_told_with_the_one_that_was_taken(small: SmallArchive) -> None:
    add(small, "Dana", "Dana Levi", "Ruth")
    assert small.queries.find_chat("dana").note.endswith('; also like it: "Dana Levi" (private, …0002, id 2).')


def test_two_of_one_name_are_told_apart_by_number_groups_and_last_activity(small: SmallArchive) -> None:
    first, second = small.contact("15550101234", "Dana Levi"), small.contact("447700901234", "Dana Levi")
    chat = small.private(first)
    small.private(second)
    small.group("Book club", [first])
    small.group("Parents", [second])
    small.message(chat, first, "2025-08-14 10:00", "hi")
    with pytest.raises(Ambiguous) as refused:
        small.queries.find_contact("Dana Levi")
    assert '1) "Dana Levi" (person, …101234, in "Book club", last message 2025-08-14, id 1)' in str(refused.value)
    assert '2) "Dana Levi" (person, …901234, in "Parents", id 2)' in str(refused.value)


def test_somebody_of_whom_no_number_is_known_is_said_to_have_none(small: SmallArchive) -> None:
    small.insert("contacts", whatsapp_id="991@lid", name="Dana Levi")
    small.contact("15550100002", "Dana Levi")
    with pytest.raises(Ambiguous, match="number unknown"):
        small.queries.find_contact("Dana Levi")


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("447700900123", "+44 (0)7700 900123"), ("447700900123", "07700 900123"), ("447700900123", "0044 7700-900-123"),
        ("447700900123", "011447700900123"), ("447700900123", "7700900123"), ("447700900123", "…0123"),
        ("447700900123", "...0123"),
        ("447700900123", "0123"), ("447700900123", "447700900123@c.us"), ("5215550100123", "+52 55 5010 0123"),
        ("5491155501234", "+54 11 5550 1234"), ("551155501234", "+55 11 9 5550-1234"), ("79155501234", "8 915 550 12 34"),
    ],
)  # fmt: skip
def test_a_number_is_found_however_it_is_written(small: SmallArchive, stored: str, typed: str) -> None:
    add(small, *["Somebody"] * 3)
    wanted = small.contact(stored, "Ruth")
    assert small.queries.find_contact(typed).id == wanted
    assert [found.party.id for found in small.queries.find_contacts(typed)] == [wanted]


def test_somebody_without_a_name_is_found_by_the_number_only(small: SmallArchive) -> None:
    nameless = small.contact("15550100777")
    small.private(nameless)
    assert small.queries.find_contact("555 010 0777").id == nameless
    assert small.queries.find_chat("+1 555 010 0777").name == "+15550100777"
    with pytest.raises(NotFound):
        small.queries.find_contact("Sevenseven")


def test_a_name_of_emoji_only_is_found_by_them_and_by_nothing_else(small: SmallArchive) -> None:
    hearts, _ = add(small, "❤️👍🏽", "Ruth")
    assert small.queries.find_contact("❤👍").id == hearts
    assert [found.party.name for found in small.queries.find_contacts("heart")] == []


def test_marks_of_direction_within_a_name_hide_nobody(small: SmallArchive) -> None:
    first, second = add(small, "\u202bמשה\u202c \u2067כהן\u2069", "Da\u200bna\u200f Le\u00advi")
    assert small.queries.find_contact("משה כהן").id == first
    assert small.queries.find_contact("Moshe Cohen").id == first
    assert small.queries.find_contact("dana levi").id == second


def test_a_person_is_found_with_their_group(small: SmallArchive) -> None:
    dana, other, moshe = add(small, "Dana Levi", "Dana Mor", "משה כהן")
    small.group("Book club", [dana, moshe])
    for typed in ("Dana Book club", "dana (book club)", "Book club Dana", "Dana from the book club"):
        assert small.queries.find_contact(typed).id == dana != other
    assert small.queries.find_contact("Moshe in book club").id == moshe
    assert [found.party.id for found in small.queries.find_contacts("dana book club")] == [dana]


def test_a_group_is_found_by_its_name_in_another_script_and_its_people_by_the_group(
    small: SmallArchive, tmp_path: Path
) -> None:
    dana, moshe = add(small, "Dana Levi", "משה כהן")
    small.group("משפחה", [dana, moshe])
    assert small.queries.find_chat("Mishpacha").name == "משפחה"
    groups, people, total = small.queries.people_of("mishpacha")
    assert ([group.name for group in groups], total) == (["משפחה"], 2)
    assert {person.party.id for person in people} == {dana, moshe}
    said = contacts_answer(Archive.open(Settings(home=tmp_path, timezone=ZONE)), "משפחה")
    assert 'A group is called so: 3 "משפחה"; 2 of its people:' in said
    assert '"Dana Levi"' in said


def test_what_was_typed_so_far_offers_names_of_any_script(small: SmallArchive, tmp_path: Path) -> None:
    add(small, "משה כהן", "Mosaic Ltd", "Ольга", "Dana")
    archive = Archive.open(Settings(home=tmp_path, timezone=ZONE))
    for argument in ("chat", "contact"):
        assert values(archive, argument, "mos", by_name=True, known={}) == ["Mosaic Ltd", "משה כהן"]
    assert values(archive, "contact", "ol", by_name=True, known={}) == ["Ольга"]
    archive.queries.close()


def test_a_name_that_changed_is_known_with_the_next_question(small: SmallArchive) -> None:
    (person,) = add(small, "Ruth")
    assert small.queries.find_contact("Ruth").id == person
    small.connection.execute("UPDATE contacts SET name = 'Рут', phonebook_name = 'Рут'")
    small.connection.execute("UPDATE chats SET name = 'Рут'")
    assert small.queries.find_contact("Рут").id == person
    assert small.queries.find_chat("Rut").name == "Рут"
    with pytest.raises(NotFound):
        small.queries.find_contact("Ruthie")


def test_a_refusal_costs_no_connection(small: SmallArchive) -> None:
    add(small, "Ruth")
    with small.queries.database.reading() as connection:
        before = id(connection)
    with pytest.raises(NotFound):
        small.queries.find_contact("nobody at all")
    with small.queries.database.reading() as connection:
        assert id(connection) == before
    small.message(1, 1, at("2025-08-14 10:00"), "hi")
    assert small.queries.read_chat(1).messages


@pytest.mark.parametrize("typed", ["דינא", "Dnaa Levi", "Dana Lavin", "Dena Lewi"])
def test_a_slip_of_the_pen_names_the_nearest_and_takes_nobody(small: SmallArchive, typed: str) -> None:
    add(small, "Dana Levi", "דנה")
    with pytest.raises(NotFound, match="The nearest: "):
        small.queries.find_contact(typed)


@pytest.mark.parametrize("typed", ["\ud800", "\x00", "'", "́", "\u200f", "a" * 100_000, "משה " * 5_000, "%_*", "…", "+", "(0)"])
def test_what_is_no_name_gets_an_answer(small: SmallArchive, typed: str) -> None:
    add(small, *NAMES)
    assert len(small.queries.find_contacts(typed) if typed.strip() else ()) <= len(NAMES)
    assert isinstance(small.queries.nearest(typed, "contact"), tuple)
    assert isinstance(small.queries.names_like(typed, "chat"), tuple)
