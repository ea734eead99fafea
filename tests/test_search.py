from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_archive import SmallArchive, at

from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import ranking
from whatsapp_mcp.queries.filters import Filters
from whatsapp_mcp.queries.scopes import Extent, Scope, extent
from whatsapp_mcp.search.language import Query, neighbours, parse, spelled
from whatsapp_mcp.search.snippets import hits, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = at("2025-08-01 10:00")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path_factory.mktemp("home"))
    small.owner()
    for number, name in ((1, "Dana"), (2, "Omar"), (3, "Ivan")):
        small.private(small.contact(f"1555010000{number}", name))
    yield small
    small.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path)
    small.owner()
    small.private(small.contact("15550100001", "Dana"))
    small.private(small.contact("15550100002", "Omar"))
    yield small
    small.close()


TEXTS = (
    "שלחתי את החשבונית אתמול",
    "תודה לחשבונית הזאת",
    "חשבונית",
    'הוא בצה"ל עכשיו',
    "הלך לבית",
    "وصلت الفاتورة اليوم",
    "ادفع بالفاتورة",
    "Я получил счёт",
    "orçamento e café",
    "Das ist Spaß auf der Straße",
    "我们的排期已经确定",
    "明日はカタカナです",
    "ไปตลาดกันไหม",
    "great 👍🏽 thanks",
    "❤️ you",
    "the total is 1,234 euros",
    "call +972 50-123-4567",
    "see https://example.org/path?x=1",
    "mail dana@example.com please",
    "the quick brown fox",
    "the brown quick fox",
    "Ψάχνω καφέ",
    "İzmir'de ılık hava",
    "ＦＵＬＬ width",
    "학교에서 만나요",
    "हिन्दी में लिखो",
    "semana que vem",
)


@pytest.fixture(scope="module")
def told(archive: SmallArchive) -> SmallArchive:
    for number, text in enumerate(TEXTS):
        archive.message(1, 2, START + number, text)
    return archive


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("חשבונית", [2, 0, 1]),
        ("החשבונית", [0, 1, 2]),
        ("צה״ל", [3]),
        ("בית", [4]),
        ("فاتورة", [5, 6]),
        ("الفاتورة", [5, 6]),
        ("счет", [7]),
        ("счёт", [7]),
        ("orcamento", [8]),
        ("CAFÉ", [8]),
        ("spass strasse", [9]),
        ("排期", [10]),
        ("排", [10]),
        ("カタカナ", [11]),
        ("ตลาด", [12]),
        ("👍", [13]),
        ("👍🏿", [13]),
        ("❤", [14]),
        ("1234", [15]),
        ("1,234", [15]),
        ("123-4567", [16]),
        ("example.org", [17]),
        ("dana@example.com", [18]),
        ("example", [17, 18]),
        ('"quick brown"', [19]),
        ("brown quick", [19, 20]),
        ("καφε", [21]),
        ("ilik", [22]),
        ("full", [23]),
        ("학교", [24]),
        ("हिन्दी", [25]),
        ("ana", []),
        ("sem*", [26]),
        ("quick -brown", []),
        ("euros OR semana", [15, 26]),
        ("the (quick", [19, 20]),
        ('fox "', [19, 20]),
        ("fox AND", [19, 20]),
        ("AND", []),
        ("quick AND fox", [19, 20]),
        ("NOT fox", []),
        ("fox OR", [19, 20]),
        ("-fox", [19, 20]),
        ("content:fox", []),
        ("fox*", [19, 20]),
        ("^fox", [19, 20]),
        ("fox;--", [19, 20]),
        ("fox\x00", [19, 20]),
    ],
)
def test_words_are_found_as_people_write_them(told: SmallArchive, query: str, found: list[int]) -> None:
    page = told.queries.search(query)
    assert sorted(TEXTS.index(message.content) for message in page.messages) == sorted(found)
    assert page.total == len(found)
    for message in page.messages:
        assert message.matched_in == "content"
        assert message.snippet is not None
        assert "«" in message.snippet


def test_the_very_spelling_comes_before_other_forms(told: SmallArchive) -> None:
    assert TEXTS.index(told.queries.search("חשבונית").messages[0].content) == 2
    assert TEXTS.index(told.queries.search("החשבונית").messages[0].content) == 0


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.one_of(st.sampled_from("ab \"*-|OR():^'אה,1"), st.characters()), max_size=60))
def test_no_query_is_an_error(told: SmallArchive, text: str) -> None:
    try:
        told.queries.search(text, limit=3)
    except UsageError as refused:
        assert parse(text) is None, refused  # noqa: PT017


@pytest.mark.parametrize("text", ["", "  ", "...!", '""', "\ud800", "-", '"""""', "\u200f\u202e"])
def test_a_query_without_a_word_says_what_to_do(told: SmallArchive, text: str) -> None:
    with pytest.raises(UsageError, match="read_chat"):
        told.queries.search(text)


def test_a_query_of_a_hundred_thousand_letters_is_answered(told: SmallArchive) -> None:
    assert told.queries.search("fox " * 25_000).total == 2
    assert told.queries.search("חשבונית החשבונית " * 16).total == 3
    assert told.queries.search("x" * 100_000).total == 0


def test_filters_narrow_together(empty: SmallArchive) -> None:
    for day, (chat, sender, kind) in enumerate(((1, 2, "text"), (1, None, "text"), (2, 3, "image"), (2, 3, "text")), 1):
        empty.message(chat, sender, f"2025-08-0{day} 10:00", "plan", message_type=kind)

    def days(**filters: object) -> list[int]:
        page = empty.queries.search("plan", order="oldest", **filters)  # type: ignore[arg-type]
        return [message.message_id for message in page.messages]

    assert days(chat="dana") == [1, 2]
    assert days(sender="me") == [2]
    assert days(sender="omar") == [3, 4]
    assert days(kinds=["media"]) == [3]
    assert days(after="2025-08-02", before="2025-08-03") == [2, 3]
    assert days(chat="omar", sender="omar", kinds=["text"], after="2025-08-04") == [4]
    assert days(chat="dana", sender="omar") == []


def test_filters_that_cannot_be_meant_are_refused(told: SmallArchive) -> None:
    with pytest.raises(UsageError, match="Did you mean image"):
        told.queries.search("fox", kinds=["images"])
    with pytest.raises(UsageError, match="relevance, newest, oldest"):
        told.queries.search("fox", order="best")
    with pytest.raises(UsageError, match="interval is empty"):
        told.queries.search("fox", after="2025-09", before="2025-08")
    with pytest.raises(UsageError, match="from 1 to"):
        told.queries.search("fox", limit=0)
    with pytest.raises(UsageError, match="from 0 to"):
        told.queries.search("fox", context=-1)


@pytest.mark.parametrize("order", ["relevance", "newest", "oldest"])
def test_pages_neither_repeat_nor_skip_while_messages_arrive(empty: SmallArchive, order: str) -> None:
    ids = [empty.message(1, 2, START + number % 7, "plan " + "word " * (number % 5)) for number in range(45)]
    page = empty.queries.search("plan", order=order, limit=10)
    seen = [message.message_id for message in page.messages]
    while page.next_cursor:
        empty.message(2, 3, START if order == "oldest" else at("2025-09-01 10:00"), "plan")
        page = empty.queries.search("plan", order=order, limit=10, cursor=page.next_cursor)
        seen += [message.message_id for message in page.messages]
    assert sorted(set(seen) & set(ids)) == ids
    assert len(seen) == len(set(seen))


def test_a_cursor_is_bound_to_its_query(empty: SmallArchive) -> None:
    for number in range(5):
        empty.message(1, 2, START + number, "plan")
    cursor = empty.queries.search("plan", limit=2).next_cursor
    for changed in ({"query": "plans"}, {"query": "plan", "order": "newest"}, {"query": "plan", "chat": 1}):
        with pytest.raises(UsageError, match="other filters"):
            empty.queries.search(cursor=cursor, **changed)


def test_relevance_prefers_the_denser_then_the_newer(empty: SmallArchive) -> None:
    long = empty.message(1, 2, START, "plan and many other words that say nothing of it at all")
    older = empty.message(1, 2, START + 1, "the plan")
    newer = empty.message(1, 2, START + 2, "my plan")
    assert [message.message_id for message in empty.queries.search("plan").messages] == [newer, older, long]


def test_a_file_name_is_found_and_said_to_be_one(empty: SmallArchive) -> None:
    empty.message(1, 2, START, "", message_type="document", media_filename="Offer_2025.pdf")
    (message,) = empty.queries.search("offer").messages
    assert (message.matched_in, message.snippet) == ("attachment", "«Offer»_2025.pdf")


def test_context_shows_the_neighbours_once_in_their_order(empty: SmallArchive) -> None:
    ids = [empty.message(1, 2, START + number, "plan" if number in (5, 7, 20) else f"talk {number}") for number in range(30)]
    page = empty.queries.search("plan", order="newest", context=2)
    shown = [message.message_id for message in page.messages]
    assert shown == [*ids[18:23], *ids[3:10]]
    assert [message.message_id for message in page.messages if message.is_hit] == [ids[20], ids[5], ids[7]]


def test_a_zero_tells_the_months_that_do_have_hits(empty: SmallArchive) -> None:
    for when in ("2025-09-01 00:30", "2025-09-03 10:00", "2025-06-30 23:30"):
        empty.message(1, 2, when, "the invoice")
    page = empty.queries.search("invoice", after="2025-08", before="2025-08")
    assert page.messages == ()
    assert page.total == 0
    assert page.suggestions is not None
    assert dict(page.suggestions.months_with_hits) == {"2025-06": 1, "2025-09": 2}
    assert page.suggestions.next_call == 'search_messages(query="invoice", after="2025-06", before="2025-09")'


def test_a_zero_tells_near_words_other_chats_and_alternatives(empty: SmallArchive) -> None:
    empty.message(1, 2, START, "the invoice for שלום")

    def tried(query: str, **filters: object) -> tuple[tuple[str, ...], str]:
        suggestions = empty.queries.search(query, **filters).suggestions  # type: ignore[arg-type]
        assert suggestions is not None
        return suggestions.near_words, suggestions.next_call

    assert tried("invocie") == (("invoice",), 'search_messages(query="invoice")')
    assert tried("שללום")[0] == ("שלום",)
    assert "without the other filters: 1 hits" in tried("invoice", chat=2)[1]
    assert tried("invoice zebra")[1] == 'search_messages(query="invoice OR zebra")'
    assert "full_sync_status" in tried("zebra")[1]


def test_very_frequent_words_rank_the_newest_and_say_so(empty: SmallArchive) -> None:
    empty.connection.execute("BEGIN")
    for number in range(40_000):
        empty.message_fast(1 + number % 2, START + number * 60, "plan again" if number % 2 else "plan")
    empty.connection.execute("COMMIT")
    page = empty.queries.search("plan", limit=20)
    assert page.total == 40_000
    assert page.suggestions is not None
    assert "only messages since" in page.suggestions.next_call
    assert page.messages[0].content == "plan"
    assert page.messages[0].sent_at == START + 39_998 * 60
    second = empty.queries.search("plan", limit=20, cursor=page.next_cursor)
    assert not {message.message_id for message in page.messages} & {message.message_id for message in second.messages}
    newest = empty.queries.search("plan", order="newest", chat=1, limit=5)
    assert [message.sent_at for message in newest.messages] == [START + number * 60 for number in range(39_998, 39_988, -2)]
    again = empty.queries.search("plan", order="newest", chat=1, limit=5, cursor=newest.next_cursor)
    assert again.messages[0].sent_at == START + 39_988 * 60
    oldest = empty.queries.search("plan again", order="oldest", limit=2)
    assert [message.sent_at for message in oldest.messages] == [START + 60, START + 180]


def test_windows_and_full_scans_find_the_same(empty: SmallArchive) -> None:
    for number in range(300):
        empty.message_fast(1 + number % 2, START + number // 3, "plan" if number % 3 else "talk")
    with empty.queries.database.reading() as connection:
        for chat in (None, 1):
            filters = Filters(chat_id=chat, start=START + 20, end=START + 90)
            everything = Scope(filters, by_window=False)
            direct = ranking.by_time(connection, '"plan"', everything, Extent(), limit=400, place=None, oldest_first=False)
            windowed: list[int] = []
            place = None
            while True:
                found, is_all = ranking.in_window(
                    connection, '"plan"', filters, limit=400, place=place, oldest_first=False, window=40
                )
                windowed += found
                if is_all:
                    break
                row = connection.execute("SELECT sent_at, message_id FROM messages WHERE message_id = ?", found[-1:]).fetchone()
                place = row
            assert windowed == [message for message, _ in direct]


def test_a_chat_written_in_turns_with_another_and_one_stored_at_once_are_searched_alike(empty: SmallArchive) -> None:
    turns = [empty.message(1 + number % 2, 2, START + number, f"plan {number}") for number in range(40)]
    later = [empty.message(1, 2, START - 90_000 + number, f"plan {number}") for number in range(10)]
    for order in ("relevance", "newest", "oldest"):
        page = empty.queries.search("plan", chat=1, order=order, limit=50)
        assert {message.message_id for message in page.messages} == {*turns[::2], *later}
        assert page.total == 30
        since = empty.queries.search("plan", after="2025-08-01", order=order, limit=50)
        assert {message.message_id for message in since.messages} == {*turns}


@pytest.mark.parametrize(("exact", "inexact"), [(3, 12), (12, 3)])
def test_the_very_spelling_stands_first_whether_it_is_the_rarer_or_not(empty: SmallArchive, exact: int, inexact: int) -> None:
    forms = [empty.message(1, 2, START + number, "החשבונית") for number in range(inexact)]
    spelt = [empty.message(1, 2, START - 1 - number, "החשבונית ועוד חשבונית, מחר") for number in range(exact)]
    for filters in ({}, {"chat": 1}, {"kinds": ["text"]}):
        page = empty.queries.search("חשבונית", limit=50, **filters)
        assert [message.message_id for message in page.messages] == [*spelt, *forms[::-1]]


def test_every_way_to_the_hits_ranks_them_alike(empty: SmallArchive) -> None:
    for number in range(200):
        text = "plan " * (1 + number % 3) + "x " * (number % 7)
        empty.message(1 + number % 2, None if number % 5 else 2, START + number, text)
    with empty.queries.database.reading() as connection:
        for filters in (Filters(), Filters(chat_id=1), Filters(start=START + 30, end=START + 150), Filters(from_me=True)):
            found = [
                ranking.scored(connection, '"plan"', Scope(filters, by_window=by_window), inside, limit=300, offset=0)
                for by_window in (False, True)
                for inside in (Extent(), extent(connection, filters))
            ]
            assert found[0]
            assert all(rows == found[0] for rows in found)


def test_frequent_words_of_the_owner_rank_the_newest_and_those_of_a_sender_rank_all(empty: SmallArchive) -> None:
    empty.connection.execute("BEGIN")
    for number in range(20_000):
        empty.message_fast(1 + number % 2, START + number * 60, "plan")
    empty.connection.execute("UPDATE messages SET from_me = 1, sender_contact_id = 1 WHERE message_id % 2")
    empty.connection.execute("COMMIT")
    mine = empty.queries.search("plan", sender="me")
    assert mine.suggestions is not None
    assert "only messages since" in mine.suggestions.next_call
    assert mine.messages[0].sent_at == START + 19_998 * 60
    assert mine.total is None
    theirs = empty.queries.search("plan", sender=2)
    assert theirs.suggestions is None
    assert theirs.total == 10_000


def understood(text: str) -> Query:
    query = parse(text)
    assert query is not None
    return query


def test_snippets_mark_whole_words_and_cut_at_blanks() -> None:
    text = "word " * 40 + "the CAFÉ\nis open and the café stays " + "more " * 40
    shown = snippet(text, hits(text, understood("cafe")))
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert "the «CAFÉ» is open and the «café» stays" in shown
    assert snippet("שלום, החשבונית כאן", hits("שלום, החשבונית כאן", understood("חשבונית"))) == "שלום, «החשבונית» כאן"
    assert snippet("我们的排期", hits("我们的排期", understood("排期"))) == "我们的«排期»"


def test_neighbours_are_one_slip_away_and_end_in_final_letters() -> None:
    near = set(neighbours("cat"))
    assert {"at", "cart", "cut", "act", "cats"} <= near
    assert not set(neighbours("ab"))
    assert not set(neighbours("排期"))
    assert spelled("שלומ") == "שלום"
