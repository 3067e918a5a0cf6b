"""Leases: what is in flight, and what becomes of those that nobody closes."""

from __future__ import annotations

import pytest

from ofox_middleware.health import HealthBook
from ofox_middleware.model_health import LEASE_TTL_S
from tests.health_tools import HandClock, look, trip, wait_for_probe


def test_in_flight_counts_open_leases(book: HealthBook) -> None:
    """One up at dispatch, one down at success, failure or cancel."""
    leases = [book.begin("m") for _ in range(3)]
    other = book.begin("n")
    assert (look(book).in_flight, book.in_flight()) == (3, 4)
    leases[0].succeed()
    leases[1].fail(status=500)
    leases[2].cancel()
    assert (look(book).in_flight, book.in_flight()) == (0, 1)
    other.cancel()


@pytest.mark.parametrize("first", ["succeed", "fail", "cancel"])
def test_a_lease_closes_once(book: HealthBook, first: str) -> None:
    """Whatever comes after the first end does nothing."""
    lease = book.begin("m")
    assert not lease.closed
    getattr(lease, first)()
    before = book.snapshot()
    for _ in range(2):
        lease.first_token()
        lease.succeed(output_tokens=100, ttft_s=5.0, total_s=9.0)
        lease.fail(status=429, retry_after_s=60)
        lease.cancel()
    assert lease.closed
    assert book.snapshot() == before


def test_a_lease_says_what_it_is(book: HealthBook, clock: HandClock) -> None:
    """Model, deployment and time of dispatch can be read from it."""
    lease = book.begin("m", "d1")
    assert (lease.model, lease.deployment, lease.started, lease.ttft_s) == ("m", "d1", clock.now, None)


def test_cancel_takes_the_dispatch_out(book: HealthBook) -> None:
    """A request without a verdict leaves no trace in the window."""
    book.begin("m", "d").cancel()
    shown = book.snapshot()["m"]
    assert (shown["sent"], shown["ok"], shown["failed"], shown["deployments"]["d"]["sent"]) == (0, 0, 0, 0)


def test_cancel_long_after_dispatch(book: HealthBook, clock: HandClock) -> None:
    """Once the dispatch has left the window, cancelling takes nothing out of it."""
    old = book.begin("m")
    clock.sleep(70)
    new = book.begin("m")
    old.cancel()
    assert book.snapshot()["m"]["sent"] == 1
    new.cancel()
    assert book.snapshot()["m"]["sent"] == 0


def test_verdicts_of_long_requests_count(book: HealthBook, clock: HandClock) -> None:
    """A verdict counts when it comes, also when the dispatch has left the window."""
    leases = [book.begin("m") for _ in range(5)]
    clock.sleep(90)
    for lease in leases:
        lease.fail(status=504)
    assert look(book).state == "open"


def test_lost_leases(book: HealthBook, clock: HandClock) -> None:
    """After ten minutes a lease stops counting as in flight, and never counts as a failure, also when it ends later."""
    lease = book.begin("m", "d")
    clock.sleep(LEASE_TTL_S - 1)
    assert (look(book).in_flight, lease.closed) == (1, False)
    clock.sleep(7)
    assert (look(book).in_flight, book.in_flight(), lease.closed) == (0, 0, True)
    lease.fail(status=500)
    shown = book.snapshot()["m"]
    assert (shown["failed"], shown["failures_in_row"], shown["deployments"]["d"]["in_flight"]) == (0, 0, 0)


def test_lost_leases_do_not_stop_the_sweep(book: HealthBook, clock: HandClock) -> None:
    """Old leases go, young ones stay."""
    for _ in range(3):
        book.begin("m")
    clock.sleep(LEASE_TTL_S - 10)
    young = book.begin("m")
    clock.sleep(20)
    assert book.in_flight() == 1
    young.succeed()
    assert book.in_flight() == 0


def test_a_lost_probe_frees_its_slot(book: HealthBook, clock: HandClock) -> None:
    """A probe that is lost does not hold the slot."""
    trip(book)
    wait_for_probe(book, clock)
    book.begin("m")
    clock.sleep(LEASE_TTL_S + 10)
    assert look(book).probe_free


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
def test_nothing_of_an_ended_lease_is_kept(book: HealthBook, clock: HandClock, end: str) -> None:
    """Neither the model nor the deployment holds on to a lease that has ended, a probe's included."""
    for _ in range(5):
        book.begin("m", "d").fail(status=500)
    clock.sleep(7)
    lease = book.begin("m", "d")
    getattr(lease, end)()
    record = book._models["m"]
    for part in (record, record.parts["d"]):
        assert (part.open, part.breaker.probe) == ({}, None)
