"""The simulation of ``ofox tune``: what is refused counts as untuned, and shuffled labels keep their pairs."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

from benchmarks.quality.data import Row  # noqa: E402
from benchmarks.quality.report import Contest  # noqa: E402
from benchmarks.quality.simulate import shuffled, summary  # noqa: E402
from benchmarks.quality.tuning import Tuned  # noqa: E402


def test_what_is_refused_counts_as_untuned() -> None:
    """A refusal adds no gain and no harm, and each group counts once."""
    runs = [
        ("a", Tuned(0.5, 0.7, refused=False)),
        ("a", Tuned(0.5, 0.5, refused=True)),
        ("b", Tuned(0.6, 0.5, refused=False)),
    ]
    lines = summary(runs).splitlines()
    assert lines[2] == "| a | 0.500 | 0.600 | +0.100 | 50% | 0% |"
    assert lines[3] == "| b | 0.600 | 0.500 | -0.100 | 0% | 100% |"
    assert lines[4].endswith("| 0.550 | 0.550 | +0.000 | 25% | 50% |")


def test_shuffled_labels_follow_no_request_but_stay_together() -> None:
    """The scores of both models of a request move together."""
    low, free = np.arange(30.0), np.zeros(30)
    rows = [Row(str(at), "ulab", "mmlu", "", {}) for at in range(30)]
    found = shuffled(Contest("x", "w", "s", rows, low, low + 1, free, free, {}), seed=1)
    assert sorted(found.weak_score) == list(low)
    assert list(found.weak_score) != list(low)
    assert list(found.strong_score - found.weak_score) == [1.0] * 30
