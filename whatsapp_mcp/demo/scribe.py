"""Writes a chat: at each given second one message of some kind, and beside it the reactions, edits, deletions and votes."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.demo import shapes
from whatsapp_mcp.demo.entry import Entry
from whatsapp_mcp.demo.languages import ENGLISH, Language
from whatsapp_mcp.demo.languages.language import pick
from whatsapp_mcp.demo.timeline import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from whatsapp_mcp.demo.people import Group, Person

_REACTIONS: Final = ("👍", "❤️", "😂", "🙏", "😮", "😢", "🔥")
_SITES: Final = ("maps", "recipes", "news", "tickets", "reading-list", "weather", "school", "pictures")
_CALLS_SINCE: Final = instant(2025, 3, 1)
"""The calls journal is young, so it knows no older calls."""
_LIDS: Final = (instant(2025, 5, 1), instant(2025, 8, 30))
"""When privacy ids leaked into the journals (tracker #826)."""
_OFFER: Final = 0.06
_CHANCES: Final = (
    0.7445, 0.018, 0.018, 0.062, 0.061, 0.014, 0.023, 0.003,
    0.012, 0.013, 0.004, 0.003, 0.004, 0.0015, 0.019,
)  # fmt: skip
"""How often each of `Scribe`'s writers is called; they add up to 1."""
_EDGES: Final = tuple(accumulate(_CHANCES))[:-1]
_MODERN_REPLIES: Final = instant(2025, 1, 1)


class Scribe:
    """Writes one chat after the other with the same dice."""

    def __init__(self, rng: Random, owner: Person, people: Sequence[Person], groups: Sequence[Group]) -> None:
        """`people` and `groups` are those who can be mentioned in contact cards and invitations."""
        self._rng = rng
        self._owner = owner
        self._people = people
        self._groups = [group for group in groups if not group.left]
        self._android = {person.id: person.android for person in people}
        self._moved = {person.id for person in people if person.moved}
        self._writers: tuple[Callable[[Entry], Entry], ...] = (
            self._text, self._link, self._forward, self._reply, self._image, self._video, self._voice, self._audio,
            self._document, self._sticker, self._location, self._contact, self._poll, self._invite, self._call,
        )  # fmt: skip
        self._chat = ""
        self._language: Language = ENGLISH
        self._in_group = False
        self._business = False
        self._leaks = False
        self._recent: list[Entry] = []

    def private(self, person: Person, times: Sequence[int]) -> list[Entry]:
        """A private chat with `person`."""
        self._business = person.business
        self._begin(person.id, person.language, leaks=person.moved, in_group=False)
        return self._write(times, [person.id])

    def group(self, group: Group, times: Sequence[int]) -> list[Entry]:
        """A group chat; the first members write the most."""
        self._business = False
        self._begin(group.id, group.language, leaks=not group.left, in_group=True)
        return self._write(times, [member for member in group.members if member != self._owner.id])

    def _begin(self, chat: str, language: Language, *, leaks: bool, in_group: bool) -> None:
        self._chat = chat
        self._language = language
        self._leaks = leaks
        self._in_group = in_group
        self._recent = []

    def _write(self, times: Sequence[int], others: Sequence[str]) -> list[Entry]:
        entries: list[Entry] = []
        mine = 0.25 if self._in_group else 0.46
        sender = self._owner.id
        for time in times:
            if self._rng.random() > 0.35:
                me = self._rng.random() < mine
                sender = self._owner.id if me else others[int(len(others) * self._rng.random() ** 2)]
            entries.extend(self._turn(time, sender))
        return entries

    def _turn(self, time: int, sender: str) -> list[Entry]:
        entry = self._message(time, sender)
        extras: list[Entry] = []
        if entry.kind != "call":
            entry, extras = self._aftermath(entry)
            self._recent = [*self._recent[-5:], entry]
        return [entry, *extras]

    def blank(self, time: int, sender: str) -> Entry:
        """An empty text of the current chat with a fresh id."""
        from_me = sender == self._owner.id
        lid = self._leaks and _LIDS[0] < time < _LIDS[1] and not from_me and self._slips()
        action = time + 2 + int(400 * self._rng.random() ** 3) if from_me else 0
        return Entry(self._chat, self._id(sender), time, sender, from_me, action_at=action, by_lid=lid)

    def _slips(self) -> bool:
        return not self._in_group or self._rng.random() < 0.06

    def _id(self, sender: str) -> str:
        if sender == self._owner.id and self._rng.random() < 0.4:
            return f"3EB0{self._rng.getrandbits(72):018X}"
        if self._android.get(sender, False):
            return f"{self._rng.getrandbits(128):032X}"
        return f"3A{self._rng.getrandbits(72):018X}"

    def _message(self, time: int, sender: str) -> Entry:
        entry = self.blank(time, sender)
        if self._business and not entry.from_me and self._rng.random() < _OFFER:
            return self._offer(entry)
        return self._writers[bisect(_EDGES, self._rng.random())](entry)

    def _say(self) -> str:
        language = self._language if self._rng.random() > 0.05 else ENGLISH
        return language.say(self._rng)

    def _text(self, entry: Entry) -> Entry:
        return entry._replace(content=self._say())

    def _link(self, entry: Entry) -> Entry:
        site = _SITES[int(len(_SITES) * self._rng.random())]
        number = int(900 * self._rng.random())
        if self._rng.random() < 0.2:
            return entry._replace(content=f"{self._language.sentence(self._rng)} {site}{number}@example.org")
        text = f"{self._language.sentence(self._rng)} https://example.org/{site}/{number}"
        fields = shapes.link_fields(text, title=site.capitalize(), description=f"{site} {number}")
        return entry._replace(type_message="extendedTextMessage", content=text, fields=fields)

    def _forward(self, entry: Entry) -> Entry:
        text = self._language.sentence(self._rng)
        fields = shapes.link_fields(text, forwarded=True)
        return entry._replace(type_message="extendedTextMessage", content=text, fields=fields, forwarded=True)

    def _reply(self, entry: Entry) -> Entry:
        quotable = [other for other in self._recent if not other.deleted]
        if not quotable:
            return self._text(entry)
        quoted = quotable[int(len(quotable) * self._rng.random())]
        text = self._say()
        modern = entry.sent_at >= _MODERN_REPLIES and self._rng.random() < 0.5
        fields = shapes.reply_fields(text, quoted, modern=modern)
        type_message = "extendedTextMessage" if modern else "quotedMessage"
        return entry._replace(type_message=type_message, content=text, fields=fields, quoted_id=quoted.id)

    def _path(self, ending: str) -> str:
        """About one file in fifty has no address (tracker #724)."""
        return f"/media/{self._rng.getrandbits(40):010x}.{ending}" if self._rng.random() > 0.02 else ""

    def _file(self, entry: Entry, ending: str, caption: str = "", *, thumbnail: bool = False) -> Entry:
        kind, type_message = _FILES[ending]
        path = self._path(ending)
        name = "" if path else f"lost.{ending}"
        number = int(24 * self._rng.random()) if thumbnail else None
        forwarded = self._rng.random() < 0.05
        fields = shapes.file_fields(path, caption=caption, name=name, thumbnail=number, forwarded=forwarded)
        return entry._replace(kind=kind, type_message=type_message, content=caption, fields=fields, forwarded=forwarded)

    def _image(self, entry: Entry) -> Entry:
        return self._file(entry, "jpg", self._language.caption(self._rng), thumbnail=self._rng.random() < 0.25)

    def _video(self, entry: Entry) -> Entry:
        return self._file(entry, "mp4", self._language.caption(self._rng), thumbnail=self._rng.random() < 0.25)

    def _voice(self, entry: Entry) -> Entry:
        return self._file(entry, "ogg")

    def _audio(self, entry: Entry) -> Entry:
        return self._file(entry, "mp3")

    def _sticker(self, entry: Entry) -> Entry:
        return self._file(entry, "webp")

    def _document(self, entry: Entry) -> Entry:
        return self.document(entry, pick(self._rng, self._language.documents), self._language.caption(self._rng))

    def document(self, entry: Entry, name: str, caption: str) -> Entry:
        """`entry` as a document called `name`."""
        path = self._path(name.rpartition(".")[2])
        fields = shapes.file_fields(path, caption=caption, name=name)
        return entry._replace(kind="document", type_message="documentMessage", content=caption, fields=fields)

    def _location(self, entry: Entry) -> Entry:
        name, address = pick(self._rng, self._language.addresses).split("|")
        latitude, longitude = round(29 + 4 * self._rng.random(), 6), round(34 + 2 * self._rng.random(), 6)
        if self._rng.random() < 0.1:
            fields = shapes.location_fields(name, address, str(latitude), str(longitude))
        else:
            fields = shapes.location_fields(name, address, latitude, longitude)
        return entry._replace(kind="location", type_message="locationMessage", content=f"{name}\n{address}", fields=fields)

    def _contact(self, entry: Entry) -> Entry:
        count = 1 if self._rng.random() < 0.75 else 2
        known = [person for person in self._rng.sample(self._people, 6) if not person.hidden][:count]
        cards = [shapes.vcard(person.profile_name, person.id.partition("@")[0]) for person in known]
        names = "\n".join(card["displayName"] for card in cards)
        if count == 1:
            return entry._replace(kind="contact", type_message="contactMessage", content=names, fields={"contact": cards[0]})
        fields = shapes.contacts_fields(cards, from_me=entry.from_me)
        return entry._replace(kind="contact", type_message="contactsArrayMessage", content=names, fields=fields)

    def _poll(self, entry: Entry) -> Entry:
        if not self._in_group:
            return self._text(entry)
        question, *options = pick(self._rng, self._language.polls).split("|")
        content = "\n".join([question, *options])
        fields = shapes.poll_fields(question, options)
        return entry._replace(kind="poll", type_message="pollMessage", content=content, fields=fields)

    def _invite(self, entry: Entry) -> Entry:
        if self._in_group:
            return self._text(entry)
        group = self._groups[int(len(self._groups) * self._rng.random())]
        fields = shapes.invite_fields(group.id, group.subject, self._language.short[0], entry.sent_at + 259_200)
        return entry._replace(kind="group_invite", type_message="groupInviteMessage", content=group.subject, fields=fields)

    def _call(self, entry: Entry) -> Entry:
        if self._in_group or entry.sent_at < _CALLS_SINCE:
            return self._text(entry)
        return self.call(entry, 0 if self._rng.random() < 0.3 else 15 + int(self._rng.expovariate(1 / 240)))

    def call(self, entry: Entry, duration: int) -> Entry:
        """`entry` as a call of `duration` seconds; 0 for one that nobody took."""
        is_video = self._rng.random() < 0.25
        fields = shapes.call_fields(from_me=entry.from_me, chat=entry.chat, is_video=is_video, duration=duration)
        call_id = f"{self._rng.getrandbits(116):029X}"
        type_message = "outgoingCall" if entry.from_me else "incomingCall"
        return entry._replace(id=call_id, kind="call", type_message=type_message, fields=fields, by_lid=False, action_at=0)

    def _offer(self, entry: Entry) -> Entry:
        """What only businesses send."""
        kind, content, build = _OFFERS[int(len(_OFFERS) * self._rng.random())]
        return entry._replace(kind=kind, type_message=f"{kind}Message", content=content, fields=build())

    def _aftermath(self, entry: Entry) -> tuple[Entry, list[Entry]]:
        dice = self._rng.random()
        if entry.kind == "poll":
            return entry, [self._vote(entry)]
        if dice < 0.036:
            return entry, [self._reaction(entry)]
        if entry.fields is not None or entry.kind != "text" or dice > 0.049:
            return entry, []
        return self._edit(entry) if dice < 0.044 else self._delete(entry)

    def _extra(self, target: Entry, sender: str, type_message: str, fields: shapes.Fields) -> Entry:
        extra = self.blank(target.sent_at + 5 + int(500 * self._rng.random() ** 2), sender)
        by_lid = target.by_lid and sender == target.sender
        return extra._replace(kind="", type_message=type_message, fields=fields, by_lid=by_lid)

    def _reaction(self, target: Entry) -> Entry:
        sender = self._chat if target.from_me and not self._in_group else self._owner.id
        if self._in_group and target.sender != self._owner.id and self._recent:
            sender = self._recent[-1].sender
        emoji = pick(self._rng, _REACTIONS) if self._rng.random() > 0.03 else ""
        return self._extra(target, sender, "reactionMessage", shapes.reaction_fields(emoji, target))

    def _vote(self, poll: Entry) -> Entry:
        question, *options = poll.content.split("\n")
        voters = list(dict.fromkeys(other.sender for other in self._recent))
        votes = [(option, voters[place :: len(options)]) for place, option in enumerate(options)]
        return self._extra(poll, poll.sender, "pollUpdateMessage", shapes.vote_fields(poll.id, question, votes))

    def _edit(self, entry: Entry) -> tuple[Entry, list[Entry]]:
        """Whether the journal still gives the old text of an edited message is not documented: here it does in most cases."""
        text = f"{entry.content} ({pick(self._rng, self._language.times)})"
        shown = entry.content if self._rng.random() < 0.7 else None
        change = self._extra(entry, entry.sender, "editedMessage", shapes.edit_fields(text, entry.id))
        return entry._replace(content=text, shown=shown, edited=True), [change._replace(target=entry.id)]

    def _delete(self, entry: Entry) -> tuple[Entry, list[Entry]]:
        deletion = self._extra(entry, entry.sender, "deletedMessage", shapes.deletion_fields(entry.id))
        return entry._replace(content="", deleted=True), [deletion._replace(target=entry.id)]


_FILES: Final = {
    "jpg": ("image", "imageMessage"), "mp4": ("video", "videoMessage"), "ogg": ("voice", "audioMessage"),
    "mp3": ("audio", "audioMessage"), "webp": ("sticker", "stickerMessage"),
}  # fmt: skip

_OFFERS: Final = (
    ("buttons", "Is the delivery tomorrow all right?\nYes, confirm\nAnother day", shapes.buttons_fields),
    ("list", "Choose a delivery slot\n09:00\n10:00", shapes.list_fields),
    ("template", "Your parcel is on its way\nTrack", shapes.template_fields),
)
