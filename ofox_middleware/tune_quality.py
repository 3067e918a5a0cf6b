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


def routes_better(before: Chance, after: Chance, items: Sequence[Item], errors: float) -> bool:
    """Whether ``after`` recovers more of the gap between the two models with most labels in common, by more than
    ``errors`` standard errors of the difference over the requests."""
    shared = _shared(items)
    if shared is None:
        return False
    change = [a - b for a, b in zip(_recovered(after, shared), _recovered(before, shared), strict=True)]
    mean = sum(change) / len(change)
    variance = sum((value - mean) ** 2 for value in change) / len(change)
    return mean > errors * math.sqrt(variance / len(change))


@dataclass(frozen=True, slots=True)
class _Shared:
    """Requests that both models of a pair were labelled on, with what the better one gains."""

    weak: str
    strong: str
    items: Sequence[Item]
    gains: Sequence[float]


def _shared(items: Sequence[Item]) -> _Shared | None:
    together = Counter((a, b) for item in items for a, _ in item.labels for b, _ in item.labels if a < b)
    if not together:
        return None
    (a, b), count = together.most_common(1)[0]
    both = [(item, dict(item.labels)) for item in items if {a, b} <= dict(item.labels).keys()]
    gains = [labels[b] - labels[a] for _, labels in both]
    if count < 20 or sum(gains) == 0:
        return None
    found = [item for item, _ in both]
    return _Shared(a, b, found, gains) if sum(gains) > 0 else _Shared(b, a, found, [-gain for gain in gains])


def _recovered(chance: Chance, shared: _Shared) -> list[float]:
    """What each request adds to the area under the curve beyond random routing: its gain, by how early it is sent to
    the strong model (0.5 the first, -0.5 the last)."""
    at = range(len(shared.items))
    hope = [chance(item, shared.strong) - chance(item, shared.weak) for item in shared.items]
    out = [0.0] * len(shared.items)
    for place, i in enumerate(sorted(at, key=lambda i: -hope[i])):
        out[i] = (0.5 - (place + 0.5) / len(out)) * shared.gains[i]
    return out


def _apgr(chance: Chance, items: Sequence[Item]) -> float | None:
    """RouteLLM's measure on the pair of models that share most requests (Ong et al. 2024, section 3)."""
    shared = _shared(items)
    return None if shared is None else 0.5 + sum(_recovered(chance, shared)) / sum(shared.gains)
