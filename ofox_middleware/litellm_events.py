"""Reads LiteLLM's call dictionaries: which call an event belongs to, which deployment, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import litellm
import msgspec

from ofox_middleware.errors import InvalidRequest, OfoxError
from ofox_middleware.failures import retry_after_s
from ofox_middleware.ledger import Call, Ledger

PATHS: Final = {
    "acompletion": "/v1/chat/completions",
    "atext_completion": "/v1/completions",
    "aresponses": "/v1/responses",
    "anthropic_messages": "/v1/messages",
}
"""LiteLLM's names of the endpoints that are routed. What else names an auto model is refused, never passed on."""

KEY: Final = "ofox_call"
"""Where a :class:`Call` lies in ``model_call_details``, LiteLLM's dictionary of one call, which no provider sees."""

_SYNC_CALLS: Final = frozenset({"completion", "text_completion", "responses"})
_ASYNC_MARKS: Final = ("acompletion", "atext_completion", "aresponses")
_BUCKETS: Final = ("litellm_metadata", "metadata")


def call_of(logging_obj: Any) -> Call | None:
    """The ledger's entry of a call, made at its first event; ``None`` when LiteLLM gave no logging object."""
    details = getattr(logging_obj, "model_call_details", None)
    return call_of_details(details) if isinstance(details, dict) else None


def call_of_details(details: dict[str, Any]) -> Call:
    """As :func:`call_of`, from the dictionary that LiteLLM hands to log events."""
    call = known_call(details)
    if call is None:
        call = details[KEY] = Call()
    return call


def known_call(details: Mapping[str, Any]) -> Call | None:
    """The ledger's entry of a call that has begun, else ``None``."""
    call = details.get(KEY)
    return call if isinstance(call, Call) else None


def asked_unseen(kwargs: Mapping[str, Any]) -> str | None:
    """The model that a proxy request asks for when no hook of the proxy's has seen it before its first attempt, as at
    ``/queue/chat/completions``; else ``None``."""
    details = getattr(kwargs.get("litellm_logging_obj"), "model_call_details", None)
    if not isinstance(details, dict):
        return None
    known, came = known_call(details), kwargs.get("proxy_server_request")
    if not isinstance(came, Mapping) or (known is not None and known.routed is not None):
        return None
    if any(isinstance(bucket, Mapping) and KEY in bucket for bucket in map(kwargs.get, _BUCKETS)):
        return None
    # A call that is known may have begun with something else, such as a search. Else a hook has seen it, after which
    # LiteLLM notes the body anew, with the model that the hook left in it.
    named = None if known is not None else parse_qs(urlsplit(str(came.get("url") or "")).query).get("model")
    body = came.get("body")
    asked = named[0] if named else body.get("model") if isinstance(body, Mapping) else None
    if asked is None:
        asked = _bucket(kwargs).get("model_group")
    return asked if isinstance(asked, str) else None


class Start(msgspec.Struct, frozen=True):
    """What an attempt is on.

    Attributes:
        model: the provider's model string.
        group: the router's group, which is ``model`` in a call without a router.
        deployment: id of the deployment, ``None`` without a router and in health probes.
        depth: fallbacks that came before.
        params: the call's parameters.
        retries: how many attempts at the same group came before it.
    """

    model: str
    group: str
    deployment: str | None
    depth: int
    params: Mapping[str, Any]
    retries: int = 0

    @classmethod
    def of(cls, kwargs: Mapping[str, Any]) -> Start:
        """From the arguments of LiteLLM's call."""
        return cls._read(kwargs, kwargs)

    @classmethod
    def of_details(cls, details: Mapping[str, Any]) -> Start:
        """From the dictionary of log events, which keeps the call's own arguments one level down."""
        params = details.get("litellm_params")
        return cls._read(details, params if isinstance(params, Mapping) else {})

    @classmethod
    def _read(cls, call: Mapping[str, Any], holder: Mapping[str, Any]) -> Start:
        bucket = _bucket(holder)
        depth = call.get("fallback_depth") or bucket.get("attempted_fallbacks") or 0
        retries = bucket.get("attempted_retries")
        model = str(call.get("model") or "")
        provider = call.get("custom_llm_provider")
        if holder is not call and provider and not model.startswith(f"{provider}/"):
            # Log events hold the model without the provider that the caller named it with.
            model = f"{provider}/{model}"
        return cls(
            model=model,
            group=str(bucket.get("model_group") or model),
            deployment=_deployment(holder, bucket),
            depth=depth if isinstance(depth, int) else 0,
            params=call,
            retries=retries if isinstance(retries, int) else 0,
        )


def deployment_of(kwargs: Mapping[str, Any]) -> str | None:
    """As ``Start.of(kwargs).deployment``, where nothing else is wanted."""
    return _deployment(kwargs, _bucket(kwargs))


def deployment_of_details(details: Mapping[str, Any]) -> str | None:
    """As ``Start.of_details(details).deployment``."""
    params = details.get("litellm_params")
    return deployment_of(params) if isinstance(params, Mapping) else None


def _bucket(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metadata in which the Router has noted what it took; empty without a Router."""
    for name in _BUCKETS:
        found = holder.get(name)
        if found and isinstance(found, Mapping) and found.get("model_group"):
            return found
    return {}


def _deployment(holder: Mapping[str, Any], bucket: Mapping[str, Any]) -> str | None:
    info = bucket.get("model_info") or holder.get("model_info")
    found = info.get("id") if isinstance(info, Mapping) else None
    return str(found) if found else None


def is_sync(details: Mapping[str, Any]) -> bool:
    """Whether a log event belongs to a sync call; async calls send the sync events too."""
    params = details.get("litellm_params") or {}
    return details.get("call_type") in _SYNC_CALLS and not any(
        params.get(mark) or details.get(mark) for mark in _ASYNC_MARKS
    )


def status_of(error: object) -> int | None:
    """The HTTP status of an exception, ``None`` when it has none."""
    status = getattr(error, "status_code", None)
    if status is None:
        code = getattr(error, "code", None)
        status = int(code) if isinstance(code, str) and code.isdigit() else code
    return status if isinstance(status, int) else None


def failed(
    ledger: Ledger, call: Call, deployment: str | None, error: object, *, late: bool = False, refused: bool = False
) -> None:
    """Closes the attempt that ended with ``error``. ``refused``: whatever the status says, the model cannot take this
    request, which is no failure."""
    headers = getattr(error, "litellm_response_headers", None)
    if headers is None:
        headers = getattr(getattr(error, "response", None), "headers", None)
    ledger.fail(
        call,
        deployment,
        status=400 if refused else status_of(error),
        message="" if refused else str(getattr(error, "message", "") or error),
        retry_after_s=retry_after_s(headers) if headers else None,
        late=late,
    )


def output_tokens(response: Any) -> int | None:
    """Tokens of an answer of any surface, ``None`` when it does not say."""
    usage = _field(response, "usage")
    for name in ("completion_tokens", "output_tokens"):
        count = _field(usage, name)
        if isinstance(count, int) and count > 0:
            return count
    return None


def _field(holder: Any, name: str) -> Any:
    """A field of an answer, or of a part of it; some surfaces have objects of their own, others plain dictionaries."""
    found = getattr(holder, name, None)
    return holder.get(name) if found is None and isinstance(holder, Mapping) else found


def first_token_at(details: Mapping[str, Any]) -> float | None:
    """When a stream's first piece came, seconds since the epoch; ``None`` for an answer in one piece."""
    at = details.get("completion_start_time")
    return at.timestamp() if details.get("stream") and isinstance(at, datetime) else None


def was_cached(details: Mapping[str, Any]) -> bool:
    """Whether LiteLLM's cache answered, which says nothing about a provider."""
    return details.get("cache_hit") is True


def client_left(details: Mapping[str, Any]) -> bool:
    """Whether the event tells of a client that disconnected; LiteLLM reports a dropped stream as a success."""
    payload = details.get("standard_logging_object") or {}
    error = payload.get("error_information") if isinstance(payload, Mapping) else None
    code = error.get("error_code") if isinstance(error, Mapping) else None
    return str(code) == "499" or status_of(details.get("exception")) == 499


def not_chat() -> InvalidRequest:
    """What an auto model is told on an endpoint that is not routed."""
    return InvalidRequest(
        "`auto` chooses among chat models: use it with /v1/chat/completions, /v1/completions, /v1/responses or "
        "/v1/messages.",
        param="model",
        code="unsupported_endpoint",
    )


def refusal(error: OfoxError, model: object = "auto") -> Exception:
    """``error`` as the exception that users of LiteLLM's SDK expect."""
    body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    refused: Exception = litellm.BadRequestError(
        message=error.message, model=str(model), llm_provider="ofox", body=body
    )
    refused.status_code = error.status  # type: ignore[attr-defined]
    return refused


def broken_off(model: str) -> Exception:
    """What to raise instead of another attempt once the caller has part of an answer of ``model``."""
    told = f"{model}'s stream broke after content was sent, so no other model answers."
    broken: Exception = litellm.APIConnectionError(message=told, model=model, llm_provider="ofox")
    return broken


def passed_over(model: str) -> Exception:
    """What to raise instead of an attempt at ``model`` when another model is to be asked at once."""
    told = f"{model} is failing, and another model waits."
    passed: Exception = litellm.APIConnectionError(message=told, model=model, llm_provider="ofox")
    passed.num_retries = 0  # type: ignore[attr-defined] # LiteLLM asks the exception how often to retry
    return passed
