"""What a ``litellm.Router`` says of its deployments, asked for in the way that the installed release likes.

From 1.110 on the Router answers by ``registry()`` and ``settings()``; its members of old warn at every use and will go.
Releases before have only those members.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any


def context(router: Any) -> Any:
    """What LiteLLM's own parts of a router's routing take for the router."""
    if not hasattr(router, "registry"):
        return router
    return importlib.import_module("litellm.router_api").RoutingContext(router)


def version(router: Any) -> int | None:
    """A number that changes with the deployments; ``None`` where the release has none."""
    return router.registry().version if hasattr(router, "registry") else None


def entries(router: Any) -> list[Any]:
    """The live ``model_list``."""
    found: list[Any] = router.registry().all() if hasattr(router, "registry") else router.model_list
    return found


def entries_of(router: Any, name: str | None) -> Sequence[Mapping[str, Any]]:
    """The entries behind a name that a request may use: a group, an alias, or what a wildcard covers."""
    asked = router.registry().deployments if hasattr(router, "registry") else router.get_model_list
    found: Sequence[Mapping[str, Any]] | None = asked(model_name=name)
    return found or ()


def group_of(router: Any, deployment: str | None) -> str | None:
    """The group of a deployment, by its id; ``None`` when there is no such deployment."""
    if router is None or not deployment:
        return None
    modern = hasattr(router, "registry")
    found = router.registry().deployment(deployment) if modern else router.get_deployment(model_id=deployment)
    return None if found is None else str(found.model_name)


def model_info(router: Any, deployment: str, model: str) -> Mapping[str, Any] | None:
    """LiteLLM's facts of a deployment, over those of its map for ``model``."""
    modern = hasattr(router, "registry")
    asked = router.registry().deployment_model_info if modern else router.get_deployment_model_info
    found: Mapping[str, Any] | None = asked(deployment, model)
    return found


def names(router: Any) -> list[str]:
    """Every name that a request may use."""
    return list(router.registry().names() if hasattr(router, "registry") else router.get_model_names())


def aliases(router: Any) -> Mapping[str, Any]:
    """``model_group_alias``."""
    found = router.registry().aliases() if hasattr(router, "registry") else getattr(router, "model_group_alias", None)
    return found if isinstance(found, Mapping) else {}


def wildcards(router: Any) -> Any:
    """What finds the wildcard groups that cover a name; ``None`` where the router has no such part."""
    if router is None:
        return None
    return router.registry().patterns() if hasattr(router, "registry") else getattr(router, "pattern_router", None)


def setting(router: Any, name: str) -> Any:
    """A setting of the router's; ``None`` where it has none of that name."""
    return getattr(router.settings() if hasattr(router, "registry") else router, name, None)
