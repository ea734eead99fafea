"""How the gateway answered, counted and timed; how large the archive is; and the same for programs that watch."""

from __future__ import annotations

import random
import sqlite3
import statistics
from contextlib import closing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from backup_desk import add_media, fill, name_media, open_archive
from hypothesis import given, settings
from hypothesis import strategies as st
from old_versions import take_back
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as older_format
from small_gateway import SmallGateway, person
from store_fixtures import RECEIVED_AT
from sync_desk import OpenWriter, account, desk
from test_greenapi import PERSON, gateway, in_turn

from whatsapp_mcp import schema
from whatsapp_mcp.greenapi.measuring import Statistics, Tally, counting, quantile
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.openmetrics import metrics
from whatsapp_mcp.queries.measured import CallsView, MeasuredRun, Now, SizeView
from whatsapp_mcp.store import Store
from whatsapp_mcp.verify import verify
from whatsapp_mcp.views import FileCounts, RunView

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client import Metric

DAY = 86_400


@given(st.lists(st.floats(0.0005, 900), min_size=1, max_size=300), st.sampled_from([0.5, 0.95]))
@settings(max_examples=60, deadline=None)
def test_a_quantile_is_told_to_two_percent(times: list[float], share: float) -> None:
    counted = Statistics()
    for seconds in times:
        counted.answered("getChats", seconds)
    exact = sorted(times)[max(0, -(-int(share * 10_000) * len(times) // 10_000) - 1)]
    found = quantile(counted.times["getChats"], share)
    assert found is not None
    assert found == pytest.approx(exact * 1_000, rel=0.0205, abs=0.01)


def test_the_memory_stays_small_however_much_is_asked() -> None:
    counted, dice = Statistics(), random.Random(1)
    for _ in range(20_000):
        counted.answered("getChats", 10 ** dice.uniform(-6, 3))
    assert len(counted.times["getChats"]) < 500


def test_without_an_answer_there_is_no_time() -> None:
    counted = Statistics()
    counted.asked("receiveNotification")
    counted.answered("receiveNotification", None)
    assert [call[-2:] for call in counted.calls()] == [(None, None)]


async def test_two_tasks_that_count_do_not_count_each_others_calls() -> None:
    counted, outer, inner = Statistics(), Tally(), Tally()
    met = anyio.Event()

    async def nested() -> None:
        with counting(inner):
            counted.asked("getChats")
            met.set()
            await anyio.lowlevel.checkpoint()
            counted.asked("getChats")

    with counting(outer):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(nested)
            await met.wait()
            counted.asked("receiveNotification")
        counted.asked("deleteNotification")
    counted.asked("getSettings")
    assert dict(inner.requests) == {"getChats": 2}
    assert dict(outer.requests) == {"receiveNotification": 1, "deleteNotification": 1}
    assert counted.requests.total() == 5


async def test_errors_and_429_are_counted_by_method_and_apart() -> None:
    answers = in_turn((500, ""), (429, ""), (200, "{"), (200, '{"stateInstance":"authorized"}'))
    async with gateway(answers) as (api, _, _):
        await api.get_state_instance()
        (calls,) = api.statistics.calls()
    assert (calls.method, calls.requests, calls.errors, calls.throttled) == ("getStateInstance", 4, 2, 1)


async def test_the_waiting_for_ones_turn_is_no_time_of_an_answer() -> None:
    async with gateway(lambda _: (200, "[]")) as (api, _, clock):
        with counting(Tally()) as nothing:
            assert nothing is None
            for _ in range(5):
                await api.get_chat_history(PERSON, 1)
        (calls,) = api.statistics.calls()
    assert clock.slept > 3
    assert calls.p95_ms is not None
    assert calls.p95_ms < 1


async def test_a_run_saves_what_it_asked_and_how_large_the_archive_is(tmp_path: Path) -> None:
    spoiled = account(faults={f"getChatHistory {person(3)}": (400, "no")})
    async with desk(tmp_path, spoiled) as here:
        outcome = await here.full()
        rows: dict[str, Any] = {
            row[0]: row[1:] for row in here.rows("SELECT method, requests, errors, throttled, median_ms, p95_ms FROM run_calls")
        }
        assert sum(row[0] for row in rows.values()) == outcome.requests
        assert rows["getChatHistory"][1] == 1
        assert all(0 < row[3] <= row[4] for row in rows.values())
        assert here.rows("SELECT messages, chats, media_bytes FROM sizes") == here.rows(
            "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM chats), 0"
        )
        await here.full()
        assert here.rows("SELECT count(*) FROM sizes") == [(1,)]
        assert here.rows("SELECT count(DISTINCT run_id) FROM run_calls") == [(2,)]


async def test_a_run_that_fails_saves_what_it_asked_all_the_same(tmp_path: Path) -> None:
    async with desk(tmp_path, SmallGateway(faults={"getChats": (401, ""), "getContacts": (401, "")})) as here:
        with pytest.raises(Exception, match="401"):
            await here.full()
        assert here.state() == "failed"
        assert here.rows("SELECT sum(errors) > 0 FROM run_calls") == [(1,)]


def test_what_a_resumed_run_asks_is_added_and_times_are_weighted() -> None:
    with Store(":memory:") as store:
        run = store.begin_run("full", RECEIVED_AT)
        store.end_run(
            run, "interrupted", RECEIVED_AT, None, [("getChats", 3, 1, 0, 100.0, 200.0), ("getMessage", 1, 0, 0, None, None)]
        )
        store.resume_run(run, RECEIVED_AT)
        store.end_run(
            run, "complete", RECEIVED_AT, None, [("getChats", 1, 0, 2, 300.0, 400.0), ("getMessage", 1, 0, 0, 5.0, 6.0)]
        )
        found = store.connection.execute("SELECT * FROM run_calls ORDER BY method").fetchall()
        assert found == [(run, "getChats", 4, 1, 2, 150.0, 250.0), (run, "getMessage", 2, 0, 0, 5.0, 6.0)]


def test_the_size_is_measured_once_a_day_and_a_clock_that_was_wrong_does_no_harm() -> None:
    with Store(":memory:") as store:
        for at in (RECEIVED_AT + 400 * DAY, RECEIVED_AT, RECEIVED_AT + 1, RECEIVED_AT + DAY):
            run = store.begin_run("recent", at)
            store.end_run(run, "complete", at)
        measured = [at for (at,) in store.connection.execute("SELECT measured_at FROM sizes ORDER BY 1")]
        assert measured == [RECEIVED_AT, RECEIVED_AT + DAY, RECEIVED_AT + 400 * DAY]


def test_a_file_that_several_messages_name_is_counted_once(home: Path) -> None:
    archive = fill(open_archive(home), range(1), messages=4)
    name_media(archive, add_media(home, 2))
    with archive.writer() as writer, writer.store.transaction():
        write = writer.store.connection.execute
        write("UPDATE messages SET media_size = 3000 WHERE local_media_path IS NOT NULL")
        write(
            "UPDATE messages SET media_size = 3000, local_media_path ="
            " (SELECT local_media_path FROM messages WHERE message_id = 1) WHERE message_id = 3"
        )
    with archive.writer() as writer:
        writer.store.end_run(writer.store.begin_run("full", RECEIVED_AT), "complete", RECEIVED_AT)
        assert writer.store.connection.execute("SELECT media_bytes FROM sizes").fetchone() == (6000,)


def test_what_was_measured_outlives_a_rebuild_and_verify_finds_nothing(home: Path) -> None:
    archive = fill(open_archive(home))
    with archive.writer() as writer:
        run = writer.store.begin_run("full", RECEIVED_AT)
        writer.store.end_run(run, "complete", RECEIVED_AT, None, [("getChats", 1, 0, 0, 12.5, 13.5)])
        rebuild(writer.store)
        assert verify(writer.store, thorough=True) == []
        assert writer.store.connection.execute("SELECT count(*) FROM run_calls").fetchone() == (1,)
        writer.store.connection.execute("UPDATE run_calls SET requests = 'many'")
        assert [finding.rung for finding in verify(writer.store)] == ["run_calls"]


def test_an_archive_of_the_second_version_gets_the_tables_without_a_rebuild(home: Path) -> None:
    archive = fill(open_archive(home))
    with closing(sqlite3.connect(archive.database)) as connection, connection:
        take_back(connection, 2)
    with OpenWriter(archive.database) as writer:
        assert not writer.store.is_outdated
        assert schema.version_of(writer.store.connection) == schema.VERSION
        assert verify(writer.store, thorough=True) == []


def now(**more: Any) -> Now:
    run = RunView(7, "full", "partial", 100, 160, 10, 9, 1, 500, 20, 30, 2, None, 160)
    calls = (CallsView("getChatHistory", 20, 1, 2, 120.0, 900.5), CallsView("receiveNotification", 3, 0, 0, None, None))
    size = SizeView(1_790_000_000, 15_000_000, 0, 62_673, 398, 812)
    return Now(size, 3, 4, (MeasuredRun(run, calls),), {"full": 160, 'odd"\\\n': 5}, FileCounts(stored=9, expired=2), **more)


def parsed(text: str) -> list[Metric]:
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]


def values(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in parsed(text) for one in family.samples}


def test_the_metrics_are_valid_openmetrics_and_valid_in_the_older_format() -> None:
    text = metrics(now())
    assert text.endswith("# EOF\n")
    found = values(text)
    assert found["whatsapp_mcp_messages", ()] == 62_673
    assert [found["whatsapp_mcp_files", (("state", state),)] for state in ("stored", "pending", "expired")] == [9, 0, 2]
    assert found["whatsapp_mcp_run_duration_seconds", (("kind", "full"),)] == 60
    assert found["whatsapp_mcp_run_well", (("kind", "full"),)] == 1
    labels = (("kind", "full"), ("method", "getChatHistory"))
    assert found["whatsapp_mcp_run_errors", labels] == 1
    assert found["whatsapp_mcp_run_call_seconds", (*labels, ("quantile", "0.95"))] == 0.9005
    assert found["whatsapp_mcp_run_succeeded_timestamp_seconds", (("kind", 'odd"\\\n'),)] == 5
    older = [sample for family in older_format(text) for sample in family.samples]
    assert len(older) == len(found)


def test_every_metric_has_a_help_and_a_unit_where_its_name_says_one() -> None:
    for family in parsed(metrics(now())):
        assert family.documentation
        assert family.type == "gauge"
        assert family.unit == next((unit for unit in ("bytes", "seconds") if family.name.endswith(f"_{unit}")), "")


def test_an_empty_archive_has_metrics_too(home: Path) -> None:
    archive = open_archive(home)
    with archive.writer():
        pass
    assert values(metrics(archive.queries.at_this_moment()))["whatsapp_mcp_messages", ()] == 0


def test_each_end_of_a_run_writes_the_metrics_anew_and_leaves_nothing_half(home: Path) -> None:
    archive = fill(open_archive(home))
    path = home / "metrics.prom"
    for count, kind in enumerate(("full", "recent"), 1):
        with archive.writer() as writer:
            run = writer.store.begin_run(kind, RECEIVED_AT)
            writer.store.end_run(run, "complete", RECEIVED_AT + 5)
        found = values(path.read_text(encoding="utf-8"))
        assert sum(name == "whatsapp_mcp_run_well" for name, _ in found) == count
        assert found["whatsapp_mcp_messages", ()] == 480
    assert [one.name for one in home.glob(".metrics*")] == []
    assert path.stat().st_mode & 0o077 == 0


def test_metrics_that_cannot_be_written_fail_no_run(home: Path) -> None:
    archive = fill(open_archive(home), range(1), messages=1)
    (home / "metrics.prom").mkdir()
    with archive.writer() as writer:
        run = writer.store.begin_run("full", RECEIVED_AT)
        writer.store.end_run(run, "complete", RECEIVED_AT)
    assert archive.queries.status().runs[0].state == "complete"
    assert [one.name for one in home.glob(".metrics*")] == []


def test_the_metrics_hold_numbers_and_words_of_ours_only(home: Path) -> None:
    archive = fill(open_archive(home))
    with archive.writer() as writer:
        writer.store.end_run(writer.store.begin_run("full", RECEIVED_AT), "failed", RECEIVED_AT, "Dana Levi 15550100002")
    text = (home / "metrics.prom").read_text(encoding="utf-8")
    assert not any(word in text for word in ("Dana", "15550", "Alice"))


def test_a_mean_over_runs_is_weighted_by_requests(home: Path) -> None:
    archive = fill(open_archive(home))
    with archive.writer() as writer:
        for count, median in ((1, 100.0), (3, 500.0)):
            run = writer.store.begin_run("full", RECEIVED_AT)
            writer.store.end_run(run, "complete", RECEIVED_AT, None, [("getChats", count, 0, 0, median, median * 2)])
    (calls,) = archive.queries.calls_since(RECEIVED_AT)
    assert (calls.requests, calls.median_ms, calls.p95_ms) == (4, 400.0, 800.0)
    assert statistics.fmean([100.0, 500.0, 500.0, 500.0]) == calls.median_ms
    assert archive.queries.calls_since(RECEIVED_AT + 1) == ()
