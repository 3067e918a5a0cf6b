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

import asyncio
import contextlib
import functools
import inspect
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import anyio
import litellm

from ofox_middleware import litellm_events as events
from ofox_middleware import litellm_registry as registry
from ofox_middleware import sniff
from ofox_middleware.cards import ModelFacts
from ofox_middleware.guard import Countdown
from ofox_middleware.hollow import MESSAGE, is_hollow
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_retries import asked_for
from ofox_middleware.litellm_routed import Routed, current_routed
from ofox_middleware.patience import silence_s
from ofox_middleware.router import SmartRouter

_MARK: Final = "_ofox_patience"
_CHAT: Final = "acompletion"


@dataclass(slots=True)
class Brain:
    """Whose health and settings count, and where attempts are noted; asked anew for every attempt."""

    router: Callable[[], SmartRouter]
    ledger: Callable[[], Ledger]


@dataclass(slots=True)
class Watched:
    """An attempt whose silence is limited.

    Attributes:
        routed: the request.
        facts: the candidate that is tried.
        until: when it must have said something, on the clock of ``time.monotonic``.
        ledger: where its end is noted.
        another: another model waits to be tried.
        litellm_router: the ``litellm.Router`` that makes it.
        group: its model group there.
    """

    routed: Routed
    facts: ModelFacts
    until: float
    ledger: Ledger
    another: bool
    litellm_router: Any
    group: str

    @contextlib.contextmanager
    def limit(self) -> Iterator[None]:
        """Cancels what runs within it when the attempt has been silent for too long."""
        left_s = max(0.0, self.until - time.monotonic())
        with anyio.CancelScope() as scope:
            countdown = Countdown(asyncio.get_running_loop(), left_s, scope.cancel)
            try:
                yield
            finally:
                countdown.cancel()

    def expired(self) -> litellm.Timeout:
        """Closes the attempt as failed, and makes LiteLLM's error of it."""
        for call in self.routed.calls[-1:]:
            self.ledger.fail(call, None, status=None)
        error = litellm.Timeout(
            message=f"{self.facts.name} was silent for longer than usual.",
            model=self.facts.model,
            llm_provider=self.facts.provider,
        )
        self.spare_retries(error)
        return error

    def spare_retries(self, error: Exception) -> None:
        """Takes from ``error`` the retries that nobody asked for, where a model with a single deployment failed:
        another model is worth more."""
        deployments = registry.entries_of(self.litellm_router, self.group) if self.another else ()
        if len(deployments) == 1 and not asked_for(self.litellm_router, deployments[0]):
            with contextlib.suppress(AttributeError):
                error.num_retries = 0  # type: ignore[attr-defined] # LiteLLM asks the exception how often to retry


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
        if not inspect.iscoroutinefunction(function):
            return function

        @functools.wraps(function)
        async def in_time(*args: Any, **kwargs: Any) -> Any:
            routed = Routed.of(kwargs) or current_routed.get()
            watched = _watch(routed, kwargs, events.Start.of(kwargs), self._brain, self._router())
            answer = await _made_in_time(watched, function, *args, **kwargs)
            chat = op == _CHAT and isinstance(answer, litellm.CustomStreamWrapper)
            return _begun(answer, routed, watched, self._brain) if chat else answer

        return in_time


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
    make_call, streaming = getattr(router, "make_call", None), getattr(router, "_acompletion_streaming_iterator", None)
    if make_call is None:
        return False

    @functools.wraps(make_call)
    async def in_time(original_function: Any, *args: Any, **kwargs: Any) -> Any:
        group, depth = str(kwargs.get("model") or ""), kwargs.get("fallback_depth")
        start = events.Start(group, group, None, depth if isinstance(depth, int) else 0, kwargs)
        watched = _watch(Routed.of(kwargs) or current_routed.get(), kwargs, start, brain, router)
        token = _watched.set(watched)
        try:
            return await _made_in_time(watched, make_call, original_function, *args, **kwargs)
        finally:
            _watched.reset(token)

    @functools.wraps(streaming or make_call)
    async def beginning_in_time(model_response: Any, *args: Any, **kwargs: Any) -> Any:
        inner = _begun(model_response, _routed_of(args, kwargs), _watched.get(), brain)
        return await streaming(inner, *args, **kwargs)  # type: ignore[misc]

    router.make_call = in_time
    if streaming is not None:
        router._acompletion_streaming_iterator = beginning_in_time
    return True


async def _made_in_time(watched: Watched | None, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What ``make`` answers, up to where a stream begins. Raises ``litellm.Timeout`` when it takes too long."""
    if watched is None:
        return await make(*args, **kwargs)
    try:
        with watched.limit():
            return await make(*args, **kwargs)
    except Exception as error:
        watched.spare_retries(error)
        raise
    raise watched.expired()


def _begun(stream: Any, routed: Routed | None, watched: Watched | None, brain: Brain) -> Any:
    """``stream``, of a chat, such that it must say something, and in time where that is limited."""
    sound = stream if routed is None else _Sound(stream, routed, watched, brain.ledger())
    return sound if watched is None else _Prompt(sound, watched)


def _watch(
    routed: Routed | None, kwargs: Mapping[str, Any], start: events.Start, brain: Brain, litellm_router: Any
) -> Watched | None:
    """The limit of the attempt at ``routed`` that ``kwargs`` are the arguments of; ``None`` without one."""
    if routed is None or not routed.patient:
        return None
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


def _routed_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Routed | None:
    """The request whose stream LiteLLM wraps, by the arguments with which it does so."""
    asked = kwargs.get("initial_kwargs", args[1] if len(args) > 1 else None)
    return (Routed.of(asked) if isinstance(asked, dict) else None) or current_routed.get()


class _Outer:
    """What passes for the LiteLLM stream within it, of which it changes how it is read."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # LiteLLM asks a stream for its class
        return self._inner.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> Any:
        return self


class _Sound(_Outer):
    """A LiteLLM stream that fails when it ends without an answer (see :mod:`ofox_middleware.hollow`)."""

    def __init__(self, inner: Any, routed: Routed, watched: Watched | None, ledger: Ledger) -> None:
        super().__init__(inner)
        self._routed = routed
        self._watched = watched
        self._ledger = ledger
        self._spoken = False

    async def __anext__(self) -> Any:
        chunk = await self._inner.__anext__()
        if self._spoken:
            return chunk
        if not is_hollow(self._inner):
            self._spoken = not says_nothing(chunk)
            return chunk
        for call in self._routed.calls[-1:]:
            self._ledger.fail(call, None, status=sniff.BAD_GATEWAY)
        error = no_answer(self._routed.model)
        if self._watched is not None:
            self._watched.spare_retries(error)
        raise _begun_in_vain(error)


def no_answer(model: str) -> litellm.InternalServerError:
    """What a stream of ``model`` that ends without an answer is told as."""
    return litellm.InternalServerError(message=MESSAGE, model=model, llm_provider="")


def _begun_in_vain(error: Any) -> Exception:
    """``error`` of a stream that has said nothing yet, so that LiteLLM goes on to the next model."""
    failed: Exception = litellm.exceptions.MidStreamFallbackError(
        message=error.message,
        model=error.model,
        llm_provider=error.llm_provider or "",
        original_exception=error,
        is_pre_first_chunk=True,
    )
    return failed


class _Prompt(_Outer):
    """A LiteLLM stream that must say something in time."""

    def __init__(self, inner: Any, watched: Watched) -> None:
        super().__init__(inner)
        self._watched: Watched | None = watched

    async def __anext__(self) -> Any:
        watched = self._watched
        if watched is None:
            return await self._inner.__anext__()
        with watched.limit():
            chunk = await self._inner.__anext__()
            if not says_nothing(chunk):
                self._watched = None
            return chunk
        raise _begun_in_vain(watched.expired())


def says_nothing(chunk: Any) -> bool:
    """Whether a chunk of a LiteLLM stream holds only what comes before a model has said anything."""
    if isinstance(chunk, (bytes, str)):
        return sniff.says_nothing(chunk.encode() if isinstance(chunk, str) else chunk)
    choices = getattr(chunk, "choices", None)
    if not isinstance(choices, list) or getattr(chunk, "usage", None):
        return False
    return all(_is_unspoken(choice) for choice in choices)


def _is_unspoken(choice: Any) -> bool:
    if getattr(choice, "finish_reason", None) or getattr(choice, "text", None):
        return False
    delta = getattr(choice, "delta", None)
    given = delta if isinstance(delta, Mapping) or delta is None else delta.model_dump()
    return isinstance(given, Mapping) and not any(value for name, value in given.items() if name != "role")
