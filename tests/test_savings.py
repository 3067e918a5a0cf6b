"""What one answered request adds to the ledger of savings; :mod:`tests.test_decision_store` has the sums."""

from __future__ import annotations

import json

import pytest

from ofox_middleware.savings import Savings, price
from tests.decision_tools import CHEAP, MIDDLE, UNPRICED, answered, decision


def test_the_middle_model_is_below_the_strongest_and_above_the_cheapest() -> None:
    """A request is priced on who answered, on the strongest candidate and on the cheapest."""
    priced = price(answered(decision()))
    assert priced is not None
    assert priced.spent_usd == pytest.approx(1000 * 2e-6 + 100 * 1e-5)
    assert priced.strongest_usd == pytest.approx(1000 * 1e-5 + 100 * 1e-4)
    assert priced.cheapest_usd == pytest.approx(1000 * 1e-7 + 100 * 1e-6)


def test_a_fallback_to_the_strongest_is_entered_at_its_own_price() -> None:
    """Who answered is priced, not who was picked, so a saving can be nothing."""
    priced = price(answered(decision(), "north/titan"))
    assert priced is not None and priced.spent_usd == priced.strongest_usd == pytest.approx(0.02)


def test_seen_output_tokens_replace_the_estimate_for_every_candidate() -> None:
    """A longer answer than expected is priced at its real length, on the baselines too."""
    priced = price(answered(decision(), output_tokens=1000))
    assert priced is not None
    assert priced.spent_usd == pytest.approx(1000 * 2e-6 + 1000 * 1e-5)
    assert priced.strongest_usd == pytest.approx(1000 * 1e-5 + 1000 * 1e-4)


def test_an_unknown_price_is_not_guessed() -> None:
    """A request answered by a model without a price has no row; one that a priced model answered has."""
    assert price(answered(decision("one", UNPRICED, CHEAP))) is None
    assert price(answered(decision("one", MIDDLE, UNPRICED))) is not None


def test_savings_are_signed_and_plain_json() -> None:
    """Saved against the strongest is positive, against the cheapest negative, and the ledger serialises as JSON."""
    ledger = Savings(1, 0, spent_usd=0.003, strongest_usd=0.02, cheapest_usd=0.0002, by_model={"b": (1, 0.003)})
    told = json.loads(json.dumps(ledger.to_dict()))
    assert told["against_strongest_usd"] == pytest.approx(0.017)
    assert told["against_cheapest_usd"] == pytest.approx(-0.0028)
    assert told["by_model"] == {"b": {"requests": 1, "spent_usd": 0.003}}
