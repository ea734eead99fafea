from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import crontabs
import pytest

from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import SchedulingError, SettingsError
from whatsapp_mcp.schedule.cron import BEGIN, END, Cron, block, without_block
from whatsapp_mcp.schedule.plan import Plan, find_program, same_clock
from whatsapp_mcp.schedule.programs import run
from whatsapp_mcp.timetable import Moment, Timetable, timetable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crontabs import Crontab

    from whatsapp_mcp.schedule.plan import Change

UTC = ZoneInfo("UTC")
JERUSALEM = ZoneInfo("Asia/Jerusalem")
NOW = 1_795_500_000.0
THEIRS = b"# mine \xff\xfe\nMAILTO=sam\n*/5 * * * * echo '100\\%' \t\n\n@daily /bin/true\n"
ODD = "home with 'quotes', \"more\", 100% $HOME `x` & ünï קר\u05d9\u05d0\u05d4"


def plan(
    home: Path, zone: ZoneInfo = UTC, program: tuple[str, ...] = ("/venv/bin/whatsapp-mcp-scheduler",), **values: str
) -> Plan:
    return Plan(program, home, zone, timetable(values), "sam")


def cron(zone: ZoneInfo = UTC) -> Cron:
    return Cron(zone, lambda: NOW)


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line[0] in "0123456789*"]


def as_cron_reads(command: str) -> str:
    """What cron gives to the shell: up to a bare %, with the backslash before an escaped one taken away (crontab(5))."""
    given: list[str] = []
    letters = iter(command)
    for letter in letters:
        if letter == "\\":
            after = next(letters, "")
            given.append(after if after in "%\\" else letter + after)
        elif letter == "%":
            break
        else:
            given.append(letter)
    return "".join(given)


@pytest.fixture(params=["stand-in", "real"])
def crontab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Crontab:
    make: Callable[..., Crontab] = {"stand-in": crontabs.stand_in, "real": crontabs.real}[request.param]
    return make(tmp_path / "bin", monkeypatch)


def test_two_daily_lines_and_a_sunday_one_stand_between_the_marks(home: Path) -> None:
    text = block(plan(home), name_zone=False)
    assert text.startswith(f"{BEGIN}\n")
    assert text.endswith(f"\n{END}\n")
    command = f"/venv/bin/whatsapp-mcp-scheduler --once {{}} --home {home} >>{home}/logs/scheduler.log 2>&1"
    assert lines(text) == [
        f"0 8 * * * {command.format('recent')}",
        f"0 20 * * * {command.format('recent')}",
        f"0 2 * * 0 {command.format('maintenance')}",
    ]


def test_times_and_days_come_from_the_settings(home: Path) -> None:
    text = block(plan(home, SCHEDULE_RECENT="7:05", SCHEDULE_MAINTENANCE="Mon 23:59, saturday 1:00"), name_zone=False)
    assert [line.split(" /")[0] for line in lines(text)] == ["5 7 * * *", "59 23 * * 1", "0 1 * * 6"]


def test_installing_twice_changes_nothing_and_leaves_every_other_byte(crontab: Crontab, home: Path) -> None:
    crontab.write(THEIRS)
    before = crontab.read()
    assert cron().install(plan(home)).places == ("crontab",)
    installed = crontab.read()
    assert installed == (before or b"") + block(plan(home), name_zone=False).encode()
    assert cron().install(plan(home)).places == ()
    assert crontab.read() == installed
    assert cron().remove().places == ("crontab",)
    assert crontab.read() == before == THEIRS


def test_a_later_installation_replaces_the_earlier_one_wherever_it_stands(crontab: Crontab, home: Path) -> None:
    crontab.write(THEIRS)
    cron().install(plan(home))
    crontab.write((crontab.read() or b"") + b"0 1 * * * /bin/later\n")
    cron().install(plan(home, SCHEDULE_RECENT="06:30"))
    text = crontab.read() or b""
    assert text.count(BEGIN.encode()) == 1
    assert text.startswith(THEIRS + b"0 1 * * * /bin/later\n" + BEGIN.encode())
    assert b"30 6 * * *" in text


def test_without_a_crontab_one_is_made_and_taken_away_again(crontab: Crontab, home: Path) -> None:
    cron().install(plan(home))
    assert (crontab.read() or b"").startswith(BEGIN.encode())
    cron().remove()
    assert not crontab.read()
    assert cron().remove().places == ()


def test_the_log_is_there_and_only_its_owner_reads_it(crontab: Crontab, home: Path) -> None:
    cron().install(plan(home))
    log = home / "logs" / "scheduler.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def test_a_path_with_odd_letters_arrives_as_it_is(crontab: Crontab, tmp_path: Path) -> None:
    home = tmp_path / ODD
    program = tmp_path / f"bin of {ODD}"
    program.mkdir()
    crontabs.write_program(program / "whatsapp-mcp-scheduler", crontabs.SHOW_WORDS)
    cron().install(plan(home, program=(str(program / "whatsapp-mcp-scheduler"),)))
    command = lines((crontab.read() or b"").decode())[0].split(" ", 5)[5]
    subprocess.run(["/bin/sh", "-c", as_cron_reads(command)], check=True, timeout=30)
    assert (program / "words").read_text(encoding="utf-8").splitlines() == ["--once", "recent", "--home", str(home)]
    assert (home / "logs" / "scheduler.log").read_text() == "said\n"


@pytest.mark.parametrize("name", ["back\\slash", "two\nlines", "\udcff", "x" * 1000])
def test_a_path_that_no_crontab_can_hold_is_one_line_and_changes_nothing(crontab: Crontab, tmp_path: Path, name: str) -> None:
    crontab.write(THEIRS)
    with pytest.raises(SchedulingError) as caught:
        cron().install(plan(tmp_path / name))
    assert "\n" not in str(caught.value)
    assert caught.value.advice
    assert crontab.read() == THEIRS


@pytest.mark.parametrize(
    "text",
    [
        f"{BEGIN}\n@daily a\n",
        f"@daily a\n{END}\n",
        f"{BEGIN}\n{BEGIN}\n{END}\n",
        f"{END}\n{BEGIN}\n",
        f"{BEGIN}\n{END}\n{END}\n",
    ],
)
def test_a_mark_without_its_other_is_left_to_the_user(crontab: Crontab, home: Path, text: str) -> None:
    crontab.write(text.encode())
    changes: tuple[Callable[[], Change], ...] = (lambda: cron().install(plan(home)), cron().remove)
    for change in changes:
        with pytest.raises(SchedulingError, match=r"has lost its line .* Mend it with `crontab -e`; nothing was changed"):
            change()
    assert crontab.read() == text.encode()


@pytest.mark.parametrize("text", [b"", b"a\n", b"a\r\nb\r\n", b"a", THEIRS])
def test_taking_out_what_is_not_there_changes_no_byte(text: bytes) -> None:
    assert without_block(text) == text


def test_a_cron_that_knows_zones_is_told_the_users(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crontabs.stand_in(tmp_path / "bin", monkeypatch, version="cronie 1.7.2")
    text = cron().items(plan(home, JERUSALEM))[0].text
    assert "\nCRON_TZ=Asia/Jerusalem\n0 8 " in text
    assert not any("zone" in note for note in cron().notes(plan(home, JERUSALEM)))


def test_where_cron_knows_no_zones_the_difference_is_told(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crontabs.stand_in(tmp_path / "bin", monkeypatch)
    assert "CRON_TZ" not in cron().items(plan(home, JERUSALEM))[0].text
    assert "by the computer's clock (UTC), not in Asia/Jerusalem" in cron().notes(plan(home, JERUSALEM))[0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("UTC", "Etc/UTC", True), ("Europe/Berlin", "Europe/Madrid", True), ("Europe/London", "UTC", False),
        ("Asia/Jerusalem", "Asia/Beirut", False),
    ],
)  # fmt: skip
def test_zones_are_the_same_that_always_show_the_same_time(one: str, other: str, *, same: bool) -> None:
    assert same_clock(ZoneInfo(one), ZoneInfo(other), NOW) is same


def test_no_zone_is_named_where_the_computer_has_the_users(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crontabs.stand_in(tmp_path / "bin", monkeypatch, version="cronie 1.7.2")
    assert "CRON_TZ" not in cron(JERUSALEM).items(plan(home, JERUSALEM))[0].text


def test_a_user_who_may_not_use_cron_gets_its_own_words(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "#!/bin/sh\necho 'You (sam) are not allowed to use this program (crontab)' >&2\nexit 1\n"
    crontabs.Crontab(tmp_path / "bin").install(words, monkeypatch)
    with pytest.raises(SchedulingError, match=r"crontab refused: You \(sam\) are not allowed .*cron\.allow"):
        cron().install(plan(home))


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("cron", "no program crontab"),
        ("systemd", "no program systemctl"),
        ("windows", "no program schtasks"),
        ("launchd", "launch"),
    ],
)
def test_a_computer_without_the_program_gets_one_line_with_the_remedy(
    kind: str, said: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert main(["schedule", "install", "--kind", kind, "--home", str(home)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "--kind" in err
    assert not home.exists()


@pytest.mark.usefixtures("no_programs")
@pytest.mark.parametrize("kind", ["cron", "systemd", "windows", "launchd"])
def test_showing_needs_no_program_and_changes_nothing(
    kind: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user" / "config"))
    assert main(["schedule", "show", "--kind", kind, "--home", str(home)]) == 0
    assert "maintenance" in capsys.readouterr().out
    assert not home.exists()
    assert not (tmp_path / "user").exists()


def test_what_is_shown_is_what_is_installed(
    crontab: Crontab, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATSAPP_MCP_HOME", str(home))
    words = ["--kind", "cron"]
    assert main(["schedule", "show", *words]) == 0
    shown = capsys.readouterr().out
    assert main(["schedule", "install", *words]) == 0
    assert crontab.read() == shown.encode()
    assert capsys.readouterr().out.startswith("Installed for cron.\n  recent: 08:00, 20:00 (")
    assert main(["schedule", "install", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] == []
    assert main(["schedule", "remove", *words]) == 0
    assert capsys.readouterr().out == "Removed from cron.\n"
    assert main(["schedule", "remove", *words]) == 0
    assert capsys.readouterr().out == "Nothing of this program was installed for cron.\n"


def test_settings_that_the_jobs_will_not_find_are_told(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREEN_API_TOKEN_INSTANCE", "abc")
    assert main(["schedule", "show", "--kind", "systemd", "--home", str(home)]) == 0
    assert f"move your .env into {home}" in capsys.readouterr().err


def test_what_is_started_is_the_scheduler_of_this_environment(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "show", "--kind", "cron", "--home", str(home)]) == 0
    words = shlex.split(as_cron_reads(lines(capsys.readouterr().out)[0].split(" ", 5)[5]))
    assert tuple(words[: len(find_program())]) == find_program()
    assert words[0].startswith("/")


def test_a_program_that_does_not_begin_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crontabs.Crontab(tmp_path / "bin").install("#!/no/such/shell\n", monkeypatch)
    with pytest.raises(SchedulingError, match="crontab cannot be run"):
        run("crontab", "-l", missing="Install it.")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SCHEDULE_RECENT": "24:00"}, "SCHEDULE_RECENT: '24:00' is no time. Write times like 08:00,20:00 or Sun 02:00."),
        ({"SCHEDULE_RECENT": "08:00,,20:00"}, "SCHEDULE_RECENT: '' is no time"),
        ({"SCHEDULE_RECENT": "8"}, "is no time"),
        ({"SCHEDULE_RECENT": "08:60"}, "is no time"),
        ({"SCHEDULE_RECENT": "٠٨:٠٠"}, "is no time"),
        ({"SCHEDULE_RECENT": ",".join(f"{hour}:{minute:02}" for hour in range(5) for minute in range(5))}, "at most 24"),
        ({"SCHEDULE_MAINTENANCE": "Sonntag 02:00"}, "SCHEDULE_MAINTENANCE: 'Sonntag 02:00' is no time"),
        ({"SCHEDULE_MAINTENANCE": "Sun 02:00; rm"}, "is no time"),
        ({"SCHEDULE_LISTEN": "true"}, "SCHEDULE_LISTEN is neither yes nor no"),
    ],
)
def test_a_wrong_time_is_one_line_that_names_the_setting(tmp_path: Path, values: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(values, tmp_path).timetable()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_times_are_sorted_named_once_and_readable(tmp_path: Path) -> None:
    told: dict[str, Any] = {
        "SCHEDULE_RECENT": "20:00, 8:00,08:00",
        "SCHEDULE_MAINTENANCE": "SUNDAY 2:00",
        "SCHEDULE_LISTEN": "Yes",
    }
    assert Settings.load(told, tmp_path).timetable() == Timetable(
        (Moment(8, 0), Moment(20, 0)), (Moment(2, 0, 6),), listen=True
    )
    assert str(Moment(2, 0, 6)) == "Sun 02:00"
    assert Settings.load({}, tmp_path).timetable() == Timetable((Moment(8, 0), Moment(20, 0)), (Moment(2, 0, 6),))
