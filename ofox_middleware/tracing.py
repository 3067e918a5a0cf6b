"""OpenTelemetry spans and metrics of routed requests, when the OpenTelemetry API is installed.

Names follow the semantic conventions for generative AI as of version 1.44, status "development": span names,
``gen_ai.*`` attributes and metrics (https://opentelemetry.io/docs/specs/semconv/gen-ai/). What they have no word for is
under ``ofox.*``. No prompt and no answer is ever an attribute.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.errors import OfoxError
from ofox_middleware.router import SmartRouter
from ofox_middleware.types import Surface

SCOPE: Final = "ofox_middleware"
OPERATIONS: Final[Mapping[Surface, str]] = {
    "chat": "chat", "text": "text_completion", "responses": "chat", "messages": "chat",
}  # fmt: skip
PROVIDERS: Final[Mapping[str, str]] = {
    "anthropic": "anthropic", "azure": "azure.ai.openai", "azure_ai": "azure.ai.inference", "bedrock": "aws.bedrock",
    "cohere": "cohere", "deepseek": "deepseek", "gemini": "gcp.gemini", "groq": "groq", "mistral": "mistral_ai",
    "openai": "openai", "perplexity": "perplexity", "vertex_ai": "gcp.vertex_ai", "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}  # fmt: skip
"""LiteLLM's names of providers in the words of the conventions; any other provider keeps its own name."""


class TracingMissing(OfoxError):
    """The OpenTelemetry API is not installed."""

    status = 501
    code = "tracing_missing"


class Tracing:
    """An observer of :class:`~ofox_middleware.router.SmartRouter`: one span and three measurements per routed request.

    It subscribes itself. The span covers the request with all its attempts, from its arrival to its end, and is a
    child of what is current then, such as the server's span. Without an OpenTelemetry SDK set up nothing is recorded.

    Args:
        router: what is traced.
        tracer_provider, meter_provider: ``None`` takes the global ones.
        clock_ns: nanoseconds since the epoch.

    Raises:
        TracingMissing: ``opentelemetry-api`` is not installed.
    """

    def __init__(
        self,
        router: SmartRouter,
        *,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        try:
            from opentelemetry import metrics, trace  # noqa: PLC0415
        except ImportError:
            raise TracingMissing("OpenTelemetry spans need: pip install opentelemetry-api.") from None
        self._trace = trace
        self._clock_ns = clock_ns
        self._auto = router.settings.auto_models[0]
        self._tracer = trace.get_tracer(SCOPE, tracer_provider=tracer_provider)
        meter = metrics.get_meter(SCOPE, meter_provider=meter_provider)
        self._duration = meter.create_histogram("gen_ai.client.operation.duration", "s", "GenAI operation duration.")
        self._first = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk", "s", "From the request to the first byte of a stream."
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used."
        )
        router.subscribe(self)

    def decided(self, decision: Decision) -> None:
        """Nothing yet: the span is made when the request has ended, with its true beginning."""

    def ended(self, outcome: Outcome) -> None:
        """Record the request."""
        ended_ns = self._clock_ns()
        attributes = self._attributes(outcome)
        span = self._tracer.start_span(
            f"{attributes['gen_ai.operation.name']} {self._auto}",
            kind=self._trace.SpanKind.CLIENT,
            attributes={**attributes, **_decision(outcome), **_usage(outcome)},
            start_time=ended_ns - int((outcome.total_s or 0.0) * 1e9),
        )
        for number, model in enumerate(outcome.failed_models, 1):
            told: dict[str, str | int] = {"ofox.model": model, "ofox.attempt": number}
            why = dict(zip(outcome.attempts, outcome.failures, strict=False)).get(model)
            span.add_event("ofox.attempt.failed", told | ({"error.type": why} if why else {}), timestamp=ended_ns)
        if "error.type" in attributes:
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        span.end(end_time=ended_ns)
        if outcome.total_s is not None:
            self._duration.record(outcome.total_s, attributes)
        if outcome.ttft_s is not None and outcome.decision.stream:
            self._first.record(outcome.ttft_s, attributes)
        if outcome.output_tokens is not None:
            self._tokens.record(outcome.output_tokens, {**attributes, "gen_ai.token.type": "output"})

    def _attributes(self, outcome: Outcome) -> dict[str, str]:
        """What spans and measurements share: few values each."""
        decision = outcome.decision
        facts = decision.targets.get(outcome.model)
        provider = outcome.model.partition("/")[0] if facts is None else facts.provider
        attributes = {
            "gen_ai.operation.name": OPERATIONS[decision.surface],
            "gen_ai.provider.name": PROVIDERS.get(provider, provider),
            "gen_ai.request.model": self._auto,
            "gen_ai.response.model": outcome.model,
        }
        if not outcome.ok:
            attributes["error.type"] = "client_left" if outcome.status is None else str(outcome.status)
        return attributes


def _usage(outcome: Outcome) -> dict[str, float]:
    seen: dict[str, float] = {}
    if outcome.output_tokens is not None:
        seen["gen_ai.usage.output_tokens"] = outcome.output_tokens
    if outcome.ttft_s is not None and outcome.decision.stream:
        seen["gen_ai.response.time_to_first_chunk"] = outcome.ttft_s
    if outcome.cost_usd is not None:
        seen["ofox.cost_usd"] = outcome.cost_usd
    return seen


def _decision(outcome: Outcome) -> dict[str, Any]:
    decision = outcome.decision
    told: dict[str, Any] = {
        "ofox.decision.id": decision.id,
        "ofox.decision.model": decision.model,
        "ofox.decision.reason": decision.reason,
        "ofox.decision.preference": decision.preference,
        "ofox.decision.difficulty": decision.difficulty,
        "ofox.decision.panic": decision.panic,
        "ofox.decision.ranking": list(decision.ranking[:10]),
        "ofox.decision.input_tokens_estimate": decision.input_tokens,
        "ofox.attempts": len(outcome.attempts),
    }
    if decision.stream:
        told["gen_ai.request.stream"] = True
    if decision.session:
        told["gen_ai.conversation.id"] = decision.session
    return told
