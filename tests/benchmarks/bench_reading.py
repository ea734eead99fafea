"""What reading a group costs: the characters of a whole answer for each character that people wrote.

Run it with ``python tests/benchmarks/bench_reading.py``; it makes an archive of the synthetic account in a temporary folder.
Of each group with fifty messages the newest fifty are read. Counted is the whole answer as a model gets it: header, headings,
times, handles, names, remarks, the marks of the fence, the cursor and all line ends. Only what people wrote (texts, captions,
poll options, names of places) counts as text; what is said of a file does not, so that a picture without a caption is all cost.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import large_archives

from whatsapp_mcp.app import Archive
from whatsapp_mcp.clock import SystemClock
from whatsapp_mcp.config import Settings
from whatsapp_mcp.server.conversations import Reading, chat_answer

sys.path.insert(0, str(Path(__file__).parents[1]))
from theirs import their_lines

MESSAGES: Final = 50
ZONE: Final = ZoneInfo("Asia/Jerusalem")


def costs(archive: Archive) -> list[tuple[float, float, float]]:
    """Of each group: letters of text a message, and the cost of the compact form and of the most used server's."""
    found = []
    for chat in archive.queries.list_chats(kind="group", limit=500)[0]:
        page = archive.queries.read_chat(chat.party, limit=MESSAGES)
        texts = sum(len(message.content) for message in page.messages)
        if len(page.messages) == MESSAGES and texts:
            ours = len(chat_answer(archive, chat.party.id, Reading(limit=MESSAGES)))
            found.append((texts / MESSAGES, ours / texts, len(their_lines(page.messages, ZONE)) / texts))
    return found


def main() -> None:
    """Print the medians, and those of the groups with longer and with shorter texts."""
    with tempfile.TemporaryDirectory() as folder:
        home = large_archives.seed_sized(Path(folder) / "home")
        archive = Archive.open(Settings(home=home, timezone=ZONE), SystemClock())
        found = sorted(costs(archive))
        archive.queries.close()
    middle = len(found) // 2
    for name, some in (("all groups", found), ("shorter texts", found[:middle]), ("longer texts", found[middle:])):
        letters, ours, theirs = (statistics.median(column) for column in zip(*some, strict=True))
        spread = f"{min(row[1] for row in some):.2f} to {max(row[1] for row in some):.2f}"
        print(f"{name:14} {len(some):3} groups, {letters:.0f} letters a message: {ours:.2f} ({spread}), theirs {theirs:.2f}")


if __name__ == "__main__":
    main()
