"""Names and globs become candidates."""

from __future__ import annotations

import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.catalog import Catalog
from ofox_middleware.errors import NoPool, SettingsError
from ofox_middleware.pools import KEPT, Pools
from ofox_middleware.settings import Settings


@pytest.fixture
def pools() -> Pools:
    return Pools(Catalog.load())


def test_callers_pools_are_bounded(pools: Pools) -> None:
    """Hostile lists of models do not grow memory without bound, and what is used often stays."""
    kept = pools.callers(["openai/gpt-4o"])
    for i in range(2 * KEPT):
        pools.callers([f"x/{i}"])
        assert pools.callers(["openai/gpt-4o"]) is kept
    assert len(pools._callers) == KEPT


def test_a_caller_without_models_has_no_pool(pools: Pools) -> None:
    """With nothing configured and nothing named the refusal names both places."""
    with pytest.raises(NoPool, match="OFOX_MODELS") as caught:
        pools.callers(None)
    assert caught.value.param == "model_routing_config.models"


def test_no_models_means_those_whose_keys_are_there(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without configuration the shortlist serves, limited to providers whose keys are in the environment."""
    monkeypatch.setattr("os.environ", {"ANTHROPIC_API_KEY": "x"})
    found = pools.operators(Settings())
    assert found
    assert {facts.provider for facts in found} == {"anthropic"}


def test_globs_spread_out(pools: Pools) -> None:
    """A glob stands for the known models that it matches, with the card's own facts; exact cards win."""
    exact = ModelCard(name="anthropic/claude-sonnet-4-5")
    found = pools.operators(Settings(models=[ModelCard(name="anthropic/claude-*", ability=0.7), exact]))
    sources = {facts.name: facts.ability_source for facts in found}
    assert len(sources) == len(found) > 3
    assert sources.pop(exact.name) == "measured"
    assert set(sources.values()) == {"card"}


def test_a_glob_without_a_match_is_refused(pools: Pools) -> None:
    """A pool that matches no known model is refused by name."""
    with pytest.raises(SettingsError, match=r"no known model matches nobody/\*"):
        pools.operators(Settings(models=["nobody/*"]))
    with pytest.raises(SettingsError, match=r"matches gpt-\*; names begin with their provider"):
        pools.operators(Settings(models=["gpt-*"]))


def test_facts_that_make_no_sense_are_refused(pools: Pools) -> None:
    """A card with a domain that does not exist is refused by name."""
    with pytest.raises(SettingsError, match=r"models: m: .*coding"):
        pools.operators(Settings(models=[ModelCard(name="m", ability={"coding": 0.5})]))
