"""LiteLLM's model map, read as the data file it is: prices, windows and capabilities per key.

litellm itself is never imported: that takes seconds, and the file is all that is wanted of it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from ofox_middleware.model_names import keys_for, provider_family
from ofox_middleware.types import Need

_log = logging.getLogger("ofox")

_FILE: Final = "model_prices_and_context_window_backup.json"

FLAGS: Final[Mapping[str, Need]] = {
    "supports_image_input": "image",
    "supports_vision": "image",
    "supports_audio_input": "audio",
    "supports_pdf_input": "file",
    "supports_video_input": "video",
    "supports_audio_output": "audio_output",
    "supports_function_calling": "tools",
    "supports_tool_choice": "tool_choice",
    "supports_parallel_function_calling": "parallel_tools",
    "supports_computer_use": "computer_use",
    "supports_web_search": "web_search",
    "supports_response_schema": "json_schema",
    "supports_reasoning": "reasoning",
    "supports_logprobs": "logprobs",
    "supports_n": "n",
    "supports_assistant_prefill": "prefill",
}
"""Flags of LiteLLM's map, and of a :class:`~ofox_middleware.cards.ModelCard`, and the need that each answers; of two
flags for one need the later one counts."""

_PARAMS: Final[Mapping[str, Need]] = {
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tools",
    "logprobs": "logprobs",
    "n": "n",
}
"""Parameters of LiteLLM's ``supported_openai_params``; LiteLLM refuses those that are not listed."""

_MODALITIES: Final[tuple[Need, ...]] = ("image", "audio", "video")

_MODES: Final = frozenset({"chat", "responses"})

_LOCAL: Final = frozenset({"ollama", "lemonade"})
"""Providers whose price of zero is the truth."""

_NOT_FOR_GLOBS: Final = frozenset([
    "guard", "guardian", "safeguard", "safety", "tts", "lyria", "robotics", "embed", "embedding", "ocr",
    "container", "research", "computer", "live", "realtime", "search", "audio", "image", "router", "auto",
    "preset", "online", "translate", "fim", "base", "python", "lora", "draft", "ttm", "mt0", "flan",
    "pegasus", "sam", "moondream3", "scaledown", "commitment", "copilot", "cyber", "daybreak", "mythos",
    "rosalind",
])  # fmt: skip
"""Parts of names that mark a key in chat mode as something else than a chat model that answers anybody: classifiers,
speech, music and vision tools, search products, routers of others, untuned weights, price classes, and models that
their makers give to selected customers. A glob leaves them out; an exact name takes them in."""

_PRICE_CLASS: Final = re.compile(r"^(?:together-ai|fireworks-ai)-")
_WORDS: Final = re.compile(r"[^a-z0-9]+")


class _Summary(msgspec.Struct):
    mode: str | None = None
    litellm_provider: str | None = None
    deprecation_date: str | None = None
    input_cost_per_token: float | None = None
    output_cost_per_token: float | None = None


class ModelMap:
    """The map's entries, each decoded when it is asked for.

    Args:
        path: the JSON file; ``None`` is an empty map.
    """

    __slots__ = ("_entries", "_path")

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._entries: dict[str, msgspec.Raw] | None = None

    @classmethod
    def installed(cls) -> ModelMap:
        """The map inside the installed litellm package; an empty one when it is not installed."""
        try:
            spec = importlib.util.find_spec("litellm")
        except (ImportError, ValueError):
            spec = None
        roots = list(spec.submodule_search_locations or ()) if spec is not None else []
        found = [path for root in roots if (path := Path(root) / _FILE).is_file()]
        return cls(found[0] if found else None)

    def _read(self) -> dict[str, msgspec.Raw]:
        if self._entries is None:
            self._entries = self._decode()
        return self._entries

    def _decode(self) -> dict[str, msgspec.Raw]:
        if self._path is None:
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, msgspec.Raw])
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("LiteLLM's model map cannot be read (%s): prices come from the shipped tables", error)
            return {}

    def __contains__(self, key: object) -> bool:
        return key in self._read()

    def __bool__(self) -> bool:
        return bool(self._read())

    def entry(self, key: str) -> dict[str, Any] | None:
        """The entry under exactly ``key``."""
        raw = self._read().get(key)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            return None

    def find(self, name: str) -> tuple[str, dict[str, Any]] | None:
        """The key and entry of the model that a person calls ``name``; never another provider's."""
        entries = self._read()
        for key, provider in keys_for(name):
            if key not in entries:
                continue
            entry = self.entry(key)
            if entry is not None and (not provider or provider_of(entry) == provider):
                return key, entry
        return None

    def chat_names(self, today: str) -> list[str]:
        """``provider/model`` of every chat model that is not deprecated on ``today`` (ISO), in the map's order."""
        names: dict[str, None] = {}
        for key, raw in self._read().items():
            try:
                summary = msgspec.json.decode(raw, type=_Summary)
            except msgspec.DecodeError:
                continue
            if not _is_deprecated(summary.deprecation_date, today) and _for_globs(key, summary):
                names[_routed(key, summary.litellm_provider or "")] = None
        return list(names)

    def providers(self) -> set[str]:
        """The families of all providers that the map holds a model of."""
        found: set[str] = set()
        for raw in self._read().values():
            with contextlib.suppress(msgspec.DecodeError):
                found.add(provider_family(msgspec.json.decode(raw, type=_Summary).litellm_provider or ""))
        return found - {""}

    def is_deprecated(self, name: str, today: str) -> bool:
        """Whether the provider has taken ``name`` out of service by ``today`` (ISO); unknown counts as no."""
        found = self.find(name)
        return found is not None and _is_deprecated(found[1].get("deprecation_date"), today)


def _is_deprecated(deprecation_date: object, today: str) -> bool:
    return isinstance(deprecation_date, str) and deprecation_date[:4].isdigit() and deprecation_date < today


def _for_globs(key: str, summary: _Summary) -> bool:
    if summary.mode not in _MODES or "*" in key or key.startswith("ft:") or _PRICE_CLASS.match(key):
        return False
    free = summary.input_cost_per_token == 0 and summary.output_cost_per_token == 0
    if free and summary.litellm_provider not in _LOCAL:
        return False
    return _NOT_FOR_GLOBS.isdisjoint(_WORDS.split(key.lower()))


def _routed(key: str, provider: str) -> str:
    family = provider_family(provider)
    return key if not family or key.startswith((f"{family}/", f"{provider}/")) else f"{family}/{key}"


def provider_of(info: Mapping[str, Any]) -> str:
    """The provider family of a map entry, ``""`` when it names none."""
    provider = info.get("litellm_provider")
    return provider_family(provider) if isinstance(provider, str) else ""


def supports_of(info: Mapping[str, Any]) -> dict[Need, bool]:
    """What an entry says of capabilities. What it does not mention stays out: unknown, not absent.

    A flag counts as stated. Where there is none, a list of modalities or of supported parameters speaks, and then what
    it leaves out is absent.
    """
    known: dict[Need, bool] = {}
    inputs, outputs, params = (
        info.get(field) for field in ("supported_modalities", "supported_output_modalities", "supported_openai_params")
    )
    if isinstance(inputs, list):
        known.update({need: need in inputs for need in _MODALITIES})
    if isinstance(outputs, list):
        known["audio_output"] = "audio" in outputs
    if isinstance(params, list):
        known.update({need: param in params for param, need in _PARAMS.items()})
    known.update({need: info[flag] for flag, need in FLAGS.items() if isinstance(info.get(flag), bool)})
    if info.get("supports_forced_tool_use") is False:
        known["tool_choice"] = False
    return known


def prices_of(info: Mapping[str, Any]) -> tuple[float | None, float | None, float | None]:
    """USD per token of input, output and cached input; the lowest tier where the price depends on length."""
    tiers = info.get("tiered_pricing")
    first = tiers[0] if isinstance(tiers, list) and tiers and isinstance(tiers[0], Mapping) else {}
    cached = _amount(info, first, "cache_read_input_token_cost")
    if cached is None:
        cached = _amount(info, first, "input_cost_per_token_cache_hit")
    return _amount(info, first, "input_cost_per_token"), _amount(info, first, "output_cost_per_token"), cached


def _amount(info: Mapping[str, Any], tier: Mapping[str, Any], field: str) -> float | None:
    for value in (info.get(field), tier.get(field)):
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return float(value)
    return None


def window_of(info: Mapping[str, Any], field: str) -> int | None:
    """A positive number of tokens under ``field``, else ``None``."""
    value = info.get(field)
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
