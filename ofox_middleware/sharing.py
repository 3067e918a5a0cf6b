"""Shared health: each worker tells the others what it sees, through a cache that is there already.

About once a second a worker publishes a small summary of its own health book and merges the others'. This runs in a
background task; a request never waits for it. When the cache is gone, slow, restarted or holds nonsense, every worker
goes on with what it knows itself, and tries again with growing pauses.

The cache is aiocache's: Redis by URL, or any aiocache cache that is passed in. There are 64 places to publish in; a
worker takes a free one at random, and moves when it finds another worker in it. In a larger fleet the rest only listen:
64 workers are sample enough. In each round a worker reads 16 of the others, chosen at random when there are more.

Nothing in the cache is trusted: the schema is checked, stamps of the future and old ones are dropped, values are
clamped and weighed by the health book. Who can write to the Redis can still make models look a little worse or better
than they are; keep it to yourself.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

import msgspec
from aiocache.serializers import NullSerializer

from ofox_middleware.envelope import Envelope, read_envelope
from ofox_middleware.health import HealthBook
from ofox_middleware.outage import Outage
from ofox_middleware.redis_urls import check_redis_url
from ofox_middleware.turns import Turns

INTERVAL_S: Final = 1.0
TTL_S: Final = 15.0
OP_TIMEOUT_S: Final = 0.05
"""A summary every second, forgotten after 15 s; an operation that takes longer than 50 ms counts as failed."""

CONNECT_TIMEOUT_S: Final = 1.0
"""The first operation after a failure may take this long: it makes the connection, perhaps with TLS."""

GLANCE_S: Final = 0.2
REST_S: Final = 0.3
"""When a breaker opens or closes the news goes out at once, and a bell is rung: a key in the cache that changes. The
others look at it this often; so nobody sends a model requests for a whole second after another worker found it down.
Between two rounds there is always a short rest, so that a model that flaps cannot keep everybody busy."""

LONGEST_PAUSE_S: Final = 5.0
"""Pauses double while the cache fails, up to this: who has not noticed that it is back asks models that all others know
to be down."""

FUTURE_S: Final = 2.0
"""Stamps may be ahead of our clock by this much."""

PLACES: Final = 64
READ_AT_ONCE: Final = 16


_T = TypeVar("_T")
_encode = msgspec.json.encode


class Memory(Protocol):
    """What a worker remembers beside its health book and shares with it."""

    def summary(self) -> Any:
        """What is worth telling, bounded, in what JSON can hold."""

    def merge(self, told: bytes, *, age_s: float) -> None:
        """Takes over what another worker told as JSON ``age_s`` seconds ago, as far as it makes sense.

        Raises ``msgspec.MsgspecError`` when it has another form.
        """


class HealthSharing:
    """Keeps a health book and those of other workers in step.

    Args:
        book: this worker's.
        url: of a Redis: ``redis://``, ``rediss://`` or ``unix://``, as redis-py reads them.
        cache: an aiocache cache to use instead, such as one ``SimpleMemoryCache`` for several books of one process;
            its serializer must keep ``bytes`` as they are; it is not closed here. Without either there is nobody to
            share with, and nothing runs.
        namespace: workers share with those of the same namespace only. Give each pool of models that differ under
            equal names its own.
        interval_s: mean pause between rounds is a little under this.
        wall: seconds since the epoch.
        rng: spreads the rounds of many workers.
        memories: what else is shared, by a name that the workers agree on.

    Raises:
        SettingsError: the URL cannot be used, or redis is not installed.
    """

    def __init__(
        self,
        book: HealthBook,
        *,
        url: str | None = None,
        cache: Any = None,
        namespace: str = "default",
        interval_s: float = INTERVAL_S,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        memories: Mapping[str, Memory] | None = None,
    ) -> None:
        if cache is None and url is not None:
            check_redis_url(url)
        self._book = book
        self._memories = {} if memories is None else memories
        self._url = url
        self._given = cache
        self._keys = [f"ofox:{namespace}:health:1:{place}" for place in range(PLACES)]
        self._bell = f"ofox:{namespace}:bell:1"
        self._rung: Any = None
        self._moves = 0
        self._turns = Turns(book, namespace=namespace, interval_s=interval_s)
        self._interval_s = interval_s
        self._wall = wall
        self._rng = random.Random() if rng is None else rng
        self._cache: Any = None
        self._pool: Any = None
        self._task: asyncio.Task[None] | None = None
        self._process = 0
        self._worker = ""
        self._place: int | None = None
        self._connected = False
        self._rounds = self._failures = self._dropped = 0
        self._error = ""
        self._outage = Outage()

    def start(self) -> bool:
        """Starts the background task in the running loop, unless it runs already, in this loop or another one of this
        process. Cheap: doors may call it on every request. False when nothing can run: no loop, or nobody to share
        with."""
        if self._given is None and self._url is None:
            return False
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if not self._runs():
            self._process = os.getpid()
            # A context of its own: the task must not keep alive the request that happened to start it.
            self._task = contextvars.Context().run(loop.create_task, self._run())
        return True

    async def stop(self) -> None:
        """Ends the task, takes this worker's summary out of the cache and closes the connections."""
        task, self._task = self._task, None
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return
        task.cancel()
        await asyncio.wait({task})

    async def __aenter__(self) -> HealthSharing:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def status(self) -> dict[str, Any]:
        """How the sharing goes, in plain JSON types: counts, and the kind of the last error (never its text, which
        may hold a password)."""
        return {
            "running": self._runs(),
            "connected": self._connected,
            "publishing": self._place is not None,
            "other_workers": self._book.workers(),
            "rounds": self._rounds,
            "failures": self._failures,
            "dropped": self._dropped,
            "last_error": self._error,
        }

    def _runs(self) -> bool:
        # A forked worker has a copy of its parent's task, which nobody runs.
        task = self._task
        return task is not None and not task.done() and task.get_loop().is_running() and self._process == os.getpid()

    async def _run(self) -> None:
        # Made here and not before: connections belong to a loop, and a forked worker is another one.
        self._worker = secrets.token_hex(8)
        self._place = None
        self._open_cache()
        failed = 0
        try:
            while True:
                try:
                    await _heeding_cancel(self._round())
                    failed = 0
                    self._outage.worked()
                except Exception as error:  # noqa: BLE001 - whatever ails the cache, requests go on without it
                    failed += 1
                    self._failures += 1
                    self._error = type(error).__name__
                    self._connected = False
                    self._outage.failed(failed, self._error)
                pause = self._interval_s * 2.0 ** min(max(0, failed - 1), 10)
                pause = min(pause, LONGEST_PAUSE_S) * self._rng.uniform(0.75, 1.0)
                await (asyncio.sleep(pause) if failed else self._wait(pause))
        finally:
            await self._leave()

    async def _wait(self, pause_s: float) -> None:
        """Waits for the next round: ``pause_s`` seconds, or until there is news of ours or of others."""
        rest = min(REST_S, pause_s)
        await asyncio.sleep(rest)
        left = pause_s - rest
        while left > 0 and self._book.moves() == self._moves and not await self._hears_bell():
            await asyncio.sleep(min(GLANCE_S, left))
            left -= GLANCE_S

    async def _hears_bell(self) -> bool:
        try:
            return bool(await _heeding_cancel(self._cache.get(self._bell, timeout=OP_TIMEOUT_S)) != self._rung)
        except Exception:  # noqa: BLE001 - the next round will say what ails the cache
            return False

    async def _round(self) -> None:
        """Reads the others, publishes, merges, settles who probes."""
        if not self._connected:
            await self._cache.exists(self._keys[0], timeout=CONNECT_TIMEOUT_S)
            self._connected = True
        *values, self._rung = await self._cache.multi_get([*self._keys, self._bell], timeout=OP_TIMEOUT_S)
        now = self._wall()
        self._find_place(values)
        moves = self._book.moves()
        if self._place is not None:
            memories = {name: msgspec.Raw(_encode(memory.summary())) for name, memory in self._memories.items()}
            envelope = Envelope(self._worker, now, self._book.summary(), memories)
            await self._cache.set(self._keys[self._place], _encode(envelope), ttl=TTL_S, timeout=OP_TIMEOUT_S)
            if moves != self._moves:
                self._rung = f"{self._worker}:{moves}".encode()
                await self._cache.set(self._bell, self._rung, ttl=TTL_S, timeout=OP_TIMEOUT_S)
        self._moves = moves
        others = [value for place, value in enumerate(values) if value is not None and place != self._place]
        if len(others) > READ_AT_ONCE:
            others = self._rng.sample(others, READ_AT_ONCE)
        for value in others:
            self._merge(value, now)
            await asyncio.sleep(0)  # Lets requests in between.
        await self._turns.ask(self._cache, self._worker, OP_TIMEOUT_S)
        self._rounds += 1

    def _merge(self, value: Any, now: float) -> None:
        envelope = read_envelope(value)
        if envelope is None:
            self._dropped += 1
            return
        age_s = now - envelope.at
        if envelope.worker == self._worker:
            return
        if not -FUTURE_S <= age_s < TTL_S:
            self._dropped += 1
            return
        self._book.merge(envelope.worker, envelope.models, age_s=age_s)
        for name in self._memories.keys() & envelope.memories.keys():
            self._remember(name, envelope.memories[name], max(0.0, age_s))

    def _remember(self, name: str, told: msgspec.Raw, age_s: float) -> None:
        try:
            self._memories[name].merge(bytes(told), age_s=age_s)
        except msgspec.MsgspecError:
            self._dropped += 1

    def _find_place(self, values: list[Any]) -> None:
        """Keeps our place unless another worker is in it; else takes one that is free or holds nonsense."""
        if self._place is not None:
            held = values[self._place]
            tenant = None if held is None else read_envelope(held)
            if tenant is None or tenant.worker == self._worker:
                return
            self._place = None
        free = [place for place, value in enumerate(values) if value is None]
        free = free or [place for place, value in enumerate(values) if read_envelope(value) is None]
        if free:
            self._place = self._rng.choice(free)

    def _open_cache(self) -> None:
        self._connected = False
        if self._given is not None:
            self._cache = self._given
            return
        from aiocache import RedisCache  # noqa: PLC0415 - exists only where redis is installed
        from redis.asyncio import ConnectionPool  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

        # redis-py reads more kinds of URL than aiocache does. Retrying is the task's affair.
        pool = ConnectionPool.from_url(
            self._url, max_connections=2, socket_connect_timeout=CONNECT_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
        )
        self._pool = pool
        self._cache = RedisCache(
            serializer=NullSerializer(encoding=None), timeout=OP_TIMEOUT_S, connection_pool_class=lambda **_: pool
        )

    async def _leave(self) -> None:
        cache, pool, self._pool = self._cache, self._pool, None
        if self._connected and self._place is not None:
            with contextlib.suppress(Exception):
                await cache.delete(self._keys[self._place], timeout=OP_TIMEOUT_S)
        self._connected = False
        self._place = None
        if pool is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(pool.disconnect(), CONNECT_TIMEOUT_S)


async def _heeding_cancel(work: Coroutine[Any, Any, _T]) -> _T:
    """Awaits ``work``, and never misses a cancellation.

    Before Python 3.12 ``wait_for``, which aiocache uses, may swallow one that comes as its operation ends; then the
    task would run for ever, and the loop that waits for it with it. In a task of its own ``work`` may swallow what it
    likes: it is bounded by its time-outs.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=CONNECT_TIMEOUT_S)
        raise
    finally:
        if task.done() and not task.cancelled():
            task.exception()  # looked at, so that it is not reported as lost
    return await task
