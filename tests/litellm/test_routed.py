"""A routed request: which of its attempts may still be made."""

from __future__ import annotations

import gc
import weakref

import litellm
import pytest

from ofox_middleware.ledger import Call
from ofox_middleware.litellm_events import Start
from ofox_middleware.litellm_routed import Routed
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import ModelCard, Settings

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def brain() -> SmartRouter:
    cards = [ModelCard(name=name, ability=0.6, input_cost_per_token=cost) for name, cost in (("a", 1e-6), ("b", 2e-6))]
    return SmartRouter(Settings(models=cards, preference="cost"), seed=1)


@pytest.fixture
def routed(brain: SmartRouter) -> Routed:
    """On its first attempt, of two that LiteLLM was told of."""
    decision = brain.decide({"messages": [{"role": "user", "content": "Say hi."}]})
    request = Routed(decision, decision.ranking)
    request.fallbacks = list(decision.ranking[1:])
    request.trying(decision.model)
    return request


def attempt(name: str) -> Start:
    return Start(name, name, None, 1, {})


def test_what_was_called_off_ends_with_the_error_before_it(brain: SmartRouter, routed: Routed) -> None:
    """A LiteLLM that goes on to fallbacks that were withdrawn gets the caller's own error again, and asks nobody."""
    pick, other = routed.decision.ranking
    error = litellm.BadRequestError("bad field", model=pick, llm_provider="house")
    routed.narrow(brain, pick, error)
    assert routed.fallbacks == []
    assert routed.instead_of(attempt(other)) is error
    assert routed.instead_of(attempt(pick)) is None


def test_after_a_failure_the_next_may_be_tried(brain: SmartRouter, routed: Routed) -> None:
    """An overloaded model calls nothing off."""
    pick, other = routed.decision.ranking
    routed.narrow(brain, pick, litellm.InternalServerError("overloaded", model=pick, llm_provider="house"))
    assert routed.fallbacks == [other]
    assert routed.instead_of(attempt(other)) is None


def test_what_has_ended_is_freed_at_once(brain: SmartRouter, routed: Routed) -> None:
    """Nothing of it waits for a collection of garbage, which in LiteLLM's heap takes as long as many requests."""
    call = Call()
    call.routed = Routed(routed.decision, routed.hops)
    call.routed.calls.append(call)
    call.routed.ended(brain, ok=True, status=200)
    known = weakref.ref(call)
    gc.disable()
    try:
        del call
        assert known() is None
    finally:
        gc.enable()
