"""SmartRouter.decide(): pool, config, difficulty and health together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.difficulty import DifficultyModel
from ofox_middleware.errors import InvalidRoutingConfig, NoCandidate, NoPool, SettingsError
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import DOMAINS
from tests.router_tools import SMALL, Clock, Judge, a_router, card, chat, statuses


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
