"""The decision in the OpenTelemetry span that LiteLLM has opened for a proxy request. Needs no OpenTelemetry itself."""

from __future__ import annotations

from typing import Any

from ofox_middleware.decision import Decision


def decided(span: Any, decision: Decision) -> None:
    """Notes what was decided; the words are those of :mod:`ofox_middleware.tracing`, and no prompt is among them."""
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "ofox.decision.id": decision.id,
            "ofox.decision.model": decision.model,
            "ofox.decision.reason": decision.reason,
            "ofox.decision.preference": decision.preference,
            "ofox.decision.difficulty": decision.difficulty,
            "ofox.decision.ranking": list(decision.ranking[:10]),
        }
    )


def ended(span: Any, model: str, attempts: int) -> None:
    """Notes who answered, and how many models were tried."""
    if span.is_recording():
        span.set_attributes({"ofox.model": model, "ofox.attempts": attempts})
