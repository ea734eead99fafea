"""The items of a ``chat_export`` payload: one message's text as it stands in the file, below one line of whole-file facts.

    1 3
    27/03/2022, 21:41 - Ada: hello
    again

The first line holds the occurrence and the length of the sender as written (0: nobody). The occurrence numbers messages that
nothing tells apart (same stamp, same sender, same text), so that two equal messages of one minute are two items, and a second
or a longer export of the chat gives equal items again. Where the sender ends is a fact of the whole file too, because ``A
changed the subject to "Re: b"`` and a name with a colon look alike. Everything below that line is verbatim, without the last
line end.

One item per file tells of no message: its first line is ``senders`` and each further line is a sender's name. Text without a
header (before the first message, or beyond any message's possible length) stands below a line ``loose``.

The payload's context says what every item needs to be read: ``chat`` (the chat's id), ``name`` (its name), ``zone``,
``order``, ``style`` and ``me``. The file's name is not in it: a copy of a file under another name brings nothing new.
"""

from __future__ import annotations

from typing import NamedTuple

SENDERS = "senders"
LOOSE = "loose"
MESSAGE = "message"


class Item(NamedTuple):
    """An item taken apart; `what` is `MESSAGE`, `SENDERS` or `LOOSE`, and only a message has an occurrence (from 1)."""

    what: str
    occurrence: int
    sender_length: int
    text: str


def put_together(occurrence: int, sender_length: int, block: str) -> str:
    """The item of one message."""
    return f"{occurrence} {sender_length}\n{block}"


def take_apart(item: str) -> Item | None:
    """Read an item's first line; None for anything that is no item."""
    head, newline, text = item.partition("\n")
    if not newline or len(head) > 30:
        return None
    if head in (SENDERS, LOOSE):
        return Item(head, 0, 0, text)
    occurrence, _, length = head.partition(" ")
    if not (head.isascii() and occurrence.isdigit() and length.isdigit()):
        return None
    return Item(MESSAGE, int(occurrence), int(length), text)
