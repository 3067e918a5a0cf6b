"""The simulated world: a virtual clock, providers that slow down, refuse, hang or die, and workers that choose."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ofox_middleware.fleet import Summary
from ofox_middleware.health import HealthBook
from ofox_middleware.leases import Lease
from ofox_middleware.sharing import GLANCE_S, INTERVAL_S, PLACES, REST_S
from ofox_middleware.turns import AHEAD, MOST_ASKED, TURN_S, WAITS

TOKENS = 100
FIRST_BYTE_TIMEOUT_S = 10.0
ATTEMPTS = 3
SHARE_WITHIN = 0.05


class Timeline:
    """Virtual time: runs callbacks in order of their time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        return self.now

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), call))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, call = heapq.heappop(self._queue)
            call()
        self.now = until


@dataclass(frozen=True)
class Fault:
    """From ``start`` to ``end``: ``error`` (503 at once), ``hang`` (no answer), ``slow`` (``factor`` times slower)."""

    start: float
    end: float
    kind: str
    factor: float = 10.0


@dataclass
class Provider:
    """One model. Beyond ``capacity`` requests at once it slows down; beyond ``refuse_at`` times that it answers 429."""

    name: str
    ttft_s: float
    s_per_token: float
    capacity: float = math.inf
    refuse_at: float = 1.5
    retry_after_s: float | None = None
    faults: tuple[Fault, ...] = ()
    in_flight: int = 0
    picked: Counter[int] = field(default_factory=Counter)
    most: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    def fault(self, now: float) -> Fault | None:
        return next((fault for fault in self.faults if fault.start <= now < fault.end), None)

    def slowness(self, now: float) -> float:
        load = self.in_flight / self.capacity
        fault = self.fault(now)
        return (1.0 + max(0.0, load) ** 2) * (fault.factor if fault is not None and fault.kind == "slow" else 1.0)


class Policy(Protocol):
    """How a worker chooses and what it learns. ``s``: seconds to the first token, or to the failure."""

    def rank(self, pool: list[Provider]) -> list[Provider]: ...

    def begin(self, provider: Provider) -> Lease | None: ...

    def ended(
        self, provider: Provider, lease: Lease | None, *, ok: bool, status: int | None, ttft_s: float
    ) -> None: ...


class Healthy:
    """Ours: expected time from the health book; random among those within 5%; open breakers last.

    ``speed`` alone, the axis on which herding happens; quality and price would only damp it.
    """

    def __init__(self, line: Timeline, rng: random.Random) -> None:
        self.book = HealthBook(clock=line.clock, rng=rng)
        self._rng = rng

    def rank(self, pool: list[Provider]) -> list[Provider]:
        timed = []
        for provider in pool:
            view = self.book.view(provider.name, provider.ttft_s, provider.s_per_token)
            probe = view.state == "half_open" and view.probe_free
            down = view.state != "closed" and not probe
            answer_s = view.ttft_s + TOKENS * view.s_per_token
            expected_s = answer_s * view.load_factor / (1.0 if probe else view.availability)
            timed.append((down, view.reopens_in_s if down else 0.0, expected_s, provider))
        timed.sort(key=lambda row: row[:3])
        best = timed[0]
        if not best[0]:
            near = [row for row in timed if not row[0] and row[2] <= best[2] * (1 + SHARE_WITHIN)]
            pick = near[int(self._rng.random() * len(near))]
            timed.remove(pick)
            timed.insert(0, pick)
        return [row[3] for row in timed]

    def begin(self, provider: Provider) -> Lease:
        return self.book.begin(provider.name, prior=(provider.ttft_s, provider.s_per_token))

    def ended(self, provider: Provider, lease: Lease | None, *, ok: bool, status: int | None, s: float) -> None:
        assert lease is not None
        if ok:
            lease.succeed(output_tokens=TOKENS)
        else:
            lease.fail(status=status, retry_after_s=provider.retry_after_s if status == 429 else None)


class LastTen:
    """A common rule: the lowest mean of the last ten times to first token; time-outs count 1,000 s; a model that fails
    more than three times in a minute rests for 5 s."""

    def __init__(self, line: Timeline, rng: random.Random) -> None:
        self._line = line
        self._rng = rng
        self._times: dict[str, deque[float]] = {}
        self._fails: dict[str, deque[float]] = {}
        self._rests: dict[str, float] = {}

    def rank(self, pool: list[Provider]) -> list[Provider]:
        def key(provider: Provider) -> tuple[bool, float, float]:
            times = self._times.get(provider.name)
            mean = sum(times) / len(times) if times else 0.0
            return self._rests.get(provider.name, 0.0) > self._line.now, mean, self._rng.random()

        return sorted(pool, key=key)

    def begin(self, provider: Provider) -> None:
        return None

    def ended(self, provider: Provider, lease: Lease | None, *, ok: bool, status: int | None, s: float) -> None:
        times = self._times.setdefault(provider.name, deque(maxlen=10))
        if ok:
            times.append(s)
            return
        if status is None:
            times.append(1000.0)
        fails = self._fails.setdefault(provider.name, deque(maxlen=4))
        fails.append(self._line.now)
        if len(fails) == 4 and self._line.now - fails[0] < 60:
            self._rests[provider.name] = self._line.now + 5.0


class Random:
    """The control: any model, and any other when it fails."""

    def __init__(self, line: Timeline, rng: random.Random) -> None:
        self._rng = rng

    def rank(self, pool: list[Provider]) -> list[Provider]:
        return self._rng.sample(pool, len(pool))

    def begin(self, provider: Provider) -> None:
        return None

    def ended(self, provider: Provider, lease: Lease | None, *, ok: bool, status: int | None, s: float) -> None:
        return None


POLICIES: dict[str, Callable[[Timeline, random.Random], Policy]] = {
    "ofox": Healthy,
    "last-ten": LastTen,
    "random": Random,
}


@dataclass
class Tally:
    """What came out, over all workers."""

    requests: int = 0
    answered: int = 0
    lost: int = 0
    attempts: int = 0
    ttft_s: list[float] = field(default_factory=list)
    first_picks: Counter[int] = field(default_factory=Counter)


class Worker:
    """Sends a Poisson stream of requests to its pool, with fallbacks."""

    def __init__(
        self, line: Timeline, policy: Policy, *, pool: list[Provider], rate: float, tally: Tally, rng: random.Random
    ) -> None:
        self.policy = policy
        self._line = line
        self._pool = pool
        self._rate = rate
        self._tally = tally
        self._rng = rng
        self._wait()

    def _wait(self) -> None:
        self._line.at(self._line.now + self._rng.expovariate(self._rate), self._arrive)

    def _arrive(self) -> None:
        self._wait()
        self._tally.requests += 1
        ranking = self.policy.rank(self._pool)[:ATTEMPTS]
        second = int(self._line.now)
        ranking[0].picked[second] += 1
        self._tally.first_picks[second] += 1
        self._try(ranking, 0, self._line.now)

    def _try(self, ranking: list[Provider], index: int, arrived: float) -> None:
        if index >= len(ranking):
            self._tally.lost += 1
            return
        line, provider = self._line, ranking[index]
        started = line.now
        lease = self.policy.begin(provider)
        provider.in_flight += 1
        second = int(started)
        provider.most[second] = max(provider.most[second], provider.in_flight)
        self._tally.attempts += 1

        def failed(status: int | None) -> None:
            provider.in_flight -= 1
            self.policy.ended(provider, lease, ok=False, status=status, s=line.now - started)
            self._try(ranking, index + 1, arrived)

        fault = provider.fault(started)
        if fault is not None and fault.kind == "error":
            line.at(started + 0.05, lambda: failed(503))
            return
        if fault is not None and fault.kind == "hang":
            line.at(started + FIRST_BYTE_TIMEOUT_S, lambda: failed(None))
            return
        if provider.in_flight > provider.refuse_at * provider.capacity:
            provider.refused += 1
            line.at(started + 0.05, lambda: failed(429))
            return
        slowness = provider.slowness(started)
        ttft_s = provider.ttft_s * slowness * self._rng.lognormvariate(0.0, 0.3)
        if ttft_s > FIRST_BYTE_TIMEOUT_S:
            line.at(started + FIRST_BYTE_TIMEOUT_S, lambda: failed(None))
            return

        def first() -> None:
            self._tally.ttft_s.append(line.now - arrived)
            if lease is not None:
                lease.first_token()

        def last() -> None:
            provider.in_flight -= 1
            self._tally.answered += 1
            self.policy.ended(provider, lease, ok=True, status=200, s=ttft_s)

        line.at(started + ttft_s, first)
        line.at(started + ttft_s + TOKENS * provider.s_per_token * slowness, last)


def share_health(line: Timeline, workers: list[Worker], rng: random.Random) -> None:
    """What ``sharing.py`` does, without the cache: 64 publish, each round reads at most 16, about once a second, and
    soon after a breaker has opened or closed; whoever asks first has the turn to probe."""
    books = [worker.policy.book for worker in workers if isinstance(worker.policy, Healthy)]
    published: dict[int, tuple[float, Summary]] = {}
    turns: dict[str, tuple[int, float]] = {}
    moves = [0] * len(books)
    due = [0.0] * len(books)
    bell = 0

    def round_of(index: int) -> None:
        nonlocal bell
        book = books[index]
        others = [key for key in published if key != index]
        for key in others if len(others) <= 16 else rng.sample(others, 16):
            at, summary = published[key]
            book.merge(str(key), summary, age_s=line.now - at)
        if index < PLACES:
            published[index] = (line.now, book.summary())
        bell += book.moves() != moves[index]
        moves[index] = book.moves()
        for model in book.probes_due(AHEAD * INTERVAL_S)[:MOST_ASKED]:
            holder, until = turns.get(model, (index, 0.0))
            if until <= line.now:
                turns[model] = (index, line.now + TURN_S)
            elif holder != index:
                book.yield_probe(model, WAITS * INTERVAL_S)
        due[index] = line.now + INTERVAL_S * rng.uniform(0.75, 1.0)
        heard = bell
        line.at(line.now + REST_S, lambda: glance(index, heard))

    def glance(index: int, heard: int) -> None:
        if line.now >= due[index] or bell != heard or books[index].moves() != moves[index]:
            round_of(index)
        else:
            line.at(min(due[index], line.now + GLANCE_S), lambda: glance(index, heard))

    for index in range(len(books)):
        line.at(rng.random(), lambda index=index: round_of(index))  # type: ignore[misc]
