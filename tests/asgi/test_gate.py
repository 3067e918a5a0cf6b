"""What is none of our business passes through as it came: same scope, same bytes, same answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ofox_middleware.asgi import OfoxMiddleware
from ofox_middleware.errors import SettingsError
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.asgi.harness import ASK, BEST, CHAT, Answer, Caller, Models, call, middleware, request, router

JSON = (b"content-type", b"application/json")
RAW = json.dumps(ASK).encode()


def asks(app: Any, body: Any = ASK, **options: Any) -> Answer:
    return asyncio.run(call(app, body, **options))


def untouched(body: Any = RAW, *, settings: dict[str, Any] | None = None, **options: Any) -> None:
    """Asserts that app and caller see with the middleware what they see without it."""
    bare, within = Models(), Models()
    expected = asks(bare, body, **options)
    answer = asks(middleware(within, **(settings or {})), body, **options)
    assert answer.messages == expected.messages
    assert within.bodies == bare.bodies
    assert [scope["headers"] for scope in within.scopes] == [scope["headers"] for scope in bare.scopes]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
def test_other_methods(method: str) -> None:
    """Only POST is routed."""
    untouched(method=method)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/embeddings", "/v1/messages/count_tokens", "/v1/messages/batches", "/v1/chat/completions/",
     "/v1/responses/x", "/chatcompletions", "/v1/models"],
)  # fmt: skip
def test_other_paths(path: str) -> None:
    """Only paths that end like one of the four endpoints are routed."""
    untouched(path=path)


@pytest.mark.parametrize(
    "path", [CHAT, "/chat/completions", "/deep/er/v1/completions", "/v1/responses", "/x/v1/messages"]
)
def test_the_four_endpoints(path: str) -> None:
    """The four endpoints are routed under any prefix."""
    app = Models()
    assert asks(middleware(app), {**ASK, "prompt": "x", "input": "x"}, path=path).headers["x-ofox-model"] == BEST
    assert app.asked == [BEST]


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"content-type", b"text/plain")],
        [(b"content-type", b"application/x-www-form-urlencoded")],
        [(b"content-type", b"multipart/form-data; boundary=x")],
        [(b"content-type", b"application/json; charset=utf-16")],
        [(b"content-type", b"text/x+json")],
        [JSON, JSON],
        [JSON, (b"content-encoding", b"gzip")],
        [JSON, (b"content-encoding", b"br")],
        [JSON, (b"content-length", b"-5")],
        [JSON, (b"content-length", b"five")],
        [JSON, (b"content-length", b"")],
        [JSON, (b"content-length", b"+5")],
        [JSON, (b"content-length", "٥".encode())],
        [JSON, (b"content-length", b"9" * 30)],
        [JSON, (b"content-length", b"8388609")],
        [JSON, (b"content-length", b"5"), (b"content-length", b"5")],
        [JSON, (b"content-length", b"5, 5")],
    ],
)
def test_odd_request_headers(headers: list[tuple[bytes, bytes]]) -> None:
    """A body that is not plain JSON by its headers, or whose length they give in an odd way, is not looked at."""
    untouched(headers=headers)


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"Application/JSON", b"application/json; charset=utf-8", b'application/json;charset="UTF-8"',
     b"application/vnd.api+json", b" application/json ; q=1"],
)  # fmt: skip
def test_spellings_of_json(content_type: bytes) -> None:
    """JSON is known in every spelling of its media type."""
    answer = asks(middleware(Models()), headers=[(b"content-type", content_type), (b"content-encoding", b"identity")])
    assert answer.headers["x-ofox-model"] == BEST


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b'{"model": "auto"', b"null", b'["auto"]', b'"auto"', b'\xef\xbb\xbf{"model":"auto"}', RAW + b"}",
        RAW.decode().encode("utf-16"), b'{"model":"auto","x":NaN}', b'{"model":"auto","x":"\xff"}',
        b'{"model":"auto","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":"Auto"}', b'{"model":" auto "}', b'{"model":["auto"]}', b'{"model":{"auto":1}}', b'{"model":null}',
        b'{"model":"auto\\u0000"}', b'{"model":"auto\\ud800"}', b'{"model":"auto:free"}', b'{"Model":"auto"}',
        b'{"extra_body":{"model":"auto"}}', b'{"model":"gpt-4o","tool_choice":"auto"}', b'{"x":"auto"}',
        b'{"model":"auto","model":"gpt-4o"}', b'{"model":"gpt-4o","messages":[{"model_routing_config":{}}]}',
    ],
)  # fmt: skip
def test_bodies_that_do_not_ask(body: bytes) -> None:
    """Malformed bodies, and those whose decoded model is not exactly an auto name, go on byte for byte."""
    untouched(body)


def test_a_body_in_frames_goes_on_whole() -> None:
    """An unrouted body that came in frames reaches the app with the same bytes."""
    body = b'{"model":"gpt-4o","tool_choice":"auto"}'
    app = Models()
    asyncio.run(call(middleware(app), body, caller=Caller([body[at : at + 1] for at in range(len(body))])))
    assert app.bodies == [body]


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_the_limit(*, declared: bool) -> None:
    """A body over the limit, declared or counted, passes through, and the rest is not collected before it does."""
    body = json.dumps({**ASK, "pad": "x" * 500}).encode()
    headers = [JSON, (b"content-length", b"%d" % len(body))] if declared else [JSON]
    app = Models()
    caller = Caller([body[at : at + 50] for at in range(0, len(body), 50)])

    async def main() -> Answer:
        async def notes(scope: Any, receive: Any, send: Any) -> None:
            seen.append(caller.receives)
            await app(scope, receive, send)

        return await call(middleware(notes, max_body_bytes=200), body, caller=caller, headers=headers)

    seen: list[int] = []
    answer = asyncio.run(main())
    assert app.bodies == [body]
    assert "x-ofox-model" not in answer.headers
    assert seen == [0 if declared else 5]


def test_a_single_frame_over_the_limit() -> None:
    """A body that is over the limit in its only frame passes through too."""
    untouched(settings={"max_body_bytes": 10}, headers=[JSON])


def test_at_the_limit() -> None:
    """A body of exactly the limit is routed."""
    assert asks(middleware(Models(), max_body_bytes=len(RAW))).headers["x-ofox-model"] == BEST


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_scopes(kind: str) -> None:
    """Websockets and lifespan reach the app with the very same scope and callables."""
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    async def main() -> None:
        caller = Caller([])
        given = ({"type": kind, "path": CHAT}, caller.receive, caller.send)
        await middleware(app)(*given)
        assert all(ours is theirs for ours, theirs in zip(seen, given, strict=True))

    asyncio.run(main())


def test_unmatched_requests_get_the_very_same_objects() -> None:
    """What does not match costs nothing: scope, receive and send are the server's own."""
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    async def main() -> None:
        caller = Caller([RAW])
        given = (request(RAW, path="/other"), caller.receive, caller.send)
        await middleware(app)(*given)
        assert all(ours is theirs for ours, theirs in zip(seen, given, strict=True))

    asyncio.run(main())


@pytest.mark.parametrize("config", [{"preference": "cost"}, {"unknown": 1}, "wrong", None, [1]])
def test_the_config_goes_when_a_model_is_named(config: Any) -> None:
    """With a named model only the routing config is removed, wrong ones too, and nothing else happens."""
    app = Models()
    body = {"model": "gpt-4o", "model_routing_config": config, "n": 1}
    headers = [JSON, (b"content-length", b"999"), (b"x-other", b"1"), (b"transfer-encoding", b"chunked")]
    answer = asks(middleware(app), body, headers=headers)
    assert app.bodies == [b'{"model": "gpt-4o", "n": 1}']
    assert app.scopes[0]["headers"] == [JSON, (b"x-other", b"1"), (b"content-length", b"27")]
    assert answer.status == 200
    assert not any(name.startswith("x-ofox") for name in answer.headers)


def test_the_config_goes_without_a_model() -> None:
    """A routing config without any model goes too; that the model is missing is the app's to say."""
    app = Models()
    asks(middleware(app), {"model_routing_config": {}, "n": 1})
    assert app.bodies == [b'{"n": 1}']


# --- configuration


def test_one_source_of_configuration() -> None:
    """A router, settings and single options exclude each other."""
    brain = router()
    for options in ({"router": brain, "preference": "cost"}, {"settings": Settings(), "preference": "cost"},
                    {"router": brain, "settings": Settings()}):  # fmt: skip
        with pytest.raises(TypeError):
            OfoxMiddleware(Models(), **options)


def test_options_settings_and_router() -> None:
    """Each of the three ways of configuration reaches the router."""
    assert OfoxMiddleware(Models(), models=["x/y"], preference="cost").router.settings.preference == "cost"
    settings = Settings(models=["x/y"], preference="speed")
    assert OfoxMiddleware(Models(), settings=settings).router.settings is settings
    brain = router()
    assert OfoxMiddleware(Models(), router=brain).router is brain
    assert isinstance(OfoxMiddleware(Models(), models=["x/y"]).router, SmartRouter)


def test_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments the settings come from the environment."""
    monkeypatch.setenv("OFOX_MODELS", "x/y,z/w")
    monkeypatch.setenv("OFOX_AUTO_MODELS", "best")
    app = Models()
    assert asks(OfoxMiddleware(app), {**ASK, "model": "best"}).headers["x-ofox-model"] in {"x/y", "z/w"}


def test_wrong_settings_are_refused_at_construction() -> None:
    """A setting that is wrong, or a pool that cannot be used, raises when the middleware is made."""
    with pytest.raises(SettingsError):
        OfoxMiddleware(Models(), preference="wrong")
    with pytest.raises(SettingsError):
        OfoxMiddleware(Models(), models=["no-such-provider-*"])


def test_a_reload_is_seen() -> None:
    """New auto names of a reloaded router are known at the next request."""
    brain = router()
    app = OfoxMiddleware(Models(), router=brain)
    untouched({**ASK, "model": "best"})
    brain.reload(Settings(models=["x/y"], auto_models=["best"]))
    assert asks(app, {**ASK, "model": "best"}).headers["x-ofox-model"] == "x/y"
    assert "x-ofox-model" not in asks(app, ASK).headers
