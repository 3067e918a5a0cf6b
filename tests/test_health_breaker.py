"""How a health book leaves a model alone and takes it back."""

from __future__ import annotations

import pytest

from ofox_middleware.health import HealthBook
from ofox_middleware.model_health import SLOW_START
from tests.health_tools import (
    TTFT_S,
    HandClock,
    fail,
    look,
    streamed,
    succeed,
    trip,
    used,
    wait_for_probe,
)


def test_five_in_a_row_trip(book: HealthBook) -> None:
    """Five hard failures in a row open the breaker; four do not."""
    fail(book, 4)
    assert look(book).state == "closed"
    fail(book, 1)
    view = look(book)
    assert view.state == "open"
    assert 4.0 <= view.reopens_in_s <= 6.0


def test_half_failing_trips(book: HealthBook) -> None:
    """Under half well, with ten or more verdicts in the window, opens it without any row of five."""
    for _ in range(4):
        succeed(book, 1)
        fail(book, 1)
    fail(book, 1)
    assert look(book).state == "closed"
    fail(book, 1)
    assert look(book).state == "open"


def test_429_with_a_hint_trips_at_once(book: HealthBook) -> None:
    """One 429 that names a Retry-After opens the breaker for that long."""
    book.begin("m").fail(status=429, retry_after_s=42.0)
    assert look(book).reopens_in_s == 42.0


@pytest.mark.parametrize(("status", "hint"), [(429, None), (429, 0.0), (503, 42.0), (None, 42.0)])
def test_one_other_failure_does_not_trip(book: HealthBook, status: int | None, hint: float | None) -> None:
    """A 429 without a Retry-After, or a hint on another failure, is one failure like any other."""
    book.begin("m").fail(status=status, retry_after_s=hint)
    assert look(book).state == "closed"


def test_a_hint_counts_when_the_breaker_trips_anyway(book: HealthBook) -> None:
    """The failure that trips brings its Retry-After along."""
    fail(book, 4)
    book.begin("m").fail(status=503, retry_after_s=42.0)
    assert look(book).reopens_in_s == 42.0


def test_a_longer_hint_while_open(book: HealthBook) -> None:
    """A 429 of what was still in flight may stretch the wait, other failures may not."""
    stragglers = [book.begin("m") for _ in range(2)]
    trip(book)
    before = look(book).reopens_in_s
    stragglers[0].fail(status=500, retry_after_s=100.0)
    assert look(book).reopens_in_s == before
    stragglers[1].fail(status=429, retry_after_s=100.0)
    assert look(book).reopens_in_s == 100.0


def test_hints_are_capped(book: HealthBook) -> None:
    """No hint keeps a model away for more than five minutes."""
    book.begin("m").fail(status=429, retry_after_s=1e9)
    assert look(book).reopens_in_s == 300.0


def test_half_open_lets_one_probe_through(book: HealthBook, clock: HandClock) -> None:
    """When the wait is over one lease takes the probe slot."""
    trip(book)
    wait_for_probe(book, clock)
    assert look(book).probe_free
    probe = book.begin("m")
    assert (look(book).state, look(book).probe_free) == ("half_open", False)
    probe.cancel()
    assert look(book).probe_free


def test_what_hung_does_not_keep_a_probe_away(book: HealthBook, clock: HandClock) -> None:
    """Requests that still hang from before count as in flight, but not as load on a half-open model."""
    for _ in range(100):
        book.begin("m")
    trip(book)
    assert look(book).load_factor == 6.0
    wait_for_probe(book, clock)
    assert (look(book).in_flight, look(book).load_factor) == (100, 1.0)


def test_a_good_probe_closes(book: HealthBook, clock: HandClock) -> None:
    """After it the model is really used again: clean window, clean row, availability 1."""
    trip(book)
    wait_for_probe(book, clock)
    book.begin("m").succeed()
    view = look(book)
    assert (view.state, view.availability, book.snapshot()["m"]["failed"]) == ("closed", 1.0, 0)


def test_a_probes_first_token_closes(book: HealthBook, clock: HandClock) -> None:
    """A stream need not end for its model to be taken back."""
    trip(book)
    wait_for_probe(book, clock)
    probe = book.begin("m")
    probe.first_token()
    assert look(book).state == "closed"
    probe.fail(status=502)
    assert (look(book).state, book.snapshot()["m"]["failed"]) == ("closed", 1)


def test_no_stampede_after_closing(book: HealthBook, clock: HandClock) -> None:
    """The limit restarts small and doubles as answers come back."""
    trip(book)
    wait_for_probe(book, clock)
    book.begin("m").succeed()
    assert look(book).limit == SLOW_START
    leases = [book.begin("m") for _ in range(8)]
    assert look(book).load_factor == 3.0
    for lease in leases:
        lease.succeed()
    assert 7.0 <= look(book).limit <= 12.0


def test_closing_forgets_old_latencies(book: HealthBook, clock: HandClock) -> None:
    """What it took before and during the outage is no guide to what it takes now."""
    for _ in range(10):
        streamed(book, clock, 30.0)
    trip(book)
    assert look(book).ttft_s == TTFT_S
    wait_for_probe(book, clock)
    streamed(book, clock, 0.4)
    assert look(book).ttft_s < TTFT_S


def test_a_failed_probe_opens_again(book: HealthBook, clock: HandClock) -> None:
    """And for longer."""
    trip(book)
    wait_for_probe(book, clock)
    fail(book, 1)
    view = look(book)
    assert view.state == "open"
    assert 8.0 <= view.reopens_in_s <= 12.0


def test_a_429_fails_a_probe(book: HealthBook, clock: HandClock) -> None:
    """A probe that is refused for its rate has failed."""
    trip(book)
    wait_for_probe(book, clock)
    fail(book, 1, status=429)
    assert look(book).state == "open"


def test_stragglers_do_not_reopen(book: HealthBook, clock: HandClock) -> None:
    """Failures of requests from before the trip say nothing about a model that has come back since."""
    stragglers = [book.begin("m") for _ in range(20)]
    clock.sleep(0.1)
    trip(book)
    wait_for_probe(book, clock)
    book.begin("m").succeed()
    for lease in stragglers:
        lease.fail(status=503)
    assert (look(book).state, look(book).availability, book.in_flight()) == ("closed", 1.0, 0)


def test_stragglers_do_not_fail_a_probe(book: HealthBook, clock: HandClock) -> None:
    """Nor do they reopen a half-open breaker, or take its slot away."""
    straggler = book.begin("m")
    clock.sleep(0.1)
    trip(book)
    wait_for_probe(book, clock)
    probe = book.begin("m")
    straggler.fail(status=503)
    assert (look(book).state, look(book).probe_free) == ("half_open", False)
    probe.succeed()
    assert look(book).state == "closed"


def test_successes_from_before_the_trip_do_not_close(book: HealthBook, clock: HandClock) -> None:
    """An answer that was under way when the model went down is no sign that it is back."""
    early = book.begin("m")
    clock.sleep(0.1)
    trip(book)
    early.first_token()
    early.succeed()
    assert look(book).state == "open"


def test_a_last_resort_that_works_closes(book: HealthBook, clock: HandClock) -> None:
    """A request that was sent in spite of the open breaker, and went well, is as good as a probe."""
    trip(book)
    clock.sleep(0.5)
    book.begin("m").succeed()
    assert look(book).state == "closed"


def test_failures_while_open_do_not_lengthen_the_wait(book: HealthBook, clock: HandClock) -> None:
    """In a panic an open model is used all the same; its failures must not push its return away."""
    trip(book)
    wait = look(book).reopens_in_s
    fail(book, 50)
    assert look(book).reopens_in_s == wait


def test_stragglers_of_a_hang_are_no_probes(book: HealthBook, clock: HandClock) -> None:
    """Requests that hung before the breaker opened fail one by one; none of that counts as a failed probe."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(30)]
    clock.sleep(7)
    wait_for_probe(book, clock)
    probe = book.begin("m")
    for lease in hung:
        clock.sleep(0.1)
        lease.fail()
    shown = book.snapshot()["m"]
    assert (shown["state"], shown["backoff_exponent"], look(book).probe_free) == ("half_open", 1, False)
    probe.succeed()
    assert look(book).state == "closed"


def test_a_late_failure_of_an_old_probe(book: HealthBook, clock: HandClock) -> None:
    """A hung probe that fails at last opens again, but a newer one that then does well still closes."""
    trip(book)
    wait_for_probe(book, clock)
    hung = book.begin("m")
    clock.sleep(11)
    newer = book.begin("m")
    hung.fail()
    assert look(book).state == "open"
    newer.succeed()
    assert look(book).state == "closed"


def test_a_hung_probe_does_not_block_the_return(book: HealthBook, clock: HandClock) -> None:
    """While one probe hangs a second one may go; if that does well the model is back."""
    trip(book)
    wait_for_probe(book, clock)
    hung = book.begin("m")
    clock.sleep(10)
    assert look(book).probe_free
    book.begin("m").succeed()
    assert look(book).state == "closed"
    hung.fail(status=None)
    assert look(book).state == "closed"


def test_never_stuck_open(book: HealthBook, clock: HandClock) -> None:
    """However often it failed, a probe may go within five minutes."""
    for _ in range(100):
        fail(book, 5)
        assert look(book).reopens_in_s <= 300.0
        clock.sleep(300.0)
        assert look(book).probe_free


def test_backoff_falls_while_it_is_well(book: HealthBook, clock: HandClock) -> None:
    """n falls by one per clean minute."""
    for _ in range(3):
        trip(book)
        wait_for_probe(book, clock)
        book.begin("m").succeed()
    assert book.snapshot()["m"]["backoff_exponent"] == 3
    clock.sleep(125)
    assert book.snapshot()["m"]["backoff_exponent"] == 1
