"""``python -m benchmarks.quality``: the comparison with peers, into ``benchmarks/results/quality.md`` and
``quality.svg``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks.quality import many, metrics, report, robustness
from benchmarks.quality.data import available, own_rows
from benchmarks.quality.report import Contest
from benchmarks.quality.tuning import kinds_are_worth, tuned
from ofox_middleware.difficulty import DifficultyModel

RESULTS = Path(__file__).parents[1] / "results"
PROMPT = (
    "Could you explain how the yield of a coupled reaction changes when the vessel is heated slowly, "
    "given three reagents of which one is in excess, and why the textbook answer differs from what we measured? "
)


def macro_table(title: str, contests: list[Contest]) -> str:
    values = report.macro(contests)
    head = f"| {title} | " + " | ".join(values) + " |"
    return "\n".join(
        [
            head,
            "| --- |" + " --- |" * len(values),
            "| macro APGR | " + " | ".join(f"{v:.3f}" for v in values.values()) + " |",
        ]
    )


def tuning_table(contests: list[Contest], seeds: int = 3) -> str:
    lines = ["| set, pair | shipped | after 500 labels | refused |", "| --- | --- | --- | --- |"]
    for of in contests:
        runs = [tuned(of, seed=seed, limit=4000) for seed in range(seeds)]
        before, after = np.mean([run.before for run in runs]), np.mean([run.after for run in runs])
        lines.append(
            f"| {of.set}: {report.short(of.weak)} > {report.short(of.strong)} | {before:.3f} | {after:.3f} | "
            f"{sum(run.refused for run in runs)} of {seeds} |"
        )
    return "\n".join(lines)


def kinds_table(contests: list[Contest], model: DifficultyModel) -> str:
    lines = [
        "| set, pair | difficulty alone | gain per predicted kind | gain per task label |",
        "| --- | --- | --- | --- |",
    ]
    for of in contests:
        predicted, known = kinds_are_worth(of, model)
        alone = metrics.apgr(of.scores["Ofox"], of.weak_score, of.strong_score)
        lines.append(
            f"| {of.set}: {report.short(of.weak)} > {report.short(of.strong)} | {alone:.3f} | {predicted:.3f} | "
            f"{known:.3f} |"
        )
    return "\n".join(lines)


def tiers_table(model: DifficultyModel) -> str:
    """Trivial asks against the rest on the project's own held-out prompts."""
    rows = own_rows("held_out")
    scores = {"Ofox": report.ours(model), **{k: v for k, v in report.all_scorers(model).items() if k != "Ofox"}}
    english = np.array([row.lang == "en" for row in rows])
    rest = np.array([row.tier != "SIMPLE" for row in rows])
    lines = ["| contender | English | 17 other languages |", "| --- | --- | --- |"]
    for name, scorer in scores.items():
        s = np.array([scorer(row.prompt) for row in rows])
        lines.append(
            f"| {name} | {metrics.auc(s[english], rest[english]):.3f} | "
            f"{metrics.auc(s[~english], rest[~english]):.3f} |"
        )
    return "\n".join(lines)


def main() -> int:
    if not available():
        print(
            "The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/. Nothing done."
        )
        return 0
    model = DifficultyModel.load()
    scorers = report.all_scorers(model)
    test, train = report.test_contests(scorers), report.train_contests(scorers)
    prompts = {size: (PROMPT * (size // len(PROMPT) + 1))[:size] for size in (30, 130, 500, 2000, 8000, 100_000)}
    clothes, unchanged, tops = robustness.table(model, own_rows("held_out"))
    held = model.weights.about["held_out"]
    text = f"""# Routing quality

Written by `make bench-quality`. How it is measured, and what was looked at when: `benchmarks/quality/README.md`.

## Public test sets (never fitted, tuned or thresholded on)

{report.pair_table(test)}

{macro_table("test sets", test)}

![cost against quality](quality.svg)

## Training sets

The shipped difficulty uses no outcome of these sets. With each source left out in turn, its macro is
{held["unseen_source_apgr_macro"]:.3f}; the others fit nothing.

{macro_table("training sources", train)}

{report.pair_table(train)}

## Trivial asks against the rest (AUC, own held-out prompts)

{tiers_table(model)}

On held-out folds of the synthetic tiers: {held["trivial_auc_english"]:.3f} in English,
{held["trivial_auc_other_languages"]:.3f} in the other languages.

## `ofox tune` with 500 labelled requests, APGR on the rest (refused: as shipped)

{tuning_table([*test[:2], *train])}

## What the kind of task is worth, with 500 labels, APGR on the rest (training sets)

The kinds were learned from rows of ulab and RouterBench, so there their prediction is not that of an unseen set.

{kinds_table(train, model)}

## More than two models (training sets)

Through the product's own decisions, on requests that no label was taken from; how is said in
`benchmarks/quality/many.py`.

{many.table()}

## The same ask in other clothes

{clothes}

Unchanged over all changes that add no content: {100 * unchanged:.0f}%.
Trivial asks that any change lifted to the top: {tops}.

## Microseconds per decision (median), by characters of the prompt

{report.microseconds(scorers, prompts)}
"""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "quality.md").write_text(text, encoding="utf-8")
    report.plot(test, RESULTS / "quality.svg")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
