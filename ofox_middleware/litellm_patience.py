"""Time-outs in a ``litellm.Router`` that fit the model: how long an async attempt at a routed request may be silent.

LiteLLM has one time-out for all models, and it also limits the pauses within a stream, so it cannot be short. Here an
attempt that says nothing for longer than is usual for its model is cancelled, and LiteLLM falls back as from a time-out
of its own. Nor is a model with one deployment retried while another model waits, unless the request, a retry policy or
the operator's ``num_retries`` asks for it. Whoever set a time-out or fallbacks in the request keeps them, and the last
hop is given all the time there is. LiteLLM reports nothing of an attempt that is cancelled, so the attempt's end is put
into the ledger here.

Where attempts are made is LiteLLM's own business: before 1.110 in two methods of the Router, which are wrapped; from
1.110 on by functions that its core asks its host for, which gives way to one that wraps them. Where a release has
neither, its time-outs are all there is.
"""

from __future__ import annotations

import functools
import inspect
import time
import weakref
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import litellm

from ofox_middleware import litellm_events as events
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_beginning import Watched, begun, failed_hollow, from_the_start, in_vain
from ofox_middleware.litellm_routed import Routed, current_routed
from ofox_middleware.patience import silence_s
from ofox_middleware.router import SmartRouter

_MARK: Final = "_ofox_patience"
_STREAMED: Final = frozenset({"acompletion", "aresponses", "anthropic_messages"})
"""Functions that a Router's core asks its host for, whose streams LiteLLM goes on from to another model."""

_CHAT: Final = "completion"
_ITERATORS: Final = (
    "_acompletion_streaming_iterator", "_aresponses_streaming_iterator", "_aanthropic_messages_streaming_iterator",
)  # fmt: skip
"""Where a Router without a core puts such streams into the wrapper by which it goes on."""


@dataclass(slots=True)
class Brain:
    """Whose health and settings count, and where attempts are noted; asked anew for every attempt."""

    router: Callable[[], SmartRouter]
    ledger: Callable[[], Ledger]


_watched: ContextVar[Watched | None] = ContextVar("ofox_watched", default=None)


def fit_timeouts(router: Any, brain: Callable[[], SmartRouter], ledger: Callable[[], Ledger]) -> None:
    """Makes the attempts of ``router``, a ``litellm.Router`` or ``None``, keep to what is usual for their models.

    Doing so twice is doing it once; the last ``brain`` and ``ledger`` count.
    """
    if router is None:
        return
    fitted = getattr(router, _MARK, None)
    if isinstance(fitted, Brain):
        fitted.router, fitted.ledger = brain, ledger
        return
    fitted = Brain(brain, ledger)
    if _stand_in(router, fitted) or _wrap(router, fitted):
        setattr(router, _MARK, fitted)


class _Host:
    """The host of a Router's core, which hands out LiteLLM's functions by name: those that make attempts keep to the
    time. Everything else is the host's."""

    def __init__(self, host: Any, router: Any, brain: Brain) -> None:
        self._host = host
        self._router = weakref.ref(router)
        self._brain = brain

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def invoke(self, op: str) -> Any:
        function = self._host.invoke(op)
        if inspect.iscoroutinefunction(function):
            return self._in_time(op, function)
        return self._sound(function) if op == _CHAT else function

    def _in_time(self, op: str, function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        async def in_time(*args: Any, **kwargs: Any) -> Any:
            routed = Routed.of(kwargs) or current_routed.get()
            if routed is None:
                return await function(*args, **kwargs)
            watched = None
            if routed.patient:
                watched = _watch(routed, kwargs, events.Start.of(kwargs), self._brain, self._router())
            answer = await _made_in_time(watched, routed, self._brain, function, *args, **kwargs)
            # The id of a response in the background is out before anything is said.
            streams = op in _STREAMED and hasattr(answer, "__aiter__") and not kwargs.get("background")
            return _begun(answer, routed, watched, self._brain) if streams else answer

        return in_time

    def _sound(self, function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def sound(*args: Any, **kwargs: Any) -> Any:
            answer = function(*args, **kwargs)
            streams = isinstance(answer, litellm.CustomStreamWrapper)
            return _begun(answer, Routed.of(kwargs) or current_routed.get(), None, self._brain) if streams else answer

        return sound


def _stand_in(router: Any, brain: Brain) -> bool:
    """Stands in for the host of ``router``'s core; whether it has one."""
    core: Any = getattr(router, "_core", None)
    host = getattr(core, "_host", None)
    if not callable(getattr(host, "invoke", None)):
        return False
    core._host = _Host(host, router, brain)
    return True


def _wrap(router: Any, brain: Brain) -> bool:
    """Wraps the methods by which ``router`` makes attempts; whether it has them."""
    make_call = getattr(router, "make_call", None)
    if make_call is None:
        return False

    @functools.wraps(make_call)
    async def in_time(original_function: Any, *args: Any, **kwargs: Any) -> Any:
        routed = Routed.of(kwargs) or current_routed.get()
        watched = None
        if routed is not None and routed.patient:
            group, depth = str(kwargs.get("model") or ""), kwargs.get("fallback_depth")
            start = events.Start(group, group, None, depth if isinstance(depth, int) else 0, kwargs)
            watched = _watch(routed, kwargs, start, brain, router)
        token = _watched.set(watched)
        try:
            if routed is None:
                return await make_call(original_function, *args, **kwargs)
            return await _made_in_time(watched, routed, brain, make_call, original_function, *args, **kwargs)
        finally:
            _watched.reset(token)

    router.make_call = in_time
    for name in _ITERATORS:
        streaming = getattr(router, name, None)
        if streaming is not None:
            setattr(router, name, _beginning_in_time(streaming, brain))
    streaming = getattr(router, "_completion_streaming_iterator", None)
    if streaming is not None:
        router._completion_streaming_iterator = _beginning(streaming, brain)
    return True


def _beginning_in_time(streaming: Callable[..., Any], brain: Brain) -> Any:
    names = tuple(inspect.signature(streaming).parameters)

    @functools.wraps(streaming)
    async def beginning_in_time(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        given[names[0]] = _begun(given[names[0]], _routed_of(given), _watched.get(), brain)
        return await streaming(**given)

    return beginning_in_time


def _beginning(streaming: Callable[..., Any], brain: Brain) -> Any:
    names = tuple(inspect.signature(streaming).parameters)

    @functools.wraps(streaming)
    def beginning(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        given[names[0]] = _begun(given[names[0]], _routed_of(given), None, brain)
        return streaming(**given)

    return beginning


async def _made_in_time(
    watched: Watched | None, routed: Routed, brain: Brain, make: Callable[..., Any], *args: Any, **kwargs: Any
) -> Any:
    """What ``make`` answers, up to where a stream begins. Raises ``litellm.Timeout`` when it takes too long."""
    if watched is None:
        return await _made(routed, brain, make, *args, **kwargs)
    try:
        with watched.limit():
            return await _made(routed, brain, make, *args, **kwargs)
    except Exception as error:
        watched.spare_retries(error)
        raise
    raise watched.expired()


async def _made(routed: Routed, brain: Brain, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    answer = await make(*args, **kwargs)
    stream = getattr(answer, "inner", answer)
    if isinstance(stream, litellm.TextCompletionStreamWrapper):
        # LiteLLM hands it out before the provider says anything, and never goes on from it to another model.
        stream.completion_stream = await begun(_begun(stream.completion_stream, routed, None, brain))
    return answer


def _begun(stream: Any, routed: Routed | None, watched: Watched | None, brain: Brain) -> Any:
    """``stream``, such that it must say something, and in time where that is limited."""
    if routed is None:
        return stream
    return from_the_start(stream, partial(_lost, routed, watched, brain.ledger()), watched)


def _lost(routed: Routed, watched: Watched | None, ledger: Ledger) -> Exception:
    error = failed_hollow(routed, ledger)
    if watched is not None:
        watched.spare_retries(error)
    return in_vain(error)


def _watch(
    routed: Routed, kwargs: Mapping[str, Any], start: events.Start, brain: Brain, litellm_router: Any
) -> Watched | None:
    """The limit of the attempt at ``routed`` that ``kwargs`` are the arguments of; ``None`` without one."""
    facts = routed.target(start)
    if facts is None:
        return None
    router = brain.router()
    another = any(name != facts.name and name not in routed.tried for name in routed.hops)
    limit_s = silence_s(
        router.settings,
        router.health,
        facts,
        routed.decision,
        kwargs,
        spent_s=routed.spent_s(),
        another=another,
    )
    if limit_s is None:
        return None
    until = time.monotonic() + limit_s
    return Watched(routed, facts, until, brain.ledger(), another, litellm_router, start.group)


def _routed_of(given: Mapping[str, Any]) -> Routed | None:
    """The request whose stream LiteLLM wraps, by the arguments with which it does so."""
    asked = given.get("initial_kwargs")
    return (Routed.of(asked) if isinstance(asked, dict) else None) or current_routed.get()
