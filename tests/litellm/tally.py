"""Counts how every lease of this process ended. The health book itself forgets after a minute."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from ofox_middleware.leases import Lease
from tests.litellm.upstream import Upstream

ENDS = {"succeed": "ok", "fail": "failed", "cancel": "cancelled", "lose": "lost"}


class Tally:
    """Ends of leases, as (model, "opened" | "ok" | "failed" | "cancelled" | "lost")."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def of(self, model: str) -> dict[str, int]:
        with self._lock:
            return {end: count for (name, end), count in self.counts.items() if name == model}

    def note(self, model: str, end: str) -> None:
        with self._lock:
            self.counts[model, end] += 1

    def install(self, put: Callable[[Any, str, Any], None] = setattr) -> None:
        """Counts from now on. ``put``: as ``setattr``, or a test's ``monkeypatch.setattr``."""
        made = Lease.__init__

        def init(lease: Lease, *args: Any, **kwargs: Any) -> None:
            made(lease, *args, **kwargs)
            self.note(lease.model, "opened")

        put(Lease, "__init__", init)
        for name, end in ENDS.items():
            put(Lease, name, self._counted(getattr(Lease, name), end))

    def _counted(self, method: Any, end: str) -> Any:
        def call(lease: Lease, **kwargs: Any) -> None:
            open_ = not lease.closed
            method(lease, **kwargs)
            if open_ and lease.closed:
                self.note(lease.model, end)

        return call


def agrees(counts: dict[str, dict[str, int]], upstream: Upstream, *, left: str) -> None:
    """Every lease has ended, once; and each model's ends are those that the provider saw.

    Args:
        left: the model whose callers let go of calls; the provider may have answered some of those all the same.
    """
    for name, found in counts.items():
        ended = sum(found.get(end, 0) for end in ("ok", "failed", "cancelled"))
        assert found.get("opened", 0) == ended, (name, found)
        assert found.get("lost", 0) == 0, (name, found)
        whole, failed = upstream.answered[f"prov-{name}"], upstream.failed[f"prov-{name}"]
        assert found.get("failed", 0) == failed, (name, found, failed)
        if name == left:
            assert found.get("ok", 0) <= whole, (name, found, whole)
            assert found["cancelled"] > 0
        else:
            assert found.get("ok", 0) == whole, (name, found, whole)
