"""The decision log and the savings ledger."""

from __future__ import annotations

import json

import pytest

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Candidate, Decision, Outcome
from ofox_middleware.telemetry import DecisionLog
from ofox_middleware.types import DOMAINS, Difficulty

STRONG = ModelFacts("north/titan", "north/titan", "north", input_usd=1e-5, output_usd=1e-4)
MIDDLE = ModelFacts("river/oracle", "river/oracle", "river", input_usd=2e-6, output_usd=1e-5)
CHEAP = ModelFacts("pebble/mini", "pebble/mini", "pebble", input_usd=1e-7, output_usd=1e-6)
UNPRICED = ModelFacts("my/model", "my/model", "my")
QUALITY = {"north/titan": 0.95, "river/oracle": 0.8, "pebble/mini": 0.4, "my/model": 0.99}


def decision(name: str = "one", *facts: ModelFacts) -> Decision:
    """A decision for 1000 tokens in and 100 out over ``facts``, the first being the pick."""
    pool = facts or (MIDDLE, STRONG, CHEAP)
    return Decision(
        id=name,
        model=pool[0].name,
        ranking=tuple(item.name for item in pool),
        reason="best",
        preference="balanced",
        difficulty_detail=Difficulty(0.5, 0.0, (1.0,) + (0.0,) * (len(DOMAINS) - 1)),
        candidates=tuple(Candidate(item.name, "kept", quality=QUALITY[item.name]) for item in pool),
        targets={item.name: item for item in pool},
        input_tokens=1000,
        output_tokens=100,
    )


def answered(made: Decision, model: str | None = None, **more: object) -> Outcome:
    """``made`` was answered by ``model``, the pick unless named."""
    name = model or made.model
    return Outcome(made, name, True, 200, (name,), **more)  # type: ignore[arg-type]


def test_an_entry_is_found_by_its_id_with_its_outcome() -> None:
    """A decision can be looked up from its id, before and after it ended."""
    log = DecisionLog(clock=lambda: 12.0)
    made = decision("one")
    log.decided(made)
    before = log.get("one")
    assert before is not None and before.decision is made and before.outcome is None and before.at == 12.0
    outcome = answered(made)
    log.ended(outcome)
    after = log.get("one")
    assert after is not None and after.outcome is outcome
    assert log.get("two") is None


def test_the_oldest_is_forgotten_first() -> None:
    """The log never holds more than its capacity, and keeps the newest."""
    log = DecisionLog(capacity=2)
    for name in ("one", "two", "three"):
        log.decided(decision(name))
    assert len(log) == 2
    assert log.get("one") is None
    assert [entry.decision.id for entry in log.recent()] == ["three", "two"]


def test_recent_is_newest_first_and_limited() -> None:
    """``recent`` returns at most what was asked for; a negative limit is none."""
    log = DecisionLog()
    for name in ("one", "two", "three"):
        log.decided(decision(name))
    assert [entry.decision.id for entry in log.recent(1)] == ["three"]
    assert log.recent(-1) == []


def test_a_capacity_under_one_is_refused() -> None:
    """A log that could hold nothing is a mistake."""
    with pytest.raises(ValueError, match="capacity"):
        DecisionLog(capacity=0)


def test_savings_against_the_strongest_are_positive_and_against_the_cheapest_negative() -> None:
    """Routing to the middle model saves against always-strongest and costs against always-cheapest."""
    log = DecisionLog()
    log.ended(answered(decision()))
    ledger = log.savings()
    assert ledger.spent_usd == pytest.approx(1000 * 2e-6 + 100 * 1e-5)
    assert ledger.against_strongest_usd == pytest.approx((1000 * 1e-5 + 100 * 1e-4) - ledger.spent_usd)
    assert ledger.against_cheapest_usd == pytest.approx((1000 * 1e-7 + 100 * 1e-6) - ledger.spent_usd)
    assert ledger.against_cheapest_usd < 0 < ledger.against_strongest_usd


def test_a_fallback_to_the_strongest_is_entered_at_its_own_price() -> None:
    """The ledger prices who answered, not who was picked, so a saving can be nothing."""
    log = DecisionLog()
    log.ended(answered(decision(), "north/titan"))
    assert log.savings().against_strongest_usd == 0.0
    assert log.savings().by_model == {"north/titan": (1, pytest.approx(0.02))}


def test_the_ledger_adds_up() -> None:
    """The ledger of two requests is the sum of the ledgers of each."""
    together, first, second = DecisionLog(), DecisionLog(), DecisionLog()
    outcomes = (answered(decision("one")), answered(decision("two"), "pebble/mini"))
    for outcome, alone in zip(outcomes, (first, second), strict=True):
        together.ended(outcome)
        alone.ended(outcome)
    for name in ("requests", "spent_usd", "strongest_usd", "cheapest_usd"):
        both = getattr(first.savings(), name) + getattr(second.savings(), name)
        assert getattr(together.savings(), name) == pytest.approx(both)


def test_seen_output_tokens_replace_the_estimate_for_every_candidate() -> None:
    """A longer answer than expected is priced at its real length, on the baselines too."""
    log = DecisionLog()
    log.ended(answered(decision(), output_tokens=1000))
    ledger = log.savings()
    assert ledger.spent_usd == pytest.approx(1000 * 2e-6 + 1000 * 1e-5)
    assert ledger.strongest_usd == pytest.approx(1000 * 1e-5 + 1000 * 1e-4)


def test_an_unknown_price_is_counted_and_not_guessed() -> None:
    """A request answered by a model without a price is left out of the sums and counted as such."""
    log = DecisionLog()
    log.ended(answered(decision("one", UNPRICED, CHEAP)))
    ledger = log.savings()
    assert (ledger.requests, ledger.unpriced, ledger.spent_usd) == (0, 1, 0.0)


def test_a_failed_request_saves_nothing() -> None:
    """Only answered requests count."""
    log = DecisionLog()
    made = decision()
    log.ended(Outcome(made, made.model, False, 502, (made.model,)))
    assert log.savings().requests == 0


def test_an_outcome_told_twice_counts_once() -> None:
    """A door that reports one request twice does not double the ledger."""
    log = DecisionLog()
    made = decision()
    log.decided(made)
    log.ended(answered(made))
    log.ended(answered(made))
    assert log.savings().requests == 1


def test_savings_are_a_copy() -> None:
    """What a reader does to the returned ledger does not change the log's own."""
    log = DecisionLog()
    log.ended(answered(decision()))
    copy = log.savings()
    copy.spent_usd = -1.0
    copy.by_model.clear()
    assert log.savings().spent_usd > 0
    assert log.savings().by_model


def test_everything_is_plain_json() -> None:
    """Entries, with and without an outcome, and the ledger serialise as JSON."""
    log = DecisionLog()
    made = decision()
    log.decided(made)
    running = json.loads(json.dumps(log.recent()[0].to_dict()))
    assert running["id"] == "one" and running["outcome"] is None
    log.ended(answered(made, ttft_s=0.2, cost_usd=0.003))
    ended = json.loads(json.dumps(log.recent()[0].to_dict()))
    assert ended["outcome"]["attempts"] == ["river/oracle"] and ended["outcome"]["cost_usd"] == 0.003
    assert json.loads(json.dumps(log.savings().to_dict()))["by_model"]["river/oracle"]["requests"] == 1
