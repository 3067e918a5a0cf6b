"""Names of providers: which ones there are, and which one a slip was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ofox_middleware.model_map import ModelMap
from ofox_middleware.model_names import GATEWAYS, VENDOR_PROVIDERS

_MAKERS: Final = frozenset({"openai", "anthropic"})
"""Whose models the map and the tables name without a prefix."""

_UNLISTED: Final = frozenset([
    "a2a", "a2a_agent", "ai21_chat", "aiohttp_openai", "anthropic_text", "apertis", "azure_speech", "bytez",
    "charity_engine", "chutes", "clarifai", "cometapi", "compactifai", "custom", "custom_openai", "datarobot",
    "docker_model_runner", "edenai", "empower", "galadriel", "github", "helicone", "hosted_vllm", "huggingface",
    "infinity", "langflow", "langgraph", "llamafile", "lm_studio", "manus", "maritalk", "modelscope", "nano-gpt",
    "neosantara", "ollama_chat", "oobabooga", "openai_like", "parasail", "petals", "poe", "predibase", "ragflow",
    "sagemaker_chat", "sagemaker_nova", "sap", "synthetic", "triton", "vertex_ai_beta", "vllm", "watsonx_text",
    "xinference",
])  # fmt: skip
"""Providers of LiteLLM (``LlmProviders``) of which its model map holds no model: mostly servers of one's own."""

_NEAR: Final = 0.75
"""Share of letters that a slip has in common with what was meant, as :mod:`difflib` counts it."""


def known_providers(model_map: ModelMap, keys: Iterable[str]) -> frozenset[str]:
    """What a model's name may begin with: LiteLLM's providers, and makers as gateways write them.

    Args:
        model_map: holds most providers.
        keys: ``provider/model`` names of the shipped tables, for where LiteLLM is not installed.
    """
    listed = {key.partition("/")[0] for key in keys if "/" in key} | model_map.providers()
    return GATEWAYS | _MAKERS | _UNLISTED | listed | VENDOR_PROVIDERS.keys() | set(VENDOR_PROVIDERS.values())


def nearest(written: str, known: Iterable[str]) -> str:
    """The provider that ``written`` is likely to be a slip of; ``""`` when none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - for messages only

    near = get_close_matches(written.lower(), sorted(known), n=1, cutoff=_NEAR)
    return near[0] if near else ""
