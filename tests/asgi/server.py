"""A real uvicorn on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import uvicorn


@contextlib.contextmanager
def serving(app: Any, **options: Any) -> Iterator[str]:
    """Serves ``app`` and gives its base URL; stops it at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    defaults: dict[str, Any] = {"log_level": "error", "ws": "none", "timeout_graceful_shutdown": 2}
    server = uvicorn.Server(uvicorn.Config(app, **{**defaults, **options}))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < deadline, "the server takes too long"
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"


def hang_up(url: str, body: Any, begun: Callable[[], bool], **options: Any) -> None:
    """Posts ``body`` and hangs up as soon as the app has ``begun`` with it."""

    async def main() -> None:
        async with httpx.AsyncClient(timeout=60, **options) as client:
            asked = asyncio.ensure_future(client.post(url, json=body))
            deadline = time.monotonic() + 30
            while not begun():
                assert not asked.done(), "it was answered"
                assert time.monotonic() < deadline, "it never began"
                await asyncio.sleep(0.005)
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asked

    asyncio.run(main())
