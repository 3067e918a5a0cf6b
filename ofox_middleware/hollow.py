"""Streams of LiteLLM that end without an answer: it closes them itself, and what it sends then looks like one. Pure."""

from __future__ import annotations

from types import AsyncGeneratorType
from typing import Any, Final

_WRAPPERS: Final = ("litellm_custom_stream_wrapper", "completion_stream")
_DEEPEST: Final = 4

MESSAGE: Final = "The provider's stream ended without an answer."
"""What a caller is told of such a stream."""


def is_hollow(stream: Any) -> bool:
    """Whether ``stream``, of which nothing has been heard yet, is at an end that its provider never announced.

    LiteLLM makes up a last chunk with ``finish_reason: "stop"`` for a provider that answers a request for a stream with
    a page, with broken JSON or with nothing, and only its own object knows that no provider gave that reason. A model
    that has nothing to say, or a filter that stops it, gives one. False where there is no such object to ask.
    """
    layer = [stream]
    for _ in range(_DEEPEST):
        if any(_ended_by_litellm(_vars_of(source)) for source in layer):
            return True
        layer = [inner for source in layer for inner in _within(source)]
    return False


def _within(stream: Any) -> list[Any]:
    """The streams that ``stream`` passes on: LiteLLM's wrappers name theirs, its generators hold them in a variable."""
    frame = getattr(stream, "ag_frame", None)
    if frame is not None:
        held = frame.f_locals.values()
        return [each for each in held if isinstance(each, AsyncGeneratorType) or "sent_last_chunk" in _vars_of(each)]
    return [inner for name in _WRAPPERS if (inner := _vars_of(stream).get(name)) is not None]


def _vars_of(thing: Any) -> dict[str, Any]:
    """The attributes that ``thing`` has of its own; empty for what keeps them elsewhere."""
    return getattr(thing, "__dict__", None) or {}


def _ended_by_litellm(state: dict[str, Any]) -> bool:
    return (
        state.get("sent_last_chunk") is True
        and state.get("received_finish_reason", "") is None
        and state.get("intermittent_finish_reason") is None
    )
