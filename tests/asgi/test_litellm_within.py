"""Real LiteLLM behind the ASGI door, in a process of its own as importing it takes seconds and changes the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("litellm")

SCRIPT = """
import asyncio, json
import litellm
from ofox_middleware.attempts import current_attempt
from ofox_middleware.cards import ModelCard
from tests.asgi.harness import Outcomes, answer, call, middleware

BEST, NEXT = "openai/gpt-4o", "openai/gpt-4o-mini"
claimed = []

async def app(scope, receive, send):
    body = json.loads((await receive())["body"])
    model, busy = body["model"], litellm.RateLimitError("slow down", "openai", "gpt-4o")
    mock = busy if model == BEST else "I am " + model
    try:
        said = await litellm.acompletion(model=model, messages=body["messages"], num_retries=0, mock_response=mock)
        status, text = 200, said.choices[0].message.content
    except litellm.RateLimitError:
        status, text = 429, "busy"
    claimed.append(current_attempt.get().claimed)
    await answer(send, status, {"text": text})

async def main():
    ofox = middleware(app, models=[ModelCard(BEST, ability=0.95), ModelCard(NEXT, ability=0.3)])
    outcomes = Outcomes(ofox.router)
    seen = await call(ofox)
    for _ in range(200):  # LiteLLM logs a success later
        shown = ofox.router.health.snapshot()
        if sum(row["ok"] + row["failed"] for row in shown.values()) >= 2:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)  # and would log it twice later still
    shown = ofox.router.health.snapshot()
    print(json.dumps({
        "status": seen.status, "text": seen.json["text"], "attempts": outcomes.outcomes[0].attempts,
        "in_flight": ofox.router.health.in_flight(), "claimed": claimed,
        "health": {name: [row["sent"], row["ok"], row["failed"]] for name, row in shown.items()},
        "watching": sum(type(callback).__name__ == "OfoxLogger" for callback in litellm.callbacks),
    }))

asyncio.run(main())
"""


def test_each_attempt_is_counted_once() -> None:
    """With LiteLLM's callbacks and the door both watching, each attempt is one dispatch with one verdict."""
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.strip().splitlines()[-1]) == {
        "status": 200,
        "text": "I am openai/gpt-4o-mini",
        "attempts": ["openai/gpt-4o", "openai/gpt-4o-mini"],
        "in_flight": 0,
        "claimed": [True, True],
        "health": {"openai/gpt-4o": [1, 0, 1], "openai/gpt-4o-mini": [1, 1, 0]},
        "watching": 1,
    }
