"""The memory of what models refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ofox_middleware import lack_book
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision
from ofox_middleware.errors import NoCandidate
from ofox_middleware.lack_book import LackBook
from ofox_middleware.lacks import Lack
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def router(
    clock: Clock, windows: tuple[int | None, ...] = (1_000_000, 1_000_000, 1_000_000), **options: Any
) -> SmartRouter:
    """Three models, `a` the best and `c` the least, all of which take everything as far as is known."""
    able = {"supports_function_calling": True, "supports_vision": True, "supports_reasoning": True}
    cards = [
        ModelCard(name=name, ability=share, input_cost_per_token=1e-6, output_cost_per_token=1e-6,
                  max_input_tokens=window, **able)
        for name, share, window in zip("abc", (0.9, 0.6, 0.3), windows, strict=True)
    ]  # fmt: skip
    return SmartRouter(
        Settings(models=cards, preference="quality", share_within=0, max_sessions=0, **options), clock=clock, seed=1
    )


def told(summary: object) -> bytes:
    """What another worker would read."""
    return msgspec.json.encode(summary)


def body(words: int = 10, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "word " * words}], **fields}


def refuse(brain: SmartRouter, error: str, **fields: Any) -> Decision:
    decision = brain.decide(body(**fields))
    assert brain.refused(decision, decision.model, error) is not None
    return decision


def test_a_refused_parameter_sends_such_requests_elsewhere() -> None:
    """Requests with the parameter go to another model, the others stay, and after a while it is tried again."""
    clock = Clock()
    brain = router(clock)
    refuse(brain, "Unsupported parameter: 'temperature' is not supported with this model.", temperature=0.2)
    seen = brain.decide(body(temperature=0.9))
    assert seen.ranking == ("b", "c", "a")
    assert seen.candidate("a").reason == "refused_temperature"
    assert seen.candidate("a").status == "demoted"
    assert not seen.panic
    assert brain.decide(body()).model == "a"
    clock.now += 600
    assert brain.decide(body(temperature=0.9)).model == "a"


def test_a_refused_value_concerns_that_value_only() -> None:
    """A model without the effort `minimal` still gets requests with another effort."""
    brain = router(Clock())
    error = "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model."
    refuse(brain, error, reasoning_effort="minimal")
    assert brain.decide(body(reasoning_effort="minimal")).model == "b"
    assert brain.decide(body(reasoning_effort="high")).model == "a"


def test_a_prompt_that_was_too_long_sets_a_limit() -> None:
    """What is as long as the refused one goes elsewhere, shorter ones stay; the stated limit counts when it is less."""
    brain = router(Clock(), (None, 1_000_000, 1_000_000))
    refuse(brain, "This model's maximum context length is 4096 tokens.", words=30_000)
    assert brain.decide(body(words=31_000)).model == "b"
    assert brain.decide(body(words=5_000)).candidate("a").reason == "refused_context_window"
    assert brain.decide(body(words=2_000)).model == "a"


def test_a_short_prompt_cannot_be_too_long() -> None:
    """An error that quotes a prompt about context windows must not make a model look too small."""
    brain = router(Clock())
    decision = brain.decide(body())
    assert brain.refused(decision, "a", "This model's maximum context length is 4 tokens.") is None
    assert len(brain.lacks) == 0


def test_an_output_limit_is_remembered() -> None:
    """Requests that ask for as many output tokens go elsewhere."""
    brain = router(Clock())
    refuse(brain, "max_tokens: 9000 > 8192, which is the maximum allowed number of output", max_tokens=9000)
    assert brain.decide(body(max_tokens=8193)).model == "b"
    assert brain.decide(body(max_tokens=8192)).model == "a"
    decision = brain.decide(body())
    assert brain.refused(decision, "a", "max_tokens: 9 > 8, which is the maximum allowed number of output") is None


def test_what_the_request_does_not_have_is_not_noted() -> None:
    """An error about a parameter that nobody sent speaks of something else."""
    brain = router(Clock())
    decision = brain.decide(body())
    assert brain.refused(decision, "a", "Unsupported parameter: 'temperature'") is None
    assert brain.stats["lack"] == 0


def test_when_all_refuse_the_provider_has_the_word() -> None:
    """A memory is no reason to answer in a provider's place: the last resort is tried."""
    brain = router(Clock())
    for _ in range(3):
        refuse(brain, "this model does not support tools", tools=[{"type": "function", "function": {"name": "f"}}])
    assert brain.lacks.summary().keys() == {"a", "b", "c"}
    decision = brain.decide(body(tools=[{"type": "function", "function": {"name": "f"}}]))
    assert (decision.model, decision.reason) == ("a", "last_resort")
    with pytest.raises(NoCandidate):
        brain.decide(body(), pool=[])


def test_a_conversation_leaves_a_model_that_refuses_it() -> None:
    """A pin does not hold a conversation on a model that cannot take its next request."""
    clock = Clock()
    brain = router(clock)
    brain.sessions.max_sessions = 10
    assert brain.decide(body()).model == "a"
    refuse(brain, "Unsupported parameter: 'temperature' is not supported", temperature=0)
    assert brain.decide(body(temperature=0)).model == "b"


def test_seen_again_it_is_kept_longer() -> None:
    """What a new trial confirms is kept twice as long, what late answers repeat is not."""
    clock = Clock()
    brain = router(clock)
    error = "Unsupported parameter: 'temperature' is not supported with this model."
    first = refuse(brain, error, temperature=0)
    brain.refused(first, "a", error)
    clock.now += 601
    refuse(brain, error, temperature=0)
    clock.now += 1100
    assert brain.decide(body(temperature=0)).model == "b"
    clock.now += 101
    assert brain.decide(body(temperature=0)).model == "a"


def test_zero_seconds_remember_nothing() -> None:
    """The memory can be switched off; the request at hand is still told apart from other errors."""
    brain = router(Clock(), refusal_ttl_s=0)
    refuse(brain, "Unsupported parameter: 'temperature' is not supported with this model.", temperature=0)
    assert brain.decide(body(temperature=0)).model == "a"


def test_the_next_must_fit() -> None:
    """After a prompt that was too long only larger windows are worth a try; the provider's own count is exact."""
    brain = router(Clock(), (100_000, 100_000, 200_000))
    decision = brain.decide(body(words=60_000, max_tokens=1000))
    a, b, c = (decision.targets[name] for name in "abc")
    fits = brain.lacks.fits
    too_long = Lack("context_window")
    assert not fits(b, too_long, a, decision)
    assert fits(c, too_long, a, decision)
    assert fits(b, Lack("context_window", limit=32_000), a, decision)
    assert fits(b, Lack("context_window", counted=99_000), a, decision)
    assert not fits(c, Lack("context_window", counted=199_001), a, decision)
    assert fits(b, Lack("output_limit"), a, decision)
    assert fits(b, Lack("temperature"), a, decision)


def test_workers_tell_each_other() -> None:
    """What one worker has seen counts at another, no longer than at the first, and nonsense is left out."""
    clock, later = Clock(), Clock()
    brain, other = router(clock), router(later)
    refuse(brain, "Unsupported parameter: 'temperature' is not supported with this model.", temperature=0)
    clock.now += 500
    other.lacks.merge(told(brain.lacks.summary()), age_s=1.0)
    odd = {"b": {"nonsense": (10.0, 0), "image": (-1.0, 0), "tools": (1e9, 0), "text": (5.0, -2), "n": (2.0, 0)}}
    other.lacks.merge(told(odd), age_s=3.0)
    assert len(other.lacks) == 1
    assert other.decide(body(temperature=0)).model == "b"
    later.now += 100
    assert other.decide(body(temperature=0)).model == "a"
    assert brain.lacks.summary() != {}
    with pytest.raises(msgspec.MsgspecError):
        other.lacks.merge(b'{"a": {"image": "x"}}', age_s=0.0)
    off = LackBook(clock=clock, ttl_s=0)
    off.merge(told({"a": {"image": (5.0, 0)}}), age_s=0.0)
    assert len(off) == 0


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lack that was seen longest ago goes first."""
    monkeypatch.setattr(lack_book, "MAX_LACKS", 2)
    book = LackBook(clock=Clock(), ttl_s=10)
    book.merge(told({name: {"image": (5.0, 0)} for name in "xyz"}), age_s=0.0)
    assert len(book) == 2
    assert book.summary().keys() == {"y", "z"}
