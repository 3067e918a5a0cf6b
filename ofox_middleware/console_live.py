"""What the console tells from second to second: the status, and the stream of events that a page listens to."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import anyio
from anyio.to_thread import run_sync

from ofox_middleware.console_feed import Feed
from ofox_middleware.console_wire import server_sent
from ofox_middleware.reload import Reloader
from ofox_middleware.router import SmartRouter
from ofox_middleware.savings import Savings

STATUS_S: Final = 1.0
TICK_S: Final = 0.25
STREAM_S: Final = 15.0
"""A stream ends after this and the page asks for the next one, for servers that are told to stop wait for streams."""
MOST_STREAMS: Final = 20
MOST_PER_TICK: Final = 40
"""Events sent at once. A page that is told of thousands a second shows nothing; the newest are enough."""


class Live:
    """Tells every open page the same.

    Args:
        router: what is watched.
        feed: what it has gathered.
        savings: what routing has saved so far; may read a file.
        reloader: what reloads the configuration.

    Attributes:
        streams: how many pages listen.
    """

    def __init__(
        self, router: SmartRouter, feed: Feed, savings: Callable[[], Savings], reloader: Reloader | None
    ) -> None:
        self.streams = 0
        self._router = router
        self._feed = feed
        self._savings = savings
        self._reloader = reloader
        self._stopped = False
        self._status: dict[str, Any] = {}
        self._status_at = -math.inf

    def stop(self) -> None:
        """Ends the streams."""
        self._stopped = True

    def renew(self) -> None:
        """The next status is a new one, however young the last."""
        self._status_at = -math.inf

    async def status(self) -> dict[str, Any]:
        """What changes from second to second; one snapshot serves all pages."""
        now = time.monotonic()
        if now - self._status_at < STATUS_S / 2:
            return self._status
        savings = await run_sync(self._savings)
        models = self._feed.models()
        down = sum(row["state"] != "closed" for row in models if row["in_pool"])
        in_pool = sum(row["in_pool"] for row in models)
        last = None if self._reloader is None else self._reloader.last
        self._status = {
            "boot": self._feed.boot,
            "now": round(time.time(), 3),
            "models": models,
            "panic": in_pool > 0 and 2 * down >= in_pool,
            "workers": self._router.health.workers(),
            "totals": self._feed.totals.to_dict(),
            "savings": savings.to_dict(),
            "reload": {"can": self._reloader is not None, "last": None if last is None else last.to_dict()},
        }
        self._status_at = now
        return self._status

    async def events(self, after: int) -> AsyncIterator[bytes]:
        """Events after number ``after``, and the status every second, as server-sent events."""
        self.streams += 1
        try:
            ends = time.monotonic() + STREAM_S
            next_status, slot = -math.inf, -1
            while not self._stopped:
                events, missed = self._feed.since(after, MOST_PER_TICK)
                for event in events:
                    yield server_sent(event.kind, event.to_dict())
                    after = event.number
                now = time.monotonic()
                if now >= next_status:
                    next_status = now + STATUS_S
                    status = {**await self.status(), "missed": missed}
                    if slot != self._feed.slot_now:
                        slot = self._feed.slot_now
                        status["history"] = self._feed.history()
                    yield server_sent("status", status)
                if now >= ends:
                    return
                await anyio.sleep(TICK_S)
        finally:
            self.streams -= 1
