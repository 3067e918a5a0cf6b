"""Attempts that stay silent, and hops that are chosen when they are made: a `litellm.Router` and a real proxy."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import litellm
import pytest

from ofox_middleware.cards import ModelFacts
from ofox_middleware.health import HealthBook
from ofox_middleware.litellm_patience import fit_timeouts
from ofox_middleware.litellm_plugin import attach
from ofox_middleware.litellm_routed import Hops, leaves_to_us
from ofox_middleware.router import SmartRouter
from tests.litellm.conftest import MODELS, chat, routing
from tests.litellm.proxy import Proxy, deployment
from tests.litellm.test_sdk import ASK, COST, TEXT, brain, counts, router, run
from tests.litellm.upstream import Upstream

__all__ = ["brain", "router"]  # fixtures

pytestmark = [
    pytest.mark.filterwarnings("default"),  # LiteLLM's own warnings are not ours to mend
    pytest.mark.usefixtures("warm"),
]
NAMES = ("cheap", "mid", "dear")


def know(brain: SmartRouter, name: str = "cheap") -> None:
    """Makes `name` known for quick answers, so that two seconds of silence are long."""
    for _ in range(30):
        brain.health.record_success(name, ttft_s=0.1, total_s=0.3, output_tokens=30)


async def text_of(stream: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


# --- silence


@pytest.mark.parametrize("how", ["hang", "stall"])
def test_a_silent_stream_is_given_up_by_what_is_usual(
    router: Any, brain: SmartRouter, upstream: Upstream, how: str
) -> None:
    """A stream that never says anything is cancelled, and the next model answers: one failure, nothing in flight."""
    know(brain)
    upstream.behave("prov-cheap", **{how: True})

    async def main() -> tuple[str, str]:
        stream = await router.acompletion(model="auto", messages=ASK, stream=True, **COST)
        return await text_of(stream), stream.model

    assert run(main, brain)[0] == TEXT
    assert upstream.models()[0] == "prov-cheap"
    assert len(upstream.models()) == 2
    assert counts(brain, "cheap") == (30, 1)
    assert brain.health.in_flight() == 0


@pytest.mark.parametrize(
    ("method", "fields", "stream"),
    [
        ("aanthropic_messages", {"messages": ASK, "max_tokens": 20}, False),
        ("aanthropic_messages", {"messages": ASK, "max_tokens": 20}, True),
        ("aresponses", {"input": "Say hi.", "max_output_tokens": 20}, True),
        ("atext_completion", {"prompt": "Say hi.", "max_tokens": 20}, False),
    ],
)
def test_every_surface_is_timed(
    router: Any, brain: SmartRouter, upstream: Upstream, method: str, fields: dict[str, Any], stream: bool
) -> None:
    """Messages, Responses and text completions that hang go to the next model as chats do. Not so streamed text, which
    LiteLLM hands out before it is asked for, and never falls back."""
    know(brain)

    async def main() -> None:
        await getattr(router, method)(model="dear", **fields)  # LiteLLM imports much at its first call
        upstream.reset()
        upstream.behave("prov-cheap", hang=True)
        answer = await getattr(router, method)(model="auto", stream=stream, **fields, **COST)
        if stream:
            assert [chunk async for chunk in answer]

    run(main, brain)
    assert upstream.models()[0] == "prov-cheap"
    assert len(upstream.models()) == 2
    assert counts(brain, "cheap") == (30, 1)
    assert brain.health.in_flight() == 0


def test_a_silent_plain_call_of_known_length_is_given_up(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """With a limit on its length, an answer in one piece has a usual time too."""
    know(brain)
    upstream.behave("prov-cheap", hang=True)

    async def main() -> Any:
        return await router.acompletion(model="auto", messages=ASK, max_tokens=20, **COST)

    answer = run(main, brain)
    assert answer.model != "cheap"
    assert counts(brain, "cheap") == (30, 1)
    assert counts(brain, answer.model) == (1, 0)


def test_the_last_hop_gets_all_the_time_there_is(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """Where no other model is left, a slow answer is waited for."""
    know(brain)
    upstream.behave("prov-cheap", delay_s=2.6)

    async def main() -> Any:
        config = {"model_routing_config": {"preference": "cost", "models": ["cheap"]}}
        return await text_of(await router.acompletion(model="auto", messages=ASK, stream=True, **config))

    assert run(main, brain) == TEXT
    assert counts(brain, "cheap") == (31, 0)


def test_a_slow_stream_that_has_begun_goes_on(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """Pauses within a stream are not limited: only its beginning is."""
    know(brain)
    upstream.behave("prov-cheap", chunk_delay_s=0.5)

    async def main() -> str:
        return await text_of(await router.acompletion(model="auto", messages=ASK, stream=True, **COST))

    assert run(main, brain) == TEXT
    assert upstream.models() == ["prov-cheap"]


@pytest.mark.parametrize("given", [{"timeout": 9}, {"stream_timeout": 9}, {"request_timeout": 9}, {"fallbacks": []}])
def test_what_the_caller_set_stays(given: dict[str, Any]) -> None:
    """Time-outs and fallbacks of the request's own are not ours to shorten."""
    assert not leaves_to_us({"model": "auto", **given})
    assert leaves_to_us({"model": "auto", "timeout": None})


def test_a_router_is_fitted_once(router: Any, brain: SmartRouter) -> None:
    """Attaching again, or being seen by the proxy's hook again, wraps nothing twice; no router is no error."""

    def wrapped() -> Any:
        return router._core._host if hasattr(router, "registry") else router.make_call

    before = wrapped()
    fit_timeouts(router, lambda: brain, lambda: pytest.fail("not asked"))
    assert wrapped() is before
    fit_timeouts(None, lambda: brain, lambda: pytest.fail("not asked"))
    fit_timeouts(object(), lambda: brain, lambda: pytest.fail("not asked"))


def test_requests_that_were_not_routed_are_left_alone(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """A request that names its model has LiteLLM's time-out and no other."""
    know(brain)
    upstream.behave("prov-cheap", delay_s=2.6)

    async def main() -> Any:
        return await router.acompletion(model="cheap", messages=ASK, max_tokens=20)

    assert run(main, brain).choices[0].message.content == TEXT
    assert upstream.models() == ["prov-cheap"]


@pytest.mark.parametrize("own_timeout", [{}, {"timeout": 30}])
@pytest.mark.parametrize("page", ["<html>gateway</html>", '{"id": "x", "choi'])
def test_a_page_in_answer_to_a_streamed_request(
    router: Any, brain: SmartRouter, upstream: Upstream, page: str, own_timeout: dict[str, Any]
) -> None:
    """LiteLLM makes an empty stream of a 200 that is none: it counts as a failure, and the next model answers."""
    upstream.behave("prov-cheap", page=page)

    async def main() -> str:
        return await text_of(await router.acompletion(model="auto", messages=ASK, stream=True, **COST, **own_timeout))

    assert run(main, brain) == TEXT
    assert upstream.models()[0] == "prov-cheap"
    assert len(upstream.models()) == 2
    assert counts(brain, "cheap") == (0, 1)
    assert brain.health.in_flight() == 0


# --- retries


@pytest.mark.parametrize("stream", [False, True])
def test_another_model_is_worth_more_than_a_retry(brain: SmartRouter, upstream: Upstream, stream: bool) -> None:
    """With the retries that LiteLLM makes when nobody says otherwise, a failing model is asked once while another one
    waits; the last one is asked again as LiteLLM would."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    retrying = litellm.Router(model_list=models, retry_after=0, disable_cooldowns=True)
    attach(retrying)
    for name in NAMES:
        upstream.behave(f"prov-{name}", status=500)

    async def main() -> None:
        with pytest.raises(litellm.InternalServerError):
            await retrying.acompletion(model="auto", messages=ASK, stream=stream, **COST)

    run(main, brain)
    asked = upstream.models()
    assert asked[0] == "prov-cheap"
    assert [asked.count(f"prov-{name}") for name in NAMES].count(1) == 2
    assert asked.count(asked[-1]) == 3


def test_silence_is_not_waited_for_twice(brain: SmartRouter, upstream: Upstream) -> None:
    """Nor is a stream that said nothing in time asked for again, where nobody asked for retries."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    retrying: Any = litellm.Router(model_list=models, retry_after=0, disable_cooldowns=True)
    attach(retrying)
    know(brain)
    upstream.behave("prov-cheap", stall=True)

    async def main() -> str:
        return await text_of(await retrying.acompletion(model="auto", messages=ASK, stream=True, **COST))

    assert run(main, brain) == TEXT
    assert upstream.models().count("prov-cheap") == 1
    assert len(upstream.models()) == 2
    assert counts(brain, "cheap") == (30, 1)


def test_a_request_that_asks_for_retries_gets_them(router: Any, brain: SmartRouter, upstream: Upstream) -> None:
    """`num_retries` in the request is the caller's word."""
    upstream.behave("prov-cheap", status=500, times=1)

    async def main() -> Any:
        return await router.acompletion(model="auto", messages=ASK, num_retries=1, **COST)

    assert run(main, brain).model == "cheap"
    assert upstream.models() == ["prov-cheap"] * 2


@pytest.mark.parametrize("where", ["router", "deployment", "litellm"])
def test_retries_that_the_operator_asked_for_are_made(
    brain: SmartRouter, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """`num_retries` of the router, of the deployment or of LiteLLM as a whole: the pick is asked again, as often as it
    says, before another model is."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    if where == "deployment":
        models[0]["litellm_params"]["num_retries"] = 1
    if where == "litellm":
        monkeypatch.setattr(litellm, "num_retries", 1)
    stated = {"num_retries": 1} if where == "router" else {}
    retrying: Any = litellm.Router(model_list=models, retry_after=0, disable_cooldowns=True, **stated)
    attach(retrying)
    upstream.behave("prov-cheap", status=500)

    async def main() -> Any:
        return await retrying.acompletion(model="auto", messages=ASK, **COST)

    assert run(main, brain).model in {"mid", "dear"}
    assert upstream.models().count("prov-cheap") == 2
    assert len(upstream.models()) == 3
    assert counts(brain, "cheap") == (0, 2)
    assert brain.health.in_flight() == 0


# --- hops


def hops(health: HealthBook) -> Hops:
    return Hops(list(NAMES), [ModelFacts(name, name, "house") for name in NAMES], health)


def trip(health: HealthBook, name: str) -> None:
    for _ in range(5):
        health.record_failure(name, status=503)


def test_hops_go_to_models_that_are_well_first() -> None:
    """The order is asked when it is needed: tripped models come last, and none is left out."""
    health = HealthBook()
    made = hops(health)
    assert list(made) == ["cheap", "mid", "dear"]
    trip(health, "cheap")
    assert list(made) == ["mid", "dear", "cheap"]
    trip(health, "mid")
    trip(health, "dear")
    assert list(made) == ["cheap", "mid", "dear"]


def test_hops_made_anew_from_their_entries_are_an_ordinary_list() -> None:
    """Newer releases of LiteLLM read a request by pydantic, which makes a list of our class from the entries alone."""
    rebuilt = type(hops(HealthBook()))(list(NAMES))
    assert list(rebuilt) == list(NAMES)


def test_copies_of_hops_do_no_harm() -> None:
    """Shallow and deep copies stay alive, what is stored or logged is an ordinary list, and others may change it."""
    health = HealthBook()
    made = hops(health)
    trip(health, "cheap")
    assert list(copy.copy(made)) == list(copy.deepcopy(made)) == ["mid", "dear", "cheap"]
    assert type(pickle.loads(pickle.dumps(made))) is list
    assert sorted(json.loads(json.dumps(made))) == sorted(NAMES)
    made.append("other")
    made[:] = made[1:]
    assert list(made) == ["mid", "dear", "other"]


def test_a_hop_after_a_long_wait_passes_over_what_has_tripped(
    router: Any, brain: SmartRouter, upstream: Upstream
) -> None:
    """A model that trips while the pick is silent is not tried after it."""
    know(brain)
    upstream.behave("prov-cheap", hang=True)

    async def main() -> Any:
        asked = await router.acompletion(model="auto", messages=ASK, stream=True, **COST)
        return await text_of(asked)

    ranking: list[str] = []
    decide = brain.decide

    def deciding(*args: Any, **options: Any) -> Any:
        decision = decide(*args, **options)
        ranking.extend(decision.ranking)
        trip(brain.health, decision.ranking[1])
        return decision

    brain.decide = deciding  # type: ignore[method-assign]
    assert run(main, brain) == TEXT
    assert upstream.models() == [f"prov-{ranking[0]}", f"prov-{ranking[2]}"]


# --- in a proxy


@pytest.mark.proxy
@pytest.mark.parametrize("how", ["hang", "stall"])
def test_a_proxy_gives_up_what_is_silent(proxy: Proxy, upstream: Upstream, how: str) -> None:
    """In a real proxy a silent stream is answered by the next model, once, and nothing stays in flight."""
    body = chat(stream=True, **routing(preference="cost"))
    for _ in range(22):
        assert proxy.post("/v1/chat/completions", body).status_code == 200
    proxy.settled()
    upstream.reset()
    upstream.behave("prov-cheap", **{how: True})
    answer = proxy.post("/v1/chat/completions", body)
    assert answer.status_code == 200
    assert answer.text.count("[DONE]") == 1
    assert len(upstream.models()) == 2
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert view["health"]["cheap"]["failed"] == 1
