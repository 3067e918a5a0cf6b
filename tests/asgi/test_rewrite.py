"""A routed request: what the app gets and what the caller sees."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from ofox_middleware.attempts import current_attempt
from ofox_middleware.cards import ModelCard
from tests.asgi.harness import (
    ASK,
    BEST,
    CHAT,
    LAST,
    NEXT,
    Answer,
    Caller,
    Models,
    Outcomes,
    answer,
    call,
    middleware,
    request,
)

JSON = (b"content-type", b"application/json")


def asks(app: Any, body: Any = ASK, **options: Any) -> Answer:
    return asyncio.run(call(app, body, **options))


def test_the_model_is_written_into_the_request() -> None:
    """The app gets the caller's bytes with the pick in place of the auto name."""
    app = Models()
    body = b'{ "model" : "auto", "seed":123456789012345678901234567890, "messages":[{"role":"user","content":"hi"}]}'
    asks(middleware(app), body)
    assert app.bodies == [body.replace(b'"auto"', b'"one/best"')]


def test_one_right_content_length() -> None:
    """The app's scope has one content length, that of the new body, and nothing else that described the old one."""
    app = Models()
    raw = json.dumps(ASK).encode()
    headers = [(b"host", b"x"), JSON, (b"content-length", b"%d" % len(raw)), (b"transfer-encoding", b"chunked"),
               (b"content-digest", b"sha-256=:x:"), (b"accept", b"*/*")]  # fmt: skip
    asks(middleware(app), raw, headers=headers)
    assert app.scopes[0]["headers"] == [
        (b"host", b"x"), JSON, (b"accept", b"*/*"), (b"content-length", b"%d" % len(app.bodies[0])),
    ]  # fmt: skip


def test_the_outer_scope_stays_as_it_was() -> None:
    """Outer middleware keeps its own headers, and sees what the app has noted in the scope."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = "chat"
        scope["headers"].append((b"x", b"y"))
        await Models()(scope, receive, send)

    async def main() -> None:
        caller = Caller([json.dumps(ASK).encode()])
        scope = request(caller.frames[0])
        before = list(scope["headers"])
        await middleware(app)(scope, caller.receive, caller.send)
        assert scope["headers"] == before
        assert scope["route"] == "chat"

    asyncio.run(main())


def test_the_callers_answer_names_the_model() -> None:
    """The answer gets the five headers and is otherwise the app's."""
    seen = asks(middleware(Models()))
    assert seen.json == {"model": BEST}
    headers = seen.headers
    assert len(headers.pop("x-ofox-decision-id")) == 16
    assert headers == {
        "content-type": "application/json",
        "x-ofox-model": BEST,
        "x-ofox-preference": "quality",
        "x-ofox-reason": "best",
        "x-ofox-attempts": "1",
    }


def test_other_errors_keep_their_status_and_get_the_headers() -> None:
    """A 4xx of the app is the answer, with our headers."""
    app = Models({BEST: 422})
    seen = asks(middleware(app))
    assert (seen.status, seen.headers["x-ofox-model"], app.asked) == (422, BEST, [BEST])


def test_headers_of_the_same_name_are_replaced() -> None:
    """An app, or an upstream it copies headers from, cannot name another model beside ours."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, {}, [(b"x-ofox-model", b"fake"), (b"X-Ofox-Reason", b"fake"), (b"x-ofox-other", b"1")])

    seen = asks(middleware(app))
    assert seen.headers["x-ofox-model"] == BEST
    assert seen.headers["x-ofox-reason"] == "best"
    assert seen.headers["x-ofox-other"] == "1"


def test_the_apps_own_start_message_is_not_changed() -> None:
    """The message that the app holds stays as it was; headers go onto a copy."""
    start = {"type": "http.response.start", "status": 200, "headers": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    assert asks(middleware(app)).headers["x-ofox-model"] == BEST
    assert start["headers"] == []


def test_a_start_without_headers() -> None:
    """Headers are optional in a start message."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    assert asks(middleware(app)).headers["x-ofox-model"] == BEST


def test_the_routing_config_steers_and_goes() -> None:
    """The caller's config picks among the pool and never reaches the app."""
    app = Models()
    seen = asks(middleware(app), {**ASK, "model_routing_config": {"models": [LAST, NEXT], "exclude": ["three/*"]}})
    assert seen.headers["x-ofox-model"] == NEXT
    assert json.loads(app.bodies[0]) == {**ASK, "model": NEXT}


def test_a_card_writes_its_model_and_parameters() -> None:
    """A card with a model and parameters sets both, and the headers name the card."""
    card = ModelCard(name="m@low", model="m", params={"reasoning_effort": "low", "n": 2})
    app = Models()
    seen = asks(middleware(app, models=[card]), {**ASK, "n": 1})
    assert json.loads(app.bodies[0]) == {**ASK, "model": "m", "n": 1, "reasoning_effort": "low"}
    assert seen.headers["x-ofox-model"] == "m@low"


def test_a_body_in_frames_is_routed() -> None:
    """A body that comes byte by byte is routed like any other."""
    raw = json.dumps(ASK).encode()
    app = Models()
    caller = Caller([raw[at : at + 1] for at in range(len(raw))])
    seen = asyncio.run(call(middleware(app), raw, caller=caller, headers=[JSON]))
    assert seen.headers["x-ofox-model"] == BEST
    assert app.asked == [BEST]


def test_the_attempt_is_visible_to_the_app() -> None:
    """Within the app the current attempt names the candidate; outside of a request there is none."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        attempt = current_attempt.get()
        assert attempt is not None
        seen.append((attempt.model, attempt.claimed, attempt.lease.closed))
        await answer(send, 200, {})
        await asyncio.create_task(child())

    async def child() -> None:
        attempt = current_attempt.get()
        assert attempt is not None
        seen.append(attempt.model)

    async def main() -> None:
        await call(middleware(app))
        assert current_attempt.get() is None

    asyncio.run(main())
    assert seen == [(BEST, False, False), BEST]


# --- refusals and dry run


@pytest.mark.parametrize(
    ("config", "param", "code"),
    [
        ({"preference": "wrong"}, "model_routing_config.preference", "invalid_routing_config"),
        ({"unknown": 1}, "model_routing_config.unknown", "invalid_routing_config"),
        ({"models": []}, "model_routing_config.models", "invalid_routing_config"),
        ("wrong", "model_routing_config", "invalid_routing_config"),
        ({"models": ["not/there"]}, "model", "no_candidate_model"),
    ],
)
def test_a_wrong_config_is_refused_as_openai_would(config: Any, param: str, code: str) -> None:
    """A wrong config is a 400 with OpenAI's error body that names the field, and no model is called."""
    app = Models()
    seen = asks(middleware(app), {**ASK, "model_routing_config": config})
    assert seen.status == 400
    assert app.bodies == []
    error = seen.json["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)
    assert isinstance(error["message"], str)
    assert int(seen.headers["content-length"]) == len(seen.body)
    assert (seen.headers["x-ofox-reason"], seen.headers["x-ofox-attempts"]) == ("refused", "0")


def test_a_refusal_on_messages_has_anthropics_shape() -> None:
    """On /v1/messages a refusal looks as Anthropic's errors do."""
    seen = asks(middleware(Models()), {**ASK, "model_routing_config": {"models": []}}, path="/v1/messages")
    assert seen.status == 400
    assert seen.json["type"] == "error"
    assert seen.json["error"]["type"] == "invalid_request_error"


def test_no_candidate_lists_the_reasons() -> None:
    """When nothing can serve the request each candidate is listed with its reason."""
    seen = asks(middleware(Models()), {**ASK, "model_routing_config": {"exclude": ["*"]}})
    assert seen.json["error"]["code"] == "no_candidate_model"
    assert all(name in seen.json["error"]["message"] for name in (BEST, NEXT, LAST))


@pytest.mark.parametrize("value", [b"true", b"True", b" true "])
def test_dry_run(value: bytes) -> None:
    """A dry run answers with the decision and calls no model."""
    app = Models()
    ofox = middleware(app)
    outcomes = Outcomes(ofox.router)
    seen = asks(ofox, headers=[JSON, (b"x-ofox-dry-run", value)])
    assert (seen.status, app.bodies, outcomes.outcomes) == (200, [], [])
    assert seen.json["model"] == BEST
    assert [row["name"] for row in seen.json["candidates"]] == [BEST, NEXT, LAST]
    assert seen.headers["x-ofox-attempts"] == "0"
    assert seen.headers["x-ofox-model"] == BEST
    assert ofox.router.health.in_flight() == 0


@pytest.mark.parametrize("value", [b"false", b"1", b""])
def test_no_dry_run(value: bytes) -> None:
    """Any other value of the header is no dry run."""
    app = Models()
    asks(middleware(app), headers=[JSON, (b"x-ofox-dry-run", value)])
    assert app.asked == [BEST]


def test_dry_run_can_be_switched_off() -> None:
    """Without the setting the header is ignored."""
    app = Models()
    asks(middleware(app, dry_run=False), headers=[JSON, (b"x-ofox-dry-run", b"true")])
    assert app.asked == [BEST]


# --- who asks


def test_callers_and_sessions_reach_the_router() -> None:
    """The router is told a hash of the credential, never the credential, and LiteLLM's session id."""
    seen: list[tuple[str, Any]] = []
    ofox = middleware(Models())
    decide = ofox.router.decide

    def spy(*arguments: Any, caller: str, session: str | None, **options: Any) -> Any:
        seen.append((caller, session))
        return decide(*arguments, caller=caller, session=session, **options)

    ofox.router.decide = spy  # type: ignore[method-assign]
    for extra in (
        [],
        [(b"authorization", b"Bearer sk-secret")],
        [(b"x-api-key", b"Bearer sk-secret")],
        [(b"authorization", b"Bearer sk-secret"), (b"x-litellm-session-id", b"conv-1")],
    ):
        asks(ofox, headers=[JSON, *extra])
    callers = [caller for caller, _ in seen]
    assert callers[0] == ""
    assert len(callers[1]) == 24
    assert len(set(callers[:3])) == 3
    assert callers[1] == callers[3]
    assert not any("secret" in caller for caller in callers)
    assert [session for _, session in seen] == [None, None, None, "conv-1"]


def test_the_path_is_the_apps() -> None:
    """The path within the app is not changed."""
    app = Models()
    asks(middleware(app), path="/prefix" + CHAT)
    assert app.scopes[0]["path"] == "/prefix" + CHAT
