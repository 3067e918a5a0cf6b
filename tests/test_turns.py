"""Of many workers that wait for a model one tries it first, and nobody waits for long."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from aiocache import SimpleMemoryCache
from aiocache.serializers import NullSerializer

from ofox_middleware.breaker import MOST_YIELDED_S
from ofox_middleware.health import HealthBook
from ofox_middleware.turns import MOST_ASKED, WAITS, Turns
from tests.health_tools import HandClock, fail, look, succeed, trip


class Fleet:
    """Workers that share a cache and a clock."""

    def __init__(self, workers: int) -> None:
        self.clock = HandClock()
        self.cache: Any = SimpleMemoryCache(serializer=NullSerializer(encoding=None))
        self.books = [HealthBook(clock=self.clock, rng=random.Random(1)) for _ in range(workers)]
        self.turns = [Turns(book, namespace="t", interval_s=1.0) for book in self.books]

    def trip(self) -> None:
        for book in self.books:
            trip(book)

    def wait(self) -> None:
        """Until every breaker would let a probe through."""
        self.clock.sleep(max(look(book).reopens_in_s for book in self.books))

    def ask(self, *workers: int) -> None:
        async def main() -> None:
            for worker in workers or range(len(self.books)):
                await self.turns[worker].ask(self.cache, f"w{worker}", 1.0)

        asyncio.run(main())

    def end_turn(self) -> None:
        asyncio.run(self.cache.clear())

    @property
    def free(self) -> list[bool]:
        return [look(book).probe_free for book in self.books]


def test_one_of_four_goes_first() -> None:
    """Whoever asks first may probe; the others wait, and stay half-open."""
    fleet = Fleet(4)
    fleet.trip()
    fleet.wait()
    assert fleet.free == [True] * 4
    fleet.ask(2, 0, 1, 3)
    assert fleet.free == [False, False, True, False]
    assert {look(book).state for book in fleet.books} == {"half_open"}
    fleet.ask()
    assert fleet.free == [False, False, True, False], "the turn is still its own"


def test_it_is_asked_for_ahead() -> None:
    """A turn is settled before the wait is over, but not long before."""
    fleet = Fleet(2)
    fleet.trip()
    fleet.ask(0)
    fleet.clock.sleep(min(look(book).reopens_in_s for book in fleet.books) - 1.0)
    fleet.ask(1, 0)
    fleet.wait()
    assert fleet.free == [False, True]


def test_a_request_without_the_turn_is_no_probe() -> None:
    """A last resort that goes to the model all the same does not take the probe from the worker that has the turn, and
    what it shows counts: a success closes the breaker."""
    fleet = Fleet(2)
    fleet.trip()
    fleet.wait()
    fleet.ask(0, 1)
    lease = fleet.books[1].begin("m")
    assert not lease.probe
    assert fleet.books[0].begin("m").probe
    lease.succeed()
    assert look(fleet.books[1]).state == "closed"


def test_the_turn_passes_on() -> None:
    """When a turn has ended by itself, the next worker to ask has it."""
    fleet = Fleet(2)
    fleet.trip()
    fleet.wait()
    fleet.ask(0, 1)
    fleet.end_turn()
    fleet.ask(1, 0)
    fleet.clock.sleep(0.5)
    assert fleet.free == [False, False]
    fleet.clock.sleep(WAITS)
    assert fleet.free[1]


def test_nobody_is_kept_away_for_long() -> None:
    """A key that somebody holds for ever puts a probe off by five seconds and no more."""
    fleet = Fleet(1)
    fleet.trip()
    fleet.wait()
    since = fleet.clock.now
    key = fleet.turns[0]._key("m")
    asyncio.run(fleet.cache.set(key, b"somebody"))
    while not fleet.free[0] or fleet.clock.now == since:
        fleet.ask()
        fleet.clock.sleep(0.25)
        assert fleet.clock.now - since <= MOST_YIELDED_S + 0.25
    fleet.ask()
    assert fleet.free == [True]


def test_a_cache_that_is_gone_leaves_everybody_free() -> None:
    """Who waited for another's turn when the cache went probes by itself a moment later."""
    fleet = Fleet(2)
    fleet.trip()
    fleet.wait()
    fleet.ask(0, 1)
    fleet.clock.sleep(WAITS)
    assert fleet.free == [True, True]


def test_errors_of_the_cache_are_for_the_caller() -> None:
    """Only a key that is taken is an answer; anything else ends the round."""

    class Broken:
        async def add(self, *_: Any, **__: Any) -> None:
            raise OSError("gone")

    fleet = Fleet(1)
    fleet.cache = Broken()
    fleet.trip()
    fleet.wait()
    with pytest.raises(OSError, match="gone"):
        fleet.ask()


def test_what_nobody_wants_is_not_asked_for() -> None:
    """No turn for a closed breaker, for a probe under way, for a model that no request was for lately, nor beyond a
    handful of models at once."""
    fleet = Fleet(1)
    book = fleet.books[0]
    succeed(book, 1)
    assert book.probes_due(9.0) == []
    fleet.trip()
    fleet.wait()
    assert book.probes_due(0.0) == ["m"]
    lease = book.begin("m")
    assert book.probes_due(0.0) == []
    lease.cancel()
    assert book.probes_due(0.0) == ["m"]
    fleet.clock.sleep(60.0)
    assert book.probes_due(0.0) == []
    for index in range(2 * MOST_ASKED):
        trip(book, f"n{index}")
    fleet.ask()
    fleet.clock.sleep(4.5)
    fleet.ask()
    assert len(fleet.cache._cache) <= MOST_ASKED


def test_news_is_counted() -> None:
    """Trips and recoveries that this worker saw are news for others, what it heard is not."""
    clock = HandClock()
    book, other = (HealthBook(clock=clock, rng=random.Random(1)) for _ in range(2))
    assert book.moves() == 0
    trip(book)
    assert book.moves() == 1
    other.merge("w", book.summary(), age_s=0.0)
    assert look(other).state == "open"
    assert other.moves() == 0
    clock.sleep(look(book).reopens_in_s)
    fail(book, 1)
    assert book.moves() == 2
    clock.sleep(look(book).reopens_in_s)
    succeed(book, 1)
    assert book.moves() == 3
    book.yield_probe("unknown", 1.0)
    book.yield_probe("m", 1.0)
    assert look(book).state == "closed"
