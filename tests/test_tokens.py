"""The token estimate: right without a tokenizer, bounded in work, and never in the way."""

from __future__ import annotations

import random

import pytest

from benchmarks.tokens.__main__ import BOUND, PROMISED, corpus, encodings
from ofox_middleware import tokens
from ofox_middleware.tokens import SAMPLE_CHARS, estimate, media_tokens

O200K = encodings()[0]
CORPUS = {name: (calibrated, kept) for name, calibrated, kept in corpus()}


def real(text: str) -> int:
    return len(O200K.encode_ordinary(text))


@pytest.mark.parametrize("kind", PROMISED)
def test_promised_kinds_are_within_the_bound_on_text_that_was_not_calibrated_with(kind: str) -> None:
    """English, code, JSON, Chinese, Japanese and Korean are estimated within 15% of the real tokenizer."""
    kept = CORPUS[kind][1]
    assert estimate([kept]) == pytest.approx(real(kept), rel=BOUND)


@pytest.mark.parametrize("kind", sorted(set(CORPUS) - set(PROMISED)))
def test_every_other_kind_is_within_a_quarter(kind: str) -> None:
    """Other scripts, languages, formulas, logs and random text are never off by more than a quarter."""
    both = "\n".join(CORPUS[kind])
    assert estimate([both]) == pytest.approx(real(both), rel=0.25)


def test_the_kinds_together_have_no_bias() -> None:
    """Over all kinds of text the errors cancel out: the sum is within 5%."""
    texts = [half for halves in CORPUS.values() for half in halves]
    assert sum(estimate([text]) for text in texts) == pytest.approx(sum(map(real, texts)), rel=0.05)


def test_nothing_has_no_tokens() -> None:
    """No text, and empty texts, are zero tokens."""
    assert estimate([]) == 0
    assert estimate(["", "", ""]) == 0


@pytest.mark.parametrize("text", ["hi", "?", "7", "好", "🙂", "é"])
def test_a_short_text_has_at_least_a_token(text: str) -> None:
    """A text of one or two characters is not rounded away."""
    assert estimate([text]) in (1, 2)


def test_texts_do_not_run_into_each_other() -> None:
    """Two words in two texts are two words, not one long one."""
    assert estimate(["understand", "ing"]) > estimate(["understanding"])
    assert estimate(["one two", "three four"]) == estimate(["one two\0three four"])


def test_more_text_is_more_tokens() -> None:
    """Appending text never makes the estimate smaller, below the size from which windows are sampled."""
    text = CORPUS["english"][0]
    sizes = [estimate([text[:length]]) for length in range(0, len(text), 37)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("kind", ["english", "python", "chinese", "arabic", "json"])
def test_a_long_text_is_judged_by_windows_as_well_as_the_whole(kind: str) -> None:
    """The sample of a long uniform text gives the estimate of the whole, within 8%."""
    text = "\n".join(CORPUS[kind])
    times = 40 * SAMPLE_CHARS // len(text)
    assert estimate([text * times]) == pytest.approx(times * estimate([text]), rel=0.08)


def test_a_long_mixed_conversation_is_within_the_bound() -> None:
    """Conversations drawn from all kinds and languages keep the bound although only windows of them are read."""
    pieces = [half for halves in CORPUS.values() for half in halves]
    draw = random.Random(7)
    for _ in range(10):
        texts = draw.choices(pieces, k=150)
        assert estimate(texts) == pytest.approx(sum(map(real, texts)), rel=BOUND)


def test_repetition_at_even_distances_does_not_fool_the_sample() -> None:
    """A conversation that repeats the same turns over and over is sampled at uneven places."""
    turn = [CORPUS["english"][0], CORPUS["random_text"][0], CORPUS["chinese"][0], CORPUS["logs"][0]]
    for times in (8, 10, 16, 20, 32, 40, 64, 80):
        assert estimate(turn * times) == pytest.approx(times * sum(map(real, turn)), rel=BOUND)


def test_many_small_texts_count_like_few_large_ones() -> None:
    """Ten thousand messages are counted like the same words in fewer texts, apart from the places where texts meet."""
    small = [f"the message number {index} of a long chat" for index in range(10_000)]
    pairs = [f"{first} {second}" for first, second in zip(small[::2], small[1::2], strict=True)]
    assert len(small) > tokens._MANY
    assert estimate(small) == pytest.approx(estimate(pairs), rel=0.05)
    assert estimate(small) == pytest.approx(sum(map(real, small)), rel=BOUND)


def test_windows_reach_over_short_and_empty_texts() -> None:
    """A window that begins near the end of a text goes on in the next ones, empty ones left out."""
    texts = ["alpha beta ", "", "gamma "] * 300
    sample = tokens._sample(texts, sum(map(len, texts)))
    assert all(sample)
    assert sum(map(len, sample)) == SAMPLE_CHARS


def test_the_last_window_ends_within_the_text() -> None:
    """The sample takes its full size from a text that is one character too long to be read whole."""
    sample = tokens._sample(["x" * (SAMPLE_CHARS + 1)], SAMPLE_CHARS + 1)
    assert sum(map(len, sample)) == SAMPLE_CHARS


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "好" * 300_000, " " * 500_000, "\n" * 100_000, "1" * 200_000, "\0" * 9000]
)
def test_a_huge_uniform_text_is_estimated(text: str) -> None:
    """One endless word, blank space and the like give a finite number no larger than one token a character."""
    assert 0 <= estimate([text]) <= len(text)


def test_lone_surrogates_are_counted_as_something() -> None:
    """Half an emoji, which JSON can carry, neither raises nor disturbs the rest."""
    assert estimate(["\ud83d"]) <= 1
    assert estimate(["a word \ud83d and more"]) == pytest.approx(estimate(["a word ? and more"]), abs=1)


def test_separators_in_the_text_itself_do_no_harm() -> None:
    """A text may hold the character that parts texts."""
    assert estimate(["one\0two"]) == estimate(["one", "two"])


def test_traditional_characters_cost_more_than_simplified_ones() -> None:
    """The estimate knows that tokenizers know traditional Chinese less well."""
    assert estimate(["這個國家的學生說他們會來"]) > estimate(["这个国家的学生说他们会来"])


def test_ukrainian_costs_more_than_russian() -> None:
    """The estimate knows that tokenizers know Ukrainian less well than Russian."""
    russian, ukrainian = CORPUS["russian"][1], CORPUS["ukrainian"][1]
    assert estimate([ukrainian]) / len(ukrainian) > estimate([russian]) / len(russian)


@pytest.mark.parametrize("letter", ["і", "這"])
def test_a_repeated_mark_of_a_language_counts_no_more_than_a_text_in_it(letter: str) -> None:
    """A letter that tells a language stands for the words around it, not for itself alone."""
    assert estimate([letter * 1000]) < 1100


@pytest.mark.parametrize(
    ("detail", "expected"), [("low", 85), ("high", 1100), ("auto", 1100), (None, 1100), ("original", 1600), (7, 1100)]
)
def test_an_image_counts_by_its_detail(detail: object, expected: int) -> None:
    """An image has its documented number of tokens, however many bytes it has."""
    assert media_tokens("image", detail) == expected
    assert media_tokens("image", detail, 5_000_000) == expected


def test_other_media_count_by_their_size_when_it_is_known() -> None:
    """A minute of speech, a ten-page PDF and ten seconds of video are what their sizes say."""
    assert media_tokens("audio", base64_chars=60 * 21_300) == pytest.approx(60 * 21, rel=0.1)
    assert media_tokens("file", base64_chars=10 * 67_000) == pytest.approx(20_000, rel=0.1)
    assert media_tokens("video", base64_chars=10 * 167_000) == pytest.approx(3_000, rel=0.15)


@pytest.mark.parametrize("need", ["audio", "file", "video"])
def test_linked_media_have_a_default(need: str) -> None:
    """A link or an id tells no size; a documented default stands in."""
    assert media_tokens(need) > 500


@pytest.mark.parametrize(
    ("text", "dearer"),
    [
        ("Il comune di Bologna ha deciso che il nuovo piano della mobilità non parte prima di marzo. ", True),
        ("Het is een vraag van velen, maar niet voor de gemeente die een plan van aanpak heeft. ", True),
        ("Nie wiem, czy to jest dobry pomysł, ale się z tym zgadzam, bo jest tani. ", True),
        ("The council has decided that the new plan is not to start before March, and that is final. ", False),
        ("La empresa no puede abrir la sede antes de marzo, y el plan queda para otro momento. ", False),
    ],
)
def test_languages_that_are_split_more(text: str, dearer: bool) -> None:
    """Languages told by their small words cost more than their letters say; English and Spanish do not."""
    plain = "".join("x" if char.isalpha() else char for char in text)
    assert (estimate([text * 4]) > 1.08 * estimate([plain * 4])) == dearer
