"""From what people call a chat or a person to the one that they mean.

Tried in this order: the archive's id (``12``, ``c12``), an id of WhatsApp in any form that was ever received, a phone
number with or without country code, then names as they are written: the whole name, whole words of it, beginnings of words, and
the same of names that were once in use; then names that are only said alike, in another script or another spelling; then any
part of a name; and a person with a group ("Dana book club"). The first of these that fits anything decides; if several fit
equally, nobody guesses.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from whatsapp_mcp.errors import Ambiguous, NotFound, UsageError
from whatsapp_mcp.queries.directory import Directory, Fit, Way, directory
from whatsapp_mcp.records import ME
from whatsapp_mcp.search.digits import MARKS, plain_number
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

Kind = Literal["chat", "contact"]
Reference = int | str | Party
"""How a caller names a chat or contact: our id, anything a person would write, or a party found before."""

CONTACT_NAME: Final = (
    "coalesce(nullif(c.name, ''), '+' || c.phone_number,"
    " CASE WHEN c.whatsapp_id LIKE 'export:%' THEN substr(c.whatsapp_id, 8) ELSE c.whatsapp_id END)"
)
"""SQL: the name to show for the contact ``c``."""
CHAT_NAME: Final = (
    "coalesce(nullif(ch.name, ''), nullif(c.name, ''), '+' || c.phone_number,"
    " CASE WHEN ch.whatsapp_chat_id LIKE 'export:%' THEN substr(ch.whatsapp_chat_id, 8) ELSE ch.whatsapp_chat_id END)"
)
"""SQL: the name to show for the chat ``ch``, whose contact is ``c``."""

_CHATS: Final = f"""
WITH wanted AS (
    SELECT ch.chat_id, ch.last_message_at FROM json_each(?1) AS one CROSS JOIN chats AS ch ON ch.chat_id = one.value
    ORDER BY 2 DESC NULLS LAST, 1 LIMIT ?2
)
SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, c.phone_number, ch.chat_type, ch.last_message_at, ch.contact_id,
    (SELECT count(*) FROM group_members AS g WHERE g.group_id = ch.group_id AND g.left_at IS NULL)
FROM wanted CROSS JOIN chats AS ch USING (chat_id) LEFT JOIN contacts AS c USING (contact_id)
ORDER BY 6 DESC NULLS LAST, 1
"""
_CONTACTS: Final = f"""
WITH wanted AS (
    SELECT c.contact_id, ch.last_message_at FROM json_each(?1) AS one CROSS JOIN contacts AS c ON c.contact_id = one.value
        LEFT JOIN chats AS ch ON ch.whatsapp_chat_id = c.whatsapp_id
    ORDER BY 2 DESC NULLS LAST, 1 LIMIT ?2
)
SELECT c.contact_id, c.whatsapp_id, {CONTACT_NAME}, c.phone_number, 'person', wanted.last_message_at, c.contact_id, 0
FROM wanted CROSS JOIN contacts AS c USING (contact_id) ORDER BY 6 DESC NULLS LAST, 1
"""
"""A person's private chat has the id of the person, for which there is an index."""
_OWN_ID: Final = re.compile(r"[cp]?([0-9]{1,9})", re.IGNORECASE)
_PHONE: Final = re.compile(r"\+?[0-9(][0-9 ()./\-\u00a0\u2011]{4,}[0-9]")
_ENDING: Final = re.compile(r"(?:…|\.{2,3}|\*)?([0-9]{3,6})")
_MOST_CHOICES: Final = 9
_MOST_OTHERS: Final = 3
_LONGEST_NOTE: Final = 300
"""Characters that answers show of a note."""
_MOST_WORDS: Final = 6
_BETWEEN: Final = frozenset(
    {"in", "from", "of", "at", "the", "group", "из", "в", "de", "del", "aus", "קבוצה", "מקבוצת", "בקבוצת"}
)
"""Words that stand between a person and their group and belong to neither."""
_SHORTEST_SOUND: Final = 3


@dataclass(frozen=True, slots=True)
class Known:
    """A chat or contact with what tells it apart from others of its name."""

    party: Party
    phone: str
    kind: str
    last_message_at: int | None
    contact_id: int | None
    members: int


def by_ids(connection: sqlite3.Connection, kind: Kind, ids: Iterable[int], *, limit: int = -1) -> list[Known]:
    """The chats or contacts with these ids, the most recently active first, at most `limit` if that is not negative."""
    rows = connection.execute(_CHATS if kind == "chat" else _CONTACTS, (json.dumps(list(ids)), limit))
    return [
        Known(Party(identity, whatsapp_id, name), phone or "", kind_of, last, contact, members or 0)
        for identity, whatsapp_id, name, phone, kind_of, last, contact, members in rows
    ]


def former_names(connection: sqlite3.Connection, kind: Kind, ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """What the chats or people with these ids were called and are not any more, the last name first.

    Spelling that does not matter to the search makes no other name.
    """
    names = directory(connection, kind)
    return {identity: former for identity in ids if (former := names.formerly(identity))}


def find(connection: sqlite3.Connection, reference: Reference, kind: Kind, zone: ZoneInfo) -> Party:
    """The one chat or contact that `reference` means; its `note` says so where another may have been meant.

    Raises `NotFound` with the nearest names, `Ambiguous` with a numbered choice, `UsageError` for an empty reference.
    """
    if isinstance(reference, Party):
        return reference
    if isinstance(reference, int):
        return _by_own_id(connection, reference, kind) or _not_found(connection, str(reference), kind)
    text = reference.translate(MARKS).strip()
    if not text:
        raise UsageError(f"No {kind} is named.", advice="Give a name, a phone number or an id.")
    own = _OWN_ID.fullmatch(text)
    found = (_by_own_id(connection, int(own[1]), kind) if own else None) or _by_whatsapp_id(connection, text, kind)
    return found or _by_name(connection, text, kind, zone)


def _by_own_id(connection: sqlite3.Connection, identity: int, kind: Kind) -> Party | None:
    if not 0 < identity < 2**62:
        return None
    return next((known.party for known in by_ids(connection, kind, [identity])), None)


def _by_whatsapp_id(connection: sqlite3.Connection, text: str, kind: Kind) -> Party | None:
    if "@" not in text and not text.startswith("export:"):
        if kind == "chat" or text.lower() not in (ME, "you", "myself", "אני"):
            return None
        text = ME
    text = text.replace("@s.whatsapp.net", "@c.us")
    table = "chat_id FROM chats WHERE whatsapp_chat_id" if kind == "chat" else "contact_id FROM contacts WHERE whatsapp_id"
    canonical = "coalesce((SELECT canonical_id FROM aliases WHERE whatsapp_id = ?1), ?1)"
    row = connection.execute(f"SELECT {table} = {canonical}", (_encodable(text),)).fetchone()
    return _by_own_id(connection, row[0], kind) if row else None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _by_name(connection: sqlite3.Connection, text: str, kind: Kind, zone: ZoneInfo) -> Party:
    names = directory(connection, kind)
    fits = _meant(names, text)
    best = next(fits, None) or _in_a_group(connection, names, text, kind)
    if best is None:
        return _not_found(connection, text, kind)
    fitting = by_ids(connection, kind, best.ids, limit=_MOST_CHOICES)
    if len(fitting) > 1:
        raise _ambiguous(connection, text, fitting, len(best.ids), zone=zone)
    others = [_told(known, zone) for known in by_ids(connection, kind, _others(names, text, best, fits))]
    return replace(fitting[0].party, note=_note(text, _told(fitting[0], zone), best.way, others))


def _meant(names: Directory, text: str) -> Iterator[Fit]:
    """What `text` may mean when one is wanted: a number if it can be one, else a name."""
    number = plain_number(text)
    if _PHONE.fullmatch(number) and (ids := names.with_number(_digits(number))):
        yield Fit(Way.NUMBER, tuple(ids))
        return  # else a group may be called "2024-2025"
    for fit in names.fits(text):
        if fit.way < Way.BEGUN_SOUND or len(fold(text)) >= _SHORTEST_SOUND:
            yield fit
    if (ending := _ENDING.fullmatch(number)) and (ids := names.ending_with(ending[1])):
        yield Fit(Way.NUMBER, tuple(ids))


def _digits(number: str) -> str:
    """The digits of a number as WhatsApp writes it: without the zeros and the 011 before a country code."""
    plain = re.sub(r"[^0-9]", "", number.replace("(0)", ""))
    if plain.startswith("011") and len(plain) > 12:
        return plain[3:]
    return plain.removeprefix("00")


def _in_a_group(connection: sqlite3.Connection, names: Directory, text: str, kind: Kind) -> Fit | None:
    """People whose name is one end of `text` and whose group is the other."""
    words = re.sub("[(),/@]", " ", text[:200]).split()
    if kind == "chat" or not 1 < len(words) <= _MOST_WORDS:
        return None
    for cut in range(1, len(words)):
        one, other = words[:cut], words[cut:]
        for person, group in ((one, other), (other, one)):
            members = people_of(connection, _without_between(group))
            for fit in names.fits(_without_between(person)) if members else ():
                if both := tuple(identity for identity in fit.ids if identity in members):
                    return Fit(Way.IN_A_GROUP, both)
    return None


def _without_between(words: list[str]) -> str:
    return " ".join(word for word in words if word.casefold() not in _BETWEEN)


def people_of(connection: sqlite3.Connection, group: str) -> dict[int, int]:
    """The contacts in the groups that are called so, each with the id of such a group's chat; empty when none is."""
    best = next((fit for fit in directory(connection, "chat").fits(group) if fit.way <= Way.SOUND), None) if group else None
    if best is None:
        return {}
    query = (
        "SELECT g.contact_id, ch.chat_id FROM json_each(?) AS wanted CROSS JOIN chats AS ch ON ch.chat_id = wanted.value"
        " CROSS JOIN group_members AS g USING (group_id) WHERE g.left_at IS NULL"
    )
    return dict(connection.execute(query, (json.dumps(best.ids),)).fetchall())


def _others(names: Directory, text: str, best: Fit, rest: Iterator[Fit]) -> list[int]:
    """Who else may have been meant, a few; of a name found as it is written only those whose name is written so, too."""
    if best.way in (Way.NUMBER, Way.IN_A_GROUP):
        return []
    if best.way <= Way.FORMER_NAME:
        rest = names.fits(text, only_written=True)
    ids = chain.from_iterable(fit.ids for fit in rest)
    return [identity for identity in ids if identity not in best.ids][:_MOST_OTHERS]


def _note(text: str, taken: str, way: Way, others: Sequence[str]) -> str:
    """Who was taken where that does not go without saying, and who else is called like that."""
    is_written = way not in (Way.SOUND, Way.BEGUN_SOUND, Way.IN_A_GROUP)
    if is_written and not others:
        return ""
    note, before = f"{named(text[:40])} was taken for {taken}", "; also like it: "
    for other in others:
        if len(note) + len(before) + len(other) < _LONGEST_NOTE:
            note, before = f"{note}{before}{other}", "; "
    return f"{note}."


def owner(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """The contact id and WhatsApp id of the account's owner, or None before anything said who that is."""
    found: tuple[int, str] | None = connection.execute(
        "SELECT contact_id, whatsapp_id FROM contacts WHERE whatsapp_id ="
        " coalesce((SELECT canonical_id FROM aliases WHERE whatsapp_id = ?1), ?1)",
        (ME,),
    ).fetchone()
    return found


def matching_any(
    connection: sqlite3.Connection, kind: Kind, text: str, *, most: int | None = None, enough: int = 1
) -> dict[int, Way]:
    """Everything that `text` fits, each with the way in which it does, the best first; with `most` not much more than those.

    Beginnings that only sound alike come in where fewer than `enough` fit better.
    """
    names = directory(connection, kind)
    found: dict[int, Way] = {}
    number = plain_number(text)
    if re.fullmatch(r"(?:…|\.{2,3}|\*)?\+?[0-9 ()./\-]{3,}", number) and (digits := _digits(number).lstrip("0")):
        if whole := names.with_number(_digits(number)):
            return dict.fromkeys(whole, Way.NUMBER)
        found.update(dict.fromkeys(names.with_digits(digits), Way.NUMBER))
    for way, ids in names.fits(text):
        if way == Way.BEGUN_SOUND and len(found) >= enough:
            break
        for identity in ids:
            found.setdefault(identity, way)
        if most is not None and len(found) >= most:
            break
    if not found and (fit := _in_a_group(connection, names, text, kind)):
        found.update(dict.fromkeys(fit.ids, fit.way))
    return found


def named(text: str) -> str:
    """Text from outside as a JSON string literal on one line, with control, bidi and zero-width characters escaped."""
    literal = json.dumps(text[:80], ensure_ascii=False)
    return "".join(
        f"\\u{ord(letter):04x}" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in literal
    )


def _ambiguous(connection: sqlite3.Connection, text: str, shown: Sequence[Known], count: int, *, zone: ZoneInfo) -> Ambiguous:
    """The refusal with a numbered choice of those that are `shown`, of `count` that fit."""
    kind: Kind = "contact" if shown[0].kind == "person" else "chat"
    former = former_names(connection, kind, [known.party.id for known in shown])
    digits, groups = _digits_to_show(shown), _groups_of_namesakes(connection, shown)
    told = [
        _told(known, zone, digits=digits, groups=groups.get(known.party.id, ()), formerly=former.get(known.party.id, ()))
        for known in shown
    ]
    choices = "; ".join(f"{number}) {choice}" for number, choice in enumerate(told, 1))
    more = f"; and {count - len(shown)} more" if count > len(shown) else ""
    plural = "people" if kind == "contact" else "chats"
    return Ambiguous(
        f"{named(text)} fits {count} {plural}: {choices}{more}.", advice=f"Name one by its id, e.g. {shown[0].party.id}."
    )


def _digits_to_show(shown: Sequence[Known]) -> int:
    """So many of the last digits that no two numbers look alike, at least four."""
    phones = [known.phone for known in shown if known.phone]
    return next((count for count in (4, 6, 8) if len({phone[-count:] for phone in phones}) == len(phones)), 15)


def _groups_of_namesakes(connection: sqlite3.Connection, shown: Sequence[Known]) -> dict[int, tuple[str, ...]]:
    """Of those that share their name with another: the groups that they are in, the most recently active first."""
    counts = Counter(fold(known.party.name) for known in shown)
    alike = {known.contact_id: known.party.id for known in shown if known.contact_id and counts[fold(known.party.name)] > 1}
    query = (
        "SELECT g.contact_id, coalesce(nullif(ch.name, ''), ch.whatsapp_chat_id)"
        " FROM groups AS gr CROSS JOIN group_members AS g"
        " ON g.group_id = gr.group_id AND g.contact_id IN (SELECT value FROM json_each(?))"
        " CROSS JOIN chats AS ch ON ch.whatsapp_chat_id = gr.whatsapp_group_id"
        " WHERE g.left_at IS NULL ORDER BY ch.last_message_at DESC"
    )
    found: dict[int, tuple[str, ...]] = {}
    for contact, name in connection.execute(query, (json.dumps(list(alike)),)) if alike else ():
        found[alike[contact]] = (*found.get(alike[contact], ()), name)
    return found


def _told(known: Known, zone: ZoneInfo, *, digits: int = 4, groups: Sequence[str] = (), formerly: Sequence[str] = ()) -> str:
    facts = [known.kind]
    if known.kind == "group":
        facts.append(f"{known.members} members")
    else:
        facts.append(f"…{known.phone[-digits:]}" if known.phone else "number unknown")
    if groups:
        facts.append(f"in {' and '.join(named(group) for group in groups[:2])}{' and others' if len(groups) > 2 else ''}")
    if known.last_message_at is not None:
        facts.append(f"last message {datetime.fromtimestamp(known.last_message_at, zone):%Y-%m-%d}")
    if formerly:
        facts.append(f"formerly {named(formerly[0])}")
    return f"{named(known.party.name[:60])} ({', '.join(facts)}, id {known.party.id})"


def nearest(connection: sqlite3.Connection, text: str, kind: Kind) -> tuple[str, ...]:
    """The names that are spelled most like `text`, at most three."""
    ids = directory(connection, kind).near(text[:80])
    names = {known.party.id: known.party.name for known in by_ids(connection, kind, ids)}
    return tuple(dict.fromkeys(names[identity] for identity in ids if identity in names))


def _not_found(connection: sqlite3.Connection, text: str, kind: Kind) -> Party:
    shown = ", ".join(named(name) for name in nearest(connection, text, kind))
    asked = "list_chats" if kind == "chat" else "find_contact"
    what = "chat" if kind == "chat" else "person"
    advice = f"The nearest: {shown}." if shown else f"Ask {asked} with a part of the name."
    raise NotFound(f"There is no {what} {named(text)} in the archive.", advice=advice)
