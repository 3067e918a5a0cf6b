"""Who is told of decisions and outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ofox_middleware.decision import Decision, Outcome


class Observer(Protocol):
    """Told of what is decided and how it ended. Called on the request path: must be quick; its errors are counted.

    An observer with a method ``asked(decision, ask)`` gets the human ask too, when ``Settings.log_prompts`` is on.
    """

    def decided(self, decision: Decision) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


class Observers:
    """Tells every subscriber; an error of one is counted under ``observer_error`` and costs no request.

    Attributes:
        subscribed: who is told, in the order in which they subscribed.
    """

    def __init__(self, stats: Counter[str]) -> None:
        self.subscribed: list[Observer] = []
        self._stats = stats

    def decided(self, decision: Decision) -> None:
        """Tells of a decision."""
        self._tell(lambda observer: observer.decided(decision))

    def asked(self, decision: Decision, ask: str) -> None:
        """Tells those who want to know it what a human asked."""
        self._tell(lambda observer: getattr(observer, "asked", _ignore)(decision, ask))

    def ended(self, outcome: Outcome) -> None:
        """Tells how a routed request ended."""
        self._tell(lambda observer: observer.ended(outcome))

    def _tell(self, event: Callable[[Observer], None]) -> None:
        for observer in self.subscribed:
            try:
                event(observer)
            except Exception:  # noqa: BLE001, PERF203 - an observer must not cost a request
                self._stats["observer_error"] += 1


def _ignore(_: Decision, __: str) -> None:
    """What an observer does with an ask when it does not say."""
