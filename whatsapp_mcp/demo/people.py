"""Who takes part: the owner, the people of the address book and the groups, all invented.

Numbers are of the shape 1 555 010 xxxx. A few people are known by a privacy id only, a few changed from it to a number
(Green API docs, getChats ``newChatId``; tracker #826).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.demo.languages import ARABIC, ENGLISH, HEBREW, LANGUAGES, RUSSIAN, SHARES, SPANISH, Language

if TYPE_CHECKING:
    from random import Random

OWNER_NUMBER: Final = "15550100001"
_NEVER_SAVED: Final = 0.17
_BUSINESSES: Final = 9
_YEAR: Final = 31_557_600


class Person(NamedTuple):
    """Somebody with a private chat, or the owner."""

    id: str
    """The best id there is: the number's, or the privacy id where no number is known."""
    lid: str
    phonebook_name: str
    """As saved in the owner's phone, or ``""``."""
    profile_name: str
    """As the person calls themself."""
    language: Language
    android: bool
    business: bool = False
    moved: bool = False
    """The chat is still listed under the privacy id, with the number as ``newChatId``."""

    @property
    def hidden(self) -> bool:
        """No number is known."""
        return self.id == self.lid

    @property
    def name(self) -> str:
        """The name that Green API's directories give: the phone book's, else the profile's."""
        return self.phonebook_name or self.profile_name


class Group(NamedTuple):
    """A group chat."""

    id: str
    subject: str
    language: Language
    owner: str
    created_at: int
    members: tuple[str, ...]
    """Ids of all members, the group's owner first, the account's owner among them unless `left`."""
    admins: frozenset[str]
    left: bool = False
    """The account's owner left: its data is refused with a bare string (Green API docs, GetGroupData)."""
    description: str = ""


class Cast(NamedTuple):
    """Everybody."""

    owner: Person
    people: tuple[Person, ...]
    groups: tuple[Group, ...]


_FIXED: Final = (
    ("Mike Turner", "Mike", ENGLISH),
    ("אמא", "אסתר", HEBREW),
    ("רונית הנהלת חשבונות", "רונית ש.", HEBREW),
    ("Ольга Соколова", "Ольга", RUSSIAN),
    ("ليلى حداد", "ليلى", ARABIC),
    ("Carmen Vega", "Carmen V.", SPANISH),
    ("אבא", "שמעון", HEBREW),
    ("נועה אחותי", "נועה", HEBREW),
    ("Fiction Post", "Fiction Post", ENGLISH),
)
"""Those of the written conversations, in the order that `threads` counts on: phone-book name, profile name, language."""

FAMILY: Final = "המשפחה שלנו 🏡"
"""The subject of the group in which the trip is planned."""


def cast_account(rng: Random, private: int, groups: int) -> Cast:
    """The owner, `private` people and `groups` groups."""
    owner = Person(f"{OWNER_NUMBER}@c.us", _lid(1), "", "Daniel Fictional", HEBREW, android=False)
    names = _names(rng, private)
    people = tuple(_person(rng, index, name) for index, name in enumerate(names))
    subjects = _subjects(rng, groups)
    return Cast(owner, people, tuple(_group(rng, index, subject, (owner, people)) for index, subject in enumerate(subjects)))


def _lid(number: int) -> str:
    return f"{900_000_000_000_000 + number}@lid"


def _names(rng: Random, count: int) -> list[tuple[str, str, Language]]:
    names = list(_FIXED)
    taken = {name for name, _, _ in names}
    while len(names) < count:
        language = rng.choices(LANGUAGES, SHARES)[0]
        first, last = rng.choice(language.first_names), rng.choice(language.last_names)
        if f"{first} {last}" not in taken:
            taken.add(f"{first} {last}")
            names.append((f"{first} {last}", rng.choice((first, f"{first} {last[0]}.", f"{first} {last}")), language))
    return names[:count]


def _person(rng: Random, index: int, name: tuple[str, str, Language]) -> Person:
    full_name, profile, language = name
    fixed = index < len(_FIXED)
    lid = _lid(index + 2)
    hidden = not fixed and index % 47 == 13
    unsaved = hidden or (not fixed and rng.random() < _NEVER_SAVED)
    return Person(
        lid if hidden else f"{int(OWNER_NUMBER) + 1 + index}@c.us",
        lid,
        "" if unsaved else full_name,
        profile,
        language,
        android=rng.random() < 0.3,
        business=index == _FIXED_BUSINESS or (not fixed and index % 31 == 7),
        moved=not fixed and index % 53 == 17,
    )


_FIXED_BUSINESS: Final = 8


def _subjects(rng: Random, count: int) -> list[tuple[str, Language]]:
    subjects: list[tuple[str, Language]] = [(FAMILY, HEBREW)]
    taken = {FAMILY}
    while len(subjects) < count:
        language = rng.choices(LANGUAGES, SHARES)[0]
        subject = rng.choice(language.group_names)
        if subject in taken:
            subject = f"{subject} {2017 + len(subjects) % 9}"
        if subject not in taken:
            taken.add(subject)
            subjects.append((subject, language))
    return subjects[:count]


def _group(rng: Random, index: int, subject: tuple[str, Language], everybody: tuple[Person, tuple[Person, ...]]) -> Group:
    owner, people = everybody
    name, language = subject
    family = name == FAMILY
    created_at = 1_484_000_000 + int(8 * _YEAR * rng.random() ** 1.5)
    members = tuple(people[place].id for place in (1, 6, 7)) if family else _members(rng, language, people)
    left = not family and index % 35 == 21
    admins = frozenset({members[0], *(rng.sample(members, min(2, len(members))))})
    everyone = members if left else (*members, owner.id)
    description = "" if index % 3 else f"{name} · {language.group_names[-1]}"
    return Group(_group_id(index, created_at), name, language, members[0], created_at, everyone, admins, left, description)


def _members(rng: Random, language: Language, people: tuple[Person, ...]) -> tuple[str, ...]:
    kin = [person.id for person in people if person.language is language and not person.business]
    others = [person.id for person in people if person.language is not language and not person.business]
    chosen = rng.sample(kin, min(len(kin), 3 + int(30 * rng.random() ** 3)))
    return tuple(dict.fromkeys(chosen + rng.sample(others, min(len(others), 3))))


def _group_id(index: int, created_at: int) -> str:
    """Old groups carry their creator's number and the time, newer ones eighteen digits (Green API docs, chat id)."""
    if created_at < 1_560_000_000:
        return f"{OWNER_NUMBER}-{created_at + index}@g.us"
    return f"{120_363_000_000_000_000 + 1000 * index + created_at % 1000}@g.us"
