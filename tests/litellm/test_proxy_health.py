"""Health as a real proxy process sees it: every kind of end closes its lease, and counts once for the right model."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import MASTER_KEY, Proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

COST = routing(preference="cost")


def model(view: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(view["health"].get(name, {}))


def leave(proxy: Proxy, body: dict[str, Any], after_s: float) -> None:
    """Sends a request and hangs up."""
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    with contextlib.suppress(httpx.TimeoutException):
        httpx.post(f"{proxy.base_url}/v1/chat/completions", json=body, headers=headers, timeout=after_s)


def test_successes_are_counted_for_the_model_that_answered(proxy: Proxy) -> None:
    """Routed and directly named requests, plain and streamed, feed the same book."""
    for body in (chat(**COST), chat(stream=True, **COST), chat(model="cheap"), chat(model="cheap", stream=True)):
        proxy.post("/v1/chat/completions", body)
    cheap = model(proxy.settled(), "cheap")
    assert cheap["ok"] == 4
    assert cheap["in_flight"] == 0


def test_failures_and_the_fallback_are_counted_apart(proxy: Proxy, upstream: Upstream) -> None:
    """The failed pick gets the failure, the fallback the success, also when a stream broke before its first chunk."""
    upstream.behave("prov-cheap", status=500)
    proxy.post("/v1/chat/completions", chat(**COST))
    upstream.behave("prov-cheap", break_after=0)
    proxy.post("/v1/chat/completions", chat(stream=True, **routing(preference="cost", models=["cheap", "mid"])))
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap")["failed"] == upstream.models().count("prov-cheap") == 2
    assert model(view, "mid")["ok"] == 2
    assert model(view, "mid").get("failed", 0) == 0


def test_a_429_with_retry_after_opens_the_model_at_once(proxy: Proxy, upstream: Upstream) -> None:
    """The next request goes elsewhere without asking it."""
    upstream.behave("prov-cheap", status=429, retry_after="30")
    proxy.post("/v1/chat/completions", chat(**COST))
    assert model(proxy.settled(), "cheap")["state"] == "open"
    upstream.seen.clear()
    proxy.post("/v1/chat/completions", chat(messages=[{"role": "user", "content": "Other."}], **COST))
    assert upstream.models() == ["prov-mid"]


def test_a_client_that_hangs_up_on_a_stream_is_no_failure(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM reports it as a success; here it is neither, and nothing stays in flight."""
    upstream.behave("prov-cheap", chunk_delay_s=0.4)
    leave(proxy, chat(stream=True, **COST), 0.7)
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap").get("failed", 0) == 0


def test_a_client_that_hangs_up_on_a_plain_call_is_no_failure(proxy: Proxy, upstream: Upstream) -> None:
    """By default LiteLLM lets the call run on; it ends as what it was."""
    upstream.behave("prov-cheap", delay_s=1.0)
    leave(proxy, chat(**COST), 0.5)
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap").get("failed", 0) == 0


def test_a_callers_own_short_time_out_is_no_failure(proxy: Proxy, upstream: Upstream) -> None:
    """A caller must not be able to blacken a model by its impatience."""
    upstream.behave("prov-cheap", delay_s=2.0)
    answer = proxy.post("/v1/chat/completions", chat(timeout=0.3, **routing(preference="cost", fallback=False)))
    assert answer.status_code == 408
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap").get("failed", 0) == 0


def test_health_probes_are_not_traffic(proxy: Proxy) -> None:
    """LiteLLM's /health calls every model; none of it counts."""
    httpx.get(f"{proxy.base_url}/health", headers={"authorization": f"Bearer {MASTER_KEY}"}, timeout=60)
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap").get("ok", 0) == 0


def test_a_comma_list_of_models_is_a_batch_and_no_chain_of_failures(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM answers `cheap,mid` from both; a caller cannot use it to make one look failed."""
    upstream.behave("prov-cheap", delay_s=0.3)
    proxy.post("/v1/chat/completions", chat(model="cheap,mid"))
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert model(view, "cheap").get("failed", 0) == model(view, "mid").get("failed", 0) == 0
