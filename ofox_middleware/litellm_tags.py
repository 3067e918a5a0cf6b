"""Tags: a request that asks for them can only go to groups with a deployment that LiteLLM would take for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware.errors import InvalidRequest
from ofox_middleware.litellm_private import optional
from ofox_middleware.types import ModelFacts

_BUCKETS: Final = ("litellm_metadata", "metadata")


def by_tags(candidates: list[ModelFacts], router: Any, request: Mapping[str, Any]) -> list[ModelFacts]:
    """Those of ``candidates`` that LiteLLM's tag routing leaves a deployment of.

    A group is never without one for a request that has no tags, so such a request is not looked into.

    Args:
        router: a ``litellm.Router``, which says whether tags route at all.
        request: a proxy request's data, or the arguments of a router's method.

    Raises:
        InvalidRequest: none is left.
    """
    name = next((name for name in _BUCKETS if isinstance(request.get(name), Mapping) and request[name].get("tags")), "")
    matching = optional("get_deployments_for_tag")
    if not name or matching is None or not candidates:
        return candidates
    kept = [facts for facts in candidates if _has_deployment(matching, router, facts.model, request, name)]
    if not kept:
        raise InvalidRequest(
            "No model that `auto` chooses from has a deployment with the tags of this request.",
            param="metadata.tags",
            code="no_candidate_model",
        )
    return kept


def _has_deployment(matching: Any, router: Any, group: str, request: Mapping[str, Any], name: str) -> bool:
    deployments = router.get_model_list(model_name=group) or []
    # LiteLLM notes in the metadata what matched.
    asked = {**request, name: dict(request[name])}
    looking = matching(router, group, deployments, asked, name)
    try:
        # It is declared async and waits for nothing.
        looking.send(None)
    except StopIteration as found:
        return bool(found.value)
    except ValueError:
        return False
    finally:
        looking.close()
    return True
