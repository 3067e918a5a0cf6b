"""The health book: many models, events without a lease, and threads."""

from __future__ import annotations

import json
import random
import threading

import pytest

from ofox_middleware.health import MOST_MODELS, HealthBook
from ofox_middleware.model_health import START_LIMIT
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, a_book, fail, look, succeed, trip, wait_for_probe

# A model that nobody has used.


def test_an_unknown_model_is_taken_to_be_well(book: HealthBook) -> None:
    """It has its priors, a closed breaker and nothing in flight."""
    view = look(book)
    assert (view.state, view.ttft_s, view.s_per_token) == ("closed", TTFT_S, S_PER_TOKEN)
    assert (view.in_flight, view.limit, view.availability, view.load_factor) == (0, START_LIMIT, 1.0, 1.0)
    assert (view.reopens_in_s, view.probe_free, book.ttft_p95("m")) == (0.0, False, None)


def test_looking_leaves_nothing_behind(book: HealthBook) -> None:
    """Asking about a model makes no record of it."""
    for index in range(5_000):
        book.view(f"m{index}", 1.0 + index, 0.01)
    assert book.snapshot() == {}
    assert book.in_flight() == 0


def test_absurd_priors_are_clamped(book: HealthBook) -> None:
    """Priors outside of what a latency can be are brought within it, for known and unknown models."""
    book.begin("m").cancel()
    for model in ("m", "unknown"):
        view = book.view(model, 0.0, 1e9)
        assert (view.ttft_s, view.s_per_token) == (0.05, 5.0)


# Events without a lease.


def test_events_without_a_lease(book: HealthBook) -> None:
    """They count like dispatch and verdict in one, and leave nothing in flight."""
    book.record_success("m", ttft_s=0.3, total_s=2.1, output_tokens=140)
    book.record_failure("m", status=500)
    shown = book.snapshot()["m"]
    assert (shown["sent"], shown["ok"], shown["failed"], shown["in_flight"]) == (2, 1, 1, 0)
    assert shown["ttft_s"] == pytest.approx(0.3)
    assert shown["tokens_per_s"] == pytest.approx(139 / 1.8, rel=0.01)
    book.record_failure("m", status=429, retry_after_s=5)
    assert look(book).state == "open"


def test_breaker_by_events_alone(book: HealthBook, clock: HandClock) -> None:
    """Failures trip, a failure in half-open opens again, a success then closes; one while open does not."""
    for _ in range(5):
        book.record_failure("m")
    book.record_success("m")
    assert look(book).state == "open"
    wait_for_probe(book, clock)
    book.record_failure("m")
    assert look(book).state == "open"
    wait_for_probe(book, clock)
    book.record_success("m")
    assert look(book).state == "closed"


def test_a_success_that_began_before_the_trip(book: HealthBook, clock: HandClock) -> None:
    """A success whose length shows that it began before the trip closes nothing."""
    trip(book)
    wait_for_probe(book, clock)
    book.record_success("m", total_s=60.0)
    assert look(book).state == "half_open"
    book.record_success("m", total_s=0.2)
    assert look(book).state == "closed"


# The book.


def test_snapshot_is_plain_json(book: HealthBook) -> None:
    """It can be written as JSON as it is, and holds what people look for."""
    book.begin("m", "d").succeed()
    trip(book, "n")
    shown = json.loads(json.dumps(book.snapshot()))
    assert {"state", "ttft_s", "tokens_per_s", "in_flight", "limit", "availability", "deployments"} <= set(shown["m"])
    assert "deployments" not in shown["n"]


def test_models_are_bounded(book: HealthBook, clock: HandClock) -> None:
    """Invented names push out other idle ones, never what is in flight or in use."""
    busy = book.begin("busy")
    trip(book, "pool")
    for index in range(3 * MOST_MODELS):
        clock.sleep(0.0001)
        book.begin(f"invented-{index}").cancel()
        look(book, "pool")
    shown = book.snapshot()
    assert len(shown) <= MOST_MODELS
    assert {"busy", "pool"} <= set(shown)
    busy.succeed()
    assert book.in_flight() == 0


def test_a_seed_repeats_a_run(clock: HandClock) -> None:
    """The same events with the same seed give the same book."""

    def run() -> object:
        at = HandClock()
        book = HealthBook(clock=at, rng=random.Random(7))
        for index in range(300):
            at.sleep(0.1)
            if index % 3:
                fail(book, 1)
            else:
                succeed(book, 1)
        return book.snapshot()

    assert run() == run()


def test_defaults() -> None:
    """A book needs no arguments; its clock is the system's."""
    book = HealthBook()
    lease = book.begin("m")
    lease.first_token()
    lease.succeed(output_tokens=20)
    for _ in range(5):
        book.record_failure("m")
    assert look(book).state == "open"
    assert 4.0 < look(book).reopens_in_s <= 6.0


def test_threads_lose_no_count() -> None:
    """Events from several threads at once leave exact counts and nothing in flight."""
    book = HealthBook(clock=HandClock())

    def work() -> None:
        for index in range(400):
            lease = book.begin("m", f"d{index % 3}")
            lease.first_token()
            look(book)
            if index % 4 == 0:
                lease.cancel()
            else:
                lease.succeed(output_tokens=20)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = book.snapshot()["m"]
    assert (shown["sent"], shown["ok"], shown["in_flight"], book.in_flight()) == (2_400, 2_400, 0, 0)
    assert sum(part["sent"] for part in shown["deployments"].values()) == 2_400


def test_a_finalizer_may_close_a_lease_inside_an_event(clock: HandClock) -> None:
    """Closing a lease while the same thread is inside the book does not lock up."""
    book = a_book(clock)
    victim = book.begin("m")

    class Meddling(HandClock):
        def __call__(self) -> float:
            victim.cancel()
            return super().__call__()

    record = book._models["m"]
    record.clock = Meddling()
    book.begin("m").succeed()
    assert book.in_flight() == 0
