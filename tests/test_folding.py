from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatsapp_mcp.search.folding import fold
from whatsapp_mcp.search.snippets import words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CAFÉ", "cafe\u0301"),
        ("café", "cafe"),
        ("Straße", "STRASSE"),
        ("ещё", "еще"),
        ("İstanbul", "istanbul"),
        ("ılık", "ilik"),
        ("Łódź", "lodz"),
        ("Ærø", "aero"),
        ("ＡＢＣ１２", "abc12"),
        ("٣٤", "34"),
        ("ΚΑΦΈΣ", "καφές"),
        ("שָׁלוֹם", "שלום"),
        ("שלומ", "שלום"),
        ('צה"ל', "צהל"),
        ("צה״ל", "צהל"),
        ("ג'ירפה", "גירפה"),
        ("فَاتُورَة", "فاتوره"),
        ("أحمد", "احمد"),
        ("إلى", "الي"),
        ("کتاب", "كتاب"),
        ("كـــتاب", "كتاب"),
        ("ｶﾞ", "ガ"),
        ("👍🏽", "👍"),
        ("❤️", "❤"),
        ("foo_bar", "foo-bar"),
        ("a\u200eb", "ab"),
        ("3️⃣", "3"),
    ],
)
def test_spellings_of_one_word_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other) != ""


@pytest.mark.parametrize(
    ("one", "other"), [("мой", "мои"), ("か", "が"), ("👍", "👎"), ("कि", "की"), ("บาน", "บ้าน"), ("☀", "☁")]
)
def test_different_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize("text", ["", " ", "...", "\x00", "\ud800", "\u200f", "-_-", '"'])
def test_what_holds_no_word_folds_to_nothing(text: str) -> None:
    assert fold(text) == ""


def test_characters_of_scripts_without_blanks_are_words_of_their_own() -> None:
    assert fold("我们ok的").split() == ["我", "们", "ok", "的"]
    assert " ".join(fold("ตลาด").split()) in fold("ไปตลาดกัน")


def test_an_emoji_within_a_word_is_a_word() -> None:
    before, emoji, after = fold("yes👍no").split()
    assert (before, emoji, after) == ("yes", fold("👍"), "no")


@given(st.text(alphabet=st.characters()))
def test_folding_is_total_and_leaves_single_blanks(text: str) -> None:
    folded = fold(text)
    assert folded == " ".join(folded.split())


@given(st.text(alphabet=st.sampled_from("aé ß.שםל\"'ёй我が👍🏽ｶﾞأةـ\u05b8\u0301ำ้\u200e½")))
def test_placed_words_are_the_folded_words(text: str) -> None:
    assert [word.text for word in words(text)] == fold(text).split()
