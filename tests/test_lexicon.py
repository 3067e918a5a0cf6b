"""The shipped word groups: a word that says prove, solve or engineer in one sense and something everyday in another."""

from __future__ import annotations

from functools import cache

import pytest

from ofox_middleware.difficulty import load_lexicon
from ofox_middleware.features import FEATURES, Words, read
from ofox_middleware.plain_text import UNSPACED, normalise, split


@cache
def words() -> Words:
    return Words(load_lexicon())


def counts_as(text: str, group: str) -> bool:
    return read(text, words()).values[FEATURES.index(group)] > 0.0


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("proof", "Leite die Mail von Frau Wolf an Jonas weiter"), ("proof", "Tut mir leid"),
        ("proof", "Como fazer doce de leite?"), ("proof", "ik leid de vergadering morgen"),
        ("proof", "comment démonter une roue de vélo"), ("proof", "un paiement récurrent"),
        ("proof", "puis-je déduire mes frais de repas"), ("proof", "inventa un lema para mi panadería"),
        ("proof", "deduzir as despesas médicas do imposto"), ("proof", "da dove deriva il nome Milano"),
        ("proof", "zgubiłem dowód osobisty"), ("proof", "wyprowadzka z mieszkania"),
        ("proof", "płyta indukcyjna czy gazowa"), ("proof", "как выбрать индукционную плиту"),
        ("proof", "выведи список имён"), ("proof", "cara turunkan berat badan"), ("proof", "जन्म प्रमाण पत्र कैसे बनता है"),
        ("proof", "帮我归纳这篇文章"), ("proof", "회의 내용 정리해 줘"), ("proof", "증명사진 크기"),
        ("proof", "유도 경기 시간"),
        ("proof", "tôi quyết định nghỉ việc"),
        ("maths", "wir sehen uns gleich"), ("maths", "das ganze Wochenende"), ("maths", "wahrscheinlich morgen"),
        ("maths", "le monde entier"), ("maths", "mi primo y mi prima vienen hoy"), ("maths", "la prima volta"),
        ("maths", "il menu dei primi"), ("maths", "vergelijk trein en vliegtuig"), ("maths", "een waarschuwing"),
        ("maths", "mój pierwszy dzień w pracy"), ("maths", "объясни простыми словами"),
        ("maths", "какое сегодня число"),
        ("maths", "производство сыра"), ("maths", "정수기 필터 교체"), ("maths", "asal usul nama Jakarta"),
        ("maths", "عدد سكان مصر"), ("maths", "Prima, danke!"),
        ("expert", "hasta mañana"), ("expert", "gracias por su paciencia"), ("expert", "grazie per la pazienza"),
        ("expert", "закончи рассказ"), ("expert", "договорились"), ("science", "전자레인지 청소"),
        ("science", "كمية السكر"), ("build", "bangun pagi"), ("build", "chúc buổi tối vui vẻ"),
        ("explain", "ik ben mijn sleutel vergeten"),
    ],
)  # fmt: skip
def test_an_everyday_sense_is_not_taken_for_a_hard_one(group: str, text: str) -> None:
    """Forwarding a mail is no derivation, and an identity card no proof."""
    assert not counts_as(text, group)


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("proof", "Beweise den Satz durch vollständige Induktion"), ("proof", "Démontrez par récurrence"),
        ("proof", "Demuestra el teorema"), ("proof", "Demonstre por indução"), ("proof", "Dimostra il lemma"),
        ("proof", "Bewijs met volledige inductie"), ("proof", "Udowodnij twierdzenie"),
        ("proof", "докажи по индукции"), ("proof", "buktikan teorema ini"), ("proof", "इस प्रमेय को सिद्ध करो"),
        ("proof", "用数学归纳法"), ("proof", "이를 증명하시오"), ("proof", "chứng minh rằng"),
        ("maths", "die Wahrscheinlichkeit und die Gleichung"), ("maths", "calcule l'intégrale"),
        ("maths", "la derivada de x"), ("maths", "la derivata di x"), ("maths", "de afgeleide en een priemgetal"),
        ("maths", "производная функции"), ("maths", "정수를 모두 구하시오"), ("maths", "bilangan bulat"),
        ("expert", "el paciente"), ("expert", "по закону"), ("explain", "vergelijk trein en vliegtuig"),
        ("explain", "ทำไมท้องฟ้าสีฟ้า"), ("maths", "จงหาจำนวนเต็ม"), ("greeting", "السلام عليكم"),
    ],
)  # fmt: skip
def test_the_hard_sense_still_counts(group: str, text: str) -> None:
    """What was narrowed still finds the words that were meant."""
    assert counts_as(text, group)


def test_every_word_can_be_met() -> None:
    """What the groups hold is written as texts are when they are split: normalised, by grams, without the article."""
    for word in load_lexicon():
        bare = word.rstrip("*")
        assert normalise(bare) == bare, word
        assert bare in split(bare) or (word.endswith("*") and not UNSPACED.search(bare)), word
