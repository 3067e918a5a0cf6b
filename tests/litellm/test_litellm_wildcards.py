"""A `litellm.Router` without wildcard groups, asked for a name that is none of its groups."""

from __future__ import annotations

from typing import Any

import litellm
import pytest

from ofox_middleware.litellm_wildcards import skip_absent_wildcards

pytestmark = pytest.mark.filterwarnings("default")  # LiteLLM's own warnings are not ours to mend


def deployment(group: str, model: str) -> dict[str, Any]:
    return {"model_name": group, "litellm_params": {"model": model, "api_key": "sk-none"}}


@pytest.fixture
def router() -> Any:
    return litellm.Router(model_list=[deployment("small", "openai/small")])


def test_an_unknown_name_is_not_searched_for(router: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without wildcard groups LiteLLM infers no provider from `auto`, and finds the same nothing as before."""
    assert router.get_model_list(model_name="auto") == []
    skip_absent_wildcards(router)
    monkeypatch.setattr(router.pattern_router, "route", lambda *_: pytest.fail("searched"))
    assert router.get_model_list(model_name="auto") == []
    assert [found["model_name"] for found in router.get_model_list(model_name="small")] == ["small"]


def test_wildcard_groups_are_found_also_when_added_later(router: Any) -> None:
    """A wildcard group that comes while the proxy runs answers for every name that it matches."""
    skip_absent_wildcards(router)
    router.add_deployment(litellm.types.router.Deployment(**deployment("openai/*", "openai/*")))
    assert [found["model_name"] for found in router.get_model_list(model_name="openai/any")] == ["openai/any"]
    assert router.get_model_list(model_name="auto") == []


def test_a_router_is_changed_once(router: Any) -> None:
    """Being seen again with every request wraps nothing twice; no router is no error."""
    skip_absent_wildcards(router)
    before = router.pattern_router.get_deployments_by_pattern
    skip_absent_wildcards(router)
    assert router.pattern_router.get_deployments_by_pattern is before
    skip_absent_wildcards(None)
    skip_absent_wildcards(object())
