"""from:, in:, has:, is:, before: and after: in a query, the same as parameters, and what happens when they cannot be meant."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_archive import SmallArchive, at

from whatsapp_mcp.errors import Ambiguous, ArchiveError, NotFound, UsageError
from whatsapp_mcp.search.operators import MOST, STATES, Operator, split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = at("2025-08-01 10:00")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallArchive]:
    small = SmallArchive(tmp_path_factory.mktemp("home"))
    small.owner()
    dana = small.contact("15550100001", "Dana Levi")
    omar = small.contact("15550100002", "Omar")
    small.private(dana)
    small.private(omar)
    club = small.group("Book club", [dana, omar])
    assert club == 3
    small.message(1, dana, "2025-07-01 10:00", "plan a")
    small.message(1, None, "2025-08-01 10:00", "plan b", edited_at=START)
    small.message(2, omar, "2025-08-02 10:00", "plan c", message_type="image")
    small.message(3, omar, "2025-08-03 10:00", "plan d", deleted_at=START)
    small.message(3, dana, "2025-09-01 10:00", "plan e https://example.org/", is_forwarded=1)
    small.message(3, dana, "2025-09-02 10:00", "plan f", quoted_whatsapp_message_id="3EB0", message_type="document")
    yield small
    small.close()


def found(told: SmallArchive, query: str, **filters: Any) -> str:
    """The last letters of the texts found, in order of time."""
    return "".join(message.content[5] for message in told.queries.search(query, order="oldest", **filters).messages)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("plan from:dana", "aef"),
        ('plan from:"Dana Levi"', "aef"),
        ("plan from:+15550100002", "cd"),
        ("plan from:me", "b"),
        ("plan -from:me", "acdef"),
        ("plan -from:dana", "bcd"),
        ("plan from:dana from:me", "abef"),
        ("plan in:omar", "c"),
        ("plan in:“Book club”", "def"),
        ("plan -in:3", "abc"),
        ("plan in:omar in:dana", "abc"),
        ("plan has:image", "c"),
        ("plan has:images has:document", "cf"),
        ("plan has:media", "cf"),
        ("plan -has:media", "abde"),
        ("plan has:link", "e"),
        ("plan is:edited", "b"),
        ("plan is:deleted", "d"),
        ("plan -is:deleted -is:edited", "acef"),
        ("plan is:forwarded", "e"),
        ("plan is:reply", "f"),
        ("plan is:sent", "b"),
        ("plan is:group", "def"),
        ("plan is:private is:received", "ac"),
        ("plan after:2025-08", "bcdef"),
        ("plan before:2025-08", "abcd"),
        ("plan after:2025-08 before:2025-08", "bcd"),
        ("plan -after:2025-09", "abcd"),
        ("plan -before:2025-08", "ef"),
        ("FROM:omar Plan IN:3", "d"),
        ("from:dana", "aef"),
        ("is:deleted", "d"),
        ("-from:dana -is:sent", "cd"),
    ],
)
def test_operators_narrow_what_is_found(told: SmallArchive, query: str, wanted: str) -> None:
    assert found(told, query) == wanted
    ranked = told.queries.search(query).messages
    assert sorted(message.content[5] for message in ranked) == sorted(wanted)


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("plan from:dana", {"sender": "dana"}),
        ("plan in:omar", {"chat": "omar"}),
        ("plan has:image", {"kinds": ["image"]}),
        ("plan is:edited", {"states": ["edited"]}),
        ("plan after:2025-08", {"after": "2025-08"}),
        ("plan before:2025-08-02", {"before": "2025-08-02"}),
    ],
)
def test_a_parameter_says_the_same_as_its_operator(told: SmallArchive, query: str, filters: dict[str, Any]) -> None:
    wanted = found(told, query)
    assert wanted
    assert found(told, "plan", **filters) == wanted == found(told, query, **filters)


@pytest.mark.parametrize(
    "query",
    ["from:", "has:nonsense", "is:purple", "before:2025-02-30", "after:", 'in:""', "-has:nonsense", "from:-", "after:soon"],
)
def test_what_cannot_be_meant_is_searched_as_words_and_the_answer_says_so(told: SmallArchive, query: str) -> None:
    page = told.queries.search(f"plan {query}")
    (note,) = page.notes
    assert "searched as plain words" in note
    assert f"{query.strip('-').partition(':')[0]}: takes" in note


def test_nobody_and_several_are_answered_as_by_a_parameter(told: SmallArchive) -> None:
    with pytest.raises(NotFound):
        told.queries.search("plan from:zeppelin")
    with pytest.raises(NotFound):
        told.queries.search('plan -in:"No such chat"')
    extra = told.contact("15550100009", "Dana Cohen")
    told.private(extra)
    try:
        with pytest.raises(Ambiguous):
            told.queries.search("plan from:dana")
    finally:
        told.connection.execute("DELETE FROM sync_status WHERE chat_id = 4")
        told.connection.execute("DELETE FROM chats WHERE chat_id = 4")
        told.connection.execute("DELETE FROM contacts WHERE contact_id = ?", (extra,))


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("plan in:omar", {"chat": "dana"}),
        ("plan from:omar", {"sender": "dana"}),
        ("plan has:image", {"kinds": ["text"]}),
        ("plan after:2025-09 before:2025-08", {}),
        ("plan after:2025-09", {"before": "2025-08"}),
        ("plan from:omar -from:omar", {}),
        ("plan is:edited -is:edited", {}),
        ("plan is:sent is:received", {}),
        ("plan has:image -has:media", {}),
    ],
)
def test_contradictions_are_refused_in_one_line(told: SmallArchive, query: str, filters: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="contradict") as refused:
        told.queries.search(query, **filters)
    assert "\n" not in str(refused.value)


def test_operators_inside_quotes_are_words(told: SmallArchive) -> None:
    assert split('"from:dana plan" x', lambda _: True).operators == ()
    assert split('from:"a b" -is:edited', lambda _: True).operators == (
        Operator("from", "a b"), Operator("is", "edited", is_negative=True),
    )  # fmt: skip
    many = split(" ".join(f"from:p{number}" for number in range(100)), lambda _: True)
    assert len(many.operators) == MOST
    assert [str(operator) for operator in many.operators[:1]] == ["from:p0"]


def test_an_unknown_state_names_the_nearest(told: SmallArchive) -> None:
    with pytest.raises(UsageError, match="Did you mean edited"):
        told.queries.search("plan", states=["edit"])
    assert all(found(told, "plan", states=[state]) is not None for state in STATES)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                ["from:", "-in:", "has:", "is:", "before:", "after:", "OR", "-", '"', "dana", "image", "2025-08", " "]
            ),
            st.text(max_size=6),
            st.sampled_from(["'; DROP TABLE messages; --", "NEAR(a b, 2)", "content:x", "\x00", "\ud800", "* ^ : {", "1,000"]),
        ),
        max_size=12,
    )
)
def test_no_query_ends_in_an_error_that_was_not_meant(told: SmallArchive, pieces: list[str]) -> None:
    for text in ("".join(pieces), " ".join(pieces)):
        try:
            page = told.queries.search(text, limit=3)
        except ArchiveError as refused:
            assert refused.advice  # noqa: PT017 - most searches are answered
        else:
            assert page.messages or page.suggestions is not None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000, "plan " * 20_000, "from:dana " * 10_000, '"' * 100_000, "-" * 100_000, "אבגד " * 20_000, "1 " * 50_000,
        "( " * 50_000, "the " * 25_000, "о" * 100_000, "fatura " * 15_000, "plan OR " * 12_000,
    ],
)  # fmt: skip
def test_very_long_queries_are_answered_or_refused_in_one_line(told: SmallArchive, text: str) -> None:
    try:
        told.queries.search(text)
    except UsageError as refused:
        assert len(str(refused)) < 400  # noqa: PT017 - a query without a word is refused


def test_a_cursor_that_was_changed_or_is_of_another_query_is_refused(told: SmallArchive) -> None:
    cursor = told.queries.search("plan", limit=2).next_cursor
    assert cursor is not None
    for place in range(len(cursor)):
        for changed in (cursor[:place], cursor[:place] + ("1" if cursor[place] != "1" else "2") + cursor[place + 1 :]):
            if changed:
                with pytest.raises(UsageError, match="cursor"):
                    told.queries.search("plan", limit=2, cursor=changed)
    with pytest.raises(UsageError, match="other filters"):
        told.queries.search("plan is:sent", limit=2, cursor=cursor)
    for limit in (0, -1):
        with pytest.raises(UsageError, match="from 1 to"):
            told.queries.search("plan", limit=limit)
    assert told.queries.search("plan", limit=1_000_000).total == 6


def test_hits_of_one_conversation_stand_together_where_the_best_stands(tmp_path: Path) -> None:
    small = SmallArchive(tmp_path)
    small.owner()
    for number in (1, 2):
        small.private(small.contact(f"1555010000{number}", f"Person {number}"))
    best = small.message(1, 2, "2025-08-01 10:00", "picnic picnic")
    other = small.message(2, 3, "2025-08-01 10:01", "picnic, a word")
    same = small.message(1, 2, "2025-08-01 10:20", "picnic, a word and one more and another")
    much_later = small.message(1, 2, "2025-08-05 10:20", "picnic, a word and one more and another and again one")
    inexact = small.message(1, 2, "2025-08-01 10:21", "picnics")
    ids = [message.message_id for message in small.queries.search("picnic").messages]
    assert ids == [best, same, other, much_later, inexact]
    assert [message.message_id for message in small.queries.search("picnic", order="oldest").messages][:2] == [best, other]
    seen: list[int] = []
    cursor = None
    while True:
        page = small.queries.search("picnic", limit=2, cursor=cursor)
        seen += [message.message_id for message in page.messages]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    small.close()


@pytest.mark.parametrize(
    ("query", "wanted"), [("from:dana -a", "ef"), ("in:book -f -e", "d"), ("-plan from:omar", ""), ("is:edited -zzz", "b")]
)
def test_exclusions_beside_filters_leave_out_of_what_these_leave(told: SmallArchive, query: str, wanted: str) -> None:
    assert found(told, query) == wanted


def test_exclusions_alone_are_searched_as_plain_words_and_the_answer_says_so(told: SmallArchive) -> None:
    page = told.queries.search("-plan")
    assert len(page.messages) == 6
    assert page.notes == ("Only exclusions stand in the query, so they were searched as plain words.",)


def test_a_quote_that_never_ends_after_an_operator_is_said_to_be_read_as_words(told: SmallArchive) -> None:
    (note,) = told.queries.search('plan from:"Dana Levi').notes
    assert "from: takes a name" in note


def test_an_operator_said_a_hundred_times_is_one_and_too_many_are_told(told: SmallArchive) -> None:
    assert found(told, "plan " + "has:image " * 100) == "c"
    many = " ".join(f"after:2024-01-{number:02}" for number in range(1, 26))
    (note,) = told.queries.search(f"plan {many}").notes
    assert note.startswith("Only the first 20 operators")


CALL = re.compile(r'search_messages\(query=("(?:[^"\\]|\\.)*")((?:, \w+=(?:"[^"]*"|\[[^\]]*\]|\d+))*)\)')


@pytest.mark.parametrize(
    ("query", "filters", "hits"),
    [
        ("paln e", {}, 1),
        ('"plan of e"', {}, 6),
        ('"e plan"', {}, 1),
        ("e-plan", {}, 1),
        ("😀 plan", {}, 6),
        ("plan after:2027", {}, 6),
        ("plan before:2024 -from:dana", {}, 3),
        ("plan", {"before": "2024", "sender": "me"}, 1),
        ("plan", {"before": "2024", "kinds": ("image", "document"), "states": ("quoted",), "chat": "Book club"}, 1),
        ("", {"before": "2024", "sender": "Omar"}, 2),
        ("is:deleted", {"before": "2024"}, 1),
        ("plan has:nonsense", {}, 6),
        ('from:"Dana plan', {}, 6),
        ("plan zzzz is:sent", {}, 6),
        ("has:link c", {}, 1),
        ("x" * 60 + " plan zzzzzzzz", {}, 6),
    ],
)
def test_the_next_call_of_a_zero_can_be_made_letter_by_letter_and_finds_something(
    told: SmallArchive, query: str, filters: dict[str, Any], hits: int
) -> None:
    page = told.queries.search(query, **filters)
    assert not page.messages
    assert page.suggestions is not None
    call = CALL.match(page.suggestions.next_call)
    assert call is not None, page.suggestions.next_call
    arguments = {name: json.loads(value) for name, value in re.findall(r', (\w+)=("[^"]*"|\[[^\]]*\]|\d+)', call[2])}
    assert len(told.queries.search(json.loads(call[1]), **arguments).messages) == hits


def test_a_query_too_long_to_be_said_again_is_not_cut_into_another_one(told: SmallArchive) -> None:
    page = told.queries.search("plan " * 30 + "before:2024")
    assert page.suggestions is not None
    assert page.suggestions.next_call == 'The same search with after="2025-07", before="2025-09" and no other dates.'
