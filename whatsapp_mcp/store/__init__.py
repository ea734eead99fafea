"""The single writer: applies records, the payload they came from and the cursor in one transaction.

Only one process may hold a `Store` (the lock is `app`'s); readers open the same file with ``mode=ro`` and never wait, thanks
to WAL. Every transaction begins with ``BEGIN IMMEDIATE``: a deferred one that reads before it writes fails at once with
"database is locked" beside another connection, whatever the timeout (SQLite docs, "Transaction", and tried).

``synchronous`` is NORMAL for what can be fetched again: a power cut may then undo the last commits, rows and cursor together.
The notification queue is told to forget what was received, so its transactions need FULL.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from whatsapp_mcp import schema
from whatsapp_mcp.errors import DatabaseCorrupt, DatabaseTooNew, StorageError
from whatsapp_mcp.records import (
    ME,
    Alias,
    Call,
    Chat,
    Contact,
    Deletion,
    Edit,
    Group,
    Members,
    Message,
    PollVote,
    Reaction,
    Receipt,
    Record,
    Unreadable,
)  # fmt: skip
from whatsapp_mcp.refusals import foreseen, storage_errors
from whatsapp_mcp.store import rows
from whatsapp_mcp.store.gaps import Gaps
from whatsapp_mcp.store.ids import Ids
from whatsapp_mcp.store.ledger import Ledger, Span
from whatsapp_mcp.store.measures import Calls, Measures
from whatsapp_mcp.store.messages import Messages
from whatsapp_mcp.store.payloads import Payloads
from whatsapp_mcp.store.people import People
from whatsapp_mcp.store.rebuilding import begin_rebuild, end_rebuild
from whatsapp_mcp.store.runs import Mark, Runs
from whatsapp_mcp.store.upkeep import make_large_indexes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["Mark", "Span", "Store"]

_GIVEN_UP = "SQLite gave up what it was writing."
_RUN_AGAIN = "Run the command again; nothing stored was lost."

_WORTH_AN_INDEX = 8
"""So many contacts that move at once pay for an index on senders, which is not worth its space otherwise: to move a contact,
and to prove that nothing points to it any more, SQLite walks all messages.
"""


class Store:
    """An archive opened for writing.

    Use it as a context manager, in one thread at a time.

    Raises:
        DatabaseTooNew: a later version of this program wrote the file.
        DatabaseCorrupt: SQLite cannot read it.
        StorageError: it cannot be opened or written.

    """

    def __init__(self, path: Path | str, *, synchronous: str = "NORMAL") -> None:
        """Open or make the database at `path` and bring it to the newest schema."""
        with storage_errors():
            self.connection = _open(path, synchronous)
            self.ids = Ids(self.connection)
            self.people = People(self.connection, self.ids)
            self.messages = Messages(self.connection, self.ids, self.people)
            self.media = self.messages.media
            self.texts = self.messages.texts
            self.payloads = Payloads(self.connection)
            self.ledger = Ledger(self.connection, self.people)
            self.runs = Runs(self.connection, self.people, self.ledger)
            self.gaps = Gaps(self.connection, self.people)
            self.measures = Measures(self.connection)
        self.when_run_ends: Callable[[], None] | None = None
        """Called after a run was closed and its transaction is done, and after files were fetched."""

    def __enter__(self) -> Self:
        """Nothing happens: opening was done."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Refresh the planner's statistics and close; nothing is pending between transactions."""
        with storage_errors():
            self.connection.execute("PRAGMA analysis_limit = 400")
            self.connection.execute("PRAGMA optimize")
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested use joins the transaction that is open."""
        if self.connection.in_transaction:
            yield
            return
        with storage_errors():
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside of a transaction: what fails is undone, and the transaction goes on; numbers it took are given to nobody.

        Where SQLite gave the whole transaction up (docs, "lang_transaction": at a full disk, say), nobody may go on as if it
        were still there: that is an `ArchiveError`, or the one that `foreseen` makes of what is raised.
        """
        self.connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException as error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK TO attempt")
                self.connection.execute("RELEASE attempt")
                self.people.reload()
            elif isinstance(error, Exception) and foreseen(error) is None:
                raise StorageError(_GIVEN_UP, advice=_RUN_AGAIN) from error
            raise
        self.connection.execute("RELEASE attempt")

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self.ids.reload()
        self.people.reload()

    def apply(self, records: Sequence[Record], received_at: int, origins: int = 0) -> int:
        """Join records of one payload, or of several received at that time and in one way; the number of new messages.

        `origins` is one of `schema.ASKED`, `TOLD` and `IMPORTED`, or 0 where that is not known.
        """
        with self.transaction():
            sorted_records = _by_type(records)
            self._relate(sorted_records.get(Alias, ()))
            return self._apply(sorted_records, received_at, origins)

    def _relate(self, aliases: Sequence[Alias]) -> None:
        many = sum(self.people.moves(alias.one, alias.other) for alias in aliases) >= _WORTH_AN_INDEX
        if many:
            self.connection.execute("CREATE INDEX messages_to_relate ON messages (sender_contact_id)")
        for alias in aliases:
            self.people.relate(alias.one, alias.other)
        self.join_chats()
        if many:
            self.connection.execute("DROP INDEX messages_to_relate")

    def join_chats(self) -> None:
        """Finish what `People.relate` found: chats that turned out to be one."""
        for losing, winning in self.people.joined:
            self.messages.keep_originals_before_join(losing, winning)
            self.messages.join_chats(losing, winning)
            self.people.finish_join(losing, winning)
            self.ledger.drop_chat(losing)
            self.messages.settle_joined(winning)
        self.people.joined.clear()

    def _apply(self, records: dict[type, list[Any]], received_at: int, origins: int) -> int:
        self.people.see_contacts(_contacts_once(records.get(Contact, ())))
        for chat in records.get(Chat, ()):
            self.people.see_chat(chat)
        for group in records.get(Group, ()):
            self.people.see_group(group)
        for snapshot in records.get(Members, ()):
            self.people.see_members(snapshot)
        messages: list[Message] = records.get(Message, [])
        new = self.messages.see(messages, received_at, origins) if messages else 0
        self.messages.see_edits(records.get(Edit, ()))
        self.messages.see_deletions(records.get(Deletion, ()))
        self.messages.see_receipts(records.get(Receipt, ()))
        self._see_reactions(records.get(Reaction, ()))
        self._see_votes(records.get(PollVote, ()))
        self._see_calls(records.get(Call, ()))
        self.people.settle_names()
        return new

    def _see_reactions(self, reactions: Iterable[Reaction]) -> None:
        self.connection.executemany(
            "INSERT OR IGNORE INTO reactions VALUES (?, ?, ?, ?, ?)",
            [
                (self.people.chat(r.chat), r.target, self.people.contact(r.sender or ME), r.reacted_at, r.emoji)
                for r in reactions
            ],
        )

    def _see_votes(self, votes: Iterable[PollVote]) -> None:
        for vote in votes:
            poll = (self.people.chat(vote.chat), vote.target)
            self.connection.execute("INSERT OR IGNORE INTO poll_tallies VALUES (?, ?, ?)", (*poll, vote.voted_at))
            self.connection.executemany(
                "INSERT OR IGNORE INTO poll_votes VALUES (?, ?, ?, ?, ?)",
                [(*poll, vote.option, self.people.contact(voter), vote.voted_at) for voter in vote.voters],
            )

    def _see_calls(self, calls: Iterable[Call]) -> None:
        for call in calls:
            key = {"chat_id": self.people.chat(call.chat), "whatsapp_message_id": call.id}
            is_video = None if call.is_video is None else int(call.is_video)
            rows.merge(
                self.connection, "calls", key, {"is_video": is_video, "call_status": call.status, "duration": call.duration}
            )

    def begin_rebuild(self) -> None:
        """Inside of a transaction: empty what can be derived, and remember our integer keys."""
        begin_rebuild(self)

    def keep_chats(self, chats: Iterable[str]) -> None:
        """Give chats that only their progress names a row, as a mark does."""
        with self.transaction():
            for chat in chats:
                self.people.chat(chat)
            self.people.settle_names()

    def end_rebuild(self) -> None:
        """Inside of the same transaction: give back what cannot be derived."""
        end_rebuild(self)

    def owner(self) -> str | None:
        """The account's own id, or None before any sync told it."""
        canonical = self.people.canonical(ME)
        return None if canonical == ME else canonical

    def canonical(self, whatsapp_id: str) -> str:
        """The id under which a person's contact and chat stand; any other id stays as it is."""
        return self.people.canonical(whatsapp_id)

    def begin_run(self, kind: str, now: int) -> int:
        """Start a run of that kind (``full``, ``chat``, ``recent``, ``sweep``, ``listen``, ``import``)."""
        with self.transaction():
            self.ledger.forget_future(now)
            return self.runs.begin(kind, now)

    def resume_run(self, run_id: int, now: int) -> None:
        """Go on with an unfinished run."""
        with self.transaction():
            self.runs.resume(run_id, now)

    def update_run(self, run_id: int, now: int, **counters: int) -> None:
        """Set counters of a run (`runs.COUNTERS`)."""
        with self.transaction():
            self.runs.update(run_id, now, **counters)

    def end_run(
        self, run_id: int, state: str, now: int, last_error: str | None = None, calls: Iterable[Calls] = ()
    ) -> None:  # fmt: skip
        """Close a run as ``complete``, ``partial`` (something is missing), ``failed`` or ``interrupted``.

        `calls` is how the gateway answered it. Once a day the archive is measured as well.
        """
        with self.transaction():
            self.runs.end(run_id, state, now, last_error)
            self.measures.add_calls(run_id, calls)
        with self.transaction():
            self.measures.note_size(now)
        if self.when_run_ends is not None:
            self.when_run_ends()

    def unfinished_run(self, kind: str) -> int | None:
        """The newest run of that kind if it did not come to its end, else None."""
        return self.runs.unfinished(kind)

    def run_kind(self, run_id: int) -> str:
        """What kind of run it is."""
        return self.runs.kind(run_id)

    def run_began(self, run_id: int) -> int:
        """When a run was begun, in unix seconds."""
        return self.runs.began(run_id)

    def run_counters(self, run_id: int) -> dict[str, int]:
        """The counters of a run so far."""
        return self.runs.counters(run_id)

    def plan_chats(self, run_id: int, chats: Iterable[str]) -> None:
        """Make chats part of a run."""
        with self.transaction():
            self.runs.plan(run_id, chats)
            self.people.settle_names()

    def pending_chats(self, run_id: int, *, done_since: int = 0) -> list[str]:
        """The chats of a run that are not done, or were done before `done_since`, as WhatsApp's ids."""
        return self.runs.pending(run_id, done_since)

    def known_chats(self) -> dict[str, bool]:
        """All chats as WhatsApp's ids, and whether the gateway once told a message of them that stands in a history."""
        return self.runs.known_chats()

    def has_messages_since(self, since: int, *, from_me: bool) -> bool:
        """Whether the gateway told of a message, not a call, that was sent or received after `since` (unix seconds)."""
        return self.runs.has_messages_since(since, from_me=from_me)

    def mark_chat(self, mark: Mark, error: str | None = None) -> None:
        """Write a chat's state when there is no payload to go with it."""
        with self.transaction():
            self.runs.mark(mark, error)
            self.people.settle_names()

    def history_lengths(self, run_id: int) -> dict[str, int]:
        """How many records the histories of a run's chats had, by WhatsApp's chat id."""
        return self.runs.lengths(run_id)

    def restart(self, *, keep: int | None = None) -> None:
        """Forget the progress of all chats, never a message; unfinished full runs but `keep` become ``abandoned``."""
        with self.transaction():
            self.runs.forget_progress(keep)

    def note_import(self, chat: str, first: int, last: int, now: int) -> None:
        """Remember that an export told of a chat from its `first` to its `last` message."""
        with self.transaction():
            self.ledger.cover(Span("import", first, last, chat), now)

    def note_repair(self, chat: str, message: str, outcome: str, now: int) -> None:
        """Remember what asking for a missing message brought: ``found``, ``not_found`` or ``failed``."""
        with self.transaction():
            self.gaps.note_repair(chat, message, outcome, now)

    def forget_future(self, now: int) -> None:
        """Nothing is known beyond `now`: what a clock that ran ahead wrote into the coverage is taken back."""
        with self.transaction():
            self.ledger.forget_future(now)

    def withdraw(self, origin: str, since: int) -> None:
        """Of all chats at once, nothing is known from `origin` for the time after `since` (unix seconds) after all."""
        with self.transaction():
            self.ledger.withdraw(origin, since)

    @property
    def is_outdated(self) -> bool:
        """A migration added tables that only a rebuild fills."""
        return self.cursor(schema.REBUILD_CURSOR) is not None

    def compact(self) -> None:
        """Merge the search index into one piece and give free pages back: worth it after a whole account came in.

        A very large archive also gets the indexes that only such a one needs.
        """
        with storage_errors():
            make_large_indexes(self.connection)
            self.connection.execute("INSERT INTO message_index (message_index) VALUES ('optimize')")
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def cursor(self, name: str) -> str | None:
        """A stored position, or None."""
        return self.runs.cursor(name)


def _open(path: Path | str, synchronous: str) -> sqlite3.Connection:
    from sqlite_utils import Database

    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = schema.lenient_text
        _refuse_strangers(connection)  # first of all: the next line already writes
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -65536")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        schema.migrate(Database(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_strangers(connection: sqlite3.Connection) -> None:
    version = schema.version_of(connection)
    if version > schema.VERSION:
        raise DatabaseTooNew("The archive was written by a later version of whatsapp-mcp.")
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE '%migrations%'")}
    if schema.is_foreign(version, names):
        raise DatabaseCorrupt(schema.FOREIGN, advice=schema.CHOOSE_ANOTHER)
    if lost := sorted(schema.needed(version) - names) if version else []:
        message = f"The database has lost its table {lost[0]}."
        raise DatabaseCorrupt(message)


def _by_type(records: Iterable[Record]) -> dict[type, list[Any]]:
    sorted_records: dict[type, list[Any]] = {}
    for record in records:
        sorted_records.setdefault(type(record), []).append(record)
    sorted_records.pop(Unreadable, None)
    return sorted_records


def _contacts_once(contacts: Iterable[Contact]) -> Iterable[Contact]:
    """A history names its people with every message: keep the first and last sighting of each set of names."""
    seen: dict[tuple[Any, ...], tuple[Contact, Contact]] = {}
    for contact in contacts:
        key = (contact[0], *contact[2:])
        pair = seen.get(key)
        if pair is None:
            seen[key] = (contact, contact)
        elif contact[1] < pair[0][1]:
            seen[key] = (contact, pair[1])
        elif contact[1] > pair[1][1]:
            seen[key] = (pair[0], contact)
    return [contact for pair in seen.values() for contact in (pair if pair[0] is not pair[1] else pair[:1])]
