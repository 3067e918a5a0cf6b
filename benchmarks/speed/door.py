"""What OfoxMiddleware adds to a request, in process, beside a BaseHTTPMiddleware that only reads the body.

No server and no network: what is timed is one call of the ASGI app, which reads the body and answers at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request

from benchmarks.speed.deciding import pool
from benchmarks.speed.rounds import Case, measure
from ofox_middleware.asgi import OfoxMiddleware

SIZES = {"300 B": 300, "10 KB": 10_000, "1 MB": 1_000_000, "8 MB": 8_000_000, "8 MB, 5 MB of it an image": 8_000_000}
CHUNKS = 5_000
AUTO, NAMED, OTHER, GET = "auto", "model named", "other path", "GET"
TURN_CHARS = 25_000

_SAID = "Tell me why the quick brown fox jumps over the lazy dog, and whether it might do so again tomorrow. "


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body and answers at once."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"choices":[],"usage":{"completion_tokens":20}}'})


async def streaming_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with many events."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    event = {
        "type": "http.response.body",
        "body": b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n',
        "more_body": True,
    }
    for _ in range(CHUNKS):
        await send(event)
    await send({"type": "http.response.body", "body": b""})


async def read_body(request: Request, call_next: Any) -> Any:
    await request.body()
    return await call_next(request)


def bodies(size: int, *, model: str = "auto", image: bool = False) -> Callable[[int], bytes]:
    """Chat requests of about ``size`` bytes: turns of 25,000 characters, then the ask; no text comes twice."""
    ask: Any = "§ Which of these turns is the best?"
    if image:
        url = "data:image/png;base64," + "iVBORw0KGgoAAAAN" * (5_000_000 // 16)
        ask = [{"type": "text", "text": ask}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [{"role": "system", "content": "You are kind."}, {"role": "user", "content": ask}]
    left = size - len(json.dumps({"model": model, "messages": messages}))
    turns = []
    while left > 100:
        length = min(left - 60, TURN_CHARS)
        said = (_SAID * (length // len(_SAID) + 1))[: length - 1] + "§"
        turns.append({"role": ("assistant", "user")[len(turns) % 2 == 0], "content": said})
        left -= length + 60
    messages[1:1] = turns
    whole = json.dumps({"model": model, "messages": messages}).encode()
    pieces = whole.split(json.dumps("§")[1:-1].encode())
    return lambda number: (b"%08d" % number).join(pieces)


def call(target: Any, *, path: str = "/v1/chat/completions", method: str = "POST") -> Callable[[bytes], Any]:
    """One request to ``target``, as a server would make it."""

    async def run(raw: bytes) -> None:
        headers = [
            (b"host", b"127.0.0.1:8000"), (b"accept", b"application/json"), (b"user-agent", b"OpenAI/Python 2.0"),
            (b"authorization", b"Bearer sk-0123456789abcdef"), (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(raw)),
        ]  # fmt: skip
        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
                 "method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
                 "scheme": "http", "headers": headers, "client": ("127.0.0.1", 1),
                 "server": ("127.0.0.1", 8000)}  # fmt: skip
        frames = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            return frames.pop() if frames else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            pass

        await target(scope, receive, send)

    return run


def _of_size(label: str, size: int, ofox: OfoxMiddleware, base: Any) -> list[Case]:
    image = "image" in label
    auto = bodies(size, image=image)
    named = bodies(size, model="provider-0/model-0", image=image)
    calls, every = (20, 1) if size < 10**6 else (8, 1) if size < 10**7 // 2 else (2, 1)
    bare, scan = f"bare app, {label}", f"one raw scan by msgspec, {label}"
    raw_scan = msgspec.json.Decoder(dict[str, msgspec.Raw])

    def fields(number: int) -> Any:
        return json.loads(auto(number))

    def case(name: str, run: Any, make: Any, peer: str = bare) -> Case:
        return Case(name, run, make, peer, calls=calls, every=every)

    return [
        case(bare, call(app), auto, ""),
        case(scan, raw_scan.decode, auto, ""),
        case(f"OfoxMiddleware, auto, {label}", call(ofox), auto, scan if size >= 10**6 else bare),
        case(f"  of which decide(), {label}", ofox.router.decide, fields, scan if size >= 10**6 else bare),
        case(f"OfoxMiddleware, model named, {label}", call(ofox), named),
        case(f"BaseHTTPMiddleware that reads the body, {label}", call(base), auto),
    ]


def run(rounds: int) -> list[dict[str, Any]]:
    """Times everything; the rows of the table."""
    ofox = OfoxMiddleware(app, models=pool(2))
    ofox_stream = OfoxMiddleware(streaming_app, router=ofox.router)
    base = BaseHTTPMiddleware(app, dispatch=read_body)
    base_stream = BaseHTTPMiddleware(streaming_app, dispatch=read_body)
    small = bodies(300)
    bare, stream = "bare app, 300 B", "bare app, a chunk of a stream"
    cases = [case for label, size in SIZES.items() for case in _of_size(label, size, ofox, base)]
    cases += [
        Case("OfoxMiddleware, other path", call(ofox, path="/v1/embeddings"), small, bare, calls=50),
        Case("OfoxMiddleware, GET", call(ofox, method="GET"), small, bare, calls=50),
        Case(stream, call(streaming_app), small, per=CHUNKS, calls=1),
        Case("OfoxMiddleware, auto, a chunk of a stream", call(ofox_stream), small, stream, CHUNKS, 1),
        Case(
            "BaseHTTPMiddleware that reads the body, a chunk of a stream", call(base_stream), small, stream, CHUNKS, 1
        ),
    ]
    return measure(cases, rounds)
