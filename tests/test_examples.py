"""Every example is run: those that serve, over a real socket."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import openai
import pytest

from ofox_middleware.demo import Demo
from ofox_middleware.server import background, listen
from tests.litellm.upstream import WORDS, Upstream, free_port, running_upstream

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema")

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    """A provider on loopback."""
    with running_upstream() as provider:
        yield provider


def environment(**more: str) -> dict[str, str]:
    """For a process that finds the package also where it is not installed."""
    return {**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "LITELLM_LOCAL_MODEL_COST_MAP": "True", **more}


def run(name: str, *argv: str) -> str:
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / name), *argv]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(name: str, **variables: str) -> Iterator[str]:
    """The address of an example that serves."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(EXAMPLES / name)], env=environment(PORT=str(port), **variables))
    try:
        for _ in range(600):
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_fastapi_app(upstream: Upstream) -> None:
    """The app with the one line answers ``auto`` with one of its models, survives one of them failing, and streams."""
    base = {"OPENAI_API_KEY": "sk-test", "OPENAI_API_BASE": upstream.base_url, "OPENAI_BASE_URL": upstream.base_url}
    with (
        serving("fastapi_app.py", **base) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
    ):
        ask = {"model": "auto", "messages": [{"role": "user", "content": "What is six times seven?"}]}
        raw = client.chat.completions.with_raw_response.create(**ask)  # type: ignore[call-overload]
        assert raw.headers["x-ofox-model"] in {"openai/gpt-4o", "openai/gpt-4o-mini"}
        assert raw.parse().choices[0].message.content == "".join(WORDS)
        first = raw.headers["x-ofox-model"]
        upstream.behave(first.partition("/")[2], status=503)
        again = client.chat.completions.with_raw_response.create(**ask)  # type: ignore[call-overload]
        assert again.parse().choices[0].message.content == "".join(WORDS)
        assert again.headers["x-ofox-model"] != first
        chunks = client.chat.completions.create(**ask, stream=True)  # type: ignore[call-overload]
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "".join(WORDS)
        assert httpx.get(f"{url}/docs", trust_env=False).status_code == 200


def test_streaming_client() -> None:
    """The client prints the streamed answer, the model and the reason."""
    demo, listener = Demo(pace=0.05), listen("127.0.0.1", 0)
    with background(demo.app, listener):
        base = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        said = run("streaming_client.py", "Why is the sky blue?", "--base-url", base, "--preference", "quality")
    assert "simulated answer by" in said
    assert re.search(r"\n\[\w+/\w+, (best|tie)\]\n$", said)


def test_custom_classifier() -> None:
    """The house rule makes a question about a contract harder than a question about lunch."""
    lunch, contract = run("custom_classifier.py").splitlines()
    assert "house/small" in lunch and "house/large" in contract
