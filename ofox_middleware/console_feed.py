"""What the console shows, gathered from a router: its state now, a few minutes of history, and the latest events."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.errors import SettingsError
from ofox_middleware.router import SmartRouter

SLOT_S: Final = 3.0
SLOTS: Final = 60
"""History is kept in 60 slots of 3 s: three minutes."""
MOST_EVENTS: Final = 1_000
MOST_MODELS: Final = 300
"""Models with a row. More cannot be looked at, and callers may be able to invent names."""
RECENT: Final = 200
"""Requests that the medians are taken over."""


@dataclass(slots=True)
class Slot:
    """Three seconds of one model.

    Attributes:
        number: which three seconds since the feed began.
        answered, failed: attempts that ended so.
        ttft_s, tokens_per_s: what the health book expected after the last of them.
    """

    number: int
    answered: int = 0
    failed: int = 0
    ttft_s: float | None = None
    tokens_per_s: float | None = None


@dataclass(slots=True)
class Totals:
    """Counts since the console began.

    Attributes:
        decided, ended, ok, left: requests routed, ended, answered whole, and left by their caller.
        fallbacks: answered requests that took more than one attempt.
        started: when it began, seconds since the epoch.
    """

    started: float
    decided: int = 0
    ended: int = 0
    ok: int = 0
    left: int = 0
    fallbacks: int = 0
    ttfts: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        ttfts = list(self.ttfts)
        return {
            "started": round(self.started, 3),
            "decided": self.decided,
            "ended": self.ended,
            "ok": self.ok,
            "left": self.left,
            "fallbacks": self.fallbacks,
            "ttft_median_s": round(statistics.median(ttfts), 4) if ttfts else None,
        }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: ``decision`` or ``outcome``, numbered from 1."""

    number: int
    kind: str
    at: float
    about: Decision | Outcome

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        if isinstance(self.about, Decision):
            entry = {"at": round(self.at, 3), **self.about.to_dict(), "outcome": None, "feedback": None}
            return {"number": self.number, **entry}
        return {
            "number": self.number,
            "at": round(self.at, 3),
            "id": self.about.decision.id,
            "outcome": self.about.to_dict(),
        }


class Feed:
    """An observer of :class:`~ofox_middleware.router.SmartRouter` that keeps what a page needs to be live.

    What it does on the request path is O(1) and allocates little; making JSON of it is left to the reader.

    Args:
        router: what is watched. The feed does not subscribe itself.
        clock: monotonic seconds.
        wall: seconds since the epoch.
        pool: the candidates; ``None`` is the router's pool.

    Attributes:
        boot: differs from one process to the next, so that a page sees that counts began anew.
        totals: see :class:`Totals`.
    """

    def __init__(
        self,
        router: SmartRouter,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pool: Callable[[], Sequence[ModelFacts]] | None = None,
    ) -> None:
        self.boot = os.urandom(6).hex()
        self.totals = Totals(started=wall())
        self._router = router
        self._candidates = pool
        self._clock = clock
        self._wall = wall
        self._began = clock()
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._count = 0
        self._history: OrderedDict[str, deque[Slot]] = OrderedDict()

    # Observer --------------------------------------------------------------------------------------------------------

    def decided(self, decision: Decision) -> None:
        """Note a decision."""
        with self._lock:
            self.totals.decided += 1
            self._add("decision", decision)

    def ended(self, outcome: Outcome) -> None:
        """Note how a request ended, for every model that was tried."""
        with self._lock:
            totals = self.totals
            totals.ended += 1
            totals.ok += outcome.ok
            totals.left += not outcome.ok and outcome.status is None
            totals.fallbacks += outcome.ok and len(outcome.failed_models) > 0
            if outcome.ok and outcome.ttft_s is not None:
                totals.ttfts.append(outcome.ttft_s)
            for model in outcome.failed_models:
                self._slot(outcome.decision, model).failed += 1
            last = self._slot(outcome.decision, outcome.model)
            last.answered += outcome.ok
            last.failed += not outcome.ok and outcome.status is not None
            self._add("outcome", outcome)

    # Reads -----------------------------------------------------------------------------------------------------------

    @property
    def slot_now(self) -> int:
        """The number of the slot that is being filled."""
        return int((self._clock() - self._began) / SLOT_S)

    def since(self, number: int, most: int) -> tuple[list[Event], int]:
        """The events after ``number``, at most the ``most`` newest, and how many were left out."""
        with self._lock:
            fresh: list[Event] = []
            for event in reversed(self._events):
                if event.number <= number or len(fresh) >= most:
                    break
                fresh.append(event)
            missed = max(0, self._count - max(number, 0) - len(fresh))
        return fresh[::-1], missed

    @property
    def count(self) -> int:
        """The number of the latest event."""
        return self._count

    def history(self) -> dict[str, dict[str, list[Any]]]:
        """Per model, oldest slot first: ``answered``, ``failed``, ``ttft_s``, ``tokens_per_s``; ``None`` is unknown."""
        first = self.slot_now - SLOTS + 1
        with self._lock:
            return {name: _columns(slots, first) for name, slots in self._history.items()}

    def models(self) -> list[dict[str, Any]]:
        """One row per model of the pool, then of others that were seen: facts, and how it is doing."""
        snapshot = self._router.health.snapshot()
        pool = self._pool()
        rows = [
            _row(facts.name, facts, snapshot.get(facts.name) or self._expected(facts), seen=facts.name in snapshot)
            for facts in pool
        ]
        named = {facts.name for facts in pool}
        others = [name for name in self._history.copy() if name not in named and name in snapshot]
        rows += [_row(name, None, snapshot[name], seen=True) for name in others]
        return rows[:MOST_MODELS]

    def _expected(self, facts: ModelFacts) -> dict[str, Any]:
        """What health expects of a model that nothing was sent to yet."""
        return self._router.health.expected(facts.ttft_s, facts.s_per_token)

    def _pool(self) -> Sequence[ModelFacts]:
        try:
            return self._router.pool if self._candidates is None else self._candidates()
        except SettingsError:
            return ()

    # Within the lock -------------------------------------------------------------------------------------------------

    def _add(self, kind: str, about: Decision | Outcome) -> None:
        self._count += 1
        self._events.append(Event(self._count, kind, self._wall(), about))

    def _slot(self, decision: Decision, model: str) -> Slot:
        slots = self._history.get(model)
        if slots is None:
            slots = self._history[model] = deque(maxlen=SLOTS)
            while len(self._history) > MOST_MODELS:
                self._history.popitem(last=False)
        number = self.slot_now
        if not slots or slots[-1].number != number:
            slots.append(Slot(number))
            self._history.move_to_end(model)
        slot = slots[-1]
        facts = decision.targets.get(model)
        if facts is not None:
            view = self._router.health.view(model, facts.ttft_s, facts.s_per_token)
            slot.ttft_s, slot.tokens_per_s = round(view.ttft_s, 4), round(1.0 / view.s_per_token, 2)
        return slot


def _columns(slots: deque[Slot], first: int) -> dict[str, list[Any]]:
    by_number = {slot.number: slot for slot in slots}
    filled = [by_number.get(number) for number in range(first, first + SLOTS)]
    return {
        "answered": [0 if slot is None else slot.answered for slot in filled],
        "failed": [0 if slot is None else slot.failed for slot in filled],
        "ttft_s": [None if slot is None else slot.ttft_s for slot in filled],
        "tokens_per_s": [None if slot is None else slot.tokens_per_s for slot in filled],
    }


def _row(name: str, facts: ModelFacts | None, health: dict[str, Any], *, seen: bool) -> dict[str, Any]:
    """Every row has the same fields, so that a client need not ask which there are."""
    return {
        "name": name,
        "in_pool": facts is not None,
        "seen": seen,
        "provider": None if facts is None else facts.provider,
        "model": None if facts is None else facts.model,
        "input_usd_per_m": None if facts is None else _per_million(facts.input_usd),
        "output_usd_per_m": None if facts is None else _per_million(facts.output_usd),
        "max_input_tokens": None if facts is None else facts.max_input_tokens,
        "deployments": {},
        **health,
    }


def _per_million(usd: float | None) -> float | None:
    return None if usd is None else round(usd * 1e6, 6)
