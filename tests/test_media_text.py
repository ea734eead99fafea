"""What stands in documents and is said in voice notes is found by search, and never leaves the computer."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import struct
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from book_club import DANA_LEVI, book_club, incoming, receive
from files_of_strangers import docx, pdf, photograph, pptx, voice_note, xlsx, zipped

from whatsapp_mcp.app import Archive
from whatsapp_mcp.cli import main
from whatsapp_mcp.errors import MediaError, MissingExtra, UnreadableFile, WriterRunning
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.media import transcribing
from whatsapp_mcp.media.aside import Aside
from whatsapp_mcp.media.contents import identify
from whatsapp_mcp.media.documents import LONGEST, is_readable, text_of
from whatsapp_mcp.media.texts import has_unread, read_texts
from whatsapp_mcp.server.conversations import Reading, chat_answer
from whatsapp_mcp.store.media import StoredFile
from whatsapp_mcp.store.texts import MediaText
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_755_250_000
FILES: dict[str, tuple[str, bytes]] = {
    "lease.pdf": ("documentMessage", pdf("Deposit of the harbour flat", "Second page: cancellation")),
    "minutes.docx": ("documentMessage", docx("Minutes of the assembly", "פרוטוקול הישיבה")),
    "budget.xlsx": ("documentMessage", xlsx("Lighthouse", "repairs")),
    "talk.pptx": ("documentMessage", pptx("Migration of storks", "Thank you")),
    "photo.jpg": ("imageMessage", photograph((60, 40))),
}


@pytest.fixture
def archive(home: Path) -> Iterator[Archive]:
    """The book club with stored files; it is sound afterwards."""
    archive = book_club(home)
    with archive.writer() as writer:
        for number, (name, (kind, data)) in enumerate(FILES.items(), 300):
            send(archive, writer, number, name, kind, data)
    yield archive
    with archive.writer() as writer:
        assert verify(writer.store, thorough=True) == []


def send(archive: Archive, writer: Any, number: int, name: str, kind: str, data: bytes) -> None:
    """Dana sends a file, and it is stored."""
    said: dict[str, Any] = {"typeMessage": kind, "fileName": name, "downloadUrl": f"https://media.example/{name}"}
    receive(writer, DANA_LEVI, [incoming(number, "", chat=DANA_LEVI, sender=DANA_LEVI, **said)])
    sha256 = f"{number:064x}"
    (archive.home / "media/documents").mkdir(parents=True, exist_ok=True)
    path = archive.home / f"media/documents/{name}"
    path.write_bytes(data)
    with writer.store.transaction():
        (message_id,) = writer.store.connection.execute(
            "SELECT message_id FROM messages WHERE media_filename = ? ORDER BY message_id DESC", (name,)
        ).fetchone()
        stored = StoredFile(sha256, f"media/documents/{name}", identify(path).mime_type, len(data))
        writer.store.media.stored(message_id, stored, NOW)


def found(archive: Archive, query: str) -> list[tuple[str | None, str | None, str | None]]:
    page = archive.queries.search(query)
    return [(hit.media.filename if hit.media else None, hit.matched_in, hit.snippet) for hit in page.messages]


def test_the_words_of_documents_are_found_with_their_place(archive: Archive) -> None:
    assert found(archive, "harbour deposit") == []
    outcome = read_texts(archive)
    assert (outcome.documents, outcome.empty, outcome.unreadable, outcome.notes) == (4, 0, 0, [])
    assert {one[1] for one in found(archive, "deposit")} == {"content", "document"}
    assert found(archive, "harbour flat") == [
        ("lease.pdf", "document", "Deposit of the «harbour» «flat» Second page: cancellation")
    ]  # fmt: skip
    assert [one[:2] for one in found(archive, "cancellation")] == [("lease.pdf", "document")]
    assert [one[:2] for one in found(archive, "פרוטוקול")] == [("minutes.docx", "document")]
    assert [one[:2] for one in found(archive, "lighthouse repairs 1234.5")] == [("budget.xlsx", "document")]
    assert [one[:2] for one in found(archive, "storks")] == [("talk.pptx", "document")]
    assert [one[:2] for one in found(archive, "minutes.docx")] == [("minutes.docx", "attachment")]


def test_each_content_is_read_once(archive: Archive) -> None:
    assert read_texts(archive, limit=3).left == 1
    assert read_texts(archive).documents == 1
    assert read_texts(archive).done == 0
    assert read_texts(archive, again=True).documents == 4


def test_a_text_is_found_with_every_message_that_carries_its_content(archive: Archive) -> None:
    read_texts(archive)
    with archive.writer() as writer:
        send(archive, writer, 400, "again.pdf", "documentMessage", FILES["lease.pdf"][1])
        with writer.store.transaction():
            (first,) = writer.store.connection.execute(
                "SELECT media_sha256 FROM messages WHERE media_filename = 'lease.pdf'"
            ).fetchone()
            (number,) = writer.store.connection.execute(
                "SELECT message_id FROM messages WHERE media_filename = 'again.pdf'"
            ).fetchone()
            writer.store.media.stored(number, StoredFile(first, "media/documents/lease.pdf", "application/pdf", 9), NOW)
    assert {one[0] for one in found(archive, "cancellation")} == {"lease.pdf", "again.pdf"}


def test_a_rebuild_keeps_the_texts_and_a_lost_file_takes_its_words_along(archive: Archive) -> None:
    read_texts(archive)
    with archive.writer() as writer:
        rebuild(writer.store)
    assert [one[:2] for one in found(archive, "cancellation")] == [("lease.pdf", "document")]
    with archive.writer() as writer, writer.store.transaction():
        writer.store.media.lose(["media/documents/lease.pdf"])
    assert found(archive, "cancellation") == []


def test_an_edit_of_the_caption_leaves_the_text_findable(archive: Archive) -> None:
    read_texts(archive)
    with archive.writer() as writer:
        link = "https://media.example/lease.pdf"
        said = {"typeMessage": "documentMessage", "fileName": "lease.pdf", "caption": "zebra", "downloadUrl": link}
        edited = incoming(300, "", chat=DANA_LEVI, sender=DANA_LEVI, **said)
        receive(writer, DANA_LEVI, [edited])
    assert [one[1] for one in found(archive, "zebra")] == ["content"]
    assert [one[1] for one in found(archive, "cancellation")] == ["document"]


def test_a_hit_in_a_document_shows_its_words_in_the_line(archive: Archive) -> None:
    from whatsapp_mcp.server.lines import Style, write_lines

    read_texts(archive)
    (line,) = write_lines(archive.queries.search("storks").messages, Style(archive.settings.timezone))
    assert 'document "talk.pptx"' in line
    assert "⟦the file says⟧ Migration of «storks» Thank you" in line


def test_a_transcript_reads_like_a_message_and_is_found_as_voice(archive: Archive) -> None:
    with archive.writer() as writer:
        send(archive, writer, 500, "ptt.ogg", "audioMessage", voice_note(archive.home / "note.ogg", 1.0).read_bytes())
        with writer.store.transaction():
            writer.store.texts.keep(
                MediaText(f"{500:064x}", "voice", "Bring the telescope on Sunday", "en", "ggml-small.bin"), NOW, 1
            )
    assert found(archive, "telescope") == [("ptt.ogg", "voice", "Bring the «telescope» on Sunday")]
    shown = chat_answer(archive, "Dana Levi", Reading(limit=1))
    assert "voice" in shown
    assert "Bring the telescope on Sunday" in shown
    (message,) = archive.queries.search("telescope").messages
    assert message.media is not None
    assert message.media.transcript == "Bring the telescope on Sunday"
    assert message.content == ""


# Documents

SLIDES = [f"Slide {number}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.docx", docx("One", "Two &amp; three"), "One\nTwo & three"),
        ("a.xlsx", xlsx("Name", "שם"), "Name\nשם\n1234.5"),
        ("a.pptx", pptx(*SLIDES), "\n".join(SLIDES)),
        ("a.txt", "\ufeffplain\r\n\r\n  text \x00 here".encode(), "plain\ntext here"),
        ("a.pdf", pdf("Page one", "Page two"), "Page one\nPage two"),
        ("empty.pdf", pdf(""), ""),
    ],
)  # fmt: skip
def test_the_text_of_a_document(tmp_path: Path, name: str, data: bytes, expected: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    kind = "text/plain" if name.endswith(".txt") else identify(path).mime_type
    assert is_readable(kind)
    assert text_of(path, kind) == expected


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "data",
    [docx("&b;", before=LAUGHS), docx("&x;", before='<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/hostname">]>'),
     docx("whole")[:200], b"PK\x03\x04", b"", zipped(word__document="<w:p><open>")],
    ids=["laughs", "foreign file", "cut", "head of a zip", "empty", "no xml"],
)  # fmt: skip
def test_a_document_that_is_damaged_or_means_harm_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.docx").write_bytes(data)
    with pytest.raises(UnreadableFile):
        text_of(tmp_path / "x.docx", DOCX)


def test_a_document_that_unpacks_to_very_much_is_cut(tmp_path: Path) -> None:
    (tmp_path / "x.docx").write_bytes(docx("word " * 4_000_000))
    assert len(text_of(tmp_path / "x.docx", DOCX)) == LONGEST


def test_random_documents_are_refused_and_never_more_than_that(tmp_path: Path) -> None:
    chance, path = random.Random(5), tmp_path / "x"
    for whole, kind in ((docx("One"), DOCX), (pdf("One"), "application/pdf"), (b"", "application/pdf"), (b"", DOCX)):
        for _ in range(40):
            data = bytearray(whole or chance.randbytes(chance.randrange(500)))
            for _ in range(chance.randrange(1, 20) if data else 0):
                data[chance.randrange(len(data))] = chance.randrange(256)
            path.write_bytes(data)
            try:
                text_of(path, kind)
            except MediaError:
                continue


def crash(how: str) -> str:
    """What a reader may do when a file was made to break it."""
    if how == "dies":
        os.abort()
    if how == "hangs":
        time.sleep(3600)
    if how == "fails":
        raise ZeroDivisionError
    if how == "misses":
        raise MissingExtra("A library.")
    return how


def test_a_reader_that_dies_or_hangs_takes_nothing_along() -> None:
    with Aside(crash) as reader:
        for how, said in (("dies", "crash"), ("fails", "ZeroDivisionError"), ("misses", "pip install")):
            with pytest.raises(MediaError, match=said):
                reader.call(60, how)
            assert reader.call(60, "well") == "well"
        with pytest.raises(UnreadableFile, match="too long"):
            reader.call(0.2, "hangs")
        assert reader.call(60, "well") == "well"


def test_while_another_process_writes_nothing_is_lost_but_time(archive: Archive) -> None:
    other = Archive.open(archive.settings)
    with other.writer(), pytest.raises(WriterRunning):
        read_texts(archive)
    assert read_texts(archive).documents == 4


def test_a_listener_is_noticed_before_hours_of_reading(archive: Archive) -> None:
    heard: list[int] = []
    with Archive.open(archive.settings).writer(), pytest.raises(WriterRunning):
        read_texts(archive, report=lambda done, _: heard.append(done))
    assert heard == []


def test_a_reader_that_breaks_takes_no_text_away_that_an_earlier_one_had_read(archive: Archive) -> None:
    read_texts(archive)
    for name in FILES:
        (archive.home / "media/documents" / name).write_bytes(b"%PDF-1.4 cut")
    assert read_texts(archive, again=True).unreadable == 4
    assert [one[:2] for one in found(archive, "cancellation")] == [("lease.pdf", "document")]


@pytest.mark.parametrize("code", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_text_of_windows_is_read_by_its_mark(tmp_path: Path, code: str) -> None:
    path, mark = tmp_path / "list.txt", "" if code in ("utf-8-sig", "utf-16") else "\ufeff"
    path.write_bytes(f"{mark}רשימת קניות\r\nmilk".encode(code))
    assert (identify(path).mime_type, text_of(path, "text/plain")) == ("text/plain", "רשימת קניות\nmilk")


def test_empty_cells_and_long_comments_do_not_push_the_text_out(tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    sheet = f"<worksheet><row>{'<c/>' * (2 * LONGEST + 1)}<c t='inlineStr'><is><t>lighthouse</t></is></c></row></worksheet>"
    path.write_bytes(zipped(xl__worksheets__sheet1=sheet))
    assert text_of(path, identify(path).mime_type) == "lighthouse"
    remarks = f"<comments><p><t>{'x ' * LONGEST}</t></p></comments>"
    body = "<document><p><t>lighthouse</t></p></document>"  # of Word on the web
    path.write_bytes(zipped(word__comments=remarks, word__document2=body))
    assert text_of(path, identify(path).mime_type).startswith("lighthouse\nx x")


# Voice notes


def model_without_knowledge(path: Path) -> Path:
    """A Whisper model as whisper.cpp's own tests use it: the right form, every word of the vocabulary, and no weights."""
    words = [b" ", b" -", b" '", *(b"%d" % number for number in range(50_254))]
    head = struct.pack("<I11i", 0x67676D6C, 51_865, 1500, 384, 6, 4, 448, 384, 6, 4, 80, 1)
    filters = struct.pack("<2i", 80, 201) + bytes(80 * 201 * 4)
    path.write_bytes(
        head + filters + struct.pack("<i", len(words)) + b"".join(struct.pack("<I", len(word)) + word for word in words)
    )
    return path


def test_a_voice_note_goes_through_the_model(tmp_path: Path) -> None:
    model = transcribing.checked_model(model_without_knowledge(tmp_path / "model.bin"))
    text, language = transcribing.transcribe(voice_note(tmp_path / "note.ogg", 1.0), model)
    assert text == ""  # it knows nothing
    assert language is not None
    assert language.isalpha()


def test_without_a_model_the_answer_says_how_to_get_one(archive: Archive) -> None:
    with archive.writer() as writer:
        send(archive, writer, 500, "ptt.ogg", "audioMessage", voice_note(archive.home / "note.ogg", 0.2).read_bytes())
    outcome = read_texts(archive)
    assert (outcome.documents, outcome.voice_notes, outcome.waiting) == (4, 0, 1)
    assert outcome.notes == [f"No model for voice notes is set. {transcribing.HOW_TO_GET}"]


@pytest.mark.parametrize(
    ("data", "said"), [(None, "cannot be read"), (b"GGUF" + bytes(50), "no Whisper model"), (b"", "no Whisper model")]
)
def test_a_model_that_is_none_is_told_from_one(tmp_path: Path, data: bytes | None, said: str) -> None:
    if data is not None:
        (tmp_path / "model.bin").write_bytes(data)
    with pytest.raises(MediaError, match=said):
        transcribing.checked_model(tmp_path / "model.bin")


def test_a_damaged_model_and_a_damaged_recording_are_said_to_be(tmp_path: Path) -> None:
    whole = model_without_knowledge(tmp_path / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(whole[:5_000])
    (tmp_path / "note.ogg").write_bytes(b"OggS" + bytes(300))
    with Aside(transcribing.transcribe) as reader:
        with pytest.raises(MediaError):
            reader.call(60, tmp_path / "note.ogg", tmp_path / "model.bin")
        with pytest.raises(MediaError):
            reader.call(60, voice_note(tmp_path / "note.ogg", 0.2), tmp_path / "model.bin")


def test_a_model_that_brings_its_reader_down_leaves_every_voice_note_for_a_better_one(archive: Archive) -> None:
    with archive.writer() as writer:
        send(archive, writer, 500, "ptt.ogg", "audioMessage", voice_note(archive.home / "note.ogg", 0.2).read_bytes())
    model = model_without_knowledge(archive.home / "model.bin")
    with model.open("ab") as file:  # whisper.cpp cannot load it, says nothing, and crashes later
        file.write(struct.pack("<3i", 2, 3, 0) + b"strange tensor")
    hearing = Archive.open(replace(archive.settings, transcribe_model=model), archive.clock)
    outcome = read_texts(hearing)
    assert (outcome.documents, outcome.unreadable, outcome.waiting) == (4, 0, 1)
    assert "cannot be loaded" in outcome.notes[0]
    assert has_unread(hearing), "nothing was noted of the recording"


def test_the_model_is_given_back_before_the_interpreter_ends(tmp_path: Path) -> None:
    code = (
        "import atexit, sys; from whatsapp_mcp.media import transcribing as t;"
        "atexit.register(lambda: print(t._loaded.cache_info().currsize));"
        "t._loaded(sys.argv[1]); print(t._loaded.cache_info().currsize)"
    )
    model = str(model_without_knowledge(tmp_path / "model.bin"))
    ended = subprocess.run([sys.executable, "-c", code, model], check=False, capture_output=True, text=True, timeout=60)
    assert (ended.stdout.split(), ended.stderr) == (["1", "0"], "")


# The command


def test_the_command_reads_and_says_what_it_read(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["media", "text", "--home", str(archive.home)]) == 0
    assert capsys.readouterr().out == "Read 4 documents and 0 voice notes; search finds their words now.\n"
    assert main(["media", "text", "--home", str(archive.home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 0
    assert main(["search", "storks", "--home", str(archive.home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"][0]["matched_in"] == "document"


def test_without_an_archive_the_command_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["media", "text", "--home", str(home)]) == 2
    assert "There is no archive yet" in capsys.readouterr().err


def test_the_texts_can_be_asked_for_in_sql(archive: Archive) -> None:
    read_texts(archive)
    with sqlite3.connect(archive.database) as connection:
        told = connection.execute(
            "SELECT t.source, t.text FROM media_texts AS t JOIN messages AS m ON m.media_sha256 = t.sha256"
            " WHERE m.media_filename = 'minutes.docx'"
        ).fetchall()
    connection.close()
    assert told == [("document", "Minutes of the assembly\nפרוטוקול הישיבה")]
