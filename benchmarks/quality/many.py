"""More than two models: what each preference of the router gets and costs, through the product's own decisions.

On 500 requests of a set every model's answers are known, which gives an operator a mean score and a mean price of each.
*Means stated*: the cards state the mean as ability, and the difficulty is the shipped one. *Tuned*: ``ofox tune`` on
the same 500. Everything is measured on other requests of the set. Prices of the cards are the measured mean costs;
times are not in the data, so ``speed`` is not shown and ``balanced`` sees equal ones.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality import labels
from benchmarks.quality.data import Row, train_rows
from benchmarks.quality.metrics import Floats
from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.tune import tune

LABELLED = 500
MEASURED = 1500
"""Requests of each set at most that are decided."""

PREFERENCES = ("quality", "balanced", "cost")
USUAL_TOKENS = 1000
"""Tokens that a card's price is spread over; only the ratio between cards matters."""


def sets() -> dict[str, tuple[list[Row], tuple[str, ...]]]:
    """By source: rows that every model answered, and the models whose answers and costs are sound."""
    found = {}
    rows = [row for row in train_rows() if row.outcomes]
    for source, names in labels.FITTED_MODELS.items():
        here = [row for row in rows if row.source == source]
        models = tuple(name for name in names if sum(row.costs.get(name, 0.0) for row in here) > 0)
        found[source] = ([row for row in here if row.outcomes.keys() >= set(models)], models)
    return found


def body(row: Row) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": row.prompt}]}
    if row.tools:
        request["tools"] = [{"type": "function", "function": {"name": "act", "parameters": {"type": "object"}}}]
    return request


def picks(settings: Settings, rows: Sequence[Row], models: Sequence[str], preference: str) -> NDArray[np.int64]:
    """Which model the router picks for each row; every row is a conversation of its own."""
    router = SmartRouter(settings)
    place = {name: at for at, name in enumerate(models)}
    config = {"model_routing_config": {"preference": preference}}
    return np.array([
        place[router.decide({**body(row), **config}, session=row.id, dry_run=True).model] for row in rows
    ])  # fmt: skip


def cards(models: Sequence[str], cost: Floats, ability: Floats | None) -> list[ModelCard]:
    return [
        ModelCard(
            name=name, provider="bench", ability=None if ability is None else float(ability[at]),
            input_cost_per_token=float(cost[at]) / USUAL_TOKENS, output_cost_per_token=float(cost[at]) / USUAL_TOKENS,
            supports_function_calling=True, max_input_tokens=1_000_000, ttft_s=1.0, tokens_per_s=50.0,
        )
        for at, name in enumerate(models)
    ]  # fmt: skip


def table(seed: int = 0) -> str:
    """The table of all sets."""
    lines = ["| set | rule | quality | of the best | USD per 1,000 | of the best |", "| --- |" + " --- |" * 5]
    for source, (rows, models) in sets().items():
        order = sorted(rows, key=lambda row: hashlib.sha256(f"{seed}:{row.id}".encode()).digest())
        known, rest = order[:LABELLED], order[LABELLED : LABELLED + MEASURED]
        score, cost = _matrix(rest, models)
        known_score, known_cost = _matrix(known, models)
        mean, price = known_score.mean(axis=0), known_cost.mean(axis=0)
        at = np.arange(len(rest))
        best = int(mean.argmax())
        oracle = (score - 1e-6 * cost / cost.max()).argmax(axis=1)
        rules: dict[str, tuple[float, float]] = {
            "always the cheapest": _got(score, cost, at, np.full(len(rest), price.argmin())),
            "random": (float(score.mean()), float(cost.mean())),
        }
        for preference in PREFERENCES:
            stated = Settings(models=cards(models, price, mean), seed=0)
            rules[f"Ofox, {preference}, means stated"] = _got(score, cost, at, picks(stated, rest, models, preference))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tuned.json"
            outcomes = (
                {"request": body(row), "model": name, "score": row.outcomes[name]} for row in known for name in models
            )
            if tune(outcomes, out=path).written:
                own = Settings(models=cards(models, price, None), seed=0, difficulty_weights=path)
                for preference in PREFERENCES:
                    rules[f"Ofox, {preference}, tuned"] = _got(score, cost, at, picks(own, rest, models, preference))
        spent = rules["Ofox, balanced, means stated"][1]
        within = int(np.where(price <= spent, mean, -1.0).argmax())
        rules["the one best model for what balanced spends"] = _got(score, cost, at, np.full(len(rest), within))
        rules["always the best"] = base = _got(score, cost, at, np.full(len(rest), best))
        rules["oracle: the cheapest of those that do best"] = _got(score, cost, at, oracle)
        title = f"{source} ({len(rest):,} requests, {len(models)} models)"
        for rule, (quality, usd) in rules.items():
            shown = f"**{rule}**" if rule.startswith("Ofox") else rule
            lines.append(
                f"| {title} | {shown} | {quality:.3f} | {100 * quality / base[0]:.0f}% | {1000 * usd:.3f} | "
                f"{100 * usd / base[1]:.0f}% |"
            )
            title = ""
    return "\n".join(lines)


def _matrix(rows: Sequence[Row], models: Sequence[str]) -> tuple[Floats, Floats]:
    return (
        np.array([[row.outcomes[name] for name in models] for row in rows]),
        np.array([[row.costs.get(name, 0.0) for name in models] for row in rows]),
    )


def _got(score: Floats, cost: Floats, at: NDArray[np.int64], pick: NDArray[np.int64]) -> tuple[float, float]:
    return float(score[at, pick].mean()), float(cost[at, pick].mean())


if __name__ == "__main__":
    print(table())
