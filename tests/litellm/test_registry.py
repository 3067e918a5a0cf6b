"""A `litellm.Router` of the installed release, asked without the members that newer releases give up."""

from __future__ import annotations

import warnings
from typing import Any

import litellm
import pytest
from litellm.types.router import Deployment

import ofox_middleware
from ofox_middleware import litellm_registry as registry
from ofox_middleware.router import SmartRouter
from tests.litellm.proxy import deployment
from tests.litellm.test_sdk import ASK, COST, brain, router, run
from tests.litellm.upstream import Upstream

__all__ = ["brain", "router"]  # fixtures

pytestmark = pytest.mark.filterwarnings("default")  # LiteLLM's own warnings are not ours to mend
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def asked() -> Any:
    models = [deployment("a", "prov-a", NOWHERE), deployment("b", "prov-b", NOWHERE), deployment("c*", "c*", NOWHERE)]
    models.append({**deployment("b", "prov-b", NOWHERE), "model_info": {"id": "id-b-2"}})
    return litellm.Router(model_list=models, model_group_alias={"quick": "a"}, context_window_fallbacks=[{"a": ["b"]}])


def test_what_a_router_says(asked: Any) -> None:
    """Deployments in their order, the groups of names and ids, aliases and settings."""
    assert [entry["model_info"]["id"] for entry in registry.entries(asked)] == ["id-a", "id-b", "id-c*", "id-b-2"]
    assert len(registry.entries_of(asked, "b")) == 2
    assert registry.entries_of(asked, "quick")[0]["model_info"]["id"] == "id-a"
    assert len(registry.entries_of(asked, "cx")) == 1
    assert not registry.entries_of(asked, "nobody")
    assert registry.group_of(asked, "id-b-2") == "b"
    assert registry.group_of(asked, "nobody") is registry.group_of(asked, None) is registry.group_of(None, "a") is None
    assert {"a", "b", "c*", "quick"} <= set(registry.names(asked))
    assert "quick" in registry.aliases(asked)
    assert registry.setting(asked, "context_window_fallbacks") == [{"a": ["b"]}]
    assert len(registry.wildcards(asked).patterns) == 1
    assert registry.wildcards(None) is None
    assert registry.setting(asked, "no_such_setting") is None
    told = registry.model_info(asked, "id-a", "openai/gpt-4o")
    assert told is None or "max_input_tokens" in told


def test_a_version_moves_with_the_deployments(asked: Any) -> None:
    """And stands still otherwise; a release without one has its entries compared."""
    before = registry.version(asked)
    if before is None:
        assert not hasattr(asked, "registry")
        return
    registry.entries(asked)
    assert registry.version(asked) == before
    asked.upsert_deployment(Deployment(**deployment("a", "prov-other", NOWHERE)))
    changed = registry.version(asked)
    assert changed != before
    asked.delete_deployment(id="id-a")
    assert registry.version(asked) != changed


def test_no_member_is_used_that_warns_of_its_end(
    router: Any, brain: SmartRouter, upstream: Upstream, asked: Any
) -> None:
    """Neither for a routed request, a fallback and a stream among them, nor for any question above."""

    async def main() -> None:
        await router.acompletion(model="auto", messages=ASK, metadata={"tags": ["a"]}, **COST)
        upstream.behave("prov-cheap", status=500)
        await router.acompletion(model="auto", messages=ASK, **COST)
        stream = await router.acompletion(model="auto", messages=ASK, stream=True, **COST)
        assert [chunk async for chunk in stream]

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        run(main, brain)
        test_what_a_router_says(asked)
    ours = [each for each in seen if each.filename.startswith(ofox_middleware.__path__[0])]
    assert [str(each.message) for each in ours] == []
