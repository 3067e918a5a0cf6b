"""Who keeps an earlier response: a provider knows only its own, so a request that continues one can go nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofox_middleware import litellm_registry as registry
from ofox_middleware.cards import ModelFacts
from ofox_middleware.litellm_private import optional


def keeper_id(previous_response_id: object) -> str | None:
    """The deployment that gave a response, by the id that LiteLLM gave out; ``None`` when it does not say."""
    ids = optional("ResponsesAPIRequestUtils")
    if ids is None or not isinstance(previous_response_id, str):
        return None
    found = ids.get_model_id_from_response_id(previous_response_id)
    return found if isinstance(found, str) else None


def by_keeper(candidates: list[ModelFacts], router: Any, request: Mapping[str, Any]) -> list[ModelFacts]:
    """The candidate whose group holds the response that ``request`` continues; all of them when it continues none."""
    model_id = keeper_id(request.get("previous_response_id"))
    group = registry.group_of(router, model_id)
    return candidates if group is None else [facts for facts in candidates if facts.model == group]


def of_keeper(deployments: list[Any], request: Mapping[str, Any]) -> list[Any]:
    """The one of a group's ``deployments`` that holds the response; all of them when it is none of these."""
    model_id = keeper_id(request.get("previous_response_id"))
    kept = [each for each in deployments if model_id and (each.get("model_info") or {}).get("id") == model_id]
    return kept or deployments
