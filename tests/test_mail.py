from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from smtp_sink import PASSWORD, READER, USER, authority, dropping_server, mail_server, silent_server

from whatsapp_mcp.cli import main
from whatsapp_mcp.config import Settings
from whatsapp_mcp.errors import MailError, MailUnreachable, SettingsError
from whatsapp_mcp.logs import all_logs
from whatsapp_mcp.mailbox import Mailbox, mailbox
from whatsapp_mcp.reports.letter import write
from whatsapp_mcp.reports.mail import MessageRefused, send_one
from whatsapp_mcp.reports.page import Row, Section, report

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

    from smtp_sink import Sink

ZONE = ZoneInfo("Asia/Jerusalem")
NOW = 1_795_500_000.0
HEBREW = "משפחה 2026"


def box(port: int, **values: Any) -> Mailbox:
    told = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_SECURITY": "none", "REPORT_TO": READER}
    return mailbox({**told, **{name: str(value) for name, value in values.items()}})


def login(port: int, **values: Any) -> Mailbox:
    return box(port, **{"SMTP_USER": USER, "SMTP_PASSWORD": PASSWORD, **values})


def letter(to: Mailbox, subject: str = "WhatsApp archive: 12 new messages") -> EmailMessage:
    rows = (Row(HEBREW, "12", is_name=True), Row("Ann & <b>Bo</b>", "1,204", is_name=True))
    return write(report(subject, "12 new messages.", [Section("Chats", rows=rows)], "foot"), to, now=NOW, zone=ZONE)


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


def line(error: BaseException) -> str:
    said = str(error)
    assert "\n" not in said
    assert PASSWORD not in said
    return said


async def test_a_report_arrives_through_starttls_after_a_login(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with mail_server(starttls=own.server, login=True) as sink:
        to = login(sink.port, SMTP_SECURITY="starttls", SMTP_CA_FILE=own.ca_file)
        assert await send_one(to, letter(to)) == 0
    assert sink.logins == [USER]
    assert sink.recipients == [[READER]]


async def test_a_report_arrives_through_tls(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with mail_server(tls=own.server, login=True) as sink:
        to = login(sink.port, SMTP_SECURITY="tls", SMTP_CA_FILE=own.ca_file)
        await send_one(to, letter(to))
    assert len(sink.letters) == 1


async def received(**values: Any) -> tuple[EmailMessage, Sink]:
    with mail_server() as sink:
        to = box(sink.port, **values)
        await send_one(to, letter(to))
    return sink.letters[0], sink


async def test_text_and_html_stand_side_by_side_and_say_the_same() -> None:
    message, _ = await received()
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for body in parts(message):
        assert HEBREW in body
        assert "1,204" in body


async def test_names_from_right_to_left_are_isolated_from_the_numbers_beside_them() -> None:
    text, html = parts((await received())[0])
    assert f"\u2068{HEBREW}\u2069: 12" in text
    assert f'<bdi dir="auto">{HEBREW}</bdi>' in html
    assert '<bdi dir="auto">Ann &amp; &lt;b&gt;Bo&lt;/b&gt;</bdi>' in html


async def test_the_headers_tell_who_when_and_that_nobody_should_answer() -> None:
    message, _ = await received(REPORT_FROM="Der Wächter <archive@example.com>", REPORT_TO=f"Zoë <{READER}>, b@example.org")
    assert message["From"] == "Der Wächter <archive@example.com>"
    assert message["To"] == f"Zoë <{READER}>, b@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() == NOW
    assert message["Message-ID"].endswith("@example.com>")


async def test_any_mail_server_can_carry_it_whatever_alphabet_it_speaks() -> None:
    _, sink = await received()
    assert sink.bodies[0].isascii()
    assert max(map(len, sink.bodies[0].splitlines())) < 998


def test_the_same_report_has_the_same_id_and_another_has_another() -> None:
    to = box(25)
    assert letter(to)["Message-ID"] == letter(to)["Message-ID"] != letter(to, "else")["Message-ID"]


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
async def test_a_subject_cannot_bring_a_header_along(end: str) -> None:
    with mail_server() as sink:
        to = box(sink.port)
        await send_one(to, letter(to, f"News{end}Bcc: other@example.com{end}{end}body"))
    assert sink.letters[0]["Bcc"] is None
    assert sink.letters[0]["Subject"] == "News Bcc: other@example.com body"
    assert sink.recipients == [[READER]]


@pytest.mark.parametrize(
    "address", ["a@example.com\r\nBcc: b@example.com", "a b@example.com", "nobody", "ä@example.com", "a@b, ,"]
)
@pytest.mark.parametrize("name", ["REPORT_TO", "REPORT_FROM"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(name: str, address: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} holds something that is no e-mail address"):
        box(25, **{name: address})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SMTP_HOST": ""}, "SMTP_HOST is not set"),
        ({"SMTP_HOST": "a host"}, "SMTP_HOST is no host name"),
        ({"SMTP_PORT": "70000"}, "SMTP_PORT is no port"),
        ({"SMTP_PORT": "٢٥"}, "SMTP_PORT is no port"),
        ({"SMTP_SECURITY": "ssl"}, "neither starttls nor tls nor none"),
        ({"SMTP_USER": USER}, "SMTP_PASSWORD is not"),
        ({"SMTP_PASSWORD": PASSWORD}, "SMTP_USER is not"),
        ({"REPORT_TO": ""}, "REPORT_TO is not set"),
        ({"SMTP_CA_FILE": "/nowhere/ca.pem"}, "there is no file"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(values: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        box(25, **values)
    line(caught.value)


def test_what_is_not_told_has_the_usual_value() -> None:
    assert mailbox({"SMTP_HOST": "mail.example.com", "REPORT_TO": READER}) == Mailbox(
        "mail.example.com", 587, "starttls", ("", READER), (("", READER),)
    )
    assert box(0, SMTP_PORT="", SMTP_SECURITY="TLS").port == 465
    assert login(25).sender == ("", USER)


def test_the_password_is_in_no_representation(tmp_path: Path) -> None:
    settings = Settings.load({"SMTP_PASSWORD": PASSWORD, "SMTP_USER": USER, "SMTP_HOST": "h", "REPORT_TO": READER}, tmp_path)
    assert PASSWORD not in repr(settings) + repr(settings.mailbox())


async def refusal(to: Mailbox, *, deadline: float = 20.0) -> MailError:
    with pytest.raises(MailError) as caught:
        await send_one(to, letter(to), deadline=deadline)
    line(caught.value)
    return caught.value


async def test_a_wrong_password_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with mail_server(starttls=own.server, login=True) as sink:
        error = await refusal(
            login(sink.port, SMTP_SECURITY="starttls", SMTP_CA_FILE=own.ca_file, SMTP_PASSWORD=f"{PASSWORD}x")
        )
    assert "refused the user name or the password (535). Check SMTP_USER and SMTP_PASSWORD" in str(error)
    assert not sink.letters


async def test_a_certificate_of_an_unknown_authority_is_refused_before_the_password_is_sent(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with mail_server(starttls=own.server, login=True) as sink:
        error = await refusal(login(sink.port, SMTP_SECURITY="starttls"))
    assert "has a certificate that cannot be trusted. Set SMTP_HOST to the name in the certificate, or SMTP_CA_FILE" in str(
        error
    )
    assert not sink.logins


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_for_another_name_is_refused(tmp_path: Path, security: str) -> None:
    own = authority(tmp_path, "other.example.com")
    with mail_server(**{security: own.server}) as sink:  # type: ignore[arg-type]
        error = await refusal(box(sink.port, SMTP_SECURITY=security, SMTP_CA_FILE=own.ca_file))
    assert "certificate that cannot be trusted" in str(error)
    assert not sink.letters


async def test_a_server_without_starttls_gets_neither_password_nor_report() -> None:
    with mail_server(login=True) as sink:
        error = await refusal(login(sink.port, SMTP_SECURITY="starttls"))
    assert "does not offer STARTTLS. Try SMTP_SECURITY=tls" in str(error)
    assert not sink.logins
    assert not sink.letters


async def test_tls_where_the_server_wants_starttls_says_so(tmp_path: Path) -> None:
    own = authority(tmp_path)
    with mail_server(starttls=own.server) as sink:
        error = await refusal(box(sink.port, SMTP_SECURITY="tls", SMTP_CA_FILE=own.ca_file))
    assert "does not answer in TLS. Try SMTP_SECURITY=starttls with port 587" in str(error)


async def test_a_login_that_the_server_does_not_offer_says_so() -> None:
    with mail_server() as sink:
        error = await refusal(login(sink.port))
    assert "does not offer to log in" in str(error)


async def test_a_certificate_file_without_certificates_says_so(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    error = await refusal(box(25, SMTP_SECURITY="tls", SMTP_CA_FILE=tmp_path / "ca.pem"))
    assert "holds no certificates. Set SMTP_CA_FILE to a PEM file." in str(error)


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example.com\r\n", b"220-mail"])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
async def test_a_server_that_hangs_costs_no_more_than_the_deadline(greeting: bytes, security: str) -> None:
    with silent_server(greeting) as port:
        error = await refusal(box(port, SMTP_SECURITY=security), deadline=0.2)
    assert isinstance(error, MailUnreachable) or "TLS" in str(error)
    assert error.advice


async def test_a_server_that_took_the_report_and_hangs_at_the_goodbye_has_taken_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whatsapp_mcp.reports.mail._GOODBYE", 0.05)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("aiosmtpd.smtp.SMTP.smtp_QUIT", never)
    with mail_server() as sink:
        to = box(sink.port)
        assert await send_one(to, letter(to), deadline=20) == 0
    assert len(sink.letters) == 1


@pytest.mark.parametrize("greeting", [b"", b"220 mail.example.com\r\n", b"554 go away\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_a_server_that_hangs_up_or_is_none_is_one_line(greeting: bytes) -> None:
    with dropping_server(greeting) as port:
        assert (await refusal(box(port))).advice


async def test_a_server_that_is_down_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    error = await refusal(box(port))
    assert isinstance(error, MailUnreachable)
    assert f"No mail server answers at 127.0.0.1, port {port}." in str(error)


async def test_a_host_that_does_not_exist_is_one_line() -> None:
    error = await refusal(box(25, SMTP_HOST="mail.invalid"))
    assert isinstance(error, MailUnreachable)
    assert "There is no host mail.invalid, or no network." in str(error)


async def test_refused_recipients_are_counted_and_all_of_them_are_an_error() -> None:
    with mail_server(refuse_recipients=("b@example.org",)) as sink:
        some, none = box(sink.port, REPORT_TO=f"{READER}, b@example.org"), box(sink.port, REPORT_TO="b@example.org")
        assert await send_one(some, letter(some)) == 1
        error = await refusal(none)
    assert sink.recipients == [[READER]]
    assert "refused every recipient (550). Check REPORT_TO" in str(error)


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ({"refuse_sender": "553 5.7.1 not yours"}, MailError, "refused the sender (553). Set REPORT_FROM"),
        ({"refuse_data": lambda _: "554 5.7.1 spam"}, MessageRefused, "refused the message (554)"),
        ({"refuse_data": lambda _: "451 4.7.1 grey"}, MailUnreachable, "(451). It may accept the next"),
    ],
)
async def test_a_refusal_says_whose_fault_it_is(how: dict[str, Any], kind: type[MailError], said: str) -> None:
    with mail_server(**how) as sink:
        error = await refusal(box(sink.port))
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize(
    ("values", "is_bare"),
    [
        ({}, False),
        ({"SMTP_HOST": "localhost"}, False),
        ({"SMTP_HOST": "mail.example.com"}, True),
        ({"SMTP_HOST": "::1"}, False),
    ],
)
def test_a_password_that_would_travel_unprotected_is_noticed(values: dict[str, str], *, is_bare: bool) -> None:
    assert login(25, **values).bare_password is is_bare
    assert not box(25, **values).bare_password


@pytest.fixture
def configured(home: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in {"SMTP_HOST": "127.0.0.1", "SMTP_SECURITY": "none", "REPORT_TO": READER}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WHATSAPP_MCP_HOME", str(home))
    monkeypatch.setenv("WHATSAPP_MCP_TIMEZONE", "Asia/Jerusalem")
    return monkeypatch


def test_the_command_sends_a_test_report_without_an_archive_and_leaves_nothing_behind(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    with mail_server() as sink:
        configured.setenv("SMTP_PORT", str(sink.port))
        assert main(["send-test-report"]) == 0
    assert capsys.readouterr().out == f"Sent to {READER} through 127.0.0.1, port {sink.port}, with no encryption.\n"
    assert sink.letters[0]["Subject"] == "Test: WhatsApp archive"
    assert not home.exists()


def test_the_command_shows_what_happened_in_the_archive(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    chat = tmp_path / "WhatsApp Chat with Alex.txt"
    chat.write_text("14/08/2025, 10:30 - Alex: a very private sentence\n14/08/2025, 10:31 - Sam: yes\n", encoding="utf-8")
    assert main(["import", str(chat), "--me", "Sam"]) == 0
    with mail_server() as sink:
        configured.setenv("SMTP_PORT", str(sink.port))
        capsys.readouterr()
        assert main(["send-test-report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipients"] == [READER]
    text, html = parts(sink.letters[0])
    assert "messages: 2" in text
    assert "private sentence" not in text + html


def test_the_command_fails_with_one_line_and_tells_the_password_nowhere(
    configured: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    home.mkdir()
    configured.setenv("SMTP_USER", USER)
    configured.setenv("SMTP_PASSWORD", f"{PASSWORD}x")
    with mail_server(login=True) as sink:
        configured.setenv("SMTP_PORT", str(sink.port))
        assert main(["send-test-report", "--debug"]) == 1
    out, err = capsys.readouterr()
    log = all_logs(home)[0].read_text(encoding="utf-8")
    assert "refused the user name or the password (535)" in err
    for where in (out, err, log, caplog.text):
        assert PASSWORD not in where
