"""Upstream errors as the gateway's callers see them, in the shape of each protocol."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from ofox_middleware.gateway_errors import failure_of
from tests.gateway.tools import ASK, QUIET, Site
from tests.litellm.upstream import Upstream

pytestmark = QUIET


class ProviderError(Exception):
    """Shaped like LiteLLM's exceptions."""

    def __init__(self, status_code: int, message: str = "no luck", **more: Any) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.__dict__.update(more)


class ContextWindowExceededError(ProviderError):
    """LiteLLM's name for a prompt that is too long."""


class ContentPolicyViolationError(ProviderError):
    """LiteLLM's name for a refusal by the provider's filter."""


class APIConnectionError(ProviderError):
    """LiteLLM's name for a provider that cannot be reached."""


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (400, 400, "invalid_request"),
        (408, 408, "upstream_timeout"),
        (429, 429, "rate_limit_exceeded"),
        (500, 500, "upstream_error"),
        (503, 503, "upstream_unavailable"),
        (529, 529, "upstream_error"),
        (200, 500, "upstream_error"),
    ],
)
def test_provider_errors_keep_their_status(status: int, told: int, code: str) -> None:
    """The caller sees the provider's status and a code for programs; a nonsensical status is a 500."""
    failure = failure_of(ProviderError(status), "chat")
    assert (failure.status, failure.code) == (told, code)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refused_operator_key_is_not_the_callers_fault(status: int) -> None:
    """The provider's 401, 402, 403 and 404 are about the gateway's credentials, so the caller is told 502."""
    failure = failure_of(ProviderError(status), "chat")
    assert failure.status == 502
    assert str(status) in failure.message


def test_an_empty_account_is_not_the_callers_fault() -> None:
    """A 400 that says the account has no credit is a 502 too."""
    assert failure_of(ProviderError(400, "Your credit balance is too low"), "chat").status == 502


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ContextWindowExceededError(400), 400, "context_length_exceeded"),
        (ContentPolicyViolationError(400), 400, "content_policy_violation"),
        (APIConnectionError(500), 502, "bad_gateway"),
    ],
)
def test_litellms_own_kinds_have_openais_codes(error: ProviderError, status: int, code: str) -> None:
    """Overlong prompts, filtered content and unreachable providers are told apart by code."""
    failure = failure_of(error, "chat")
    assert (failure.status, failure.code) == (status, code)


def test_the_wrapped_error_counts() -> None:
    """LiteLLM wraps errors of streams; status and message are those of the wrapped one."""
    wrapped = ProviderError(503, "outer", original_exception=ProviderError(429, "inner"))
    failure = failure_of(wrapped, "chat")
    assert (failure.status, failure.message) == (429, "inner")


def test_an_error_without_a_status_says_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 whose text stays in the log."""
    failure = failure_of(KeyError("secret"), "chat")
    assert failure.status == 500 and "secret" not in failure.message
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("litellm.RateLimitError: RateLimitError: OpenAIException - slow down", "slow down"),
        ("litellm.MidStreamFallbackError: litellm.InternalServerError: oops", "oops"),
        ("bad\nTraceback (most recent call last):\n  File x", "bad"),
        ("Incorrect API key provided: sk-abcdefgh1234", "Incorrect API key provided: [key]"),
        ("", "The provider failed without saying why."),
    ],
)
def test_messages_are_the_providers_words_without_litellms_wrapping(said: str, told: str) -> None:
    """No prefixes of class names, no tracebacks, no keys."""
    assert failure_of(ProviderError(500, said), "chat").message == told


def test_bodies_have_the_protocols_shape() -> None:
    """OpenAI's error object for three protocols, Anthropic's for the fourth."""
    openai = failure_of(ProviderError(429), "responses").body("responses")
    assert openai["error"] == {
        "message": "no luck", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
    }  # fmt: skip
    anthropic = failure_of(ProviderError(503), "messages").body("messages")
    assert anthropic == {"type": "error", "error": {"type": "overloaded_error", "message": "no luck"}}


class _Response:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    ("more", "header"),
    [
        ({"response": _Response({"retry-after": "2.2"})}, {"retry-after": "3"}),
        ({"litellm_response_headers": {"retry-after": "9"}}, {"retry-after": "9"}),
        ({"litellm_response_headers": {"x": "y"}, "response": _Response({})}, {}),
        ({}, {}),
    ],
)
def test_retry_after_is_passed_on_in_whole_seconds(more: dict[str, Any], header: dict[str, str]) -> None:
    """The provider's wish is passed on, rounded up, from wherever LiteLLM keeps it."""
    assert failure_of(ProviderError(429, **more), "chat").headers() == header


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), httpx.ReadError("cut"), aiohttp.ClientPayloadError("not completed")]
)
def test_a_connection_that_breaks_is_the_providers_failure(error: Exception) -> None:
    """What HTTP clients raise in the middle of a stream is a 502 that says so, and no failure of the gateway."""
    failure = failure_of(error, "messages")
    assert (failure.status, failure.message) == (502, "The connection to the provider broke.")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ('{"error": {"message": "too hot"}}', "too hot"),
        ('b\'{"error": {"message": "too hot"}}\'', "too hot"),
        ('{"error": "too hot"}', '{"error": "too hot"}'),
        ('{"error": {"message": 5}}', '{"error": {"message": 5}}'),
        ('use {"a": 1}', 'use {"a": 1}'),
        ("{broken", "{broken"),
    ],
)
def test_a_providers_json_is_told_as_its_sentence(message: str, said: str) -> None:
    """An error that LiteLLM passes on as the provider's whole body reads as what the provider said."""
    assert failure_of(ProviderError(400, message), "chat").message == said


# Over a provider on loopback -----------------------------------------------------------------------------------------


def test_when_everybody_fails_the_caller_is_told(site: Site, upstream: Upstream) -> None:
    """The last failure is passed on with its status, the attempts are counted, and the models are asked once each."""
    for size in ("large", "medium", "small"):
        upstream.behave(size, status=503, message="out of order")
    with pytest.raises(openai.InternalServerError) as caught:
        site.chat()
    assert caught.value.status_code == 503 and "out of order" in caught.value.message
    assert caught.value.response.headers["x-ofox-attempts"] == "3"
    assert sorted(upstream.models()) == ["large", "medium", "small"]


def test_a_rate_limit_keeps_its_retry_after(site: Site, upstream: Upstream) -> None:
    """A 429 for a model asked for by name comes with the provider's ``Retry-After``."""
    upstream.behave("small", status=429, retry_after="17")
    with pytest.raises(openai.RateLimitError) as caught:
        site.chat("other/small")
    assert caught.value.response.headers["retry-after"] == "17"


def test_a_refused_operator_key_is_a_bad_gateway(site: Site, upstream: Upstream) -> None:
    """The provider's 401 is not shown as the caller's."""
    upstream.behave("small", status=401, message="bad key sk-abcdefgh12345")
    with pytest.raises(openai.InternalServerError) as caught:
        site.chat("other/small")
    assert caught.value.status_code == 502 and "abcdefgh" not in caught.value.message


def test_a_refused_key_moves_on_to_the_next_model(site: Site, upstream: Upstream) -> None:
    """A provider that refuses the operator's key is a reason to try another."""
    upstream.behave("small", status=401)
    raw = site.chat(extra_body={"model_routing_config": {"preference": "cost", "models": ["other/*", "house/*"]}})
    assert raw.parse().model.startswith("house/")


def test_a_stream_that_breaks_says_so(site: Site, upstream: Upstream) -> None:
    """A failure after content is an error event in place of ``[DONE]``."""
    upstream.behave("small", break_after=2)
    body = {"model": "other/small", "messages": ASK, "stream": True}
    lines = [line for line in site.http.post("/v1/chat/completions", json=body).text.splitlines() if line]
    assert "error" in json.loads(lines[-1].removeprefix("data: "))
    assert "[DONE]" not in "".join(lines)
