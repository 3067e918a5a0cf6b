"""``ofox tune``: fits difficulty and abilities to an operator's own outcomes, in plain Python.

Parts of the requests are held out in turn, and nothing is written unless they are predicted better than before.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from ofox_middleware import signals
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.tune_fit import Item, fit, weights_of
from ofox_middleware.tune_quality import Held, Quality, label_losses, quality, routes_better, untuned
from ofox_middleware.types import Signals, Surface

MIN_REQUESTS = 100
"""Labelled requests needed at least; with fewer the held-out part cannot tell a gain from luck."""

MIN_GAIN = 0.002
"""How much the held-out log-loss must fall, in nats per label, before anything is written; or else"""

MAX_LOSS, ERRORS = 0.005, 1.28
"""it may rise by so much at most where requests are routed better by more than so many standard errors: nine times in
ten that is no luck. Tried on the training sets of ``benchmarks/quality``."""

CLEARLY = 0.01
"""How much more than a stronger ridge a weaker one must lower it."""

PARTS = 5
"""Parts of the requests that are held out in turn; two divisions into them, since one is a matter of luck."""

MAX_ROWS = 200_000
RIDGES = (200.0, 20.0, 2.0)
"""Strengths of the regressions that are tried, as :func:`~ofox_middleware.tune_fit.fit` takes them: the first suits a
few hundred labels of mixed requests, the last labels that follow the text closely. Chosen on the training sets of
``benchmarks/quality``, never on a test set."""

TRIED_ON = 4000
"""Requests at most that are held out in turn."""


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What ``ofox tune`` did.

    Attributes:
        labels, requests, models: what was read.
        held_out: requests that were judged, each by what was fitted without it.
        before, after: on these; ``before`` already has overall abilities and a slope fitted.
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
        for name, found in (("before", self.before), ("after", self.after)):
            if found is not None:
                apgr = "" if found.apgr is None else f", APGR {found.apgr:.3f}"
                lines.append(f"{name}: log-loss {found.log_loss:.4f}{apgr}")
        lines.append(f"written: {self.written}" if self.written else f"nothing written: {self.reason}")
        return "\n".join(lines)


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
    tried = ordered[:TRIED_ON]
    divided = _divided(tried)
    was = [(part, untuned(rest, models)) for part, rest in divided]
    strength, now = _learned(divided, models)
    before, after = quality(was), quality(now)
    report = _with(report, held_out=len(tried), before=before, after=after)
    rise = after.log_loss - before.log_loss
    if rise > -MIN_GAIN and not (rise < MAX_LOSS and routes_better(was, now, ERRORS)):
        return _with(report, reason="the held-out requests are not predicted better than before")
    about = {"labels": report.labels, "requests": report.requests, "models": list(report.models)}
    out.write_bytes(msgspec.json.encode(weights_of(base, fit(items, models, strength), about)))
    return _with(report, written=out)


def _with(report: TuneReport, **changes: Any) -> TuneReport:
    fields = {name: getattr(report, name) for name in TuneReport.__dataclass_fields__}
    return TuneReport(**{**fields, **changes})


def _too_little(items: Sequence[Item], models: Sequence[str], min_requests: int) -> str:
    if len(items) < min_requests:
        return f"{len(items)} labelled requests are too few: {min_requests} are needed"
    if len({score for item in items for _, score in item.labels}) < 2:
        return "every label has the same score: there is nothing to learn"
    seen = Counter(model for item in items for model, _ in item.labels)
    if min(seen[model] for model in models) < 10:
        return f"{min(seen, key=lambda name: seen[name])!r} has fewer than 10 labels: leave it out or add some"
    return ""


def _items(rows: Iterable[Mapping[str, Any]], base: DifficultyModel, surface: Surface) -> list[Item]:
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


def _item(key: str, read: Signals, labels: dict[str, float], base: DifficultyModel) -> Item:
    reading = base.read(read.ask)
    inputs = (*reading.values, *base.heads.kinds(reading), 1.0)
    words = tuple(map(sys.intern, reading.words))  # many requests, few words
    pairs = tuple(map(sys.intern, reading.pairs))
    return Item(key, base.classify(read).logit, inputs, tuple(labels.items()), words, pairs)


def _divided(items: Sequence[Item]) -> list[tuple[Sequence[Item], Sequence[Item]]]:
    """Parts of the items, each with all the others, for two divisions."""
    size = -(-len(items) // PARTS)
    parts = [items[at::PARTS] for at in range(PARTS)] + [items[at * size : (at + 1) * size] for at in range(PARTS)]
    found: list[tuple[Sequence[Item], Sequence[Item]]] = []
    for part in parts:
        held = {item.key for item in part}
        found.append((part, [item for item in items if item.key not in held]))
    return found


def _learned(divided: Sequence[tuple[Sequence[Item], Sequence[Item]]], models: Sequence[str]) -> tuple[float, Held]:
    """The ridge to fit everything with, and what is learned of each part from the others. The ridge of a part, too, is
    chosen without its labels."""
    fits = {(at, ridge): fit(rest, models, ridge) for at, (_, rest) in enumerate(divided[:PARTS]) for ridge in RIDGES}
    losses = {
        ridge: {
            item.key: label_losses(fits[at, ridge].chance, item)
            for at, (part, _) in enumerate(divided[:PARTS])
            for item in part
        }
        for ridge in RIDGES
    }
    held = []
    for at, (part, rest) in enumerate(divided):
        ridge = _strength(losses, rest)
        learned = fits.get((at, ridge)) or fit(rest, models, ridge)
        held.append((part, learned.chance))
    return _strength(losses, [item for part, _ in divided[:PARTS] for item in part]), held


def _strength(losses: Mapping[float, Mapping[str, Sequence[float]]], items: Sequence[Item]) -> float:
    """The strongest ridge, unless a weaker one is clearly better on these items."""
    found = {
        ridge: sum(sum(known[item.key]) for item in items) / sum(len(known[item.key]) for item in items)
        for ridge, known in losses.items()
    }
    best = RIDGES[0]
    for weaker in RIDGES[1:]:
        if found[weaker] < found[best] - CLEARLY:
            best = weaker
    return best
