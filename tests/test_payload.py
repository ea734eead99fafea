"""Answers are cut into the exact texts of their items, and a damaged answer gives all that can be read of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_mcp.payload import cut_items

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=6), st.sampled_from([",", ", ", " ,\n "]))
def test_the_items_of_an_array_are_its_texts(values: list[Any], comma: str) -> None:
    texts = [json.dumps(value, ensure_ascii=False) for value in values]
    items, damaged = cut_items(f" [{comma.join(texts)}]\n")
    assert list(items) == texts
    assert not damaged


@given(st.text(max_size=60))
def test_no_body_makes_it_raise_and_nothing_that_is_said_gets_lost(body: str) -> None:
    items, _ = cut_items(body)
    kept = "".join(items)
    left_out = [character for character in body if character not in kept]
    assert set(left_out) <= set("[], \t\r\n\ufeff") or body.strip(" \t\r\n\ufeff") == "null"


@pytest.mark.parametrize(
    ("body", "items", "damaged"),
    [
        ("", (), False),
        ("null", (), False),
        ("[]", (), False),
        ('\ufeff{"count": 3}', ('{"count": 3}',), False),
        ('"Error: item-not-found"', ('"Error: item-not-found"',), False),
        ('[{"a":1},,{"b":2}]', ('{"a":1}', '{"b":2}'), True),
        ('[{"a":1},{"b":2},]', ('{"a":1}', '{"b":2}'), False),
        ('[{"a":1},{"b":', ('{"a":1}', '{"b":'), True),
        ('[{"a":1}', ('{"a":1}',), True),
        ('[{"a":1}] trailing', ('{"a":1}', "trailing"), True),
        ("<html>502</html>", ("<html>502</html>",), True),
        ('[{"a":"line\nbreak"}]', ('{"a":"line\nbreak"}',), False),
    ],
)
def test_known_bodies(body: str, items: tuple[str, ...], *, damaged: bool) -> None:
    assert cut_items(body) == (items, damaged)


def test_an_answer_nested_beyond_reason_is_kept_whole() -> None:
    body = "[" * 100_000
    assert cut_items(body) == ((body[1:],), True)
