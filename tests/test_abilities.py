"""What a model can do: formulas, how thin evidence is held back, and what reasoning effort is worth."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ofox_middleware.abilities import (
    ABILITY_INTERCEPT,
    ABILITY_SLOPE,
    BY_DOMAIN,
    DATE_ONLY,
    EFFORT_SHARE,
    MEAN_GAP,
    OVERALL,
    PRICE_ONLY,
    SMALL_PENALTY,
    ability_from_share,
    clipped,
    effort_share,
    expected,
    lost_without,
    measured,
    stated_abilities,
    stated_effort,
    to_logits,
    years_from_middle,
)
from ofox_middleware.tables import Row
from ofox_middleware.types import DOMAINS

MIDDLE = "2025-07-02"


def test_a_share_becomes_its_logit() -> None:
    """A person's share of requests answered well is the probability on a request of difficulty 0."""
    assert ability_from_share(0.5) == pytest.approx(0.0)
    assert ability_from_share(0.8) == pytest.approx(math.log(4))
    assert 1 / (1 + math.exp(-ability_from_share(0.37))) == pytest.approx(0.37)


@pytest.mark.parametrize(("share", "held"), [(0.0, 0.005), (-3, 0.005), (1.0, 0.995), (60, 0.995)])
def test_a_share_at_the_end_is_held(share: float, held: float) -> None:
    """Nobody answers everything or nothing: certainty would silence every other axis."""
    assert ability_from_share(share) == pytest.approx(ability_from_share(held))


def test_one_stated_number_counts_in_every_domain() -> None:
    """A single share is the ability everywhere."""
    assert stated_abilities(0.8) == (pytest.approx(math.log(4)),) * len(DOMAINS)


def test_domains_left_out_take_the_mean_of_those_given() -> None:
    """The mean is taken of the shares, as a person would."""
    abilities = stated_abilities({"code": 0.9, "math": 0.5})
    assert abilities is not None
    assert abilities[DOMAINS.index("code")] == pytest.approx(ability_from_share(0.9))
    assert abilities[DOMAINS.index("math")] == pytest.approx(0.0)
    assert abilities[DOMAINS.index("vision")] == pytest.approx(ability_from_share(0.7))


def test_no_domain_at_all_states_nothing() -> None:
    """An empty table leaves the ability to the catalogue."""
    assert stated_abilities({}) is None


def test_a_domain_that_does_not_exist_is_refused_by_name() -> None:
    """A slip in the configuration is said, with what could have been meant."""
    with pytest.raises(ValueError, match="unknown ability domain: coding; known: code, math"):
        stated_abilities({"coding": 0.9})


def test_logits_scale_the_standard_normal() -> None:
    """The mean model lies at the intercept, one standard deviation is the slope."""
    assert to_logits((0.0, 1.0, -1.0)) == (
        ABILITY_INTERCEPT,
        ABILITY_INTERCEPT + ABILITY_SLOPE,
        ABILITY_INTERCEPT - ABILITY_SLOPE,
    )


@pytest.mark.parametrize(
    ("released", "years"),
    [("2025-07-02", 0.0), ("2026-07-02", 1.0), ("2024-01-01", -1.5), ("", None), ("soon", None), ("2025", None)],
)
def test_dates_count_from_the_middle_of_2025(released: str, years: float | None) -> None:
    """The formulas' own origin; anything but an ISO date is no date."""
    got = years_from_middle(released)
    assert got == (None if years is None else pytest.approx(years, abs=0.01))


def test_price_and_date_follow_the_published_line() -> None:
    """At one dollar in mid-2025 the line is at its constants; ten times the price and a year add their slopes."""
    overall, domains, source, spread = expected(1.0, MIDDLE)
    assert (overall, source, spread) == (pytest.approx(OVERALL[0], abs=0.01), "price_and_date", 0.36)
    assert domains == pytest.approx([const for const, _, _ in BY_DOMAIN], abs=0.01)
    dearer, by_domain, _, _ = expected(10.0, MIDDLE)
    assert dearer - overall == pytest.approx(OVERALL[1])
    assert by_domain[1] - domains[1] == pytest.approx(BY_DOMAIN[1][1])
    newer, _, _, surer = expected(1.0, "2026-07-02")
    assert newer - overall == pytest.approx(OVERALL[2], abs=0.01)
    assert surer == 0.25


def test_the_price_alone_says_less() -> None:
    """Without a date the price-only line counts, the same in every domain, and with twice the spread."""
    overall, domains, source, spread = expected(10.0, "")
    assert overall == pytest.approx(PRICE_ONLY[0] + PRICE_ONLY[1])
    assert set(domains) == {overall}
    assert (source, spread) == ("price", 0.68)


@pytest.mark.parametrize("price", [None, 0.0, -1.0])
def test_the_date_alone_counts_where_there_is_no_price(price: float | None) -> None:
    """A price of nothing says nothing about ability."""
    overall, domains, source, _ = expected(price, "2026-07-02")
    assert overall == pytest.approx(DATE_ONLY[0] + DATE_ONLY[1], abs=0.01)
    assert (set(domains), source) == ({overall}, "date")


def test_nothing_known_is_the_middle() -> None:
    """A model of which nothing is known is taken as the mean one, and said to be unknown."""
    assert expected(None, "") == (0.0, (0.0,) * 8, "unknown", 1.0)


def test_the_line_is_held_flat_beyond_the_prices_it_was_fitted_on() -> None:
    """A price of a thousand dollars, or of a hundredth of a cent, is no better evidence than the last one seen."""
    assert expected(1000.0, MIDDLE)[0] == expected(75.0, MIDDLE)[0]
    assert expected(1e-6, MIDDLE)[0] == expected(0.02, MIDDLE)[0]


@pytest.mark.parametrize(
    ("price", "name", "docked"), [(0.2, "x/llama-8b", True), (0.2, "x/llama-70b", False), (2.0, "x/llama-8b", False)]
)
def test_a_small_open_model_lies_under_the_line(price: float, name: str, docked: bool) -> None:
    """Cheap and dense and small: below the line by the middle of what was seen."""
    for released in (MIDDLE, ""):
        plain, named = expected(price, released), expected(price, released, name)
        assert plain[0] - named[0] == pytest.approx(SMALL_PENALTY if docked else 0.0)
        assert plain[1][0] - named[1][0] == pytest.approx(SMALL_PENALTY if docked else 0.0)


@pytest.mark.parametrize("released", [MIDDLE, ""])
def test_a_small_open_model_without_a_price_lies_lower_too(released: str) -> None:
    """A local 8B is no average model, whatever else is unknown of it."""
    plain, named = expected(None, released), expected(0.0, released, "ollama/thing-8b")
    assert plain[0] - named[0] == pytest.approx(SMALL_PENALTY)
    assert plain[2] == named[2]


def row(**facts: Any) -> Row:
    defaults: dict[str, Any] = {
        "key": "x/model",
        "usd": (1.0, 1.0),
        "released": "2026-07-02",
        "g": 1.0,
        "se": 0.03,
        "n": 50,
    }
    return Row(**{**defaults, **facts})


def test_a_row_without_scores_is_not_measured() -> None:
    """A model that is only listed has no ability of its own."""
    assert measured(row(g=None)) is None


def test_many_scores_stand_for_themselves() -> None:
    """With a small standard error price and date move nothing to speak of."""
    abilities = measured(row(se=0.03))
    assert abilities is not None
    assert abilities == pytest.approx([1.0] * 8, abs=0.02)


def test_one_score_is_drawn_half_way_to_what_price_and_date_say() -> None:
    """Equal precision, equal weight: a single arena row does not make a cheap model a frontier one."""
    guess = expected(1.0, "2026-07-02")[0]
    abilities = measured(row(g=2.0, se=0.25, n=1))
    assert abilities is not None
    assert abilities[0] == pytest.approx((2.0 + guess) / 2)


def test_a_thin_row_without_price_and_date_is_left_as_it_is() -> None:
    """There is nothing to draw it to, and a standard error of zero is none."""
    assert measured(row(g=2.0, se=0.25, usd=None, released="")) == (2.0,) * 8
    assert measured(row(g=2.0, se=0.0)) == (2.0,) * 8


def test_a_domain_counts_by_the_series_behind_it() -> None:
    """The offset from the overall ability is shrunk by n / (n + 3)."""
    abilities = measured(row(se=0.0, offsets=(0.4, -0.8) + (0.0,) * 6, counts=(1, 9) + (0,) * 6))
    assert abilities is not None
    assert abilities[:3] == pytest.approx((1.0 + 0.4 * 1 / 4, 1.0 - 0.8 * 9 / 12, 1.0))


def test_nothing_lies_above_the_frontier_or_below_the_floor() -> None:
    """Extrapolations end at the best well-supported ability of their domain."""
    assert clipped((9.0, 1.0, -9.0), (1.5, 1.5, 1.5)) == (1.5, 1.0, -3.0)


@pytest.mark.parametrize(
    ("params", "effort"),
    [
        ({"reasoning_effort": "low"}, "low"),
        ({"reasoning_effort": {"effort": "medium", "summary": "auto"}}, "medium"),
        ({"reasoning": {"effort": "xhigh"}}, "xhigh"),
        ({"output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "between_tools"}}, "none"),
        ({"thinking": {"type": "adaptive"}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 16000}}, "high"),
        ({"reasoning_effort": "extreme"}, None),
        ({"reasoning_effort": 3, "thinking": "yes"}, None),
        ({"temperature": 0}, None),
        ({}, None),
    ],
)
def test_every_way_of_asking_for_effort_is_read(params: dict[str, Any], effort: str | None) -> None:
    """OpenAI's, the Responses API's and Anthropic's parameters say the same thing; nonsense says nothing."""
    assert stated_effort(params) == effort


def test_more_effort_is_never_worth_less() -> None:
    """From nothing to everything, in the order of the words."""
    words = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    shares = [EFFORT_SHARE[word] for word in words]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_effort_is_said_by_the_card_then_the_name_then_the_map_then_the_table() -> None:
    """The nearer source wins; where none speaks, nothing is assumed."""
    says_low, by_default = {"reasoning_effort": "low"}, {"default_reasoning_effort": "minimal"}
    known = row(effort="medium")
    assert effort_share(says_low, "x-non-reasoning", by_default, known) == EFFORT_SHARE["low"]
    assert effort_share({}, "x-non-reasoning", by_default, known) == EFFORT_SHARE["none"]
    assert effort_share({}, "x", by_default, known) == EFFORT_SHARE["minimal"]
    assert effort_share({}, "x", {"default_reasoning_effort": "odd"}, known) == EFFORT_SHARE["medium"]
    assert effort_share({}, "x", {"default_reasoning_effort": 3}, row()) is None
    assert effort_share({}, "x", {}, None) is None


def test_a_model_that_always_thinks_cannot_be_told_not_to() -> None:
    """Asking it for no reasoning gets a little; asking for much gets much."""
    always = {"thinking_always_on": True}
    assert effort_share({"reasoning_effort": "none"}, "x", always, None) == EFFORT_SHARE["low"]
    assert effort_share({"reasoning_effort": "max"}, "x", always, None) == 1.0


def test_effort_costs_its_share_of_the_measured_gap() -> None:
    """No reasoning loses the whole gap, the best variant none of it, and the way between is straight."""
    measured_both_ways = row(gap=0.8)
    assert lost_without(0.0, measured_both_ways, reasons=True) == pytest.approx(0.8)
    assert lost_without(1.0, measured_both_ways, reasons=True) == 0.0
    assert lost_without(0.5, measured_both_ways, reasons=False) == pytest.approx(0.4)
    assert lost_without(None, measured_both_ways, reasons=True) == 0.0


def test_the_mean_gap_stands_in_for_a_model_known_to_reason() -> None:
    """Without a measured gap a reasoning model loses the mean one, and another nothing."""
    assert lost_without(0.0, row(), reasons=True) == MEAN_GAP
    assert lost_without(0.0, None, reasons=True) == MEAN_GAP
    assert lost_without(0.0, row(), reasons=False) == 0.0
