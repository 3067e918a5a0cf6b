"""One Starlette app, bare and behind two copies of the middleware, under real servers: they answer alike.

The bare app is asked for the model by name, the other for ``auto``; what is compared is everything that a client sees
but the ``x-ofox`` headers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTasks
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from ofox_middleware.asgi import OfoxMiddleware
from tests.asgi.harness import ASK, BEST, router
from tests.asgi.server import serving
from tests.asgi.test_servers import granian, hypercorn

OURS = b"side=ofox"
NAMED = {**ASK, "model": BEST}


class Sides:
    """The app twice in one server: behind the middleware where the query says so, else bare."""

    def __init__(self, folder: Path, server: str) -> None:
        self.server = server
        self.folder = folder
        self.ran: list[str] = []
        twice = [Middleware(OfoxMiddleware, router=router()), Middleware(OfoxMiddleware, router=router())]
        outside = [
            Middleware(CORSMiddleware, allow_origins=["http://a.example"], allow_methods=["POST"]),
            Middleware(GZipMiddleware, minimum_size=200),
        ]
        self.bare = self._app(outside)
        self.wrapped = self._app([*outside, *twice])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        ours = scope["type"] == "lifespan" or OURS in scope["query_string"]
        await (self.wrapped if ours else self.bare)(scope, receive, send)

    def _app(self, middleware: list[Middleware]) -> Starlette:
        @contextlib.asynccontextmanager
        async def lifespan(_: Any) -> AsyncIterator[dict[str, Any]]:
            yield {"started": "by the lifespan"}

        return Starlette(
            routes=[
                Route("/echo/chat/completions", self.echo, methods=["POST"]),
                Route("/stream/chat/completions", self.stream, methods=["POST"]),
                Route("/file/chat/completions", self.file, methods=["POST"]),
                Route("/late/chat/completions", self.late, methods=["POST"]),
                Route("/teapot/chat/completions", self.teapot, methods=["POST"]),
                Route("/broken/chat/completions", self.broken, methods=["POST"]),
                Route("/elsewhere/chat/completions", self.elsewhere, methods=["POST"]),
                Route("/empty/chat/completions", self.empty, methods=["POST"]),
                Mount("/raw", self.raw),
                Mount("/mounted", Starlette(routes=[Route("/v1/chat/completions", self.echo, methods=["POST"])])),
                Mount("/static", StaticFiles(directory=self.folder)),
                WebSocketRoute("/socket/chat/completions", self.socket),
            ],
            middleware=middleware,
            lifespan=lifespan,
        )

    async def echo(self, request: Request) -> Response:
        fields = await request.json()
        seen = {"model": fields["model"], "state": getattr(request.state, "started", None), "path": request.url.path}
        return JSONResponse({**seen, "padding": "x" * 300}, headers={"x-app": "yes"})

    async def stream(self, request: Request) -> Response:
        body = await request.body()

        async def events() -> AsyncIterator[bytes]:
            for number in range(5):
                yield b"data: %d of %d\n\n" % (number, len(json.loads(body)["messages"]))
                await asyncio.sleep(0)

        return StreamingResponse(events(), media_type="text/event-stream")

    async def late(self, request: Request) -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(self.ran.append, request.url.query)
        return JSONResponse({"body": len(await request.json())}, 202, background=tasks)

    async def file(self, request: Request) -> Response:
        await request.body()
        return FileResponse(self.folder / "answer.json")

    async def elsewhere(self, request: Request) -> Response:
        await request.body()
        return RedirectResponse("/", 307)

    async def empty(self, request: Request) -> Response:
        await request.body()
        return Response(status_code=204)

    async def teapot(self, request: Request) -> Response:
        await request.body()
        raise HTTPException(418, "no coffee", headers={"x-tea": "green"})

    async def broken(self, request: Request) -> Response:
        await request.body()
        raise NotImplementedError

    async def raw(self, scope: Any, receive: Any, send: Any) -> None:
        """Uses what its server can do beyond the usual: early hints, and the start of an answer that has trailers."""
        await Request(scope, receive).body()
        extensions = scope.get("extensions") or {}
        if "http.response.early_hint" in extensions:
            await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
        trailers = "http.response.trailers" in extensions
        headers = [(b"content-type", b"application/json"), (b"trailer", b"x-sum")]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": trailers})
        await send({"type": "http.response.body", "body": b'{"choices"', "more_body": True})
        await send({"type": "http.response.body", "body": b":[1]}"})
        if trailers:
            await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"7")], "more_trailers": False})

    async def socket(self, socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text.upper())


@contextlib.contextmanager
def uvicorn(app: Any) -> Iterator[str]:
    with serving(app, ws="websockets-sansio", lifespan="on") as url:
        yield url


CASES = [(uvicorn, False), (hypercorn, False), (hypercorn, True), (granian, False), (granian, True)]
Served = tuple[str, httpx.Client, Sides]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0].__name__}-{'h2' if case[1] else 'h1'}")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Any, Sides]]:
    server, http2 = request.param
    if http2:
        pytest.importorskip("h2")
    folder = tmp_path_factory.mktemp("static")
    (folder / "answer.json").write_text('{"choices": [], "text": "%s"}' % ("y" * 5000))
    sides = Sides(folder, f"{server.__name__} h2" if http2 else server.__name__)
    # hypercorn closes a connection of HTTP/1.1 whose request was not read whole, a moment after it has answered.
    kept = 0 if server is hypercorn and not http2 else 20
    limits = httpx.Limits(max_keepalive_connections=kept)
    with server(sides) as url, httpx.Client(http2=http2, http1=not http2, limits=limits) as client:
        yield url, client, sides


def compared(answer: httpx.Response) -> dict[str, Any]:
    """What must not differ. Servers close a connection when an app has not read the body, as ours always does."""
    shown = {
        name: value
        for name, value in answer.headers.items()
        if name not in ("date", "connection") and not name.startswith("x-ofox")
    }
    return {"status": answer.status_code, "headers": shown, "body": answer.content, "http": answer.http_version}


UNREAD = ("/nowhere/chat/completions", "/echo/chat/completions/")
ROUTED = ["/echo", "/stream", "/file", "/late", "/teapot", "/raw", "/mounted/v1", "/elsewhere", "/empty"]


@pytest.mark.parametrize("place", ROUTED)
def test_routed_answers(served: Served, place: str) -> None:
    """A routed request is answered as the same request for the model by name is without us, headers of ours aside."""
    url, client, _ = served
    bare = client.post(f"{url}{place}/chat/completions", json=NAMED)
    ours = client.post(f"{url}{place}/chat/completions?side=ofox", json=ASK)
    assert compared(ours) == compared(bare)
    assert ours.headers.get_list("x-ofox-model") == [BEST]
    assert "x-ofox-model" not in bare.headers


def test_an_app_that_breaks(served: Served) -> None:
    """An exception on every attempt is the 500 that it is without us."""
    url, client, _ = served
    http2 = client.get(f"{url}/static/answer.json").http_version == "HTTP/2"
    with httpx.Client(http2=http2, http1=not http2) as bare_client:  # servers may close the connection
        bare = bare_client.post(f"{url}/broken/chat/completions", json=NAMED)
    with httpx.Client(http2=http2, http1=not http2) as our_client:
        ours = our_client.post(f"{url}/broken/chat/completions?side=ofox", json=ASK)
    assert compared(ours) == compared(bare)
    assert ours.status_code == 500


def test_background_tasks(served: Served) -> None:
    """A background task runs once, after the caller has its answer."""
    url, client, sides = served
    sides.ran.clear()
    client.post(f"{url}/late/chat/completions?side=ofox&once", json=ASK)
    deadline = time.monotonic() + 30
    while not sides.ran:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sides.ran == ["side=ofox&once"]


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("GET", "/static/answer.json", {}),
        ("HEAD", "/static/answer.json", {}),
        ("GET", "/static/answer.json", {"headers": {"range": "bytes=10-19"}}),
        ("GET", "/static/nowhere", {}),
        ("GET", "/echo/chat/completions", {}),
        ("POST", "/nowhere/chat/completions", {"json": NAMED}),
        ("POST", "/nowhere/chat/completions", {"json": ASK}),
        ("POST", "/echo/chat/completions/", {"json": NAMED}),
        ("POST", "/echo/chat/completions", {"json": NAMED}),
        ("POST", "/echo/chat/completions", {"json": NAMED, "headers": {"accept-encoding": "identity"}}),
        ("POST", "/late/chat/completions", {"content": [b'{"model":', b'"x"}']}),
        ("OPTIONS", "/echo/chat/completions", {"headers": {
            "origin": "http://a.example", "access-control-request-method": "POST"}}),
        ("POST", "/echo/chat/completions", {"json": NAMED, "headers": {"origin": "http://a.example"}}),
    ],
)  # fmt: skip
def test_other_requests(served: Served, method: str, path: str, options: dict[str, Any]) -> None:
    """What does not ask for routing, or does so at a route that there is not, is answered as without us."""
    url, client, sides = served
    if method == "POST" and sides.server == "hypercorn h2" and path in UNREAD:
        pytest.skip("hypercorn breaks an HTTP/2 connection when an app answers before it has read the body")
    bare = client.request(method, f"{url}{path}", **options)
    ours = client.request(method, f"{url}{path}", params={"side": "ofox"}, **options)
    expected = compared(bare)
    if "location" in expected["headers"]:
        expected["headers"]["location"] += "?side=ofox"
    assert compared(ours) == expected


def test_websockets(served: Served) -> None:
    """A websocket at a path of ours works."""
    url, _, _ = served
    connect = pytest.importorskip("websockets.sync.client").connect
    with connect(url.replace("http", "ws") + "/socket/chat/completions?side=ofox") as connection:
        connection.send("hello")
        assert connection.recv() == "HELLO"


def test_a_client_that_leaves_a_stream(served: Served) -> None:
    """A client that leaves in the middle of a stream leaves nothing in flight behind."""
    url, client, sides = served
    with client.stream("POST", f"{url}/stream/chat/completions?side=ofox", json=ASK) as answer:
        next(answer.iter_raw())
    again = client.post(f"{url}/echo/chat/completions?side=ofox", json=ASK)
    assert again.status_code == 200
    outer = sides.wrapped.user_middleware[2].kwargs["router"]
    deadline = time.monotonic() + 30
    while outer.health.in_flight():
        assert time.monotonic() < deadline
        time.sleep(0.01)
