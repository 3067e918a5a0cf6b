"""Over HTTP, through a real uvicorn: raw clients, and the real OpenAI and Anthropic clients."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from ofox_middleware.asgi import OfoxMiddleware
from tests.asgi.harness import ASK, BEST, CHAT, LAST, NEXT, router
from tests.asgi.server import hang_up, serving


class Provider:
    """A provider of every model behind OpenAI's and Anthropic's protocols."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.begun = self.cancelled = 0
        self.go = threading.Event()
        """Streams stop after each word until it is set."""
        self.go.set()
        self.headers: list[Any] = []

    async def chat(self, request: Request) -> Response:
        body = await request.json()
        self.headers.append(request.headers)
        model = body["model"]
        if model in self.down:
            return JSONResponse({"error": {"message": "down", "type": "server_error"}}, 503)
        if body.get("stream"):
            return StreamingResponse(self._chat_events(model), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": f"I am {model}"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        return JSONResponse(
            {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
        )

    async def _chat_events(self, model: str) -> AsyncIterator[str]:
        for word in ("I ", "am ", model):
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
            chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice]}
            yield f"data: {json.dumps(chunk)}\n\n"
            await asyncio.sleep(0.01)
            while not self.go.is_set():
                await asyncio.sleep(0.01)
        yield "data: [DONE]\n\n"

    async def messages(self, request: Request) -> Response:
        body = await request.json()
        model = body["model"]
        if model in self.down:
            error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            return JSONResponse(error, 529)
        if body.get("stream"):
            return StreamingResponse(self._message_events(model), media_type="text/event-stream")
        return JSONResponse(
            {"id": "m", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
             "stop_sequence": None, "content": [{"type": "text", "text": f"I am {model}"}],
             "usage": {"input_tokens": 9, "output_tokens": 3}}
        )  # fmt: skip

    async def _message_events(self, model: str) -> AsyncIterator[str]:
        usage = {"input_tokens": 9, "output_tokens": 1}
        message = {"id": "m", "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
        events: list[tuple[str, dict[str, Any]]] = [
            ("message_start", {"message": message}),
            ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": f"I am {model}"}}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}}),
            ("message_stop", {}),
        ]
        for kind, data in events:
            yield f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"

    async def slow(self, request: Request) -> Response:
        self.begun += 1
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return Response()

    async def socket(self, websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()


class Served:
    """A served app and what is behind it."""

    def __init__(self, provider: Provider, brain: Any, url: str) -> None:
        self.provider, self.router, self.url = provider, brain, url
        self.address = ("127.0.0.1", int(url.rpartition(":")[2]))


PROTOCOLS = ["h11", *(["httptools"] if importlib.util.find_spec("httptools") else [])]


@pytest.fixture(scope="module", params=PROTOCOLS)
def module_served(request: pytest.FixtureRequest) -> Iterator[Served]:
    provider, brain = Provider(), router()
    started = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        started.append(True)
        yield

    app = Starlette(
        routes=[
            Route(CHAT, provider.chat, methods=["POST"]),
            Route("/v1/messages", provider.messages, methods=["POST"]),
            Route("/slow" + CHAT, provider.slow, methods=["POST"]),
            WebSocketRoute("/socket", provider.socket),
        ],
        middleware=[Middleware(OfoxMiddleware, router=brain)],
        lifespan=lifespan,
    )
    with serving(app, http=request.param, lifespan="on") as url:
        assert started == [True]
        yield Served(provider, brain, url)


@pytest.fixture
def served(module_served: Served) -> Served:
    module_served.provider.down.clear()
    module_served.provider.headers.clear()
    fresh = router()
    module_served.router.health, module_served.router.sessions = fresh.health, fresh.sessions
    return module_served


def test_openai_plain(served: Served) -> None:
    """The OpenAI client gets an answer to auto, and reads model and reason from the headers."""
    with openai.OpenAI(base_url=served.url + "/v1", api_key="k") as client:
        raw = client.chat.completions.with_raw_response.create(**ASK)  # type: ignore[call-overload]
        assert raw.parse().choices[0].message.content == f"I am {BEST}"
        assert raw.headers["x-ofox-model"] == BEST
        config = {"model_routing_config": {"models": [LAST], "preference": "cost"}}
        answer = client.chat.completions.create(**ASK, extra_body=config)  # type: ignore[call-overload]
        assert answer.model == LAST


def test_openai_stream_with_two_models_down(served: Served) -> None:
    """With two models failing the OpenAI client gets the third one's stream, whole and in order."""
    served.provider.down |= {BEST, NEXT}
    with (
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
        client.chat.completions.create(**ASK, stream=True) as stream,  # type: ignore[call-overload]
    ):
        words = [chunk.choices[0].delta.content for chunk in stream]
        headers = stream.response.headers
    assert words == ["I ", "am ", LAST]
    assert (headers["x-ofox-model"], headers["x-ofox-attempts"]) == (LAST, "3")
    assert served.router.health.in_flight() == 0


def test_openai_errors(served: Served) -> None:
    """A refusal is the error class that the OpenAI client has for it, with its param and code."""
    with openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**ASK, extra_body={"model_routing_config": {"preference": "x"}})  # type: ignore[call-overload]
        assert caught.value.param == "model_routing_config.preference"
        assert caught.value.code == "invalid_routing_config"
        served.provider.down |= {BEST, NEXT, LAST}
        with pytest.raises(openai.InternalServerError) as failed:
            client.chat.completions.create(**ASK)  # type: ignore[call-overload]
        assert failed.value.response.headers["x-ofox-attempts"] == "3"


def test_anthropic(served: Served) -> None:
    """The Anthropic client gets plain and streamed answers to auto, with fallback, and errors in its own shape."""
    served.provider.down.add(BEST)
    ask: Any = {"model": "auto", "max_tokens": 50, "messages": ASK["messages"]}
    with anthropic.Anthropic(base_url=served.url, api_key="k", max_retries=0) as client:
        assert client.messages.create(**ask).model == NEXT
        with client.messages.stream(**ask) as stream:
            assert "".join(stream.text_stream) == f"I am {NEXT}"
            assert stream.get_final_message().usage.output_tokens == 3
        with pytest.raises(anthropic.BadRequestError) as caught:
            client.messages.create(**ask, extra_body={"model_routing_config": {"models": []}})
        assert caught.value.body["type"] == "error"  # type: ignore[index]


def test_the_first_byte_comes_at_once(served: Served) -> None:
    """The first event of a stream arrives while the last one has not been made yet."""
    ask = {**ASK, "stream": True}
    served.provider.go.clear()
    try:
        with httpx.Client(timeout=30) as client, client.stream("POST", served.url + CHAT, json=ask) as answer:
            pieces = answer.iter_raw()
            assert b'"content": "I "' in next(pieces)
            served.provider.go.set()
            assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
    finally:
        served.provider.go.set()


def test_chunked_requests(served: Served) -> None:
    """A chunked request is routed, and the app gets a length in place of the transfer encoding."""

    def pieces() -> Iterator[bytes]:
        for byte in json.dumps(ASK).encode():
            yield bytes([byte])

    headers = {"content-type": "application/json"}
    answer = httpx.post(served.url + CHAT, content=pieces(), headers=headers)
    assert answer.json()["model"] == BEST
    (seen,) = served.provider.headers
    assert "transfer-encoding" not in seen
    assert seen.getlist("content-length") == [str(len(json.dumps({**ASK, "model": BEST})))]


def test_expect_100_continue_over_the_limit(served: Served) -> None:
    """A body declared over the limit is not asked for by us: the app decides."""
    length = served.router.settings.max_body_bytes + 1
    with socket.create_connection(served.address) as connection:
        connection.sendall(
            f"POST /nowhere{CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"content-length: {length}\r\nexpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 404")


def test_expect_100_continue(served: Served) -> None:
    """A client that waits for 100 Continue gets it, and then its answer."""
    raw = json.dumps(ASK).encode()
    with socket.create_connection(served.address) as connection:
        connection.sendall(
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
            f"content-length: {len(raw)}\r\nexpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(raw)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"x-ofox-model: one/best" in answer


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET"])
def test_other_methods_over_http(served: Served, method: str) -> None:
    """HEAD, OPTIONS and GET are answered by the app alone."""
    answer = httpx.request(method, served.url + CHAT)
    assert answer.status_code == 405
    assert not any(name.startswith("x-ofox") for name in answer.headers)


def test_keep_alive_after_a_refusal_and_a_fallback(served: Served) -> None:
    """One connection serves refusals, fallbacks and ordinary requests in a row."""
    connection = http.client.HTTPConnection(*served.address)
    served.provider.down.add(BEST)
    sent = connection.sock
    for body, status in (({**ASK, "model_routing_config": []}, 400), (ASK, 200), ({"model": LAST}, 200), (ASK, 200)):
        connection.request("POST", CHAT, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
        assert sent is None or connection.sock is sent
        sent = connection.sock
    connection.close()


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_client_that_hangs_up_before_the_answer(served: Served) -> None:
    """The app is cancelled and nothing stays in flight when a client hangs up while it waits."""
    begun, before = served.provider.begun, served.provider.cancelled
    hang_up(served.url + "/slow" + CHAT, ASK, lambda: served.provider.begun == begun + 1)
    wait_for(lambda: served.provider.cancelled == before + 1)
    wait_for(lambda: served.router.health.in_flight() == 0)


def test_a_client_that_hangs_up_while_sending(served: Served) -> None:
    """A body that never comes whole leaves nothing behind, and the server goes on."""
    with socket.create_connection(served.address) as connection:
        head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n"
        connection.sendall(head.encode() + b'{"model": "auto"')
    assert httpx.post(served.url + CHAT, json=ASK).status_code == 200
    assert served.router.health.in_flight() == 0


@pytest.mark.parametrize(
    "framing", ["content-length: 5\r\ncontent-length: 6\r\n", "content-length: 5\r\ntransfer-encoding: chunked\r\n"]
)
def test_request_smuggling_is_stopped_by_the_server(served: Served, framing: str) -> None:
    """Ambiguous framing is refused before it reaches us."""
    with socket.create_connection(served.address) as connection:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{framing}\r\n"
        )
        connection.sendall(head.encode() + b"0\r\n\r\nx")
        status = connection.recv(1000).split(b" ")[1]
    assert status != b"200"
    assert served.provider.headers == []


def test_websockets_are_untouched() -> None:
    """A websocket under a matching path works with the middleware in front."""
    provider = Provider()
    app = Starlette(
        routes=[WebSocketRoute(CHAT, provider.socket)], middleware=[Middleware(OfoxMiddleware, router=router())]
    )
    connect = pytest.importorskip("websockets.sync.client").connect

    with serving(app, ws="websockets-sansio") as url, connect(url.replace("http", "ws") + CHAT) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
