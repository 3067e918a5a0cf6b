"""Names: what a glob takes, which spellings mean one model, and what a name says of itself."""

from __future__ import annotations

import pytest

from ofox_middleware.model_names import (
    canonical,
    embedded_date,
    is_small,
    keys_for,
    matches,
    named_effort,
    names_of,
    provider_family,
    without_mode,
)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*", "openai/gpt-4o"),
        ("*", ""),
        ("openai/*", "openai/gpt-4o"),
        ("*gpt*", "openai/gpt-4o"),
        ("*/gpt-4o", "openai/gpt-4o"),
        ("openai/*-mini", "openai/gpt-4o-mini"),
        ("open*gpt*mini", "openai/gpt-4o-mini"),
        ("openai/gpt-4o", "openai/gpt-4o"),
        ("a**b", "ab"),
        ("*ab*ab*", "abab"),
    ],
)
def test_a_star_stands_for_any_run_of_characters(pattern: str, name: str) -> None:
    """Each star may stand for nothing or for much, also for a slash."""
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("openai/*", "azure/gpt-4o"),
        ("openai/*", "openai"),
        ("*-mini", "openai/gpt-4o-mini-2024"),
        ("OpenAI/*", "openai/gpt-4o"),
        ("ab*ba", "aba"),
        ("*ab*ab*", "ab"),
        ("", "openai/gpt-4o"),
        ("a*b*c", "acb"),
    ],
)
def test_a_glob_is_anchored_and_case_sensitive(pattern: str, name: str) -> None:
    """A glob covers the whole name, in its own case, and its parts do not overlap."""
    assert not matches(pattern, name)


@pytest.mark.parametrize("pattern", ["gpt-4?", "gpt-4[o]", "gpt-4{o,1}", "gpt.4o", "gpt-4o$", r"gpt-4\o"])
def test_other_glob_characters_are_literal(pattern: str) -> None:
    """Only the star is special: brackets and question marks in a name mean themselves."""
    assert not matches(pattern, "gpt-4o")
    assert matches(pattern, pattern)
    assert matches(f"{pattern}*", f"{pattern}-mini")


def test_a_pattern_without_end_matches_nothing() -> None:
    """A client's pattern beyond any name's length is refused without work, and takes no room in the cache."""
    assert not matches("*" * 513, "openai/gpt-4o")
    assert matches("*" * 512, "openai/gpt-4o")


def test_a_hostile_pattern_is_answered_without_backtracking() -> None:
    """Many stars around a letter that never comes cost one pass over the name each."""
    assert not matches("*a" * 200 + "*b", "a" * 5000)


@pytest.mark.parametrize(
    ("litellm_provider", "family"),
    [
        ("openai", "openai"),
        ("vertex_ai-anthropic_models", "vertex_ai"),
        ("vertex_ai", "vertex_ai"),
        ("bedrock_converse", "bedrock"),
        ("cohere_chat", "cohere"),
        ("amazon_nova", "amazon-nova"),
    ],
)
def test_a_provider_is_named_as_people_write_it(litellm_provider: str, family: str) -> None:
    """LiteLLM's inner provider names become the prefix of a request's model."""
    assert provider_family(litellm_provider) == family


@pytest.mark.parametrize(
    ("name", "key", "provider"),
    [
        ("openai/gpt-4o", "gpt-4o", "openai"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", "anthropic"),
        ("anthropic/claude-sonnet-4-5-20260101", "claude-sonnet-4-5", "anthropic"),
        ("openai/gpt-5-4-mini", "gpt-5.4-mini", "openai"),
        ("google/gemini-3-flash-preview", "gemini/gemini-3-flash-preview", "gemini"),
        ("x-ai/grok-4.5", "xai/grok-4.5", "xai"),
        ("bedrock/converse/us.anthropic.claude-x", "us.anthropic.claude-x", "bedrock"),
        ("azure/responses/gpt-5", "azure/gpt-5", "azure"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5", "anthropic"),
        ("openrouter/google/gemini-3-flash-preview:free", "gemini/gemini-3-flash-preview", "gemini"),
        ("vertex_ai/claude-x@20260101", "vertex_ai/claude-x", "vertex_ai"),
        ("openai/ft:gpt-4o:org::id", "ft:gpt-4o", "openai"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5", ""),
    ],
)
def test_a_name_leads_to_the_key_it_goes_by(name: str, key: str, provider: str) -> None:
    """Prefixes, makers' names, dots, snapshots, variants and routes lead to LiteLLM's key, of that provider only."""
    assert (key, provider) in list(keys_for(name))


def test_the_exact_name_comes_first() -> None:
    """What was written is tried before anything that it may mean."""
    assert next(keys_for("google/gemini-3-flash")) == ("google/gemini-3-flash", "")


def test_a_tag_of_digits_is_part_of_the_name() -> None:
    """Bedrock's ``v1:0`` is a revision, not a gateway's variant."""
    assert ("bedrock/anthropic.claude-v1", "bedrock") not in list(keys_for("bedrock/anthropic.claude-v1:0"))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("openai/gpt-4o", "gpt-4o"),
        ("anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("vertex_ai/claude-opus-4-6@default", "claude-opus-4-6"),
        ("fireworks_ai/accounts/fireworks/models/deepseek-v3p2", "deepseek-v3-2"),
        ("elsewhere/deepseek-v3p2", "deepseek-v3p2"),
        ("databricks/databricks-claude-opus-5", "claude-opus-5"),
        ("azure_ai/FW-Kimi-K3", "kimi-k3"),
        ("snowflake/openai-gpt-4.1", "gpt-4-1"),
        ("deepseek.r1-v1:0", "deepseek-r1"),
        ("us.deepseek.v3.2", "deepseek-v3-2"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("gmi/zai-org/GLM-4.7-FP8", "glm-4-7"),
        ("vertex_ai/zai-org/glm-5-maas", "glm-5"),
        ("groq/llama-3.3-70b-versatile", "llama-3-3-70b"),
        ("groq/llama-3.1-8b-instant", "llama-3-1-8b"),
        ("google/gemma-4-31b-it:free", "gemma-4-31b-it"),
        ("deepseek/deepseek-v3", "deepseek-v3"),
    ],
)
def test_hosts_and_packaging_fall_away(name: str, form: str) -> None:
    """One model has one canonical form, whoever serves it and however it is packed."""
    assert canonical(name) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "gpt-4o-mini"),
        ("gpt-4", "gpt-4.1"),
        ("qwen2.5-72b", "qwen2.5-72b-instruct"),
        ("llama-3.1-8b", "llama-3.1-70b"),
        ("claude-opus-4-6", "claude-opus-4-6-fast"),
        ("deepseek-v3", "deepseek-v3.1"),
        ("phi-4", "phi-4-reasoning"),
        ("gpt-5.5", "gpt-5.5-instant"),
    ],
)
def test_what_tells_models_apart_stays(one: str, other: str) -> None:
    """Sizes, versions, tiers and tunings are part of the canonical form."""
    assert canonical(one) != canonical(other)
    assert without_mode(canonical(one)) != without_mode(canonical(other))


def test_a_mode_of_the_same_weights_can_be_taken_off() -> None:
    """``-thinking`` and ``-non-reasoning`` are ways of using a model; ``-reasoning`` may be a model of its own."""
    assert without_mode("qwen3-6-27b-thinking") == "qwen3-6-27b"
    assert without_mode("grok-4-20-non-reasoning") == "grok-4-20"
    assert without_mode("phi-4-reasoning") == "phi-4-reasoning"


@pytest.mark.parametrize(
    ("name", "effort"),
    [
        ("xai/grok-4.20-non-reasoning", "none"),
        ("xai/grok-4.20-non-reasoning-latest", "none"),
        ("xai/grok-4.20-reasoning", "high"),
        ("anthropic/claude-3.7-sonnet:thinking", "high"),
        ("moonshot/kimi-k2-thinking", "high"),
        ("openai/gpt-4o", None),
        ("vendor/rethinking-1", None),
    ],
)
def test_a_name_may_state_its_effort(name: str, effort: str | None) -> None:
    """Only whole words of a name speak of reasoning."""
    assert named_effort(name) == effort


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("claude-sonnet-4-5-20250929", "2025-09-29"),
        ("gpt-4o-2024-08-06", "2024-08-06"),
        ("vertex_ai/claude-haiku-4-5@20251001", "2025-10-01"),
        ("command-r-08-2024", "2024-08-01"),
        ("mistral/mistral-large-2512", "2025-12-01"),
        ("vertex_ai/codestral@2405", None),
        ("volcengine/doubao-seed-2-0-pro-260215", "2026-02-15"),
        ("qwen3-4b-2507", None),
        ("gpt-4-0613", None),
        ("gpt-4o", None),
        ("x-20251301", None),
        ("claude-x-2025-02-30", None),
    ],
)
def test_a_date_in_a_name_is_read(name: str, day: str | None) -> None:
    """A date is read where it is unmistakable; a day that does not exist is no date."""
    assert embedded_date(name) == day


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("meta/llama-3.1-8b-instruct", True),
        ("x/llama-2-7b", True),
        ("x/gemma-2b-it", True),
        ("x/llama-3.1-70b", False),
        ("x/qwen3-30b-a3b", False),
        ("x/mixtral-8x7b", False),
        ("openai/gpt-4o", False),
        ("together_ai/together-1b-70b", False),
    ],
)
def test_a_small_dense_model_is_told_by_its_name(name: str, small: bool) -> None:
    """Up to 9B parameters, and no mixture of experts."""
    assert is_small(name) is small


def test_patterns_taken_together_match_what_each_of_them_does() -> None:
    """Exact names and globs side by side, and none at all."""
    names = ["openai/gpt-4o", "openai/gpt-4o-mini", "groq/llama", "a*b"]
    for patterns in ([], ["openai/gpt-4o"], ["openai/*"], ["groq/llama", "*mini"], ["*"], ["a*b", "x" * 600 + "*"]):
        fits = names_of(patterns)
        assert [fits(name) for name in names] == [any(matches(one, name) for one in patterns) for name in names]
