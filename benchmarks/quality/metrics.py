"""What a ranking of prompts by difficulty is worth between a cheap and a dear model.

Definitions of RouteLLM (Ong et al. 2024, arXiv 2406.18665, section 3): prompts are sent to the strong model in the
order of a
score; PGR is the share of the gap between both models that is recovered at a share ``c`` of strong calls; APGR is the
area
under PGR over ``c`` in 0..1 (random routing 0.5, an oracle may exceed 1); CPT(x) is the least ``c`` that recovers x%.
Prompts with the same score are sent in random order, which is computed as its expectation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Sorted by score: cumulative gain of the strong model, and cumulative extra cost, at k = 0..n strong calls."""

    gain: Floats
    extra_cost: Floats
    weak_quality: float
    strong_quality: float
    weak_cost: float
    strong_cost: float

    @property
    def share(self) -> Floats:
        return np.linspace(0.0, 1.0, len(self.gain))


def curve(score: Floats, weak: Floats, strong: Floats, weak_cost: Floats, strong_cost: Floats) -> Curve:
    """The trade between quality and cost when prompts go to the strong model from the highest ``score`` down."""
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    gain = _expected(np.cumsum((strong - weak)[order]), ranked)
    extra = _expected(np.cumsum((strong_cost - weak_cost)[order]), ranked)
    return Curve(gain, extra, weak.sum(), strong.sum(), weak_cost.sum(), strong_cost.sum())


def _expected(cumulative: Floats, ranked: Floats) -> Floats:
    """Straight lines across runs of equal scores: the mean over random orders within each run."""
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    at = np.concatenate([[0], ends + 1])
    values = np.concatenate([[0.0], cumulative[ends]])
    return np.interp(np.arange(len(ranked) + 1), at, values)


def apgr(score: Floats, weak: Floats, strong: Floats) -> float:
    """Average performance gap recovered; ``nan`` when the strong model is not better in sum."""
    total = float((strong - weak).sum())
    if total <= 0:
        return float("nan")
    none = np.zeros_like(weak)
    gain = curve(score, weak, strong, none, none).gain
    return float(np.trapezoid(gain, dx=1.0 / (len(gain) - 1)) / total)


def cpt(of: Curve, percent: float) -> float:
    """The least share of strong calls that recovers ``percent`` of the gap."""
    total = of.gain[-1]
    if total <= 0:
        return float("nan")
    reached = np.flatnonzero(of.gain >= total * percent / 100.0 - 1e-12)
    return float(of.share[reached[0]])


def cost_at_quality(of: Curve, share_of_strong: float = 0.95) -> float:
    """The least cost, as a share of always-strong, that reaches this share of the strong model's quality."""
    reached = np.flatnonzero(of.weak_quality + of.gain >= share_of_strong * of.strong_quality - 1e-12)
    if not len(reached) or of.strong_cost <= 0:
        return float("nan")
    return float((of.weak_cost + of.extra_cost[reached].min()) / of.strong_cost)


def bootstrap(score: Floats, weak: Floats, strong: Floats, *, rounds: int = 300, seed: int = 0) -> tuple[float, float]:
    """The 95% interval of APGR over resampled prompts."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        at = rng.integers(0, len(score), len(score))
        values.append(apgr(score[at], weak[at], strong[at]))
    kept = np.array([value for value in values if np.isfinite(value)])
    low, high = np.percentile(kept, [2.5, 97.5])
    return float(low), float(high)


def auc(score: Floats, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive outranks a negative, ties counted half."""
    order = np.argsort(score, kind="stable")
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    for value in (
        np.unique(score[np.flatnonzero(np.diff(np.sort(score)) == 0)]) if len(np.unique(score)) < len(score) else []
    ):
        same = score == value
        ranks[same] = ranks[same].mean()
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def rank(score: Floats) -> Floats:
    """Ranks in 0..1, ties averaged."""
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle = ends - (counts + 1) / 2.0
    del values
    return np.asarray(middle[inverse] / max(1, len(score) - 1))
