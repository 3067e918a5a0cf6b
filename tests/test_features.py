"""Measures of a text: bounded, counted without surprises, and what a word means looked up once."""

from __future__ import annotations

import pytest

from ofox_middleware.features import FEATURES, GROUPS, Words, read


def measure(text: str, name: str, lexicon: dict[str, int] | None = None) -> float:
    return read(text, Words(lexicon or {})).values[FEATURES.index(name)]


@pytest.mark.parametrize(
    ("name", "plain", "marked"),
    [
        ("code marks", "call it now", "call(it).now()"), ("code marks", "the max value", "theMaxValue max_value"),
        ("code block", "define it", "def it():"), ("list", "one two", "- one\n- two"),
        ("latex", "a cost of $5", r"\frac{a}{b}"), ("options", "A. B", "A) red\nB) green\nC) blue"),
        ("symbols", "a plus b", "a + b = c"), ("numbers", "none", "7 of 12"), ("sentences", "one", "One. Two! Three?"),
        ("names", "near paris", "near Paris"), ("many numbers", "1 2", "1 2 3 4"), ("ends asking", "why.", "why?"),
        ("blank to fill", "the sky is", "the ___ is"), ("quotes", "so", '"so"'),
    ],
)  # fmt: skip
def test_marks_are_seen(name: str, plain: str, marked: str) -> None:
    """Each mark of code, mathematics or form raises its measure, and plain words do not."""
    assert measure(marked, name) > measure(plain, name)


def test_the_same_marks_count_in_other_scripts() -> None:
    """Punctuation of other scripts counts as ASCII's does."""
    assert measure("为什么？", "ends asking") == 1.0
    assert measure("一。二。", "sentences") == measure("One. Two.", "sentences")
    assert measure("ت، ب", "clauses") == measure("a, b", "clauses")


def test_stems_and_words_find_their_group() -> None:
    """A stem catches what begins with it, a whole word wins over a stem, and density counts, not presence."""
    proof, code = GROUPS.index("proof"), GROUPS.index("code")
    lexicon = {"prov*": proof, "proverb": code}
    assert measure("proving it", "proof", lexicon) > 0.0
    assert measure("proverb", "proof", lexicon) == 0.0 < measure("proverb", "code", lexicon)
    assert measure("prove it", "proof", lexicon) > measure(
        "prove it and nothing of all other things here", "proof", lexicon
    )


def test_what_is_remembered_of_words_is_bounded() -> None:
    """A flood of words that nobody saw before does not grow the memory beyond its limit."""
    known = Words({})
    known.LIMIT = 50
    for at in range(200):
        assert known[f"word{at}"] == known[f"word{at}"]
    assert known["x" * 400] == known["x" * 400]
    assert len(known) == 50


def test_rare_words_leave_names_out() -> None:
    """Words that are not everyday English count as rare, unless they are written as a name."""
    common = Words({}, ["river"])
    at = FEATURES.index("rare count")
    assert read("what is the river of the valley", common).values[at] > 0.0
    assert read("what is the river of the Valley", common).values[at] == 0.0


def test_pairs_are_neighbours() -> None:
    """Pairs are distinct neighbouring words in their order."""
    assert read("to be or to be", Words({})).pairs == ("to be", "be or", "or to")


def test_what_asks_is_told_from_what_was_pasted() -> None:
    """A question under a log is a short ask beside much; the same words asked at length are not."""
    log = "12:00 started\n12:01 read the settings\n12:02 listening on port 80\n" * 6
    assert measure(f"{log}Which port?", "ask length") == measure(f"{log}{log}Which port?", "ask length")
    assert measure(f"{log}Which port?", "ask length") < 0.6 < measure(log.replace("\n", " and ") + "?", "ask length")
    assert measure(f"{log}Which port?", "beside the ask") > 0.8
    assert measure("Which port?", "beside the ask") == 0.0
    assert measure(f"Sum it up: {log}", "lines beside the ask") > 0.5
    assert measure(f"Sum it up: {log}".replace("\n", " "), "lines beside the ask") == 0.0
