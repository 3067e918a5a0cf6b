"""What the tests of health share: a clock that is moved by hand, and shorthand for common moves."""

from __future__ import annotations

import random

from ofox_middleware.health import HealthBook
from ofox_middleware.types import HealthView

TTFT_S, S_PER_TOKEN = 1.0, 0.01


class HandClock:
    """Monotonic seconds that pass only when told to."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def a_book(clock: HandClock, seed: int = 1) -> HealthBook:
    return HealthBook(clock=clock, rng=random.Random(seed))


def look(book: HealthBook, model: str = "m") -> HealthView:
    return book.view(model, TTFT_S, S_PER_TOKEN)


def fail(book: HealthBook, times: int, model: str = "m", *, status: int | None = 500) -> None:
    for _ in range(times):
        book.begin(model).fail(status=status)


def succeed(book: HealthBook, times: int, model: str = "m") -> None:
    for _ in range(times):
        book.begin(model).succeed()


def trip(book: HealthBook, model: str = "m") -> None:
    """Five hard failures in a row."""
    fail(book, 5, model)
    assert look(book, model).state == "open"


def wait_for_probe(book: HealthBook, clock: HandClock, model: str = "m") -> None:
    """Waits until the open breaker lets a probe through."""
    clock.sleep(look(book, model).reopens_in_s)
    assert look(book, model).state == "half_open"


def streamed(book: HealthBook, clock: HandClock, ttft_s: float, tokens: int = 0, s_per_token: float = 0.0) -> None:
    """One streamed answer, from dispatch to end."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(ttft_s)
    lease.first_token()
    clock.sleep(max(0, tokens - 1) * s_per_token)
    lease.succeed(output_tokens=tokens)


def used(book: HealthBook, clock: HandClock) -> None:
    """A minute of answers with half a second to the first token."""
    for _ in range(100):
        streamed(book, clock, 0.5, 20, 0.01)
