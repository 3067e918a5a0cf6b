"""The quality benchmark: its measures are RouteLLM's, and no test prompt is ever fitted."""

from __future__ import annotations

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from benchmarks.quality import data, labels, metrics  # noqa: E402
from benchmarks.quality.data import Row, TestRowError, check_fittable, digest, own_rows  # noqa: E402

needs_sets = pytest.mark.skipif(not data.available(), reason="the public sets are not here (OFOX_BENCH_DATA)")
WEAK, STRONG = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 1.0, 1.0])


def test_the_measures_of_random_routing() -> None:
    """With equal scores the curve is a straight line."""
    none = np.zeros(4)
    assert metrics.apgr(none, WEAK, STRONG) == pytest.approx(0.5)
    run = metrics.curve(none, WEAK, STRONG, none, none + 1)
    assert metrics.cpt(run, 50) == 0.5


def test_the_measures_of_an_oracle() -> None:
    """Sending exactly the prompts that gain recovers the gap with half of the calls."""
    run = metrics.curve(STRONG - WEAK, WEAK, STRONG, np.full(4, 0.1), np.ones(4))
    assert metrics.apgr(STRONG - WEAK, WEAK, STRONG) == pytest.approx(0.75)
    assert metrics.cpt(run, 80) == 0.5
    assert metrics.cost_at_quality(run, 1.0) == pytest.approx((0.4 + 1.8) / 4)


def test_no_gap_has_no_measure() -> None:
    """Where the strong model is not better there is nothing to recover."""
    assert np.isnan(metrics.apgr(WEAK, STRONG, WEAK))


def test_auc_counts_ties_half() -> None:
    """A constant score ranks at chance."""
    positive = np.array([True, False, True, False])
    assert metrics.auc(np.zeros(4), positive) == 0.5
    assert metrics.auc(np.array([3.0, 1.0, 2.0, 0.0]), positive) == 1.0


def test_the_interval_holds_the_value() -> None:
    """The bootstrap interval is around the point estimate."""
    rng = np.random.default_rng(1)
    score, weak = rng.random(300), (rng.random(300) < 0.5).astype(float)
    low, high = metrics.bootstrap(score, weak, np.ones(300), rounds=50)
    assert low <= metrics.apgr(score, weak, np.ones(300)) <= high


def test_a_test_set_cannot_be_loaded_for_training() -> None:
    """The loader of training rows knows only training sets."""
    with pytest.raises(TestRowError):
        data.train_rows(["routellm_mmlu"])
    with pytest.raises(ValueError, match="not a test set"):
        data.test_rows("ulab")


def test_held_out_rows_are_refused() -> None:
    """Rows that were set apart never reach a fit."""
    with pytest.raises(TestRowError, match="held out"):
        check_fittable(own_rows("held_out")[:1])


@needs_sets
def test_no_test_prompt_is_fitted() -> None:
    """No prompt of what is fitted equals, letter by letter, a prompt of a test set."""
    fitted = [*data.train_rows(), *own_rows("train")]
    check_fittable(fitted)
    seen = {digest(row.prompt) for row in fitted}
    for name in data.TEST:
        assert not seen & {digest(row.prompt) for row in data.test_rows(name)}


@needs_sets
def test_a_smuggled_test_prompt_is_found() -> None:
    """Case, blanks and punctuation do not hide a test prompt."""
    row = data.test_rows("routellm_gsm8k")[0]
    smuggled = replace(row, prompt="  " + row.prompt.upper().replace(" ", "  "), fit=True)
    with pytest.raises(TestRowError, match="test set"):
        check_fittable([smuggled])


def test_own_prompts_are_split_and_tiered() -> None:
    """The two parts share no prompt, and each has every tier in many languages."""
    train, held = own_rows("train"), own_rows("held_out")
    assert not {digest(row.prompt) for row in train} & {digest(row.prompt) for row in held}
    for rows in (train, held):
        assert {row.tier for row in rows} == set(labels.TIERS)
        assert len({row.lang for row in rows}) >= 15


def test_kinds_are_domains() -> None:
    """Labels of kinds are names of text domains, or none."""
    rows = [Row("x", "ulab", "gsm8k", "", {"m": 1.0}), Row("y", "bfcl_2024_08", "java", "", {"m": 1.0})]
    assert [labels.kind(row) for row in rows] == ["math", ""]
    assert labels.task(rows[0]) == "ulab/gsm8k"
