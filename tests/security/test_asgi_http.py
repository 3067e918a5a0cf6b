"""Hostile requests and odd frames at the ASGI door."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
from typing import Any

import pytest

from tests.asgi.conftest import without_litellm  # noqa: F401 - acts on every test here
from tests.asgi.harness import ASK, BEST, NEXT, Answer, Caller, Models, call, middleware

JSON = (b"content-type", b"application/json")
RAW = json.dumps(ASK).encode()


def asks(app: Any, body: Any = ASK, **options: Any) -> Answer:
    return asyncio.run(call(app, body, **options))


@pytest.mark.parametrize(
    "value",
    [b"123456789012345678901234567890", b"1e400", b"-1e400", b"1.000000000000000000001", b"7" * 5000, rb'"\ud800"',
     rb'"\udc00\ud800"', rb'"\u0000"', b'"\xc3\xa9\xf0\x9f\x98\x80"', b"-0", b"1E+2", b'"\\/"', b"[[[[]]]]",
     b'{"a":1,"a":2}'],
)  # fmt: skip
def test_every_other_byte_arrives(value: bytes) -> None:
    """Values that a re-encoding would change or refuse reach the app byte for byte in a routed request."""
    body = b'{"seed":%s , "model":"auto","messages":[{"role":"user","content":"hi"}]}' % value
    app = Models()
    assert asks(middleware(app), body).headers["x-ofox-model"] == BEST
    assert app.bodies == [body.replace(b'"auto"', b'"one/best"')]


@pytest.mark.parametrize("depth", [500, 100_000])
def test_deep_nesting(depth: int) -> None:
    """Nesting is routed or left to the app as it came; it never breaks the door."""
    body = b'{"model":"auto","messages":[],"x":' + b"[" * depth + b"]" * depth + b"}"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    bodies: list[bytes] = []
    asks(middleware(app), body)
    assert bodies == [body if depth > 1000 else body.replace(b'"auto"', b'"one/best"')]


def test_a_compressed_body_is_not_opened() -> None:
    """A compressed body goes on as it came, so that no bomb is unpacked here."""
    body = gzip.compress(RAW)
    app = Models()
    seen = asks(middleware(app), body, headers=[JSON, (b"content-encoding", b"gzip")])
    assert app.bodies == [body]
    assert "x-ofox-model" not in seen.headers


@pytest.mark.parametrize("frames", [[b""] * 50, [b"", RAW[:3], b"", RAW[3:], b""], [RAW, b""]])
def test_empty_frames(frames: list[bytes]) -> None:
    """Empty frames before, between and after the bytes of a body change nothing."""
    app = Models()
    asyncio.run(call(middleware(app), caller=Caller(list(frames)), headers=[JSON]))
    assert app.bodies == [b"".join(frames).replace(b'"auto"', b'"one/best"')]


def test_a_body_in_tiny_frames_costs_its_size() -> None:
    """A megabyte in frames of one byte is not kept as a million messages."""
    size = 200_000
    count = 0

    async def receive() -> dict[str, Any]:
        nonlocal count
        count += 1
        return {"type": "http.request", "body": b"%d" % (count % 10), "more_body": count < size}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.append(len((await receive())["body"]))

    async def main() -> int:
        scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [JSON]}
        tracemalloc.start()
        await middleware_(scope, receive, Caller([]).send)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    got: list[int] = []
    middleware_ = middleware(app)
    peak = asyncio.run(main())
    assert got == [size]
    assert peak < 10 * size


def test_frames_without_fields() -> None:
    """``body`` and ``more_body`` are optional in a frame."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await receive())

    seen: list[Any] = []
    scope = {"type": "http", "method": "POST", "path": "/v1/messages", "headers": [JSON]}
    asyncio.run(middleware(app)(scope, receive, Caller([]).send))
    assert seen == [{"type": "http.request", "body": b"", "more_body": False}]


@pytest.mark.parametrize("length", [b"1", b"99999"])
def test_a_length_that_lies(length: bytes) -> None:
    """Where a server lets a wrong length through, the app gets the right one."""
    app = Models()
    asks(middleware(app), headers=[JSON, (b"content-length", length)])
    assert (b"content-length", b"%d" % len(app.bodies[0])) in app.scopes[0]["headers"]


HOSTILE = [
    b'{"model":"auto","messages":[' + b'{"model":1},' * 80_000 + b"{}]}",
    b'{"model":"auto"' + b',"model":"auto"' * 900 + b',"x":"' + b"x" * 900_000 + b'"}',
    b'{"model":"auto","model_routing_config":{}' + b',"model_routing_config":{}' * 900 + b"}",
    b'{"model":"auto"' + b" " * 1_000_000 + b"}",
    b'{"' + b"\\n" * 500_000 + b'":1,"model":"auto"}',
    b'{"x":"' + b"\\n" * 500_000 + b'","model":"auto","model":"auto"}',
    b'{"x":"' + b'\\"model\\":' * 100_000 + b'","model":"auto"}',
    b'{"model":"auto"' + b"".join(b',"k%d":[0]' % at for at in range(900)) + b"}",
    b'{"x":1e400,"y":[' + b"[]," * 300_000 + b'0],"model":"auto"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_large_hostile_bodies(body: bytes) -> None:
    """Bodies made to hit the slow ways of reading and splicing are routed like any other, in linear memory."""
    app = Models()
    ofox = middleware(app)
    asks(ofox)
    tracemalloc.start()
    seen = asks(ofox, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen.headers["x-ofox-model"] == BEST
    assert json.loads(app.bodies[1])["model"] == BEST
    assert b"routing_config" not in app.bodies[1]
    assert b'"model":"auto"' not in app.bodies[1]
    assert peak < 100 * len(body)


@pytest.mark.parametrize("member", [b',"model":"auto"', b',"model_routing_config":{}', b',"x":0'])
def test_a_flood_of_members_is_refused(member: bytes) -> None:
    """A body of nothing but members is a 400 before it costs more than a parse, and no model is called."""
    app = Models()
    seen = asks(middleware(app), b'{"model":"auto"' + member * 100_000 + b"}")
    assert (seen.status, seen.json["error"]["code"], app.bodies) == (400, "too_many_members", [])


def test_an_endless_error_body_is_not_kept() -> None:
    """Of a failed answer only so much is held, however much the app sends."""

    async def floods(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": bytearray(100_000), "more_body": True})
        await send({"type": "http.response.body"})

    ofox = middleware(Models({BEST: floods}))
    asks(ofox, {"model": "x"})
    tracemalloc.start()
    assert asks(ofox).headers["x-ofox-model"] == NEXT
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_one_request_makes_few_calls() -> None:
    """A caller cannot make one request cost more than max_attempts calls, whatever it lists."""
    app = Models({BEST: 500, NEXT: 500, "three/last": 500})
    asks(middleware(app, max_attempts=2), {**ASK, "model_routing_config": {"models": ["*"] * 100, "fallback": True}})
    assert len(app.bodies) == 2
