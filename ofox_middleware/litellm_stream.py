"""Answers of LiteLLM's SDK under the pool's name: whole ones stamped, streams wrapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ofox_middleware import litellm_events as events
from ofox_middleware.litellm_routed import Routed, current_routed
from ofox_middleware.litellm_stamp import FrameStamper, stamp, stamped_chunk
from ofox_middleware.router import SmartRouter


def finished(response: Any, routed: Routed, brain: SmartRouter) -> Any:
    """``response`` with the name of the model that gave it."""
    if _is_stream(response):
        return NamedStream(response, routed, brain)
    stamp(response, routed.model)
    routed.ended(brain, ok=True, status=200, response=response)
    return response


def _is_stream(response: Any) -> bool:
    return not isinstance(response, Mapping) and (hasattr(response, "__anext__") or hasattr(response, "__next__"))


class NamedStream:
    """A LiteLLM stream whose chunks carry the pool's name of the model. Everything else is the inner stream's."""

    def __init__(self, inner: Any, routed: Routed, brain: SmartRouter) -> None:
        self._inner = inner
        self._routed = routed
        self._brain = brain
        self._frames: FrameStamper | None = None
        self._over = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        # Whoever still holds a part of a dropped stream, such as a traceback, must not hold its lease with it.
        if not self._over:
            self._routed.drop()

    def __aiter__(self) -> NamedStream:
        return self

    def __iter__(self) -> NamedStream:
        return self

    async def __anext__(self) -> Any:
        while not self._over:
            # A fallback in mid-stream starts an attempt, which must find its request again.
            token = current_routed.set(self._routed)
            try:
                chunk = self._named(await self._inner.__anext__())
            except StopAsyncIteration:
                chunk = self._rest()
            except Exception as error:
                self._end(ok=False, status=events.status_of(error))
                raise
            finally:
                current_routed.reset(token)
            if chunk != b"":
                return chunk
        raise StopAsyncIteration

    def __next__(self) -> Any:
        while not self._over:
            token = current_routed.set(self._routed)
            try:
                chunk = self._named(next(self._inner))
            except StopIteration:
                chunk = self._rest()
            except Exception as error:
                self._end(ok=False, status=events.status_of(error))
                raise
            finally:
                current_routed.reset(token)
            if chunk != b"":
                return chunk
        raise StopIteration

    def _named(self, chunk: Any) -> Any:
        self._routed.first_byte()
        if not isinstance(chunk, bytes):
            return stamped_chunk(chunk, self._routed.model)
        self._frames = self._frames or FrameStamper(self._routed.model)
        return self._frames.feed(chunk)

    def _rest(self) -> bytes:
        self._end(ok=True, status=200)
        return self._frames.flush() if self._frames is not None else b""

    def _end(self, *, ok: bool, status: int | None) -> None:
        self._over = True
        self._routed.ended(self._brain, ok=ok, status=status)
