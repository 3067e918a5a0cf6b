"""A restricted key is answered by no model that it may not call, whatever it sends."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import Proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy

HARD = "Prove the spectral theorem for unbounded normal operators, with all lemmas."


def reached(upstream: Upstream) -> set[str]:
    return set(upstream.models())


def test_a_key_for_auto_alone_gets_a_clean_403(proxy: Proxy, upstream: Upstream) -> None:
    """Access to the name `auto` is access to nothing behind it."""
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-auto")
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("permission_error", "model", "model_access_denied")
    assert upstream.seen == []


def test_a_key_without_auto_is_refused_by_litellm(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM's own check of the requested name comes first."""
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-cheap")
    assert answer.status_code == 403
    assert upstream.seen == []


@pytest.mark.parametrize("key", ["sk-auto-cheap", "sk-auto-glob", "sk-alias", "sk-team-cheap"])
@pytest.mark.parametrize("stream", [False, True])
def test_only_allowed_models_answer(proxy: Proxy, upstream: Upstream, key: str, stream: bool) -> None:
    """However hard the prompt and whatever is preferred, the pick is within the key's grants."""
    body = chat(stream=stream, messages=[{"role": "user", "content": HARD}], **routing(preference="quality"))
    answer = proxy.post("/v1/chat/completions", body, key=key)
    assert answer.status_code == 200
    assert answer.headers["x-ofox-model"] == "cheap"
    assert reached(upstream) == {"prov-cheap"}


def test_a_key_alias_of_auto_is_routed_with_the_same_grants(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM resolves a key's alias before the hook."""
    answer = proxy.post("/v1/chat/completions", chat(model="smart"), key="sk-alias")
    assert answer.json()["model"] == "cheap"
    assert reached(upstream) == {"prov-cheap"}


def test_an_alias_of_a_candidate_cannot_smuggle_another_model(proxy: Proxy, upstream: Upstream) -> None:
    """A key that calls `dear` by the name `cheap`, and may use neither under its own name, is refused."""
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-alias-dear")
    assert answer.status_code == 403
    assert upstream.seen == []


def test_a_budget_for_one_model_sends_the_key_to_another(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM keeps budgets per model, but auth checks them for `auto` only; a key over one is routed elsewhere."""
    body = chat(**routing(preference="cost"))
    assert proxy.post("/v1/chat/completions", body, key="sk-budget").headers["x-ofox-model"] == "cheap"
    for _ in range(100):
        answer = proxy.post("/v1/chat/completions", body, key="sk-budget", headers={"x-ofox-dry-run": "true"})
        if answer.json()["model"] != "cheap":
            break
    assert proxy.post("/v1/chat/completions", body, key="sk-budget").headers["x-ofox-model"] == "mid"


def test_a_key_without_any_budget_left_is_told(proxy: Proxy, upstream: Upstream) -> None:
    """When the budget of every allowed model is used up, the answer says so."""
    for _ in range(100):
        answer = proxy.post("/v1/chat/completions", chat(), key="sk-broke")
        if answer.status_code != 200:
            break
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "model_budget_exceeded"


@pytest.mark.parametrize("key", ["sk-limit", "sk-limit-tokens", "sk-limit-team", "sk-limit-org"])
def test_a_rate_limit_for_one_model_sends_the_caller_to_another(proxy: Proxy, upstream: Upstream, key: str) -> None:
    """Requests or tokens a minute, of a key, its team or its organisation: over the limit of one model, another answers
    instead of LiteLLM's 429."""
    body = chat(**routing(preference="cost"))
    answers = [proxy.post("/v1/chat/completions", body, key=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.headers["x-ofox-model"] for answer in answers][1:] == ["mid", "mid"]


def test_a_key_at_every_rate_limit_is_told(proxy: Proxy, upstream: Upstream) -> None:
    """When each allowed model is at its limit, the answer says so."""
    assert proxy.post("/v1/chat/completions", chat(), key="sk-limit-only").status_code == 200
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-limit-only")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "model_rate_limit_exceeded"


@pytest.mark.parametrize("key", ["sk-master", "sk-auto-broken"])
def test_an_error_of_ours_is_no_way_around_the_grants(proxy: Proxy, upstream: Upstream, key: str) -> None:
    """When deciding breaks, the request is answered all the same, by a model that the key may call, and counted."""
    httpx.post(f"{proxy.base_url}/_break")
    answer = proxy.post("/v1/chat/completions", chat(), key=key)
    assert answer.status_code == 200
    assert reached(upstream) == {"prov-cheap"}
    assert proxy.probe()["stats"]["litellm_decision_error"] == 1


def test_fallbacks_stay_within_the_grants(proxy: Proxy, upstream: Upstream) -> None:
    """When the only allowed model fails, nobody else is asked: not by our ranking nor by the operator's fallbacks."""
    upstream.behave("prov-cheap", status=500)
    answer = proxy.post("/v1/chat/completions", chat(), key="sk-auto-cheap")
    assert answer.status_code == 500
    assert reached(upstream) == {"prov-cheap"}


@pytest.mark.parametrize(
    "fields",
    [
        routing(models=["dear"]),
        routing(models=["de*"]),
        routing(models=["*ear"]),
        routing(models=["*"]),
        routing(models=["openai/prov-dear"]),
        routing(models=["prov-dear"]),
        routing(models=["id-dear"]),
        routing(models=["DEAR", "Dear", " dear "]),
        routing(models=["dear", "cheap"], preference="quality"),
        {"fallbacks": ["dear"], "mock_testing_fallbacks": True},
        {"fallbacks": [{"auto": ["dear"]}]},
        {"fallbacks": [{"cheap": ["dear"]}]},
        {"fallbacks": [{"model": "dear"}]},
        {"context_window_fallbacks": [{"cheap": ["dear"]}]},
        {"content_policy_fallbacks": [{"cheap": ["dear"]}]},
        {"model": "auto,dear"},
        {"model": "dear"},
        {"model": "id-dear"},
        {"model": "openai/prov-dear"},
        {"metadata": {"model_group": "dear", "model_info": {"id": "id-dear"}}},
        {"metadata": {"pre_routing_selected_model": "dear"}},
        {"specific_deployment": True},
        {"router_settings_override": {"fallbacks": [{"cheap": ["dear"]}]}},
        {"router_settings_override": {"model_group_alias": {"cheap": "dear"}}},
        {"fallbacks": "dear"},
        {"fallbacks": {"cheap": ["dear"]}},
        {"fallbacks": [["dear"], {"*": ["dear"]}, {"cheap": "dear"}]},
        {"default_fallbacks": ["dear"]},
        {"model_group_alias": {"cheap": "dear"}},
        {"model_list": [{"model_name": "cheap", "litellm_params": {"model": "openai/prov-dear"}}]},
        {"litellm_params": {"model": "openai/prov-dear"}},
        {"model": ["auto", "dear"]},
        {"model": ["dear"]},
        {"model": {"auto": "dear"}},
        {"model": "auto,cheap,dear"},
        {"model": "auto", "fastest_response": True, "models": ["dear"]},
        {"extra_body": {"model": "dear"}},
        {"extra_body": {"model": "dear", **routing(models=["dear"])}},
        {"extra_body": [["model", "prov-dear"]]},
        {"fallbacks": [{"model": "cheap", "deployment_id": "prov-dear"}]},
        {"fallbacks": [{"model": "cheap", "extra_body": {"model": "prov-dear"}}]},
        {"fallbacks": [{"model": "cheap", "timeout": 9, "fallbacks": [{"cheap": ["dear"]}]}]},
        {"context_window_fallback_dict": {"prov-cheap": "prov-dear", "openai/prov-cheap": "openai/prov-dear"}},
        {"metadata": routing(models=["dear"])},
        {"metadata": {"routing_decision": {"model": "dear"}, "model_group": "dear", "deployment": "openai/prov-dear"}},
        {"litellm_metadata": {**routing(models=["dear"]), "user_api_key_auth": {"models": []}}},
        {"user_api_key_dict": {"models": []}, "user_api_key_models": ["dear"]},
        routing(models=["cheap", "dear"], session_id="s", exclude=["cheap"]),
        {"model_routing_config": [{"models": ["dear"]}]},
        {"model_routing_config": '{"models": ["dear"]}'},
        {"model_routing_config": {"models": {"dear": 1}}},
        {"model_routing_config": {"models": ["auto"]}},
        {"previous_response_id": "dear"},
        {"tags": ["dear"], "metadata": {"tags": ["dear"]}},
    ],
)
@pytest.mark.parametrize("fail", [False, True])
def test_no_field_of_the_body_leads_to_a_forbidden_model(
    proxy: Proxy, upstream: Upstream, fields: dict[str, Any], fail: bool
) -> None:
    """Globs, backend names, ids, fallbacks and metadata: refused or answered by `cheap`, never by another."""
    if fail:
        upstream.behave("prov-cheap", status=500)
    proxy.post("/v1/chat/completions", {**chat(), **fields}, key="sk-auto-cheap")
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"dear","model":"auto","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"auto","model":"dear","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"auto","messages":[{"role":"user","content":"hi"}],"model_routing_config":{"models":["cheap"]},'
        b'"model_routing_config":{"models":["dear"]}}',
        b'{"mod\\u0065l":"auto","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"\\u0061uto","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"AUTO","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":" auto ","messages":[{"role":"user","content":"hi"}]}',
        b'{"model":["auto"],"messages":[{"role":"user","content":"hi"}]}',
        b'{"Model":"dear","model":"auto","messages":[{"role":"user","content":"hi"}]}',
    ],
)
def test_no_spelling_of_the_json_leads_to_a_forbidden_model(proxy: Proxy, upstream: Upstream, raw: bytes) -> None:
    """Duplicate keys, escapes, casing, blanks and lists."""
    proxy.post("/v1/chat/completions", raw, key="sk-auto-cheap")
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize("path", ["/v1/chat/completions?model=auto", "/engines/auto/chat/completions"])
def test_a_model_named_in_the_url_is_routed_with_the_same_grants(proxy: Proxy, upstream: Upstream, path: str) -> None:
    """`auto` in a query parameter or path is as good as in the body."""
    answer = proxy.post(path, chat(model="cheap"), key="sk-auto-cheap")
    assert answer.status_code == 200
    assert reached(upstream) == {"prov-cheap"}


@pytest.mark.parametrize(
    "path",
    [
        "/openai/deployments/auto/chat/completions",
        "/openai/deployments/dear/chat/completions",
        "/engines/dear/chat/completions",
        "/v1/chat/completions?model=dear",
        "/v1/chat/completions?model=auto&model=dear",
        "/v1/chat/completions?model=id-dear",
        "/v1/chat/completions?%6Dodel=dear",
        "/v1/chat/completions?model=auto&mod%65l=dear",
        "/v1/chat/completions?fallbacks=dear",
        "/v1/chat/completions?model_routing_config=%7B%22models%22%3A%5B%22dear%22%5D%7D",
        "/openai/deployments/auto/chat/completions?model=dear",
        "/engines/auto%2Cdear/chat/completions",
    ],
)
@pytest.mark.parametrize("named", ["auto", "cheap", "dear", None])
def test_no_url_leads_to_a_forbidden_model(proxy: Proxy, upstream: Upstream, path: str, named: str | None) -> None:
    """Whatever path and query say, and whatever the body says beside them."""
    body = {name: value for name, value in chat(model=named).items() if value is not None}
    proxy.post(path, body, key="sk-auto-cheap")
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize("path", ["/v1beta/models/dear:generateContent", "/models/dear:streamGenerateContent"])
@pytest.mark.parametrize("named", ["auto", "cheap"])
def test_a_model_in_googles_path_is_checked(proxy: Proxy, upstream: Upstream, path: str, named: str) -> None:
    """LiteLLM's auth looks at the name in the body, and the one in the path answers."""
    asked = {"model": named, "contents": [{"role": "user", "parts": [{"text": HARD}]}]}
    answer = proxy.post(path, asked, key="sk-auto-cheap")
    assert answer.status_code == 403
    assert upstream.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {"x-litellm-model": "dear"},
        {"x-litellm-model-id": "id-dear"},
        {"x-litellm-model-group": "dear"},
        {"x-litellm-tags": "dear"},
        {"x-litellm-num-retries": "3"},
        {"x-litellm-agent-id": "dear"},
        {"x-litellm-team-id": "t-unbounded"},
        {"x-litellm-session-id": "of-somebody-else"},
        {"x-litellm-spend-logs-metadata": '{"ofox": {"model": "dear"}}'},
        {"x-litellm-disable-callbacks": "OfoxLogger,ofox,ofox_middleware.litellm_plugin.ofox"},
        {"x-ofox-model": "dear"},
        {"x-ofox-dry-run": "false"},
    ],
)
@pytest.mark.parametrize("fail", [False, True])
def test_no_header_leads_to_a_forbidden_model(
    proxy: Proxy, upstream: Upstream, headers: dict[str, str], fail: bool
) -> None:
    """LiteLLM's request headers and ours, with the allowed model well and failing."""
    if fail:
        upstream.behave("prov-cheap", status=500)
    proxy.post("/v1/chat/completions", chat(**routing(preference="quality")), key="sk-auto-cheap", headers=headers)
    assert reached(upstream) <= {"prov-cheap"}


SURFACES: dict[str, dict[str, Any]] = {
    "/v1/completions": {"prompt": HARD},
    "/v1/responses": {"input": HARD},
    "/v1/messages": {"messages": [{"role": "user", "content": HARD}], "max_tokens": 50},
}


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize(
    "fields",
    [
        {},
        routing(models=["*"], preference="quality"),
        routing(models=["dear"]),
        {"fallbacks": ["dear"]},
        {"fallbacks": [{"cheap": ["dear"]}], "context_window_fallbacks": [{"cheap": ["dear"]}]},
        {"extra_body": {"model": "dear"}},
        {"fallbacks": [{"model": "cheap", "extra_body": {"model": "prov-dear"}}]},
        {"litellm_metadata": {"model_group": "dear", **routing(models=["dear"])}},
        {"metadata": {"model_group": "dear"}, "previous_response_id": "resp_dear"},
        {"model": "auto,dear"},
        {"model": ["auto", "dear"]},
    ],
)
@pytest.mark.parametrize("fail", [False, True])
def test_every_surface_holds_the_bounds(
    proxy: Proxy, upstream: Upstream, path: str, fields: dict[str, Any], fail: bool
) -> None:
    """Text, responses and messages, streamed when the allowed model fails."""
    if fail:
        upstream.behave("prov-cheap", status=500)
    proxy.post(path, {"model": "auto", **SURFACES[path], "stream": fail, **fields}, key="sk-auto-cheap")
    assert reached(upstream) <= {"prov-cheap"}


@pytest.mark.parametrize("path", ["/v1/chat/completions", *SURFACES])
@pytest.mark.parametrize("stream", [False, True])
def test_a_limiter_behind_us_leads_no_further(proxy: Proxy, upstream: Upstream, path: str, stream: bool) -> None:
    """When another hook refuses the pick, LiteLLM begins anew with the operator's fallback; that is decided anew."""
    httpx.post(f"{proxy.base_url}/_limit", params={"model": "cheap"}, timeout=30)
    asked = {"model": "auto", **SURFACES.get(path, {"messages": chat()["messages"]}), "stream": stream}
    answer = proxy.post(path, asked, key="sk-auto-cheap")
    assert answer.status_code == 429
    assert "a limit of the operator's own" in answer.json()["error"]["message"]
    assert upstream.seen == []
    answer = proxy.post(path, {**asked, **routing(models=["cheap", "mid"], preference="cost")})
    assert answer.status_code == 200
    assert reached(upstream) == {"prov-mid"}


@pytest.mark.parametrize("model", ["dear", "openai/prov-dear", "auto"])
def test_no_tool_leads_to_a_forbidden_model(proxy: Proxy, upstream: Upstream, model: str) -> None:
    """LiteLLM asks the model that Anthropic's advisor tool names, and looks at nobody's rights."""
    asked = {"model": "auto", **SURFACES["/v1/messages"]}
    advisor = {"type": "advisor_20260301", "name": "advisor"}
    answer = proxy.post("/v1/messages", {**asked, "tools": [{**advisor, "model": model}]}, key="sk-auto-cheap")
    assert answer.status_code == 403
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "permission_error"
    assert upstream.seen == []
    answer = proxy.post("/v1/messages", {**asked, "tools": [{**advisor, "model": "cheap"}]}, key="sk-auto-cheap")
    assert answer.status_code == 200


@pytest.mark.parametrize("named", ["cheap", "auto"])
def test_a_route_of_their_own_is_no_way_around(proxy: Proxy, upstream: Upstream, named: str) -> None:
    """A caller cannot bring deployments: LiteLLM refuses them, with `auto` as with a name."""
    deployment = {"model": "openai/prov-dear", "api_base": f"{upstream.base_url}/v1", "api_key": "sk-mine"}
    listed = {"model_list": [{"model_name": "cheap", "litellm_params": deployment}]}
    for fields in ({"user_config": listed}, deployment | {"model": named}):
        answer = proxy.post("/v1/chat/completions", {**chat(), "model": named, **fields}, key="sk-auto-cheap")
        assert answer.status_code >= 400
    assert reached(upstream) <= {"prov-cheap"}
