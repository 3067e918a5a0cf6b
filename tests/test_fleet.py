"""What other workers' words are worth: bounded, clamped, forgotten."""

from __future__ import annotations

import math

import pytest

from ofox_middleware.fleet import FleetView, Report, Share, fade, weigh
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, a_book, fail, look, succeed, trip, wait_for_probe

NAN, INF = math.nan, math.inf


def fleet_of(*reports: Report) -> FleetView:
    fleet = FleetView()
    for index, report in enumerate(reports):
        fleet.put(f"w{index}", weigh(report, 100.0, 0.0), 115.0)
    return fleet


def test_one_worker_counts_four_verdicts() -> None:
    """However many requests a worker had, its verdicts count as four, in their proportion."""
    assert fleet_of(Report(ok=600, failed=200)).verdicts() == (3.0, 4.0)
    assert fleet_of(Report(ok=1, failed=1)).verdicts() == (1.0, 2.0)
    assert fleet_of(Report()).verdicts() == (0.0, 0.0)


def test_all_workers_count_twelve_verdicts() -> None:
    """A hundred workers' verdicts count as twelve."""
    ok, done = fleet_of(*[Report(ok=300, failed=100)] * 100).verdicts()
    assert (ok, done) == (pytest.approx(9.0), 12.0)


def test_what_was_removed_is_gone() -> None:
    """Adding and removing leaves nothing behind, in any order."""
    fleet = fleet_of(Report(ok=3, failed=1, ttft_s=7.0, ttft_mass=2.0), Report(ok=1), Report(failed=5, open_s=9.0))
    assert fleet.workers == 3
    for name in ("w2", "w0", "w1", "w1", "stranger"):
        fleet.drop(name)
    assert fleet.workers == 0
    assert fleet.verdicts() == (0.0, 0.0)
    assert fleet.opened() == []
    assert fleet.mean_load == 0.0
    assert fleet.blend_ttft(1.0, 0.0, 1.0) == 1.0


def test_a_report_replaces_the_one_before() -> None:
    """A worker is counted once."""
    fleet = fleet_of(Report(failed=4))
    fleet.put("w0", weigh(Report(ok=4), 100.0, 0.0), 115.0)
    assert (fleet.workers, fleet.verdicts()) == (1, (4.0, 4.0))


def test_latencies_are_weighed_by_samples() -> None:
    """Ours counts as its samples and one, theirs as theirs, on a scale of ratios."""
    fleet = fleet_of(Report(ttft_s=4.0, ttft_mass=3.0))
    assert fleet.blend_ttft(1.0, 2.0, 1.0) == pytest.approx(4.0 ** (3 / 6))
    assert fleet.blend_ttft(1.0, 300.0, 1.0) == pytest.approx(1.0, rel=0.02)
    assert fleet.blend_s_per_token(0.01, 0.0, 0.01) == 0.01


def test_a_far_off_latency_is_held_back() -> None:
    """A latency more than ten times the prior, or less than a tenth of it, counts as ten times or a tenth."""
    slow, fast = (fleet_of(Report(ttft_s=value, ttft_mass=3.0)) for value in (120.0, 0.05))
    assert slow.blend_ttft(1.0, 0.0, 1.0) == pytest.approx(10.0**0.75)
    assert fast.blend_ttft(1.0, 0.0, 1.0) == pytest.approx(0.1**0.75)


def test_load_is_a_bounded_mean() -> None:
    """Each worker's load is at most 1, and the mean is over workers."""
    assert fleet_of(Report(in_flight=10, limit=20.0), Report(in_flight=900, limit=2.0)).mean_load == 0.75


@pytest.mark.parametrize(
    "report",
    [
        Report(-5, -5, *[NAN] * 9, -3, NAN),
        Report(10**9, 10**9, *[INF] * 9, 10**12, 0.0),
        Report(0, 0, -INF, 1e-300, -INF, -INF, 0.0, -1.0, -1.0, -1.0, -1.0, 0, -5.0),
    ],
)
def test_absurd_numbers_are_clamped(report: Report) -> None:
    """Numbers that make no sense come out finite and within bounds."""
    share = weigh(report, 100.0, 0.0)
    assert all(math.isfinite(value) for value in share[:7])
    assert 0 <= share.ok <= share.done <= 4
    assert 0 <= share.load <= 1
    assert share.last_ok <= 100.0
    if share.opened is not None:
        assert share.opened[0] <= 100.0
        assert share.opened[1] <= 400.0


def test_times_are_moved_to_our_clock() -> None:
    """Ages in a report are taken from when it was made."""
    share = weigh(Report(open_s=8.0, tripped_ago_s=2.0, ok_ago_s=3.0), 100.0, 1.5)
    assert share.opened == (96.5, 106.5)
    assert share.last_ok == 95.5
    assert weigh(Report(), 100.0, 0.0).last_ok == -INF


def test_fade() -> None:
    """A bad name holds for ten seconds after the last failure, then goes."""
    assert fade(0.0) == fade(10.0) == 1.0
    assert fade(15.0) == pytest.approx(math.exp(-1))
    assert fade(INF) == 0.0


def test_old_failures_fade() -> None:
    """A worker whose last failure is long ago has little bad to say."""
    assert weigh(Report(failed=9, failed_ago_s=20.0), 100.0, 0.0).done == pytest.approx(4 * math.exp(-2))


def test_share_is_hashable_and_plain() -> None:
    """A share is a plain tuple, so it cannot change between adding and removing."""
    assert isinstance(hash(weigh(Report(), 0.0, 0.0)), int)
    assert isinstance(weigh(Report(), 0.0, 0.0), Share)


# Books that tell each other.


def test_summary_and_merge() -> None:
    """What one book saw moves another book's view of availability and latency."""
    clock = HandClock()
    one, other = a_book(clock), a_book(clock)
    for _ in range(3):
        lease = one.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        clock.sleep(3.0)
        lease.first_token()
        clock.sleep(2.0)
        lease.succeed(output_tokens=101)
    fail(one, 2)
    before = look(other)
    other.merge("one", one.summary(), age_s=0.5)
    after = look(other)
    assert after.availability < before.availability
    assert before.ttft_s < after.ttft_s < 3.0
    assert before.s_per_token < after.s_per_token < 0.02
    assert after.in_flight == 0
    assert other.workers() == 1


def test_reports_expire() -> None:
    """A worker that falls silent is forgotten after 15 s, also when nothing is merged any more."""
    clock = HandClock()
    one, other = a_book(clock), a_book(clock)
    fail(one, 4)
    other.merge("one", one.summary(), age_s=5.0)
    assert look(other).availability < 1.0
    clock.sleep(9.9)
    assert look(other).availability < 1.0
    clock.sleep(0.2)
    assert look(other).availability == 1.0
    assert other.workers() == 0
    assert other.snapshot()["m"]["other_workers"] == 0


def test_too_old_on_arrival() -> None:
    """A report that is 15 s old when it comes is not taken in."""
    book = a_book(HandClock())
    book.merge("w", {"m": Report(failed=9)}, age_s=15.0)
    assert (book.workers(), book.snapshot()) == (0, {})


def test_a_model_left_out_is_forgotten() -> None:
    """What a worker no longer reports no longer counts."""
    book = a_book(HandClock())
    book.merge("w", {"m": Report(failed=9), "n": Report(failed=9)}, age_s=0.0)
    book.merge("w", {"n": Report(failed=9)}, age_s=0.0)
    assert (look(book, "m").availability, look(book, "n").availability < 1.0) == (1.0, True)


def test_in_flight_stays_our_own() -> None:
    """Others' requests in flight are never taken for ours; they feed the load factor, within bounds."""
    book = a_book(HandClock())
    book.merge("w", {"m": Report(in_flight=500, limit=20.0)}, age_s=0.0)
    view = look(book)
    assert (view.in_flight, view.fleet_load, view.load_factor, book.in_flight()) == (0, 1.0, 2.0, 0)


def test_one_liar_moves_little() -> None:
    """One worker that slanders a model cannot make it look worse than by bounded factors."""
    clock = HandClock()
    book = a_book(clock)
    slander = Report(
        failed=10**6, ttft_s=1e9, ttft_mass=1e9, s_per_token=1e9, s_per_token_mass=1e9, in_flight=10**6, limit=1.0
    )
    book.merge("liar", {"m": slander}, age_s=0.0)
    view = look(book)
    assert view.state == "closed"
    assert view.availability >= 0.66
    assert view.ttft_s <= 6.0
    succeed(book, 50)
    assert look(book).availability > 0.9


def test_workers_and_models_are_bounded() -> None:
    """At most 64 workers are listened to, 256 models of each, and no name longer than 256 characters."""
    book = a_book(HandClock())
    book.merge("big", {f"m{index}": Report() for index in range(1_000)} | {"x" * 300: Report()}, age_s=0.0)
    assert len(book.snapshot()) == 256
    for index in range(100):
        book.merge(f"w{index}", {"m": Report(failed=9)}, age_s=0.0)
    assert book.workers() == 64
    long_names = a_book(HandClock())
    long_names.merge("w", {"x" * 300: Report()}, age_s=0.0)
    assert long_names.snapshot() == {}


def test_hearsay_is_not_passed_on() -> None:
    """A worker reports only what it saw itself, so talk cannot go round in circles."""
    clock = HandClock()
    one, other = a_book(clock), a_book(clock)
    trip(one)
    other.merge("one", one.summary(), age_s=0.0)
    assert look(other).state == "open"
    assert other.snapshot()["m"]["opened_by_others"]
    assert other.summary() == {}


def test_four_workers_avoid_a_failing_model_within_a_round() -> None:
    """When one worker trips, each of the others leaves the model alone as soon as it hears of it."""
    clock = HandClock()
    books = [a_book(clock, seed) for seed in range(4)]
    for book in books:
        succeed(book, 20)
    clock.sleep(1.0)
    trip(books[0])
    clock.sleep(1.0)
    for book in books[1:]:
        book.merge("first", books[0].summary(), age_s=0.0)
        assert look(book).state == "open"


def test_a_failure_of_our_own_confirms_hearsay() -> None:
    """One failure here, while open on the others' word, makes it our own trip."""
    clock = HandClock()
    book = a_book(clock)
    under_way = book.begin("m")
    book.merge("w", {"m": Report(open_s=20.0, tripped_ago_s=1.0, failed=5)}, age_s=0.0)
    under_way.fail(status=503)
    shown = book.snapshot()["m"]
    assert (shown["state"], shown["opened_by_others"], shown["backoff_exponent"]) == ("open", False, 1)
    assert book.summary()["m"].open_s > 0


def test_our_own_probe_disproves_hearsay() -> None:
    """A probe that goes well ends what others said, and they are not believed again at once."""
    clock = HandClock()
    book = a_book(clock)
    report = Report(open_s=200.0, tripped_ago_s=0.5, failed=5)
    book.merge("w", {"m": report}, age_s=0.0)
    wait_for_probe(book, clock)
    book.begin("m").succeed()
    assert look(book).state == "closed"
    clock.sleep(2.0)
    book.merge("w", {"m": report}, age_s=0.0)
    assert look(book).state == "closed"


def test_quiet_models_are_not_reported() -> None:
    """A model that nobody used for a minute is left out, unless its breaker is open."""
    clock = HandClock()
    book = a_book(clock)
    succeed(book, 1, "idle")
    book.begin("down").fail(status=429, retry_after_s=300.0)
    book.begin("busy")
    clock.sleep(100.0)
    assert set(book.summary()) == {"down", "busy"}


def test_summary_is_bounded() -> None:
    """At most 256 models are reported, those used last, and none with a name too long to be accepted."""
    clock = HandClock()
    book = a_book(clock)
    for index in range(400):
        clock.sleep(0.01)
        succeed(book, 1, f"m{index}")
    succeed(book, 1, "x" * 300)
    summary = book.summary()
    assert len(summary) == 256
    assert "m399" in summary
    assert "m0" not in summary


def test_forgotten_models_do_not_upset_a_merge() -> None:
    """A worker's old report on a model that was forgotten meanwhile is dropped without harm."""
    clock = HandClock()
    book = a_book(clock)
    book.merge("w", {"m": Report(failed=9)}, age_s=0.0)
    for index in range(5_000):
        clock.sleep(0.001)
        book.begin(f"x{index}").succeed()
    assert "m" not in book.snapshot()
    book.merge("w", {}, age_s=0.0)
    assert book.workers() == 1
