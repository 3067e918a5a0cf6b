"""The fit of ``ofox tune``: classes of requests that take the place of the domains, and abilities in each. Pure.

Each model's score is regressed on the measures of the text (ridge); requests whose expected scores look alike form
classes (k-means); each model's ability in a class follows from its expected score there. All of it is linear in what
the router measures anyway, so a tuned file costs nothing more at run time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ofox_middleware.difficulty import TEXT_DOMAINS, DifficultyModel, Weights, softmax
from ofox_middleware.features import FEATURES
from ofox_middleware.regress import apart, classes, dot, ridge
from ofox_middleware.types import DOMAINS

CONTRAST = 3.0
"""How much more a difference between models counts than their mean when requests are put into classes. Chosen on the
training sets of ``benchmarks/quality``, never on a test set."""


@dataclass(frozen=True, slots=True)
class Item:
    """One request with its labels; ``inputs`` are the measures and the logits of the kinds, a 1 at the end."""

    key: str
    logit: float
    inputs: tuple[float, ...]
    labels: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """Classes of requests.

    Attributes:
        directions: per class, weights on the inputs whose sum is the class's logit.
        levels: per class, its difficulty.
        abilities: per model, logits by class.
    """

    directions: list[list[float]]
    levels: list[float]
    abilities: dict[str, list[float]]

    def chance(self, item: Item, model: str) -> float:
        mix = softmax([dot(row, item.inputs) for row in self.directions])
        return sigmoid(dot(self.abilities[model], mix) - dot(self.levels, mix))


def fit(items: Sequence[Item], models: Sequence[str], strength: float) -> Fit:
    """The classes and abilities that fit ``items``; ``strength`` is the ridge's, in labels."""
    means = [sum(column) / len(items) for column in zip(*(item.inputs for item in items), strict=True)]
    means[-1] = 0.0  # the constant is not centred
    spread = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / len(items)) + 0.05
        for column, mean in zip(zip(*(item.inputs for item in items), strict=True), means, strict=True)
    ]
    spread[-1] = 1.0
    scaled = {
        item.key: [(value - mean) / size for value, mean, size in zip(item.inputs, means, spread, strict=True)]
        for item in items
    }
    regressions = []
    for model in models:
        labelled = [(scaled[item.key], score) for item in items for name, score in item.labels if name == model]
        regressions.append(ridge(labelled, strength) if labelled else [0.0] * (len(means) - 1) + [0.5])
    average = [sum(column) / len(models) for column in zip(*regressions, strict=True)]
    # the axes in which classes are sought: each model against the mean of all, and the mean
    axes = [[CONTRAST * (w - m) for w, m in zip(row, average, strict=True)] for row in regressions] + [average]
    places = [[dot(axis, scaled[item.key]) for axis in axes] for item in items]
    centres, variance = classes(places, len(TEXT_DOMAINS))
    directions = []
    for centre in centres:
        row = [sum(c * axis[i] for c, axis in zip(centre, axes, strict=True)) / variance for i in range(len(means))]
        row[-1] -= dot(centre, centre) / (2 * variance)
        row[-1] -= sum(w * mean / size for w, mean, size in zip(row[:-1], means[:-1], spread[:-1], strict=True))
        directions.append([w / size for w, size in zip(row[:-1], spread[:-1], strict=True)] + [row[-1]])
    levels = _levels(items, places, centres)
    abilities = {
        model: [
            _logit(centre[-1] + centre[k] / CONTRAST) + level for centre, level in zip(centres, levels, strict=True)
        ]
        for k, model in enumerate(models)
    }
    return Fit(directions, levels, abilities)


def _levels(
    items: Sequence[Item], places: Sequence[Sequence[float]], centres: Sequence[Sequence[float]]
) -> list[float]:
    """The mean difficulty, as judged before, of the requests of each class, so that other models keep their meaning."""
    sums, counts = [0.0] * len(centres), [0] * len(centres)
    for item, place in zip(items, places, strict=True):
        nearest = min(range(len(centres)), key=lambda c: apart(place, centres[c]))
        sums[nearest] += item.logit
        counts[nearest] += 1
    mean = sum(sums) / len(items)
    return [total / count if count else mean for total, count in zip(sums, counts, strict=True)]


def weights_of(base: DifficultyModel, fit: Fit, about: dict[str, Any]) -> Weights:
    """The classes as columns: their inputs, measures and kinds, are themselves linear in measures and words."""
    old, count = base.weights, len(FEATURES)
    measures = [row[:count] for row in fit.directions]
    kinds = [row[count:-1] for row in fit.directions]

    def columns(own: Sequence[float], at: int | None) -> list[float]:
        moved = [dot(kind, own) for kind in kinds]
        return moved if at is None else [value + row[at] for value, row in zip(moved, measures, strict=True)]

    features = {}
    for at, name in enumerate(FEATURES):
        centre, _, *own = old.features[name]
        features[name] = [centre, 0.0, *columns(own, at)]
    bias = [0.0, *(a + row[-1] for a, row in zip(columns(old.bias[1:], None), fit.directions, strict=True))]
    rows = {word: [0.0, *columns(row[1:], None)] for word, row in base.word_rows().items()}
    width = 1 + len(TEXT_DOMAINS)
    scales = [max((abs(row[c]) for row in rows.values()), default=0.0) / 127.0 or 1.0 for c in range(width)]
    table = bytes(round(row[c] / scales[c]) & 0xFF for row in rows.values() for c in range(width))
    return Weights(
        format=old.format, source="tuned", bias=bias, features=features, vocabulary="\n".join(rows), table=table,
        scales=scales, kinds=fit.levels, common=old.common,
        abilities={name: _per_domain(row) for name, row in fit.abilities.items()},
        about=about,
    )  # fmt: skip


def _per_domain(row: Sequence[float]) -> list[float]:
    """In the order of ``DOMAINS``; a domain that no text speaks for gets the mean."""
    known = dict(zip(TEXT_DOMAINS, row, strict=True))
    mean = sum(row) / len(row)
    return [round(known.get(name, mean), 4) for name in DOMAINS]


def sigmoid(z: float) -> float:
    """The logistic function, safe for any ``z``."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def _logit(p: float) -> float:
    p = min(0.98, max(0.02, p))
    return math.log(p / (1.0 - p))
