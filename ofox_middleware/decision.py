"""What was decided for a request and why, and how it ended.

Units everywhere: time in seconds, money in USD, lengths in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ofox_middleware.cards import ModelFacts
from ofox_middleware.types import DOMAINS, Difficulty, Need, Reason, Surface

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
        reason: see :data:`~ofox_middleware.types.Reason`.
        preference: the profile that was applied.
        difficulty: see :class:`~ofox_middleware.types.Difficulty`.
        candidates: every model of the pool that the caller may use, in ranking order, then the skipped ones.
        targets: for each name of ``ranking`` its facts (what to write into the request).
        fallback: whether the next candidate may be tried when the pick fails.
        surface: the request's shape.
        stream: whether a stream was asked for.
        input_tokens, output_tokens: estimates that cost and time rest on.
        max_output_tokens, needs, params: what the request asks, as in :class:`~ofox_middleware.types.Signals`.
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


class Outcome(msgspec.Struct, frozen=True):
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

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without the decision that it belongs to."""
        return {
            "model": self.model,
            "ok": self.ok,
            "status": self.status,
            "attempts": list(self.attempts),
            "failures": list(self.failures),
            "ttft_s": self.ttft_s,
            "total_s": self.total_s,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
        }
