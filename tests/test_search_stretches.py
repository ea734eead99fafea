"""What is looked up by stretches of ids and weighed from the texts is what FTS5 itself finds and how it ranks it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from store_fixtures import history, incoming

from whatsapp_mcp.ingest import Ingest
from whatsapp_mcp.queries import ranking, stretches
from whatsapp_mcp.queries.database import Database
from whatsapp_mcp.queries.filters import Filters
from whatsapp_mcp.queries.scopes import Extent, Scope
from whatsapp_mcp.store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

START = 1_750_000_000
WORDS = ("plan", "the", "Übung", "חשבונית", "東京都", "👍🏽", "a", "x.pdf", "don't", "+1 555 0101234")
ASKS = (
    '"plan"', '("plan")', '("plan" OR "the")', '("plan") AND ("the")', '"plan the"', '("plan" OR "a") AND ("the" OR "ubung")',
    '(("plan")) NOT ("the")', '(("plan" OR "a")) NOT ("the")', '("the") NOT (("a"))', '"don t"', '"חשבונית"', '"a a"',
)  # fmt: skip
"""With expressions that are left to FTS5."""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = Random(5)
    path = tmp_path_factory.mktemp("stretches") / "whatsapp_chats.db"
    with Store(path) as store:
        ingest = Ingest(store)
        texts = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 12))) for _ in range(600)]
        numbers = rng.sample(range(600), 600)  # ids are not in order of time
        ingest.receive(history([incoming(number, text) for number, text in zip(numbers, texts, strict=True)]))
    return path


@pytest.fixture
def connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sqlite3.Connection]:
    for name, value in {"_WORTH": 1, "_ASK": 0.01, "_FETCH": 0.01}.items():
        monkeypatch.setattr(stretches, name, value)
    database = Database(path)
    with database.reading() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize("match", ASKS)
@pytest.mark.parametrize("filters", [Filters(), Filters(start=START + 150, end=START + 420), Filters(from_me=False)], ids=str)
@pytest.mark.parametrize("inside", [Extent(), Extent(None, 0, 500)], ids=str)
def test_hits_are_ranked_as_fts5_ranks_them(
    connection: sqlite3.Connection, match: str, filters: Filters, inside: Extent
) -> None:
    walked = ranking.scored(connection, match, Scope(filters, by_window=False), inside, limit=1_000, offset=0)
    matches = ranking.count_matches(connection, match)
    weighed = stretches.best_among(connection, match, filters, inside, matches=matches, known=matches)
    assert walked
    assert weighed == [message for message, _ in walked]
    page = ranking.scored(connection, match, Scope(filters, by_window=True), inside, limit=7, offset=5, matches=matches)
    assert page == walked[5:13]


@pytest.mark.parametrize("match", ['"pla"*', '("1 555" AND "0101234")', '(("plan") AND ("the")) NOT (("plan" AND "x"))'])
def test_an_expression_whose_phrases_may_count_elsewhere_is_left_to_fts5(connection: sqlite3.Connection, match: str) -> None:
    assert stretches.best_among(connection, match, Filters(), Extent(), matches=600, known=None) is None


@pytest.mark.parametrize("match", [*ASKS, '"pla"*'])
@pytest.mark.parametrize("oldest_first", [True, False])
def test_hits_in_order_of_time_are_the_same(connection: sqlite3.Connection, match: str, *, oldest_first: bool) -> None:
    pages = [
        ranking.by_time(
            connection, match, Scope(Filters(start=START + 99), by_window=True), Extent(),
            limit=1_000, place=None, oldest_first=oldest_first, matches=matches,
        )
        for matches in (0, 600)
    ]  # fmt: skip
    assert pages[0]
    assert pages[0] == pages[1]
    assert stretches.ids_among(connection, match, Filters(), Extent(), 600) is not None


def test_texts_that_the_index_counted_otherwise_are_left_to_fts5(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "fold", "and {}".format)
    assert stretches.best_among(connection, '"plan"', Filters(), Extent(), matches=600, known=None) is None
