"""What the door tells the health book and the observers: each attempt once, and nothing that a caller could forge."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from typing import Any

import pytest

from ofox_middleware.attempts import current_attempt
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
    hang,
    middleware,
    stream,
)


class Recorder:
    """Stands in for a health book's ``begin`` and notes what its leases are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ofox: Any) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._begin = ofox.router.health.begin
        monkeypatch.setattr(ofox.router.health, "begin", self.begin)

    def begin(self, model: str, deployment: Any = None, *, prior: Any = None) -> Any:
        assert prior is not None
        self.events.append(("begin", model))
        return Noted(self._begin(model, deployment, prior=prior), self.events)


class Noted:
    """A lease that notes what it is told."""

    def __init__(self, lease: Any, events: list[tuple[Any, ...]]) -> None:
        self._lease, self._events = lease, events

    @property
    def closed(self) -> bool:
        return bool(self._lease.closed)

    def __getattr__(self, name: str) -> Any:
        def note(**arguments: Any) -> None:
            self._events.append((name, *arguments.values()))
            getattr(self._lease, name)(**arguments)

        return note


USAGE = {"choices": [{"message": {"content": 'say "output_tokens": 7'}}], "usage": {"completion_tokens": 42}}


async def with_usage(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, 200, USAGE)


def noted(monkeypatch: pytest.MonkeyPatch, plays: dict[str, Any], **settings: Any) -> list[tuple[Any, ...]]:
    ofox = middleware(Models(plays), **settings)
    recorder = Recorder(monkeypatch, ofox)
    asyncio.run(call(ofox))
    assert ofox.router.health.in_flight() == 0
    return recorder.events


def test_a_plain_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain answer is a success with the tokens it reports, and says nothing about the first token."""
    assert noted(monkeypatch, {BEST: with_usage}) == [("begin", BEST), ("succeed", 42)]


def test_a_plain_answer_without_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reported usage the tokens of a plain answer are unknown."""
    assert noted(monkeypatch, {}) == [("begin", BEST), ("succeed", None)]


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        ([b'data: {"x":1}\n\n'] * 5, 5),
        ([b'data: {"x":1}\n\n'] * 5 + [b'data: {"usage":{"completion_tokens":33}}\n\n', b"data: [DONE]\n\n"], 33),
        ([b"x", b'data: {"type":"message_delta","usage":{"output_tokens": 12}}\n\n', b"event: message_stop\n\n"], 12),
    ],
)
def test_a_stream(monkeypatch: pytest.MonkeyPatch, events: list[bytes], tokens: int) -> None:
    """A stream marks its first token, and its length is what it reports or else its chunks."""
    seen = noted(monkeypatch, {BEST: stream(*events)})
    assert seen == [("begin", BEST), ("first_token",), ("succeed", tokens)]


@pytest.mark.parametrize("retry", [True, False])
def test_a_role_is_no_first_token(monkeypatch: pytest.MonkeyPatch, *, retry: bool) -> None:
    """What comes before a model has said anything does not count as its first token."""
    role = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'

    async def announces(scope: Any, receive: Any, send: Any) -> None:
        for message in (
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
            {"type": "http.response.body", "body": role, "more_body": True},
        ):
            await send(message)
        assert seen == [("begin", BEST)]
        await send({"type": "http.response.body", "body": b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'})

    ofox = middleware(Models({BEST: announces}), fallback=retry)
    seen = Recorder(monkeypatch, ofox).events
    asyncio.run(call(ofox))
    assert seen == [("begin", BEST), ("first_token",), ("succeed", 2)]


def test_a_stream_that_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error at the end of a stream is a failure of the model, though its status was 200 and content was sent."""
    events = [b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n', b'data: {"error": {"code": 502}}\n\n']
    seen = noted(monkeypatch, {BEST: stream(*events, b"data: [DONE]\n\n")})
    assert seen == [("begin", BEST), ("first_token",), ("fail", 502, None)]


def test_a_plain_error_under_status_200(monkeypatch: pytest.MonkeyPatch) -> None:
    """So is a plain answer that is an error, also when no other model is tried."""

    async def masked(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, {"error": {"message": "x", "type": "server_error"}})

    assert noted(monkeypatch, {BEST: masked}, fallback=False) == [("begin", BEST), ("fail", 500, None)]


def test_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing status is a failure with it and with the Retry-After; so is an exception, without."""

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 429, {}, [(b"retry-after", b"7")])

    async def boom(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionError

    assert noted(monkeypatch, {BEST: busy, NEXT: boom, LAST: 503}) == [
        ("begin", BEST), ("fail", 429, 7.0),
        ("begin", NEXT), ("fail", None, None),
        ("begin", LAST), ("fail", 503, None),
    ]  # fmt: skip


def test_silence_and_error_streams_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out of ours is a failure without a status, a stream's first error one with its status."""
    error = stream(b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n')
    assert noted(monkeypatch, {BEST: hang, NEXT: error}, first_byte_timeout_s=0.02) == [
        ("begin", BEST), ("fail", None, None), ("begin", NEXT), ("fail", 529, None), ("begin", LAST), ("succeed", None),
    ]  # fmt: skip


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_may_be_the_callers_fault_is_no_verdict(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """An app says 401 or 403 to a caller with a wrong key too, so no other 4xx counts against the model."""
    assert noted(monkeypatch, {BEST: status}) == [("begin", BEST), ("cancel",)]


def test_the_last_streams_error_is_a_failure_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that begins with an error has no first token, also when it is passed on as the last one."""
    error = stream(b'data: {"error": {"code": 503}}\n\n', b"data: [DONE]\n\n")
    assert noted(monkeypatch, {BEST: error}, fallback=False) == [("begin", BEST), ("fail", 503, None)]
    refusal = stream(b'data: {"error": {"code": 400}}\n\n')
    assert noted(monkeypatch, {BEST: refusal}) == [("begin", BEST), ("cancel",)]


def test_what_is_no_exception_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyboard interrupt in the app says nothing about the model."""

    async def stops(scope: Any, receive: Any, send: Any) -> None:
        raise KeyboardInterrupt

    ofox = middleware(Models({BEST: stops}))
    recorder = Recorder(monkeypatch, ofox)

    async def main() -> None:
        with pytest.raises(KeyboardInterrupt):
            await call(ofox)

    asyncio.run(main())
    assert recorder.events == [("begin", BEST), ("cancel",)]


def test_an_app_that_does_not_finish_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer without an end, as when a client leaves a stream, counts neither way."""

    async def unfinished(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    assert noted(monkeypatch, {BEST: unfinished}) == [("begin", BEST), ("cancel",)]


def test_an_exception_in_the_middle_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that breaks is the model's failure; an exception after the end, as of a background task, is not."""

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise RuntimeError

    async def after(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, {})
        raise RuntimeError

    for play, verdict in ((breaks, ("fail", None, None)), (after, ("succeed", None))):
        ofox = middleware(Models({BEST: play}))
        recorder = Recorder(monkeypatch, ofox)
        with pytest.raises(RuntimeError):
            asyncio.run(call(ofox))
        assert recorder.events == [("begin", BEST), verdict]


def test_a_cancelled_request_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that the server cancels closes its lease without a verdict."""
    app = Models({BEST: hang})
    ofox = middleware(app)
    recorder = Recorder(monkeypatch, ofox)

    async def main() -> None:
        task = asyncio.ensure_future(call(ofox))
        while not app.asked:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert recorder.events == [("begin", BEST), ("cancel",)]


def test_the_lease_is_open_while_the_app_runs() -> None:
    """A request in flight is in flight, and no more once its answer is whole, whatever the app does afterwards."""
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(ofox.router.health.in_flight())
        await answer(send, 200, {})
        seen.append(ofox.router.health.in_flight())

    ofox = middleware(app)
    asyncio.run(call(ofox))
    assert seen == [1, 0]


# --- LiteLLM within


def test_a_claimed_lease_is_left_to_its_claimer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What LiteLLM's callbacks feed is closed by the door only when it is still open at the end."""

    def claims(*, closes: bool) -> Any:
        async def play(scope: Any, receive: Any, send: Any) -> None:
            attempt = current_attempt.get()
            assert attempt is not None
            attempt.claimed = True
            await with_usage(scope, receive, send)
            assert not attempt.lease.closed
            if closes:
                attempt.lease.fail(status=500)

        return play

    assert noted(monkeypatch, {BEST: claims(closes=False)}) == [("begin", BEST), ("succeed", 42)]
    assert noted(monkeypatch, {BEST: claims(closes=True)}) == [("begin", BEST), ("fail", 500)]


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """A process in which the app has imported LiteLLM; the plugin notes whom it is to watch."""
    watched = types.SimpleNamespace(routers=[], error=None)

    def watch(router: Any) -> None:
        watched.routers.append(router)
        if watched.error is not None:
            raise watched.error

    module, plugin = types.ModuleType("litellm"), types.ModuleType("ofox_middleware.litellm_plugin")
    module.acompletion = None  # type: ignore[attr-defined]
    plugin.watch = watch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litellm", module)
    monkeypatch.setitem(sys.modules, "ofox_middleware.litellm_plugin", plugin)
    return watched


def test_litellm_is_watched_once(litellm: types.SimpleNamespace) -> None:
    """When the app has imported LiteLLM, its callbacks are attached at the first routed request, once."""
    ofox = middleware(Models())

    async def main() -> None:
        await call(ofox, {"model": "gpt-4o"})
        assert litellm.routers == []
        await call(ofox)
        await call(ofox)

    asyncio.run(main())
    assert litellm.routers == [ofox.router]


def test_litellm_that_cannot_be_watched(litellm: types.SimpleNamespace) -> None:
    """An error while attaching costs no request, and is counted."""
    litellm.error = RuntimeError("no such hook")
    ofox = middleware(Models())
    assert asyncio.run(call(ofox)).status == 200
    assert ofox.router.stats["litellm_watch_error"] == 1


def test_without_litellm_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the app has not imported LiteLLM, or is in the middle of it, nothing is attached."""
    for module in (None, types.ModuleType("litellm")):
        monkeypatch.setitem(sys.modules, "litellm", module)
        ofox = middleware(Models())
        asyncio.run(call(ofox))
        assert ofox.router.stats["litellm_watch_error"] == 0


def test_an_unclaimed_429_with_litellm_is_the_apps_own(
    monkeypatch: pytest.MonkeyPatch, litellm: types.SimpleNamespace
) -> None:
    """A proxy's limit on one caller, answered before any provider was asked, trips no breaker for the others."""
    assert noted(monkeypatch, {BEST: 429, NEXT: 500}) == [
        ("begin", BEST), ("cancel",), ("begin", NEXT), ("fail", 500, None), ("begin", LAST), ("succeed", None),
    ]  # fmt: skip


# --- outcomes


def outcome(plays: dict[str, Any], body: Any = ASK, **settings: Any) -> Any:
    ofox = middleware(Models(plays), **settings)
    outcomes = Outcomes(ofox.router)
    asyncio.run(call(ofox, body))
    (only,) = outcomes.outcomes
    return only


def test_one_outcome_per_request() -> None:
    """A request is reported once, with all models tried, the one that answered, and what that cost."""
    seen = outcome({BEST: 503, NEXT: with_usage})
    assert (seen.model, seen.ok, seen.status, seen.attempts) == (NEXT, True, 200, (BEST, NEXT))
    assert seen.output_tokens == 42
    assert seen.cost_usd == pytest.approx(seen.decision.input_tokens * 1e-6 + 42 * 2e-6)
    assert 0 <= seen.ttft_s <= seen.total_s


def test_litellms_own_cost_counts() -> None:
    """What LiteLLM says that an answer cost is taken for it, unless it is no number."""

    def priced(value: bytes) -> Any:
        async def play(scope: Any, receive: Any, send: Any) -> None:
            await answer(send, 200, {}, [(b"x-litellm-response-cost", value)])

        return play

    assert outcome({BEST: priced(b"0.00125")}).cost_usd == 0.00125
    assert outcome({BEST: priced(b"2.5e-05")}).cost_usd == 2.5e-05
    assert outcome({BEST: priced(b"None")}).cost_usd is None


def test_outcomes_of_failures() -> None:
    """A failure is reported with the status that the caller saw."""
    seen = outcome({BEST: 400})
    assert (seen.ok, seen.status, seen.output_tokens, seen.cost_usd) == (False, 400, None, None)
    seen = outcome({BEST: hang}, total_timeout_s=0.02, fallback=False)
    assert (seen.ok, seen.status, seen.ttft_s) == (False, 504, None)


def test_an_exception_is_reported_as_a_500() -> None:
    """An exception that reaches the server is reported as what servers make of it."""

    async def boom(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionError

    ofox = middleware(Models({BEST: boom}), fallback=False)
    outcomes = Outcomes(ofox.router)
    with pytest.raises(ConnectionError):
        asyncio.run(call(ofox))
    assert (outcomes.outcomes[0].ok, outcomes.outcomes[0].status) == (False, 500)


def test_a_refusal_has_no_outcome() -> None:
    """A request that was never routed is not reported."""
    ofox = middleware(Models())
    outcomes = Outcomes(ofox.router)
    asyncio.run(call(ofox, {**ASK, "model_routing_config": {"models": []}}))
    assert outcomes.outcomes == []


def test_an_error_of_ours_before_the_app_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in the brain is the server's to report; no outcome is made up for it."""
    ofox = middleware(Models())
    outcomes = Outcomes(ofox.router)
    monkeypatch.setattr(ofox.router.health, "begin", None)
    with pytest.raises(TypeError):
        asyncio.run(call(ofox))
    assert outcomes.outcomes == []


def test_nothing_drifts_under_load() -> None:
    """A hundred requests at once, failing, hanging, leaving and cancelled, leave nothing in flight and no task."""
    turn = iter(range(10_000))

    async def play(scope: Any, receive: Any, send: Any) -> None:
        kind = next(turn) % 6
        if kind == 0:
            raise ConnectionError
        if kind == 1:
            await hang(scope, receive, send)
        await (stream(b"data: 1\n\n", pause_s=0.001) if kind == 2 else Models({"*": 200}))(scope, receive, send)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await play(scope, lambda: asyncio.sleep(0, {"type": "http.request", "body": b"{}", "more_body": False}), send)

    ofox = middleware(app, first_byte_timeout_s=0.05, total_timeout_s=0.2)

    async def main() -> None:
        callers = [Caller([json.dumps(ASK).encode()]) for _ in range(100)]
        tasks = [asyncio.ensure_future(call(ofox, caller=caller)) for caller in callers]
        await asyncio.sleep(0.02)
        for at, (caller, task) in enumerate(zip(callers, tasks, strict=True)):
            if at % 7 == 0:
                caller.leave()
            if at % 11 == 0:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert ofox.router.health.in_flight() == 0
