"""How long an attempt may stay silent: by what is usual for its model."""

from __future__ import annotations

from typing import Any

import pytest

from ofox_middleware import patience
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision
from ofox_middleware.health import HealthBook
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

NAME = "house/model"
STREAM = {"stream": True}


class Now:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def decided(health: HealthBook, *, words: int = 5, ttft_s: float = 0.4) -> Decision:
    router = SmartRouter(Settings(models=[ModelCard(name=NAME, ttft_s=ttft_s, tokens_per_s=100)]), health=health)
    return router.decide({"messages": [{"role": "user", "content": "word " * words}]})


def first_byte_s(health: HealthBook, fields: dict[str, Any], **options: Any) -> float | None:
    decision = decided(health, **options)
    return patience.first_byte_s(health, decision.targets[NAME], decision, fields)


def book(*ttfts: float, clock: Now | None = None) -> HealthBook:
    health = HealthBook(clock=clock or Now())
    for ttft_s in ttfts:
        health.record_success(NAME, ttft_s=ttft_s, total_s=ttft_s + 1.0, output_tokens=100)
    return health


def test_a_quick_model_gets_little() -> None:
    """Three times what 95% of a model's answers stay under, but not less than two seconds."""
    quick, usual = first_byte_s(book(*[0.2] * 50), STREAM), first_byte_s(book(*[2.0] * 50), STREAM)
    assert quick == pytest.approx(patience.LEAST_S, abs=0.1)
    assert usual is not None
    assert 6.0 <= usual <= 6.0 * 1.3


def test_without_measurements_the_catalogue_is_trusted_less() -> None:
    """Before a model is known, what the catalogue expects of it is multiplied once more."""
    assert first_byte_s(book(), STREAM, ttft_s=2.0) == pytest.approx(3 * 3 * 2.0, abs=0.1)


def test_one_slow_answer_makes_patient() -> None:
    """A model that has just become slower is not given up on by what used to be usual."""
    before, after = first_byte_s(book(*[0.5] * 50), STREAM), first_byte_s(book(*[0.5] * 50, 6.0), STREAM)
    assert before is not None
    assert after is not None
    assert before < 3.0
    assert after >= 2 * 6.0


def test_a_long_prompt_is_no_hang() -> None:
    """Reading a prompt takes time: the more tokens, the more patience."""
    health = book(*[0.2] * 50)
    short, long = first_byte_s(health, STREAM), first_byte_s(health, STREAM, words=40_000)
    assert short is not None
    assert long is not None
    assert long > short + 15


@pytest.mark.parametrize("limit", patience._LIMITS)
def test_a_plain_answer_takes_as_long_as_it_is(limit: str) -> None:
    """The first byte of an answer in one piece comes after its last token, however many the caller allows."""
    health = book(*[0.2] * 50)
    allowed = first_byte_s(health, {limit: 1000})
    stream = first_byte_s(health, {**STREAM, limit: 1000})
    assert allowed is not None
    assert stream is not None
    assert allowed > 3 * 1000 * 0.009
    assert stream < 3


@pytest.mark.parametrize("fields", [{}, {"stream": False}, {"max_tokens": None}, {"max_tokens": 0}, {"stream": "yes"}])
def test_a_plain_answer_of_any_length_is_not_timed_so(fields: dict[str, Any]) -> None:
    """When nobody has limited an answer's length, only the general time-out holds."""
    assert first_byte_s(book(*[0.2] * 50), fields) is None


def test_a_probe_gets_longer() -> None:
    """A model on probation is given the time to show that it has become slower."""
    clock = Now()
    health = book(*[0.2] * 50, clock=clock)
    for _ in range(5):
        health.record_failure(NAME, status=500)
    clock.now += 30
    waits = first_byte_s(health, STREAM)
    assert waits is not None
    assert waits >= patience.PROBE_S
