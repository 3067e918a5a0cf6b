"""What a request leaves in memory: nothing that waits for the garbage collector, which may be long in coming."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ofox_middleware.body import RequestBody
from ofox_middleware.dispatch import Dispatch
from ofox_middleware.exchange import Exchange
from ofox_middleware.guard import Guard
from ofox_middleware.replay import Client, Line
from tests.asgi.harness import ASK, BEST, NEXT, Caller, Models, Play, Receive, Send, call, hang, middleware, stream
from tests.asgi.test_hedging import STREAM, brain, door, fails, speaks

OURS = (Client, Dispatch, Exchange, Guard, Line, RequestBody)


async def breaks(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    raise ValueError("no")


@pytest.fixture
def left_behind(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[Any]]]:
    """Tells what a test has left in memory, with the garbage collector stopped."""
    caplog.set_level("CRITICAL", "ofox_middleware.asgi")  # a log record keeps the exception, with all of its frames
    gc.collect()
    gc.disable()
    before = of_requests()
    yield lambda: [thing for thing in of_requests() if all(thing is not other for other in before)]
    gc.enable()


def of_requests() -> list[Any]:
    return [thing for thing in gc.get_objects() if isinstance(thing, OURS)]


@pytest.mark.parametrize(
    "plays",
    [
        {},
        {BEST: stream(b'data: {"choices": []}\n\n', b"data: [DONE]\n\n")},
        {BEST: 400},
        {BEST: 503},
        {BEST: breaks},
        {BEST: hang},
        {BEST: fails(429), NEXT: breaks},
    ],
    ids=["plain", "stream", "refused", "failed", "raised", "silent", "all-failed"],
)
def test_a_request_is_forgotten_when_it_ends(
    plays: dict[str, int | Play], left_behind: Callable[[], list[Any]]
) -> None:
    """No attempt is part of a cycle, which would keep the request's body for as long as no collection is due."""
    app = middleware(Models(plays), first_byte_timeout_s=0.05, max_attempts=2)

    async def main() -> None:
        with contextlib.suppress(ValueError):
            await call(app, ASK)

    asyncio.run(main())
    assert not left_behind()


@pytest.mark.parametrize("slow", [BEST, NEXT])
def test_a_race_is_forgotten_when_it_ends(slow: str, left_behind: Callable[[], list[Any]]) -> None:
    """The same of two attempts that have run at the same time, whichever of them was quicker."""
    made = brain()
    plays = {BEST: speaks(BEST, after_s=0.2), NEXT: speaks(NEXT), slow: speaks(slow, after_s=0.4)}
    app = door(Models(plays), made)
    asyncio.run(call(app, STREAM))
    assert made.stats["hedged"] == 1
    assert made.stats["hedge_won"] == (slow == BEST)
    assert not left_behind()


def test_a_caller_who_leaves_is_forgotten(left_behind: Callable[[], list[Any]]) -> None:
    """The same of a request that nobody waits for any more."""
    app = middleware(Models({BEST: hang}))

    async def main() -> None:
        caller = Caller([b'{"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}'])
        asyncio.get_running_loop().call_later(0.1, caller.leave)
        await call(app, caller=caller)

    asyncio.run(main())
    assert not left_behind()
