"""Exact counts of the last minute. Pure: ``now`` (seconds, monotonic) is passed in; every operation is O(1)."""

from __future__ import annotations

from collections import deque
from typing import Final

BUCKET_S: Final = 6.0
BUCKETS: Final = 10


class Bucket:
    """Counts of six seconds. ``live`` until it has left its window."""

    __slots__ = ("failed", "live", "ok", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.ok = 0
        self.failed = 0
        self.live = True


class Window:
    """Exact counts over the last 60 s in 10 buckets of 6 s.

    Counts and not a moving average, because an average that decays hides a fast burst of failures (Linkerd's
    success-rate breaker, 2026, gives the reason and the ten buckets).

    Attributes:
        sent: requests dispatched, without those that ended with no verdict.
        ok, failed: verdicts, counted when they came in. A verdict may outlive the bucket of its dispatch, for an
            answer can take longer than a minute.
        current: the bucket of now, as of the last :meth:`advance`.
    """

    __slots__ = ("_buckets", "_slot", "current", "failed", "ok", "sent")

    def __init__(self, now: float) -> None:
        self._slot = int(now // BUCKET_S)
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        for bucket in getattr(self, "_buckets", ()):
            bucket.live = False
        self.sent = self.ok = self.failed = 0
        self.current = Bucket()
        self._buckets: deque[Bucket] = deque([self.current])

    def advance(self, now: float) -> float:
        """Drops what is older than the window. Returns when the current bucket ends; call it again from then on."""
        slot = int(now // BUCKET_S)
        if slot - self._slot >= BUCKETS:
            self._slot = slot
            self.clear()
        while self._slot < slot:
            self._slot += 1
            if len(self._buckets) == BUCKETS:
                self._drop(self._buckets.popleft())
            self.current = Bucket()
            self._buckets.append(self.current)
        return (self._slot + 1) * BUCKET_S

    def count_sent(self) -> Bucket:
        """Counts a dispatch. The bucket returned is what :meth:`take_back` wants."""
        self.sent += 1
        bucket = self.current
        bucket.sent += 1
        return bucket

    def take_back(self, bucket: Bucket | None) -> None:
        """Takes a dispatch out again that ended with no verdict; nothing is left to do once it has left the window."""
        if bucket is not None and bucket.live:
            bucket.sent -= 1
            self.sent -= 1

    def count_ok(self) -> None:
        """Counts a success."""
        self.ok += 1
        self.current.ok += 1

    def count_failed(self) -> None:
        """Counts a hard failure."""
        self.failed += 1
        self.current.failed += 1

    def _drop(self, bucket: Bucket) -> None:
        bucket.live = False
        self.sent -= bucket.sent
        self.ok -= bucket.ok
        self.failed -= bucket.failed
