"""The gateway forwards a request's own fields in each of the four protocols, and none that steer LiteLLM."""

from __future__ import annotations

from typing import Any

import pytest

from ofox_middleware.errors import InvalidRequest
from ofox_middleware.gateway_requests import forwarded
from ofox_middleware.types import Surface
from tests.gateway.tools import ASK, QUIET, Site
from tests.litellm.upstream import Upstream

pytestmark = QUIET

SURFACES: tuple[Surface, ...] = ("chat", "text", "responses", "messages")
PROMPT: dict[Surface, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "hi"}]},
    "text": {"prompt": "hi"},
    "responses": {"input": "hi"},
    "messages": {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 10},
}


@pytest.mark.parametrize("surface", SURFACES)
def test_the_prompt_is_forwarded_and_the_model_is_not(surface: Surface) -> None:
    """The prompt goes on; the model and the routing config, which the gateway handles itself, do not."""
    body = {"model": "auto", "model_routing_config": {}, **PROMPT[surface]}
    assert forwarded(body, surface) == PROMPT[surface]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("field", ["api_base", "api_key", "base_url", "mock_response", "extra_headers", "custom"])
def test_fields_that_steer_litellm_are_refused(surface: Surface, field: str) -> None:
    """A caller cannot set what LiteLLM takes for its own controls, such as where to send the operator's key."""
    with pytest.raises(InvalidRequest) as caught:
        forwarded({**PROMPT[surface], field: "http://evil.test"}, surface)
    assert caught.value.param == field


def test_the_operators_own_fields_are_not_the_callers() -> None:
    """What the operator's card sets is left out of the caller's part, whoever put it into the body."""
    body = {**PROMPT["chat"], "api_base": "http://evil.test"}
    assert forwarded(body, "chat", frozenset({"api_base"})) == PROMPT["chat"]


def test_a_field_of_the_protocol_stays_the_callers_beside_the_operators() -> None:
    """A request parameter that both set keeps the caller's value."""
    body = {**PROMPT["chat"], "reasoning_effort": "high"}
    assert forwarded(body, "chat", frozenset({"reasoning_effort"}))["reasoning_effort"] == "high"


@pytest.mark.parametrize("surface", SURFACES)
def test_a_missing_prompt_is_named(surface: Surface) -> None:
    """A body without its prompt is refused with the field's name."""
    with pytest.raises(InvalidRequest) as caught:
        forwarded({"model": "auto"}, surface)
    assert caught.value.param in PROMPT[surface]


@pytest.mark.parametrize(
    ("surface", "body"),
    [
        ("chat", {"messages": "hi"}),
        ("chat", {"messages": ["hi"]}),
        ("messages", {"messages": {}}),
        ("text", {"prompt": 1}),
        ("responses", {"input": None}),
    ],
)
def test_a_prompt_of_the_wrong_type_is_refused(surface: Surface, body: dict[str, Any]) -> None:
    """Wrong types are a 400 of ours and not an internal error of LiteLLM's."""
    with pytest.raises(InvalidRequest) as caught:
        forwarded(body, surface)
    assert caught.value.code == "invalid_type"


def test_metadata_is_accepted_and_kept_here() -> None:
    """OpenAI's metadata is no error, but LiteLLM, which takes orders from it, does not get it."""
    assert "metadata" not in forwarded({**PROMPT["chat"], "metadata": {"x": "y"}}, "chat")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({"user_id": "u1", "tags": ["x"]}, {"user_id": "u1"}), ({"user_id": 7}, None), ("text", None)],
)
def test_of_anthropics_metadata_only_the_user_id_passes(sent: Any, kept: Any) -> None:
    """Anthropic documents ``user_id`` alone; the rest of ``metadata`` is dropped."""
    assert forwarded({**PROMPT["messages"], "metadata": sent}, "messages").get("metadata") == kept


def test_messages_without_a_limit_get_one() -> None:
    """``max_tokens`` is required upstream, so a request without it gets a roomy one."""
    assert forwarded({"messages": []}, "messages")["max_tokens"] == 4096


# Over a provider on loopback -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["auto", "other/small"])
def test_the_provider_gets_the_operators_key_and_nothing_of_ours(site: Site, upstream: Upstream, model: str) -> None:
    """The provider sees the operator's key, the plain model name, and neither our config nor the caller's key."""
    site.chat(model, extra_body={"model_routing_config": {"preference": "cost"}, "metadata": {"a": "b"}})
    seen = upstream.seen[0]
    assert seen.headers["authorization"] == "Bearer operators-own-key"
    assert not {"model_routing_config", "metadata", "api_base", "api_key"} & set(seen.body)
    assert b"caller" not in seen.raw


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


def test_a_wrong_config_is_refused_in_both_protocols(site: Site) -> None:
    """A wrong ``model_routing_config`` is a 400 in the protocol's own shape."""
    body = {"model": "auto", "max_tokens": 5, "messages": ASK, "model_routing_config": {"preference": "best"}}
    chat = site.http.post("/v1/chat/completions", json=body)
    assert chat.status_code == 400 and chat.json()["error"]["param"] == "model_routing_config.preference"
    messages = site.http.post("/v1/messages", json=body)
    assert messages.status_code == 400 and messages.json()["type"] == "error"
