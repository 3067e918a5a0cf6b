"""Streams pass through as they come: no buffering, no change, no message swallowed."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import pytest

from tests.asgi.harness import ASK, BEST, Answer, Caller, Models, answer, call, middleware, stream

SSE = [(b"content-type", b"text/event-stream")]


def test_each_chunk_is_sent_before_the_next_is_made() -> None:
    """A chunk reaches the server while the app is still making the next one."""
    caller = Caller([json.dumps(ASK).encode()])
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        for at in range(3):
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % at, "more_body": True})
            seen.append(len(caller.sent))
        await send({"type": "http.response.body", "body": b""})

    asyncio.run(call(middleware(app), caller=caller))
    assert seen == [2, 3, 4]


def test_the_start_of_a_plain_answer_is_not_held() -> None:
    """Only the start of an event stream waits for its first bytes, and only when another model could follow."""
    caller = Caller([json.dumps(ASK).encode()])
    seen: list[int] = []

    def app(headers: list[tuple[bytes, bytes]]) -> Any:
        async def play(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            seen.append(len(caller.sent))
            await send({"type": "http.response.body", "body": b"data: x\n\n"})

        return play

    for headers, options, sent in (([], {}, 1), (SSE, {}, 0), (SSE, {"fallback": False}, 1)):
        seen.clear()
        caller.sent.clear()
        caller.frames[:] = [json.dumps(ASK).encode()]
        asyncio.run(call(middleware(app(headers), **options), caller=caller))
        assert seen == [sent]
        assert len(caller.sent) == 2


def test_messages_are_the_very_same_objects() -> None:
    """Body messages are not copied, so extensions that servers know of go through."""
    body = {"type": "http.response.body", "body": memoryview(b"data: x\n\n"), "more_body": True, "extra": object()}
    last = {"type": "http.response.body", "body": b"", "more_body": False}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send(body)
        await send(last)

    seen = asyncio.run(call(middleware(app)))
    assert seen.messages[1] is body
    assert seen.messages[2] is last


@pytest.mark.parametrize("headers", [[], SSE])
@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.pathsend", "path": "/x"}],
        [{"type": "http.response.zerocopysend", "file": 3, "more_body": True}, {"type": "http.response.body"}],
        [
            {"type": "http.response.body", "body": b"data: x"},
            {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
        ],
        [
            {"type": "http.response.push", "path": "/x", "headers": []},
            {"type": "http.response.body", "body": b"data: x"},
        ],
    ],
)
def test_extensions_pass_through(messages: list[dict[str, Any]], headers: list[tuple[bytes, bytes]]) -> None:
    """Path send, zero copy, trailers and push reach the server, and each such answer is a success."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})
        for message in messages:
            await send(message)

    ofox = middleware(app)
    seen = asyncio.run(call(ofox))
    assert seen.messages[1:] == messages
    assert seen.start["trailers"] is True
    assert ofox.router.health.snapshot()[BEST]["ok"] == 1


def test_extensions_in_a_failed_answer_are_held() -> None:
    """What belongs to a failed answer is not sent, whatever its kind."""

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/error.html"})

    app = Models({BEST: fails})
    seen = asyncio.run(call(middleware(app)))
    assert [message["type"] for message in seen.messages] == ["http.response.start", "http.response.body"]


def test_a_long_stream_keeps_little() -> None:
    """Of a stream only the last few chunks are kept, for its usage."""
    seen = asyncio.run(call(middleware(Models({BEST: stream(*[b"data: x\n\n"] * 5000)}))))
    assert seen.body == b"data: x\n\n" * 5000


def test_bodies_do_not_stay_in_memory() -> None:
    """While an answer takes its time, the door keeps no copy of the body and nothing decoded from it."""
    raw = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "x" * 20_000}] * 100}).encode()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        kept.append(tracemalloc.get_traced_memory()[0])
        await answer(send, 200, {})

    kept: list[int] = []
    ofox = middleware(app)
    asyncio.run(call(ofox))
    tracemalloc.start()
    asyncio.run(call(ofox, raw))
    tracemalloc.stop()
    assert kept[1] < len(raw) / 10


def test_the_apps_context_is_as_without_us() -> None:
    """The app runs in the server's own task: context variables that it sets are seen by outer middleware."""
    from contextvars import ContextVar

    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        variable.set("set by the app")
        tasks.append(asyncio.current_task())
        await answer(send, 200, {})

    async def main() -> None:
        await call(middleware(app))
        assert variable.get() == "set by the app"
        assert tasks == [asyncio.current_task()]

    tasks: list[Any] = []
    asyncio.run(main())


def test_two_copies_stacked() -> None:
    """With the middleware twice the outer one routes, the inner one passes through, and headers appear once."""
    app = Models({BEST: 503})
    outer_app = middleware(app)
    seen = asyncio.run(call(middleware(outer_app)))
    assert seen.headers["x-ofox-attempts"] == "2"
    assert len(app.bodies) == 2
    assert outer_app.router.health.snapshot() == {}


def test_a_thousand_at_once() -> None:
    """A thousand concurrent requests each get their own answer."""

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = json.loads((await receive())["body"])
        await asyncio.sleep(0)
        await answer(send, 200, {"said": body["messages"][0]["content"]})

    ofox = middleware(echo)

    async def main() -> list[Answer]:
        bodies = [{"model": "auto", "messages": [{"role": "user", "content": f"n{at}"}]} for at in range(1000)]
        return await asyncio.gather(*(call(ofox, body) for body in bodies))

    answers = asyncio.run(main())
    assert [seen.json["said"] for seen in answers] == [f"n{at}" for at in range(1000)]
    assert ofox.router.health.in_flight() == 0
