"""Health shared through a cache: when the task runs, and what workers tell each other."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import random
import sys
import time

import msgspec
import pytest

from ofox_middleware import sharing as module
from ofox_middleware.errors import SettingsError
from ofox_middleware.fleet import Report
from ofox_middleware.health import HealthBook
from ofox_middleware.sharing import PLACES, READ_AT_ONCE, HealthSharing
from tests.health_tools import look, trip
from tests.sharing_tools import DOWN, KEY, a_book, a_cache, envelope, running, sharing, until

# Life and death of the background task.


def test_nothing_runs_without_a_place_to_share() -> None:
    """Without URL and cache there is nobody to share with, so nothing is started."""

    async def main() -> None:
        share = sharing(a_book())
        assert not share.start()
        assert not share.status()["running"]
        await share.stop()

    asyncio.run(main())


def test_nothing_runs_without_a_loop() -> None:
    """In synchronous code there is no loop to run in; asking does no harm."""
    assert not sharing(a_book(), cache=a_cache()).start()


def test_starting_twice_runs_once() -> None:
    """``start`` may be called on every request."""

    async def main() -> None:
        share = sharing(a_book(), cache=a_cache())
        before = len(asyncio.all_tasks())
        assert all(share.start() for _ in range(5))
        assert len(asyncio.all_tasks()) == before + 1
        await share.stop()
        await share.stop()
        assert len(asyncio.all_tasks()) == before

    asyncio.run(main())


def test_it_can_start_again() -> None:
    """After a stop, and in another loop, it starts anew."""
    share, cache, book = sharing(a_book(), cache=a_cache()), a_cache(), a_book()
    other = sharing(book, cache=cache)
    share = sharing(a_book(), cache=cache)

    async def main() -> None:
        for _ in range(2):
            async with running(share, other):
                await until(lambda: book.workers() == 1)

    for _ in range(2):
        asyncio.run(main())


def test_a_loop_that_ends_takes_the_task_along() -> None:
    """An app that never calls ``stop`` leaves no pending task and no warning."""
    share = sharing(a_book(), cache=a_cache())

    async def main() -> None:
        share.start()
        await until(lambda: share.status()["rounds"] > 0)

    asyncio.run(main())
    gc.collect()
    assert not share.status()["running"]


def test_one_task_for_all_loops() -> None:
    """While it runs in one loop, code in another loop of the process does not start a second one."""

    async def main() -> None:
        cache = a_cache()
        share = sharing(a_book(), cache=cache)
        async with running(share):
            await until(lambda: share.status()["publishing"])
            task = share._task
            assert await asyncio.to_thread(lambda: asyncio.run(started_here(share)))
            assert share._task is task
            assert len(cache._cache) == 1

    async def started_here(share: HealthSharing) -> bool:
        return share.start()

    asyncio.run(main())


def test_stopping_from_another_loop_does_nothing() -> None:
    """A task of a loop that is gone need not be waited for."""
    share = sharing(a_book(), cache=a_cache())

    async def begin() -> None:
        share.start()

    asyncio.run(begin())
    asyncio.run(share.stop())
    assert not share.status()["running"]


def test_the_task_has_a_context_of_its_own() -> None:
    """It does not keep alive what belongs to the request that happened to start it."""
    seen: list[str] = []
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")

    class Watching(HealthBook):
        def summary(self) -> dict[str, Report]:
            seen.append(request.get())
            return super().summary()

    async def main() -> None:
        request.set("a request")
        async with running(sharing(Watching(), cache=a_cache())):
            await until(lambda: bool(seen))

    asyncio.run(main())
    assert set(seen) == {"none"}


def test_stop_takes_the_summary_out() -> None:
    """A worker that ends in order is forgotten by the next round, not after 15 s."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        share = sharing(a_book(), cache=cache)
        async with running(share):
            await until(lambda: share.status()["publishing"])
            await until(lambda: len(cache._cache) == 1)
        assert cache._cache == {}
        del book

    asyncio.run(main())


# What is told.


def test_books_that_share_a_memory_cache() -> None:
    """Several books of one process can share through one cache in memory."""

    async def main() -> None:
        cache, books = a_cache(), [a_book() for _ in range(4)]
        async with running(*(sharing(book, cache=cache, rng=random.Random(n)) for n, book in enumerate(books))):
            await until(lambda: all(book.workers() == 3 for book in books))
            trip(books[0])
            await until(lambda: all(look(book).state == "open" for book in books))
            assert all(look(book, "other").state == "closed" for book in books)

    asyncio.run(main())


class Remembered:
    """A memory that is shared beside health."""

    def __init__(self, *told: str) -> None:
        self.known = set(told)
        self.age_s = -1.0

    def summary(self) -> list[str]:
        return sorted(self.known)

    def merge(self, told: bytes, *, age_s: float) -> None:
        self.known |= set(msgspec.json.decode(told, type=list[str]))
        self.age_s = age_s


def test_memories_are_shared_beside_health() -> None:
    """What else workers know goes along; one that a worker does not have, or cannot read, harms nothing."""

    async def main() -> None:
        cache = a_cache()
        mine, other, numbers = Remembered("a"), Remembered("b"), Remembered()
        numbers.summary = lambda: [1]  # type: ignore[assignment, list-item, return-value]
        first = sharing(a_book(), cache=cache, memories={"words": mine, "mine": mine, "odd": numbers})
        second = sharing(a_book(), cache=cache, memories={"words": other, "odd": Remembered()})
        async with first, second, sharing(a_book(), cache=cache) as third:
            await until(lambda: mine.known == other.known == {"a", "b"} and second.status()["dropped"] > 0)
            await until(lambda: third.status()["other_workers"] == 2)
            assert mine.age_s >= 0
            assert third.status()["dropped"] == 0

    asyncio.run(main())


def test_namespaces_are_apart() -> None:
    """Workers of different namespaces do not hear each other."""

    async def main() -> None:
        cache, one, other = a_cache(), a_book(), a_book()
        trip(one)
        shares = [sharing(one, cache=cache, namespace="a"), sharing(other, cache=cache, namespace="b")]
        async with running(*shares):
            await until(lambda: all(share.status()["rounds"] > 5 for share in shares))
        assert (other.workers(), look(other).state) == (0, "closed")

    asyncio.run(main())


def test_two_in_one_place() -> None:
    """When two workers find themselves in one place, they part; neither is lost for long."""

    async def main() -> None:
        cache, books = a_cache(), [a_book(), a_book()]
        shares = [sharing(book, cache=cache) for book in books]
        async with running(*shares):
            await until(lambda: all(share.status()["publishing"] for share in shares))
            for share in shares:
                share._place = 7
            await until(lambda: all(book.workers() == 1 for book in books))
            await until(lambda: shares[0]._place != shares[1]._place)

    asyncio.run(main())


def test_a_full_house_listens() -> None:
    """When every place is taken a worker reads but does not publish; it moves in when one is free."""

    async def main() -> None:
        cache, book = a_cache(), a_book()
        for place in range(PLACES):
            await cache.set(KEY.format(place), envelope(DOWN, f"w{place}"))
        share = sharing(book, cache=cache)
        async with running(share):
            await until(lambda: book.workers() >= READ_AT_ONCE)
            assert not share.status()["publishing"]
            assert look(book).state == "open"
            await until(lambda: book.workers() > READ_AT_ONCE)
            await cache.delete(KEY.format(3))
            await until(lambda: share.status()["publishing"])
            assert share._place == 3

    asyncio.run(main())


def test_a_place_full_of_nonsense_is_taken() -> None:
    """Values that are none of ours do not keep a worker from publishing."""

    async def main() -> None:
        cache = a_cache()
        for place in range(PLACES):
            await cache.set(KEY.format(place), b"nonsense")
        share = sharing(a_book(), cache=cache)
        async with running(share):
            await until(lambda: share.status()["publishing"])

    asyncio.run(main())


def test_news_does_not_wait_for_the_next_round() -> None:
    """A breaker that trips is heard of long before the round that is due, and so is the next one."""

    async def main() -> None:
        cache, books = a_cache(), [a_book(), a_book()]
        shares = [sharing(book, cache=cache, interval_s=600.0, rng=random.Random(n)) for n, book in enumerate(books)]
        async with running(*shares):
            for model in ("m", "n"):
                trip(books[0], model)
                await until(lambda model=model: look(books[1], model).state == "open")  # type: ignore[misc]

    asyncio.run(main())


def test_one_of_several_workers_probes() -> None:
    """Of the workers whose waits are over only one lets a request through to the model that was down."""

    async def main() -> None:
        cache, books = a_cache(), [a_book() for _ in range(4)]
        async with running(*(sharing(book, cache=cache, rng=random.Random(n)) for n, book in enumerate(books))):
            await until(lambda: all(book.workers() == 3 for book in books))
            for book in books:
                trip(book)
                breaker = book._models["m"].breaker
                breaker.until = breaker.own_until = time.monotonic() + 0.5
            await until(lambda: all(look(book).state == "half_open" for book in books))
            assert sum(look(book).probe_free for book in books) == 1

    asyncio.run(main())


# Configuration.


@pytest.mark.parametrize("url", ["http://x", "memory://", "", "not a url"])
def test_a_wrong_url_is_refused(url: str) -> None:
    """A URL that is no Redis's is refused when the sharing is made, without repeating it."""
    with pytest.raises(SettingsError) as caught:
        HealthSharing(a_book(), url=url + "?password=secret")
    assert caught.value.param == "redis_url"
    assert "secret" not in str(caught.value)


def test_redis_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the redis package the error says what to install."""
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)
    with pytest.raises(SettingsError, match=r"ofox-middleware\[redis\]"):
        HealthSharing(a_book(), url="redis://127.0.0.1")


def test_the_door_to_redis_is_narrow() -> None:
    """No operation may take longer than 50 ms, and there are few connections."""
    assert module.OP_TIMEOUT_S <= 0.05

    async def main() -> None:
        share = HealthSharing(a_book(), url="redis://127.0.0.1:1/0")
        share._open_cache()
        assert share._cache.timeout == module.OP_TIMEOUT_S
        assert share._pool.max_connections == 2

    asyncio.run(main())
