"""Errors inside of a 200, and answers that are none, get the next candidate."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.asgi.harness import (
    ASK,
    BEST,
    LAST,
    NEXT,
    Answer,
    Boom,
    Caller,
    Models,
    answer,
    asks,
    call,
    hang,
    middleware,
    stream,
)


def sending(body: bytes, kind: bytes, status: int = 200) -> Any:
    async def play(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})

    return play


ROLE = b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}}]}\n\n'
NO_ANSWERS = {
    "a page": sending(b"<html>gateway</html>", b"text/html; charset=utf-8"),
    "half a document": sending(b'{"id": "x", "choi', b"application/json"),
    "no document": sending(b"", b"application/json"),
    "a page as a stream": stream(b"<html>gateway</html>"),
    "no stream": stream(),
    "a stream without an end": stream(ROLE, b"data: [DONE]\n\n"),
}


def plain(status: int, body: Any) -> Any:
    async def play(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, status, body)

    return play


@pytest.mark.parametrize("what", NO_ANSWERS)
def test_a_success_without_an_answer_gets_the_next_model(what: str) -> None:
    """A page, broken JSON and a stream that ends having said nothing count as failures, and the next model is asked."""
    app = Models({BEST: NO_ANSWERS[what]})
    door = middleware(app)
    seen = asyncio.run(call(door, ASK))
    assert seen.json == {"model": NEXT}
    assert seen.headers["x-ofox-model"] == NEXT
    health = door.router.health.snapshot()
    assert (health[BEST]["failed"], health[NEXT]["failed"]) == (1, 0)


@pytest.mark.parametrize("what", NO_ANSWERS)
def test_the_last_answer_that_is_none_counts_as_a_failure(what: str) -> None:
    """Where no model is left the caller gets what came, and the model's health hears of it."""
    app = Models({BEST: NO_ANSWERS[what]})
    door = middleware(app, fallback=False)
    assert asyncio.run(call(door, ASK)).status == 200
    assert door.router.health.snapshot()[BEST]["failed"] == 1


@pytest.mark.parametrize(
    "chunks",
    [
        (ROLE, b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', b"data: [DONE]\n\n"),
        (ROLE, b'data: {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}\n\n', b"data: [DONE]\n\n"),
        (b'data: {"type": "message_start"}\n\n', b'data: {"type": "message_delta", "delta": {"stop_reason": "x"}}\n\n'),
    ],
)
def test_a_model_may_have_nothing_to_say(chunks: tuple[bytes, ...]) -> None:
    """A stream without a word that names why it ended is an answer."""
    app = Models({BEST: stream(*chunks)})
    door = middleware(app)
    assert asyncio.run(call(door, ASK)).body == b"".join(chunks)
    assert door.router.health.snapshot()[BEST]["failed"] == 0


def test_a_packed_answer_is_not_judged() -> None:
    """What the app has compressed is passed on as it is."""

    async def packed(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"\x1f\x8b"})

    app = Models({BEST: packed})
    assert asks(app).body == b"\x1f\x8b"


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "overloaded", "code": 503}}\n\n',
        b'data: {"error": {"message": "busy", "code": "429"}}\n\n',
        b'data:{"error":{"type":"server_error"}}\n\ndata: [DONE]\n\n',
        b'data: {"error": "something"}\r\n\r\n',
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'event: error\ndata: {"type":"error","code":"server_error","message":"x","param":null}\n\n',
        b"event: error\ndata: not json\n\n",
        b'data: {"type": "message_start"}\n\nevent: error\ndata: {"type":"error"}\n\n',
        b': ping\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"error":{"code":503}}\n\n',
    ],
)
def test_a_stream_that_begins_with_an_error(event: bytes) -> None:
    """A stream whose first event is an error gets the next model, unseen by the caller."""
    app = Models({BEST: stream(event, b"data: more\n\n"), NEXT: stream(b"data: {}\n\n")})
    seen = asks(app)
    assert (seen.body, seen.headers["x-ofox-attempts"]) == (b"data: {}\n\n", "2")


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices": [{"delta": {"content": "error"}}], "error": null}\n\n',
        b'data: {"error": {"type": "invalid_request_error"}}\n\n',
        b'data: {"error": {"code": "400"}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error","message":"x"}}\n\n',
        b'event: response.created\ndata: {"type":"response.created","response":{"error":null}}\n\n',
        b": ping error\n\n",
        b'data: ["error"]\n\n',
        b"data: error\n\n",
    ],
)
def test_a_stream_that_begins_otherwise(event: bytes) -> None:
    """Content, comments, and errors that are about the request are passed on."""
    app = Models({BEST: stream(event, WORD)})
    seen = asks(app)
    assert (seen.body, app.asked) == (event + WORD, [BEST])


SSE = [(b"content-type", b"text/event-stream")]
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'


@pytest.mark.parametrize("preamble", [(ROLE,), (b": ping\n\n", ROLE), (ROLE + b": ping\n\n",)])
def test_an_error_after_a_preamble(preamble: tuple[bytes, ...]) -> None:
    """What is sent before a model has said anything is held, so an error that follows still gets the next model."""
    app = Models({BEST: stream(*preamble, b'data: {"error": {"code": 503}}\n\n'), NEXT: stream(ROLE, WORD)})
    seen = asks(app)
    assert (seen.body, seen.headers["x-ofox-model"]) == (ROLE + WORD, NEXT)


def test_silence_after_a_preamble() -> None:
    """A stream that has only announced itself is still silent."""
    app = Models({BEST: stream(ROLE, WORD, pause_s=0.5), NEXT: stream(WORD)})

    async def announces(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": ROLE, "more_body": True})
        await hang(scope, receive, send)

    app.plays[BEST] = announces
    assert asks(app, first_byte_timeout_s=0.05).headers["x-ofox-model"] == NEXT
    assert app.cancelled == [BEST]


def test_a_stream_that_is_only_a_preamble() -> None:
    """A stream without a word of which its app does not say that it has ended is passed on whole."""

    async def stops(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": ROLE, "more_body": True})

    app = Models({BEST: stops})
    assert (asks(app).body, app.asked) == (ROLE, [BEST])


def test_when_all_streams_fail_after_a_preamble() -> None:
    """The last stream is passed on with everything that was held of it."""
    error = b'data: {"error": {"code": 500}}\n\n'
    seen = asks(Models({name: stream(ROLE, error) for name in (BEST, NEXT, LAST)}))
    assert (seen.status, seen.body, seen.headers["x-ofox-model"]) == (200, ROLE + error, LAST)


def test_a_plain_answer_that_is_an_error() -> None:
    """Status 200 with an error in place of an answer gets the next model."""
    app = Models({BEST: plain(200, {"error": {"message": "x", "code": 503}}), NEXT: plain(200, {"choices": [1]})})
    seen = asks(app)
    assert (seen.json, seen.headers["x-ofox-model"]) == ({"choices": [1]}, NEXT)


@pytest.mark.parametrize(
    "body", [{"choices": [1], "error": {"code": 500}}, {"error": {"code": 400}}, {"error": None}, ["error"], "error"]
)
def test_a_plain_answer_that_is_none(body: Any) -> None:
    """Answers, and errors that are about the request, are passed on whatever their status says."""
    app = Models({BEST: plain(200, body)})
    assert (asks(app).json, app.asked) == (body, [BEST])


def test_when_all_plain_answers_are_errors() -> None:
    """The last one is passed on."""
    error = {"error": {"code": 500}}
    seen = asks(Models(dict.fromkeys((BEST, NEXT, LAST), plain(200, error))))
    assert (seen.status, seen.json, seen.headers["x-ofox-model"]) == (200, error, LAST)


def test_when_all_streams_begin_with_an_error() -> None:
    """The last stream is passed on whatever it begins with."""
    event = b'data: {"error": {"code": 500}}\n\n'
    seen = asks(Models({BEST: stream(event), NEXT: stream(event), LAST: stream(event)}))
    assert (seen.status, seen.body, seen.headers["x-ofox-model"]) == (200, event, LAST)


def test_an_error_in_the_middle_of_a_stream_stays() -> None:
    """After the first bytes nothing falls back: the caller gets what the app sends, its exception included."""

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await stream(b"data: 1\n\n")(scope, receive, lambda message: send({**message, "more_body": True}))
        raise Boom

    app = Models({BEST: breaks})
    caller = Caller([json.dumps(ASK).encode()])
    with pytest.raises(Boom):
        asyncio.run(call(middleware(app), caller=caller))
    assert Answer(caller.sent).body == b"data: 1\n\n"
    assert app.asked == [BEST]
