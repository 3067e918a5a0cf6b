"""Who may call which model of the proxy: LiteLLM's own rules, asked about each candidate.

Auth has only seen the name ``auto``, and LiteLLM takes access to a router's name as access to everything behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException, UserAPIKeyAuth

from ofox_middleware.errors import OfoxError
from ofox_middleware.litellm_private import needed

log: Final = logging.getLogger("ofox_middleware")

TEAMS_OWN: Final = "model_name_"
"""How LiteLLM begins the names of groups that belong to one team."""


class Unreadable(OfoxError):
    """LiteLLM's database cannot say what bounds the caller."""

    status = 503
    code = "access_unknown"


@dataclass(frozen=True, slots=True)
class Grants:
    """What bounds a caller, looked up once for a request.

    Attributes:
        key: the caller's key as LiteLLM's auth knows it, with its team, end user, project and agent.
        user: the row of the key's user, for a key of no team; LiteLLM binds a team's key by its team alone.
        org: the row of the key's organisation, or of its team's. LiteLLM itself holds only teams to it, when they are
            made; a caller of ``auto`` is held to it with every request.
    """

    key: UserAPIKeyAuth
    user: Any
    org: Any

    @classmethod
    async def of(cls, key: UserAPIKeyAuth) -> Grants:
        """Raises ``Unreadable`` when a row cannot be read, ``Moved`` when LiteLLM has become another."""
        if proxy_server.prisma_client is None:
            return cls(key, None, None)
        try:
            return cls(key, await _user(key), await _organisation(key))
        except OfoxError:
            raise
        except Exception:
            log.exception("ofox: cannot read what a key may use")
            raise Unreadable("It cannot be found out at the moment which models your key may use.") from None

    async def allow(self, model: str) -> bool:
        """Whether the caller may call ``model``, a group of the proxy, under its own name."""
        router = proxy_server.llm_router
        if router is None:
            return False
        authorized = needed("is_model_authorized_for_token")
        if not await authorized(model=model, valid_token=self.key, llm_router=router):
            return False
        bare = _without_alias(self.key, model)
        if bare is not self.key and not await authorized(model=model, valid_token=bare, llm_router=router):
            return False
        try:
            if self.user is not None:
                await needed("can_user_call_model")(model=model, llm_router=router, user_object=self.user)
            if self.org is not None:
                needed("can_org_access_model")(model=model, org_object=self.org, llm_router=router)
            if self.key.agent_id:
                await _check_agent(self.key, model)
        except (OfoxError, ProxyException) as denial:
            if isinstance(denial, OfoxError):
                raise
            return False
        except Exception:
            log.exception("ofox: cannot check access to a model")
            return False
        return True


def _without_alias(key: UserAPIKeyAuth, model: str) -> UserAPIKeyAuth:
    """``key`` without aliases that are called like ``model`` and stand for another.

    LiteLLM lets whoever has an alias call its name, for it puts the model that the alias stands for in its place. What
    we pick is not renamed any more. The names of a team's own deployments are aliases of another kind.
    """
    changed = {}
    for holder in ("aliases", "team_model_aliases"):
        found = getattr(key, holder, None)
        aliases: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        target = aliases.get(model, model)
        if target != model and not str(target).startswith(TEAMS_OWN):
            changed[holder] = {name: aliases[name] for name in aliases if name != model}
    return key.model_copy(update=changed) if changed else key


def _readers() -> dict[str, Any]:
    return {
        "prisma_client": proxy_server.prisma_client,
        "user_api_key_cache": proxy_server.user_api_key_cache,
        "proxy_logging_obj": proxy_server.proxy_logging_obj,
    }


async def _user(key: UserAPIKeyAuth) -> Any:
    if key.team_id is not None or key.user_id is None:
        return None
    try:
        return await needed("get_user_object")(user_id=key.user_id, user_id_upsert=False, **_readers())
    except needed("UserNotFoundError"):
        return None


async def _organisation(key: UserAPIKeyAuth) -> Any:
    org_id = key.org_id
    if org_id is None and key.team_id is not None:
        team = await needed("get_team_object")(team_id=key.team_id, **_readers())
        org_id = team.organization_id
    if org_id is None:
        return None
    try:
        return await needed("get_org_object")(org_id=org_id, **_readers())
    except needed("OrganizationNotFoundError"):
        return None


async def _check_agent(key: UserAPIKeyAuth, model: str) -> None:
    """An agent's key: bounded by the agent's own grants, its access groups, and the user that it acts for."""
    router = proxy_server.llm_router
    policy = needed("managed_agent_policy")(key)
    if policy is not None:
        granted = (policy.object_permission or {}).get("models") or ()
        if not granted:
            raise ProxyException("This agent has no models.", "permission_error", "model", 403)
        needed("can_object_call_model")(
            model=model, llm_router=router, models=list(granted), team_id=key.team_id, object_type="agent"
        )
    await needed("_check_agent_access_group_model_access")(model=model, valid_token=key, llm_router=router)
    await needed("_check_agent_caller_model_access")(model=model, valid_token=key, llm_router=router, **_readers())
