"""Writes the pool's name of the model into answers, plain and streamed, of every surface. Imports no LiteLLM.

LiteLLM keeps the chunks that it hands out, to price the whole answer from them at the end, so chunks are copied and
never changed.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

_FRAME_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MAX_HELD: Final = 256 * 1024


def stamp(response: Any, name: str) -> None:
    """Puts ``name`` into the ``model`` field of a whole answer; answers without one stay as they are."""
    if isinstance(response, dict):
        if "model" in response:
            response["model"] = name
        return
    if hasattr(response, "model"):
        response.model = name


def stamped_chunk(chunk: Any, name: str) -> Any:
    """A copy of a streamed object that names ``name``; the very chunk when it names no model."""
    if isinstance(chunk, dict):
        if "model" in chunk:
            return {**chunk, "model": name}
        inner = chunk.get("response") or chunk.get("message")
        if isinstance(inner, dict) and "model" in inner:
            key = "response" if chunk.get("response") is inner else "message"
            return {**chunk, key: {**inner, "model": name}}
        return chunk
    if not hasattr(chunk, "model_copy"):
        return chunk
    if getattr(chunk, "model", None) is not None:
        return _renamed(chunk, name)
    inner = getattr(chunk, "response", None)
    if inner is not None and hasattr(inner, "model_copy") and getattr(inner, "model", None) is not None:
        return chunk.model_copy(update={"response": _renamed(inner, name)})
    return chunk


def _renamed(answer: Any, name: str) -> Any:
    """A copy of a pydantic object that names ``name``, for half the price of ``model_copy(update=...)``."""
    copied = answer.__copy__()
    copied.__dict__["model"] = name
    return copied


class FrameStamper:
    """Stamps the first event that names a model in a raw SSE byte stream, such as Anthropic's ``message_start``.

    Transport reads may split or join frames, so bytes are held until the frame that is being looked for is whole;
    after it, and after the first event that shows there will be none, everything passes at once.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._held = b""
        self._done = False

    def feed(self, data: bytes) -> bytes:
        """What may go out now."""
        if self._done:
            return data
        self._held += data
        out = b""
        while not self._done:
            end = _FRAME_END.search(self._held)
            if end is None:
                break
            frame, self._held = self._held[: end.end()], self._held[end.end() :]
            out += self._frame(frame)
        if self._done or len(self._held) > _MAX_HELD:
            out, self._held, self._done = out + self._held, b"", True
        return out

    def flush(self) -> bytes:
        """What is still held when the stream ends."""
        held, self._held, self._done = self._held, b"", True
        return held

    def _frame(self, frame: bytes) -> bytes:
        lines = frame.split(b"\n")
        for index, line in enumerate(lines):
            if not line.startswith(b"data:"):
                continue
            try:
                payload = json.loads(line[5:])
            except ValueError:
                self._done = True
                return frame
            if not isinstance(payload, dict) or payload.get("type") == "ping":
                return frame
            self._done = True
            named = stamped_chunk(payload, self._name)
            if named is payload:
                return frame
            ending = b"\r" if line.endswith(b"\r") else b""
            lines[index] = b"data: " + json.dumps(named, ensure_ascii=False).encode() + ending
            return b"\n".join(lines)
        return frame
