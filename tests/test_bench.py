"""What ``ofox bench FILE`` says of an operator's own requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ofox_middleware.bench import bench
from ofox_middleware.cards import ModelCard
from ofox_middleware.explain import Asked, read_requests
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.cli_tools import ofox

EASY, HARD = "What is the capital of France?", "Prove that there are infinitely many primes of the form 4k+3."
LARGE, SMALL = "house/large", "other/small"


def router(**options: object) -> SmartRouter:
    """Two models far apart in price and ability."""
    cards = [
        ModelCard(name=LARGE, input_cost_per_token=1e-5, output_cost_per_token=5e-5, ability=0.95, ttft_s=1.0),
        ModelCard(name=SMALL, input_cost_per_token=1e-7, output_cost_per_token=2e-7, ability=0.4, ttft_s=0.2),
    ]
    return SmartRouter(Settings(models=cards, share_within=0, **options), seed=1)


def asked(text: str, **config: object) -> Asked:
    body = {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 100}
    return Asked(text[:6], {**body, "model_routing_config": config} if config else body, "/v1/chat/completions")


def test_every_preference_and_every_baseline_is_added_up() -> None:
    """Each policy has all requests; ``cost`` is no dearer than ``quality``, and the baselines frame both."""
    result = bench(router(profiles={"frugal": {"cost": 1.0, "floor": 0.0}}), [asked(EASY), asked(HARD)])
    by_name = {policy.name: policy for policy in (*result.preferences, *result.baselines)}
    assert set(by_name) == {
        "quality", "cost", "speed", "balanced", "frugal", "always strongest", "always cheapest",
        f"always {LARGE}", f"always {SMALL}",
    }  # fmt: skip
    assert all(policy.requests == 2 for policy in by_name.values())
    assert by_name["frugal"].picks == by_name["always cheapest"].picks == {SMALL: 2}
    assert by_name["always strongest"].picks == {LARGE: 2}
    cheapest, strongest = by_name["always cheapest"].cost_usd, by_name["always strongest"].cost_usd
    assert cheapest <= by_name["cost"].cost_usd <= by_name["quality"].cost_usd <= strongest
    assert by_name["quality"].picks[LARGE] >= 1
    assert by_name[f"always {LARGE}"].cost_usd == pytest.approx(strongest)


def test_costs_are_those_that_explain_shows() -> None:
    """The sum of one request is the cost of its pick in the decision itself."""
    made = router()
    decision = made.decide(asked(HARD).body, dry_run=True)
    (balanced,) = (policy for policy in bench(made, [asked(HARD)]).preferences if policy.name == "balanced")
    assert balanced.cost_usd == decision.candidate(decision.model).cost_usd


def test_it_leaves_no_trace() -> None:
    """Nothing is counted, pinned or told to observers."""
    made = router()
    bench(made, [asked(EASY, session_id="s")] * 3)
    assert made.stats["decided"] == 0 and len(made.sessions) == 0


def test_what_no_model_can_serve_is_told_apart() -> None:
    """A refused request is listed with the reason and counts nowhere else; requests that begin alike are not one."""
    result = bench(router(), [asked(EASY, max_cost_usd=1e-12), asked(EASY), asked(EASY)])
    assert result.requests == 3 and len(result.difficulties) == 2
    ((label, message),) = result.refused
    assert label == EASY[:6] and "over_max_cost" in message
    assert result.to_dict()["difficulty"]["p50"] == pytest.approx(result.difficulties[0], abs=1e-4)


def test_an_unknown_price_is_not_a_free_model() -> None:
    """A model without a price is never the cheapest, and the sum says that something is missing from it."""
    cards = [ModelCard(name="a/priced", input_cost_per_token=1e-6, output_cost_per_token=1e-6), ModelCard(name="b/no")]
    result = bench(SmartRouter(Settings(models=cards)), [asked(EASY)])
    by_name = {policy.name: policy for policy in result.baselines}
    assert by_name["always cheapest"].picks == {"a/priced": 1}
    assert (by_name["always b/no"].unpriced, by_name["always b/no"].cost_usd) == (1, 0.0)


def test_models_replace_what_requests_name() -> None:
    """Candidates given on the command line win over those of the requests."""
    result = bench(router(), [asked(EASY, models=[LARGE])], models=[SMALL])
    assert all(policy.picks == {SMALL: 1} for policy in result.preferences)


def test_the_command_reads_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`ofox bench FILE` shows what each preference comes to; `--json` has the same numbers."""
    path = tmp_path / "requests.jsonl"
    path.write_text("\n".join(json.dumps(dict(asked(text).body)) for text in (EASY, HARD)))
    models = ("--models", "openai/gpt-5-mini,anthropic/claude-opus-5")
    told = ofox(capsys, "bench", path, *models, "--json").json
    assert told["requests"] == 2 and told["baselines"][0]["policy"] == "always strongest"
    ran = ofox(capsys, "bench", path, *models)
    assert ran.code == 0 and "always anthropic/claude-opus-5" in ran.out and "balanced" in ran.out
    assert len(read_requests(None, path)) == 2


def test_the_command_says_when_nothing_can_be_served(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """When every request is refused, the first reasons are shown and the exit code is 1; a missing file is 2."""
    path = tmp_path / "requests.jsonl"
    refused = dict(asked(EASY, max_cost_usd=1e-12).body)
    path.write_text("\n".join([json.dumps(refused)] * 7))
    ran = ofox(capsys, "bench", path, "--models", "openai/gpt-4o-mini")
    assert ran.code == 1 and "over_max_cost" in ran.out and "2 more" in ran.out
    ran = ofox(capsys, "bench", tmp_path / "none.jsonl")
    assert ran.code == 2 and "none.jsonl" in ran.err
