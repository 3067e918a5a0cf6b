"""Candidates: what an operator states of one, and everything that is known of it.

Units everywhere: time in seconds, money in USD, prices in USD per token, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from ofox_middleware.types import DOMAINS, Need


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
            (see :data:`~ofox_middleware.types.DOMAINS`; domains left out take the mean of those given).
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
        ability: logits on the item-response scale, one per domain of :data:`~ofox_middleware.types.DOMAINS`.
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
