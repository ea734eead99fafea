"""Messages as compact lines: what a model reads instead of JSON, at a fraction of the characters.

A line is ``[HH:MM ]handle[ speaker:] text``. What the line before has said is left out: the hour (``:07`` keeps it), a time
less than five minutes later, the speaker, the day and the chat (both stand in headings); a name is told whole once, and then as
much of it as nobody else's begins with. The handle stands whole at each message: an end of it would be cheaper, but an
assistant that cites it would name another message. Where a search shows the neighbours of
a hit, hits begin with ``> `` and neighbours with ``- ``. Our own remarks stand in ``⟦…⟧``, which is taken out of what people
wrote, and every further line of a text is indented; so no message can pass for another one, for a heading or for a remark.

What an answer costs is counted as a model gets it: header, headings, handles, names, remarks, fence and cursor, against what
people wrote. Fifty messages of a group then take at most 1.5 times their texts where these have about forty letters. Handle and
line end alone are eight letters a message, so with shorter texts it is more (``bench_reading.py``).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from whatsapp_mcp.server.fencing import clean, inline
from whatsapp_mcp.server.imitations import is_like_ours, looks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.views import CallView, MediaView, MessageView, Party, Quoted, ReactionView, VotesView

OWNER: Final = "You"
"""How the archive's owner is called in lines; the tools' descriptions say so."""

LONG_HIT: Final = 400
"""A hit with a longer text is shown by its snippet."""

LONGEST_ALONE: Final = 30_000
"""Characters of one text from which on no other question would show more of it."""

_MORE_THAN_SHOWN: Final = 1_000
"""So many characters are cleaned beyond four times of what is shown: cleaning makes a text shorter, but never that much."""

EXCERPT: Final = 40
VOTERS_NAMED: Final = 5
PAUSE: Final = timedelta(minutes=5)
"""In a conversation a line tells its time when so long has passed since the last told one; JSON tells all to the second."""

HIT_PAUSE: Final = timedelta(minutes=1)
"""Among hits of a search each line stands for itself."""
_BRACKETS: Final = str.maketrans("⟦⟧", "[]")
_IN_FILE: Final = frozenset({"attachment", "document"})
_PLAIN_KINDS: Final = frozenset({"text", "unknown"})
_MARKERS: Final = {
    "SWE001": "text lost: not decrypted",
    "SWE002": "file too large for the gateway",
    "SWE003": "text lost: key problem",
}
_CALL_STATES: Final = {"pickUp": "answered", "hungUp": "not answered", "invalid": "failed"}
_DIVIDES: Final = re.compile("[:;,]")
_NUMBER: Final = re.compile(r"\+[0-9]{7,15}")
_SHARED: Final = re.compile(r"([^\W\d_]{3,})\b.* \(contact ([0-9]+)\)")
_UNITS: Final = ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB"))


@dataclass(frozen=True, slots=True)
class Style:
    """How lines are written: the reader's zone, whether chats need naming, and the most characters of one text."""

    zone: ZoneInfo
    with_chat: bool = False
    longest: int = 100_000


@dataclass
class Lines:
    """Writes messages as lines, remembering what the line before has said."""

    style: Style
    names: dict[int, str]
    on_page: frozenset[int]
    with_hits: bool = False
    _day: date | None = None
    _chat: int | None = None
    _timed: datetime | None = None
    _speaker: int | None = None
    _sent_at: int = 0
    _own: frozenset[int] = frozenset()
    _called: set[int] = field(default_factory=set)
    _short: dict[int, str] = field(default_factory=dict)
    _chats: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, messages: Sequence[MessageView], style: Style) -> Lines:
        """Prepare to write `messages`: settle how each speaker is called among these."""
        speakers = [message.sender for message in messages if message.sender and not message.from_me]
        on_page = frozenset(message.message_id for message in messages)
        own = frozenset(message.sender.id for message in messages if message.from_me and message.sender)
        with_hits = any(not message.is_hit for message in messages)
        return cls(style, names_of(speakers), on_page, with_hits, _own=own)

    def write(self, message: MessageView) -> str:
        """Return the message as one or more lines, with a heading where day or chat change."""
        sent = datetime.fromtimestamp(message.sent_at, self.style.zone)
        heading = self._new_heading(message, sent)
        self._sent_at = message.sent_at
        parts = [self._time(sent), message.handle, self._speaker_of(message), self._remarks(message)]
        parts += [self._text(message), _of_document(message), self._votes(message.votes), self._reactions(message.reactions)]
        line = " ".join(part for part in parts if part)
        if self.with_hits:
            line = f"{'>' if message.is_hit else '-'} {line}"
        return f"{heading}{line}"

    def _new_heading(self, message: MessageView, sent: datetime) -> str:
        day, chat = sent.date(), message.chat.id if self.style.with_chat else None
        if (day, chat) == (self._day, self._chat):
            if message.sent_at < self._sent_at:  # hits by relevance: nothing of the line before can be assumed
                self._timed = self._speaker = None
            return ""
        named = f" · {message.chat.id} {name_in_line(message.chat.name)}" if chat != self._chat else ""
        is_short = self._day is not None and self._day.year == day.year and not self.style.with_chat
        self._day, self._chat, self._timed, self._speaker = day, chat, None, None
        return f"{day:%m-%d %a}\n" if is_short else f"{day:%Y-%m-%d %a}{named}\n"

    def _time(self, sent: datetime) -> str:
        before = self._timed
        if before is not None and sent - before < (HIT_PAUSE if self.style.with_chat else PAUSE):
            return ""
        self._timed = sent.replace(second=0)
        return f":{sent.minute:02}" if before is not None and before.hour == sent.hour else f"{sent:%H:%M}"

    def _speaker_of(self, message: MessageView) -> str:
        speaker = 0 if message.from_me else message.sender.id if message.sender else -1
        if speaker == self._speaker:
            return ""
        self._speaker = speaker
        if speaker <= 0:
            return f"{OWNER}:" if message.from_me else _nobody(message)
        called = self._short_name(speaker) if speaker in self._called else self.names[speaker]
        self._called.add(speaker)
        return f"{called}:"

    def _short_name(self, speaker: int) -> str:
        if speaker not in self._short:
            self._short[speaker] = _shortest(self.names[speaker], self.names.values())
        return self._short[speaker]

    def _person(self, party: Party) -> str:
        """How somebody is called in a remark: shortly where the lines above have named them."""
        if party.id in self._own:
            return OWNER
        called = self._short_name(party.id) if party.id in self._called else self.names.get(party.id)
        return _in_remark(called or inline(party.name, 30)) or f"contact {party.id}"

    def _remarks(self, message: MessageView) -> str:
        said = [
            self._quoted(message.quoted) if message.quoted else "",
            "forwarded" if message.forwarded else "",
            self._edited(message),
            self._later("deleted", message.deleted_at, message.sent_at),
            _kind(message),
            _MARKERS.get(message.marker or "", message.marker or ""),
        ]
        return remark("; ".join(part for part in said if part))

    def _quoted(self, quoted: Quoted) -> str:
        handle = "" if quoted.message_id is None else f" m{quoted.message_id}"
        if quoted.message_id in self.on_page:
            return f"↩{handle.strip()}"
        excerpt = json.dumps(inline(quoted.excerpt, EXCERPT), ensure_ascii=False) if quoted.excerpt else "an unseen message"
        sender = inline(quoted.sender) if quoted.from_me else _in_remark(inline(quoted.sender))
        return f"↩{handle.strip()} {sender}{': ' if sender else ''}{excerpt}"

    def _edited(self, message: MessageView) -> str:
        said = self._later("edited", message.edited_at, message.sent_at)
        first = message.versions[0].content if message.versions else ""
        if not said or not first or first == message.content:
            return said
        return f"{said}, before: {json.dumps(inline(first, EXCERPT), ensure_ascii=False)}"

    def _votes(self, votes: Sequence[VotesView]) -> str:
        voted = [(_option(inline(one.option, EXCERPT)), one.voters) for one in votes if one.voters]
        told = (f"{option} {len(voters)} ({self._some(voters)})" for option, voters in voted)
        said = "; ".join(told)
        return remark(f"votes: {said}") if said else ""

    def _some(self, parties: Sequence[Party]) -> str:
        names = [self._person(party) for party in parties]
        more = len(names) - VOTERS_NAMED
        return ", ".join(names[:VOTERS_NAMED]) + (f" and {more} more" if more > 0 else "")

    def _reactions(self, reactions: Sequence[ReactionView]) -> str:
        by_emoji: dict[str, list[str]] = {}
        for one in reactions:
            by_emoji.setdefault(_reaction(inline(one.emoji, 12)), []).append(self._person(one.sender))
        return remark("; ".join(f"{emoji} {', '.join(names)}" for emoji, names in by_emoji.items()))

    def _later(self, what: str, moment: int | None, sent_at: int) -> str:
        if moment is None:
            return ""
        then, sent = (datetime.fromtimestamp(at, self.style.zone) for at in (moment, sent_at))
        return f"{what} {then:%H:%M}" if then.date() == sent.date() else f"{what} {then:%Y-%m-%d %H:%M}"

    def _text(self, message: MessageView) -> str:
        written = _written(message)
        snippet = message.snippet if message.is_hit and len(written) > LONG_HIT and message.matched_in != "document" else None
        shown = snippet or written
        text = clean(shown[: _MORE_THAN_SHOWN + 4 * self.style.longest]).strip()
        is_cut = len(text) > self.style.longest or len(shown) > _MORE_THAN_SHOWN + 4 * self.style.longest
        if is_cut:
            text = _without_half_a_remark(text[: self.style.longest]).rstrip()
        text = "\n  ".join(line.rstrip() for line in text.split("\n"))
        if is_cut or (snippet and len(written) > len(shown)):
            is_alone = not snippet and len(self.on_page) == 1 and self.style.longest >= LONGEST_ALONE
            text += " " + remark(f"part of {len(written):,} characters: {rest_at(message, is_alone=is_alone)}")
        return text


def write_lines(messages: Sequence[MessageView], style: Style) -> list[str]:
    """Return each message as its lines, in the given order."""
    lines = Lines.of(messages, style)
    return [lines.write(message) for message in messages]


def names_of(parties: Iterable[Party]) -> dict[int, str]:
    """Return how to call each speaker: by name, told apart by id where two share one, quoted where the name has a colon."""
    found = {party.id: inline(party.name) or f"contact {party.id}" for party in parties}
    found = {key: _unmistakable(name) for key, name in found.items()}
    shared = Counter(found.values())
    return {key: f"{name} (contact {key})" if shared[name] > 1 else name for key, name in found.items()}


def rest_at(message: MessageView, *, is_alone: bool) -> str:
    """Where a text that was cut stands whole; alone on its page it can only be had by its address."""
    return (
        f"whatsapp://messages/{message.message_id} has it whole" if is_alone else f"read_chat around={message.handle} limit=1"
    )


def remark(text: str) -> str:
    """Return one of our own remarks in its brackets, or nothing for nothing."""
    return f"⟦{text.translate(_BRACKETS)}⟧" if text else ""


def counted(count: int, noun: str) -> str:
    """Return a number with its noun: ``1 message``, ``1,200 messages``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size_text(size: int) -> str:
    """Return a number of bytes for a reader: ``120 kB``."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def name_in_line(name: str) -> str:
    """Return the name of a chat as it may stand among facts that are divided by dots: quoted where it holds such a dot."""
    shown = inline(name)
    return json.dumps(shown, ensure_ascii=False) if "·" in looks(shown) else shown


def _unmistakable(name: str) -> str:
    """Quote a name that could be read as a name and a text, or as one of our own words."""
    name = name.translate(_BRACKETS)
    return json.dumps(name, ensure_ascii=False) if ":" in looks(name) or is_owner(name) or is_like_ours(name) else name


def is_owner(name: str) -> bool:
    """Whether a name looks like what only the owner is called."""
    return looks(name).strip().casefold() == OWNER.casefold()


def _in_remark(name: str) -> str:
    """Quote what could be read as more than one name, or as further words of the remark that it stands in."""
    is_quoted = name.startswith('"') and name.endswith('"') and len(name) > 1
    misleads = _DIVIDES.search(looks(name)) or is_owner(name)
    return json.dumps(name, ensure_ascii=False) if misleads and not is_quoted else name


def _option(option: str) -> str:
    """An option of a poll as it may stand before the number of its votes."""
    return json.dumps(option, ensure_ascii=False) if "(" in looks(option) else _in_remark(option)


def _reaction(emoji: str) -> str:
    """A reaction that is a word and no emoji is quoted: a remark could say it."""
    return json.dumps(emoji, ensure_ascii=False) if any(map(str.isalpha, emoji)) else _in_remark(emoji)


def _nobody(message: MessageView) -> str:
    """Who wrote is not known: without a word about it the line would pass for that of whoever wrote before."""
    return "" if message.kind == "system" else remark("unknown sender")


def _without_half_a_remark(text: str) -> str:
    opened = text.rfind("⟦")
    return text[:opened] if opened > text.rfind("⟧") else text


def _shortest(name: str, names: Collection[str]) -> str:
    """The shortest of a name that no other begins with (a number: ends): ``Dana``, ``Dana L``, ``Dana (40)``, ``+…0043``."""
    if _NUMBER.fullmatch(name):
        tail = name[-4:]
        return f"+…{tail}" if sum(other.endswith(tail) for other in names) == 1 else name
    if shared := _SHARED.fullmatch(name):
        short = f"{shared[1]} ({shared[2]})"
        return name if any(other.startswith(short) for other in names) else short
    first, _, rest = name.partition(" ")
    if len(first) <= 2 or not first.isalpha():
        return name
    beginnings = [first, *(f"{first} {rest[:length]}" for length in range(1, len(rest)) if rest[:length].isalpha())]
    alone = (short for short in beginnings if sum(other.startswith(short) for other in names) == 1 and not is_owner(short))
    return next(alone, name)


def _of_document(message: MessageView) -> str:
    """The part of a document's text in which the words were found; no other part of a line shows it."""
    if not message.is_hit or message.matched_in != "document" or not message.snippet:
        return ""
    return f"{remark('the file says')} {inline(message.snippet, LONG_HIT).translate(_BRACKETS)}"


def _written(message: MessageView) -> str:
    """What somebody wrote or, of a voice note with nothing written beside it, what was understood of it."""
    return message.content or (message.media.transcript if message.media else None) or ""


def _kind(message: MessageView) -> str:
    kind = "" if message.kind in _PLAIN_KINDS and message.media is None else message.kind
    if message.kind == "unknown" and not message.content:
        kind = "unknown kind"
    media = _media(message.media, named=kind == "document" or message.matched_in in _IN_FILE) if message.media else ""
    call = _call(message.call) if message.call else ""
    return " ".join(part for part in (kind, call, media, _place(message)) if part)


def _media(media: MediaView, *, named: bool) -> str:
    """A file's name where a person may have given it; those of pictures and voice messages are the gateway's own."""
    name = json.dumps(inline(media.filename), ensure_ascii=False) if media.filename and named else ""
    length = length_text(media.duration) if media.duration else ""
    size = size_text(media.size) if media.size else ""
    return " ".join(part for part in (name, length, size, f"({media.problem})" if media.problem else "") if part)


def length_text(seconds: float) -> str:
    """Return a length for a reader: ``0:07``, ``12:05``, ``1:02:30``."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _call(call: CallView) -> str:
    """``answered 12:05``, ``missed``, with ``video`` before it; the gateway's words where they are new to us."""
    status = call.status or ""
    if call.duration:
        minutes, seconds = divmod(call.duration, 60)
        status = f"answered {minutes}:{seconds:02}"
    else:
        status = _CALL_STATES.get(status, inline(status, 20))
    return " ".join(part for part in ("video" if call.is_video else "", status) if part)


def _place(message: MessageView) -> str:
    place = message.location
    if place is None:
        return ""
    point = "" if place.latitude is None else f"{place.latitude},{place.longitude}"
    name = inline(place.name) if place.name and place.name not in message.content else ""
    return " ".join(part for part in (point, name) if part)
