"""A provider that costs next to nothing, for the proxy benchmark: answers every chat at once, plain or streamed.

Run with ``python -m benchmarks.speed.provider --port PORT``.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import uvicorn

CHUNKS = 30
_TEXT = "The answer is forty-two. " * 4
_USAGE = {"prompt_tokens": 40, "completion_tokens": CHUNKS, "total_tokens": 40 + CHUNKS}


def whole() -> bytes:
    """A chat completion."""
    message = {"role": "assistant", "content": _TEXT}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    fields = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "usage": _USAGE}
    return json.dumps({**fields, "choices": [choice]}).encode()


def frames() -> list[bytes]:
    """The events of a streamed one."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant", "content": "word "}, None)] * CHUNKS
    events: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    events.append({**base, "choices": [], "usage": _USAGE})
    return [*(f"data: {json.dumps(event)}\n\n".encode() for event in events), b"data: [DONE]\n\n"]


_WHOLE, _FRAMES = whole(), frames()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Any path; ``"stream": true`` in the body decides."""
    raw, more = b"", True
    while more:
        message = await receive()
        raw, more = raw + message.get("body", b""), message.get("more_body", False)
    streamed = b'"stream":true' in raw.replace(b" ", b"")
    kind = b"text/event-stream" if streamed else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for frame in _FRAMES if streamed else ():
        await send({"type": "http.response.body", "body": frame, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if streamed else _WHOLE})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    # Longer than the rounds of the others: else it may hang up just when LiteLLM uses a connection again.
    keep = {"timeout_keep_alive": 300}
    uvicorn.run(app, host="127.0.0.1", port=parser.parse_args().port, log_level="error", lifespan="off", **keep)
