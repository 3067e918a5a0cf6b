"""The measure of ranking inside one task."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from benchmarks.quality import metrics, within  # noqa: E402
from benchmarks.quality.data import Row  # noqa: E402


def rows(count: int = 200) -> list[Row]:
    """The strong model is always right, the weak one on the first half; a third is too weak to count."""
    return [
        Row(str(i), "s", "d", "", {"weak": float(i < count / 2), "strong": 1.0, "hopeless": float(i == 0)})
        for i in range(count)
    ]


def test_one_pair_is_its_apgr() -> None:
    """Pooled over one pair the measure is RouteLLM's, and a model that fails everywhere makes no pair."""
    of = rows()
    gains = within.gain(of)
    score = np.random.default_rng(0).random(len(of))
    weak = np.array([row.outcomes["weak"] for row in of])
    assert gains == pytest.approx(1 - weak)
    assert within.pooled(score, gains) == pytest.approx(metrics.apgr(score, weak, np.ones(len(of))), abs=0.01)
    assert within.pooled(np.zeros(len(of)), gains) == pytest.approx(0.5)


def test_no_pair_has_no_gain() -> None:
    """Models of one quality have nothing to route between."""
    assert within.gain([Row(str(i), "s", "d", "", {"a": 1.0, "b": 1.0}) for i in range(30)]) is None


def test_families_count_alike_and_no_difference_has_no_error() -> None:
    """``all`` is the mean over the families, whatever their number of tasks."""
    gains = {task: within.gain(rows(60)) for task in within.TASKS}
    scores = {task: np.arange(60.0) if task in within.FAMILIES["code"] else np.zeros(60) for task in gains}
    found = within.by_family(scores, gains)
    assert found["tools"] == pytest.approx(0.5)
    assert found["all"] == pytest.approx(0.5 + (found["code"] - 0.5) / 4)
    assert within.error(scores, scores, gains, rounds=5) == 0.0
    assert within.error(scores, {task: -of for task, of in scores.items()}, gains, rounds=20) > 0.0
