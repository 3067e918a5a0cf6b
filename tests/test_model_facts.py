"""A candidate's facts: which source each one comes from, and what stays unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from ofox_middleware.abilities import (
    ABILITY_INTERCEPT,
    ABILITY_SLOPE,
    MEAN_GAP,
    ability_from_share,
    expected,
)
from ofox_middleware.catalog import Catalog
from ofox_middleware.types import DOMAINS
from tests.catalogue import facts, make, z


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """The invented catalogue."""
    return make(tmp_path)


# -- prices, windows, capabilities


def test_facts_come_from_the_map(catalog: Catalog) -> None:
    """Price, window and capabilities of a name that the map knows."""
    got = facts(catalog, "openai/gpt-8")
    assert (got.input_usd, got.output_usd, got.cached_input_usd) == (2e-6, 8e-6, 5e-7)
    assert (got.max_input_tokens, got.max_output_tokens) == (400_000, 64_000)
    assert got.supports == {"image": True, "tools": True, "reasoning": True}
    assert (got.name, got.model, got.provider) == ("openai/gpt-8", "openai/gpt-8", "openai")


def test_the_card_wins_over_the_map(catalog: Catalog) -> None:
    """Every stated fact replaces the catalogue's, also a zero and a no."""
    got = facts(
        catalog,
        "openai/gpt-8",
        input_cost_per_token=0.0,
        output_cost_per_token=1e-6,
        cache_read_input_token_cost=0.0,
        max_input_tokens=1000,
        max_output_tokens=100,
        supports_vision=False,
        supports_logprobs=True,
        provider="mine",
    )
    assert (got.input_usd, got.output_usd, got.cached_input_usd) == (0.0, 1e-6, 0.0)
    assert (got.max_input_tokens, got.max_output_tokens) == (1000, 100)
    assert got.supports == {"image": False, "tools": True, "reasoning": True, "logprobs": True}
    assert got.provider == "mine"


def test_what_nobody_knows_stays_unknown(catalog: Catalog) -> None:
    """An unknown model has no price, no window and no capability, and an ability and a speed that say so."""
    got = facts(catalog, "my/model")
    assert (got.input_usd, got.output_usd, got.cached_input_usd) == (None, None, None)
    assert (got.max_input_tokens, got.max_output_tokens) == (None, None)
    assert got.supports == {}
    assert got.ability == (ABILITY_INTERCEPT,) * len(DOMAINS)
    assert (got.ability_source, got.speed_source) == ("unknown", "unknown")
    assert (got.ttft_s, got.s_per_token) == (1.4, pytest.approx(1 / 90))


def test_a_card_of_its_own_needs_no_catalogue(catalog: Catalog) -> None:
    """The README's example: everything stated, nothing looked up."""
    got = facts(
        catalog,
        "my/model",
        input_cost_per_token=1e-6,
        output_cost_per_token=2e-6,
        max_input_tokens=32000,
        supports_vision=False,
        ability=0.6,
        ttft_s=0.4,
        tokens_per_s=80,
    )
    assert got.ability == (ability_from_share(0.6),) * len(DOMAINS)
    assert (got.ability_source, got.speed_source) == ("card", "card")
    assert (got.ttft_s, got.s_per_token) == (0.4, 1 / 80)
    assert got.supports == {"image": False}


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("gpt-8", "openai"),
        ("google/gemini-9-flash-preview", "google"),
        ("groq/meta/llama-9-70b", "groq"),
        ("mine", "mine"),
    ],
)
def test_the_provider_is_the_prefix_or_the_maps(catalog: Catalog, name: str, provider: str) -> None:
    """A bare name takes the map's provider; a name that nobody knows shares its provider with no other."""
    assert facts(catalog, name).provider == provider


def test_the_list_price_fills_in_for_a_map_without_one(catalog: Catalog) -> None:
    """A host listed without a price is taken at the model's list price."""
    assert facts(catalog, "hosted/gpt-8").input_usd == 2e-6


def test_a_subscription_has_no_price_per_token(catalog: Catalog) -> None:
    """Copilot bills by the month: a list price would be wrong, so it stays unknown."""
    got = facts(catalog, "github_copilot/gpt-8")
    assert (got.input_usd, got.output_usd, got.ability_source) == (None, None, "measured")


# -- ability


def test_a_measured_model_has_its_row(catalog: Catalog) -> None:
    """The row's ability per domain, shrunk, less what its API's default effort costs, in logits."""
    got = facts(catalog, "openai/gpt-8", params={"reasoning_effort": "max"})
    assert got.ability_source == "measured"
    assert z(got.ability[0]) == pytest.approx(1.0 + 0.3 * 9 / 12, abs=0.01)
    assert z(got.ability[6]) == pytest.approx(1.0 - 0.6 * 3 / 6, abs=0.01)
    assert z(got.ability[7]) == pytest.approx(1.0, abs=0.01)


def test_without_a_stated_effort_the_apis_default_counts(catalog: Catalog) -> None:
    """A model whose API does not reason unless asked is as able as its non-reasoning variant."""
    by_default = facts(catalog, "openai/gpt-8")
    none = facts(catalog, "gpt-8@none", model="openai/gpt-8", params={"reasoning_effort": "none"})
    most = facts(catalog, "gpt-8@max", model="openai/gpt-8", params={"reasoning_effort": "max"})
    assert by_default.ability == none.ability
    assert z(most.ability[7]) - z(none.ability[7]) == pytest.approx(0.5)


def test_each_step_of_effort_adds_ability(catalog: Catalog) -> None:
    """Cards of one model rank by their effort in every domain."""
    words = ["none", "minimal", "low", "medium", "high", "max"]
    means = [
        sum(facts(catalog, f"gpt-8@{word}", model="openai/gpt-8", params={"reasoning_effort": word}).ability)
        for word in words
    ]
    assert means == sorted(means)
    assert len(set(means)) == len(means)


def test_a_reasoning_model_without_a_gap_loses_the_mean_one(catalog: Catalog) -> None:
    """Known to reason, never measured without: the mean of those that were."""
    full = facts(catalog, "anthropic/claude-lyric-7-5")
    off = facts(catalog, "off", model="anthropic/claude-lyric-7-5", params={"thinking": {"type": "disabled"}})
    assert z(full.ability[0]) - z(off.ability[0]) == pytest.approx(MEAN_GAP)


def test_a_thin_row_ends_at_the_frontier(catalog: Catalog) -> None:
    """One score far above everybody is an extrapolation: it is clipped to the best that is well supported."""
    assert facts(catalog, "anthropic/claude-lyric-9").ability == (1.5 * ABILITY_SLOPE + ABILITY_INTERCEPT,) * len(
        DOMAINS
    )


def test_an_unmeasured_model_is_judged_by_price_and_date(catalog: Catalog) -> None:
    """The date is the card's, else the tables', else the one in its name; the source says what there was."""
    tabled = facts(catalog, "nobody/nobody-1")
    assert (tabled.ability_source, z(tabled.ability[1])) == (
        "price_and_date",
        pytest.approx(expected(1.0, "2025-07-02")[1][1]),
    )
    carded = facts(catalog, "mistral/mistral-tiny-9", release_date="2026-07-02")
    assert (carded.ability_source, z(carded.ability[1])) == (
        "price_and_date",
        pytest.approx(expected(0.1, "2026-07-02")[1][1]),
    )
    priced = facts(catalog, "mistral/mistral-tiny-9")
    assert (priced.ability_source, z(priced.ability[1])) == ("price", pytest.approx(expected(0.1, "")[0]))
    dated = facts(catalog, "my/model-2026-07-02")
    assert (dated.ability_source, z(dated.ability[1])) == ("date", pytest.approx(expected(None, "2026-07-02")[0]))


def test_a_stated_price_feeds_the_formula(catalog: Catalog) -> None:
    """The operator's price says what the operator pays for: dearer means abler."""
    cheap = facts(catalog, "my/model", input_cost_per_token=1e-7, output_cost_per_token=1e-7)
    dear = facts(catalog, "my/model", input_cost_per_token=1e-5, output_cost_per_token=1e-5)
    assert cheap.ability_source == dear.ability_source == "price"
    assert dear.ability > cheap.ability


def test_a_price_of_one_side_only_is_no_price(catalog: Catalog) -> None:
    """The formula needs input and output."""
    assert facts(catalog, "my/model", input_cost_per_token=1e-6).ability_source == "unknown"


def test_a_card_states_ability_per_domain(catalog: Catalog) -> None:
    """One share a domain, the others at their mean; an empty table states nothing; a slip is refused."""
    got = facts(catalog, "openai/gpt-8", ability={"code": 0.9, "math": 0.5})
    assert got.ability_source == "card"
    assert got.ability[0] == ability_from_share(0.9)
    assert got.ability[7] == ability_from_share(0.7)
    assert facts(catalog, "openai/gpt-8", ability={}).ability_source == "measured"
    with pytest.raises(ValueError, match="unknown ability domain: sql"):
        facts(catalog, "openai/gpt-8", ability={"sql": 0.9})


def test_a_mode_in_the_name_is_an_effort_of_the_model(catalog: Catalog) -> None:
    """``-thinking`` is the same weights at full effort, where the API would not think by default."""
    thinking = facts(catalog, "groq/gpt-8-thinking")
    assert thinking.ability_source == "measured"
    assert sum(thinking.ability) > sum(facts(catalog, "openai/gpt-8").ability)


# -- speed


def test_speed_is_that_of_the_effort(catalog: Catalog) -> None:
    """Thinking time is most of a first token's wait: each effort has its own measurement."""
    none = facts(catalog, "openai/gpt-8")
    high = facts(catalog, "high", model="openai/gpt-8", params={"reasoning_effort": "high"})
    most = facts(catalog, "max", model="openai/gpt-8", params={"reasoning_effort": "max"})
    assert [none.ttft_s, high.ttft_s, most.ttft_s] == [0.8, 20.0, 120.0]
    assert none.s_per_token == 1 / 100
    assert none.speed_source == "measured"


def test_an_effort_that_nobody_timed_takes_the_makers_first_token(catalog: Catalog) -> None:
    """A wait measured at the very top, or without thinking, says nothing of the usual effort; the rate still does."""
    low = facts(catalog, "low", model="openai/gpt-8", params={"reasoning_effort": "low"})
    assert (low.ttft_s, low.s_per_token, low.speed_source) == (7.0, 1 / 80, "maker")
    usual = facts(catalog, "anthropic/claude-lyric-7-5")
    assert (usual.ttft_s, usual.s_per_token, usual.speed_source) == (8.0, 1 / 50, "maker")


def test_other_efforts_bound_the_makers_first_token(catalog: Catalog) -> None:
    """At less effort a model waits no longer than at the top, and at more no shorter than at the bottom."""
    quick = facts(catalog, "openai/gpt-8-quick", params={"reasoning_effort": "medium"}, supports_reasoning=True)
    assert (quick.ttft_s, quick.speed_source) == (3.0, "maker")
    slow = facts(catalog, "openai/gpt-8-slow", params={"reasoning_effort": "medium"}, supports_reasoning=True)
    assert (slow.ttft_s, slow.speed_source) == (12.0, "maker")


def test_a_model_that_does_not_reason_has_one_speed(catalog: Catalog) -> None:
    """Nothing says that it thinks, so its one measurement stands."""
    got = facts(catalog, "together_ai/meta/Llama-9-70B-Instruct")
    assert (got.ttft_s, got.s_per_token, got.speed_source) == (0.9, 1 / 90, "measured")


@pytest.mark.parametrize(
    ("name", "ttft_s", "tokens_per_s", "source"),
    [
        ("openai/gpt-77", 0.9, 110.0, "maker"),
        ("mistral/mistral-tiny-9", 1.4, 90.0, "unknown"),
        ("azure/phi-9", 1.4, 90.0, "unknown"),
        ("nobody/nobody-1", 1.4, 90.0, "unknown"),
    ],
)
def test_an_untimed_model_takes_its_makers_median(
    catalog: Catalog, name: str, ttft_s: float, tokens_per_s: float, source: str
) -> None:
    """The maker's, where it has one, else the median over everybody."""
    got = facts(catalog, name)
    assert (got.ttft_s, got.s_per_token, got.speed_source) == (ttft_s, pytest.approx(1 / tokens_per_s), source)


@pytest.mark.parametrize(("name", "tokens_per_s"), [("groq/gpt-oss-9", 500.0), ("groq/meta/llama-9-70b", 500.0)])
def test_a_fast_host_is_never_judged_by_the_usual_medians(catalog: Catalog, name: str, tokens_per_s: float) -> None:
    """What the host advertises counts there and nowhere else; its first token is unknown."""
    got = facts(catalog, name)
    assert (got.s_per_token, got.ttft_s, got.speed_source) == (1 / tokens_per_s, 1.5, "advertised")


def test_a_card_states_one_speed_and_keeps_the_other(catalog: Catalog) -> None:
    """Either number may be stated alone."""
    got = facts(catalog, "openai/gpt-8", ttft_s=0.2)
    assert (got.ttft_s, got.s_per_token, got.speed_source) == (0.2, 1 / 100, "card")
    got = facts(catalog, "openai/gpt-8", tokens_per_s=10)
    assert (got.ttft_s, got.s_per_token, got.speed_source) == (0.8, 1 / 10, "card")
