"""Exported chats as files: zips, folders, encodings, and whatever else may lie under such a name."""

from __future__ import annotations

import io
import stat
import tempfile
import zipfile
from pathlib import Path

import pytest
from exported import ANDROID, LRM, NOW, messages_of, read, written
from hypothesis import given, settings
from hypothesis import strategies as st

from whatsapp_mcp.errors import ArchiveError, ImportRefused
from whatsapp_mcp.normalise.chat_export import records_of_export_item
from whatsapp_mcp.sources.chat_export import find_exports


def zipped(folder: Path, entries: dict[str, bytes], name: str = "WhatsApp Chat - Ada Berg.zip") -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries.items():
            archive.writestr(entry, data)
    return path


def test_a_zip_gives_its_chat_and_the_name_of_the_zip(tmp_path: Path) -> None:
    entries = {"_chat.txt": ANDROID.encode(), "a.jpg": b"1", "notes.txt": b"1", "__MACOSX/._chat.txt": b"1", "old.zip": b"1"}
    export = read(zipped(tmp_path, entries))

    assert (export.report.chat_id, export.report.media_files) == ("export:Ada Berg", 3)
    assert len(messages_of(export)) == 5


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("a.jpg")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize("name", ["../up.jpg", "/etc/up.jpg", "a/../../up.jpg", "..\\up.jpg", "C:/up.jpg"])
def test_a_zip_with_a_path_that_climbs_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImportRefused, match="leaves its folder"):
        read(zipped(tmp_path, {"_chat.txt": ANDROID.encode(), name: b"1"}))


def test_a_zip_with_a_link_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"_chat.txt": ANDROID.encode()})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link(), b"/etc/hostname")

    with pytest.raises(ImportRefused, match="holds a link"):
        read(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="far more than its size"):
        read(zipped(tmp_path, {"_chat.txt": b"0" * (80 << 20)}))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({"a.jpg": b"1"}, "no .txt file"),
        ({"one/_chat.txt": b"1", "two/_chat.txt": b"1"}, "2 texts that may be chats"),
        ({"_chat.txt": b"only words\n"}, "no WhatsApp chat export"),
    ],
)
def test_a_zip_without_exactly_one_chat_says_so(tmp_path: Path, entries: dict[str, bytes], reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason):
        read(zipped(tmp_path, entries))


def test_a_zip_cut_short_anywhere_is_refused_and_never_half_read(tmp_path: Path) -> None:
    whole = zipped(tmp_path, {"_chat.txt": ANDROID.encode() * 50, "a.jpg": bytes(range(256)) * 20}).read_bytes()
    path = tmp_path / "cut.zip"
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ImportRefused):
            read(path)


def test_a_file_that_is_missing_empty_or_no_chat_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (
        tmp_path / "missing.txt",
        tmp_path,
        written(tmp_path, "", "empty.txt"),
        written(tmp_path, "words\n", "words.txt"),
    ):
        with pytest.raises(ImportRefused) as refused:
            read(path)
        assert "\n" not in str(refused.value)


def test_other_encodings_are_read_and_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat with Ada Berg.txt"
    for data in (b"\xef\xbb\xbf" + ANDROID.encode(), ANDROID.encode("utf-16")):
        path.write_bytes(data)
        assert len(messages_of(read(path))) == 5
    path.write_bytes(ANDROID.encode().replace(b"hello", b"h\xffllo"))
    export = read(path)

    assert export.report.replaced_letters == 1
    assert messages_of(export)[1].content.startswith("h\ufffdllo")


def test_a_folder_gives_its_exports_but_not_the_texts_attached_to_a_chat(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    chat = written(tmp_path / "unpacked", ANDROID, "_chat.txt")
    written(tmp_path / "unpacked", "attached", "notes.txt")
    plain = written(tmp_path, ANDROID)

    assert find_exports(tmp_path) == (plain, chat)
    assert find_exports(plain) == (plain,)
    with pytest.raises(ImportRefused, match="There is no"):
        find_exports(tmp_path / "elsewhere")


def test_a_line_without_end_is_cut_and_kept(tmp_path: Path) -> None:
    text = ANDROID + "28/03/2022, 09:00 - Ada Berg: " + "x" * 3_000_000 + "\n28/03/2022, 09:01 - Ada Berg: short\n"
    export = read(written(tmp_path, text))
    items = [item.partition("\n")[2] for payload in export.payloads for item in payload.items]

    assert sum(item.count("x") for item in items) == 3_000_000
    assert max(map(len, items)) < 2_000_000
    assert messages_of(export)[-1].content == "short"


SOME_LINES = st.sampled_from([
    "27/03/2022, 21:41 - Ada: hi", "[27.03.22, 21:41:05] Ada: hi", "27/03/2022, 21:41 - ", "[R99/99/99 99:99] :", "more", "",
    f"{LRM}[27.03.22, 21:41:05] Ada: {LRM}<attached: >", "27/03/2022, 21:41 - Ada: POLL:", "OPTION: ", ": ", "\ufeff",
    "27/03/2022, 21:41 - Ada:", "27/03/2022, 21:41 - Ada: https://maps.google.com/?q=999,999", "0/0/0, 0:00 - :", "\r",
    f"[27.03.22, 21:41:05] Ada: {LRM}Ada left\r", "27/03/2022, 21:41 - Ada: .vcf (file attached)",
    f"[27.03.22, 21:41:05] {LRM}Ada: {LRM}image omitted", f"[27.03.22, 21:41:05] Ben: x: {LRM}POLL:",
    "27/03/2022, 21:41 - Ada:x",
])  # fmt: skip


@given(
    st.one_of(
        st.binary(max_size=2000),
        st.lists(st.one_of(SOME_LINES, st.text(max_size=40))).map(lambda lines: "\n".join(lines).encode("utf-8", "replace")),
    )
)
@settings(max_examples=150, deadline=None)
def test_no_file_whatever_is_in_it_breaks_the_importer(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.txt"
        path.write_bytes(data)
        try:
            export = read(path, order="dmy")
        except ArchiveError:
            return
        found = messages_of(export)
        rows = export.report.messages + export.report.system_rows
        assert len(found) == rows == len({(message.id) for message in found})
        assert sum(message.kind == "system" for message in found) == export.report.system_rows


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damaged_zip_breaks_the_importer(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_chat.txt", ANDROID * 20)
    whole = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.zip"
        path.write_bytes(bytes(whole))
        try:
            messages_of(read(path))
        except ArchiveError:
            return


@given(st.text(), st.dictionaries(st.sampled_from(["chat", "name", "zone", "order", "style", "me"]), st.text(max_size=12)))
@settings(max_examples=150, deadline=None)
def test_the_normaliser_reads_or_refuses_any_item_in_any_context(item: str, context: dict[str, str]) -> None:
    for text in (item, f"1 3\n27/03/2022, 21:41 - {item}", f"1 0\n{item}", f"senders\n{item}"):
        assert records_of_export_item(text, received_at=NOW, context=context)
