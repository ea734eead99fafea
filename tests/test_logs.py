"""What the logs say, what they never say, and how they come and go."""

from __future__ import annotations

import ast
import gzip
import json
import logging
import multiprocessing
import os
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
from backup_desk import fill, open_archive
from loopback import loopback
from small_gateway import ID, TOKEN, SmallGateway, person
from test_cli import one_line

from whatsapp_mcp import errors
from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import SettingsError
from whatsapp_mcp.logs import SERVER, SYNC, all_logs, category_of, compress_and_remove, log_path, start_log, stop_log
from whatsapp_mcp.logs.files import DailyFile
from whatsapp_mcp.logs.words import LONGEST, Line
from whatsapp_mcp.maintenance import maintain

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(__file__).parents[1] / "whatsapp_mcp"
MAIL_PASSWORD = "correct horse battery"
WEBHOOK_TOKEN = "aWebhookTokenThatNobodyUses"
AT = 1_795_534_040.5  # 2026-11-24 in Madrid
DAY = 86_400

posix_only = pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems files have these rights")
_log = logging.getLogger("whatsapp_mcp.sync.listen")


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    home.mkdir(mode=0o700)
    told = {
        "WHATSAPP_MCP_HOME": str(home), "WHATSAPP_MCP_TIMEZONE": "Europe/Madrid", "GREEN_API_TOKEN_INSTANCE": TOKEN,
        "SMTP_PASSWORD": MAIL_PASSWORD, "WEBHOOK_TOKEN": WEBHOOK_TOKEN,
    }  # fmt: skip
    return Settings.load(told, tmp_path)


def logged(settings: Settings, write: Callable[[], object], *, now: float = AT, name: str = SYNC) -> list[dict[str, Any]]:
    handler = start_log(settings, name, now=lambda: now)
    try:
        write()
    finally:
        stop_log(handler)
    return lines(settings.home)


def lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in all_logs(home) for line in path.read_text(encoding="ascii").splitlines()]


def one(settings: Settings, *words: Any, level: int = logging.INFO, **more: Any) -> dict[str, Any]:
    (line,) = logged(settings, lambda: _log.log(level, *words, **more))
    return line


def raised(error: BaseException) -> BaseException:
    try:
        raise error  # noqa: TRY301 - so that it has a place
    except BaseException as caught:  # noqa: BLE001 - it is to be logged
        return caught


def test_a_line_is_an_object_with_the_time_in_the_users_zone(settings: Settings, home: Path) -> None:
    line = one(settings, "the run %s ends: %s, %d messages new", "full", "complete", 12, extra={"run": 7, "seconds": 1.23456})
    assert line == {
        "at": "2026-11-24T16:27:20.500+01:00", "level": "info", "room": "sync.listen",
        "message": "the run full ends: complete, 12 messages new", "run": 7, "seconds": 1.235, "pid": os.getpid(),
    }  # fmt: skip
    assert log_path(home, SYNC, datetime(2026, 11, 24, tzinfo=UTC).date()).is_file()


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        (errors.Unreachable, "network"), (errors.RateLimited, "gateway"), (errors.RequestRefused, "gateway"),
        (errors.CredentialsError, "credentials"), (errors.NotAuthorized, "credentials"), (errors.SettingsError, "settings"),
        (errors.NotFound, "usage"), (errors.DatabaseCorrupt, "storage"), (errors.WriterRunning, "lock"),
        (errors.MailUnreachable, "mail"), (errors.SchedulingError, "schedule"), (errors.ImportRefused, "import"),
    ],
)  # fmt: skip
def test_each_trouble_has_a_category(settings: Settings, kind: type[errors.ArchiveError], category: str) -> None:
    assert category_of(kind("what")) == category
    assert category_of(ExceptionGroup("both", [kind("what")])) == category
    assert one(settings, "waiting %.0f s after %s", 3.0, kind.__name__, level=logging.WARNING)["category"] == category


def test_what_nobody_foresaw_is_a_mistake_and_what_the_disk_says_is_not() -> None:
    assert category_of(KeyError("x")) == "mistake"
    assert category_of(OSError(28, "No space left on device")) == "storage"
    assert category_of(sqlite3.DatabaseError("x")) == "mistake"


def test_an_error_is_told_by_its_class_and_place_never_by_its_words(settings: Settings) -> None:
    error = RuntimeError("could not read: see you at the lake house")
    error.__cause__ = ValueError("call me at +1 555 010 0002")
    line = one(settings, "the job %s stopped", "full", level=logging.ERROR, extra={"error": raised(error)})
    assert line["error"] == "RuntimeError < ValueError"
    assert line["category"] == "mistake"
    assert line["where"][-1].endswith(" raised")
    assert "/" not in line["where"][-1].removeprefix("tests/")
    assert "lake" not in json.dumps(line)


STRANGE = [
    "see you at the lake house", "Dana Levi", "Dana", "תודה", "お茶", person(2), "12036300000000001@g.us", "+1 555 010 0002",
    "15550100002", "447700900123", TOKEN, MAIL_PASSWORD, WEBHOOK_TOKEN, f"https://7105.api.greenapi.com/waInstance1/x/{TOKEN}",
    "me@example.com", "two\nlines", "\x1b[31mred",
]  # fmt: skip


@pytest.mark.parametrize("word", STRANGE)
@pytest.mark.parametrize("how", ["value", "named", "error", "chained", "extra", "object"])
def test_no_value_that_may_be_somebodys_gets_into_a_line(settings: Settings, word: str, how: str, home: Path) -> None:
    error = raised(RuntimeError(word))
    if how == "chained":
        error = raised(RuntimeError())
        error.__cause__ = ValueError(word)
    ways: dict[str, Callable[[], None]] = {
        "value": lambda: _log.error("got %s", word),
        "named": lambda: _log.error("got %(it)s", {"it": word}),
        "error": lambda: _log.error("stopped: %s", error, exc_info=error),
        "chained": lambda: _log.error("stopped", exc_info=error),
        "extra": lambda: _log.error("stopped", extra={"run": word, "seconds": word, "category": word, "chat": word}),
        "object": lambda: _log.error(error),
    }
    logged(settings, ways[how])
    (path,) = all_logs(home)
    text = path.read_text(encoding="ascii")
    assert json.dumps(word)[1:-1] not in text
    assert word not in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    "word", [person(2), "+1 555-010-0002", "15550100002", TOKEN, MAIL_PASSWORD, WEBHOOK_TOKEN, "me@example.com"]
)
def test_even_a_text_that_was_put_together_before_is_cleaned(settings: Settings, word: str, home: Path) -> None:
    logged(settings, lambda: _log.info(f"the chat {word} failed"))
    assert word not in all_logs(home)[0].read_text(encoding="ascii")


def test_of_an_address_the_host_stays(settings: Settings) -> None:
    line = one(settings, "refused at https://7105.api.greenapi.com/waInstance7105/getChats/abc, from 203.0.113.77")
    assert line["message"].startswith("refused at https://7105.api.greenapi.com/")
    assert "waInstance" not in line["message"]
    assert line["message"].endswith(" from 203.0.113.77")


def test_numbers_stay_as_they_are_however_large(settings: Settings) -> None:
    assert one(settings, "%d messages, %.1f s", 12_345_678, 3.25)["message"] == "12345678 messages, 3.2 s"


def test_a_value_of_the_wrong_kind_costs_the_values_and_not_the_line(settings: Settings) -> None:
    assert one(settings, "%d messages", "Dana Levi")["message"] == "%d messages"


def test_a_line_is_never_longer_than_what_is_written_in_one_piece(settings: Settings, home: Path) -> None:
    def deep(count: int) -> None:
        if not count:
            raise RuntimeError
        deep(count - 1)

    try:
        deep(300)
    except RuntimeError as caught:
        error = caught
    logged(settings, lambda: _log.error("x" * 50_000, extra={"error": error}))
    assert len(all_logs(home)[0].read_bytes()) <= LONGEST


def test_every_line_of_the_log_is_a_text_that_stands_in_the_code() -> None:
    """But for those few that put numbers into words first; whoever adds one argues for it here."""
    allowed = {
        "describe(progress)": {"cli/progress.py", "cli/listening.py"},
        "logged or text": {"webhook/serving.py"},
        "line": {"webhook/complaints.py"},
        "'the run %s ' + how": {"sync/running.py"},
    }
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.match(r"_log\.\w+$", ast.unparse(node.func)):
                text = node.args[1 if ast.unparse(node.func) == "_log.log" else 0]
                name = path.relative_to(PACKAGE).as_posix()
                constant = isinstance(text, ast.Constant)
                assert constant or name in allowed.get(ast.unparse(text), ()), f"{name}:{node.lineno}: {ast.unparse(text)}"


def write_many(home: str, number: int, locked: bool) -> None:  # noqa: FBT001 - the argument of a process
    handler = DailyFile(
        Path(home), SYNC, Line(Settings.load({"WHATSAPP_MCP_HOME": home}).timezone, now=lambda: AT), locked=locked
    )
    for count in range(200):
        text = f"line %d of %d {'x' * 300}"
        handler.emit(logging.LogRecord("whatsapp_mcp.x", logging.INFO, "", 0, text, (count, number), None))


@pytest.mark.parametrize("locked", [False, True])
def test_several_processes_write_at_once_and_no_line_is_lost_or_torn(home: Path, locked: bool) -> None:  # noqa: FBT001
    home.mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write_many, args=(str(home), number, locked)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    found = {line["message"].split(" x")[0] for line in lines(home)}
    assert found == {f"line {count} of {number}" for count in range(200) for number in range(3)}


def test_each_day_has_its_file_and_the_server_its_own(settings: Settings, home: Path) -> None:
    logged(settings, lambda: _log.info("first"), now=AT)
    logged(settings, lambda: _log.info("second"), now=AT + DAY)
    logged(settings, lambda: _log.info("third"), now=AT + DAY, name=SERVER)
    assert [path.name for path in all_logs(home)] == [
        "server-2026-11-25.log", "sync-2026-11-24.log", "sync-2026-11-25.log",
    ]  # fmt: skip


@posix_only
def test_only_the_owner_reads_the_logs(settings: Settings, home: Path) -> None:
    logged(settings, lambda: _log.info("first"))
    compress_and_remove(settings, AT + DAY)
    assert {path.stat().st_mode & 0o077 for path in (home / "logs", *all_logs(home))} == {0}


def test_earlier_days_are_compressed_and_old_ones_removed(settings: Settings, home: Path) -> None:
    for days in (0, 1, 89, 90, 91):
        logged(settings, lambda: _log.info("a line"), now=AT - days * DAY)
    assert compress_and_remove(settings, AT) == "3 compressed, 1 older than 90 days removed."
    kept = ["sync-2026-08-26.log.gz", "sync-2026-08-27.log.gz", "sync-2026-11-23.log.gz", "sync-2026-11-24.log"]
    assert [path.name for path in all_logs(home)] == kept
    with gzip.open(home / "logs" / kept[2], "rt", encoding="ascii") as packed:
        assert json.loads(packed.read())["message"] == "a line"
    assert compress_and_remove(settings, AT) == "0 compressed, 0 older than 90 days removed."
    assert compress_and_remove(settings, AT + 91 * DAY) == "0 compressed, 4 older than 90 days removed."


def test_a_compression_that_was_interrupted_is_done_again(settings: Settings, home: Path) -> None:
    logged(settings, lambda: _log.info("a line"), now=AT)
    folder = home / "logs"
    (folder / "sync-2026-11-24.log.gz").write_bytes(b"half")
    (folder / "sync-2026-11-24.log.gz.77.partial").write_bytes(b"half")
    os.utime(folder / "sync-2026-11-24.log.gz.77.partial", (AT - DAY, AT - DAY))
    compress_and_remove(settings, AT + DAY)
    assert [path.name for path in folder.iterdir()] == ["sync-2026-11-24.log.gz"]
    with gzip.open(folder / "sync-2026-11-24.log.gz", "rt", encoding="ascii") as packed:
        assert json.loads(packed.read())["message"] == "a line"


def test_a_day_that_a_clock_going_back_lets_begin_again_keeps_its_first_lines(settings: Settings, home: Path) -> None:
    packed = home / "logs" / "sync-2026-11-24.log.gz"
    packed.parent.mkdir()
    for said in ("first\n", "first\nsecond\n", "third\n", "third\n"):  # the second and fourth: a kill left the plain file
        packed.with_suffix("").write_text(said, encoding="ascii")
        compress_and_remove(settings, AT + DAY)
    with gzip.open(packed, "rt", encoding="ascii") as lines:
        assert lines.read() == "first\nsecond\nthird\n"


def test_nothing_but_our_logs_is_touched(settings: Settings, home: Path) -> None:
    folder = home / "logs"
    folder.mkdir()
    for name in ("notes.txt", "sync-2020-01-01.log.bak", "sync-2020-99-99.log", "SYNC-2020-01-01.log"):
        (folder / name).write_text("mine")
    old = folder / "whatsapp-mcp.log.1"
    old.write_text("of an earlier version")
    os.utime(old, (AT - 200 * DAY, AT - 200 * DAY))
    compress_and_remove(settings, AT)
    assert {path.name for path in folder.iterdir()} == {
        "notes.txt", "sync-2020-01-01.log.bak", "sync-2020-99-99.log", "SYNC-2020-01-01.log",
    }  # fmt: skip


def test_the_output_of_the_jobs_is_emptied_in_place_when_there_is_much(settings: Settings, home: Path) -> None:
    path = home / "logs" / "scheduler.log"
    path.parent.mkdir()
    with path.open("ab") as held:
        held.write(b"said\n" * 300_000)
        held.flush()
        compress_and_remove(settings, AT)
        held.write(b"more\n")
    assert path.read_bytes() == b"more\n"
    with gzip.open(path.with_name("scheduler-2026-11-24.log.gz"), "rb") as packed:
        assert packed.read() == b"said\n" * 300_000


@pytest.mark.parametrize("value", ["0", "-1", "many", "99999999", "٣"])
def test_a_wrong_number_of_days_is_said(settings: Settings, home: Path, tmp_path: Path, value: str) -> None:
    wrong = Settings.load({"WHATSAPP_MCP_HOME": str(home), "LOG_KEEP_DAYS": value}, tmp_path)
    with pytest.raises(SettingsError, match="LOG_KEEP_DAYS"):
        compress_and_remove(wrong, AT)


def test_the_rotation_is_a_step_of_the_maintenance(home: Path) -> None:
    archive = fill(open_archive(home), range(1), messages=1)
    logged(archive.settings, lambda: _log.info("a line"), now=archive.clock.now() - DAY)
    step = {"logs": lambda: compress_and_remove(archive.settings, archive.clock.now())}
    said = {one.name: (one.state, one.said) for one in maintain(archive, extra=step).steps}
    assert said["logs"] == ("ok", "1 compressed, 0 older than 90 days removed.")


@pytest.mark.parametrize("obstacle", ["logs", "logs/today"])
def test_an_unwritable_log_folder_is_one_warning_and_the_work_goes_on(
    home: Path, capsys: pytest.CaptureFixture[str], obstacle: str
) -> None:
    archive = fill(open_archive(home), range(1), messages=1)
    if obstacle == "logs":
        (home / "logs").write_text("a file stands here")
    else:
        log_path(home, SYNC, datetime.now(archive.settings.timezone).date()).mkdir(parents=True)
    assert main(["--home", str(home), "rebuild"]) == 0
    said = capsys.readouterr()
    assert "1 messages made anew" in said.out
    assert "the log cannot be written" in one_line(said.err)
    assert ("move it away" if obstacle == "logs" else "doctor") in said.err


async def test_a_sync_with_a_failing_chat_leaves_numbers_in_the_log_and_nobodys_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = (400, json.dumps({"message": f"chat {person(3)} of Noor Example is gone, token {TOKEN}"}))
    gateway = SmallGateway(histories={person(2): 5, person(3): 7}, faults={f"getChatHistory {person(3)}": refused})
    async with loopback(gateway) as server:
        for name, value in (("URL", server.url), ("ID_INSTANCE", ID), ("TOKEN_INSTANCE", TOKEN), ("RATE_SCALE", "1000")):
            monkeypatch.setenv(f"GREEN_API_{name}", value)
        code = await anyio.to_thread.run_sync(main, ["--home", str(home), "sync", "full"])
    assert code == 3
    text = "".join(path.read_text(encoding="ascii") for path in all_logs(home))
    assert not any(word in text for word in (TOKEN, ID, "Noor", "15550", "message 1", "waInstance"))
    ended = next(line for line in lines(home) if line["message"].startswith("the run full ends: partial"))
    assert ended["level"] == "warning"
    assert ended["run"] == 1
    assert ended["seconds"] >= 0
    assert "1 failed" in ended["message"]
    assert any(line["message"] == "writing.sync_full ends with 3" and line["seconds"] >= 0 for line in lines(home))
