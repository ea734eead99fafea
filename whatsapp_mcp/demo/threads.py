"""Short conversations written by hand, so that there is something to ask about.

Each stands undisturbed in its chat: no other message of the account falls between its lines.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from whatsapp_mcp.demo.people import FAMILY
from whatsapp_mcp.demo.timeline import DAY, instant

ME: Final = "me"
_HOUR: Final = 3600


class Line(NamedTuple):
    """One message: who (`ME` or the place of a person in the cast), what, how many seconds after the line before."""

    who: str | int
    text: str
    after: int = 60
    replies_to: int = 0
    """How many lines back the answered message is; 0 for none."""
    file: str = ""
    """The name of an attached document."""
    call: int = 0
    """Seconds of a call instead of a message."""


class Thread(NamedTuple):
    """A conversation; `chat` is a person's place in the cast or a group's subject."""

    key: str
    chat: str | int
    start: int
    lines: tuple[Line, ...]

    @property
    def end(self) -> int:
        """When its last line was written."""
        return self.start + sum(line.after for line in self.lines)


_TABLE: Final = Thread(
    "table", 0, instant(2025, 8, 11, 8, 20),
    (
        Line(ME, "Hi Mike, do you still build kitchen tables?"),
        Line(0, "Morning! Yes, oak or walnut. What size do you need?", 240),
        Line(ME, "Oak, 180 x 90 cm, for six people", 95),
        Line(0, "Oak at that size is 2,600 USD with delivery", 410),
        Line(ME, "That is above what I planned. Could you do 2,400?", 300),
        Line(0, "If you take the matt oil finish I can do 2,450", 180, replies_to=1),
        Line(ME, "Deal, 2,450 USD with the matt oil finish", 120),
        Line(ME, "When could you deliver?", 20),
        Line(0, "I have a slot on Thursday 28 August, between 9 and 11", DAY + 2 * _HOUR),
        Line(ME, "Thursday 28 August is fine. Third floor, the lift is narrow", 700, replies_to=1),
        Line(0, "No worries, the legs come off. Half now, half on delivery?", 160),
        Line(ME, "Sent you the deposit, 1,225 USD", 2 * _HOUR),
        Line(0, "Got it, thanks! Here is the order confirmation", 900, file="order-kitchen-table.pdf"),
        Line(0, "So: oak table 180 x 90, 2,450 USD, delivered on Thursday 28 August at 9", 45),
        Line(ME, "Agreed 👍", 60),
    ),
)  # fmt: skip

_TRIP: Final = Thread(
    "trip", FAMILY, instant(2025, 8, 17, 16, 5),
    (
        Line(1, "מי בא לטיול בגליל בסוף השבוע?"),
        Line(ME, "אני! לאן בדיוק?", 130),
        Line(1, "חשבתי על נחל כזיב ואחר כך צימר במעלות", 75),
        Line(7, "מעולה, נצא ביום שישי בשבע בבוקר?", 210),
        Line(6, "שבע מוקדם לי, נצא בשמונה", 340, replies_to=1),
        Line(ME, "שמונה סגור. אני מביא את הצידנית ואת המפה", 90),
        Line(7, "הצימר עולה 1,400 ש״ח לשני לילות, להזמין?", 1200),
        Line(1, "כן, תזמיני. אני מכינה קציצות ועוגת תפוחים", 60, replies_to=1),
        Line(7, "הזמנתי! מספר הזמנה 48213", 950),
        Line(6, "לא לשכוח כובעים ומים, יהיה חם", 400),
    ),
)  # fmt: skip

_INVOICE: Final = Thread(
    "invoice", 2, instant(2025, 8, 5, 7, 30),
    (
        Line(2, "בוקר טוב, מצורפת חשבונית מס 2025-118 על סך 3,480 ש״ח", file="חשבונית-2025-118.pdf"),
        Line(ME, "תודה רונית, עד מתי צריך לשלם?", 800),
        Line(2, "עד ה-20 באוגוסט, בהעברה בנקאית", 120),
        Line(ME, "שילמתי עכשיו, אפשר קבלה?", 5 * _HOUR),
        Line(2, "בוודאי, הקבלה אצלך", 600, file="קבלה-2025-118.pdf"),
    ),
)  # fmt: skip

_DACHA: Final = Thread(
    "dacha", 3, instant(2025, 8, 21, 13, 40),
    (
        Line(3, "Привет! Ты приедешь на дачу в субботу?"),
        Line(ME, "Привет, Оля! Да, электричка в 9:40", 150),
        Line(3, "Отлично, встречу на станции. Захвати уголь для мангала", 90),
        Line(ME, "Хорошо. Сколько нас будет?", 60),
        Line(3, "Восемь человек, шашлык уже замариновала", 200, replies_to=1),
        Line(ME, "Тогда привезу ещё арбуз", 40),
    ),
)  # fmt: skip

_ENGAGEMENT: Final = Thread(
    "engagement", 4, instant(2025, 8, 24, 17, 10),
    (
        Line(4, "مرحبا! حفلة الخطوبة يوم الجمعة في قاعة النخيل"),
        Line(ME, "ألف مبروك! في أي ساعة؟", 120),
        Line(4, "الساعة السابعة مساء، والعشاء في الثامنة", 60),
        Line(ME, "سأحضر مع العائلة، نحن أربعة", 180, replies_to=1),
        Line(4, "أهلا وسهلا، حجزت لكم طاولة قرب النافذة", 75),
    ),
)  # fmt: skip

_FLIGHT: Final = Thread(
    "flight", 5, instant(2025, 8, 19, 9, 0),
    (
        Line(5, "¡Hola! He encontrado vuelos a Sevilla para octubre"),
        Line(ME, "¡Qué bien! ¿Cuánto cuestan?", 100),
        Line(5, "118 euros ida y vuelta, con maleta incluida", 80),
        Line(ME, "Reserva dos, por favor. Te hago un Bizum", 240, replies_to=1),
        Line(5, "Hecho: salimos el 9 de octubre a las 7:15, terminal 1", 900),
    ),
)  # fmt: skip

_MOVING: Final = Thread(
    "moving", 1, instant(2019, 3, 4, 18, 0),
    (
        Line(1, "חתמתם על החוזה של הדירה ברחוב הזית?"),
        Line(ME, "כן! נכנסים ב-1 באפריל", 300),
        Line(1, "איזה יופי, אני מביאה מזוזה ולחם", 60),
    ),
)  # fmt: skip

_DINNER: Final = Thread(
    "dinner", 1, instant(2025, 9, 30, 15, 10),
    (
        Line(1, "מה שלומך? מתי אתם מגיעים מחר לארוחת החג?"),
        Line(ME, "נגיע בשש, להביא משהו?", 420),
        Line(1, "רק יין אדום ורימונים", 90, replies_to=1),
        Line(ME, "סגור ❤️", 35),
        Line(1, "", 2 * _HOUR, call=214),
        Line(ME, "", 1800, call=65),
    ),
)  # fmt: skip

THREADS: Final = (_TABLE, _TRIP, _INVOICE, _DACHA, _ENGAGEMENT, _FLIGHT, _MOVING, _DINNER)
"""All of them: six in August 2025, one in 2019, one on the account's last day (with two calls)."""
