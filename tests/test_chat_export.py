"""Exported chats: from a file's text to records."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from exported import ANDROID, LRM, NARROW, NOW, RLM, local, messages_of, read, records_of, written

from whatsapp_mcp.errors import ImportRefused, UsageError
from whatsapp_mcp.records import ME, Call, Chat, Contact, Group, Message, Unreadable

if TYPE_CHECKING:
    from pathlib import Path


def only(folder: Path, body: str, *, style: str = "android") -> Message:
    """The message that `body` becomes in a chat whose other rows settle shape, order and senders."""
    row = "[{}, 21:4{}:00] Ada Berg: {}\r\n" if style == "ios" else "{}, 21:4{} - Ada Berg: {}\n"
    rows = [row.format("27/03/22", number, text) for number, text in enumerate(("a", "b", body))]
    return messages_of(read(written(folder, "".join(rows))))[-1]


def test_an_android_chat_becomes_messages_in_the_files_order(tmp_path: Path) -> None:
    export = read(written(tmp_path, ANDROID), me="Ben Light")
    notice, hello, *rest = messages_of(export)

    assert notice.kind == "system"
    assert notice.sender == ""
    assert hello.content == "hello\nover two\n\nlines"
    assert (hello.chat, hello.sender, hello.from_me, local(hello)) == (
        "export:Ada Berg",
        "export:Ada Berg",
        False,
        "2022-03-27 21:41:00",
    )
    assert [(message.sender, message.from_me, message.content) for message in rest] == [(ME, True, "hi")] * 3
    assert (export.report.messages, export.report.system_rows, export.report.order) == (4, 1, "dmy")


def test_the_directory_of_a_chat_comes_first(tmp_path: Path) -> None:
    records = records_of(read(written(tmp_path, ANDROID), me="Ben Light"))

    assert records[:2] == [
        Chat("export:Ada Berg", NOW, name="Ada Berg"),
        Contact("export:Ada Berg", NOW, phonebook_name="Ada Berg"),
    ]


def test_equal_messages_of_one_minute_stay_two_and_a_second_import_gives_the_same_ids(tmp_path: Path) -> None:
    first = messages_of(read(written(tmp_path, ANDROID)))
    longer = ANDROID + "28/03/2022, 09:00 - Ada Berg: one more\n"
    second = messages_of(read(written(tmp_path, longer, "WhatsApp Chat with Ada Berg (1).txt"), me="Ben Light"))

    assert len({message.id for message in first}) == 5
    assert [message.id for message in second[:5]] == [message.id for message in first]


def test_a_second_longer_export_repeats_the_items_letter_by_letter(tmp_path: Path) -> None:
    first = [item for payload in read(written(tmp_path, ANDROID)).payloads for item in payload.items]
    longer = written(tmp_path, ANDROID + "28/03/2022, 09:00 - Ada Berg: one more\n", "Chat WhatsApp con Ada Berg.txt")
    payloads = list(read(longer).payloads)

    assert payloads[0].items[1:-1] == tuple(first[1:])
    assert dict(payloads[0].context) == dict(next(read(written(tmp_path, ANDROID)).payloads).context)


def test_items_are_verbatim_below_one_line_of_facts(tmp_path: Path) -> None:
    items = next(read(written(tmp_path, ANDROID)).payloads).items

    assert items[2] == "1 8\n27/03/2022, 21:41 - Ada Berg: hello\nover two\n\nlines"
    assert items[5] == "2 9\n27/03/2022, 21:42 - Ben Light: hi"


def test_every_letter_of_a_file_is_in_some_item(tmp_path: Path) -> None:
    text = "a stray line\n" + ANDROID
    items = [item.partition("\n")[2] for payload in read(written(tmp_path, text)).payloads for item in payload.items][1:]

    assert "\n".join(items) == text.rstrip("\n")
    assert Unreadable("text without a date") in records_of(read(written(tmp_path, text)))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("[27.03.22, 21:41:05] ", "2022-03-27 21:41:05"),
        ("[27/03/2022, 9:41:05 PM] ", "2022-03-27 21:41:05"),
        (f"[27/03/2022, 9:41:05{NARROW}PM] ", "2022-03-27 21:41:05"),
        (f"{LRM}[27.03.22, 21:41:05] ", "2022-03-27 21:41:05"),
        ("[21:41:05, 27/03/2022] ", "2022-03-27 21:41:05"),
        ("27/03/22, 9:41 pm - ", "2022-03-27 21:41:00"),
        ("27/03/22 21.41 - ", "2022-03-27 21:41:00"),
        ("27/03/2022, 12:08 a. m. - ", "2022-03-27 00:08:00"),
        ("27/03/2022, 00:08 a. m. - ", "2022-03-27 00:08:00"),
        (f"27/3/2022, 9:41{NARROW}p.m. - ", "2022-03-27 21:41:00"),
        ("2022. 3. 27. 오후 9:41 - ", "2022-03-27 21:41:00"),
        ("2022/3/27 下午9:41 - ", "2022-03-27 21:41:00"),
        ("[R4/03/27 21:41:05] ", "2022-03-27 21:41:05"),
        ("[27/3/2565 BE, 21:41:05] ", "2022-03-27 21:41:05"),
        (f"{RLM}٢٧{RLM}/٣{RLM}/٢٠٢٢، ٩:٤١ م - ", "2022-03-27 21:41:00"),
        ("27-03-22 21:41:05: ", "2022-03-27 21:41:05"),
    ],
)
def test_headers_of_every_described_shape_are_read(tmp_path: Path, header: str, expected: str) -> None:
    export = read(written(tmp_path, f"{header}Ada Berg: eins\n{header}Ben Light: zwei\n"))

    assert [(local(message), message.content) for message in messages_of(export)] == [(expected, "eins"), (expected, "zwei")]
    assert export.report.messages == 2


def test_dates_that_can_be_read_in_two_ways_are_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "06/12/2015, 3:15 pm - Ada Berg: hello\n")

    with pytest.raises(UsageError, match=r"2015-12-06 \(dmy\) or 2015-06-12 \(mdy\).*--order dmy or --order mdy"):
        read(path)
    assert local(messages_of(read(path, order="dmy"))[0]) == "2015-12-06 15:15:00"
    assert local(messages_of(read(path, order="mdy"))[0]) == "2015-06-12 15:15:00"


def test_dates_whose_readings_agree_need_no_question(tmp_path: Path) -> None:
    assert local(messages_of(read(written(tmp_path, "05/05/2022, 10:00 - Ada Berg: hello\n")))[0]) == "2022-05-05 10:00:00"


def test_small_steps_decide_where_no_number_is_above_twelve(tmp_path: Path) -> None:
    rows = [f"{day:02}/03/2022, 10:00 - Ada Berg: {day}\n" for day in range(1, 10)]
    export = read(written(tmp_path, "".join(rows)))

    assert export.report.order == "dmy"
    assert any("Another order" in warning for warning in export.report.warnings)


def test_one_pasted_date_of_another_order_does_not_change_the_order(tmp_path: Path) -> None:
    rows = [f"{month}/{day}/22, 10:00 - Ada Berg: text\n" for month in range(1, 9) for day in (2, 14, 27)]
    rows.insert(9, "27/3/22, 10:00 - Ben Light: pasted\n")
    export = read(written(tmp_path, "".join(rows)))

    assert export.report.order == "mdy"
    assert export.report.messages == len(messages_of(export)) == 24
    assert any("pasted" in message.content for message in messages_of(export))


def test_a_wrong_order_is_refused_instead_of_reading_nothing(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="cannot be read in the order mdy"):
        read(written(tmp_path, ANDROID), order="mdy")
    with pytest.raises(UsageError, match="no order of dates"):
        read(written(tmp_path, ANDROID), order="american")


def test_a_date_in_a_media_name_decides_the_order(tmp_path: Path) -> None:
    rows = (
        "[03/04/22, 10:00:00] Ada Berg: <attached: 00000001-PHOTO-2022-04-03-10-00-00.jpg>\r\n",
        "[03/04/22, 10:01:00] Ada Berg: <attached: 00000002-PHOTO-2022-04-03-10-01-00.jpg>\r\n",
    )
    assert read(written(tmp_path, "".join(rows))).report.order == "dmy"


def test_a_pasted_header_of_another_shape_stays_text(tmp_path: Path) -> None:
    text = ANDROID + "28/03/2022, 09:00 - Ada Berg: look:\n[27.03.22, 21:41:05] Carl: pasted\n"
    export = read(written(tmp_path, text))

    assert messages_of(export)[-1].content == "look:\n[27.03.22, 21:41:05] Carl: pasted"
    assert any("stay text: 1." in warning for warning in export.report.warnings)


def test_on_ios_line_ends_tell_a_pasted_header_from_a_real_one(tmp_path: Path) -> None:
    text = "[27.03.22, 21:41:05] Ada Berg: look:\n[26.03.22, 10:00:00] Carl: pasted\r\n[27.03.22, 21:42:05] Ben Light: oh\r\n"
    export = read(written(tmp_path, text))

    assert [message.content for message in messages_of(export)] == ["look:\n[26.03.22, 10:00:00] Carl: pasted", "oh"]
    assert export.report.senders == ("Ada Berg", "Ben Light")


def test_an_ios_file_whose_line_ends_were_changed_is_read_by_its_headers(tmp_path: Path) -> None:
    text = "[27.03.22, 21:41:05] Ada Berg: one\r\ntwo\r\n[27.03.22, 21:42:05] Ben Light: three\n"
    assert [message.content for message in messages_of(read(written(tmp_path, text)))] == ["one\ntwo", "three"]


def test_an_hour_shown_twice_means_the_first_and_a_skipped_one_goes_on(tmp_path: Path) -> None:
    text = "30/10/2022, 02:30 - Ada Berg: twice\n27/03/2022, 02:30 - Ada Berg: skipped\n"
    twice, skipped = messages_of(read(written(tmp_path, text)))

    assert datetime.fromtimestamp(twice.sent_at, UTC).hour == 0
    assert datetime.fromtimestamp(skipped.sent_at, UTC).hour == 1


def test_a_name_with_a_colon_and_a_notice_with_a_colon_are_told_apart(tmp_path: Path) -> None:
    text = (
        "27/03/2022, 10:00 - Dr: Ada Berg: one\n27/03/2022, 10:01 - Dr: Ada Berg: two\n"
        "27/03/2022, 10:02 - Dr: Ada Berg: three\n"
        '27/03/2022, 10:03 - Ben Light: hi\n27/03/2022, 10:04 - Ben Light changed the subject to "Re: trip"\n'
        "27/03/2022, 10:05 - Ben Light: Note: bring bread\n27/03/2022, 10:06 - Carl:\n27/03/2022, 10:07 - Carl: yes\n"
    )
    found = messages_of(read(written(tmp_path, text)))

    assert [message.sender for message in found[:4]] == ["export:Dr: Ada Berg"] * 3 + ["export:Ben Light"]
    assert found[4].kind == "system"
    assert found[5].content == "Note: bring bread"
    assert (found[6].sender, found[6].kind, found[6].content) == ("export:Carl", "unknown", "")


def test_a_sender_who_is_a_number_has_the_numbers_id(tmp_path: Path) -> None:
    number = "\u202a+44\u00a07700\u00a0900123\u202c"
    name = "WhatsApp Chat with +44 7700 900123.txt"
    export = read(written(tmp_path, f"27/03/2022, 10:00 - {number}: hello\n", name))

    found = messages_of(export)[0]

    assert (found.chat, found.sender) == ("447700900123@c.us", "447700900123@c.us")


def test_a_sender_not_in_the_phone_book_keeps_the_name_that_they_gave_themselves(tmp_path: Path) -> None:
    text = f"[27.03.22, 21:41:05] ~{NARROW}Dana: one\r\n[27.03.22, 21:42:05] Ada Berg: two\r\n"
    records = records_of(read(written(tmp_path, text)))

    assert Contact("export:~Dana", NOW, profile_name="Dana") in records


@pytest.mark.parametrize(
    "text",
    [
        "27/03/2022, 10:00 - Ada: a\n27/03/2022, 10:01 - Ben: b\n27/03/2022, 10:02 - Carl: c\n",
        '27/03/2022, 10:00 - Ada created group "Trip"\n27/03/2022, 10:01 - Ben: b\n',
        "27/03/2022, 10:00 - Ada: a\n27/03/2022, 10:01 - Ben: b\n",
        f"[27.03.22, 10:00:00] Trip: {LRM}Ada created this group\r\n[27.03.22, 10:01:00] Ada: a\r\n",
    ],
)
def test_a_group_is_told_by_its_senders_its_notices_or_its_name(tmp_path: Path, text: str) -> None:
    records = records_of(read(written(tmp_path, text, "WhatsApp Chat with Trip.txt")))

    assert records[0] == Chat("export:Trip@g.us", NOW, name="Trip")
    assert Group("export:Trip@g.us", NOW, name="Trip") in records


def test_the_chats_name_is_the_others_when_only_the_owner_is_known(tmp_path: Path) -> None:
    text = "27/03/2022, 10:00 - Ada: a\n27/03/2022, 10:01 - Ben: b\n"

    assert read(written(tmp_path, text, "backup.txt"), me="Ben").report.chat_id == "export:Ada"
    assert read(written(tmp_path, text, "backup.txt")).report.chat_id == "export:backup"
    assert read(written(tmp_path, text, "backup.txt"), name="Ada").report.chat_id == "export:Ada"


ANDROID_BODIES = [
    ("<Media omitted>", Message("", "", 0, kind="unknown", marker="omitted")),
    ("<Medien ausgeschlossen>", Message("", "", 0, kind="unknown", marker="omitted")),
    ("<Media omitted>\nour house", Message("", "", 0, kind="unknown", marker="omitted", content="our house")),
    ("IMG-20220327-WA0007.jpg (file attached)", Message("", "", 0, kind="image", media_filename="IMG-20220327-WA0007.jpg")),
    (
        f"{LRM}PTT-20220327-WA0007.opus (fichier joint)",
        Message("", "", 0, kind="voice", media_filename="PTT-20220327-WA0007.opus"),
    ),
    (
        "VID-20220327-WA0007.mp4 (Datei angehängt)\nDas hier",
        Message("", "", 0, kind="video", content="Das hier", media_filename="VID-20220327-WA0007.mp4"),
    ),
    (
        "STK-20220327-WA0007.webp (in a new tongue)",
        Message("", "", 0, kind="sticker", media_filename="STK-20220327-WA0007.webp"),
    ),
    ("rent (2022).pdf (file attached)", Message("", "", 0, kind="document", media_filename="rent (2022).pdf")),
    ("Carl Moon.vcf (file attached)", Message("", "", 0, kind="contact", content="Carl Moon", media_filename="Carl Moon.vcf")),
    ("This message was deleted", Message("", "", 0, kind="unknown", deleted=True)),
    ("הודעה זו נמחקה", Message("", "", 0, kind="unknown", deleted=True)),
    ("see you at nine <This message was edited>", Message("", "", 0, kind="text", content="see you at nine", edited=True)),
    (
        "location: https://maps.google.com/?q=52.52,-13.405",
        Message("", "", 0, kind="location", latitude=52.52, longitude=-13.405),
    ),
    (
        "Cafe Linde\nElm Street 4, Springfield\nhttps://foursquare.com/v/4b5",
        Message("", "", 0, kind="location", content="Cafe Linde\nElm Street 4, Springfield", location_name="Cafe Linde"),
    ),
    (
        "POLL:\nWhen?\nOPTION: Monday (2 votes)\nOPTION: Tuesday (1 vote)",
        Message("", "", 0, kind="poll", content="When?\nMonday\nTuesday"),
    ),
    ("live location shared", Message("", "", 0, kind="location")),
    ("I like <b>bold</b> and <this>", Message("", "", 0, kind="text", content="I like <b>bold</b> and <this>")),
    ("read this (file attached)", Message("", "", 0, kind="text", content="read this (file attached)")),
    ("see https://maps.google.com/?q=1,2", Message("", "", 0, kind="text", content="see https://maps.google.com/?q=1,2")),
    ("hello \u2068@Carl\u2069 👨\u200d👩\u200d👧", Message("", "", 0, kind="text", content="hello @Carl 👨\u200d👩\u200d👧")),
]

IOS_BODIES = [
    (f"{LRM}image omitted", Message("", "", 0, kind="image", marker="omitted")),
    (f"look {LRM}video omitted", Message("", "", 0, kind="video", marker="omitted", content="look")),
    (f"{LRM}Bild weggelassen", Message("", "", 0, kind="image", marker="omitted")),
    (
        f"{LRM}<attached: 00000035-PHOTO-2022-03-27-21-41-55.jpg>",
        Message("", "", 0, kind="image", media_filename="00000035-PHOTO-2022-03-27-21-41-55.jpg"),
    ),
    (
        f"our house {LRM}<Anhang: 00000035-AUDIO-2022-03-27-21-41-55.opus>",
        Message("", "", 0, kind="voice", content="our house", media_filename="00000035-AUDIO-2022-03-27-21-41-55.opus"),
    ),
    (
        f"rent.pdf • {LRM}2 pages {LRM}<attached: 00000047-rent.pdf>",
        Message("", "", 0, kind="document", media_filename="00000047-rent.pdf"),
    ),
    (
        "2015-08-04-PHOTO-00004762.jpg <\u200eattached>",
        Message("", "", 0, kind="image", media_filename="2015-08-04-PHOTO-00004762.jpg"),
    ),
    (
        f"{LRM}<attached: 00000042-Carl Moon.vcf>",
        Message("", "", 0, kind="contact", content="Carl Moon", media_filename="00000042-Carl Moon.vcf"),
    ),
    (f"{LRM}This message was deleted.", Message("", "", 0, kind="unknown", deleted=True)),
    (f"nine {LRM}<This message was edited>", Message("", "", 0, kind="text", content="nine", edited=True)),
    (
        f"{LRM}Location: https://maps.google.com/?q=52.52,13.4",
        Message("", "", 0, kind="location", latitude=52.52, longitude=13.4),
    ),
    (
        "Cafe Linde (Springfield, Elmland): https://foursquare.com/v/4b5",
        Message(
            "",
            "",
            0,
            kind="location",
            content="Cafe Linde (Springfield, Elmland)",
            location_name="Cafe Linde (Springfield, Elmland)",
        ),
    ),
    (f"{LRM}POLL:\nWhen?\n{LRM}OPTION: Monday (2 votes)", Message("", "", 0, kind="poll", content="When?\nMonday")),
    (f"{LRM}Missed voice call, {LRM}Tap to call back", Message("", "", 0, kind="call")),
    (f"{LRM}Waiting for this message. This may take a while.", Message("", "", 0, kind="unknown", marker="omitted")),
    (f"{LRM}Ada Berg is now an admin", Message("", "", 0, kind="system", content="Ada Berg is now an admin")),
]


@pytest.mark.parametrize(
    ("style", "body", "expected"), [("android", *case) for case in ANDROID_BODIES] + [("ios", *case) for case in IOS_BODIES]
)
def test_what_the_app_writes_is_recognised(tmp_path: Path, style: str, body: str, expected: Message) -> None:
    found = only(tmp_path, body, style=style)
    sender = "" if expected.kind == "system" else "export:Ada Berg"

    assert found == expected._replace(chat=found.chat, id=found.id, sent_at=found.sent_at, sender=sender)


def test_a_call_says_whether_it_had_a_picture_and_how_long_it_was(tmp_path: Path) -> None:
    rows = f"[27/03/22, 21:41:00] Ada: {LRM}Missed video call\r\n[27/03/22, 21:42:00] Ada: {LRM}Voice call, {LRM}3 min\r\n"
    calls = [record for record in records_of(read(written(tmp_path, rows))) if isinstance(record, Call)]

    assert [(call.is_video, call.status, call.duration) for call in calls] == [(True, "missed", None), (False, "", 180)]


def test_batches_do_not_matter_and_memory_holds_one_at_a_time(tmp_path: Path) -> None:
    draw = random.Random(7)
    rows = [
        f"{1 + n // 900:02}/03/2022, {n // 60 % 15 + 9:02}:{n % 60:02} - Ada Berg: {draw.choice('ab')}\n" for n in range(1800)
    ]
    export = read(written(tmp_path, "".join(rows)), order="dmy")
    sizes = [len(payload.items) for payload in export.payloads]

    assert sizes == [500, 500, 500, 301]
    assert len({message.id for message in messages_of(export)}) == 1800
