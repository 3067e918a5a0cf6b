"""Which parameters go, and which never do."""

from __future__ import annotations

from typing import Any

import pytest

from ofox_middleware.adapting import DROPPABLE, NO_EDITS, THOUGHT, Edits, adapt, is_adaptable, is_thought
from ofox_middleware.cards import ModelFacts

GPT, CLAUDE, OLD_CLAUDE, GROK, MISTRAL = (
    "openai/gpt-6-sol", "anthropic/claude-sonnet-5-5", "anthropic/claude-3-5-sonnet-20241022", "xai/grok-4.6",
    "mistral/mistral-medium-3-5",
)  # fmt: skip


def facts(model: str) -> ModelFacts:
    return ModelFacts(name=model, model=model, provider=model.partition("/")[0])


@pytest.mark.parametrize(
    ("model", "given", "edits"),
    [
        (GPT, {"temperature": 0.2, "top_p": 1, "stop": "x", "seed": 1}, Edits(frozenset({"temperature", "top_p"}))),
        ("o3-mini", {"presence_penalty": 1}, Edits(frozenset({"presence_penalty"}))),
        ("openai/gpt-4o", {"temperature": 0.2, "max_tokens": 5}, NO_EDITS),
        ("openai/gpt-5-chat-latest", {"temperature": 0.2, "max_tokens": 5}, NO_EDITS),
        (GPT, {"max_tokens": 5}, Edits(rename={"max_tokens": "max_completion_tokens"})),
        (GPT, {"max_tokens": 5, "max_completion_tokens": 5}, NO_EDITS),
        (MISTRAL, {"max_completion_tokens": 5}, Edits(rename={"max_completion_tokens": "max_tokens"})),
        (MISTRAL, {"store": True, "seed": 1, "temperature": 1}, Edits(frozenset({"store"}))),
        (GPT, {"reasoning_effort": "minimal"}, Edits(replace={"reasoning_effort": "low"})),
        (GPT, {"reasoning_effort": "max"}, Edits(replace={"reasoning_effort": "xhigh"})),
        ("openai/gpt-5", {"reasoning_effort": "minimal"}, NO_EDITS),
        (GPT, {"reasoning_effort": "high"}, NO_EDITS),
        (CLAUDE, {"temperature": 0.2, "top_k": 4}, Edits(frozenset({"temperature", "top_k"}))),
        (OLD_CLAUDE, {"temperature": 0.2, "top_p": 0.5}, NO_EDITS),
        ("anthropic/claude-opus-4-1-20250805", {"temperature": 0.2, "top_p": 0.5}, Edits(frozenset({"top_p"}))),
        ("anthropic/claude-opus-4-1-20250805", {"top_p": 0.5}, NO_EDITS),
        ("claude-sonnet-4-20250514", {"temperature": 0.2, "thinking": {"type": "enabled"}},
         Edits(frozenset({"temperature"}))),
        ("claude-sonnet-4-20250514", {"temperature": 0.2, "thinking": {"type": "disabled"}}, NO_EDITS),
        (GROK, {"presence_penalty": 1, "temperature": 1}, Edits(frozenset({"presence_penalty"}))),
        ("house/model", dict.fromkeys(DROPPABLE, 1), NO_EDITS),
        (GPT, {"messages": [], "tools": []}, NO_EDITS),
    ],
)  # fmt: skip
def test_the_table(model: str, given: dict[str, Any], edits: Edits) -> None:
    """What makers say that they reject goes or is said otherwise, and nothing else."""
    assert adapt(facts(model), given) == edits


def test_what_was_learned() -> None:
    """A lack that a 400 told of is met as one in the table is, if it can be done without at all."""
    house = facts("house/model")
    given = {"temperature": 1, "tools": [], "max_tokens": 5, "reasoning_effort": "high"}
    assert adapt(house, given, {"temperature", "tools"}) == Edits(frozenset({"temperature"}))
    assert adapt(house, given, {"max_tokens"}).rename == {"max_tokens": "max_completion_tokens"}
    assert adapt(house, given, {"reasoning_effort=high"}).replace == {"reasoning_effort": "xhigh"}
    strict = {f"reasoning_effort={value}" for value in ("high", "xhigh", "max")}
    assert adapt(house, given, strict).replace == {"reasoning_effort": "medium"}
    assert not adapt(house, given, {"max_tokens", "max_completion_tokens"}).rename.get("tools")


def test_other_protocols_have_one_name_for_the_limit() -> None:
    """In Anthropic's Messages `max_tokens` stays."""
    assert adapt(facts(GPT), {"max_tokens": 5}, surface="messages") == NO_EDITS


@pytest.mark.parametrize("name", ["tools", "response_format", "stop", "n", "logprobs", "image", "context_window"])
def test_what_was_asked_for_is_never_dropped(name: str) -> None:
    """Without these the answer would be another one, so the model is the wrong one."""
    assert not is_adaptable(name)
    assert adapt(facts(GPT), {name: 1}, {name}) == NO_EDITS


def test_adaptable_keys() -> None:
    """What the memory of refusals may leave to the table."""
    assert is_adaptable("temperature")
    assert is_adaptable("max_tokens")
    assert is_adaptable("reasoning_effort=minimal")
    assert not is_adaptable("reasoning_effort")
    assert not is_adaptable("reasoning_effort=huge")


SCHEMA = {"format": {"type": "json_schema", "name": "x", "schema": {}}}


@pytest.mark.parametrize(
    ("given", "lacks", "edits"),
    [
        ({"reasoning": {"effort": "minimal", "summary": "auto"}}, {"reasoning=minimal"},
         Edits(within={"reasoning": Edits(replace={"effort": "low"})})),
        ({"reasoning": {"effort": "minimal"}}, {"reasoning_effort=minimal"},
         Edits(within={"reasoning": Edits(replace={"effort": "low"})})),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning.summary"},
         Edits(within={"reasoning": Edits(frozenset({"summary"}))})),
        ({"reasoning": {"summary": "auto"}}, {"reasoning.summary"}, Edits(frozenset({"reasoning"}))),
        ({"reasoning": {"effort": "low"}}, {"reasoning"}, Edits(frozenset({"reasoning"}))),
        ({"reasoning": "odd"}, {"reasoning.summary"}, NO_EDITS),
        ({"reasoning": {"effort": 3}}, {"reasoning=low"}, NO_EDITS),
        ({"text": {"verbosity": "low", **SCHEMA}}, {"text.verbosity"},
         Edits(within={"text": Edits(frozenset({"verbosity"}))})),
        ({"text": {"verbosity": "low"}}, {"text.verbosity"}, Edits(frozenset({"text"}))),
        ({"text": {"verbosity": "low"}}, {"verbosity"}, Edits(frozenset({"text"}))),
        ({"text": SCHEMA}, {"text", "text.verbosity"}, NO_EDITS),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, {"thinking"}, Edits(frozenset({"thinking"}))),
        ({"thinking": {"type": "enabled"}, "output_config": {"effort": "low", **SCHEMA}}, {"reasoning"},
         Edits(frozenset({"thinking"}), within={"output_config": Edits(frozenset({"effort"}))})),
        ({"output_config": {"effort": "max"}}, {"output_config.effort=max"},
         Edits(within={"output_config": Edits(replace={"effort": "xhigh"})})),
        ({"output_config": {"effort": "max"}}, {"output_config"}, Edits(frozenset({"output_config"}))),
        ({"output_config": {"effort": "max", **SCHEMA}}, {"output_config"},
         Edits(within={"output_config": Edits(frozenset({"effort"}))})),
        ({"output_config": SCHEMA}, {"output_config"}, NO_EDITS),
        ({"reasoning_effort": "minimal"}, {"reasoning_effort", "reasoning_effort=minimal"},
         Edits(frozenset({"reasoning_effort"}))),
    ],
)  # fmt: skip
def test_what_is_within_a_member(given: dict[str, Any], lacks: set[str], edits: Edits) -> None:
    """Efforts, summaries and verbosity go where they stand; an output format never does, nor does what holds one."""
    assert adapt(facts("house/model"), given, lacks, surface="responses") == edits


def test_budgets_of_thought_are_gone() -> None:
    """Claude from 4.7 on thinks adaptively; what else is said of thinking stays."""
    given = {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}}
    edits = adapt(facts(CLAUDE), given, surface="messages")
    assert edits.apply(given) == {"thinking": {"type": "adaptive", "display": "omitted"}}
    assert adapt(facts("claude-sonnet-4-5"), given, surface="messages") == NO_EDITS


def test_edits_are_made_on_a_copy() -> None:
    """Members, and members of members, are taken out, renamed and replaced, and what was given stays."""
    given = {"a": 1, "b": {"c": 1, "d": 2, "e": {"f": 1}}, "g": 3}
    inner = Edits(frozenset({"c"}), replace={"d": 3, "absent": 1}, within={"e": Edits(replace={"f": 2})})
    edits = Edits(frozenset({"a"}), {"g": "h"}, within={"b": inner, "g": inner, "absent": inner})
    assert edits.apply(given) == {"b": {"d": 3, "e": {"f": 2}}, "h": 3}
    assert given == {"a": 1, "b": {"c": 1, "d": 2, "e": {"f": 1}}, "g": 3}


def test_thought_is_done_without_last() -> None:
    """What only asks for more thought can go, but a model that has it comes first."""
    assert all(is_thought(key) and not is_adaptable(key) for key in THOUGHT)
    assert is_adaptable("reasoning=minimal")
    assert is_adaptable("text.verbosity")
    assert not is_adaptable("text.format")
    assert not is_thought("reasoning=minimal")
