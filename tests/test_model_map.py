"""LiteLLM's model map as a data file: what is found under a name, and what an entry does and does not say."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ofox_middleware.model_map import ModelMap, prices_of, provider_of, supports_of, window_of
from tests.catalogue import MAP, model_map


@pytest.fixture
def entries(tmp_path: Path) -> ModelMap:
    """The invented map."""
    return model_map(tmp_path, MAP)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("gpt-8", "gpt-8"),
        ("openai/gpt-8", "gpt-8"),
        ("openai/gpt-8-2026-05-05", "gpt-8"),
        ("anthropic/claude-lyric-7.5", "claude-lyric-7-5"),
        ("openrouter/anthropic/claude-lyric-7.5", "claude-lyric-7-5"),
        ("google/gemini-9-flash-preview", "gemini/gemini-9-flash-preview"),
        ("vertex_ai/gemini-9-flash-preview", "gemini-9-flash-preview"),
        ("bedrock/anthropic.claude-lyric-7-5-20260301-v1:0", "anthropic.claude-lyric-7-5-20260301-v1:0"),
        ("bedrock/converse/anthropic.claude-lyric-7-5-20260301-v1:0", "anthropic.claude-lyric-7-5-20260301-v1:0"),
        ("openai/ft:gpt-8:my-org::id", "ft:gpt-8"),
    ],
)
def test_a_name_finds_its_entry(entries: ModelMap, name: str, key: str) -> None:
    """The spellings that people use lead to the entry of that provider."""
    found = entries.find(name)
    assert found is not None
    assert found[0] == key
    assert found[1] == MAP[key]


@pytest.mark.parametrize(
    "name", ["azure/gpt-8", "openai/gpt-8-max", "groq/gpt-8", "anthropic/gpt-8", "gpt", "", "/", "openai/"]
)
def test_a_wrong_match_is_worse_than_none(entries: ModelMap, name: str) -> None:
    """Another provider's entry, or another model's, is not taken."""
    assert entries.find(name) is None


def test_an_entry_is_read_only_when_it_is_asked_for(tmp_path: Path) -> None:
    """Nothing is opened at construction, and a broken entry spoils no other one."""
    lazy = ModelMap(tmp_path / "later.json")
    (tmp_path / "later.json").write_text('{"a": {"mode": "chat"}, "b": 7, "c": {"mode": 5}}')
    assert lazy.entry("a") == {"mode": "chat"}
    assert lazy.entry("b") is None
    assert lazy.find("b") is None
    assert lazy.chat_names("2026-01-01") == ["a"]


@pytest.mark.parametrize("content", [None, b"not json", b"[1, 2]"])
def test_a_map_that_cannot_be_read_is_empty_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    """The catalogue then lives from the shipped tables, and the log says so once."""
    path = tmp_path / "map.json"
    if content is not None:
        path.write_bytes(content)
    broken = ModelMap(path)
    with caplog.at_level(logging.WARNING, "ofox"):
        assert broken.find("gpt-8") is None
        assert not broken
    assert caplog.text.count("cannot be read") == 1


def test_without_a_file_the_map_is_empty() -> None:
    """No litellm, no entries, no complaint."""
    empty = ModelMap(None)
    assert not empty
    assert "gpt-8" not in empty
    assert empty.chat_names("2026-01-01") == []


def test_the_installed_map_is_found_without_importing_litellm() -> None:
    """The package is located, not loaded."""
    code = (
        "import sys; from ofox_middleware.model_map import ModelMap; m = ModelMap.installed();"
        "assert 'gpt-4o' in m and m.find('openai/gpt-4o'); assert 'litellm' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("outcome", [None, ValueError("no spec"), ImportError("gone")])
def test_without_litellm_the_installed_map_is_empty(monkeypatch: pytest.MonkeyPatch, outcome: Exception | None) -> None:
    """An absent package, or a stand-in that another test left behind, is no error."""

    def find_spec(name: str) -> None:
        if outcome is not None:
            raise outcome

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    assert not ModelMap.installed()


def test_a_litellm_without_the_file_has_no_map(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A package that keeps its map elsewhere is treated as none."""
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert not ModelMap.installed()


def test_globs_see_chat_models_in_service(entries: ModelMap) -> None:
    """Chat and responses models by the name to request; the rest stays out."""
    names = entries.chat_names("2026-11-22")
    assert "openai/gpt-8" in names
    assert "openai/gpt-8-mini" in names
    assert "anthropic/claude-lyric-7-5" in names
    assert "gemini/gemini-9-flash-preview" in names
    assert "vertex_ai/gemini-9-flash-preview" in names
    assert "bedrock/anthropic.claude-lyric-7-5-20260301-v1:0" in names
    assert "bedrock/us-east-1/anthropic.claude-lyric-7-5-20260301-v1:0" in names
    assert "ollama/llama-9-8b" in names
    assert "no-provider" in names
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "word", ["gpt-8-2026", "embedding", "ft:", "guard", "commitment", "together-ai-", "gratis", "broken"]
)
def test_globs_leave_out_what_is_no_general_chat_model(entries: ModelMap, word: str) -> None:
    """Deprecated, other modes, fine-tunes, classifiers, price classes, free samples of paid hosts, broken rows."""
    assert not [name for name in entries.chat_names("2026-11-22") if word in name]


def test_a_model_is_deprecated_from_the_day_after_its_date(entries: ModelMap) -> None:
    """On the date itself it still answers; a name that the map does not hold counts as in service."""
    assert not entries.is_deprecated("anthropic/claude-lyric-7.5", "2026-11-22")
    assert entries.is_deprecated("anthropic/claude-lyric-7.5", "2026-11-23")
    assert not entries.is_deprecated("openai/gpt-8", "2099-01-01")
    assert not entries.is_deprecated("nobody/nothing", "2099-01-01")


def test_a_deprecation_date_in_words_is_none(tmp_path: Path) -> None:
    """The map's own sample row says "date when ..."; that deprecates nothing."""
    odd = model_map(tmp_path, {"x": {"mode": "chat", "deprecation_date": "date when the model becomes deprecated"}})
    assert odd.chat_names("2026-01-01") == ["x"]


def test_what_an_entry_does_not_mention_is_unknown() -> None:
    """A missing or null flag is no key; a stated one counts either way."""
    assert supports_of({}) == {}
    assert supports_of({"supports_vision": None, "supports_reasoning": "yes"}) == {}
    assert supports_of({"supports_vision": False, "supports_function_calling": True}) == {"image": False, "tools": True}


@pytest.mark.parametrize(
    ("flag", "need"),
    [
        ("supports_vision", "image"),
        ("supports_image_input", "image"),
        ("supports_audio_input", "audio"),
        ("supports_pdf_input", "file"),
        ("supports_video_input", "video"),
        ("supports_audio_output", "audio_output"),
        ("supports_tool_choice", "tool_choice"),
        ("supports_parallel_function_calling", "parallel_tools"),
        ("supports_computer_use", "computer_use"),
        ("supports_web_search", "web_search"),
        ("supports_response_schema", "json_schema"),
        ("supports_reasoning", "reasoning"),
        ("supports_assistant_prefill", "prefill"),
    ],
)
def test_each_flag_answers_one_need(flag: str, need: str) -> None:
    """LiteLLM's words become ours."""
    assert supports_of({flag: True}) == {need: True}


def test_a_list_of_modalities_is_a_whole_statement() -> None:
    """What it leaves out is absent, unless a flag says otherwise."""
    assert supports_of({"supported_modalities": ["text", "image"]}) == {"image": True, "audio": False, "video": False}
    assert supports_of({"supported_modalities": ["text"], "supports_vision": True})["image"] is True
    assert supports_of({"supported_output_modalities": ["text", "audio"]}) == {"audio_output": True}


def test_a_list_of_parameters_speaks_where_no_flag_does() -> None:
    """LiteLLM refuses a parameter that is not listed; a flag is surer than the list."""
    known = supports_of({"supported_openai_params": ["tools", "n"], "supports_tool_choice": True})
    assert known == {"tools": True, "n": True, "logprobs": False, "tool_choice": True, "parallel_tools": False}


def test_a_model_that_cannot_be_forced_has_no_tool_choice() -> None:
    """It takes ``tool_choice: auto`` only, and asking for more is a 400."""
    known = supports_of({"supports_tool_choice": True, "supports_forced_tool_use": False})
    assert known["tool_choice"] is False
    assert supports_of({"supports_tool_choice": True, "supports_forced_tool_use": True})["tool_choice"] is True


@pytest.mark.parametrize(
    ("info", "prices"),
    [
        ({"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}, (1e-6, 2e-6, None)),
        ({"input_cost_per_token": 1e-6, "cache_read_input_token_cost": 1e-7}, (1e-6, None, 1e-7)),
        ({"input_cost_per_token_cache_hit": 3e-8}, (None, None, 3e-8)),
        ({"input_cost_per_token": 0, "output_cost_per_token": 0.0}, (0.0, 0.0, None)),
        ({"input_cost_per_token": -1, "output_cost_per_token": True}, (None, None, None)),
        ({"input_cost_per_token": "dear"}, (None, None, None)),
        (MAP["dashscope/qwen-tiered"], (4e-7, 1.2e-6, None)),
        ({"tiered_pricing": []}, (None, None, None)),
        ({"tiered_pricing": ["odd"]}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_prices_are_read_or_unknown(info: dict[str, Any], prices: tuple[float | None, ...]) -> None:
    """USD per token; the first tier where the price depends on length; nonsense is no price."""
    assert prices_of(info) == prices


@pytest.mark.parametrize(
    ("value", "tokens"), [(1000, 1000), (1e5, 100_000), (0, None), (-1, None), ("1k", None), (True, None)]
)
def test_a_window_is_a_positive_number(value: object, tokens: int | None) -> None:
    """Anything else is unknown, which never keeps a model out."""
    assert window_of({"max_input_tokens": value}, "max_input_tokens") == tokens
    assert window_of({}, "max_input_tokens") is None


def test_a_provider_is_named_or_not() -> None:
    """The entry's own provider as people write it."""
    assert provider_of({"litellm_provider": "bedrock_converse"}) == "bedrock"
    assert provider_of({"litellm_provider": None}) == ""
    assert provider_of({}) == ""
