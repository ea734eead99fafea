"""How fast a method is called."""

from __future__ import annotations

import itertools
import math

import anyio
import pytest
from fake_clock import FakeClock

from whatsapp_mcp.greenapi.pace import Lane, Pace


def most_in_a_second(times: list[float]) -> int:
    return max(sum(1 for other in times if start <= other < start + 1.0) for start in times)


async def starts(pace: Pace, clock: FakeClock, count: int) -> list[float]:
    times: list[float] = []

    async def one() -> None:
        await pace.start()
        times.append(clock.time)

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)
    return times


@pytest.mark.parametrize("rate", [1, 2, 5, 10, 20, 100])
async def test_no_second_sees_more_starts_than_allowed_and_hardly_any_time_is_lost(rate: int) -> None:
    clock = FakeClock()
    times = await starts(Pace(rate, clock), clock, 3 * rate + 20)
    assert most_in_a_second(times) <= rate
    assert times[-1] <= 1.04 * (len(times) - 1) / rate


@pytest.mark.parametrize("rate", [20, 100])
async def test_a_busy_computer_loses_no_speed_because_lateness_is_caught_up_with(rate: int) -> None:
    clock = FakeClock(lateness=1.2 / rate)
    times = await starts(Pace(rate, clock), clock, 4 * rate)
    assert most_in_a_second(times) <= rate
    assert times[-1] <= 1.06 * (len(times) - 1) / rate + 0.3


@pytest.mark.parametrize("rate", [0.5, 1.5, 2.5])
async def test_a_limit_that_is_no_whole_number_is_kept_too(rate: float) -> None:
    clock = FakeClock()
    times = await starts(Pace(rate, clock), clock, 12)
    assert most_in_a_second(times) <= math.ceil(rate)
    assert all(later - earlier >= 0.1 / rate for earlier, later in itertools.pairwise(times))


async def test_after_a_pause_calls_are_still_spaced() -> None:
    clock = FakeClock()
    pace = Pace(10, clock)
    await pace.start()
    await clock.sleep(60)
    times = await starts(pace, clock, 10)
    assert all(later - earlier >= 0.01 for earlier, later in itertools.pairwise(times))


async def test_a_429_lowers_the_pace_once_for_all_calls_in_flight_and_it_recovers() -> None:
    clock = FakeClock()
    pace = Pace(1, clock)
    first, second = await pace.start(), await pace.start()
    pace.throttled(first)
    pace.throttled(second)
    assert pace.slowdown == 1.25
    lowered = await starts(pace, clock, 2)
    assert lowered[1] - lowered[0] == pytest.approx(1.035 * 1.25)
    for _ in range(30):
        pace.accepted()
    assert pace.slowdown == 1.0


async def test_repeated_429_never_stop_the_pace() -> None:
    clock = FakeClock()
    pace = Pace(1, clock)
    for _ in range(30):
        pace.throttled(await pace.start())
    assert pace.slowdown == 4.0


async def test_a_request_that_left_late_pushes_the_next_one_back() -> None:
    clock = FakeClock()
    pace = Pace(1, clock)
    begun = await pace.start()
    begun.moved(clock.time + 0.4)
    assert (await starts(pace, clock, 1))[0] == pytest.approx(1.435)


async def test_answers_overlap_but_only_a_few_are_under_way_at_once() -> None:
    clock = FakeClock()
    lane = Lane(1, clock)
    under_way = most = 0
    times: list[float] = []

    async def one() -> None:
        nonlocal under_way, most
        async with lane.turn():
            times.append(clock.time)
            under_way += 1
            most = max(most, under_way)
            await clock.sleep(3)
            under_way -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(one)
    assert most == 3
    assert times[-1] == pytest.approx(8 * 1.035)


async def test_a_slow_gateway_is_not_flooded() -> None:
    clock = FakeClock()
    lane = Lane(1, clock)
    most = under_way = 0

    async def one() -> None:
        nonlocal under_way, most
        async with lane.turn():
            under_way += 1
            most = max(most, under_way)
            await clock.sleep(60)
            under_way -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(9):
            tasks.start_soon(one)
    assert most == 4
