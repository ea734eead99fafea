"""The synthetic account: eight years of an invented person's WhatsApp, the same for the same seed, made in a second or two.

``make_account()`` has exactly 398 chats (292 private, 106 groups), 293 contacts (the owner is one), and 62,673 messages between
January 2017 and September 2025, 13,273 of them in August 2025 in any time zone; calls are counted, edits, deletions, reactions
and votes are extra records. ``make_account(size=SMALL)`` has the same people and conversations in a fiftieth of the size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from whatsapp_mcp.demo import shapes
from whatsapp_mcp.demo.entry import Entry, TrueMessage, true_message
from whatsapp_mcp.demo.people import Cast, Group, Person, cast_account
from whatsapp_mcp.demo.scribe import Scribe
from whatsapp_mcp.demo.threads import ME, THREADS, Line, Thread
from whatsapp_mcp.demo.timeline import AUGUST, DAY, NOW, Life, Window, lives, moments

SEED: Final = 2025
_Change: TypeAlias = Callable[[Entry], Entry]


class Size(NamedTuple):
    """How much an account holds."""

    private: int = 292
    groups: int = 106
    messages: int = 62_673
    august: int = 13_273
    """How many of the messages fall into August 2025."""


FULL: Final = Size()
"""The size that the project is measured with."""
SMALL: Final = Size(private=24, groups=8, messages=1_250, august=320)
"""Enough for a quick test: every written conversation is in it."""


class Account:
    """An account at its present `now`; it never changes (a gateway adds what happens afterwards)."""

    def __init__(self, cast: Cast, history: Mapping[str, tuple[Entry, ...]], threads: Mapping[str, tuple[str, ...]]) -> None:
        """`history` holds each chat's records in ascending order; `threads` the ids of each written conversation."""
        self.owner: Person = cast.owner
        self.people: tuple[Person, ...] = cast.people
        """Everybody with a private chat: one less than `contacts`."""
        self.groups: tuple[Group, ...] = cast.groups
        self.history: Mapping[str, tuple[Entry, ...]] = MappingProxyType(dict(history))
        """All records by chat id, oldest first, calls and extra records included."""
        self.now: int = NOW
        self.archived: frozenset[str] = _archived(self.history)
        """Chats that the owner put into the archive."""
        self._threads = dict(threads)

    @property
    def contacts(self) -> tuple[Person, ...]:
        """The people of the address book, the owner first."""
        return (self.owner, *self.people)

    @property
    def chat_ids(self) -> tuple[str, ...]:
        """All chats, private ones first."""
        return tuple(self.history)

    def truth(self) -> list[TrueMessage]:
        """Every message that a person would count, chat by chat, oldest first: what a complete archive holds."""
        return [true_message(entry) for entries in self.history.values() for entry in entries if entry.kind]

    def thread(self, key: str) -> list[TrueMessage]:
        """A written conversation, by the key that it has in `threads`: ``table`` ``trip`` ``invoice`` ``dacha`` and so on."""
        ids = set(self._threads[key])
        return [true_message(entry) for entries in self.history.values() for entry in entries if entry.id in ids]

    def person(self, name: str) -> Person:
        """The first person whose phone-book or profile name begins with `name`; KeyError if there is none."""
        for person in self.contacts:
            if person.phonebook_name.startswith(name) or person.profile_name.startswith(name):
                return person
        raise KeyError(name)

    def group(self, subject: str) -> Group:
        """The first group whose subject begins with `subject`; KeyError if there is none."""
        for group in self.groups:
            if group.subject.startswith(subject):
                return group
        raise KeyError(subject)


def _archived(history: Mapping[str, tuple[Entry, ...]]) -> frozenset[str]:
    """Every second of the chats that were silent for two years."""
    silent = [chat for chat, entries in history.items() if entries[-1].sent_at < NOW - 730 * DAY]
    return frozenset(silent[::2])


@lru_cache(maxsize=4)
def make_account(seed: int = SEED, *, size: Size = FULL) -> Account:
    """The account of that seed and size; made once in a process."""
    rng = Random(seed)
    cast = cast_account(rng, size.private, size.groups)
    scribe = Scribe(rng, cast.owner, cast.people, cast.groups)
    threads = {thread.key: (_chat_of(cast, thread), thread) for thread in THREADS}
    history = _write_all(rng, scribe, (cast, _lives(rng, size)), list(threads.values()))
    written = {key: _ids_within(history[chat], thread) for key, (chat, thread) in threads.items()}
    return Account(cast, _with_curiosities(cast, history), written)


def _lives(rng: Random, size: Size) -> list[Life]:
    written = [len(thread.lines) for thread in THREADS]
    in_august = [len(thread.lines) for thread in THREADS if AUGUST.start <= thread.start < AUGUST.end]
    august = size.august - sum(in_august)
    others = size.messages - size.august - (sum(written) - sum(in_august))
    return lives(rng, size.private + size.groups, others, august)


def _chat_of(cast: Cast, thread: Thread) -> str:
    if isinstance(thread.chat, int):
        return cast.people[thread.chat].id
    return next(group.id for group in cast.groups if group.subject == thread.chat)


def _write_all(
    rng: Random, scribe: Scribe, plan: tuple[Cast, list[Life]], threads: Sequence[tuple[str, Thread]]
) -> dict[str, tuple[Entry, ...]]:
    cast, all_lives = plan
    parties: list[Person | Group] = [*cast.people, *cast.groups]
    chances = dict(zip(rng.sample(parties, len(parties)), all_lives, strict=True))
    history: dict[str, tuple[Entry, ...]] = {}
    for party in parties:
        own = [thread for chat, thread in threads if chat == party.id]
        times = moments(rng, chances[party], [Window(thread.start, thread.end + 600) for thread in own])
        entries = scribe.private(party, times) if isinstance(party, Person) else scribe.group(party, times)
        for thread in own:
            entries += _perform(scribe, cast, thread)
        history[party.id] = tuple(sorted(entries, key=_moment))
    return history


def _moment(entry: Entry) -> int:
    return entry.sent_at


def _perform(scribe: Scribe, cast: Cast, thread: Thread) -> list[Entry]:
    entries: list[Entry] = []
    time = thread.start
    for line in thread.lines:
        time += line.after
        sender = cast.owner.id if line.who == ME else cast.people[int(line.who)].id
        entries.append(_perform_line(scribe, line, scribe.blank(time, sender), entries))
    return entries


def _perform_line(scribe: Scribe, line: Line, entry: Entry, before: Sequence[Entry]) -> Entry:
    if line.call:
        return scribe.call(entry, line.call)
    if line.file:
        return scribe.document(entry, line.file, line.text)
    if line.replies_to:
        quoted = before[-line.replies_to]
        fields = shapes.reply_fields(line.text, quoted, modern=True)
        return entry._replace(type_message="extendedTextMessage", content=line.text, fields=fields, quoted_id=quoted.id)
    return entry._replace(content=line.text)


def _ids_within(entries: Sequence[Entry], thread: Thread) -> tuple[str, ...]:
    return tuple(entry.id for entry in entries if entry.kind and thread.start <= entry.sent_at <= thread.end)


_MARKERS: Final = ("{{SWE001}}", "{{SWE001}}", "{{SWE003}}")
"""What stands for a text that the gateway could not decrypt (Green API docs, incoming messages)."""


def _with_curiosities(cast: Cast, history: dict[str, tuple[Entry, ...]]) -> dict[str, tuple[Entry, ...]]:
    """Turn a few plain texts into what is rare in life: lost texts, a huge file, an unknown type, one id in two chats."""
    spare = [
        (chat, place)
        for chat in sorted(history, key=lambda name: -len(history[name]))[2:]
        for place, entry in _first_plain(history[chat], cast.owner.id)
    ]
    changed = {chat: list(entries) for chat, entries in history.items()}
    for (chat, place), change in zip(spare, _CHANGES, strict=False):
        changed[chat][place] = change(changed[chat][place])
    return {chat: tuple(entries) for chat, entries in changed.items()}


def _first_plain(entries: Sequence[Entry], owner: str) -> list[tuple[int, Entry]]:
    """The first untouched text that somebody else wrote and nobody refers to, if there is one."""
    named = {name for entry in entries for name in (entry.quoted_id, entry.target, _reacted_to(entry))}
    for place, entry in enumerate(entries):
        plain = entry.kind == "text" and entry.fields is None and not (entry.edited or entry.deleted)
        if plain and entry.sender != owner and entry.id not in named:
            return [(place, entry)]
    return []


def _reacted_to(entry: Entry) -> str:
    if entry.type_message != "reactionMessage" or entry.fields is None:
        return ""
    return str(entry.fields["quotedMessage"]["stanzaId"])


def _lost(marker: str) -> _Change:
    return lambda entry: entry._replace(content="", shown=marker)


def _unknown(entry: Entry) -> Entry:
    fields = {"someFutureData": {"hello": "world"}}
    return entry._replace(kind="unknown", type_message="someFutureMessage", content="", fields=fields)


def _huge(entry: Entry) -> Entry:
    fields = {**shapes.file_fields("/media/huge.zip", name="huge-archive.zip"), "downloadUrl": "{{SWE002}}"}
    return entry._replace(kind="document", type_message="documentMessage", content="", fields=fields)


def _twin(entry: Entry) -> Entry:
    return entry._replace(id="3A00000000000000TWIN")


_CHANGES: Final = (*(_lost(marker) for marker in _MARKERS), _unknown, _huge, _twin, _twin)
