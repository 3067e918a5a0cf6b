"""Which fields of a request the gateway forwards to LiteLLM, protocol by protocol. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware import shape
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.types import Surface

_SAMPLING: Final = (
    "frequency_penalty", "logit_bias", "min_p", "presence_penalty", "repetition_penalty", "seed", "temperature",
    "top_k", "top_p",
)  # fmt: skip

FIELDS: Final[Mapping[Surface, frozenset[str]]] = {
    "chat": frozenset({
        *_SAMPLING, "audio", "function_call", "functions", "logprobs", "max_completion_tokens", "max_tokens",
        "messages", "modalities", "n", "parallel_tool_calls", "prediction", "prompt_cache_key",
        "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "service_tier", "stop",
        "store", "stream", "stream_options", "thinking", "tool_choice", "tools", "top_logprobs", "user", "verbosity",
        "web_search_options",
    }),
    "text": frozenset({
        *_SAMPLING, "best_of", "echo", "logprobs", "max_tokens", "n", "prompt", "stop", "stream", "stream_options",
        "suffix", "user",
    }),
    "responses": frozenset({
        "include", "input", "instructions", "max_output_tokens", "max_tool_calls", "parallel_tool_calls",
        "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier",
        "service_tier", "store", "stream", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p",
        "truncation", "user",
    }),
    "messages": frozenset({
        "context_management", "max_tokens", "messages", "metadata", "output_config", "output_format", "service_tier",
        "stop_sequences", "stream", "system", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
    }),
}  # fmt: skip
"""What a caller may send, beside ``model``. A list of what is allowed: LiteLLM takes its own controls (``api_base``,
``api_key``, ``mock_response`` ...) from the same keywords, and a caller who could set them would get the operator's
keys sent to an address of its own."""

_DROPPED: Final = frozenset({"metadata", "model", "model_routing_config"})
"""Accepted and not forwarded. ``metadata`` is a label for OpenAI's dashboard, but a set of controls for LiteLLM."""


def forwarded(body: Mapping[str, Any], surface: Surface, operators: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The part of a request that goes to LiteLLM.

    Args:
        body: the request's JSON.
        surface: its shape.
        operators: fields that the operator's card sets; the caller's values of them are left out unless the
            protocol has them.

    Raises:
        InvalidRequest: a field is unknown, or the one that holds the prompt is missing or of the wrong type.
    """
    required = shape.HELD[surface]
    if required not in body:
        raise InvalidRequest(f"{required} is missing.", param=required, code="missing_required_parameter")
    # LiteLLM would stumble over what is of the wrong type with an internal error.
    if body[required] is None:
        raise InvalidRequest(f"{required} must not be null.", param=required, code="invalid_type")
    shape.check(body, surface)
    allowed = FIELDS[surface]
    kept = {}
    for name, value in body.items():
        if name in allowed:
            kept[name] = value
        elif name not in _DROPPED and name not in operators:
            raise InvalidRequest(
                f"Unrecognized request field {name[:64]!r}.", param=name[:64], code="unknown_parameter"
            )
    if surface == "messages":
        kept.setdefault("max_tokens", 4096)
        _keep_user_id(kept)
    return kept


def _keep_user_id(fields: dict[str, Any]) -> None:
    """Of Anthropic's ``metadata`` only ``user_id`` exists; anything else in there could be LiteLLM's."""
    metadata = fields.pop("metadata", None)
    if isinstance(metadata, dict) and isinstance(metadata.get("user_id"), str):
        fields["metadata"] = {"user_id": metadata["user_id"]}
