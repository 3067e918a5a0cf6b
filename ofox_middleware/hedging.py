"""Hedging: a stream that begins later than is usual for its model is asked of the next model too; the quicker answers.

After Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): the second request is put off until the first has taken
longer than 95% of them do, which keeps the extra load small. A budget keeps it small also when a model has become slow
and every request to it is late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from ofox_middleware.exchange import Exchange
from ofox_middleware.guard import Guard
from ofox_middleware.health import HealthBook
from ofox_middleware.patience import PREFILL_TOKENS_PER_S
from ofox_middleware.settings import Settings
from ofox_middleware.types import Decision, ModelFacts, Preference

SHARE: Final = 0.05
MOST_SAVED: Final = 5.0
"""At most one hedge to twenty requests that may be hedged, and at most five that were saved up for a bad moment."""


class Budget:
    """A token bucket over requests, not over time: what is allowed follows the traffic. It begins empty."""

    __slots__ = ("saved",)

    def __init__(self) -> None:
        self.saved = 0.0

    def earn(self) -> None:
        """A request came that may be hedged."""
        self.saved = min(MOST_SAVED, self.saved + SHARE)

    def spend(self) -> bool:
        """Takes a hedge out of the budget; whether there was one."""
        if self.saved < 1.0 - 1e-9:
            return False
        self.saved = max(0.0, self.saved - 1.0)
        return True


def hedge_after_s(
    settings: Settings, health: HealthBook, facts: ModelFacts, decision: Decision, fields: Mapping[str, Any]
) -> float | None:
    """Seconds after which a request to ``facts`` is hedged, ``None`` for one that never is.

    Only streams are: when an answer in one piece is late cannot be told, as nobody knows its length. And only those
    that asked for speed, for the others' pick is not the quickest.
    """
    if not settings.hedge or decision.preference != Preference.SPEED.value or fields.get("stream") is not True:
        return None
    p95_s = health.ttft_p95(facts.name)
    return None if p95_s is None else p95_s + decision.input_tokens / PREFILL_TOKENS_PER_S


class Race:
    """Attempts at one request that run at the same time. Exactly one may answer: the first that has something to say.

    Attributes:
        winner: whose answer is passed on; ``None`` while nobody has any.
        hedge: the second attempt's task, ``None`` before it was started.
    """

    __slots__ = ("_runners", "hedge", "winner")

    def __init__(self) -> None:
        self.winner: Exchange | None = None
        self.hedge: asyncio.Task[Exchange] | None = None
        self._runners: list[tuple[Exchange, Guard]] = []

    def enter(self, exchange: Exchange, guard: Guard) -> None:
        """An attempt takes part."""
        self._runners.append((exchange, guard))

    def claim(self, exchange: Exchange) -> bool:
        """Whether ``exchange`` may answer. The first to ask may, and the others are cancelled."""
        if self.winner is None:
            self.winner = exchange
            for other, guard in self._runners:
                if other is not exchange:
                    guard.overtake()
            if self.hedge is not None and self.backup is None:
                self.hedge.cancel()  # It was just about to begin.
        return self.winner is exchange

    @property
    def backup(self) -> Exchange | None:
        """The second attempt, once it has begun."""
        return self._runners[1][0] if len(self._runners) > 1 else None

    async def stop(self) -> None:
        """Ends the second attempt, whatever becomes of it."""
        if self.hedge is None:
            return
        self.hedge.cancel()
        await asyncio.wait({self.hedge})
        if not self.hedge.cancelled():
            self.hedge.exception()  # or asyncio would complain that nobody looked at it

    async def second(self) -> Exchange:
        """What became of the second attempt. Raises what it raised. Ends it when this task is cancelled."""
        assert self.hedge is not None
        try:
            await asyncio.wait({self.hedge})
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self.hedge.result()
