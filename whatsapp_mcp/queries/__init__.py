"""The questions that readers ask, answered with frozen views from a read-only database.

Every method is its own short read transaction on a borrowed connection, so any thread may ask at any time, also while a sync
writes. Messages are always in order of their time, then of their id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from whatsapp_mcp import dates
from whatsapp_mcp.errors import UsageError
from whatsapp_mcp.queries import (
    asking,
    catching_up,
    chats,
    counting,
    coverage,
    files,
    hiding,
    history,
    listener,
    measures,
    messages,
    people,
    places,
    quoting,
    reading,
    reporting,
    searching,
    status,
)
from whatsapp_mcp.queries.catching_up import CaughtUp
from whatsapp_mcp.queries.database import Database
from whatsapp_mcp.queries.filters import Filters
from whatsapp_mcp.queries.noting import note_chats
from whatsapp_mcp.queries.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.clock import Clock
    from whatsapp_mcp.queries.counting import Numbers
    from whatsapp_mcp.queries.files import FileReport
    from whatsapp_mcp.queries.hiding import Hidden, Sight
    from whatsapp_mcp.queries.measured import CallsView, History, Now, SizeView
    from whatsapp_mcp.queries.people import Reference
    from whatsapp_mcp.queries.quoting import Checked
    from whatsapp_mcp.queries.reporting import Arrivals
    from whatsapp_mcp.search.meaning import Meaning
    from whatsapp_mcp.views import (
        ChatView,
        ContactView,
        Coverage,
        GroupEvent,
        GroupMembers,
        Interval,
        Listener,
        MessageView,
        NameView,
        Page,
        Party,
        Status,
        TextView,
    )

__all__ = ["Queries"]


class Queries:
    """One archive's questions.

    All raise `StorageError` when there is no archive, `DatabaseCorrupt` or `DatabaseTooNew` when it cannot be read, and
    `UsageError` (`NotFound`, `Ambiguous`) with what to do when the question cannot be meant.
    """

    def __init__(
        self, path: Path, *, zone: ZoneInfo, clock: Clock, sight: Sight | None = None, meaning: Meaning | None = None
    ) -> None:
        """Answer from the database at `path`, reading dates in `zone`; with a `sight` of it only what that lets be seen.

        With a `meaning`, searches by relevance also find by it.
        """
        self.database = Database(path, sight)
        self.zone = zone
        self.clock = clock
        self._meaning = meaning

    def close(self) -> None:
        """Close idle connections; asking again opens new ones."""
        self.database.close()

    def find_chat(self, chat: Reference) -> Party:
        """The one chat that a name, phone number or id means."""
        with self.database.reading() as connection:
            found = people.find(connection, chat, "chat", self.zone)
            note_chats([found.id])
            return found

    def find_contact(self, contact: Reference) -> Party:
        """The one person that a name, phone number or id means; ``me`` is the account's owner."""
        with self.database.reading() as connection:
            return people.find(connection, contact, "contact", self.zone)

    def get_chat(self, chat: Reference) -> ChatView:
        """The chat with its extent."""
        with self.database.reading() as connection:
            return chats.views(connection, [people.find(connection, chat, "chat", self.zone).id])[0]

    def get_contact(self, contact: Reference) -> ContactView:
        """The person with names, ids and chats."""
        with self.database.reading() as connection:
            return chats.contacts(connection, [people.find(connection, contact, "contact", self.zone)])[0]

    def list_chats(
        self, query: str | None = None, kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> tuple[tuple[ChatView, ...], str | None, int]:
        """A page of chats (most recently active first), the cursor of the next, and how many there are in all."""
        with self.database.reading() as connection:
            return chats.list_chats(connection, query=query, kind=kind, limit=limit, cursor=cursor)

    def find_contacts(self, query: str, limit: int = 20) -> tuple[ContactView, ...]:
        """Everybody whose name or number fits, the best fits first."""
        with self.database.reading() as connection:
            return chats.find_contacts(connection, query, limit)

    def names_like(self, typed: str, kind: Literal["chat", "contact"], limit: int = 50) -> tuple[Party, ...]:
        """Chats or people whose names may be meant by what was typed so far, in any script; the best fits first."""
        with self.database.reading() as connection:
            return chats.names_like(connection, typed, kind, limit)

    def people_of(self, group: str, limit: int = 20) -> tuple[tuple[Party, ...], tuple[ContactView, ...], int]:
        """The groups that are called so, a page of the people in them, and how many these are; all empty where none is."""
        with self.database.reading() as connection:
            return chats.people_of(connection, group, limit)

    def nearest(self, text: str, kind: Literal["chat", "contact"]) -> tuple[str, ...]:
        """The names of chats or people that are spelled most like `text`, at most three."""
        with self.database.reading() as connection:
            return people.nearest(connection, text, kind)

    def members_at(self, group: Reference, moment: str | int | None = None) -> GroupMembers:
        """Who was in a group by its last list at or before `moment` (a date means its end); None is now."""
        with self.database.reading() as connection:
            party = people.find(connection, group, "chat", self.zone)
            return history.members_at(connection, party, self._moment(moment))

    def group_events(self, group: Reference, after: str | None = None, before: str | None = None) -> tuple[GroupEvent, ...]:
        """Who joined or left a group, was promoted or demoted, in order of time."""
        with self.database.reading() as connection:
            party = people.find(connection, group, "chat", self.zone)
            return history.group_events(connection, party, self.interval(after, before))

    def names_of(self, who: Reference, kind: Literal["contact", "group"] = "contact") -> tuple[NameView, ...]:
        """Every name that a person or a group was seen with, by first sighting."""
        with self.database.reading() as connection:
            party = people.find(connection, who, "chat" if kind == "group" else kind, self.zone)
            return history.names_of(connection, party, kind)

    def name_at(
        self, who: Reference, moment: str | int | None = None, kind: Literal["contact", "group"] = "contact"
    ) -> NameView | None:
        """What a person or a group was called at `moment` (a date means its end); None before the first sighting."""
        return history.name_at(self.names_of(who, kind), self._moment(moment))

    def _moment(self, moment: str | int | None) -> int:
        return history.moment(moment, zone=self.zone, now=self.clock.now())

    def read_chat(
        self, chat: Reference, *, after: str | None = None, before: str | None = None, around: int | str | None = None,
        limit: int = 50, cursor: str | None = None,
    ) -> Page:  # fmt: skip
        """A page of a chat in ascending time: the newest `limit` messages of the interval; the cursor leads further back.

        `around` (a handle, or a date) shows what stands before and after that place instead.
        """
        with self.database.reading() as connection:
            party = people.find(connection, chat, "chat", self.zone)
            asked = reading.Asked(party, after, before, around, limit, cursor)
            return reading.read(connection, asked, zone=self.zone, now=self.clock.now())

    def search(
        self, query: str, *, chat: Reference | None = None, sender: Reference | None = None, after: str | None = None,
        before: str | None = None, kinds: Sequence[str] = (), states: Sequence[str] = (), order: str = "relevance",
        context: int = 0, limit: int = 20, cursor: str | None = None,
    ) -> Page:  # fmt: skip
        """A page of hits in the asked order (``relevance``, ``newest``, ``oldest``), each with a snippet.

        `context` adds so many messages before and after each hit. Without a hit the page's suggestions say what to try.
        """
        with self.database.reading() as connection:
            asked = asking.Asked(
                query,
                None if chat is None else people.find(connection, chat, "chat", self.zone),
                None if sender is None else people.find(connection, sender, "contact", self.zone),
                after, before, asking.checked_kinds(kinds), order, context, limit, cursor, asking.checked_states(states),
            )  # fmt: skip
            return searching.search(connection, asked, zone=self.zone, now=self.clock.now(), meaning=self._meaning)

    def get_message(self, handle: int | str) -> MessageView:
        """The message of a handle (``m123``, ``123``) or of WhatsApp's message id."""
        with self.database.reading() as connection:
            return messages.by_ids(connection, [messages.find(connection, handle)[0]])[0]

    def media_text(self, sha256: str) -> TextView | None:
        """The text that was read out of a stored content, or None where there is none."""
        with self.database.reading() as connection:
            return messages.text_of(connection, sha256)

    def catch_up(self, since: str, chat: Reference | None = None) -> CaughtUp:
        """Every chat with messages since a date or time, those that matter most to the owner first.

        Raises `UsageError` without a time: all of the past is nothing to catch up with.
        """
        if not since.strip():
            raise UsageError("No time is given.", advice="Say since when, such as yesterday or 2025-08-14.")
        interval = self.interval(since, None)
        with self.database.reading() as connection:
            party = None if chat is None else people.find(connection, chat, "chat", self.zone)
            only = None if party is None else party.id
            found = catching_up.activities(connection, interval, only)
            note_chats([one.chat.id for one in found])
            covered = coverage.coverage(connection, self.zone, chat_id=only, interval=interval)
            return CaughtUp(interval, covered, tuple(found), party.note if party else "")

    def verify_quote(self, message: int | str, quote: str) -> Checked:
        """Whether the sender of a message (see `get_message`) wrote `quote` there, and where else it stands if not."""
        with self.database.reading() as connection:
            return quoting.check(connection, message, quote)

    def get_messages(self, ids: Sequence[int]) -> list[MessageView]:
        """The messages with these ids, in the order given; unknown ones are left out."""
        with self.database.reading() as connection:
            return messages.by_ids(connection, ids)

    def months(self, chat: Reference | None = None) -> tuple[str, ...]:
        """The months in which there are messages, like ``2025-08``, the newest first."""
        with self.database.reading() as connection:
            party = None if chat is None else people.find(connection, chat, "chat", self.zone)
            return places.months(connection, None if party is None else party.id, self.zone)

    def recent_contacts(self, limit: int = 50) -> tuple[Party, ...]:
        """The people of the most recently active private chats, the latest first."""
        with self.database.reading() as connection:
            return places.recent_people(connection, limit)

    def after_chat(self, chat: Reference) -> str:
        """The cursor of `list_chats` that leads to what stands after `chat` in the list of all chats."""
        with self.database.reading() as connection:
            return places.after_chat(connection, people.find(connection, chat, "chat", self.zone))

    def before_message(self, chat: Reference, month: str, message: int) -> str:
        """The cursor of `read_chat`, asked with `month` as `after` and `before`, that leads to what came before `message`."""
        with self.database.reading() as connection:
            party = people.find(connection, chat, "chat", self.zone)
            return places.before_message(connection, party, month, message, zone=self.zone, now=self.clock.now())

    def watch(self) -> Watch:
        """A look-out for new messages, to be closed by whoever asks for it."""
        return Watch(self.database)

    def iter_messages(self, chat: Reference, after: str | None = None, before: str | None = None) -> Iterator[MessageView]:
        """Every message of a chat in ascending time, some hundreds in memory at a time; one state of the archive throughout."""
        with self.database.reading() as connection:
            party = people.find(connection, chat, "chat", self.zone)
            yield from reading.stream(connection, party, self.interval(after, before))

    def status(self) -> Status:
        """The state of the whole archive."""
        with self.database.reading() as connection:
            return status.status(connection, self.zone, self.database.size(), int(self.clock.now()))

    def files(self) -> FileReport:
        """The files of messages: how many are stored, wait or are lost, and why."""
        with self.database.reading() as connection:
            return files.file_report(connection, int(self.clock.now()))

    def is_unfinished(self, kind: str) -> bool:
        """Whether the newest run of that kind did not come to its end: it can be resumed."""
        with self.database.reading() as connection:
            return status.is_unfinished(connection, kind)

    def listener(self) -> Listener | None:
        """The listener that gave a sign of life within two minutes, or None."""
        with self.database.reading() as connection:
            return listener.listener(connection, int(self.clock.now()))

    def coverage(self, chat_id: int | None = None, interval: Interval | None = None) -> Coverage:
        """What is known and what is missing, of one chat or of all."""
        with self.database.reading() as connection:
            return coverage.coverage(connection, self.zone, chat_id=chat_id, interval=interval)

    def count(
        self, after: str | None, before: str | None, *, chat: Reference | None = None, contact: Reference | None = None,
        units: Sequence[str] = ("chat", "contact", "type", "day"),
    ) -> Numbers:  # fmt: skip
        """How many messages there are by each of `units` (any of `counting.UNITS`); `analysis` makes them readable.

        A `contact` leaves what they wrote anywhere and what was sent to them in their private chat.
        """
        interval = self.interval(after, before)
        with self.database.reading() as connection:
            filters = Filters(
                chat_id=None if chat is None else people.find(connection, chat, "chat", self.zone).id,
                start=interval.start,
                end=interval.end,
                with_contact=None if contact is None else people.find(connection, contact, "contact", self.zone).id,
            )
            note_chats([] if filters.chat_id is None else [filters.chat_id])
            return counting.count(connection, filters, units, interval=interval, zone=self.zone)

    def interval(self, after: str | None, before: str | None) -> Interval:
        """What `after` and `before` mean now, in the user's zone."""
        return dates.interval(after, before, zone=self.zone, now=self.clock.now())

    def arrivals(self, since: int, *, after_id: int | None = None, limit: int = 10) -> Arrivals:
        """What was stored since `since` (unix seconds): after the message `after_id`, which an earlier answer called newest."""
        with self.database.reading() as connection:
            return reporting.arrivals(connection, since, after_id=after_id, limit=limit)

    def history(self, limit: int = measures.RUNS) -> History:
        """The last runs with what they asked of the gateway, and how the archive grew."""
        with self.database.reading() as connection:
            return measures.history(connection, self.database.size(), int(self.clock.now()), limit)

    def calls_since(self, since: int) -> tuple[CallsView, ...]:
        """How the gateway answered the runs that ended since `since` (unix seconds), by method."""
        with self.database.reading() as connection:
            return measures.calls_since(connection, since)

    def sizes(self) -> tuple[SizeView, ...]:
        """How large the archive was on the days on which it was measured, and how large it is now; oldest first."""
        with self.database.reading() as connection:
            return measures.sizes(connection, self.database.size(), int(self.clock.now()))

    def at_this_moment(self) -> Now:
        """The archive in numbers, for programs that watch over it."""
        with self.database.reading() as connection:
            return measures.at_this_moment(connection, self.database.size(), int(self.clock.now()))

    def hidden(self, sight: Sight) -> Hidden:
        """What `sight` comes to in this archive, entries without effect included."""
        with self.database.reading() as connection:
            return hiding.find(connection, sight)

    def schema_text(self) -> str:
        """The tables as SQL with what one must know to query them."""
        with self.database.reading() as connection:
            return status.schema_text(connection)
