"""What was decided and how it ended: a bounded log, and a signed ledger of what routing saved. Holds no prompt text."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ofox_middleware.decision import Decision, Outcome


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One routed request.

    Attributes:
        at: when it was decided, seconds since the epoch.
        decision: what was decided.
        outcome: how it ended; ``None`` while it runs, and for a dry run.
        feedback: how good the answer was, 0..1; ``None`` when nobody has said.
    """

    at: float
    decision: Decision
    outcome: Outcome | None = None
    feedback: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        outcome = None if self.outcome is None else plain(self.outcome)
        return {
            "at": round(self.at, 3),
            **self.decision.to_dict(),
            "outcome": outcome,
            "feedback": self.feedback,
        }


def plain(outcome: Outcome) -> dict[str, Any]:
    """An outcome in plain JSON types, without the decision that it belongs to."""
    return {
        "model": outcome.model,
        "ok": outcome.ok,
        "status": outcome.status,
        "attempts": list(outcome.attempts),
        "failures": list(outcome.failures),
        "ttft_s": outcome.ttft_s,
        "total_s": outcome.total_s,
        "output_tokens": outcome.output_tokens,
        "cost_usd": outcome.cost_usd,
    }


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


class DecisionLog:
    """An observer of :class:`~ofox_middleware.router.SmartRouter` that remembers the last ``capacity`` decisions.

    Subscribe it with ``router.subscribe(log)``. The savings cover every request since the start, also those that the
    log has forgotten.

    Raises:
        ValueError: ``capacity`` is under 1.
    """

    def __init__(self, capacity: int = 1000, *, clock: Callable[[], float] = time.time) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[str, LogEntry] = OrderedDict()
        self._savings = Savings()

    def __len__(self) -> int:
        return len(self._entries)

    def decided(self, decision: Decision) -> None:
        """Remember ``decision``, forgetting the oldest when full."""
        self._entries[decision.id] = LogEntry(self._clock(), decision)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def ended(self, outcome: Outcome) -> None:
        """Note how a request ended and enter it in the ledger. One request counts once, however often it is told."""
        entry = self._entries.get(outcome.decision.id)
        if entry is not None:
            if entry.outcome is not None:
                return
            self._entries[outcome.decision.id] = replace(entry, outcome=outcome)
        if outcome.ok:
            self._enter(outcome)

    def get(self, decision_id: str) -> LogEntry | None:
        """The entry of one decision, ``None`` when it is unknown or forgotten."""
        return self._entries.get(decision_id)

    def recent(self, limit: int = 50) -> list[LogEntry]:
        """The last ``limit`` entries, newest first."""
        newest_first = reversed(list(self._entries.values()))
        return [entry for entry, _ in zip(newest_first, range(max(limit, 0)), strict=False)]

    def feedback(self, decision_id: str, score: float) -> bool:
        """Note how good an answer was, 0..1. Returns whether the decision is known.

        Raises:
            ValueError: ``score`` lies outside 0..1.
        """
        if not 0 <= score <= 1:
            raise ValueError("score must be from 0 to 1")
        entry = self._entries.get(decision_id)
        if entry is None:
            return False
        self._entries[decision_id] = replace(entry, feedback=score)
        return True

    def savings(self) -> Savings:
        """A copy of the ledger."""
        return replace(self._savings, by_model=dict(self._savings.by_model))

    def _enter(self, outcome: Outcome) -> None:
        priced = price(outcome)
        ledger = self._savings
        if priced is None:
            ledger.unpriced += 1
            return
        ledger.requests += 1
        ledger.spent_usd += priced.spent_usd
        ledger.strongest_usd += priced.strongest_usd
        ledger.cheapest_usd += priced.cheapest_usd
        count, usd = ledger.by_model.get(outcome.model, (0, 0.0))
        ledger.by_model[outcome.model] = (count + 1, usd + priced.spent_usd)


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
