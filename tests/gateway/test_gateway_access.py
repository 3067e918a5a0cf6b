"""Who may call the gateway, and what it says where LiteLLM lacks a part."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from ofox_middleware import gateway as gateway_module
from ofox_middleware.gateway import create_app
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from tests.asgi.harness import call
from tests.gateway.tools import ASK, QUIET, Site, card
from tests.litellm.upstream import Upstream

pytestmark = QUIET


def test_a_page_cannot_give_the_gateway_a_name_of_its_own(site: Site) -> None:
    """A ``Host`` header that is not loopback is refused."""
    assert site.http.get("/healthz", headers={"host": "rebound.example"}).status_code == 400


def test_a_key_is_asked_for_where_one_is_set(upstream: Upstream) -> None:
    """With a key set, callers need it in either protocol's header; the health page stays open."""
    router = SmartRouter(Settings(models=[card("other/small", upstream, ability=0.5)]))
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with (
        background(create_app(router, api_key="sesame"), listener),
        httpx.Client(base_url=url, trust_env=False) as http,
    ):
        assert http.get("/healthz").status_code == 200
        assert http.get("/v1/models").status_code == 401
        assert http.get("/v1/models", headers={"authorization": "Bearer sesamy"}).status_code == 401
        assert http.get("/v1/models", headers={"authorization": "Bearer sesame"}).status_code == 200
        assert http.get("/v1/models", headers={"x-api-key": "sesame"}).status_code == 200
        refused = http.post("/v1/messages", json={}, headers={"x-api-key": "wrong"})
        assert refused.status_code == 401 and refused.json()["type"] == "error"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_without_the_proxy_extra_two_protocols_are_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Where LiteLLM lacks what these need, the answer says what to install, and no model is blamed."""
    monkeypatch.setattr(gateway_module, "lacks_proxy_extra", lambda: True)
    router = SmartRouter(Settings(models=["openai/gpt-4o"]))
    raw = json.dumps({"model": "auto", "messages": ASK, "input": "hi", "max_tokens": 9}).encode()
    answer = asyncio.run(call(create_app(router), raw, path=path))
    assert answer.status == 501 and b"ofox-middleware[proxy]" in answer.body and b'"api_error"' in answer.body
    assert (b'"type":"error"' in answer.body) == (path == "/v1/messages")
    assert not router.health.snapshot().get("openai/gpt-4o", {}).get("failed")
