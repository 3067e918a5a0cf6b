"""Hedging at the ASGI door: two attempts, one answer, nothing left running; raw ASGI and a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from tests.asgi.harness import (
    ASK,
    BEST,
    LAST,
    NEXT,
    Answer,
    Caller,
    Models,
    Outcomes,
    Play,
    Receive,
    Send,
    answer,
    call,
    hang,
    router,
    stream,
)
from tests.asgi.server import serving

ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
STREAM = {**ASK, "stream": True}


def said(word: str) -> bytes:
    event = {"choices": [{"index": 0, "delta": {"content": word}}]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def speaks(name: str, *, after_s: float = 0.0, announces: bool = False, pause_s: float = 0.0) -> Play:
    """A stream that says `name` three times, beginning after `after_s`."""

    async def play(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        if announces:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": ROLE, "more_body": True})
        await asyncio.sleep(after_s)
        if not announces:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        for _ in range(3):
            await send({"type": "http.response.body", "body": said(name), "more_body": True})
            await asyncio.sleep(pause_s)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})

    return play


def fails(status: int, *, after_s: float = 0.0) -> Play:
    async def play(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await asyncio.sleep(after_s)
        await answer(send, status, {"error": {"message": "no", "code": status}})

    return play


def raises(error: Exception, *, after_s: float = 0.0) -> Play:
    async def play(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await asyncio.sleep(after_s)
        raise error

    return play


def brain(*, known: bool = True, **options: Any) -> SmartRouter:
    """A router that ranks BEST, NEXT, LAST by speed, whose streams used to begin within 60 ms."""
    cards = [
        ModelCard(name=name, ability=0.9, ttft_s=ttft_s, tokens_per_s=100, max_input_tokens=10**7)
        for name, ttft_s in ((BEST, 0.05), (NEXT, 0.4), (LAST, 2.0))
    ]
    made = router(**{"models": cards, "preference": "speed", "hedge": True, **options})
    for name, ttft_s in ((BEST, 0.05), (NEXT, 0.4), (LAST, 2.0)):
        for _ in range(30 if known else 0):
            made.health.record_success(name, ttft_s=ttft_s, total_s=ttft_s + 1, output_tokens=100)
    return made


def door(app: Models, made: SmartRouter, *, saved: float = 1.0) -> OfoxMiddleware:
    """The middleware with a budget for `saved` hedges."""
    middleware = OfoxMiddleware(app, router=made)
    middleware._hedges.saved = saved
    return middleware


def asked(app: Models, made: SmartRouter, *, saved: float = 1.0, caller: Caller | None = None) -> Answer:
    async def main() -> Answer:
        seen = await call(door(app, made, saved=saved), STREAM, caller=caller)
        await asyncio.sleep(0)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others
        return seen

    return asyncio.run(main())


def words(seen: Answer) -> list[str]:
    return [
        json.loads(line[6:])["choices"][0]["delta"]["content"]
        for line in seen.body.decode().splitlines()
        if line.startswith("data: {")
    ]


def settled(made: SmartRouter) -> None:
    """Nothing is in flight, and nobody was blamed."""
    assert made.health.in_flight() == 0
    assert all(shown["failed"] == 0 for shown in made.health.snapshot().values())


@pytest.mark.parametrize("slow", [hang, speaks(BEST, after_s=30.0), speaks(BEST, after_s=30.0, announces=True)])
def test_the_quicker_one_answers(slow: Play) -> None:
    """A stream that is late is asked of the next model; that one's answer is passed on whole, the other is cancelled
    without blame."""
    made = brain()
    outcomes = Outcomes(made)
    app = Models({BEST: slow, NEXT: speaks(NEXT)})
    seen = asked(app, made)
    assert words(seen) == [NEXT] * 3
    assert app.asked == [BEST, NEXT]
    assert app.cancelled == [BEST]
    assert (seen.headers["x-ofox-model"], seen.headers["x-ofox-attempts"]) == (NEXT, "2")
    assert (made.stats["hedged"], made.stats["hedge_won"]) == (1, 1)
    (outcome,) = outcomes.outcomes
    assert (outcome.model, outcome.ok, outcome.attempts) == (NEXT, True, (BEST, NEXT))
    settled(made)


def test_the_first_may_still_win() -> None:
    """When the first attempt speaks after all, it answers, and the second is cancelled."""
    made = brain()
    app = Models({BEST: speaks(BEST, after_s=0.2, pause_s=0.01), NEXT: speaks(NEXT, after_s=30.0, announces=True)})
    seen = asked(app, made)
    assert words(seen) == [BEST] * 3
    assert app.cancelled == [NEXT]
    assert (seen.headers["x-ofox-model"], seen.headers["x-ofox-attempts"]) == (BEST, "2")
    assert (made.stats["hedged"], made.stats["hedge_won"]) == (1, 0)
    settled(made)


def test_a_quick_stream_has_no_company() -> None:
    """Nothing is asked twice when the answer begins in time, however long it goes on."""
    made = brain()
    app = Models({BEST: speaks(BEST, pause_s=0.1)})
    assert words(asked(app, made)) == [BEST] * 3
    assert app.asked == [BEST]
    assert made.stats["hedged"] == 0


@pytest.mark.parametrize("case", ["budget", "off", "quality", "unknown", "tripped", "alone"])
def test_when_nothing_is_hedged(case: str) -> None:
    """No budget, not switched on, not for speed, not known, nobody well, nobody else: one attempt."""
    options = {"off": {"hedge": False}, "quality": {"preference": "quality"}, "alone": {"max_attempts": 1}}
    made = brain(known=case != "unknown", **options.get(case, {}))
    app = Models({BEST: speaks(BEST, after_s=0.3), NEXT: speaks(NEXT)})
    if case == "tripped":
        for name in (NEXT, LAST):
            for _ in range(5):
                made.health.record_failure(name, status=503)
    seen = asked(app, made, saved=0.9 if case == "budget" else 5.0)
    assert words(seen) == [BEST] * 3
    assert app.asked == [BEST]
    assert made.stats["hedged"] == 0


def test_the_budget_is_a_twentieth_of_the_requests() -> None:
    """With every first attempt late, one in twenty requests is asked twice."""
    made = brain()
    app = Models({BEST: speaks(BEST, after_s=0.3), NEXT: speaks(NEXT)})

    async def main() -> None:
        middleware = OfoxMiddleware(app, router=made)
        for _ in range(10):
            for _ in range(300):  # else what is late now would soon be what is usual
                made.health.record_success(BEST, ttft_s=0.05, total_s=1.0, output_tokens=100)
            await asyncio.gather(*(call(middleware, STREAM) for _ in range(10)))

    asyncio.run(main())
    assert made.stats["hedged"] <= 5
    assert len(app.asked) == 100 + made.stats["hedged"]
    assert made.stats["hedged"] >= 3
    settled(made)


@pytest.mark.parametrize("how", [fails(503, after_s=0.15), raises(ConnectionError(), after_s=0.15)])
def test_when_the_first_fails_the_second_is_the_next(how: Play) -> None:
    """A failure of the first attempt waits for the second, which is under way, and starts no third."""
    made = brain()
    app = Models({BEST: how, NEXT: speaks(NEXT, after_s=0.3)})
    assert words(asked(app, made)) == [NEXT] * 3
    assert app.asked == [BEST, NEXT]
    assert made.health.snapshot()[BEST]["failed"] == 1
    assert made.health.in_flight() == 0


@pytest.mark.parametrize(
    "how", [fails(503), fails(400), fails(401), raises(ConnectionError()), raises(ValueError("odd"))]
)
def test_an_error_of_the_second_is_never_the_answer(how: Play) -> None:
    """While the first attempt may still answer, whatever the second comes to is held back."""
    made = brain()
    app = Models({BEST: speaks(BEST, after_s=0.3), NEXT: how})
    seen = asked(app, made)
    assert words(seen) == [BEST] * 3
    assert made.health.in_flight() == 0
    assert made.health.snapshot()[BEST]["failed"] == 0


def test_when_both_fail_the_third_is_tried() -> None:
    """Two failures at once count as two attempts, and the rest of the ranking follows."""
    made = brain()
    app = Models({BEST: fails(503, after_s=0.2), NEXT: fails(502), LAST: speaks(LAST)})
    seen = asked(app, made)
    assert words(seen) == [LAST] * 3
    assert app.asked == [BEST, NEXT, LAST]
    assert seen.headers["x-ofox-attempts"] == "3"
    assert made.health.in_flight() == 0


def test_when_all_fail_there_is_one_error() -> None:
    """The last failure is the answer, once, whoever it came from."""
    made = brain(max_attempts=2)
    seen = asked(Models({BEST: fails(503, after_s=0.2), NEXT: fails(502)}), made)
    assert seen.status in (502, 503)
    assert made.health.in_flight() == 0


@pytest.mark.parametrize("leaves_after_s", [0.02, 0.2, 0.5])
def test_a_client_that_leaves_ends_both(leaves_after_s: float) -> None:
    """When the client leaves, before or after the second attempt began, both are cancelled without blame."""
    made = brain()
    app = Models({BEST: hang, NEXT: hang})
    caller = Caller([json.dumps(STREAM).encode()])

    async def main() -> None:
        asyncio.get_running_loop().call_later(leaves_after_s, caller.leave)
        await call(door(app, made), STREAM, caller=caller)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert sorted(app.cancelled) == sorted(app.asked)
    assert caller.sent[0]["status"] == 499
    settled(made)


def test_a_client_that_leaves_in_mid_answer_is_heard_by_the_winner() -> None:
    """The second attempt, once it answers, hears through its own `receive` that the client has left."""
    made = brain()
    heard: list[str] = []

    async def endless(scope: Any, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": said(NEXT), "more_body": True})
        heard.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def listening(scope: Any, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])

    caller = Caller([json.dumps(STREAM).encode()])

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.4, caller.leave)
        await call(door(Models({BEST: listening, NEXT: endless}), made), STREAM, caller=caller)

    asyncio.run(main())
    assert heard == ["http.disconnect"]
    assert made.health.in_flight() == 0


@pytest.mark.parametrize("when", [0.1, 0.3])
def test_a_cancelled_server_task_ends_both(when: float) -> None:
    """When the server cancels the request, no attempt is left running."""
    made = brain()
    app = Models({BEST: hang, NEXT: speaks(NEXT, after_s=0.1, pause_s=10.0)})

    async def main() -> None:
        task = asyncio.create_task(call(door(app, made), STREAM))
        await asyncio.sleep(when)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    settled(made)


def test_an_app_that_does_not_heed_its_cancellation_is_not_heard() -> None:
    """An attempt that was overtaken and goes on all the same sends nothing to the caller."""

    async def stubborn(scope: Any, receive: Receive, send: Send) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await speaks(BEST)(scope, receive, send)

    made = brain()
    seen = asked(Models({BEST: stubborn, NEXT: speaks(NEXT)}), made)
    assert words(seen) == [NEXT] * 3
    assert made.health.in_flight() == 0


def test_what_the_overtaken_took_is_learned() -> None:
    """A model that has become slow is known to be, though its answers are never waited for."""
    made = brain()
    before = made.health.view(BEST, 0.05, 0.01).ttft_s

    async def main() -> None:
        middleware = door(Models({BEST: speaks(BEST, after_s=30), NEXT: speaks(NEXT, after_s=0.4)}), made, saved=5.0)
        for _ in range(3):
            await call(middleware, STREAM)

    asyncio.run(main())
    assert made.health.view(BEST, 0.05, 0.01).ttft_s > 4 * before
    settled(made)


@pytest.mark.parametrize("caller_leaves", [False, True])
def test_over_a_real_server(caller_leaves: bool) -> None:
    """Through uvicorn: many clients at once, each with one whole answer of one model, and nothing left in flight."""
    made = brain()
    app = Models({BEST: speaks(BEST, after_s=0.3, pause_s=0.01), NEXT: speaks(NEXT, after_s=0.05, pause_s=0.01)})

    async def one(client: httpx.AsyncClient, url: str) -> str:
        try:
            timeout = 0.15 if caller_leaves else 20
            return (await client.post(url, json=STREAM, timeout=timeout)).text
        except httpx.TimeoutException:
            return ""

    async def load(url: str) -> list[str]:
        async with httpx.AsyncClient(trust_env=False) as client:
            return [text for _ in range(4) for text in await asyncio.gather(*(one(client, url) for _ in range(10)))]

    with serving(door(app, made, saved=5.0)) as base_url:
        texts = asyncio.run(load(f"{base_url}/v1/chat/completions"))
        settles(lambda: made.health.in_flight() == 0)
    for text in filter(None, texts):
        assert sorted({name for name in (BEST, NEXT) if name in text}) in ([BEST], [NEXT])
        assert text.count("[DONE]") == 1
    assert made.stats["hedged"] >= 1
    settled(made)


def settles(done: Callable[[], bool]) -> None:
    for _ in range(200):
        if done():
            return
        asyncio.run(asyncio.sleep(0.02))
    assert done()


def test_a_plain_stream_helper_is_what_it_seems() -> None:
    """The harness's own stream is passed on by a door that hedges as by any other."""
    made = brain()
    seen = asked(Models({BEST: stream(said(BEST), b"data: [DONE]\n\n")}), made)
    assert words(seen) == [BEST]
