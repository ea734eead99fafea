from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from smtp_sink import READER, Sink, mail_server, silent_server

from whatsapp_mcp.errors import MailUnreachable, StorageError
from whatsapp_mcp.mailbox import Mailbox, mailbox
from whatsapp_mcp.reports.letter import write
from whatsapp_mcp.reports.outbox import KEPT, Delivery, LeftOut, Outbox, deliver
from whatsapp_mcp.reports.page import Report, report

if TYPE_CHECKING:
    from pathlib import Path

ZONE = ZoneInfo("UTC")
START = 1_795_500_000


@pytest.fixture
def outbox(home: Path) -> Outbox:
    return Outbox(home)


def box(port: int, to: str = READER) -> Mailbox:
    return mailbox({"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "none", "REPORT_TO": to})


def news(number: int) -> Report:
    return report(f"Report {number}", f"This is report {number}.", (), "foot")


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        return int(held.getsockname()[1])


async def send(outbox: Outbox, to: Mailbox, number: int | None, **how: Any) -> Delivery:
    now = START + (number or 0) * 3600
    return await deliver(outbox, to, None if number is None else news(number), now=now, zone=ZONE, **how)


def subjects(sink: Sink) -> list[str]:
    return [str(letter["Subject"]) for letter in sink.letters]


async def test_a_report_that_was_sent_waits_no_more(outbox: Outbox) -> None:
    with mail_server() as sink:
        assert await send(outbox, box(sink.port), 1) == Delivery(sent=1)
    assert subjects(sink) == ["Report 1"]
    assert not outbox.waiting()


async def test_a_dead_mail_server_is_no_error_and_the_report_goes_with_the_next_oldest_first(outbox: Outbox) -> None:
    dead = box(dead_port())
    for number in (1, 2):
        delivery = await send(outbox, dead, number)
        assert (delivery.sent, delivery.waiting) == (0, number)
        assert isinstance(delivery.error, MailUnreachable)
    with mail_server() as sink:
        assert await send(outbox, box(sink.port), 3) == Delivery(sent=3)
    assert subjects(sink) == ["Report 1", "Report 2", "Report 3"]
    assert [letter["Date"].datetime.timestamp() for letter in sink.letters] == [START + 3600 * number for number in (1, 2, 3)]


async def test_what_waits_is_read_by_nobody_else(outbox: Outbox) -> None:
    await send(outbox, box(dead_port()), 1)
    (path,) = outbox.waiting()
    assert path.stat().st_mode & 0o777 == 0o600
    assert outbox.folder.stat().st_mode & 0o777 == 0o700
    assert [other.name for other in outbox.folder.iterdir()] == [path.name]


async def test_a_report_that_waited_goes_where_the_settings_point_now(outbox: Outbox) -> None:
    await send(outbox, box(dead_port(), "old@example.com"), 1)
    with mail_server() as sink:
        await send(outbox, box(sink.port, "new@example.com"), None)
    assert sink.recipients == [["new@example.com"]]
    assert sink.letters[0]["To"] == "new@example.com"
    assert "old@example.com" not in sink.bodies[0].decode().partition("\r\n\r\n")[0].replace("Message-ID", "")


async def test_nothing_to_send_asks_no_server(outbox: Outbox) -> None:
    assert await send(outbox, box(dead_port()), None) == Delivery()
    assert not outbox.folder.exists()


async def test_a_server_that_hangs_costs_one_deadline_for_all_and_loses_nothing(outbox: Outbox) -> None:
    with silent_server(b"220 mail.example.com\r\n") as port:
        deliveries = [await send(outbox, box(port), number, deadline=0.1) for number in (1, 2, 3)]
    assert [one.waiting for one in deliveries] == [1, 2, 3]
    assert isinstance(deliveries[-1].error, MailUnreachable)


async def test_of_more_than_fifty_the_oldest_are_only_counted_and_that_is_told_first(outbox: Outbox) -> None:
    dead = box(dead_port())
    for number in range(KEPT + 3):
        outbox.keep(write(news(number), dead, now=START + number * 3600, zone=ZONE), START + number * 3600)
    assert len(outbox.waiting()) == KEPT
    assert outbox.left_out() == LeftOut(3, START, START + 2 * 3600)
    with mail_server() as sink:
        assert await send(outbox, box(sink.port), KEPT + 3) == Delivery(sent=KEPT)
    said = sink.letters[0].get_body(("plain",))
    assert said is not None
    assert "4 earlier reports, from Tue 2026-11-24 06:00 to Tue 2026-11-24 09:00, could not be sent" in said.get_content()
    assert subjects(sink)[1:3] == ["Report 4", "Report 5"]
    assert outbox.left_out() is None


async def test_a_report_that_the_server_refuses_for_itself_does_not_hold_up_the_others(outbox: Outbox) -> None:
    def spam(letter: Any) -> str | None:
        return "554 spam" if letter["Subject"] == "Report 1" else None

    await send(outbox, box(dead_port()), 1)
    with mail_server(refuse_data=spam) as sink:
        delivery = await send(outbox, box(sink.port), 2)
    assert (delivery.sent, delivery.waiting) == (1, 1)
    assert "refused the message (554)" in str(delivery.error)


async def test_a_server_that_goes_away_in_the_middle_keeps_the_rest_waiting(outbox: Outbox) -> None:
    for number in (1, 2):
        await send(outbox, box(dead_port()), number)
    sent: list[str] = []

    def only_one(letter: Any) -> str | None:
        sent.append(str(letter["Subject"]))
        return "421 closing" if len(sent) > 1 else None

    with mail_server(refuse_data=only_one) as sink:
        delivery = await send(outbox, box(sink.port), 3)
    assert (delivery.sent, delivery.waiting) == (1, 2)
    with mail_server() as sink:
        await send(outbox, box(sink.port), None)
    assert subjects(sink) == ["Report 2", "Report 3"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff",
        b"no headers at all",
        b"Subject: only\r\n\r\n",
        b'Subject: a\nMessage-ID: <name*0*=@\n%[";\n\n',
        b"Subject: a\nMessage-ID: <>=?utf-8?b?!!?=\n)abc\n\n",
    ],
)
async def test_a_damaged_file_is_put_aside_and_the_others_go_out(outbox: Outbox, body: bytes) -> None:
    await send(outbox, box(dead_port()), 1)
    (outbox.folder / "20200101T000000Z-damaged.eml").write_bytes(body)
    with mail_server() as sink:
        assert await send(outbox, box(sink.port), 2) == Delivery(sent=2)
    assert [path.name for path in outbox.folder.iterdir()] == ["20200101T000000Z-damaged.unreadable"]


@pytest.mark.parametrize(
    "note",
    ['{"count": "many"}', '{"count": 1, "first_at": 1e30, "last_at": 1}', '{"count": 1, "first_at": Infinity, "last_at": -1}'],
)
async def test_a_damaged_note_of_what_was_left_out_is_forgotten(outbox: Outbox, note: str) -> None:
    await send(outbox, box(dead_port()), 1)
    (outbox.folder / "left-out.json").write_text(note)
    with mail_server() as sink:
        assert await send(outbox, box(sink.port), 2) == Delivery(sent=2)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_cannot_be_written_is_one_line(outbox: Outbox, home: Path) -> None:
    home.mkdir(mode=0o500)  # noqa: ASYNC240 - a folder of this test, made at once
    with pytest.raises(StorageError, match="cannot be written"):
        await send(outbox, box(dead_port()), 1)


async def test_a_file_in_the_place_of_the_folder_is_one_line(outbox: Outbox, home: Path) -> None:
    home.mkdir()  # noqa: ASYNC240 - the same
    outbox.folder.write_text("")
    with pytest.raises(StorageError):
        await send(outbox, box(dead_port()), 1)


def test_a_note_of_what_was_left_out_that_cannot_be_taken_away_is_one_line(outbox: Outbox) -> None:
    (outbox.folder / "left-out.json").mkdir(parents=True)
    with pytest.raises(StorageError):
        outbox.forget_left_out()
