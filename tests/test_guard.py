"""Countdowns of silence that do not blame a model for a busy event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from ofox_middleware.guard import LATE_S, MOST_EXTRA_S, Countdown


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


def waited(loop: Loop, fired: list[float], late_s: float = 0.0) -> float:
    """Lets timers fire, each `late_s` late, until the countdown has ended; the seconds that it took."""
    for _ in range(1_000):
        if fired:
            break
        loop.fire(loop.timers[0][0] + late_s)
    return fired[0] - 100.0


def test_a_loop_in_time_gives_no_more() -> None:
    """In a loop that is not held up, silence is over when its time is, whatever its timers' small delays."""
    for late_s in (0.0, LATE_S / 2):
        loop, fired = Loop(), list[float]()
        countdown(loop, 2.0, fired)
        assert waited(loop, fired, late_s) == pytest.approx(2.0, abs=2 * LATE_S)


@pytest.mark.parametrize("at", range(8))
def test_what_the_loop_was_late_by_is_given_back(at: int) -> None:
    """A loop that is held up for a second, at whatever time of the silence, does not shorten what is heard."""
    loop, fired = Loop(), list[float]()
    countdown(loop, 2.0, fired)
    for _ in range(at):
        loop.fire(loop.timers[0][0])
    loop.fire(loop.timers[0][0] + 1.0)
    assert not fired
    assert waited(loop, fired) == pytest.approx(3.0, abs=0.26)


def test_there_is_an_end_to_it() -> None:
    """In a loop that is always late, the end still comes."""
    loop, fired = Loop(), list[float]()
    countdown(loop, 2.0, fired)
    assert waited(loop, fired, 0.5) <= 2.0 + 3 * MOST_EXTRA_S


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.2, 60.0, 1e6])
def test_any_time_ends(seconds: float) -> None:
    """No time and a very long one are counted too."""
    loop, fired = Loop(), list[float]()
    countdown(loop, seconds, fired)
    assert waited(loop, fired) == pytest.approx(seconds, abs=0.01)


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
