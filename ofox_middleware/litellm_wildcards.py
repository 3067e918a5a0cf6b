"""Sparing LiteLLM a search that finds nothing: wildcard groups that match a name, in a router that has none.

LiteLLM looks ``auto`` up among the groups three times before any hook of ours runs. No group has that name, so it looks
among the wildcard ones, and to do so infers a provider from the name, which ends in an exception each time: about
40 microseconds a request, a tenth of what ``auto`` costs more in a proxy than a model that is named.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from ofox_middleware import litellm_registry as registry

_MARK: Final = "_ofox_wildcards"


def skip_absent_wildcards(router: Any) -> None:
    """Makes ``router``, a ``litellm.Router`` or ``None``, find no wildcard group at once while it has none.

    Doing so twice is doing it once. Wildcard groups that are added later are found.
    """
    wildcards: Any = registry.wildcards(router)
    search = getattr(wildcards, "get_deployments_by_pattern", None)
    if search is None or hasattr(wildcards, _MARK):
        return

    @functools.wraps(search)
    def found(*args: Any, **kwargs: Any) -> Any:
        return search(*args, **kwargs) if getattr(wildcards, "patterns", True) else []

    setattr(wildcards, _MARK, True)
    wildcards.get_deployments_by_pattern = found
