"""SmartRouter.decide(): pool, config, difficulty, health and conversations together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.errors import InvalidRoutingConfig, NoCandidate, NoPool, SettingsError
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


def test_decision_says_what_and_why() -> None:
    """A decision has the pick, its fallbacks, every candidate, and where their facts can be found."""
    router = a_router(logit=3.0)
    decision = router.decide(chat())
    assert decision.model == decision.ranking[0]
    assert sorted(decision.ranking) == ["a/strong", "b/middle", "c/small"]
    assert decision.candidate(decision.model).status == "kept"
    assert decision.targets[decision.model].model == decision.model
    assert (decision.preference, decision.reason, decision.difficulty) == ("balanced", "best", 0.5)
    assert router.stats["decided"] == 1
    with pytest.raises(KeyError):
        decision.candidate("nobody")


def test_to_dict_holds_no_prompt() -> None:
    """What log and dry run show is plain data without a word of the prompt."""
    shown = a_router().decide(chat("the secret word is xyzzy")).to_dict()
    assert shown["difficulty_source"] == "custom"
    assert len(shown["candidates"]) == 3
    assert "xyzzy" not in str(shown)


@pytest.mark.parametrize(
    ("preference", "logit", "model"),
    [
        ("quality", -4.0, "b/middle"),  # within 1% of the best, and cheaper
        ("quality", 2.0, "a/strong"),
        ("cost", -4.0, "c/small"),
        ("cost", -0.5, "b/middle"),
        ("balanced", -5.0, "c/small"),
        ("balanced", 3.0, "a/strong"),
    ],
)
def test_preferences(preference: str, logit: float, model: str) -> None:
    """Each preference weighs difficulty against price as the table in the README says."""
    assert a_router(logit=logit).decide(chat(config={"preference": preference})).model == model


def test_speed_prefers_the_idle() -> None:
    """`speed` leaves a model that has much in flight for one that is as fast and idle."""
    router = a_router(card("a/x", 0.8), card("b/y", 0.8), preference="speed")
    for _ in range(15):
        router.health.begin("a/x")
    assert router.decide(chat()).model == "b/y"


def test_own_profile_by_name() -> None:
    """A caller may name a profile that the operator defined."""
    router = a_router(logit=3.0, profiles={"frugal": {"cost": 1}})
    assert router.decide(chat(config={"preference": "frugal"})).model == "c/small"


def test_unknown_preference_lists_the_known() -> None:
    """An unknown preference is a 400 that names the field and the known ones."""
    with pytest.raises(InvalidRoutingConfig, match="known: balanced, cost, quality, speed") as caught:
        a_router().decide(chat(config={"preference": "cheap"}))
    assert caught.value.param == "model_routing_config.preference"


def test_models_and_exclude_narrow_the_pool() -> None:
    """The caller's globs choose from the operator's pool; what they leave out is listed with the reason."""
    decision = a_router().decide(chat(config={"models": ["a/*", "b/middle", "z/unheard-of"], "exclude": ["b/*"]}))
    assert decision.ranking == ("a/strong",)
    assert decision.reason == "only"
    assert statuses(decision)["b/middle"] == ("skipped", "excluded")
    assert statuses(decision)["c/small"] == ("skipped", "not_named")


def test_the_operator_excludes_too() -> None:
    """What the operator excludes cannot be had by naming it."""
    router = a_router(exclude=["a/*"])
    assert "a/strong" not in router.decide(chat()).ranking
    with pytest.raises(NoCandidate, match="a/strong: excluded"):
        router.decide(chat(config={"models": ["a/strong"]}))


def test_needs_filter() -> None:
    """An image goes to a model that is known to see; one that cannot is skipped, an unknown one demoted."""
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]}
    decision = a_router().decide(chat("what is this?", image))
    assert decision.model == "a/strong"
    assert statuses(decision)["b/middle"] == ("skipped", "no_image")
    assert statuses(decision)["c/small"] == ("demoted", "unknown_image")


def test_no_candidate_lists_reasons() -> None:
    """A request that nobody can serve is a 400 that says why of each candidate."""
    with pytest.raises(NoCandidate, match=r"a/strong: over_max_cost; b/middle: over_max_cost; c/small: over_max_cost"):
        a_router().decide(chat(config={"max_cost_usd": 1e-9}))


def test_max_cost_counts_expected_cost() -> None:
    """`max_cost_usd` skips the dear candidate and keeps the others."""
    decision = a_router().decide(chat(config={"max_cost_usd": 0.001}))
    assert statuses(decision)["a/strong"] == ("skipped", "over_max_cost")


def test_expected_output_is_bounded_by_the_callers_limit() -> None:
    """A short `max_tokens` makes the answer cheaper; a long one does not make it long."""
    assert a_router().decide(chat(max_tokens=10)).output_tokens == 10
    assert a_router().decide(chat(max_tokens=5000)).output_tokens == 300


def test_an_unhealthy_model_is_left_and_stays_last_resort() -> None:
    """After a breaker opened traffic goes elsewhere; when every breaker is open a model is still given."""
    router = a_router(logit=3.0)
    for _ in range(5):
        router.health.record_failure("a/strong", status=500)
    decision = router.decide(chat())
    assert decision.model == "b/middle"
    assert decision.ranking[-1] == "a/strong"
    assert not decision.panic
    for name in ("b/middle", "c/small"):
        for _ in range(5):
            router.health.record_failure(name, status=503)
    decision = router.decide(chat())
    assert (decision.reason, decision.panic, len(decision.ranking)) == ("last_resort", True, 3)


def test_a_half_open_model_gets_a_probe() -> None:
    """When an open breaker lets go the model is asked again, one request at a time."""
    clock = Clock()
    router = a_router(logit=3.0, clock=clock)
    for _ in range(5):
        router.health.record_failure("a/strong", status=500)
    clock.now += 30
    decision = router.decide(chat())
    assert (decision.model, decision.reason) == ("a/strong", "probe")
    lease = router.health.begin("a/strong")
    assert router.decide(chat("something else")).model == "b/middle"
    lease.succeed(output_tokens=20, total_s=1.0)
    assert router.decide(chat("a third thing")).model == "a/strong"


def test_no_probe_without_a_fallback() -> None:
    """A request that may not fall back is no probe while another model is healthy."""
    clock = Clock()
    router = a_router(logit=3.0, clock=clock)
    for _ in range(5):
        router.health.record_failure("a/strong", status=500)
    clock.now += 30
    assert router.decide(chat(config={"fallback": False})).model == "b/middle"


def test_fallback_follows_config_then_settings() -> None:
    """The request's word on fallback wins over the operator's default."""
    assert a_router().decide(chat()).fallback
    router = a_router(fallback=False)
    assert not router.decide(chat()).fallback
    assert router.decide(chat(config={"fallback": True})).fallback


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


def test_a_dry_run_leaves_no_trace() -> None:
    """A dry run pins nothing, counts nothing and tells nobody."""
    router = a_router()
    router.subscribe(Watcher())
    router.decide(chat(), dry_run=True)
    assert len(router.sessions) == 0
    assert not router.stats


class Watcher:
    """Records what an observer is told."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.decisions: list[Decision] = []
        self.outcomes: list[Outcome] = []

    def decided(self, decision: Decision) -> None:
        self.decisions.append(decision)
        if self.broken:
            raise RuntimeError

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self.broken:
            raise RuntimeError


def test_observers_are_told_and_may_fail() -> None:
    """Every observer hears of decision and outcome; one that fails costs nothing but a count."""
    router, broken, sound = a_router(), Watcher(broken=True), Watcher()
    router.subscribe(broken)
    router.subscribe(sound)
    decision = router.decide(chat())
    router.report(Outcome(decision, decision.model, ok=True, status=200, attempts=(decision.model,)))
    assert sound.decisions == [decision]
    assert sound.outcomes[0].decision is decision
    assert router.stats["observer_error"] == 2
    assert router.stats["ended"] == 1


def test_a_given_pool_replaces_the_operators() -> None:
    """A door may pass the models that the caller's key may use."""
    router = a_router()
    facts = router.facts("c/small")
    assert facts is not None
    assert router.decide(chat(), pool=[facts]).ranking == ("c/small",)
    assert router.facts("nobody") is None


def test_without_a_pool_the_callers_models_are_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing configured and no provider keys the caller's own models are the pool; without any it is a 400."""
    monkeypatch.setattr("os.environ", {})
    router = SmartRouter(Settings(), seed=1)
    body = chat(config={"models": ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"]})
    assert sorted(router.decide(body).ranking) == ["anthropic/claude-sonnet-4-5", "openai/gpt-4o"]
    assert router.decide(body).model in {"openai/gpt-4o", "anthropic/claude-sonnet-4-5"}
    with pytest.raises(NoPool, match="OFOX_MODELS"):
        router.decide(chat())


def test_tuned_abilities_replace_the_catalogues(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that `ofox tune` has seen gets the ability fitted there, in the operator's pool and in a door's."""
    router = a_router()
    given = router.pool
    monkeypatch.setattr(DifficultyModel, "abilities", property(lambda _: {"c/small": (9.0,) * len(DOMAINS)}))
    router.reload(router.settings)
    facts = router.facts("c/small")
    assert facts is not None
    assert (facts.ability[0], facts.ability_source) == (9.0, "tuned")
    assert router.decide(chat(), pool=given).candidate("c/small").ability_source == "tuned"
    assert router.decide(chat(), pool=given).candidate("a/strong").ability_source == "card"


def test_unreadable_weights_are_refused(tmp_path: Path) -> None:
    """Weights that are missing or broken are refused at start."""
    with pytest.raises(SettingsError, match="difficulty_weights"):
        SmartRouter(Settings(models=[SMALL], difficulty_weights=tmp_path / "none"))
    broken = tmp_path / "weights.json"
    broken.write_text("{}")
    with pytest.raises(SettingsError, match="difficulty_weights"):
        SmartRouter(Settings(models=[SMALL], difficulty_weights=broken))


def test_reload_is_atomic_and_keeps_health() -> None:
    """New settings take over whole, wrong ones not at all, and health is kept."""
    router = a_router()
    router.health.record_failure("a/strong", status=500)
    before = router.health.snapshot()
    with pytest.raises(SettingsError):
        router.reload(Settings(models=["nobody/*"]))
    assert len(router.pool) == 3
    router.reload(Settings(models=[SMALL], preference="cost"))
    assert router.decide(chat()).ranking == ("c/small",)
    assert router.health.snapshot() == before


def test_auto_names_are_exact() -> None:
    """Only the configured names ask for routing; other types, case and spaces do not."""
    router = a_router(auto_models=["auto", "ofox/auto"])
    assert router.is_auto("auto")
    assert router.is_auto("ofox/auto")
    for other in ("AUTO", " auto", "aut\u043e", ["auto"], None, 1, b"auto"):
        assert not router.is_auto(other)


def test_one_seed_one_sequence() -> None:
    """With a seed the choice between equals repeats; without one it does not depend on anything we keep."""
    cards = card("a/x", 0.8), card("b/y", 0.8)

    def draws(seed: int) -> list[str]:
        router = SmartRouter(Settings(models=list(cards), seed=seed), classifier=Judge())
        return [router.decide(chat(str(i))).model for i in range(20)]

    assert draws(1) == draws(1)
    assert set(draws(1)) == {"a/x", "b/y"}
