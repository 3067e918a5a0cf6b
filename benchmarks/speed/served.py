"""The apps that are served by uvicorn for :mod:`benchmarks.speed.serving`, one worker each.

``bare`` and its wrapped likes play the provider themselves: read the body, wait for as long as a provider would take,
answer. ``gateway`` and its like are what people run: a Starlette route that hands the request to a provider over HTTP.
A path that begins with ``/slow`` makes the provider take 20 ms, ``/stream`` makes it stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request

SLOW_S = 0.02
CHUNKS = 500
EVENT = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
ANSWER = b'{"choices":[{"index":0,"message":{"role":"assistant","content":"42"}}],"usage":{"completion_tokens":20}}'


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Plays the provider."""
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    if scope["path"].startswith("/stream"):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for _ in range(CHUNKS):
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        return
    if scope["path"].startswith("/slow"):
        await asyncio.sleep(SLOW_S)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


def with_ofox() -> Any:
    return _ofox(bare)


def with_base() -> Any:
    """The same app behind a ``BaseHTTPMiddleware`` that reads the body."""

    async def read(request: Request, call_next: Any) -> Any:
        await request.body()
        return await call_next(request)

    return BaseHTTPMiddleware(bare, dispatch=read)


def gateway() -> Any:
    """A Starlette app that forwards to the provider at ``BENCH_PROVIDER``."""
    import httpx
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    client = httpx.AsyncClient(base_url=os.environ["BENCH_PROVIDER"], limits=limits, trust_env=False)

    async def forward(request: Request) -> Response:
        headers = {"content-type": "application/json", "authorization": "Bearer none"}
        answer = await client.post(request.url.path, content=await request.body(), headers=headers)
        return Response(answer.content, answer.status_code, media_type="application/json")

    @contextlib.asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await client.aclose()

    paths = ("/v1/chat/completions", "/slow/v1/chat/completions")
    return Starlette(routes=[Route(path, forward, methods=["POST"]) for path in paths], lifespan=lifespan)


def gateway_with_ofox() -> Any:
    return _ofox(gateway())


def _ofox(app: Any) -> Any:
    from benchmarks.speed.deciding import pool
    from ofox_middleware import OfoxMiddleware

    return OfoxMiddleware(app, models=pool(8))
