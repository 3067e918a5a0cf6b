"""Tokens and cost of routed requests in LiteLLM's own record, by which it keeps budgets: like a named model's."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import MODELS, routing
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

COUNTED = (11, 20)
"""What the simulated provider says that an answer took; LiteLLM's own guess is another."""
COST = 11 * MODELS["mid"]["input_cost_per_token"] + 20 * MODELS["mid"]["output_cost_per_token"]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Say hi."}]},
    "/v1/completions": {"prompt": "Say hi."},
    "/v1/responses": {"input": "Say hi."},
    "/v1/messages": {"messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 100},
}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"stream_options": None},
    {"stream_options": {"include_usage": False}},
    {"stream_options": {"include_usage": True}},
]
MID = routing(models=["mid"], preference="cost")
TWO = routing(models=["mid", "dear"], preference="cost")
HARD = {"messages": [{"role": "user", "content": "Prove the spectral theorem for unbounded normal operators."}]}
CHAT = "/v1/chat/completions"


def ask(proxy: Proxy, path: str, model: str = "auto", **fields: Any) -> Any:
    """An answer, and LiteLLM's record of it. `auto` is `mid` unless ``fields`` say otherwise."""
    if model == "auto":
        fields = {**MID, **fields}
    answer = proxy.post(path, {"model": model, **BODIES[path], **fields})
    assert answer.status_code == 200, answer.text
    return answer, proxy.record(answer)


def tokens(record: dict[str, Any]) -> tuple[int, int]:
    return record["prompt_tokens"], record["completion_tokens"]


def seen(answer: httpx.Response) -> str:
    """What the client sees, without what differs between any two answers."""
    text = re.sub(r'"id":\s*"[^"]*"', '"id":""', answer.text)
    return re.sub(r'"created":\s*\d+', '"created":0', text)


@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
@pytest.mark.parametrize("path", [CHAT, "/v1/completions"])
def test_a_stream_is_counted_and_shown_as_that_of_a_named_model(
    proxy: Proxy, upstream: Upstream, path: str, options: dict[str, Any]
) -> None:
    """The same is asked of the provider, the same stands in the record, and the client sees the same chunks: a chunk
    with the usage only when it asked for one."""
    named, of_named = ask(proxy, path, "mid", stream=True, **options)
    routed, of_routed = ask(proxy, path, stream=True, **options)
    asked = [request.body.get("stream_options") for request in upstream.seen]
    assert asked[0] == asked[1]
    assert seen(routed) == seen(named)
    assert tokens(of_routed) == tokens(of_named)
    assert of_routed["response_cost"] == of_named["response_cost"]
    if path == CHAT:
        wanted = (options.get("stream_options") or {}).get("include_usage", False)
        assert ("completion_tokens" in routed.text) == wanted
        assert tokens(of_routed) == COUNTED
        assert of_routed["response_cost"] == pytest.approx(COST)


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_the_operators_word_on_usage_holds(
    proxy: Proxy, upstream: Upstream, always: bool, options: dict[str, Any]
) -> None:
    """With `always_include_stream_usage` on every client is shown the usage, with it off nobody is asked unbidden."""
    httpx.post(f"{proxy.base_url}/_general", json={"always_include_stream_usage": always}, timeout=30)
    named, of_named = ask(proxy, CHAT, "mid", stream=True, **options)
    routed, of_routed = ask(proxy, CHAT, stream=True, **options)
    asked = [request.body.get("stream_options") for request in upstream.seen]
    assert asked[0] == asked[1]
    assert seen(routed) == seen(named)
    assert tokens(of_routed) == tokens(of_named)
    if not options:
        assert ("completion_tokens" in routed.text) is always


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_every_surface_costs_what_it_costs_by_name(proxy: Proxy, path: str, stream: bool) -> None:
    """Plain and streamed. Of some, LiteLLM 1.106 counts too little also when the model is named."""
    _, named = ask(proxy, path, "mid", stream=stream)
    _, routed = ask(proxy, path, stream=stream)
    assert (tokens(routed), routed["response_cost"]) == (tokens(named), named["response_cost"])
    assert tokens(routed) == COUNTED or (path, stream) == ("/v1/completions", True)


def test_a_fallback_of_a_stream_is_counted(proxy: Proxy, upstream: Upstream) -> None:
    """The model that answers is asked for its tokens as the pick was."""
    upstream.behave("prov-mid", status=500)
    answer, record = ask(proxy, CHAT, stream=True, **TWO)
    assert (answer.headers["x-ofox-model"], record["model_group"]) == ("dear", "dear")
    assert tokens(record) == COUNTED
    assert "completion_tokens" not in answer.text


@pytest.mark.parametrize(
    ("preference", "failing", "answering"), [("cost", "claude-house", "dear"), ("quality", "prov-dear", "claude")]
)
def test_only_those_that_take_it_are_asked(
    proxy: Proxy, upstream: Upstream, claude: str, preference: str, failing: str, answering: str
) -> None:
    """Among models of which one takes no `stream_options`, whichever answers is counted."""
    upstream.behave(failing, status=500)
    answer, record = ask(
        proxy, CHAT, stream=True, **(HARD if preference == "quality" else {}),
        **routing(models=[claude, "dear"], preference=preference),
    )  # fmt: skip
    assert answer.headers["x-ofox-model"] == answering
    asked = {request.body["model"]: request.body.get("stream_options") for request in upstream.seen}
    assert asked == {"claude-house": None, "prov-dear": {"include_usage": True}}
    assert (record["model_group"], tokens(record)) == (answering, COUNTED)
    assert "completion_tokens" not in answer.text


def test_a_model_that_refuses_to_be_asked_is_not_asked_again(proxy: Proxy, upstream: Upstream) -> None:
    """Its first 400 sends the request on; from then on it is left to LiteLLM to count."""
    refusal = "Unrecognized request argument supplied: stream_options"
    upstream.behave("prov-mid", status=400, message=refusal, rejects=b"include_usage")
    answer, _ = ask(proxy, CHAT, stream=True, **TWO)
    assert answer.headers["x-ofox-model"] == "dear"
    answer, _ = ask(proxy, CHAT, stream=True, **TWO)
    assert answer.headers["x-ofox-model"] == "mid"
    assert "stream_options" not in upstream.seen[-1].body
