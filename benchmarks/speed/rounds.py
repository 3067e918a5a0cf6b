"""Contenders that take turns, so that a busy machine slows all of them, and what each took."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_numbers = itertools.count(1)


@dataclass
class Case:
    """One row of a table.

    Attributes:
        name: unique within its table.
        run: what is timed, called with what ``make`` gave; a coroutine function is awaited.
        make: gives the input for a number, outside of the timing. No number comes twice in a process, whichever the
            row, so that nothing is remembered from one call to the next.
        peer: name of the row that ratios are to, ``""`` for a row that stands by itself.
        per: what a time is divided by, such as the chunks of one stream.
        calls: how often it runs in one round.
        every: it takes part in every n-th round only; for what is slow.
    """

    name: str
    run: Callable[[Any], Any]
    make: Callable[[int], Any] = lambda n: n
    peer: str = ""
    per: int = 1
    calls: int = 20
    every: int = 1
    times: list[float] = field(default_factory=list)
    rounds: dict[int, float] = field(default_factory=dict)

    async def round(self, number: int) -> None:
        """Runs ``calls`` times; microseconds are kept."""
        took = []
        awaits = inspect.iscoroutinefunction(self.run)
        for _ in range(self.calls):
            given = self.make(next(_numbers))
            began = time.perf_counter()
            if awaits:
                await self.run(given)
            else:
                self.run(given)
            took.append((time.perf_counter() - began) * 1e6 / self.per)
        self.times += took
        self.rounds[number] = statistics.median(took)

    def clear(self) -> None:
        self.times.clear()
        self.rounds.clear()

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return percentile(self.times, 0.99)

    def ratio(self, other: Case) -> float:
        """The median over the rounds of this row's time to the other's in the same round."""
        shared = self.rounds.keys() & other.rounds.keys()
        return statistics.median(self.rounds[at] / other.rounds[at] for at in shared)

    def added(self, other: Case) -> float:
        """The same of the differences, in microseconds."""
        shared = self.rounds.keys() & other.rounds.keys()
        return statistics.median(self.rounds[at] - other.rounds[at] for at in shared)


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def _measure(cases: Sequence[Case], rounds: int) -> None:
    gc.collect()
    gc.freeze()
    for number in range(-1, rounds):
        shift = number % len(cases)
        for case in [*cases[shift:], *cases[:shift]]:
            if number % case.every == 0 or number < 0:
                await case.round(number)
        if number < 0:
            for case in cases:
                case.clear()
    gc.unfreeze()


def measure(cases: Sequence[Case], rounds: int) -> list[dict[str, Any]]:
    """Times ``cases`` over ``rounds`` rounds, after one that does not count; a row for each."""
    asyncio.run(_measure(cases, rounds))
    named = {case.name: case for case in cases}
    return [
        {
            "name": case.name,
            "median_us": case.median,
            "p99_us": case.p99,
            "peer": case.peer,
            "ratio": case.ratio(named[case.peer]) if case.peer else None,
            "added_us": case.added(named[case.peer]) if case.peer else None,
            "calls": len(case.times),
        }
        for case in cases
    ]
