"""The one place where text from WhatsApp is made safe to show to a model.

Whatever people wrote, and whatever they call themselves, their chats and their files, is untrusted: it may try to look like an
instruction, like another message, or like the end of the quotation. Three things stand against that:

* `clean` takes out what hides or reorders text, says in a remark where somebody seems to have meant it, and marks lines that
  imitate ours (`hiding_places` and `imitations` tell what counts).
* `fence` puts the text between two lines with a fresh random mark, which nobody who wrote a message can know.
* `literal` writes a name as a JSON string on one line, the only form in which it may stand outside the fence.

Nothing here judges what a text says, and nothing ever fetches what it points to.
"""

from __future__ import annotations

import json
import re
import secrets
from itertools import islice
from typing import Any, Final

from whatsapp_mcp.server import hiding_places, imitations

MARK_LENGTH: Final = 8
MARK_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_EVENLY: Final = 256 // len(MARK_LETTERS) * len(MARK_LETTERS)
"""Bytes below this give each letter equally often."""
"""Without the letters that are easily taken for others."""

NAME_LENGTH: Final = 60
"""The most that is shown of a name; WhatsApp allows 25 letters to people and 100 to groups."""

_LINE_ENDS: Final = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def clean(text: str) -> str:
    """Return `text` without anything that hides or reorders it; line ends become a line feed, emoji stay whole.

    What was hidden stands in its place as a remark in ``⟦…⟧``, brackets that no text keeps; lines that look like ours begin
    with a bar. Plain text, which is nearly all, costs a few scans.
    """
    if text.isascii() and text.isprintable():
        return text
    if _LINE_ENDS.search(text):
        text = _LINE_ENDS.sub("\n", text)
    return hiding_places.revealed(imitations.marked(text))


def bare(text: str, length: int = NAME_LENGTH) -> str:
    """Return `text` on one line without anything hidden and without remarks: for what is passed on and not read."""
    line = " ".join(hiding_places.removed(imitations.without_brackets(text)).split())
    return _cut(line, length)


def inline(text: str, length: int = NAME_LENGTH) -> str:
    """Return `text` cleaned, on one line, and cut to `length` characters with an ellipsis."""
    if not (text.isascii() and text.isprintable()):
        text = hiding_places.revealed(imitations.without_brackets(text))
    return _cut(" ".join(text.split()), length)


def _cut(line: str, length: int) -> str:
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def literal(name: str, length: int = NAME_LENGTH) -> str:
    """Return a name as a JSON string on one line: how it may stand outside the fence."""
    return json.dumps(inline(name, length), ensure_ascii=False)


def fresh_mark(body: str) -> str:
    """Return a random mark that does not occur in `body`, from a source that nobody can foresee."""
    while True:
        drawn = (byte for byte in secrets.token_bytes(4 * MARK_LENGTH) if byte < _EVENLY)
        mark = "".join(MARK_LETTERS[byte % len(MARK_LETTERS)] for byte in islice(drawn, MARK_LENGTH))
        if len(mark) == MARK_LENGTH and mark not in body.casefold():
            return mark


def fence(body: str) -> str:
    """Return `body`, already cleaned, between its two lines with the mark; an empty body stays empty."""
    if not body:
        return ""
    mark = fresh_mark(body)
    return f"<<{mark} untrusted\n{body}\n{mark}>>"


def cleaned(members: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object with every string in it cleaned, keys included."""
    return {clean(key): _cleaned(member) for key, member in members.items()}


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return cleaned(value)
    if isinstance(value, list):
        return [_cleaned(member) for member in value]
    return value
