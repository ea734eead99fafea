"""The endings that inflection exchanges, by tongue, as they stand in folded words; `inflection` says how they are used.

Each `Pattern` is a set of endings of which one word takes now this, now that: the plural, the cases, the persons and tenses
of regular verbs. Endings that make another word of it (``-ation``, ``-ität``, ``-ость``; Spanish *puerto* and *puerta*) are
left out on purpose: finding the police for a policy is worse than typing a second word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Pattern:
    """Endings that one word exchanges for each other."""

    endings: tuple[str, ...]
    least: int = 3
    """The fewest letters that stand before the ending."""
    base: re.Pattern[str] | None = None
    """What stands before the ending must fit it to the end."""
    from_bare: bool = True
    """Whether a word without any of the endings takes them."""


def _of(endings: str, least: int = 3, base: str = "", *, from_bare: bool = True) -> Pattern:
    """A pattern; ``-`` is no ending at all."""
    told = tuple("" if ending == "-" else ending for ending in endings.split())
    return Pattern(told, least, re.compile(f".*(?:{base})") if base else None, from_bare)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CONSONANT: Final = "[bcdfghjklmnpqrstvwxyz]"
_NOT_SIBILANT: Final = "(?:[^sxzyho]|(?<![cs])h|[aeiou][yo])"
_ENGLISH: Final = (
    _of("- s", base=_NOT_SIBILANT),
    _of("- es", base="(?:s|x|z|ch|sh|o)"),
    _of("y ies ied", 2, _CONSONANT),
    _of("- s ed ing ings", 3, f"(?:{_CONSONANT}{{2}}|[aeiou]{{2}}{_CONSONANT}|[aeo][yw]|.{{3}}[aeiou]{_CONSONANT})"),
    _of("e es ed ing ings", 3, f"[aeiou].*(?:{_CONSONANT}|u)"),
)  # fmt: skip
_GERMAN: Final = (
    _of("- s"),
    _of("- e en er ern es em", 4, "[bcdfghklmnprstwxyz]"),
    _of("- n s", 3, "(?:el|er|e)"),
    _of("- nen", 4, "in"),
    _of("en e st t te ten et est", 4, "[bcdfghklmnprstwxyz]"),
)
_FRENCH: Final = (
    _of("- s", base="[^sxz]"),
    _of("- x", 2, "(?:au|eu|ou)"),
    _of("al aux"),
    _of("- e s es", 4, "[deilnrtu]"),
    _of("er e es ee ees ez ons ent ait", 4),
    _of("eux euse euses"),
    _of("if ive ifs ives"),
)
_PARTICIPLES: Final = (_of("ado ada ados adas", 2), _of("ido ida idos idas", 2), _of("oso osa osos osas"))
_SPANISH: Final = (_of("- s", 3, "[aeiou]"), _of("- es", 3, "[dlnrsyj]"), _of("z ces", 2), *_PARTICIPLES)
_PORTUGUESE: Final = (
    _of("- s", 3, "[aeiou]"),
    _of("- es", 3, "[rsz]"),
    _of("ao oes aes aos", 1),
    _of("m ns", 2, "[aeiou]"),
    *(_of(pair, 2) for pair in ("al ais", "el eis", "ol ois", "ul uis", "il is eis")),
    *_PARTICIPLES,
)
_ITALIAN: Final = (
    _of("o i"), _of("a e"), _of("e i"), _of("io i", 3), _of("ia ie", 3),
    _of("co ci chi", 2), _of("ca che", 2), _of("go gi ghi", 2), _of("ga ghe", 2), _of("ato ata ati ate", 3),
)  # fmt: skip
_TURKISH_BACK: Final = "a ya da ta dan tan i yi u yu in nin un nun si su im m um lar lari larin lara larda lardan nda ndan"
_TURKISH_FRONT: Final = "e ye de te den ten i yi u yu in nin un nun si su im m um ler leri lerin lere lerde lerden nde nden"
_TURKISH: Final = (
    _of(f"- {_TURKISH_BACK}", 3, "[aiou][^aeiou]*"),
    _of(f"- {_TURKISH_FRONT}", 3, "[eiou][^aeiou]*"),
    _of("- lar larda", 2, "[aiou][^aeiou]*"),
    _of("- ler lerde de den", 2, "[eiou][^aeiou]*"),
    *(
        _of(f"{hard} {soft}i {soft}u {soft}a {soft}e {soft}in {soft}un {soft}im {soft}um", 3)
        for hard, soft in ("kg", "pb", "cc", "td")
    ),
)

_RUSSIAN: Final = (
    _of("- а у ом е ы и ов ев ей ам ами ах", 3, "[^аеиоуыэюяйьъі]"),
    _of("а ы и у е ой ою ей - ам ами ах", 3, from_bare=False),
    _of("я и ю е ей ь ям ями ях", 2),
    _of("ь я ю ем е и ей ям ями ях ью", 2),
    _of("й я ю ем е и ев ям ями ях", 2),
    _of("ия ии ию ией ий иям иями иях", 2),
    _of("ие ия ию ием ии ий иям иями иях", 2),
    _of("о а у ом е - ам ами ах", 3, from_bare=False),
    _of("ый ий ой ого его ому ему ым им ом ем ая яя ую юю ой ей ое ее ые ие ых их ыми ими", 2),
    _of("ок ка ку ком ке ки ков кам ками ках", 2),
    _of("ец ца цу цом цем це цы цов цев цам цами цах", 2),
    _of("ка ки ке ку кой ок ек кам ками ках", 2),
    _of("ать аю аешь ает аем аете ают ал ала ало али", 2),
    _of("ить ю у ишь ит им ите ят ат ил ила ило или", 3),
    _of("еть ею еешь еет еем еете еют ел ела ело ели", 2),
    _of("ться тся лся лась лось лись", 2),
    _of("овать ую уешь ует уем уете уют овал овала овало овали", 2),
)
_UKRAINIAN: Final = (
    _of("- а у ові ом і и ів ам ами ах", 3, "[^аеиоуюяйьі]"),
    _of("а и і у ою - ам ами ах", 3, from_bare=False),
    _of("я і ю ею ь ям ями ях", 2),
    _of("ь я ю еві ем і ів ям ями ях", 2),
    _of("ія іі ію ією ій іям іями іях", 2),
    _of("ий ого ому им а ої ій у ою е і их ими", 3),
    _of("ати аю аєш ає аємо аєте ають ав ала ало али", 2),
    _of("ити ю у иш ить имо ите ять ать ив ила ило или", 3),
)
_GREEK: Final = (
    _of("οσ ου ο οι ων ουσ ε α", 3),
    _of("α ασ εσ ων", 3),
    _of("η ησ εσ ων εισ εων", 3),
    _of("ασ α εσ ων", 3),
    _of("ι ιου ια ιων", 3),
    _of("μα ματοσ ματα ματων", 2),
)
_HEBREW: Final = (
    _of("- ים ימ", 3, "[^הת]"),
    _of("- ות", 3, "[^הת]"),
    _of("ה ות ת", 2),
    _of("ה ימ", 2),
    _of("ית יות", 2),
    _of("ות ויות", 2),
)
_ARABIC: Final = (_of("ه ات ت تين ته تها تي تك تنا تهم", 3), _of("- ون ين ات", 4, "[^هاي]"))

CYRILLIC: Final = (*_RUSSIAN, *_UKRAINIAN)
GREEK: Final = _GREEK
HEBREW: Final = _HEBREW
ARABIC: Final = _ARABIC
LATIN: Final = {
    "en": _ENGLISH, "de": _GERMAN, "fr": _FRENCH, "es": _SPANISH, "pt": _PORTUGUESE, "it": _ITALIAN, "tr": _TURKISH,
}  # fmt: skip

SIGNS: Final = {
    "de": _words("und nicht ist ich der das ein eine wir auch noch aber mit sind habe schon zum wenn dann kein keine wird"),
    "fr": _words("est pas les des une je vous nous avec pour dans mais sur tu sont chez suis cette oui merci bonjour avez mon"),
    "es": _words("los las pero muy por una el esta estoy gracias donde tengo hoy buenos cuando hola como yo del te"),
    "pt": _words("nao voce uma para com obrigado obrigada estou isso tem ele ela muito amanha hoje bom sim pra mas ja"),
    "it": _words("che non sono della per il di con una grazie anche perche ciao domani oggi ho sei dove questo buongiorno"),
    "tr": _words("bir cok icin degil ama ben bu ne zaman gibi kadar nasil yok daha simdi tamam evet hayir var geldi"),
}  # fmt: skip
"""Frequent little words by which an archive shows that a tongue is written in it. English needs no sign."""

UNCHANGING: Final = frozenset(
    _words(
        "news evening morning during nothing something anything everything wedding being ceiling hundred indeed thing bring "
        "this that these those the and not for you are was were has had have his her hers its yes yet but can could would "
        "should all any one two ten out our ours who why how when where what which with from into over under about after "
        "before then than them they their there here just only also very more most much many some such same other each both "
        "plus gas bus less unless across always perhaps thus series species mathematics physics politics business does did "
        "been will shall must may might now new old too own off yours mine please thanks thank well even ever never every "
        "und oder aber nicht noch auch schon sehr mehr immer wieder leider unser unsere eure ihre seine meine deine keine "
        "eine einen einer eines einem dieser diese dieses diesen diesem jeder jede jedes weder sonst etwas alles alle allen "
        "aller dann denn wenn weil dass doch hier dort heute morgen gestern uber unter nach fur ohne gegen durch mein dein "
        "les des une mais pour dans sous sur avec sans chez tres bien plus moins tous tout toute toutes nous vous leur notre "
        "los las una uno unos unas por para pero como muy mas menos sin entre desde hasta cada todo toda todos todas esta este "
        "esto estas estos ese esa eso sus mis tus nos que quien cuando donde manana nao sim com sem uma umas isso isto este "
        "che chi non con per tra fra sono della dello delle degli nella nelle questo questa questi queste quello quella come "
        "dove quando anche ancora sempre mai piu meno molto poco tutto tutta tutti tutte ogni cosi perche "
        "bir cok icin degil ama ben sen bu ne zaman gibi kadar nasil yok daha simdi evet hayir "
        "это этот эта эти как так там тут что кто где когда если или под над при про для без все всё меня тебя его мне тебе "
        "нас вас они она оно мой твой наш ваш уже еще тоже только очень потом домой можно нужно надо она его или тем чем "
        "που και για απο στο στη στον στην τον την του της των τους τις ειναι εχω μου σου μας σας "
        "מה מי של את על עם גם כל לא כן זה זאת הוא היא הם אני אתה אנחנו יש אין אבל היום מחר עכשיו פה שם "
    )
)
"""Words that take no endings, and that no other word becomes by an ending."""
