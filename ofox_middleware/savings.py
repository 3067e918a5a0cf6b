"""What routing saved and what it cost more: a signed ledger over answered requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ofox_middleware.decision import Decision, Outcome


@dataclass(slots=True)
class Savings:
    """Sums over answered requests, so that ledgers of several workers add up field by field. All money in USD.

    Attributes:
        requests: answered requests that count here.
        unpriced: answered requests left out because a price is unknown.
        spent_usd: what the models that answered cost.
        strongest_usd: what the same requests would have cost on the strongest feasible candidate of each.
        cheapest_usd: the same for the cheapest feasible candidate of each.
        by_model: requests and spend per model.
    """

    requests: int = 0
    unpriced: int = 0
    spent_usd: float = 0.0
    strongest_usd: float = 0.0
    cheapest_usd: float = 0.0
    by_model: dict[str, tuple[int, float]] = field(default_factory=dict)

    @property
    def against_strongest_usd(self) -> float:
        """Saved against always using the strongest candidate; negative when routing cost more."""
        return self.strongest_usd - self.spent_usd

    @property
    def against_cheapest_usd(self) -> float:
        """Saved against always using the cheapest candidate; normally negative: the price of better answers."""
        return self.cheapest_usd - self.spent_usd

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "requests": self.requests,
            "unpriced": self.unpriced,
            "spent_usd": self.spent_usd,
            "strongest_usd": self.strongest_usd,
            "cheapest_usd": self.cheapest_usd,
            "against_strongest_usd": self.against_strongest_usd,
            "against_cheapest_usd": self.against_cheapest_usd,
            "by_model": {name: {"requests": n, "spent_usd": usd} for name, (n, usd) in sorted(self.by_model.items())},
        }


@dataclass(frozen=True, slots=True)
class Priced:
    """What one answered request cost, and would have cost elsewhere, USD; fields as in :class:`Savings`."""

    spent_usd: float
    strongest_usd: float
    cheapest_usd: float


def price(outcome: Outcome) -> Priced | None:
    """The row that ``outcome`` adds to the ledger, ``None`` when the price of the model that answered is unknown."""
    costs = _costs(outcome)
    spent = costs.get(outcome.model)
    if spent is None:
        return None
    return Priced(spent, costs[_strongest(outcome.decision, costs)], min(costs.values()))


def _costs(outcome: Outcome) -> dict[str, float]:
    """What this request costs on each candidate that could serve it, USD.

    Every candidate, the one that answered included, is priced for the same token counts, so that a difference
    is a difference of prices and not of an estimate from a bill. Failed attempts are not billed by providers.
    """
    decision = outcome.decision
    output_tokens = decision.output_tokens if outcome.output_tokens is None else outcome.output_tokens
    costs = {}
    for name, facts in decision.targets.items():
        if facts.input_usd is None or facts.output_usd is None:
            continue
        costs[name] = decision.input_tokens * facts.input_usd + output_tokens * facts.output_usd
    return costs


def _strongest(decision: Decision, costs: dict[str, float]) -> str:
    """The candidate with the highest expected quality; among equals the dearer, the honest choice for a baseline."""
    quality = {row.name: row.quality or 0.0 for row in decision.candidates}
    return max(costs, key=lambda name: (quality.get(name, 0.0), costs[name]))
