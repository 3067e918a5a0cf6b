"""What is remembered of keys and candidates, and for whom nothing is."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import litellm
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # LiteLLM's proxy uses what pydantic and others have deprecated
    from litellm.proxy import proxy_server
    from litellm.proxy._types import UserAPIKeyAuth

    from ofox_middleware import litellm_proxy
    from ofox_middleware.litellm_limits import has_budgets
    from ofox_middleware.litellm_memory import kind_of, may_be_limited

from ofox_middleware.litellm_pool import MOST_KINDS, Candidates, Pool
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.litellm.conftest import MODELS
from tests.litellm.proxy import deployment

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def router(monkeypatch: pytest.MonkeyPatch) -> litellm.Router:
    models = [deployment(name, f"prov-{name}", "http://127.0.0.1:1", ofox=facts) for name, facts in MODELS.items()]
    made = litellm.Router(model_list=models)
    monkeypatch.setattr(proxy_server, "llm_router", made)
    return made


def key(**fields: Any) -> UserAPIKeyAuth:
    return UserAPIKeyAuth(api_key="sk-x", **fields)


def test_keys_with_the_same_models_are_of_one_kind(router: litellm.Router) -> None:
    """Whoever they belong to, where no database can say more of their user."""
    assert kind_of(key(models=["cheap"], user_id="a")) == kind_of(key(models=["cheap"], user_id="b"))
    assert kind_of(key(models=["cheap"])) != kind_of(key(models=["cheap", "dear"])) != kind_of(key(models=[]))


@pytest.mark.parametrize(
    "fields",
    [
        {"team_id": "t"}, {"org_id": "o"}, {"project_id": "p"}, {"agent_id": "a"}, {"access_group_ids": ["g"]},
        {"aliases": {"cheap": "dear"}}, {"team_model_aliases": {"cheap": "dear"}}, {"config": {"model_list": []}},
    ],
)  # fmt: skip
def test_rights_that_are_kept_elsewhere_are_asked_for_each_time(router: litellm.Router, fields: dict[str, Any]) -> None:
    """A team may lose a model between two requests."""
    assert kind_of(key(models=["cheap"], **fields)) is None


def test_a_database_may_bind_users(router: litellm.Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their rows have grants of their own."""
    monkeypatch.setattr(proxy_server, "prisma_client", object())
    assert kind_of(key(models=["cheap"], user_id="u")) is None
    assert kind_of(key(models=["cheap"], end_user_id="u")) is None
    assert kind_of(key(models=["cheap"])) is not None


def test_aliases_of_the_proxy_are_asked_about_each_time(
    router: litellm.Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may change without a new deployment."""
    monkeypatch.setattr(litellm, "model_alias_map", {"a": "cheap"})
    assert kind_of(key()) is None
    monkeypatch.setattr(litellm, "model_alias_map", {})
    router.model_group_alias = {"a": "cheap"}
    assert kind_of(key()) is None


async def _allowed(pool: Any, caller: UserAPIKeyAuth) -> set[str]:
    return {facts.name for facts in await litellm_proxy.allowed(pool, caller, {}, "acompletion")}


def test_litellm_is_asked_once_for_each_kind_of_key(router: litellm.Router, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when the router has changed, also when that takes a model from an access group."""
    brain, pool, asked = SmartRouter(Settings()), Pool(lambda: router), []
    allow = litellm_proxy.Grants.allow

    async def counted(self: Any, model: str) -> bool:
        asked.append(model)
        return bool(await allow(self, model))

    monkeypatch.setattr(litellm_proxy.Grants, "allow", counted)

    async def main() -> None:
        caller = key(models=["cheap", "vip"])
        for _ in range(3):
            assert await _allowed(pool.facts(brain), caller) == {"cheap"}
        assert len(asked) == len(MODELS)
        assert await _allowed(pool.facts(brain), key(models=["dear"])) == {"dear"}
        vip = deployment("dear", "prov-dear", "http://127.0.0.1:1", ofox=MODELS["dear"], access_groups=["vip"])
        router.upsert_deployment(litellm.types.router.Deployment(**vip))
        assert await _allowed(pool.facts(brain), caller) == {"cheap", "dear"}

    asyncio.run(main())


def test_limits_are_looked_for_where_there_may_be_some(router: litellm.Router) -> None:
    """In the key's metadata and its owners', in its budgets, and in deployments that limit every key."""
    pool = Candidates({}, router.model_list)
    assert not may_be_limited(key(metadata={"tags": ["a"]}), pool)
    assert may_be_limited(key(metadata={"model_rpm_limit": {"cheap": 1}}), pool)
    assert may_be_limited(key(team_metadata={"model_tpm_limit": {"cheap": 1}}), pool)
    assert may_be_limited(key(model_max_budget={"cheap": {"rpm_limit": 1}}), pool)
    limited = [{"litellm_params": {"default_api_key_rpm_limit": 5}}]
    assert may_be_limited(key(), Candidates({}, limited))


def test_guardrails_are_looked_for_where_a_deployment_has_some(router: litellm.Router) -> None:
    """One deployment with guardrails of its own, in a list or as a bare name, is enough."""
    assert not Candidates({}, router.model_list).guarded
    for stated in (["gate"], "gate"):
        guarded = {"litellm_params": {"model": "openai/x", "guardrails": stated}}
        assert Candidates({}, [*router.model_list, guarded]).guarded


def test_a_key_is_asked_for_budgets_that_the_release_has() -> None:
    """A budget for a single model binds, whichever of LiteLLM's fields for it holds it."""
    assert not has_budgets(key())
    for name in ("model_max_budget", "team_model_max_budget", "end_user_model_max_budget"):
        assert has_budgets(key(**{name: {"cheap": {"budget_limit": 1}}}))


def test_kinds_are_bounded() -> None:
    """Many kinds of keys do not fill the memory."""
    pool = Candidates({}, [])
    for number in range(MOST_KINDS + 5):
        pool.remember((str(number),), ())
    assert len(pool.verdicts) <= MOST_KINDS
