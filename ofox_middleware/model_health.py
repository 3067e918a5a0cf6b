"""The health of one model, or of one deployment of it. Pure; clock injected.

Threads: events and the sweep hold the record's re-entrant lock, for LiteLLM's synchronous callbacks come from threads
and builds of Python without a global lock exist; it costs 0.15 microseconds an event. It is re-entrant because a
finalizer that closes a lease may run inside an event. :meth:`ModelHealth.view` takes no lock: it only reads, and a
value that is one event old does no harm.
"""

from __future__ import annotations

import math
import random
import threading
from typing import Final, Protocol

from ofox_middleware.breaker import PROBE_PATIENCE_S, Breaker
from ofox_middleware.fleet import FleetView, fade
from ofox_middleware.latency import Latencies, Prior
from ofox_middleware.types import Clock, HealthView
from ofox_middleware.windows import Bucket, Window

START_LIMIT: Final = 20.0
LEAST_LIMIT: Final = 1.0
MOST_LIMIT: Final = 200.0
BACK_OFF: Final = 0.7
SLOW_START: Final = 4.0
"""Additive increase, multiplicative decrease (after Netflix' concurrency-limits ``AIMDLimit``): from 20, x0.7 on a 429,
+1 per success while twice the requests in flight reach the limit. A model that comes back starts at 4."""

CALM: Final = 8.0
"""Availability = (ok + 8) / (done + late + 8): eight good requests are assumed, so one failure in a quiet minute costs
11%, three cost 27%. With no failure for a while that penalty fades (:func:`~ofox_middleware.fleet.fade`)."""

RECENT: Final = 16
"""The last 16 verdicts count for themselves too: under much traffic, one that begins to fail every other request has
a good minute behind it. The first failure among them is taken for an accident; each further one costs a sixteenth."""

LEASE_TTL_S: Final = 600.0
LATE_FOR_S: Final = 60.0
TICK_S: Final = 2.0
"""Every two seconds late requests are counted (:meth:`~ofox_middleware.latency.Latencies.patience_s`). Each counts
against availability for a minute; after that it is taken to be lost, not slow. Late requests with no sign of life from
any newer one count like failures in a row: so the breaker of a provider that hangs trips before the first time-out,
and a sign of life from any of them but the first closes it again."""

RECENT_S: Final = 300.0
MOST_DEPLOYMENTS: Final = 64


_LAST: Final = (1 << RECENT) - 1


class Held(Protocol):
    """What a record knows of a lease on it; see :class:`~ofox_middleware.leases.Lease`."""

    started: float
    ttft_s: float | None
    late: bool
    probe: bool

    def lose(self) -> None: ...


class ModelHealth:
    """Everything known of one model, or of one deployment of it.

    A model served by several deployments is open only when all that were used in the last five minutes are: LiteLLM
    moves between them, so while one serves, the model does. With one deployment, or none named, the model's own
    failures decide.

    Attributes:
        open: leases under way, oldest first.
        parts: records of its deployments, by the name that LiteLLM gives them.
        fleet: what other workers report, ``None`` when nothing is shared.
        recent: a bit for each of the last 16 verdicts, the latest lowest; 1 is a failure.
        late, silent: requests that are late, and those of them with no sign of life since from any newer one.
        active_at, viewed_at, failed_at: when something last happened, someone last looked, something last failed.
        dispatched_at: when a request was last sent.
    """

    __slots__ = (
        "_is_part",
        "_last_sign",
        "_rng",
        "_shrunk_at",
        "_tick_at",
        "active_at",
        "breaker",
        "clock",
        "dispatched_at",
        "failed_at",
        "fleet",
        "late",
        "limit",
        "lock",
        "open",
        "parts",
        "recent",
        "silent",
        "speed",
        "viewed_at",
        "window",
    )

    def __init__(self, clock: Clock, rng: random.Random, model: ModelHealth | None = None) -> None:
        now = clock()
        self.clock = clock
        # A deployment's record changes only together with its model's.
        self.lock: threading.RLock = threading.RLock() if model is None else model.lock
        self._is_part = model is not None
        self.open: dict[Held, None] = {}
        self.parts: dict[str, ModelHealth] = {}
        self.window = Window(now)
        self.breaker = Breaker(rng)
        self.limit = START_LIMIT
        self.speed = Latencies(now)
        self.fleet: FleetView | None = None
        self.recent = 0
        self.late = 0
        self.silent = 0
        self.active_at = self.dispatched_at = self.viewed_at = self.failed_at = -math.inf
        self._rng = rng
        self._last_sign = -math.inf
        self._shrunk_at = -math.inf
        self._tick_at = -math.inf

    def part(self, deployment: str) -> ModelHealth:
        """The record of a deployment; of more than 64 the one unused for longest is forgotten."""
        part = self.parts.get(deployment)
        if part is None:
            if len(self.parts) >= MOST_DEPLOYMENTS:
                del self.parts[min(self.parts, key=lambda name: self.parts[name].active_at)]
            part = self.parts[deployment] = ModelHealth(self.clock, self._rng, self)
        return part

    def enter(self, now: float, prior: Prior | None = None, lease: Held | None = None) -> Bucket:
        """Counts a dispatch; ``lease`` is in flight from now on, and is the probe when one is wanted."""
        if now >= self._tick_at:
            self.tick(now)
        self.active_at = self.dispatched_at = now
        if prior is not None:
            self.speed.prior = prior
        if lease is not None:
            self.open[lease] = None
            if self.breaker.until is not None and self.breaker.take_probe(lease, now):
                lease.probe = True
        return self.window.count_sent()

    def leave(self, lease: Held) -> None:
        """``lease`` is no longer in flight."""
        self.open.pop(lease, None)
        self.breaker.free_probe(lease)

    def seen(self, ttft_s: float, now: float, started: float) -> None:
        """A first token came, ``ttft_s`` after dispatch. After a trip that is sign enough that the model is back."""
        if self.breaker.until is not None and started > self.breaker.tripped_at:
            self._recover(now, started)
        self._alive(started)
        self.speed.first_token(ttft_s, now)

    def in_time(self, lease: Held) -> None:
        """``lease`` is no longer late: it showed a sign of life, or ended."""
        if lease.late:
            lease.late = False
            self.late -= 1
            self.silent = min(self.silent, self.late)

    def _alive(self, started: float) -> None:
        if started > self._last_sign:
            self._last_sign = started
            self.silent = 0

    def succeeded(self, now: float, started: float, *, known_start: bool = True) -> None:
        """A verdict: well. What was dispatched after a trip and did well closes the breaker."""
        breaker = self.breaker
        if breaker.until is not None and (started > breaker.tripped_at if known_start else now >= breaker.until):
            self._recover(now, started)
        self.active_at = now
        self._alive(started)
        self.window.count_ok()
        self.recent = self.recent << 1 & _LAST
        breaker.count_success(started)
        if self.limit < MOST_LIMIT and 2 * len(self.open) >= self.limit:
            self.limit = min(MOST_LIMIT, self.limit + 1.0)

    def failed(
        self,
        now: float,
        started: float,
        status: int | None,
        hint_s: float,
        *,
        lease: Held | None = None,
        part: ModelHealth | None = None,
    ) -> None:
        """A verdict: a hard failure. ``part``: the deployment at fault, already told."""
        breaker = self.breaker
        self.active_at = now
        if breaker.until is None and started < breaker.recovered_from:
            return  # A straggler of the outage before this recovery.
        self.window.count_failed()
        self.recent = (self.recent << 1 | 1) & _LAST
        self.failed_at = now
        # What was in flight at a 429 shares its cause: the limit shrinks once for all of it.
        if status == 429 and started >= self._shrunk_at:
            self.limit = max(LEAST_LIMIT, self.limit * BACK_OFF)
            self._shrunk_at = now
        asked = status == 429 and hint_s > 0
        if breaker.until is None or breaker.hearsay:
            breaker.count_failure(started)
            # One failure here confirms what others report.
            if breaker.hearsay or self._due(now, part, asked=asked):
                self._trip(now, hint_s, part)
        elif now >= breaker.until and (lease is None or lease.probe):
            self._trip(now, hint_s, part, since=started)
        elif asked:
            breaker.extend(now, hint_s)

    def _due(self, now: float, part: ModelHealth | None, *, asked: bool) -> bool:
        recent = [] if part is None else self._recent(now)
        if len(recent) > 1:
            return all(other.breaker.until is not None for other in recent)
        return asked or self.breaker.due(self.window.ok, self.window.failed)

    def _recent(self, now: float) -> list[ModelHealth]:
        return [part for part in self.parts.values() if now - part.active_at < RECENT_S]

    def _trip(self, now: float, hint_s: float, part: ModelHealth | None, *, since: float | None = None) -> None:
        self.breaker.trip(now, hint_s, since=since)
        if part is not None and self.breaker.until is not None:
            soonest = min(other.breaker.until or now for other in self._recent(now))
            self.breaker.until = self.breaker.own_until = max(now, min(self.breaker.until, soonest))
        # What it took before the outage is no guide to what a probe will take.
        self.speed.ttft.forget()

    def _recover(self, now: float, started: float) -> None:
        self.breaker.close(now, started)
        self.window.clear()
        self.speed.ttft.forget()
        self.limit = min(self.limit, SLOW_START)
        self.recent = self.late = self.silent = 0
        for lease in self.open:
            lease.late = False

    def tick_if_due(self, now: float) -> None:
        """As :meth:`tick`, when its two seconds are over."""
        if now >= self._tick_at:
            self.tick(now)

    def tick(self, now: float) -> None:
        """Every two seconds, before anything is read: moves the window on, counts late leases, lets go of lost ones."""
        with self.lock:
            self._tick_at = min(self.window.advance(now), now + TICK_S)
            if self._is_part:
                return  # Its model looks after the leases of both.
            patience = self.speed.patience_s(now)
            late = silent = 0
            since = now
            for lease in list(self.open):
                age = now - lease.started
                if age < patience:
                    break
                if age >= LEASE_TTL_S:
                    lease.lose()
                    continue
                lease.late = (
                    lease.ttft_s is None and age < patience + LATE_FOR_S and lease.started > self.breaker.recovered_from
                )
                late += lease.late
                if lease.late and lease.started > self._last_sign:
                    silent += 1
                    since = min(since, lease.started)
            self.late, self.silent = late, silent
            if silent and self.breaker.until is None and self.breaker.due(0, 0, silent):
                self._trip(now, 0.0, None, since=since)

    def slowness_tried(self, now: float, ttft_prior_s: float, s_per_token_prior: float) -> tuple[bool, bool]:
        """Whether a request is trying if the model is still slow to begin, and slow to go on.

        One at a time, or they would all go back at once; one that shows nothing for long is no try.
        """
        if not self.open or now - self.dispatched_at >= PROBE_PATIENCE_S:
            return False, False
        at, speed = self.dispatched_at, self.speed
        return at >= speed.ttft.stale_from(ttft_prior_s), at >= speed.s_per_token.stale_from(s_per_token_prior)

    def view(self, now: float, ttft_prior_s: float, s_per_token_prior: float) -> HealthView:
        """How the model is doing now."""
        if now >= self._tick_at:
            self.tick(now)
        self.viewed_at = now
        breaker = self.breaker
        until = breaker.until
        window = self.window
        ok = window.ok + CALM
        done = ok + self.late
        row: float = self.silent
        left = 0.0
        if window.failed or breaker.row:
            left = fade(now - self.failed_at)
            done += window.failed * left
            row += breaker.row * left
        speed = self.speed
        tried = tried_rate = False
        if self.open:
            tried, tried_rate = self.slowness_tried(now, ttft_prior_s, s_per_token_prior)
        ttft_s = speed.ttft.read(now, ttft_prior_s, tried=tried)
        s_per_token = speed.s_per_token.read(now, s_per_token_prior, tried=tried_rate)
        fleet_load = 0.0
        if (fleet := self.fleet) is not None and now < fleet.until:
            fleet_ok, fleet_done = fleet.verdicts()
            ok += fleet_ok
            done += fleet_done
            fleet_load = fleet.mean_load
            mass = speed.ttft.mass_at(now, ttft_prior_s, tried=tried)
            ttft_s = fleet.blend_ttft(ttft_s, mass, speed.ttft.clamp(ttft_prior_s))
            mass = speed.s_per_token.mass_at(now, s_per_token_prior, tried=tried_rate)
            s_per_token = fleet.blend_s_per_token(s_per_token, mass, speed.s_per_token.clamp(s_per_token_prior))
        availability = ok / done
        if row > 1.0:
            # Under much traffic a row of failures is a small share of the minute, but no accident.
            availability = min(availability, CALM / (CALM + row - 1.0))
        if self.recent and window.failed > 1:
            failures = min(self.recent.bit_count(), window.failed) - 1
            availability = min(availability, 1.0 - failures * left / RECENT)
        if until is None:
            return HealthView(
                "closed", ttft_s, s_per_token, len(self.open), self.limit, availability, 0.0, False, fleet_load
            )
        return HealthView(
            "open" if now < until else "half_open",
            ttft_s,
            s_per_token,
            len(self.open),
            self.limit,
            availability,
            max(0.0, until - now),
            now >= until and breaker.probe_free(now),
            fleet_load,
        )
