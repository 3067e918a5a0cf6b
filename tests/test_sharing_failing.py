"""Sharing with a cache that holds poison, or fails in every way."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Any

import pytest

from ofox_middleware.fleet import Report
from ofox_middleware.sharing import TTL_S, HealthSharing
from tests.health_tools import look, succeed, trip
from tests.sharing_tools import DOWN, KEY, a_book, a_cache, envelope, running, sharing, until

# Poison.

POISON: dict[str, Any] = {
    "not JSON": b"\x00\xff nonsense",
    "not UTF-8": b'{"worker":"\xff","at":1,"models":{}}',
    "not an envelope": b"[1,2,3]",
    "null": b"null",
    "empty": b"",
    "text": "text and not bytes",
    "an object": {"worker": "w"},
    "no worker": b'{"at":1,"models":{}}',
    "worker is a number": b'{"worker":5,"at":1,"models":{}}',
    "worker is empty": b'{"worker":"","at":%d,"models":{}}',
    "worker is endless": b'{"worker":"' + b"w" * 100 + b'","at":1,"models":{}}',
    "stamp is text": b'{"worker":"w","at":"now","models":{}}',
    "stamp is null": b'{"worker":"w","at":null,"models":{}}',
    "models is a list": b'{"worker":"w","at":1,"models":[]}',
    "report too long": b'{"worker":"w","at":1,"models":{"m":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}}',
    "report is text": b'{"worker":"w","at":1,"models":{"m":"open"}}',
    "count is text": b'{"worker":"w","at":1,"models":{"m":["x"]}}',
    "count is a fraction": b'{"worker":"w","at":1,"models":{"m":[1.5]}}',
    "huge number": b'{"worker":"w","at":1,"models":{"m":[0,0,1e999]}}',
    "NaN": b'{"worker":"w","at":NaN,"models":{}}',
    "deep": b'{"worker":"w","at":1,"models":{},"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long": b'{"worker":"w","at":1,"models":{},"x":"' + b"x" * 200_000 + b'"}',
    "from the future": envelope(DOWN, ago_s=-60.0),
    "from the past": envelope(DOWN, ago_s=TTL_S + 1),
    "from long ago": envelope(DOWN, ago_s=1e12),
}


@pytest.mark.parametrize("kind", sorted(POISON))
def test_poison_is_dropped(kind: str) -> None:
    """Whatever is in the cache, the round goes on, nothing is believed of it, and it is counted."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        share = sharing(book, cache=cache)
        await cache.set(KEY.format(5), POISON[kind])
        async with running(share):
            await until(lambda: share.status()["dropped"] > 0)
            await until(lambda: share.status()["rounds"] > 2)
            assert share.status()["failures"] == 0
        assert (book.workers(), book.snapshot()) == (0, {})

    asyncio.run(main())


def test_values_are_clamped() -> None:
    """Well-formed numbers that make no sense are held within bounds."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        await cache.set(KEY.format(5), envelope({"m": Report(10**9, 10**9, 0.0, *[1e9] * 8, 10**9, -1.0)}))
        async with running(sharing(book, cache=cache)):
            await until(lambda: book.workers() == 1)
            view = look(book)
            assert view.availability > 0.6
            assert view.ttft_s < 10.0
            assert view.reopens_in_s <= 5.0

    asyncio.run(main())


def test_a_clock_a_little_ahead_is_forgiven() -> None:
    """Machines' clocks differ: a stamp a second ahead is taken as of now."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        await cache.set(KEY.format(5), envelope(DOWN, ago_s=-1.0))
        async with running(sharing(book, cache=cache)):
            await until(lambda: book.workers() == 1)

    asyncio.run(main())


def test_one_worker_cannot_eject_the_fleet() -> None:
    """A worker that reports every model as down is outvoted by what the others see themselves."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        share = sharing(book, cache=cache)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            for _ in range(20):
                await asyncio.sleep(0.01)
                succeed(book, 1)
                await cache.set(
                    KEY.format(5), envelope({"m": Report(failed=99, open_s=300.0, tripped_ago_s=5.0)}, "liar")
                )
            await until(lambda: book.workers() == 1)
            assert look(book).state == "closed"

    asyncio.run(main())


# A cache that fails.


class Broken:
    """A cache whose operations do what they are told to."""

    def __init__(self, behaviour: Callable[[], Any]) -> None:
        self.behaviour = behaviour
        self.calls = 0

    async def _any(self, *_: Any, **__: Any) -> Any:
        self.calls += 1
        result = self.behaviour()
        return await result if asyncio.iscoroutine(result) else result

    exists = multi_get = set = delete = _any


def raising(error: Exception) -> Callable[[], Any]:
    def behave() -> Any:
        raise error

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [
        raising(OSError("gone")),
        raising(asyncio.TimeoutError()),
        raising(ValueError("secret://user:password")),
        lambda: None,
    ],
    ids=["gone", "slow", "odd", "disabled"],
)
def test_a_failing_cache_is_survived(behaviour: Callable[[], Any]) -> None:
    """Every error of the cache is counted by its kind, its text is not shown, and the book goes on by itself."""

    async def main() -> None:
        book, cache = a_book(), Broken(behaviour)
        share = sharing(book, cache=cache, interval_s=0.01)
        async with running(share):
            await until(lambda: share.status()["failures"] >= 2)
            trip(book)
            status = share.status()
            assert status["running"]
            assert not status["connected"]
            assert status["last_error"]
            assert "password" not in str(status)
        assert look(book).state == "open"

    asyncio.run(main())


def test_pauses_grow_and_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each failure in a row doubles the pause, up to five seconds; a good round brings back the usual pace."""
    pauses: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await real_sleep(0)

    async def main() -> None:
        monkeypatch.setattr(asyncio, "sleep", sleep)
        good, cache = a_cache(), Broken(raising(OSError()))
        share = HealthSharing(a_book(), cache=cache, rng=random.Random(1))
        share.start()
        while len(pauses) < 9:
            await real_sleep(0)
        share._cache = good
        while share.status()["rounds"] < 2:
            await real_sleep(0)
        await share.stop()

    asyncio.run(main())
    for failures, pause in enumerate(pauses[:8], start=1):
        assert 0.75 <= pause / min(5.0, 2.0 ** (failures - 1)) <= 1.0
    assert pauses[-1] <= 1.0


def test_stop_while_the_cache_hangs() -> None:
    """A cache that never answers does not keep an app from ending."""

    async def main() -> None:
        share = sharing(a_book(), cache=Broken(lambda: asyncio.sleep(3_600)))
        share.start()
        await asyncio.sleep(0.05)
        await share.stop()
        assert not share.status()["running"]

    asyncio.run(main())


def test_a_swallowed_cancellation_is_heeded() -> None:
    """When a library swallows the cancellation, the task ends all the same."""

    async def swallow() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3_600)
        raise OSError

    async def main() -> None:
        share = sharing(a_book(), cache=Broken(swallow))
        share.start()
        await asyncio.sleep(0.05)
        await asyncio.wait_for(share.stop(), 10)

    asyncio.run(main())


def test_a_bell_that_cannot_be_heard_does_no_harm() -> None:
    """When the cache fails between two rounds, the next round comes when it is due, and says what ails it."""

    async def main() -> None:
        cache = a_cache()
        share = sharing(a_book(), cache=cache, interval_s=0.6)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            cache.get = raising(OSError("gone"))
            rounds = share.status()["rounds"]
            await until(lambda: share.status()["rounds"] > rounds + 1)
            assert share.status()["failures"] == 0

    asyncio.run(main())
