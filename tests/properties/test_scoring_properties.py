"""What holds of scoring for every pool."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from ofox_middleware import scoring
from ofox_middleware.cards import ModelFacts
from ofox_middleware.scoring import Assessed, Terms
from ofox_middleware.settings import BUILTIN_PROFILES
from ofox_middleware.types import DOMAINS, Difficulty, HealthView, Signals

abilities = st.floats(-6, 6)
prices = st.floats(0, 1e-3)
views = st.builds(
    HealthView,
    state=st.sampled_from(["closed", "open", "half_open"]),
    ttft_s=st.floats(0.05, 120),
    s_per_token=st.floats(1e-4, 1),
    in_flight=st.integers(0, 500),
    limit=st.floats(1, 200),
    availability=st.floats(0, 1),
    reopens_in_s=st.floats(0, 300),
    probe_free=st.booleans(),
)
difficulties = st.builds(
    Difficulty,
    st.just(0.5),
    st.floats(-6, 6),
    st.sampled_from([tuple(float(i == j) for i in range(8)) for j in range(8)]),
)
pools = st.lists(st.tuples(abilities, prices, views), min_size=1, max_size=8)
profiles = st.sampled_from(sorted(BUILTIN_PROFILES))


def judge(pool: list[tuple[float, float, HealthView]], difficulty: Difficulty, profile: str) -> list[Assessed]:
    models = [
        ModelFacts(f"m{i}", f"m{i}", f"p{i % 3}", input_usd=usd, output_usd=usd, ability=(ability,) * len(DOMAINS))
        for i, (ability, usd, _) in enumerate(pool)
    ]
    assessed = scoring.assess(
        models, [view for _, _, view in pool], Signals(input_tokens=100), difficulty, Terms(output_tokens=300)
    )
    scoring.score(assessed, BUILTIN_PROFILES[profile])
    return assessed


@given(pools, difficulties, profiles)
def test_everything_is_finite_and_in_range(
    pool: list[tuple[float, float, HealthView]], difficulty: Difficulty, profile: str
) -> None:
    """Quality is 0..1, time positive and every score a number, whatever health and prices are."""
    for item in judge(pool, difficulty, profile):
        assert 0 <= item.quality <= 1
        assert item.time_s > 0
        assert math.isfinite(item.score)


@given(pools, difficulties, profiles)
def test_ranking_holds_every_candidate_once(
    pool: list[tuple[float, float, HealthView]], difficulty: Difficulty, profile: str
) -> None:
    """The pick and its fallbacks are the whole feasible pool, each once, and healthy ones go first."""
    assessed = judge(pool, difficulty, profile)
    pick = scoring.near_best(assessed, BUILTIN_PROFILES[profile], 0.05)[0]
    ranking = [pick, *scoring.fallbacks(pick, assessed)]
    assert sorted(item.facts.name for item in ranking) == sorted(item.facts.name for item in assessed)
    healthy = [item.healthy for item in ranking]
    assert healthy == sorted(healthy, reverse=True)


@given(pools, st.tuples(abilities, prices, views), difficulties)
def test_a_third_model_never_turns_two_others_round(
    pool: list[tuple[float, float, HealthView]], third: tuple[float, float, HealthView], difficulty: Difficulty
) -> None:
    """Adding a model leaves the difference of two others' scores as it was."""
    before = judge(pool, difficulty, "balanced")
    after = judge([*pool, third], difficulty, "balanced")
    for one, other in zip(before[1:], after[1:], strict=False):
        assert math.isclose(one.score - before[0].score, other.score - after[0].score, abs_tol=1e-9)


@given(abilities, st.floats(0.01, 3), prices, views, difficulties, profiles)
def test_abler_is_never_worse(
    ability: float, gain: float, usd: float, view: HealthView, difficulty: Difficulty, profile: str
) -> None:
    """Of two models alike in all else the abler has at least the score of the other."""
    lesser, abler = judge([(ability, usd, view), (ability + gain, usd, view)], difficulty, profile)
    assert abler.score >= lesser.score


@given(abilities, st.floats(1e-9, 1e-3), st.floats(1.01, 100), views, difficulties, profiles)
def test_dearer_is_never_better(
    ability: float, usd: float, factor: float, view: HealthView, difficulty: Difficulty, profile: str
) -> None:
    """Of two models alike in all else the dearer has at most the score of the other."""
    cheaper, dearer = judge([(ability, usd, view), (ability, usd * factor, view)], difficulty, profile)
    assert dearer.score <= cheaper.score
