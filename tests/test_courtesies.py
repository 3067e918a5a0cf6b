"""Courtesies of other languages are not read, and what asks something is."""

from __future__ import annotations

import pytest

from ofox_middleware.courtesies import BESIDE, COURTESIES
from ofox_middleware.plain_text import plain, split

WORN = {
    "de": "Liebes Team, {} Mit freundlichen Grüßen",
    "fr": "Bonsoir, excusez-moi de vous déranger. {}\nBonne soirée et merci à vous !",
    "es": "Buenas tardes, perdona la molestia. {}\nMuchísimas gracias.",
    "pt": "Boa noite, desculpe incomodar. {}\nAgradeço muito a atenção.",
    "it": "Ciao, scusa il disturbo. {}\nTi ringrazio tanto!",
    "nl": "Goedenavond, sorry dat ik stoor. {}\nMet vriendelijke groet",
    "pl": "Cześć, przepraszam, że przeszkadzam. {}\nBardzo dziękuję i pozdrawiam!",
    "ru": "Добрый вечер, извините за беспокойство. {}\nСпасибо вам огромное!",
    "uk": "Вітаю, перепрошую, що турбую. {}\nЩиро дякую!",
    "tr": "İyi akşamlar, rahatsız ettiğim için özür dilerim. {}\nÇok teşekkürler!",
    "ar": "مساء الخير، آسف على الإزعاج. {}\nشكرا جزيلا لك",
    "hi": "नमस्कार, कष्ट के लिए क्षमा करें। {}\nबहुत धन्यवाद",
    "zh": "您好！不好意思打扰了。{}\n谢谢您的帮助",
    "ja": "お忙しいところ恐れ入ります。{}\nよろしくお願いします",
    "ko": "안녕하세요! 바쁘신데 죄송합니다. {}\n미리 감사드립니다",
    "vi": "Chào bạn, xin lỗi vì làm phiền. {}\nCảm ơn nhiều nhé",
    "th": "สวัสดีค่ะ ขอโทษที่รบกวน {}\nขอบคุณล่วงหน้าค่ะ",
    "id": "Halo, maaf mengganggu. {}\nTerima kasih banyak ya",
}
ASKS = {"th": "กรุงเทพอยู่ภาคไหน"}


@pytest.mark.parametrize("lang", sorted(set(WORN) - {"de", "es"}))
def test_courtesies_around_an_ask_are_not_read(lang: str) -> None:
    """An ask between sentences of courtesy has the words that it has alone."""
    ask = ASKS.get(lang, "Kyoto 1868")
    assert plain(WORN[lang].format(ask))[1] == split(ask.lower())


def test_german_and_spanish_courtesies() -> None:
    """The same, with each courtesy a sentence of its own."""
    assert plain("Hallo und guten Morgen! Kyoto 1868? Herzlichen Dank, schönen Abend noch.")[1] == ["kyoto"]
    assert plain("¡Buenas tardes! Disculpa la molestia. ¿Kyoto 1868? Mil gracias por todo, un abrazo.")[1] == ["kyoto"]


@pytest.mark.parametrize(
    ("text", "word"),
    [("Guten Tag. Was ist die Hauptstadt von Ägypten, bitte?", "hauptstadt"), ("你好，埃及的首都是哪里？谢谢", "首都"),
     ("Gracias por la receta. ¿Cuánta sal lleva?", "receta"), ("Спасибо за рецепт. Сколько соли?", "рецепт"),
     ("What is a tag? Tell me.", "tag"), ("Merci de traduire ce texte. Il est long.", "traduire")],
)  # fmt: skip
def test_a_sentence_that_asks_or_tells_something_is_read(text: str, word: str) -> None:
    """A word of courtesy beside others does not hide them."""
    assert word in plain(text)[1]


def test_a_text_of_courtesies_alone_is_read() -> None:
    """Thanks are still thanks."""
    assert plain("Vielen Dank!")[1] == ["vielen", "dank"]
    assert plain("谢谢您的帮助")[1] == split("谢谢您的帮助")


def test_both_lists_hold_the_same_languages_and_share_no_word() -> None:
    """Each language has words of courtesy and words beside them, each once."""
    assert list(COURTESIES) == list(BESIDE)
    for lang in COURTESIES:
        polite, beside = COURTESIES[lang].split(), BESIDE[lang].split()
        assert len({*polite, *beside}) == len(polite) + len(beside), lang
