"""A mixed load on a real proxy: nothing stays in flight, and counts equal what the provider saw.

``make soak-litellm`` runs it with thousands of calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import Any

import httpx
import pytest

from tests.litellm.conftest import chat, routing
from tests.litellm.proxy import MASTER_KEY, Proxy
from tests.litellm.tally import agrees
from tests.litellm.upstream import Upstream

pytestmark = pytest.mark.proxy
CALLS = int(os.environ.get("OFOX_SOAK_CALLS", "240")) // 2
CHAT, TEXT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
CACHED = {"cache": {"use-cache": True}}
CHEAP, MID, DEAR = (routing(models=[name]) for name in ("cheap", "mid", "dear"))


def kinds(number: int) -> list[tuple[str, dict[str, Any], float | None]]:
    """Path, body, and after how many seconds the client leaves."""
    ask = [{"role": "user", "content": f"Question {number}."}]
    often = [{"role": "user", "content": f"Question often asked, {number % 2}."}]
    leaves = random.Random(number).random() * 0.2
    return [
        (CHAT, chat(messages=ask, **CHEAP), None),
        (CHAT, chat(messages=ask, stream=True, **CHEAP), None),
        (CHAT, chat(messages=ask, model="cheap", stream=True), None),
        (CHAT, chat(messages=often, **CACHED, **CHEAP), None),
        (CHAT, chat(messages=ask, **MID), None),
        (CHAT, chat(messages=ask, stream=True, **MID), None),
        (CHAT, chat(messages=ask, num_retries=2, **MID), None),
        (CHAT, chat(messages=ask, **routing(models=["mid", "cheap"], preference="quality")), None),
        (CHAT, chat(messages=ask, stream=True, **routing(models=["mid", "cheap"], preference="quality")), None),
        (CHAT, chat(messages=ask, timeout=0.05, fallbacks=[], **DEAR), None),
        (CHAT, chat(messages=ask, **DEAR), leaves),
        (CHAT, chat(messages=ask, stream=True, **DEAR), leaves),
        (RESPONSES, {"model": "auto", "input": f"Question {number}.", **CHEAP}, None),
        (RESPONSES, {"model": "auto", "input": f"Question {number}.", "stream": True, **CHEAP}, None),
        (RESPONSES, {"model": "auto", "input": f"Question {number}.", "stream": True, **DEAR}, leaves),
        (MESSAGES, {"model": "auto", "max_tokens": 50, "messages": ask, **CHEAP}, None),
        (MESSAGES, {"model": "auto", "max_tokens": 50, "messages": ask, "stream": True, **CHEAP}, None),
        (MESSAGES, {"model": "auto", "max_tokens": 50, "messages": ask, "stream": True, **DEAR}, leaves),
        (TEXT, {"model": "auto", "prompt": f"Question {number}.", **CHEAP}, None),
        (TEXT, {"model": "auto", "prompt": f"Question {number}.", "stream": True, **CHEAP}, None),
    ]


async def load(base_url: str, first: int, count: int) -> None:
    headers = {"authorization": f"Bearer {MASTER_KEY}"}
    gate = asyncio.Semaphore(10)
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60, trust_env=False) as client:

        async def one(number: int) -> None:
            options = kinds(number)
            path, body, leaves = options[number % len(options)]
            async with gate:
                with contextlib.suppress(asyncio.TimeoutError, httpx.HTTPError):
                    await asyncio.wait_for(client.post(path, json=body), leaves)

        probes = [client.get("/health")] if first == 0 else []
        await asyncio.gather(*(one(number) for number in range(first, first + count)), *probes)


def test_no_counter_drifts_in_the_proxy(proxy: Proxy, upstream: Upstream) -> None:
    """Every surface, plain and streamed: failures, retries, fallbacks, broken streams, cached answers, time-outs,
    clients that hang up, and LiteLLM's health probes, side by side."""
    upstream.marked = b"Question"
    for phase, mid in enumerate(({"status": 500}, {"status": 503, "every": 2}, {"break_after": 2})):
        upstream.behave("prov-mid", **mid)
        upstream.behave("prov-dear", delay_s=0.1, chunk_delay_s=0.02)
        asyncio.run(load(proxy.base_url, phase * CALLS // 3, CALLS // 3))
    view = proxy.settled()
    assert view["in_flight"] == 0
    assert {shown["in_flight"] for shown in view["health"].values()} == {0}
    counts = httpx.get(f"{proxy.base_url}/_tally", timeout=30).json()
    agrees(counts, upstream, left="dear")
    assert set(counts) == {"cheap", "mid", "dear"}
    assert view["stats"].get("litellm_attempt_error", 0) == view["stats"].get("litellm_decision_error", 0) == 0
