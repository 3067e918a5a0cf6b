"""Feasibility, scores, ties, floors and the order of fallbacks."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from msgspec.structs import replace as but

from ofox_middleware import scoring
from ofox_middleware.cards import ModelFacts
from ofox_middleware.scoring import Assessed, Terms
from ofox_middleware.settings import BUILTIN_PROFILES
from ofox_middleware.types import DOMAINS, Difficulty, HealthView, Need, Profile, Signals

MIDDLING = Difficulty(0.5, 0.0, (1 / len(DOMAINS),) * len(DOMAINS))
WELL = HealthView("closed", ttft_s=1.0, s_per_token=0.01, in_flight=0, limit=20, availability=1.0)
TERMS = Terms(output_tokens=300)


def facts(name: str, ability: float = 0.0, usd: float | None = 1e-6, **more: object) -> ModelFacts:
    base = ModelFacts(
        name, name, more.pop("provider", name.partition("/")[0]), input_usd=usd, output_usd=usd,  # type: ignore[arg-type]
        ability=(ability,) * len(DOMAINS),
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def judged(
    *pool: ModelFacts,
    profile: str | Profile = "balanced",
    signals: Signals | None = None,
    terms: Terms = TERMS,
    difficulty: Difficulty = MIDDLING,
    views: dict[str, HealthView] | None = None,
) -> dict[str, Assessed]:
    signals = Signals(input_tokens=1000) if signals is None else signals
    seen = [(views or {}).get(model.name, WELL) for model in pool]
    assessed = scoring.assess(pool, seen, signals, difficulty, terms)
    scoring.score(scoring.feasible_of(assessed), BUILTIN_PROFILES[profile] if isinstance(profile, str) else profile)
    return {item.facts.name: item for item in assessed}


def picked(items: dict[str, Assessed], profile: str | Profile = "balanced", share_within: float = 0.05) -> set[str]:
    found = BUILTIN_PROFILES[profile] if isinstance(profile, str) else profile
    return {item.facts.name for item in scoring.near_best(scoring.feasible_of([*items.values()]), found, share_within)}


NEEDS: list[Need] = ["image", "audio", "file", "video", "tools", "json_schema", "logprobs", "n", "reasoning"]


@pytest.mark.parametrize("need", NEEDS)
def test_lacking_a_need_skips(need: Need) -> None:
    """A model that is known not to do what the request needs is skipped with that reason."""
    item = judged(facts("a/x", supports={need: False}), signals=Signals(needs=frozenset({need})))["a/x"]
    assert (item.row().status, item.row().reason) == ("skipped", f"no_{need}")


def test_unknown_need_demotes() -> None:
    """An unknown fact is unknown, not false: the model stays in, after those that are known to do it."""
    items = judged(
        facts("a/unknown", ability=3), facts("b/known", supports={"image": True}),
        signals=Signals(needs=frozenset({"image"})),
    )  # fmt: skip
    row = items["a/unknown"].row()
    assert (row.status, row.reason) == ("demoted", "unknown_image")
    assert picked(items) == {"b/known"}


def test_parameters_nobody_states_do_not_demote() -> None:
    """A parameter that most models take, and that nobody states, does not demote a model."""
    assert judged(facts("a/x"), signals=Signals(needs=frozenset({"n"})))["a/x"].row().status == "kept"


@pytest.mark.parametrize(
    ("tokens", "wanted", "status"),
    [(900, None, "kept"), (901, None, "skipped"), (800, 100, "kept"), (800, 112, "skipped"), (0, 1001, "skipped")],
)
def test_context_window(tokens: int, wanted: int | None, status: str) -> None:
    """Prompt, with a margin for the estimate, and requested output must fit the window together."""
    item = judged(facts("a/x", max_input_tokens=1000), signals=Signals(input_tokens=tokens, max_output_tokens=wanted))[
        "a/x"
    ]
    assert item.row().status == status


def test_longer_output_than_the_model_writes_demotes() -> None:
    """A request for more output than the model writes comes after models that write so much."""
    row = judged(facts("a/x", max_output_tokens=100), signals=Signals(max_output_tokens=101))["a/x"].row()
    assert (row.status, row.reason) == ("demoted", "output_limit")


def test_max_cost_skips_the_dearer() -> None:
    """A candidate that is expected to cost more than the cap is skipped; one without a price is demoted."""
    items = judged(
        facts("a/cheap", usd=1e-6), facts("b/dear", usd=1e-3), facts("c/unknown", usd=None),
        terms=but(TERMS, max_cost_usd=0.01),
    )  # fmt: skip
    rows = {name: (item.row().status, item.row().reason) for name, item in items.items()}
    assert rows == {
        "a/cheap": ("kept", ""),
        "b/dear": ("skipped", "over_max_cost"),
        "c/unknown": ("demoted", "unknown_price"),
    }


def test_cached_input_is_cheaper() -> None:
    """What a pinned conversation has sent already costs the cached price, never more tokens than there are."""
    model = facts("a/x", usd=1e-6, cached_input_usd=1e-7)
    assert scoring.expected_cost_usd(model, 1000, 100, 800) == pytest.approx(200e-6 + 80e-6 + 100e-6)
    assert scoring.expected_cost_usd(model, 1000, 0, 5000) == pytest.approx(100e-6)
    assert scoring.expected_cost_usd(facts("a/x"), 1000, 0, 800) == pytest.approx(1000e-6)
    assert scoring.expected_cost_usd(facts("a/x", usd=None), 1, 1) is None
    thinks = facts("a/x", thinking_tokens=2000)
    assert scoring.expected_cost_usd(thinks, 1000, 100) == pytest.approx(1000e-6 + 2100e-6)


def test_quality_is_the_item_response_form() -> None:
    """Quality is availability x sigmoid(ability - difficulty), over the request's domains."""
    abilities = tuple(float(index) for index in range(len(DOMAINS)))
    mix = (0.5, 0.0, 0.0, 0.5, *(0.0,) * (len(DOMAINS) - 4))
    item = judged(
        replace(facts("a/x"), ability=abilities),
        difficulty=Difficulty(0.5, 1.0, mix), views={"a/x": but(WELL, availability=0.9)},
    )["a/x"]  # fmt: skip
    assert item.quality == pytest.approx(0.9 / (1 + math.exp(1.0 - 1.5)))


def test_extreme_difficulty_does_not_overflow() -> None:
    """A custom classifier's extreme logit gives quality 0 or 1, not an error."""
    assert judged(facts("a/x"), difficulty=replace(MIDDLING, logit=1e9))["a/x"].quality == pytest.approx(0)
    assert judged(facts("a/x"), difficulty=replace(MIDDLING, logit=-1e9))["a/x"].quality == pytest.approx(1)


def test_time_grows_with_load_and_failures() -> None:
    """Expected time is (TTFT + tokens x seconds per token) x load factor / availability."""
    view = but(WELL, in_flight=10, limit=20, availability=0.5)
    assert judged(facts("a/x"), views={"a/x": view})["a/x"].time_s == pytest.approx((1 + 3) * 1.5 / 0.5)


def test_quality_takes_the_best_and_breaks_near_ties_by_price() -> None:
    """`quality` takes the most capable; among those within 1% the cheaper."""
    pool = facts("a/best", 3.0, 1e-5), facts("b/near", 2.99, 1e-6), facts("c/less", 1.0, 1e-7)
    assert picked(judged(*pool, profile="quality"), "quality") == {"b/near"}
    assert picked(judged(pool[0], pool[2], profile="quality"), "quality") == {"a/best"}


def test_near_ties_without_any_price_share() -> None:
    """`quality` among equals of unknown price leaves it to chance."""
    items = judged(facts("a/x", usd=None), facts("b/y", usd=None), profile="quality")
    assert picked(items, "quality") == {"a/x", "b/y"}


def test_cost_takes_the_cheapest_that_can() -> None:
    """`cost` sends easy requests to the cheapest and hard ones to the cheapest above the floor."""
    pool = facts("a/strong", 3.0, 1e-5), facts("b/middle", 1.5, 1e-6), facts("c/small", -1.0, 1e-7)
    easy, hard = replace(MIDDLING, logit=-4.0), replace(MIDDLING, logit=0.0)
    assert picked(judged(*pool, profile="cost", difficulty=easy), "cost") == {"c/small"}
    items = judged(*pool, profile="cost", difficulty=hard)
    assert picked(items, "cost") == {"b/middle"}
    assert (items["c/small"].row().status, items["c/small"].row().reason) == ("demoted", "below_floor")


def test_speed_takes_the_fastest_that_can() -> None:
    """`speed` takes the smallest expected time among those above the floor."""
    views = {
        "a/slow": but(WELL, ttft_s=5),
        "b/fast": WELL,
        "c/weak": but(WELL, ttft_s=0.1, s_per_token=0.001),
    }
    pool = facts("a/slow", 3.0), facts("b/fast", 2.5), facts("c/weak", -3.0)
    assert picked(judged(*pool, profile="speed", views=views), "speed") == {"b/fast"}


def test_balanced_moves_up_with_difficulty() -> None:
    """`balanced` gives an easy request to a cheap model and a hard one to a strong model."""
    pool = facts("a/strong", 3.0, 1e-5), facts("b/cheap", 0.5, 5e-7)
    assert picked(judged(*pool, difficulty=replace(MIDDLING, logit=-4.0))) == {"b/cheap"}
    assert picked(judged(*pool, difficulty=replace(MIDDLING, logit=2.5))) == {"a/strong"}


def test_a_free_model_is_comparable() -> None:
    """A price of zero neither divides by zero nor beats everything."""
    items = judged(facts("a/free", -6.0, 0.0), facts("b/paid", 2.0, 1e-6), difficulty=replace(MIDDLING, logit=1.0))
    assert picked(items) == {"b/paid"}


def test_open_breakers_come_last_and_soonest_first() -> None:
    """Unhealthy candidates stay in the list, after every healthy one, soonest to reopen first."""
    opened = but(WELL, state="open", availability=0.2)
    items = judged(
        facts("a/later", 3), facts("b/sooner", 2), facts("c/well", -2),
        views={"a/later": but(opened, reopens_in_s=9.0), "b/sooner": but(opened, reopens_in_s=2.0)},
    )  # fmt: skip
    assert picked(items) == {"c/well"}
    order = scoring.fallbacks(items["c/well"], scoring.feasible_of([*items.values()]))
    assert [item.facts.name for item in order] == ["b/sooner", "a/later"]
    assert items["a/later"].row().reason == "breaker_open"


def test_a_full_model_waits() -> None:
    """A model with as much in flight as it bears comes after the others, whatever the preference, and is not lost."""
    full = but(WELL, in_flight=20, limit=20)
    items = judged(facts("a/full", 3), facts("b/idle", 2), profile="quality", views={"a/full": full})
    assert picked(items, "quality") == {"b/idle"}
    assert (items["a/full"].row().status, items["a/full"].row().reason) == ("demoted", "at_limit")
    assert picked(judged(facts("a/full", 3), views={"a/full": full})) == {"a/full"}


def test_nobody_healthy_still_gives_a_model() -> None:
    """Merely unhealthy is never a reason to refuse: the one that reopens first is the last resort."""
    opened = but(WELL, state="open")
    items = judged(
        facts("a/x", 3), facts("b/y"),
        views={"a/x": but(opened, reopens_in_s=9.0), "b/y": but(opened, reopens_in_s=1.0)},
    )  # fmt: skip
    assert picked(items) == {"b/y"}


def test_a_probe_is_judged_as_if_well() -> None:
    """A half-open model with a free probe is scored without its past failures; without one it waits."""
    half_open = but(WELL, state="half_open", availability=0.1, probe_free=True)
    pool = facts("a/back", 3.0), facts("b/well", 0.0)
    assert picked(judged(*pool, views={"a/back": half_open})) == {"a/back"}
    assert judged(*pool, views={"a/back": half_open})["a/back"].probe
    taken = but(half_open, probe_free=False)
    assert judged(*pool, views={"a/back": taken})["a/back"].row().reason == "probing"
    no_probes = judged(*pool, views={"a/back": half_open}, terms=but(TERMS, probes=False))
    assert picked(no_probes) == {"b/well"}


def test_equals_share_the_traffic() -> None:
    """Candidates within 5% of the best score share the traffic, and the choice follows the seed."""
    items = judged(facts("a/x"), facts("b/y"), facts("c/worse", usd=1e-5))
    equals = scoring.near_best(scoring.feasible_of([*items.values()]), BUILTIN_PROFILES["balanced"], 0.05)
    assert {item.facts.name for item in equals} == {"a/x", "b/y"}
    draws = [scoring.choose(equals, random.Random(seed).random).facts.name for seed in range(50)]
    assert draws == [scoring.choose(equals, random.Random(seed).random).facts.name for seed in range(50)]
    assert set(draws) == {"a/x", "b/y"}
    assert scoring.choose(equals[:1], random.random) is equals[0]


def test_fallbacks_change_the_provider_when_scores_are_close() -> None:
    """A close candidate of another provider goes before one that shares the failed provider, a far one does not."""
    items = judged(
        facts("a/pick", 2.0), facts("a/same", 2.0), facts("b/close", 1.9), facts("c/far", -3.0), profile="balanced"
    )
    order = [item.facts.name for item in scoring.fallbacks(items["a/pick"], scoring.feasible_of([*items.values()]))]
    assert order == ["b/close", "a/same", "c/far"]
    order = [item.facts.name for item in scoring.fallbacks(items["c/far"], scoring.feasible_of([*items.values()]))]
    assert order[0] in {"a/pick", "a/same"}


def test_nothing_feasible() -> None:
    """With every candidate skipped nobody is best."""
    items = judged(facts("a/x", supports={"image": False}), signals=Signals(needs=frozenset({"image"})))
    assert picked(items) == set()
    assert scoring.feasible_of([*items.values()]) == []


def test_staying_is_worth_it_within_the_margin() -> None:
    """A conversation stays unless another model is better by more than the margin, or its own is under the floor."""
    items = judged(facts("a/best", 2.0), facts("b/near", 1.9))
    best, near = items["a/best"], items["b/near"]
    assert scoring.worth_staying(near, best, 0.15, tie=0)
    assert not scoring.worth_staying(near, best, 0.001, tie=0)
    below = judged(facts("a/strong", 3.0, 1e-5), facts("b/small", -2.0, 1e-7), profile="cost")
    assert not scoring.worth_staying(below["b/small"], below["a/strong"], 0.15, tie=0)


def test_staying_under_a_tie_looks_at_what_it_costs() -> None:
    """A profile that ignores costs but for ties leaves a dear model for a nearly as good one that is cheaper."""
    items = judged(facts("a/dear", 2.0, 1e-5), facts("b/near", 1.99, 1e-6), profile="quality")
    assert scoring.worth_staying(items["a/dear"], items["b/near"], 0.15, tie=0)
    assert not scoring.worth_staying(items["a/dear"], items["b/near"], 0.15, tie=0.01)
    assert scoring.worth_staying(items["b/near"], items["a/dear"], 0.15, tie=0.01)


def test_the_rate_weighs_the_lost_cache_against_the_rest() -> None:
    """A move pays the whole prompt once; the longer the conversation goes on, the less that weighs."""
    cached = replace(facts("a/dear", 2.0, 1e-5), cached_input_usd=1e-6, output_usd=0.0)
    cheap = replace(facts("b/cheap", 2.0, 4e-6), cached_input_usd=4e-7, output_usd=0.0)
    once, long = scoring.Terms(output_tokens=0), scoring.Terms(output_tokens=0, further=9)
    stay_usd = scoring.expected_cost_usd(cached, 10_000, 0, 10_000)
    move_usd = scoring.expected_cost_usd(cheap, 10_000, 0)
    assert scoring.rate_usd(cached, 10_000, once, stay_usd) == stay_usd == pytest.approx(0.01)
    assert scoring.rate_usd(cheap, 10_000, once, move_usd) == move_usd == pytest.approx(0.04)
    assert scoring.rate_usd(cached, 10_000, long, stay_usd) == pytest.approx(0.01)
    assert scoring.rate_usd(cheap, 10_000, long, move_usd) == pytest.approx((0.04 + 9 * 0.004) / 10)
    assert scoring.rate_usd(cheap, 10_000, long, None) is None


def test_anthropic_caches_only_what_is_marked() -> None:
    """Without `cache_control` its models read everything at the full price, whatever the pin says."""
    claude = replace(facts("anthropic/m", 2.0, 1e-5), cached_input_usd=1e-6)
    assert scoring.caches(claude, marked=True)
    assert not scoring.caches(claude, marked=False)
    assert not scoring.caches(replace(claude, cached_input_usd=None), marked=True)
    assert scoring.caches(replace(claude, provider="openai"), marked=False)


@pytest.mark.parametrize(
    "wrong",
    [
        replace(MIDDLING, level=1.5),
        replace(MIDDLING, logit=math.nan),
        replace(MIDDLING, domains=(1.0,)),
        replace(MIDDLING, domains=(0.9,) * len(DOMAINS)),
    ],
)
def test_wrong_difficulties_are_refused(wrong: Difficulty) -> None:
    """A custom classifier's answer that cannot be scored with is refused."""
    with pytest.raises(ValueError, match=r"level|domains"):
        scoring.check_difficulty(wrong)
    scoring.check_difficulty(MIDDLING)
