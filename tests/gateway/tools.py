"""What the tests of the gateway share: a pool at a provider on loopback, and a running gateway with its clients."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx
import openai
import pytest

from ofox_middleware.cards import ModelCard
from ofox_middleware.decision_store import DecisionStore
from ofox_middleware.router import SmartRouter
from tests.litellm.upstream import WORDS, Upstream

# LiteLLM's own types make pydantic warn when it builds them; nothing of ours is silenced.
QUIET = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic._internal._generate_schema"),
    # It also leaves connections open, which are collected at any time.
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

TEXT = "".join(WORDS)
ASK: list[Any] = [{"role": "user", "content": "What is six times seven?"}]
MODELS = ("house/large", "house/medium", "other/small")


def card(name: str, upstream: Upstream, **facts: Any) -> ModelCard:
    """A model of the upstream; its address and key are the operator's, kept in the card."""
    size = name.partition("/")[2]
    params = {"api_base": upstream.base_url, "api_key": "os.environ/HOUSE_KEY"}
    return ModelCard(
        name=name, model=f"openai/{size}", params=params, max_input_tokens=100_000, supports_vision=True,
        supports_function_calling=True, **facts,
    )  # fmt: skip


class Site:
    """A running gateway and its clients."""

    def __init__(self, url: str, router: SmartRouter, log: DecisionStore) -> None:
        self.url = url
        self.router = router
        self.log = log
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self.openai = openai.OpenAI(base_url=f"{url}/v1", api_key="caller", max_retries=0, timeout=30)
        self.anthropic = anthropic.Anthropic(base_url=url, api_key="caller", max_retries=0, timeout=30)

    def close(self) -> None:
        for client in (self.http, self.openai, self.anthropic):
            client.close()

    def chat(self, model: str = "auto", **more: Any) -> Any:
        """One plain chat request, with its headers."""
        return self.openai.chat.completions.with_raw_response.create(model=model, messages=ASK, **more)
