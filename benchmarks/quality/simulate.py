"""``ofox tune`` over many pairs of models and tasks of the training sets: what it gains, refuses and harms.

``python -m benchmarks.quality.simulate [LABELS] [SEEDS]`` takes so many labelled requests (500) of each, tunes, and
measures APGR on the others, once per seed (2); what is refused counts as untuned. With ``shuffled`` as a further word
the labels are dealt out anew among the requests, so that there is nothing to learn. No test set is read. This is what
the constants of ``ofox tune`` were chosen on.
"""

from __future__ import annotations

import hashlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.quality import labels, report
from benchmarks.quality.data import Row, available, train_rows
from benchmarks.quality.metrics import Floats
from benchmarks.quality.report import Contest
from benchmarks.quality.tuning import Tuned, tuned
from ofox_middleware.difficulty import DifficultyModel

GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "choice": ("ulab", ("mmlu", "openbook_qa", "arc_challenge", "commonsense_qa", "gpqa")),
    "maths": ("ulab", ("gsm8k", "math")),
    "code": ("ulab", ("mbpp", "human_eval")),
    "recall": ("ulab", ("natural_qa", "trivia_qa")),
    "ulab": ("ulab", ()),
    "arc": ("routerbench_zs", ("arc_challenge",)),
    "winogrande": ("routerbench_zs", ("winograde",)),
    "routerbench": ("routerbench_zs", ()),
    "bfcl": ("bfcl_2024_08", ()),
    **{f"ulab {task}": ("ulab", (task,)) for task in ("mmlu", "openbook_qa", "arc_challenge", "mbpp", "gsm8k", "math")},
}
"""Source and tasks of each group; no task named means all. The last ones hold 400 requests, half of which are
labelled."""

WEAK, GAP, PAIRS = 0.25, 0.07, 3
"""A pair counts where its weak model reaches this mean score and the strong one this much more; pairs of a group."""

HARM = 0.01
"""APGR lost on the rest that counts as harm."""


def contests() -> Iterator[tuple[str, Contest]]:
    """Pairs of each group, drawn by a hash of their names."""
    score = report.ours(DifficultyModel.load())
    rows = [row for row in train_rows() if row.outcomes]
    shipped = {row.id: score(row.prompt) for row in rows}
    for group, (source, tasks) in GROUPS.items():
        here = [row for row in rows if row.source == source and (not tasks or row.domain in tasks)]
        for weak, strong in _pairs(group, here)[:PAIRS]:
            both = [row for row in here if {weak, strong} <= row.outcomes.keys()]
            low, high = (np.array([row.outcomes[name] for row in both]) for name in (weak, strong))
            free = np.zeros(len(both))
            ours = {"Ofox": np.array([shipped[row.id] for row in both])}
            yield group, Contest(group, weak, strong, both, low, high, free, free, ours)


def _pairs(group: str, rows: Sequence[Row]) -> list[tuple[str, str]]:
    models = labels.FITTED_MODELS[rows[0].source]
    unsound = {model for task, model in labels.UNSOUND if any(row.domain == task for row in rows)}
    found = []
    for weak, strong in itertools.permutations(models, 2):
        both = [row for row in rows if {weak, strong} <= row.outcomes.keys()]
        if len(both) < 0.9 * len(rows) or (unsound & {weak, strong} and len({row.domain for row in rows}) < 6):
            continue
        low = float(np.mean([row.outcomes[weak] for row in both]))
        if low >= WEAK and float(np.mean([row.outcomes[strong] for row in both])) >= low + GAP:
            found.append((weak, strong))
    return sorted(found, key=lambda pair: hashlib.sha256(f"{group}{pair}".encode()).digest())


def shuffled(of: Contest, seed: int) -> Contest:
    """The same scores, dealt out anew among the requests."""
    at = np.random.default_rng(seed).permutation(len(of.rows))
    return replace(of, weak_score=of.weak_score[at], strong_score=of.strong_score[at])


def runs(count: int, seeds: int, *, noise: bool = False) -> Iterator[tuple[str, Tuned]]:
    """By group; the splits are others than those of the report."""
    for group, of in contests():
        for seed in range(100, 100 + seeds):
            yield group, tuned(shuffled(of, seed) if noise else of, count, seed=seed)


def summary(found: Sequence[tuple[str, Tuned]]) -> str:
    """A row per group, and the mean over the groups with the standard error of the gain."""
    lines = ["| group | shipped | tuned | gain | refused | harmed |", "| --- | --- | --- | --- | --- | --- |"]
    groups = list(dict.fromkeys(group for group, _ in found))
    rows, errors = [], []
    for group in groups:
        here = [run for of, run in found if of == group]
        gain = np.array([run.after - run.before for run in here])
        shipped = float(np.mean([run.before for run in here]))
        refused = float(np.mean([run.refused for run in here]))
        rows.append((shipped, shipped + gain.mean(), gain.mean(), refused, float(np.mean(gain < -HARM))))
        errors.append(gain.var() / len(gain))
        lines.append(_line(group, rows[-1]))
    error = float(np.sqrt(np.sum(errors)) / len(groups))
    lines.append(_line(f"mean (standard error of the gain {error:.3f})", np.mean(rows, axis=0)))
    return "\n".join(lines)


def _line(name: str, values: Sequence[float] | Floats) -> str:
    shipped, after, gain, refused, harmed = values
    return f"| {name} | {shipped:.3f} | {after:.3f} | {gain:+.3f} | {100 * refused:.0f}% | {100 * harmed:.0f}% |"


def main(argv: Sequence[str]) -> None:
    if not available():
        print("The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/.")
        return
    numbers = [int(word) for word in argv if word.isdigit()]
    count, seeds = (*numbers, *(500, 2)[len(numbers) :])[:2]
    print(summary(list(runs(count, seeds, noise="shuffled" in argv))))


if __name__ == "__main__":
    main(sys.argv[1:])
