"""Who was in a group and when, without keeping every list of members: runs over the group's snapshots.

A run (contact, role, from, until) says that the person was in every snapshot of the group from the one time to the other with
that role, and in neither neighbour. Together with the times in ``group_snapshots`` the runs are exactly what all the lists
said, so it does not matter in which order these arrive: a late one splits the runs of those whom it lacks and joins the runs
of those whom it has. Two lists of the same second count as one with everybody of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

Present = tuple[int, str]
"""A contact's key and a role."""
Run = tuple[int, int]
"""The first and the last snapshot of a run."""

_WRITE = (
    "INSERT INTO group_member_history (group_id, contact_id, role, from_at, until_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET until_at = excluded.until_at"
)
_ERASE = "DELETE FROM group_member_history WHERE group_id = ? AND contact_id = ? AND role = ? AND from_at = ?"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """A list of members with its place among the others of its group: `before` and `after` are the neighbours' times."""

    at: int
    before: int | None
    after: int | None
    is_new: bool


def see_snapshot(connection: sqlite3.Connection, group: int, seen_at: int, present: AbstractSet[Present]) -> None:
    """Join one list of a group's members."""
    snapshot = _placed(connection, group, seen_at)
    touching = _touching(connection, group, snapshot)
    erased: list[tuple[int, int, str, int]] = []
    written: list[tuple[int, int, str, int, int]] = []
    if snapshot.is_new:
        for pair in touching.keys() - present:
            written += [(group, *pair, *half) for run in touching[pair] for half in _halves(run, snapshot)]
    for pair in present:
        runs = touching.get(pair, ())
        if any(start <= seen_at <= end for start, end in runs):
            continue
        erased += [(group, *pair, start) for start, _ in runs if start == snapshot.after]
        written.append((group, *pair, *_grown(runs, snapshot)))
    connection.executemany(_ERASE, erased)
    connection.executemany(_WRITE, written)


def _placed(connection: sqlite3.Connection, group: int, seen_at: int) -> _Snapshot:
    inserted = connection.execute("INSERT OR IGNORE INTO group_snapshots (group_id, seen_at) VALUES (?, ?)", (group, seen_at))
    is_new = inserted.rowcount == 1
    before, after = connection.execute(
        "SELECT (SELECT max(seen_at) FROM group_snapshots WHERE group_id = ?1 AND seen_at < ?2),"
        " (SELECT min(seen_at) FROM group_snapshots WHERE group_id = ?1 AND seen_at > ?2)",
        (group, seen_at),
    ).fetchone()
    return _Snapshot(seen_at, before, after, is_new)


def _touching(connection: sqlite3.Connection, group: int, snapshot: _Snapshot) -> dict[Present, list[Run]]:
    """Every run that reaches a snapshot or its neighbours."""
    first = snapshot.at if snapshot.before is None else snapshot.before
    last = snapshot.at if snapshot.after is None else snapshot.after
    found: dict[Present, list[Run]] = {}
    query = (
        "SELECT contact_id, role, from_at, until_at FROM group_member_history"
        " WHERE group_id = ? AND until_at >= ? AND from_at <= ?"
    )
    for contact, role, start, end in connection.execute(query, (group, first, last)):
        found.setdefault((contact, role), []).append((start, end))
    return found


def _halves(run: Run, snapshot: _Snapshot) -> list[Run]:
    """What a snapshot leaves of a run around it in which the person is missing: nothing to write when it is not around it."""
    start, end = run
    if snapshot.before is None or snapshot.after is None or not start < snapshot.at < end:
        return []
    return [(start, snapshot.before), (snapshot.after, end)]


def _grown(runs: Iterable[Run], snapshot: _Snapshot) -> Run:
    """The run that holds a snapshot together with the runs that end or begin at its neighbours."""
    start = end = snapshot.at
    for first, last in runs:
        start = first if last == snapshot.before else start
        end = last if first == snapshot.after else end
    return start, end


def move_memberships(connection: sqlite3.Connection, losing: int, winning: int) -> None:
    """Give the runs of a contact to the one that it turned out to be: what either was in, the one person was in."""
    groups = "SELECT DISTINCT group_id FROM group_member_history WHERE contact_id = ?"
    for (group,) in connection.execute(groups, (losing,)).fetchall():
        both = (group, losing, winning)
        query = "SELECT role, from_at, until_at FROM group_member_history WHERE group_id = ? AND contact_id IN (?, ?)"
        runs: dict[str, list[Run]] = {}
        for role, start, end in connection.execute(query, both):
            runs.setdefault(role, []).append((start, end))
        places = _places(connection, group)
        connection.execute("DELETE FROM group_member_history WHERE group_id = ? AND contact_id IN (?, ?)", both)
        united = [(group, winning, role, *run) for role, of_role in runs.items() for run in _united(of_role, places)]
        connection.executemany(_WRITE, united)


def _places(connection: sqlite3.Connection, group: int) -> dict[int, int]:
    query = "SELECT seen_at FROM group_snapshots WHERE group_id = ? ORDER BY seen_at"
    return {seen_at: place for place, (seen_at,) in enumerate(connection.execute(query, (group,)))}


def _united(runs: Iterable[Run], places: Mapping[int, int]) -> list[Run]:
    """The fewest runs that hold the same snapshots: overlapping ones and those of neighbouring snapshots become one."""
    united: list[Run] = []
    for start, end in sorted(runs):
        if united and places[start] <= places[united[-1][1]] + 1:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
