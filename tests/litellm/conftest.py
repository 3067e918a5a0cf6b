"""One simulated provider and one proxy process for the whole session; a boot takes some twenty seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import litellm
import openai
import pytest

from tests.litellm.proxy import MASTER_KEY, PLUGIN, Proxy, deployment, running_proxy
from tests.litellm.upstream import Upstream, running_upstream

MODELS = {
    "cheap": {"ability": 0.35, "input_cost_per_token": 1e-7, "output_cost_per_token": 2e-7, "tokens_per_s": 200},
    "mid": {"ability": 0.6, "input_cost_per_token": 1e-6, "output_cost_per_token": 3e-6, "tokens_per_s": 100},
    "dear": {"ability": 0.97, "input_cost_per_token": 1e-5, "output_cost_per_token": 3e-5, "tokens_per_s": 40},
}


def chat(**fields: Any) -> dict[str, Any]:
    """A chat request for ``auto``."""
    return {"model": "auto", "messages": [{"role": "user", "content": "Say hi."}], **fields}


def routing(**config: Any) -> dict[str, Any]:
    return {"model_routing_config": config}


def native(name: str, base_url: str, backend: str = "") -> dict[str, Any]:
    """An entry of ``model_list`` whose provider speaks Anthropic's protocol, with the facts and prices of `mid`, or of
    the model in :data:`MODELS` that is called ``name``."""
    facts = MODELS.get(name, MODELS["mid"])
    made = deployment(name, "", base_url, ofox=facts)
    made["litellm_params"].update(model=f"anthropic/{backend or f'prov-{name}'}", api_base=base_url)
    return made


def config(base_url: str, **ofox: Any) -> dict[str, Any]:
    """A proxy's configuration with three priced models and one that does not chat; ``auto`` is not listed."""
    models = [deployment(name, f"prov-{name}", base_url, ofox=facts) for name, facts in MODELS.items()]
    return {
        "model_list": [*models, deployment("embed", "prov-embed", base_url, mode="embedding")],
        "litellm_settings": {
            "callbacks": [PLUGIN, "probe.probe"],
            "enable_post_custom_auth_checks": True,
            # Requests may ask for LiteLLM's cache.
            "cache": True,
            "cache_params": {"type": "local", "mode": "default_off"},
        },
        "callback_settings": {"ofox": {"seed": 7, "share_within": 0.0, **ofox}},
        "router_settings": {
            "num_retries": 0,
            "disable_cooldowns": True,
            "fallbacks": [{"cheap": ["dear"]}, {"mid": ["cheap"]}],
        },
        "general_settings": {
            "custom_auth": "custom_auth.user_api_key_auth",
            "custom_auth_run_common_checks": True,
        },
    }


@pytest.fixture(scope="session")
def provider() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(provider: Upstream) -> Upstream:
    """The simulated provider, well and with nothing recorded."""
    provider.reset()
    return provider


@pytest.fixture(scope="session")
def warm(provider: Upstream) -> None:
    """LiteLLM imports much at its first call, which would look like silence."""
    provider.reset()

    async def main() -> None:
        call = {"model": "openai/prov-dear", "api_base": f"{provider.base_url}/v1", "api_key": "sk-upstream"}
        await litellm.acompletion(**call, messages=chat()["messages"])

    asyncio.run(main())


@pytest.fixture(scope="session")
def proxy_process(provider: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    # A key, for the endpoints that pass a request through to a provider.
    keys = {"OPENAI_API_KEY": "sk-upstream", "OPENAI_API_BASE": f"{provider.base_url}/v1"}
    with running_proxy(config(provider.base_url), tmp_path_factory.mktemp("proxy"), **keys) as proxy:
        yield proxy


@pytest.fixture
def proxy(proxy_process: Proxy, upstream: Upstream) -> Proxy:
    """The proxy, with every model in good health."""
    httpx.post(f"{proxy_process.base_url}/_reset", timeout=30)
    return proxy_process


@pytest.fixture
def claude(proxy: Proxy, upstream: Upstream) -> Iterator[str]:
    """A group whose provider speaks Anthropic's protocol; LiteLLM knows that it has no `stream_options` and tells its
    tokens unasked."""
    added = native("claude", upstream.base_url, "claude-house")
    httpx.post(f"{proxy.base_url}/_models", json=added, timeout=30).raise_for_status()
    yield "claude"
    httpx.delete(f"{proxy.base_url}/_models/id-claude", timeout=30).raise_for_status()


@pytest.fixture
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{proxy.base_url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        yield client
