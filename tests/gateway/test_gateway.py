"""The gateway over a provider on loopback: who is asked, who answers, and what ends a call."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import openai
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from ofox_middleware import gateway as gateway_module
from ofox_middleware.cards import ModelCard
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.types import Preference
from tests.asgi.harness import call
from tests.gateway.tools import ASK, MODELS, QUIET, TEXT, Site
from tests.litellm.upstream import Upstream

pytestmark = QUIET


def test_models_are_the_auto_name_and_the_pool(site: Site) -> None:
    """``GET /v1/models`` lists what a caller can ask for, with windows and prices."""
    listed = {model.id: model for model in site.openai.models.list().data}
    assert set(listed) == {"auto", *MODELS}
    assert listed["house/large"].model_dump()["context_length"] == 100_000
    assert float(listed["house/large"].model_dump()["pricing"]["prompt"]) == 5e-6


def test_health_names_every_model(site: Site) -> None:
    """``GET /healthz`` answers 200 with the state of each model."""
    assert site.http.get("/healthz").json() == {"status": "ok", "models": dict.fromkeys(MODELS, "closed")}


@pytest.mark.parametrize("preference", [item.value for item in Preference])
def test_auto_is_answered_by_the_model_that_the_headers_name(site: Site, upstream: Upstream, preference: str) -> None:
    """A plain answer names the pool's model in body and headers, and the provider was asked for that one."""
    raw = site.chat(extra_body={"model_routing_config": {"preference": preference}})
    answer = raw.parse()
    assert answer.choices[0].message.content == TEXT
    assert answer.model == raw.headers["x-ofox-model"] and answer.model in MODELS
    assert raw.headers["x-ofox-preference"] == preference
    assert upstream.models() == [answer.model.partition("/")[2]]


def test_a_model_can_be_asked_for_by_name(site: Site, upstream: Upstream) -> None:
    """A model of the pool is served under its own name, without routing headers."""
    raw = site.chat("house/medium")
    assert raw.parse().model == "house/medium"
    assert "x-ofox-model" not in raw.headers
    assert upstream.models() == ["medium"]


@pytest.mark.parametrize("model", ["openai/gpt-4o", "openai/large", "", 7, None])
def test_other_models_are_out_of_reach(site: Site, upstream: Upstream, model: object) -> None:
    """Nothing outside the pool can be called with the operator's keys."""
    answer = site.http.post("/v1/chat/completions", json={"model": model, "messages": ASK})
    assert answer.status_code == (404 if model and isinstance(model, str) else 400)
    assert answer.json()["error"]["param"] == "model"
    assert not upstream.seen


def test_responses(site: Site) -> None:
    """``/v1/responses`` works plain and streamed."""
    answer = site.openai.responses.create(model="auto", input="Six times seven?")
    assert answer.output_text == TEXT and answer.model in MODELS
    events = list(site.openai.responses.create(model="auto", input="Six times seven?", stream=True))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == TEXT
    assert events[-1].type == "response.completed" and events[-1].response.model in MODELS


def test_messages(site: Site) -> None:
    """``/v1/messages`` works plain and streamed, through Anthropic's own client."""
    answer = site.anthropic.messages.create(model="auto", max_tokens=50, messages=ASK)
    assert answer.content[0].text == TEXT and answer.model in MODELS
    with site.anthropic.messages.stream(model="auto", max_tokens=50, messages=ASK) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == TEXT and final.model in MODELS


@pytest.mark.parametrize("stream", [False, True])
def test_two_failing_models_leave_the_third_to_answer(site: Site, upstream: Upstream, stream: bool) -> None:
    """With two of three models failing, every request is still answered, plain and streamed."""
    upstream.behave("large", status=500)
    upstream.behave("small", status=503)
    for preference in Preference:
        raw = site.chat(stream=stream, extra_body={"model_routing_config": {"preference": preference.value}})
        answer = raw.parse()
        models = {chunk.model for chunk in answer} if stream else {answer.model}
        assert models == {"house/medium"} == {raw.headers["x-ofox-model"]}


@pytest.mark.parametrize("stream", [False, True])
def test_messages_fall_back_too(site: Site, upstream: Upstream, stream: bool) -> None:
    """A failing provider is left before the first event, also where LiteLLM makes up the first event itself."""
    upstream.behave("large", status=503)
    upstream.behave("small", status=503)
    body = {"model": "auto", "max_tokens": 50, "messages": ASK, "stream": stream}
    answer = site.http.post("/v1/messages", json=body)
    assert answer.status_code == 200 and answer.headers["x-ofox-model"] == "house/medium"
    assert "house/medium" in answer.text and '"error"' not in answer.text


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_lacks_something_is_passed_over(site: Site, upstream: Upstream, stream: bool) -> None:
    """A 400 that tells of a lack goes to the next model and is remembered; any other one is the answer."""
    first = site.router.decide({"messages": ASK}).model
    upstream.behave(
        first.partition("/")[2], status=400,
        message="This model's maximum context length is 8192 tokens. However, your messages resulted in 99000 tokens.",
    )  # fmt: skip
    # Not believed of a prompt as short as this one.
    assert site.http.post("/v1/chat/completions", json={"model": "auto", "messages": ASK}).status_code == 400
    param = {"top_p": 0.5} if stream else {"presence_penalty": 0.5}
    message = f"Unsupported parameter: '{next(iter(param))}' is not supported with this model."
    upstream.behave(first.partition("/")[2], status=400, message=message)
    for attempts in ("2", "1"):
        seen = site.http.post(
            "/v1/chat/completions", json={"model": "auto", "messages": ASK, "stream": stream, **param}
        )
        assert (seen.status_code, seen.headers["x-ofox-attempts"]) == (200, attempts), seen.text
        assert seen.headers["x-ofox-model"] != first
    assert site.router.health.view(first, 1.0, 0.01).state == "closed"


def test_retries_are_the_middlewares(site: Site, upstream: Upstream) -> None:
    """LiteLLM does not retry behind the middleware's back."""
    upstream.behave("small", status=500)
    with pytest.raises(openai.InternalServerError):
        site.chat("other/small")
    assert upstream.models() == ["small"]


def test_leaving_a_stream_ends_the_providers(site: Site, upstream: Upstream) -> None:
    """A caller that leaves in the middle of a stream ends the request upstream."""
    upstream.behave("small", stall_after=1)
    aborted = upstream.aborted
    body = {"model": "other/small", "messages": ASK, "stream": True}
    with site.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    for _ in range(600):
        if upstream.aborted > aborted:
            break
        time.sleep(0.05)
    assert upstream.aborted == aborted + 1


def test_leaving_cancels_the_call() -> None:
    """A caller that leaves before the answer cancels the call to the provider."""
    ended: list[str] = []

    async def call() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    class Request:
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0)
            return {"type": "http.disconnect"}

    async def main() -> None:
        with pytest.raises(gateway_module._CallerLeft):
            await gateway_module._unless_left(Request(), call())  # type: ignore[arg-type]

    asyncio.run(main())
    assert ended == ["cancelled"]


def test_being_cancelled_cancels_the_call() -> None:
    """When the middleware gives an attempt up, the call to the provider does not run on."""
    ended: list[str] = []

    async def call() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("over")

    class Request:
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(60)
            raise AssertionError

    async def main() -> None:
        task = asyncio.create_task(gateway_module._unless_left(Request(), call()))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ended == ["over"]


def test_dry_run_calls_no_model(site: Site, upstream: Upstream) -> None:
    """``x-ofox-dry-run`` answers with the decision."""
    body = {"model": "auto", "messages": ASK}
    decision = site.http.post("/v1/chat/completions", json=body, headers={"x-ofox-dry-run": "true"}).json()
    assert decision["model"] in MODELS and len(decision["candidates"]) == 3
    assert not upstream.seen


def test_nothing_stays_in_flight_and_each_request_counts_once(site: Site, upstream: Upstream) -> None:
    """After answers, failures and fallbacks nothing is in flight, and the log has one outcome per request."""
    upstream.behave("small", status=500)
    for _ in range(4):
        site.chat(extra_body={"model_routing_config": {"preference": "cost"}})
    assert site.router.health.in_flight() == 0
    outcomes = [entry.outcome for entry in site.log.recent()]
    assert len(outcomes) == 4 and all(outcome is not None and outcome["ok"] for outcome in outcomes)


def test_tools_work_without_litellms_proxy_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mcp package is absent LiteLLM is told not to look for its MCP tools, which would fail."""
    seen: dict[str, Any] = {}

    class LiteLLM:
        async def acompletion(self, **fields: Any) -> Any:
            seen.update(fields)
            raise RuntimeError("enough")

    router = SmartRouter(Settings(models=["openai/gpt-4o"]))
    gateway = gateway_module.Gateway(router, LiteLLM())
    body = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    app = Starlette(routes=[Route("/", gateway.endpoint("chat"), methods=["POST"])])
    for installed, extra, expected in (
        (False, {"tools": [tool]}, True),
        (False, {}, False),
        (True, {"tools": [tool]}, False),
    ):
        seen.clear()
        monkeypatch.setattr(gateway_module, "_has_mcp", lambda installed=installed: installed)
        raw = json.dumps({**body, **extra}).encode()
        asyncio.run(call(app, raw, path="/"))
        assert ("_skip_mcp_handler" in seen) is expected
    assert seen["model"] == "openai/gpt-4o"


def test_a_key_that_is_not_set_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM would send the provider's usual key to the card's address; the call is not made, and the reason told."""
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    params = {"api_base": "http://127.0.0.1:9", "api_key": "os.environ/HOUSE_KEY"}
    router = SmartRouter(Settings(models=[ModelCard(name="house", model="openai/x", params=params)]))
    app = Starlette(routes=[Route("/", gateway_module.Gateway(router, object()).endpoint("chat"), methods=["POST"])])
    answer = asyncio.run(call(app, json.dumps({"model": "house", "messages": ASK}).encode(), path="/"))
    assert answer.status == 502 and b"HOUSE_KEY, which house needs, is not set." in answer.body
