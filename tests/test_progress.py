from __future__ import annotations

import io
from dataclasses import replace

import pytest

from whatsapp_mcp.cli.progress import ProgressLine, bar, describe, duration
from whatsapp_mcp.sync import Progress

HALFWAY = Progress(
    run_id=1,
    state="histories",
    chats_total=40,
    chats_done=20,
    chats_failed=0,
    messages_seen=12_345,
    messages_new=678,
    rate=157.4,
    seconds_left=125.0,
    current="15550100001@c.us",
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watch:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_told_in_numbers_without_any_name() -> None:
    assert describe(HALFWAY) == "20 of 40 chats, 12,345 messages (678 new), 157/s, about 2 min left"


def test_failed_chats_are_told_and_an_unknown_end_is_not() -> None:
    assert describe(replace(HALFWAY, chats_failed=2, rate=0.0, seconds_left=None)) == (
        "20 of 40 chats, 2 failed, 12,345 messages (678 new)"
    )


def test_before_the_chats_are_known_it_is_told_what_is_done() -> None:
    assert describe(replace(HALFWAY, state="discovering", chats_total=0)) == "looking for all chats"


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [
        (0, 40, "[....................]"),
        (20, 40, "[##########..........]"),
        (41, 40, "[####################]"),
        (0, 0, "[" + "." * 20 + "]"),
    ],
)
def test_the_bar_shows_the_share_that_is_done(done: int, total: int, shown: str) -> None:
    assert bar(done, total) == shown


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1 h 30 min"), (7500, "2 h 5 min")]
)
def test_a_length_of_time_is_said_as_a_person_would(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_terminal_gets_one_line_that_is_written_over() -> None:
    terminal, watch = Terminal(), Watch()
    line = ProgressLine(terminal, watch)
    line(HALFWAY)
    watch.now += 1
    line(replace(HALFWAY, chats_done=21))
    line.finish()
    line.finish()
    shown = terminal.getvalue()
    assert shown.count("\r") == 2
    assert shown.endswith("\n")
    assert shown.count("\n") == 1
    assert "21 of 40" in shown


def test_without_a_terminal_there_is_a_line_every_few_seconds() -> None:
    stream, watch = io.StringIO(), Watch()
    line = ProgressLine(stream, watch)
    for _ in range(21):
        line(HALFWAY)
        watch.now += 0.5
    line.finish()
    assert len(stream.getvalue().splitlines()) == 3


def test_fast_news_does_not_flood_a_terminal() -> None:
    terminal, watch = Terminal(), Watch()
    line = ProgressLine(terminal, watch)
    for _ in range(1000):
        line(HALFWAY)
        watch.now += 0.001
    assert terminal.getvalue().count("\r") <= 11
