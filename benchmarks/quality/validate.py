"""Choosing an approach on the training sets alone: leave one source out, held-out folds, held-out tiers.

``python -m benchmarks.quality.validate`` prints the comparison that ``README.md`` quotes. No test set is read, except
for the check that none of its prompts is fitted.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import contenders, labels, metrics, within
from benchmarks.quality.data import Row, available, check_fittable, own_rows, train_rows
from benchmarks.quality.fit import PRIOR, Corpus, Recipe, corpus, fit
from benchmarks.quality.metrics import Floats

Scores = Callable[[NDArray[np.int64]], Floats]
"""Given the rows to fit on, scores for every row of the corpus."""

FOLDS = 4

PLAIN = Recipe(gate=False)
RECIPES: dict[str, Recipe] = {
    "what ships: tiers, prior, signs, gate": Recipe(),
    "the gate without what models failed on": Recipe(gate_failed=0.0),
    "the gate with the hardest tier like any other": Recipe(gate_hard=1.0),
    "without the gate": PLAIN,
    "without, three times the length in half of the prior, a third of the ridge": replace(
        PLAIN, length=PRIOR["length"] * 3, prior=0.5, ridge=1000.0
    ),
    "without, twice the length": replace(PLAIN, length=PRIOR["length"] * 2),
    "without, a third of the ridge": replace(PLAIN, ridge=1000.0),
    "without, a fifteenth of the ridge": replace(PLAIN, ridge=200.0),
    "without, no prior": replace(PLAIN, prior=0.0),
    "without, no known signs": replace(PLAIN, signs=False),
    "without, with the kind of task": replace(PLAIN, kinds=True),
    "without, with words": replace(PLAIN, words=True),
    "without, with words held short": replace(PLAIN, words=True, word_ridge=20.0),
    "without, with kinds, words and pairs": replace(PLAIN, kinds=True, words=True, pairs=True),
    "item response on outcomes too, weight 0.1": replace(PLAIN, outcome_weight=0.1),
    "item response on outcomes too, weight 1": replace(PLAIN, outcome_weight=1.0),
    "the same, with kinds and words": replace(PLAIN, outcome_weight=1.0, kinds=True, words=True),
    "the same, without known signs": replace(PLAIN, outcome_weight=1.0, kinds=True, words=True, signs=False),
    "the same, without task offsets": replace(PLAIN, outcome_weight=1.0, kinds=True, words=True, offsets=False),
}


@dataclass(frozen=True)
class Verdict:
    """How one approach did.

    Attributes:
        unseen: mean APGR over the pairs of each source, fitted without that source.
        folds: the same on held-out folds, fitted on all sources.
        tier_english, tier_other: AUC of SIMPLE against the rest on held-out folds of the synthetic tiers.
        fold_english, fold_other: the same on held-out folds, by concept, of those own prompts that are fitted.
        own_english, own_other: the same on the project's own held-out prompts; nothing is chosen by these.
        within: how well gains are ranked inside one task (:mod:`benchmarks.quality.within`), on held-out folds.
        hard_as_simple: share of those written as the hardest tier that score below the SIMPLE threshold.
    """

    unseen: dict[str, float]
    folds: dict[str, float]
    tier_english: float
    tier_other: float
    fold_english: float
    fold_other: float
    own_english: float
    own_other: float
    within: float
    hard_as_simple: float

    @property
    def macro(self) -> float:
        return float(np.mean(list(self.unseen.values())))

    @property
    def fold_macro(self) -> float:
        return float(np.mean(list(self.folds.values())))


def load() -> tuple[Corpus, NDArray[np.bool_]]:
    """All training rows and the project's held-out prompts, with a mask of the latter."""
    rows = [*train_rows(), *own_rows("train")]
    check_fittable(rows)
    held = own_rows("held_out")
    return corpus([*rows, *held]), np.array([False] * len(rows) + [True] * len(held))


def pair_apgr(data: Corpus, score: Floats, source: str) -> float:
    values = []
    for weak, strong in labels.PAIRS[source]:
        at, w, s = outcomes(data.rows, source, weak, strong)
        values.append(metrics.apgr(score[at], w, s))
    return float(np.mean(values))


def outcomes(rows: Sequence[Row], source: str, weak: str, strong: str) -> tuple[NDArray[np.int64], Floats, Floats]:
    at = [i for i, r in enumerate(rows) if r.source == source and weak in r.outcomes and strong in r.outcomes]
    return (
        np.array(at),
        np.array([rows[i].outcomes[weak] for i in at]),
        np.array([rows[i].outcomes[strong] for i in at]),
    )


def judge(data: Corpus, held: NDArray[np.bool_], scores: Scores) -> Verdict:
    unseen = {
        source: pair_apgr(data, scores(np.flatnonzero((data.source != source) & ~held)), source)
        for source in labels.PAIRS
    }
    fold = np.array([zlib.crc32((row.concept or row.id).encode()) % FOLDS for row in data.rows])
    out = np.zeros(len(held))
    for k in range(FOLDS):
        out[fold == k] = scores(np.flatnonzero((fold != k) & ~held))[fold == k]
    final = scores(np.flatnonzero(~held))
    english = np.array([row.lang == "en" for row in data.rows])
    synth, own = data.source == "uncommonroute_synth", held
    fitted = (data.source == "own") & ~held
    hard = final[own & (data.tier == 3)]

    def auc(score: Floats, here: NDArray[np.bool_]) -> float:
        return metrics.auc(score[here], data.tier[here] > 0)

    return Verdict(
        unseen,
        {source: pair_apgr(data, out, source) for source in labels.PAIRS},
        auc(out, synth & english), auc(out, synth & ~english), auc(out, fitted & english), auc(out, fitted & ~english),
        auc(final, own & english), auc(final, own & ~english), within.mean(data.task, out),
        float((hard < labels.THRESHOLDS[0]).mean()),
    )  # fmt: skip


def recipe_scores(data: Corpus, recipe: Recipe) -> Scores:
    return lambda at: fit(data, at, recipe, difficulty_alone=True).columns(data)[:, 0]


def fixed(score: Floats) -> Scores:
    return lambda _: score


def other_approaches(data: Corpus) -> dict[str, Scores]:
    """Boosted trees and hashed n-grams on the same targets: failures centred per task, tiers at fixed logits."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import Ridge

    target = np.full(len(data.rows), np.nan)
    for i, row in enumerate(data.rows):
        known = [row.outcomes[m] for m in labels.FITTED_MODELS.get(row.source, ()) if m in row.outcomes]
        if data.tier[i] >= 0:
            target[i] = (-4.0, -1.5, 0.5, 2.5)[data.tier[i]]
        elif known:
            share = 0.1 + 0.8 * float(np.mean(known))
            target[i] = -np.log(share / (1 - share))
    for task in np.unique(data.task):
        here = (data.task == task) & (data.tier < 0) & ~np.isnan(target)
        target[here] -= target[here].mean() if here.any() else 0.0
    texts = [row.prompt[-2000:] for row in data.rows]
    words = HashingVectorizer(ngram_range=(1, 2), n_features=2**14, alternate_sign=False).transform(texts)
    grams = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=2**15, alternate_sign=False).transform(
        texts
    )

    def boosted(depth: int, trees: int) -> Scores:
        def scores(at: NDArray[np.int64]) -> Floats:
            at = at[~np.isnan(target[at])]
            model = HistGradientBoostingRegressor(
                max_depth=depth,
                max_iter=trees,
                learning_rate=0.08,
                min_samples_leaf=60,
                l2_regularization=5,
                random_state=0,
            )
            return np.asarray(model.fit(data.values[at], target[at]).predict(data.values))

        return scores

    def ridge(x: object) -> Scores:
        def scores(at: NDArray[np.int64]) -> Floats:
            at = at[~np.isnan(target[at])]
            return np.asarray(Ridge(alpha=10).fit(x[at], target[at]).predict(x))  # type: ignore[index]

        return scores

    return {
        "boosted trees, depth 3": boosted(3, 100),
        "boosted trees, depth 2": boosted(2, 60),
        "hashed words 1-2 (2^14), ridge": ridge(words),
        "hashed characters 3-5 (2^15), ridge": ridge(grams),
    }


def peers(data: Corpus) -> dict[str, Scores]:
    size = contenders.scores(contenders.length, data.rows)
    v1 = contenders.scores(contenders.litellm_v1(), data.rows)
    v2 = contenders.scores(contenders.litellm_v2(), data.rows)
    blend = np.zeros(len(size))
    for source in np.unique(data.source):
        here = data.source == source
        blend[here] = contenders.blend(size[here], v1[here])
    return {
        "prompt length": fixed(size),
        "LiteLLM v1": fixed(v1),
        "LiteLLM v2": fixed(v2),
        "length and v1 blend": fixed(blend),
    }


def line(name: str, verdict: Verdict) -> str:
    sources = " | ".join(f"{value:.3f}" for value in verdict.unseen.values())
    return (
        f"| {name} | {sources} | **{verdict.macro:.3f}** | {verdict.fold_macro:.3f} | {verdict.tier_english:.3f} | "
        f"{verdict.tier_other:.3f} | {verdict.fold_english:.3f} | {verdict.fold_other:.3f} | "
        f"{verdict.own_english:.3f} | {verdict.own_other:.3f} | {verdict.within:.4f} | "
        f"{verdict.hard_as_simple:.2f} |"
    )


def main(only: Sequence[str] = ()) -> None:
    if not available():
        print("The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/.")
        return
    data, held = load()
    print(
        "| approach | ulab | routerbench | bfcl | unseen macro | folds macro | tiers en | other | "
        "own folds en | other | own held out en | other | within | hard as simple |"
    )
    print("| --- |" + " --- |" * 13)
    runs = {name: recipe_scores(data, recipe) for name, recipe in RECIPES.items()}
    for name, scores in {**peers(data), **runs, **other_approaches(data)}.items():
        if not only or any(part in name for part in only):
            print(line(name, judge(data, held, scores)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
