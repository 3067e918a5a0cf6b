"""Parameters that models refuse, in a real proxy: what LiteLLM knows of, and what only the provider's 400 tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import MODELS, chat, config
from tests.litellm.proxy import Proxy, deployment, running_proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

SAID = "Unsupported parameter: '{}' is not supported with this model."
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def adapting(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """A proxy with `adapt_params`. LiteLLM knows the models of `thinker` and `gpt`, not those of the others."""
    settings: dict[str, Any] = config(provider.base_url, adapt_params=True, preference="cost")
    settings["model_list"] = [
        deployment("thinker", "o3-mini", provider.base_url, ofox=MODELS["mid"]),
        deployment("gpt", "gpt-5-mini", provider.base_url, ofox=MODELS["mid"]),
        deployment("house", "prov-house", provider.base_url, ofox=MODELS["mid"]),
        deployment("other", "prov-other", provider.base_url, ofox=MODELS["mid"]),
        {
            "model_name": "claude",
            "litellm_params": {
                "model": "anthropic/claude-house", "api_base": provider.base_url, "api_key": "sk-upstream",
            },
            "model_info": {"id": "id-claude", "ofox": MODELS["mid"]},
        },
    ]  # fmt: skip
    settings["router_settings"] = {"num_retries": 0, "disable_cooldowns": True}
    with running_proxy(settings, tmp_path_factory.mktemp("adapting")) as proxy:
        yield proxy


@pytest.fixture
def proxy(adapting: Proxy, upstream: Upstream) -> Proxy:
    httpx.post(f"{adapting.base_url}/_reset", timeout=30)
    return adapting


def pool(*models: str) -> dict[str, Any]:
    return {"model_routing_config": {"models": list(models)}}


@pytest.mark.parametrize("stream", [False, True])
def test_litellm_drops_what_it_knows_a_model_to_reject(proxy: Proxy, upstream: Upstream, stream: bool) -> None:
    """The parameter never reaches the model; beside tools nothing is dropped, and the caller hears LiteLLM's error."""
    answer = proxy.post("/v1/chat/completions", chat(temperature=0.3, stream=stream, **pool("thinker")))
    assert answer.status_code == 200, answer.text
    assert "temperature" not in upstream.seen[-1].body
    answer = proxy.post("/v1/chat/completions", chat(temperature=0.3, tools=TOOLS, **pool("thinker")))
    assert answer.status_code == 400
    assert len(upstream.seen) == 1


def test_what_litellm_does_not_know_is_learned(proxy: Proxy, upstream: Upstream) -> None:
    """The first 400 sends the request to another model; from then on the parameter is left out for that model alone,
    beside tools too, and the tools stay."""
    upstream.behave("prov-house", status=400, message=SAID.format("temperature"), rejects=b'"temperature"')
    ask = chat(temperature=0.3, tools=TOOLS, **pool("house", "other"))
    answers = [proxy.post("/v1/chat/completions", {**ask, "user": f"u{n}"}) for n in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    house = [seen.body for seen in upstream.seen if seen.body["model"] == "prov-house"]
    assert sum("temperature" in body for body in house) <= 1
    assert all("tools" in body for body in house)
    others = [seen.body for seen in upstream.seen if seen.body["model"] == "prov-other"]
    assert all(body["temperature"] == 0.3 for body in others)
    assert house, "the model was never tried"
    upstream.behave("prov-other", status=500)
    answers = [proxy.post("/v1/chat/completions", {**ask, "user": f"v{n}"}) for n in range(4)]
    assert {answer.status_code for answer in answers} == {200}, "a fallback is adapted to its own model"
    assert "temperature" not in upstream.seen[-1].body


def test_a_single_model_answers_from_the_second_request_on(proxy: Proxy, upstream: Upstream) -> None:
    """With nobody else to ask the first caller gets the provider's 400, the next an answer."""
    upstream.behave("prov-house", status=400, message=SAID.format("temperature"), rejects=b'"temperature"')
    statuses = [proxy.post("/v1/chat/completions", chat(temperature=0.3, **pool("house"))).status_code for _ in "ab"]
    assert statuses == [400, 200]
    assert "temperature" not in upstream.seen[-1].body


def test_a_part_of_a_member_is_left_out(proxy: Proxy, upstream: Upstream) -> None:
    """Responses: the summary of a thought goes, the effort stays; another effort takes the place of one refused."""
    upstream.behave("gpt-5-mini", status=400, message=SAID.format("reasoning.summary"), rejects=b'"summary"')
    ask = {"model": "auto", "input": "hi", "reasoning": {"effort": "minimal", "summary": "auto"}, **pool("gpt")}
    statuses = [proxy.post("/v1/responses", ask).status_code for _ in "ab"]
    assert statuses == [400, 200]
    assert upstream.seen[-1].body["reasoning"] == {"effort": "minimal"}
    said = "Unsupported value: 'reasoning.effort' does not support 'minimal' with this model."
    upstream.behave("gpt-5-mini", status=400, message=said, rejects=b"minimal")
    statuses = [proxy.post("/v1/responses", ask).status_code for _ in "ab"]
    assert statuses == [400, 200]
    assert upstream.seen[-1].body["reasoning"] == {"effort": "low"}


def test_thinking_that_a_model_does_not_know(proxy: Proxy, upstream: Upstream) -> None:
    """Messages: a model that refuses `thinking` is asked without it once there is nobody better."""
    said = "thinking: Extra inputs are not permitted"
    upstream.behave("claude-house", status=400, message=said, rejects=b'"thinking"')
    thinking = {"type": "enabled", "budget_tokens": 1024}
    ask = {"model": "auto", "max_tokens": 2048, "messages": chat()["messages"], "thinking": thinking, **pool("claude")}
    statuses = [proxy.post("/v1/messages", ask).status_code for _ in "ab"]
    assert statuses == [400, 200], json.dumps([seen.body for seen in upstream.seen])
    assert "thinking" not in upstream.seen[-1].body
