"""What OfoxMiddleware adds to a request, in process, beside a BaseHTTPMiddleware that only reads the body.

Run with ``python -m benchmarks.speed.asgi``. No server and no network: what is timed is one call of the ASGI app. The
cases take turns, round by round, so that a busy machine slows all of them; medians over all calls.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.types import ModelCard

CHUNKS = 10_000
SMALL, LARGE, CHUNK = "bare app, 1 KB chat", "bare app, 1 MB chat", "bare app, a chunk of a stream"
DECIDE, SCAN = "    of which decide()", "  one raw scan of it by msgspec"
Run = Callable[[], Awaitable[None]]


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


def body(size: int, model: str = "auto") -> bytes:
    """A chat of about ``size`` bytes."""
    said = "Tell me why the quick brown fox jumps over the lazy dog. "
    turn = min(size, 25_000)
    said = (said * (turn // len(said) + 1))[:turn]
    system = {"role": "system", "content": "You are kind."}
    messages = [system, *({"role": "user", "content": said} for _ in range(max(1, size // turn)))]
    return json.dumps({"model": model, "messages": messages}).encode()


def call(target: Any, raw: bytes, *, path: str = "/v1/chat/completions", method: str = "POST") -> Run:
    """One request to ``target``, as a server would make it."""
    headers = [
        (b"host", b"127.0.0.1:8000"), (b"accept", b"application/json"), (b"user-agent", b"OpenAI/Python 2.0"),
        (b"authorization", b"Bearer sk-0123456789abcdef"), (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(raw)),
    ]  # fmt: skip
    scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
             "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
             "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000)}  # fmt: skip

    async def send(message: Any) -> None:
        pass

    async def run() -> None:
        frames = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            return frames.pop() if frames else await asyncio.Event().wait()

        await target(dict(scope), receive, send)

    return run


@dataclass
class Case:
    """A row of the table. ``base`` is the row it is compared with, ``per`` what its time is divided by."""

    name: str
    run: Run
    base: str = ""
    per: int = 1
    calls: int = 20

    def __post_init__(self) -> None:
        self.times: list[float] = []

    async def round(self) -> None:
        for _ in range(self.calls):
            began = time.perf_counter()
            await self.run()
            self.times.append(time.perf_counter() - began)

    @property
    def median(self) -> float:
        """Microseconds."""
        return statistics.median(self.times) * 1e6 / self.per


def sync(function: Callable[[], Any]) -> Run:
    """A plain function as a case."""

    async def run() -> None:
        function()

    return run


def cases() -> list[Case]:
    price = {"input_cost_per_token": 1e-6, "output_cost_per_token": 4e-6, "max_input_tokens": 10**7}
    pool = [ModelCard("a/large", ability=0.8, **price), ModelCard("b/small", ability=0.5, **price)]  # type: ignore[arg-type]
    ofox = OfoxMiddleware(app, models=pool)
    ofox_stream = OfoxMiddleware(streaming_app, router=ofox.router)
    base = BaseHTTPMiddleware(app, dispatch=read_body)
    base_stream = BaseHTTPMiddleware(streaming_app, dispatch=read_body)
    small, named, large = body(1000), body(1000, "a/large"), body(1_000_000)
    small_fields, large_fields = json.loads(small), json.loads(large)
    raw_scan = msgspec.json.Decoder(dict[str, msgspec.Raw])
    reads = "  BaseHTTPMiddleware, reads the body"
    return [
        Case(SMALL, call(app, small)),
        Case("  OfoxMiddleware, auto", call(ofox, small), SMALL),
        Case(DECIDE, sync(lambda: ofox.router.decide(small_fields))),
        Case("  OfoxMiddleware, model named", call(ofox, named), SMALL),
        Case("  OfoxMiddleware, other path", call(ofox, small, path="/v1/embeddings"), SMALL),
        Case("  OfoxMiddleware, GET", call(ofox, small, method="GET"), SMALL),
        Case(reads, call(base, small), SMALL),
        Case(LARGE, call(app, large), calls=12),
        Case("  OfoxMiddleware, auto", call(ofox, large), LARGE, calls=12),
        Case(DECIDE, sync(lambda: ofox.router.decide(large_fields)), calls=12),
        Case(reads, call(base, large), LARGE, calls=12),
        Case(SCAN, sync(lambda: raw_scan.decode(large)), calls=12),
        Case(CHUNK, call(streaming_app, small), per=CHUNKS, calls=1),
        Case("  OfoxMiddleware, auto", call(ofox_stream, small), CHUNK, CHUNKS, 1),
        Case(reads, call(base_stream, small), CHUNK, CHUNKS, 1),
    ]


async def measure(rows: list[Case], rounds: int) -> None:
    for at in range(rounds + 2):
        for row in rows:
            await row.round()
        if at < 2:  # warm up
            for row in rows:
                row.times.clear()


def table(rows: list[Case]) -> str:
    medians = {row.name: row.median for row in rows if not row.base}
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}  median us  added us  to the peer"]
    for at, row in enumerate(rows):
        line = f"{row.name:{width}}  {row.median:9.2f}"
        if row.base:
            added = row.median - medians[row.base]
            peers = (other for other in rows[at:] if other.base == row.base and "BaseHTTP" in other.name)
            peer = next(peers).median - medians[row.base]
            line += f"  {added:8.2f}" + (f"  {added / peer:11.3f}" if "BaseHTTP" not in row.name else "")
        lines.append(line)
    routed, decide = (next(row for row in rows[7:] if row.name == name) for name in ("  OfoxMiddleware, auto", DECIDE))
    added, scan = routed.median - medians[LARGE], medians[SCAN]
    lines += [
        "",
        f"1 MB: {added / scan:.2f} raw scans are added, {(added - decide.median) / scan:.2f} without decide()",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60, help="how often the cases take turns")
    rounds = parser.parse_args().rounds
    rows = cases()
    gc.freeze()
    asyncio.run(measure(rows, rounds))
    print(table(rows))


if __name__ == "__main__":
    main()
