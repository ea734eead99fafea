"""Small pictures of what strangers sent: upright, bare of everything but pixels, and never at the price of the computer."""

from __future__ import annotations

import random
import resource
import stat
import sys
import wave
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from files_of_strangers import RED, bomb, encoded, moving_sticker, pdf, photograph, two_halves, video, voice_note
from PIL import Image
from PIL.Image import Transpose

from whatsapp_mcp.errors import MediaError, MissingExtra, UnreadableFile
from whatsapp_mcp.media import extras
from whatsapp_mcp.media.contents import identify
from whatsapp_mcp.media.looking import Facts, look
from whatsapp_mcp.media.pictures import BYTES, MOST_PIXELS, SIDE, as_jpeg, picture_size, read_picture
from whatsapp_mcp.media.thumbnails import picture_of, preview_picture, see, thumbnail_path

if TYPE_CHECKING:
    from pathlib import Path

SHA = "ab" * 32
LIES = {  # EXIF's number for how a picture lies, and how to lay an upright one so
    1: None, 2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_270,
}  # fmt: skip


def near(one: object, other: tuple[int, int, int]) -> bool:
    return isinstance(one, tuple) and all(abs(a - b) < 30 for a, b in zip(one, other, strict=False))


def thumbnail_of(home: Path, source: Path, mime_type: str) -> Path:
    """Where the thumbnail of a file stands now."""
    relative = see(home, SHA, str(source), mime_type).thumbnail
    assert relative is not None
    return home / relative


@pytest.mark.parametrize("orientation", LIES)
@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_shown_upright_however_it_lies(orientation: int, encoding: str) -> None:
    way, upright = LIES[orientation], two_halves()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(upright if way is None else upright.transpose(way), encoding, exif=exif)
    assert picture_size(data) == (60, 40)
    shown = read_picture(data, 60)
    assert shown.size == (60, 40)
    assert near(shown.getpixel((10, 20)), RED)


def test_a_thumbnail_holds_pixels_and_nothing_else(home: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    exif.get_ifd(0x8825)[1] = "N"
    source = home.parent / "photo.jpg"
    source.write_bytes(photograph(exif=exif, comment=b"secret place", icc_profile=b"profile" * 50))
    path = thumbnail_of(home, source, "image/jpeg")
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("WEBP", (341, 512))
        assert not picture.getexif()
        assert set(picture.info) <= {"loop", "background", "timestamp", "duration"}
    assert b"secret place" not in path.read_bytes()


def test_a_thumbnail_is_its_owners_and_made_once(home: Path) -> None:
    source = home.parent / "photo.png"
    source.write_bytes(encoded(two_halves()))
    path = thumbnail_of(home, source, "image/png")
    assert path == home / thumbnail_path(SHA) == home / f"media/thumbnails/{SHA[:32]}.webp"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    source.write_bytes(b"")
    thumbnail_of(home, source, "image/png")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_thumbnail_that_cannot_be_written_leaves_nothing_half(home: Path) -> None:
    source = home.parent / "photo.png"
    source.write_bytes(encoded(two_halves()))
    (home / thumbnail_path(SHA)).mkdir(parents=True)
    with pytest.raises(OSError):  # noqa: PT011 - which one is the system's choice
        thumbnail_of(home, source, "image/png")
    assert [one.name for one in (home / "media/thumbnails").iterdir()] == [f"{SHA[:32]}.webp"]


def test_of_a_moving_sticker_the_first_frame_is_shown_and_stays_clear(home: Path) -> None:
    source = home.parent / "sticker.webp"
    source.write_bytes(moving_sticker())
    with Image.open(thumbnail_of(home, source, "image/webp")) as picture:
        assert picture.mode == "RGBA"
        assert picture.getpixel((2, 2)) == (0, 0, 0, 0)
        assert near(picture.getpixel((64, 64)), (220, 20, 20))
    with Image.open(BytesIO(as_jpeg(read_picture(source, SIDE)))) as shown:
        assert near(shown.getpixel((2, 2)), (255, 255, 255))


def test_a_picture_of_thirty_thousand_by_thirty_thousand_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableFile, match="too large"):
        read_picture(tmp_path / "bomb.png", SIDE)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000 * (1024 if sys.platform == "darwin" else 1)
    assert see(tmp_path, SHA, "bomb.png", "image/png").thumbnail is None


def test_a_picture_that_pillow_only_warns_of_is_refused_as_well() -> None:
    side = int(MOST_PIXELS**0.5) // 8 * 8 + 8
    with pytest.raises(UnreadableFile, match=f"{side} × {side} pixels"):
        read_picture(bomb(side), SIDE)


def test_a_very_large_photograph_is_shown_all_the_same() -> None:
    data = encoded(Image.new("L", (12_000, 9_000), 90), "JPEG")
    assert read_picture(data, SIDE).size == (1024, 768)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(Image.new("CMYK", (40, 30), (0, 255, 255, 0)), "JPEG"), (255, 0, 0)),
        (encoded(Image.new("I;16", (40, 30), 65_535)), (255, 255, 255)),
        (encoded(Image.new("I;16", (40, 30), 32_768)), (127, 127, 127)),
        (encoded(Image.new("I", (40, 30), 40_000), "TIFF"), (155, 155, 155)),
        (encoded(Image.new("F", (40, 30), 0.5), "TIFF"), (127, 127, 127)),
        (encoded(Image.new("1", (40, 30), 1)), (255, 255, 255)),
        (encoded(Image.new("L", (40, 30), 90)), (90, 90, 90)),
        (encoded(Image.new("LAB", (40, 30), (255, 128, 128)), "TIFF"), (255, 255, 255)),
        (encoded(Image.new("YCbCr", (40, 30), (255, 128, 128)), "JPEG"), (255, 255, 255)),
        (encoded(two_halves().convert("P"), "GIF"), RED),
        (encoded(two_halves(), "BMP"), RED),
        (encoded(two_halves((64, 64)), "AVIF", quality=95), RED),
    ],
    ids=["cmyk", "16-bit", "16-bit grey", "32-bit", "float", "1-bit", "grey", "lab", "ycbcr", "gif", "bmp", "avif"],
)
def test_every_way_of_colour_is_shown_as_it_is(data: bytes, expected: tuple[int, int, int]) -> None:
    shown = read_picture(data, SIDE)
    assert shown.mode == "RGB"
    assert near(shown.getpixel((3, 3)), expected)


def test_a_palette_with_a_clear_colour_stays_clear() -> None:
    picture = Image.new("P", (40, 30), 1)
    picture.putpalette([0, 0, 0, 220, 20, 20])
    picture.paste(0, (0, 0, 20, 30))
    shown = read_picture(encoded(picture, "PNG", transparency=0), SIDE)
    assert [shown.getpixel(place) for place in ((3, 3), (33, 3))] == [(0, 0, 0, 0), (220, 20, 20, 255)]


def test_a_jpeg_to_send_is_small_whatever_the_picture() -> None:
    noise = read_picture(photograph((3000, 2000), quality=100), SIDE)
    assert noise.size == (SIDE, 683)
    assert len(as_jpeg(noise)) < BYTES
    assert len(as_jpeg(noise, most=3_000)) < 3_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"%PDF-1.4",
        photograph()[:2000],
        moving_sticker()[:100],
        b"GIF89a\x00",
    ],
    ids=["empty", "text", "half a header", "pdf", "cut photograph", "cut sticker", "cut gif"],
)
def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableFile):
        read_picture(data, SIDE)


def test_programs_that_pillow_would_run_are_not_run() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\n(%pipe%id) (w) file\nshowpage\n"
    with pytest.raises(UnreadableFile):
        read_picture(eps, SIDE)


def test_huge_metadata_costs_nothing() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "x" * 60_000
    assert read_picture(photograph((60, 40), exif=exif, comment=b"y" * 60_000), SIDE).size == (40, 60)
    from PIL.PngImagePlugin import PngInfo

    notes = PngInfo()
    notes.add_text("note", "z" * 3_000_000, zip=True)  # unpacks to more than Pillow allows
    with pytest.raises(UnreadableFile):
        read_picture(encoded(two_halves(), "PNG", pnginfo=notes), SIDE)


def test_broken_exif_does_not_hide_a_picture() -> None:
    broken = photograph((60, 40), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + bytes(20))
    assert read_picture(broken, SIDE).size == (60, 40)


HEADS = (
    b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"RIFF\x40\x00\x00\x00WEBPVP8 ", b"GIF89a", b"II*\x00", b"BM",
    b"\x00\x00\x00\x18ftypheic", b"\x00\x00\x00\x18ftypavif", b"\x00\x00\x00\x18ftypmp42", b"OggS", b"%PDF-1.7", b"ID3\x04",
    b"RIFF\x40\x00\x00\x00WAVEfmt ",
)  # fmt: skip


@pytest.mark.parametrize("start", HEADS)
def test_random_bytes_are_refused_and_never_more_than_that(start: bytes, tmp_path: Path) -> None:
    chance, path = random.Random(7), tmp_path / "noise"
    for number in range(25):
        path.write_bytes(start + chance.randbytes(chance.randrange(2_000)))
        kind = (
            identify(path).mime_type
            if number % 2
            else chance.choice(["image/png", "video/mp4", "audio/ogg", "application/pdf"])
        )
        look(path, kind)
        try:
            picture_of(path, kind, SIDE)
        except MediaError:
            continue


def test_damaged_files_of_every_kind_are_refused_and_never_more_than_that(tmp_path: Path) -> None:
    chance = random.Random(11)
    whole = {
        "image/jpeg": photograph((200, 150)), "image/png": encoded(two_halves()), "image/webp": moving_sticker(3),
        "application/pdf": pdf("One page"), "video/mp4": video(tmp_path / "v.mp4").read_bytes(),
        "audio/ogg": voice_note(tmp_path / "v.ogg", 0.3).read_bytes(), "image/gif": encoded(two_halves(), "GIF"),
    }  # fmt: skip
    path = tmp_path / "damaged"
    for kind, data in whole.items():
        for _ in range(30):
            damaged = bytearray(data[: chance.randrange(1, len(data))] if chance.random() < 0.3 else data)
            for _ in range(chance.randrange(1, 12)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            path.write_bytes(damaged)
            look(path, kind)
            try:
                picture_of(path, kind, SIDE)
            except MediaError:
                continue


def test_the_facts_of_a_file_are_read_from_its_header(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photograph())
    assert look(tmp_path / "photo.jpg", "image/jpeg") == Facts(900, 600, None)
    assert look(voice_note(tmp_path / "voice.ogg", 2.0), "audio/ogg") == Facts(None, None, 2.0)
    assert look(video(tmp_path / "film.mp4"), "video/mp4") == Facts(320, 240, 1.0)
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(32_000))
    assert look(tmp_path / "sound.wav", "audio/wav") == Facts(None, None, 2.0)


def test_a_length_beyond_reason_is_not_believed(tmp_path: Path) -> None:
    data = bytearray(voice_note(tmp_path / "voice.ogg", 0.1).read_bytes())
    last = data.rindex(b"OggS")
    data[last + 6 : last + 14] = (2**62).to_bytes(8, "little")
    (tmp_path / "voice.ogg").write_bytes(data)
    assert look(tmp_path / "voice.ogg", "audio/ogg").duration is None


def test_a_pdf_shows_its_first_page_and_a_video_its_first_frame(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 17", "Second page"))
    page = picture_of(tmp_path / "a.pdf", "application/pdf", 600)
    assert page.size == (600, 400)
    assert sum(page.convert("L").histogram()[:100]) > 50
    frame = picture_of(video(tmp_path / "film.mp4"), "video/mp4", SIDE)
    assert (frame.size, near(frame.getpixel((100, 100)), RED)) == ((320, 240), True)


def test_a_heic_picture_is_shown(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.from_pillow(two_halves((120, 80))).save(tmp_path / "photo.heic")
    shown = picture_of(tmp_path / "photo.heic", identify(tmp_path / "photo.heic").mime_type, SIDE)
    assert (shown.size, near(shown.getpixel((20, 40)), RED)) == ((120, 80), True)


def test_a_playlist_that_says_it_is_a_video_opens_nothing(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    for text in (
        f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        "v=0\r\nc=IN IP4 127.0.0.1\r\n",
    ):
        (tmp_path / "film.mp4").write_text(text)
        with pytest.raises(UnreadableFile, match="no video"):
            picture_of(tmp_path / "film.mp4", "video/mp4", SIDE)


def test_without_the_library_of_an_extra_the_answer_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("Invoice 17"))
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(MissingExtra, match=r'pip install "whatsapp-mcp\[media\]"'):
        extras.page_of_pdf(tmp_path / "a.pdf", SIDE)
    assert see(tmp_path, SHA, "a.pdf", "application/pdf").thumbnail is None


def test_a_preview_that_came_with_a_message_is_made_anew() -> None:
    shown = preview_picture(encoded(two_halves((32, 24)), "JPEG", comment=b"not ours"))
    assert b"not ours" not in shown
    with pytest.raises(UnreadableFile):
        preview_picture(b"\xff\xd8\xff")
    with pytest.raises(UnreadableFile, match="too large"):
        preview_picture(bytes(1_000_000))


@pytest.mark.parametrize("length", [0x18, 0x1C, 0x20, 0x24, 0x28])
def test_the_brand_says_what_a_film_or_a_photograph_is_however_many_stand_beside_it(tmp_path: Path, length: int) -> None:
    for brands, kind in (
        (b"heic\0\0\0\0mif1heic", "image/heif"), (b"mif1\0\0\0\0miafheic", "image/heif"),
        (b"avif\0\0\0\0avifmif1", "image/avif"), (b"qt  \0\0\0\0qt  qt  ", "video/quicktime"),
        (b"iso6\0\0\0\0isommp42", "video/mp4"), (b"M4A \0\0\0\0M4A mp42", "audio/mp4"),
    ):  # fmt: skip
        box = length.to_bytes(4, "big") + b"ftyp" + brands + b"isom" * 4
        (tmp_path / "x").write_bytes(box[:length] + bytes(100))
        assert identify(tmp_path / "x").mime_type == kind
