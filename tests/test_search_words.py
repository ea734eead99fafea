"""Other forms of a word, numbers and phone numbers: what a plain word finds beside itself, and what it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_archive import SmallArchive, at

from whatsapp_mcp.queries import writing
from whatsapp_mcp.search.digits import other_phones
from whatsapp_mcp.search.endings import SIGNS
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.inflection import MOST, TONGUES, inflected
from whatsapp_mcp.search.language import parse
from whatsapp_mcp.search.snippets import hits, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = at("2025-08-01 10:00")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallArchive]:
    archive = SmallArchive(tmp_path)
    archive.owner()
    archive.private(archive.contact("15550100001", "Dana"))
    archive.private(archive.contact("15550100002", "Omar"))
    yield archive
    archive.close()


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("счет", "счета счетов счету счетом счетах"),
        ("счетов", "счет счета"),
        ("елка", "елки елку елок"),
        ("подарок", "подарка подарки подарков"),
        ("новый", "новая новое новые нового"),
        ("платить", "плачу платил платила платит"),
        ("рахунок", "рахунка рахунки"),
        ("місто", "міста місту"),
        ("invoice", "invoices invoiced invoicing"),
        ("running", "run runs"),
        ("party", "parties"),
        ("rechnung", "rechnungen"),
        ("kinder", "kind kindern"),
        ("facture", "factures"),
        ("journal", "journaux"),
        ("reunion", "reuniones"),
        ("luz", "luces"),
        ("reuniao", "reunioes"),
        ("papel", "papeis"),
        ("libro", "libri"),
        ("amica", "amiche"),
        ("kitap", "kitaplar kitabi"),
        ("faturayi", "fatura faturalar"),
        ("τιμολογιο", "τιμολογια τιμολογιου τιμολογιων"),
        ("μαθημα", "μαθηματα μαθηματοσ"),
        ("דירה", "דירות"),
        ("ספר", "ספרימ"),
        ("سياره", "سيارات"),
    ],
)
def test_a_word_takes_the_endings_of_its_tongue(word: str, others: str) -> None:
    wanted = set(others.split()) - {"плачу"}  # the stem itself changes: that takes a dictionary
    assert wanted <= set(inflected(word))


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("new", "news"), ("news", "new"), ("policy", "police"), ("organ", "organization"), ("universe", "university"),
        ("even", "evening"), ("car", "care"), ("us", "use"), ("puerto", "puerta"), ("дом", "домой"), ("мой", "мойте"),
        ("bus", "bu"), ("wed", "wedding"), ("hop", "hoped"), ("לחם", "חם"),
    ],
)  # fmt: skip
def test_another_word_is_no_form(word: str, other: str) -> None:
    assert other not in inflected(word)


@settings(deadline=None)
@given(st.text(alphabet="abcdeginorsuyабвеийоуяαεισדהיםתالةن", max_size=40))
def test_forms_are_folded_words_and_never_too_many(word: str) -> None:
    forms = inflected(fold(word).replace(" ", ""))
    assert len(forms) <= MOST
    assert all(form and fold(form) == form for form in forms)
    assert len(set(forms)) == len(forms)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="aeinorst", min_size=2, max_size=5), min_size=1, max_size=6))
def test_every_hit_of_a_plain_word_holds_a_form_of_it(small: SmallArchive, words: list[str]) -> None:
    small.message(1, 2, START, " ".join(words))
    page = small.queries.search(words[0], limit=200)
    forms = {words[0], *inflected(words[0])}
    assert page.messages
    for message in page.messages:
        assert forms & set(fold(message.content).split())
        assert "«" in (message.snippet or "")


def test_words_in_quotes_find_only_themselves(small: SmallArchive) -> None:
    for number, text in enumerate(("two invoices", "an invoice", "בבית הספר", "בית הספר", "ספרים")):
        small.message(1, 2, START + number, text)
    found = {query: [message.content for message in small.queries.search(query).messages] for query in ('"invoice"', '"ספר"')}
    assert found == {'"invoice"': ["an invoice"], '"ספר"': []}
    assert [message.content for message in small.queries.search('"בית הספר"').messages] == ["בית הספר", "בבית הספר"]


@pytest.mark.parametrize("filters", [{}, {"chat": 1}, {"kinds": ["text"]}, {"sender": "dana"}])
@pytest.mark.parametrize("limit", [1, 3, 7, 50])
def test_an_exact_form_stands_above_all_others_on_every_page(
    small: SmallArchive, filters: dict[str, object], limit: int
) -> None:
    small.connection.execute("BEGIN")
    for number in range(24):
        small.message(1, 2, START + number, ("invoice is here, at last" if number % 3 else "invoices") + " x" * (number % 4))
    small.connection.execute("COMMIT")
    page = small.queries.search("invoice", limit=limit, **filters)  # type: ignore[arg-type]
    seen = [message.content for message in page.messages]
    assert page.total in (None, 24)
    while page.next_cursor:
        page = small.queries.search("invoice", limit=limit, cursor=page.next_cursor, **filters)  # type: ignore[arg-type]
        assert page.messages
        seen += [message.content for message in page.messages]
    assert [text.startswith("invoices") for text in seen] == [False] * 16 + [True] * 8


def test_a_tongue_is_shown_by_its_little_words(small: SmallArchive) -> None:
    with small.queries.database.reading() as connection:
        assert writing.tongues(connection) == frozenset()
    for number, text in enumerate(("das ist nicht hier", "wir sind noch da", "Rechnungen")):
        small.message(1, 2, START + number, text)
    with small.queries.database.reading() as connection:
        assert writing.tongues(connection) == {"de"}
    assert small.queries.search("Rechnung").total == 1
    assert SIGNS.keys() == TONGUES - {"en"}


@pytest.mark.parametrize("written", ["1,234.56", "1.234,56", "1 234,56", "1234.56", "1'234.56", "١٬٢٣٤٫٥٦"])
@pytest.mark.parametrize("typed", ["1,234.56", "1.234,56", "1234,56", "1234.56", "1 234,56"])
def test_a_number_is_found_whatever_its_separators(small: SmallArchive, written: str, typed: str) -> None:
    small.message(1, 2, START, f"we paid {written} in all")
    small.message(1, 2, START + 1, "we paid 1,235.56, and 234 of 56")
    page = small.queries.search(typed)
    assert [message.message_id for message in page.messages] == [1]
    assert "«" in (page.messages[0].snippet or "")


@pytest.mark.parametrize(
    "written", ["+1 555 010 1234", "15550101234", "+1 (555) 010-1234", "1-555-010-1234", "+1.555.0101234", "001 555 010 1234"]
)
@pytest.mark.parametrize(
    "typed", ["+15550101234", "15550101234", "1 555 010 1234", "+1-555-010-1234", "(555) 010-1234", "5550101234", "010-1234"]
)
def test_a_phone_number_is_found_however_it_is_grouped(small: SmallArchive, written: str, typed: str) -> None:
    small.message(1, 2, START, f"call {written} please")
    small.message(1, 2, START + 1, "call +1 555 010 1299 please")
    found = [message.message_id for message in small.queries.search(typed).messages]
    is_inside_a_run = typed == "010-1234" and "15550101234" in written  # no word begins in the middle of one
    assert found == ([] if is_inside_a_run else [1])


def test_a_national_number_finds_the_international_one(small: SmallArchive) -> None:
    small.message(1, 2, START, "my number: +44 7700 900123")
    small.message(1, 2, START + 1, "or 07700 900123")
    assert {message.message_id for message in small.queries.search("07700900123").messages} == {1, 2}
    assert {message.message_id for message in small.queries.search("+447700900123").messages} == {1, 2}
    assert len(set(other_phones(("447700900123",)))) < 300


def test_years_beside_each_other_are_no_phone_number() -> None:
    query = parse("2024 2025")
    assert query is not None
    assert query.exact() is None or '"20242025"' not in query.match()


@pytest.mark.parametrize(
    ("text", "word", "shown"),
    [
        ("👨‍👩‍👧 home", "👨", "«👨‍👩‍👧» home"),
        ("ok 👍🏽!", "👍", "ok «👍🏽»!"),
        ("น้ำแข็ง", "น", "«น้ำ»แข็ง"),
        ("שָׁלוֹם לך", "שלום", "«שָׁלוֹם» לך"),
        ("cafe\u0301", "cafe", "«cafe\u0301»"),
    ],
)
def test_a_mark_never_tears_a_character_apart(text: str, word: str, shown: str) -> None:
    query = parse(word)
    assert query is not None
    assert snippet(text, hits(text, query)) == shown


@pytest.mark.parametrize("cluster", ["👨‍👩‍👧‍👦", "🇮🇱", "👍🏿", "น้ำ", "각", "e\u0301\u0323"])
def test_a_cut_never_tears_a_character_apart(cluster: str) -> None:
    for lead in range(4):
        text = "京" * lead + cluster * 90 + "排" + cluster * 90
        query = parse("排")
        assert query is not None
        shown = snippet(text, hits(text, query)).strip("…")
        before, _, after = shown.partition("«排»")
        assert before.replace("京", "") == cluster * (len(before.replace("京", "")) // len(cluster))
        assert after == cluster * (len(after) // len(cluster))


def texts(small: SmallArchive, query: str) -> set[str]:
    return {message.content for message in small.queries.search(query).messages}


@pytest.mark.parametrize("query", ["תל אביב", "תל-אביב", '"תל אביב"'])
def test_a_word_of_two_letters_takes_its_particle_where_the_next_word_follows(small: SmallArchive, query: str) -> None:
    for text in ("גרנו בתל אביב", "נסעתי לתל-אביב", "התל של הכלב"):
        small.message(1, 2, START, text)
    assert texts(small, query) == {"גרנו בתל אביב", "נסעתי לתל-אביב"}


def test_what_is_left_out_is_left_out_with_the_particles_written_together_with_it(small: SmallArchive) -> None:
    for text in ("לחם וחלב", "לחם והחלב", "לחם וגבינה", "bread and keys", "bread and a key"):
        small.message(1, 2, START, text)
    assert texts(small, "לחם -חלב") == {"לחם וגבינה"}
    assert texts(small, "bread -key") == {"bread and keys"}


@pytest.mark.parametrize(
    ("written", "typed"),
    [("ราคา ๑๕๐๐ บาท", "1500"), ("ราคา 1500 บาท", "๑๕๐๐"), ("စျေး ၁၅၀၀ ကျပ်", "1500")],
)
def test_a_number_in_digits_of_thai_and_burmese_is_found_by_ordinary_ones_and_the_other_way(
    small: SmallArchive, written: str, typed: str
) -> None:
    small.message(1, 2, START, written)
    small.message(1, 2, START, "1.5 and 0 and 0, 15 00")
    assert texts(small, typed) == {written}


@pytest.mark.parametrize(("word", "other"), [("سيارة", "سيارته"), ("gözlük", "gözlüğüm")])
def test_a_word_that_changes_before_a_possessive_is_found(small: SmallArchive, word: str, other: str) -> None:
    small.message(1, 2, START, "hay bir cok icin ve " * 3)
    small.message(1, 2, START, other)
    assert texts(small, word) == {other}


@pytest.mark.parametrize("filling", ["x ", "מילה ", "e\u0301", "👨\u200d👩\u200d👧"])
def test_a_hit_at_the_end_of_the_longest_message_is_shown(small: SmallArchive, filling: str) -> None:
    small.message(1, 2, START, (filling * 65_536)[:65_520] + " needle")
    (message,) = small.queries.search("needle").messages
    assert "«needle»" in (message.snippet or "")
    assert len(message.snippet or "") < 300


def test_a_letter_with_thousands_of_accents_does_not_make_a_snippet_of_thousands(small: SmallArchive) -> None:
    small.message(1, 2, START, "needle" + "\u0301" * 60_000)
    (message,) = small.queries.search("needle").messages
    assert "«needle" in (message.snippet or "")
    assert len(message.snippet or "") < 600
