"""Simulated providers for the demo: models with prices, abilities, speeds and limits, and no network at all.

Pure Python: this file knows nothing of LiteLLM, HTTP or servers. :mod:`ofox_middleware.demo` puts it behind LiteLLM.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ofox_middleware import signals
from ofox_middleware.abilities import ability_from_share
from ofox_middleware.cards import ModelCard
from ofox_middleware.types import DOMAINS, Classifier, Clock, Signals

ProviderState = Literal["up", "down", "slow", "limited"]
"""``up``; ``down`` (503 after half a second); ``slow`` (five times slower); ``limited`` (429 with ``Retry-After``)."""

SLOW_FACTOR = 5.0
RETRY_AFTER_S = 4.0
DOWN_AFTER_S = 0.5
"""A provider that is down takes a while to say so: meanwhile more requests are on their way to it."""
TIMING_SPREAD = 0.15
"""Standard deviation of the logarithm of simulated times."""


class SimulatedFailure(Exception):
    """What a provider answers instead of an answer.

    Attributes:
        status: HTTP status.
        message: the provider's words.
        retry_after_s: seconds for a ``Retry-After`` header, ``None`` for no such header.
        after_s: seconds until it is said.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: float | None = None, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s
        self.after_s = after_s


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """One model of a simulated provider.

    Attributes:
        card: what the router is told about it; the simulation lives up to it.
        requests_per_minute: more get a 429; ``None`` is no limit.
    """

    card: ModelCard
    requests_per_minute: int | None = None

    def ability(self, domains: Sequence[float]) -> float:
        """The model's ability in logits for a mix of domains (shares that sum to 1)."""
        stated = self.card.ability
        if not isinstance(stated, Mapping):
            return ability_from_share(stated if stated is not None else 0.5)
        mean = sum(stated.values()) / len(stated)
        return sum(
            share * ability_from_share(stated.get(name, mean)) for name, share in zip(DOMAINS, domains, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What a simulated model says, and when.

    Attributes:
        text: the answer, in pieces; their concatenation is the whole.
        tool_call: name and JSON arguments, in place of text.
        right: whether the model got it right.
        ttft_s, s_per_piece: seconds to the first piece, and between pieces.
        prompt_tokens, completion_tokens: what is billed.
    """

    text: tuple[str, ...]
    tool_call: tuple[str, str] | None
    right: bool
    ttft_s: float
    s_per_piece: float
    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class _Live:
    state: ProviderState = "up"
    calls: int = 0
    failures: int = 0
    recent: dict[str, deque[float]] = field(default_factory=dict)


class Simulation:
    """A set of simulated providers whose states can be changed while they serve.

    Args:
        models: who is simulated; the part of each name before ``/`` is its provider.
        classifier: says how hard a prompt is; the simulation has no truth of its own about prompts, so a model's
            chance to be right is ``sigmoid(its ability - this difficulty)``, drawn once per seed, model and prompt.
        seed: makes answers and times repeatable.
        pace: multiplies every simulated time; 0 answers at once.
        clock: seconds, for the rate limits.
    """

    def __init__(
        self,
        models: Sequence[SimulatedModel],
        classifier: Classifier,
        *,
        seed: int = 7,
        pace: float = 1.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self.models = {model.card.name: model for model in models}
        self._classifier = classifier
        self._seed = seed
        self._pace = pace
        self._clock = clock
        self._timing = random.Random(seed)
        self._live = {_provider(name): _Live() for name in self.models}

    @property
    def providers(self) -> tuple[str, ...]:
        """Names of the providers."""
        return tuple(self._live)

    def set_state(self, provider: str, state: str) -> None:
        """Take a provider down, bring it back up, or make it slow or limited.

        Raises:
            KeyError: no such provider.
            ValueError: no such state.
        """
        if state not in get_args(ProviderState):
            raise ValueError(f"state must be one of {', '.join(get_args(ProviderState))}")
        self._live[provider].state = state  # type: ignore[assignment]

    def status(self) -> dict[str, dict[str, Any]]:
        """Per provider: its state, its models, and how many calls it took and failed."""
        return {
            name: {
                "state": live.state,
                "models": [model for model in self.models if _provider(model) == name],
                "calls": live.calls,
                "failures": live.failures,
            }
            for name, live in self._live.items()
        }

    def reply(self, name: str, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]) -> Reply:
        """What the model called ``name`` answers to a chat request.

        Raises:
            SimulatedFailure: the provider is down or limited, or the model cannot take the request.
        """
        live = self._live[_provider(name)]
        live.calls += 1
        try:
            return self._reply(self.models[name], live, messages, params)
        except SimulatedFailure:
            live.failures += 1
            raise

    def _reply(
        self, model: SimulatedModel, live: _Live, messages: Sequence[Mapping[str, Any]], params: Mapping[str, Any]
    ) -> Reply:
        name = model.card.name
        if live.state == "down":
            raise SimulatedFailure(503, f"{_provider(name)} is down (simulated)", after_s=DOWN_AFTER_S * self._pace)
        if live.state == "limited" or self._over_rate(model, live):
            raise SimulatedFailure(429, f"{name}: too many requests (simulated)", retry_after_s=RETRY_AFTER_S)
        read = signals.read({**params, "messages": list(messages)}, "chat")
        _refuse_what_it_lacks(model.card, read)
        right = self._is_right(model, read)
        tool_call = _tool_call(read, params)
        text = () if tool_call else _answer(name, right, params)
        limit = params.get("max_tokens") or params.get("max_completion_tokens") or len(text)
        text = text[: max(1, int(limit))]
        spread = math.exp(self._timing.gauss(0.0, TIMING_SPREAD)) * self._pace
        spread *= SLOW_FACTOR if live.state == "slow" else 1.0
        return Reply(
            text=text,
            tool_call=tool_call,
            right=right,
            ttft_s=(model.card.ttft_s or 0.0) * spread,
            s_per_piece=spread / (model.card.tokens_per_s or 100.0),
            prompt_tokens=max(1, read.input_tokens),
            completion_tokens=len(text) or 20,
        )

    def _over_rate(self, model: SimulatedModel, live: _Live) -> bool:
        if model.requests_per_minute is None:
            return False
        now = self._clock()
        recent = live.recent.setdefault(model.card.name, deque())
        while recent and now - recent[0] > 60.0:
            recent.popleft()
        if len(recent) >= model.requests_per_minute:
            return True
        recent.append(now)
        return False

    def _is_right(self, model: SimulatedModel, read: Signals) -> bool:
        difficulty = self._classifier.classify(read)
        chance = 1.0 / (1.0 + math.exp(difficulty.logit - model.ability(difficulty.domains)))
        return random.Random(f"{self._seed}|{model.card.name}|{read.ask}").random() < chance


def _provider(name: str) -> str:
    return name.partition("/")[0]


def _refuse_what_it_lacks(card: ModelCard, read: Signals) -> None:
    if read.needs & {"image"} and not card.supports_vision:
        raise SimulatedFailure(400, f"{card.name} does not accept images (simulated)")
    if read.needs & {"tools", "tool_choice"} and not card.supports_function_calling:
        raise SimulatedFailure(400, f"{card.name} does not support tools (simulated)")
    if card.max_input_tokens is not None and read.input_tokens > card.max_input_tokens:
        raise SimulatedFailure(
            400,
            f"This model's maximum context length is {card.max_input_tokens} tokens, and the prompt has about "
            f"{read.input_tokens} (simulated)",
        )


def _tool_call(read: Signals, params: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first tool, unless its result is there already; arguments are left empty, for nothing reads them."""
    if read.in_tool_loop or not params.get("tools") or params.get("tool_choice") == "none":
        return None
    function = params["tools"][0].get("function") or {}
    return (str(function.get("name") or "tool"), "{}")


def _answer(name: str, right: bool, params: Mapping[str, Any]) -> tuple[str, ...]:
    verdict = "right" if right else "wrong"
    if (params.get("response_format") or {}).get("type") in {"json_object", "json_schema"}:
        return (json.dumps({"model": name, "simulated": True, "verdict": verdict}),)
    text = (
        f"This is a simulated answer by {name}. For a prompt this hard, a model of its ability draws its luck, and "
        f"this time the answer is {verdict}. No provider was called, nothing was spent, and no text of yours left "
        "this machine."
    )
    words = text.split(" ")
    return (words[0], *(f" {word}" for word in words[1:]))


POOL: tuple[SimulatedModel, ...] = (
    SimulatedModel(
        ModelCard(
            name="north/titan", input_cost_per_token=5e-6, output_cost_per_token=25e-6, max_input_tokens=400_000,
            max_output_tokens=64_000, ability=0.95, ttft_s=0.6, tokens_per_s=70, supports_vision=True,
            supports_pdf_input=True, supports_function_calling=True, supports_tool_choice=True,
            supports_parallel_function_calling=True, supports_response_schema=True, supports_reasoning=True,
        ),
    ),
    SimulatedModel(
        ModelCard(
            name="north/swift", input_cost_per_token=6e-7, output_cost_per_token=2.4e-6, max_input_tokens=200_000,
            max_output_tokens=32_000, ability=0.78, ttft_s=0.25, tokens_per_s=160, supports_vision=True,
            supports_function_calling=True, supports_tool_choice=True, supports_response_schema=True,
            supports_reasoning=False,
        ),
    ),
    SimulatedModel(
        ModelCard(
            name="river/oracle", input_cost_per_token=2.5e-6, output_cost_per_token=12e-6, max_input_tokens=128_000,
            max_output_tokens=32_000, ability=0.92, ttft_s=0.8, tokens_per_s=60, supports_vision=False,
            supports_function_calling=True, supports_tool_choice=True, supports_response_schema=True,
            supports_reasoning=True,
        ),
    ),
    SimulatedModel(
        ModelCard(
            name="river/flash", input_cost_per_token=1e-7, output_cost_per_token=4e-7, max_input_tokens=1_000_000,
            max_output_tokens=32_000, ability=0.62, ttft_s=0.08, tokens_per_s=350, supports_vision=True,
            supports_function_calling=True, supports_tool_choice=True, supports_response_schema=True,
            supports_reasoning=False,
        ),
    ),
    SimulatedModel(
        ModelCard(
            name="pebble/mini", input_cost_per_token=3e-8, output_cost_per_token=1e-7, max_input_tokens=8_000,
            max_output_tokens=2_000, ability=0.4, ttft_s=0.15, tokens_per_s=200, supports_vision=False,
            supports_function_calling=False, supports_tool_choice=False, supports_response_schema=False,
            supports_reasoning=False,
        ),
    ),
    SimulatedModel(
        ModelCard(
            name="gust/coder", input_cost_per_token=3e-7, output_cost_per_token=1.2e-6, max_input_tokens=64_000,
            max_output_tokens=16_000, ability={"code": 0.93, "math": 0.8, "knowledge": 0.55, "writing_chat": 0.5},
            ttft_s=0.3, tokens_per_s=120, supports_vision=False, supports_function_calling=True,
            supports_tool_choice=True, supports_response_schema=True, supports_reasoning=False,
        ),
        requests_per_minute=30,
    ),
)  # fmt: skip
"""The demo's pool: strong and dear, weak and cheap with a small window, a coder with a rate limit, and between."""
