"""The beginning of a LiteLLM stream: it must say something, and in time where that is limited.

LiteLLM falls back from a stream of a chat, of Messages or of Responses that fails before any of an answer went out, by
a wrapper of its own around the stream of the provider. What is here stands between the two, and turns silence and
streams that end without an answer into failures of that kind. Streamed text completions have no such wrapper, so their
beginnings are heard before they are handed out.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import anyio
import litellm
import msgspec

from ofox_middleware import litellm_registry as registry
from ofox_middleware import sniff
from ofox_middleware.cards import ModelFacts
from ofox_middleware.guard import Countdown
from ofox_middleware.hollow import MESSAGE, is_hollow
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_retries import asked_for
from ofox_middleware.litellm_routed import Routed

_OPENINGS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
"""Events of a Responses stream that LiteLLM holds back until another comes, so that another model may still answer."""


class Watched(msgspec.Struct):
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

    def limit(self) -> Limit:
        """Cancels what runs within it when the attempt has been silent for too long."""
        return Limit(max(0.0, self.until - time.monotonic()), self._give_up)

    def _give_up(self, scope: anyio.CancelScope) -> None:
        # First, for what a cancelled call lets go of is taken for a caller's who lost interest.
        for call in self.routed.calls[-1:]:
            self.ledger.fail(call, None, status=None)
        scope.cancel()

    def expired(self) -> litellm.Timeout:
        """LiteLLM's error for an attempt that was silent for too long."""
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
            self.routed.given_up.add(self.facts.name)
            with contextlib.suppress(AttributeError):
                error.num_retries = 0  # type: ignore[attr-defined] # LiteLLM asks the exception how often to retry


class Limit:
    """Seconds of silence that what runs within it is given; then ``give_up`` is to cancel its scope."""

    __slots__ = ("_countdown", "_give_up", "_left_s", "_scope")

    def __init__(self, left_s: float, give_up: Callable[[anyio.CancelScope], None]) -> None:
        self._left_s = left_s
        self._give_up = give_up
        self._scope = anyio.CancelScope()

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._countdown = Countdown(asyncio.get_running_loop(), self._left_s, partial(self._give_up, self._scope))

    def __exit__(self, *ended: Any) -> bool:
        self._countdown.cancel()
        return self._scope.__exit__(*ended)


def from_the_start(stream: Any, lost: Callable[[], Exception], watched: Watched | None) -> Any:
    """``stream`` such that it must say something, and in time where that is limited.

    Args:
        lost: notes that the stream ended without an answer, and says what to raise.
    """
    sound = Sound(stream, lost)
    return sound if watched is None else _Prompt(sound, watched)


class _Outer:
    """What passes for the LiteLLM stream within it, of which it changes how it is read."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._reader: Any = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # LiteLLM asks a stream for its class
        return self._inner.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    async def _next(self) -> Any:
        if self._reader is None:
            self._reader = aiter(self._inner)
        return await anext(self._reader)

    def _next_sync(self) -> Any:
        if self._reader is None:
            self._reader = iter(self._inner)
        return next(self._reader)


class Sound(_Outer):
    """A LiteLLM stream that fails when it ends without an answer (see :mod:`ofox_middleware.hollow`)."""

    def __init__(self, inner: Any, lost: Callable[[], Exception]) -> None:
        super().__init__(inner)
        self._lost = lost
        self._spoken = False

    async def __anext__(self) -> Any:
        try:
            return self._heard(await self._next())
        except StopAsyncIteration:
            if self._spoken:
                raise
        raise self._lost()

    def __next__(self) -> Any:
        try:
            return self._heard(self._next_sync())
        except StopIteration:
            if self._spoken:
                raise
        raise self._lost()

    def _heard(self, chunk: Any) -> Any:
        if not self._spoken:
            if is_hollow(self._inner):
                raise self._lost()
            self._spoken = not _is_opening(chunk)
        return chunk


class _Prompt(_Outer):
    """A LiteLLM stream that must say something in time."""

    def __init__(self, inner: Any, watched: Watched) -> None:
        super().__init__(inner)
        self._watched: Watched | None = watched

    async def __anext__(self) -> Any:
        watched = self._watched
        if watched is None:
            return await self._next()
        with watched.limit():
            chunk = await self._next()
            if not _is_opening(chunk):
                self._watched = None
            return chunk
        raise in_vain(watched.expired())


class _Begun(_Outer):
    """A LiteLLM stream whose beginning has been read."""

    def __init__(self, inner: Any, heard: deque[Any]) -> None:
        super().__init__(inner)
        self._heard = heard

    async def __anext__(self) -> Any:
        return self._heard.popleft() if self._heard else await self._next()

    def __next__(self) -> Any:
        return self._heard.popleft() if self._heard else self._next_sync()


async def begun(stream: Any) -> Any:
    """``stream`` once it has said something. Raises what it fails with before it does."""
    heard: deque[Any] = deque()
    try:
        while not heard or _is_opening(heard[-1]):
            heard.append(await stream.__anext__())
    except StopAsyncIteration:
        return _Begun(stream, heard)
    except litellm.exceptions.MidStreamFallbackError as error:
        raise error.original_exception or error from None
    return _Begun(stream, heard)


def begun_sync(stream: Any) -> Any:
    """Like :func:`begun`."""
    heard: deque[Any] = deque()
    try:
        while not heard or _is_opening(heard[-1]):
            heard.append(next(stream))
    except StopIteration:
        return _Begun(stream, heard)
    except litellm.exceptions.MidStreamFallbackError as error:
        raise error.original_exception or error from None
    return _Begun(stream, heard)


def failed_hollow(routed: Routed, ledger: Ledger) -> litellm.InternalServerError:
    """Notes that the stream of ``routed`` ended without an answer, and makes LiteLLM's error of it."""
    for call in routed.calls[-1:]:
        ledger.fail(call, None, status=sniff.BAD_GATEWAY)
    return no_answer(routed.model)


def no_answer(model: str) -> litellm.InternalServerError:
    """What a stream of ``model`` that ends without an answer is told as."""
    return litellm.InternalServerError(message=MESSAGE, model=model, llm_provider="")


def in_vain(error: Any) -> Exception:
    """``error`` of a stream that has said nothing yet, so that LiteLLM goes on to the next model."""
    failed: Exception = litellm.exceptions.MidStreamFallbackError(
        message=error.message,
        model=error.model,
        llm_provider=error.llm_provider or "",
        original_exception=error,
        is_pre_first_chunk=True,
    )
    return failed


def _is_opening(chunk: Any) -> bool:
    return getattr(chunk, "type", None) in _OPENINGS or says_nothing(chunk)


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
