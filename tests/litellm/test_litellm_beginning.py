"""Streams that begin in vain: silent after their headers, or over without an answer, on every surface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import litellm
import openai
import pytest
from litellm.types.utils import Delta, ModelResponseStream, StreamingChoices

from ofox_middleware import ModelCard, Settings, plugin_state
from ofox_middleware.litellm_beginning import says_nothing
from ofox_middleware.litellm_plugin import acompletion, attach, completion
from ofox_middleware.router import SmartRouter
from tests.litellm.conftest import MODELS, chat, native, routing
from tests.litellm.proxy import MASTER_KEY, Proxy, deployment
from tests.litellm.test_sdk import ASK, COST, TEXT, brain, counts, run
from tests.litellm.upstream import Upstream

__all__ = ["brain"]  # a fixture

pytestmark = [
    pytest.mark.filterwarnings("default"),  # LiteLLM's own warnings are not ours to mend
    pytest.mark.usefixtures("warm"),
]
PAGE = {"page": "<html>gateway</html>"}
STALL = {"stall": True}
SURFACES: list[tuple[str, dict[str, Any]]] = [
    ("acompletion", {"messages": ASK}),
    ("atext_completion", {"prompt": "Say hi."}),
    ("aresponses", {"input": "Say hi."}),
    ("aanthropic_messages", {"messages": ASK, "max_tokens": 20}),
]


@pytest.fixture(params=["openai", "anthropic"])
def backend(request: pytest.FixtureRequest) -> str:
    """The provider of the cheapest model, whose own protocol LiteLLM passes on or translates."""
    return str(request.param)


def make_router(upstream: Upstream, backend: str = "openai", **settings: Any) -> Any:
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    if backend == "anthropic":
        models[0] = native("cheap", upstream.base_url)
    router = litellm.Router(model_list=models, **{"num_retries": 0, "disable_cooldowns": True, **settings})
    attach(router)
    return router


def know(brain: SmartRouter) -> None:
    """Makes `cheap` known for quick answers, so that two seconds of silence are long."""
    for _ in range(30):
        brain.health.record_success("cheap", ttft_s=0.1, total_s=0.3, output_tokens=30)


async def said(stream: Any) -> str:
    """All that a stream says, as one text."""
    return "".join([chunk.decode() if isinstance(chunk, bytes) else str(chunk) async for chunk in stream])


async def heard(router: Any, method: str, fields: dict[str, Any]) -> str:
    await getattr(router, method)(model="dear", **fields)  # LiteLLM imports much at its first call
    return await said(await getattr(router, method)(model="auto", stream=True, **fields, **COST))


@pytest.mark.parametrize("how", [PAGE, STALL], ids=["page", "stall"])
@pytest.mark.parametrize(("method", "fields"), SURFACES)
def test_the_next_model_answers(
    brain: SmartRouter, upstream: Upstream, backend: str, method: str, fields: dict[str, Any], how: dict[str, Any]
) -> None:
    """A 200 with a page, and silence after the first event, go to the next model: one failure, nothing in flight."""
    know(brain)
    router = make_router(upstream, backend)
    upstream.behave("prov-cheap", **how)
    answer = run(lambda: heard(router, method, fields), brain)
    assert "forty" in answer
    assert upstream.models()[1] == "prov-cheap"
    assert len(upstream.models()) == 3
    assert counts(brain, "cheap") == (30, 1)
    assert brain.health.in_flight() == 0


@pytest.mark.contract
@pytest.mark.parametrize(("method", "fields"), SURFACES)
def test_a_stream_that_begins_in_vain_is_not_asked_for_twice(
    brain: SmartRouter, upstream: Upstream, method: str, fields: dict[str, Any]
) -> None:
    """With the retries that LiteLLM makes when nobody says otherwise, each silence costs one attempt."""
    know(brain)
    router = make_router(upstream, "anthropic", num_retries=None, retry_after=0)
    upstream.behave("prov-cheap", stall=True)
    assert "forty" in run(lambda: heard(router, method, fields), brain)
    assert upstream.models().count("prov-cheap") == 1
    assert len(upstream.models()) == 3
    assert counts(brain, "cheap") == (30, 1)
    assert brain.health.in_flight() == 0


@pytest.mark.parametrize(("method", "fields"), SURFACES)
def test_with_no_model_left_it_is_an_error(
    brain: SmartRouter, upstream: Upstream, method: str, fields: dict[str, Any]
) -> None:
    """An empty stream is never passed off as an answer."""
    router = make_router(upstream, "anthropic")
    upstream.behave("prov-cheap", **PAGE)
    alone = {"model_routing_config": {"models": ["cheap"]}}

    async def main() -> None:
        with pytest.raises(Exception, match="ended without an answer"):
            await said(await getattr(router, method)(model="auto", stream=True, **fields, **alone))

    run(main, brain)
    assert counts(brain, "cheap") == (0, 1)
    assert brain.health.in_flight() == 0


def test_a_sync_stream(brain: SmartRouter, upstream: Upstream) -> None:
    """The sync Router goes on from a page as the async one does."""
    router = make_router(upstream)
    upstream.behave("prov-cheap", **PAGE)
    stream = router.completion(model="auto", messages=ASK, stream=True, **COST)
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert upstream.models()[0] == "prov-cheap"
    assert len(upstream.models()) == 2
    run(lambda: asyncio.sleep(0), brain)  # LiteLLM reports from a thread
    assert counts(brain, "cheap") == (0, 1)
    assert brain.health.in_flight() == 0


@pytest.fixture
def pool(brain: SmartRouter, upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmartRouter]:
    """Two models of settings, for LiteLLM's own functions."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-upstream")
    monkeypatch.setenv("OPENAI_API_BASE", f"{upstream.base_url}/v1")
    cards = [
        ModelCard(name=f"openai/prov-{name}", **{key: MODELS[name][key] for key in ("ability", "input_cost_per_token",
                  "output_cost_per_token", "tokens_per_s")})  # type: ignore[arg-type]
        for name in ("cheap", "dear")
    ]  # fmt: skip
    made = SmartRouter(Settings(models=cards, seed=7, share_within=0.0))
    plugin_state.use(made)
    yield made


@pytest.mark.parametrize("how", [PAGE, {"break_after": 0}], ids=["page", "error"])
@pytest.mark.parametrize("sync", [True, False])
def test_litellms_own_functions(pool: SmartRouter, upstream: Upstream, how: dict[str, Any], sync: bool) -> None:
    """`acompletion` and `completion` of ours hand out a stream when it says something; until then the next one may."""
    upstream.behave("prov-cheap", **how)

    async def main() -> str:
        stream = await acompletion("auto", ASK, stream=True, **COST)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    def plain() -> str:
        stream = completion("auto", ASK, stream=True, **COST)
        return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)

    assert (plain() if sync else asyncio.run(main())) == TEXT
    run(lambda: asyncio.sleep(0), pool)  # LiteLLM reports from a thread
    assert upstream.models() == ["prov-cheap", "prov-dear"]
    assert counts(pool, "openai/prov-cheap") == (0, 1)
    assert pool.health.in_flight() == 0


def test_litellms_own_functions_with_no_model_left(pool: SmartRouter, upstream: Upstream) -> None:
    """Two pages are an error."""
    for name in ("cheap", "dear"):
        upstream.behave(f"prov-{name}", **PAGE)

    async def main() -> None:
        with pytest.raises(litellm.InternalServerError, match="ended without an answer"):
            await acompletion("auto", ASK, stream=True)

    run(main, pool)
    assert len(upstream.models()) == 2
    assert pool.health.in_flight() == 0


def chunk(**delta: Any) -> ModelResponseStream:
    finish = delta.pop("finish_reason", None)
    return ModelResponseStream(choices=[StreamingChoices(index=0, finish_reason=finish, delta=Delta(**delta))])


@pytest.mark.parametrize(
    ("made", "silent"),  # when the test runs: LiteLLM's first object warns of its own models
    [
        (lambda: chunk(role="assistant", content=""), True),
        (lambda: chunk(role="assistant", content="The"), False),
        (lambda: chunk(content="", reasoning_content="Hm"), False),
        (lambda: chunk(content=None, finish_reason="stop"), False),
        (lambda: b'event: message_start\ndata: {"type": "message_start"}\n\n', True),
        (lambda: 'data: {"choices": [{"delta": {"content": "x"}}]}\n\n', False),
        (litellm.ModelResponse, False),
        (lambda: {"anything": "else"}, False),
    ],
)
def test_what_says_something(made: Callable[[], Any], silent: bool) -> None:
    """A role, a ping and an announcement are no sign of life; whatever is not known to be one of these is."""
    assert says_nothing(made()) is silent


# --- in a proxy


def by_openai_text(base_url: str, **config: Any) -> str:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        stream = client.completions.create(model="auto", prompt="Say hi.", stream=True, extra_body=config)
        return "".join(chunk.choices[0].text or "" for chunk in stream if chunk.choices)


def by_openai_responses(base_url: str, **config: Any) -> str:
    with openai.OpenAI(base_url=f"{base_url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        events = list(client.responses.create(model="auto", input="Say hi.", stream=True, extra_body=config))
        if events[-1].type == "response.failed":  # of which the client makes no exception
            raise RuntimeError(str(events[-1].response.error))
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def by_anthropic(base_url: str, **config: Any) -> str:
    with anthropic.Anthropic(base_url=base_url, api_key=MASTER_KEY, max_retries=0) as client:
        ask: Any = {"messages": ASK, "max_tokens": 100, "extra_body": config}
        with client.messages.stream(model="auto", **ask) as stream:
            return "".join(stream.text_stream)


@pytest.mark.proxy
@pytest.mark.parametrize("how", [PAGE, STALL], ids=["page", "stall"])
@pytest.mark.parametrize("ask", [by_openai_text, by_openai_responses, by_anthropic])
def test_a_proxys_client_gets_the_next_models_answer(
    proxy: Proxy, upstream: Upstream, claude: str, ask: Callable[..., str], how: dict[str, Any]
) -> None:
    """By real clients: Anthropic's protocol passed on, and translated to OpenAI's two others."""
    config = routing(models=[claude, "dear"], preference="cost")
    for _ in range(22):
        assert proxy.post("/v1/chat/completions", chat(stream=True, **config)).status_code == 200
    proxy.settled()
    upstream.reset()
    upstream.behave("claude-house", **how)
    assert ask(proxy.base_url, **config) == TEXT
    assert upstream.models() == ["claude-house", "prov-dear"]
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert view["health"][claude]["failed"] == 1
    assert view["health"]["dear"]["failed"] == 0


@pytest.mark.proxy
@pytest.mark.contract
@pytest.mark.parametrize(
    ("path", "fields", "event"),
    [
        ("/v1/chat/completions", {"messages": ASK}, 'data: {"error": {"message":'),
        ("/v1/completions", {"prompt": "Say hi."}, 'data: {"error": {"message":'),
        ("/v1/responses", {"input": "Say hi."}, 'data: {"type":"response.failed"'),
        ("/v1/messages", {"messages": ASK, "max_tokens": 20}, 'event: error\ndata: {"type": "error", "error": {'),
    ],
)
def test_silence_after_content_ends_in_an_error_event(
    proxy: Proxy, upstream: Upstream, claude: str, path: str, fields: dict[str, Any], event: str
) -> None:
    """LiteLLM's time-out limits the pauses within a stream; the client is told in its own protocol, and nobody else
    writes on."""
    upstream.behave("claude-house", stall_after=2)
    config = routing(models=[claude, "dear"], preference="cost")
    answer = proxy.post(path, {"model": "auto", "stream": True, "timeout": 2, **fields, **config})
    assert "answer " in answer.text
    assert event in answer.text
    assert "forty" not in answer.text
    assert upstream.models() == ["claude-house"]
    assert proxy.settled()["in_flight"] == 0


@pytest.mark.proxy
@pytest.mark.parametrize("ask", [by_openai_text, by_openai_responses, by_anthropic])
def test_a_proxys_client_is_told_when_nobody_answers(
    proxy: Proxy, upstream: Upstream, claude: str, ask: Callable[..., str]
) -> None:
    """In its own protocol's words: the client raises, and says why."""
    upstream.behave("claude-house", **PAGE)
    with pytest.raises((openai.APIError, anthropic.APIError, RuntimeError), match="ended without an answer"):
        ask(proxy.base_url, **routing(models=[claude]))
    assert proxy.settled()["in_flight"] == 0
