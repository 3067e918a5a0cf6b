"""How well a score ranks *inside* one task, where nothing is won by telling tasks apart: the case of an exam.

``python -m benchmarks.quality.within`` prints the table that ``README.md`` quotes. Training sets only. One pair of
models on one task of 400 items says little, so all pairs of a task count together: the gains of their strong models
are added up per item, and the score is judged on the sum, which is APGR pooled over the pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import contenders, labels, metrics, report
from benchmarks.quality.data import Row, available, train_rows
from benchmarks.quality.metrics import Floats
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.features import FEATURES

FAMILIES = {
    "choice": (
        "ulab/mmlu", "ulab/arc_challenge", "ulab/openbook_qa", "ulab/commonsense_qa", "ulab/gpqa",
        "routerbench_zs/arc_challenge", "routerbench_zs/winograde",
    ),
    "maths": ("ulab/gsm8k", "ulab/math"),
    "code": ("ulab/mbpp", "ulab/human_eval", "routerbench_zs/mbpp"),
    "tools": (
        "bfcl_2024_08/simple", "bfcl_2024_08/multiple_function", "bfcl_2024_08/parallel_function",
        "bfcl_2024_08/parallel_multiple_function",
    ),
}  # fmt: skip
TASKS = tuple(task for tasks in FAMILIES.values() for task in tasks)

WEAK, GAP = 0.25, 0.05
"""A pair counts where its weak model reaches this mean score, so that its failures say something of the items, and the
strong one this much more."""


def gain(rows: Sequence[Row]) -> Floats | None:
    """What each item gains from the strong model, added up over the pairs of models that count; of one task."""
    models = sorted({model for row in rows for model in row.outcomes if (row.domain, model) not in labels.UNSOUND})
    score = np.array([[row.outcomes.get(model, np.nan) for model in models] for row in rows])
    score = score[:, ~np.isnan(score).any(axis=0)]
    mean = score.mean(axis=0)
    strong = [
        [j for j in range(len(mean)) if mean[j] - mean[i] >= GAP] if mean[i] >= WEAK else [] for i in range(len(mean))
    ]
    found = [score[:, j] - score[:, i] for i, better in enumerate(strong) for j in better]
    return np.sum(found, axis=0) if found else None


def pooled(score: Floats, gains: Floats) -> float:
    """APGR over all pairs of a task: a half, and what the rank and the gain go together."""
    rank = metrics.rank(score)
    return float(0.5 + ((rank - rank.mean()) * gains).mean() / gains.mean())


def by_family(scores: Mapping[str, Floats], gains: Mapping[str, Floats]) -> dict[str, float]:
    """Mean over the tasks of each family; ``all`` is the mean over the families."""
    found = {
        family: float(np.mean([pooled(scores[task], gains[task]) for task in tasks if task in gains]))
        for family, tasks in FAMILIES.items()
    }
    return {**found, "all": float(np.mean(list(found.values())))}


def error(
    scores: Mapping[str, Floats], than: Mapping[str, Floats], gains: Mapping[str, Floats], rounds: int = 200
) -> float:
    """The standard error of the difference in ``all`` between two scores, by resampling the items of each task."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(rounds):
        at = {task: rng.integers(0, len(values), len(values)) for task, values in gains.items()}
        drawn = {task: values[at[task]] for task, values in gains.items()}
        a, b = ({task: of[task][at[task]] for task in gains} for of in (scores, than))
        found.append(by_family(a, drawn)["all"] - by_family(b, drawn)["all"])
    return float(np.std(found))


@cache
def _tasks() -> dict[str, tuple[list[Row], Floats]]:
    rows: dict[str, list[Row]] = {task: [] for task in TASKS}
    for row in train_rows(("ulab", "routerbench_zs_slice", "bfcl_2024_08")):
        if labels.task(row) in rows:
            rows[labels.task(row)].append(row)
    gains = {task: gain(of) for task, of in rows.items()}
    return {task: (rows[task], values) for task, values in gains.items() if values is not None}


def mean(task: NDArray[np.str_], score: Floats) -> float:
    """The mean over the families, for scores of a corpus whose rows are in the order of the training sets."""
    gains = {name: values for name, (_, values) in _tasks().items()}
    return by_family({name: score[task == name] for name in gains}, gains)["all"]


def main(argv: Sequence[str] = ()) -> None:
    if not available():
        print("The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/.")
        return
    model = DifficultyModel.load()
    tasks = _tasks()
    gains = {task: values for task, (_, values) in tasks.items()}
    scorers = report.all_scorers(model)
    scores = {name: {t: contenders.scores(of, rows) for t, (rows, _) in tasks.items()} for name, of in scorers.items()}
    long, keywords = scores["prompt length"], scores["LiteLLM v1"]
    scores["length and v1 blend"] = {task: contenders.blend(long[task], keywords[task]) for task in gains}
    if "measures" in argv:
        readings = {task: [model.read(row.prompt).values for row in rows] for task, (rows, _) in tasks.items()}
        for at, name in enumerate(FEATURES):
            scores[name] = {task: np.array([values[at] for values in of]) for task, of in readings.items()}
    print("| score | " + " | ".join([*FAMILIES, "all"]) + " | beyond length, standard error |")
    print("| --- |" + " --- |" * (len(FAMILIES) + 2))
    base = by_family(long, gains)["all"]
    for name, of in scores.items():
        found = by_family(of, gains)
        cells = " | ".join(f"{value:.3f}" for value in found.values())
        print(f"| {name} | {cells} | {found['all'] - base:+.3f}, {error(of, long, gains):.3f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
