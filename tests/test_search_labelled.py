"""Words are found as people write them: every query of the labelled set finds all that it must, and hardly anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from labelled_search import Asked, fill, languages

if TYPE_CHECKING:
    from whatsapp_mcp.app import Archive

ASKED = [asked for language in languages() for asked in language.queries]
PAIRS = sum(len(asked.wanted) for asked in ASKED)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Archive, dict[str, str]]:
    return fill(tmp_path_factory.mktemp("labelled"))


def found(filled: tuple[Archive, dict[str, str]], asked: Asked, order: str = "relevance") -> list[str]:
    archive, chats = filled
    page = archive.queries.search(asked.query, chat=chats[asked.language], order=order, limit=100)
    return [message.content for message in page.messages]


def test_the_set_is_large_enough_to_mean_something() -> None:
    assert PAIRS >= 300
    assert len(languages()) > 12, "twelve languages, and what is the same in all of them"
    assert all(language.queries and language.texts for language in languages())
    assert len({(asked.language, asked.query) for asked in ASKED}) == len(ASKED)


@pytest.mark.parametrize("language", [language.name for language in languages()])
def test_every_query_of_the_set_finds_all_that_it_must(filled: tuple[Archive, dict[str, str]], language: str) -> None:
    missed = {
        asked.query: sorted(asked.wanted.difference(found(filled, asked))) for asked in ASKED if asked.language == language
    }
    assert {query: texts for query, texts in missed.items() if texts} == {}


def test_of_everything_that_the_set_finds_more_than_95_in_100_was_meant(filled: tuple[Archive, dict[str, str]]) -> None:
    shown = [(asked, text) for asked in ASKED for text in found(filled, asked)]
    wrong = [(asked.language, asked.query, text) for asked, text in shown if text not in asked.wanted]
    assert len(shown) > PAIRS // 2
    assert 1 - len(wrong) / len(shown) > 0.95, wrong


def test_no_message_is_found_twice_and_each_order_finds_the_same(filled: tuple[Archive, dict[str, str]]) -> None:
    for asked in ASKED:
        ranked, newest, oldest = (found(filled, asked, order) for order in ("relevance", "newest", "oldest"))
        assert len(set(ranked)) == len(ranked)
        assert sorted(ranked) == sorted(newest) == sorted(oldest), asked
        assert newest == oldest[::-1]
