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
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import NoPool, OfoxError
from ofox_middleware.litellm_adapting import adapted, allow_dropping, put
from ofox_middleware.litellm_keeper import by_keeper
from ofox_middleware.litellm_pool import Pool
from ofox_middleware.litellm_routed import (
    Routed,
    card_params,
    current_routed,
    fallback_entries,
    hops,
    leaves_to_us,
    sets_timeout,
)
from ofox_middleware.litellm_stream import finished
from ofox_middleware.litellm_tags import by_tags
from ofox_middleware.router import SmartRouter

METHODS: Final = {
    "completion": ("/v1/chat/completions", "messages"),
    "acompletion": ("/v1/chat/completions", "messages"),
    "text_completion": ("/v1/completions", "prompt"),
    "atext_completion": ("/v1/completions", "prompt"),
    "responses": ("/v1/responses", "input"),
    "aresponses": ("/v1/responses", "input"),
    "anthropic_messages": ("/v1/messages", "messages"),
    "aanthropic_messages": ("/v1/messages", "messages"),
    "schedule_acompletion": ("/v1/chat/completions", "messages"),
}
"""Methods that are wrapped: the path that tells the request's shape, and their second positional argument."""

OTHERS: Final = (
    "embedding", "aembedding", "image_generation", "aimage_generation", "aimage_edit", "aspeech", "atranscription",
    "amoderation", "arerank", "acreate_batch", "ocr", "aocr", "video_generation", "avideo_generation",
    "generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream",
)  # fmt: skip
"""Methods that take a model and are not routed: LiteLLM would look for a deployment that is called ``auto``."""

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
    for name in (*METHODS, *OTHERS):
        method = getattr(router, name, None)
        if method is None:
            continue
        method = getattr(method, "__wrapped__", method) if getattr(router, _MARK, None) else method
        is_async = inspect.iscoroutinefunction(inspect.unwrap(method))
        if name in METHODS:
            path, second = METHODS[name]
            wrapped = (_async_method if is_async else _sync_method)(method, path, second, pool, brain)
        else:
            wrapped = (_async_other if is_async else _sync_other)(method, brain)
        setattr(router, name, wrapped)
    setattr(router, _MARK, owner)
    return pool


def _sync_other(method: Callable[..., Any], brain: BrainOf) -> Any:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        _refuse_auto(args, kwargs, brain())
        return method(*args, **kwargs)

    return call


def _async_other(method: Callable[..., Any], brain: BrainOf) -> Any:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        _refuse_auto(args, kwargs, brain())
        return await method(*args, **kwargs)

    return call


def _refuse_auto(args: tuple[Any, ...], kwargs: dict[str, Any], brain: SmartRouter) -> None:
    kwargs.pop("model_routing_config", None)
    if brain.is_auto(args[0] if args else kwargs.get("model")):
        raise events.refusal(events.not_chat())


def _sync_method(method: Callable[..., Any], path: str, second: str, pool: Pool, brain: BrainOf) -> Any:
    names = _positional(method, second)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _named(args, kwargs, names)
        routed = _route(kwargs, path, pool, brain())
        if routed is None:
            return _called(method, args, kwargs, names)
        token = current_routed.set(routed)
        try:
            return finished(_called(method, args, kwargs, names), routed, brain())
        except Exception as error:
            routed.ended(brain(), ok=False, status=events.status_of(error))
            raise
        finally:
            current_routed.reset(token)

    return call


def _async_method(method: Callable[..., Any], path: str, second: str, pool: Pool, brain: BrainOf) -> Any:
    names = _positional(method, second)

    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _named(args, kwargs, names)
        routed = _route(kwargs, path, pool, brain())
        if routed is None:
            return await _called(method, args, kwargs, names)
        token = current_routed.set(routed)
        try:
            return finished(await _called(method, args, kwargs, names), routed, brain())
        except Exception as error:
            routed.ended(brain(), ok=False, status=events.status_of(error))
            raise
        except asyncio.CancelledError:
            routed.drop()
            raise
        finally:
            current_routed.reset(token)

    return call


def _positional(method: Callable[..., Any], second: str) -> tuple[str, ...]:
    """What the positional arguments of ``method`` are called. Some of LiteLLM's methods do not say; the first two are
    the same everywhere."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    stated = [found.name for found in inspect.signature(method).parameters.values() if found.kind in kinds]
    return tuple(stated) if stated[:2] == ["model", second] else ("model", second)


def _named(
    args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[str, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional arguments under their names, and those that have none."""
    given = dict(zip(names, args, strict=False))
    return args[len(names) :], {**given, **kwargs}


def _called(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], names: tuple[str, ...]) -> Any:
    """What ``method`` says. Arguments without a name are more than it takes, of which it complains itself when it gets
    those before them by position too."""
    first = [kwargs.pop(name) for name in names] if args else []
    return method(*first, *args, **kwargs)


def _route(kwargs: dict[str, Any], path: str, pool: Pool, brain: SmartRouter) -> Routed | None:
    """Puts the picked group and its fallbacks into ``kwargs``; ``None`` when no auto model was asked for."""
    config = kwargs.pop("model_routing_config", None)
    if not brain.is_auto(kwargs.get("model")):
        return None
    try:
        candidates = [facts for facts, team in pool.facts(brain).values() if team is None]
        if not candidates:
            raise NoPool("The router has no chat model to choose from.", param="model")
        return _decided(
            kwargs, config, path, by_tags(by_keeper(candidates, pool.router(), kwargs), pool.router(), kwargs), brain
        )
    except OfoxError as error:
        raise events.refusal(error) from None


def _decided(
    kwargs: dict[str, Any], config: Any, path: str, candidates: list[ModelFacts], brain: SmartRouter
) -> Routed | None:
    try:
        decision = brain.decide(
            {**kwargs, "model_routing_config": config}, path, pool=candidates, adapts=brain.settings.adapt_params
        )
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
    routed = Routed(decision, names, free, patient=patient, own_timeout=sets_timeout(kwargs))
    allow_dropping(kwargs, decision, brain.settings)
    changes = adapted(brain, decision, names, kwargs)
    put(kwargs, changes.get(decision.model, {}))
    if kwargs.get("fallbacks") is None:
        if not decision.fallback:
            kwargs["disable_fallbacks"] = True
        elif len(names) > 1:
            kwargs["fallbacks"] = routed.fallbacks = fallback_entries(decision, names[1:], free, brain.health, changes)
    return routed
