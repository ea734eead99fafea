"""From what people call a chat or a person to the one that they mean.

Tried in this order: the archive's id (``12``, ``c12``), an id of WhatsApp in any form that was ever received, a phone
number with or without country code, then names: the whole name, whole words of it, beginnings of words, any part, and then the
same of names that were once in use. The first of these that fits anything decides; if several fit equally, nobody guesses.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from whatsapp_mcp.errors import Ambiguous, NotFound, UsageError
from whatsapp_mcp.records import ME
from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.views import Party

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
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
SELECT ch.chat_id, ch.whatsapp_chat_id, {CHAT_NAME}, c.phone_number, ch.name, c.name, c.phonebook_name, c.profile_name,
    ch.chat_type, ch.last_message_at,
    (SELECT count(*) FROM group_members AS g WHERE g.group_id = ch.group_id AND g.left_at IS NULL)
FROM chats AS ch LEFT JOIN contacts AS c USING (contact_id)
"""
_CONTACTS: Final = f"""
SELECT c.contact_id, c.whatsapp_id, {CONTACT_NAME}, c.phone_number, c.name, NULL, c.phonebook_name, c.profile_name, 'person',
    (SELECT max(last_message_at) FROM chats AS ch WHERE ch.contact_id = c.contact_id), 0
FROM contacts AS c
"""
_FORMER: Final = {
    "contact": """
SELECT n.contact_id, n.name, n.last_seen_at AS seen, c.name, c.phonebook_name, c.profile_name
FROM contact_names AS n JOIN contacts AS c USING (contact_id)
WHERE n.name IS NOT c.phonebook_name AND n.name IS NOT c.profile_name
    AND (?1 IS NULL OR n.contact_id IN (SELECT value FROM json_each(?1)))
""",
    "chat": """
SELECT ch.chat_id, n.name, n.last_seen_at AS seen, ch.name, g.group_name, NULL
FROM group_names AS n JOIN groups AS g USING (group_id) JOIN chats AS ch USING (group_id)
WHERE n.name IS NOT g.group_name AND n.name IS NOT ch.name
    AND (?1 IS NULL OR ch.chat_id IN (SELECT value FROM json_each(?1)))
UNION ALL SELECT ch.chat_id, n.name, n.last_seen_at, ch.name, c.phonebook_name, c.profile_name
FROM contact_names AS n JOIN contacts AS c USING (contact_id) JOIN chats AS ch USING (contact_id)
WHERE n.name IS NOT c.phonebook_name AND n.name IS NOT c.profile_name AND n.name IS NOT ch.name
    AND (?1 IS NULL OR ch.chat_id IN (SELECT value FROM json_each(?1)))
""",
}
_OWN_ID: Final = re.compile(r"[cp]?([0-9]{1,9})", re.IGNORECASE)
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().\-\u00a0\u2011]{4,}[0-9]")
_MARKS: Final = dict.fromkeys([0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF])
"""Marks of direction that come along when a number is copied from an address book."""
_SHORTEST_PHONE: Final = 7
_MOST_CHOICES: Final = 9
_folded = lru_cache(maxsize=16_384)(fold)


@dataclass(frozen=True, slots=True)
class Known:
    """A chat or contact with all that it can be called by."""

    party: Party
    phone: str
    names: tuple[str, ...]
    """Folded, none empty."""
    kind: str
    last_message_at: int | None
    members: int
    formerly: tuple[str, ...] = ()
    """What it was called before and is not any more, as it was written; the last name first."""

    @property
    def former_names(self) -> tuple[str, ...]:
        """`formerly`, folded."""
        return tuple(_folded(name) for name in self.formerly)


def known(connection: sqlite3.Connection, kind: Kind) -> list[Known]:
    """All chats or contacts, the most recently active first."""
    query = (_CHATS if kind == "chat" else _CONTACTS) + " ORDER BY 10 DESC NULLS LAST, 1"
    former = former_names(connection, kind)
    return [_known(row, former.get(int(row[0]), ())) for row in connection.execute(query)]


def former_names(connection: sqlite3.Connection, kind: Kind, ids: Sequence[int] | None = None) -> dict[int, tuple[str, ...]]:
    """What chats or people (all, or those with these ids) were called and are not any more, the last name first.

    Spelling that does not matter to the search makes no other name.
    """
    found: dict[int, dict[str, str]] = {}
    wanted = None if ids is None else json.dumps(list(ids))
    for identity, name, _, *current in connection.execute(_FORMER[kind] + " ORDER BY seen DESC, 2", (wanted,)):
        folded = _folded(name)
        if folded and folded not in {_folded(one) for one in current if one}:
            found.setdefault(identity, {}).setdefault(folded, name)
    return {identity: tuple(names.values()) for identity, names in found.items()}


def _known(row: Sequence[str | int | None], formerly: tuple[str, ...] = ()) -> Known:
    identity, whatsapp_id, name, phone, *names, kind, last, members = row
    folded = dict.fromkeys(_folded(str(given)) for given in (name, *names) if given)
    folded.pop("", None)
    return Known(
        Party(int(identity or 0), str(whatsapp_id), str(name)), str(phone or ""), tuple(folded), str(kind),
        None if last is None else int(last), int(members or 0), formerly,
    )  # fmt: skip


def find(connection: sqlite3.Connection, reference: Reference, kind: Kind, zone: ZoneInfo) -> Party:
    """The one chat or contact that `reference` means.

    Raises `NotFound` with the nearest names, `Ambiguous` with a numbered choice, `UsageError` for an empty reference.
    """
    if isinstance(reference, Party):
        return reference
    if isinstance(reference, int):
        return _by_own_id(connection, reference, kind) or _not_found(connection, str(reference), kind)
    text = reference.translate(_MARKS).strip()
    if not text:
        raise UsageError(f"No {kind} is named.", advice="Give a name, a phone number or an id.")
    own = _OWN_ID.fullmatch(text)
    found = (_by_own_id(connection, int(own[1]), kind) if own else None) or _by_whatsapp_id(connection, text, kind)
    if found:
        return found
    fitting = matching(known(connection, kind), text)
    if len(fitting) == 1:
        return fitting[0].party
    if fitting:
        raise _ambiguous(text, fitting, kind, zone)
    return _not_found(connection, text, kind)


def _by_own_id(connection: sqlite3.Connection, identity: int, kind: Kind) -> Party | None:
    query = f"{_CHATS} WHERE ch.chat_id = ?" if kind == "chat" else f"{_CONTACTS} WHERE c.contact_id = ?"
    if not 0 < identity < 2**62:
        return None
    row = connection.execute(query, (identity,)).fetchone()
    return _known(row).party if row else None


def _by_whatsapp_id(connection: sqlite3.Connection, text: str, kind: Kind) -> Party | None:
    if "@" not in text and not text.startswith("export:"):
        if kind == "chat" or text.lower() not in (ME, "you", "myself", "אני"):
            return None
        text = ME
    text = text.replace("@s.whatsapp.net", "@c.us")
    query = f"{_CHATS} WHERE ch.whatsapp_chat_id" if kind == "chat" else f"{_CONTACTS} WHERE c.whatsapp_id"
    canonical = " = coalesce((SELECT canonical_id FROM aliases WHERE whatsapp_id = ?1), ?1)"
    row = connection.execute(query + canonical, (_encodable(text),)).fetchone()
    return _known(row).party if row else None


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def owner(connection: sqlite3.Connection) -> tuple[int, str] | None:
    """The contact id and WhatsApp id of the account's owner, or None before anything said who that is."""
    found: tuple[int, str] | None = connection.execute(
        "SELECT contact_id, whatsapp_id FROM contacts WHERE whatsapp_id ="
        " coalesce((SELECT canonical_id FROM aliases WHERE whatsapp_id = ?1), ?1)",
        (ME,),
    ).fetchone()
    return found


def matching(candidates: Sequence[Known], text: str) -> list[Known]:
    """Those of `candidates` that `text` fits best, in the order given: several when they fit equally well."""
    number = _plain_number(text)
    if _PHONE.fullmatch(number):
        found = _with_number(candidates, re.sub(r"[^0-9]", "", number))
        if found:  # else a group may be called "2024-2025"
            return found
    wanted = fold(text)
    if not wanted:
        return []
    for names_of in _CURRENT_THEN_FORMER:
        for fits in _FITS:
            found = [candidate for candidate in candidates if any(fits(name, wanted) for name in names_of(candidate))]
            if found:
                return found
    return []


def _plain_number(text: str) -> str:
    """`text` without marks of direction, its digits of any script as ASCII and its dashes as hyphens."""
    letters = text.translate(_MARKS).strip()
    return "".join(str(unicodedata.decimal(one, "-" if unicodedata.category(one) == "Pd" else one)) for one in letters)


def _with_number(candidates: Sequence[Known], digits: str) -> list[Known]:
    """Whole numbers first; else numbers that end so, as when the country code was left out."""
    digits = digits.removeprefix("00")
    exact = [candidate for candidate in candidates if candidate.phone == digits]
    ending = digits.lstrip("0")
    if exact or len(ending) < _SHORTEST_PHONE:
        return exact
    return [candidate for candidate in candidates if candidate.phone.endswith(ending)]


def _whole_words(name: str, wanted: str) -> bool:
    return f" {wanted} " in f" {name} " or set(wanted.split()) <= set(name.split())


def _beginnings(name: str, wanted: str) -> bool:
    words = name.split()
    return all(any(word.startswith(part) for word in words) for part in wanted.split())


_FITS: Final[tuple[Callable[[str, str], bool], ...]] = (
    lambda name, wanted: name == wanted, _whole_words, _beginnings, lambda name, wanted: wanted in name,
)  # fmt: skip

_CURRENT_THEN_FORMER: Final[tuple[Callable[[Known], tuple[str, ...]], ...]] = (
    lambda known: known.names, lambda known: known.former_names,
)  # fmt: skip
_NO_FIT: Final = len(_CURRENT_THEN_FORMER) * len(_FITS)


def matching_any(candidates: Sequence[Known], text: str) -> list[Known]:
    """Every one of `candidates` that `text` fits in any way, the best fits first."""
    number = _plain_number(text)
    digits = re.sub(r"[^0-9]", "", number) if re.fullmatch(r"\+?[0-9 ().\-]{3,}", number) else ""
    wanted = fold(text)
    ranked = [(_fit(candidate, wanted, digits), candidate) for candidate in candidates]
    return [candidate for fit, candidate in sorted(ranked, key=lambda pair: pair[0]) if fit < _NO_FIT]


def _fit(candidate: Known, wanted: str, digits: str) -> int:
    if digits and digits.lstrip("0") and digits.lstrip("0") in candidate.phone:
        return 0
    if not wanted:
        return _NO_FIT
    ways = ((names_of, fits) for names_of in _CURRENT_THEN_FORMER for fits in _FITS)
    fitting = (place for place, (names_of, fits) in enumerate(ways) if any(fits(name, wanted) for name in names_of(candidate)))
    return next(fitting, _NO_FIT)


def named(text: str) -> str:
    """Text from outside as a JSON string literal on one line, with control, bidi and zero-width characters escaped."""
    literal = json.dumps(text[:80], ensure_ascii=False)
    return "".join(
        f"\\u{ord(letter):04x}" if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") else letter
        for letter in literal
    )


def _ambiguous(text: str, fitting: Sequence[Known], kind: Kind, zone: ZoneInfo) -> Ambiguous:
    choices = "; ".join(f"{number}) {_told(known, zone)}" for number, known in enumerate(fitting[:_MOST_CHOICES], 1))
    more = f"; and {len(fitting) - _MOST_CHOICES} more" if len(fitting) > _MOST_CHOICES else ""
    plural = "people" if kind == "contact" else "chats"
    return Ambiguous(
        f"{named(text)} fits {len(fitting)} {plural}: {choices}{more}.",
        advice=f"Name one by its id, e.g. {fitting[0].party.id}.",
    )


def _told(known: Known, zone: ZoneInfo) -> str:
    facts = [known.kind]
    if known.kind == "group":
        facts.append(f"{known.members} members")
    elif known.phone:
        facts.append(f"…{known.phone[-4:]}")
    if known.last_message_at is not None:
        facts.append(f"last message {datetime.fromtimestamp(known.last_message_at, zone):%Y-%m-%d}")
    if known.formerly:
        facts.append(f"formerly {named(known.formerly[0])}")
    return f"{named(known.party.name)} ({', '.join(facts)}, id {known.party.id})"


def nearest(connection: sqlite3.Connection, text: str, kind: Kind) -> tuple[str, ...]:
    """The names that are spelled most like `text`, at most three."""
    names: dict[str, str] = {}
    for candidate in known(connection, kind):
        for name in candidate.names:
            names.setdefault(name, candidate.party.name)
    near = difflib.get_close_matches(fold(text[:80]), names, n=3, cutoff=0.5)
    return tuple(dict.fromkeys(names[name] for name in near))


def _not_found(connection: sqlite3.Connection, text: str, kind: Kind) -> Party:
    shown = ", ".join(named(name) for name in nearest(connection, text, kind))
    asked = "list_chats" if kind == "chat" else "find_contact"
    what = "chat" if kind == "chat" else "person"
    advice = f"The nearest: {shown}." if shown else f"Ask {asked} with a part of the name."
    raise NotFound(f"There is no {what} {named(text)} in the archive.", advice=advice)
