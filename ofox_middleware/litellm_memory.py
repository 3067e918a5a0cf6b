"""What need not be asked of LiteLLM for every candidate of every request, and when it must be asked all the same.

LiteLLM takes some 40 microseconds for each candidate to say whether a key may call it and what rate limits bind it.
For most keys both follow from the key's own list of models and from the router's deployments alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final

import litellm
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from ofox_middleware import litellm_registry as registry
from ofox_middleware.litellm_pool import Candidates

_OWNERS: Final = ("team_id", "org_id", "project_id", "agent_id", "access_group_ids", "config", "aliases",
                  "team_model_aliases")  # fmt: skip
_ROWS: Final = ("user_id", "end_user_id")
_LIMITED_BY: Final = ("metadata", "team_metadata", "organization_metadata", "project_metadata")


def kind_of(key: UserAPIKeyAuth) -> Hashable | None:
    """Keys of one kind may call the same models; ``None`` for a key whose rights are not its own list alone.

    A team, an organisation, a project, an agent, an access group or an alias has rights that may change between two
    requests, and so do a user and an end user where there is a database.
    """
    router = proxy_server.llm_router
    if litellm.model_alias_map or router is None or registry.aliases(router):
        return None
    bound = _OWNERS if proxy_server.prisma_client is None else (*_OWNERS, *_ROWS)
    if any(getattr(key, name, None) for name in bound):
        return None
    models = key.models or ()
    return tuple(models) if all(isinstance(name, str) for name in models) else None


def may_be_limited(key: UserAPIKeyAuth, pool: Mapping[str, Any]) -> bool:
    """Whether a rate limit for a single model may bind this caller."""
    if not isinstance(pool, Candidates) or pool.limited or key.model_max_budget:
        return True
    return any("limit" in str(name) for holder in _LIMITED_BY for name in getattr(key, holder, None) or ())
