"""What of a text is read: a window, as a person sees it, without templates, courtesies and remarks about routing."""

from __future__ import annotations

import pytest

from ofox_middleware.plain_text import (
    WINDOW,
    last_question,
    normalise,
    plain,
    split,
    window,
    without_material,
    without_records,
)


def test_the_window_holds_head_and_tail() -> None:
    """A long text is cut in its middle; one in a wide script is cut to a third of that."""
    text = "a" * WINDOW + "b" * WINDOW
    assert window(text) == "a" * (WINDOW // 2) + "\n" + "b" * (WINDOW // 2)
    assert len(window("天" * 5000)) == WINDOW // 3 + 1
    assert window("да " * 300) == "да " * 300
    assert window("short") == "short"


def test_russian_is_not_folded_into_latin() -> None:
    """Look-alikes are folded only inside text that is Latin."""
    assert normalise("рассеянный склероз и Python") == "рассеянный склероз и Python"


def test_only_the_last_of_few_shot_questions_counts() -> None:
    """Worked examples before the question are a template; the question after them is what is asked."""
    question = "Which of the two metals melts first in a fire of wood?"
    shots = "What is red?\nAnswer:\nA\n\nWhat is a proof of the theorem?\nAnswer:\nB\n\n"
    assert last_question(f"{shots}{question}\nAnswer:").strip() == question
    assert last_question("Answer: yes") == "Answer: yes"
    assert last_question("Answer: a\nAnswer: b and more") == "Answer: a\nAnswer: b and more"


@pytest.mark.parametrize(
    ("text", "words"),
    [("Don\'t stop, max_value 3x!", ["don", "t", "stop", "max", "value", "x"]), ("天空色", ["天空", "空色"]),
     ("ما العاصمة؟", ["ما", "عاصمة"]), ("café naïve?", ["café", "naïve"])],
)  # fmt: skip
def test_words_in_any_script(text: str, words: list[str]) -> None:
    """Words are split at all that is no letter; scripts without spaces give grams; the Arabic article is left out."""
    assert split(text.lower()) == words


@pytest.mark.parametrize(
    "text",
    ["{} Thank you in advance.", "Could you please help me with the following: {}", "{} Let\'s think step by step.",
     "{} (tier: COMPLEX, difficulty hard)", "{}\nRoute this to claude-opus, the strongest model.",
     "Hi there! Sorry to bother you again. {} Many thanks, I really appreciate it!", "Good morning, dear team.\n{}"],
)  # fmt: skip
def test_courtesies_and_remarks_are_not_read(text: str) -> None:
    """Stock phrases and remarks that name tiers or models leave the words of the ask alone."""
    assert plain(text.format("Describe the moon."))[1] == ["describe", "the", "moon"]


@pytest.mark.parametrize("text", ["Thanks!", "Hi, how are you?", "Please help me."])
def test_what_is_nothing_else_is_read(text: str) -> None:
    """A text that is all courtesy is read as it stands."""
    assert plain(text)[1] == split(text.lower())


def test_a_sentence_about_models_keeps_what_stands_around_it() -> None:
    """Only from the first to the last word about routing a sentence is not read."""
    assert plain("Compare the gpt model with the llama model for German verbs.")[1] == [
        "compare", "the", "for", "german", "verbs"
    ]  # fmt: skip


def test_a_text_of_scraps_is_read_whole() -> None:
    """Where there are more sentence ends than a text can have, none is looked into, so the work stays bounded."""
    scraps = "thanks. " * 100 + "Prove it."
    assert plain(scraps)[1].count("thanks") > 50


RECORD = (
    '{"line": 1, "net": 415.16, "vat": 0}, {"line": 2, "net": 880.69, "vat": 0}, {"line": 3, "net": 1.5, "vat": 23}'
)
PROSE = "The order left the store on Monday and the client was told the same day. " * 12


@pytest.mark.parametrize(
    "record", [RECORD, "2026-03-13,8983,415.16,0,17,23.5,NET," * 4, "| 12.5 | 17.0 | 23.1 | 9.25 |" * 4]
)
def test_records_are_not_read(record: str) -> None:
    """Rows of a table and JSON say nothing of how hard an ask is, however many there are."""
    assert without_records(f"Add up the net column.\n{record}\n{record}") == "Add up the net column."


@pytest.mark.parametrize(
    "line",
    [
        PROSE.strip(),
        "def total(rows): return sum(row['net'] * (1 + row['vat'] / 100) for row in rows if row['paid'])",
        "Let $f(x) = x^3 - 3x + 1$, let $a < b < c$ be its roots; show that $a^2 - c = b^2 - a = c^2 - b = 2$ holds.",
    ],
)
def test_prose_code_and_mathematics_are_no_records(line: str) -> None:
    """A long line of prose, of code or of mathematics is read."""
    assert without_records(line) == line


def test_of_a_pasted_text_the_start_is_read() -> None:
    """Under a short instruction a long text counts by its start: two pages are hardly harder to translate than one."""
    for instruction in ("Translate to French:", "Sum up in one sentence.\n"):
        read = without_material(f"{instruction} {PROSE}")
        assert read.startswith(instruction)
        assert len(read) < len(instruction) + 210


@pytest.mark.parametrize(
    "text", [PROSE, f"My story so far:\n{PROSE} What should I do?", f"Mend this:\n```\n{PROSE}\n```"]
)
def test_what_asks_is_read_whole(text: str) -> None:
    """A text without an instruction before it, one that asks something, and code are read whole."""
    assert without_material(text) == text
