"""The server under soak: uvicorn, the middleware, its console and decision log, and a provider that misbehaves.

What may be held is small here, so that everything bounded is full before the measurement begins.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from ofox_middleware import ModelCard, OfoxMiddleware, Settings, SmartRouter
from ofox_middleware.console import console
from ofox_middleware.decision_store import DecisionStore

QUICK, STRONG, SICK, BROKEN = "fine/quick", "fine/strong", "sick/failing", "sick/broken"
ABILITY = {QUICK: 0.4, STRONG: 0.7, SICK: 0.9, BROKEN: 0.8}
CHUNKS = 10
PAUSE_S = 0.01
HELD = 200


async def chat(request: Request) -> Response:
    """Answers as the model that is named would: at once, after a while, with an error, or with half a stream."""
    try:
        asked = await request.json()
    except ClientDisconnect:
        return Response(status_code=400)  # nobody reads it
    except ValueError:
        return JSONResponse({"error": {"message": "not JSON"}}, status_code=400)
    model = asked.get("model")
    if model not in ABILITY:
        return JSONResponse({"error": {"message": f"no model {model}"}}, status_code=404)
    await asyncio.sleep(PAUSE_S)
    if model == SICK:
        return JSONResponse({"error": {"message": "overloaded"}}, status_code=503)
    if asked.get("stream"):
        return StreamingResponse(chunks(model), media_type="text/event-stream")
    usage = {"prompt_tokens": 10, "completion_tokens": 20}
    message = {"role": "assistant", "content": "words " * 20}
    return JSONResponse({"model": model, "choices": [{"index": 0, "message": message}], "usage": usage})


async def chunks(model: str) -> Any:
    """A stream; the broken model's ends in the middle with an error."""
    for number in range(CHUNKS):
        if model == BROKEN and number == CHUNKS // 2:
            yield b'data: {"error":{"message":"gone","code":502}}\n\n'
            return
        yield b"data: " + json.dumps({"choices": [{"delta": {"content": "words "}}]}).encode() + b"\n\n"
        await asyncio.sleep(PAUSE_S)
    yield b"data: [DONE]\n\n"


def build() -> Any:
    """The app, and beside it a path that tells what the process holds."""
    cards = [
        ModelCard(name=name, ability=ability, input_cost_per_token=1e-6 * ability, output_cost_per_token=3e-6 * ability)
        for name, ability in ABILITY.items()
    ]
    router = SmartRouter(Settings(models=cards, seed=1, max_sessions=HELD, first_byte_timeout_s=30))
    log = DecisionStore(max_rows=HELD)
    router.subscribe(log)

    async def state(request: Request) -> JSONResponse:
        if "collect" in request.query_params:
            gc.collect()
        return JSONResponse(
            {
                "rss_kb": resident_kb(),
                "fds": open_files(),
                "tasks": len(asyncio.all_tasks()),
                "in_flight": router.health.in_flight(),
                "objects": len(gc.get_objects()),
                "ended": router.stats["ended"],
            }
        )

    async def plain(_: Request) -> Response:
        return Response(b"plain")

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/state", state),
            Route("/plain", plain),
            Mount("/ofox", console(router, log=log)),
        ]
    )
    return OfoxMiddleware(app, router=router)


def open_files() -> int:
    """File descriptors of this process, sockets among them."""
    return len(list(Path("/proc/self/fd").iterdir()))


def resident_kb() -> int:
    """Memory of this process that is in RAM."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> None:
    """Serves on a free port, which it prints."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    # Idle connections are the clients' to close, long before: closing from both ends at once looks like a lost answer.
    options: dict[str, Any] = {"log_level": "error", "access_log": False, "timeout_keep_alive": 120}
    uvicorn.Server(uvicorn.Config(build(), **options, timeout_graceful_shutdown=5)).run([listener])


if __name__ == "__main__":
    sys.exit(main())
