"""The LiteLLM examples run as they stand, against the simulated provider in place of the real ones."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import openai
import pytest

from tests.litellm.proxy import ROOT, environment, spawn, stop, wait
from tests.litellm.upstream import WORDS, Upstream, free_port
from tests.redis_server import RedisServer, needs_redis

pytestmark = pytest.mark.proxy
TEXT = "".join(WORDS)
EXAMPLES = ROOT / "examples" / "litellm"


def keys(upstream: Upstream) -> dict[str, str]:
    """Keys, and LiteLLM's own variables that lead to the simulated provider."""
    return environment(
        OPENAI_API_KEY="k",
        ANTHROPIC_API_KEY="k",
        LITELLM_MASTER_KEY="sk-example",
        OPENAI_API_BASE=f"{upstream.base_url}/v1",
        ANTHROPIC_API_BASE=upstream.base_url,
        HOUSE_API_BASE=f"{upstream.base_url}/v1",
    )


def test_the_router_example(upstream: Upstream) -> None:
    """It prints both answers with the models that gave them."""
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / "router.py")]
    done = subprocess.run(command, check=False, env=keys(upstream), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(TEXT) == 2
    assert "answered:" in done.stdout
    assert "-- streamed by" in done.stdout
    assert len(upstream.seen) == 2


def test_the_proxy_example(upstream: Upstream, tmp_path: Path) -> None:
    """Plain and streamed, each preference and the operator's own, and with two models failing."""
    config, log, port = tmp_path / "config.yaml", tmp_path / "proxy.log", free_port()
    shutil.copy(EXAMPLES / "config.yaml", config)
    process = spawn(config, port, log, keys(upstream))
    try:
        wait(process, port, log)
        with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-example", max_retries=0) as client:
            pool = {"gpt-luna", "gpt-sol", "claude-haiku", "house-model"}
            assert {model.id for model in client.models.list()} == {*pool, "auto"}
            for preference in ("balanced", "quality", "speed", "cost", "frugal"):
                extra = {"model_routing_config": {"preference": preference}}
                ask = [{"role": "user", "content": f"What is {preference}?"}]
                answer = client.chat.completions.create(model="auto", messages=ask, extra_body=extra)  # type: ignore[arg-type]
                assert answer.model in pool
                assert answer.choices[0].message.content == TEXT
                stream = client.chat.completions.create(model="auto", messages=ask, extra_body=extra, stream=True)  # type: ignore[arg-type]
                chunks = list(stream)
                assert {chunk.model for chunk in chunks} <= pool
                assert len({chunk.model for chunk in chunks}) == 1
            upstream.behave("house-7b", status=500)
            upstream.behave("gpt-6-luna", status=503)
            for number in range(4):
                ask = [{"role": "user", "content": f"Question {number}"}]
                for streamed in (False, True):
                    answered = client.chat.completions.create(model="auto", messages=ask, stream=streamed)  # type: ignore[call-overload]
                    named = {chunk.model for chunk in answered} if streamed else {answered.model}
                    assert named <= {"gpt-sol", "claude-haiku"}
    finally:
        stop(process)


def test_the_quick_start(upstream: Upstream) -> None:
    """The script starts the smallest proxy, asks it twice and for a decision alone, and leaves nothing running."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    env = {**keys(upstream), "PATH": path, "PORT": str(free_port())}
    done = subprocess.run([str(EXAMPLES / "quickstart.sh")], check=False, env=env, capture_output=True, text=True,
                          timeout=180)  # fmt: skip
    assert done.returncode == 0, done.stderr
    cost, quality, decision = done.stdout.split("---")[1:]
    assert "x-ofox-model: gpt-luna" in cost
    assert "x-ofox-model: gpt-sol" in quality
    assert TEXT in cost
    assert TEXT in quality
    assert {row["name"] for row in json.loads(decision.splitlines()[1])["candidates"]} == {"gpt-luna", "gpt-sol"}
    assert upstream.models() == ["gpt-6-luna", "gpt-6-sol"]


@needs_redis
def test_the_cluster_example(upstream: Upstream, tmp_path: Path, redis: RedisServer) -> None:
    """Two workers and Redis: what one worker learns of a model, the other goes by a moment later."""
    config, log, port = tmp_path / "config.yaml", tmp_path / "proxy.log", free_port()
    shutil.copy(EXAMPLES / "cluster.yaml", config)
    env = {**keys(upstream), "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(redis.port)}
    process = spawn(config, port, log, env, "--num_workers", "2", "--timeout_worker_healthcheck", "120")
    body = {"model": "auto", "messages": [{"role": "user", "content": "Say hi."}],
            "model_routing_config": {"preference": "cost"}}  # fmt: skip

    def picks(count: int) -> set[str]:
        """Who would be asked now: by decisions of both workers, each from a connection of its own."""
        headers = {"authorization": "Bearer sk-example", "x-ofox-dry-run": "true"}
        url = f"http://127.0.0.1:{port}/v1/chat/completions"
        return {httpx.post(url, json=body, headers=headers, timeout=60).json()["model"] for _ in range(count)}

    try:
        wait(process, port, log)
        (first,) = picks(12)
        behind = {"gpt-luna": "gpt-6-luna", "gpt-sol": "gpt-6-sol", "claude-haiku": "claude-haiku-5-5"}[first]
        upstream.behave(behind, status=429, retry_after="120", times=1)
        headers = {"authorization": "Bearer sk-example"}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body, headers=headers, timeout=60)
        assert answer.headers["x-ofox-model"] != first
        until = time.monotonic() + 30
        while first in picks(12) and time.monotonic() < until:
            time.sleep(0.5)
        assert first not in picks(12)
        assert upstream.models().count(behind) == 1
    finally:
        stop(process)
