"""A report as an e-mail: text and HTML side by side, every header on one line.

The id of the message comes from what it says and when it was made, so one that is sent twice after a crash has one id.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

from whatsapp_mcp.server.fencing import inline

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from whatsapp_mcp.mailbox import Mailbox
    from whatsapp_mcp.reports.page import Report


def write(report: Report, mailbox: Mailbox, *, now: float, zone: ZoneInfo) -> EmailMessage:
    """The message that says `report`, made at `now` (unix seconds)."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = inline(report.subject, 120)
    message["Date"] = format_datetime(datetime.fromtimestamp(int(now), zone))
    message["Message-ID"] = _message_id(report, mailbox, now)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday notice answers
    message["X-Auto-Response-Suppress"] = "All"  # and Exchange's neither
    address(message, mailbox)
    message.set_content(report.text, cte="quoted-printable")
    message.add_alternative(report.html, subtype="html", cte="quoted-printable")
    return message


def address(message: EmailMessage, mailbox: Mailbox) -> None:
    """Say anew who writes to whom: a report that waited goes where the settings point now."""
    for name, addresses in (("From", (mailbox.sender,)), ("To", mailbox.recipients)):
        del message[name]
        message[name] = [_address(*one) for one in addresses]


def _address(name: str, address: str) -> Address:
    return Address(inline(name), addr_spec=address)


def _message_id(report: Report, mailbox: Mailbox, now: float) -> str:
    said = "\0".join((report.subject, report.text, str(now)))
    domain = mailbox.sender[1].rpartition("@")[2]
    return f"<{hashlib.sha256(said.encode()).hexdigest()[:32]}@{domain}>"
