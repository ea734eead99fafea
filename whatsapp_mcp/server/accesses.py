"""What assistants read, kept account of: which tool or address, of which chats, how many messages, for which client.

The account is written when the answer is ready, and names the messages that stand in it by their handles. Nothing of this can
make an answer fail.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from whatsapp_mcp.server.fencing import bare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mcp.server.mcpserver import Context

    from whatsapp_mcp.app import Archive
    from whatsapp_mcp.queries.noting import Notes

CHATS_TOLD: Final = 100
"""So many chats of an answer are named; of more how many."""
_HANDLE: Final = re.compile(r"\bm([0-9]{1,18})\b")
_ADDRESS: Final = re.compile(r"whatsapp://[a-z_]+(?:/[0-9-]{1,20}|/[a-z_]{1,20})*")
_KIND: Final = re.compile(r"whatsapp://[a-z_]{1,20}")


@dataclass(slots=True)
class Access:
    """One request, with the texts of its answer once there is one."""

    texts: tuple[str, ...] = ()


class Accesses:
    """The account of one server."""

    def __init__(self, archive: Archive) -> None:
        """Keep account of `archive`, unless the settings say no."""
        self._archive = archive

    @cached_property
    def _write(self) -> Callable[[Mapping[str, Any]], None]:
        from whatsapp_mcp.logs.access import access_log

        return access_log(self._archive.settings, self._archive.clock.now)

    @contextmanager
    def of(self, kind: str, name: str, context: Context[Any, Any] | None = None) -> Iterator[Access]:
        """Keep account of the request that is answered within the block: `kind` is ``tool``, ``resource``, ``prompt``, …."""
        access = Access()
        if not self._archive.settings.access_log:
            yield access
            return
        from whatsapp_mcp.queries.noting import noting

        clock, is_answered = self._archive.clock, False
        began = clock.monotonic()
        with noting() as notes:
            try:
                yield access
                is_answered = True
            finally:
                facts = {"kind": kind, "name": name, "client": _client(context), "ok": is_answered}
                seconds = round(clock.monotonic() - began, 4)
                self._write(facts | _read(notes, access.texts) | {"seconds": seconds})


def address_told(uri: str) -> str:
    """An address without anybody's words: names of exports are made of names of chats."""
    found = None if uri.startswith("whatsapp://exports") else _ADDRESS.fullmatch(uri)
    kind = _KIND.match(uri)
    return uri if found else kind[0] if kind else "unknown"


def _read(notes: Notes, texts: tuple[str, ...]) -> dict[str, Any]:
    """The messages that stand in the answer; where none does, as with a file, those that it was made of."""
    stand = {int(number) for text in texts for number in _HANDLE.findall(text)} & notes.chat_of.keys()
    shown = stand or set(notes.chat_of)
    chats = sorted(notes.chats | {notes.chat_of[message] for message in shown})
    facts: dict[str, Any] = {"chats": chats[:CHATS_TOLD], "messages": len(shown) + (0 if stand else notes.more)}
    if len(chats) > CHATS_TOLD:
        facts["chats_in_all"] = len(chats)
    if shown:
        lowest, highest = (min(stand), max(stand)) if stand else (notes.lowest, notes.highest)
        facts["handles"] = f"m{lowest}" if lowest == highest else f"m{lowest} to m{highest}"
    return facts


def _client(context: Context[Any, Any] | None) -> str | None:
    """What the client calls itself, where it says so."""
    try:
        params = None if context is None else context.session.client_params
    except ValueError:  # called outside of a request
        return None
    return None if params is None else bare(f"{params.client_info.name} {params.client_info.version}", 60)
