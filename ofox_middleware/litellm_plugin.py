"""The LiteLLM door: a callback object that routes ``model: "auto"`` and learns health from LiteLLM's events.

In a proxy, one line of YAML switches it on; ``callback_settings.ofox`` takes the same fields as :class:`Settings`::

    litellm_settings:
      callbacks: [ofox_middleware.litellm_plugin.ofox]

In Python, ``attach(router)`` does the same for a ``litellm.Router``. Without a router, :func:`acompletion` and
:func:`completion` stand for LiteLLM's functions of the same name; or ``litellm.callbacks.append(ofox)`` makes
``await litellm.acompletion(model="auto", ...)`` itself understand ``auto``. That last way is async only, tries one
model, and leaves LiteLLM's own name on the chunks of a stream, which pass no hook.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import litellm
from litellm.integrations.custom_logger import CustomLogger

from ofox_middleware import litellm_events as events
from ofox_middleware import litellm_plain, plugin_state
from ofox_middleware.cards import ModelFacts
from ofox_middleware.errors import OfoxError
from ofox_middleware.ledger import Call, Ledger
from ofox_middleware.litellm_adapting import adapted, allow_dropping, put
from ofox_middleware.litellm_attach import attach_router
from ofox_middleware.litellm_keeper import of_keeper
from ofox_middleware.litellm_patience import fit_timeouts
from ofox_middleware.litellm_pool import Pool
from ofox_middleware.litellm_routed import Routed, current_routed, sets_timeout
from ofox_middleware.litellm_setup import make_router, proxy_router, serve_console, share_health, watch_config
from ofox_middleware.litellm_stamp import stamp
from ofox_middleware.litellm_stream import Passage
from ofox_middleware.litellm_wildcards import skip_absent_wildcards
from ofox_middleware.router import SmartRouter

log: Final = logging.getLogger("ofox_middleware")

__all__ = ["OfoxLogger", "acompletion", "attach", "completion", "ofox", "watch"]


class OfoxLogger(CustomLogger):  # type: ignore[misc]
    """The callback object.

    LiteLLM looks for some hooks in the class's own namespace only, so this class defines all of them itself and must
    not be subclassed.

    Args:
        router: the brain; ``None`` is the one that all copies of the plugin share, made at its first use.
        routes: whether requests for ``auto`` are routed; an observer only feeds the router's health.
    """

    def __init__(self, router: SmartRouter | None = None, *, routes: bool = True) -> None:
        super().__init__()
        self.routes = routes
        self._own = router
        self._own_ledger = None if router is None else Ledger(router.health)
        self.in_proxy = False
        self.pools: list[Pool] = []
        self.proxy_pool = Pool(proxy_router)

    @property
    def router(self) -> SmartRouter:
        """The brain. Raises ``SettingsError`` when it has to be made first and the settings are wrong."""
        return self._own if self._own is not None else plugin_state.router(make_router)

    @property
    def ledger(self) -> Ledger:
        """Where the attempts are kept that this object sees."""
        return self._own_ledger if self._own_ledger is not None else plugin_state.ledger(make_router)

    # --- the proxy: before the call

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any]:
        """Routes a proxy request. Refusals have LiteLLM's shape; an error of ours never costs the request."""
        call: Call | None = None
        try:
            call = self._arrived(data)
        except Exception:  # noqa: BLE001 - an error of ours must not cost the request
            self._slip("request")
        if not self.routes:
            return data
        config = data.pop("model_routing_config", None)
        try:
            import ofox_middleware.litellm_hook as hook  # noqa: PLC0415 - needs the proxy's packages
        except Exception:  # noqa: BLE001 - without it, nobody knows who may call what, and LiteLLM refuses `auto`
            self._slip("import")
            return data
        return await hook.route(
            self.router, data, user_api_key_dict, call_type, candidates=self.proxy_pool, config=config, call=call
        )

    def _arrived(self, data: Mapping[str, Any]) -> Call | None:
        if not self.in_proxy:
            self.in_proxy = True
            self.pools.append(self.proxy_pool)
        router = self.router
        share_health(router)
        watch_config(router)
        if self.routes:
            litellm_router = proxy_router()
            fit_timeouts(litellm_router, lambda: self.router, lambda: self.ledger)
            skip_absent_wildcards(litellm_router)
        call = events.call_of(data.get("litellm_logging_obj"))
        if call is not None:
            call.own_timeout = sets_timeout(data)
        return call

    # --- the proxy: the answer

    async def async_post_call_success_hook(self, data: dict[str, Any], user_api_key_dict: Any, response: Any) -> Any:
        try:
            routed = Routed.of(data)
            if routed is not None:
                stamp(response, routed.model)
                routed.ended(self.router, ok=True, status=200, response=response)
        except Exception:  # noqa: BLE001 - as above
            self._slip("answer")
        return response

    async def async_post_call_streaming_iterator_hook(
        self, user_api_key_dict: Any, response: Any, request_data: dict[str, Any]
    ) -> AsyncIterator[Any]:
        passage = Passage(request_data, self.router, self.ledger, self._slip)
        try:
            async for chunk in response:
                out = passage.piece(chunk)
                if out or not isinstance(out, (bytes, str)):
                    yield out
            rest = passage.rest()
            if rest:
                yield rest
        except Exception as error:
            passage.failed(error)
            raise
        finally:
            passage.over()

    async def async_post_call_response_headers_hook(
        self,
        data: dict[str, Any],
        user_api_key_dict: Any,
        response: Any,
        request_headers: dict[str, str] | None = None,
        litellm_call_info: dict[str, Any] | None = None,
    ) -> dict[str, str] | None:
        try:
            routed = Routed.of(data)
            return None if routed is None else routed.headers()
        except Exception:  # noqa: BLE001 - as above
            self._slip("headers")
            return None

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: Any,
        traceback_str: str | None = None,
    ) -> None:
        try:
            routed = Routed.of(request_data)
            if routed is not None:
                routed.ended(self.router, ok=False, status=events.status_of(original_exception))
        except Exception:  # noqa: BLE001 - as above
            self._slip("answer")

    # --- every attempt, in the proxy and in the SDK

    async def async_filter_deployments(
        self,
        model: str,
        healthy_deployments: list[Any],
        messages: Any,
        request_kwargs: dict[str, Any] | None = None,
        parent_otel_span: Any = None,
    ) -> list[Any]:
        """Within the group that was picked, a continued response goes to the deployment that has it."""
        try:
            if request_kwargs and request_kwargs.get("previous_response_id") and isinstance(healthy_deployments, list):
                routed = Routed.of(request_kwargs) or current_routed.get()
                return healthy_deployments if routed is None else of_keeper(healthy_deployments, request_kwargs)
        except Exception:  # noqa: BLE001 - as above
            self._slip("keeper")
        return healthy_deployments

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """An attempt starts; in the SDK without a router, also where ``auto`` is resolved."""
        fault, attempt = None, None
        try:
            fault = self._unseen(kwargs)
            attempt = events.Start.of(kwargs)
            fault = fault or self._withdrawn(kwargs, attempt)
        except Exception:  # noqa: BLE001 - an error of ours must not cost the request
            self._slip("withdrawn")
        if fault is not None:
            raise fault
        try:
            return self._attempt(kwargs, attempt, str(getattr(call_type, "value", call_type)))
        except OfoxError as error:
            raise events.refusal(error) from None
        except Exception:  # noqa: BLE001 - as above
            self._slip("attempt")
            return None

    def _unseen(self, kwargs: Mapping[str, Any]) -> Exception | None:
        """What to raise in place of an attempt at a request for `auto` that was not routed: where LiteLLM runs no hook
        before a request, it goes from `auto`, which is no group, to its default fallbacks."""
        unseen = events.asked_unseen(kwargs)
        if unseen is None or not self.routes or not self.router.is_auto(unseen):
            return None
        return events.refusal(events.not_chat())

    def _withdrawn(self, kwargs: Mapping[str, Any], attempt: events.Start) -> Exception | None:
        """What to raise in place of an attempt that was called off when the one before it ended: LiteLLM goes on with
        another model in the middle of a Responses stream, which then holds two answers."""
        call = events.call_of(kwargs.get("litellm_logging_obj"))
        routed = None if call is None else call.routed
        if call is not None and routed is None and (attempt.depth or attempt.retries):
            # With a Router each attempt is a call of its own; whatever else is called meanwhile is no fallback.
            routed = current_routed.get()
        if not isinstance(routed, Routed):
            return None
        if routed.spoken:
            return events.broken_off(routed.model)
        return routed.instead_of(attempt) or routed.passed_over(attempt, self.router.health)

    def _attempt(self, kwargs: dict[str, Any], attempt: events.Start | None, call_type: str) -> dict[str, Any] | None:
        changed = "model_routing_config" in kwargs
        config = kwargs.pop("model_routing_config", None)
        if self.routes and not self.in_proxy and self.router.is_auto(kwargs.get("model")):
            self._route_plain(kwargs, config, call_type)
            changed, attempt = True, None
        logging_obj = kwargs.get("litellm_logging_obj")
        call = events.call_of(logging_obj)
        if call is None:
            return kwargs if changed else None
        self._begin(call, attempt or events.Start.of(kwargs))
        self.ledger.close_when_dropped(call, logging_obj)
        return kwargs if changed else None

    def _route_plain(self, kwargs: dict[str, Any], config: Any, call_type: str) -> None:
        """``litellm.acompletion(model="auto")`` without a router: the settings' pool, and no fallbacks of ours."""
        path = events.PATHS.get(call_type)
        call = events.call_of(kwargs.get("litellm_logging_obj"))
        if path is None or call is None:
            raise events.not_chat()
        decision = self.router.decide(
            {**kwargs, "model_routing_config": config}, path, adapts=self.router.settings.adapt_params
        )
        pick = decision.targets[decision.model]
        allow_dropping(kwargs, decision, self.router.settings)
        put(kwargs, adapted(self.router, decision, (decision.model,), kwargs).get(decision.model, {}))
        kwargs["model"] = pick.model
        for param, value in pick.params.items():
            if kwargs.get(param) is None:
                kwargs[param] = value
        call.routed = Routed(decision, (decision.model,), stamps=True, own_timeout=sets_timeout(kwargs))

    def _begin(self, call: Call, attempt: events.Start) -> None:
        routed = call.routed
        if routed is None:
            routed = call.routed = current_routed.get()
        facts = self._facts(call, attempt)
        if isinstance(routed, Routed):
            call.own_timeout = call.own_timeout or routed.own_timeout
            routed.trying(attempt.group if facts is None else facts.name)
            if not any(known is call for known in routed.calls):
                routed.calls.append(call)
        if facts is not None:
            self.ledger.begin(call, facts, attempt.deployment, depth=attempt.depth)

    def _facts(self, call: Call, attempt: events.Start) -> ModelFacts | None:
        """The candidate that an attempt is on, ``None`` when it is none of ours."""
        if isinstance(call.routed, Routed):
            routed = call.routed.target(attempt)
            if routed is not None:
                return routed
        if attempt.deployment is None:
            # Health probes of the proxy name no deployment.
            return None if self.in_proxy else self.router.facts(attempt.model)
        for pool in self.pools:
            facts = pool.by_group(self.router, attempt.group, attempt.deployment)
            if facts is not None:
                return facts
        return None if self.in_proxy and self.routes else self.router.facts(attempt.group)

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        try:
            self._attempt_succeeded(request_data, response)
        except Exception:  # noqa: BLE001 - as above
            self._slip("attempt")
        return None

    def _attempt_succeeded(self, request_data: dict[str, Any], response: Any) -> None:
        call = events.call_of(request_data.get("litellm_logging_obj"))
        if call is not None:
            deployment = events.deployment_of(request_data)
            self.ledger.succeed(call, deployment, output_tokens=events.output_tokens(response))
            if isinstance(call.routed, Routed) and call.routed.stamps:
                stamp(response, call.routed.model)

    async def async_post_call_failure_deployment_hook(
        self, request_data: Mapping[str, Any], exception: Exception, call_type: Any, fallback_depth: int | None = None
    ) -> None:
        call = events.call_of(request_data.get("litellm_logging_obj"))
        if call is not None:
            start = events.Start.of(request_data)
            refused = self._refused(call, start, exception)
            events.failed(self.ledger, call, start.deployment, exception, refused=refused)

    # --- LiteLLM's log events: streams, sync calls, and what the hooks above did not see

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        """The start of a sync attempt; async ones have started before, and this event repeats for some of them."""
        if not events.is_sync(kwargs):
            return
        try:
            call = events.call_of_details(kwargs)
            self._begin(call, events.Start.of_details(kwargs))
        except Exception:  # noqa: BLE001 - as above
            self._slip("attempt")

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._succeeded(kwargs, response_obj)

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        if events.is_sync(kwargs):
            self._failed(kwargs)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._succeeded(kwargs, response_obj)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._failed(kwargs)

    def _succeeded(self, kwargs: dict[str, Any], response: Any) -> None:
        call = events.known_call(kwargs)
        if call is None or not call.attempts:
            return
        if events.was_cached(kwargs) or events.client_left(kwargs):
            self.ledger.cancel(call, None)
            return
        self.ledger.succeed(
            call,
            events.deployment_of_details(kwargs),
            output_tokens=events.output_tokens(response),
            first_token_at=events.first_token_at(kwargs),
        )

    def _failed(self, kwargs: dict[str, Any]) -> None:
        call = events.known_call(kwargs)
        if call is None:
            return
        if events.client_left(kwargs):
            self.ledger.cancel(call)
            return
        error, start = kwargs.get("exception"), events.Start.of_details(kwargs)
        # Async attempts have been judged when they ended; their late event may name the fallback after them.
        refused = events.is_sync(kwargs) and self._refused(call, start, error)
        events.failed(self.ledger, call, start.deployment, error, late=True, refused=refused)

    def _refused(self, call: Call, start: events.Start, error: object) -> bool:
        """Whether an attempt ended because its model cannot take the request. Fallbacks of no use are dropped."""
        routed = call.routed
        facts = routed.target(start) if isinstance(routed, Routed) else None
        if facts is None:
            return False
        routed.narrow(self.router, facts.name, error)
        return routed.refused(self.router, facts.name, error) is not None

    def _slip(self, where: str) -> None:
        """An error of our own: counted and logged, never the request's problem."""
        log.exception("ofox: error in %s", where)
        with contextlib.suppress(OfoxError):
            self.router.stats[f"litellm_{where}_error"] += 1


ofox: OfoxLogger = plugin_state.shared("ofox", OfoxLogger)
"""The object that a proxy's YAML names, or that goes into ``litellm.callbacks``."""

if "litellm.proxy.proxy_server" in sys.modules:
    # The proxy is reading its configuration: a wrong setting must stop it now, not fail the first request.
    serve_console(ofox.router, ofox.proxy_pool)


def watch(smart_router: SmartRouter) -> OfoxLogger:
    """Feeds ``smart_router.health`` from every LiteLLM call of this process that goes to one of its models.

    Does not route. For the ASGI door in an app that calls LiteLLM itself. Watching twice is watching once.
    """
    for callback in litellm.callbacks:
        if isinstance(callback, OfoxLogger) and callback.router is smart_router:
            return callback
    observer = OfoxLogger(smart_router, routes=False)
    litellm.logging_callback_manager.add_litellm_callback(observer)
    return observer


def attach(router: Any, smart_router: SmartRouter | None = None) -> OfoxLogger:
    """Makes ``router``, a ``litellm.Router``, answer ``model: "auto"``: sync and async, plain and streamed.

    Args:
        router: its chat groups are the pool, narrowed by ``Settings.models``. Attaching twice is attaching once.
        smart_router: the brain; ``None`` is the one that ``ofox`` uses.

    Returns:
        The callback object that feeds the brain's health.
    """
    if smart_router is None:
        _listen()
    logger = ofox if smart_router is None else watch(smart_router)
    pool = attach_router(router, logger, lambda: logger.router)
    fit_timeouts(router, lambda: logger.router, lambda: logger.ledger)
    if pool is not None:
        logger.pools.append(pool)
    return logger


async def acompletion(model: str, messages: list[Any], **options: Any) -> Any:
    """``litellm.acompletion`` that understands ``model="auto"``, with fallbacks; the pool is ``Settings.models``."""
    _listen()
    return await litellm_plain.acompletion(ofox.router, ofox.ledger, {**options, "model": model, "messages": messages})


def completion(model: str, messages: list[Any], **options: Any) -> Any:
    """``litellm.completion`` that understands ``model="auto"``, with fallbacks; the pool is ``Settings.models``."""
    _listen()
    return litellm_plain.completion(ofox.router, ofox.ledger, {**options, "model": model, "messages": messages})


def _listen() -> None:
    if ofox not in litellm.callbacks:
        litellm.logging_callback_manager.add_litellm_callback(ofox)
