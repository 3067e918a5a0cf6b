"""The LiteLLM examples run as they stand, against the simulated provider in place of the real ones."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from tests.litellm.proxy import ROOT, environment, spawn, stop, wait
from tests.litellm.upstream import WORDS, Upstream, free_port

pytestmark = pytest.mark.proxy
TEXT = "".join(WORDS)
EXAMPLES = ROOT / "examples"


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
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / "litellm_router.py")]
    done = subprocess.run(command, check=False, env=keys(upstream), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(TEXT) == 2
    assert "answered:" in done.stdout
    assert "-- streamed by" in done.stdout
    assert len(upstream.seen) == 2


def test_the_proxy_example(upstream: Upstream, tmp_path: Path) -> None:
    """Plain and streamed, each preference and the operator's own, and with two models failing."""
    config, log, port = tmp_path / "config.yaml", tmp_path / "proxy.log", free_port()
    shutil.copy(EXAMPLES / "litellm_config.yaml", config)
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
