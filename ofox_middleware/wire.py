"""The gateway's four protocols: which request fields are forwarded, how errors and stream events look. Pure."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ofox_middleware import shape, sniff
from ofox_middleware.errors import InvalidRequest, wire_body
from ofox_middleware.failures import is_failure, retry_after_s
from ofox_middleware.types import Surface

log: Final = logging.getLogger("ofox_middleware")

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


@dataclass(frozen=True, slots=True)
class Failure:
    """An upstream error as the caller is told of it.

    Attributes:
        status: HTTP status.
        type, code: words for programs, OpenAI's where it has one.
        message: for people.
        retry_after_s: seconds, ``None`` when the provider named none.
    """

    status: int
    type: str
    code: str | None
    message: str
    retry_after_s: float | None = None

    def body(self, surface: Surface) -> dict[str, Any]:
        """The JSON error body in the protocol of ``surface``."""
        if surface == "messages":
            return {"type": "error", "error": {"type": self.type, "message": self.message}}
        return {"error": {"message": self.message, "type": self.type, "param": None, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """``Retry-After`` in whole seconds, rounded up, where the provider named a time."""
        if self.retry_after_s is None:
            return {}
        return {"retry-after": str(max(0, -int(-self.retry_after_s // 1)))}


_KINDS: Final[Mapping[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", "invalid_request", "invalid_request_error"),
    408: ("timeout_error", "upstream_timeout", "timeout_error"),
    413: ("invalid_request_error", "request_too_large", "request_too_large"),
    422: ("invalid_request_error", "invalid_request", "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
    502: ("upstream_error", "bad_gateway", "api_error"),
    503: ("upstream_error", "upstream_unavailable", "overloaded_error"),
    504: ("upstream_error", "upstream_timeout", "timeout_error"),
}
"""Status -> error type and code for OpenAI's protocols, error type for Anthropic's."""

_PREFIX: Final = re.compile(r"^(?:(?:litellm\.)?\w+(?:Error|Exception): |\w+(?:Exception|Error) - )*")
_SECRET: Final = re.compile(r"\b(?:sk|gsk|pk|rk|xai|hf)[-_][\w*.\-]{6,}|\bAIza[\w\-]{10,}|\bBearer [\w.\-]{6,}")


_TYPES: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 503,
    "timeout_error": 504,
}
"""Anthropic's error types -> HTTP status; any other is a 500."""


class StreamRefused(Exception):
    """A stream whose first event is an error, so that there is still time for an HTTP status."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message


def failure_of(error: BaseException, surface: Surface) -> Failure:
    """What to tell the caller of an exception that LiteLLM raised.

    The caller is not to blame when the provider refuses the *operator's* key, account or model name: 401, 402, 403,
    404 and a 400 about credit become a 502, which also lets the middleware try the next candidate.
    """
    original = getattr(error, "original_exception", None)
    if original is not None and getattr(original, "status_code", None):
        error = original
    known = getattr(error, "status_code", None)
    if not isinstance(known, int) and _is_network(error):
        known, error = 502, StreamRefused(502, "The connection to the provider broke.")
    if not isinstance(known, int):
        log.error("the gateway failed", exc_info=error)
        return Failure(500, "api_error", "internal_error", "The gateway failed; its log says why.")
    status = known if 400 <= known <= 599 else 500
    if type(error).__name__ == "APIConnectionError":
        status = 502
    text = str(getattr(error, "message", "") or error).partition("\nTraceback")[0]
    message = _SECRET.sub("[key]", _said(_PREFIX.sub("", text))).strip()[:2000]
    if status < 500 and status not in {408, 429} and is_failure(status, message):
        message = f"The provider refused the gateway's own credentials, account or model name ({status}): {message}"
        status = 502
    kind, code, anthropic = _KINDS.get(status, ("upstream_error", "upstream_error", "api_error"))
    if status == 400 and type(error).__name__ == "ContextWindowExceededError":
        code = "context_length_exceeded"
    if status == 400 and type(error).__name__ == "ContentPolicyViolationError":
        code = "content_policy_violation"
    return Failure(
        status=status,
        type=anthropic if surface == "messages" else kind,
        code=code,
        message=message or "The provider failed without saying why.",
        retry_after_s=_retry_after(error),
    )


def _is_network(error: BaseException) -> bool:
    """Whether a connection broke. LiteLLM lets its HTTP clients' own errors out of a stream that has begun."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in {"aiohttp", "httpcore", "httpx"}


def _said(text: str) -> str:
    """The provider's own sentence, where ``text`` is its JSON body, which LiteLLM hands on as it came."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or text[:start] not in {"", "b'", 'b"'}:
        return text
    try:
        error = json.loads(text[start : end + 1])["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return text
    said = error.get("message") if isinstance(error, dict) else None
    return said if isinstance(said, str) and said else text


def _retry_after(error: BaseException) -> float | None:
    for headers in (
        getattr(error, "litellm_response_headers", None),
        getattr(getattr(error, "response", None), "headers", None),
    ):
        if headers:
            named = retry_after_s(headers)
            if named is not None:
                return named
    return None


def sse(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {text}\n\n".encode()


_END_OF_EVENT: Final = re.compile(rb"\r?\n\r?\n")


async def whole_events(stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """Chunks of a stream, where bytes are cut at the ends of events; other chunks are events already.

    LiteLLM hands on an Anthropic stream as it came from the network, several events in one piece or one in several.
    """
    rest = b""
    async for chunk in stream:
        if not isinstance(chunk, bytes | str):
            yield chunk
            continue
        looked_at = max(0, len(rest) - 3)  # an end may have begun in the piece before
        rest += chunk if isinstance(chunk, bytes) else chunk.encode()
        start = 0
        for end in _END_OF_EVENT.finditer(rest, looked_at):
            yield rest[start : end.end()]
            start = end.end()
        rest = rest[start:]
    if rest:
        yield rest


_ENDS_OF_PARTS: Final = (
    b"event: response.output_text.done",
    b"event: response.content_part.done",
    b"event: response.output_item.done",
)


def is_preamble(event: bytes, surface: Surface) -> bool:
    """Whether ``event`` says nothing of the provider: LiteLLM makes ``message_start`` up before it has called one.

    Nor do the ends of parts of a response of which no part has been heard; the whole of it comes last.
    """
    return sniff.says_nothing(event) or (surface == "responses" and event.startswith(_ENDS_OF_PARTS))


def raise_if_refused(event: bytes, surface: Surface) -> None:
    """Raises :class:`StreamRefused` when ``event`` is an error that LiteLLM has worded for Anthropic's protocol."""
    if surface != "messages" or not event.startswith(b"event: error"):
        return
    error: dict[str, Any] = {}
    with contextlib.suppress(ValueError, IndexError, AttributeError):
        error = json.loads(event.split(b"data:", 1)[1]).get("error") or {}
    raise StreamRefused(_TYPES.get(str(error.get("type")), 500), str(error.get("message") or ""))


def sse_error(failure: Failure, surface: Surface) -> bytes:
    """The last event of a stream that broke after content was sent."""
    if surface == "responses":
        data = {"type": "error", "code": failure.code, "message": failure.message, "param": None, "sequence_number": 0}
        return sse(data, "error")
    return sse(failure.body(surface), "error" if surface == "messages" else None)


def sse_event(chunk: Any, surface: Surface, name: str) -> bytes:
    """One chunk of a LiteLLM stream as an event that names the model ``name``."""
    if isinstance(chunk, bytes):
        return _renamed(chunk, name)
    if isinstance(chunk, str):
        return _renamed(chunk.encode(), name)
    data = plain(chunk)
    if surface == "messages":
        _rename(data.get("message"), name)
        return sse(data, str(data.get("type", "message")))
    if surface == "responses":
        _rename(data.get("response"), name)
        return sse(data, str(data.get("type", "message")))
    data["model"] = name
    for choice in data.get("choices") or ():
        choice.setdefault("finish_reason", None)
        if surface == "text":
            choice.setdefault("text", "")
    return sse(data)


def _rename(holder: Any, name: str) -> None:
    if isinstance(holder, dict) and "model" in holder:
        holder["model"] = name


def _renamed(event: bytes, name: str) -> bytes:
    """Already encoded events of Anthropic's protocol: only ``message_start`` names a model."""
    if b"message_start" not in event:
        return event
    lines = event.decode().split("\n")
    for at, line in enumerate(lines):
        if not line.startswith("data:"):
            continue
        try:
            data = json.loads(line[5:])
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("type") == "message_start":
            _rename(data.get("message"), name)
            lines[at] = "data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return "\n".join(lines).encode()


def plain(response: Any, *, whole: bool = False) -> dict[str, Any]:
    """A LiteLLM object as plain JSON types; ``whole`` keeps fields that are null."""
    if isinstance(response, dict):
        return dict(response)
    dumped: dict[str, Any] = response.model_dump(mode="json", exclude_none=not whole, warnings=False)
    return dumped


def refusal(error: Any, surface: Surface) -> dict[str, Any]:
    """The body of a refusal of ours."""
    return wire_body(error, surface)
