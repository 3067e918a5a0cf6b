"""What the door needs of LiteLLM's insides: all there in the releases we allow, and safe where one is gone."""

from __future__ import annotations

import asyncio
import re
import warnings
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import litellm
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LiteLLM's proxy uses what pydantic and others have deprecated
    from litellm.proxy import proxy_server
    from litellm.proxy._types import ProxyException, UserAPIKeyAuth

    from ofox_middleware import litellm_private, litellm_proxy
    from ofox_middleware.litellm_access import Grants, Unreadable
    from ofox_middleware.litellm_limits import RateLimits
    from ofox_middleware.litellm_private import NAMES, Moved, needed, optional

pytestmark = pytest.mark.filterwarnings("default")  # of LiteLLM's own, see above

ROOT = Path(__file__).parent.parent.parent
ACCESS = ("is_model_authorized_for_token", "can_user_call_model", "can_org_access_model")
AGENTS = ("managed_agent_policy", "_check_agent_access_group_model_access", "_check_agent_caller_model_access")


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy's router with one group."""
    group = {"model_name": "cheap", "litellm_params": {"model": "openai/prov-cheap", "api_key": "sk-x"}}
    monkeypatch.setattr(proxy_server, "llm_router", litellm.Router(model_list=[group]))


def gone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """LiteLLM without ``name``."""
    monkeypatch.setitem(litellm_private.NAMES, name, "litellm.proxy.moved_elsewhere")


def grants(user: Any = None, org: Any = None, **key: Any) -> Grants:
    return Grants(UserAPIKeyAuth(api_key="sk-x", models=["cheap"], **key), user, org)


async def authorized(**_: Any) -> bool:
    return True


async def no_bound(**_: Any) -> None:
    return None


def no_policy(_: UserAPIKeyAuth) -> None:
    return None


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_installed_litellm_has_what_the_door_needs(name: str) -> None:
    """The release under test still has every name that is no public API."""
    assert optional(name) is not None, f"litellm {version('litellm')} has no {NAMES[name]}.{name}"


def test_the_contract_covers_both_ends_of_the_range() -> None:
    """The oldest release that pyproject.toml allows is pinned in one file of constraints, a later one in the other."""
    pins = {}
    for name in ("constraints.txt", "constraints-newest.txt"):
        found = re.search(r"^litellm==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        assert found
        pins[name] = found[1]
    floor = re.search(r'"litellm>=([\d.]+)', (ROOT / "pyproject.toml").read_text("utf-8"))
    assert floor
    assert pins["constraints.txt"] == floor[1]
    assert [*map(int, pins["constraints-newest.txt"].split("."))] > [*map(int, floor[1].split("."))]
    assert version("litellm") in pins.values()


@pytest.mark.parametrize("name", ACCESS)
def test_without_a_check_of_access_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch, router: None, name: str) -> None:
    """A release that moved a check makes `auto` a clear 501, never a model that nobody checked."""
    if name != "is_model_authorized_for_token":
        monkeypatch.setattr("litellm.proxy.auth.fallback_model_access.is_model_authorized_for_token", authorized)
    gone(monkeypatch, name)
    row = SimpleNamespace(models=[])
    with pytest.raises(Moved, match=name) as refused:
        asyncio.run(grants(user=row, org=row).allow("cheap"))
    answer = litellm_proxy.Refusal(refused.value)
    assert (answer.code, answer.to_dict()["code"]) == ("501", "unsupported_litellm")


@pytest.mark.parametrize("name", AGENTS)
def test_without_the_agents_checks_agents_get_nothing(monkeypatch: pytest.MonkeyPatch, router: None, name: str) -> None:
    """They are needed for an agent's key, and for no other."""
    monkeypatch.setattr("litellm.proxy.auth.fallback_model_access.is_model_authorized_for_token", authorized)
    for each in AGENTS:
        monkeypatch.setattr(f"{NAMES[each]}.{each}", no_policy if each == AGENTS[0] else no_bound)
    gone(monkeypatch, name)
    assert asyncio.run(grants().allow("cheap"))
    with pytest.raises(Moved, match=name):
        asyncio.run(grants(agent_id="agent").allow("cheap"))


def test_a_check_that_fails_denies(monkeypatch: pytest.MonkeyPatch, router: None) -> None:
    """An error inside LiteLLM's check is no permission."""

    async def broken(**_: Any) -> None:
        raise KeyError("schema")

    monkeypatch.setattr("litellm.proxy.auth.fallback_model_access.is_model_authorized_for_token", authorized)
    monkeypatch.setattr("litellm.proxy.auth.auth_checks.can_user_call_model", broken)
    assert not asyncio.run(grants(user=SimpleNamespace(models=[])).allow("cheap"))


def test_rows_that_cannot_be_read_allow_nothing(monkeypatch: pytest.MonkeyPatch, router: None) -> None:
    """With a database that fails, a caller is refused with a 503 instead of being taken for unbounded."""

    async def down(**_: Any) -> None:
        raise ConnectionError("no database")

    monkeypatch.setattr(proxy_server, "prisma_client", object())
    monkeypatch.setattr("litellm.proxy.auth.auth_checks.get_user_object", down)
    with pytest.raises(Unreadable) as refused:
        asyncio.run(Grants.of(UserAPIKeyAuth(api_key="sk-x", user_id="u")))
    assert refused.value.status == 503


def test_without_a_router_nothing_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the proxy starts there is nothing to call."""
    monkeypatch.setattr(proxy_server, "llm_router", None)
    assert not asyncio.run(grants().allow("cheap"))


def test_what_is_only_nicer_is_left_out(monkeypatch: pytest.MonkeyPatch, router: None) -> None:
    """Without the rest, ids of responses say nothing, guardrails stay where LiteLLM puts them, and nothing breaks."""
    for name in ("ResponsesIDSecurity", "ResponsesAPIRequestUtils", "check_and_merge_model_level_guardrails"):
        gone(monkeypatch, name)
    assert litellm_proxy.keeper_of("resp_1") is None
    data = {"model": "cheap"}
    litellm_proxy.merge_guardrails(data)
    assert data == {"model": "cheap"}


def test_without_a_limiter_rate_limits_are_litellms_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limiter in the form that we know means that no candidate is left out."""
    monkeypatch.setattr("litellm.callbacks", [object()])
    assert asyncio.run(RateLimits(UserAPIKeyAuth(api_key="sk-x"), {}, "acompletion").allow("cheap"))


def test_a_name_that_is_needed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names what is missing and says that models asked for by name are not affected."""
    gone(monkeypatch, "get_user_object")
    with pytest.raises(Moved) as refused:
        needed("get_user_object")
    assert "get_user_object" in refused.value.message
    assert not isinstance(refused.value, ProxyException)
