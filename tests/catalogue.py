"""A small catalogue for tests: a handful of invented models, so that no test hangs on what the tables hold today."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from ofox_middleware.abilities import ABILITY_INTERCEPT, ABILITY_SLOPE
from ofox_middleware.cards import ModelCard, ModelFacts
from ofox_middleware.catalog import Catalog
from ofox_middleware.model_map import ModelMap
from ofox_middleware.tables import MakerSpeed, Row, Shortlisted, Tables

TODAY = date(2026, 11, 22)

MAP: dict[str, Any] = {
    "gpt-8": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2e-6,
        "output_cost_per_token": 8e-6,
        "cache_read_input_token_cost": 5e-7,
        "max_input_tokens": 400_000,
        "max_output_tokens": 64_000,
        "supports_vision": True,
        "supports_function_calling": True,
        "supports_reasoning": True,
    },
    "gpt-8-mini": {
        "litellm_provider": "openai",
        "mode": "responses",
        "input_cost_per_token": 2e-7,
        "output_cost_per_token": 8e-7,
        "supports_vision": False,
    },
    "gpt-8-2026-02-03": {"litellm_provider": "openai", "mode": "chat", "deprecation_date": "2026-11-21"},
    "claude-lyric-7-5": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 3e-6,
        "output_cost_per_token": 15e-6,
        "max_input_tokens": 200_000,
        "supports_reasoning": True,
        "deprecation_date": "2026-11-22",
    },
    "gemini/gemini-9-flash-preview": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "input_cost_per_token": 5e-7,
        "output_cost_per_token": 3e-6,
        "supported_modalities": ["text", "image"],
    },
    "gemini-9-flash-preview": {"litellm_provider": "vertex_ai-language-models", "mode": "chat"},
    "groq/meta/llama-9-70b": {
        "litellm_provider": "groq",
        "mode": "chat",
        "input_cost_per_token": 6e-7,
        "output_cost_per_token": 8e-7,
    },
    "anthropic.claude-lyric-7-5-20260301-v1:0": {"litellm_provider": "bedrock_converse", "mode": "chat"},
    "bedrock/us-east-1/anthropic.claude-lyric-7-5-20260301-v1:0": {"litellm_provider": "bedrock", "mode": "chat"},
    "mistral/mistral-tiny-9": {
        "litellm_provider": "mistral",
        "mode": "chat",
        "input_cost_per_token": 1e-7,
        "output_cost_per_token": 1e-7,
    },
    "dashscope/qwen-tiered": {
        "litellm_provider": "dashscope",
        "mode": "chat",
        "tiered_pricing": [
            {"input_cost_per_token": 4e-7, "output_cost_per_token": 1.2e-6, "range": [0, 256000]},
            {"input_cost_per_token": 9e-7, "output_cost_per_token": 9e-6, "range": [256000, 1000000]},
        ],
    },
    "github_copilot/gpt-8": {"litellm_provider": "github_copilot", "mode": "chat"},
    "hosted/gpt-8": {"litellm_provider": "hosted", "mode": "chat"},
    "ollama/llama-9-8b": {
        "litellm_provider": "ollama",
        "mode": "chat",
        "input_cost_per_token": 0.0,
        "output_cost_per_token": 0.0,
    },
    "gemini/gemini-gratis": {
        "litellm_provider": "gemini",
        "mode": "chat",
        "input_cost_per_token": 0,
        "output_cost_per_token": 0,
    },
    "ft:gpt-8": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 4e-6,
        "output_cost_per_token": 16e-6,
    },
    "text-embedding-9": {"litellm_provider": "openai", "mode": "embedding"},
    "groq/llama-guard-9": {"litellm_provider": "groq", "mode": "chat"},
    "bedrock/*/6-month-commitment/some-model": {"litellm_provider": "bedrock", "mode": "chat"},
    "together-ai-4.1b-8b": {"litellm_provider": "together_ai", "mode": "chat"},
    "no-provider": {"mode": "chat"},
    "broken": {"mode": 7},
}

OFFSETS = (0.3, 0.0, 0.0, 0.0, 0.0, 0.0, -0.6, 0.0)
COUNTS = (9, 0, 0, 0, 0, 0, 3, 0)
CEILING = (1.5,) * 8

TABLES = Tables(
    as_of="2026-11-22",
    how="invented",
    ceiling=CEILING,
    models={
        "gpt-8": Row(
            key="gpt-8",
            maker="OpenAI",
            released="2026-02-03",
            usd=(2.0, 8.0),
            g=1.0,
            se=0.03,
            n=50,
            offsets=OFFSETS,
            counts=COUNTS,
            gap=0.5,
            effort="none",
        ),
        "claude-lyric-7-5": Row(
            key="claude-lyric-7-5", maker="Anthropic", released="2026-03-01", usd=(3.0, 15.0), g=1.2, se=0.03, n=40
        ),
        "claude-lyric-9": Row(key="claude-lyric-9", maker="Anthropic", released="2026-10-01", g=9.0, se=0.0, n=1),
        "llama-9-70b": Row(key="groq/meta/llama-9-70b", maker="Meta", usd=(0.6, 0.8), g=-0.4, se=0.03, n=30),
        "gpt-8-quick": Row(key="gpt-8-quick", maker="OpenAI"),
        "gpt-8-slow": Row(key="gpt-8-slow", maker="OpenAI"),
        "nobody-1": Row(key="nobody/nobody-1", released="2025-07-02", usd=(1.0, 1.0)),
    },
    keys={
        "gpt-8": ["gpt-8", "gpt-8-2026-02-03"],
        "claude-lyric-7-5": ["claude-lyric-7-5", "anthropic.claude-lyric-7-5-20260301-v1:0"],
        "llama-9-70b": ["groq/meta/llama-9-70b", "together_ai/meta/Llama-9-70B-Instruct"],
        "nobody-1": ["nobody/nobody-1", "nobody/shared-instruct"],
        "claude-lyric-9": ["other/shared-instruct"],
    },
    speeds={
        "gpt-8": [(0.0, 0.8, 100.0), (0.95, 20.0, 80.0), (1.0, 120.0, 80.0)],
        "claude-lyric-7-5": [(1.0, 90.0, 50.0)],
        "llama-9-70b": [(0.0, 0.9, 90.0)],
        "gpt-8-quick": [(1.0, 3.0, 80.0)],
        "gpt-8-slow": [(0.5, 12.0, 80.0), (1.0, 90.0, 80.0)],
    },
    advertised={"groq": {"": 500.0, "gpt-oss-9": 700.0}},
    makers={
        "": MakerSpeed(1.4, 15.0, 90.0),
        "OpenAI": MakerSpeed(0.9, 7.0, 110.0),
        "Anthropic": MakerSpeed(1.5, 8.0, 60.0),
        "Meta": MakerSpeed(0.7, 9.0, 95.0),
    },
    families={"gpt": "OpenAI", "claude": "Anthropic", "llama": "Meta", "phi": "Microsoft"},
    shortlist=[
        Shortlisted("openai/gpt-8", ("OPENAI_API_KEY",)),
        Shortlisted("openai/gpt-8-2026-02-03", ("OPENAI_API_KEY",)),
        Shortlisted("gemini/gemini-9-flash-preview", ("GEMINI_API_KEY", "GOOGLE_API_KEY")),
        Shortlisted("openrouter/anthropic/claude-lyric-7.5", ("OPENROUTER_API_KEY",)),
    ],
)


def make(folder: Path, entries: dict[str, Any] | None = None, *, today: date = TODAY) -> Catalog:
    """A catalogue over the invented tables and ``entries`` as LiteLLM's map (default :data:`MAP`; ``{}`` is none)."""
    tables = folder / "tables.json"
    tables.write_bytes(msgspec.json.encode(TABLES))
    return Catalog(model_map=model_map(folder, MAP if entries is None else entries), tables=tables, today=lambda: today)


def model_map(folder: Path, entries: dict[str, Any]) -> ModelMap:
    """``entries`` in a file, read as LiteLLM's map is."""
    path = folder / "map.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return ModelMap(path)


def facts(catalog: Catalog, name: str, **stated: Any) -> ModelFacts:
    return catalog.facts(ModelCard(name=name, **stated))


def z(logit: float) -> float:
    return (logit - ABILITY_INTERCEPT) / ABILITY_SLOPE
