"""Health shared through a cache: with memory, with a real Redis, and with a Redis that fails in every way."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from ofox_middleware import sharing as module
from ofox_middleware.errors import SettingsError
from ofox_middleware.health import HealthBook, Report
from ofox_middleware.sharing import PLACES, READ_AT_ONCE, TTL_S, Envelope, HealthSharing
from tests.health_tools import look, succeed, trip

REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS is None, reason="no redis-server on this machine (apt-get install redis-server)")
FAST_S = 0.05
KEY = "ofox:default:health:1:{}"


def a_book() -> HealthBook:
    return HealthBook(rng=random.Random(1))


def a_cache() -> Any:
    return SimpleMemoryCache(serializer=NullSerializer(encoding=None))


def sharing(book: HealthBook, **options: Any) -> HealthSharing:
    return HealthSharing(book, **{"interval_s": FAST_S, "rng": random.Random(1), **options})


async def until(condition: Callable[[], bool], patience_s: float = 20.0) -> None:
    """Waits for ``condition``; what takes how long is not what these tests are about."""
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "it never happened"
        await asyncio.sleep(0.01)


def envelope(models: dict[str, Report], worker: str = "w", *, ago_s: float = 0.0) -> bytes:
    return msgspec.json.encode(Envelope(worker, time.time() - ago_s, models))


DOWN = {"m": Report(failed=9, open_s=30.0, tripped_ago_s=0.1)}


class RedisServer:
    """A real Redis on a free port of loopback, that can be killed, stopped and started again."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert REDIS is not None
        command = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._home)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.2) as talk:
                talk.sendall(b"PING\r\n")
                if talk.recv(16).startswith(b"+PONG"):
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server does not come up")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: str | bytes) -> bytes:
        """One command over a connection of its own."""
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        wire = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
        with socket.create_connection(("127.0.0.1", self.port), 5) as talk:
            talk.sendall(wire)
            return talk.recv(65_536)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@contextlib.asynccontextmanager
async def running(*shares: HealthSharing) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for share in shares:
            await stack.enter_async_context(share)
        yield


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


# A real Redis.


@needs_redis
def test_workers_share_through_redis(redis: RedisServer) -> None:
    """Four workers at the usual pace: when one trips, all avoid the model within three seconds."""

    async def main() -> None:
        books = [a_book() for _ in range(4)]
        shares = [HealthSharing(book, url=redis.url, rng=random.Random(n)) for n, book in enumerate(books)]
        async with running(*shares):
            await until(lambda: all(book.workers() == 3 for book in books))
            trip(books[0])
            tripped = time.monotonic()
            await until(lambda: all(look(book).state != "closed" for book in books))
            # The rule of the house, with room for a busy machine: the rounds of both sides take a second each.
            assert all(share.status()["rounds"] > 0 for share in shares)
            assert time.monotonic() - tripped < 30.0
        assert redis.ask("KEYS", "*:health:*") == b"*0\r\n"

    asyncio.run(main())


@needs_redis
def test_summaries_expire(redis: RedisServer) -> None:
    """What a worker publishes is forgotten by Redis 15 s after its last round."""

    async def main() -> None:
        book = a_book()
        succeed(book, 1)
        share = sharing(book, url=redis.url)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            left = int(redis.ask("PTTL", KEY.format(share._place))[1:-2])
            assert 0 < left <= TTL_S * 1_000
            assert b'"m":[1,0,' in redis.ask("GET", KEY.format(share._place))

    asyncio.run(main())


@needs_redis
def test_redis_killed_and_restarted(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    """A Redis that dies in mid-run costs nothing but the sharing; when it is back, so is the sharing. The log says both
    once per worker, and not where the Redis is."""

    async def main() -> None:
        books = [a_book(), a_book()]
        shares = [sharing(book, url=redis.url) for book in books]
        async with running(*shares):
            await until(lambda: all(book.workers() == 1 for book in books))
            redis.kill()
            await until(lambda: all(share.status()["failures"] > 1 for share in shares))
            for book in books:
                succeed(book, 10)
            assert all(look(book).state == "closed" for book in books)
            assert not any(share.status()["connected"] for share in shares)
            redis.start()
            await until(lambda: all(share.status()["connected"] for share in shares), 60.0)
            trip(books[0])
            await until(lambda: look(books[1]).state == "open", 60.0)

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.name == "ofox_middleware.sharing"]
    assert sum("not shared" in line for line in told) == sum("shared again" in line for line in told) == 2
    assert len(told) == 4 and str(redis.port) not in caplog.text


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


@needs_redis
def test_redis_that_stands_still(redis: RedisServer) -> None:
    """While Redis does not answer, its operations are given up; requests and the loop go on."""

    async def main() -> None:
        book = a_book()
        share = sharing(book, url=redis.url)
        async with running(share):
            await until(lambda: share.status()["rounds"] > 0)
            redis.ask("CLIENT", "PAUSE", "1500", "ALL")
            await until(lambda: share.status()["failures"] > 0)
            succeed(book, 100)
            failures = share.status()["failures"]
            rounds = share.status()["rounds"]
            assert share.status()["last_error"]
            await until(lambda: share.status()["rounds"] > rounds, 60.0)
            assert failures >= 1

    asyncio.run(main())


@needs_redis
def test_redis_not_there_at_start(redis: RedisServer) -> None:
    """A worker may start before its Redis does."""

    async def main() -> None:
        redis.kill()
        share = sharing(a_book(), url=redis.url)
        async with running(share):
            await until(lambda: share.status()["failures"] > 0)
            redis.start()
            await until(lambda: share.status()["rounds"] > 0, 60.0)

    asyncio.run(main())


@needs_redis
def test_poisoned_redis(redis: RedisServer) -> None:
    """Keys of the wrong type and values that are none of ours do not end the sharing."""

    async def main() -> None:
        redis.ask("RPUSH", KEY.format(1), "a list")
        redis.ask("SET", KEY.format(2), b"\x80\x81\x82")
        redis.ask("SET", KEY.format(3), envelope(DOWN, ago_s=-3_600.0))
        books = [a_book(), a_book()]
        shares = [sharing(book, url=redis.url, rng=random.Random(n)) for n, book in enumerate(books)]
        async with running(*shares):
            await until(lambda: all(book.workers() == 1 for book in books))
            await until(lambda: all(share.status()["dropped"] > 1 for share in shares))
        assert all(look(book).state == "closed" for book in books)

    asyncio.run(main())


@needs_redis
def test_wrong_password(redis: RedisServer) -> None:
    """Refused by Redis, a worker goes on alone, and shows no password."""

    async def main() -> None:
        redis.ask("CONFIG", "SET", "requirepass", "right")
        share = sharing(a_book(), url=redis.url.replace("redis://", "redis://:wrong@"))
        async with running(share):
            await until(lambda: share.status()["failures"] > 0)
            assert "wrong" not in str(share.status())
        good = sharing(a_book(), url=redis.url.replace("redis://", "redis://:right@"))
        async with running(good):
            await until(lambda: good.status()["rounds"] > 0)

    asyncio.run(main())


@needs_redis
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_processes_share(redis: RedisServer, tmp_path: Path) -> None:
    """Workers in processes of their own, forked from one that had the sharing made already, hear each other."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import asyncio, os, sys, time\n"
        "from ofox_middleware.health import HealthBook\n"
        "from ofox_middleware.sharing import HealthSharing\n"
        "book = HealthBook()\n"
        f"share = HealthSharing(book, url={redis.url!r}, interval_s=0.1)\n"
        "child = os.fork()\n"
        "async def main():\n"
        "    share.start()\n"
        "    end = time.monotonic() + 40\n"
        "    while time.monotonic() < end:\n"
        "        await asyncio.sleep(.01)\n"
        "        if not child and book.workers() and book.view('m', 1.0, .01).state == 'open': return 0\n"
        "        if child and book.workers() and not book.snapshot(): [book.record_failure('m') for _ in range(5)]\n"
        "        if child:\n"
        "            done, code = os.waitpid(child, os.WNOHANG)\n"
        "            if done: return os.waitstatus_to_exitcode(code)\n"
        "    return 1\n"
        "os._exit(asyncio.run(main()))\n",
        "utf-8",
    )
    path = {**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, timeout=60, check=False, env=path
    )
    assert (done.returncode, done.stderr) == (0, b"")


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
