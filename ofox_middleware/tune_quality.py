"""How well labels are predicted, by a tuned difficulty and by the one before it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ofox_middleware.tune_fit import Item, sigmoid

Chance = Callable[[Item, str], float]
"""The probability that a model answers a request well."""

SLOPES = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
"""How much the difficulty as judged before may matter to an operator's outcomes."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well labels are predicted.

    Attributes:
        log_loss: nats per label, lower is better.
        apgr: average performance gap recovered between the two models with most labels in common, worse to better by
            their mean score; ``None`` when no two models share enough requests.
    """

    log_loss: float
    apgr: float | None


def quality(chance: Chance, items: Sequence[Item]) -> Quality:
    """How well ``chance`` predicts the labels of ``items``."""
    total, count = 0.0, 0
    for item in items:
        for model, score in item.labels:
            p = min(1 - 1e-6, max(1e-6, chance(item, model)))
            total -= score * math.log(p) + (1 - score) * math.log(1 - p)
            count += 1
    return Quality(total / max(1, count), _apgr(chance, items))


def untuned(items: Sequence[Item], models: Sequence[str]) -> Chance:
    """What the difficulties as judged before can do: one ability per model, and one slope for how much they matter."""

    def at(slope: float) -> Chance:
        overall = {name: _overall(items, name, slope) for name in models}
        return lambda item, model: sigmoid(overall[model] - slope * item.logit)

    return min(map(at, SLOPES), key=lambda chance: quality(chance, items).log_loss)


def _overall(items: Sequence[Item], model: str, slope: float) -> float:
    """The ability that explains a model's mean score; by bisection."""
    seen = [(slope * item.logit, score) for item in items for name, score in item.labels if name == model]
    total = sum(score for _, score in seen)
    low, high = -15.0, 15.0
    for _ in range(40):
        middle = (low + high) / 2
        if sum(sigmoid(middle - logit) for logit, _ in seen) < total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _apgr(chance: Chance, items: Sequence[Item]) -> float | None:
    """RouteLLM's measure on the pair of models that share most requests (Ong et al. 2024, section 3)."""
    together = Counter(
        (a, b) for item in items for a, _ in item.labels for b, _ in item.labels if a < b
    )  # fmt: skip
    if not together:
        return None
    (a, b), count = together.most_common(1)[0]
    shared = [(item, dict(item.labels)) for item in items if {a, b} <= dict(item.labels).keys()]
    gain = sum(labels[b] - labels[a] for _, labels in shared)
    if count < 20 or gain == 0:
        return None
    weak, strong = (a, b) if gain > 0 else (b, a)
    shared.sort(key=lambda pair: chance(pair[0], weak) - chance(pair[0], strong))
    area = reached = 0.0
    for _, labels in shared:
        step = labels[strong] - labels[weak]
        area += reached + step / 2
        reached += step
    return area / (abs(gain) * len(shared))
