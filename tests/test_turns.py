"""Quick questions are answered one after the other, and a slow one among them holds nobody up for long."""

from __future__ import annotations

import anyio
import pytest

from whatsapp_mcp.server import turns
from whatsapp_mcp.server.turns import Turns


async def test_one_is_answered_at_a_time_in_the_order_in_which_they_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 60.0)
    held, told, at_once = Turns(), list[int](), 0

    async def ask(number: int) -> None:
        nonlocal at_once
        async with held.turn():
            at_once += 1
            assert at_once == 1
            await anyio.lowlevel.checkpoint()
            told.append(number)
            at_once -= 1

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(ask, number)
    assert told == [*range(20)]


async def test_one_that_is_slow_is_passed_and_the_turns_go_on_afterwards() -> None:
    held, slow, others = Turns(), anyio.Event(), 0

    async def answer_slowly() -> None:
        async with held.turn():
            await slow.wait()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer_slowly)
            for _ in range(2):
                async with held.turn():  # it would wait for ever
                    others += 1
            slow.set()
        async with held.turn():
            others += 1
    assert others == 3


async def test_one_that_fails_gives_its_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE", 60.0)
    held = Turns()
    with anyio.fail_after(30):
        for _ in range(3):
            with pytest.raises(ValueError, match="no"):
                async with held.turn():
                    raise ValueError("no")
