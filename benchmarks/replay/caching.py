"""Prompt caches as providers sell them: what of a request is read from the cache, what is paid in full.

Rules, from the makers' documentation: a prefix is cached from a minimum length on and lives five minutes after its last
use; OpenAI, Google, xAI, DeepSeek, Mistral and Groq do it by themselves and charge nothing for writing; Anthropic does
it where the request sets ``cache_control`` and charges 1.25 times the input price for writing. Reading costs the
model's cached-input price; a model without one caches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ofox_middleware.cards import ModelFacts

TTL_S: Final = 300.0
MINIMUM: Final = {"openai": 1024, "anthropic": 1024, "gemini": 2048, "groq": 128, "xai": 128, "deepseek": 64,
                  "mistral": 1024}  # fmt: skip
WRITE_FACTOR: Final = {"anthropic": 1.25}


@dataclass(frozen=True)
class Bill:
    """What one request cost: USD, and the prompt tokens that were read from the cache."""

    usd: float
    cached_tokens: int
    input_tokens: int


@dataclass
class Caches:
    """The caches of all models, as they stand at some time."""

    live: dict[tuple[str, int], float] = field(default_factory=dict)

    def charge(
        self, facts: ModelFacts, prefix: Sequence[tuple[int, int]], *, at: float, output_tokens: int, asked: bool
    ) -> Bill:
        """Takes a request.

        Args:
            facts: of the model that serves it.
            prefix: after each part of the prompt, what identifies all up to there and how many tokens that is.
            at: the time, seconds.
            output_tokens: of the answer; what the model usually thinks before it is billed as well.
            asked: the request sets ``cache_control``.
        """
        assert facts.input_usd is not None
        assert facts.output_usd is not None
        total = prefix[-1][1]
        caches = facts.cached_input_usd is not None and (asked or facts.provider != "anthropic")
        least = MINIMUM.get(facts.provider, 1024)
        read = 0
        if caches:
            for mark, tokens in prefix:
                if tokens >= least and self.live.get((facts.name, mark), -1.0) >= at:
                    read = tokens
            for mark, tokens in prefix:
                if tokens >= least:
                    self.live[facts.name, mark] = at + TTL_S
        written = total - read
        factor = WRITE_FACTOR.get(facts.provider, 1.0) if caches and total >= least else 1.0
        usd = written * facts.input_usd * factor + (output_tokens + facts.thinking_tokens) * facts.output_usd
        if read:
            usd += read * (facts.cached_input_usd or 0.0)
        return Bill(usd, read, total)
