"""A model that says nothing in time, and apps that do not heed their cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ofox_middleware import guard, patience
from tests.asgi.harness import ASK, BEST, LAST, NEXT, Boom, Models, answer, asks, call, hang, middleware, stream


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
    seen = asks(app, total_timeout_s=1.5, first_byte_timeout_s=0.05, fallback=fallback)
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
