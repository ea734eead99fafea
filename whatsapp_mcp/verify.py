"""Walks the ladder rung by rung and says what it finds; it repairs nothing.

Payloads → records → tables → index. The quick walk asks SQLite and counts; the thorough one replays every stored payload into
an empty archive beside this one and compares them row by row, so it notices one changed letter on any rung.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from whatsapp_mcp.errors import DatabaseCorrupt
from whatsapp_mcp.ingest import replay
from whatsapp_mcp.store import Store
from whatsapp_mcp.store.census import census
from whatsapp_mcp.store.checks import counts, integrity, payload_digests

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    rung: str
    """``file``, ``payloads``, ``references``, ``settled``, ``figures``, ``people``, ``index`` or a table's name."""
    what: str
    """A sentence for a person; never a message's text."""
    advice: str = "Run `whatsapp-mcp rebuild`: it makes everything anew from the stored payloads."


_FILE_ADVICE = "Restore the newest backup, or sync into a new home; keep the damaged file."


def verify(store: Store, *, thorough: bool = False) -> list[Finding]:
    """Everything that is wrong with an archive; empty when it is sound."""
    found = [Finding(rung, f"The database: {what}.", _FILE_ADVICE) for rung, what in integrity(store.connection)]
    if any(finding.rung == "file" for finding in found):
        return found
    found += [Finding(rung, f"{number} {what}.") for rung, what, number in counts(store.connection)]
    found += _payloads(store)
    if thorough and not any(finding.rung == "payloads" for finding in found):
        found += _compare(store)
    return found


def _payloads(store: Store) -> Iterator[Finding]:
    try:
        odd = payload_digests(store)
    except DatabaseCorrupt as error:
        yield Finding("payloads", error.what, _FILE_ADVICE)
        return
    if odd:
        yield Finding("payloads", f"{odd} stored items are not registered, or registered without being stored.", _FILE_ADVICE)


def _compare(store: Store) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="whatsapp-mcp-verify-") as folder, Store(Path(folder) / "replayed.db") as replayed:
        replay(store, replayed)
        expected = census(replayed.connection)
    for table, rows in census(store.connection).items():
        missing, extra = len(expected[table] - rows), len(rows - expected[table])
        if missing or extra:
            yield Finding(
                table, f"{table}: {extra} rows are not what the payloads say, {missing} rows that they say are not there."
            )
