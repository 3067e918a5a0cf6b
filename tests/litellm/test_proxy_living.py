"""LiteLLM's own machinery beside ours in one proxy: tags, aliases, guardrails, cache, cooldowns, retries, fallbacks,
OpenTelemetry spans, models that come and go, and our callback last in the list."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import MODELS, chat, routing
from tests.litellm.proxy import HERE, MASTER_KEY, PLUGIN, Proxy, deployment, running_proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
COST = routing(preference="cost")
COOLDOWN_S = 1


def settings(base_url: str) -> dict[str, Any]:
    def entry(group: str, number: str = "", *, tags: list[str], **params: Any) -> dict[str, Any]:
        made = deployment(group, f"prov-{group}{number}", base_url, ofox=MODELS[group])
        made["model_info"]["id"] = f"id-{group}{number}"
        made["litellm_params"] |= {"tags": tags, **params}
        return made

    return {
        "model_list": [
            entry("cheap", "-1", tags=["free"]),
            entry("cheap", "-2", tags=["free"]),
            entry("mid", tags=["paid"]),
            entry("dear", tags=["paid"], guardrails=["gate"]),
        ],
        "litellm_settings": {
            "callbacks": ["otel", "probe.probe", PLUGIN],
            "model_alias_map": {"clever": "auto"},
            "cache": True,
            "cache_params": {"type": "local", "mode": "default_off"},
        },
        "guardrails": [{"guardrail_name": "gate", "litellm_params": {"guardrail": "gate.Gate", "mode": "pre_call"}}],
        "callback_settings": {"ofox": {"seed": 7, "share_within": 0.0, "auto_models": ["auto", "smart"]}},
        "router_settings": {
            "num_retries": 2,
            "retry_after": 0,
            "cooldown_time": COOLDOWN_S,
            "enable_tag_filtering": True,
            "model_group_alias": {"quick": "cheap"},
            "fallbacks": [{"mid": ["dear"]}],
        },
        "general_settings": {"master_key": MASTER_KEY},
    }


@pytest.fixture(scope="module")
def process(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("living")
    shutil.copy(HERE / "beside" / "gate.py", folder / "gate.py")
    with running_proxy(settings(provider.base_url), folder, OTEL_EXPORTER="console") as proxy:
        yield proxy


@pytest.fixture
def proxy(process: Proxy, upstream: Upstream) -> Proxy:
    httpx.post(f"{process.base_url}/_reset", timeout=30)
    return process


def ask(proxy: Proxy, **fields: Any) -> httpx.Response:
    return proxy.post("/v1/chat/completions", chat(**fields))


def say(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def test_tags_narrow_the_pool(proxy: Proxy, upstream: Upstream) -> None:
    """The pick is a group with a deployment for the tag, however much another would be preferred."""
    for tag, preference, models in (("paid", "cost", {"mid"}), ("free", "quality", {"cheap"})):
        answer = ask(proxy, metadata={"tags": [tag]}, **routing(preference=preference))
        assert answer.json()["model"] in models, answer.text
    upstream.behave("prov-mid", status=500)
    answer = ask(proxy, **say("Again."), metadata={"tags": ["paid"]}, **COST)
    assert answer.json()["model"] == "dear"
    refused = ask(proxy, metadata={"tags": ["nobody"]})
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "no_candidate_model"


def test_an_alias_of_litellms_for_auto_is_routed(proxy: Proxy) -> None:
    """By `model_alias_map`; and a second name of ours for it."""
    for name in ("clever", "smart"):
        answer = ask(proxy, model=name, **COST)
        assert answer.json()["model"] == "cheap", answer.text
        assert answer.headers["x-ofox-model"] == "cheap"


def test_an_alias_of_a_group_is_left_to_litellm(proxy: Proxy, upstream: Upstream) -> None:
    """Its requests feed the group's health; it is no candidate of its own."""
    answer = ask(proxy, model="quick")
    assert answer.status_code == 200
    assert "x-ofox-model" not in answer.headers
    assert proxy.settled()["health"]["cheap"]["ok"] == 1
    assert ask(proxy, **routing(models=["quick"])).status_code == 400


def test_the_guardrail_of_the_picked_model_runs(proxy: Proxy, upstream: Upstream) -> None:
    """As if the client had named the model, on fallbacks too; other models' requests pass."""
    secret = say("This is a secret.")
    assert ask(proxy, **secret, **routing(models=["cheap"])).status_code == 200
    stopped = ask(proxy, **secret, **routing(models=["dear"]))
    assert stopped.status_code == 400
    assert "stopped at the gate" in stopped.text
    assert "prov-dear" not in upstream.models()
    assert ask(proxy, **say("No harm."), **routing(models=["dear"])).status_code == 200
    for name in ("prov-cheap-1", "prov-cheap-2", "prov-mid"):
        upstream.behave(name, status=500)
    fallen = ask(proxy, **say("A secret that falls back."), **COST)
    assert fallen.status_code >= 400
    assert "mid, dear also failed" in fallen.text
    time.sleep(COOLDOWN_S + 0.5)
    assert ask(proxy, **say("A secret, streamed."), stream=True, **routing(models=["dear"])).status_code == 400
    assert upstream.models().count("prov-dear") == 1


def test_the_cache_answers_under_the_models_name(proxy: Proxy, upstream: Upstream) -> None:
    """A routed request and one that names the model share LiteLLM's cache; a hit is nobody's success."""
    once = {**say("Asked twice."), "cache": {"use-cache": True}, "temperature": 0.5}
    first = ask(proxy, **once, **COST)
    assert first.json()["model"] == "cheap"
    for _ in range(50):
        again = ask(proxy, **once, **COST)
        if len(upstream.seen) < 2:
            break
        time.sleep(0.1)
    assert again.json()["model"] == "cheap"
    assert again.headers["x-ofox-model"] == "cheap"
    assert len(upstream.seen) == 1
    assert proxy.settled()["health"]["cheap"]["ok"] == 1


def test_two_deployments_are_one_candidate(proxy: Proxy, upstream: Upstream) -> None:
    """When one fails, LiteLLM retries on the other and cools the first down; the group answers and stays well."""
    upstream.behave("prov-cheap-1", status=500)
    for number in range(8):
        answer = ask(proxy, **say(f"Question {number}."), num_retries=8, **routing(models=["cheap"]))
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "cheap", answer.text
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert view["health"]["cheap"]["state"] == "closed"
    deployments = view["health"]["cheap"]["deployments"]
    assert deployments["id-cheap-1"]["failed"] == upstream.models().count("prov-cheap-1") > 0
    assert deployments["id-cheap-2"]["ok"] == 8


def test_a_group_that_cools_down_is_replaced_by_our_next(proxy: Proxy, upstream: Upstream) -> None:
    """LiteLLM refuses a group whose deployments all cool down before any attempt; nobody is blamed for that."""
    upstream.behave("prov-cheap-1", status=401)
    upstream.behave("prov-cheap-2", status=401)
    for number in range(6):
        answer = ask(proxy, **say(f"Other question {number}."), **COST)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == answer.headers["x-ofox-model"] != "cheap"
    view = proxy.settled()
    assert view["in_flight"] == 0
    failed = view["health"]["cheap"]["failed"]
    assert failed == sum(name.startswith("prov-cheap") for name in upstream.models())
    time.sleep(COOLDOWN_S + 0.5)


def test_the_operators_retries_come_before_our_next(proxy: Proxy, upstream: Upstream) -> None:
    """`num_retries` in `router_settings` holds for routed requests, also when it is the number that LiteLLM would have
    taken by itself."""
    upstream.behave("prov-mid", status=500, times=2)
    answer = ask(proxy, **say("Try again."), **routing(models=["mid", "dear"], preference="cost"))
    assert answer.json()["model"] == "mid"
    assert upstream.models() == ["prov-mid"] * 3


def test_the_operators_fallbacks_serve_named_models(proxy: Proxy, upstream: Upstream) -> None:
    """What `router_settings` says goes on for requests that are not ours."""
    upstream.behave("prov-mid", status=500)
    answer = ask(proxy, model="mid")
    assert answer.status_code == 200
    assert upstream.models()[-1] == "prov-dear"


def test_models_come_and_go_without_a_restart(proxy: Proxy, upstream: Upstream) -> None:
    """Added, changed and deleted in LiteLLM's router, as its /model/new, /model/update and /model/delete do."""
    new = deployment("new", "prov-new", upstream.base_url, ofox={**MODELS["cheap"], "input_cost_per_token": 1e-9})

    def shown() -> dict[str, Any]:
        answer = proxy.post("/v1/chat/completions", chat(), headers={"x-ofox-dry-run": "true"})
        return {row["name"]: row for row in answer.json()["candidates"]}

    assert set(shown()) == {"cheap", "mid", "dear"}
    httpx.post(f"{proxy.base_url}/_models", json=new, timeout=30)
    before = shown()
    assert set(before) == {"cheap", "mid", "dear", "new"}
    assert ask(proxy, **routing(models=["new"])).json()["model"] == "new"
    new["model_info"]["ofox"]["output_cost_per_token"] = 9e-4
    httpx.post(f"{proxy.base_url}/_models", json=new, timeout=30)
    assert shown()["new"]["cost_usd"] > 100 * before["new"]["cost_usd"]
    httpx.delete(f"{proxy.base_url}/_models/id-new", timeout=30)
    assert set(shown()) == {"cheap", "mid", "dear"}
    assert ask(proxy, **routing(models=["new"])).json()["error"]["code"] == "no_candidate_model"


def test_the_decision_is_in_litellms_span(proxy: Proxy) -> None:
    """LiteLLM prints its spans here; the request's own holds what was decided and who answered."""
    answer = ask(proxy, **say("For the record."), **COST)
    decision = answer.headers["x-ofox-decision-id"]
    for _ in range(100):
        printed = proxy.log.read_text(errors="replace")
        if f'"ofox.decision.id": "{decision}"' in printed:
            break
        time.sleep(0.1)
    at = printed.index(f'"ofox.decision.id": "{decision}"')
    attributes = printed[printed.rindex('"attributes": {', 0, at) : printed.index("}", at)]
    told = json.loads(attributes.removeprefix('"attributes": ') + "}")
    assert told["ofox.decision.model"] == told["ofox.model"] == "cheap"
    assert told["ofox.decision.ranking"][0] == "cheap"
    assert told["ofox.attempts"] == 1


def test_the_decision_is_in_the_log_that_other_callbacks_see(proxy: Proxy) -> None:
    """A callback that stands before ours in the list gets the concrete group and the decision."""
    answer = ask(proxy, **say("Logged."), **COST)
    record = proxy.record(answer)
    assert record["model_group"] == "cheap"
    assert record["noted"]["ofox"]["decision_id"] == answer.headers["x-ofox-decision-id"]


def test_a_continued_response_stays_with_its_deployment(proxy: Proxy, upstream: Upstream) -> None:
    """Within a group of several, only the deployment that gave the earlier response knows it."""
    first = proxy.post("/v1/responses", {"model": "auto", "input": "Say hi.", **routing(models=["cheap"])}).json()
    for number in range(6):
        body = {"model": "auto", "input": f"Go on, {number}.", "previous_response_id": first["id"], **COST}
        assert proxy.post("/v1/responses", body).json()["model"] == "cheap"
    assert len(set(upstream.models())) == 1
