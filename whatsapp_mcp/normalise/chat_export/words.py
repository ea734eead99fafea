"""What WhatsApp itself writes into an export, by language: lists to extend, not truth.

Every phrase is lower case, without direction marks and without a full stop at its end. Sources: strings seen in public export
files and in the tables of other parsers; the language-free rules in `body` come first, these lists catch the rest.
"""

from __future__ import annotations

from typing import Final

MORNING: Final = (
    "上午", "午前", "오전", "पूर्वाह्न", "ص", "vorm.", "π.μ.", "πμ", "fm", "sa", "öö", "dop.", "de.", "pg", "im.", "ap.",
)  # fmt: skip
"""Words for the first half of the day beside am, a.m. and a. m."""
AFTERNOON: Final = (
    "下午", "午後", "오후", "अपराह्न", "م", "nachm.", "μ.μ.", "μμ", "em", "ch", "ös", "odp.", "du.", "ptg", "ip.",
)  # fmt: skip
"""Words for the second half of the day beside pm, p.m. and p. m."""

_OMITTED_BY_KIND: Final = {
    "image": (
        "image omitted", "bild weggelassen", "image absente", "imagen omitida", "immagine omessa", "imagem não revelada",
        "imagem ocultada", "изображение отсутствует", "зображення відсутнє", "obrázek vynechán", "لم يتم إدراج الصورة",
        "gambar tidak disertakan", "画像は含まれていません", "afbeelding weggelaten", "תמונה הושמטה", "התמונה הושמטה",
        "görüntü dahil edilmedi",
    ),
    "video": (
        "video omitted", "video weggelassen", "vidéo absente", "video omitido", "video omesso", "vídeo não revelado",
        "vídeo omitido", "видео отсутствует", "відео відсутнє", "video vynecháno", "لم يتم إدراج الفيديوهات",
        "video tidak disertakan",
        "ビデオは含まれていません", "video weggelaten", "סרטון הושמט", "הסרטון הושמט", "gif omitted",
        "gif weggelassen", "gif retiré", "gif omitido",
        "gif esclusa", "gif não revelada", "gif отсутствует", "gif-анімацію пропущено", "gif vynechán",
        "لم يتم إدراج صورة gif",
        "gif tidak disertakan", "gifは含まれていません", "<video note omitted>", "video note omitted", "video dahil edilmedi",
    ),
    "audio": (
        "audio omitted", "audio weggelassen", "audio omis", "audio omitido", "audio omesso", "ficheiro de áudio não revelado",
        "áudio ocultado", "аудиофайл отсутствует", "аудіо відсутнє", "zvukový soubor vynechán",
        "لم يتم إدراج المقاطع الصوتية",
        "audio tidak disertakan", "音声は含まれていません", "audio weggelaten", "אודיו הושמט", "השמע הושמט",
        "ses dahil edilmedi",
    ),
    "sticker": (
        "sticker omitted", "sticker weggelassen", "sticker omis", "sticker omitido", "sticker non incluso",
        "sticker não revelado",
        "figurinha omitida", "стикер не добавлен", "наклейку не додано", "nálepka vynechána", "تم حذف الملصقات",
        "stiker tidak disertakan",
        "スタンプは含まれていません", "sticker weggelaten", "סטיקר הושמט", "הסטיקר הושמט",
    ),
    "document": (
        "document omitted", "dokument weggelassen", "document manquant", "documento omitido", "documento omesso",
        "documento não revelado", "документ отсутствует", "документ пропущено", "dokument vynechán", "لم يتم إدراج المستند",
        "dokumen tidak disertakan", "ドキュメントは含まれていません", "document weggelaten", "מסמך הושמט", "המסמך הושמט",
    ),
    "contact": (
        "contact card omitted", "kontaktkarte ausgelassen", "fiche contact manquante", "tarjeta de contacto omitida",
        "scheda contatto omessa", "contacto não revelado", "карточка контакта отсутствует", "картка контакту відсутня",
        "vizitka vynechána", "لم يتم إدراج بطاقة جهة اتصال", "kartu kontak tidak disertakan", "連絡先カードを省略",
        "contactkaart weggelaten", "כרטיס איש קשר הושמט",
    ),
    "unknown": (
        "<media omitted>", "<medien ausgeschlossen>", "<multimedia omitido>", "<médias omis>", "<media omessi>",
        "<mídia oculta>",
        "<arquivo de mídia oculto>", "<media weggelaten>", "<média vynechány>", "<без медиафайлов>",
        "<המדיה לא נכללה>", "<המדיה הוסרה>",
        "<מדיה הושמטה>", "<تم استبعاد الوسائط>", "<medya dahil edilmedi>", "<media tidak disertakan>", "<archivo omitido>",
    ),
}  # fmt: skip
OMITTED: Final = {phrase: kind for kind, phrases in _OMITTED_BY_KIND.items() for phrase in phrases}
"""Marks of media that the export left out, with the kind of message; Android has one mark for all kinds."""

ATTACHED: Final = frozenset((
    "file attached", "datei angehängt", "archivo adjunto", "fichier joint", "file allegato", "arquivo anexado",
    "ficheiro anexado",
    "bestand bijgevoegd", "soubor byl přiložen", "файл добавлен", "файл додано", "הקובץ מצורף", "קובץ מצורף",
    "الملف مرفق", "ملف مرفق",
    "dosya ekli", "file terlampir", "添付ファイル",
))  # fmt: skip
"""What Android writes in parentheses behind a file's name."""

EDITED: Final = frozenset((
    "this message was edited", "diese nachricht wurde bearbeitet", "se editó este mensaje", "este mensaje fue editado",
    "ce message a été modifié", "questo messaggio è stato modificato", "mensagem editada", "esta mensagem foi editada",
    "dit bericht is bewerkt", "данное сообщение изменено", "сообщение изменено", "הודעה זו נערכה", "ההודעה נערכה",
    "تم تعديل هذه الرسالة",
    "tato zpráva byla upravena", "pesan ini telah diedit",
))  # fmt: skip
"""The mark behind a text that was changed later; Android and iOS set it in angle brackets."""

DELETED: Final = (
    "this message was deleted", "you deleted this message", "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "ce message a été supprimé", "vous avez supprimé ce message", "se eliminó este mensaje", "eliminaste este mensaje",
    "este mensaje fue eliminado", "questo messaggio è stato eliminato", "hai eliminato questo messaggio",
    "esta mensagem foi apagada",
    "apagou esta mensagem", "mensagem apagada", "essa mensagem foi apagada", "você apagou esta mensagem",
    "данное сообщение удалено",
    "вы удалили данное сообщение", "це повідомлення було видалено", "ви видалили це повідомлення", "tato zpráva byla smazána",
    "tuto zprávu jste smazal/a", "تم حذف هذه الرسالة", "لقد حذَفت هذه الرسالة", "pesan ini dihapus",
    "anda menghapus pesan ini",
    "このメッセージは削除されました", "このメッセージを削除しました", "dit bericht is verwijderd",
    "u hebt dit bericht verwijderd",
    "je hebt dit bericht verwijderd", "הודעה זו נמחקה", "ההודעה נמחקה", "מחקת הודעה זו", "מחקת את ההודעה", "bu mesaj silindi",
    "bu mesajı sildiniz",
)  # fmt: skip
"""What stands in the place of a message that was deleted for everyone."""

DELETED_BY_ADMIN: Final = ("this message was deleted by admin ", "diese nachricht wurde von admin ")
"""The same with the admin's name behind it."""

UNSEEN: Final = frozenset((
    "waiting for this message", "waiting for this message. this may take a while",
    "you received a view once message. for added privacy, you can only open it on your phone",
    "view once voice message omitted",
    "you received a view once voice message", "you received a view once photo", "you received a view once video",
    "ממתינים להודעה זו. זה עשוי להימשך זמן מה", "warten auf diese nachricht. dies kann eine weile dauern",
    "esperando este mensaje. esto puede tomar tiempo",
))  # fmt: skip
"""A message that stands here without its content: view once, or not decrypted when the export was made."""

LIVE_LOCATIONS: Final = frozenset((
    "live location shared", "live-standort wird geteilt", "ubicación en tiempo real compartida",
    "localização atual compartilhada",
))  # fmt: skip

LOCATION_WORDS: Final = frozenset((
    "location", "standort", "localisation", "ubicación", "posizione", "localização", "местоположение", "розташування",
    "poloha", "موقع",
    "lokasi", "位置情報", "locatie", "מיקום", "konum",
))  # fmt: skip
"""What stands before the colon of a place's link."""

CALLS: Final = {
    "missed voice call": (False, "missed"), "missed video call": (True, "missed"), "missed group voice call": (False,
    "missed"),
    "missed group video call": (True, "missed"), "voice call": (False, ""), "video call": (True, ""),
    "verpasster sprachanruf": (False, "missed"), "verpasster videoanruf": (True, "missed"), "sprachanruf": (False, ""),
    "videoanruf": (True, ""), "llamada perdida": (False, "missed"), "videollamada perdida": (True, "missed"),
    "appel vocal manqué": (False, "missed"), "appel vidéo manqué": (True, "missed"), "chiamata vocale persa": (False,
    "missed"),
    "videochiamata persa": (True, "missed"), "chamada de voz perdida": (False, "missed"),
    "chamada de vídeo perdida": (True, "missed"),
    "пропущенный аудиозвонок": (False, "missed"), "пропущенный видеозвонок": (True, "missed"),
    "שיחה קולית שלא נענתה": (False, "missed"),
    "שיחת וידאו שלא נענתה": (True, "missed"),
}  # fmt: skip
"""The first words of a call's row: is it a video call, and how it ended where that is said."""

POLLS: Final = frozenset((
    "poll", "umfrage", "encuesta", "sondage", "sondaggio", "enquete", "опрос", "опитування", "סקר", "استطلاع رأي",
    "peiling", "anket", "アンケート",
    "anketa", "投票", "polling",
))  # fmt: skip
"""The word, in capitals where the script has them, that opens a poll."""

GROUP_WORDS: Final = (
    "group", "grup", "gruppe", "groep", "групп", "груп", "קבוצ", "مجموعة", "skupin", "グループ", "群", "그룹",
    "กลุ่ม", "nhóm", "समूह", "ग्रुप",
    "changed the subject", " added ", "was added", "were added", "joined using", " left", " removed ", "hinzugefügt",
    "toegevoegd", "הוסיף", "הוסיפ",
    "añadió", "adicionou", "ha aggiunto", "a ajouté", "добавил",
)  # fmt: skip
"""Parts of notices that only a group has."""

NOTICE_PARTS: Final = (
    " changed the ", " changed this ", " created group", " created this", " added ", " was added", " were added",
    " removed ", " left",
    " joined", " requested to join", " turned on ", " turned off ", " pinned ", " started a call", "security code",
    "end-to-end",
    " hat ", " hast ", " wurde ", " ha cambiado", " cambió ", " changé ", " a modifié", " ha modificato", " alterou ",
    " mudou ", " изменил",
    " heeft ", " hebt ", " שינה", " שינת", " יצר", " הוסיף", " تغيير", " غيّر", " změnil",
)  # fmt: skip
"""Parts of notices that no name has: a text with one of them before its colon is a notice, not a sender."""
