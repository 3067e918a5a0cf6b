"""The gateway's four protocols: forwarded fields, error bodies, stream events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import httpx
import pytest

from ofox_middleware import wire
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.types import Surface

SURFACES: tuple[Surface, ...] = ("chat", "text", "responses", "messages")
PROMPT: dict[Surface, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "text": {"prompt": "hi"},
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
}


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


class Answer:
    """Shaped like LiteLLM's pydantic objects."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, mode: str, exclude_none: bool, warnings: bool) -> dict[str, Any]:
        assert mode == "json" and not warnings
        return {name: value for name, value in self.fields.items() if value is not None or not exclude_none}


@pytest.mark.parametrize("surface", SURFACES)
def test_the_prompt_is_forwarded_and_the_model_is_not(surface: Surface) -> None:
    """The prompt goes on; the model and the routing config, which the gateway handles itself, do not."""
    body = {"model": "auto", "model_routing_config": {}, **PROMPT[surface]}
    assert wire.forwarded(body, surface) == PROMPT[surface]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("field", ["api_base", "api_key", "base_url", "mock_response", "extra_headers", "custom"])
def test_fields_that_steer_litellm_are_refused(surface: Surface, field: str) -> None:
    """A caller cannot set what LiteLLM takes for its own controls, such as where to send the operator's key."""
    with pytest.raises(InvalidRequest) as caught:
        wire.forwarded({**PROMPT[surface], field: "http://evil.test"}, surface)
    assert caught.value.param == field


def test_the_operators_own_fields_are_not_the_callers() -> None:
    """What the operator's card sets is left out of the caller's part, whoever put it into the body."""
    body = {**PROMPT["chat"], "api_base": "http://evil.test"}
    assert wire.forwarded(body, "chat", frozenset({"api_base"})) == PROMPT["chat"]


def test_a_field_of_the_protocol_stays_the_callers_beside_the_operators() -> None:
    """A request parameter that both set keeps the caller's value."""
    body = {**PROMPT["chat"], "reasoning_effort": "high"}
    assert wire.forwarded(body, "chat", frozenset({"reasoning_effort"}))["reasoning_effort"] == "high"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_missing_prompt_is_named(surface: Surface) -> None:
    """A body without its prompt is refused with the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        wire.forwarded({"model": "auto"}, surface)
    assert caught.value.param in PROMPT[surface]


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        ("chat", {"messages": "hi"}),
        ("chat", {"messages": ["hi"]}),
        ("messages", {"messages": {}}),
        ("text", {"prompt": 1}),
        ("responses", {"input": None}),
    ],
)
def test_a_prompt_of_the_wrong_type_is_refused(surface: Surface, body: dict[str, Any]) -> None:
    """Wrong types are a 400 of ours and not an internal error of LiteLLM's."""
    with pytest.raises(InvalidRequest) as caught:
        wire.forwarded(body, surface)
    assert caught.value.code == "invalid_type"


def test_metadata_is_accepted_and_kept_here() -> None:
    """OpenAI's metadata is no error, but LiteLLM, which takes orders from it, does not get it."""
    assert "metadata" not in wire.forwarded({**PROMPT["chat"], "metadata": {"x": "y"}}, "chat")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({"user_id": "u1", "tags": ["x"]}, {"user_id": "u1"}), ({"user_id": 7}, None), ("text", None)],
)
def test_of_anthropics_metadata_only_the_user_id_passes(sent: Any, kept: Any) -> None:
    """Anthropic documents ``user_id`` alone; the rest of ``metadata`` is dropped."""
    assert wire.forwarded({**PROMPT["messages"], "metadata": sent}, "messages").get("metadata") == kept


def test_messages_without_a_limit_get_one() -> None:
    """``max_tokens`` is required upstream, so a request without it gets a roomy one."""
    assert wire.forwarded({"messages": []}, "messages")["max_tokens"] == 4096


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
    failure = wire.failure_of(ProviderError(status), "chat")
    assert (failure.status, failure.code) == (told, code)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_refused_operator_key_is_not_the_callers_fault(status: int) -> None:
    """The provider's 401, 402, 403 and 404 are about the gateway's credentials, so the caller is told 502."""
    failure = wire.failure_of(ProviderError(status), "chat")
    assert failure.status == 502
    assert str(status) in failure.message


def test_an_empty_account_is_not_the_callers_fault() -> None:
    """A 400 that says the account has no credit is a 502 too."""
    assert wire.failure_of(ProviderError(400, "Your credit balance is too low"), "chat").status == 502


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
    failure = wire.failure_of(error, "chat")
    assert (failure.status, failure.code) == (status, code)


def test_the_wrapped_error_counts() -> None:
    """LiteLLM wraps errors of streams; status and message are those of the wrapped one."""
    wrapped = ProviderError(503, "outer", original_exception=ProviderError(429, "inner"))
    failure = wire.failure_of(wrapped, "chat")
    assert (failure.status, failure.message) == (429, "inner")


def test_an_error_without_a_status_says_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is a 500 whose text stays in the log."""
    failure = wire.failure_of(KeyError("secret"), "chat")
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
    assert wire.failure_of(ProviderError(500, said), "chat").message == told


def test_bodies_have_the_protocols_shape() -> None:
    """OpenAI's error object for three protocols, Anthropic's for the fourth."""
    openai = wire.failure_of(ProviderError(429), "responses").body("responses")
    assert openai["error"] == {
        "message": "no luck", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded",
    }  # fmt: skip
    anthropic = wire.failure_of(ProviderError(503), "messages").body("messages")
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
    assert wire.failure_of(ProviderError(429, **more), "chat").headers() == header


def data(event: bytes) -> dict[str, Any]:
    """The JSON of one event."""
    decoded: dict[str, Any] = json.loads(event.decode().split("data: ", 1)[1])
    return decoded


def test_chat_chunks_name_the_pools_model() -> None:
    """Every chunk of a chat stream names the model as the pool does, and has a finish reason."""
    event = wire.sse_event(Answer(model="inner", choices=[{"delta": {"content": "a"}}], usage=None), "chat", "my/model")
    assert data(event) == {"model": "my/model", "choices": [{"delta": {"content": "a"}, "finish_reason": None}]}
    assert event.endswith(b"\n\n")


def test_text_chunks_always_have_a_text() -> None:
    """The last chunk of a text stream has an empty text, as OpenAI's has."""
    event = wire.sse_event({"model": "inner", "choices": [{"finish_reason": "stop"}]}, "text", "my/model")
    assert data(event)["choices"] == [{"finish_reason": "stop", "text": ""}]


def test_response_events_are_named_and_name_the_model() -> None:
    """Responses events carry their type as the event name, and the model where there is one."""
    created = wire.sse_event({"type": "response.created", "response": {"model": "inner"}}, "responses", "my/model")
    assert created.startswith(b"event: response.created\n")
    assert data(created)["response"]["model"] == "my/model"
    delta = wire.sse_event({"type": "response.output_text.delta", "delta": "a"}, "responses", "my/model")
    assert data(delta) == {"type": "response.output_text.delta", "delta": "a"}


def test_message_events_name_the_model() -> None:
    """Anthropic events that come as objects are encoded, with the pool's name in ``message_start``."""
    event = wire.sse_event({"type": "message_start", "message": {"model": "inner"}}, "messages", "my/model")
    assert event.startswith(b"event: message_start\n")
    assert data(event)["message"]["model"] == "my/model"


@pytest.mark.parametrize("as_text", [False, True])
def test_encoded_message_events_name_the_model(as_text: bool) -> None:
    """Anthropic events that come encoded are changed in ``message_start`` only."""
    start = b'event: message_start\ndata: {"type": "message_start", "message": {"model": "inner"}}\n\n'
    event = wire.sse_event(start.decode() if as_text else start, "messages", "my/model")
    assert data(event)["message"]["model"] == "my/model"
    other = b'event: ping\ndata: {"type": "ping"}\n\n'
    assert wire.sse_event(other, "messages", "my/model") is other


@pytest.mark.parametrize(
    "odd",
    [b'data: {"type": "message_start"\n\n', b'data: ["message_start"]\n\n', b'data: {"delta": "message_start"}\n\n'],
)
def test_odd_encoded_events_pass_unchanged(odd: bytes) -> None:
    """What only looks like a ``message_start`` is passed on byte for byte."""
    assert wire.sse_event(odd, "messages", "my/model") == odd


@pytest.mark.parametrize(
    "error", [ConnectionResetError("reset"), httpx.ReadError("cut"), aiohttp.ClientPayloadError("not completed")]
)
def test_a_connection_that_breaks_is_the_providers_failure(error: Exception) -> None:
    """What HTTP clients raise in the middle of a stream is a 502 that says so, and no failure of the gateway."""
    failure = wire.failure_of(error, "messages")
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
    assert wire.failure_of(ProviderError(400, message), "chat").message == said


@pytest.mark.parametrize("step", [1, 7, 1000])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_bytes_are_cut_at_the_ends_of_events(step: int, newline: str) -> None:
    """However the network cut a stream, each event comes whole and by itself, and a torn last one is kept."""
    events = [f"event: a{newline}data: 1{newline}{newline}", f"data: 2{newline}{newline}", "data: to"]
    raw = "".join(events).encode()

    async def stream() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), step):
            yield raw[at : at + step]

    async def read() -> list[bytes]:
        return [event async for event in wire.whole_events(stream())]

    assert asyncio.run(read()) == [event.encode() for event in events]


def test_what_says_nothing_of_the_provider_is_told_apart() -> None:
    """What is sent before a model has said anything is, and so are the ends of parts of a response that never began."""
    assert wire.is_preamble(b'event: message_start\ndata: {"type": "message_start"}\n\n', "messages")
    assert wire.is_preamble(b'event: response.output_text.done\ndata: {"text": ""}\n\n', "responses")
    assert wire.is_preamble(b"<html>gateway</html>", "messages")
    assert not wire.is_preamble(b'event: response.completed\ndata: {"type": "response.completed"}\n\n', "responses")
    assert not wire.is_preamble(b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n', "messages")
    assert not wire.is_preamble(b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n', "chat")


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (b'event: error\ndata: {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}\n\n', 429),
        (b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "slow"}}\n\n', 500),
        (b"event: error\ndata: nonsense\n\n", 500),
        (b"event: error\n\n", 500),
        (b"event: error\ndata: []\n\n", 500),
    ],
)
def test_a_first_event_that_is_an_error_has_a_status(event: bytes, status: int) -> None:
    """An error as the first event becomes an exception with the status that its type stands for."""
    with pytest.raises(wire.StreamRefused) as caught:
        wire.raise_if_refused(event, "messages")
    assert caught.value.status_code == status
    wire.raise_if_refused(event, "chat")
    wire.raise_if_refused(b"event: ping\ndata: {}\n\n", "messages")


@pytest.mark.parametrize(
    ("surface", "starts"),
    [("chat", b"data: "), ("text", b"data: "), ("responses", b"event: error\n"), ("messages", b"event: error\n")],
)
def test_a_broken_stream_ends_with_an_error_event(surface: Surface, starts: bytes) -> None:
    """The last event of a broken stream is an error in the stream's own protocol."""
    event = wire.sse_error(wire.failure_of(ProviderError(503, "gone"), surface), surface)
    assert event.startswith(starts)
    told = data(event)
    assert "gone" in (told.get("message") or told["error"]["message"])
    assert told.get("type") == (None if surface in {"chat", "text"} else "error")


def test_whole_answers_keep_their_nulls() -> None:
    """``content: null`` of a tool call is kept in a plain answer, and dicts are copied."""
    assert wire.plain(Answer(content=None), whole=True) == {"content": None}
    given = {"a": 1}
    assert wire.plain(given) == given and wire.plain(given) is not given
