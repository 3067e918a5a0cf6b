"""The heads: what they weigh by is checked when it is loaded, and no list of words moves them without bound."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofox_middleware import heads
from ofox_middleware.difficulty import DifficultyModel, load_lexicon
from ofox_middleware.features import FEATURES
from ofox_middleware.heads import Heads, Weights, excess
from ofox_middleware.plain_text import ABOUT_ROUTING
from ofox_middleware.types import Difficulty, Signals
from tests.asks import HARD

MODEL = DifficultyModel.load()


def judge(ask: str) -> Difficulty:
    return MODEL.classify(Signals(ask=ask))


def test_keywords_count_less_where_the_rest_is_hard() -> None:
    """A few count in full on an easy text, hardly any on a hard one; more of them never counts for less."""
    assert excess(1.5, -3.0) == 0.0
    assert 1.5 - excess(1.5, 1.0) < 1.0
    for rest in (-4.0, -1.0, 0.0, 3.0):
        counted = [tenth / 10 - excess(tenth / 10, rest) for tenth in range(80)]
        assert counted == sorted(counted)
        assert counted[-1] < 2.0
    whole = [rest / 10 + 3.0 - excess(3.0, rest / 10) for rest in range(-60, 60)]
    assert whole == sorted(whole)


def test_words_may_speak_for_the_difficulty() -> None:
    """A word row moves the logit of a text that holds the word, and the explanation says so."""
    width = len(MODEL.weights.bias)
    weights = Weights(
        format=2, source="tuned", bias=MODEL.weights.bias, features=MODEL.weights.features, vocabulary="zebra",
        table=bytes([100] + [0] * (width - 1)), scales=[0.1] * width, kinds=[0.5] * (width - 1),
        abilities={"m": [1.0] * 8},
    )  # fmt: skip
    model = DifficultyModel(weights, {})
    found = model.classify(Signals(ask="zebra"))
    assert found.source == "tuned"
    assert dict(found.evidence)["words"] == pytest.approx(10.0)
    assert model.abilities == {"m": (1.0,) * 8}


def test_no_word_about_tiers_or_models_is_known() -> None:
    """Nothing in the shipped vocabulary can name a tier or a model."""
    known = {part for word in MODEL.heads.word_rows() for part in word.split()}
    assert not known & ABOUT_ROUTING


def test_shipped_weights_are_small_and_say_where_they_come_from() -> None:
    """Under two megabytes, with command, data, licence and metrics beside the numbers."""
    path = Path(heads.__file__).parent / "data" / "difficulty.json"
    assert path.stat().st_size < 2_000_000
    about = json.loads(path.read_bytes())["about"]
    assert {"command", "data", "licence", "held_out"} <= about.keys()
    assert about["held_out"]["trivial_auc_english"] >= 0.95
    assert about["held_out"]["trivial_auc_other_languages"] >= 0.95


@pytest.mark.parametrize(
    ("change", "says"),
    [({"format": 1}, "another version"), ({"features": {}}, "another version"), ({"bias": [0.0]}, "columns"),
     ({"kinds": [0.0]}, "columns"), ({"trivial": [0.0]}, "trivial"),
     ({"table": b"1"}, "vocabulary"), ({"scales": []}, "vocabulary")],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(change: dict[str, object], says: str) -> None:
    """Shapes are checked when weights are loaded, not when a request is judged."""
    weights = msgspec.structs.replace(MODEL.weights, **change)
    with pytest.raises(ValueError, match=says):
        Heads(weights)


def test_a_feature_row_of_the_wrong_width_is_refused() -> None:
    """Each measure has one typical value and one weight per column."""
    rows = {**MODEL.weights.features, FEATURES[0]: [0.0]}
    with pytest.raises(ValueError, match="columns"):
        Heads(msgspec.structs.replace(MODEL.weights, features=rows))


PASTED = (
    "From this log, which port does the server listen on?\n\n"
    "12:00:01 start\n12:00:02 listening on port 8081\n12:00:03 ok"
)


def ungated() -> DifficultyModel:
    """The shipped weights, trivial asks not judged apart."""
    width, weights = len(MODEL.weights.bias), MODEL.weights
    rows = (weights.table[at : at + width] for at in range(0, len(weights.table), width + 1))
    plain = msgspec.structs.replace(weights, trivial=[], table=b"".join(rows), scales=weights.scales[:width])
    return DifficultyModel(plain, load_lexicon())


UNGATED = ungated()


def test_a_trivial_ask_about_pasted_material_is_lowered() -> None:
    """What any model answers at once is easier than its length says, and the explanation says so."""
    found = judge(PASTED)
    assert found.logit < UNGATED.classify(Signals(ask=PASTED)).logit - 0.5
    assert dict(found.evidence)["trivial"] < -0.5


def test_hard_asks_are_not_lowered() -> None:
    """Where it is not sure that an ask is trivial the difficulty stays what it was."""
    for ask in HARD:
        assert judge(ask).logit == pytest.approx(UNGATED.classify(Signals(ask=ask)).logit, abs=0.5)


@given(st.text(max_size=500))
@settings(max_examples=100, deadline=None)
def test_judging_trivial_asks_apart_only_lowers_and_within_bounds(text: str) -> None:
    """No text is made harder by it, and none easier by more than what it may be lowered."""
    change = UNGATED.classify(Signals(ask=text)).logit - judge(text).logit
    assert -1e-9 <= change <= heads.TRIVIAL_LOWERS
