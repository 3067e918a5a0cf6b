"""What LiteLLM's calls say of the request that they belong to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ofox_middleware import litellm_events as events
from ofox_middleware.ledger import Call


def attempt(body: dict[str, Any], url: str = "http://x/v1/rag/query", **fields: Any) -> dict[str, Any]:
    """The arguments of an attempt whose request has made another call before, for which no hook saw the request."""
    details = {events.KEY: Call()}
    logging_obj = SimpleNamespace(model_call_details=details)
    return {"litellm_logging_obj": logging_obj, "proxy_server_request": {"url": url, "body": body}, **fields}


@pytest.mark.parametrize("body", [{"model": "auto"}, {}])
def test_a_request_that_began_with_a_search_still_asks_for_auto(body: dict[str, Any]) -> None:
    """By its body, or by the group that the Router has noted where the endpoint takes the name out of the body."""
    assert events.asked_unseen(attempt(body, metadata={"model_group": "auto"})) == "auto"


def test_a_request_that_was_routed_has_been_seen() -> None:
    """Its call knows; and where it was not, its body has the model that a hook put there."""
    routed = attempt({"model": "auto"})
    routed["litellm_logging_obj"].model_call_details[events.KEY].routed = object()
    assert events.asked_unseen(routed) is None
    left = attempt({"model": "cheap"}, "http://x/v1/chat/completions?model=auto")
    assert events.asked_unseen(left) == "cheap"
