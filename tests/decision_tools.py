"""Decisions and outcomes for the tests of who keeps them."""

from __future__ import annotations

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Candidate, Decision, Outcome
from ofox_middleware.types import DOMAINS, Difficulty

STRONG = ModelFacts("north/titan", "north/titan", "north", input_usd=1e-5, output_usd=1e-4)
MIDDLE = ModelFacts("river/oracle", "river/oracle", "river", input_usd=2e-6, output_usd=1e-5)
CHEAP = ModelFacts("pebble/mini", "pebble/mini", "pebble", input_usd=1e-7, output_usd=1e-6)
UNPRICED = ModelFacts("my/model", "my/model", "my")
QUALITY = {"north/titan": 0.95, "river/oracle": 0.8, "pebble/mini": 0.4, "my/model": 0.99}


def decision(name: str = "one", *facts: ModelFacts) -> Decision:
    """A decision for 1000 tokens in and 100 out over ``facts``, the first being the pick."""
    pool = facts or (MIDDLE, STRONG, CHEAP)
    return Decision(
        id=name,
        model=pool[0].name,
        ranking=tuple(item.name for item in pool),
        reason="best",
        preference="balanced",
        difficulty_detail=Difficulty(0.5, 0.0, (1.0,) + (0.0,) * (len(DOMAINS) - 1)),
        candidates=tuple(Candidate(item.name, "kept", quality=QUALITY[item.name]) for item in pool),
        targets={item.name: item for item in pool},
        input_tokens=1000,
        output_tokens=100,
    )


def answered(made: Decision, model: str | None = None, **more: object) -> Outcome:
    """``made`` was answered by ``model``, the pick unless named."""
    name = model or made.model
    return Outcome(made, name, True, 200, (name,), **more)  # type: ignore[arg-type]
