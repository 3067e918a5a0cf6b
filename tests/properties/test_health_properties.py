"""What holds of health whatever happens: bounded, never negative, never stuck, counted once."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ofox_middleware.cards import ModelCard
from ofox_middleware.envelope import Envelope, read_envelope
from ofox_middleware.failures import HINT_CAP_S, is_failure, retry_after_s
from ofox_middleware.fleet import FleetView, Report, weigh
from ofox_middleware.health import HealthBook
from ofox_middleware.hedging import MOST_SAVED, SHARE, Budget
from ofox_middleware.latency import DecayingMean, LatencyHistogram
from ofox_middleware.leases import Lease
from ofox_middleware.model_health import LEASE_TTL_S
from ofox_middleware.patience import LEAST_S, first_byte_s
from ofox_middleware.router import SmartRouter
from ofox_middleware.settings import Settings
from ofox_middleware.windows import BUCKET_S, BUCKETS, Window
from tests.health_tools import S_PER_TOKEN, TTFT_S, HandClock, a_book, look

quick = settings(max_examples=60, deadline=None, database=None)
long = settings(max_examples=25, stateful_step_count=60, deadline=None, database=None)

ROUNDING = 1 + 1e-9
MODELS = st.sampled_from(["a", "b", "c"])
DEPLOYMENTS = st.sampled_from([None, None, "d1", "d2"])
STATUSES = st.sampled_from([None, 401, 408, 429, 429, 500, 503])
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
TIMES = st.none() | st.floats(0.0, 50.0) | ANY_FLOAT
COUNTS = st.integers(-(10**12), 10**12)
REPORTS = st.builds(Report, COUNTS, COUNTS, *[ANY_FLOAT] * 9, COUNTS, ANY_FLOAT)
LIKELY_REPORTS = st.builds(
    Report,
    ok=st.integers(0, 50),
    failed=st.integers(0, 50),
    open_s=st.floats(-1.0, 300.0),
    tripped_ago_s=st.floats(0.0, 20.0),
    ok_ago_s=st.floats(-1.0, 20.0),
    ttft_s=st.floats(0.05, 120.0),
    ttft_mass=st.floats(0.0, 50.0),
)


class Life(RuleBasedStateMachine):
    """A book under every kind of event, beside the simplest account of what is in flight."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.book = a_book(self.clock)
        self.open: list[Lease] = []

    @initialize(start=st.floats(0.0, 1e7))
    def begin_anywhere(self, start: float) -> None:
        self.clock.now = start
        self.book = a_book(self.clock)

    @rule(model=MODELS, deployment=DEPLOYMENTS, known=st.booleans())
    def dispatch(self, model: str, deployment: str | None, known: bool) -> None:
        self.open.append(self.book.begin(model, deployment, prior=(TTFT_S, S_PER_TOKEN) if known else None))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def first_token(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.open)).first_token()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), times=st.integers(1, 3), tokens=st.none() | st.integers(-5, 5_000), ttft=TIMES, total=TIMES)
    def succeed(
        self, data: st.DataObject, times: int, tokens: int | None, ttft: float | None, total: float | None
    ) -> None:
        lease = data.draw(st.sampled_from(self.open))
        for _ in range(times):
            lease.succeed(output_tokens=tokens, ttft_s=ttft, total_s=total)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), times=st.integers(1, 3), status=STATUSES, hint=st.none() | st.floats(0.0, 1e6))
    def fail(self, data: st.DataObject, times: int, status: int | None, hint: float | None) -> None:
        lease = data.draw(st.sampled_from(self.open))
        for _ in range(times):
            lease.fail(status=status, retry_after_s=hint)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.open)).cancel()

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def overtaken(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.open)).overtaken()

    @rule(model=MODELS, ttft=TIMES, total=TIMES, tokens=st.none() | st.integers(0, 5_000))
    def success_without_a_lease(self, model: str, ttft: float | None, total: float | None, tokens: int | None) -> None:
        self.book.record_success(model, ttft_s=ttft, total_s=total, output_tokens=tokens)

    @rule(model=MODELS, times=st.integers(1, 6), status=STATUSES, hint=st.none() | st.floats(0.0, 1e6))
    def failures_without_a_lease(self, model: str, times: int, status: int | None, hint: float | None) -> None:
        for _ in range(times):
            self.book.record_failure(model, status=status, retry_after_s=hint)

    @rule(
        worker=st.sampled_from(["w1", "w2", "w3"]), model=MODELS, report=REPORTS | LIKELY_REPORTS, age=st.floats(-1, 20)
    )
    def hear(self, worker: str, model: str, report: Report, age: float) -> None:
        self.book.merge(worker, {model: report}, age_s=age)

    @rule(seconds=st.floats(0.0, 5.0) | st.floats(0.0, 700.0))
    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    @invariant()
    def in_flight_never_drifts(self) -> None:
        in_flight = self.book.in_flight()
        self.open = [lease for lease in self.open if not lease.closed]
        assert in_flight == len(self.open)
        assert all(self.clock.now - lease.started < LEASE_TTL_S + 10 for lease in self.open)

    @invariant()
    def views_are_bounded(self) -> None:
        for model in "abc":
            view = look(self.book, model)
            assert 0.0 < view.availability <= 1.0, view
            assert 0.05 <= view.ttft_s * ROUNDING <= 120.0 * ROUNDING**2, view
            assert 1e-4 <= view.s_per_token * ROUNDING <= 5.0 * ROUNDING**2, view
            assert 1.0 <= view.limit <= 200.0
            assert 0.0 <= view.fleet_load <= 1.0
            assert 1.0 <= view.load_factor < math.inf
            assert 0.0 <= view.reopens_in_s <= 300.0 * ROUNDING, view
            assert (view.reopens_in_s > 0) == (view.state == "open")
            assert not (view.probe_free and view.state != "half_open")

    @invariant()
    def counts_are_not_negative(self) -> None:
        for shown in self.book.snapshot().values():
            for part in (shown, *shown.get("deployments", {}).values()):
                for count in (
                    "sent",
                    "ok",
                    "failed",
                    "late",
                    "silent",
                    "in_flight",
                    "failures_in_row",
                    "backoff_exponent",
                ):
                    assert part[count] >= 0
                assert part["silent"] <= part["late"] <= part["in_flight"]

    @invariant()
    def what_is_told_is_well_formed(self) -> None:
        raw = msgspec.json.encode(Envelope("w", 1.0, self.book.summary()))
        assert read_envelope(raw) is not None

    def teardown(self) -> None:
        """Nobody is stuck: within five minutes each model may be tried, with no bad name left, and one good try brings
        it back."""
        for lease in self.open:
            lease.cancel()
        self.clock.sleep(300.1)
        for model in "abc":
            view = look(self.book, model)
            assert view.state != "open"
            assert view.state == "closed" or view.probe_free
            assert view.availability > 0.99
            assert view.ttft_s <= TTFT_S * 1.05
            assert view.s_per_token <= S_PER_TOKEN * 2.0
            self.book.begin(model).succeed()
            assert look(self.book, model).state == "closed"
        assert self.book.in_flight() == 0


TestLife = Life.TestCase
TestLife.settings = long
TestLife.runTest.__doc__ = "Under any events in any order counts stay exact, views bounded, and nobody is stuck."


@quick
@given(
    samples=st.lists(st.tuples(st.floats(0.05, 120.0), st.floats(0.0, 200.0)), min_size=1, max_size=30),
    prior=st.floats(0.06, 100.0),
    peak=st.booleans(),
)
def test_no_bad_name_is_for_ever(samples: list[tuple[float, float]], prior: float, peak: bool) -> None:
    """Whatever was measured, after the longest pause without an answer a model looks as the catalogue says again,
    it comes there without a step back, and a good answer then counts."""
    mean, now = DecayingMean(60.0, 0.05, 120.0, peak=peak), 0.0
    for sample, gap in samples:
        now += gap
        mean.add(sample, now, prior)
    bad = mean.read(now, prior)
    since = [mean.read(now + second, prior) for second in range(160)]
    assert all(later <= sooner * ROUNDING for sooner, later in itertools.pairwise(since)) or bad < prior
    assert mean.read(now + 140.0, prior) <= max(prior * 1.01, bad)
    assert mean.read(now + 140.0, prior) <= prior * 1.01 or bad <= prior
    assert 0.0 <= mean.mass_at(now + 140.0, prior) <= mean.mass_at(now + 140.0, prior, tried=True) * ROUNDING
    mean.add(prior, now + 140.0, prior)
    assert mean.read(now + 140.0, prior) <= prior * 1.01 or bad <= prior


@quick
@given(
    reports=st.lists(st.tuples(st.floats(0.1, 3.0), LIKELY_REPORTS | REPORTS), min_size=1, max_size=40),
    own_trips=st.booleans(),
    seed=st.integers(0, 100),
)
def test_talk_alone_keeps_nobody_away(reports: list[tuple[float, Report]], own_trips: bool, seed: int) -> None:
    """Whatever others keep on saying, within six minutes this worker gets to try for itself."""
    clock = HandClock()
    book = a_book(clock, seed)
    if own_trips:
        for _ in range(5):
            book.record_failure("m")
    tried = look(book).state != "open"
    for turn in range(400):
        pause, report = reports[turn % len(reports)]
        clock.sleep(pause)
        book.merge(f"w{turn % 3}", {"m": report}, age_s=0.0)
        tried = tried or look(book).state != "open"
        if clock.now > 1_360.0:
            break
    assert tried or clock.now <= 1_360.0


EVENTS = st.lists(st.sampled_from("sfct.T"), max_size=40)


def play(events: list[str]) -> tuple[HealthBook, HandClock]:
    clock = HandClock()
    book = a_book(clock)
    for event in events:
        if event in ".T":
            clock.sleep(0.5 if event == "." else 7.0)
            continue
        lease = book.begin("m", prior=(TTFT_S, S_PER_TOKEN))
        if event == "s":
            lease.succeed()
        elif event == "c":
            lease.cancel()
        else:
            lease.fail(status=500 if event == "f" else 429)
    return book, clock


@quick
@given(events=EVENTS)
def test_a_failure_never_helps(events: list[str]) -> None:
    """One more failure never makes a model look more available, nor closes it."""
    book, _ = play(events)
    before = look(book)
    book.begin("m").fail(status=500)
    after = look(book)
    assert after.availability <= before.availability
    assert not (after.state == "closed" and before.state != "closed")


@quick
@given(events=EVENTS)
def test_a_success_never_harms(events: list[str]) -> None:
    """One more success never makes a model look less available, nor opens it."""
    book, _ = play(events)
    before = look(book)
    book.begin("m").succeed(total_s=1.0)
    after = look(book)
    assert after.availability >= before.availability - 1e-12
    assert not (after.state != "closed" and before.state == "closed")


@quick
@given(events=EVENTS, more=st.integers(1, 300))
def test_load_rises_with_what_is_in_flight(events: list[str], more: int) -> None:
    """More requests in flight never make a model look quicker."""
    book, _ = play(events)
    before = look(book)
    for _ in range(more):
        book.begin("m")
    assert look(book).load_factor > before.load_factor or before.state == "half_open"


@quick
@given(events=EVENTS)
def test_a_cancelled_request_leaves_no_trace(events: list[str]) -> None:
    """A request that ended without a verdict changes nothing that is seen."""
    book, _ = play(events)
    before = look(book)
    book.begin("m").cancel()
    assert look(book) == before


ENDS: dict[str, Callable[[Lease], Any]] = {
    "succeed": lambda lease: lease.succeed(output_tokens=50, total_s=2.0),
    "fail": lambda lease: lease.fail(status=429, retry_after_s=9.0),
    "cancel": lambda lease: lease.cancel(),
    "first": lambda lease: lease.first_token(),
}


@quick
@given(
    before=EVENTS, deployment=DEPLOYMENTS, first=st.sampled_from(["succeed", "fail", "cancel"]),
    then=st.lists(st.sampled_from(sorted(ENDS)), max_size=6),
)  # fmt: skip
def test_leases_close_exactly_once(before: list[str], deployment: str | None, first: str, then: list[str]) -> None:
    """The first end counts; any calls after it leave everything as it is."""
    book, _ = play(before)
    lease = book.begin("m", deployment)
    ENDS[first](lease)
    after = book.snapshot()
    for name in then:
        ENDS[name](lease)
    assert book.snapshot() == after
    assert book.in_flight() == 0


@quick
@given(steps=st.lists(st.tuples(st.floats(0.0, 30.0), st.sampled_from("sof")), max_size=80), start=st.floats(0.0, 1e6))
def test_window_counts_like_a_list(steps: list[tuple[float, str]], start: float) -> None:
    """The window's counts are those of a plain list of events, cut off at the tenth bucket."""
    window, now = Window(start), start
    events: list[tuple[float, str]] = []
    for pause, kind in steps:
        now += pause
        window.advance(now)
        {"s": window.count_sent, "o": window.count_ok, "f": window.count_failed}[kind]()
        events.append((now, kind))
        first = now // BUCKET_S - BUCKETS + 1
        kept = [what for at, what in events if at // BUCKET_S >= first]
        assert (window.sent, window.ok, window.failed) == (kept.count("s"), kept.count("o"), kept.count("f"))


@quick
@given(
    samples=st.lists(st.tuples(st.floats(0.0, 200.0), st.floats(0.01, 300.0)), min_size=1, max_size=40),
    prior=st.floats(0.05, 120.0),
    peak=st.booleans(),
)
def test_mean_stays_between_what_it_saw(samples: list[tuple[float, float]], prior: float, peak: bool) -> None:
    """A mean never leaves the range of its samples and its prior, and idling brings it closer to the prior."""
    mean, now = DecayingMean(60.0, 0.05, 120.0, peak=peak), 0.0
    for pause, sample in samples:
        now += pause
        mean.add(sample, now, prior)
    clamped = [min(max(sample, 0.05), 120.0) for _, sample in samples]
    low, high = min(*clamped, prior), max(*clamped, prior)
    value, later = mean.read(now, prior), mean.read(now + 100.0, prior)
    assert low * 0.999 <= value <= high * 1.001
    assert abs(math.log(later / prior)) <= abs(math.log(value / prior)) + 1e-9


@quick
@given(
    samples=st.lists(st.floats(0.05, 100.0), max_size=20),
    smaller=st.floats(0.05, 100.0),
    larger=st.floats(0.05, 100.0),
    peak=st.booleans(),
)
def test_mean_is_monotone_in_its_sample(samples: list[float], smaller: float, larger: float, peak: bool) -> None:
    """A larger sample never gives a smaller mean."""
    smaller, larger = sorted((smaller, larger))
    readings = []
    for last in (smaller, larger):
        mean = DecayingMean(60.0, 0.05, 120.0, peak=peak)
        for tick, sample in enumerate([*samples, last]):
            mean.add(sample, float(tick), 1.0)
        readings.append(mean.read(float(len(samples)), 1.0))
    assert readings[0] <= readings[1] * (1 + 1e-12)


@quick
@given(samples=st.lists(st.floats(0.0, 500.0), min_size=20, max_size=300), share=st.floats(0.0, 1.0))
def test_quantile_covers_its_share(samples: list[float], share: float) -> None:
    """At least the asked share of the samples lies under a quantile, up to the end of the scale."""
    histogram = LatencyHistogram(0.0)
    for sample in samples:
        histogram.add(sample, 0.0)
    found = histogram.quantile(share, 0.0)
    assert found is not None
    covered = sum(min(sample, 120.0) <= found * (1 + 1e-9) for sample in samples)
    assert covered >= share * len(samples) - 1e-6


@quick
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(["w1", "w2", "w3", "w4"]), st.none() | REPORTS | LIKELY_REPORTS), max_size=40
    )
)
def test_fleet_sums_do_not_drift(changes: list[tuple[str, Report | None]]) -> None:
    """Adding and taking away in any order gives what adding up afresh gives."""
    fleet = FleetView()
    kept: dict[str, Report] = {}
    for worker, report in changes:
        if report is None:
            fleet.drop(worker)
            kept.pop(worker, None)
        else:
            fleet.put(worker, weigh(report, 100.0, 1.0), 115.0)
            kept[worker] = report
    fresh = FleetView()
    for worker, report in kept.items():
        fresh.put(worker, weigh(report, 100.0, 1.0), 115.0)
    assert fleet.workers == fresh.workers
    assert sorted(fleet.opened()) == sorted(fresh.opened())
    for one, other in (
        (fleet.verdicts(), fresh.verdicts()),
        ((fleet.mean_load, fleet.blend_ttft(1.0, 1.0, 1.0)), (fresh.mean_load, fresh.blend_ttft(1.0, 1.0, 1.0))),
    ):
        assert all(
            math.isclose(left, right, abs_tol=1e-6, rel_tol=1e-6) for left, right in zip(one, other, strict=True)
        )


@quick
@given(value=st.text() | st.binary() | st.integers() | ANY_FLOAT | st.none() | st.dictionaries(st.text(), st.text()))
def test_retry_after_never_raises(value: Any) -> None:
    """Any header value gives 0..300 seconds or nothing."""
    for source in (value, {"retry-after": value}, [("Retry-After", value)], {"retry-after-ms": value}):
        found = retry_after_s(source)
        assert found is None or 0.0 <= found <= HINT_CAP_S


@quick
@given(status=st.none() | st.integers(-1_000, 1_000), message=st.text())
def test_is_failure_always_answers(status: int | None, message: str) -> None:
    """Any status and text get an answer, and no text makes a failure of anything but a 400."""
    assert is_failure(status, message) in {True, False}
    if status != 400:
        assert is_failure(status, message) == is_failure(status)


@quick
@given(
    raw=st.binary(max_size=300) | st.recursive(st.none() | st.booleans() | ANY_FLOAT | st.text(), st.lists).map(repr)
)
def test_reading_the_cache_never_raises(raw: Any) -> None:
    """Whatever is in the cache, it is an envelope or nothing."""
    assert read_envelope(raw) is None or isinstance(read_envelope(raw), Envelope)


@quick
@given(models=st.dictionaries(st.text(max_size=400), REPORTS, max_size=5), age=ANY_FLOAT, seed=st.integers(0, 9))
def test_merging_never_raises(models: dict[str, Report], age: float, seed: int) -> None:
    """Any numbers of the right types are taken in without an error, and views stay finite."""
    book = HealthBook(clock=HandClock(), rng=random.Random(seed))
    book.merge("w", models, age_s=age)
    for name in models:
        view = look(book, name)
        assert all(
            math.isfinite(value) for value in (view.ttft_s, view.s_per_token, view.availability, view.load_factor)
        )


@quick
@given(steps=st.lists(st.booleans() | st.integers(1, 200), max_size=200))
def test_hedges_never_exceed_their_share(steps: list[bool | int]) -> None:
    """At no moment have more than 5% of the requests so far been asked twice, in whatever order they came and went."""
    budget = Budget()
    earned = spent = 0
    for step in steps:
        if isinstance(step, bool):
            spent += budget.spend()
        else:
            earned += step
            for _ in range(step):
                budget.earn()
        assert spent <= SHARE * earned + 1e-6
        assert 0.0 <= budget.saved <= MOST_SAVED


@quick
@given(events=st.lists(st.sampled_from(["ok", "429", "500"]), max_size=80), more=st.integers(1, 5))
def test_a_refusal_never_raises_the_limit(events: list[str], more: int) -> None:
    """After the same history, further 429s leave no higher limit, and it stays between 1 and 200."""
    clock = HandClock()
    books = [a_book(clock), a_book(clock)]
    for event in events:
        clock.sleep(0.5)
        for book in books:
            lease = book.begin("m")
            if event == "ok":
                lease.succeed()
            else:
                lease.fail(status=int(event))
    for _ in range(more):
        clock.sleep(0.5)
        books[1].begin("m").fail(status=429)
    limits = [look(book).limit for book in books]
    assert 1.0 <= limits[1] <= limits[0] <= 200.0


@quick
@given(
    ttfts=st.lists(st.floats(0.0, 150.0), max_size=60),
    slower=st.floats(0.1, 100.0),
    stream=st.booleans(),
    length=st.none() | st.integers(1, 10_000),
)
def test_patience_is_bounded_and_grows_with_slowness(
    ttfts: list[float], slower: float, stream: bool, length: int | None
) -> None:
    """However quick a model was, it gets two seconds; one slow answer more never makes the patience shorter."""
    clock = HandClock()
    health = a_book(clock)
    router = SmartRouter(Settings(models=[ModelCard(name="m", ttft_s=0.4, tokens_per_s=100)]), health=health)
    decision = router.decide({"messages": [{"role": "user", "content": "Say hi."}]})
    fields = {"stream": stream, "max_tokens": length}
    waits = []
    for more in (ttfts, [max([slower, *ttfts])]):
        for ttft_s in more:
            health.record_success("m", ttft_s=ttft_s, total_s=ttft_s + 1.0, output_tokens=100)
        waits.append(first_byte_s(health, decision.targets["m"], decision, fields))
    if not stream and length is None:
        assert waits == [None, None]
        return
    before, after = waits
    assert before is not None
    assert after is not None
    # The limits of the two latencies, 120 s and 5 s a token, times the slack.
    assert LEAST_S <= before <= 9 * 120.0 + 3 * 5.0 * (length or 0) + 1.0
    # Between too few answers and enough, a percentile takes the place of a threefold guess.
    assert after >= before * (1 / ROUNDING) or len(ttfts) < LatencyHistogram.ENOUGH
