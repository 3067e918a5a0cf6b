"""LiteLLM's own functions with ``model="auto"``: decide, call, and on a provider's failure call the next candidate.

The fallbacks are tried here. LiteLLM's functions take ``fallbacks`` too, but the sync one then answers with an async
stream, and both sit out a model for a minute of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import litellm

from ofox_middleware import litellm_events as events
from ofox_middleware.errors import OfoxError
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_adapting import adapted, allow_dropping, put
from ofox_middleware.litellm_beginning import Sound, begun, begun_sync, failed_hollow
from ofox_middleware.litellm_routed import Routed, card_params, current_routed, hops, sets_timeout
from ofox_middleware.litellm_stream import finished
from ofox_middleware.router import SmartRouter

_PATH = "/v1/chat/completions"


async def acompletion(brain: SmartRouter, ledger: Ledger, kwargs: dict[str, Any]) -> Any:
    """``litellm.acompletion``; the pool is that of ``brain``'s settings. A stream is handed out once it says something,
    until when the next candidate may still take over."""
    routed = _route(brain, kwargs)
    if routed is None:
        return await litellm.acompletion(**kwargs)
    token = current_routed.set(routed)
    try:
        waiting = list(routed.hops)
        while True:
            name = waiting.pop(0)
            try:
                answer = await litellm.acompletion(**_asked(routed, name, kwargs, brain))
                if isinstance(answer, litellm.CustomStreamWrapper):
                    answer = await begun(Sound(answer, partial(failed_hollow, routed, ledger)))
                return finished(answer, routed, brain)
            except Exception as error:
                waiting = routed.worth_trying(brain, name, error, waiting)
                if not waiting:
                    raise
    except Exception as error:
        routed.ended(brain, ok=False, status=events.status_of(error))
        raise
    except asyncio.CancelledError:
        routed.drop()
        raise
    finally:
        current_routed.reset(token)


def completion(brain: SmartRouter, ledger: Ledger, kwargs: dict[str, Any]) -> Any:
    """``litellm.completion``, likewise."""
    routed = _route(brain, kwargs)
    if routed is None:
        return litellm.completion(**kwargs)
    token = current_routed.set(routed)
    try:
        waiting = list(routed.hops)
        while True:
            name = waiting.pop(0)
            try:
                answer = litellm.completion(**_asked(routed, name, kwargs, brain))
                if isinstance(answer, litellm.CustomStreamWrapper):
                    answer = begun_sync(Sound(answer, partial(failed_hollow, routed, ledger)))
                return finished(answer, routed, brain)
            except Exception as error:
                waiting = routed.worth_trying(brain, name, error, waiting)
                if not waiting:
                    raise
    except Exception as error:
        routed.ended(brain, ok=False, status=events.status_of(error))
        raise
    finally:
        current_routed.reset(token)


def _route(brain: SmartRouter, kwargs: dict[str, Any]) -> Routed | None:
    config = kwargs.pop("model_routing_config", None)
    if not brain.is_auto(kwargs.get("model")):
        return None
    try:
        decision = brain.decide({**kwargs, "model_routing_config": config}, _PATH, adapts=brain.settings.adapt_params)
    except OfoxError as error:
        raise events.refusal(error) from None
    names = hops(decision, brain.settings.max_attempts)
    free = card_params(decision, names, kwargs)
    allow_dropping(kwargs, decision, brain.settings)
    return Routed(decision, names, free, own_timeout=sets_timeout(kwargs))


def _asked(routed: Routed, name: str, kwargs: Mapping[str, Any], brain: SmartRouter) -> dict[str, Any]:
    """The call's arguments for the candidate ``name``."""
    routed.now = name
    facts = routed.decision.targets[name]
    params = {param: facts.params[param] for param in routed.free & facts.params.keys()}
    asked = {**kwargs, **params, "model": facts.model}
    put(asked, adapted(brain, routed.decision, (name,), kwargs).get(name, {}))
    return asked
