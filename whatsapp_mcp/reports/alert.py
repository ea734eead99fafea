"""Alarms: one mail when something begins to fail, one when it is well again, none in between.

What is known of each failure is a small value that fits into JSON; `settle` goes from one state to the next and says what to
tell. Whoever keeps the state writes it down after the mail is in the outbox, so a crash tells twice rather than never.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from whatsapp_mcp.reports.daily import FOOT
from whatsapp_mcp.reports.page import Report, Row, Section, lasted, many, moment, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.reports.daily import Trouble

State: TypeAlias = "Mapping[str, Mapping[str, Any]]"
"""By key (what fails: ``recent``, ``disk``, …) its ``since``, ``last`` (unix seconds), ``count``, ``told``, ``what``, and
``told_at``, the time of its last alarm, which is remembered for a while after it is well (its ``count`` is 0 then)."""

_LENGTH: Final = 300
_FARTHEST: Final = 10**11
"""Unix seconds beyond any calendar that is of use."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something to tell: that `key` fails since `since`, or that it is well again."""

    key: str
    kind: Literal["failing", "well"]
    since: int
    count: int
    """So many times it failed in a row."""
    now: int
    what: str
    advice: str = ""


def settle(
    state: State, seen: Mapping[str, Trouble | None], now: int, *, patience: int = 1, quiet: int = 0
) -> tuple[State, tuple[Alarm, ...]]:
    """The next state, and what to tell, after each of `seen` failed (its trouble) or went well (None).

    What was not looked at stays as it is. A failure is told once, at its `patience`-th time in a row, though not within `quiet`
    seconds after the last one of that key: what comes and goes all day is one alarm a day. An end is told only of what was
    told. A state that somebody damaged is read as far as it makes sense.
    """
    known = {key: one for key, one in state.items() if _is_sound(one) and (one["count"] or _is_quiet(one, now, quiet))}
    alarms: list[Alarm] = []
    for key, trouble in seen.items():
        before = known.pop(key, None)
        if trouble is None:
            if before and before["told"]:
                alarms.append(Alarm(key, "well", min(before["since"], now), before["count"], now, before["what"]))
            if before and _is_quiet(before, now, quiet):
                known[key] = {**before, "count": 0, "told": False}
            continue
        patience_now = sys.maxsize if before and _is_quiet(before, now, quiet) else patience
        known[key], alarm = _failed(key, trouble, before, now, patience=patience_now)
        alarms += [alarm] if alarm else []
    return dict(sorted(known.items())), tuple(alarms)


def _failed(
    key: str, trouble: Trouble, before: Mapping[str, Any] | None, now: int, *, patience: int
) -> tuple[dict[str, Any], Alarm | None]:
    since = min(before["since"], now) if before and before["count"] else now
    count = before["count"] + 1 if before else 1
    told = bool(before and before["told"])
    alarm = None
    if not told and count >= patience:
        alarm = Alarm(key, "failing", since, count, now, trouble.what[:_LENGTH], trouble.advice[:_LENGTH])
    entry = {"since": since, "last": now, "count": count, "told": told or alarm is not None, "what": trouble.what[:_LENGTH]}
    told_at = now if alarm else before.get("told_at") if before else None
    return entry if told_at is None else {**entry, "told_at": told_at}, alarm


def _is_quiet(entry: Mapping[str, Any], now: int, quiet: int) -> bool:
    """Whether the last alarm was a short time ago; a clock that was put back makes it no longer."""
    return type(entry.get("told_at")) is int and 0 <= now - entry["told_at"] < quiet


def is_told(entry: object) -> bool:
    """Whether an entry of a state tells of something that fails, and of which an alarm told lately or now."""
    return isinstance(entry, dict) and _is_sound(entry) and entry["count"] > 0 and (entry["told"] or "told_at" in entry)


def _is_sound(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and all(type(entry.get(name)) is int and 0 <= entry[name] < _FARTHEST for name in ("since", "last", "count"))
        and isinstance(entry.get("told"), bool)
        and isinstance(entry.get("what"), str)
    )


def alert(alarm: Alarm, zone: ZoneInfo) -> Report:
    """The mail that tells `alarm`."""
    if alarm.kind == "well":
        lead = f"{_name(alarm)} works again."
        return report(f"WhatsApp archive: {_name(alarm)} works again", lead, _well(alarm, zone), FOOT)
    lead = f"{_name(alarm)} fails since {moment(alarm.since, zone)}."
    return report(f"WhatsApp archive: {_name(alarm)} fails", lead, _failing(alarm), FOOT)


def _name(alarm: Alarm) -> str:
    return alarm.key.replace("_", " ")


def _failing(alarm: Alarm) -> Iterator[Section]:
    yield Section("What happened", (alarm.what,))
    if alarm.advice:
        yield Section("What to do", (alarm.advice,))
    again = "It goes on being tried. You get the next mail about this when it works again; until then the reports mention it."
    yield Section("What comes next", (again,))


def _well(alarm: Alarm, zone: ZoneInfo) -> Iterator[Section]:
    yield Section("What had happened", (alarm.what,))
    yield Section(
        "How long",
        rows=(
            Row("since", moment(alarm.since, zone)),
            Row("until", moment(alarm.now, zone)),
            Row("duration", lasted(alarm.now - alarm.since)),
            Row("failed", many(alarm.count, "time")),
        ),
    )
