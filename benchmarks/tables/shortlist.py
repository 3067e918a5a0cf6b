"""Chooses the shortlist: current models that are worth routing between, the same way every time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ofox_middleware.abilities import clipped, effort_share, lost_without, measured
from ofox_middleware.model_names import DATE_SUFFIX
from ofox_middleware.tables import Row, Shortlisted, Tables

SINCE = "2025-08"
MAX_BLENDED_USD = 20.0
WELL_SUPPORTED = 20
"""Series behind the model that takes a provider's last place."""

LEFT_OUT = ("codex", "customtools", "vision-exp", "multi-agent", "speciale", "gemma", "chat", "build")
"""Variants for one purpose, which do what their plain sibling does, and models that the API gives away rate-limited."""


@dataclass(frozen=True)
class Provider:
    """Where a shortlisted model is called.

    Attributes:
        name: LiteLLM's provider prefix.
        maker: whose models are taken; ``""`` takes everybody's.
        keys: variables of which one holds the API key.
        limit: models taken at most.
        bare: LiteLLM's map names this provider's models without a prefix.
    """

    name: str
    maker: str
    keys: tuple[str, ...]
    limit: int
    bare: bool = False


PROVIDERS = (
    Provider("openai", "OpenAI", ("OPENAI_API_KEY",), 3, bare=True),
    Provider("anthropic", "Anthropic", ("ANTHROPIC_API_KEY",), 3, bare=True),
    Provider("gemini", "Google", ("GEMINI_API_KEY", "GOOGLE_API_KEY"), 3),
    Provider("xai", "SpaceXAI", ("XAI_API_KEY",), 2),
    Provider("deepseek", "DeepSeek", ("DEEPSEEK_API_KEY",), 2, bare=True),
    Provider("mistral", "Mistral", ("MISTRAL_API_KEY",), 1),
    Provider("groq", "", ("GROQ_API_KEY",), 2),
)
OPENROUTER = ("anthropic/claude-opus-5.5", "openai/gpt-6-sol", "google/gemini-3-flash-preview")


def choose(tables: Tables) -> list[Shortlisted]:
    """The shortlist of ``tables``, provider by provider, cheapest first."""
    chosen = [
        Shortlisted(name=f"{provider.name}/{offer.name}", keys=provider.keys)
        for provider in PROVIDERS
        for offer in _best(_offers(tables, provider), provider.limit)
    ]
    return [*chosen, *(Shortlisted(name=f"openrouter/{slug}", keys=("OPENROUTER_API_KEY",)) for slug in OPENROUTER)]


class Offer(NamedTuple):
    """What one model of a provider costs (log10 of the blended price) and can do (mean over the domains)."""

    price: float
    ability: float
    name: str
    series: int


def _offers(tables: Tables, provider: Provider) -> list[Offer]:
    offers = []
    for base, row in tables.models.items():
        name = _name(tables.keys.get(base, []), provider)
        if name and _is_current(base, row, provider) and (ability := _ability(row, tables)) is not None:
            offers.append(Offer(math.log10(row.blended_usd or 1.0), ability, name, row.n))
    return sorted(offers)


def _is_current(base: str, row: Row, provider: Provider) -> bool:
    if provider.maker and row.maker != provider.maker:
        return False
    if row.released < SINCE or any(word in base for word in LEFT_OUT):
        return False
    return row.blended_usd is not None and row.blended_usd <= MAX_BLENDED_USD


def _name(keys: list[str], provider: Provider) -> str | None:
    """The provider's shortest undated name for a model, without its prefix."""
    prefix = f"{provider.name}/"
    if provider.bare:
        names = [key for key in keys if not set(key) & {"/", ":", "@"} and key.split("-", 1)[0].isalnum()]
    else:
        names = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    undated = [name for name in names if not DATE_SUFFIX.search(name)]
    return min(undated, key=lambda name: (len(name), name), default=None)


def _ability(row: Row, tables: Tables) -> float | None:
    abilities = measured(row)
    if abilities is None:
        return None
    held = clipped(abilities, tables.ceiling)
    return sum(held) / len(held) - lost_without(effort_share({}, row.key, {}, row), row, reasons=False)


def _best(offers: list[Offer], limit: int) -> list[Offer]:
    """The well-supported model of most ability, and of the Pareto frontier the points that add most to the area."""
    supported = [offer for offer in offers if offer.series >= WELL_SUPPORTED]
    taken = [max(supported, key=lambda offer: (offer.ability, -offer.price))] if supported else []
    frontier = [offer for offer in _frontier(offers) if offer not in taken]
    while frontier and len(taken) < limit:
        best = max(frontier, key=lambda offer: (_area([*taken, offer]), -offer.price))
        frontier.remove(best)
        taken.append(best)
    return sorted(taken)


def _frontier(offers: list[Offer]) -> list[Offer]:
    """Offers that no cheaper or equally dear one beats; ``offers`` are sorted by price."""
    frontier: list[Offer] = []
    for offer in offers:
        if frontier and offer.ability <= frontier[-1].ability:
            continue
        if frontier and frontier[-1].price == offer.price:
            frontier.pop()
        frontier.append(offer)
    return frontier


def _area(offers: list[Offer]) -> float:
    """Area under the staircase of ability over log price, down to ability 0 and up to the dearest price allowed."""
    area = height = 0.0
    steps = sorted(offers)
    ends = [*(step.price for step in steps[1:]), math.log10(MAX_BLENDED_USD) + 0.5]
    for step, end in zip(steps, ends, strict=True):
        height = max(height, step.ability)
        area += height * (end - step.price)
    return area
