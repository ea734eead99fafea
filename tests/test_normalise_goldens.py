"""Whole payloads and the whole records that they must become: one file per documented shape, every value in them invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from whatsapp_mcp import records
from whatsapp_mcp.normalise import records_of
from whatsapp_mcp.normalise.content import READERS
from whatsapp_mcp.normalise.directory import DIRECTORIES
from whatsapp_mcp.records import Member, Record

FOLDER = Path(__file__).parent / "goldens"
GOLDENS = sorted(FOLDER.glob("*/*.json"))


def golden(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def expected(entries: list[list[Any]]) -> list[Record]:
    return [record(name, fields) for name, fields in entries]


def record(name: str, fields: dict[str, Any]) -> Record:
    if name == "Members":
        fields["members"] = tuple(Member(*member) for member in fields["members"])
    if name == "PollVote":
        fields["voters"] = tuple(fields["voters"])
    made: Record = getattr(records, name)(**fields)
    return made


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_payload_becomes_exactly_its_records(path: Path) -> None:
    case = golden(path)
    item = json.dumps(case["payload"], ensure_ascii=False)
    assert records_of(case["origin"], item, received_at=case["received_at"], context=case["context"]) == expected(
        case["records"]
    )


@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_escaped_letters_and_white_space_change_nothing(path: Path) -> None:
    case = golden(path)
    item = f"\ufeff {json.dumps(case['payload'], ensure_ascii=True, indent=2)}\n"
    assert records_of(case["origin"], item, received_at=case["received_at"], context=case["context"]) == expected(
        case["records"]
    )


@pytest.mark.parametrize("path", sorted(FOLDER.glob("notification/*.json")), ids=lambda path: str(path.stem))
def test_a_notification_says_the_same_from_the_queue_and_from_the_webhook(path: Path) -> None:
    case = golden(path)
    wrapped = json.dumps({"receiptId": 31, "body": case["payload"].get("body", case["payload"])})
    assert records_of("receiveNotification", wrapped, received_at=case["received_at"], context={}) == expected(case["records"])


def test_every_type_has_a_golden_in_the_journals_and_in_the_notifications() -> None:
    journal = {golden(path)["payload"].get("typeMessage") for path in FOLDER.glob("journal/*.json")}
    notified = {
        golden(path)["payload"].get("messageData", {}).get("typeMessage") for path in FOLDER.glob("notification/*.json")
    }
    events = {"editedMessage", "deletedMessage", "reactionMessage", "pollUpdateMessage"}
    other_spellings = {"interactiveButtonReply", "templateButtonReplyMessage"}
    assert (READERS.keys() | events) - other_spellings <= journal
    assert (READERS.keys() | events) - {"interactiveButtonReply"} <= notified


def test_every_directory_has_a_golden() -> None:
    assert DIRECTORIES.keys() == {golden(path)["origin"] for path in FOLDER.glob("directory/*.json")}
