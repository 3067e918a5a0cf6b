"""Prometheus metrics of a router. Needs ``prometheus-client`` (the ``metrics`` extra), which is imported when used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.errors import OfoxError, SettingsError
from ofox_middleware.replies import refuse
from ofox_middleware.router import SmartRouter
from ofox_middleware.savings import price

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MOST_MODELS: Final = 200
"""Models that have label values of their own. Callers may name models; what they invent must not grow the metrics."""
OTHER: Final = "other"

SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 30.0, 60.0, 120.0)
SHARES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

_STATES: Final = ("closed", "open", "half_open")
_GAUGES: Final = (
    ("in_flight", "ofox_model_in_flight", "Requests dispatched and not ended."),
    ("limit", "ofox_model_concurrency_limit", "How many requests in flight the model is thought to bear."),
    ("availability", "ofox_model_availability", "Smoothed share of successes in the last minute, 0..1."),
    ("ttft_s", "ofox_model_ttft_seconds", "Expected time to the first token."),
    ("tokens_per_s", "ofox_model_tokens_per_second", "Expected output rate."),
)


class MetricsMissing(OfoxError):
    """``prometheus-client`` is not installed."""

    status = 501
    code = "metrics_missing"


def load_prometheus() -> Any:
    """The ``prometheus_client`` module.

    Raises:
        MetricsMissing: it is not installed.
    """
    try:
        import prometheus_client  # noqa: PLC0415
        import prometheus_client.core  # noqa: PLC0415
        import prometheus_client.exposition  # noqa: PLC0415
    except ImportError:
        raise MetricsMissing("Prometheus metrics need: pip install 'ofox-middleware[metrics]'.") from None
    return prometheus_client


class Metrics:
    """An observer of :class:`~ofox_middleware.router.SmartRouter` that counts for Prometheus.

    It subscribes itself. Gauges of health are read from the router when Prometheus asks, so they cost requests
    nothing.

    Args:
        router: what is measured.
        registry: a ``prometheus_client.CollectorRegistry``; ``None`` makes one of its own.

    Raises:
        MetricsMissing: ``prometheus-client`` is not installed.
    """

    def __init__(self, router: SmartRouter, registry: Any = None) -> None:
        client = load_prometheus()
        self.registry = client.CollectorRegistry() if registry is None else registry
        self._client = client
        self._router = router
        self._names = _Names(router)
        counter, histogram = client.Counter, client.Histogram
        told = {"registry": self.registry}
        self._decisions = counter(
            "ofox_decisions_total", "Requests routed, by the model picked.", ("model", "preference", "reason"), **told
        )
        self._requests = counter(
            "ofox_requests_total", "Routed requests ended, by the model that answered.", ("model", "result"), **told
        )
        self._fallbacks = counter(
            "ofox_fallbacks_total",
            "Attempts given up for the next model, by the model that failed.",
            ("model",),
            **told,
        )
        self._ttft = histogram(
            "ofox_ttft_seconds", "From a request's arrival to its first byte.", ("model",), buckets=SECONDS, **told
        )
        self._duration = histogram(
            "ofox_request_seconds", "From a request's arrival to its end.", ("model",), buckets=SECONDS, **told
        )
        self._difficulty = histogram(
            "ofox_difficulty", "How hard requests are, 0 trivial to 1.", buckets=SHARES, **told
        )
        self._tokens = counter("ofox_output_tokens_total", "Tokens answered, where seen.", ("model",), **told)
        self._spent = counter("ofox_spent_usd_total", "Cost of answered requests at list prices.", ("model",), **told)
        self._baseline = counter(
            "ofox_baseline_usd_total",
            "What the same requests would have cost on one model always.",
            ("always",),
            **told,
        )
        self._unpriced = counter("ofox_unpriced_requests_total", "Answered requests without a known price.", **told)
        self.registry.register(self)
        router.subscribe(self)

    def decided(self, decision: Decision) -> None:
        """Count a decision."""
        model, preference = self._names.model(decision.model), self._names.preference(decision.preference)
        self._decisions.labels(model, preference, decision.reason).inc()
        self._difficulty.observe(decision.difficulty)

    def ended(self, outcome: Outcome) -> None:
        """Count how a request ended."""
        model = self._names.model(outcome.model)
        result = "ok" if outcome.ok else "left" if outcome.status is None else "failed"
        self._requests.labels(model, result).inc()
        for failed in outcome.failed_models:
            self._fallbacks.labels(self._names.model(failed)).inc()
        if not outcome.ok:
            return
        if outcome.ttft_s is not None:
            self._ttft.labels(model).observe(outcome.ttft_s)
        if outcome.total_s is not None:
            self._duration.labels(model).observe(outcome.total_s)
        if outcome.output_tokens is not None:
            self._tokens.labels(model).inc(outcome.output_tokens)
        priced = price(outcome)
        if priced is None:
            self._unpriced.inc()
            return
        self._spent.labels(model).inc(priced.spent_usd)
        self._baseline.labels("strongest").inc(priced.strongest_usd)
        self._baseline.labels("cheapest").inc(priced.cheapest_usd)

    def collect(self) -> Iterator[Any]:
        """For the registry: the health of each model now, and the router's own counts."""
        core = self._client.core
        snapshot = {name: row for name, row in self._router.health.snapshot().items() if self._names.knows(name)}
        state = core.GaugeMetricFamily(
            "ofox_model_state", "1 for the state that the model's breaker is in.", labels=("model", "state")
        )
        for name, row in snapshot.items():
            for known in _STATES:
                state.add_metric((name, known), float(row["state"] == known))
        yield state
        for field, metric, meaning in _GAUGES:
            family = core.GaugeMetricFamily(metric, meaning, labels=("model",))
            for name, row in snapshot.items():
                family.add_metric((name,), row[field])
            yield family
        events = core.CounterMetricFamily("ofox_events", "Events of the router by name.", labels=("event",))
        for event, count in sorted(self._router.stats.copy().items()):
            events.add_metric((event,), count)
        yield events

    def describe(self) -> list[Any]:
        """For the registry: nothing to look for at registration."""
        return []

    def app(self) -> ASGIApp:
        """An ASGI app that answers scrapes; mount it where only your Prometheus can reach it."""
        return _App(self._client.make_asgi_app(self.registry))


def metrics_app(router: SmartRouter) -> ASGIApp:
    """``app.mount("/metrics", metrics_app(router))``: everything :class:`Metrics` counts, for Prometheus.

    Raises:
        MetricsMissing: ``prometheus-client`` is not installed.
    """
    return Metrics(router).app()


def metrics_or_refusal(router: SmartRouter) -> ASGIApp:
    """The same; where ``prometheus-client`` is not installed, an app that answers 501 and what to install."""
    try:
        return metrics_app(router)
    except MetricsMissing as error:
        missing = error  # `error` itself ends with this block

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(send, missing, "chat", [])

    return _App(refusing)


class _App:
    """An ASGI app as an object, so that Starlette's routes do not take it for an endpoint function."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


class _Names:
    """Label values, bounded in number."""

    def __init__(self, router: SmartRouter) -> None:
        self._router = router
        self._models: set[str] = set()
        self._lock = threading.Lock()

    def model(self, name: str) -> str:
        """``name``, or ``other`` when there are too many already."""
        if name in self._models:
            return name
        with self._lock:
            if name in self._pool() or len(self._models) < MOST_MODELS:
                self._models.add(name)
                return name
        return OTHER

    def knows(self, name: str) -> bool:
        """Whether ``name`` has a label value of its own."""
        return name in self._models or name in self._pool()

    def preference(self, name: str) -> str:
        """``name``; preferences are the operator's, but an old name may come back after a reload."""
        return name if name in self._router.settings.all_profiles else OTHER

    def _pool(self) -> set[str]:
        try:
            return {facts.name for facts in self._router.pool}
        except SettingsError:
            return set()
