"""The next candidate gets the request while the caller has seen nothing."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from ofox_middleware import exchange
from tests.asgi.harness import (
    ASK,
    BEST,
    LAST,
    NEXT,
    Answer,
    Boom,
    Caller,
    Models,
    Outcomes,
    answer,
    asks,
    call,
    middleware,
    raising,
)


class Refused(Exception):
    """An SDK's exception that carries a status."""

    def __init__(self, status_code: Any) -> None:
        self.status_code = status_code


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
