"""HealthBook: how each model is doing, told by the requests that ran on it. No I/O, O(1) per event, clock injected.

Events come in through leases (:meth:`HealthBook.begin`) or, where a request cannot be followed, through
:meth:`~HealthBook.record_success` and :meth:`~HealthBook.record_failure`. The router asks :meth:`~HealthBook.view`.
The book knows nothing of configuration, so what it has learned outlives a reload.

Each constant names the source of its rule: see ``breaker``, ``model_health``, ``latency``, ``windows`` and ``fleet``.
"""

from __future__ import annotations

import itertools
import math
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from ofox_middleware.cards import ModelFacts
from ofox_middleware.fleet import REPORT_TTL_S, FleetView, Report, Summary, weigh
from ofox_middleware.latency import Prior, sane
from ofox_middleware.leases import Lease, dispatch
from ofox_middleware.model_health import ModelHealth
from ofox_middleware.types import Clock, HealthView

MOST_MODELS: Final = 4_096
"""Models remembered. Where callers may name models themselves, names that they invent must not fill the memory."""

MOST_WORKERS: Final = 64
MOST_REPORTED: Final = 256
LONGEST_NAME: Final = 256
"""Other workers listened to, models in one report, and characters of a model's name."""

REPORTED_FOR_S: Final = 60.0

WANTED_S: Final = 10.0
"""Whoever was not asked for a model for this long has no request to probe it with."""


class HealthBook:
    """The state of every model that requests were dispatched to.

    Args:
        clock: monotonic seconds.
        rng: spreads the waits of breakers; seed it to repeat a run.
    """

    def __init__(self, *, clock: Clock = time.monotonic, rng: random.Random | None = None) -> None:
        self._clock = clock
        self._rng = random.Random() if rng is None else rng
        self._lock = threading.RLock()
        self._models: dict[str, ModelHealth] = {}
        self._unseen: dict[Prior, HealthView] = {}
        self._workers: dict[str, tuple[float, set[str]]] = {}

    def begin(self, model: str, deployment: str | None = None, *, prior: Prior | None = None) -> Lease:
        """A request is dispatched: counts it, and hands out the lease that its end must close.

        Args:
            model: as the pool names it.
            deployment: which deployment of it, where that is known.
            prior: (seconds to the first token, seconds per output token) that the catalogue expects.
        """
        record = self._models.get(model)
        if record is None:
            record = self._record(model)
        return dispatch(record, model, deployment, prior)

    def record_success(
        self,
        model: str,
        *,
        ttft_s: float | None = None,
        total_s: float | None = None,
        output_tokens: int | None = None,
    ) -> None:
        """A request without a lease went well. Times in seconds from its dispatch."""
        record = self._record(model)
        with record.lock:
            now = self._clock()
            record.enter(now)
            ttft_s, total_s = sane(ttft_s), sane(total_s)
            started = now if total_s is None else now - total_s
            record.succeeded(now, started, known_start=total_s is not None)
            if ttft_s is not None:
                record.seen(ttft_s, now, started)
            if total_s is not None:
                record.speed.answer(now, ttft_s, total_s, output_tokens)

    def record_failure(self, model: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        """A request without a lease failed hard; arguments as for :meth:`Lease.fail`."""
        record = self._record(model)
        with record.lock:
            now = self._clock()
            record.enter(now)
            record.failed(now, now, status, retry_after_s or 0.0)

    def view(self, model: str, ttft_prior_s: float, s_per_token_prior: float) -> HealthView:
        """How ``model`` is doing now.

        What was measured falls back towards the two priors with time. A model that nothing is known of has just them,
        and asking about it leaves nothing behind.
        """
        record = self._models.get(model)
        if record is None:
            return self._unknown((ttft_prior_s, s_per_token_prior))
        return record.view(self._clock(), ttft_prior_s, s_per_token_prior)

    def views(self, pool: Sequence[ModelFacts]) -> list[HealthView]:
        """:meth:`view` of each model of ``pool``."""
        now, known = self._clock(), self._models.get
        return [
            self._unknown((facts.ttft_s, facts.s_per_token))
            if (record := known(facts.name)) is None
            else record.view(now, facts.ttft_s, facts.s_per_token)
            for facts in pool
        ]

    def tripped(self, model: str) -> bool:
        """Whether the model's breaker is open or half-open."""
        record = self._models.get(model)
        if record is None:
            return False
        record.tick_if_due(self._clock())
        return record.breaker.until is not None

    def ttft_p95(self, model: str) -> float | None:
        """Seconds to the first token that 95% of the model's recent streams stayed under; ``None`` when too few are
        known. For hedging and for time-outs that fit the model."""
        record = self._models.get(model)
        return None if record is None else record.speed.ttfts.quantile(0.95, self._clock())

    def in_flight(self) -> int:
        """Requests dispatched and not ended, over all models."""
        now = self._clock()
        total = 0
        for record in self._models.copy().values():
            record.tick(now)
            total += len(record.open)
        return total

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """Everything known, by model, in plain JSON types; for people and dashboards."""
        now = self._clock()
        return {name: _shown(record, now) for name, record in self._models.copy().items()}

    def expected(self, ttft_prior_s: float, s_per_token_prior: float) -> dict[str, Any]:
        """A row like those of :meth:`snapshot` for a model that nothing is known of but the two priors."""
        blank = ModelHealth(self._clock, self._rng)
        blank.speed.prior = (ttft_prior_s, s_per_token_prior)
        return _shown(blank, self._clock())

    def summary(self) -> Summary:
        """What this worker has seen itself lately, for other workers to :meth:`merge`; at most 256 models."""
        now = self._clock()
        recent = [(name, record) for name, record in self._models.copy().items() if _newsworthy(name, record, now)]
        recent.sort(key=lambda item: -item[1].active_at)
        return {name: _report(record, now) for name, record in recent[:MOST_REPORTED]}

    def merge(self, worker: str, summary: Summary, *, age_s: float) -> None:
        """Takes in what another worker saw ``age_s`` seconds ago, in place of what it reported before.

        Its types must have been checked; values are clamped here. One worker's word has a bounded weight
        (:mod:`ofox_middleware.fleet`), and what this worker sees itself has the last one
        (:meth:`~ofox_middleware.breaker.Breaker.hear`). Requests in flight are always this worker's own.
        """
        age_s = max(0.0, age_s)
        with self._lock:
            now = self._clock()
            self._drop_stale(now)
            if age_s >= REPORT_TTL_S or (worker not in self._workers and len(self._workers) >= MOST_WORKERS):
                return
            until = now + REPORT_TTL_S - age_s
            named = {name for name in list(summary)[:MOST_REPORTED] if len(name) <= LONGEST_NAME}
            for name in named:
                record = self._record(name)
                with record.lock:
                    if record.fleet is None:
                        record.fleet = FleetView()
                    record.fleet.put(worker, weigh(summary[name], now, age_s), until)
                    record.breaker.hear(now, record.fleet.opened(), record.fleet.last_ok, record.fleet.probing_until())
            _, before = self._workers.get(worker, (0.0, set[str]()))
            self._unhear(worker, before - named)
            self._workers[worker] = (until, named)

    def probes_due(self, within_s: float) -> list[str]:
        """Models that this worker is asked for and may probe within ``within_s`` seconds; at most 256."""
        now = self._clock()
        due = (
            name
            for name, record in self._models.copy().items()
            if now - record.viewed_at < WANTED_S and record.breaker.turn_due(now, within_s)
        )
        return list(itertools.islice(due, MOST_REPORTED))

    def yield_probe(self, model: str, for_s: float) -> None:
        """Another worker has the first try at ``model``; ours waits for it (:meth:`Breaker.yield_turn`)."""
        record = self._models.get(model)
        if record is not None:
            with record.lock:
                record.breaker.yield_turn(self._clock(), for_s)

    def moves(self) -> int:
        """Changes whenever a breaker opens or closes for what this worker saw itself: news that others should hear."""
        return sum(record.breaker.moves for record in self._models.copy().values())

    def workers(self) -> int:
        """Other workers whose reports count now."""
        with self._lock:
            self._drop_stale(self._clock())
            return len(self._workers)

    def _unhear(self, worker: str, names: set[str]) -> None:
        for name in names:
            record = self._models.get(name)
            if record is None or record.fleet is None:
                continue  # Forgotten since.
            with record.lock:
                record.fleet.drop(worker)
                if not record.fleet.workers:
                    record.fleet = None

    def _drop_stale(self, now: float) -> None:
        for worker in [worker for worker, (until, _) in self._workers.items() if until <= now]:
            _, names = self._workers.pop(worker)
            self._unhear(worker, names)

    def _unknown(self, prior: Prior) -> HealthView:
        view = self._unseen.get(prior)
        if view is None:
            if len(self._unseen) >= MOST_MODELS:
                self._unseen.clear()
            blank = ModelHealth(self._clock, self._rng)
            view = self._unseen[prior] = blank.view(self._clock(), *prior)
        return view

    def _record(self, model: str) -> ModelHealth:
        record = self._models.get(model)
        if record is None:
            with self._lock:
                if len(self._models) >= MOST_MODELS:
                    self._forget_idle()
                record = self._models.setdefault(model, ModelHealth(self._clock, self._rng))
        return record

    def _forget_idle(self) -> None:
        """Drops an eighth: idle ones first, those longest unused and unlooked-at first. An eighth at a time, so that
        the sort costs little per name."""
        by_use = sorted(
            self._models.items(),
            key=lambda item: (bool(item[1].open), max(item[1].active_at, item[1].viewed_at)),
        )
        for name, _ in by_use[: MOST_MODELS // 8]:
            del self._models[name]


def _newsworthy(name: str, record: ModelHealth, now: float) -> bool:
    return len(name) <= LONGEST_NAME and (
        bool(record.open)
        or now - record.active_at < REPORTED_FOR_S
        or (record.breaker.until is not None and not record.breaker.hearsay)
    )


def _report(record: ModelHealth, now: float) -> Report:
    with record.lock:
        record.tick(now)
        breaker, speed = record.breaker, record.speed
        (ttft_s, s_per_token), tried = speed.expected, record.slowness_tried(now, *speed.expected)
        own_trip = breaker.until is not None and not breaker.hearsay
        return Report(
            ok=record.window.ok,
            failed=record.window.failed + record.late,
            failed_ago_s=-1.0 if record.failed_at == -math.inf else round(now - record.failed_at, 3),
            open_s=round(max(0.0, breaker.own_until - now), 3) if own_trip else -1.0,
            tripped_ago_s=round(now - breaker.tripped_at, 3) if own_trip else 0.0,
            probing_s=round(breaker.probing_s(now), 3) if own_trip else 0.0,
            ok_ago_s=-1.0 if breaker.last_ok == -math.inf else round(now - breaker.last_ok, 3),
            # What is stale loses its weight for others, not its value.
            ttft_s=round(speed.ttft.read(now, ttft_s, tried=True), 4),
            ttft_mass=round(speed.ttft.mass_at(now, ttft_s, tried=tried[0]), 2),
            s_per_token=round(speed.s_per_token.read(now, s_per_token, tried=True), 6),
            s_per_token_mass=round(speed.s_per_token.mass_at(now, s_per_token, tried=tried[1]), 2),
            in_flight=len(record.open),
            limit=round(record.limit, 1),
        )


def _shown(record: ModelHealth, now: float) -> dict[str, Any]:
    with record.lock:
        record.breaker.settle(now)
        view = record.view(now, *record.speed.expected)
        p95 = record.speed.ttfts.quantile(0.95, now)
        shown: dict[str, Any] = {
            "state": view.state,
            "reopens_in_s": round(view.reopens_in_s, 3),
            "availability": round(view.availability, 4),
            "ttft_s": round(view.ttft_s, 4),
            "ttft_p95_s": None if p95 is None else round(p95, 4),
            "tokens_per_s": round(1.0 / view.s_per_token, 2),
            "in_flight": view.in_flight,
            "late": record.late,
            "silent": record.silent,
            "limit": round(view.limit, 2),
            "load_factor": round(view.load_factor, 4),
            "sent": record.window.sent,
            "ok": record.window.ok,
            "failed": record.window.failed,
            "failures_in_row": record.breaker.row,
            "backoff_exponent": record.breaker.exponent,
            "opened_by_others": record.breaker.hearsay,
            "other_workers": 0 if record.fleet is None else record.fleet.workers,
        }
        if record.parts:
            shown["deployments"] = {name: _shown(part, now) for name, part in record.parts.items()}
        return shown
