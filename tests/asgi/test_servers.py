"""The same door under other servers, over HTTP/1.1 and HTTP/2. Those not installed are skipped."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.asgi.harness import ASK, BEST, CHAT, NEXT, Models, middleware, stream
from tests.asgi.server import hang_up

EVENTS = [b"data: %d\n\n" % at for at in range(5)]


class Slow(Models):
    """Models of which one fails, and one hangs until it is cancelled."""

    def __init__(self) -> None:
        super().__init__({BEST: 503, NEXT: stream(*EVENTS, pause_s=0.01), "three/last": self.hang})

    async def hang(self, scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await super().__call__(scope, receive, send)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def in_thread(serve: Any, port: int) -> Iterator[str]:
    """Runs ``serve(stop)`` in a loop of its own until the end."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve(stop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            break
        assert time.monotonic() < deadline
        assert thread.is_alive()
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        assert not thread.is_alive()


@contextlib.contextmanager
def hypercorn(app: Any) -> Iterator[str]:
    pytest.importorskip("hypercorn")
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    port = free_port()
    config = Config.from_mapping(bind=[f"127.0.0.1:{port}"], accesslog=None, errorlog=None, graceful_timeout=1)

    async def run(stop: asyncio.Event) -> None:
        await serve(app, config, shutdown_trigger=stop.wait)

    with in_thread(run, port) as url:
        yield url


@contextlib.contextmanager
def granian(app: Any) -> Iterator[str]:
    embedded = pytest.importorskip("granian.server.embed")
    port = free_port()

    async def run(stop: asyncio.Event) -> None:
        server = embedded.Server(app, address="127.0.0.1", port=port, interface="asgi", log_enabled=False)
        serving = asyncio.ensure_future(server.serve())
        await stop.wait()
        server.stop()
        await serving

    with in_thread(run, port) as url:
        yield url


CASES = [(hypercorn, False), (hypercorn, True), (granian, False), (granian, True)]


@pytest.mark.parametrize(("server", "http2"), CASES)
def test_routing_fallback_and_streams(server: Any, *, http2: bool) -> None:
    """A failing model is passed over and the stream of the next one arrives whole, again and again on a connection."""
    if http2:
        pytest.importorskip("h2")
    ofox = middleware(Slow())
    with server(ofox) as url, httpx.Client(http2=http2, http1=not http2) as client:
        for attempts in ({"2"}, {"1", "2"}, {"1", "2"}):  # the failure may be remembered
            answer = client.post(url + CHAT, json=ASK)
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert answer.content == b"".join(EVENTS)
            assert answer.headers["x-ofox-model"] == NEXT
            assert answer.headers["x-ofox-attempts"] in attempts
        refused = client.post(url + CHAT, json={**ASK, "model_routing_config": {"models": []}})
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_routing_config")
        untouched = client.post(url + CHAT, content=b"not json", headers={"content-type": "application/json"})
        assert untouched.json() == {"model": None}
    assert ofox.router.health.in_flight() == 0


@pytest.mark.parametrize(("server", "http2"), CASES)
def test_a_client_that_hangs_up(server: Any, *, http2: bool) -> None:
    """A client that hangs up while it waits has the app cancelled, and nothing stays in flight."""
    if http2:
        pytest.importorskip("h2")
    app = Slow()
    ofox = middleware(app)
    config = {"model_routing_config": {"models": ["three/last"]}}
    with server(ofox) as url:
        hang_up(url + CHAT, {**ASK, **config}, lambda: app.asked == ["three/last"], http2=http2, http1=not http2)
        deadline = time.monotonic() + 30
        while ofox.router.health.in_flight() or not app.cancelled:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert app.cancelled == ["three/last"]
