"""Tags: a request that asks for them can only go to groups with a deployment that LiteLLM would take for it."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware import litellm_registry as registry
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import InvalidRequest
from ofox_middleware.litellm_private import optional

log: Final = logging.getLogger("ofox_middleware")

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
    name = _tagged(request)
    matching = None if name is None else optional("get_deployments_for_tag")
    if name is None or matching is None or not candidates:
        return candidates
    try:
        kept = [facts for facts in candidates if _has_deployment(matching, router, facts.model, request, name)]
    except Exception:
        log.exception("ofox: cannot read how tags route; it is left to LiteLLM")
        return candidates
    if not kept:
        raise InvalidRequest(
            "No model that `auto` chooses from has a deployment with the tags of this request.",
            param="metadata.tags",
            code="no_candidate_model",
        )
    return kept


def _tagged(request: Mapping[str, Any]) -> str | None:
    """Where a request holds its tags, ``None`` when it has none."""
    for name in _BUCKETS:
        bucket = request.get(name)
        if bucket and isinstance(bucket, Mapping) and bucket.get("tags"):
            return name
    return None


def _has_deployment(matching: Any, router: Any, group: str, request: Mapping[str, Any], name: str) -> bool:
    deployments = list(registry.entries_of(router, group))
    # LiteLLM notes in the metadata what matched.
    asked = {**request, name: dict(request[name])}
    whole = {"request_deployments": deployments} if _wants_all(matching) else {}
    looking = matching(registry.context(router), group, deployments, asked, name, **whole)
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


def _wants_all(matching: Any) -> bool:
    """Newer releases look at the deployments before other filters as well."""
    return "request_deployments" in inspect.signature(matching).parameters
