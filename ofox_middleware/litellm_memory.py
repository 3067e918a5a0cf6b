"""What need not be asked of LiteLLM for every candidate of every request, and when it must be asked all the same.

LiteLLM takes some 40 microseconds for each candidate to say whether a key may call it and what rate limits bind it.
For most keys both follow from the key's own list of models and from the router's deployments alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import litellm
from litellm.proxy import proxy_server
from litellm.proxy._types import UserAPIKeyAuth

from ofox_middleware import litellm_registry as registry
from ofox_middleware.litellm_keys import reader
from ofox_middleware.litellm_pool import Candidates

_owners: Final = reader("team_id", "org_id", "project_id", "agent_id", "access_group_ids", "config", "aliases",
                        "team_model_aliases")  # fmt: skip
_rows: Final = reader("user_id", "end_user_id")
_limited_by: Final = reader("metadata", "team_metadata", "organization_metadata", "project_metadata")


def kind_of(key: UserAPIKeyAuth) -> Hashable | None:
    """Keys of one kind may call the same models; ``None`` for a key whose rights are not its own list alone.

    A team, an organisation, a project, an agent, an access group or an alias has rights that may change between two
    requests, and so do a user and an end user where there is a database.
    """
    router = proxy_server.llm_router
    if litellm.model_alias_map or router is None or registry.aliases(router):
        return None
    if any(_owners(key)) or (proxy_server.prisma_client is not None and any(_rows(key))):
        return None
    models = key.models or ()
    # A group may be a team's own, and nothing forbids a team without a name.
    return (key.team_id, *models) if all(isinstance(name, str) for name in models) else None


def may_be_limited(key: UserAPIKeyAuth, pool: Candidates) -> bool:
    """Whether a rate limit for a single model may bind this caller."""
    if pool.limited or key.model_max_budget:
        return True
    return any("limit" in str(name) for holder in _limited_by(key) if holder for name in holder)
