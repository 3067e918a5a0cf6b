"""How long an attempt may stay silent before the next model is tried: by what is usual for its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision
from ofox_middleware.health import HealthBook
from ofox_middleware.settings import Settings

SLACK: Final = 3.0
PEAK_SLACK: Final = 2.0
LEAST_S: Final = 2.0
"""Three times what 95% of the model's answers stay under (with log-normal times whose logarithms deviate by up to 0.7,
fewer than one answer in 1,000 takes longer), twice the mean, which jumps to a single slow answer that the percentile is
slow to learn, and at least two seconds."""

UNSURE: Final = 3.0
"""How much longer than the mean, or than what the catalogue expects, that is taken to be before it is measured."""

PREFILL_TOKENS_PER_S: Final = 2_000.0
"""Tokens of a prompt that the slowest of current deployments read in a second: a long prompt is no hang."""

PROBE_S: Final = 8.0
"""A probe is there to learn, also that a model has become slower, so it gets no less than this."""

_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")


def first_byte_s(health: HealthBook, facts: ModelFacts, decision: Decision, fields: Mapping[str, Any]) -> float | None:
    """Seconds of silence after which ``facts`` is given up on for a request; ``None`` while too little is known.

    For an answer that is not streamed that is the time of the whole, which is known only when the caller has limited
    its length.

    Args:
        health: what is usual for the model.
        facts: who is asked.
        decision: knows the length of the prompt.
        fields: the request's body.
    """
    limits = [0]
    if fields.get("stream") is not True:
        limits = [limit for limit in map(fields.get, _LIMITS) if isinstance(limit, int) and limit > 0]
        if not limits:
            return None
    view = health.view(facts.name, facts.ttft_s, facts.s_per_token)
    p95_s = health.ttft_p95(facts.name)
    wait_s = SLACK * UNSURE * view.ttft_s if p95_s is None else max(SLACK * p95_s, PEAK_SLACK * view.ttft_s)
    wait_s += SLACK * max(limits) * view.s_per_token
    least_s = LEAST_S if view.state == "closed" else PROBE_S
    return max(least_s, wait_s) + decision.input_tokens / PREFILL_TOKENS_PER_S


def limit_s(settings: Settings, *, spent_s: float, another: bool) -> float | None:
    """Seconds that an attempt may stay silent by what the operator has set, ``None`` for no limit.

    Args:
        settings: the limits.
        spent_s: seconds that the request has taken before this attempt.
        another: another model may be tried after it; without one, only the time for all attempts counts.
    """
    total_s = settings.total_timeout_s
    left_s = None if total_s is None else max(0.0, total_s - spent_s)
    first_s = settings.first_byte_timeout_s if another else None
    return _shorter(left_s, first_s)


def silence_s(
    settings: Settings,
    health: HealthBook,
    facts: ModelFacts,
    decision: Decision,
    fields: Mapping[str, Any],
    *,
    spent_s: float,
    another: bool,
) -> float | None:
    """Seconds that an attempt may stay silent, ``None`` for no limit: the shorter of :func:`limit_s` and, where another
    model waits, :func:`first_byte_s`.

    Args:
        settings, spent_s, another: as for :func:`limit_s`.
        health, facts, decision, fields: as for :func:`first_byte_s`.
    """
    set_s = limit_s(settings, spent_s=spent_s, another=another)
    return _shorter(set_s, first_byte_s(health, facts, decision, fields)) if another else set_s


def _shorter(one_s: float | None, other_s: float | None) -> float | None:
    """The shorter of two limits, of which there may be none."""
    if one_s is None or other_s is None:
        return other_s if one_s is None else one_s
    return min(one_s, other_s)
