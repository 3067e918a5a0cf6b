"""``ofox tune``: learns from an operator's outcomes, and refuses to write what is no better."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.tune import TuneReport, tune
from ofox_middleware.tune_fit import Item
from ofox_middleware.tune_quality import routes_better
from ofox_middleware.types import Signals

THINGS = ["lamp", "river", "door", "stone", "cloud", "table", "horse", "train", "bread", "chair"]


def labels(count: int, *, seed: int = 1, noise: bool = False) -> list[dict[str, Any]]:
    """Two kinds of request: the small model is as good on poems and fails on sums."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        sums = rng.random() < 0.5
        thing = rng.choice(THINGS)
        ask = (
            f"Add {i} and {rng.randint(10, 99)} and {rng.randint(10, 99)} for the {thing}"
            if sums
            else f"Write a poem {i} on a {thing}"
        )
        for model, wins in (("small", 0.1 if sums else 0.9), ("large", 0.9)):
            score = float(rng.random() < (0.5 if noise else wins))
            rows.append({"request": ask, "model": model, "score": score})
    return rows


def test_it_learns_what_the_small_model_cannot_do(tmp_path: Path) -> None:
    """Held-out loss falls, routing rises, and the written file sends the right half to the large model."""
    report = tune(labels(300), out=tmp_path / "tuned.json")
    assert report.written == tmp_path / "tuned.json"
    assert report.reason == ""
    assert report.before is not None
    assert report.after is not None
    assert report.after.log_loss < report.before.log_loss
    assert report.after.apgr is not None
    assert report.before.apgr is not None
    assert report.after.apgr > 0.65
    model = DifficultyModel.load(report.written)

    def gap(ask: str) -> float:
        mix = model.classify(Signals(ask=ask)).domains
        return sum(
            (a - b) * share for a, b, share in zip(model.abilities["large"], model.abilities["small"], mix, strict=True)
        )

    assert gap("Add 5 and 20 and 44 for the lamp") > gap("Write a poem 7 on a lamp") + 1.0


def test_a_tuned_file_says_so(tmp_path: Path) -> None:
    """Its judgements carry the source, its file what it was made of."""
    tune(labels(200), out=tmp_path / "tuned.json")
    model = DifficultyModel.load(tmp_path / "tuned.json")
    assert model.classify(Signals(ask="Write a poem on a lamp")).source == "tuned"
    assert model.weights.about["models"] == ["large", "small"]


def test_noise_is_not_written(tmp_path: Path) -> None:
    """Labels that follow nothing leave no file, and the report says why."""
    report = tune(labels(300, noise=True), out=tmp_path / "tuned.json")
    assert report.written is None
    assert "not predicted better" in report.reason
    assert not (tmp_path / "tuned.json").exists()


def test_the_same_labels_give_the_same_file(tmp_path: Path) -> None:
    """Tuning is repeatable, whatever the order of the rows."""
    rows = labels(150)
    tune(rows, out=tmp_path / "a.json")
    tune(rows, out=tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_too_few_requests_are_refused(tmp_path: Path) -> None:
    """Under the minimum nothing is fitted."""
    report = tune(labels(20), out=tmp_path / "x.json")
    assert report == TuneReport(40, 20, ("large", "small"), reason="20 labelled requests are too few: 100 are needed")


def test_equal_scores_are_refused(tmp_path: Path) -> None:
    """Nothing can be learned from labels that all agree."""
    rows = [{"request": f"ask {i}", "model": "m", "score": 1} for i in range(120)]
    assert "nothing to learn" in tune(rows, out=tmp_path / "x.json").reason


def test_a_model_with_hardly_any_label_is_named(tmp_path: Path) -> None:
    """One stray model does not silently get an ability."""
    rows = [*labels(120), {"request": "Write a poem 1 on a lamp", "model": "stray", "score": 1.0}]
    assert "'stray'" in tune(rows, out=tmp_path / "x.json").reason


def test_one_model_alone_can_be_fitted(tmp_path: Path) -> None:
    """Without a pair there is no routing measure, and the loss decides."""
    rows = [row for row in labels(400) if row["model"] == "small"]
    report = tune(rows, out=tmp_path / "x.json")
    assert report.written is not None
    assert report.after is not None
    assert report.after.apgr is None


def test_models_that_rarely_meet_have_no_routing_measure(tmp_path: Path) -> None:
    """Fewer than 20 shared requests are no basis for a curve."""
    rows = [row for i, row in enumerate(labels(400)) if i % 4 in (0, 3)]
    report = tune(rows, out=tmp_path / "x.json")
    assert report.after is not None
    assert report.after.apgr is None


def test_requests_may_be_bodies(tmp_path: Path) -> None:
    """A request body is read as the router reads it; the last human ask is what counts."""
    rows = [{**row, "request": {"messages": [{"role": "user", "content": row["request"]}]}} for row in labels(150)]
    report = tune(rows, out=tmp_path / "x.json")
    assert report.requests == 150
    assert report.written is not None


@pytest.mark.parametrize(
    ("row", "says"),
    [({"request": "a", "model": "", "score": 1}, "model must be"),
     ({"request": "a", "model": 3, "score": 1}, "model must be"),
     ({"request": "a", "model": "m", "score": 2}, "from 0 to 1"),
     ({"request": "a", "model": "m", "score": True}, "from 0 to 1"),
     ({"request": "a", "model": "m"}, "from 0 to 1"), ({"request": 7, "model": "m", "score": 1}, "request must be")],
)  # fmt: skip
def test_a_wrong_row_is_named(row: dict[str, Any], says: str, tmp_path: Path) -> None:
    """The message counts the row and names the field."""
    with pytest.raises(ValueError, match=f"row 2: .*{says}"):
        tune([labels(1)[0], row], out=tmp_path / "x.json")


def test_rows_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless file is refused, not read into memory."""
    monkeypatch.setattr("ofox_middleware.tune.MAX_ROWS", 5)
    with pytest.raises(ValueError, match="more than 5 rows"):
        tune(labels(10), out=tmp_path / "x.json")


def themes(count: int, *, seed: int = 3) -> list[dict[str, Any]]:
    """Requests of one shape in which a word decides: the small model fails on what is about tides."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        theme = rng.choice(["tides", "winds", "soils", "roads"])
        ask = f"Note {rng.choice(THINGS)} number {i} on {theme}"
        for model, wins in (("small", 0.1 if theme == "tides" else 0.8), ("large", 0.9)):
            rows.append({"request": ask, "model": model, "score": float(rng.random() < wins)})
    return rows


def test_words_speak_where_the_measures_do_not(tmp_path: Path) -> None:
    """Requests that differ in one word alone are told apart by it."""
    report = tune(themes(300), out=tmp_path / "tuned.json")
    assert report.written is not None
    assert report.after is not None
    assert report.after.apgr is not None
    assert report.after.apgr > 0.7
    model = DifficultyModel.load(report.written)

    def gap(theme: str) -> float:
        mix = model.classify(Signals(ask=f"Note lamp number 8 on {theme}")).domains
        return sum(
            (a - b) * share for a, b, share in zip(model.abilities["large"], model.abilities["small"], mix, strict=True)
        )

    assert gap("tides") > gap("winds") + 0.5


def test_a_word_of_two_requests_stays_out_of_the_file(tmp_path: Path) -> None:
    """What hardly anybody wrote is not written down: a word needs three requests."""
    rows = themes(150)
    for at, word in enumerate(["zebrafish", "zebrafish", "okapi", "okapi", "okapi"]):
        rows[4 * at]["request"] = rows[4 * at + 1]["request"] = f"Note {word} number {at} on roads"
    report = tune(rows, out=tmp_path / "tuned.json")
    assert report.written is not None
    words = DifficultyModel.load(report.written).heads.word_rows()
    assert "okapi" in words
    assert "zebrafish" not in words


def item(at: int, weak: float) -> Item:
    return Item(str(at), 0.0, (1.0,), (("a", weak), ("b", 1.0)))


def test_better_routing_must_be_more_than_luck() -> None:
    """A ranking that finds what gains beats one that does not; the same ranking does not beat itself."""
    items = [item(at, float(at % 2)) for at in range(60)]

    def knows(of: Item, model: str) -> float:
        return 1.0 if model == "b" else float(int(of.key) % 2)

    def guesses(of: Item, model: str) -> float:
        return 1.0 if model == "b" else int(of.key) / 100

    assert routes_better([(items, guesses)], [(items, knows)], 1.28)
    assert not routes_better([(items, knows)], [(items, guesses)], 1.28)
    assert not routes_better([(items, knows)], [(items, knows)], 1.28)
    assert not routes_better([(items[:10], guesses)], [(items[:10], knows)], 1.28)  # too few share both models
