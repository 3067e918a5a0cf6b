"""What LiteLLM answers as the gateway's callers get it: plain JSON, or server-sent events in their protocol. Pure."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Any, Final

from ofox_middleware import sniff
from ofox_middleware.gateway_errors import Failure, UpstreamFailed
from ofox_middleware.types import Surface

_STATUS_OF: Final[Mapping[str, int]] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 503,
    "timeout_error": 504,
}
"""Anthropic's error types -> HTTP status; any other is a 500."""


def sse(data: Mapping[str, Any] | str, event: str | None = None) -> bytes:
    """One server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {text}\n\n".encode()


_END_OF_EVENT: Final = re.compile(rb"\r?\n\r?\n")


async def whole_events(stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
    """Chunks of a stream, where bytes are cut at the ends of events; other chunks are events already.

    LiteLLM hands on an Anthropic stream as it came from the network, several events in one piece or one in several.
    """
    rest = b""
    async for chunk in stream:
        if not isinstance(chunk, bytes | str):
            yield chunk
            continue
        looked_at = max(0, len(rest) - 3)  # an end may have begun in the piece before
        rest += chunk if isinstance(chunk, bytes) else chunk.encode()
        start = 0
        for end in _END_OF_EVENT.finditer(rest, looked_at):
            yield rest[start : end.end()]
            start = end.end()
        rest = rest[start:]
    if rest:
        yield rest


_ENDS_OF_PARTS: Final = (
    b"event: response.output_text.done",
    b"event: response.content_part.done",
    b"event: response.output_item.done",
)


def is_preamble(event: bytes, surface: Surface) -> bool:
    """Whether ``event`` says nothing of the provider: LiteLLM makes ``message_start`` up before it has called one.

    Nor do the ends of parts of a response of which no part has been heard; the whole of it comes last.
    """
    return sniff.says_nothing(event) or (surface == "responses" and event.startswith(_ENDS_OF_PARTS))


def raise_if_error(event: bytes, surface: Surface) -> None:
    """Raises :class:`UpstreamFailed` when ``event`` is an error that LiteLLM has worded for Anthropic's protocol."""
    if surface != "messages" or not event.startswith(b"event: error"):
        return
    error: dict[str, Any] = {}
    with contextlib.suppress(ValueError, IndexError, AttributeError):
        error = json.loads(event.split(b"data:", 1)[1]).get("error") or {}
    raise UpstreamFailed(_STATUS_OF.get(str(error.get("type")), 500), str(error.get("message") or ""))


def sse_error(failure: Failure, surface: Surface) -> bytes:
    """The last event of a stream that broke after content was sent."""
    if surface == "responses":
        data = {"type": "error", "code": failure.code, "message": failure.message, "param": None, "sequence_number": 0}
        return sse(data, "error")
    return sse(failure.body(surface), "error" if surface == "messages" else None)


def sse_event(chunk: Any, surface: Surface, name: str) -> bytes:
    """One chunk of a LiteLLM stream as an event that names the model ``name``."""
    if isinstance(chunk, bytes):
        return _renamed(chunk, name)
    if isinstance(chunk, str):
        return _renamed(chunk.encode(), name)
    data = plain(chunk)
    if surface == "messages":
        _rename(data.get("message"), name)
        return sse(data, str(data.get("type", "message")))
    if surface == "responses":
        _rename(data.get("response"), name)
        return sse(data, str(data.get("type", "message")))
    data["model"] = name
    for choice in data.get("choices") or ():
        choice.setdefault("finish_reason", None)
        if surface == "text":
            choice.setdefault("text", "")
    return sse(data)


def _rename(holder: Any, name: str) -> None:
    if isinstance(holder, dict) and "model" in holder:
        holder["model"] = name


def _renamed(event: bytes, name: str) -> bytes:
    """Already encoded events of Anthropic's protocol: only ``message_start`` names a model."""
    if b"message_start" not in event:
        return event
    lines = event.decode().split("\n")
    for at, line in enumerate(lines):
        if not line.startswith("data:"):
            continue
        try:
            data = json.loads(line[5:])
        except ValueError:
            continue
        if isinstance(data, dict) and data.get("type") == "message_start":
            _rename(data.get("message"), name)
            lines[at] = "data: " + json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return "\n".join(lines).encode()


def plain(response: Any, *, whole: bool = False) -> dict[str, Any]:
    """A LiteLLM object as plain JSON types; ``whole`` keeps fields that are null."""
    if isinstance(response, dict):
        return dict(response)
    dumped: dict[str, Any] = response.model_dump(mode="json", exclude_none=not whole, warnings=False)
    return dumped
