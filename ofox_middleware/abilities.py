"""What a model can do, as logits on the item-response scale: measured, or estimated from its price and date.  Pure.

``P(model answers x well) = sigmoid(sum over domains of mix x ability - difficulty(x))``.

Three steps lead from the published fit to a logit. The fit's own numbers (standard normal over the catalogued models)
are steadied where few scores stand behind them; what the card's reasoning effort takes away is subtracted; the result
is scaled. Sources: the fit described in NOTICE, its formulas as quoted at each constant below.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ofox_middleware.model_names import is_small, named_effort
from ofox_middleware.tables import Row
from ofox_middleware.types import DOMAINS

Abilities = tuple[float, ...]

ABILITY_SLOPE: Final = 1.1
"""Logits per standard deviation of measured ability; fitted with the difficulty by ``benchmarks.quality.calibrate`` on
the training sets (standard error 0.2)."""

ABILITY_INTERCEPT: Final = 2.0
"""Logit of the mean catalogued model on a request of difficulty 0; from the same fit (standard deviation over kinds of
task 1.9)."""

_SHARE_LIMITS: Final = (0.005, 0.995)

OVERALL: Final = (0.120, 0.544, 0.813)
"""``g = const + a log10(blended USD per million tokens) + b (year - 2025.5)``: 242 models with five series and more,
R2 .79, leave-one-out .78, residual sd .36."""

BY_DOMAIN: Final[tuple[tuple[float, float, float], ...]] = (
    (0.07, 0.57, 0.85),
    (0.17, 0.36, 1.03),
    (0.16, 0.63, 0.83),
    (0.07, 0.56, 0.91),
    (0.13, 0.58, 0.81),
    (0.15, 0.52, 0.82),
    (-0.17, 0.71, 1.07),
    (-0.21, 0.47, 1.08),
)
"""The same line fitted per domain, in the order of ``DOMAINS``; leave-one-out R2 .71 (tools) to .81 (math)."""

PRICE_ONLY: Final = (0.219, 0.572)
"""``g`` from the price alone, the same rows; residual sd .67."""

DATE_ONLY: Final = (0.133, 0.844)
"""``g`` from the release date alone, the same rows; residual sd .49."""

_SD_PRICE_AND_DATE: Final = 0.36
_SD_PRICE_AND_DATE_2026: Final = 0.25
_SD_PRICE: Final = 0.68
_SD_DATE: Final = 0.49
_PRICE_RANGE: Final = (0.02, 75.0)
"""Prices that the line was fitted on, USD per million; beyond them it is held flat."""

SMALL_PENALTY: Final = 0.8
"""Small dense open models (1 to 9B parameters) lie .5 to 1.3 under the line."""

SMALL_USD: Final = 0.25
"""USD per million up to which the name's size counts, also where there is no price; hosts ask .2 for up to 16B."""

_FLOOR: Final = -3.0

DOMAIN_SHRINKAGE: Final = 3
"""A domain's offset from ``g`` counts ``n / (n + 3)`` with ``n`` series behind it: domains are nearly one factor."""

MEAN_GAP: Final = 0.43
"""What a model loses without reasoning, mean over 73 models measured both ways (p10 .09, p90 .72)."""

EFFORT_SHARE: Final[Mapping[str, float]] = {
    "none": 0.0,
    "disable": 0.0,
    "minimal": 0.1,
    "low": 0.5,
    "medium": 0.8,
    "high": 0.95,
    "xhigh": 1.0,
    "max": 1.0,
}
"""Share of the way from no reasoning to the best variant. Both ends are measured; the steps between are a judgement
of diminishing returns, as the sources publish no scores per effort that may be used here."""

_HIGH_BUDGET: Final = 4096
_MEDIUM_BUDGET: Final = 2048


def ability_from_share(share: float) -> float:
    """The logit of an ability that a person wrote as a share 0..1, held within .005 and .995."""
    low, high = _SHARE_LIMITS
    held = min(max(share, low), high)
    return math.log(held / (1.0 - held))


def stated_abilities(stated: float | Mapping[str, float]) -> Abilities | None:
    """Logits per domain of what a card states; domains left out take the mean of those given.

    Raises:
        ValueError: a domain that does not exist.
    """
    if not isinstance(stated, Mapping):
        return (ability_from_share(stated),) * len(DOMAINS)
    if unknown := sorted(set(stated) - set(DOMAINS)):
        raise ValueError(f"unknown ability domain: {', '.join(unknown)}; known: {', '.join(DOMAINS)}")
    if not stated:
        return None
    mean = sum(stated.values()) / len(stated)
    return tuple(ability_from_share(stated.get(domain, mean)) for domain in DOMAINS)


def to_logits(abilities: Abilities) -> Abilities:
    """Standard-normal abilities as logits."""
    return tuple(ABILITY_SLOPE * z + ABILITY_INTERCEPT for z in abilities)


def years_from_middle(released: str) -> float | None:
    """Years from mid-2025 to an ISO date, ``None`` for anything else."""
    try:
        day = date.fromisoformat(released)
    except ValueError:
        return None
    return day.year + (day.timetuple().tm_yday - 1) / 365.25 - 2025.5


def expected(blended_usd: float | None, released: str, name: str = "") -> tuple[float, Abilities, str, float]:
    """The ability to expect of a model that nobody measured.

    Args:
        blended_usd: USD per million tokens, three parts input to one part output.
        released: ISO date, ``""`` when not known.
        name: tells a small open model.

    Returns:
        overall ability, abilities per domain, what they rest on (``price_and_date``, ``price``, ``date``,
        ``unknown``), standard deviation of the estimate.
    """
    years = years_from_middle(released)
    usd = max(blended_usd or 0.0, 0.0)
    penalty = SMALL_PENALTY if usd <= SMALL_USD and is_small(name) else 0.0
    if usd == 0.0:
        if years is None:
            return -penalty, (-penalty,) * len(DOMAINS), "unknown", 1.0
        overall = DATE_ONLY[0] + DATE_ONLY[1] * years - penalty
        return overall, (overall,) * len(DOMAINS), "date", _SD_DATE
    price = math.log10(min(max(usd, _PRICE_RANGE[0]), _PRICE_RANGE[1]))
    if years is None:
        overall = PRICE_ONLY[0] + PRICE_ONLY[1] * price - penalty
        return overall, (overall,) * len(DOMAINS), "price", _SD_PRICE
    at = [const + slope * price + pace * years - penalty for const, slope, pace in (OVERALL, *BY_DOMAIN)]
    recent = released >= "2026"
    return at[0], tuple(at[1:]), "price_and_date", _SD_PRICE_AND_DATE_2026 if recent else _SD_PRICE_AND_DATE


def measured(row: Row) -> Abilities | None:
    """Abilities per domain of a measured row, before clipping; ``None`` when it holds no score.

    ``g`` is the precision-weighted mean of the fit (``se``) and of what price and date let one expect: nothing for a
    model with dozens of scores, about half of the way for one with a single score.
    """
    if row.g is None:
        return None
    guess, _, source, spread = expected(row.blended_usd, row.released, row.key)
    overall = row.g
    if source != "unknown" and row.se > 0:
        own, prior = row.se**-2, spread**-2
        overall = (own * row.g + prior * guess) / (own + prior)
    if not row.offsets:
        return (overall,) * len(DOMAINS)
    return tuple(
        overall + offset * count / (count + DOMAIN_SHRINKAGE)
        for offset, count in zip(row.offsets, row.counts, strict=True)
    )


def clipped(abilities: Abilities, ceiling: Abilities) -> Abilities:
    """Abilities held under the best well-supported one of each domain: above it lies only extrapolation."""
    return tuple(min(max(z, _FLOOR), top) for z, top in zip(abilities, ceiling, strict=True))


def stated_effort(params: Mapping[str, Any]) -> str | None:
    """The reasoning effort that request parameters ask for, in any provider's way of saying it."""
    for value in (params.get("reasoning_effort"), params.get("reasoning"), params.get("output_config")):
        effort = value.get("effort") if isinstance(value, Mapping) else value
        if isinstance(effort, str) and effort in EFFORT_SHARE:
            return effort
    thinking = params.get("thinking")
    if not isinstance(thinking, Mapping):
        return None
    if thinking.get("type") in {"disabled", "between_tools"}:
        return "none"
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, (int, float)):
        return "high"
    return "high" if budget >= _HIGH_BUDGET else "medium" if budget >= _MEDIUM_BUDGET else "low"


def effort_share(params: Mapping[str, Any], name: str, info: Mapping[str, Any], row: Row | None) -> float | None:
    """How much of its reasoning a card gets, 0..1; ``None`` when nothing tells, which is taken as all of it.

    The card's parameters say it first, then the model's name (``...-non-reasoning``), then what its API does when a
    request names no effort: LiteLLM's ``default_reasoning_effort``, then the shipped table. A model that cannot stop
    thinking gets ``low`` at least.
    """
    default = info.get("default_reasoning_effort")
    effort = (
        stated_effort(params)
        or named_effort(name)
        or (default if isinstance(default, str) and default in EFFORT_SHARE else None)
        or (row.effort if row is not None and row.effort else None)
    )
    if effort is None:
        return None
    share = EFFORT_SHARE[effort]
    return max(share, EFFORT_SHARE["low"]) if info.get("thinking_always_on") is True else share


def lost_without(share: float | None, row: Row | None, *, reasons: bool) -> float:
    """What the effort ``share`` takes from a model's ability: linear from nothing at 1 to the whole gap at 0.

    The gap is measured where the row has one, else the mean gap for a model known to reason, else nothing.
    """
    if share is None:
        return 0.0
    gap = row.gap if row is not None else None
    if gap is None:
        gap = MEAN_GAP if reasons else 0.0
    return (1.0 - share) * gap
