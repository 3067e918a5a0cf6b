"""Deployments as candidates."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytest

from ofox_middleware.cards import ModelFacts
from ofox_middleware.catalog import Catalog
from ofox_middleware.litellm_facts import Group, groups, pool
from ofox_middleware.settings import Settings

CATALOG = Catalog.load()


def entry(name: str, model: str, **model_info: Any) -> dict[str, Any]:
    return {
        "model_name": name,
        "litellm_params": {"model": model},
        "model_info": {"id": f"{name}-{model}", **model_info},
    }


def built(
    model_list: list[dict[str, Any]], info: Mapping[str, Any] | None = None, **settings: Any
) -> dict[str, ModelFacts]:
    """The pool, with `info` (by backend) as what LiteLLM knows."""
    chosen = Settings(**settings)
    found = groups(model_list, chosen.auto_models)
    known = info or {}
    made = pool(found, chosen, CATALOG, lambda one: known.get(one["litellm_params"]["model"]), {})
    return {name: facts for name, (facts, _) in made.items()}


def test_groups_gather_deployments_and_leave_placeholders_out() -> None:
    """Deployments of one name are one candidate; an entry called `auto` is none."""
    found = groups([entry("a", "x/1"), entry("auto", "x/2"), entry("a", "x/3"), entry("b", "x/4")], ["auto"])
    assert [(group.name, len(group.deployments)) for group in found] == [("a", 2), ("b", 1)]


def test_only_chat_groups_are_candidates() -> None:
    """Mode comes from the deployment, else from LiteLLM's map; unknown stays in."""
    model_list = [entry("chat", "x/1"), entry("emb", "x/2", mode="embedding"), entry("img", "x/3"), entry("new", "x/4")]
    info = {"x/1": {"mode": "chat"}, "x/3": {"mode": "image_generation"}}
    assert list(built(model_list, info)) == ["chat", "new"]


def test_facts_come_from_litellm_then_model_info_then_settings() -> None:
    """Each source overrides the one before it."""
    info = {"x/1": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "max_input_tokens": 1000,
                    "supports_vision": True}}  # fmt: skip
    facts = built([entry("a", "x/1")], info)["a"]
    assert (facts.input_usd, facts.max_input_tokens, facts.supports["image"]) == (1e-6, 1000, True)
    stated = {"input_cost_per_token": 3e-6, "max_input_tokens": 500}
    facts = built([entry("a", "x/1", ofox=stated)], info)["a"]
    assert (facts.input_usd, facts.output_usd, facts.max_input_tokens) == (3e-6, 2e-6, 500)
    facts = built([entry("a", "x/1", ofox=stated)], info, models=[{"name": "a", "max_input_tokens": 200}])["a"]
    assert (facts.input_usd, facts.max_input_tokens) == (3e-6, 200)


def test_a_known_backend_brings_the_catalogues_ability() -> None:
    """A group with a name of its own is judged by what stands behind it."""
    by_model = built([entry("fast", "openai/gpt-4o-mini")])["fast"]
    by_base = built([entry("fast", "azure/my-deployment", base_model="openai/gpt-4o-mini")])["fast"]
    assert by_model.ability_source == by_base.ability_source == "measured"
    assert by_model.ability == by_base.ability
    assert (by_model.provider, by_base.provider) == ("openai", "azure")


def test_a_group_promises_what_all_its_deployments_can_do() -> None:
    """The smallest window, the mean price; one that cannot is enough, one that is unknown is unknown."""
    info = {
        "x/1": {"max_input_tokens": 1000, "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6,
                "supports_vision": True, "supports_function_calling": True, "supports_reasoning": True},
        "x/2": {"max_input_tokens": 500, "input_cost_per_token": 3e-6, "output_cost_per_token": 3e-6,
                "supports_vision": False, "supports_function_calling": True},
    }  # fmt: skip
    facts = built([entry("a", "x/1"), entry("a", "x/2")], info)["a"]
    assert facts.max_input_tokens == 500
    assert facts.input_usd == pytest.approx(2e-6)
    assert (facts.supports.get("image"), facts.supports.get("tools")) == (False, True)
    assert "reasoning" not in facts.supports


def test_cards_share_a_group_with_different_parameters() -> None:
    """Two cards on one group are two candidates that both name the group in the request."""
    cards = [{"name": "a@low", "model": "a", "params": {"reasoning_effort": "low"}}, "a"]
    made = built([entry("a", "x/1"), entry("b", "x/2")], models=cards)
    assert {name: (facts.model, dict(facts.params)) for name, facts in made.items()} == {
        "a@low": ("a", {"reasoning_effort": "low"}),
        "a": ("a", {}),
    }


def test_globs_of_the_settings_choose_groups(caplog: pytest.LogCaptureFixture) -> None:
    """A glob takes the groups that fit it; a name that no group serves is left out with a warning."""
    model_list = [entry("a1", "x/1"), entry("a2", "x/2"), entry("b", "x/3")]
    with caplog.at_level(logging.WARNING):
        made = built(model_list, models=["a*", "gone", {"name": "a2", "max_input_tokens": 7}])
    assert sorted(made) == ["a1", "a2"]
    assert made["a2"].max_input_tokens == 7
    assert "gone" in caplog.text


def test_a_wildcard_group_spreads_to_known_models() -> None:
    """`openai/*` stands for the chat models that the catalogue knows, under the names that the group serves."""
    made = built([entry("openai/*", "openai/*")])
    assert "openai/gpt-4o-mini" in made
    assert all(name.startswith("openai/") for name in made)
    renamed = built([entry("my/*", "openai/*")])
    assert renamed["my/gpt-4o-mini"].model == "my/gpt-4o-mini"
    assert renamed["my/gpt-4o-mini"].ability == made["openai/gpt-4o-mini"].ability


def test_a_bare_star_stands_for_the_shortlist() -> None:
    """`*` would be every model there is; without keys in the environment it is none."""
    assert built([entry("*", "*")]) == {}


def test_a_stated_name_behind_a_wildcard_is_a_candidate() -> None:
    """The operator may name a model that no catalogue knows when a wildcard group serves it."""
    made = built([entry("my/*", "openai/*")], models=["my/secret-model"])
    assert made["my/secret-model"].model == "my/secret-model"


def test_a_named_group_wins_over_a_wildcard() -> None:
    """A group of its own is more than one name among many."""
    made = built([entry("openai/*", "openai/*"), entry("openai/gpt-4o-mini", "x/1", ofox={"max_input_tokens": 9})])
    assert made["openai/gpt-4o-mini"].max_input_tokens == 9


@pytest.mark.parametrize("stated", ["text", {"abilty": 0.5}, {"ability": "strong"}, {"name": "other"}])
def test_wrong_facts_are_left_out_with_a_warning(stated: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A typing error in model_info.ofox must not take the model out of service."""
    with caplog.at_level(logging.WARNING):
        assert list(built([entry("a", "x/1", ofox=stated)])) == ["a"]
    assert "model_info.ofox" in caplog.text


def test_a_teams_own_deployment_has_its_public_name() -> None:
    """LiteLLM stores it under an internal name; only the team may use it."""
    [group] = groups([entry("uuid", "x/1", team_id="t1", team_public_model_name="ours")], ["auto"])
    assert group == Group("ours", group.deployments, "t1")
