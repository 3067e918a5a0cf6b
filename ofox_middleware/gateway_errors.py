"""What the gateway's callers are told of an upstream error, in each of the four protocols. Pure."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ofox_middleware.failures import is_failure, retry_after_s
from ofox_middleware.types import Surface

log: Final = logging.getLogger("ofox_middleware")


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


class UpstreamFailed(Exception):
    """An upstream failure that LiteLLM does not raise, found while there is still time for an HTTP status."""

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
        known, error = 502, UpstreamFailed(502, "The connection to the provider broke.")
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
