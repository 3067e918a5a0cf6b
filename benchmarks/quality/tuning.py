"""``ofox tune`` with a few hundred labels, and what knowing the kind of task is worth, on the rest of a set."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import metrics
from benchmarks.quality.metrics import Floats
from benchmarks.quality.report import Contest
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.heads import softmax
from ofox_middleware.tune import tune
from ofox_middleware.types import Signals


def routing_score(model: DifficultyModel, prompts: list[str], weak: str, strong: str) -> Floats:
    """Expected gain of the strong model, as the router computes it."""
    low, high = model.abilities[weak], model.abilities[strong]
    out = []
    for prompt in prompts:
        judged = model.classify(Signals(ask=prompt))
        a = sum(x * y for x, y in zip(high, judged.domains, strict=True)) - judged.logit
        b = sum(x * y for x, y in zip(low, judged.domains, strict=True)) - judged.logit
        out.append(1 / (1 + np.exp(-a)) - 1 / (1 + np.exp(-b)))
    return np.array(out)


@dataclass(frozen=True)
class Tuned:
    """APGR before and after on the rows that were not labelled; where tuning refused to write, nothing changes."""

    before: float
    after: float
    refused: bool


def tuned(of: Contest, labels: int = 500, *, seed: int = 0, limit: int | None = None) -> Tuned:
    """``ofox tune`` on some rows of a set, measured on the others, ``limit`` of them at most."""
    fit, rest = _split(of, labels, seed)
    rest = rest[:limit]
    rows = [
        {"request": of.rows[i].prompt, "model": model, "score": float(score[i])}
        for i in fit
        for model, score in ((of.weak, of.weak_score), (of.strong, of.strong_score))
    ]
    at = np.array(rest)
    before = metrics.apgr(of.scores["Ofox"][at], of.weak_score[at], of.strong_score[at])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tuned.json"
        if tune(rows, out=path, seed=seed).written is None:
            return Tuned(before, before, refused=True)
        model = DifficultyModel.load(path)
    score = routing_score(model, [of.rows[i].prompt for i in rest], of.weak, of.strong)
    return Tuned(before, metrics.apgr(score, of.weak_score[at], of.strong_score[at]), refused=False)


def kinds_are_worth(of: Contest, model: DifficultyModel, labels: int = 500, *, seed: int = 0) -> tuple[float, float]:
    """APGR on the rest of the set when the mean gain of each kind is known from labelled requests.

    Returns:
        with the kinds that the shipped weights predict from the text, and with the set's own task labels.
    """
    fit, rest = _split(of, labels, seed)
    gain = of.strong_score - of.weak_score
    mix = np.array([softmax(model.heads.kinds(model.read(row.prompt))) for row in of.rows])
    system = mix[fit].T @ mix[fit] + 2.0 * np.eye(mix.shape[1])
    weights = np.linalg.solve(system, mix[fit].T @ (gain[fit] - gain[fit].mean()))
    tasks = np.array([row.domain for row in of.rows])
    known = np.array([gain[fit][tasks[fit] == task].sum() / (3 + (tasks[fit] == task).sum()) for task in tasks[rest]])
    weak, strong = of.weak_score[rest], of.strong_score[rest]
    return metrics.apgr(mix[rest] @ weights, weak, strong), metrics.apgr(known, weak, strong)


def _split(of: Contest, labels: int, seed: int) -> tuple[list[int], list[int]]:
    """Labelled rows, never more than half of the set, and the rest."""
    order = sorted(range(len(of.rows)), key=lambda i: hashlib.sha256(f"{seed}:{of.rows[i].id}".encode()).digest())
    labels = min(labels, len(order) // 2)
    return order[:labels], order[labels:]
