"""All names of an archive, kept ready to be looked up: a look-up walks no list of people.

Names of thousands of people fit into some megabytes, so they are held in the process and arranged once: whole names, words,
beginnings of words and parts by their plain spelling; what they may sound like (`search.names`) when nothing is written as it
was typed. After each commit of a sync they are compared as one text, in a millisecond for each thousand people; as long as that
text is the same, so is the directory.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import Counter
from enum import IntEnum
from functools import cached_property, lru_cache
from heapq import nlargest
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from whatsapp_mcp.queries.database import remembered
from whatsapp_mcp.search.digits import same_line
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.names import readings
from whatsapp_mcp.search.romanising import romanised, words_of
from whatsapp_mcp.search.sounding import SHORTEST_BEGINNING, Sounds, ways_to_divide

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

_STATE: Final = """
SELECT (SELECT json_array(json_group_array(contact_id), json_group_array(whatsapp_id), json_group_array(name),
        json_group_array(phonebook_name), json_group_array(profile_name)) FROM contacts)
    || (SELECT json_array(json_group_array(chat_id), json_group_array(whatsapp_chat_id), json_group_array(name)) FROM chats)
    || (SELECT json_array(json_group_array(group_id), json_group_array(group_name)) FROM groups)
    || (SELECT json_array(json_group_array(contact_id), json_group_array(name)) FROM contact_names)
    || (SELECT json_array(json_group_array(group_id), json_group_array(name)) FROM group_names)
"""
"""Everything that the directory is made of, as one text: SQLite puts it together faster than Python can read the rows."""
_NAMES: Final = {
    "contact": "SELECT contact_id, phone_number, whatsapp_id, name, phonebook_name, profile_name FROM contacts",
    "chat": """
SELECT chat_id, c.phone_number, ch.whatsapp_chat_id, ch.name, c.name, c.phonebook_name, c.profile_name, g.group_name
FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id) LEFT JOIN groups AS g USING (group_id)
""",
}
_FORMER: Final = {
    "contact": "SELECT contact_id, name FROM contact_names ORDER BY last_seen_at DESC, name",
    "chat": """
SELECT chat_id, name FROM (
    SELECT ch.chat_id, n.name, n.last_seen_at FROM group_names AS n JOIN chats AS ch USING (group_id)
    UNION ALL SELECT ch.chat_id, n.name, n.last_seen_at FROM chats AS ch JOIN contact_names AS n USING (contact_id)
) ORDER BY last_seen_at DESC, name
""",
}
_DIRECTORIES: Final = 4
"""So many are kept: chats and people, as the owner sees them and as assistants do."""
_SHORTEST_ENDING: Final = 7
_MOST_NEAR: Final = 12
_folded = lru_cache(maxsize=65_536)(fold)


class Way(IntEnum):
    """How a name was found, the surest first."""

    NUMBER = 0
    NAME = 1
    WORDS = 2
    BEGINNINGS = 3
    FORMER_NAME = 4
    SOUND = 5
    PART = 6
    BEGUN_SOUND = 7
    IN_A_GROUP = 8


class Fit(NamedTuple):
    """Whose names fit in one way: their ids, in no order."""

    way: Way
    ids: tuple[int, ...]


class _Names:
    """Some names, of whom, and what is found by their plain spelling."""

    def __init__(self, named: Iterable[tuple[int, str]]) -> None:
        self.holders: dict[str, list[int]] = {}
        for identity, name in named:
            self.holders.setdefault(name, []).append(identity)

    @cached_property
    def _plain(self) -> dict[str, dict[int, None]]:
        plain: dict[str, dict[int, None]] = {}
        for name, ids in self.holders.items():
            plain.setdefault(_folded(name), {}).update(dict.fromkeys(ids))
        plain.pop("", None)
        return plain

    @cached_property
    def _words(self) -> dict[str, set[str]]:
        words: dict[str, set[str]] = {}
        for name in self._plain:
            for word in name.split():
                words.setdefault(word, set()).add(name)
        return words

    @cached_property
    def _sorted_words(self) -> list[str]:
        return sorted(self._words)

    @cached_property
    def _text(self) -> tuple[str, list[int], list[str]]:
        """All plain names in one text, where each begins, and the names themselves."""
        names, places, at = list(self._plain), [], 1
        for name in names:
            places.append(at)
            at += len(name) + 1
        return "\n" + "\n".join(names) + "\n", places, names

    def whole(self, plain: str) -> Iterable[int]:
        return self._plain.get(plain, ())

    def with_words(self, plain: str) -> Iterable[int]:
        return self._ids(_common(self._words.get(word, set()) for word in plain.split()))

    def begun(self, plain: str) -> Iterable[int]:
        return self._ids(_common(self._beginning_with(part) for part in plain.split()))

    def _beginning_with(self, part: str) -> set[str]:
        found: set[str] = set()
        for place in range(bisect_left(self._sorted_words, part), len(self._sorted_words)):
            if not self._sorted_words[place].startswith(part):
                break
            found |= self._words[self._sorted_words[place]]
        return found

    def containing(self, plain: str) -> Iterable[int]:
        text, places, names = self._text
        found, at = set(), text.find(plain)
        while at >= 0:
            place = bisect_left(places, at + 1) - 1
            found.add(names[place])
            at = text.find(plain, places[place] + len(names[place]))
        return self._ids(found)

    def _ids(self, plain_names: Iterable[str]) -> Iterable[int]:
        return dict.fromkeys(identity for name in plain_names for identity in self._plain[name])

    @cached_property
    def sounds(self) -> Sounds:
        return Sounds(self.holders)

    @cached_property
    def _pairs(self) -> dict[str, list[str]]:
        """Pairs of letters to the spellings that have them; a spelling stands for the names in `spelled`."""
        pairs: dict[str, list[str]] = {}
        for spelling in self.spelled:
            for pair in set(_pairs_of(spelling)):
                pairs.setdefault(pair, []).append(spelling)
        return pairs

    @cached_property
    def spelled(self) -> dict[str, dict[int, None]]:
        """Plain and romanised spellings, and whose they are."""
        spelled = {plain: dict(ids) for plain, ids in self._plain.items()}
        for name, ids in self.holders.items():
            if not name.isascii() and (latin := _latin(name)):
                spelled.setdefault(latin, {}).update(dict.fromkeys(ids))
        return spelled

    def near(self, plain: str) -> list[tuple[float, str]]:
        """Spellings like `plain` with how like they are, the likest first."""
        shared = Counter(spelling for pair in set(_pairs_of(plain)) for spelling in self._pairs.get(pair, ()))
        length = len(plain) + 2
        alike = [(2 * count / (len(spelling) + length), spelling) for spelling, count in shared.items() if count > 1]
        likeliest = [spelling for likeness, spelling in nlargest(_MOST_NEAR, alike) if likeness >= _WORTH_A_LOOK]
        matcher = difflib.SequenceMatcher(b=plain)
        rated = []
        for spelling in likeliest:
            matcher.set_seq1(spelling)
            rated.append((matcher.ratio(), spelling))
        return sorted(rated, reverse=True)


class Directory:
    """What chats or people are called by, today and formerly, and their numbers."""

    def __init__(self, rows: Iterable[Sequence[Any]], former: Iterable[tuple[int, str]]) -> None:
        """Arrange `rows` of id, number, WhatsApp's id and names, and the names ever seen, the last ones first."""
        entries = list(rows)
        self._phones: dict[str, int] = {str(phone): identity for identity, phone, *_ in entries if phone}
        current = [(identity, _own_name(whatsapp_id, names)) for identity, _, whatsapp_id, *names in entries]
        self.current = _Names((identity, name) for identity, names in current for name in names)
        plain = {identity: {_folded(name) for name in names} for identity, names in current}
        self._formerly: dict[int, dict[str, str]] = {}
        for identity, name in former:
            folded = _folded(name)
            if folded and folded not in plain.get(identity, ()):
                self._formerly.setdefault(identity, {}).setdefault(folded, name)
        self.former = _Names((identity, name) for identity, names in self._formerly.items() for name in names.values())

    def formerly(self, identity: int) -> tuple[str, ...]:
        """What it was called and is not any more, the last name first; another spelling of the same words is no other name."""
        return tuple(self._formerly.get(identity, {}).values())

    @cached_property
    def _endings(self) -> list[tuple[str, int]]:
        return sorted((phone[::-1], identity) for phone, identity in self._phones.items())

    @cached_property
    def _same_lines(self) -> dict[str, list[int]]:
        lines: dict[str, list[int]] = {}
        for phone, identity in self._phones.items():
            lines.setdefault(same_line(phone), []).append(identity)
        return lines

    def with_number(self, digits: str) -> list[int]:
        """Whole numbers first; else numbers that end so, as when the country code was left out."""
        if (exact := self._phones.get(digits)) is not None:
            return [exact]
        if same := self._same_lines.get(same_line(digits)):
            return same
        ending = digits.lstrip("0")
        return self.ending_with(ending) if len(ending) >= _SHORTEST_ENDING else []

    def ending_with(self, digits: str) -> list[int]:
        """Whose numbers end with these digits."""
        wanted, found = digits[::-1], []
        for place in range(bisect_left(self._endings, (wanted, 0)), len(self._endings)):
            phone, identity = self._endings[place]
            if not phone.startswith(wanted):
                break
            found.append(identity)
        return found

    def with_digits(self, digits: str) -> list[int]:
        """Whose numbers have these digits anywhere."""
        return [identity for phone, identity in self._phones.items() if digits in phone]

    def fits(self, text: str, *, only_written: bool = False) -> Iterator[Fit]:
        """Whose names `text` fits, in one way after the other; nobody twice, and no way without anybody.

        With `only_written` as far as letters go: nothing that only sounds like it, and no parts within words.
        """
        seen: set[int] = set()
        for way, ids in chain(self._written(text), () if only_written else self._unwritten(text)):
            fresh = tuple(dict.fromkeys(identity for identity in ids if identity not in seen))
            if fresh:
                seen.update(fresh)
                yield Fit(way, fresh)

    def _written(self, text: str) -> Iterator[tuple[Way, Iterable[int]]]:
        plain = fold(text)
        if not plain:
            return
        yield Way.NAME, self.current.whole(plain)
        yield Way.WORDS, self.current.with_words(plain)
        yield Way.BEGINNINGS, self.current.begun(plain)
        yield Way.FORMER_NAME, self.former.whole(plain)
        yield Way.FORMER_NAME, self.former.with_words(plain)
        yield Way.FORMER_NAME, self.former.begun(plain)

    def _unwritten(self, text: str) -> Iterator[tuple[Way, Iterable[int]]]:
        plain = fold(text)
        if not plain:
            return
        yield from self._sounding(text)
        yield Way.PART, self.current.containing(plain)
        yield Way.PART, self.former.containing(plain)
        if len(plain) >= SHORTEST_BEGINNING:
            for names in (self.current, self.former):
                for typed in ways_to_divide(text):
                    yield Way.BEGUN_SOUND, names.sounds.begun(typed)

    def _sounding(self, text: str) -> Iterator[tuple[Way, Iterable[int]]]:
        for names in (self.current, self.former):
            found = [names.sounds.like(typed) for typed in ways_to_divide(text)]
            for whole, _ in found:
                yield Way.SOUND, whole
            for _, with_words in found:
                yield Way.SOUND, with_words

    def near(self, text: str, most: int = 3) -> list[int]:
        """Who is called most nearly so, the nearest first; nobody when nothing is like it."""
        typed = dict.fromkeys(spelling for spelling in (fold(text), _latin(text)) if spelling)
        rated = [rate for plain in typed for names in (self.current, self.former) for rate in names.near(plain)]
        found: dict[int, None] = {}
        for likeness, spelling in sorted(rated, reverse=True):
            if likeness < _LIKE_ENOUGH or len(found) >= most:
                break
            for names in (self.current, self.former):
                found.update(dict.fromkeys(names.spelled.get(spelling, ())))
        return list(found)[:most]


_LIKE_ENOUGH: Final = 0.5
_WORTH_A_LOOK: Final = 0.25


def _own_name(whatsapp_id: str, names: list[str | None]) -> list[str]:
    """The names there are; people of an imported chat are called as their id says."""
    given = list(dict.fromkeys(name for name in names if name))
    return given or ([whatsapp_id[7:]] if whatsapp_id.startswith("export:") else [])


def _common(sets: Iterable[set[str]]) -> set[str]:
    first, *others = sets
    return first.intersection(*others)


def _pairs_of(spelling: str) -> list[str]:
    return ["".join(pair) for pair in pairwise(f" {spelling} ")]


def _latin(name: str) -> str:
    """A name in Latin letters, Hebrew and Arabic by their consonants; empty where it says no more than the name."""
    spelled = [(romanised(word) or (readings(word) or ((word.letters,),))[0])[0] for word in words_of(name)]
    return " ".join(spelled)


def directory(connection: sqlite3.Connection, kind: str) -> Directory:
    """The names of all chats or people; looked at again only after a commit, arranged again only when a name is another."""
    return remembered(connection, f"directory of {kind}s", lambda: _arranged(connection, kind))


_known: Final[dict[tuple[str, str], Directory]] = {}


def _arranged(connection: sqlite3.Connection, kind: str) -> Directory:
    state = remembered(connection, "names", lambda: str(connection.execute(_STATE).fetchone()[0]))
    found = _known.pop((kind, state), None) or Directory(connection.execute(_NAMES[kind]), connection.execute(_FORMER[kind]))
    _known[kind, state] = found
    for oldest in list(_known)[:-_DIRECTORIES]:
        _known.pop(oldest, None)  # another thread may have been faster
    return found
