"""``ofox tune``: fits difficulty and abilities to an operator's own outcomes, in plain Python.

Each model's score is regressed on the measures of the text (ridge); requests whose expected scores look alike form
classes;
the classes take the place of the domains, and each model's ability in each class follows from its expected score
there. All of
it is linear in what the router measures anyway, so a tuned file costs nothing more at run time. A part of the requests
is held
out, and nothing is written unless the held-out part is predicted better than before.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from ofox_middleware import signals
from ofox_middleware.difficulty import TEXT_DOMAINS, DifficultyModel, Weights, softmax
from ofox_middleware.features import FEATURES
from ofox_middleware.regress import apart, classes, dot, ridge
from ofox_middleware.types import DOMAINS, Signals, Surface

MIN_REQUESTS = 100
"""Labelled requests needed at least; with fewer the held-out part cannot tell a gain from luck."""

MIN_GAIN = 0.002
"""How much the held-out log-loss must fall, in nats per label, before anything is written."""

HELD_OUT = 0.3
MAX_ROWS = 200_000
CONTRAST = 6.0
"""How much more a difference between models counts than their mean when requests are put into classes. Chosen, like
:data:`RIDGES`, on the training sets of ``benchmarks/quality``, never on a test set."""

RIDGES = (400.0, 40.0, 4.0)
"""Strengths of the regressions that are tried, in labels: the first suits a few hundred labels of mixed requests, the
last labels that follow the text closely."""

TRIED_ON = 4000
"""Requests at most on which a strength is chosen."""

SLOPES = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)


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


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What ``ofox tune`` did.

    Attributes:
        labels, requests, models: what was read.
        held_out: requests that were kept apart to judge.
        before, after: on the held-out requests; ``before`` already has overall abilities and a slope fitted.
        written: the weights file, ``None`` when nothing was written.
        reason: why nothing was written, ``""`` when something was.
    """

    labels: int
    requests: int
    models: tuple[str, ...]
    held_out: int = 0
    before: Quality | None = None
    after: Quality | None = None
    written: Path | None = None
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For programs: plain JSON types."""
        return {**asdict(self), "models": list(self.models), "written": str(self.written) if self.written else None}

    def __str__(self) -> str:
        lines = [
            f"{self.labels} labels of {self.requests} requests to {len(self.models)} models; {self.held_out} held out"
        ]
        for name, quality in (("before", self.before), ("after", self.after)):
            if quality is not None:
                apgr = "" if quality.apgr is None else f", APGR {quality.apgr:.3f}"
                lines.append(f"{name}: log-loss {quality.log_loss:.4f}{apgr}")
        lines.append(f"written: {self.written}" if self.written else f"nothing written: {self.reason}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Item:
    """One request with its labels; ``inputs`` are the measures and the logits of the kinds, a 1 at the end."""

    key: str
    logit: float
    inputs: tuple[float, ...]
    labels: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class _Fit:
    """Classes of requests.

    Attributes:
        directions: per class, weights on the inputs whose sum is the class's logit.
        levels: per class, its difficulty.
        abilities: per model, logits by class.
    """

    directions: list[list[float]]
    levels: list[float]
    abilities: dict[str, list[float]]

    def chance(self, item: _Item, model: str) -> float:
        mix = softmax([dot(row, item.inputs) for row in self.directions])
        return _sigmoid(dot(self.abilities[model], mix) - dot(self.levels, mix))


def tune(
    rows: Iterable[Mapping[str, Any]],
    *,
    out: Path,
    base: DifficultyModel | None = None,
    surface: Surface = "chat",
    min_requests: int = MIN_REQUESTS,
    seed: int = 0,
) -> TuneReport:
    """Fits to ``rows`` and writes ``out``, a file for the setting ``difficulty_weights``, if that improves on held-out
    rows.

    Args:
        rows: mappings with ``request`` (a request body, or the prompt as text), ``model`` and ``score`` 0..1; of
            several scores of one request and model the mean counts.
        out: where the weights go.
        base: what to start from; the shipped weights unless given.
        surface: the shape of request bodies.
        min_requests: distinct requests needed at least.
        seed: makes the split and the fit repeatable.

    Raises:
        ValueError: a row is not as described; the message counts rows from 1.
    """
    base = base or DifficultyModel.load()
    items = _items(rows, base, surface)
    models = tuple(sorted({model for item in items for model, _ in item.labels}))
    labels = sum(len(item.labels) for item in items)
    report = TuneReport(labels, len(items), models)
    refusal = _too_little(items, models, min_requests)
    if refusal:
        return _with(report, reason=refusal)
    ordered = sorted(items, key=lambda item: hashlib.blake2b(f"{seed}:{item.key}".encode(), digest_size=8).digest())
    cut = max(1, int(len(ordered) * HELD_OUT))
    held, kept = ordered[:cut], ordered[cut:]
    before = _quality(_untuned(kept, models), held)
    strength = _strength(kept, models)
    after = _quality(_fit(kept, models, strength).chance, held)
    report = _with(report, held_out=len(held), before=before, after=after)
    if after.log_loss > before.log_loss - MIN_GAIN:
        return _with(report, reason="the held-out requests are not predicted better than before")
    final = _fit(items, models, strength)
    out.write_bytes(msgspec.json.encode(_weights(base, final, report)))
    return _with(report, written=out)


def _with(report: TuneReport, **changes: Any) -> TuneReport:
    fields = {name: getattr(report, name) for name in TuneReport.__dataclass_fields__}
    return TuneReport(**{**fields, **changes})


def _too_little(items: Sequence[_Item], models: Sequence[str], min_requests: int) -> str:
    if len(items) < min_requests:
        return f"{len(items)} labelled requests are too few: {min_requests} are needed"
    if len({score for item in items for _, score in item.labels}) < 2:
        return "every label has the same score: there is nothing to learn"
    seen = Counter(model for item in items for model, _ in item.labels)
    if min(seen[model] for model in models) < 10:
        return f"{min(seen, key=lambda name: seen[name])!r} has fewer than 10 labels: leave it out or add some"
    return ""


def _items(rows: Iterable[Mapping[str, Any]], base: DifficultyModel, surface: Surface) -> list[_Item]:
    found: dict[str, tuple[Signals, dict[str, list[float]]]] = {}
    for at, row in enumerate(rows, start=1):
        if at > MAX_ROWS:
            raise ValueError(f"more than {MAX_ROWS} rows")
        request, model, score = row.get("request"), row.get("model"), row.get("score")
        if not isinstance(model, str) or not model:
            raise ValueError(f"row {at}: model must be a name")
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not 0 <= score <= 1:
            raise ValueError(f"row {at}: score must be a number from 0 to 1")
        if isinstance(request, str):
            read, key = Signals(ask=request), request
        elif isinstance(request, Mapping):
            read, key = signals.read(request, surface), msgspec.json.encode(request, order="sorted").decode()
        else:
            raise ValueError(f"row {at}: request must be a request body or a text")  # noqa: TRY004
        found.setdefault(key, (read, {}))[1].setdefault(model, []).append(float(score))
    return [
        _item(key, read, {model: sum(scores) / len(scores) for model, scores in labels.items()}, base)
        for key, (read, labels) in found.items()
    ]


def _item(key: str, read: Signals, labels: dict[str, float], base: DifficultyModel) -> _Item:
    reading = base.read(read.ask)
    inputs = (*reading.values, *base.kinds(reading), 1.0)
    return _Item(key, base.classify(read).logit, inputs, tuple(labels.items()))


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))


def _logit(p: float) -> float:
    p = min(0.98, max(0.02, p))
    return math.log(p / (1.0 - p))


def _untuned(items: Sequence[_Item], models: Sequence[str]) -> Callable[[_Item, str], float]:
    """What the difficulties as judged before can do: one ability per model, and one slope for how much they matter."""

    def at(slope: float) -> Callable[[_Item, str], float]:
        overall = {name: _overall(items, name, slope) for name in models}
        return lambda item, model: _sigmoid(overall[model] - slope * item.logit)

    return min(map(at, SLOPES), key=lambda chance: _quality(chance, items).log_loss)


def _overall(items: Sequence[_Item], model: str, slope: float) -> float:
    """The ability that explains a model's mean score; by bisection."""
    seen = [(slope * item.logit, score) for item in items for name, score in item.labels if name == model]
    total = sum(score for _, score in seen)
    low, high = -15.0, 15.0
    for _ in range(40):
        middle = (low + high) / 2
        if sum(_sigmoid(middle - logit) for logit, _ in seen) < total:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _strength(items: Sequence[_Item], models: Sequence[str]) -> float:
    """The ridge that predicts a part of ``items`` best from the rest of them."""
    items = items[:TRIED_ON]
    cut = max(1, int(len(items) * HELD_OUT))
    unseen, fitted = items[:cut], items[cut:]

    def loss(strength: float) -> float:
        return _quality(_fit(fitted, models, strength).chance, unseen).log_loss

    return min(RIDGES, key=loss)


def _fit(items: Sequence[_Item], models: Sequence[str], strength: float) -> _Fit:
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
    return _Fit(directions, levels, abilities)


def _levels(
    items: Sequence[_Item], places: Sequence[Sequence[float]], centres: Sequence[Sequence[float]]
) -> list[float]:
    """The mean difficulty, as judged before, of the requests of each class, so that other models keep their meaning."""
    sums, counts = [0.0] * len(centres), [0] * len(centres)
    for item, place in zip(items, places, strict=True):
        nearest = min(range(len(centres)), key=lambda c: apart(place, centres[c]))
        sums[nearest] += item.logit
        counts[nearest] += 1
    mean = sum(sums) / len(items)
    return [total / count if count else mean for total, count in zip(sums, counts, strict=True)]


def _quality(chance: Callable[[_Item, str], float], items: Sequence[_Item]) -> Quality:
    total, count = 0.0, 0
    for item in items:
        for model, score in item.labels:
            p = min(1 - 1e-6, max(1e-6, chance(item, model)))
            total -= score * math.log(p) + (1 - score) * math.log(1 - p)
            count += 1
    return Quality(total / max(1, count), _apgr(chance, items))


def _apgr(chance: Callable[[_Item, str], float], items: Sequence[_Item]) -> float | None:
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


def _per_domain(row: Sequence[float]) -> list[float]:
    """In the order of ``DOMAINS``; a domain that no text speaks for gets the mean."""
    known = dict(zip(TEXT_DOMAINS, row, strict=True))
    mean = sum(row) / len(row)
    return [round(known.get(name, mean), 4) for name in DOMAINS]


def _weights(base: DifficultyModel, fit: _Fit, report: TuneReport) -> Weights:
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
        about={"labels": report.labels, "requests": report.requests, "models": list(report.models)},
    )  # fmt: skip
