"""Responses, Messages and text completions through a real proxy process, with the real clients."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai
import pytest

from tests.litellm.conftest import routing
from tests.litellm.proxy import MASTER_KEY, Proxy
from tests.litellm.upstream import WORDS, Upstream

pytestmark = pytest.mark.proxy

TEXT = "".join(WORDS)
COST = routing(preference="cost")
BODIES: dict[str, dict[str, Any]] = {
    "/v1/responses": {"model": "auto", "input": "Say hi."},
    "/v1/messages": {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Say hi."}]},
    "/v1/completions": {"model": "auto", "prompt": "Say hi."},
}
surfaces = pytest.mark.parametrize("path", BODIES)
plain_and_streamed = pytest.mark.parametrize("stream", [False, True])


def names(text: str, *, stream: bool) -> set[str]:
    """Every model that an answer names, at the top or in an event's response or message."""
    frames = [line[5:].strip() for line in text.splitlines() if line.startswith("data:")] if stream else [text]
    found = set()
    for frame in frames:
        if frame == "[DONE]":
            continue
        payload = json.loads(frame)
        for holder in (payload, payload.get("response"), payload.get("message")):
            if isinstance(holder, dict) and holder.get("model"):
                found.add(holder["model"])
    return found


@surfaces
@plain_and_streamed
def test_the_answer_names_the_pools_model(proxy: Proxy, upstream: Upstream, path: str, stream: bool) -> None:
    """Plain and on every event that names a model; headers agree, and nothing of ours reaches the provider."""
    answer = proxy.post(path, {**BODIES[path], "stream": stream, **COST})
    assert answer.status_code == 200, answer.text
    assert names(answer.text, stream=stream) == {"cheap"}
    assert answer.headers["x-ofox-model"] == "cheap"
    assert upstream.models() == ["prov-cheap"]
    assert b"ofox" not in upstream.seen[0].raw
    assert b"model_routing_config" not in upstream.seen[0].raw
    assert proxy.settled()["in_flight"] == 0


@pytest.mark.parametrize(
    ("path", "stream"),
    [(path, stream) for path in BODIES for stream in (False, True) if (path, stream) != ("/v1/completions", True)],
)
def test_a_failing_pick_falls_back(proxy: Proxy, upstream: Upstream, path: str, stream: bool) -> None:
    """The next candidate answers under its own name."""
    upstream.behave("prov-cheap", status=503)
    answer = proxy.post(path, {**BODIES[path], "stream": stream, **COST})
    assert answer.status_code == 200, answer.text
    served = upstream.models()[-1].removeprefix("prov-")
    assert served != "cheap"
    assert names(answer.text, stream=stream) == {served}
    view = proxy.settled()
    assert view["in_flight"] == 0


def test_a_text_stream_that_fails_is_answered_by_the_next(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM by itself falls back on no text stream: a model that is named ends with its error, `auto` goes on."""
    upstream.behave("prov-cheap", status=503)
    asked = {**BODIES["/v1/completions"], "stream": True, "fallbacks": ["mid"]}
    routed = proxy.post("/v1/completions", {**asked, **COST})
    assert "forty" in routed.text
    assert proxy.post("/v1/completions", {**asked, "model": "cheap"}).status_code == 503
    assert upstream.models() == ["prov-cheap", "prov-mid", "prov-cheap"]
    assert proxy.settled()["in_flight"] == 0


@surfaces
def test_errors_have_the_shape_of_the_surface(proxy: Proxy, upstream: Upstream, path: str) -> None:
    """OpenAI's error object, or Anthropic's on /v1/messages."""
    answer = proxy.post(path, {**BODIES[path], **routing(preference="best")})
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"]["type"] == "invalid_request_error"
    assert "unknown preference" in body["error"]["message"]
    if path == "/v1/messages":
        assert body["type"] == "error"
    else:
        assert body["error"]["param"] == "model_routing_config.preference"
    assert upstream.seen == []


@surfaces
def test_access_is_checked(proxy: Proxy, upstream: Upstream, path: str) -> None:
    """The restricted key's 403 and its one allowed model, as on chat."""
    assert proxy.post(path, BODIES[path], key="sk-auto").status_code == 403
    assert upstream.seen == []
    answer = proxy.post(path, {**BODIES[path], **routing(preference="quality")}, key="sk-auto-cheap")
    assert names(answer.text, stream=False) == {"cheap"}


@surfaces
def test_a_dry_run_calls_nobody(proxy: Proxy, upstream: Upstream, path: str) -> None:
    """The decision's JSON; on /v1/messages as the text of a message, which is all that LiteLLM lets a hook say."""
    answer = proxy.post(path, {**BODIES[path], **COST}, headers={"x-ofox-dry-run": "true"})
    assert answer.status_code == 200
    shown = answer.json()
    if path == "/v1/messages":
        shown = json.loads(shown["content"][0]["text"])
    assert shown["model"] == "cheap"
    assert upstream.seen == []


def test_a_continued_response_stays_with_its_keeper(proxy: Proxy, upstream: Upstream) -> None:
    """`previous_response_id` is known to one provider only, so neither cost nor failures lead elsewhere."""
    with openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        to_dear = routing(models=["dear"])
        first = client.responses.create(model="auto", input="Say hi.", extra_body=to_dear)
        again = client.responses.create(model="auto", input="Go on.", previous_response_id=first.id, extra_body=COST)
        assert (first.model, again.model) == ("dear", "dear")
        upstream.behave("prov-dear", status=500)
        with pytest.raises(openai.InternalServerError):
            client.responses.create(model="auto", input="More.", previous_response_id=again.id, extra_body=COST)
    assert set(upstream.models()) == {"prov-dear"}


def test_the_openai_client_streams_a_response(proxy: Proxy) -> None:
    """Events parse in the real client, and the completed response names the model."""
    with openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        events = list(client.responses.create(model="auto", input="Say hi.", stream=True, extra_body=COST))
    assert events[-1].type == "response.completed"
    assert events[-1].response.model == "cheap"
    assert events[-1].response.output_text == TEXT


def test_the_anthropic_client_streams_a_message(proxy: Proxy) -> None:
    """Events parse in the real client, and the message names the model."""
    with anthropic.Anthropic(base_url=proxy.base_url, api_key=MASTER_KEY, max_retries=0) as client:
        asked: Any = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "Say hi."}]}
        with client.messages.stream(**asked, extra_body=COST) as stream:
            message = stream.get_final_message()
    assert message.model == "cheap"
    assert message.content[0].text == TEXT  # type: ignore[union-attr]
