"""``model: "auto"`` in Python: a ``litellm.Router``'s public methods, or LiteLLM's own functions, wrapped.

LiteLLM's seam for this, a custom routing strategy, only sees a request once fallbacks are settled, leaves ``auto`` as
the model group in logs and answers, and is missing on the sync text surface. A wrapper decides before all of that, so
retries, cooldowns, fallbacks, logs and prices work on the concrete group.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, Final

from ofox_middleware import litellm_events as events
from ofox_middleware.errors import NoPool, OfoxError
from ofox_middleware.litellm_pool import Pool
from ofox_middleware.litellm_routed import (
    Routed,
    card_params,
    current_routed,
    fallback_entries,
    hops,
    leaves_to_us,
)
from ofox_middleware.litellm_stream import finished
from ofox_middleware.router import SmartRouter
from ofox_middleware.types import ModelFacts

METHODS: Final = {
    "completion": ("/v1/chat/completions", "messages"),
    "acompletion": ("/v1/chat/completions", "messages"),
    "text_completion": ("/v1/completions", "prompt"),
    "atext_completion": ("/v1/completions", "prompt"),
    "responses": ("/v1/responses", "input"),
    "aresponses": ("/v1/responses", "input"),
    "anthropic_messages": ("/v1/messages", "messages"),
    "aanthropic_messages": ("/v1/messages", "messages"),
}
"""Methods that are wrapped: the path that tells the request's shape, and their second positional argument."""

_MARK: Final = "_ofox_attached"
BrainOf = Callable[[], SmartRouter]


def attach_router(router: Any, owner: object, brain: BrainOf) -> Pool | None:
    """Wraps ``router``'s methods; see :func:`ofox_middleware.litellm_plugin.attach`.

    Args:
        owner: whose wrappers these are; a second attachment by the same owner does nothing, one by another replaces.
        brain: who decides, asked anew for every request.

    Returns:
        The router's candidates, ``None`` when ``owner`` is attached already.
    """
    if getattr(router, _MARK, None) is owner:
        return None
    # The pool outlives the router in the plugin's list, so it must not hold it.
    pool = Pool(weakref.ref(router))
    for name, (path, second) in METHODS.items():
        method = getattr(router, name, None)
        if method is None:
            continue
        method = getattr(method, "__wrapped__", method) if getattr(router, _MARK, None) else method
        wrap = _async_method if inspect.iscoroutinefunction(inspect.unwrap(method)) else _sync_method
        setattr(router, name, wrap(method, path, second, pool, brain))
    setattr(router, _MARK, owner)
    return pool


def _sync_method(method: Callable[..., Any], path: str, second: str, pool: Pool, brain: BrainOf) -> Any:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _named(args, kwargs, second)
        routed = _route(kwargs, path, pool, brain())
        if routed is None:
            return method(*args, **kwargs)
        token = current_routed.set(routed)
        try:
            return finished(method(*args, **kwargs), routed, brain())
        except Exception as error:
            routed.ended(brain(), ok=False, status=events.status_of(error))
            raise
        finally:
            current_routed.reset(token)

    return call


def _async_method(method: Callable[..., Any], path: str, second: str, pool: Pool, brain: BrainOf) -> Any:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _named(args, kwargs, second)
        routed = _route(kwargs, path, pool, brain())
        if routed is None:
            return await method(*args, **kwargs)
        token = current_routed.set(routed)
        try:
            return finished(await method(*args, **kwargs), routed, brain())
        except Exception as error:
            routed.ended(brain(), ok=False, status=events.status_of(error))
            raise
        except asyncio.CancelledError:
            routed.drop()
            raise
        finally:
            current_routed.reset(token)

    return call


def _named(args: tuple[Any, ...], kwargs: dict[str, Any], second: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The first two positional arguments under their names; LiteLLM's methods agree on those."""
    given = dict(zip(("model", second), args, strict=False))
    return args[2:], {**given, **kwargs}


def _route(kwargs: dict[str, Any], path: str, pool: Pool, brain: SmartRouter) -> Routed | None:
    """Puts the picked group and its fallbacks into ``kwargs``; ``None`` when no auto model was asked for."""
    config = kwargs.pop("model_routing_config", None)
    if not brain.is_auto(kwargs.get("model")):
        return None
    try:
        candidates = [facts for facts, team in pool.facts(brain).values() if team is None]
        if not candidates:
            raise NoPool("The router has no chat model to choose from.", param="model")
        return _decided(kwargs, config, path, candidates, brain)
    except OfoxError as error:
        raise events.refusal(error) from None


def _decided(
    kwargs: dict[str, Any], config: Any, path: str, candidates: list[ModelFacts], brain: SmartRouter
) -> Routed | None:
    try:
        decision = brain.decide({**kwargs, "model_routing_config": config}, path, pool=candidates)
    except OfoxError:
        raise
    except Exception:  # noqa: BLE001 - an error of ours must not cost the request
        brain.stats["litellm_decision_error"] += 1
        kwargs["model"] = candidates[0].model
        return None
    names = hops(decision, brain.settings.max_attempts)
    free = card_params(decision, names, kwargs)
    patient = leaves_to_us(kwargs)
    pick = decision.targets[decision.model]
    kwargs["model"] = pick.model
    kwargs.update({param: pick.params[param] for param in free & pick.params.keys()})
    routed = Routed(decision, names, free, patient=patient)
    if kwargs.get("fallbacks") is None:
        if not decision.fallback:
            kwargs["disable_fallbacks"] = True
        elif len(names) > 1:
            kwargs["fallbacks"] = routed.fallbacks = fallback_entries(decision, names[1:], free, brain.health)
    return routed
