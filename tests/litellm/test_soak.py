"""A long mixed load on an attached router: nothing stays in flight, and counts equal what the provider saw."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import litellm
import pytest

from ofox_middleware.litellm_plugin import attach
from ofox_middleware.router import SmartRouter
from tests.litellm.conftest import MODELS, routing
from tests.litellm.proxy import deployment
from tests.litellm.test_sdk import brain, counts, run  # noqa: F401 - a fixture
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.filterwarnings("default")
CALLS = 300


def test_no_counter_drifts(brain: SmartRouter, upstream: Upstream) -> None:  # noqa: F811
    """Plain calls, streams, failures, fallbacks, retries, cancelled tasks, time-outs and dropped streams together."""
    models = [deployment(name, f"prov-{name}", upstream.base_url, ofox=facts) for name, facts in MODELS.items()]
    models.append(deployment("sick", "prov-sick", upstream.base_url, ofox=MODELS["mid"]))
    router: Any = litellm.Router(model_list=models, num_retries=1, retry_after=0, disable_cooldowns=True)
    attach(router)
    upstream.behave("prov-sick", status=500)
    upstream.behave("prov-dear", chunk_delay_s=0.01, delay_s=0.05)
    upstream.behave("prov-mid", break_after=2)
    rng = random.Random(1)

    async def one(number: int) -> None:
        ask: list[Any] = [{"role": "user", "content": f"Question {number}"}]
        kind = rng.randrange(7)
        if kind == 0:
            await router.acompletion(model="auto", messages=ask, **routing(models=["cheap"]))
        elif kind == 1:
            async for _ in await router.acompletion("auto", ask, stream=True, **routing(models=["cheap", "dear"])):
                pass
        elif kind == 2:
            await router.acompletion(model="auto", messages=ask, **routing(models=["sick"]))
        elif kind == 3:
            async for _ in await router.acompletion("auto", ask, stream=True, **routing(models=["mid"])):
                pass
        elif kind == 4:
            await asyncio.wait_for(router.acompletion("auto", ask, **routing(models=["dear"])), rng.random() * 0.1)
        elif kind == 5:
            stream = await router.acompletion("auto", ask, stream=True, **routing(models=["dear"]))
            async for _ in stream:
                break
        else:
            task = asyncio.ensure_future(router.aresponses(model="auto", input="Hi", **routing(models=["dear"])))
            await asyncio.sleep(rng.random() * 0.1)
            task.cancel()
            await task

    async def main() -> None:
        # LiteLLM imports parts of itself at the first call; several first calls at once trip over each other.
        await router.acompletion(model="auto", messages=[{"role": "user", "content": "Warm up."}])
        gate = asyncio.Semaphore(12)

        async def gated(number: int) -> None:
            async with gate:
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await one(number)

        await asyncio.gather(*(gated(number) for number in range(CALLS)))

    run(main, brain)
    left = {name: shown["in_flight"] for name, shown in brain.health.snapshot().items()}
    assert brain.health.in_flight() == 0, left
    assert set(left.values()) == {0}
    assert counts(brain, "sick") == (0, upstream.models().count("prov-sick"))
    assert counts(brain, "cheap") == (upstream.models().count("prov-cheap"), 0)
    assert counts(brain, "mid")[0] == 0
    assert counts(brain, "dear")[1] == 0
    assert brain.stats["litellm_attempt_error"] == 0
