"""``send-test-report``: whether the settings for e-mail are right, shown by a mail that arrives."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from whatsapp_mcp.cli.terminal import many, say, say_json
from whatsapp_mcp.errors import StorageError

if TYPE_CHECKING:
    from whatsapp_mcp.cli.run import Command
    from whatsapp_mcp.mailbox import Mailbox
    from whatsapp_mcp.reports.outbox import Delivery
    from whatsapp_mcp.reports.page import Report

_DAY: Final = 86_400
_WAYS: Final = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}


def send_test_report(command: Command) -> int:
    """Send a report of the last day, or a greeting where there is no archive yet, and then whatever waits."""
    from whatsapp_mcp.reports.letter import write
    from whatsapp_mcp.reports.mail import send_one
    from whatsapp_mcp.reports.outbox import Delivery, Outbox, deliver

    archive, settings = command.archive, command.archive.settings
    mailbox = settings.mailbox()
    now, zone = archive.clock.now(), settings.timezone
    refused = anyio.run(send_one, mailbox, write(_test(command), mailbox, now=now, zone=zone))
    outbox = Outbox(archive.home)
    waited = Delivery()
    if outbox.waiting():
        waited = anyio.run(partial(deliver, outbox, mailbox, None, now=now, zone=zone))
    if command.args.json:
        say_json(_object(mailbox, refused, waited))
    else:
        _tell(mailbox, refused, waited)
    return 0


def _test(command: Command) -> Report:
    from whatsapp_mcp.reports.daily import FOOT, daily
    from whatsapp_mcp.reports.gathering import gather_daily
    from whatsapp_mcp.reports.page import Row, Section, report

    archive, settings = command.archive, command.archive.settings
    names = settings.report_names()
    since = int(archive.clock.now()) - _DAY
    try:
        values, _ = gather_daily(archive.queries, since, zone=settings.timezone, names=names)
    except StorageError as error:
        example = Section("A name from right to left stands like this", rows=(Row("משפחה 2025", "12", is_name=True),))
        lead = f"E-mail works. This is a test; reports will look like it. {error.what}"
        return report("Test: WhatsApp archive", lead, (example,), FOOT)
    real = daily(values)
    return replace(real, subject=f"Test: {real.subject}")


def _object(mailbox: Mailbox, refused: int, waited: Delivery) -> dict[str, object]:
    return {
        "sent": True,
        "server": mailbox.host,
        "port": mailbox.port,
        "security": mailbox.security,
        "recipients": [address for _, address in mailbox.recipients],
        "recipients_refused": refused,
        "password_unprotected": mailbox.bare_password,
        "waited_sent": waited.sent,
        "waiting": waited.waiting,
    }


def _tell(mailbox: Mailbox, refused: int, waited: Delivery) -> None:
    from whatsapp_mcp.reports.mail import UNPROTECTED

    to = ", ".join(address for _, address in mailbox.recipients)
    say(f"Sent to {to} through {mailbox.host}, port {mailbox.port}, with {_WAYS[mailbox.security]}.")
    if mailbox.bare_password:
        say(f"Warning: {UNPROTECTED}")
    if refused:
        say(f"{many(refused, 'address')} of these were refused by the server; check REPORT_TO.")
    if waited.sent:
        say(f"{many(waited.sent, 'report')} that waited went along.")
    if waited.waiting:
        say(f"{many(waited.waiting, 'report')} still wait: {waited.error or ''}".rstrip(": "))
