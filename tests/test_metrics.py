"""Prometheus metrics and OpenTelemetry spans: what they say, and that callers cannot make them grow."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ofox_middleware import metrics as metrics_module
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.metrics import Metrics, MetricsMissing, metrics_app
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.tracing import OPERATIONS, PROVIDERS, Tracing, TracingMissing
from tests.test_examples import serving

pytest.importorskip("prometheus_client", reason="pip install prometheus-client")
EXAMPLES = Path(__file__).parent.parent / "examples" / "observability"
CARDS = [
    ModelCard(name="openai/large", ability=0.9, input_cost_per_token=1e-5, output_cost_per_token=1e-4),
    ModelCard(name="groq/small", ability=0.5, input_cost_per_token=1e-7, output_cost_per_token=1e-6),
]
ASK = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}


@pytest.fixture
def router() -> SmartRouter:
    return SmartRouter(Settings(models=CARDS))


def ended(decision: Decision, **more: Any) -> Outcome:
    """An answer by ``groq/small`` unless said otherwise."""
    told: dict[str, Any] = {
        "model": "groq/small", "ok": True, "status": 200, "attempts": ("groq/small",), "ttft_s": 0.3, "total_s": 1.2,
        "output_tokens": 40,
    }  # fmt: skip
    return Outcome(decision, **{**told, **more})


def value(made: Metrics, name: str, **labels: str) -> float | None:
    """A sample of the registry."""
    found: float | None = made.registry.get_sample_value(name, labels)
    return found


# Prometheus --------------------------------------------------------------------------------------------------------


def test_decisions_and_outcomes_are_counted(router: SmartRouter) -> None:
    """A routed request shows up as a decision, a result, times, tokens and money."""
    made = Metrics(router)
    decision = router.decide(ASK)
    router.report(ended(decision))
    labels = {"model": decision.model, "preference": "balanced", "reason": decision.reason}
    assert value(made, "ofox_decisions_total", **labels) == 1
    assert value(made, "ofox_requests_total", model="groq/small", result="ok") == 1
    assert value(made, "ofox_ttft_seconds_sum", model="groq/small") == pytest.approx(0.3)
    assert value(made, "ofox_request_seconds_count", model="groq/small") == 1
    assert value(made, "ofox_output_tokens_total", model="groq/small") == 40
    assert value(made, "ofox_difficulty_count") == 1
    spent = decision.input_tokens * 1e-7 + 40 * 1e-6
    assert value(made, "ofox_spent_usd_total", model="groq/small") == pytest.approx(spent)
    strongest = decision.input_tokens * 1e-5 + 40 * 1e-4
    assert value(made, "ofox_baseline_usd_total", always="strongest") == pytest.approx(strongest)
    assert value(made, "ofox_baseline_usd_total", always="cheapest") == pytest.approx(spent)


@pytest.mark.parametrize(("status", "result"), [(502, "failed"), (None, "left")])
def test_failures_are_told_from_callers_that_left(router: SmartRouter, status: int | None, result: str) -> None:
    """A request that failed and one whose caller left are not the same, and neither has times or a price."""
    made = Metrics(router)
    router.report(ended(router.decide(ASK), ok=False, status=status))
    assert value(made, "ofox_requests_total", model="groq/small", result=result) == 1
    assert value(made, "ofox_ttft_seconds_count", model="groq/small") is None
    assert value(made, "ofox_spent_usd_total", model="groq/small") is None


def test_a_fallback_is_counted_at_the_model_that_failed(router: SmartRouter) -> None:
    """Attempts that were given up are counted by who failed."""
    made = Metrics(router)
    router.report(ended(router.decide(ASK), attempts=("openai/large", "groq/small")))
    assert value(made, "ofox_fallbacks_total", model="openai/large") == 1
    assert value(made, "ofox_fallbacks_total", model="groq/small") is None


def test_what_was_not_seen_is_not_invented(router: SmartRouter) -> None:
    """An outcome without times and tokens adds to none of their metrics, and one without a price is counted so."""
    made = Metrics(router)
    free = SmartRouter(Settings(models=[ModelCard(name="my/model", ability=0.5)])).decide(ASK)
    bare = {"ttft_s": None, "total_s": None, "output_tokens": None}
    router.report(ended(free, model="my/model", attempts=("my/model",), **bare))
    assert value(made, "ofox_requests_total", model="my/model", result="ok") == 1
    assert value(made, "ofox_request_seconds_count", model="my/model") is None
    assert value(made, "ofox_output_tokens_total", model="my/model") is None
    assert value(made, "ofox_unpriced_requests_total") == 1


def test_health_is_read_when_asked(router: SmartRouter) -> None:
    """State, load and speed of each model are the health book's at the time of the scrape."""
    made = Metrics(router)
    for _ in range(5):
        router.health.record_failure("openai/large", status=500)
    lease = router.health.begin("groq/small")
    assert value(made, "ofox_model_state", model="openai/large", state="open") == 1
    assert value(made, "ofox_model_state", model="openai/large", state="closed") == 0
    assert value(made, "ofox_model_in_flight", model="groq/small") == 1
    lease.succeed()
    assert value(made, "ofox_model_in_flight", model="groq/small") == 0
    assert value(made, "ofox_model_concurrency_limit", model="groq/small") == 20
    router.decide(ASK)
    assert value(made, "ofox_events_total", event="decided") == 1


def test_callers_cannot_grow_the_labels(router: SmartRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that callers invent share one label value beyond a bound; the operator's models always have their own."""
    monkeypatch.setattr(metrics_module, "MOST_MODELS", 5)
    made = Metrics(router)
    decision = router.decide(ASK)
    for number in range(50):
        name = f"invented/{number}"
        router.health.record_success(name)
        router.report(ended(decision, model=name, attempts=(f"failed/{number}", name)))
    router.report(ended(decision))
    text = metrics_text(made)
    assert text.count("ofox_requests_total{") <= 5 + 1 + 1  # some of the invented, other, and ours
    assert 'ofox_requests_total{model="other",result="ok"}' in text
    assert 'ofox_requests_total{model="groq/small",result="ok"} 1.0' in text
    assert text.count("ofox_model_in_flight{") <= 8


def test_a_preference_that_is_not_configured_is_other(router: SmartRouter) -> None:
    """After a reload an old profile's name is not a label value any more."""
    made = Metrics(router)
    gone = SmartRouter(Settings(models=CARDS, profiles={"frugal": {"cost": 1}}, preference="frugal")).decide(ASK)
    made.decided(gone)
    assert 'preference="other"' in metrics_text(made)


def metrics_text(made: Metrics) -> str:
    from prometheus_client import generate_latest

    text: str = generate_latest(made.registry).decode()
    return text


def test_the_app_answers_scrapes(router: SmartRouter) -> None:
    """The mounted app speaks Prometheus's text format."""
    import asyncio

    app = metrics_app(router)
    router.decide(ASK)

    async def scrape() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/metrics")

    answer = asyncio.run(scrape())
    assert answer.status_code == 200 and "ofox_decisions_total" in answer.text


def test_a_pool_that_cannot_be_used_does_not_break_scrapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no operator's pool can be resolved, metrics know the models that they have seen."""
    empty = SmartRouter(Settings(models=[ModelCard(name="nobody/*")]))
    made = Metrics(empty)
    assert "ofox_model_state" in metrics_text(made)
    assert made._names.model("a/b") == "a/b"


def test_without_the_library_the_message_says_what_to_install(
    router: SmartRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics without prometheus-client are refused with the extra's name, and nothing was subscribed."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MetricsMissing, match=r"ofox-middleware\[metrics\]"):
        Metrics(router)
    router.decide(ASK)
    assert router.stats["observer_error"] == 0


def test_importing_the_modules_loads_neither_library() -> None:
    """Both libraries are imported when they are used, not before."""
    code = (
        "import sys, ofox_middleware.metrics, ofox_middleware.tracing; "
        "assert not {'prometheus_client', 'opentelemetry'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# OpenTelemetry -----------------------------------------------------------------------------------------------------


class Recorded:
    """An OpenTelemetry SDK that keeps everything in memory."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def trace(self, router: SmartRouter) -> None:
        Tracing(router, tracer_provider=self.tracers, meter_provider=self.meters, clock_ns=lambda: 5_000_000_000)

    @property
    def span(self) -> Any:
        (span,) = self.exporter.get_finished_spans()
        return span

    def points(self) -> dict[str, Any]:
        data = self.reader.get_metrics_data()
        if data is None:
            return {}
        found = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: metric.data.data_points[0] for metric in found}


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    pytest.importorskip("opentelemetry.sdk", reason="pip install opentelemetry-sdk")
    made = Recorded()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def test_a_span_follows_the_conventions(router: SmartRouter, recorded: Recorded) -> None:
    """A routed request is one client span with the names of the GenAI conventions and its true times."""
    recorded.trace(router)
    decision = router.decide(ASK)
    router.report(ended(decision, cost_usd=0.002))
    span = recorded.span
    assert span.name == "chat auto" and span.kind.name == "CLIENT"
    assert (span.start_time, span.end_time) == (3_800_000_000, 5_000_000_000)
    wanted = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "groq", "gen_ai.request.model": "auto",
        "gen_ai.response.model": "groq/small", "gen_ai.usage.output_tokens": 40, "ofox.cost_usd": 0.002,
        "ofox.decision.id": decision.id, "ofox.decision.reason": decision.reason, "ofox.attempts": 1,
        "gen_ai.conversation.id": decision.session,
    }  # fmt: skip
    assert wanted.items() <= dict(span.attributes).items()
    assert span.status.is_ok or span.status.status_code.name == "UNSET"


def test_no_text_of_the_prompt_is_in_a_span(router: SmartRouter, recorded: Recorded) -> None:
    """Neither attributes nor events hold anything that the caller wrote."""
    recorded.trace(router)
    router.report(ended(router.decide(ASK), attempts=("openai/large", "groq/small")))
    assert "France" not in recorded.span.to_json()


def test_a_failed_attempt_is_an_event(router: SmartRouter, recorded: Recorded) -> None:
    """A fallback shows in the span as an event for each model that failed, and why; an overtaken one does not."""
    recorded.trace(router)
    tried = {"attempts": ("openai/large", "groq/small"), "failures": ("503",)}
    router.report(ended(router.decide(ASK), **tried))
    (event,) = recorded.span.events
    assert event.name == "ofox.attempt.failed"
    assert dict(event.attributes) == {"ofox.model": "openai/large", "ofox.attempt": 1, "error.type": "503"}
    recorded.exporter.clear()
    router.report(ended(router.decide(ASK), **{**tried, "failures": ("overtaken",)}))
    assert not recorded.span.events


@pytest.mark.parametrize(("status", "kind"), [(503, "503"), (None, "client_left")])
def test_an_error_has_its_type(router: SmartRouter, recorded: Recorded, status: int | None, kind: str) -> None:
    """A failed request's span has the error status and says which."""
    recorded.trace(router)
    bare = {"ttft_s": None, "total_s": None, "output_tokens": None}
    router.report(ended(router.decide(ASK), ok=False, status=status, **bare))
    assert recorded.span.attributes["error.type"] == kind
    assert recorded.span.status.status_code.name == "ERROR"
    assert recorded.points() == {}


def test_measurements_follow_the_conventions(router: SmartRouter, recorded: Recorded) -> None:
    """Duration, a stream's time to first byte and output tokens are recorded under their conventional names."""
    recorded.trace(router)
    router.report(ended(router.decide({**ASK, "stream": True})))
    assert recorded.span.attributes["gen_ai.request.stream"] is True
    points = recorded.points()
    assert points["gen_ai.client.operation.duration"].sum == pytest.approx(1.2)
    assert points["gen_ai.client.operation.time_to_first_chunk"].sum == pytest.approx(0.3)
    assert points["gen_ai.client.token.usage"].sum == 40
    assert points["gen_ai.client.token.usage"].attributes["gen_ai.token.type"] == "output"


def test_only_a_stream_has_a_first_chunk(router: SmartRouter, recorded: Recorded) -> None:
    """The conventions want the time to the first chunk, and the word stream, of streams alone."""
    recorded.trace(router)
    router.report(ended(router.decide(ASK)))
    assert not any("chunk" in name or "stream" in name for name in (*recorded.span.attributes, *recorded.points()))


def test_every_conventional_name_is_one(router: SmartRouter, recorded: Recorded) -> None:
    """Each ``gen_ai.*`` name, operation and provider of ours is in the conventions as OpenTelemetry publishes them."""
    attributes = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    metrics = pytest.importorskip("opentelemetry.semconv._incubating.metrics.gen_ai_metrics")
    known = {value for module in (attributes, metrics) for value in vars(module).values() if isinstance(value, str)}
    recorded.trace(router)
    router.report(ended(router.decide({**ASK, "stream": True})))
    points = recorded.points()
    used = {*recorded.span.attributes, *points, *(name for point in points.values() for name in point.attributes)}
    assert len(used) >= 12
    assert {name for name in used if name.startswith("gen_ai.")} <= known
    assert set(OPERATIONS.values()) <= {item.value for item in attributes.GenAiOperationNameValues}
    assert set(PROVIDERS.values()) <= {item.value for item in attributes.GenAiProviderNameValues}


def test_a_span_is_the_child_of_the_current_one(router: SmartRouter, recorded: Recorded) -> None:
    """Within a server's span, the routed request belongs to it."""
    recorded.trace(router)
    with recorded.tracers.get_tracer("server").start_as_current_span("POST") as parent:
        router.report(ended(router.decide(ASK)))
    spans = {span.name: span for span in recorded.exporter.get_finished_spans()}
    assert spans["chat auto"].parent.span_id == parent.get_span_context().span_id


def test_a_provider_is_named_as_the_conventions_do(router: SmartRouter, recorded: Recorded) -> None:
    """LiteLLM's provider names are translated; one that the conventions lack, and a model from nowhere, stay."""
    recorded.trace(router)
    decision = SmartRouter(Settings(models=[ModelCard(name="xai/grok", ability=0.5)])).decide(
        {"prompt": "Hi"}, "/v1/completions"
    )
    keyless = {"messages": []}
    router.report(ended(decision, model="xai/grok"))
    router.report(ended(router.decide(keyless), model="house/own"))
    first, second = recorded.exporter.get_finished_spans()
    assert first.attributes["gen_ai.provider.name"] == "x_ai"
    assert first.name == "text_completion auto"
    assert second.attributes["gen_ai.provider.name"] == "house"
    assert "gen_ai.conversation.id" not in second.attributes


def test_without_the_api_the_message_says_what_to_install(router: SmartRouter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tracing without OpenTelemetry is refused with the package's name."""
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(TracingMissing, match="opentelemetry-api"):
        Tracing(router)


# The example -------------------------------------------------------------------------------------------------------


def test_the_example_has_metrics_spans_and_the_console(capfd: pytest.CaptureFixture[str]) -> None:
    """The example app routes a request, counts it for Prometheus, prints its span and shows it in the console."""
    pytest.importorskip("opentelemetry.sdk", reason="pip install opentelemetry-sdk")
    with serving("observability/app.py") as url, httpx.Client(base_url=url, trust_env=False) as http:
        answer = http.post("/v1/chat/completions", json={"model": "auto", **ASK})
        assert answer.json()["model"] == answer.headers["x-ofox-model"] == "house/small"
        assert 'ofox_requests_total{model="house/small",result="ok"} 1.0' in http.get("/metrics/").text
        (entry,) = http.get("/ofox/api/status").json()["decisions"]
        assert entry["id"] == answer.headers["x-ofox-decision-id"]
    assert "span chat auto" in capfd.readouterr().out


# The dashboard -----------------------------------------------------------------------------------------------------


def test_the_dashboard_asks_only_for_metrics_that_exist(router: SmartRouter) -> None:
    """Every metric in every query of the Grafana dashboard is one that a scrape of a busy router holds."""
    import re

    made = Metrics(router)
    router.report(ended(router.decide(ASK), attempts=("openai/large", "groq/small")))
    router.health.record_success("groq/small")
    exposed = set(re.findall(r"^(ofox_\w+?)(?:\{| )", metrics_text(made), re.MULTILINE))
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text("utf-8"))
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            asked |= set(re.findall(r"\bofox_\w+", target["expr"]))
    for variable in dashboard["templating"]["list"]:
        asked |= set(re.findall(r"\bofox_\w+", str(variable.get("query", ""))))
    assert asked and asked <= exposed, asked - exposed


def test_the_dashboard_has_what_grafana_needs() -> None:
    """It has a schema version, a data source to choose, panels that do not overlap, and unique panel ids."""
    dashboard = json.loads((EXAMPLES / "grafana-dashboard.json").read_text("utf-8"))
    assert dashboard["schemaVersion"] >= 39 and dashboard["title"] and dashboard["uid"]
    assert dashboard["templating"]["list"][0]["type"] == "datasource"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    cells: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        mine = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & mine
        cells |= mine
