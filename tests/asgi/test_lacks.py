"""A 400 that tells of what the model lacks goes to another model; any other one goes to the caller as it came."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ofox_middleware.lacks import BODY_BYTES
from tests.asgi.harness import (
    ASK,
    BEST,
    LAST,
    NEXT,
    Caller,
    Models,
    Outcomes,
    answer,
    call,
    middleware,
    request,
    router,
    stream,
)

WARM = {**ASK, "temperature": 0.2}
UNSUPPORTED = {"error": {"message": "Unsupported parameter: 'temperature' is not supported with this model.",
                         "type": "invalid_request_error", "param": "temperature",
                         "code": "unsupported_parameter"}}  # fmt: skip


def says(status: int, body: Any, *, pieces: int = 1) -> Any:
    """Plays a JSON answer, in several messages if told so."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def play(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-own", b"1")]})
        size = -(-len(raw) // pieces)
        for at in range(0, len(raw), size):
            await send({"type": "http.response.body", "body": raw[at : at + size], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return play


def raising(error: Exception) -> Any:
    async def play(scope: Any, receive: Any, send: Any) -> None:
        raise error

    return play


class BadRequest(Exception):
    status_code = 400


@pytest.mark.parametrize("status", [400, 404, 413, 422])
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_lack_goes_to_the_next_model(status: int, pieces: int) -> None:
    """The next model answers, the first one's health is as before, and it is left out for such requests from now on."""
    app = Models({BEST: says(status, UNSUPPORTED, pieces=pieces)})
    door = middleware(app)
    outcomes = Outcomes(door.router)
    seen = asyncio.run(call(door, WARM))
    assert app.asked == [BEST, NEXT]
    assert (seen.status, seen.json, seen.headers["x-ofox-attempts"]) == (200, {"model": NEXT}, "2")
    view = door.router.health.view(BEST, 1.0, 0.01)
    assert (view.availability, view.in_flight) == (1.0, 0)
    assert outcomes.outcomes[0].attempts == (BEST, NEXT)
    asyncio.run(call(door, WARM))
    asyncio.run(call(door, {"model": "auto", "messages": [{"role": "user", "content": "Another one."}]}))
    assert app.asked[2:] == [NEXT, BEST]


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "messages: at least one message is required", "type": "invalid_request_error"}}',
        b"no json",
        b"x" * (3 * BODY_BYTES),
        b" ",
    ],
)
def test_any_other_400_arrives_as_it_was_sent(body: bytes, pieces: int) -> None:
    """One attempt, every byte and header of the answer, whatever its length."""
    app = Models({BEST: says(400, body, pieces=pieces)})
    seen = asyncio.run(call(middleware(app), WARM))
    assert app.asked == [BEST]
    assert (seen.status, seen.headers["x-own"], seen.body) == (400, "1", body)


def test_a_lack_of_the_last_one_is_the_answer() -> None:
    """When every model refuses the request the caller gets the last refusal, whole."""
    app = Models(dict.fromkeys((BEST, NEXT, LAST), says(400, UNSUPPORTED)))
    seen = asyncio.run(call(middleware(app), WARM))
    assert app.asked == [BEST, NEXT, LAST]
    assert (seen.status, seen.json) == (400, UNSUPPORTED)
    assert seen.headers["x-ofox-model"] == LAST


def test_without_fallback_it_is_remembered_all_the_same() -> None:
    """A caller who wants no fallback gets the 400; the next request of the kind goes elsewhere."""
    app = Models({BEST: says(400, UNSUPPORTED)})
    door = middleware(app)
    once = {**WARM, "model_routing_config": {"fallback": False}}
    assert asyncio.run(call(door, once)).status == 400
    assert asyncio.run(call(door, once)).status == 200
    assert app.asked == [BEST, NEXT]


def test_a_prompt_that_is_too_long_goes_to_a_larger_window_only() -> None:
    """A model with a window no larger than what the provider counted is passed over; without any it is the answer."""
    cards = router().settings.models or []
    small = [replace(card, max_input_tokens=size) for card, size in zip(cards, (5_000, 5_000, 50_000), strict=True)]
    error = {"type": "error", "error": {"message": "prompt is too long: 6000 tokens > 5000 maximum"}}
    ask = {"model": "auto", "messages": [{"role": "user", "content": "word " * 3000}]}
    app = Models({BEST: says(400, error)})
    assert asyncio.run(call(middleware(app, models=small), ask)).json == {"model": LAST}
    assert app.asked == [BEST, LAST]
    app = Models({BEST: says(400, error)})
    seen = asyncio.run(call(middleware(app, models=small[:2]), ask))
    assert (app.asked, seen.status, seen.json) == ([BEST], 400, error)


def test_an_exception_that_tells_of_a_lack() -> None:
    """An app that lets its SDK's exception pass gets the next model too; another exception is raised as before."""
    error = BadRequest("litellm.UnsupportedParamsError: x does not support parameters: ['temperature'], for model=y")
    app = Models({BEST: raising(error)})
    assert asyncio.run(call(middleware(app), WARM)).json == {"model": NEXT}
    app = Models({BEST: raising(BadRequest("bad field"))})
    with pytest.raises(BadRequest, match="bad field"):
        asyncio.run(call(middleware(app), WARM))
    assert app.asked == [BEST]


def test_an_app_that_breaks_in_the_middle_of_a_400() -> None:
    """What it had sent goes out before its exception does."""

    async def play(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 400, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise BadRequest("broken")

    sent: list[dict[str, Any]] = []

    async def main() -> None:
        raw = json.dumps(WARM).encode()
        caller = Caller([raw], sent)
        await middleware(Models({BEST: play}))(request(raw), caller.receive, caller.send)

    with pytest.raises(BadRequest, match="broken"):
        asyncio.run(main())
    assert [message.get("body") for message in sent] == [None, b"half"]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_lack_inside_of_a_200(streamed: bool) -> None:
    """Gateways that answer 200 with an error inside are understood as well."""
    error = {"error": {**UNSUPPORTED["error"], "code": 400}}
    play = stream(b"data: " + json.dumps(error).encode() + b"\n\n")

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, error)

    app = Models({BEST: play if streamed else plain})
    assert asyncio.run(call(middleware(app), {**WARM, "stream": streamed})).json == {"model": NEXT}
    assert app.asked == [BEST, NEXT]


def test_a_parameter_that_can_be_done_without_is_taken_out_where_that_is_wanted() -> None:
    """With `adapt_params` the same model is asked again without it, and at once from then on."""
    app = Models()

    async def picky(scope: Any, receive: Any, send: Any) -> None:
        if b"temperature" in app.bodies[-1]:
            await answer(send, 400, UNSUPPORTED)
        else:
            await answer(send, 200, {"model": BEST})

    app.plays[BEST] = picky
    door = middleware(app, adapt_params=True)
    assert asyncio.run(call(door, WARM)).headers["x-ofox-attempts"] == "2"
    assert asyncio.run(call(door, WARM)).headers["x-ofox-attempts"] == "1"
    assert app.asked == [BEST] * 3
    assert [b"temperature" in body for body in app.bodies] == [True, False, False]
    assert b"sky" in app.bodies[-1]


def test_the_table_speaks_before_any_refusal() -> None:
    """What the maker says that it rejects never reaches the model; without the setting everything does."""
    cards = [replace(card, model="openai/gpt-6-sol") for card in (router().settings.models or [])[:1]]
    ask = {**WARM, "max_tokens": 50, "reasoning_effort": "minimal"}
    adapted = {"max_completion_tokens": 50, "reasoning_effort": "low"}
    as_sent = {"temperature": 0.2, "max_tokens": 50, "reasoning_effort": "minimal"}
    for adapts, expected in ((True, adapted), (False, as_sent)):
        app = Models()
        asyncio.run(call(middleware(app, models=cards, adapt_params=adapts), ask))
        sent = json.loads(app.bodies[-1])
        assert {name: value for name, value in sent.items() if name not in ("model", "messages")} == expected


def refusing(app: Models, name: str, mark: bytes, said: str, **error: str) -> Any:
    """A model that answers 400 while its request holds ``mark``."""

    async def play(scope: Any, receive: Any, send: Any) -> None:
        if mark in app.bodies[-1]:
            await answer(send, 400, {"error": {"message": said, "type": "invalid_request_error", **error}})
        else:
            await answer(send, 200, {"model": name})

    return play


RESPONSES = {
    "model": "auto", "input": "hi", "reasoning": {"effort": "minimal", "summary": "auto"},
    "text": {"verbosity": "low", "format": {"type": "text"}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "body", "mark", "said", "error", "then"),
    [
        ("/v1/responses", RESPONSES, b"minimal", "Unsupported value: 'minimal' is not supported with this model.",
         {"param": "reasoning.effort", "code": "unsupported_value"},
         {"reasoning": {"effort": "low", "summary": "auto"}, "text": RESPONSES["text"]}),
        ("/v1/responses", RESPONSES, b"summary", "Unsupported parameter: 'reasoning.summary' is not supported.",
         {"param": "reasoning.summary", "code": "unsupported_parameter"},
         {"reasoning": {"effort": "minimal"}, "text": RESPONSES["text"]}),
        ("/v1/responses", RESPONSES, b"verbosity", "Unsupported parameter: 'text.verbosity' is not supported.",
         {"param": "text.verbosity", "code": "unsupported_parameter"},
         {"reasoning": RESPONSES["reasoning"], "text": {"format": {"type": "text"}}}),
        ("/v1/messages",
         {"model": "auto", "max_tokens": 9, "messages": ASK["messages"], "output_config": {"effort": "max"}}, b"max\"",
         "output_config.effort: this model does not support 'max'. Unsupported value: 'output_config.effort'", {},
         {"output_config": {"effort": "xhigh"}}),
    ],
)  # fmt: skip
def test_what_is_within_a_member_is_adapted(
    path: str, body: dict[str, Any], mark: bytes, said: str, error: dict[str, str], then: dict[str, Any]
) -> None:
    """The model that refuses a part of a member is asked again without it, or with another value, at once."""
    app = Models()
    app.plays[BEST] = refusing(app, BEST, mark, said, **error)
    door = middleware(app, adapt_params=True)
    for attempts in ("2", "1"):
        seen = asyncio.run(call(door, body, path=path))
        assert (seen.status, seen.headers["x-ofox-attempts"]) == (200, attempts)
    sent = json.loads(app.bodies[-1])
    assert app.asked == [BEST] * 3
    assert {name: sent[name] for name in then} == then


def test_a_model_without_thought_comes_last_and_is_asked_without() -> None:
    """Others that take the ask for thought come first; when none does, the first answers without having thought."""
    said = "Unsupported parameter: 'reasoning.effort' is not supported with this model."
    error = {"param": "reasoning.effort", "code": "unsupported_parameter"}
    body = {"model": "auto", "input": "hi", "reasoning": {"effort": "low"}}
    app = Models()
    app.plays[BEST] = refusing(app, BEST, b"reasoning", said, **error)
    door = middleware(app, adapt_params=True)
    assert asyncio.run(call(door, body, path="/v1/responses")).headers["x-ofox-model"] == NEXT
    app = Models()
    app.plays.update({name: refusing(app, name, b"reasoning", said, **error) for name in (BEST, NEXT, LAST)})
    door = middleware(app, adapt_params=True, max_attempts=6)
    assert asyncio.run(call(door, body, path="/v1/responses")).status == 200
    assert app.asked[:3] == [BEST, NEXT, LAST]
    assert b"reasoning" not in app.bodies[-1]
    assert asyncio.run(call(door, body, path="/v1/responses")).headers["x-ofox-attempts"] == "1"


def test_all_other_bytes_of_a_member_stay() -> None:
    """Only the bytes of the part change: spaces, order, escapes and long numbers within the member arrive as sent."""
    text = b'{ "x": 12345678901234567890123, "verbosity" : "low" ,"y":"\\u00e9" }'
    raw = b'{"model": "auto", "input": "hi", "text" : ' + text + b" }"
    app = Models()
    app.plays[BEST] = refusing(app, BEST, b"verbosity", "Unsupported parameter: 'text.verbosity' is not supported.")
    door = middleware(app, adapt_params=True)
    assert asyncio.run(call(door, raw, path="/v1/responses")).status == 200
    assert b'"text" : { "x": 12345678901234567890123, "y":"\\u00e9" } }' in app.bodies[-1]
