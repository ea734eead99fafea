"""Walks the ladder rung by rung and says what it finds; it repairs nothing and writes nothing.

Payloads → records → tables → index. The quick walk asks SQLite and counts; the thorough one replays every stored payload into
an empty archive beside this one and compares them row by row, so it notices one changed letter on any rung.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from whatsapp_mcp.errors import DatabaseCorrupt
from whatsapp_mcp.ingest import replay
from whatsapp_mcp.media.housekeeping import faults
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import differences
from whatsapp_mcp.store.checks import counts, integrity, not_found_again, odd_items
from whatsapp_mcp.store.reading import marked_chats
from whatsapp_mcp.store.rebuilding import is_derived
from whatsapp_mcp.store.structure import REPLACEABLE, odd_values, oddities
from whatsapp_mcp.store.texts import adopt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from whatsapp_mcp.store.reading import Readable
    from whatsapp_mcp.store.structure import Oddity

_FILE_ADVICE = "Restore the newest backup, or sync into a new home; keep the damaged file."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    rung: str
    """``file``, ``tables``, ``schema``, ``payloads``, ``references``, ``settled``, ``figures``, ``people``, ``index``,
    ``media`` or a table's name."""
    what: str
    """A sentence for a person; never a message's text."""
    advice: str = "Run `whatsapp-mcp rebuild`: it makes everything anew from the stored payloads."


def verify(source: Readable, *, thorough: bool = False) -> list[Finding]:
    """Everything that is wrong with an archive; empty when it is sound. Makes temporary tables at most."""
    found = [_of_file(rung, what) for rung, what in integrity(source.connection)]
    odd = list(oddities(source.connection)) if "file" not in _rungs(found) else []
    found += map(_of_structure, odd)
    if _rungs(found) & {"file", "tables"} or any(oddity.kind == "view" for oddity in odd):  # the rest asks them
        return found
    found += _values(source)
    found += [Finding(rung, f"{number} {what}.") for rung, what, number in counts(source.connection)]
    if "payloads" not in _rungs(found):
        found += _payloads(source)
    if thorough and "payloads" not in _rungs(found):
        found += _compare(source)
    return found


_FETCH_AGAIN = "`whatsapp-mcp media download` fetches it again, if WhatsApp still has it."
_STATES = {
    "missing": ("is missing", _FETCH_AGAIN),
    "resized": ("is not as large as what was stored", _FETCH_AGAIN),
    "damaged": ("is not what was stored", f"Remove it; then {_FETCH_AGAIN}"),
    "misplaced": ("is no file within the archive's folder", "Move the file back to where it was, or restore a backup."),
    "unreadable": ("cannot be read", "Check its rights and the disk; a backup may have it."),
    "bare": ("has lost its thumbnail", "`whatsapp-mcp media download` makes it anew."),
}


def verify_files(source: Readable, home: Path, *, thorough: bool = False) -> list[Finding]:
    """What is wrong with the stored files: they are there and of their size and, when `thorough`, still of the same content."""
    return [
        Finding("media", f"{fault.path} {_STATES[fault.state][0]}.", _STATES[fault.state][1])
        for fault in faults(source, home, thorough=thorough)
    ]


def sample(source: Readable, share: int, shares: int) -> list[Finding]:
    """Whether each message in one of `shares` equal parts of the payloads is in the archive; week by week all of them."""
    with _scratch() as replayed:
        replay(islice(source.payloads.replay(), share % shares, None, shares), replayed)
        missing = not_found_again(replayed.connection, source.connection)
    if not missing:
        return []
    return [Finding("messages", f"{missing} messages of {share % shares + 1}/{shares} of the payloads are not in the archive.")]


def _rungs(found: Iterable[Finding]) -> set[str]:
    return {finding.rung for finding in found}


def _of_file(rung: str, what: str) -> Finding:
    said = f"The database: {what}."
    return Finding(rung, said, _FILE_ADVICE) if rung == "file" else Finding(rung, said)


def _of_structure(oddity: Oddity) -> Finding:
    what = f"The {oddity.kind} {oddity.name} is {oddity.state}."
    if oddity.kind in REPLACEABLE:
        return Finding("schema", what)
    if oddity.state == "foreign":
        return Finding("schema", what, f"Drop it (`DROP TRIGGER {oddity.name}`), then run `whatsapp-mcp rebuild`.")
    return Finding("tables", what, _FILE_ADVICE)


def _values(source: Readable) -> Iterator[Finding]:
    for table, what, number in odd_values(source.connection):
        said = f"{number} {what}."
        rung = "payloads" if table == "payload_items" else table
        yield Finding(rung, said) if is_derived(table) else Finding(rung, said, _FILE_ADVICE)


def _payloads(source: Readable) -> Iterator[Finding]:
    try:
        odd = odd_items(source)
    except DatabaseCorrupt as error:
        yield Finding("payloads", error.what, _FILE_ADVICE)
        return
    if odd:
        yield Finding("payloads", f"{odd} stored items are not registered, or registered without being stored.", _FILE_ADVICE)


def _compare(source: Readable) -> Iterator[Finding]:
    with _scratch() as replayed:
        replay(source.payloads.replay(), replayed)
        replayed.keep_chats(marked_chats(source.connection))
        adopt(source.connection, replayed.connection)
        for table, extra, missing in differences(source.connection, replayed.connection):
            what = f"{table}: {extra} rows are not what the payloads say, {missing} rows that they say are not there."
            yield Finding(table, what)


@contextmanager
def _scratch() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(prefix="whatsapp-mcp-verify-") as folder, Store(Path(folder) / "replayed.db") as store:
        yield store
