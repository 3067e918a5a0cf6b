"""The next candidate gets the request while the caller has seen nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from ofox_middleware import exchange, guard, patience
from tests.asgi.harness import (
    ASK,
    BEST,
    LAST,
    NEXT,
    Answer,
    Caller,
    Models,
    Outcomes,
    answer,
    call,
    hang,
    middleware,
    stream,
)


class Boom(Exception):
    """An app's own exception."""


class Refused(Exception):
    """An SDK's exception that carries a status."""

    def __init__(self, status_code: Any) -> None:
        self.status_code = status_code


def raising(error: BaseException) -> Any:
    async def play(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return play


def asks(app: Models, body: Any = ASK, **settings: Any) -> Answer:
    return asyncio.run(call(middleware(app, **settings), body))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529, 599])
def test_a_failing_status_gets_the_next_model(status: int) -> None:
    """408, 429 and 5xx fall back; the caller sees only the answer of the next model."""
    app = Models({BEST: status})
    seen = asks(app)
    assert app.asked == [BEST, NEXT]
    assert (seen.status, seen.json) == (200, {"model": NEXT})
    assert (seen.headers["x-ofox-model"], seen.headers["x-ofox-reason"]) == (NEXT, "fallback")
    assert seen.headers["x-ofox-attempts"] == "2"


@pytest.mark.parametrize("status", [200, 204, 302, 400, 401, 402, 403, 404, 409, 413, 422, 499])
def test_any_other_status_is_the_answer(status: int) -> None:
    """A status that is about the request never falls back."""
    app = Models({BEST: status})
    assert asks(app).status == status
    assert app.asked == [BEST]


@pytest.mark.parametrize(
    "error", [Boom(), Refused(500), Refused(429), Refused("nonsense"), ConnectionError(), TimeoutError()]
)
def test_an_exception_gets_the_next_model(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the app falls back, and is logged since nobody else will see it."""
    app = Models({BEST: raising(error)})
    with caplog.at_level(logging.WARNING, "ofox_middleware.asgi"):
        assert asks(app).headers["x-ofox-model"] == NEXT
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is error


def test_an_exception_about_the_request_is_the_answer() -> None:
    """An exception that carries another 4xx propagates at once."""
    app = Models({BEST: raising(Refused(400))})
    with pytest.raises(Refused):
        asks(app)
    assert app.asked == [BEST]


def test_the_outcome_says_why_each_attempt_failed() -> None:
    """A status, an exception and silence are told apart, one word for each model that was given up."""

    async def mute(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    for play, word in ((429, "429"), (raising(RuntimeError("broken")), "exception"), (mute, "silent")):
        ofox = middleware(Models({BEST: play}), first_byte_timeout_s=0.05)
        outcomes = Outcomes(ofox.router)
        asyncio.run(call(ofox, ASK))
        (outcome,) = outcomes.outcomes
        assert (outcome.attempts, outcome.failures) == ((BEST, NEXT), (word,))


def test_attempts_are_limited() -> None:
    """No more than max_attempts models are tried, and the last one's own answer is passed on."""
    app = Models({BEST: 500, NEXT: 503, LAST: 502})
    seen = asks(app, max_attempts=2)
    assert app.asked == [BEST, NEXT]
    assert (seen.status, seen.json) == (503, {"model": NEXT})
    assert seen.headers["x-ofox-attempts"] == "2"


def test_when_all_fail_the_last_answer_is_passed_on() -> None:
    """When every model fails the caller gets the last one's error as it is."""
    seen = asks(Models({BEST: 500, NEXT: 503, LAST: 429}))
    assert (seen.status, seen.json, seen.headers["x-ofox-model"]) == (429, {"model": LAST}, LAST)
    assert seen.headers["x-ofox-attempts"] == "3"


def test_when_all_raise_the_last_exception_propagates() -> None:
    """When every model makes the app raise, the last exception is the caller's, as it would be without us."""
    last = Boom("last")
    with pytest.raises(Boom) as caught:
        asks(Models({BEST: raising(Boom()), NEXT: raising(Boom()), LAST: raising(last)}))
    assert caught.value is last


@pytest.mark.parametrize("off", [{"fallback": False}, {"body": {**ASK, "model_routing_config": {"fallback": False}}}])
def test_without_fallback_the_pick_is_all(off: dict[str, Any]) -> None:
    """With fallback off, by the operator or by the caller, the first answer is the answer."""
    app = Models({BEST: 503})
    assert asks(app, **off).status == 503
    assert app.asked == [BEST]


def test_every_attempt_gets_the_whole_body_and_a_fresh_scope() -> None:
    """Each attempt reads the body from its start, with its own model and length, and nothing of the one before."""

    async def dirty(scope: Any, receive: Any, send: Any) -> None:
        scope["root_path"] = "/moved"
        scope["headers"].clear()
        await answer(send, 500, {})

    app = Models({BEST: dirty})
    asks(app)
    assert app.scopes[1]["root_path"] == ""
    assert (b"content-length", b"%d" % len(app.bodies[1])) in app.scopes[1]["headers"]
    assert json.loads(app.bodies[1]) == {**ASK, "model": NEXT}


def test_a_model_that_tripped_meanwhile_is_passed_over() -> None:
    """The ranking may be old when a fallback is needed: whose breaker has opened since is left for last."""
    ofox: Any = None

    async def fails(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            ofox.router.health.record_failure(NEXT, status=500)
        await answer(send, 500, {})

    app = Models({BEST: fails})
    ofox = middleware(app)
    assert asyncio.run(call(ofox)).headers["x-ofox-model"] == LAST
    app.plays.update({BEST: 500, LAST: 500})
    assert asyncio.run(call(ofox)).headers["x-ofox-model"] == NEXT
    assert app.asked[:2] == [BEST, LAST]
    assert {*app.asked[2:4]} == {BEST, LAST}  # either may be first now, for each has failed or answered once
    assert app.asked[4:] == [NEXT]


# --- silence


def test_silence_of_a_model_that_is_quick_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that usually answers quickly is given up on before the time-out for all models is over."""
    monkeypatch.setattr(patience, "LEAST_S", 0.05)
    app = Models({BEST: hang})
    ofox = middleware(app)
    for _ in range(30):
        ofox.router.health.record_success(BEST, ttft_s=0.01, total_s=0.02, output_tokens=20)
    monkeypatch.setattr(patience, "SLACK", 0.1)
    assert asyncio.run(call(ofox, {**ASK, "stream": True})).headers["x-ofox-model"] == NEXT


def test_silence_gets_the_next_model() -> None:
    """An attempt that stays silent is cancelled, its cleanup awaited, and the next model gets the request."""
    ended = []

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        try:
            await hang(scope, receive, send)
        finally:
            await asyncio.sleep(0.01)
            ended.append(list(app.asked))

    app = Models({BEST: slow})
    seen = asks(app, first_byte_timeout_s=0.02)
    assert seen.headers["x-ofox-model"] == NEXT
    assert app.cancelled == [BEST]
    assert ended == [[BEST]]


def test_silence_longer_than_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time-out also comes when listening for the client has begun before it."""
    monkeypatch.setattr(guard, "WATCH_AFTER_S", 0.01)
    app = Models({BEST: hang})
    assert asks(app, first_byte_timeout_s=0.05).headers["x-ofox-model"] == NEXT


def test_a_stream_that_starts_and_says_nothing_is_silent() -> None:
    """A stream's start alone is no first byte."""
    app = Models({BEST: stream(b"data: 1\n\n", pause_s=5)})
    assert asks(app, first_byte_timeout_s=0.02).headers["x-ofox-model"] == NEXT


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


def test_the_last_model_is_waited_for() -> None:
    """When no other model is left, the last one takes the time it needs."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.1)
        await answer(send, 200, {})

    app = Models({BEST: hang, NEXT: hang, LAST: slow})
    assert asks(app, first_byte_timeout_s=0.02).headers["x-ofox-model"] == LAST


def test_an_answer_that_began_is_not_timed() -> None:
    """Once the first byte is there the time-out is over."""
    app = Models({BEST: stream(b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n", pause_s=0.2)})
    seen = asks(app, first_byte_timeout_s=0.4)
    assert seen.body == b"data: 1\n\ndata: 2\n\ndata: 3\n\n"


@pytest.mark.parametrize("fallback", [True, False])
def test_the_total_time(*, fallback: bool) -> None:
    """The total time ends the last attempt too, with a 504 of ours."""
    app = Models({BEST: hang, NEXT: hang, LAST: hang})
    seen = asks(app, total_timeout_s=0.6, first_byte_timeout_s=0.05, fallback=fallback)
    assert seen.status == 504
    assert seen.json["error"]["type"] == "timeout_error"
    assert seen.headers["x-ofox-attempts"] == str(len(app.asked))
    assert len(app.asked) == len(app.cancelled) == (3 if fallback else 1)


def test_the_total_time_leaves_no_new_attempt() -> None:
    """When the total is used up by a failing attempt, its answer is what the caller gets."""

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": [(b"x-app", b"1")]})
        await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b"over", "more_body": True})
        await send({"type": "http.response.body", "body": b"loaded"})

    app = Models({BEST: late})
    seen = asks(app, total_timeout_s=0.3)
    assert (seen.status, seen.body, seen.headers["x-app"]) == (503, b"overloaded", "1")
    assert (seen.headers["x-ofox-model"], app.asked) == (BEST, [BEST])


def test_the_total_time_with_a_stubborn_app() -> None:
    """What an app makes of the cancellation by the total is not heard."""

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await hang(scope, receive, send)
        except asyncio.CancelledError:
            raise Boom from None

    assert asks(Models({BEST: stubborn}), total_timeout_s=0.02, fallback=False).status == 504


def test_an_app_that_swallows_its_cancellation() -> None:
    """An app that answers although it was cancelled is not heard, and the next model is asked all the same."""

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await hang(scope, receive, send)
        except asyncio.CancelledError:
            await answer(send, 200, {"model": "late"})

    async def stubborn_stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        try:
            await hang(scope, receive, send)
        except asyncio.CancelledError:
            await send({"type": "http.response.body", "body": b"data: late\n\n"})

    for play in (stubborn, stubborn_stream):
        app = Models({BEST: play})
        assert asks(app, first_byte_timeout_s=0.02).json == {"model": NEXT}


def test_a_cancellation_from_outside_is_obeyed() -> None:
    """A cancellation that is not ours goes through, also while one of ours is under way."""

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        try:
            await hang(scope, receive, send)
        finally:
            task.cancel()

    async def main() -> None:
        nonlocal task
        task = asyncio.ensure_future(call(middleware(app, first_byte_timeout_s=0.02)))
        with pytest.raises(asyncio.CancelledError):
            await task
        task = asyncio.ensure_future(call(middleware(Models({BEST: hang}))))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    task: Any = None
    app = Models({BEST: stubborn})
    asyncio.run(main())
    assert app.asked == [BEST]


def test_nothing_is_left_running() -> None:
    """After a request with time-outs, failures and an answer no task of it is left."""

    async def main() -> None:
        app = Models({BEST: hang, NEXT: 503})
        await call(middleware(app, first_byte_timeout_s=0.02))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


# --- streams


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


def plain(status: int, body: Any) -> Any:
    async def play(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, status, body)

    return play


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


def test_an_app_that_ends_without_a_byte() -> None:
    """What has begun and is never ended is passed on: that is for the server to complain of."""

    async def only_starts(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})

    assert asks(Models({BEST: only_starts})).status == 200


def test_what_the_app_raises_for_every_model_counts_once() -> None:
    """The same exception without a status is the request's or the app's fault: all are tried, one is blamed."""
    app = Models({name: raising(Boom()) for name in (BEST, NEXT, LAST)})
    door = middleware(app)
    with pytest.raises(Boom):
        asyncio.run(call(door, ASK))
    assert app.asked == [BEST, NEXT, LAST]
    health = door.router.health.snapshot()
    assert [health[name]["failed"] for name in app.asked] == [1, 0, 0]
    assert door.router.health.in_flight() == 0


def test_a_conversation_without_a_shape_reaches_no_model() -> None:
    """What the app would stumble over with every model is refused before one is picked."""
    app = Models({})
    seen = asks(app, {**ASK, "messages": "hi"})
    assert (seen.status, seen.json["error"]["param"], app.asked) == (400, "messages", [])


# --- what is held


def test_a_failed_answer_that_does_not_end_is_cut() -> None:
    """An error whose body never ends, or whose app goes on and on, is cancelled soon."""

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 30_000, "more_body": True})
            await asyncio.sleep(0.005)

    async def after(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 500, {})
        await asyncio.sleep(60)

    for play in (endless, after):
        app = Models({BEST: play})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exchange, "GRACE_S", 0.05)
            assert asks(app).json == {"model": NEXT}
        assert app.cancelled == [BEST]


def test_a_failed_answer_that_was_not_kept() -> None:
    """When a long error body was dropped and no other model can be tried, a short one of ours has its status."""

    async def long(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await asyncio.sleep(0.4)
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x" * 60_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    seen = asks(Models({BEST: long}), total_timeout_s=0.3)
    assert seen.status == 503
    assert seen.json["error"]["code"] == "upstream_error"
    assert seen.json["error"]["type"] == "api_error"


def test_servererror_middleware_inside() -> None:
    """An app that answers 500 and then raises counts once; as the last one it does both."""

    async def both(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 500, {"oops": 1})
        raise Boom

    app = Models({BEST: both})
    assert asks(app).json == {"model": NEXT}
    caller = Caller([json.dumps(ASK).encode()])
    with pytest.raises(Boom):
        asyncio.run(call(middleware(Models({BEST: both}), fallback=False), caller=caller))
    assert Answer(caller.sent).json == {"oops": 1}

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await asyncio.sleep(0.4)
        await send({"type": "http.response.body", "body": b"oops"})
        raise Boom

    caller = Caller([json.dumps(ASK).encode()])
    with pytest.raises(Boom):
        asyncio.run(call(middleware(Models({BEST: late}), total_timeout_s=0.3), caller=caller))
    assert Answer(caller.sent).body == b"oops"


def test_early_hints_do_not_end_the_chances() -> None:
    """Informational messages before the start go out at once and leave the fallback open."""

    async def hints(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.early_hint", "links": []})
        await answer(send, 503, {})

    app = Models({BEST: hints})
    seen = asks(app)
    assert seen.messages[0]["type"] == "http.response.early_hint"
    assert seen.json == {"model": NEXT}


def test_an_app_that_answers_nothing() -> None:
    """An app that returns without an answer is the server's to deal with; no other model is asked."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    app = Models({BEST: nothing})
    assert asks(app).messages == []
    assert app.asked == [BEST]


def test_a_keyboard_interrupt_is_not_caught() -> None:
    """What is no Exception ends everything, and the lease with it."""
    app = middleware(Models({BEST: raising(KeyboardInterrupt())}))
    outcomes = Outcomes(app.router)

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await call(app)

    asyncio.run(main())
    assert app.router.health.in_flight() == 0
    assert not outcomes.outcomes[0].ok
