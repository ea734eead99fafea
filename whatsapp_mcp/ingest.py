"""One payload becomes committed, searchable rows: the single entrance that sync, listening, imports and rebuilds share.

Cut → leave out items that were seen before → normalise → one transaction for the records, the payload and the mark. A rebuild
walks the same way over the stored payloads, which is why it must arrive at the same archive.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.normalise import JOURNALS, NEWEST_FIRST, NOTIFICATIONS, records_of, relations_of, with_relation
from whatsapp_mcp.records import Alias, Message, Record, Unreadable
from whatsapp_mcp.refusals import foreseen
from whatsapp_mcp.schema import ASKED, IMPORTED, TOLD
from whatsapp_mcp.store.payloads import ITEMWISE
from whatsapp_mcp.store.reading import marked_chats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from whatsapp_mcp.payload import Payload
    from whatsapp_mcp.store import Mark, Store

_REPLAY_BATCH: Final = 2000
"""Records applied at once in a replay: enough to work in bulk, little enough to keep memory flat."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What one payload brought."""

    items: int
    """Items in the payload."""
    unseen: int
    """Items that were not seen before."""
    messages: int
    """Messages among all its items that are new to the archive."""
    unreadable: int
    damaged: bool
    records: tuple[Record, ...]
    """Of the unseen items."""


class Ingest:
    """Receives payloads into a store."""

    def __init__(self, store: Store) -> None:
        """Write into `store`."""
        self.store = store

    def receive(self, payload: Payload, mark: Mark | None = None) -> Applied:
        """Make a payload part of the archive, together with what `mark` says; all of it or nothing.

        Raises:
            StorageError: the disk or the database refused; nothing changed.

        """
        payload = with_relation(payload)
        with _without_collector(), self.store.transaction():
            items = self.store.payloads.unseen(payload)
            records = [*self._new_relations(payload), *_records(payload, items)]
            if records and not items:
                items = self.store.payloads.again(payload.items[0])
            unreadable = sum(type(record) is Unreadable for record in records)
            new = self.store.apply(records, payload.received_at, origins_of(payload)) if records else 0
            if items or payload.damaged:
                self.store.payloads.keep(payload, items, unreadable)
            if mark is not None:
                self.store.runs.mark(mark)
                self.store.people.settle_names()
        return Applied(len(payload.items), len(items), new, unreadable, payload.damaged, tuple(records))

    def _new_relations(self, payload: Payload) -> list[Alias]:
        canonical = self.store.canonical
        return [alias for alias in relations_of(payload) if canonical(alias.one) != canonical(alias.other)]

    def receive_all(self, arrived: Iterable[tuple[Payload, Mark | None]]) -> list[Applied]:
        """Receive several payloads in one transaction: cheaper where they come faster than the disk takes them."""
        with _without_collector(), self.store.transaction():
            return [self.receive(payload, mark) for payload, mark in arrived]


@contextmanager
def _without_collector() -> Iterator[None]:
    """A batch makes many short-lived values and no cycles: looking for cycles meanwhile costs a tenth of the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def replay(payloads: Iterable[Payload], target: Store) -> None:
    """Apply stored payloads to `target`, in the order of arrival.

    A payload whose records cannot be stored, by a mistake of ours, was kept unread when it came, and is passed over here.

    Raises:
        DatabaseCorrupt: a stored payload is missing or not what was received.

    """
    batch: list[list[Record]] = []
    arrival = (0, 0)
    for payload in payloads:
        if batch and ((payload.received_at, origins_of(payload)) != arrival or sum(map(len, batch)) > _REPLAY_BATCH):
            _apply_all(target, batch, arrival)
            batch = []
        arrival = (payload.received_at, origins_of(payload))
        batch.append([*relations_of(payload), *_records(payload, payload.items)])
    if batch:
        _apply_all(target, batch, arrival)


def _apply_all(target: Store, batch: list[list[Record]], arrival: tuple[int, int]) -> None:
    """Apply the records of several payloads at once; where that fails, those of each by itself."""
    with target.transaction():
        if not _is_applied(target, [record for records in batch for record in records], arrival):
            for records in batch:
                _is_applied(target, records, arrival)


def _is_applied(target: Store, records: list[Record], arrival: tuple[int, int]) -> bool:
    try:
        with target.attempt():
            target.apply(records, *arrival)
    except Exception as error:
        if foreseen(error) is not None:
            raise
        return False
    return True


def origins_of(payload: Payload) -> int:
    """The bit of ``messages.origins`` for what a payload brings.

    A journal and a history share one: an item with the same letters in both is stored for whichever came first.
    """
    if payload.origin in NOTIFICATIONS:
        return TOLD
    return ASKED if payload.origin in JOURNALS else IMPORTED


def rebuild(store: Store) -> None:
    """Make everything above the payloads anew, in one transaction; our integer keys, and so all handles, stay.

    Raises:
        DatabaseCorrupt: a stored payload is missing or not what was received; nothing changed.

    """
    with store.transaction():
        marked = marked_chats(store.connection)
        aliases = [alias for payload in store.payloads.replay() for alias in _aliases(payload)]
        store.begin_rebuild()
        store.apply(aliases, 0)
        replay(store.payloads.replay(), store)
        store.keep_chats(marked)
        store.end_rebuild()


def _aliases(payload: Payload) -> Iterator[Alias]:
    """Relations come first in a rebuild, so that each person and chat has its final id, and with it its number, at once."""
    yield from relations_of(payload)
    telling = payload.items if payload.origin not in ITEMWISE else [item for item in payload.items if "@lid" in item]
    for record in _records(payload, telling):
        if isinstance(record, Alias):
            yield record


def _records(payload: Payload, items: Iterable[str]) -> Iterator[Record]:
    for item in reversed(list(items)) if payload.origin in NEWEST_FIRST else items:
        yield from records_of(payload.origin, item, received_at=payload.received_at, context=payload.context)


def newest_message_time(records: Iterable[Record]) -> int | None:
    """The latest time of a message among records, or None."""
    return max((record.sent_at for record in records if isinstance(record, Message)), default=None)
