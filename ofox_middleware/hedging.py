"""Hedging: a stream that begins later than is usual for its model is asked of the next model too; the quicker answers.

After Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): the second request is put off until the first has taken
longer than 95% of them do, which keeps the extra load small. A budget keeps it small also when a model has become slow
and every request to it is late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeAlias

from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision
from ofox_middleware.exchange import Exchange, Stage
from ofox_middleware.guard import Guard
from ofox_middleware.health import HealthBook
from ofox_middleware.patience import PREFILL_TOKENS_PER_S
from ofox_middleware.settings import Settings
from ofox_middleware.types import Preference

SHARE: Final = 0.05
MOST_SAVED: Final = 5.0
"""At most one hedge to twenty requests that may be hedged, and at most five that were saved up for a bad moment."""


Attempt: TypeAlias = Coroutine[Any, Any, Exchange]


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
    """Two attempts at one request, the second asked once the first is late. Exactly one may answer: the first that has
    something to say.

    Attributes:
        winner: whose answer is passed on; ``None`` while nobody has any.
        counting: the attempt with which the request ends, the first one until more is known; ``None`` before it began.
        hedge: the second attempt's task, ``None`` before it was started.
    """

    __slots__ = ("_runners", "counting", "hedge", "winner")

    def __init__(self) -> None:
        self.winner: Exchange | None = None
        self.counting: Exchange | None = None
        self.hedge: asyncio.Task[Exchange] | None = None
        self._runners: list[tuple[Exchange, Guard]] = []

    def enter(self, exchange: Exchange, guard: Guard) -> None:
        """An attempt takes part; the first one enters first."""
        exchange.claims, exchange.backup = self.claim, bool(self._runners)
        self._runners.append((exchange, guard))
        self.counting = self.counting or exchange

    async def run(self, first: Attempt, second: Callable[[], Attempt | None], after_s: float) -> Exchange:
        """The attempt with which the request ends. Raises what that one raised.

        Args:
            first: enters this race when it begins, as does the second.
            second: called when the first is late; ``None`` when nobody else is to be asked.
            after_s: seconds until then.
        """
        timer = asyncio.get_running_loop().call_later(after_s, self._late, second)
        try:
            exchange = await first
            timer.cancel()
            return exchange if self.hedge is None else await self._end(exchange, self.hedge)
        except BaseException:
            timer.cancel()
            await self._stop()
            raise
        finally:
            for runner, _ in self._runners:
                runner.claims = None  # they would know each other, and stay in memory for it

    def claim(self, exchange: Exchange) -> bool:
        """Whether ``exchange`` may answer. The first to ask may, and the others are cancelled."""
        if self.winner is None:
            self.winner = exchange
            for other, guard in self._runners:
                if other is not exchange:
                    guard.overtake()
            if self.hedge is not None and self._backup is None:
                self.hedge.cancel()  # It was just about to begin.
        return self.winner is exchange

    @property
    def hedge_won(self) -> bool:
        """Whether the second attempt is the answer."""
        return self.winner is not None and self.winner is self._backup

    @property
    def _backup(self) -> Exchange | None:
        return self._runners[1][0] if len(self._runners) > 1 else None

    def _late(self, second: Callable[[], Attempt | None]) -> None:
        if self.counting is None or self.counting.stage not in (Stage.WAITING, Stage.PEEKING):
            return
        attempt = second()
        if attempt is not None:
            self.hedge = asyncio.get_running_loop().create_task(attempt)

    async def _end(self, first: Exchange, hedge: asyncio.Task[Exchange]) -> Exchange:
        """What the first attempt, which has ended, and the second, which may run still, come to."""
        if self.winner is first or first.fired == "left" or not (first.failed or first.fired == "overtaken"):
            self.claim(first)
            await self._stop()
            return first
        try:
            await asyncio.wait({hedge})
        finally:
            self.counting = self._backup or first
        return hedge.result()

    async def _stop(self) -> None:
        """Ends the second attempt, whatever becomes of it."""
        if self.hedge is None:
            return
        self.hedge.cancel()
        await asyncio.wait({self.hedge})
        if not self.hedge.cancelled():
            self.hedge.exception()  # or asyncio would complain that nobody looked at it
