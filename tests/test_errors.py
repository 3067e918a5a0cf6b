"""Errors and their wire bodies."""

from __future__ import annotations

import pytest

from ofox_middleware.decision import Candidate
from ofox_middleware.errors import InvalidRoutingConfig, NoCandidate, NotAllowed, OfoxError, wire_body


def test_openai_shape() -> None:
    """On the OpenAI surfaces an error has message, type, param and code."""
    error = InvalidRoutingConfig("no.", param="model_routing_config.preference")
    assert wire_body(error, "chat") == {
        "error": {
            "message": "no.",
            "type": "invalid_request_error",
            "param": "model_routing_config.preference",
            "code": "invalid_routing_config",
        }
    }


def test_anthropic_shape() -> None:
    """On `/v1/messages` an error has Anthropic's envelope."""
    assert wire_body(NotAllowed("not yours"), "messages") == {
        "type": "error",
        "error": {"type": "permission_error", "message": "not yours"},
    }


@pytest.mark.parametrize(
    ("status", "openai", "anthropic"),
    [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "invalid_request_error", "authentication_error"),
        (403, "permission_error", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (429, "rate_limit_error", "rate_limit_error"),
        (501, "api_error", "api_error"),
        (503, "api_error", "api_error"),
    ],
)
def test_the_type_fits_the_status(status: int, openai: str, anthropic: str) -> None:
    """Each protocol says by its own word whose fault it is; a caller is not blamed for what the operator lacks."""
    error = OfoxError("no.")
    error.status = status
    assert wire_body(error, "chat")["error"]["type"] == openai
    assert wire_body(error, "messages")["error"]["type"] == anthropic


def test_no_candidate_lists_each_with_its_reason() -> None:
    """A refusal says of each candidate why it was left out, bounded for huge pools."""
    error = NoCandidate([Candidate(f"m{i}", "skipped", "no_image") for i in range(25)])
    assert (error.status, error.code) == (400, "no_candidate_model")
    assert "m0: no_image; m1: no_image" in error.message
    assert "and 5 more" in error.message


def test_one_common_reason_is_told_in_words() -> None:
    """Where all candidates were left out for one reason, the message ends with what that means."""
    alike = NoCandidate([Candidate(name, "skipped", "not_named") for name in "ab"])
    assert alike.message.endswith(
        "(a: not_named; b: not_named): model_routing_config.models matches no name of the pool."
    )
    mixed = NoCandidate([Candidate("a", "skipped", "not_named"), Candidate("b", "skipped", "no_image")])
    assert mixed.message.endswith("(a: not_named; b: no_image).")


def test_code_can_be_made_finer() -> None:
    """One error class may carry a finer code."""
    assert NotAllowed("x", code="budget").code == "budget"
