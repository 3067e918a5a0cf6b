"""A long mixed load on an attached router: nothing stays in flight, and counts equal what the provider saw.

``make soak-litellm`` runs it with thousands of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import litellm
import pytest

from ofox_middleware.litellm_plugin import attach
from ofox_middleware.router import SmartRouter
from tests.litellm.conftest import MODELS, routing
from tests.litellm.proxy import deployment
from tests.litellm.tally import Tally, agrees
from tests.litellm.test_sdk import brain, run  # noqa: F401 - a fixture
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.filterwarnings("default")
CALLS = int(os.environ.get("OFOX_SOAK_CALLS", "300"))
NAMES = ("cheap", "mid", "dear", "sick", "flaky", "bridge")


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    made = Tally()
    made.install(monkeypatch.setattr)
    return made


@pytest.fixture
def cache() -> Iterator[None]:
    """LiteLLM's own cache of answers, for the calls that ask for it."""
    litellm.cache = litellm.Cache(type="local", mode="default_off")
    yield
    litellm.cache = None


def sicken(upstream: Upstream) -> None:
    """What the provider's models are like during the load."""
    upstream.behave("prov-sick", status=500)
    upstream.behave("prov-flaky", status=503, every=2)
    upstream.behave("prov-dear", chunk_delay_s=0.01, delay_s=0.05)
    upstream.behave("prov-mid", break_after=2)


class Load:
    """Calls of every kind to an attached router."""

    def __init__(self, router: Any, seed: int) -> None:
        self.router = router
        self.rng = random.Random(seed)
        self.kinds: list[Callable[[list[Any]], Awaitable[None]]] = [
            self.plain, self.streamed, self.failing, self.falling_back, self.breaking, self.timed_out, self.impatient,
            self.dropped, self.cancelled, self.retried, self.messages, self.message_stream, self.bridged, self.text,
            self.in_thread, self.stream_in_thread, self.dropped_in_thread, self.cached, self.named, self.several,
        ]  # fmt: skip

    async def one(self, number: int) -> None:
        kind = self.kinds[number % len(self.kinds)]
        await kind([{"role": "user", "content": f"Question {number}"}])

    async def plain(self, ask: list[Any]) -> None:
        await self.router.acompletion(model="auto", messages=ask, **routing(models=["cheap"]))

    async def streamed(self, ask: list[Any]) -> None:
        async for _ in await self.router.acompletion("auto", ask, stream=True, **routing(models=["cheap", "bridge"])):
            pass

    async def failing(self, ask: list[Any]) -> None:
        await self.router.acompletion(model="auto", messages=ask, **routing(models=["sick"]))

    async def falling_back(self, ask: list[Any]) -> None:
        stream = self.rng.random() < 0.5
        pool = routing(models=["sick", "cheap"], preference="quality")
        answer = await self.router.acompletion("auto", ask, stream=stream, **pool)
        if stream:
            async for _ in answer:
                pass

    async def breaking(self, ask: list[Any]) -> None:
        async for _ in await self.router.acompletion("auto", ask, stream=True, **routing(models=["mid"])):
            pass

    async def timed_out(self, ask: list[Any]) -> None:
        await self.router.acompletion("auto", ask, timeout=0.02, num_retries=0, **routing(models=["dear"]))

    async def impatient(self, ask: list[Any]) -> None:
        waited = self.rng.random() * 0.1
        await asyncio.wait_for(self.router.acompletion("auto", ask, **routing(models=["dear"])), waited)

    async def dropped(self, ask: list[Any]) -> None:
        async for _ in await self.router.acompletion("auto", ask, stream=True, **routing(models=["dear"])):
            break

    async def cancelled(self, ask: list[Any]) -> None:
        task = asyncio.ensure_future(self.router.aresponses(model="auto", input="Hi", **routing(models=["dear"])))
        await asyncio.sleep(self.rng.random() * 0.1)
        task.cancel()
        await task

    async def retried(self, ask: list[Any]) -> None:
        await self.router.acompletion(model="auto", messages=ask, num_retries=2, **routing(models=["flaky"]))

    async def messages(self, ask: list[Any]) -> None:
        pool = routing(models=["cheap"])
        await self.router.aanthropic_messages(model="auto", max_tokens=50, messages=ask, **pool)

    async def message_stream(self, ask: list[Any]) -> None:
        pool = routing(models=["cheap"])
        answer = await self.router.aanthropic_messages(model="auto", max_tokens=50, messages=ask, stream=True, **pool)
        async for _ in answer:
            pass

    async def bridged(self, ask: list[Any]) -> None:
        await self.router.aresponses(model="auto", input="Hi", **routing(models=["bridge"]))

    async def text(self, ask: list[Any]) -> None:
        await self.router.atext_completion(model="auto", prompt="Hi", **routing(models=["cheap"]))

    async def in_thread(self, ask: list[Any]) -> None:
        await asyncio.to_thread(self.router.completion, model="auto", messages=ask, **routing(models=["cheap"]))

    async def stream_in_thread(self, ask: list[Any]) -> None:
        def work() -> None:
            for _ in self.router.completion(model="auto", messages=ask, stream=True, **routing(models=["cheap"])):
                pass

        await asyncio.to_thread(work)

    async def dropped_in_thread(self, ask: list[Any]) -> None:
        def work() -> None:
            stream = self.router.completion(model="auto", messages=ask, stream=True, **routing(models=["dear"]))
            next(iter(stream))

        await asyncio.to_thread(work)

    async def cached(self, ask: list[Any]) -> None:
        same = [{"role": "user", "content": f"Often asked {self.rng.randrange(3)}"}]
        wanted = {"cache": {"use-cache": True}}
        await self.router.acompletion(model="auto", messages=same, **wanted, **routing(models=["cheap"]))

    async def named(self, ask: list[Any]) -> None:
        await self.router.acompletion(model="cheap", messages=ask)

    async def several(self, ask: list[Any]) -> None:
        await self.router.abatch_completion(models=["cheap", "bridge"], messages=ask)


def test_no_counter_drifts(brain: SmartRouter, upstream: Upstream, tally: Tally, cache: None) -> None:  # noqa: F811
    """Plain and bridged calls, streams, failures, fallbacks, retries, cancelled tasks, time-outs, dropped streams and
    answers from the cache, sync and async, on every surface."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    models += [deployment(name, f"prov-{name}", upstream.base_url, ofox=MODELS["mid"]) for name in ("sick", "flaky")]
    bridge = deployment("bridge", "prov-bridge", upstream.base_url, ofox=MODELS["mid"])
    bridge["litellm_params"]["model"] = "hosted_vllm/prov-bridge"  # has no Responses API, so LiteLLM translates
    models.append(bridge)
    router: Any = litellm.Router(model_list=models, num_retries=1, retry_after=0, disable_cooldowns=True)
    attach(router)
    sicken(upstream)
    load = Load(router, seed=1)

    async def main() -> None:
        # LiteLLM imports parts of itself at the first call; several first calls at once trip over each other.
        for number in range(len(load.kinds)):
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await load.one(number)
        gate = asyncio.Semaphore(12)

        async def gated(number: int) -> None:
            async with gate:
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await load.one(number)

        await asyncio.gather(*(gated(number) for number in range(CALLS)))

    run(main, brain)
    left = {name: shown["in_flight"] for name, shown in brain.health.snapshot().items()}
    assert brain.health.in_flight() == 0, left
    assert set(left.values()) == {0}
    agrees({name: tally.of(name) for name in NAMES}, upstream, left="dear")
    assert brain.stats["litellm_attempt_error"] == brain.stats["litellm_decision_error"] == 0
