"""How two sightings of one thing become one row: the joins that `schema.JOINS` names, as pure functions.

Each is commutative, associative and idempotent. That is the whole reason why replays, overlaps and any order of arrival are
harmless, so a new join belongs here, with its three laws in ``tests/test_joins.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.records import DELIVERY_STATES, KINDS
from whatsapp_mcp.schema import JOINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = dict[str, Any]

_DELIVERY_RANK: Final = {state: rank for rank, state in enumerate(DELIVERY_STATES)}
_KIND_RANK: Final = {kind: rank for rank, kind in enumerate(KINDS)}


def first(one: Any, other: Any) -> Any:
    """The smaller of what is known."""
    return _choose(min, one, other)


def last(one: Any, other: Any) -> Any:
    """The larger of what is known."""
    return _choose(max, one, other)


def known(one: Any, other: Any) -> Any:
    """What is not empty; of two, the greater, so that the order cannot matter."""
    return _choose(max, one, other)


def furthest(one: Any, other: Any) -> Any:
    """The delivery state that is further along."""
    return _choose(lambda a, b: max(a, b, key=lambda state: (_DELIVERY_RANK.get(state, -1), state)), one, other)


def revealed(one: Any, other: Any) -> Any:
    """A real kind instead of ``unknown``."""
    return _choose(lambda a, b: max(a, b, key=lambda kind: (_KIND_RANK.get(kind, -1), kind)), one, other)


def union(one: Any, other: Any) -> Any:
    """All bits of both."""
    return _choose(lambda a, b: a | b, one, other)


def _choose(pick: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    if one is None or one == "":
        return other
    if other is None or other in ("", one):
        return one
    return pick(one, other)


_PLAIN: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "first": first, "last": last, "known": known, "any": last, "furthest": furthest, "revealed": revealed,
    "union": union,
}  # fmt: skip


def join(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Row:
    """Only what changes in `old` when `new` is seen; empty when nothing does."""
    changes: Row = {}
    for column, rule in JOINS[table].items():
        if column not in new:
            continue
        if rule.startswith("latest "):
            _join_latest(changes, old, new, column, rule[7:])
            continue
        value = _PLAIN[rule](old[column], new[column])
        if value != old[column]:
            changes[column] = value
    return changes


def _join_latest(changes: Row, old: Mapping[str, Any], new: Mapping[str, Any], column: str, time: str) -> None:
    if new[column] is None or new[column] == "":
        return
    unsaid = old[column] is None or old[column] == ""
    if unsaid or (new[time], new[column]) > (old[time], old[column]):
        changes[column] = new[column]
        changes[time] = new[time]
        for name in (column, time):
            if changes[name] == old[name]:
                del changes[name]
