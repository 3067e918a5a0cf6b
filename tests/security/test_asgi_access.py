"""A caller cannot reach more than the operator's pool, nor smuggle its routing config past the door."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from ofox_middleware.asgi import OfoxMiddleware
from tests.asgi.conftest import without_litellm  # noqa: F401 - acts on every test here
from tests.asgi.harness import ASK, BEST, CHAT, LAST, NEXT, Answer, Models, Outcomes, call, middleware

JSON = (b"content-type", b"application/json")
SECRET = "sk-very-secret-key"


def asks(app: Any, body: Any = ASK, **options: Any) -> Answer:
    return asyncio.run(call(app, body, **options))


@pytest.mark.parametrize(
    "config",
    [{"models": ["openai/o9-pro"]}, {"models": ["*/o9*"]}, {"models": [f"{BEST} "]}, {"models": [BEST.upper()]},
     {"models": ["one/best?"]}, {"models": ["[o]ne/best"]}, {"models": [""]}, {"models": ["\u0000"]}],
)  # fmt: skip
def test_a_pool_outside_of_the_operators(config: dict[str, Any]) -> None:
    """Names and patterns that match nothing of the operator's pool get a 400, and no model is called."""
    app = Models()
    assert asks(middleware(app), {**ASK, "model_routing_config": config}).status == 400
    assert app.bodies == []


def test_a_wide_glob_is_still_the_operators_pool() -> None:
    """A caller's ``*`` opens nothing but the operator's pool."""
    app = Models({BEST: 500, NEXT: 500, LAST: 500})
    asks(middleware(app, max_attempts=10), {**ASK, "model_routing_config": {"models": ["*"]}})
    assert app.asked == [BEST, NEXT, LAST]


def test_fallbacks_stay_within_the_callers_list() -> None:
    """No fallback goes to a model that the caller did not allow, or that it excluded."""
    app = Models({NEXT: 500, LAST: 500})
    config = {"models": [NEXT, LAST, BEST], "exclude": ["one/*"]}
    assert asks(middleware(app), {**ASK, "model_routing_config": config}).status == 500
    assert app.asked == [NEXT, LAST]


@pytest.mark.parametrize("name", ["model_routing_config", "model\\u005frouting_config", "\\u006dodel_routing_config"])
@pytest.mark.parametrize(
    "place", ['{%s, "model": "auto", %s}', '{"model": "auto", %s, %s}', '{%s, %s, "model": "auto"}']
)
def test_the_config_never_reaches_a_model(name: str, place: str) -> None:
    """Whatever its spelling, place and number, no attempt carries the routing config on."""
    member = f'"{name}": {{"models": ["*"]}}'
    ask = place % (member, member)
    ask = ask[:-1] + ', "messages": [{"role": "user", "content": "hi"}]}'
    app = Models({BEST: 500, NEXT: 500})
    assert asks(middleware(app), ask.encode()).status == 200
    assert len(app.bodies) == 3
    assert not any(b"routing" in body or b"model" + b"\\" in body for body in app.bodies)
    assert all(set(json.loads(body)) == {"model", "messages"} for body in app.bodies)


def test_the_query_string_names_no_model() -> None:
    """``?model=`` is neither read nor changed; the body decides."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        queries.append(scope["query_string"])
        await models(scope, receive, send)

    async def with_query(scope: Any, receive: Any, send: Any) -> None:
        await ofox({**scope, "query_string": b"model=three/last"}, receive, send)

    queries: list[bytes] = []
    models = Models()
    ofox = middleware(app)
    asks(with_query)
    assert (queries, models.asked) == ([b"model=three/last"], [BEST])


def test_a_model_beside_the_model_is_no_model() -> None:
    """Nested names, ``extra_body`` and ``metadata`` included, are neither routed nor changed."""
    app = Models()
    extra = {"extra_body": {"model": "auto", "model_routing_config": {}}, "metadata": {"model": "auto"}}
    asks(middleware(app), {**ASK, **extra})
    assert json.loads(app.bodies[0]) == {**ASK, **extra, "model": BEST}


def test_twins_leave_no_doubt() -> None:
    """With two models in a body the app's parser and ours cannot disagree: all are rewritten, or none is routed."""
    app = Models()
    asks(middleware(app), b'{"model":"openai/o9-pro","messages":[],"model":"auto"}')
    assert app.bodies == [b'{"model":"one/best","messages":[],"model":"one/best"}']
    asks(middleware(app), b'{"model":"auto","messages":[],"model":"openai/o9-pro"}')
    assert app.bodies[1] == b'{"model":"auto","messages":[],"model":"openai/o9-pro"}'


def test_callers_cannot_trip_a_breaker_with_bad_keys() -> None:
    """A hundred requests that the app refuses for their key leave the model as healthy as it was."""
    ofox = middleware(Models({BEST: 401, NEXT: 403}))

    async def main() -> None:
        for _ in range(100):
            await call(ofox)

    asyncio.run(main())
    assert ofox.router.health.snapshot()[BEST]["state"] == "closed"
    assert ofox.router.health.snapshot()[BEST]["failed"] == 0


def test_no_credential_in_logs_or_observers(caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs nor decisions and outcomes hold the caller's key."""
    ofox = middleware(Models({BEST: 500}))
    outcomes = Outcomes(ofox.router)
    headers = [JSON, (b"authorization", f"Bearer {SECRET}".encode()), (b"x-api-key", SECRET.encode())]
    with caplog.at_level(logging.DEBUG):
        asks(ofox, headers=headers)
    assert SECRET not in caplog.text + repr(outcomes.outcomes) + repr(ofox.router.sessions.__dict__)


def test_no_line_breaks_in_logs(caplog: pytest.LogCaptureFixture) -> None:
    """A model's name cannot forge a line in the log."""
    name = "x/y\nCRITICAL forged"
    app = OfoxMiddleware(Models({name: 500}), models=[name, "x/z"], preference="quality", share_within=0)
    with caplog.at_level(logging.DEBUG, "ofox_middleware.asgi"):
        asks(app, {**ASK, "model_routing_config": {"models": [name, "x/z"]}})
    assert "\nCRITICAL" not in caplog.text


@pytest.mark.parametrize(
    "named", ["m\r\nset-cookie: a=b", "m\nx: y", "m\x00\x7f", "模型/一", "é\u200b", "x" * 5000, " m "]
)
def test_response_headers_cannot_be_injected(named: str) -> None:
    """Whatever a model is called, the headers stay one line of Latin-1 without control characters."""
    answer = asks(OfoxMiddleware(Models(), models=[named]))
    for name, value in answer.start["headers"]:
        assert len(value) <= 256
        assert value == value.strip()
        assert all(byte in range(0x20, 0x7F) or byte >= 0xA1 for byte in name + value)


def test_headers_named_by_a_caller_without_an_operators_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the caller's own list is the pool, its names cannot inject headers either."""
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    app = OfoxMiddleware(Models())
    if app.router.pool:
        pytest.skip("this environment has provider keys")
    seen = asks(app, {**ASK, "model_routing_config": {"models": ["m\r\nset-cookie: a=b"]}})
    assert seen.headers["x-ofox-model"] == "m??set-cookie: a=b"


def test_a_dry_run_calls_nothing_and_pins_nothing() -> None:
    """A dry run leaves no trace by which a caller could steer later requests."""
    app = Models()
    ofox = middleware(app)
    before = len(ofox.router.sessions)
    asks(ofox, headers=[JSON, (b"x-ofox-dry-run", b"true")], path=CHAT)
    assert (app.bodies, len(ofox.router.sessions), ofox.router.health.snapshot()) == ([], before, {})
