"""Starlette's own behaviours hold with the middleware in the stack, on routed requests and on others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from ofox_middleware.asgi import OfoxMiddleware
from tests.asgi.harness import ASK, BEST, CHAT, NEXT, Answer, Caller, call, router

RAW = json.dumps(ASK).encode()
Endpoint = Callable[[Request], Any]


def app_of(endpoint: Endpoint, *outer: Middleware, inner: tuple[Middleware, ...] = (), **options: Any) -> Starlette:
    """A Starlette app whose chat endpoint is ``endpoint``, with ours between ``outer`` and ``inner`` middleware."""
    ours = Middleware(OfoxMiddleware, router=router(**options))
    return Starlette(routes=[Route(CHAT, endpoint, methods=["POST"])], middleware=[*outer, ours, *inner])


def asks(app: Any, body: Any = ASK, **options: Any) -> Answer:
    return asyncio.run(call(app, body, **options))


async def echo(request: Request) -> Response:
    return JSONResponse({"model": (await request.json())["model"]})


def test_add_middleware_in_one_line() -> None:
    """The documented one line works in a Starlette app."""
    app = Starlette(routes=[Route(CHAT, echo, methods=["POST"])])
    app.add_middleware(OfoxMiddleware, models=["openai/gpt-4o"], preference="cost")
    assert asks(app).json == {"model": "openai/gpt-4o"}


def test_fastapi() -> None:
    """A FastAPI endpoint with a parsed body gets the chosen model, and its validation errors go through."""
    from fastapi import FastAPI

    app = FastAPI()
    app.add_middleware(OfoxMiddleware, router=router())

    async def chat(body: dict[str, Any]) -> dict[str, Any]:
        return {"model": body["model"]}

    app.post(CHAT)(chat)
    assert asks(app).json == {"model": BEST}
    assert asks(app, b"[1]").status == 422


@pytest.mark.parametrize("status", [200, 503])
def test_background_tasks_run_after_the_answer(status: int) -> None:
    """A background task runs after the caller has its answer; one of a failed attempt runs too."""
    ran: list[tuple[str, int]] = []
    caller = Caller([RAW])

    async def endpoint(request: Request) -> Response:
        model = (await request.json())["model"]

        async def background() -> None:
            ran.append((model, len(caller.sent)))

        return JSONResponse({}, status if model == BEST else 200, background=BackgroundTask(background))

    asks(app_of(endpoint), caller=caller)
    assert ran == ([(BEST, 2)] if status == 200 else [(BEST, 0), (NEXT, 2)])


def test_http_exceptions_and_handlers() -> None:
    """HTTPException and an app's own handlers answer as they do without us."""

    async def endpoint(request: Request) -> Response:
        raise HTTPException(418, "teapot")

    seen = asks(app_of(endpoint))
    assert (seen.status, seen.body) == (418, b"teapot")


def test_an_unhandled_exception_becomes_starlettes_500() -> None:
    """When every model fails with an exception, Starlette's error middleware answers and the server gets it."""

    async def endpoint(request: Request) -> Response:
        raise RuntimeError((await request.json())["model"])

    caller = Caller([RAW])
    with pytest.raises(RuntimeError, match="three/last"):
        asks(app_of(endpoint), caller=caller)
    assert Answer(caller.sent).status == 500
    assert Answer(caller.sent).body == b"Internal Server Error"


@pytest.mark.parametrize("leaves", [True, False])
def test_is_disconnected(*, leaves: bool) -> None:
    """``request.is_disconnected()`` tells the truth, at the first time of asking too."""
    seen = []
    caller = Caller([RAW])

    async def endpoint(request: Request) -> Response:
        await request.body()
        if leaves:
            caller.leave()
        seen.append(await request.is_disconnected())
        return JSONResponse({})

    asks(app_of(endpoint), caller=caller)
    assert seen == [leaves]


def test_client_disconnect_while_reading() -> None:
    """A client that leaves while it sends is a ClientDisconnect in the app, as ever."""

    async def endpoint(request: Request) -> Response:
        with pytest.raises(ClientDisconnect):
            await request.body()
        raised.append(True)
        return Response()

    raised: list[bool] = []
    asks(app_of(endpoint), caller=Caller([RAW[:5]], leaves_in_upload=True))
    assert raised == [True]


async def ticks(stopped: list[str]) -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"data: tick\n\n"
            await asyncio.sleep(0.005)
    finally:
        stopped.append("stopped")


@pytest.mark.parametrize("version", ["2.3", "2.4"])
def test_a_streaming_response_stops_when_the_client_leaves(version: str) -> None:
    """StreamingResponse notices that the client left, by listening or by a send that fails, and its source stops."""
    stopped: list[str] = []
    caller = Caller([RAW], closed_pipe=version == "2.4")

    async def endpoint(request: Request) -> Response:
        return StreamingResponse(ticks(stopped), media_type="text/event-stream")

    async def versioned(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "asgi": {"version": "3.0", "spec_version": version}}, receive, send)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.1, caller.leave)
        try:
            await call(versioned, caller=caller)
        except ClientDisconnect:
            assert version == "2.4"
        assert asyncio.all_tasks() == {asyncio.current_task()}

    app = app_of(endpoint)
    app.middleware_stack = app.build_middleware_stack()
    asyncio.run(main())
    assert stopped == ["stopped"]
    assert len(caller.sent) > 2


def test_streaming_response_with_an_error_first() -> None:
    """A StreamingResponse whose first event is an error falls back, and its generator is closed."""
    closed = []

    async def endpoint(request: Request) -> Response:
        model = (await request.json())["model"]

        async def events() -> AsyncIterator[str]:
            try:
                yield 'data: {"error": {"code": 529}}\n\n' if model == BEST else "data: {}\n\n"
            finally:
                closed.append(model)

        return StreamingResponse(events(), media_type="text/event-stream")

    seen = asks(app_of(endpoint))
    assert (seen.body, seen.headers["x-ofox-model"]) == (b"data: {}\n\n", NEXT)
    assert closed == [BEST, NEXT]


class ReadsBody(BaseHTTPMiddleware):
    """A user's middleware that reads the body and passes the request on."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        seen = await request.body()
        response: Response = await call_next(request)
        response.headers[f"x-{type(self).__name__.lower()}"] = json.loads(seen)["model"]
        return response


class Inside(ReadsBody):
    pass


class Outside(ReadsBody):
    pass


@pytest.mark.parametrize("kind", ["plain", "stream"])
def test_base_http_middleware_on_both_sides(kind: str) -> None:
    """BaseHTTPMiddleware works outside of ours, where it sees auto, and inside, where it sees the pick."""

    async def endpoint(request: Request) -> Response:
        model = (await request.json())["model"]
        if model == BEST:
            return JSONResponse({}, 503)
        if kind == "stream":
            return StreamingResponse(iter([b"data: ", model.encode(), b"\n\n"]), media_type="text/event-stream")
        return PlainTextResponse(f"data: {model}\n\n")

    seen = asks(app_of(endpoint, Middleware(Outside), inner=(Middleware(Inside),)))
    assert seen.body == b"data: two/next\n\n"
    assert (seen.headers["x-outside"], seen.headers["x-inside"]) == ("auto", NEXT)
    assert seen.headers["x-ofox-attempts"] == "2"


def test_base_http_middleware_outside_when_the_client_leaves() -> None:
    """An outer BaseHTTPMiddleware gets an answer to log when the client has left, not a broken app."""
    logged = []

    class Logs(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            logged.append(response.status_code)
            return response

    async def endpoint(request: Request) -> Response:
        asyncio.get_running_loop().call_later(0.1, caller.leave)
        await asyncio.sleep(60)
        return Response()

    caller = Caller([RAW])
    asks(app_of(endpoint, Middleware(Logs)), caller=caller)
    assert logged == [499]


def test_cors_and_gzip_outside() -> None:
    """CORS preflights are not ours, and an outer gzip compresses the answer with our headers on it."""
    app = app_of(
        echo, Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"]), Middleware(GZipMiddleware, 1)
    )
    asked = [(b"origin", b"http://x"), (b"access-control-request-method", b"POST")]
    assert asks(app, b"", method="OPTIONS", headers=asked).status == 200
    headers = [(b"content-type", b"application/json"), (b"accept-encoding", b"gzip"), (b"origin", b"http://x")]
    seen = asks(app, headers=headers)
    assert (seen.headers["content-encoding"], seen.headers["x-ofox-model"]) == ("gzip", BEST)
    assert seen.headers["access-control-allow-origin"] == "*"


def test_mounts() -> None:
    """A mounted app is routed by the end of its path, again for the next model, and outside of a mount too."""

    async def endpoint(request: Request) -> Response:
        model = (await request.json())["model"]
        return JSONResponse({"root": request.scope["root_path"], "model": model}, 503 if model == BEST else 200)

    routes = [Mount("/llm", routes=[Mount("/deep", routes=[Route(CHAT, endpoint, methods=["POST"])])])]
    app = Starlette(routes=routes, middleware=[Middleware(OfoxMiddleware, router=router())])
    assert asks(app, path="/llm/deep" + CHAT).json == {"root": "/llm/deep", "model": NEXT}
    inner = Starlette(routes=[Route(CHAT, endpoint, methods=["POST"])])
    outer = Starlette(routes=[Mount("/llm", OfoxMiddleware(inner, router=router()))])
    assert asks(outer, path="/llm" + CHAT).json == {"root": "/llm", "model": NEXT}


def test_static_files_and_file_responses(tmp_path: Path) -> None:
    """Files are served, by path send where the server has it, also as the answer to a routed request."""
    file = tmp_path / "answer.json"
    file.write_text('{"ok": true}')

    async def endpoint(request: Request) -> Response:
        return FileResponse(file)

    app = app_of(endpoint)
    app.mount("/static", StaticFiles(directory=tmp_path))
    assert asks(app, b"", method="GET", path="/static/answer.json").json == {"ok": True}
    assert asks(app).json == {"ok": True}

    async def with_pathsend(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {"http.response.pathsend": {}}}, receive, send)

    seen = asyncio.run(call(with_pathsend))
    assert seen.messages[1] == {"type": "http.response.pathsend", "path": str(file)}
    assert seen.headers["x-ofox-model"] == BEST


def test_request_state_and_lifespan_state() -> None:
    """State that outer middleware and lifespan put into the scope is seen by the endpoint, and back."""

    class Sets(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            request.state.user = "me"
            response: Response = await call_next(request)
            response.headers["x-answered-by"] = request.state.answered_by
            return response

    async def endpoint(request: Request) -> Response:
        request.state.answered_by = (await request.json())["model"]
        return JSONResponse({"user": request.state.user})

    seen = asks(app_of(endpoint, Middleware(Sets)))
    assert (seen.json, seen.headers["x-answered-by"]) == ({"user": "me"}, BEST)


def test_the_route_is_seen_outside() -> None:
    """Outer middleware that names requests by their route still can."""
    routes = []

    class Names:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            routes.append(scope.get("endpoint"))

    asks(app_of(echo, Middleware(Names)))
    asks(app_of(echo, Middleware(Names)), {"model": "gpt-4o", "model_routing_config": {}})
    assert routes == [echo, echo]


@pytest.mark.parametrize("uvloop", [False, True])
def test_starlettes_test_client(*, uvloop: bool) -> None:
    """Tests of an app with the middleware run in Starlette's test client: routed, streamed, failing, websockets."""
    if uvloop:
        pytest.importorskip("uvloop")
    testclient = pytest.importorskip("starlette.testclient")

    async def chat(request: Request) -> Response:
        model = (await request.json())["model"]
        if model == BEST:
            return Response(status_code=503)
        return StreamingResponse(iter([b"data: 1\n\n", model.encode()]), media_type="text/event-stream")

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.close()

    routes = [Route(CHAT, chat, methods=["POST"]), WebSocketRoute(CHAT, socket)]
    app = Starlette(routes=routes, middleware=[Middleware(OfoxMiddleware, router=router())])
    with testclient.TestClient(app, backend_options={"use_uvloop": uvloop}) as client:
        answer = client.post(CHAT, json=ASK)
        assert answer.text == f"data: 1\n\n{NEXT}"
        assert answer.headers["x-ofox-attempts"] == "2"
        with client.websocket_connect(CHAT) as connection:
            connection.send_text("hello")
            assert connection.receive_text() == "hello"
