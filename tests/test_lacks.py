"""What providers' errors say that a model lacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ofox_middleware.lacks import BODY_BYTES, Lack, is_known, lack_in


def wire(message: Any, **fields: Any) -> bytes:
    """An error body in OpenAI's shape."""
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **fields}}).encode()


def forbidden(name: str, **fields: Any) -> list[dict[str, Any]]:
    """An error of pydantic's, as Mistral and vLLM pass it on."""
    return [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", **fields}]


PARAMETERS: list[tuple[str | bytes, str]] = [
    # OpenAI
    (wire("Unsupported parameter: 'temperature' is not supported with this model.", param="temperature",
          code="unsupported_parameter"), "temperature"),
    (wire("Unsupported value: 'temperature' does not support 0.1 with this model. Only the default (1) value is"
          " supported.", param="temperature", code="unsupported_value"), "temperature"),
    (wire("Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are:"
          " 'low', 'medium', and 'high'.", param="reasoning_effort", code="unsupported_value"),
     "reasoning_effort=minimal"),
    (wire("Unsupported value: 'minimal' is not supported with this model.", param="reasoning.effort",
          code="unsupported_value"), "reasoning=minimal"),
    (wire("Unsupported parameter: 'reasoning.effort' is not supported with this model.", param="reasoning.effort",
          code="unsupported_parameter"), "reasoning"),
    (wire("Unsupported parameter: 'reasoning.summary' is not supported with this model.", param="reasoning.summary",
          code="unsupported_parameter"), "reasoning.summary"),
    (wire("Unsupported value: 'text.verbosity' does not support 'low' with this model. Supported values are:"
          " 'medium'.", param="text.verbosity", code="unsupported_value"), "text.verbosity=low"),
    (wire("output_config.effort: Extra inputs are not permitted"), "output_config.effort"),
    (wire("thinking: Extra inputs are not permitted"), "thinking"),
    ('litellm.BadRequestError: AnthropicException - b\'{"type":"error","error":{"message":"thinking: Extra inputs are'
     " not permitted\"}}'", "thinking"),
    (wire("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'"
          " instead.", param="max_tokens", code="unsupported_parameter"), "max_tokens"),
    (wire("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
     "json_schema"),
    (wire("Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions."),
     "reasoning_effort"),
    (wire("You are not allowed to request logprobs from this model."), "logprobs"),
    (wire("Invalid content type. image_url is only supported by certain models."), "image"),
    # Anthropic
    (wire("`temperature` is deprecated for this model."), "temperature"),
    (wire("`temperature` and `top_p` cannot both be specified for this model. Please use only one."), "top_p"),
    (wire("This model does not support assistant message prefill. The conversation must end with a user message."),
     "prefill"),
    (wire("adaptive thinking is not supported on this model"), "reasoning"),
    (wire("This model does not support the effort parameter."), "reasoning"),
    # Google
    (json.dumps([{"error": {"code": 400, "message": "Function calling is not enabled for models/gemma-3-27b-it",
                            "status": "INVALID_ARGUMENT"}}]).encode(), "tools"),
    (wire("Image input modality is not enabled for models/gemma-3-1b-it", code=400), "image"),
    (wire("Multiple candidates is not enabled for this model"), "n"),
    # Mistral, vLLM
    (json.dumps({"object": "error", "message": {"detail": forbidden("max_completion_tokens", input=32000)}}).encode(),
     "max_completion_tokens"),
    (json.dumps({"object": "error", "message": json.dumps({"detail": forbidden("frequency_penalty")})}).encode(),
     "frequency_penalty"),
    (json.dumps({"detail": forbidden("tools", input=[])}).encode(), "tools"),
    (json.dumps({"object": "error", "message": "[{'type': 'extra_forbidden', 'loc': ('body', 'tool_choice'), 'msg':"
                 " 'Extra inputs are not permitted', 'input': 'auto'}]", "code": 400}).encode(), "tool_choice"),
    (json.dumps({"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice and'
                 " --tool-call-parser to be set", "code": 400}).encode(), "tools"),
    ("/models/llama is not a multimodal model", "image"),
    ("At most 0 image(s) may be provided in one request.", "image"),
    # OpenRouter, Ollama, xAI, DeepSeek, Groq
    (wire("No endpoints found that support image input", code=404), "image"),
    (wire('No endpoints found that support tool use. Try disabling "get_weather".', code=404), "tools"),
    ("registry.ollama.ai/library/gemma3:4b does not support tools", "tools"),
    ("registry.ollama.ai/library/gemma3:4b does not support thinking", "reasoning"),
    ("Model grok-4 does not support parameter presencePenalty.", "presence_penalty"),
    ("Argument not supported on this model: stop", "stop"),
    ("Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected"
     " `text` at line 1 column 120", "image"),
    ("This response_format type is unavailable now", "json_schema"),
    ("This model does not support response format `json_schema`. See supported models", "json_schema"),
    ("`tool calling` is not supported with this model", "tools"),
    ("reasoning_effort is not supported with this model", "reasoning_effort"),
    # LiteLLM
    ("litellm.UnsupportedParamsError: groq does not support parameters: ['tools'], for model=x. To drop these, set"
     " `litellm.drop_params=True`", "tools"),
    ("litellm.BadRequestError: OpenAIException - Unsupported parameter: 'top_p' is not supported with this model.",
     "top_p"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "key"), PARAMETERS)
def test_features_and_parameters(error: str | bytes, key: str) -> None:
    """The common wordings are understood, as an exception's text and as a body."""
    lack = lack_in(error)
    assert lack is not None
    assert lack.key == key
    assert is_known(key)


LIMITS: list[tuple[str | bytes, Lack]] = [
    (wire("This model's maximum context length is 128000 tokens. However, your messages resulted in 130,012 tokens.",
          code="context_length_exceeded"), Lack("context_window", limit=128000, counted=130012)),
    (wire("This model's maximum context length is 4097 tokens, however you requested 4322 tokens (4066 in your prompt;"
          " 256 for the completion)."), Lack("context_window", limit=4097, counted=4322)),
    (wire("Your input exceeds the context window of this model.", code="context_length_exceeded"),
     Lack("context_window")),
    (wire("Please reduce the length of the messages or completion.", code="context_length_exceeded"),
     Lack("context_window")),
    (wire("prompt is too long: 210000 tokens > 200000 maximum"),
     Lack("context_window", limit=200000, counted=210000)),
    (wire("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length"),
     Lack("context_window", limit=200000)),
    ("The input token count (314175) exceeds the maximum number of tokens allowed (131072).",
     Lack("context_window", limit=131072, counted=314175)),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
     Lack("context_window", limit=32768, counted=40000)),
    ("This model's maximum prompt length is 131072 but the request contains 170000 tokens.",
     Lack("context_window", limit=131072, counted=170000)),
    ("the request exceeds the available context size (8192 tokens)", Lack("context_window", limit=8192)),
    ("Your request exceeded model token limit: 262144 (requested: 291351)",
     Lack("context_window", limit=262144, counted=291351)),
    ("litellm.BadRequestError: litellm.ContextWindowExceededError: AnthropicException - too long",
     Lack("context_window")),
    (wire("max_tokens: 100000 > 64000, which is the maximum allowed number of output tokens for claude"),
     Lack("output_limit", limit=64000)),
    (wire("max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you"
          " provided 100000."), Lack("output_limit", limit=16384)),
    ("`max_tokens` must be less than or equal to `32768`, the maximum value for `max_tokens` is less than the"
     " `context_window` for this model", Lack("output_limit", limit=32768)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "lack"), LIMITS)
def test_limits(error: str | bytes, lack: Lack) -> None:
    """A prompt or an answer that is too long, with the numbers that the provider gives."""
    assert lack_in(error) == lack


@pytest.mark.parametrize(
    "error",
    [
        "", b"", b"[]", b"null", b"{}", b"\xff\xfe", b'{"error": {"message": {"a": 1}}}', b"[" * 5000,
        "thinking.type: Input should be 'disabled'",
        "Unrecognized request argument supplied: foo_bar",
        "Invalid 'messages[0].role': unsupported value",
        "Invalid value: 'foo'. Supported values are: 'system'",
        "tools.0.custom.input_schema: JSON schema is invalid",
        "The response was filtered due to the prompt triggering content management policy",
        "Your credit balance is too low",
        "image_url must be a data url, image is not supported in this format",
        "messages: at least one message is required",
        "system.1.cache_control.ephemeral.scope: Extra inputs are not permitted",
        "messages.65.content.1.tool_use.text: Extra inputs are not permitted",
        "litellm.BadRequestError: OpenAIException - bad field",
    ],
)  # fmt: skip
def test_other_errors_are_the_callers(error: str | bytes) -> None:
    """What any model would refuse, and what cannot be read, is no lack."""
    assert lack_in(error) is None


def test_what_is_quoted_from_the_prompt_is_not_believed() -> None:
    """Only the start of a message is the provider's own words, and pydantic's quotes of the input come after."""
    assert lack_in("Invalid content: " + "x" * 800 + " prompt is too long: 9 tokens > 8 maximum") is None
    assert lack_in(b"x" * (BODY_BYTES + 10)) is None


def test_keys_of_other_workers_are_checked() -> None:
    """Nothing but the known vocabulary is taken over."""
    assert is_known("context_window")
    assert is_known("image")
    assert not is_known("anything")
    assert not is_known("temperature=0.7")
