"""A `litellm.Router` with `attach`, and plain `litellm.acompletion`, in this process against the simulated provider."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import litellm
import pytest

from ofox_middleware import plugin_state
from ofox_middleware.errors import SettingsError
from ofox_middleware.litellm_plugin import OfoxLogger, acompletion, attach, completion, ofox, watch
from ofox_middleware.litellm_routed import current_routed
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from tests.litellm.conftest import MODELS
from tests.litellm.proxy import deployment
from tests.litellm.upstream import WORDS, Upstream

pytestmark = pytest.mark.filterwarnings("default")  # LiteLLM's own warnings are not ours to mend
TEXT = "".join(WORDS)
ASK: list[Any] = [{"role": "user", "content": "Say hi."}]
COST = {"model_routing_config": {"preference": "cost"}}


@pytest.fixture
def brain() -> Iterator[SmartRouter]:
    """A fresh brain behind `ofox`, and LiteLLM's callback lists as they were before."""
    lists = ("callbacks", "success_callback", "failure_callback", "_async_success_callback", "_async_failure_callback",
             "input_callback")  # fmt: skip
    before = {name: list(getattr(litellm, name)) for name in lists}
    made = SmartRouter(Settings(seed=7, share_within=0.0))
    plugin_state.use(made)
    yield made
    plugin_state.use(None)
    ofox.pools.clear()
    for name, callbacks in before.items():
        setattr(litellm, name, callbacks)


@pytest.fixture
def router(brain: SmartRouter, upstream: Upstream) -> litellm.Router:
    """Three priced models behind a router with `attach`."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    router = litellm.Router(model_list=models, num_retries=0, disable_cooldowns=True)
    attach(router)
    return router


def run(main: Callable[[], Awaitable[Any]], brain: SmartRouter) -> Any:
    """Runs `main` and waits until LiteLLM's queued events are in and nothing is in flight."""

    async def whole() -> Any:
        result = await main()
        for _ in range(100):
            gc.collect()
            await asyncio.sleep(0.02)
            ofox.ledger.sweep()
            if brain.health.in_flight() == 0:
                break
        return result

    return asyncio.run(whole())


def counts(brain: SmartRouter, name: str) -> tuple[int, int]:
    """(successes, failures) of a model."""
    shown = brain.health.snapshot().get(name, {})
    return int(shown.get("ok", 0)), int(shown.get("failed", 0))


def test_async_calls_of_every_surface(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """Plain answers name the pool's model and nothing of ours reaches the provider."""

    async def main() -> list[Any]:
        return [
            await router.acompletion(model="auto", messages=ASK, **COST),
            await router.acompletion("auto", ASK, **COST),
            await router.atext_completion(model="auto", prompt="Say hi.", **COST),
            await router.aresponses(model="auto", input="Say hi.", **COST),
            await router.aanthropic_messages(model="auto", messages=ASK, max_tokens=9, **COST),
        ]

    answers = run(main, brain)
    named = [answer["model"] if isinstance(answer, dict) else answer.model for answer in answers]
    assert named == ["cheap"] * 5
    assert upstream.models() == ["prov-cheap"] * 5
    assert not any(b"routing" in seen.raw or b"ofox" in seen.raw for seen in upstream.seen)
    assert brain.health.in_flight() == 0
    assert counts(brain, "cheap") == (5, 0)


def test_sync_calls_of_every_surface(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """The sync methods as the async ones."""
    answers = [
        router.completion(model="auto", messages=ASK, **COST),
        router.responses(model="auto", input="Say hi.", **COST),
    ]
    assert [answer.model for answer in answers] == ["cheap"] * 2
    assert upstream.models() == ["prov-cheap"] * 2
    assert not any(b"routing" in seen.raw for seen in upstream.seen)


def test_sync_text_completion_is_broken_in_litellm_for_every_group(router: Any) -> None:
    """LiteLLM sends the group's name to the provider layer; when this fails, `auto` may be promised there too."""
    for model in ("cheap", "auto"):
        with pytest.raises(litellm.BadRequestError, match="LLM Provider NOT provided"):
            router.text_completion(model=model, prompt="Say hi.")


def test_async_streams(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """Every chunk names the model, and the stream counts once."""

    async def main() -> list[Any]:
        stream = await router.acompletion(model="auto", messages=ASK, stream=True, **COST)
        return [chunk async for chunk in stream]

    chunks = run(main, brain)
    assert {chunk.model for chunk in chunks} == {"cheap"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert counts(brain, "cheap") == (1, 0)
    assert brain.health.in_flight() == 0


def test_responses_and_messages_streams(router: Any, brain: SmartRouter) -> None:
    """Events and raw SSE bytes carry the name where they carry one."""

    async def main() -> tuple[list[Any], bytes]:
        events = await router.aresponses(model="auto", input="Say hi.", stream=True, **COST)
        seen = [event async for event in events]
        frames = await router.aanthropic_messages(model="auto", messages=ASK, max_tokens=9, stream=True, **COST)
        return seen, b"".join([frame async for frame in frames])

    events, raw = run(main, brain)
    assert {event.response.model for event in events if hasattr(event, "response")} == {"cheap"}
    assert b'"model": "cheap"' in raw
    assert b"prov-" not in raw


def test_sync_streams(router: Any, brain: SmartRouter) -> None:
    """A sync stream is named, and closed when it ends."""
    chunks = list(router.completion(model="auto", messages=ASK, stream=True, **COST))
    assert {chunk.model for chunk in chunks} == {"cheap"}
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT


@pytest.mark.parametrize("stream", [False, True])
def test_a_failing_pick_falls_back(router: Any, brain: SmartRouter, upstream: Upstream, stream: bool) -> None:
    """The ranking's next answers under its own name, plain and streamed."""
    upstream.behave("prov-cheap", status=500)

    async def main() -> set[str]:
        answer = await router.acompletion(model="auto", messages=ASK, stream=stream, **COST)
        return {chunk.model async for chunk in answer} if stream else {answer.model}

    [served] = run(main, brain)
    assert served != "cheap"
    assert upstream.models() == ["prov-cheap", f"prov-{served}"]
    assert counts(brain, "cheap") == (0, 1)
    assert counts(brain, served) == (1, 0)
    assert brain.health.in_flight() == 0


def test_a_responses_stream_that_breaks_after_content_ends(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """LiteLLM would go on with another model, whose answer would stand behind the half of the first."""
    for name in ("cheap", "middle", "dear"):
        upstream.behave(f"prov-{name}", break_after=2)
    seen: list[Any] = []

    async def main() -> None:
        events = await router.aresponses(model="auto", input="Say hi.", stream=True, **COST)
        async for event in events:
            seen.append(event)  # noqa: PERF401 - these are wanted although the stream breaks

    with pytest.raises(litellm.InternalServerError, match="simulated failure"):
        run(main, brain)
    assert sum(getattr(event, "type", "") == "response.created" for event in seen) == 1
    assert upstream.models() == ["prov-cheap"]
    assert counts(brain, "cheap") == (0, 1) and brain.health.in_flight() == 0


def test_other_calls_while_a_stream_is_read_are_made(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """A judge that asks a model between two chunks, in the stream's own context, is no fallback of it."""

    async def main() -> int:
        stream, told = await router.acompletion(model="auto", messages=ASK, stream=True, **COST), 0
        async for _ in stream:
            token = current_routed.set(stream._routed)
            answer = await litellm.acompletion("openai/judge", ASK, api_base=upstream.base_url, api_key="k")
            current_routed.reset(token)
            told += answer.choices[0].message.content == TEXT
        return told

    assert run(main, brain) > 1


def test_a_stream_that_breaks_before_content_falls_back(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """LiteLLM switches while the stream is read; the chunks name who writes them."""
    upstream.behave("prov-cheap", break_after=0)

    async def main() -> set[str]:
        return {chunk.model async for chunk in await router.acompletion("auto", ASK, stream=True, **COST)}

    served = run(main, brain)
    assert served == {upstream.models()[-1].removeprefix("prov-")}
    assert served != {"cheap"}
    assert brain.health.in_flight() == 0
    assert counts(brain, "cheap") == (0, 1)


def test_a_sync_fallback(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """LiteLLM's sync router walks the same list."""
    upstream.behave("prov-cheap", status=500)
    answer = router.completion(model="auto", messages=ASK, **COST)
    assert answer.model != "cheap"
    assert upstream.models() == ["prov-cheap", f"prov-{answer.model}"]


def test_fallback_false_and_own_fallbacks(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """The caller's word on fallbacks stands."""
    upstream.behave("prov-cheap", status=500)
    config = {"preference": "cost", "fallback": False}

    async def main() -> str:
        with pytest.raises(litellm.InternalServerError):
            await router.acompletion(model="auto", messages=ASK, model_routing_config=config)
        answer = await router.acompletion(
            model="auto", messages=ASK, fallbacks=["dear"], model_routing_config={"models": ["cheap"]}
        )
        return str(answer.model)

    assert run(main, brain) == "dear"
    assert upstream.models() == ["prov-cheap", "prov-cheap", "prov-dear"]


def test_cards_set_their_parameters_on_every_hop(brain: SmartRouter, upstream: Upstream) -> None:
    """The pick's parameters go with the pick only, and never over the caller's."""
    cards = [
        {"name": "cheap@low", "model": "cheap", "params": {"reasoning_effort": "low"}, **MODELS["cheap"]},
        {"name": "mid", **MODELS["mid"]},
    ]
    plugin_state.use(SmartRouter(Settings(seed=7, share_within=0.0, models=cards)))
    models = [deployment(name, f"o3-{name}", upstream.base_url) for name in ("cheap", "mid")]
    router = litellm.Router(model_list=models, num_retries=0, disable_cooldowns=True)
    attach(router)
    upstream.behave("o3-cheap", status=500)

    async def main() -> tuple[str, str]:
        fell = await router.acompletion(model="auto", messages=ASK, **COST)
        upstream.behaviours.clear()
        own = await router.acompletion(
            model="auto", messages=ASK, reasoning_effort="high", model_routing_config={"models": ["cheap@low"]}
        )
        return fell.model, own.model

    assert asyncio.run(main()) == ("mid", "cheap@low")
    assert [seen.body.get("reasoning_effort") for seen in upstream.seen] == ["low", None, "high"]


def test_refusals_are_litellm_errors(router: Any) -> None:
    """A wrong config raises what SDK users catch, with the field in its body; no call is made."""
    with pytest.raises(litellm.BadRequestError) as caught:
        router.completion(model="auto", messages=ASK, model_routing_config={"prefer": "x"})
    assert caught.value.status_code == 400
    assert "model_routing_config.prefer" in str(caught.value)

    async def main() -> None:
        await router.acompletion(model="auto", messages=ASK, model_routing_config={"models": ["nobody"]})

    with pytest.raises(litellm.BadRequestError, match="not_named"):
        asyncio.run(main())


def test_an_error_of_ours_costs_no_request(
    router: Any, brain: SmartRouter, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a decision breaks, the first group answers and the slip is counted."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("bug")

    monkeypatch.setattr(brain, "decide", broken)
    assert router.completion(model="auto", messages=ASK).choices[0].message.content == TEXT
    assert upstream.models() == ["prov-cheap"]
    assert brain.stats["litellm_decision_error"] == 1


def test_named_groups_are_left_to_litellm_and_feed_health(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """A concrete group gets LiteLLM's own answer, without our field on the wire, and counts for its model."""

    async def main() -> Any:
        return await router.acompletion(model="mid", messages=ASK, **COST)

    assert run(main, brain).model == "prov-mid-2026-01-01"
    assert counts(brain, "mid") == (1, 0)
    assert b"routing" not in upstream.seen[0].raw


def test_cancelled_and_dropped_calls_leave_nothing_in_flight(
    router: Any, brain: SmartRouter, upstream: Upstream
) -> None:
    """LiteLLM reports none of these: a cancelled task, a time-out around the call, a stream that its reader left."""
    upstream.behave("prov-cheap", delay_s=0.6, chunk_delay_s=0.05)

    async def main() -> None:
        task = asyncio.create_task(router.acompletion(model="auto", messages=ASK, **COST))
        await asyncio.sleep(0.2)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(router.acompletion(model="auto", messages=ASK, **COST), 0.2)
        upstream.behave("prov-cheap", chunk_delay_s=0.05)
        stream = await router.acompletion(model="auto", messages=ASK, stream=True, **COST)
        async for _ in stream:
            break
        del stream, task

    run(main, brain)
    assert brain.health.in_flight() == 0
    assert counts(brain, "cheap") == (0, 0)


def test_groups_added_later_are_candidates(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """A deployment that is added at run time is seen at the next request, one that is deleted no more."""
    facts = {**MODELS["cheap"], "input_cost_per_token": 1e-9, "output_cost_per_token": 1e-9}
    new = deployment("new", "prov-new", upstream.base_url, ofox=facts)
    router.add_deployment(litellm.types.router.Deployment(**new))
    assert router.completion(model="auto", messages=ASK, **COST).model == "new"
    router.delete_deployment(id="id-new")
    other: list[Any] = [{"role": "user", "content": "Another question."}]
    assert router.completion(model="auto", messages=other, **COST).model == "cheap"


def test_attaching_twice_is_attaching_once(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """No second wrapper, no second callback."""
    assert attach(router) is ofox
    assert litellm.callbacks.count(ofox) == 1
    router.completion(model="auto", messages=ASK, **COST)
    assert upstream.models() == ["prov-cheap"]


def test_watch_feeds_a_brain_without_routing(brain: SmartRouter, upstream: Upstream) -> None:
    """Calls of this process to the brain's models feed its health; `auto` stays unknown to LiteLLM."""
    own = SmartRouter(Settings(models=["openai/prov-cheap"]))
    observer = watch(own)
    assert watch(own) is observer
    call = {"api_base": f"{upstream.base_url}/v1", "api_key": "k", "messages": ASK}

    async def main() -> None:
        await litellm.acompletion(model="openai/prov-cheap", **call)
        with pytest.raises(litellm.BadRequestError):
            await litellm.acompletion(model="auto", messages=ASK)
        await asyncio.sleep(0.2)

    asyncio.run(main())
    assert isinstance(observer, OfoxLogger)
    assert counts(own, "openai/prov-cheap") == (1, 0)
    assert own.health.in_flight() == 0


@pytest.fixture
def plain(upstream: Upstream, brain: SmartRouter) -> SmartRouter:
    """A brain whose settings name the models themselves, as users without a router have it."""
    cards = [{"name": f"openai/prov-{name}", **facts} for name, facts in MODELS.items()]
    made = SmartRouter(Settings(seed=7, share_within=0.0, models=cards))
    plugin_state.use(made)
    return made


def call(upstream: Upstream, **more: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": ASK, "api_base": f"{upstream.base_url}/v1", "api_key": "k", **COST, **more}


def test_litellms_own_acompletion(upstream: Upstream, plain: SmartRouter) -> None:
    """With `ofox` in litellm.callbacks, `auto` is resolved inside LiteLLM's function; chunks pass no hook there."""
    litellm.callbacks.append(ofox)

    async def main() -> tuple[str, list[str]]:
        whole = await litellm.acompletion(**call(upstream))
        stream = await litellm.acompletion(**call(upstream, stream=True))
        return whole.model, [chunk.model async for chunk in stream]

    whole, chunks = run(main, plain)
    assert whole == "openai/prov-cheap"
    assert set(chunks) == {"prov-cheap"}
    assert upstream.models() == ["prov-cheap", "prov-cheap"]
    assert not any(b"routing" in seen.raw for seen in upstream.seen)
    assert counts(plain, "openai/prov-cheap") == (2, 0)
    assert plain.health.in_flight() == 0


def test_our_acompletion_falls_back_and_names_every_chunk(upstream: Upstream, plain: SmartRouter) -> None:
    """The twin of LiteLLM's function tries the ranking."""
    upstream.behave("prov-cheap", status=500)

    async def main() -> tuple[str, set[str]]:
        whole = await acompletion(**call(upstream))
        stream = await acompletion(**call(upstream, stream=True))
        return whole.model, {chunk.model async for chunk in stream}

    whole, chunks = run(main, plain)
    assert whole.startswith("openai/prov-")
    assert whole != "openai/prov-cheap"
    assert chunks == {f"openai/{upstream.models()[-1]}"}
    assert plain.health.in_flight() == 0
    assert counts(plain, "openai/prov-cheap")[0] == 0
    assert counts(plain, "openai/prov-cheap")[1] >= 1


def test_our_functions_leave_named_models_to_litellm(upstream: Upstream, plain: SmartRouter) -> None:
    """A concrete model gets LiteLLM's own answer, without our field on the wire."""
    named = call(upstream, model="openai/prov-mid")

    async def main() -> str:
        return str((await acompletion(**dict(named))).model)

    assert run(main, plain) == completion(**named).model == "prov-mid-2026-01-01"
    assert not any(b"routing" in seen.raw for seen in upstream.seen)


@pytest.mark.parametrize(("status", "tried"), [(500, 3), (400, 1)])
def test_our_functions_try_again_only_what_another_model_may_do_better(
    upstream: Upstream, plain: SmartRouter, status: int, tried: int
) -> None:
    """A provider's failure goes through the ranking to its end, a fault of the request goes back at once."""
    for name in MODELS:
        upstream.behave(f"prov-{name}", status=status)

    async def main() -> None:
        with pytest.raises(litellm.InternalServerError if status == 500 else litellm.BadRequestError):
            await acompletion(**call(upstream, max_retries=0))

    run(main, plain)
    assert len(set(upstream.models())) == tried
    upstream.seen.clear()
    with pytest.raises(litellm.InternalServerError if status == 500 else litellm.BadRequestError):
        completion(**call(upstream, max_retries=0))
    assert len(set(upstream.models())) == tried
    assert plain.health.in_flight() == 0


def test_our_functions_refuse_and_let_go(upstream: Upstream, plain: SmartRouter) -> None:
    """A wrong config is LiteLLM's BadRequestError; a cancelled call leaves nothing in flight."""
    with pytest.raises(litellm.BadRequestError, match="prefer"):
        completion(**{**call(upstream), "model_routing_config": {"prefer": "x"}})
    upstream.behave("prov-cheap", delay_s=1.0)

    async def main() -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(acompletion(**call(upstream)), 0.3)

    run(main, plain)
    assert plain.health.in_flight() == 0


def test_a_broken_sync_stream_and_a_failing_sync_call(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """Errors of sync calls are the caller's, once nothing else is left, and are reported."""
    for name in MODELS:
        upstream.behave(f"prov-{name}", status=500)
    with pytest.raises(litellm.InternalServerError):
        router.completion(model="auto", messages=ASK, **COST)
    upstream.behaviours.clear()
    upstream.behave("prov-cheap", break_after=1)
    stream = router.completion(model="auto", messages=ASK, stream=True, model_routing_config={"models": ["cheap"]})
    with pytest.raises(Exception, match="simulated failure"):
        list(stream)
    assert brain.stats["ended"] == 2


def test_settings_of_the_yaml_may_name_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM's `os.environ/NAME` works in `callback_settings.ofox`; what is no mapping is refused."""
    monkeypatch.setenv("PREFERRED", "cost")
    monkeypatch.setattr(
        litellm, "callback_settings", {"ofox": {"preference": "os.environ/PREFERRED", "exclude": ["x"]}}
    )
    plugin_state.use(None)
    try:
        assert ofox.router.settings.preference == "cost"
        assert ofox.router.settings.exclude == ["x"]
        plugin_state.use(None)
        monkeypatch.setattr(litellm, "callback_settings", {"ofox": ["cost"]})
        with pytest.raises(SettingsError, match=r"callback_settings\.ofox"):
            _ = ofox.router
    finally:
        plugin_state.use(None)


def test_two_cards_of_one_group_are_told_apart(brain: SmartRouter, upstream: Upstream) -> None:
    """When one card's model falls back to the same group with other parameters, names and health follow the card."""
    cards = [
        {"name": "cheap@low", "model": "cheap", "params": {"reasoning_effort": "low"}, **MODELS["cheap"]},
        {"name": "cheap@high", "model": "cheap", "params": {"reasoning_effort": "high"}, **MODELS["mid"]},
    ]
    made = SmartRouter(Settings(seed=7, share_within=0.0, models=cards))
    plugin_state.use(made)
    attach_to = litellm.Router(model_list=[deployment("cheap", "o3-cheap", upstream.base_url)], num_retries=0)
    attach(attach_to)

    async def main() -> list[str]:
        low = await attach_to.acompletion(model="auto", messages=ASK, model_routing_config={"models": ["*low"]})  # type: ignore[call-overload]
        high = await attach_to.acompletion(model="auto", messages=ASK, model_routing_config={"models": ["*high"]})  # type: ignore[call-overload]
        both = await attach_to.acompletion(model="auto", messages=ASK, **COST)  # type: ignore[call-overload]
        return [low.model, high.model, both.model]

    assert run(main, made) == ["cheap@low", "cheap@high", "cheap@low"]
    assert [seen.body["reasoning_effort"] for seen in upstream.seen] == ["low", "high", "low"]
    assert (counts(made, "cheap@low"), counts(made, "cheap@high")) == ((2, 0), (1, 0))


def test_our_completion(upstream: Upstream, plain: SmartRouter) -> None:
    """The sync twin, plain and streamed."""
    assert completion(**call(upstream)).model == "openai/prov-cheap"
    assert {chunk.model for chunk in completion(**call(upstream, stream=True))} == {"openai/prov-cheap"}
    assert not any(b"routing" in seen.raw for seen in upstream.seen)


def test_answers_from_the_cache_say_nothing_of_a_provider(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """LiteLLM starts an attempt for a cache hit and ends it as a success; it counts as neither."""
    litellm.cache = litellm.Cache(type="local")

    async def main() -> list[str]:
        ask = {"messages": [{"role": "user", "content": "Cached?"}], "caching": True, **COST}
        answers = [await router.acompletion(model="auto", **ask)]
        await asyncio.sleep(0.1)
        answers.append(await router.acompletion(model="auto", **ask))
        stream = await router.acompletion(model="auto", stream=True, **ask)
        chunks = [chunk async for chunk in stream]
        return [answer.model for answer in (*answers, *chunks)]

    try:
        assert set(run(main, brain)) == {"cheap"}
    finally:
        litellm.cache = None
    assert counts(brain, "cheap")[0] == upstream.models().count("prov-cheap") < 3
    assert brain.health.in_flight() == 0


def test_each_retry_counts_and_is_one_attempt_to_the_caller(brain: SmartRouter, upstream: Upstream) -> None:
    """Where retries are asked for, LiteLLM makes them before it falls back; health sees every try, the outcome each
    model once."""
    outcomes: list[Any] = []

    class Observer:
        def decided(self, decision: Any) -> None: ...

        def ended(self, outcome: Any) -> None:
            outcomes.append(outcome)

    brain.subscribe(Observer())
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    router = litellm.Router(model_list=models, num_retries=0, retry_after=0, disable_cooldowns=True)
    attach(router)
    upstream.behave("prov-cheap", status=500)

    async def main() -> str:
        answer = await router.acompletion(model="auto", messages=ASK, num_retries=2, **COST)
        return str(answer.model)

    served = run(main, brain)
    assert upstream.models().count("prov-cheap") == counts(brain, "cheap")[1] == 3
    assert [outcome.attempts for outcome in outcomes] == [("cheap", served)]
    assert (outcomes[0].ok, outcomes[0].model, outcomes[0].output_tokens) == (True, served, 20)


def test_several_deployments_are_one_candidate(brain: SmartRouter, upstream: Upstream) -> None:
    """A group's health is the health of its deployments, told apart in the snapshot."""
    models = [deployment("cheap", "prov-cheap", upstream.base_url, ofox=MODELS["cheap"]) for _ in range(2)]
    models[1]["model_info"] = {**models[1]["model_info"], "id": "id-second"}
    router = litellm.Router(model_list=models, num_retries=0, disable_cooldowns=True)
    attach(router)

    async def main() -> None:
        for number in range(12):
            ask: list[Any] = [{"role": "user", "content": f"Question {number}"}]
            await router.acompletion(model="auto", messages=ask)

    run(main, brain)
    shown = brain.health.snapshot()["cheap"]
    assert shown["ok"] == 12
    assert sum(part["ok"] for part in shown["deployments"].values()) == 12
    assert set(shown["deployments"]) == {"id-cheap", "id-second"}


def test_one_brain_behind_both_doors(upstream: Upstream, plain: SmartRouter) -> None:
    """An app behind the ASGI door that calls LiteLLM itself: one request is one attempt in the book."""
    import httpx
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    from ofox_middleware.asgi import OfoxMiddleware

    async def chat_endpoint(request: Request) -> JSONResponse:
        body = await request.json()
        answer = await litellm.acompletion(**body, api_base=f"{upstream.base_url}/v1", api_key="k")
        return JSONResponse({"model": answer.model})

    app = OfoxMiddleware(
        Starlette(routes=[Route("/v1/chat/completions", chat_endpoint, methods=["POST"])]), router=plain
    )

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
            return await client.post("/v1/chat/completions", json={"model": "auto", "messages": ASK, **COST})

    answer = run(main, plain)
    assert answer.headers["x-ofox-model"] == "openai/prov-cheap"
    assert upstream.models() == ["prov-cheap"]
    assert counts(plain, "openai/prov-cheap") == (1, 0)
    assert plain.health.snapshot()["openai/prov-cheap"]["sent"] == 1


UNSUPPORTED = "Unsupported parameter: 'temperature' is not supported with this model."


@pytest.mark.parametrize("sync", [False, True])
def test_a_lack_goes_to_the_next_and_is_remembered(
    upstream: Upstream, plain: SmartRouter, router: Any, brain: SmartRouter, sync: bool
) -> None:
    """A 400 that tells of what the model lacks is answered by the next one, now and, without asking, from then on."""
    upstream.behave("prov-cheap", status=400, message=UNSUPPORTED)

    async def main() -> list[Any]:
        options = call(upstream, max_retries=0, temperature=0.3)
        again = {"messages": [{"role": "user", "content": "Once more."}]}
        if sync:
            return [completion(**options).model, completion(**{**options, **again}).model]
        return [(await acompletion(**options)).model, (await acompletion(**{**options, **again})).model]

    served = run(main, plain)
    tried = upstream.models()
    assert tried.count("prov-cheap") == 1
    assert tried[0] == "prov-cheap"
    assert len(set(served)) == 1
    assert plain.health.in_flight() == 0


def test_a_router_goes_on_after_a_lack_only(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """LiteLLM would try every fallback after any error; here a lack goes on, a fault of the request does not."""

    async def main(**options: Any) -> Any:
        return await router.acompletion(model="auto", messages=ASK, max_retries=0, **COST, **options)

    upstream.behave("prov-cheap", status=400, message=UNSUPPORTED)
    assert run(lambda: main(temperature=0.3), brain).model != "cheap"
    assert len(upstream.models()) == 2
    assert counts(brain, "cheap") == (0, 0)
    upstream.reset()
    assert run(lambda: main(temperature=0.3), brain).model != "cheap"
    assert len(upstream.models()) == 1
    upstream.reset()
    upstream.behave("prov-cheap", status=400, message="bad field")
    with pytest.raises(litellm.BadRequestError, match="bad field"):
        run(lambda: main(user="x"), brain)
    assert upstream.models() == ["prov-cheap"]


@pytest.mark.parametrize("adapts", [True, False])
def test_litellm_drops_what_a_model_rejects_where_that_is_wanted(
    brain: SmartRouter, upstream: Upstream, adapts: bool
) -> None:
    """With `adapt_params` LiteLLM leaves out a parameter that it knows the model to reject, never beside tools."""
    brain.reload(Settings(seed=7, share_within=0.0, adapt_params=adapts))
    router = litellm.Router(model_list=[deployment("thinker", "o3-mini", upstream.base_url, ofox=MODELS["mid"])])
    attach(router)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]

    async def main(**options: Any) -> Any:
        return await router.acompletion(model="auto", messages=ASK, temperature=0.3, max_retries=0, **options)

    if not adapts:
        with pytest.raises(litellm.UnsupportedParamsError):
            run(main, brain)
        return
    run(main, brain)
    assert "temperature" not in upstream.seen[-1].body
    with pytest.raises(litellm.UnsupportedParamsError):
        run(lambda: main(tools=tools), brain)
