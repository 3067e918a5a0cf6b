"""Whose turn it is to try a model that was down: of many workers that wait for it, one goes first.

Each worker's breaker lets a probe of its own through, so many workers would send many requests to a model that is still
down. Before its wait is over a worker asks for the turn: a key in the cache that only one can hold and that ends by
itself. The others wait a moment and hear what became of the probe. Nobody waits for long: whoever has the turn may have
no request to use it for, and who can write to the cache could hold it for ever
(:data:`~ofox_middleware.breaker.MOST_YIELDED_S`). Without the cache every worker probes by itself.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ofox_middleware.health import HealthBook

TURN_S: Final = 3.0
"""A turn ends after this long, used or not. A probe that is under way by then is told of in the summaries."""

AHEAD: Final = 1.25
WAITS: Final = 1.5
"""In units of the pause between two rounds: a turn is asked for this long before it is needed, and whoever does not get
it waits for this long, that is, until it has asked again."""

MOST_ASKED: Final = 8
"""Turns asked for in one round. Of more models at once some are probed by several workers."""


class Turns:
    """Asks for the turns that ``book`` needs.

    Args:
        book: whose breakers wait.
        namespace: as for :class:`~ofox_middleware.sharing.HealthSharing`.
        interval_s: seconds between two rounds.
    """

    def __init__(self, book: HealthBook, *, namespace: str, interval_s: float) -> None:
        self._book = book
        self._prefix = f"ofox:{namespace}:turn:1:"
        self._interval_s = interval_s

    async def ask(self, cache: Any, worker: str, timeout_s: float) -> None:
        """Settles for the coming round which models this worker may probe. Raises what the cache raises."""
        for model in self._book.probes_due(AHEAD * self._interval_s)[:MOST_ASKED]:
            if not await self._has(cache, self._key(model), worker.encode(), timeout_s):
                self._book.yield_probe(model, WAITS * self._interval_s)

    def _key(self, model: str) -> str:
        # Names may be long and hold anything.
        return self._prefix + hashlib.blake2s(model.encode("utf-8", "replace"), digest_size=16).hexdigest()

    async def _has(self, cache: Any, key: str, worker: bytes, timeout_s: float) -> bool:
        try:
            await cache.add(key, worker, ttl=TURN_S, timeout=timeout_s)
        except ValueError:  # so aiocache says that somebody holds it
            return bool(await cache.get(key, timeout=timeout_s) == worker)
        return True
