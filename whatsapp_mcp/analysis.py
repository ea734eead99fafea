"""How much was written in an interval, with whom, where, when and what: numbers only, from `Queries`.

A received message counts for its sender, a sent one for the person of the private chat; what was sent to a group belongs to
nobody in particular and shows under ``chat`` alone. Days, months and hours are those of the user's zone.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.dates import day_label
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.views import Analysis, Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from whatsapp_mcp.queries import Queries
    from whatsapp_mcp.queries.counting import Tally
    from whatsapp_mcp.queries.people import Reference
    from whatsapp_mcp.views import Party

BREAKDOWNS: Final = ("contact", "chat", "day", "month", "type", "year", "weekday", "hour")
STANDARD: Final = ("contact", "chat", "day", "month", "type")
_ALWAYS: Final = ("chat", "contact", "type", "day")
_WEEKDAYS: Final = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")
"""1970-01-01, day 0, was a Thursday."""


def analyze(
    queries: Queries, after: str | None, before: str | None, *,
    chat: Reference | None = None, contact: Reference | None = None, breakdown: Sequence[str] = STANDARD,
) -> Analysis:  # fmt: skip
    """Totals of the interval, its first, last and busiest, and the asked breakdowns (any of `BREAKDOWNS`).

    Raises `UsageError` for an unknown breakdown and what `Queries` raises for dates and names.
    """
    wanted = _checked(breakdown)
    chat = None if chat is None else queries.find_chat(chat)
    contact = None if contact is None else queries.find_contact(contact)
    numbers = queries.count(after, before, chat=chat, contact=contact, units=(*_ALWAYS, *({"hour"} & set(wanted))))
    tallies, kinds = numbers.tallies, numbers.media_kinds
    sent, total = (sum(getattr(tally, name) for tally in tallies["chat"]) for name in ("sent", "messages"))
    days = _labelled(tallies["day"], lambda tally: day_label(tally.key))
    return Analysis(
        interval=numbers.interval,
        coverage=numbers.coverage,
        messages=total,
        sent=sent,
        received=total - sent,
        chats=len(tallies["chat"]),
        contacts=sum(tally.key is not None for tally in tallies["contact"]),
        media=sum(tally.messages for tally in tallies["type"] if tally.key in kinds),
        first=numbers.first,
        last=numbers.last,
        busiest_day=max(days, key=lambda count: (count.messages, count.label), default=None),
        breakdowns=MappingProxyType({name: _breakdown(name, tallies, numbers.parties) for name in wanted}),
        notes=tuple(party.note for party in (chat, contact) if party and party.note),
    )


def _checked(breakdown: Sequence[str]) -> tuple[str, ...]:
    for name in breakdown:
        if name not in BREAKDOWNS:
            raise UsageError(f"There is no breakdown by {name!a}.", advice=f"Use any of {', '.join(BREAKDOWNS)}.")
    return tuple(dict.fromkeys(breakdown))


def _breakdown(
    name: str, tallies: Mapping[str, Sequence[Tally]], parties: Mapping[str, Mapping[int, Party]]
) -> tuple[Count, ...]:
    """People, chats and types by size; times in their own order."""
    if name in ("contact", "chat"):
        return _by_size(_named(tallies[name], parties[name]))
    if name == "type":
        return _by_size(_labelled(tallies["type"], lambda tally: str(tally.key)))
    if name == "hour":
        return tuple(_labelled(tallies["hour"], lambda tally: f"{tally.key:02}:00"))
    if name == "weekday":
        return tuple(sorted(_labelled(tallies["day"], _weekday), key=lambda count: (_WEEKDAYS.index(count.label) + 3) % 7))
    length = {"day": 10, "month": 7, "year": 4}[name]
    return tuple(_labelled(tallies["day"], lambda tally: day_label(tally.key)[:length]))


def _weekday(tally: Tally) -> str:
    return _WEEKDAYS[tally.key % 7]


def _labelled(tallies: Iterable[Tally], label: Callable[[Tally], str]) -> list[Count]:
    """The sums of those with the same label, in the order of the labels."""
    sums: dict[str, tuple[int, int]] = {}
    for tally in tallies:
        name = label(tally)
        messages, sent = sums.get(name, (0, 0))
        sums[name] = messages + tally.messages, sent + tally.sent
    return [Count(name, messages, sent, messages - sent) for name, (messages, sent) in sorted(sums.items())]


def _named(tallies: Iterable[Tally], parties: Mapping[int, Party]) -> list[Count]:
    known = [(tally, parties[tally.key]) for tally in tallies if tally.key in parties]
    return [Count(party.name, tally.messages, tally.sent, tally.messages - tally.sent, party) for tally, party in known]


def _by_size(counts: Iterable[Count]) -> tuple[Count, ...]:
    return tuple(sorted(counts, key=lambda count: (-count.messages, count.label, count.party.id if count.party else 0)))
