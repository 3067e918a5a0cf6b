"""A raw ASGI caller, an app that plays models, and a router with a known ranking."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.cards import ModelCard
from ofox_middleware.decision import Outcome
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings

BEST, NEXT, LAST = "one/best", "two/next", "three/last"
CHAT = "/v1/chat/completions"
ASK = {"model": "auto", "messages": [{"role": "user", "content": "Why is the sky blue?"}]}

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Play = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


def router(**options: Any) -> SmartRouter:
    """A real router that ranks BEST, NEXT, LAST."""
    cards = [
        ModelCard(
            name=name, input_cost_per_token=1e-6, output_cost_per_token=2e-6, max_input_tokens=10**7, ability=share
        )
        for name, share in ((BEST, 0.95), (NEXT, 0.6), (LAST, 0.3))
    ]
    defaults: dict[str, Any] = {"models": cards, "preference": "quality", "share_within": 0, "seed": 1}
    return SmartRouter(Settings(**{**defaults, **options}))


class Outcomes:
    """An observer that keeps what it is told."""

    def __init__(self, router: SmartRouter) -> None:
        self.outcomes: list[Outcome] = []
        router.subscribe(self)

    def decided(self, decision: Any) -> None:
        """Not looked at."""

    def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


@dataclass
class Answer:
    """What the server would have sent."""

    messages: list[dict[str, Any]]

    @property
    def start(self) -> dict[str, Any]:
        starts = [message for message in self.messages if message["type"] == "http.response.start"]
        assert len(starts) == 1, starts
        return starts[0]

    @property
    def status(self) -> int:
        return int(self.start["status"])

    @property
    def headers(self) -> dict[str, str]:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.start["headers"]]
        assert len({name for name, _ in pairs}) == len(pairs), pairs
        return dict(pairs)

    @property
    def body(self) -> bytes:
        return b"".join(bytes(message.get("body", b"")) for message in self.messages)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Caller:
    """A client of an ASGI app. It leaves when ``leave`` is called."""

    frames: list[bytes]
    sent: list[dict[str, Any]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    leaves_in_upload: bool = False
    closed_pipe: bool = False
    receives: int = 0

    def leave(self) -> None:
        self.gone.set()

    async def receive(self) -> dict[str, Any]:
        self.receives += 1
        if self.frames:
            body = self.frames.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(self.frames) or self.leaves_in_upload}
        if not self.leaves_in_upload:
            await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if self.closed_pipe and self.gone.is_set():
            raise OSError("the client has left")
        self.sent.append(message)


def request(
    body: bytes, *, path: str = CHAT, method: str = "POST", headers: Iterable[tuple[bytes, bytes]] | None = None
) -> dict[str, Any]:
    """The scope of a JSON request; ``headers`` replaces all of them."""
    if headers is None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": list(headers), "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip


async def call(app: Any, body: Any = ASK, *, caller: Caller | None = None, **scope: Any) -> Answer:
    """Calls ``app`` with ``body`` (bytes as they are, anything else as JSON) and returns what it sent."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    caller = Caller([raw]) if caller is None else caller
    await app(request(raw, **scope), caller.receive, caller.send)
    return Answer(caller.sent)


class Models:
    """An app that plays each model as ``plays`` says (a status or a coroutine function) and keeps what it got."""

    def __init__(self, plays: Mapping[str, int | Play] | None = None) -> None:
        self.plays = dict(plays or {})
        self.bodies: list[bytes] = []
        self.scopes: list[dict[str, Any]] = []
        self.cancelled: list[str] = []

    @property
    def asked(self) -> list[str]:
        """The models that were named, in order."""
        return [json.loads(body)["model"] for body in self.bodies]

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request", message
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        self.scopes.append(scope)
        try:
            model = json.loads(body)["model"]
        except (ValueError, TypeError, KeyError, RecursionError):
            model = None
        play = self.plays.get(model, 200) if isinstance(model, str) else 200
        if isinstance(play, int):
            await answer(send, play, {"model": model})
            return
        try:
            await play(scope, receive, send)
        except asyncio.CancelledError:
            self.cancelled.append(model)
            raise


async def answer(send: Send, status: int, body: Any, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """A plain JSON answer."""
    fixed = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


def stream(*chunks: bytes, pause_s: float = 0.0) -> Play:
    """Plays a stream of server-sent events."""

    async def play(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for chunk in chunks:
            await asyncio.sleep(pause_s)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return play


async def hang(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Plays a model that never answers."""
    await asyncio.Event().wait()


def middleware(app: Any, **options: Any) -> OfoxMiddleware:
    """The middleware around ``app`` with the known ranking; ``options`` are settings."""
    return OfoxMiddleware(app, router=router(**options))


class Boom(Exception):
    """An app's own exception."""


def raising(error: BaseException) -> Any:
    """An app that raises ``error``."""

    async def play(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return play


def asks(app: Models, body: Any = ASK, **settings: Any) -> Answer:
    """The answer to one request for auto."""
    return asyncio.run(call(middleware(app, **settings), body))
