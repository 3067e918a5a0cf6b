"""What the tests of the router share: a pool of three, a clock, and a classifier that says what it is told."""

from __future__ import annotations

from typing import Any

from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision
from ofox_middleware.health import HealthBook
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import DOMAINS, Difficulty, Signals

EVEN = (1 / len(DOMAINS),) * len(DOMAINS)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Judge:
    """A classifier that says what the test wants."""

    def __init__(self, logit: float = 0.0) -> None:
        self.answer: Any = Difficulty(0.5, logit, EVEN, source="custom")
        self.seen: list[Signals] = []

    def classify(self, signals: Signals) -> Difficulty:
        self.seen.append(signals)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


def card(name: str, ability: float, usd: float = 1e-6, **more: Any) -> ModelCard:
    return ModelCard(
        name=name, ability=ability, input_cost_per_token=usd, output_cost_per_token=usd, ttft_s=1.0, tokens_per_s=100,
        max_input_tokens=100_000, max_output_tokens=8_000, **more,
    )  # fmt: skip


STRONG = card("a/strong", 0.95, 1e-5, supports_vision=True, cache_read_input_token_cost=1e-6)
MIDDLE = card("b/middle", 0.8, 2e-6, supports_vision=False, cache_read_input_token_cost=2e-7)
SMALL = card("c/small", 0.4, 2e-7)


def a_router(
    *cards: ModelCard, logit: float = 0.0, judge: Judge | None = None, clock: Clock | None = None, **options: Any
) -> SmartRouter:
    clock = clock or Clock()
    return SmartRouter(
        Settings(models=list(cards or (STRONG, MIDDLE, SMALL)), **options),
        clock=clock, health=HealthBook(clock=clock), seed=1, classifier=judge or Judge(logit),
    )  # fmt: skip


def chat(text: str = "hello", *earlier: dict[str, Any], config: Any = None, **more: Any) -> dict[str, Any]:
    body = {"model": "auto", "messages": [*earlier, {"role": "user", "content": text}], **more}
    return body if config is None else {**body, "model_routing_config": config}


def statuses(decision: Decision) -> dict[str, tuple[str, str]]:
    return {row.name: (row.status, row.reason) for row in decision.candidates}
