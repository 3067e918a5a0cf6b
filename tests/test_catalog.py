"""The catalogue: which entry and row a name finds, which names there are, and what is shipped."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ofox_middleware.abilities import EFFORT_SHARE
from ofox_middleware.cards import ModelCard
from ofox_middleware.catalog import Catalog
from ofox_middleware.model_map import ModelMap
from tests.catalogue import MAP, TODAY, facts, make, z


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """The invented catalogue."""
    return make(tmp_path)


# -- whose facts a name gets


def test_a_card_may_rename_a_model(catalog: Catalog) -> None:
    """Facts are those of the model that is requested; the name is what the pool calls it."""
    got = facts(catalog, "fast", model="openai/gpt-8", params={"temperature": 0})
    assert (got.name, got.model, got.provider) == ("fast", "openai/gpt-8", "openai")
    assert got.input_usd == 2e-6
    assert got.params == {"temperature": 0}


def test_a_gateway_passes_the_makers_facts_on(catalog: Catalog) -> None:
    """``openrouter/anthropic/...`` has the price, window and capabilities of Anthropic's own model."""
    got = facts(catalog, "openrouter/anthropic/claude-lyric-7.5")
    assert (got.input_usd, got.max_input_tokens, got.provider) == (3e-6, 200_000, "openrouter")
    assert got.supports == {"reasoning": True}


def test_a_bare_name_takes_the_makers_entry(catalog: Catalog) -> None:
    """``llama-9-70b`` alone means the model's own key, whatever its prefix."""
    assert facts(catalog, "llama-9-70b").input_usd == 6e-7


def test_another_host_lends_only_price_and_ability(catalog: Catalog) -> None:
    """A host that the map does not list may cap windows and inputs: those stay unknown, the list price is a guess."""
    got = facts(catalog, "together_ai/gpt-8")
    assert (got.input_usd, got.output_usd, got.max_input_tokens, got.supports) == (2e-6, 8e-6, None, {})
    assert got.ability_source == "measured"


@pytest.mark.parametrize(
    "name",
    ["gpt-8", "azure/gpt-8", "openai/gpt-8-2026-02-03", "databricks/databricks-gpt-8", "vendor/GPT-8", "x/gpt-8:free"],
)
def test_one_model_has_one_ability_whoever_serves_it(catalog: Catalog, name: str) -> None:
    """Hosts, snapshots and packaging do not change what the weights can do."""
    assert facts(catalog, name).ability == facts(catalog, "openai/gpt-8").ability


@pytest.mark.parametrize("name", ["openai/gpt-8-turbo", "openai/gpt-80", "openai/gpt-8-instruct", "x/shared-instruct"])
def test_a_relative_is_not_taken_for_the_model(catalog: Catalog, name: str) -> None:
    """Another tier or version, and a form that two models share, have no measured ability."""
    assert facts(catalog, name).ability_source != "measured"


# -- LiteLLM's info of a deployment


def test_a_deployments_info_is_read_like_the_map(catalog: Catalog) -> None:
    """The group's name is free; ability and speed come from the key, the rest from the info."""
    info = {
        "litellm_provider": "azure",
        "input_cost_per_token": 1e-6,
        "output_cost_per_token": 4e-6,
        "max_input_tokens": 1000,
        "supports_vision": None,
        "supported_openai_params": ["tools"],
    }
    got = catalog.facts_from_info(ModelCard("team/fast"), info, key="azure/gpt-8")
    assert (got.name, got.model, got.provider) == ("team/fast", "team/fast", "azure")
    assert (got.input_usd, got.output_usd, got.max_input_tokens) == (1e-6, 4e-6, 1000)
    assert got.ability == facts(catalog, "openai/gpt-8").ability
    assert got.supports == {
        "tools": True,
        "tool_choice": False,
        "parallel_tools": False,
        "logprobs": False,
        "n": False,
    }


def test_the_card_wins_over_a_deployments_info(catalog: Catalog) -> None:
    """Facts given beside the deployment override LiteLLM's."""
    card = ModelCard("fast", input_cost_per_token=9e-6, supports_vision=False, provider="mine", ability=0.5)
    got = catalog.facts_from_info(card, MAP["gpt-8"], key="gpt-8")
    assert (got.input_usd, got.output_usd, got.provider, got.ability_source) == (9e-6, 8e-6, "mine", "card")
    assert got.supports["image"] is False


@pytest.mark.parametrize(
    ("info", "key"), [({"key": "gpt-8"}, None), ({"base_model": "openai/gpt-8"}, None), ({}, "gpt-8")]
)
def test_the_model_behind_a_deployment_is_named_by_key_or_info(
    catalog: Catalog, info: dict[str, Any], key: str | None
) -> None:
    """The stated key, else the info's, else its base model."""
    assert catalog.facts_from_info(ModelCard("group"), info, key=key).ability_source == "measured"


def test_without_a_key_the_cards_model_is_looked_up(catalog: Catalog) -> None:
    """A group that is called as its model is known by that."""
    assert catalog.facts_from_info(ModelCard("openai/gpt-8"), {}, key=None).ability_source == "measured"
    assert catalog.facts_from_info(ModelCard("g", model="gpt-8"), {}, key=None).ability_source == "measured"


def test_zeros_that_litellm_filled_in_are_no_price(catalog: Catalog) -> None:
    """LiteLLM's info has 0 where its map has nothing; a price of the map itself stands."""
    zeros = {"input_cost_per_token": 0, "output_cost_per_token": 0}
    assert catalog.facts_from_info(ModelCard("g"), zeros, key="hosted/gpt-8").input_usd == 2e-6
    assert catalog.facts_from_info(ModelCard("g"), zeros, key="no-provider").input_usd is None
    assert catalog.facts_from_info(ModelCard("g"), zeros, key="ollama/llama-9-8b").input_usd == 0.0
    assert catalog.facts_from_info(ModelCard("g"), zeros, key="my/own").input_usd == 0.0


# -- names


def test_a_star_is_every_chat_model(catalog: Catalog) -> None:
    """``*`` alone covers what there is; a narrower glob a part of it; an exact name itself."""
    everything = catalog.expand("*")
    assert "openai/gpt-8" in everything
    assert "anthropic/claude-lyric-7-5" in everything
    assert catalog.expand("openai/*") == ["openai/gpt-8", "openai/gpt-8-mini"]
    assert catalog.expand("openai/gpt-8") == ["openai/gpt-8"]
    assert catalog.expand("OpenAI/*") == []


def test_a_model_leaves_the_globs_when_its_day_has_passed(tmp_path: Path) -> None:
    """Deprecation is asked of today's date at each look, not of the day of the start."""
    clock = [date(2026, 11, 22)]
    catalog = make(tmp_path)
    catalog._today = lambda: clock[0]
    assert catalog.expand("anthropic/*") == ["anthropic/claude-lyric-7-5"]
    clock[0] = date(2026, 11, 23)
    assert catalog.expand("anthropic/*") == []


def test_without_litellm_the_shipped_names_and_facts_remain(tmp_path: Path) -> None:
    """No map: names by provider, prices and abilities from the tables, capabilities unknown."""
    catalog = make(tmp_path, {})
    assert catalog.expand("*") == [
        "anthropic/claude-lyric-7-5",
        "groq/meta/llama-9-70b",
        "nobody/nobody-1",
        "nobody/shared-instruct",
        "openai/gpt-8",
        "openai/gpt-8-2026-02-03",
        "other/shared-instruct",
        "together_ai/meta/Llama-9-70B-Instruct",
    ]
    got = facts(catalog, "openai/gpt-8")
    assert (got.input_usd, got.output_usd, got.supports, got.ability_source) == (2e-6, 8e-6, {}, "measured")
    assert facts(catalog, "anthropic/claude-lyric-7.5").ability_source == "measured"


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({}, []),
        ({"OPENAI_API_KEY": ""}, []),
        ({"OPENAI_API_KEY": "sk"}, ["openai/gpt-8"]),
        ({"GOOGLE_API_KEY": "k"}, ["gemini/gemini-9-flash-preview"]),
        (
            {"GEMINI_API_KEY": "k", "OPENROUTER_API_KEY": "k"},
            ["gemini/gemini-9-flash-preview", "openrouter/anthropic/claude-lyric-7.5"],
        ),
        ({"HOME": "/"}, []),
    ],
)
def test_the_shortlist_holds_what_the_keys_reach(catalog: Catalog, environ: dict[str, str], names: list[str]) -> None:
    """Providers whose key is set and not empty, without models that are out of service."""
    assert catalog.shortlist(environ) == names


def test_the_shortlist_needs_no_litellm(tmp_path: Path) -> None:
    """Without a map nothing is known to be deprecated."""
    assert make(tmp_path, {}).shortlist({"OPENAI_API_KEY": "k"}) == ["openai/gpt-8", "openai/gpt-8-2026-02-03"]


# -- the shipped tables and LiteLLM's real map


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    """What users get, on the day that the tables were made."""
    catalog = Catalog(today=lambda: TODAY)
    assert catalog.expand("openai/*"), "litellm is installed for tests"
    return catalog


def test_loading_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue is made without opening a file; the first look-up opens them."""

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    catalog = Catalog.load()
    with pytest.raises(AssertionError, match="was read"):
        catalog.facts(ModelCard("openai/gpt-4o"))


def test_importing_the_catalogue_imports_no_heavy_library() -> None:
    """Facts are data: litellm, numpy and rich stay out."""
    code = (
        "import sys; from ofox_middleware.catalog import Catalog; from ofox_middleware.cards import ModelCard;"
        "Catalog.load().facts(ModelCard('openai/gpt-4o'));"
        "heavy = {m.partition('.')[0] for m in sys.modules} & {'litellm', 'numpy', 'rich'};"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "openai/gpt-4o",
        "gpt-4o",
        "azure/gpt-4o",
        "anthropic/claude-sonnet-4.5",
        "claude-sonnet-4-5",
        "google/gemini-3-flash-preview",
        "gemini/gemini-3-flash-preview",
        "vertex_ai/gemini-3-flash-preview",
        "groq/openai/gpt-oss-120b",
        "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
        "openrouter/anthropic/claude-sonnet-4.5",
        "x-ai/grok-4.5",
        "deepseek/deepseek-v4-pro",
        "moonshot/kimi-k3",
        "fireworks_ai/accounts/fireworks/models/deepseek-v3p2",
        "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo",
    ],
)
def test_names_that_people_write_are_known(shipped: Catalog, name: str) -> None:
    """Ability measured, price known, whoever serves it."""
    got = facts(shipped, name)
    assert got.ability_source == "measured"
    assert got.input_usd is not None
    assert got.output_usd is not None


@pytest.mark.parametrize(
    ("abler", "other"),
    [
        ("openai/gpt-5.6-sol", "openai/gpt-5-mini"),
        ("openai/gpt-5-mini", "openai/gpt-4o-mini"),
        ("anthropic/claude-opus-5", "anthropic/claude-sonnet-4-5"),
        ("anthropic/claude-sonnet-4-6", "anthropic/claude-haiku-4-5"),
        ("gemini/gemini-3.1-pro-preview", "gemini/gemini-2.5-flash-lite"),
        ("deepseek/deepseek-v4-pro", "deepseek/deepseek-v4-flash"),
        ("openai/gpt-4o", "groq/llama-3.1-8b-instant"),
    ],
)
def test_tiers_stand_in_their_order(shipped: Catalog, abler: str, other: str) -> None:
    """Frontier above middle above small, in the mean over the domains."""
    assert sum(facts(shipped, abler).ability) > sum(facts(shipped, other).ability)


def test_no_expanded_name_is_a_riddle(shipped: Catalog) -> None:
    """Every name that a glob yields resolves again to an entry of the map, with finite facts."""
    names = shipped.expand("*")
    assert len(names) > 1000
    for name in names[::25]:
        assert shipped._map.find(name) is not None, name
        got = facts(shipped, name)
        assert all(-6 < logit < 6 for logit in got.ability)
        assert 0 < got.s_per_token < 1
        assert 0 < got.ttft_s <= 130


def test_the_shipped_shortlist_resolves(shipped: Catalog) -> None:
    """Every shortlisted model has a measured ability and a price, and each provider's first is its cheapest."""
    environ = {variable: "k" for entry in shipped._data.shortlist for variable in entry.keys}
    names = shipped.shortlist(environ)
    assert 12 <= len(names) <= 20
    for name in names:
        got = facts(shipped, name)
        assert got.ability_source == "measured", name
        assert got.input_usd, name
    assert {name.partition("/")[0] for name in names} >= {
        "openai",
        "anthropic",
        "gemini",
        "groq",
        "deepseek",
        "mistral",
        "xai",
    }


def test_a_default_effort_is_the_maps_where_it_says_one(shipped: Catalog) -> None:
    """GPT-5.4 does not reason unless asked: its card alone is the non-reasoning variant."""
    plain = facts(shipped, "openai/gpt-5.4")
    asked = facts(shipped, "asked", model="openai/gpt-5.4", params={"reasoning_effort": "high"})
    gap = shipped._data.models["gpt-5-4"].gap
    assert gap is not None
    assert z(asked.ability[1]) - z(plain.ability[1]) == pytest.approx(EFFORT_SHARE["high"] * gap, abs=1e-6)


def test_the_shipped_tables_serve_without_litellm() -> None:
    """Prices and abilities of well-known models need no LiteLLM; capabilities are then unknown."""
    alone = Catalog(model_map=ModelMap(None), today=lambda: TODAY)
    for name in ("openai/gpt-4o", "anthropic/claude-sonnet-4.5", "google/gemini-3-flash-preview", "gpt-5.6-sol"):
        got = facts(alone, name)
        assert got.ability_source == "measured"
        assert got.input_usd
        assert got.supports == {}
    assert "openai/gpt-4o" in alone.expand("openai/*")
    assert replace(facts(alone, "openai/gpt-4o"), name="x").model == "openai/gpt-4o"


def test_a_card_with_an_effort_has_its_own_ability_cost_and_time() -> None:
    """Of one model at growing effort, ability, thinking that is paid for, and the wait for the answer all grow."""
    catalog = Catalog.load()
    cards = [
        facts(catalog, "openai/gpt-5", params={"reasoning_effort": effort})
        for effort in ("minimal", "low", "medium", "high")
    ]
    for less, more in pairwise(cards):
        assert sum(less.ability) < sum(more.ability)
        assert less.thinking_tokens < more.thinking_tokens
        assert less.ttft_s < more.ttft_s
        assert less.output_usd == more.output_usd
    assert cards[-1].thinking_tokens <= 10_000
    assert facts(catalog, "openai/gpt-4o").thinking_tokens == 0
    assert facts(catalog, "openai/gpt-5", params={"reasoning_effort": "none"}).thinking_tokens == 0
