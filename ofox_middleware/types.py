"""Value objects and protocols shared by every module. This is a leaf: it imports nothing of the package.

Units everywhere: time in seconds, money in USD, prices in USD per token, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any, Final, Literal, Protocol

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


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What an operator states about a candidate. ``None`` means: take it from the catalogue.

    Attributes:
        name: what the pool, the answers and the headers call it.
        model: the name written into the request; defaults to ``name``. Two cards may share one model with
            different ``params``.
        params: request parameters that this card sets unless the caller set them, such as
            ``{"reasoning_effort": "low"}``.
        provider: who serves it; defaults to the part of the name before the first ``/``.
        ability: share of middling-hard requests that it answers well, 0..1; one number, or one per domain
            (see :data:`DOMAINS`; domains left out take the mean of those given).
        ttft_s: usual time to first token, seconds.
        tokens_per_s: usual output rate, tokens per second.
        release_date: ISO date, used for the ability of a model that nobody has measured.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 - a misspelt fact must not be dropped in silence

    name: str
    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    provider: str | None = None
    input_cost_per_token: float | None = None
    output_cost_per_token: float | None = None
    cache_read_input_token_cost: float | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    ability: float | Mapping[str, float] | None = None
    ttft_s: float | None = None
    tokens_per_s: float | None = None
    release_date: str | None = None
    supports_vision: bool | None = None
    supports_audio_input: bool | None = None
    supports_pdf_input: bool | None = None
    supports_video_input: bool | None = None
    supports_audio_output: bool | None = None
    supports_function_calling: bool | None = None
    supports_tool_choice: bool | None = None
    supports_parallel_function_calling: bool | None = None
    supports_computer_use: bool | None = None
    supports_web_search: bool | None = None
    supports_response_schema: bool | None = None
    supports_reasoning: bool | None = None
    supports_logprobs: bool | None = None
    supports_n: bool | None = None
    supports_assistant_prefill: bool | None = None

    def __post_init__(self) -> None:
        for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "ttft_s"):
            _within(name, getattr(self, name), 0)
        for name in ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"):
            price = getattr(self, name)
            if price is not None and price >= _NO_PRICE_USD:
                raise ValueError(f"{name} is USD per token: {price:g} per million tokens is {price / 1e6:g}")
        for name in ("max_input_tokens", "max_output_tokens"):
            _within(name, getattr(self, name), 1)
        _within("tokens_per_s", self.tokens_per_s, 0.001)
        shares = self.ability.values() if isinstance(self.ability, Mapping) else (self.ability,)
        if any(share is not None and not 0 <= share <= 1 for share in shares):
            raise ValueError("ability is a share, from 0 to 1")
        if self.release_date is not None:
            try:
                date.fromisoformat(self.release_date)
            except ValueError:
                raise ValueError("release_date must be an ISO date, such as 2026-01-31") from None


_NO_PRICE_USD: Final = 0.01
"""USD per token, 10,000 per million: no model costs as much, but a price per million that was meant does."""


def _within(name: str, value: float | None, least: float) -> None:
    if value is not None and not (least <= value < float("inf")):
        raise ValueError(f"{name} must be {least:g} or more")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A candidate with everything resolved: what the catalogue knows, overridden by the operator's card.

    Attributes:
        name, model, params, provider: as in :class:`ModelCard`.
        input_usd, output_usd, cached_input_usd: USD per token; ``None`` when unknown.
        max_input_tokens, max_output_tokens: tokens; ``None`` when unknown.
        supports: known capabilities; a need that is not a key is unknown.
        ability: logits on the item-response scale, one per domain of :data:`DOMAINS`.
        ability_source: ``card``, ``tuned``, ``measured``, ``name`` (measured for the model of that name, where nobody
            is known as the provider), ``price_and_date``, ``price``, ``date`` or ``unknown``.
        ttft_s, s_per_token: priors of time to first token and of seconds per output token.
        thinking_tokens: what it usually thinks before it answers at the card's effort; its provider bills them as
            output.
        speed_source: ``card``, ``measured``, ``advertised``, ``maker`` or ``unknown``.
    """

    name: str
    model: str
    provider: str
    params: Mapping[str, Any] = field(default_factory=dict)
    input_usd: float | None = None
    output_usd: float | None = None
    cached_input_usd: float | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    supports: Mapping[Need, bool] = field(default_factory=dict)
    ability: tuple[float, ...] = (0.0,) * len(DOMAINS)
    ability_source: str = "unknown"
    ttft_s: float = 1.5
    s_per_token: float = 0.0125
    thinking_tokens: int = 0
    speed_source: str = "unknown"


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
    """How hard a request is.

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


CandidateStatus = Literal["kept", "demoted", "skipped"]


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One model of the pool in one decision.

    Attributes:
        name: as the pool names it.
        status: ``kept`` (scored), ``demoted`` (only after every kept one) or ``skipped`` (cannot serve this request).
        reason: why it is demoted or skipped, from a fixed vocabulary; ``""`` when kept.
        quality: availability x P(answers well), 0..1; ``None`` when skipped.
        cost_usd: expected USD of this request; ``None`` when skipped or unknown.
        time_s: expected seconds to the end of the answer; ``None`` when skipped.
        score: weighted log-ratio to the best on each axis, at most 0; ``None`` when skipped.
        ability_source: where its ability comes from.
    """

    name: str
    status: CandidateStatus
    reason: str = ""
    quality: float | None = None
    cost_usd: float | None = None
    time_s: float | None = None
    score: float | None = None
    ability_source: str = ""


class Decision(msgspec.Struct, frozen=True):
    """The answer to "which model, and why".

    Attributes:
        id: names the decision in headers, logs and feedback.
        model: the pick, as the pool names it.
        ranking: the pick and its fallbacks, best first.
        reason: see :data:`Reason`.
        preference: the profile that was applied.
        difficulty: see :class:`Difficulty`.
        candidates: every model of the pool that the caller may use, in ranking order, then the skipped ones.
        targets: for each name of ``ranking`` its facts (what to write into the request).
        fallback: whether the next candidate may be tried when the pick fails.
        surface: the request's shape.
        stream: whether a stream was asked for.
        input_tokens, output_tokens: estimates that cost and time rest on.
        max_output_tokens, needs, params: what the request asks, as in :class:`Signals`.
        session: the conversation's key (a hash), ``""`` when it has none.
        panic: half of the feasible pool or more is unhealthy.
    """

    id: str
    model: str
    ranking: tuple[str, ...]
    reason: Reason
    preference: str
    difficulty_detail: Difficulty
    candidates: tuple[Candidate, ...]
    targets: Mapping[str, ModelFacts]
    fallback: bool = True
    surface: Surface = "chat"
    stream: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    max_output_tokens: int | None = None
    needs: frozenset[Need] = frozenset()
    params: frozenset[str] = frozenset()
    session: str = ""
    panic: bool = False

    @property
    def difficulty(self) -> float:
        """0 (trivial) .. 1 (at the edge of any model)."""
        return self.difficulty_detail.level

    def candidate(self, name: str) -> Candidate:
        """The row of one model. Raises ``KeyError`` for a name that is not in the decision."""
        for row in self.candidates:
            if row.name == name:
                return row
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """What the dry run, the command line and the log show: plain JSON types, no prompt text."""
        detail = self.difficulty_detail
        return {
            "id": self.id,
            "model": self.model,
            "ranking": list(self.ranking),
            "reason": self.reason,
            "preference": self.preference,
            "difficulty": round(detail.level, 4),
            "difficulty_source": detail.source,
            "domains": {
                name: round(share, 3) for name, share in zip(DOMAINS, detail.domains, strict=True) if share >= 0.005
            },
            "evidence": {name: round(weight, 3) for name, weight in detail.evidence},
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "session": self.session,
            "panic": self.panic,
            "candidates": [
                {
                    "name": row.name,
                    "status": row.status,
                    "reason": row.reason,
                    "quality": _rounded(row.quality, 4),
                    "cost_usd": _rounded(row.cost_usd, 8),
                    "time_s": _rounded(row.time_s, 3),
                    "score": _rounded(row.score, 4),
                    "ability_source": row.ability_source,
                }
                for row in self.candidates
            ],
        }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a routed request ended, reported by a door once per request.

    Attributes:
        decision: what was decided.
        model: who answered, as the pool names it; the last one tried when nobody did.
        ok: whether an answer was delivered whole.
        status: the HTTP status that the caller saw, ``None`` when it left first.
        attempts: models tried, in order; the one that answered comes last.
        failures: why each attempt but the last was given up, where the door saw it: the status of its answer,
            ``silent`` or ``exception``, else ``""``; ``overtaken`` is no failure: a hedge was quicker.
        ttft_s, total_s: seconds from the request's arrival; ``None`` when not seen.
        output_tokens, cost_usd: ``None`` when not seen.
    """

    decision: Decision
    model: str
    ok: bool
    status: int | None
    attempts: tuple[str, ...]
    ttft_s: float | None = None
    total_s: float | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    failures: tuple[str, ...] = ()

    @property
    def failed_models(self) -> list[str]:
        """The models that failed before another one answered."""
        words = (*self.failures, *[""] * len(self.attempts))
        return [name for name, word in zip(self.attempts[:-1], words, strict=False) if word != "overtaken"]
