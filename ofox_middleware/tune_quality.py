"""How well labels are predicted, by a tuned difficulty and by the one before it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ofox_middleware.tune_fit import Item, sigmoid

Chance = Callable[[Item, str], float]
"""The probability that a model answers a request well."""

Held = Sequence[tuple[Sequence[Item], Chance]]
"""Parts of labelled requests, each with what was learned without it."""

SLOPES = (0.05, 0.15, 0.3, 0.5, 0.75, 1.0)
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


def quality(held: Held) -> Quality:
    """How well the labels of each part are predicted; requests are ranked within their part only, since what was
    learned for one knows nothing of the level of another."""
    losses = [loss for items, chance in held for item in items for loss in label_losses(chance, item)]
    total = sum(losses) / max(1, len(losses))
    pair = _pair([item for items, _ in held for item in items])
    if pair is None:
        return Quality(total, None)
    parts = [_recovered(chance, shared) for shared, chance in _shared(held, pair)]
    gains = [gain for shared, _ in _shared(held, pair) for gain in shared.gains]
    return Quality(total, 0.5 + sum(map(sum, parts)) / sum(gains))


def label_losses(chance: Chance, item: Item) -> list[float]:
    """The log-loss of each label of ``item``."""
    found = []
    for model, score in item.labels:
        p = min(1 - 1e-6, max(1e-6, chance(item, model)))
        found.append(-score * math.log(p) - (1 - score) * math.log(1 - p))
    return found


def untuned(items: Sequence[Item], models: Sequence[str]) -> Chance:
    """What the difficulties as judged before can do: one ability per model, and one slope for how much they matter."""

    def at(slope: float) -> Chance:
        overall = {name: _overall(items, name, slope) for name in models}
        return lambda item, model: sigmoid(overall[model] - slope * item.logit)

    return min(map(at, SLOPES), key=lambda chance: quality([(items, chance)]).log_loss)


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


def routes_better(before: Held, after: Held, errors: float) -> bool:
    """Whether ``after`` recovers more of the gap between the two models with most labels in common, by more than
    ``errors`` standard errors of the difference over the requests; a request may be in several parts."""
    pair = _pair([item for items, _ in before for item in items])
    if pair is None:
        return False
    change: dict[str, list[float]] = {}
    for (shared, was), (_, now) in zip(_shared(before, pair), _shared(after, pair), strict=True):
        for item, a, b in zip(shared.items, _recovered(was, shared), _recovered(now, shared), strict=True):
            change.setdefault(item.key, []).append(b - a)
    means = [sum(values) / len(values) for values in change.values()]
    mean = sum(means) / len(means)
    variance = sum((value - mean) ** 2 for value in means) / len(means)
    return mean > errors * math.sqrt(variance / len(means))


@dataclass(frozen=True, slots=True)
class _Shared:
    """Requests that both models of a pair were labelled on, with what the better one gains."""

    weak: str
    strong: str
    items: Sequence[Item]
    gains: Sequence[float]


def _pair(items: Sequence[Item]) -> tuple[str, str] | None:
    """The two models with most labels in common, the better one last."""
    together = Counter((a, b) for item in items for a, _ in item.labels for b, _ in item.labels if a < b)
    if not together:
        return None
    (a, b), _ = together.most_common(1)[0]
    both = {item.key: dict(item.labels) for item in items if {a, b} <= dict(item.labels).keys()}
    gain = sum(labels[b] - labels[a] for labels in both.values())
    if len(both) < 20 or gain == 0:
        return None
    return (a, b) if gain > 0 else (b, a)


def _shared(held: Held, pair: tuple[str, str]) -> list[tuple[_Shared, Chance]]:
    weak, strong = pair
    found = []
    for items, chance in held:
        both = [(item, dict(item.labels)) for item in items if set(pair) <= dict(item.labels).keys()]
        gains = [labels[strong] - labels[weak] for _, labels in both]
        found.append((_Shared(weak, strong, [item for item, _ in both], gains), chance))
    return found


def _recovered(chance: Chance, shared: _Shared) -> list[float]:
    """What each request adds to the area under the curve beyond random routing (RouteLLM's measure, Ong et al. 2024,
    section 3): its gain, by how early it is sent to the strong model (0.5 the first, -0.5 the last)."""
    at = range(len(shared.items))
    hope = [chance(item, shared.strong) - chance(item, shared.weak) for item in shared.items]
    out = [0.0] * len(shared.items)
    for place, i in enumerate(sorted(at, key=lambda i: -hope[i])):
        out[i] = (0.5 - (place + 0.5) / len(out)) * shared.gains[i]
    return out
