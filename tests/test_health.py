"""The health book: what requests teach it, and how a model is left alone and taken back."""

from __future__ import annotations

import json
import random
import threading

import pytest

from ofox_middleware.health import MOST_MODELS, HealthBook
from ofox_middleware.model_health import LEASE_TTL_S, MOST_DEPLOYMENTS, SLOW_START, START_LIMIT
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, a_book, fail, look, succeed, trip, wait_for_probe


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def book(clock: HandClock) -> HealthBook:
    return a_book(clock)


def streamed(book: HealthBook, clock: HandClock, ttft_s: float, tokens: int = 0, s_per_token: float = 0.0) -> None:
    """One streamed answer, from dispatch to end."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(ttft_s)
    lease.first_token()
    clock.sleep(max(0, tokens - 1) * s_per_token)
    lease.succeed(output_tokens=tokens)


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


# Leases.


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


# Availability.


def test_one_failure_costs_a_little(book: HealthBook) -> None:
    """One failure in a quiet minute takes off about a tenth, three about a quarter."""
    fail(book, 1)
    assert look(book).availability == pytest.approx(8 / 9)
    fail(book, 2)
    assert look(book).availability == pytest.approx(8 / 11)
    assert look(book).state == "closed"


def test_availability_is_a_smoothed_share(book: HealthBook) -> None:
    """(ok + 8) / (verdicts + 8) of the last minute."""
    for _ in range(10):
        succeed(book, 3)
        fail(book, 1)
    succeed(book, 1)
    assert look(book).availability == pytest.approx((31 + 8) / (41 + 8))


def test_a_row_of_failures_shows_under_traffic(book: HealthBook) -> None:
    """Three failures in a row demote a model also when the minute saw a thousand successes."""
    succeed(book, 1_000)
    fail(book, 1)
    assert look(book).availability > 0.99
    fail(book, 2)
    assert look(book).availability == pytest.approx(8 / 10)
    succeed(book, 1)
    assert look(book).availability == pytest.approx(14 / 16)
    succeed(book, 15)
    assert look(book).availability > 0.99


def test_success_is_not_assumed_of_what_is_under_way(book: HealthBook, clock: HandClock) -> None:
    """Requests in flight count neither for nor against, until they are late."""
    fail(book, 2)
    before = look(book).availability
    for _ in range(50):
        book.begin("m")
    clock.sleep(5)
    assert look(book).availability == before


def test_a_bad_name_fades(book: HealthBook, clock: HandClock) -> None:
    """Ten seconds after the last failure it weighs less and less, also when the model is avoided and never used."""
    fail(book, 4)
    before = look(book).availability
    clock.sleep(10)
    assert look(book).availability == before
    clock.sleep(10)
    assert look(book).availability > 0.9
    clock.sleep(20)
    assert look(book).availability > 0.99


def test_a_bad_name_does_not_fade_while_it_fails(book: HealthBook, clock: HandClock) -> None:
    """While failures go on, neither the minute nor the last sixteen verdicts are forgiven."""
    for _ in range(10):
        succeed(book, 2)
        fail(book, 1)
        clock.sleep(5)
    assert look(book).availability == pytest.approx(1 - 5 / 16)
    assert look(book).availability < (20 + 8) / (30 + 8)


def test_failures_leave_after_a_minute(book: HealthBook, clock: HandClock) -> None:
    """A failure is out of the window after a minute."""
    fail(book, 1)
    clock.sleep(61)
    assert look(book).availability == 1.0


# Providers that hang.


def used(book: HealthBook, clock: HandClock) -> None:
    """A minute of answers with half a second to the first token."""
    for _ in range(100):
        streamed(book, clock, 0.5, 20, 0.01)


def test_a_silent_request_demotes(book: HealthBook, clock: HandClock) -> None:
    """When nothing newer shows a sign of life, requests that wait far longer than is usual count like failures."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(4)]
    clock.sleep(4)
    assert look(book).availability == 1.0
    clock.sleep(3)
    assert look(book).availability < 0.8
    shown = book.snapshot()["m"]
    assert (shown["late"], shown["silent"], shown["failed"], shown["state"]) == (4, 4, 0, "closed")
    for lease in hung:
        lease.succeed()
    assert look(book).availability == 1.0
    assert book.snapshot()["m"]["late"] == 0


def test_a_provider_that_hangs_trips_before_the_first_time_out(book: HealthBook, clock: HandClock) -> None:
    """Five requests in a row that fell silent open the breaker, long before any of them fails; a probe may go soon."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(5)]
    clock.sleep(7)
    assert look(book).state == "open"
    clock.sleep(5)
    assert look(book).probe_free
    book.begin("m").first_token()
    assert look(book).state == "closed"
    for lease in hung:
        lease.fail()
    assert (look(book).state, book.snapshot()["m"]["failed"]) == ("closed", 0)


def test_a_cancelled_request_is_no_longer_late(book: HealthBook, clock: HandClock) -> None:
    """What was late and ends counts neither as late nor as silent any more."""
    used(book, clock)
    hung = [book.begin("m") for _ in range(3)]
    clock.sleep(7)
    for left in (2, 1, 0):
        hung.pop().cancel()
        shown = book.snapshot()["m"]
        assert (shown["late"], shown["silent"]) == (left, left)
    assert look(book).availability == 1.0


def test_failures_and_silence_add_up(book: HealthBook, clock: HandClock) -> None:
    """Three failures and two requests that fell silent after them are five in a row."""
    used(book, clock)
    fail(book, 3)
    for _ in range(2):
        clock.sleep(0.1)
        book.begin("m")
    clock.sleep(7)
    assert look(book).state == "open"


def test_a_slow_model_is_not_down(book: HealthBook, clock: HandClock) -> None:
    """A sign of life from a request that had fallen silent closes the breaker, and teaches patience."""
    used(book, clock)
    slow = []
    for _ in range(6):
        clock.sleep(0.1)
        slow.append(book.begin("m"))
    clock.sleep(8)
    assert look(book).state == "open"
    for lease in slow[1:]:
        lease.first_token()
    assert look(book).state == "closed"
    assert look(book).ttft_s > 8.0
    for lease in slow:
        lease.succeed()
    for _ in range(6):
        book.begin("m")
    clock.sleep(12)
    assert look(book).state == "closed"


def test_one_stuck_request_is_no_sign(book: HealthBook, clock: HandClock) -> None:
    """A request that hangs while newer ones come back costs no more than one failure."""
    book.begin("m")
    for _ in range(60):
        streamed(book, clock, 0.5)
    view = look(book)
    assert book.snapshot()["m"]["late"] == 1
    assert book.snapshot()["m"]["silent"] == 0
    assert view.availability > 0.95


def test_patience_follows_what_is_usual(book: HealthBook, clock: HandClock) -> None:
    """A model whose answers take half a minute is given twice that before they are late."""
    lease = book.begin("m")
    clock.sleep(30)
    lease.succeed()
    book.begin("m")
    clock.sleep(50)
    assert (look(book).availability, book.snapshot()["m"]["late"]) == (1.0, 0)
    clock.sleep(10)
    assert book.snapshot()["m"]["late"] == 1


def test_patience_with_whole_answers(book: HealthBook, clock: HandClock) -> None:
    """Where answers are not streamed, silence means little for half a minute."""
    for _ in range(5):
        lease = book.begin("m")
        clock.sleep(1)
        lease.succeed(output_tokens=40)
    for _ in range(9):
        book.begin("m")
    clock.sleep(28)
    assert (look(book).state, book.snapshot()["m"]["late"]) == ("closed", 0)
    clock.sleep(4)
    assert look(book).state == "open"


def test_patience_with_an_unknown_model_is_a_minute(book: HealthBook, clock: HandClock) -> None:
    """Nothing is usual yet: a minute it is."""
    book.begin("m")
    clock.sleep(58)
    assert book.snapshot()["m"]["late"] == 0
    clock.sleep(4)
    assert book.snapshot()["m"]["late"] == 1


def test_streaming_requests_are_not_late(book: HealthBook, clock: HandClock) -> None:
    """Once its first token came, a request may take as long as it likes."""
    lease = book.begin("m")
    clock.sleep(70)
    assert book.snapshot()["m"]["late"] == 1
    lease.first_token()
    assert book.snapshot()["m"]["late"] == 0
    clock.sleep(200)
    assert book.snapshot()["m"]["late"] == 0


def test_lost_requests_stop_being_late(book: HealthBook, clock: HandClock) -> None:
    """What has been late for a minute is taken to be lost: it no longer speaks against the model."""
    for _ in range(4):
        book.begin("m")
    clock.sleep(70)
    assert book.snapshot()["m"]["late"] == 4
    clock.sleep(60)
    assert (look(book).availability, look(book).in_flight, book.snapshot()["m"]["late"]) == (1.0, 4, 0)


# Latency.


def test_ttft_jumps_up_and_heals(book: HealthBook, clock: HandClock) -> None:
    """A slow first token shows at once; good ones after it outweigh it."""
    for _ in range(20):
        streamed(book, clock, 0.5)
    assert look(book).ttft_s == pytest.approx(0.52, abs=0.05)
    streamed(book, clock, 6.0)
    assert look(book).ttft_s == 6.0
    for _ in range(20):
        streamed(book, clock, 0.5)
    assert look(book).ttft_s < 1.0


def test_ttft_decays_towards_the_prior(book: HealthBook, clock: HandClock) -> None:
    """Without requests the estimate goes to what the catalogue expects, not to nothing."""
    streamed(book, clock, 8.0)
    readings = []
    for _ in range(20):
        readings.append(look(book).ttft_s)
        clock.sleep(30)
    assert readings == sorted(readings, reverse=True)
    assert readings[0] == 8.0
    assert readings[-1] == pytest.approx(TTFT_S, rel=0.01)


def test_ttft_shows_before_the_answer_ends(book: HealthBook, clock: HandClock) -> None:
    """The first token of a long stream counts when it comes, and once."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(4)
    lease.first_token()
    assert look(book).ttft_s == 4.0
    clock.sleep(1)
    lease.first_token()
    assert lease.ttft_s == 4.0
    clock.sleep(1)
    lease.succeed(output_tokens=100, ttft_s=99.0)
    assert look(book).ttft_s < 4.1


def test_ttft_named_at_the_end(book: HealthBook, clock: HandClock) -> None:
    """A caller that learned the first token's time elsewhere may name it with the success."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(10)
    lease.succeed(ttft_s=3.0, total_s=5.0, output_tokens=101)
    view = look(book)
    assert view.ttft_s == 3.0
    assert view.s_per_token == pytest.approx((0.01 + 0.02) / 2)


def test_rate_comes_from_long_answers(book: HealthBook, clock: HandClock) -> None:
    """From 16 tokens on the time after the first token teaches the rate; shorter answers do not."""
    streamed(book, clock, 0.5, 15, 0.5)
    assert look(book).s_per_token == S_PER_TOKEN
    for _ in range(50):
        streamed(book, clock, 0.5, 200, 0.04)
    assert look(book).s_per_token == pytest.approx(0.04, rel=0.1)


def test_an_answer_in_one_piece_teaches_no_rate(book: HealthBook, clock: HandClock) -> None:
    """A stream that was held back and came at once does not make the model look infinitely fast."""
    streamed(book, clock, 2.0, 500, 0.0)
    assert look(book).s_per_token == S_PER_TOKEN


def test_plain_answers_teach_both_latencies(book: HealthBook, clock: HandClock) -> None:
    """Without a first token, both latencies are scaled so that they explain the whole time."""
    for _ in range(30):
        lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(6.0)
        lease.succeed(output_tokens=200)
    view = look(book)
    assert view.ttft_s + 200 * view.s_per_token == pytest.approx(6.0, rel=0.05)
    assert view.ttft_s == pytest.approx(2.0, rel=0.15)


def test_plain_answers_without_a_count(book: HealthBook, clock: HandClock) -> None:
    """A whole answer in less than the expected first token lowers that; a longer one teaches nothing."""
    for total_s in (0.4, 30.0):
        lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(total_s)
        lease.succeed()
        assert look(book).ttft_s < TTFT_S
    assert look(book).s_per_token == S_PER_TOKEN


def test_latencies_without_any_prior(book: HealthBook, clock: HandClock) -> None:
    """A model that nobody described learns from its first answer on."""
    lease = book.begin("m")
    clock.sleep(3.0)
    lease.first_token()
    clock.sleep(1.98)
    lease.succeed(output_tokens=100)
    view = look(book)
    assert view.ttft_s == pytest.approx(3.0, rel=0.05)
    assert view.s_per_token == pytest.approx(0.02, rel=0.05)
    plain = book.begin("n")
    clock.sleep(5.0)
    plain.succeed(output_tokens=400)
    assert 0.05 < look(book, "n").ttft_s < 5.0


@pytest.mark.parametrize("absurd", [-5.0, float("nan"), float("inf"), 1e12])
def test_absurd_times_are_clamped(book: HealthBook, absurd: float) -> None:
    """Whatever times are named, the estimates stay within 0.05-120 s and 0.0001-5 s."""
    book.begin("m").succeed(ttft_s=absurd, total_s=absurd, output_tokens=50)
    book.begin("m").succeed(total_s=absurd, output_tokens=50)
    book.begin("m").succeed(ttft_s=1.0, total_s=absurd, output_tokens=50)
    book.record_success("m", ttft_s=absurd, total_s=absurd, output_tokens=50)
    view = look(book)
    assert 0.05 <= view.ttft_s <= 120.0
    assert 1e-4 <= view.s_per_token <= 5.0


def test_p95(book: HealthBook, clock: HandClock) -> None:
    """The 95th percentile of the first-token times of streams; plain answers are not in it."""
    for index in range(100):
        streamed(book, clock, 0.4 if index % 10 else 5.0)
    for _ in range(100):
        lease = book.begin("m")
        clock.sleep(0.1)
        lease.succeed(output_tokens=50)
    found = book.ttft_p95("m")
    assert found is not None
    assert 5.0 <= found <= 6.3
    assert book.snapshot()["m"]["ttft_p95_s"] == pytest.approx(found, abs=1e-3)


# The limit and the load.


def test_load_factor(book: HealthBook) -> None:
    """1 + in flight / limit."""
    for _ in range(5):
        book.begin("m")
    assert look(book).load_factor == 1.25


def test_429_shrinks_the_limit(book: HealthBook) -> None:
    """A 429 takes the limit x 0.7; other failures leave it."""
    fail(book, 1, status=500)
    assert look(book).limit == START_LIMIT
    fail(book, 1, status=429)
    assert look(book).limit == pytest.approx(14.0)
    book.record_failure("m", status=429)
    assert look(book).limit == pytest.approx(9.8)


def test_one_burst_of_429_shrinks_the_limit_once(book: HealthBook, clock: HandClock) -> None:
    """What was in flight when the first 429 came has the same cause and does not shrink the limit again."""
    leases = [book.begin("m") for _ in range(4)]
    clock.sleep(0.1)
    for lease in leases:
        lease.fail(status=429)
    assert look(book).limit == pytest.approx(14.0)


def test_limit_bounds(book: HealthBook, clock: HandClock) -> None:
    """The limit stays within 1..200."""
    for _ in range(40):
        book.record_failure("m", status=429)
    assert look(book).limit == 1.0
    for _ in range(600):
        leases = [book.begin("n") for _ in range(100)]
        clock.sleep(0.01)
        for lease in leases:
            lease.succeed()
    assert look(book, "n").limit == 200.0


def test_limit_grows_only_when_it_is_used(book: HealthBook) -> None:
    """A success raises the limit when twice the requests in flight reach it, not when the model idles."""
    succeed(book, 50)
    assert look(book).limit == START_LIMIT
    leases = [book.begin("m") for _ in range(10)]
    leases[0].succeed()
    assert look(book).limit == START_LIMIT + 1
    leases[1].succeed()
    assert look(book).limit == START_LIMIT + 1


# The breaker.


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


# Deployments.


def test_deployments_are_shown(book: HealthBook, clock: HandClock) -> None:
    """Each deployment that a lease names has a record of its own beside the model's."""
    for name, ttft_s in (("a", 0.5), ("b", 4.0)):
        lease = book.begin("m", name, prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(ttft_s)
        lease.first_token()
        lease.succeed(output_tokens=10)
    open_one = book.begin("m", "b")
    shown = book.snapshot()["m"]
    assert (shown["ok"], shown["in_flight"]) == (2, 1)
    assert shown["deployments"]["a"]["ttft_s"] < shown["deployments"]["b"]["ttft_s"]
    assert shown["deployments"]["b"]["in_flight"] == 1
    open_one.cancel()
    assert book.snapshot()["m"]["deployments"]["b"]["in_flight"] == 0


def test_one_dead_deployment_does_not_close_the_model(book: HealthBook) -> None:
    """While another deployment serves, LiteLLM uses that one and the model stays in use."""
    book.begin("m", "good").succeed()
    for _ in range(10):
        book.begin("m", "dead").fail(status=500)
    shown = book.snapshot()["m"]
    assert (shown["state"], shown["deployments"]["dead"]["state"]) == ("closed", "open")
    assert shown["availability"] < 0.7


def test_all_dead_deployments_open_the_model(book: HealthBook) -> None:
    """When every deployment that was used lately is open, so is the model, until the first of them may be tried."""
    book.begin("m", "a").succeed()
    book.begin("m", "b").fail(status=429, retry_after_s=200.0)
    assert look(book).state == "closed"
    book.begin("m", "a").fail(status=429, retry_after_s=50.0)
    view = look(book)
    assert view.state == "open"
    assert view.reopens_in_s == 50.0


def test_one_deployment_is_the_model(book: HealthBook) -> None:
    """With a single deployment the model's own rules hold."""
    for _ in range(5):
        book.begin("m", "only").fail(status=500)
    assert look(book).state == "open"


def test_a_deployment_long_unused_does_not_count(book: HealthBook, clock: HandClock) -> None:
    """A deployment that was taken out of the configuration stops holding the model closed after five minutes."""
    book.begin("m", "removed").succeed()
    clock.sleep(301)
    for _ in range(5):
        book.begin("m", "left").fail(status=500)
    assert look(book).state == "open"


def test_a_failure_that_names_no_deployment(book: HealthBook) -> None:
    """Such failures follow the model's own rules, whatever its deployments do."""
    for name in ("a", "b"):
        book.begin("m", name).succeed()
    fail(book, 5)
    assert look(book).state == "open"


def test_recovery_of_deployments(book: HealthBook, clock: HandClock) -> None:
    """A good probe closes the model and the deployment that served it; the other one finds back by itself."""
    for name in ("a", "b"):
        for _ in range(5):
            book.begin("m", name).fail(status=500)
    assert look(book).state == "open"
    clock.sleep(7)
    book.begin("m", "a").succeed()
    shown = book.snapshot()["m"]
    assert (shown["state"], shown["deployments"]["a"]["state"]) == ("closed", "closed")
    assert shown["deployments"]["b"]["state"] == "half_open"
    book.begin("m", "b").succeed()
    assert book.snapshot()["m"]["deployments"]["b"]["state"] == "closed"


def test_deployments_are_bounded(book: HealthBook, clock: HandClock) -> None:
    """Of more than 64 deployments the one unused for longest is forgotten."""
    for index in range(MOST_DEPLOYMENTS + 5):
        clock.sleep(0.1)
        book.begin("m", f"d{index}").succeed()
    shown = book.snapshot()["m"]["deployments"]
    assert len(shown) == MOST_DEPLOYMENTS
    assert "d0" not in shown


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


# --- slow models


def slowed(book: HealthBook, clock: HandClock) -> None:
    """A model that has just answered eight times slower than its prior."""
    lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
    clock.sleep(8 * TTFT_S)
    lease.first_token()
    clock.sleep(8 * S_PER_TOKEN * 20)
    lease.succeed(output_tokens=21)


def test_a_slow_model_is_tried_again_by_one_request_at_a_time(book: HealthBook, clock: HandClock) -> None:
    """When a slow model looks well for want of news, the first request to it makes the others wait for its word."""
    slowed(book, clock)
    slow = look(book)
    assert slow.ttft_s > 6 * TTFT_S
    clock.sleep(14.0)
    assert look(book).ttft_s < 1.5 * TTFT_S
    probe = book.begin("m")
    assert look(book).ttft_s > 4 * TTFT_S
    assert look(book).s_per_token > 3 * S_PER_TOKEN
    clock.sleep(TTFT_S)
    probe.first_token()
    assert look(book).ttft_s == pytest.approx(TTFT_S, rel=0.1)
    assert look(book).s_per_token > 3 * S_PER_TOKEN
    clock.sleep(100 * S_PER_TOKEN)
    probe.succeed(output_tokens=100)
    assert look(book).s_per_token == pytest.approx(S_PER_TOKEN, rel=0.1)


def test_a_try_that_hangs_or_is_dropped_holds_nobody_up(book: HealthBook, clock: HandClock) -> None:
    """A try without an end is none after ten seconds, and a cancelled one is none at once."""
    slowed(book, clock)
    clock.sleep(14.0)
    book.begin("m").cancel()
    assert look(book).ttft_s < 1.5 * TTFT_S
    book.begin("m")
    assert look(book).ttft_s > 4 * TTFT_S
    clock.sleep(10.1)
    assert look(book).ttft_s < 1.5 * TTFT_S


def test_what_is_stale_has_no_weight_for_others(book: HealthBook, clock: HandClock) -> None:
    """A worker that has no news of a slow model neither keeps others from it nor makes it look well to them."""
    slowed(book, clock)
    fresh = book.summary()["m"]
    clock.sleep(14.0)
    stale = book.summary()["m"]
    assert stale.ttft_s > 4 * TTFT_S
    assert stale.ttft_mass < 0.1 * fresh.ttft_mass
    book.begin("m")
    assert book.summary()["m"].ttft_mass > 0.5 * fresh.ttft_mass


def test_what_an_overtaken_attempt_took_is_a_lower_bound(book: HealthBook, clock: HandClock) -> None:
    """A cancelled attempt is no verdict and no failure; that it took long is learned, that it was short is not."""
    for _ in range(30):
        book.record_success("m", ttft_s=TTFT_S, total_s=2 * TTFT_S)
    p95 = book.ttft_p95("m")
    quick = book.begin("m")
    clock.sleep(TTFT_S / 10)
    quick.overtaken()
    assert look(book).ttft_s == pytest.approx(TTFT_S, rel=0.05)
    slow = book.begin("m")
    clock.sleep(5 * TTFT_S)
    slow.overtaken()
    slow.overtaken()
    assert look(book).ttft_s == pytest.approx(5 * TTFT_S, rel=0.05)
    assert book.ttft_p95("m") == p95
    shown = book.snapshot()["m"]
    assert (shown["sent"], shown["ok"], shown["failed"], shown["in_flight"]) == (30, 30, 0, 0)
    told = book.begin("m")
    told.first_token()
    told.overtaken()
    assert look(book).ttft_s < 5 * TTFT_S


# --- the last verdicts


def busy(book: HealthBook, clock: HandClock) -> None:
    """A good minute of twenty requests a second."""
    for _ in range(1_200):
        book.begin("m").succeed()
        clock.sleep(0.05)


def test_the_last_verdicts_show_through_a_good_minute(book: HealthBook, clock: HandClock) -> None:
    """A busy model that begins to fail every other request is demoted within a second, though its minute is good."""
    busy(book, clock)
    seen = []
    for _ in range(6):
        fail(book, 1)
        book.begin("m").succeed()
        seen.append(look(book).availability)
    assert seen[0] > 0.98
    assert seen[2] <= 1 - 2 / 16
    assert seen == sorted(seen, reverse=True)
    assert look(book).state == "closed"


def test_one_failure_in_sixteen_is_an_accident(book: HealthBook, clock: HandClock) -> None:
    """A single failure under traffic costs next to nothing, and sixteen good verdicts clear the memory."""
    busy(book, clock)
    fail(book, 1)
    assert look(book).availability > 0.99
    fail(book, 2)
    assert look(book).availability < 0.9
    for _ in range(16):
        book.begin("m").succeed()
    assert look(book).availability > 0.99


def test_old_failures_do_not_gang_up(book: HealthBook, clock: HandClock) -> None:
    """Where requests are few, only the failures of the last minute count."""
    for _ in range(4):
        fail(book, 1)
        clock.sleep(1.0)
        book.begin("m").succeed()
        clock.sleep(300.0)
    before = look(book).availability
    fail(book, 1)
    assert before == 1.0
    assert look(book).availability == pytest.approx(8 / 9, rel=0.01)
