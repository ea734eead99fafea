"""A citation is checked: whether it stands there, by whom, and where else if not; handles stay good for ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from book_club import open_archive
from store_fixtures import history, incoming, outgoing

from whatsapp_mcp.cli import main
from whatsapp_mcp.errors import NotFound, UsageError
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.server.quoting import quote_answer

if TYPE_CHECKING:
    from pathlib import Path

    from whatsapp_mcp.app import Archive

BOB = "15550100003@c.us"


@pytest.fixture
def archive(home: Path) -> Archive:
    opened = open_archive(home)
    with opened.writer() as writer:
        receive = writer.ingest.receive
        receive(
            history([incoming(1, "I pay on Friday, promised."), incoming(2, "The Café is closed"), incoming(3, "שָׁלוֹם לכולם")])
        )
        receive(history([outgoing(4, "I will bring the long ladder")]))
        receive(history([incoming(5, "meet at six")]))
        edited = {"typeMessage": "editedMessage", "textMessage": "", "editedMessageId": f"3A{5:018X}"}
        receive(history([incoming(6, "", **edited, extendedTextMessage={"text": "meet at seven"})]))
        receive(history([incoming(7, "I will bring the long ladder too", chat=BOB, senderId=BOB, senderName="Bob")], chat=BOB))
    return opened


def handle_of(archive: Archive, text: str) -> str:
    (found,) = archive.queries.search(f'"{text}"').messages
    return found.handle


def verdict(archive: Archive, handle: str, quote: str) -> str:
    return archive.queries.verify_quote(handle, quote).verdict


@pytest.mark.parametrize(
    ("where", "quote", "expected"),
    [
        ("I pay on Friday", "I pay on Friday", "exact"),
        ("I pay on Friday", "I pay on Friday, promised.", "exact"),
        ("I pay on Friday", "i PAY, on friday!", "same words"),
        ("The Café is closed", "the cafe is closed", "same words"),
        ("שלום לכולם", "שלום לכולם", "same words"),
        ("I pay on Friday", "I pay on Monday", "not found"),
        ("I pay on Friday", "pay Friday", "not found"),
        ("I pay on Friday", "ay on Fri", "within words"),
        ("I pay on Friday", "…ay on Fri…", "cut"),
        ("I pay on Friday", "I pay on Friday…", "same words"),
        ("I pay on Friday", "I … Friday, promised.", "cut"),
        ("I pay on Friday", "I … ay", "not found"),
        ("I pay on Friday", "Friday … pay", "not found"),
        ("I pay on Friday", "pay on [...] promised", "cut"),
        ("I pay on Friday", "⟦edited 18:09; forwarded⟧ I «pay» on Friday, promised. ⟦👍 Bob⟧", "same words"),
        ("I pay on Friday", "I pay on Friday, promised." + " and I pay twice" * 400, "not found"),
        ("The Café is closed", "bring the long ladder", "elsewhere"),
    ],
)
def test_a_sentence_is_compared_letter_by_letter_then_word_by_word(
    archive: Archive, where: str, quote: str, expected: str
) -> None:
    assert verdict(archive, handle_of(archive, where), quote) == expected


def test_what_stands_elsewhere_is_named_with_those_who_wrote_it(archive: Archive) -> None:
    checked = archive.queries.verify_quote(handle_of(archive, "The Café is closed"), "bring the long ladder")
    assert [(one.from_me, one.content) for one in checked.elsewhere] == [
        (True, "I will bring the long ladder"), (False, "I will bring the long ladder too"),
    ]  # fmt: skip
    answer = quote_answer(archive, checked)
    assert answer.startswith(f"No, not in {checked.message.handle}: these words stand in ")
    assert all(one.handle in answer for one in checked.elsewhere)


def test_an_answer_names_who_said_it_and_when_and_a_no_what_it_rests_on(archive: Archive) -> None:
    handle = handle_of(archive, "I pay on Friday")
    yes = quote_answer(archive, archive.queries.verify_quote(handle, "I pay on Friday"))
    assert yes.startswith(f'Yes: {handle} says so, letter by letter · by "Alice Example" · 2025-06-15 18:06 · Chat ')
    no = quote_answer(archive, archive.queries.verify_quote(handle, "I pay on Monday"))
    assert no.startswith(f'No: {handle} does not say so, and no other archived message does; it lacks the words "monday"')
    assert "promised" in no
    assert "known" in no or "complete" in no


def test_letters_within_longer_words_are_not_what_was_said(archive: Archive) -> None:
    handle = handle_of(archive, "The Café is closed")
    checked = archive.queries.verify_quote(handle, "Café is close")
    assert (checked.verdict, checked.is_there) == ("within words", False)
    assert quote_answer(archive, checked).startswith(f"No: {handle} has these letters only as part of longer words · by ")


def test_what_is_only_quoted_is_not_its_senders_however_far_behind_it_stands(archive: Archive) -> None:
    first = "the beginning of a long story " * 8 + "and so the bridge was closed"
    answer: dict[str, Any] = {
        "typeMessage": "quotedMessage", "textMessage": "", "extendedTextMessage": {"text": "poor bridge"},
        "quotedMessage": {"stanzaId": f"3A{31:018X}", "typeMessage": "textMessage", "textMessage": first},
    }  # fmt: skip
    with archive.writer() as writer:
        writer.ingest.receive(history([incoming(31, first), incoming(32, "", **answer)]))
    handle = handle_of(archive, "poor bridge")
    assert verdict(archive, handle, "so the bridge was closed") == "quoted there"
    assert verdict(archive, handle, "poor bridge") == "exact"


def test_a_picture_that_is_answered_is_no_word(archive: Archive) -> None:
    answer: dict[str, Any] = {
        "typeMessage": "quotedMessage", "textMessage": "", "extendedTextMessage": {"text": "nice one"},
        "quotedMessage": {"stanzaId": f"3A{41:018X}", "typeMessage": "imageMessage"},
    }  # fmt: skip
    picture: dict[str, Any] = {
        "typeMessage": "imageMessage",
        "downloadUrl": "https://media.invalid/x.jpg",
        "caption": "",
        "textMessage": "",
    }
    with archive.writer() as writer:
        writer.ingest.receive(history([incoming(41, "", **picture), incoming(42, "", **answer)]))
    assert verdict(archive, handle_of(archive, "nice one"), "image") == "not found"


def test_the_proof_out_of_a_long_message_shows_the_place_and_a_deleted_one_is_called_so(archive: Archive) -> None:
    with archive.writer() as writer:
        writer.ingest.receive(
            history([incoming(51, "filler words " * 5_000 + "the treasure is under the oak"), incoming(52, "gone")])
        )
        deleted = {"typeMessage": "deletedMessage", "textMessage": "", "deletedMessageId": f"3A{52:018X}"}
        writer.ingest.receive(history([incoming(53, "", **deleted)]))
    handle = handle_of(archive, "filler words")
    answer = quote_answer(archive, archive.queries.verify_quote(handle, "the treasure is under the oak"))
    assert answer.startswith(f"Yes: {handle} says so, letter by letter")
    assert "«the treasure is under the oak»" in answer
    assert len(answer) < 800
    gone = quote_answer(archive, archive.queries.verify_quote(handle_of(archive, "gone"), "gone"))
    assert " · deleted 2025-" in gone.splitlines()[0]


def test_what_stood_there_before_an_edit_is_told_apart(archive: Archive) -> None:
    handle = handle_of(archive, "meet at seven")
    assert verdict(archive, handle, "meet at seven") == "exact"
    assert verdict(archive, handle, "meet at six") == "earlier version"


def test_handles_are_good_after_a_rebuild(archive: Archive) -> None:
    handles = {text: handle_of(archive, text) for text in ("I pay on Friday", "The Café is closed", "meet at seven")}
    with archive.writer() as writer:
        rebuild(writer.store)
    assert {text: verdict(archive, handle, text) for text, handle in handles.items()} == dict.fromkeys(handles, "exact")


def test_what_cannot_be_checked_is_said_in_one_line(archive: Archive) -> None:
    with pytest.raises(NotFound):
        archive.queries.verify_quote("m999", "hello")
    for quote in ("", "?!", "\x00", " "):
        with pytest.raises(UsageError, match="no word"):
            archive.queries.verify_quote(handle_of(archive, "I pay on Friday"), quote)
    for quote in ('"; DROP TABLE messages; --', '" OR "', "\ud800 x", "NEAR(a b)", "word " * 30_000):
        assert verdict(archive, handle_of(archive, "I pay on Friday"), quote) == "not found"


def test_the_command_says_by_its_exit_code_whether_it_is_there(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    handle, home = handle_of(archive, "I pay on Friday"), ["--home", str(archive.home)]
    assert main(["verify-quote", handle, "I pay on Friday", *home]) == 0
    assert capsys.readouterr().out.startswith("Yes: ")
    assert main(["verify-quote", handle, "never", *home]) == 1
    assert capsys.readouterr().out.startswith("No: ")
    assert main(["verify-quote", handle, "i pay", "--json", *home]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["message"]["handle"]) == ("same words", handle)
    assert main(["verify-quote", "m999", "never", *home]) == 2
