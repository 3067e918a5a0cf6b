"""Everything that is compared: each contender turns a prompt into a number, higher for what needs the stronger
model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.quality.data import Row
from benchmarks.quality.metrics import Floats, rank

Scorer = Callable[[str], float]


def length(prompt: str) -> float:
    return float(len(prompt))


def litellm_v1() -> Scorer:
    """The weighted score of LiteLLM's ``complexity_router`` as configured by default."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

    router = ComplexityRouter("auto", None)  # type: ignore[arg-type]
    return lambda prompt: float(router.classify(prompt)[1])


def litellm_v2() -> Scorer:
    """One minus the success probability that LiteLLM's ``heuristic_v2`` gives the lowest tier.

    The predictor is called directly, as a measurement: the router around it may ask for a licence.
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    from litellm.router_strategy.adaptive_router.classifier import classify_prompt
    from litellm.router_strategy.complexity_router.tier_predictor import TierSuccessPredictor, resolve_tier_artifact

    predictor = TierSuccessPredictor(resolve_tier_artifact("ultrafeedback"))
    return lambda prompt: 1.0 - predictor.predict(prompt, classify_prompt(prompt)).probabilities[1]


def scores(scorer: Scorer, rows: Sequence[Row]) -> Floats:
    return np.array([scorer(row.prompt) for row in rows])


def blend(length_scores: Floats, keyword_scores: Floats) -> Floats:
    """The untrained blend: the mean of both ranks."""
    return (rank(length_scores) + rank(keyword_scores)) / 2.0


def task_oracle(rows: Sequence[Row], weak: Floats, strong: Floats) -> Floats:
    """Knows the label of the task, nothing of the prompt: the mean gain of each task."""
    tasks = np.array([row.domain for row in rows])
    gain = np.zeros(len(rows))
    for task in np.unique(tasks):
        here = tasks == task
        gain[here] = (strong - weak)[here].mean()
    return gain
