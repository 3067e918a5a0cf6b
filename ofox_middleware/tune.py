"""``ofox tune``: fits difficulty and abilities to an operator's own outcomes, in plain Python.

Parts of the requests are held out in turn, and nothing is written unless they are predicted better than before.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from ofox_middleware import signals
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.tune_fit import Item, fit, weights_of
from ofox_middleware.tune_quality import Chance, Quality, quality, routes_better, untuned
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

PARTS = 4
"""Parts of the requests that are held out in turn."""

MAX_ROWS = 200_000
RIDGES = (400.0, 40.0, 4.0)
"""Strengths of the regressions that are tried, in labels: the first suits a few hundred labels of mixed requests, the
last labels that follow the text closely. Chosen on the training sets of ``benchmarks/quality``, never on a test set."""

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
    was = _validated(tried, lambda part: untuned(part, models))
    strength, now = _strength(tried, models)
    before, after = quality(was, tried), quality(now, tried)
    report = _with(report, held_out=len(tried), before=before, after=after)
    rise = after.log_loss - before.log_loss
    if rise > -MIN_GAIN and not (rise < MAX_LOSS and routes_better(was, now, tried, ERRORS)):
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
    inputs = (*reading.values, *base.kinds(reading), 1.0)
    words = tuple(map(sys.intern, reading.words))  # many requests, few words
    return Item(key, base.classify(read).logit, inputs, tuple(labels.items()), words)


def _strength(items: Sequence[Item], models: Sequence[str]) -> tuple[float, Chance]:
    """The ridge to fit with, and what it predicts: the strongest, unless a weaker one is clearly better."""
    strength, best = RIDGES[0], _validated(items, lambda part: fit(part, models, RIDGES[0]).chance)
    least = quality(best, items).log_loss
    for weaker in RIDGES[1:]:
        found = _validated(items, lambda part, at=weaker: fit(part, models, at).chance)  # type: ignore[misc]
        loss = quality(found, items).log_loss
        if loss < least - CLEARLY:
            strength, best, least = weaker, found, loss
    return strength, best


def _validated(items: Sequence[Item], learn: Callable[[Sequence[Item]], Chance]) -> Chance:
    """Each of some parts of ``items`` as predicted by what was learned from the others."""
    parts = [items[at::PARTS] for at in range(PARTS)]
    chances: dict[str, Chance] = {}
    for part in parts:
        chance = learn([item for other in parts if other is not part for item in other])
        chances.update((item.key, chance) for item in part)
    return lambda item, model: chances[item.key](item, model)
