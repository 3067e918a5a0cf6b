"""What routing makes of an operator's own requests: what ``ofox bench FILE`` adds up."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ofox_middleware.decision import Candidate, Decision
from ofox_middleware.errors import OfoxError
from ofox_middleware.explain import Asked
from ofox_middleware.router import SmartRouter


@dataclass(slots=True)
class Policy:
    """What one way of choosing would have come to, over all requests that it could serve. All are expectations.

    Attributes:
        name: a preference, ``always strongest``, ``always cheapest``, or ``always`` a model.
        requests: how many it could serve.
        unpriced: how many of them have no known price, and are left out of ``cost_usd``.
        cost_usd: USD.
        picks: requests per model.
    """

    name: str
    requests: int = 0
    unpriced: int = 0
    cost_usd: float = 0.0
    quality: float = 0.0
    time_s: float = 0.0
    picks: Counter[str] = field(default_factory=Counter)

    def add(self, row: Candidate) -> None:
        """One request went to ``row``."""
        self.requests += 1
        self.quality += row.quality or 0.0
        self.time_s += row.time_s or 0.0
        self.picks[row.name] += 1
        if row.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += row.cost_usd

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; quality and time are means."""
        count = max(1, self.requests)
        return {
            "policy": self.name, "requests": self.requests, "unpriced": self.unpriced,
            "cost_usd": round(self.cost_usd, 8), "mean_quality": round(self.quality / count, 4),
            "mean_time_s": round(self.time_s / count, 3), "picks": dict(self.picks.most_common()),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """What routing makes of a file of requests.

    Attributes:
        requests: how many were read.
        refused: those that no model can serve, with the reason.
        difficulties: of the others.
        preferences: each preference.
        baselines: without routing: always strongest, always cheapest, and each model alone.
    """

    requests: int
    refused: tuple[tuple[str, str], ...]
    difficulties: tuple[float, ...]
    preferences: tuple[Policy, ...]
    baselines: tuple[Policy, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "requests": self.requests,
            "refused": [{"request": label, "message": message} for label, message in self.refused],
            "difficulty": _quartiles(self.difficulties),
            "preferences": [policy.to_dict() for policy in self.preferences],
            "baselines": [policy.to_dict() for policy in self.baselines],
        }


def bench(router: SmartRouter, requests: Iterable[Asked], *, models: Sequence[str] | None = None) -> Bench:
    """Decides each request under every preference, without a trace, and adds up what that and its rivals come to.

    Cost, quality and time are what the router expects, for every policy alike: they compare policies, and foretell a
    bill only as well as the estimates of tokens do.

    Args:
        router: whose pool and preferences are tried.
        requests: what was asked.
        models: candidates, names or globs, in place of those that the requests name.
    """
    wishes = {} if models is None else {"models": list(models)}
    preferences = {name: Policy(name) for name in router.settings.all_profiles}
    strongest, cheapest = Policy("always strongest"), Policy("always cheapest")
    alone: dict[str, Policy] = {}
    refused: list[tuple[str, str]] = []
    difficulties: list[float] = []
    count = 0
    for asked in requests:
        count += 1
        try:
            decisions = {name: _decided(router, asked, {**wishes, "preference": name}) for name in preferences}
        except OfoxError as error:
            refused.append((asked.label, error.message))
            continue
        one = next(iter(decisions.values()))
        difficulties.append(one.difficulty)
        for name, decision in decisions.items():
            preferences[name].add(decision.candidate(decision.model))
        able = [row for row in one.candidates if row.status != "skipped"]
        strongest.add(max(able, key=lambda row: (row.quality or 0.0, row.cost_usd or 0.0)))
        cheapest.add(min(able, key=lambda row: float("inf") if row.cost_usd is None else row.cost_usd))
        for row in able:
            alone.setdefault(row.name, Policy(f"always {row.name}")).add(row)
    by_cost = sorted(alone.values(), key=lambda policy: (-policy.requests, policy.cost_usd))
    return Bench(
        count, tuple(refused), tuple(difficulties), tuple(preferences.values()), (strongest, cheapest, *by_cost)
    )


def _decided(router: SmartRouter, asked: Asked, wishes: Mapping[str, Any]) -> Decision:
    own = asked.body.get("model_routing_config")
    config = {**(own if isinstance(own, dict) else {}), **wishes}
    # A session of its own: requests of one file that begin alike are not one conversation here.
    session = os.urandom(8).hex()
    return router.decide({**asked.body, "model_routing_config": config}, asked.path, session=session, dry_run=True)


def _quartiles(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    if len(values) == 1:
        return {"p25": round(values[0], 4), "p50": round(values[0], 4), "p75": round(values[0], 4)}
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"p25": round(low, 4), "p50": round(middle, 4), "p75": round(high, 4)}
