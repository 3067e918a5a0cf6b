"""The fit of ``ofox tune``: classes of requests that take the place of the domains, and abilities in each. Pure.

Each model's score is regressed on the measures of the text, and what these leave on the words and neighbouring words
that several requests have: one step of a logistic regression from the model's mean score, which ridge regression
solves; requests whose expected scores look alike form classes (k-means); each model's ability in a class follows from
its expected score there. All of it is linear in what the router looks at anyway, so a tuned file costs hardly more at
run time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any

from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.features import FEATURES
from ofox_middleware.heads import TEXT_DOMAINS, Weights, softmax
from ofox_middleware.regress import apart, classes, dot, ridge, sparse_ridge
from ofox_middleware.types import DOMAINS

CONTRAST = 1.5
"""How much more a difference between models counts than their mean when requests are put into classes. Chosen on the
training sets of ``benchmarks/quality``, never on a test set."""

WORD_STRENGTH, PAIR_STRENGTH = 6.0, 2.0
"""The ridge of words and of pairs of neighbouring words, in labels times the variance of a label, each word counting
one over the root of how many words its text has. Chosen on the training sets, like :data:`CONTRAST`."""

LEAST_VARIANCE = 0.02
"""Of a label, where nearly all of a model's are alike."""

MIN_REQUESTS_OF_WORD = 3
"""Requests that a word or pair must be in: it goes into a file, and what one person wrote must not."""

MOST_WORDS = 2000
"""And as many pairs."""

FURTHEST = 5.0
"""Logits that a class's expected score has at most."""


@dataclass(frozen=True, slots=True)
class Item:
    """One request with its labels; ``inputs`` are the measures and the logits of the kinds, a 1 at the end; ``words``
    and ``pairs`` the distinct words and pairs of neighbouring words."""

    key: str
    logit: float
    inputs: tuple[float, ...]
    labels: tuple[tuple[str, float], ...]
    words: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """Words and pairs."""
        return self.words + self.pairs

    @property
    def damp(self) -> float:
        """What each word counts."""
        return 1.0 / math.sqrt(max(1, len(self.words)))


@dataclass(frozen=True, slots=True)
class Fit:
    """Classes of requests.

    Attributes:
        directions: per class, weights on the inputs whose sum is the class's logit.
        levels: per class, its difficulty.
        abilities: per model, logits by class.
        words: per word or pair, what it adds to each class's logit, before :attr:`Item.damp`.
    """

    directions: list[list[float]]
    levels: list[float]
    abilities: dict[str, list[float]]
    words: Mapping[str, list[float]]

    def chance(self, item: Item, model: str) -> float:
        logits = [dot(row, item.inputs) for row in self.directions]
        if known := [self.words[word] for word in item.terms if word in self.words]:
            damp = item.damp
            logits = [
                logit + damp * sum(column) for logit, column in zip(logits, zip(*known, strict=True), strict=True)
            ]
        mix = softmax(logits)
        return sigmoid(dot(self.abilities[model], mix) - dot(self.levels, mix))


def fit(items: Sequence[Item], models: Sequence[str], strength: float) -> Fit:
    """The classes and abilities that fit ``items``; ``strength`` is the ridge's, in labels times the variance of one: a
    model that nearly always succeeds is told less of by a label."""
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
    vocabulary = _vocabulary(items)
    known = {item.key: [vocabulary[word] for word in item.terms if word in vocabulary] for item in items}
    regressions, on_words = [], []
    for model in models:
        mine = [(item, score) for item in items for name, score in item.labels if name == model]
        row, own_words = _regression(
            [(scaled[i.key], known[i.key], i.damp, score) for i, score in mine], list(vocabulary), strength
        )
        regressions.append(row or [0.0] * len(means))
        on_words.append(own_words)
    axes, word_axes = _axes(regressions), _axes(on_words)
    places = [
        [
            dot(axis, scaled[item.key]) + item.damp * sum(words[at] for at in known[item.key])
            for axis, words in zip(axes, word_axes, strict=True)
        ]
        for item in items
    ]
    centres, spread_within = classes(places, len(TEXT_DOMAINS))
    directions = []
    for centre in centres:
        row = [
            sum(c * axis[i] for c, axis in zip(centre, axes, strict=True)) / spread_within for i in range(len(means))
        ]
        row[-1] -= dot(centre, centre) / (2 * spread_within)
        row[-1] -= sum(w * mean / size for w, mean, size in zip(row[:-1], means[:-1], spread[:-1], strict=True))
        directions.append([w / size for w, size in zip(row[:-1], spread[:-1], strict=True)] + [row[-1]])
    levels = _levels(items, places, centres)
    abilities = {
        model: [
            max(-FURTHEST, min(FURTHEST, centre[-1] + centre[k] / CONTRAST)) + level
            for centre, level in zip(centres, levels, strict=True)
        ]
        for k, model in enumerate(models)
    }
    words = {
        word: [
            sum(c * axis[at] for c, axis in zip(centre, word_axes, strict=True)) / spread_within for centre in centres
        ]
        for word, at in vocabulary.items()
    }
    return Fit(directions, levels, abilities, words)


def _regression(
    mine: Sequence[tuple[Sequence[float], Sequence[int], float, float]], vocabulary: Sequence[str], strength: float
) -> tuple[list[float], list[float]]:
    """What the inputs, the constant last, and the words add to a model's logit; ``mine`` holds of each of its labels
    the inputs, the places of the words, what each counts, and the score."""
    if not mine:
        return [], [0.0] * len(vocabulary)
    share = (sum(score for *_, score in mine) + 0.5) / (len(mine) + 1.0)
    variance = max(LEAST_VARIANCE, share * (1.0 - share))
    row = ridge([(inputs, score - share) for inputs, _, _, score in mine], strength / variance)
    rest = [(places, damp, score - share - dot(row, inputs)) for inputs, places, damp, score in mine]
    strengths = [(PAIR_STRENGTH if " " in word else WORD_STRENGTH) / variance for word in vocabulary]
    words = [value / variance for value in sparse_ridge(rest, strengths)]
    row = [value / variance for value in row]
    row[-1] += math.log(share / (1.0 - share))
    return row, words


def _vocabulary(items: Sequence[Item]) -> dict[str, int]:
    words = _often(word for item in items for word in item.words)
    return {word: at for at, word in enumerate(words + _often(pair for item in items for pair in item.pairs))}


def _often(found: Iterable[str]) -> list[str]:
    often = sorted((-count, word) for word, count in Counter(found).items() if count >= MIN_REQUESTS_OF_WORD)
    return [word for _, word in often[:MOST_WORDS]]


def _axes(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """The axes in which classes are sought: each model against the mean of all, and the mean."""
    average = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return [[CONTRAST * (w - m) for w, m in zip(row, average, strict=True)] for row in rows] + [average]


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
    """The classes as columns: their inputs, measures, kinds and words, are themselves linear in measures and words."""
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
    width = 1 + len(TEXT_DOMAINS)
    rows = {word: [0.0, *columns(row[1:], None)] for word, row in base.heads.word_rows().items()}
    for word, own_row in fit.words.items():
        rows[word] = list(map(add, rows.get(word, [0.0] * width), [0.0, *own_row]))
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
