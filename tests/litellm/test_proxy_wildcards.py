"""A proxy of wildcard groups and access groups, full of traps: a bounded key reaches what it may call, no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import MODELS, chat, config, routing
from tests.litellm.proxy import Proxy, deployment, running_proxy
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
HARD = [{"role": "user", "content": "Prove the spectral theorem for unbounded normal operators, with all lemmas."}]
BEST = routing(preference="quality")
POOL = ["openai/prov-a", "openai/prov-b", "house/*", "small"]


@pytest.fixture(scope="module")
def process(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    settings = config(provider.base_url, models=POOL)
    small = deployment("small", "prov-small", provider.base_url, ofox=MODELS["cheap"], access_groups=["staff"])
    large = deployment("house/large", "prov-large", provider.base_url, ofox=MODELS["dear"], access_groups=["board"])
    settings["model_list"] = [
        deployment("openai/*", "*", provider.base_url),
        small,
        large,
        deployment("house/tiny", "prov-tiny", provider.base_url, ofox=MODELS["cheap"], access_groups=["staff"]),
    ]
    settings["router_settings"] |= {
        "fallbacks": [{"openai/prov-a": ["openai/prov-b"]}, {"small": ["house/large"]}],
        "default_fallbacks": ["house/large"],
        "model_group_alias": {"nice": "house/large"},
    }
    with running_proxy(settings, tmp_path_factory.mktemp("wildcards")) as proxy:
        yield proxy


@pytest.fixture
def proxy(process: Proxy, upstream: Upstream) -> Proxy:
    httpx.post(f"{process.base_url}/_reset", timeout=30)
    return process


def test_the_pool_is_what_the_wildcards_serve(proxy: Proxy, upstream: Upstream) -> None:
    """Names of the operator's under a wildcard group, a glob of the operator's, and a plain name."""
    answer = proxy.post("/v1/chat/completions", chat(), headers={"x-ofox-dry-run": "true"})
    names = {row["name"] for row in answer.json()["candidates"]}
    assert names == {"openai/prov-a", "openai/prov-b", "house/large", "house/tiny", "small"}


# What a key may call, and what may therefore reach the provider.
KEYS = {
    "sk-wild-a": {"prov-a"},
    "sk-wild-openai": {"prov-a", "prov-b"},
    "sk-staff": {"prov-small", "prov-tiny"},
    "sk-tiny": {"prov-tiny"},
    "sk-team-names": {"prov-small"},
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bounded_key_is_answered_within_its_bounds(proxy: Proxy, upstream: Upstream, key: str, stream: bool) -> None:
    """By a name or a glob under a wildcard group, by an access group, and for a team with names of its own."""
    answer = proxy.post("/v1/chat/completions", chat(messages=HARD, stream=stream, **BEST), key=key)
    assert answer.status_code == 200, answer.text
    assert set(upstream.models()) <= KEYS[key]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        routing(models=["openai/prov-b"]),
        routing(models=["prov-b"]),
        routing(models=["prov-large", "openai/prov-large", "id-house/large"]),
        routing(models=["openai/*"]),
        routing(models=["*/*"], preference="quality"),
        routing(models=["OPENAI/prov-b", "House/large"]),
        routing(models=["nice"]),
        routing(models=["board"]),
        routing(models=["openai/openai/prov-b"]),
        {"model": "openai/auto"},
        {"model": "house/auto"},
        {"model": "auto", "fallbacks": ["openai/prov-b", "house/large", "nice"]},
        {"fallbacks": [{"openai/prov-a": ["openai/prov-b"]}, {"small": ["nice"]}, {"*": ["house/large"]}]},
        {"fallbacks": [{"model": "openai/prov-b"}, {"model": "house/large", "api_base": "x"}]},
        {"context_window_fallbacks": [{"*": ["house/large"]}], "content_policy_fallbacks": [{"*": ["nice"]}]},
        {"mock_testing_fallbacks": True},
        {"mock_testing_context_fallbacks": True},
        {"extra_body": {"model": "prov-large"}},
        {"extra_body": {"models": ["prov-large"], "deployment_id": "prov-large"}},
        {"models": ["prov-large"], "route": "fallback"},
        {"custom_llm_provider": "openai", "model": "auto"},
        {"deployment_id": "prov-large"},
        {"model_group": "house/large", "deployment_id": "id-house/large"},
        {"metadata": {"model_group": "house/large", "team_model_aliases": {"small": "house/large"}}},
        {"aliases": {"small": "house/large"}, "team_model_aliases": {"small": "house/large"}},
        {"previous_response_id": "house/large"},
    ],
)
@pytest.mark.parametrize("key", ["sk-wild-a", "sk-tiny", "sk-team-names"])
@pytest.mark.parametrize("fail", [False, True])
def test_no_field_leads_out_of_the_bounds(
    proxy: Proxy, upstream: Upstream, key: str, fields: dict[str, Any], fail: bool
) -> None:
    """Provider prefixes, globs, aliases, fallbacks and notes of the caller's, with its models well and failing."""
    if fail:
        for model in KEYS[key]:
            upstream.behave(model, status=500)
    proxy.post("/v1/chat/completions", {**chat(messages=HARD), **fields}, key=key)
    assert set(upstream.models()) <= KEYS[key]
    assert not any(b'"prov-large"' in seen.raw for seen in upstream.seen)


@pytest.mark.parametrize("key", ["sk-wild-a", "sk-tiny", "sk-team-names"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queue/chat/completions", {"model": "auto", "messages": HARD, "priority": 1}),
        ("/queue/chat/completions?model=auto", {"messages": HARD, "priority": 1}),
        ("/v1/rag/query", {"model": "auto", "messages": HARD, "retrieval_config": {"vector_store_id": "x"}}),
        ("/cursor/chat/completions", {"model": "auto", "messages": HARD, "input": HARD}),
        ("/prompts/test", {"dotprompt_content": "---\nmodel: auto\n---\nhi", "model": "auto"}),
        ("/v1/embeddings", {"model": "auto", "input": "x"}),
        ("/v1/responses/compact", {"model": "auto", "input": "x"}),
        ("/openai/v1/responses", {"model": "auto", "input": "x"}),
    ],
)
def test_no_endpoint_leads_out_of_the_bounds(
    proxy: Proxy, upstream: Upstream, key: str, path: str, body: dict[str, Any]
) -> None:
    """Also where no hook of LiteLLM's runs, `auto` does not fall into the operator's default fallbacks."""
    for model in KEYS[key]:
        upstream.behave(model, status=500)
    answer = proxy.post(path, body, key=key)
    assert answer.status_code >= 400
    assert set(upstream.models()) <= KEYS[key]
