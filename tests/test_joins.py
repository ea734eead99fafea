"""The joins obey the three laws on which 'arrival order never matters' rests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_mcp.records import DELIVERY_STATES, KINDS
from whatsapp_mcp.schema import JOINS
from whatsapp_mcp.store.joins import Row, first, furthest, join, known, last, revealed, union

VALUES = {
    first: st.none() | st.integers(),
    last: st.none() | st.integers(),
    known: st.none() | st.text(max_size=3),
    furthest: st.none() | st.sampled_from(DELIVERY_STATES),
    revealed: st.none() | st.sampled_from(KINDS),
    union: st.none() | st.integers(0, 7),
}


@pytest.mark.parametrize("rule", VALUES, ids=lambda rule: rule.__name__)
@given(data=st.data())
def test_a_join_is_commutative_associative_and_idempotent(rule: Any, data: st.DataObject) -> None:
    a, b, c = (data.draw(VALUES[rule]) for _ in range(3))
    empty = (None, "")
    assert rule(a, b) == rule(b, a) or {rule(a, b), rule(b, a)} <= set(empty)
    assert rule(rule(a, b), c) == rule(a, rule(b, c)) or {rule(rule(a, b), c), rule(a, rule(b, c))} <= set(empty)
    assert rule(a, a) == a


def test_a_read_message_stays_read_whatever_arrives_later() -> None:
    assert furthest("read", "sent") == "read"
    assert furthest("pending", "delivered") == "delivered"


def test_a_real_kind_replaces_unknown_and_never_the_other_way_round() -> None:
    assert revealed("unknown", "image") == "image"
    assert revealed("image", "unknown") == "image"


NAMES = st.tuples(st.none() | st.sampled_from(["", "Ann", "Bea"]), st.integers(0, 3))


def _group(name: tuple[str | None, int]) -> Row:
    return {"group_name": name[0] or None, "group_name_at": name[1] if name[0] else None}


@given(st.lists(NAMES, min_size=1, max_size=5), st.randoms())
def test_the_latest_name_wins_in_any_order(names: list[tuple[str | None, int]], random: Any) -> None:
    def after_all(order: list[tuple[str | None, int]]) -> Row:
        row = _group((None, 0))
        for name in order:
            row.update(join("groups", row, _group(name)))
        return row

    shuffled = [*names, *names]
    random.shuffle(shuffled)
    assert after_all(names) == after_all(shuffled)


def test_every_column_names_a_rule_that_exists() -> None:
    rules = {"first", "last", "known", "any", "furthest", "revealed", "union"}
    for table, columns in JOINS.items():
        for column, rule in columns.items():
            assert rule in rules or rule.startswith("latest "), f"{table}.{column}: {rule}"
