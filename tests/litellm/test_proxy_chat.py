"""Chat through a real proxy process, as the OpenAI client sees it."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import WORDS, Upstream

pytestmark = pytest.mark.proxy

TEXT = "".join(WORDS)


def test_auto_is_answered_by_a_pool_model_and_the_answer_names_it(client: openai.OpenAI, upstream: Upstream) -> None:
    """An unlisted `auto` is served, and `response.model` is the group's name, not the provider's or `auto`."""
    answer = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Say hi."}])
    assert answer.choices[0].message.content == TEXT
    assert answer.model in ("cheap", "mid", "dear")
    assert upstream.models() == [f"prov-{answer.model}"]


def test_every_chunk_of_a_stream_names_the_model(client: openai.OpenAI, upstream: Upstream) -> None:
    """A routed stream carries the pool's name from the first chunk to the last."""
    stream = client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Say hi."}], stream=True
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert len({chunk.model for chunk in chunks}) == 1
    assert upstream.models() == [f"prov-{chunks[0].model}"]


HARD = (
    "Prove that every bounded self-adjoint operator on a separable Hilbert space is unitarily equivalent to a "
    "multiplication operator, then derive the spectral theorem for unbounded normal operators, with all lemmas."
)


@pytest.mark.parametrize(
    ("preference", "prompt", "model"),
    [("cost", "Say hi.", "cheap"), ("speed", "Say hi.", "cheap"), ("quality", HARD, "dear")],
)
def test_preferences_choose(proxy: Proxy, preference: str, prompt: str, model: str) -> None:
    """Cost and speed take the cheap quick model for an easy prompt, quality the strong one for a hard prompt."""
    body = chat(messages=[{"role": "user", "content": prompt}], **routing(preference=preference))
    answer = proxy.post("/v1/chat/completions", body)
    assert answer.json()["model"] == model
    assert answer.headers["x-ofox-preference"] == preference


def test_headers_tell_the_decision_on_plain_and_streamed_answers(proxy: Proxy) -> None:
    """Both kinds of answer carry the five x-ofox headers."""
    for stream in (False, True):
        answer = proxy.post("/v1/chat/completions", chat(stream=stream, **routing(preference="cost")))
        ours = {name: value for name, value in answer.headers.items() if name.startswith("x-ofox-")}
        assert ours.pop("x-ofox-decision-id")
        assert ours == {
            "x-ofox-model": "cheap",
            "x-ofox-preference": "cost",
            "x-ofox-reason": "session" if stream else "best",
            "x-ofox-attempts": "1",
        }


def test_nothing_of_ours_reaches_the_provider(proxy: Proxy, upstream: Upstream) -> None:
    """The provider sees its own model name and the caller's fields, streamed or not, auto or not."""
    for fields in ({}, {"stream": True}, {"model": "cheap"}, {"model": "cheap", "stream": True}):
        proxy.post("/v1/chat/completions", {**chat(temperature=0.5, **routing(preference="cost")), **fields})
    assert len(upstream.seen) == 4
    for seen in upstream.seen:
        assert set(seen.body) <= {"model", "messages", "temperature", "stream", "stream_options"}
        assert seen.body["model"] == "prov-cheap"
        assert b"ofox" not in seen.raw
        assert not any("ofox" in name for name in seen.headers)


@pytest.mark.parametrize(
    ("routing_config", "param"),
    [
        ({"preference": "best"}, "model_routing_config.preference"),
        ({"models": []}, "model_routing_config.models"),
        ({"prefer": "cost"}, "model_routing_config.prefer"),
        ({"max_cost_usd": "cheap"}, "model_routing_config.max_cost_usd"),
        ("cost", "model_routing_config"),
    ],
)
def test_a_wrong_routing_config_is_a_400_that_names_the_field(
    proxy: Proxy, upstream: Upstream, routing_config: Any, param: str
) -> None:
    """The body is exactly OpenAI's error object, and no provider is called."""
    answer = proxy.post("/v1/chat/completions", chat(model_routing_config=routing_config))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, "invalid_routing_config")
    assert upstream.seen == []


def test_no_candidate_is_a_400_with_each_reason(proxy: Proxy) -> None:
    """A pool that the request rules out whole is listed with the reasons."""
    answer = proxy.post("/v1/chat/completions", chat(**routing(models=["nobody"])))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "no_candidate_model"
    assert "cheap: not_named" in error["message"]


def test_models_and_exclude_narrow_the_pool(proxy: Proxy) -> None:
    """Globs and exact names of the request apply to group names."""
    named = proxy.post("/v1/chat/completions", chat(**routing(models=["m*", "dear"], exclude=["dear"])))
    assert named.json()["model"] == "mid"


def test_backend_names_and_deployment_ids_are_not_candidates(proxy: Proxy) -> None:
    """LiteLLM would take `openai/prov-dear` or `id-dear` as a model; a routing config may name groups only."""
    for name in ("openai/prov-dear", "prov-dear", "id-dear"):
        answer = proxy.post("/v1/chat/completions", chat(**routing(models=[name])))
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "no_candidate_model"


def test_a_dry_run_shows_the_decision_and_calls_nobody(proxy: Proxy, upstream: Upstream) -> None:
    """The answer is the decision's own JSON with status 200."""
    answer = proxy.post(
        "/v1/chat/completions", chat(stream=True, **routing(preference="cost")), headers={"x-ofox-dry-run": "true"}
    )
    assert answer.status_code == 200
    shown = answer.json()
    assert shown["model"] == "cheap"
    assert {row["name"] for row in shown["candidates"]} == {"cheap", "mid", "dear"}
    assert upstream.seen == []


def test_a_dry_run_shows_no_model_that_the_key_may_not_use(proxy: Proxy) -> None:
    """A restricted key does not learn what else there is."""
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-auto-cheap", headers={"x-ofox-dry-run": "true"})
    assert [row["name"] for row in answer.json()["candidates"]] == ["cheap"]


def test_concrete_models_are_answered_as_without_us(proxy: Proxy, upstream: Upstream) -> None:
    """A named model gets LiteLLM's own answer: the client's name in it, no headers of ours."""
    for stream in (False, True):
        answer = proxy.post("/v1/chat/completions", chat(model="mid", stream=stream))
        assert "x-ofox-model" not in answer.headers
        assert '"model":"mid"' in answer.text.replace('": "', '":"')
    assert upstream.models() == ["prov-mid", "prov-mid"]


def test_the_decision_is_in_the_spend_log(proxy: Proxy) -> None:
    """LiteLLM's own record of the request holds the decision, and the concrete group."""
    answer = proxy.post("/v1/chat/completions", chat(**routing(preference="cost")))
    record = proxy.record(answer)
    assert record["model_group"] == "cheap"
    noted = record["noted"]["ofox"]
    assert noted["model"] == "cheap"
    assert noted["decision_id"] == answer.headers["x-ofox-decision-id"]


def test_raw_stream_frames_hold_no_other_name(proxy: Proxy) -> None:
    """On the wire, no SSE frame names `auto` or the provider's model."""
    answer = proxy.post("/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True}))
    frames = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert frames[-1] == "[DONE]"
    assert {json.loads(frame)["model"] for frame in frames[:-1]} == {answer.headers["x-ofox-model"]}
    assert "prov-" not in answer.text
