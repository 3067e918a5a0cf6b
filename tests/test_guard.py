"""Countdowns of silence that do not blame a model for a busy event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ofox_middleware.guard import LATE_S, Countdown


class Loop:
    """The part of an event loop that a countdown uses, with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], object]) -> Loop:
        self.timers.append((when, callback))
        return self

    def cancel(self) -> None:
        self.timers.clear()

    def fire(self, at: float) -> None:
        """Lets the one timer fire at ``at``."""
        ((_, callback),) = self.timers
        self.timers.clear()
        self.now = at
        callback()


def countdown(loop: Loop, seconds: float, fired: list[float]) -> Countdown:
    return Countdown(loop, seconds, lambda: fired.append(loop.now))  # type: ignore[arg-type]


def test_a_loop_in_time_gives_no_more() -> None:
    """In a loop that is not held up, silence is over when its time is."""
    loop, fired = Loop(), list[float]()
    countdown(loop, 2.0, fired)
    loop.fire(102.0 + LATE_S / 2)
    assert len(fired) == 1


def test_what_the_loop_was_late_by_is_given_back() -> None:
    """A loop that was held up for a second gives a second more, in which what came meanwhile is heard."""
    loop, fired = Loop(), list[float]()
    countdown(loop, 2.0, fired)
    loop.fire(103.0)
    assert not fired
    assert loop.timers[0][0] == 104.0
    loop.fire(104.0)
    assert fired == [104.0]


def test_the_time_is_doubled_at_most() -> None:
    """In a loop that is always late, the end still comes."""
    loop, fired = Loop(), list[float]()
    countdown(loop, 2.0, fired)
    for _ in range(100):
        if fired:
            break
        loop.fire(loop.timers[0][0] + 0.5)
    assert fired
    assert fired[0] <= 100.0 + 2 * 2.0 + 5 * 0.5


def test_a_cancelled_countdown_is_silent() -> None:
    """Once cancelled, it never calls, in a real loop."""

    async def main() -> list[int]:
        fired: list[int] = []
        loop = asyncio.get_running_loop()
        Countdown(loop, 0.01, lambda: fired.append(1)).cancel()
        Countdown(loop, 0.01, lambda: fired.append(2))
        await asyncio.sleep(0.05)
        return fired

    assert asyncio.run(main()) == [2]
