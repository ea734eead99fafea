"""The coverage ledger: what is known from where, and nothing about a time that has not come."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from old_versions import take_back
from store_fixtures import ALICE, RECEIVED_AT, history, incoming

from whatsapp_mcp import schema
from whatsapp_mcp.app import Archive
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import StorageError
from whatsapp_mcp.ingest import Ingest, rebuild
from whatsapp_mcp.queries.database import open_connection
from whatsapp_mcp.records import Alias, Chat
from whatsapp_mcp.store import Mark, Span, Store
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from pathlib import Path

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)


def covered(store: Store, chat: str = "") -> list[tuple[str, int, int]]:
    return [(span.origin, span.start, span.end) for span in store.ledger.spans(chat)]


def test_spans_that_touch_become_one_and_a_hole_stays() -> None:
    with Store(":memory:") as store:
        for start, end in ((100, 200), (300, 400), (201, 250)):
            store.mark_chat(Mark(1000, covered=(Span("journal", start, end),)))
        assert covered(store) == [("journal", 100, 250), ("journal", 300, 400)]


def test_origins_and_chats_have_spans_of_their_own() -> None:
    with Store(":memory:") as store:
        store.mark_chat(Mark(1000, covered=(Span("journal", 1, 9), Span("queue", 5, 12), Span("history", 0, 20, ALICE))))
        assert covered(store) == [("journal", 1, 9), ("queue", 5, 12)]
        assert covered(store, ALICE) == [("history", 0, 20)]


@given(SPANS, st.randoms())
def test_the_order_of_spans_does_not_matter(spans: list[tuple[int, int]], random: object) -> None:
    def after_all(order: list[tuple[int, int]]) -> set[int]:
        with Store(":memory:") as store:
            for start, end in order:
                store.mark_chat(Mark(1000, covered=(Span("queue", start, end),)))
            rows = covered(store)
            assert all(one[2] + 1 < other[1] for one, other in pairwise(rows))
            return {second for _, start, end in rows for second in range(start, end + 1)}

    shuffled = [*spans, *spans]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert after_all(spans) == after_all(shuffled) == {second for start, end in spans for second in range(start, end + 1)}


def test_nothing_is_covered_beyond_the_moment_at_which_it_was_seen() -> None:
    with Store(":memory:") as store:
        store.mark_chat(Mark(500, covered=(Span("journal", 400, 900), Span("queue", 600, 700))))
        assert covered(store) == [("journal", 400, 500)]


def test_a_run_takes_back_what_a_clock_that_ran_ahead_has_claimed() -> None:
    with Store(":memory:") as store:
        store.mark_chat(Mark(9_000, covered=(Span("journal", 100, 8_000), Span("queue", 7_000, 8_500))))
        store.begin_run("recent", 2_000)
        assert covered(store) == [("journal", 100, 2_000)]


def test_what_turns_out_unproven_is_taken_back_from_one_origin_alone() -> None:
    with Store(":memory:") as store:
        spans = (Span("queue", 10, 20), Span("queue", 30, 40), Span("queue", 50, 60), Span("journal", 10, 60))
        store.mark_chat(Mark(100, covered=spans))
        store.withdraw("queue", 35)
        assert store.ledger.spans() == [Span("journal", 10, 60), Span("queue", 10, 20), Span("queue", 30, 35)]


def test_the_spans_of_a_joined_away_chat_prove_nothing_about_the_chat_that_stays() -> None:
    lid = "900000000000002@lid"
    with Store(":memory:") as store:
        store.apply([Chat(lid, 1), Chat(ALICE, 1)], 1)
        store.mark_chat(Mark(1000, covered=(Span("history", 0, 900, lid), Span("history", 0, 100, ALICE))))
        store.apply([Alias(lid, ALICE)], 2)
        assert covered(store, ALICE) == [("history", 0, 100)]
        assert store.connection.execute("SELECT count(*) FROM coverage").fetchone() == (1,)


def test_coverage_repairs_and_lengths_outlive_a_rebuild() -> None:
    with Store(":memory:") as store:
        mark = Mark(RECEIVED_AT, ALICE, "complete", None, 2, covered=(Span("history", 0, RECEIVED_AT, ALICE),))
        Ingest(store).receive(history([incoming(1, "hello"), incoming(2, "there")]), mark)
        store.connection.execute("INSERT INTO repairs SELECT chat_id, 'LOST', 1, 5, 'not_found' FROM chats LIMIT 1")
        before = {table: store.connection.execute(f"SELECT * FROM {table}").fetchall() for table in ("coverage", "repairs")}
        rebuild(store)
        assert before == {table: store.connection.execute(f"SELECT * FROM {table}").fetchall() for table in before}
        assert store.connection.execute("SELECT history_length, last_history_length FROM sync_status").fetchone() == (2, 2)
        assert verify(store, thorough=True) == []


def test_a_history_that_shrank_keeps_both_lengths() -> None:
    with Store(":memory:") as store:
        for length in (7, 3):
            store.mark_chat(Mark(RECEIVED_AT, ALICE, "complete", None, length))
        assert store.connection.execute("SELECT history_length, last_history_length FROM sync_status").fetchone() == (7, 3)


def test_an_archive_of_the_first_version_is_brought_up_to_date_by_the_next_writer(home: Path) -> None:
    archive = _first_version(home)
    with pytest.raises(StorageError, match="earlier version"):
        open_connection(archive.database)
    with archive.writer() as writer:
        rows = writer.store.connection.execute("SELECT content, origins FROM messages ORDER BY sent_at").fetchall()
        assert rows == [("hello", schema.ASKED), ("there", schema.ASKED)]
        assert not writer.store.is_outdated
        assert verify(writer.store, thorough=True) == []
    assert archive.queries.status().messages == 2


def _first_version(home: Path) -> Archive:
    """An archive as the first version of the program left it."""
    archive = Archive.open(Settings(home=home, timezone=ZoneInfo("UTC")))
    with archive.writer() as writer:
        writer.ingest.receive(history([incoming(1, "hello"), incoming(2, "there")]))
        take_back(writer.store.connection, 1)
    return archive
