"""The gateway over a provider on loopback: real LiteLLM, real clients, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx
import litellm
import openai
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from ofox_middleware import gateway as gateway_module
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.gateway import LOOPBACK, create_app
from ofox_middleware.hedging import SHARE
from ofox_middleware.router import SmartRouter
from ofox_middleware.server import background, listen
from ofox_middleware.settings import Settings
from ofox_middleware.types import Preference
from tests.asgi.harness import call
from tests.litellm.upstream import WORDS, Upstream, running_upstream

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema"),
    # It also leaves connections open, which are collected at any time.
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

TEXT = "".join(WORDS)
ASK: list[Any] = [{"role": "user", "content": "What is six times seven?"}]
MODELS = ("house/large", "house/medium", "other/small")


def card(name: str, upstream: Upstream, **facts: Any) -> ModelCard:
    """A model of the upstream; its address and key are the operator's, kept in the card."""
    size = name.partition("/")[2]
    params = {"api_base": upstream.base_url, "api_key": "os.environ/HOUSE_KEY"}
    return ModelCard(
        name=name, model=f"openai/{size}", params=params, max_input_tokens=100_000, supports_vision=True,
        supports_function_calling=True, **facts,
    )  # fmt: skip


class Site:
    """A running gateway and its clients."""

    def __init__(self, url: str, router: SmartRouter, log: DecisionStore) -> None:
        self.url = url
        self.router = router
        self.log = log
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="caller", max_retries=0, timeout=30)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key="caller", max_retries=0, timeout=30)

    def close(self) -> None:
        for client in (self.http, self.openai, self.anthropic):
            client.close()

    def chat(self, model: str = "auto", **more: Any) -> Any:
        """One plain chat request, with its headers."""
        return self.openai.chat.completions.with_raw_response.create(model=model, messages=ASK, **more)


@pytest.fixture(scope="module")
def provider() -> Iterator[Upstream]:
    """The provider that every model of the pool is served by."""
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The provider, well and without memories."""
    provider.reset()
    return provider


@pytest.fixture
def site(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A gateway over three models of the upstream."""
    monkeypatch.setenv("HOUSE_KEY", "operators-own-key")
    cards = [
        card("house/large", upstream, ability=0.95, input_cost_per_token=5e-6, output_cost_per_token=2e-5,
             ttft_s=0.9, tokens_per_s=50),
        card("house/medium", upstream, ability=0.8, input_cost_per_token=1e-6, output_cost_per_token=4e-6,
             ttft_s=0.5, tokens_per_s=100),
        card("other/small", upstream, ability=0.6, input_cost_per_token=1e-7, output_cost_per_token=4e-7,
             ttft_s=0.1, tokens_per_s=300),
    ]  # fmt: skip
    router, log = SmartRouter(Settings(models=cards, seed=1)), DecisionStore()
    router.subscribe(log)
    listener = listen("127.0.0.1", 0)
    with background(create_app(router, trusted_hosts=LOOPBACK), listener):
        running = Site(f"http://127.0.0.1:{listener.getsockname()[1]}", router, log)
        yield running
        running.close()
    log.close()
    # LiteLLM's callbacks are the process's, and would go on feeding the health of a router that is gone.
    litellm.logging_callback_manager._reset_all_callbacks()


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


@pytest.mark.parametrize("preference", [item.value for item in Preference])
def test_auto_streams_name_the_model_in_every_chunk(site: Site, preference: str) -> None:
    """A stream is real server-sent events that end with ``[DONE]``, each naming the pool's model."""
    body = {"model": "auto", "messages": ASK, "stream": True, "model_routing_config": {"preference": preference}}
    with site.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["model"] for chunk in chunks} == {answer.headers["x-ofox-model"]}
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == TEXT


@pytest.mark.parametrize("model", ["auto", "other/small"])
def test_the_provider_gets_the_operators_key_and_nothing_of_ours(site: Site, upstream: Upstream, model: str) -> None:
    """The provider sees the operator's key, the plain model name, and neither our config nor the caller's key."""
    site.chat(model, extra_body={"model_routing_config": {"preference": "cost"}, "metadata": {"a": "b"}})
    seen = upstream.seen[0]
    assert seen.headers["authorization"] == "Bearer operators-own-key"
    assert not {"model_routing_config", "metadata", "api_base", "api_key"} & set(seen.body)
    assert b"caller" not in seen.raw


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


@pytest.mark.parametrize("page", ["<html>gateway</html>", '{"id": "x", "choi'])
@pytest.mark.parametrize("surface", ["chat", "messages", "responses"])
def test_a_page_in_answer_to_a_streamed_request_is_a_failure(
    site: Site, upstream: Upstream, surface: str, page: str
) -> None:
    """A 200 that is no stream, of which LiteLLM makes an empty one, counts against the model; another one answers."""
    upstream.behave("small", page=page)
    body: dict[str, Any] = {"input": "Say hi."} if surface == "responses" else {"messages": ASK, "max_tokens": 20}
    path = "/v1/chat/completions" if surface == "chat" else f"/v1/{surface}"
    told = site.http.post(
        path, json={"model": "auto", "stream": True, **body, "model_routing_config": {"preference": "cost"}}
    )
    served = told.headers["x-ofox-model"]
    assert (told.status_code, served in MODELS[:2]) == (200, True)
    assert "two" in told.text
    health = site.router.health.snapshot()
    assert [(health[name]["ok"], health[name]["failed"]) for name in ("other/small", served)] == [(0, 1), (1, 0)]


def test_when_everybody_fails_the_caller_is_told(site: Site, upstream: Upstream) -> None:
    """The last failure is passed on with its status, the attempts are counted, and the models are asked once each."""
    for size in ("large", "medium", "small"):
        upstream.behave(size, status=503, message="out of order")
    with pytest.raises(openai.InternalServerError) as caught:
        site.chat()
    assert caught.value.status_code == 503 and "out of order" in caught.value.message
    assert caught.value.response.headers["x-ofox-attempts"] == "3"
    assert sorted(upstream.models()) == ["large", "medium", "small"]


def test_retries_are_the_middlewares(site: Site, upstream: Upstream) -> None:
    """LiteLLM does not retry behind the middleware's back."""
    upstream.behave("small", status=500)
    with pytest.raises(openai.InternalServerError):
        site.chat("other/small")
    assert upstream.models() == ["small"]


def test_a_rate_limit_keeps_its_retry_after(site: Site, upstream: Upstream) -> None:
    """A 429 for a model asked for by name comes with the provider's ``Retry-After``."""
    upstream.behave("small", status=429, retry_after="17")
    with pytest.raises(openai.RateLimitError) as caught:
        site.chat("other/small")
    assert caught.value.response.headers["retry-after"] == "17"


def test_a_refused_operator_key_is_a_bad_gateway(site: Site, upstream: Upstream) -> None:
    """The provider's 401 is not shown as the caller's."""
    upstream.behave("small", status=401, message="bad key sk-abcdefgh12345")
    with pytest.raises(openai.InternalServerError) as caught:
        site.chat("other/small")
    assert caught.value.status_code == 502 and "abcdefgh" not in caught.value.message


def test_a_refused_key_moves_on_to_the_next_model(site: Site, upstream: Upstream) -> None:
    """A provider that refuses the operator's key is a reason to try another."""
    upstream.behave("small", status=401)
    raw = site.chat(extra_body={"model_routing_config": {"preference": "cost", "models": ["other/*", "house/*"]}})
    assert raw.parse().model.startswith("house/")


def test_a_stream_that_breaks_says_so(site: Site, upstream: Upstream) -> None:
    """A failure after content is an error event in place of ``[DONE]``."""
    upstream.behave("small", break_after=2)
    body = {"model": "other/small", "messages": ASK, "stream": True}
    lines = [line for line in site.http.post("/v1/chat/completions", json=body).text.splitlines() if line]
    assert "error" in json.loads(lines[-1].removeprefix("data: "))
    assert "[DONE]" not in "".join(lines)


def test_leaving_a_stream_ends_the_providers(site: Site, upstream: Upstream) -> None:
    """A caller that leaves in the middle of a stream ends the request upstream."""
    upstream.behave("small", chunk_delay_s=0.5)
    aborted = upstream.aborted
    body = {"model": "other/small", "messages": ASK, "stream": True}
    with site.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    for _ in range(100):
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


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"{", 400, "invalid_json"), (b"[]", 400, "invalid_json"), (b"[" * 100_000, 400, "invalid_json"),
     (b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, "invalid_json"),
     (b'{"model": "auto", "messages": [{"role": "user", "content": 5}]}', 400, "invalid_type")],
)  # fmt: skip
def test_bodies_that_are_no_requests(site: Site, content: bytes, status: int, code: str) -> None:
    """What is not a JSON object is refused with a clear word, however odd."""
    answer = site.http.post("/v1/chat/completions", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_only_json_is_read(site: Site) -> None:
    """A web page cannot post plain text here from another origin."""
    answer = site.http.post("/v1/messages", content=b"{}", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert answer.json()["type"] == "error"


def test_a_page_cannot_give_the_gateway_a_name_of_its_own(site: Site) -> None:
    """A ``Host`` header that is not loopback is refused."""
    assert site.http.get("/healthz", headers={"host": "rebound.example"}).status_code == 400


def test_dry_run_calls_no_model(site: Site, upstream: Upstream) -> None:
    """``x-ofox-dry-run`` answers with the decision."""
    body = {"model": "auto", "messages": ASK}
    decision = site.http.post("/v1/chat/completions", json=body, headers={"x-ofox-dry-run": "true"}).json()
    assert decision["model"] in MODELS and len(decision["candidates"]) == 3
    assert not upstream.seen


def test_a_wrong_config_is_refused_in_both_protocols(site: Site) -> None:
    """A wrong ``model_routing_config`` is a 400 in the protocol's own shape."""
    body = {"model": "auto", "max_tokens": 5, "messages": ASK, "model_routing_config": {"preference": "best"}}
    chat = site.http.post("/v1/chat/completions", json=body)
    assert chat.status_code == 400 and chat.json()["error"]["param"] == "model_routing_config.preference"
    messages = site.http.post("/v1/messages", json=body)
    assert messages.status_code == 400 and messages.json()["type"] == "error"


def test_nothing_stays_in_flight_and_each_request_counts_once(site: Site, upstream: Upstream) -> None:
    """After answers, failures and fallbacks nothing is in flight, and the log has one outcome per request."""
    upstream.behave("small", status=500)
    for _ in range(4):
        site.chat(extra_body={"model_routing_config": {"preference": "cost"}})
    assert site.router.health.in_flight() == 0
    outcomes = [entry.outcome for entry in site.log.recent()]
    assert len(outcomes) == 4 and all(outcome is not None and outcome["ok"] for outcome in outcomes)


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


# The process -------------------------------------------------------------------------------------------------------

CONFIG = """
models:
  - {{name: house/large, model: openai/large, ability: 0.95, params: {params}, supports_vision: true,
     input_cost_per_token: 5.0e-6, output_cost_per_token: 2.0e-5}}
  - {{name: other/small, model: openai/small, ability: 0.50, params: {params}, supports_vision: false,
     input_cost_per_token: 1.0e-7, output_cost_per_token: 4.0e-7}}
preference: cost
hedge: true
"""


@pytest.fixture(scope="module")
def served(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    """``ofox serve --config FILE`` as a process, and a client for it."""
    config = tmp_path_factory.mktemp("serve") / "ofox.yaml"
    params = f"{{api_base: '{provider.base_url}', api_key: os.environ/HOUSE_KEY}}"
    config.write_text(CONFIG.format(params=params), "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "ofox_middleware", "serve", "--config", str(config), "--port", "0", "--json"],
        env={**os.environ, "HOUSE_KEY": "operators-own-key", "XDG_STATE_HOME": str(config.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with openai.OpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
            yield client
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 130 and "Traceback" not in errors
    finally:
        process.kill()
        process.wait()


def test_the_process_serves_chat(served: openai.OpenAI, upstream: Upstream) -> None:
    """``ofox serve`` answers a chat request, plain and streamed, over the configured provider."""
    answer = served.chat.completions.create(model="auto", messages=ASK)
    assert answer.model == "other/small" and answer.choices[0].message.content == TEXT
    assert upstream.seen[0].headers["authorization"] == "Bearer operators-own-key"
    chunks = list(served.chat.completions.create(model="auto", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT


def test_the_process_serves_text_completions(served: openai.OpenAI, upstream: Upstream) -> None:
    """``/v1/completions`` works plain and streamed."""
    # In a process of its own: on this surface LiteLLM leaves a connection per call open, an error in these tests.
    answer = served.completions.create(model="auto", prompt="Six times seven is")
    assert answer.choices[0].text == TEXT and answer.model == "other/small"
    chunks = list(served.completions.create(model="auto", prompt="Six times seven is", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == TEXT
    assert {chunk.model for chunk in chunks} == {"other/small"}


def test_the_process_survives_a_failing_model(served: openai.OpenAI, upstream: Upstream) -> None:
    """With the pick failing, the other model answers, plain and streamed."""
    upstream.behave("small", status=503)
    assert served.chat.completions.create(model="auto", messages=ASK).model == "house/large"
    chunks = list(served.chat.completions.create(model="auto", messages=ASK, stream=True))
    assert {chunk.model for chunk in chunks} == {"house/large"}


def test_the_process_hedges_a_stream_that_is_late(served: openai.OpenAI, upstream: Upstream) -> None:
    """With `hedge` and `speed`, a stream that is late is asked of the other model too, and that one is the answer."""
    until = time.monotonic() + 480
    with httpx.Client(base_url=str(served.base_url).replace("/v1/", "/ofox/api"), trust_env=False, timeout=60) as api:

        def known() -> set[str]:
            """The models of which it is known what is usual: each stream to one of them earns a part of a hedge."""
            return {row["name"] for row in api.get("/status").json()["models"] if row["ttft_p95_s"] is not None}

        def streamed() -> Any:
            asked = served.chat.completions.with_raw_response.create(
                model="auto", messages=ASK, stream=True, extra_body={"model_routing_config": {"preference": "speed"}}
            )
            chunks = list(asked.parse())
            assert {chunk.model for chunk in chunks} == {asked.headers["x-ofox-model"]}
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == TEXT
            return asked.headers

        upstream.behave("large", delay_s=0.5)  # so that the small one is the pick
        saved = 0.0
        while saved < 1.0 + SHARE:  # on a busy machine some of these are late by themselves and spend a hedge
            assert time.monotonic() < until, "no hedge could be saved up"
            usual, headers = known(), streamed()
            hedged = headers["x-ofox-attempts"] == "2"
            saved += SHARE * (hedged or headers["x-ofox-model"] in usual) - hedged
        upstream.behave("small", delay_s=30.0)
        while (headers := streamed())["x-ofox-attempts"] != "2":
            assert headers["x-ofox-model"] == "house/large", "the late one was not hedged"
            assert time.monotonic() < until, "the small one was not picked"
        assert headers["x-ofox-model"] == "house/large"
        while not (outcome := api.get(f"/decisions/{headers['x-ofox-decision-id']}").json().get("outcome")):
            assert time.monotonic() < until, "the outcome was not kept"
            time.sleep(0.05)
    assert outcome["attempts"] == ["other/small", "house/large"]
    assert outcome["failures"] == ["overtaken"]


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


START = b'event: message_start\ndata: {"type": "message_start", "message": {"model": "m"}}\n\n'
DELTA = b'event: content_block_delta\ndata: {"type": "content_block_delta"}\n\n'
OVERLOADED = b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}\n\n'


@pytest.mark.parametrize(
    ("pieces", "status", "holds"),
    [
        ([START + DELTA], 200, b"content_block_delta"),
        ([START[:30], START[30:] + DELTA], 200, b'"model":"house/large"'),
        ([START + OVERLOADED], 503, b"busy"),
        ([START], 502, b"ended without an answer"),
        ([], 502, b"ended without an answer"),
    ],
)
def test_an_anthropic_stream_in_any_pieces(pieces: list[bytes], status: int, holds: bytes) -> None:
    """A stream that comes in one piece is sent, one that begins with an error or says nothing has its status."""

    async def stream() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    class LiteLLM:
        async def anthropic_messages(self, **fields: Any) -> Any:
            return stream()

    gateway = gateway_module.Gateway(SmartRouter(Settings(models=["house/large"])), LiteLLM())
    app = Starlette(routes=[Route("/", gateway.endpoint("messages"), methods=["POST"])])
    raw = json.dumps({"model": "house/large", "max_tokens": 9, "stream": True, "messages": ASK}).encode()
    answer = asyncio.run(call(app, raw, path="/"))
    assert answer.status == status and holds in answer.body


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


def test_a_key_that_is_not_set_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM would send the provider's usual key to the card's address; the call is not made, and the reason told."""
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    params = {"api_base": "http://127.0.0.1:9", "api_key": "os.environ/HOUSE_KEY"}
    router = SmartRouter(Settings(models=[ModelCard(name="house", model="openai/x", params=params)]))
    app = Starlette(routes=[Route("/", gateway_module.Gateway(router, object()).endpoint("chat"), methods=["POST"])])
    answer = asyncio.run(call(app, json.dumps({"model": "house", "messages": ASK}).encode(), path="/"))
    assert answer.status == 502 and b"HOUSE_KEY, which house needs, is not set." in answer.body
