"""What a chat is called: told by the names that WhatsApp gives its export files, by language."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from whatsapp_mcp.normalise.chat_export import chat_id_of, person_id, sender_name
from whatsapp_mcp.normalise.chat_export.header import plain_text

if TYPE_CHECKING:
    from .speakers import Speakers

_FILE_NAMES: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"whatsapp[ -]chat (?:with|mit|met|con|avec|com|-) (.+)",
        r"(?:chat|conversa|conversación|discussion|conversazione) (?:de |do |sur )?whatsapp (?:con|com|avec|di|dengan|-) (.+)",
        r"чат whatsapp (?:с контактом|с|з контактом|з) (.+)",
        r"צ.?אט (?:של )?whatsapp עם (.+)",
        r"(?:محادثة|دردشة) (?:whatsapp|واتساب) مع (.+)",
        r"(.+?) ile whatsapp sohbeti",
        r"与(.+)的 ?whatsapp ?聊天(?:记录)?",
        r"(.+)との ?whatsapp ?チャット",
        r"(.+)님과의 whatsapp 대화",
    )
)
_COPY: Final = re.compile(r" ?\(\d{1,2}\)$")


def told_name(path: Path, text_name: str) -> str:
    """The chat's name by the names of its file, its text inside a zip or its folder; empty where WhatsApp gave none of them."""
    folder = path.absolute().parent.name if text_name == "_chat.txt" and path.suffix.lower() == ".txt" else ""
    for stem in (Path(text_name).stem, path.stem, folder):
        name = _told(stem)
        if name:
            return name
    return ""


def _told(stem: str) -> str:
    plain = _COPY.sub("", clean_name(stem))
    for pattern in _FILE_NAMES:
        found = pattern.fullmatch(plain)
        if found:
            return found[1].strip()
    return ""


def stem_name(path: Path, text_name: str) -> str:
    """The file's own name as a chat's name; empty for iOS's ``_chat.txt``, which says nothing."""
    for name in (text_name, path.name):
        stem = _COPY.sub("", clean_name(Path(name).stem))
        if stem and stem != "_chat":
            return stem
    return ""


def clean_name(text: str) -> str:
    """A name in one line, composed (NFC, as macOS does not write file names), without marks and control characters."""
    plain = " ".join(plain_text(unicodedata.normalize("NFC", text)).split())
    return "".join(letter for letter in plain if unicodedata.category(letter) not in ("Cc", "Cs"))


class ChatName(NamedTuple):
    """Which chat a file is: its id, its name, and what is not sure about that."""

    id: str
    name: str
    is_group: bool
    warnings: tuple[str, ...] = ()


def name_chat(path: Path, text_name: str, speakers: Speakers, *, me: str, given: str) -> ChatName:
    """Tell which chat the file at `path` is.

    A group has more than two senders, or notices that only groups have, or a name that neither of its two senders bears.
    """
    told = given or told_name(path, text_name)
    people = speakers.names
    others = [name for name in people if name != me]
    is_group = len(people) > 2 or speakers.group_words or _is_topic(told, people)
    if told:
        return ChatName(chat_id_of(told, is_group=is_group), told, is_group)
    name, warnings = _unsaid_name(path, text_name, speakers, me=me, is_group=is_group, others=others)
    return ChatName(chat_id_of(name, is_group=is_group), name, is_group, warnings)


def _is_topic(told: str, people: list[str]) -> bool:
    """Two people write in a chat that bears the name of neither: not a number's chat, whose person may have a name inside."""
    return len(people) == 2 and bool(told) and sender_name(told) not in people and not person_id(told).endswith("@c.us")


def _unsaid_name(
    path: Path, text_name: str, speakers: Speakers, *, me: str, is_group: bool, others: list[str]
) -> tuple[str, tuple[str, ...]]:
    if not is_group and me and len(others) == 1 and me in speakers.names:
        return others[0], ()
    if is_group and len(speakers.only_in_notices) == 1:
        return speakers.only_in_notices[0], ()
    stem = stem_name(path, text_name)
    name = stem or " & ".join(sorted(speakers.names)[:3]) or "chat"
    return name, (f"The file does not say what its chat is called; it is filed as {name!r}.",)
