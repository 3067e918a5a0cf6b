"""The scenario file and the seed -> the models, their faults, and the requests: the same for every contender."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
DEFAULT = HERE / "scenario.yaml"
DEAD = frozenset({"down", "error", "limit", "hang", "stall", "masked"})
"""Faults that, with a share of 1, leave nothing of a model."""

ASKS = (
    "What is the capital of Portugal?",
    "Translate to German: the train leaves at nine.",
    "Write a haiku about the first snow.",
    "Fix this Python: def add(a, b) return a + b",
    "Summarise in one sentence why the sky is blue.",
    "Prove that the square root of 2 is irrational.",
    "Write a SQL query for the three best customers of each region by revenue.",
    "Explain the trade-offs between optimistic and pessimistic locking in a distributed database.",
)


@dataclass(frozen=True, slots=True)
class Model:
    """A fake model; ``capacity`` is how many requests at once it serves without getting slower."""

    name: str
    ttft_s: float
    tokens_per_s: float
    input_usd: float
    output_usd: float
    capacity: float
    limit_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What a model does wrong from ``start`` to ``end``, seconds of the run."""

    model: str
    kind: str
    start: float
    end: float
    share: float = 1.0
    retry_after_s: float = 0.0
    slow: float = 1.0
    capacity: float | None = None

    @property
    def dead(self) -> bool:
        """Whether nothing can be had from the model meanwhile."""
        return self.kind in DEAD and self.share >= 1


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the load. ``cancel_s``: when its client leaves, seconds after it asked."""

    id: str
    at: float
    stream: bool
    output_tokens: int
    prompt: str
    cancel_s: float | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run's script."""

    seed: int
    seconds: float
    rate: float
    models: tuple[Model, ...]
    faults: tuple[Fault, ...]
    stream_share: float
    cancel_share: float
    output_tokens: tuple[int, int]
    error_share: float
    client_patience_s: float
    timeout_s: float
    tries: int

    @classmethod
    def load(cls, seed: int, *, seconds: float | None = None, path: Path = DEFAULT) -> Scenario:
        """Reads ``path`` and deals its models to its slots by ``seed``; times are stretched to ``seconds``.

        Raises:
            ValueError: however they are dealt, at some moment no model without a rate limit is healthy.
        """
        raw: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        models = tuple(Model(**_numbers(entry)) for entry in raw["models"])
        stretch = 1.0 if seconds is None else seconds / raw["seconds"]
        return cls(
            seed=seed,
            seconds=raw["seconds"] * stretch,
            rate=raw["rate"],
            models=models,
            faults=_dealt(raw["faults"], models, seed, stretch),
            stream_share=raw["stream_share"],
            cancel_share=raw["cancel_share"],
            output_tokens=tuple(raw["output_tokens"]),
            error_share=raw["error_share"],
            client_patience_s=raw["client_patience_s"],
            timeout_s=raw["timeout_s"],
            tries=raw["tries"],
        )

    def at(self, model: str, second: float) -> Fault | None:
        """The fault of ``model`` at ``second`` of the run."""
        return _at(self.faults, model, second)

    def asks(self) -> list[Ask]:
        """The load, in order of time."""
        rng = random.Random(f"load {self.seed}")
        second, made = 0.0, []
        while True:
            second += rng.expovariate(self.rate)
            if second >= self.seconds:
                return made
            stream = rng.random() < self.stream_share
            cancel_s = None
            if rng.random() < self.cancel_share:
                cancel_s = rng.uniform(0.01, 0.15) if rng.random() < 0.5 else rng.uniform(0.3, 0.7)
            ask = Ask(
                id=f"r{len(made):05d}",
                at=second,
                stream=stream,
                output_tokens=rng.randint(*self.output_tokens),
                prompt=rng.choice(ASKS),
                cancel_s=cancel_s,
            )
            made.append(ask)


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    # YAML 1.1 reads 2.0e-7 as text.
    return {name: value if name == "name" else float(value) for name, value in entry.items()}


def _at(faults: tuple[Fault, ...], model: str, second: float) -> Fault | None:
    return next((item for item in faults if item.model == model and item.start <= second < item.end), None)


def _dealt(entries: list[dict[str, Any]], models: tuple[Model, ...], seed: int, stretch: float) -> tuple[Fault, ...]:
    """The faults with models for slots: the first deal that leaves, at any time, one healthy model for all the load."""
    rng = random.Random(seed)
    names = [model.name for model in models]
    unlimited = [model.name for model in models if model.limit_per_s is None]
    for _ in range(1000):
        rng.shuffle(names)
        slots = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", names, strict=False))
        faults = tuple(_fault(entry, slots, stretch) for entry in entries)
        if all(any(_at(faults, name, fault.start) is None for name in unlimited) for fault in faults):
            return faults
    raise ValueError("at some moment no model without a rate limit is healthy")


def _fault(entry: dict[str, Any], slots: dict[str, str], stretch: float) -> Fault:
    rest = {name: value for name, value in entry.items() if name not in {"slot", "kind", "from", "to"}}
    return Fault(
        model=slots[entry["slot"]], kind=entry["kind"], start=entry["from"] * stretch, end=entry["to"] * stretch, **rest
    )
