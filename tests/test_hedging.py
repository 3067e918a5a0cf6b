"""When a request is hedged, and how often it may be."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.exchange import Exchange, Stage
from ofox_middleware.guard import Guard
from ofox_middleware.health import HealthBook
from ofox_middleware.hedging import MOST_SAVED, SHARE, Budget, Race, hedge_after_s
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

NAME = "house/model"


def after_s(
    *ttfts: float, words: int = 5, hedge: bool = True, fields: dict[str, Any] | None = None, preference: str = "speed"
) -> float | None:
    health = HealthBook()
    for ttft_s in ttfts:
        health.record_success(NAME, ttft_s=ttft_s, total_s=ttft_s + 1.0, output_tokens=100)
    settings = Settings(models=[ModelCard(name=NAME, ttft_s=0.4, tokens_per_s=100)], preference=preference, hedge=hedge)
    decision = SmartRouter(settings, health=health).decide({"messages": [{"role": "user", "content": "word " * words}]})
    return hedge_after_s(settings, health, decision.targets[NAME], decision, fields or {"stream": True})


def test_after_what_95_percent_stay_under() -> None:
    """The second attempt waits for the model's own 95th percentile."""
    assert after_s(*[0.2] * 90, *[0.8] * 10) == pytest.approx(0.8, rel=0.3)
    assert after_s(*[0.2] * 99, 0.8) == pytest.approx(0.2, rel=0.3)


def test_a_long_prompt_is_given_the_time_to_read_it() -> None:
    """A long prompt is slow at every model."""
    short, long = after_s(*[0.2] * 30), after_s(*[0.2] * 30, words=20_000)
    assert short is not None
    assert long is not None
    assert long > short + 5.0


@pytest.mark.parametrize(
    "options",
    [{"hedge": False}, {"preference": "quality"}, {"preference": "balanced"}, {"fields": {"stream": False}}],
)
def test_who_is_never_hedged(options: dict[str, Any]) -> None:
    """Off by default; only streams, and only under `speed`."""
    assert after_s(*[0.2] * 30, **options) is None
    assert Settings(models=["openai/gpt-4o"]).hedge is False


def test_nothing_is_hedged_before_enough_is_known() -> None:
    """With a handful of answers nobody knows a percentile."""
    assert after_s(*[0.2] * 5) is None


@pytest.mark.parametrize("requests", [0, 19, 20, 40, 1_000, 12_345])
def test_no_more_than_a_twentieth(requests: int) -> None:
    """However late every request is, at most 5% of them are asked twice, from the first one on."""
    budget = Budget()
    spent = 0
    for _ in range(requests):
        budget.earn()
        spent += budget.spend()
    assert spent == pytest.approx(SHARE * requests, abs=1)
    assert spent <= SHARE * requests + 1e-6


def test_what_is_saved_has_a_limit() -> None:
    """A quiet day does not pay for a flood."""
    budget = Budget()
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == int(MOST_SAVED)
    assert budget.saved >= 0


def test_a_hedge_that_is_about_to_begin_never_does() -> None:
    """When the first attempt speaks in the very moment in which the second is started, no provider hears of it."""

    async def main() -> None:
        begun: list[int] = []

        async def second() -> Any:
            begun.append(1)

        race = Race()
        first, guard = Mock(Exchange, stage=Stage.WAITING), Mock(Guard)

        async def attempt() -> Any:
            race.enter(first, guard)
            while race.hedge is None:
                await asyncio.sleep(0)
            assert race.claim(first)
            assert not race.claim(Mock(Exchange))
            return first

        assert await race.run(attempt(), second, 0.0) is first
        assert race.hedge is not None
        assert race.hedge.cancelled()
        assert not race.hedge_won
        assert not begun
        guard.overtake.assert_not_called()

    asyncio.run(main())
