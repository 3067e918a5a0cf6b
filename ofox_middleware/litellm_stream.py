"""Answers of LiteLLM under the pool's name: in the SDK whole ones stamped and streams wrapped, in the proxy streams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ofox_middleware import litellm_events as events
from ofox_middleware.ledger import Ledger
from ofox_middleware.litellm_beginning import no_answer, says_nothing
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
        self._routed.spoken = self._routed.spoken or not says_nothing(chunk)
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


class Passage:
    """A stream of the proxy on its way to the client: when it begins, under whose name, and how it ends.

    An error of ours is told to ``slip``; from then on the pieces pass as they are.
    """

    def __init__(
        self, request_data: Mapping[str, Any], brain: SmartRouter, ledger: Ledger, slip: Callable[[str], None]
    ) -> None:
        self._brain = brain
        self._ledger = ledger
        self._slip = slip
        self._call = events.call_of(request_data.get("litellm_logging_obj"))
        self._routed = Routed.of(request_data)
        self._frames: FrameStamper | None = None
        self._spoken = self._broken = self._whole = False
        self._status: int | None = None

    def piece(self, chunk: Any) -> Any:
        """What goes out for ``chunk`` now; empty while its bytes are held."""
        if self._broken:
            return chunk
        try:
            return self._named(chunk)
        except Exception:  # noqa: BLE001 - an error of ours must not cost the answer
            self._broken = True
            self._slip("stream")
            held = b"" if self._frames is None else self._frames.flush()
            return (held if isinstance(chunk, bytes) else held.decode()) if held else chunk

    def _named(self, chunk: Any) -> Any:
        if not self._spoken and not says_nothing(chunk):
            self._spoken = True
            if self._call is not None:
                self._ledger.first_token(self._call)
        routed = self._routed
        if routed is None:
            return chunk
        routed.first_byte()
        routed.spoken = self._spoken
        if not isinstance(chunk, (bytes, str)):
            return stamped_chunk(chunk, routed.model)
        self._frames = self._frames or FrameStamper(routed.model)
        out = self._frames.feed(chunk.encode() if isinstance(chunk, str) else chunk)
        return out if isinstance(chunk, bytes) else out.decode()

    def rest(self) -> bytes:
        """The stream has ended in order; what is still held. Raises LiteLLM's error when it has said nothing."""
        if self._routed is not None and not self._spoken and not self._broken:
            raise no_answer(self._routed.model)
        self._whole, self._status = True, 200
        return b"" if self._frames is None else self._frames.flush()

    def failed(self, error: Exception) -> None:
        """The stream ended with ``error``."""
        self._status = events.status_of(error)
        if self._call is not None:
            events.failed(self._ledger, self._call, None, error)

    def over(self) -> None:
        """Nothing comes any more, for whatever reason."""
        try:
            if not self._whole and self._call is not None:
                self._ledger.cancel(self._call)
            if self._routed is not None:
                self._routed.ended(self._brain, ok=self._whole, status=self._status)
        except Exception:  # noqa: BLE001 - as above
            self._slip("answer")
