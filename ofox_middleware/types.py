"""Value objects and protocols shared by every module. This is a leaf: it imports nothing of the package.

Units everywhere: time in seconds, money in USD, prices in USD per token, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

import msgspec

Clock = Callable[[], float]
"""A monotonic clock: seconds, only differences mean anything."""

Surface = Literal["chat", "text", "responses", "messages"]
"""The four request shapes: Chat Completions, (text) Completions, OpenAI Responses, Anthropic Messages."""

Need = Literal[
    "image", "audio", "file", "video", "audio_output",
    "tools", "tool_choice", "parallel_tools", "computer_use", "web_search",
    "json_schema", "reasoning", "logprobs", "n", "prefill",
]  # fmt: skip
"""An input kind or a feature that a request uses and a model may lack."""

DOMAINS = ("code", "math", "knowledge", "reasoning", "writing_chat", "multilingual", "tools_agentic", "vision")
"""The kinds of task that abilities are measured for, in the order of every per-domain tuple."""

Reason = Literal[
    "best", "only", "tie", "session", "probe", "last_resort", "fallback", "escalated", "refused",
]  # fmt: skip
"""Why a model was picked, or ``refused`` when none was; the whole vocabulary of the ``x-ofox-reason`` header."""


class Preference(str, Enum):
    """The built-in routing preferences. An operator's own profiles are named beside them."""

    BALANCED = "balanced"
    QUALITY = "quality"
    SPEED = "speed"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Profile:
    """What a preference means: weights on log-ratios to the best candidate of each axis, and two limits.

    Attributes:
        quality, cost, time: weights, not negative; only their proportions matter.
        floor: candidates whose expected quality is under this share of the best are not picked (0..1).
        tie: among candidates whose score is within this share of the best, the cheaper wins (0..1).
    """

    quality: float = 0.0
    cost: float = 0.0
    time: float = 0.0
    floor: float = 0.0
    tie: float = 0.0

    def __post_init__(self) -> None:
        if min(self.quality, self.cost, self.time) < 0:
            raise ValueError("weights must not be negative")
        if self.quality + self.cost + self.time <= 0:
            raise ValueError("at least one of quality, cost and time must be above 0")
        if not (0 <= self.floor <= 1 and 0 <= self.tie < 1):
            raise ValueError("floor must be 0..1 and tie 0..<1")


class Signals(msgspec.Struct, frozen=True):
    """What a request asks and needs, read from its body in bounded time.

    What is made for each request is a struct, here and below: that takes a seventh of the time that a frozen dataclass
    takes, 2 us for one with 17 fields.

    Attributes:
        surface: the request's shape.
        ask: the last human ask, a bounded window (head and tail) of it; never tool results or harness text.
            Empty when the request has none.
        context: a bounded tail of what a human said before, for follow-ups such as "do it again".
        input_tokens: estimate of the whole prompt, tools included, base64 parts counted as images and not as text.
        max_output_tokens: the caller's limit, ``None`` when it set none.
        needs: what a model must be able to do.
        params: names of the top-level request parameters that are present.
        stream: whether a stream was asked for.
        human_turns: how many messages a human wrote.
        tool_turns: how many tool results the conversation holds.
        in_tool_loop: the last message is a tool result, so the model is in the middle of its work.
        tool_errors: consecutive failing tool results at the end.
        repeated_calls: how often the last tool call was made in a row with the same arguments (0 without tools).
        housekeeping: a harness's own request, such as a title or a summary, that needs no strong model.
        thinking_signed: the history holds reasoning that its provider signed or encrypted and that another provider
            cannot take (Anthropic signatures, OpenAI encrypted reasoning, Gemini thought signatures).
        cache_control: the request asks for its prompt to be cached, as Anthropic's API wants it said.
        opening: what identifies the conversation: system text and the first human message, bounded; ``""`` if none.
    """

    surface: Surface = "chat"
    ask: str = ""
    context: str = ""
    input_tokens: int = 0
    max_output_tokens: int | None = None
    needs: frozenset[Need] = frozenset()
    params: frozenset[str] = frozenset()
    stream: bool = False
    human_turns: int = 0
    tool_turns: int = 0
    in_tool_loop: bool = False
    tool_errors: int = 0
    repeated_calls: int = 0
    housekeeping: bool = False
    thinking_signed: bool = False
    cache_control: bool = False
    opening: str = ""


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard a request is. A dataclass, for classifiers change another's answer by ``dataclasses.replace``.

    Attributes:
        level: 0 (trivial) .. 1 (at the edge of any model); the middle when nothing is known.
        logit: the same on the item-response scale, where ``P(m answers well) = sigmoid(ability - logit)``.
        domains: share of each domain of :data:`DOMAINS`, summing to 1.
        evidence: what spoke for it, strongest first: (name, contribution to ``logit``).
        source: who judged: ``builtin``, ``tuned`` or ``custom``, or ``fallback`` when a custom classifier failed.
    """

    level: float
    logit: float
    domains: tuple[float, ...]
    evidence: tuple[tuple[str, float], ...] = ()
    source: str = "builtin"


class Classifier(Protocol):
    """Judges a request's difficulty. Must be quick and must not block: it runs on the request path.

    An exception falls back to the built-in model. So do the requests of the next half minute after an answer that
    took longer than ``Settings.classifier_timeout_s``. Both are counted in ``SmartRouter.stats``.
    """

    def classify(self, signals: Signals) -> Difficulty: ...


HealthState = Literal["closed", "open", "half_open"]


class HealthView(msgspec.Struct, frozen=True, gc=False):
    """How one model is doing now.

    Attributes:
        state: the breaker: ``closed`` (in use), ``open`` (left alone), ``half_open`` (one probe may go).
        ttft_s, s_per_token: expected time to first token and seconds per output token.
        in_flight: requests dispatched and not yet ended.
        limit: how many in flight the model is thought to bear.
        availability: smoothed share of successes in the window, 0..1.
        reopens_in_s: seconds until an open breaker lets a probe through; 0 when it is not open.
        probe_free: a half-open model has no probe under way.
        fleet_load: mean over the other workers of in flight / limit, 0..1; 0 when nothing is shared.
    """

    state: HealthState
    ttft_s: float
    s_per_token: float
    in_flight: int
    limit: float
    availability: float
    reopens_in_s: float = 0.0
    probe_free: bool = False
    fleet_load: float = 0.0

    @property
    def load_factor(self) -> float:
        """How much longer a request takes for what is in flight already: ``1 + in flight / limit``, where the other
        workers' share counts when it is greater. 1 while half-open: a probe goes alone, and what hung before the
        breaker opened must not keep it from going."""
        return 1.0 if self.state == "half_open" else 1.0 + max(self.in_flight / self.limit, self.fleet_load)
