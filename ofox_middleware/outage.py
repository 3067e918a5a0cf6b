"""Lines in the log about a cache that is lost and comes back: one each, and no flood when it flaps."""

from __future__ import annotations

import logging
import time
from typing import Final

from ofox_middleware.types import Clock

log: Final = logging.getLogger("ofox_middleware.sharing")

LOST_AFTER: Final = 2
"""Failed rounds in a row; a single one is a hiccup of the network."""

QUIET_S: Final = 60.0
"""Between two lines about a loss; one that lasts is told when this is over."""


class Outage:
    """Tells the log when sharing is lost and when it is back, for operators who look at nothing else.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._told = False
        self._told_at = -float("inf")

    def failed(self, in_row: int, error: str) -> None:
        """The ``in_row``-th round in a row failed with an error of the kind ``error``: never its text, in which the
        cache's address and password may be."""
        now = self._clock()
        if in_row < LOST_AFTER or self._told or now - self._told_at < QUIET_S:
            return
        self._told, self._told_at = True, now
        log.warning(
            "the cache cannot be used (%s), so health and conversations are not shared: this worker goes on with what "
            "it sees itself, and keeps trying",
            error,
        )

    def worked(self) -> None:
        """A round went well."""
        if self._told:
            self._told = False
            log.warning("the cache is back: health and conversations are shared again")
