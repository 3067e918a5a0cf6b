"""Has LiteLLM's proxy ask a provider for the tokens of a stream, which it otherwise guesses at or takes for none.

It asks where it knows a model to take ``stream_options``, by the name that the client sent and before any hook runs;
of an auto one it knows nothing. What comes back is hidden from a client that did not ask for it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from litellm.proxy import proxy_server

from ofox_middleware.decision import Decision
from ofox_middleware.litellm_private import optional
from ofox_middleware.router import SmartRouter

log: Final = logging.getLogger("ofox_middleware")

OPTIONS: Final = "stream_options"
"""The parameter that asks for it."""
_HIDES: Final = "_litellm_strip_stream_usage"
"""What LiteLLM leaves in a request whose usage it asks for by itself. A client cannot: LiteLLM makes it false."""


def ask_for_usage(
    brain: SmartRouter,
    decision: Decision,
    names: Sequence[str],
    data: dict[str, Any],
    *,
    call_type: str,
    team: str | None,
) -> dict[str, dict[str, Any]] | None:
    """Puts into ``data`` what LiteLLM would have, had the client named the model.

    Returns:
        ``None`` when nobody is asked because of us. Else what is to be changed for each of ``names``, as
        :func:`~ofox_middleware.litellm_adapting.adapted` says it; empty when all of them take ``stream_options``.
    """
    if data.get("stream") is not True or data.get(_HIDES) is True:
        return None
    updates_of = optional("stream_usage_tracking_updates")
    supported = optional("model_deployments_support_stream_options")
    if updates_of is None or supported is None:
        return None
    taking: set[str] = set()

    def any_takes_it() -> bool:
        taking.update(
            name
            for name in names
            if OPTIONS not in brain.lacks.keys_of(name)
            and supported(model=decision.targets[name].model, llm_router=proxy_server.llm_router, team_id=team)
        )
        return bool(taking)

    try:
        updates: Mapping[str, Any] = updates_of(
            data=data,
            general_settings=proxy_server.general_settings,
            route_type=call_type,
            supports_stream_options=any_takes_it,
        )
    except Exception:
        log.exception("ofox: cannot ask for the tokens of a stream; LiteLLM counts them as it can")
        return None
    own = data.get(OPTIONS)
    data.update(updates)
    if not taking:
        return None
    if taking.issuperset(names):
        return {}
    return {name: {OPTIONS: updates[OPTIONS] if name in taking else own} for name in names}
