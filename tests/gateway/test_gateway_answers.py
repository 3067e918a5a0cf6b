"""LiteLLM's answers and stream events as the gateway's callers get them, in the shape of each protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from ofox_middleware import gateway as gateway_module
from ofox_middleware.gateway_answers import is_preamble, plain, raise_if_error, sse_error, sse_event, whole_events
from ofox_middleware.gateway_errors import Failure, UpstreamFailed
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Preference, Surface
from tests.asgi.harness import call
from tests.gateway.tools import ASK, MODELS, QUIET, TEXT, Site
from tests.litellm.upstream import Upstream

pytestmark = QUIET


class Answer:
    """Shaped like LiteLLM's pydantic objects."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def model_dump(self, *, mode: str, exclude_none: bool, warnings: bool) -> dict[str, Any]:
        assert mode == "json" and not warnings
        return {name: value for name, value in self.fields.items() if value is not None or not exclude_none}


def data(event: bytes) -> dict[str, Any]:
    """The JSON of one event."""
    decoded: dict[str, Any] = json.loads(event.decode().split("data: ", 1)[1])
    return decoded


def test_chat_chunks_name_the_pools_model() -> None:
    """Every chunk of a chat stream names the model as the pool does, and has a finish reason."""
    event = sse_event(Answer(model="inner", choices=[{"delta": {"content": "a"}}], usage=None), "chat", "my/model")
    assert data(event) == {"model": "my/model", "choices": [{"delta": {"content": "a"}, "finish_reason": None}]}
    assert event.endswith(b"\n\n")


def test_text_chunks_always_have_a_text() -> None:
    """The last chunk of a text stream has an empty text, as OpenAI's has."""
    event = sse_event({"model": "inner", "choices": [{"finish_reason": "stop"}]}, "text", "my/model")
    assert data(event)["choices"] == [{"finish_reason": "stop", "text": ""}]


def test_response_events_are_named_and_name_the_model() -> None:
    """Responses events carry their type as the event name, and the model where there is one."""
    created = sse_event({"type": "response.created", "response": {"model": "inner"}}, "responses", "my/model")
    assert created.startswith(b"event: response.created\n")
    assert data(created)["response"]["model"] == "my/model"
    delta = sse_event({"type": "response.output_text.delta", "delta": "a"}, "responses", "my/model")
    assert data(delta) == {"type": "response.output_text.delta", "delta": "a"}


def test_message_events_name_the_model() -> None:
    """Anthropic events that come as objects are encoded, with the pool's name in ``message_start``."""
    event = sse_event({"type": "message_start", "message": {"model": "inner"}}, "messages", "my/model")
    assert event.startswith(b"event: message_start\n")
    assert data(event)["message"]["model"] == "my/model"


@pytest.mark.parametrize("as_text", [False, True])
def test_encoded_message_events_name_the_model(as_text: bool) -> None:
    """Anthropic events that come encoded are changed in ``message_start`` only."""
    start = b'event: message_start\ndata: {"type": "message_start", "message": {"model": "inner"}}\n\n'
    event = sse_event(start.decode() if as_text else start, "messages", "my/model")
    assert data(event)["message"]["model"] == "my/model"
    other = b'event: ping\ndata: {"type": "ping"}\n\n'
    assert sse_event(other, "messages", "my/model") is other


@pytest.mark.parametrize(
    "odd",
    [b'data: {"type": "message_start"\n\n', b'data: ["message_start"]\n\n', b'data: {"delta": "message_start"}\n\n'],
)
def test_odd_encoded_events_pass_unchanged(odd: bytes) -> None:
    """What only looks like a ``message_start`` is passed on byte for byte."""
    assert sse_event(odd, "messages", "my/model") == odd


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
        return [event async for event in whole_events(stream())]

    assert asyncio.run(read()) == [event.encode() for event in events]


def test_what_says_nothing_of_the_provider_is_told_apart() -> None:
    """What is sent before a model has said anything is, and so are the ends of parts of a response that never began."""
    assert is_preamble(b'event: message_start\ndata: {"type": "message_start"}\n\n', "messages")
    assert is_preamble(b'event: response.output_text.done\ndata: {"text": ""}\n\n', "responses")
    assert is_preamble(b"<html>gateway</html>", "messages")
    assert not is_preamble(b'event: response.completed\ndata: {"type": "response.completed"}\n\n', "responses")
    assert not is_preamble(b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n', "messages")
    assert not is_preamble(b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n', "chat")


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
    with pytest.raises(UpstreamFailed) as caught:
        raise_if_error(event, "messages")
    assert caught.value.status_code == status
    raise_if_error(event, "chat")
    raise_if_error(b"event: ping\ndata: {}\n\n", "messages")


@pytest.mark.parametrize(
    ("surface", "starts"),
    [("chat", b"data: "), ("text", b"data: "), ("responses", b"event: error\n"), ("messages", b"event: error\n")],
)
def test_a_broken_stream_ends_with_an_error_event(surface: Surface, starts: bytes) -> None:
    """The last event of a broken stream is an error in the stream's own protocol."""
    event = sse_error(Failure(503, "overloaded_error", "upstream_unavailable", "gone"), surface)
    assert event.startswith(starts)
    told = data(event)
    assert "gone" in (told.get("message") or told["error"]["message"])
    assert told.get("type") == (None if surface in {"chat", "text"} else "error")


def test_whole_answers_keep_their_nulls() -> None:
    """``content: null`` of a tool call is kept in a plain answer, and dicts are copied."""
    assert plain(Answer(content=None), whole=True) == {"content": None}
    given = {"a": 1}
    assert plain(given) == given and plain(given) is not given


# Over a provider on loopback -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("preference", [item.value for item in Preference])
def test_auto_streams_name_the_model_in_every_chunk(site: Site, preference: str) -> None:
    """A stream is real server-sent events that end with ``[DONE]``, each naming the pool's model."""
    body = {"model": "auto", "messages": ASK, "stream": True, "model_routing_config": {"preference": preference}}
    with site.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["model"] for chunk in chunks} == {answer.headers["x-ofox-model"]}
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == TEXT


@pytest.mark.parametrize("page", ["<html>gateway</html>", '{"id": "x", "choi'])
@pytest.mark.parametrize("surface", ["chat", "messages", "responses"])
def test_a_page_in_answer_to_a_streamed_request_is_a_failure(
    site: Site, upstream: Upstream, surface: str, page: str
) -> None:
    """A 200 that is no stream, of which LiteLLM makes an empty one, counts against the model; another one answers."""
    upstream.behave("small", page=page)
    body: dict[str, Any] = {"input": "Say hi."} if surface == "responses" else {"messages": ASK, "max_tokens": 20}
    path = "/v1/chat/completions" if surface == "chat" else f"/v1/{surface}"
    told = site.http.post(
        path, json={"model": "auto", "stream": True, **body, "model_routing_config": {"preference": "cost"}}
    )
    served = told.headers["x-ofox-model"]
    assert (told.status_code, served in MODELS[:2]) == (200, True)
    assert "two" in told.text
    health = site.router.health.snapshot()
    assert [(health[name]["ok"], health[name]["failed"]) for name in ("other/small", served)] == [(0, 1), (1, 0)]


START = b'event: message_start\ndata: {"type": "message_start", "message": {"model": "m"}}\n\n'

DELTA = b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'

OVERLOADED = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}\n\n'


@pytest.mark.parametrize(
    ("pieces", "status", "holds"),
    [
        ([START + DELTA], 200, b"content_block_delta"),
        ([START[:30], START[30:] + DELTA], 200, b'"model":"house/large"'),
        ([START + OVERLOADED], 503, b"busy"),
        ([START], 502, b"ended without an answer"),
        ([], 502, b"ended without an answer"),
    ],
)
def test_an_anthropic_stream_in_any_pieces(pieces: list[bytes], status: int, holds: bytes) -> None:
    """A stream that comes in one piece is sent, one that begins with an error or says nothing has its status."""

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    class LiteLLM:
        async def anthropic_messages(self, **fields: Any) -> Any:
            return stream()

    gateway = gateway_module.Gateway(SmartRouter(Settings(models=["house/large"])), LiteLLM())
    app = Starlette(routes=[Route("/", gateway.endpoint("messages"), methods=["POST"])])
    raw = json.dumps({"model": "house/large", "max_tokens": 9, "stream": True, "messages": ASK}).encode()
    answer = asyncio.run(call(app, raw, path="/"))
    assert answer.status == status and holds in answer.body
