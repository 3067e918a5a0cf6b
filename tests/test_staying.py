"""Conversations: when they keep their model, and when they move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.router_tools import MIDDLE, Clock, Judge, a_router, card, chat

HISTORY = ({"role": "system", "content": "You help."}, {"role": "user", "content": "first"})
REPLY = {"role": "assistant", "content": "yes?"}


def test_a_conversation_stays_within_the_margin() -> None:
    """A conversation keeps its model when another has become a little better."""
    router = a_router(card("a/x", 0.80), card("b/y", 0.80), logit=1.0, share_within=0.0)
    first = router.decide(chat("go", *HISTORY, REPLY))
    other = next(name for name in ("a/x", "b/y") if name != first.model)
    router.health.begin(first.model)
    second = router.decide(chat("go on", *HISTORY, REPLY))
    assert (second.model, second.reason) == (first.model, "session")
    assert router.decide(chat("go", *HISTORY, REPLY), caller="someone else").model == other


def test_a_conversation_moves_for_a_clear_gain() -> None:
    """A conversation that turned hard moves to a model that is clearly better at it."""
    judge = Judge(-5.0)
    router = a_router(judge=judge)
    assert router.decide(chat("hi", *HISTORY, REPLY)).model == "c/small"
    judge.answer = replace(judge.answer, logit=3.0)
    assert router.decide(chat("prove it", *HISTORY, REPLY)).model == "a/strong"


def test_another_preference_that_is_stated_is_heard() -> None:
    """Preferences tried one after the other on the same words each pick their own; none stated stays where it is."""
    router = a_router(logit=-2.0)
    quality, cost = {"preference": "quality"}, {"preference": "cost"}
    fresh = {wish["preference"]: a_router(logit=-2.0).decide(chat(config=wish)).model for wish in (quality, cost)}
    assert fresh["quality"] != fresh["cost"]
    picks = [router.decide(chat(config=wish)) for wish in (quality, cost, None, cost, quality, None)]
    best, cheap = fresh["quality"], fresh["cost"]
    assert [pick.model for pick in picks] == [best, cheap, cheap, cheap, best, best]
    assert [pick.reason == "session" for pick in picks] == [False, False, True, True, False, True]


def test_another_preference_waits_for_the_end_of_a_tool_loop() -> None:
    """In the middle of a tool loop a stated preference moves nothing, however clear it is."""
    router = a_router(logit=-2.0)
    first = router.decide({"messages": TOOL_LOOP[:1], "model_routing_config": {"preference": "quality"}})
    within = router.decide({"messages": TOOL_LOOP, "model_routing_config": {"preference": "cost"}})
    assert (within.model, within.reason) == (first.model, "session")
    after = router.decide(
        {"messages": [*TOOL_LOOP, REPLY, TOOL_LOOP[0]], "model_routing_config": {"preference": "cost"}}
    )
    assert after.model != first.model


TOOL_LOOP: list[dict[str, Any]] = [
    {"role": "user", "content": "fix the bug"},
    {
        "role": "assistant",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "done"},
]


def test_a_tool_loop_moves_only_when_the_model_is_down() -> None:
    """In the middle of a tool loop the model stays, however hard it looks, until it is down."""
    judge = Judge(-5.0)
    router = a_router(judge=judge)
    assert router.decide({"messages": TOOL_LOOP[:1]}).model == "c/small"
    judge.answer = replace(judge.answer, logit=3.0)
    loop = router.decide({"messages": TOOL_LOOP})
    assert (loop.model, loop.reason) == ("c/small", "session")
    for _ in range(5):
        router.health.record_failure("c/small", status=500)
    assert router.decide({"messages": TOOL_LOOP}).model != "c/small"


def test_signed_thinking_stays_where_it_was_written() -> None:
    """A conversation that holds signed thinking stays on its model, however hard it has become."""
    judge = Judge(-5.0)
    router = a_router(judge=judge)
    ask = {"role": "user", "content": "hi"}
    thought = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
    reply = {"role": "assistant", "content": [thought, {"type": "text", "text": "yes?"}]}
    assert router.decide({"messages": [ask]}, "/v1/messages").model == "c/small"
    judge.answer = replace(judge.answer, logit=3.0)
    decision = router.decide({"messages": [ask, reply, {"role": "user", "content": "prove it"}]}, "/v1/messages")
    assert (decision.model, decision.reason) == ("c/small", "session")


def test_a_stuck_agent_is_escalated() -> None:
    """The same tool call again and again takes the conversation off its model and is scored as harder."""
    router = a_router(logit=1.0)
    calm = router.decide({"messages": TOOL_LOOP[:1]})
    stuck = router.decide({"messages": [TOOL_LOOP[0], *TOOL_LOOP[1:] * 4]})
    assert stuck.reason == "escalated"
    assert stuck.difficulty_detail.logit > calm.difficulty_detail.logit
    assert stuck.difficulty_detail.evidence[0][0] == "stuck"


def test_a_stopgap_is_no_pin() -> None:
    """A model chosen while a better one was down is left as soon as that one is back."""
    clock = Clock()
    router = a_router(card("a/x", 0.8), card("b/y", 0.79), logit=1.0, clock=clock, share_within=0.0)
    assert router.decide(chat("go", *HISTORY)).model == "a/x"
    for _ in range(5):
        router.health.record_failure("a/x", status=500)
    assert router.decide(chat("go", *HISTORY)).model == "b/y"
    assert router.decide(chat("go", *HISTORY)).reason == "session"
    clock.now += 400
    router.health.begin("a/x").succeed(output_tokens=20, total_s=1.0)
    assert router.decide(chat("go", *HISTORY)).model == "a/x"


def test_a_conversation_moves_to_the_best_only() -> None:
    """Equals share new conversations; one that moves pays for it, and goes where the move was found worth it. When its
    model is down it shares again, for then many move at once."""
    cards = (card("here", 0.7, 20e-6), card("best", 0.7, 1e-6), card("near", 0.7, 1.03e-6))
    router = a_router(*cards, profiles={"cheap": {"cost": 1}}, preference="cheap")
    for n in range(40):
        config = {"session_id": f"{n}", "models": ["here"]}
        assert router.decide(chat(config=config)).model == "here"
    moved = {router.decide(chat(config={"session_id": f"{n}"})).model for n in range(20)}
    started = {router.decide(chat(config={"session_id": f"new {n}"})).model for n in range(20)}
    for _ in range(5):
        router.health.record_failure("here", status=500)
    fled = {router.decide(chat(config={"session_id": f"{n}"})).model for n in range(20, 40)}
    assert moved == {"best"}
    assert started == fled == {"best", "near"}


def test_the_session_id_names_the_conversation() -> None:
    """Requests with the same id belong together whatever they say; the header's id serves without one."""
    router = a_router()
    one = router.decide(chat("a", config={"session_id": "s"}))
    two = router.decide(chat("b"), session="s")
    three = router.decide(chat("a"))
    assert one.session == two.session != three.session


def test_the_cached_prefix_is_priced_in() -> None:
    """The pinned model is charged the cached price for what it has read, and the full price when the cache is cold."""
    clock = Clock()
    router = a_router(MIDDLE, clock=clock)
    body = chat("x " * 5000)
    fresh = router.decide(body).candidate("b/middle").cost_usd
    warm = router.decide(body).candidate("b/middle").cost_usd
    clock.now += 301
    cold = router.decide(body).candidate("b/middle").cost_usd
    assert fresh is not None
    assert warm is not None
    assert warm < fresh / 3
    assert cold == fresh


def returning(gap_s: float, *, prompt_words: int, later_turns: int) -> str:
    """Where an easy ask goes that follows hard ones answered by the strong model, ``gap_s`` after the last of them."""
    clock = Clock()
    strong = ModelCard("a/strong", ability=0.9, input_cost_per_token=3e-6, cache_read_input_token_cost=3e-7,
                       output_cost_per_token=1e-5, max_input_tokens=10**6)  # fmt: skip
    cheap = ModelCard("b/cheap", ability=0.6, input_cost_per_token=1e-6, cache_read_input_token_cost=5e-7,
                      output_cost_per_token=2e-6, max_input_tokens=10**6)  # fmt: skip
    router = SmartRouter(Settings(models=[strong, cheap], preference="cost", share_within=0), clock=clock, seed=1)
    hard = "Prove step by step that the set of primes is infinite and derive a lower bound for its density."
    messages: list[dict[str, str]] = [{"role": "system", "content": "word " * prompt_words}]
    for turn in range(later_turns):
        messages += [{"role": "user", "content": f"{hard} Variant {turn}."}, {"role": "assistant", "content": "Done."}]
        assert router.decide({"messages": messages[:-1]}).model == "a/strong"
        clock.now += 20
    clock.now += gap_s
    messages.append({"role": "user", "content": "ok thanks"})
    return router.decide({"messages": messages}).model


def test_it_returns_to_the_cheap_model_only_when_that_saves_more_than_the_cache() -> None:
    """While the strong model still has a long prompt in its cache reading it there costs less than moving; once the
    cache is cold, or where there is little in it, an easy ask goes back to the cheap one."""
    assert returning(0.0, prompt_words=40_000, later_turns=4) == "a/strong"
    assert returning(600.0, prompt_words=40_000, later_turns=4) == "b/cheap"
    assert returning(0.0, prompt_words=10, later_turns=4) == "b/cheap"
