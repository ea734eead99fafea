"""What a search asks for: words, operators in them and parameters beside them, made into one query, filters and an interval.

Operators and parameters say the same, so they narrow together; several names or kinds of one sort are alternatives, as
``from:dana from:omar`` can only mean either. What leaves nothing by itself is refused with both sides named.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final, TypeAlias

from whatsapp_mcp import dates
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import people, writing
from whatsapp_mcp.queries.filters import Filters, Left
from whatsapp_mcp.records import KINDS
from whatsapp_mcp.search.language import Query, Term, Unit, parse
from whatsapp_mcp.search.operators import LINK, MEDIA, STATES, split, state_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.search.operators import Operator
    from whatsapp_mcp.views import Interval, Party

ORDERS: Final = ("relevance", "newest", "oldest")
HIGHEST_LIMIT: Final = 200
HIGHEST_CONTEXT: Final = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was asked, with the names of its parameters already resolved."""

    query: str
    chat: Party | None
    sender: Party | None
    after: str | None
    before: str | None
    kinds: tuple[str, ...]
    order: str
    context: int
    limit: int
    cursor: str | None
    states: tuple[str, ...] = ()

    @property
    def filters(self) -> tuple[object, ...]:
        """What a cursor is bound to."""
        return (
            "search", self.query, self.chat and self.chat.id, self.sender and self.sender.id, self.after or "",
            self.before or "", self.kinds, self.order, self.states,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A search as it was understood."""

    query: Query | None
    """None lists what the filters leave."""
    words: str
    """The query without its operators."""
    without_dates: str
    """Its operators, but for dates, as one writes them."""
    filters: Filters
    within: Interval
    notes: tuple[str, ...]
    """How something in the query was read that may have been meant otherwise."""


def understood(connection: sqlite3.Connection, asked: Asked, *, zone: ZoneInfo, now: float) -> Wanted:
    """What `asked` wants; raises `UsageError` where it holds no word and no filter, or contradicts itself.

    Names in ``from:`` and ``in:`` raise `NotFound` and `Ambiguous` as parameters do.
    """
    _check(asked)
    found = split(asked.query, partial(_is_date, zone=zone, now=now))
    tongues = writing.tongues(connection)
    query = parse(found.words, tongues)
    if query is not None:
        query = query.with_forms(writing.written(connection, query.further))
    within = _interval(asked, found.operators, zone=zone, now=now)
    parties = _parties(connection, found.operators, zone)
    filters = _with_kinds(_filters(connection, asked, parties, within), asked, found.operators)
    query, filters, read = _with_exclusions(query, filters)
    query, filters = _with_links(query, filters)
    if "reacted" in filters.states:
        filters = replace(filters, few_reactions=_has_few_reactions(connection))
    if query is None and (filters.are_open or (found.words.strip() and not filters.left_out.words)):
        raise _nothing_asked(asked.query)
    everybody = (asked.chat, asked.sender, *chain.from_iterable(parties.values()))
    notes = dict.fromkeys([*found.notes, *read, *(party.note for party in everybody if party and party.note)])
    said = " ".join(str(operator) for operator in found.operators if operator.name not in ("after", "before"))
    return Wanted(query, found.words, said, filters, within, tuple(notes))


_FEW_REACTIONS: Final = 50_000
"""So many can be gathered in a tenth of a second."""


def _has_few_reactions(connection: sqlite3.Connection) -> bool:
    query = "SELECT count(*) FROM (SELECT 1 FROM reactions LIMIT ?)"
    return int(connection.execute(query, (_FEW_REACTIONS + 1,)).fetchone()[0]) <= _FEW_REACTIONS


def _with_exclusions(query: Query | None, filters: Filters) -> tuple[Query | None, Filters, tuple[str, ...]]:
    """Exclusions alone leave out of what the filters leave; without any filter they are taken as plain words."""
    if query is None or not query.is_turned:
        return query, filters, ()
    if filters.are_open:
        return query, filters, ("Only exclusions stand in the query, so they were searched as plain words.",)
    return None, replace(filters, left_out=replace(filters.left_out, words=query.any_of())), ()


_LINKS: Final = tuple(Unit((Term((word,)),)) for word in ("https", "http", "www"))
"""Every link holds one of these words, and the index knows where they are."""


def _with_links(query: Query | None, filters: Filters) -> tuple[Query | None, Filters]:
    """``has:link`` as words of the query, so that not every message has to be looked at."""
    if LINK not in filters.states:
        return query, filters
    wanted, unwanted = (query.wanted, query.unwanted) if query else ((), ())
    states = tuple(state for state in filters.states if state != LINK)
    return Query((*wanted, _LINKS), unwanted), replace(filters, states=states)


def _nothing_asked(query: str) -> UsageError:
    return UsageError(
        "The query holds no word." if query.strip() else "The query is empty, and no filter says what is wanted.",
        advice='Give a word that messages hold, such as query="invoice"; without a word use read_chat, or give '
        'query="" with a sender, kinds or dates.',
    )


def _check(asked: Asked) -> None:
    if asked.order not in ORDERS:
        raise UsageError(f"There is no order {people.named(asked.order)}.", advice=f"Use {', '.join(ORDERS)}.")
    if not 0 <= asked.context <= HIGHEST_CONTEXT:
        raise UsageError(f"context is {asked.context}.", advice=f"Give a number from 0 to {HIGHEST_CONTEXT}.")


def checked_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """`kinds` sorted, with ``media`` spelled out; raises `UsageError` with the nearest kind for an unknown one."""
    wanted: set[str] = set()
    for kind in kinds:
        if kind == "media":
            wanted.update(MEDIA)
        elif kind in KINDS:
            wanted.add(kind)
        else:
            near = difflib.get_close_matches(kind, KINDS, n=1)
            meant = f"Did you mean {near[0]}?" if near else f"Use {', '.join(KINDS)}, or media for all files."
            raise UsageError(f"There is no kind {people.named(kind)} of messages.", advice=meant)
    return tuple(sorted(wanted))


def checked_states(states: Iterable[str]) -> tuple[str, ...]:
    """`states` sorted; raises `UsageError` with the nearest for an unknown one."""
    wanted: set[str] = set()
    for state in states:
        meant = state_of(state)
        if meant is None:
            near = difflib.get_close_matches(state, STATES, n=1)
            advice = f"Did you mean {near[0]}?" if near else f"Use {', '.join(STATES)}."
            raise UsageError(f"There is no state {people.named(state)} of messages.", advice=advice)
        wanted.add(meant)
    return tuple(sorted(wanted))


def _is_date(value: str, *, zone: ZoneInfo, now: float) -> bool:
    try:
        dates.parse(value, zone=zone, now=now)
    except UsageError:
        return False
    return True


def _interval(asked: Asked, operators: Sequence[Operator], *, zone: ZoneInfo, now: float) -> Interval:
    """What is common to all dates named; raises `UsageError` where that is nothing."""
    within = dates.interval(asked.after, asked.before, zone=zone, now=now)
    start, end = within.start, within.end
    for operator in operators:
        if operator.name not in ("after", "before"):
            continue
        span = dates.parse(operator.value, zone=zone, now=now)
        bound = span.start if operator.name == "after" else span.end
        if (operator.name == "after") != operator.is_negative:
            start = bound if start is None else max(start, bound)
        else:
            end = bound if end is None else min(end, bound)
    if start is not None and end is not None and start >= end:
        raise UsageError(
            "The dates contradict each other: no time lies within all of them.",
            advice="Leave out after: or before: in the query, or the parameters of these names.",
        )
    return within if (start, end) == (within.start, within.end) else dates.resolved(start, end, zone=zone)


_KINDS: Final[Mapping[str, people.Kind]] = {"from": "contact", "in": "chat"}
_Parties: TypeAlias = "Mapping[tuple[str, bool], tuple[Party, ...]]"


def _parties(connection: sqlite3.Connection, operators: Sequence[Operator], zone: ZoneInfo) -> _Parties:
    """Whom ``from:`` and ``in:`` name, and whom they leave out (True)."""
    return {
        (name, negative): tuple(
            dict.fromkeys(people.find(connection, value, kind, zone) for value in _values(operators, name, negative=negative))
        )
        for name, kind in _KINDS.items()
        for negative in (False, True)
    }


def _filters(connection: sqlite3.Connection, asked: Asked, named: _Parties, within: Interval) -> Filters:
    """Where, by whom and when."""
    chats = _agreed(asked.chat, named["in", False], "chat", "in:")
    senders = _agreed(asked.sender, named["from", False], "sender", "from:")
    for party in {*chats} & {*named["in", True]} or {*senders} & {*named["from", True]}:
        raise _contradiction(f"{people.named(party.name)} is asked for and left out")
    me = people.owner(connection) if senders or named["from", True] else None
    owner = me[0] if me else None
    ids = tuple(sorted(0 if party.id == owner else party.id for party in senders))
    one = ids[0] if len(ids) == 1 else None
    left = {party.id for party in named["from", True]}
    without = Left(
        chats=tuple(sorted(party.id for party in named["in", True])),
        senders=tuple(sorted(party for party in left if party != owner)),
        from_me=owner in left,
    )
    return Filters(
        chat_id=chats[0].id if len(chats) == 1 else None, start=within.start, end=within.end,
        sender_id=one or None, from_me=True if one == 0 else None, left_out=without,
        chats=tuple(sorted(party.id for party in chats)) if len(chats) > 1 else (), senders=ids if len(ids) > 1 else (),
    )  # fmt: skip


def _values(operators: Sequence[Operator], *names: str, negative: bool = False) -> list[str]:
    return [operator.value for operator in operators if operator.name in names and operator.is_negative == negative]


def _agreed(parameter: Party | None, named: tuple[Party, ...], what: str, operator: str) -> tuple[Party, ...]:
    """Those that the parameter and the query both mean; raises `UsageError` where they mean others."""
    if parameter is None or not named:
        return named or ((parameter,) if parameter else ())
    if parameter not in named:
        others = " or ".join(people.named(party.name) for party in named)
        raise _contradiction(f"the parameter {what} means {people.named(parameter.name)}, and {operator} means {others}")
    return (parameter,)


def _contradiction(what: str) -> UsageError:
    return UsageError(f"The filters contradict each other: {what}.", advice="Leave out one of the two.")


def _with_kinds(filters: Filters, asked: Asked, operators: Sequence[Operator]) -> Filters:
    has, has_not = (_values(operators, "has", negative=negative) for negative in (False, True))
    kinds = checked_kinds(kind for kind in has if kind != LINK)
    if asked.kinds and kinds:
        kinds = tuple(sorted({*asked.kinds} & {*kinds}))
        if not kinds:
            raise _contradiction(f"the parameter kinds has {', '.join(asked.kinds)}, the query has:{' has:'.join(has)}")
    kinds = kinds or asked.kinds
    without = checked_kinds(kind for kind in has_not if kind != LINK)
    if kinds and {*without}.issuperset(kinds):
        raise _contradiction(f"{', '.join(kinds)} is asked for and left out")
    states = {*asked.states, *_values(operators, "is"), *(value for value in has if value == LINK)}
    without_states = {*_values(operators, "is", negative=True), *(value for value in has_not if value == LINK)}
    for one, other in (("sent", "received"), ("private", "group")):
        if {one, other} <= states:
            raise _contradiction(f"no message is both {one} and {other}")
    if both := sorted(states & without_states):
        raise _contradiction(f"{both[0]} is asked for and left out")
    left = replace(filters.left_out, kinds=without, states=tuple(sorted(without_states)))
    return replace(filters, kinds=kinds, states=tuple(sorted(states)), left_out=left)
