"""How one model is doing: availability, what it bears, its deployments, and when it has become slow."""

from __future__ import annotations

import pytest

from ofox_middleware.health import HealthBook
from ofox_middleware.model_health import MOST_DEPLOYMENTS, START_LIMIT
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, fail, look, succeed

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


# the last verdicts


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


# slow models


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
