"""Calibrates, on the training sets alone, what the router takes for granted: abilities, ``balanced``, the floors.

``python -m benchmarks.quality.calibrate`` prints the tables that ``README.md`` quotes.
"""

from __future__ import annotations

import csv
import math

import numpy as np
from scipy.optimize import minimize

from benchmarks.quality import labels
from benchmarks.quality.data import available, folder, train_rows
from benchmarks.quality.metrics import Floats
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.types import Signals

BASE = {
    "llama-3.1-8b-instruct": "llama-3-1-8b", "qwen2.5-7b-instruct": "qwen2-5-7b-instruct",
    "gemma-2-9b-it": "gemma-2-9b",
    "mistral-7b-instruct-v0.3": "mistral-7b-instruct-v0-2", "llama-3.1-nemotron-51b-instruct": "llama-3-1-nemotron-70b",
    "mistralai/mixtral-8x7b-chat": "mixtral-8x7b-instruct-v0-1", "gpt-4-1106-preview": "gpt-4-1106-preview",
    "gpt-3.5-turbo-1106": "gpt-3-5-turbo", "mistralai/mistral-7b-chat": "mistral-7b",
    "zero-one-ai/Yi-34B-Chat": "yi-34b-chat",
    "claude-3-haiku-20240307": "claude-3-haiku", "claude-3-5-sonnet-20240620": "claude-3-5-sonnet",
    "open-mixtral-8x7b": "mixtral-8x7b-instruct-v0-1", "gpt-3.5-turbo-0125": "gpt-3-5-turbo",
    "gpt-4-turbo-2024-04-09": "gpt-4-turbo", "gpt-4-0125-preview": "gpt-4-0125-preview",
    "claude-3-opus-20240229": "claude-3-opus", "mistral-small-2402": "mistral-small-2402",
}  # fmt: skip
"""Models of the training sets to rows of the ability table; the 51B nemotron takes the 70B's, the nearest there is."""


def table() -> dict[str, float]:
    with (folder() / "abilities" / "ability.csv").open(encoding="utf-8") as lines:
        return {row["base"]: float(row["g"]) for row in csv.DictReader(lines)}


def _task_points() -> dict[str, list[tuple[float, float]]]:
    """Per task: (measured ability, logit of the mean score) of each model that both tables know."""
    known = table()
    rows = [row for row in train_rows() if row.outcomes]
    found: dict[str, list[tuple[float, float]]] = {}
    for name in sorted({labels.task(row) for row in rows}):
        here = [row for row in rows if labels.task(row) == name]
        for model in labels.FITTED_MODELS[here[0].source]:
            scores = [row.outcomes[model] for row in here if model in row.outcomes]
            if model in BASE and len(scores) >= 70 and (here[0].domain, model) not in labels.UNSOUND:
                mean = min(0.98, max(0.02, float(np.mean(scores))))
                found.setdefault(name, []).append((known[BASE[model]], math.log(mean / (1 - mean))))
    return found


def grown(spread: float) -> float:
    """What a marginal logit is multiplied by where items vary around their task's mean with standard deviation
    ``spread``
    (Zeger, Liang and Albert 1988)."""
    return math.sqrt(1 + 0.346 * spread**2)


def slope(spread: float) -> tuple[float, float, int]:
    """Logits per standard deviation of ability (median over tasks), its standard error, and how many tasks."""
    slopes = []
    for points in _task_points().values():
        if len(points) >= 4:
            x, y = np.array(points).T
            slopes.append(grown(spread) * float(np.cov(x, y)[0, 1] / x.var(ddof=1)))
    return float(np.median(slopes)), float(np.std(slopes, ddof=1) / math.sqrt(len(slopes))), len(slopes)


def intercept(per_sd: float, spread: float) -> tuple[float, float]:
    """The logit of the mean model at difficulty 0 that makes the shipped difficulties come out right (median over
    tasks),
    and its standard deviation over tasks."""
    model = DifficultyModel.load()
    rows = [row for row in train_rows() if row.outcomes]
    found = []
    for name, points in _task_points().items():
        prompts = [row.prompt for row in rows if labels.task(row) == name][:150]
        mean = np.mean([model.classify(Signals(ask=prompt)).logit for prompt in prompts])
        found.append(float(mean + np.mean([grown(spread) * y - per_sd * x for x, y in points])))
    return float(np.median(found)), float(np.std(found))


def profiles(ratios: tuple[float, ...], floors: tuple[float, ...]) -> str:
    """Quality and cost when each prompt goes to the best score, as a share of always taking the best model.

    Abilities are fitted per source on a random half and everything is measured on the other half, so this is about the
    weights and not about the catalogue.
    """
    model = DifficultyModel.load()
    rows = [row for row in train_rows() if row.outcomes and row.source in {"routerbench_zs", "bfcl_2024_08"}]
    lines = ["| rule | routerbench: quality | cost | bfcl: quality | cost |", "| --- | --- | --- | --- | --- |"]
    cells: dict[str, list[str]] = {}
    for source in ("routerbench_zs", "bfcl_2024_08"):
        here = [row for row in rows if row.source == source]
        names = [
            name for name in here[0].outcomes
            if all(name in row.outcomes for row in here[:50])
            and np.mean([row.costs.get(name, 0.0) for row in here]) > 0
        ]  # fmt: skip
        here = [row for row in here if all(name in row.outcomes for name in names)]
        score = np.array([[row.outcomes[name] for name in names] for row in here])
        cost = np.array([[max(1e-7, row.costs[name]) for name in names] for row in here])
        logit = np.array([model.classify(Signals(ask=row.prompt)).logit for row in here])
        half = np.random.default_rng(0).random(len(here)) < 0.5
        q = _expected(score, logit, half)
        mean_cost = np.tile(cost[half].mean(axis=0), (len(here), 1))
        rest = ~half
        best = int(score[half].mean(axis=0).argmax())
        base_q, base_c = score[rest, best].mean(), cost[rest, best].mean()

        def shown(
            pick: np.ndarray,
            score: Floats = score[rest],
            cost: Floats = cost[rest],
            q: float = base_q,
            c: float = base_c,
        ) -> list[str]:
            at = np.arange(len(pick))
            return [f"{score[at, pick].mean() / q:.3f}", f"{100 * cost[at, pick].mean() / c:.0f}%"]

        cells.setdefault("always the cheapest", []).extend(shown(mean_cost[rest].argmin(axis=1)))
        for ratio in ratios:
            value = np.log(q) - ratio * np.log(mean_cost)
            cells.setdefault(f"balanced, cost weighs {ratio:g} of quality", []).extend(
                shown(value[rest].argmax(axis=1))
            )
        for floor in floors:
            allowed = q >= floor * q.max(axis=1, keepdims=True)
            pick = np.where(allowed, mean_cost, np.inf)[rest].argmin(axis=1)
            cells.setdefault(f"cost, floor {floor:g}", []).extend(shown(pick))
    return "\n".join([*lines, *(f"| {name} | {' | '.join(row)} |" for name, row in cells.items())])


def _expected(score: Floats, logit: Floats, half: np.ndarray) -> Floats:
    """P(answers well) with one ability per model and one slope on the difficulty, fitted on ``half``."""

    def chance(flat: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-(flat[1:][None, :] - flat[0] * logit[:, None]))))

    def loss(flat: Floats) -> float:
        p = chance(flat)[half]
        return float(-(score[half] * np.log(p + 1e-9) + (1 - score[half]) * np.log(1 - p + 1e-9)).sum())

    return chance(minimize(loss, np.concatenate([[0.3], np.ones(score.shape[1])]), method="L-BFGS-B").x)


def main() -> None:
    if not available():
        print("The public sets are not here: set OFOX_BENCH_DATA to the folder that holds train/ and test/.")
        return
    for spread in (1.0, 1.5, 2.0):
        value, error, tasks = slope(spread)
        at, deviation = intercept(value, spread)
        print(
            f"items vary by {spread}: slope {value:.2f} (standard error {error:.2f}, {tasks} tasks), "
            f"intercept {at:.2f} (standard deviation over tasks {deviation:.2f})"
        )
    print(profiles((0.02, 0.05, 0.1, 0.2, 0.3, 0.5), (0.95, 0.9, 0.85, 0.8, 0.75, 0.65)))


if __name__ == "__main__":
    main()
