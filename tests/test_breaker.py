"""When a breaker trips, how long it stays open, how it comes back, and what hearsay may do to it."""

from __future__ import annotations

import itertools
import random

import pytest

from ofox_middleware import breaker as rules
from ofox_middleware.breaker import Breaker


def a_breaker(seed: int = 1) -> Breaker:
    return Breaker(random.Random(seed))


def tripped(now: float = 0.0, hint_s: float = 0.0) -> Breaker:
    breaker = a_breaker()
    breaker.trip(now, hint_s)
    return breaker


def wait(breaker: Breaker, now: float) -> float:
    assert breaker.until is not None
    return breaker.until - now


def test_state_follows_the_clock() -> None:
    """closed, then open, then half-open as time passes, with nothing running in between."""
    breaker = a_breaker()
    assert breaker.state(0.0) == "closed"
    breaker.trip(0.0)
    assert breaker.state(3.9) == "open"
    assert breaker.state(6.1) == "half_open"


@pytest.mark.parametrize(
    ("ok", "failed", "due"), [(0, 9, False), (4, 6, True), (5, 5, False), (0, 10, True), (900, 0, False)]
)
def test_due_by_share(ok: int, failed: int, due: bool) -> None:
    """Under half of ten or more verdicts well is due; exactly half is not, nor are fewer than ten."""
    assert a_breaker().due(ok, failed) is due


def test_due_by_row() -> None:
    """Five failures in a row are due, however many successes the window holds."""
    breaker = a_breaker()
    for _ in range(4):
        breaker.count_failure(1.0)
    assert not breaker.due(1_000, 4)
    breaker.count_failure(1.0)
    assert breaker.due(1_000, 5)


def test_due_by_silence() -> None:
    """Requests that fell silent after a row of failures lengthen it."""
    breaker = a_breaker()
    breaker.count_failure(1.0)
    assert not breaker.due(0, 0, silent=3)
    assert breaker.due(0, 0, silent=4)


def test_a_success_ends_the_row() -> None:
    """A success dispatched after the first failure of the row ends it."""
    breaker = a_breaker()
    breaker.count_failure(1.0)
    breaker.count_success(1.0)
    assert breaker.row == 0


def test_an_old_success_does_not_end_the_row() -> None:
    """A long answer that was under way when the provider went down says nothing about now."""
    breaker = a_breaker()
    for _ in range(4):
        breaker.count_failure(10.0)
    breaker.count_success(2.0)
    assert breaker.row == 4


def test_waits_double_once_the_outage_is_long() -> None:
    """After five minutes waits are 5 s x 2^(n-1), give or take a fifth, up to 300 s."""
    breaker = tripped()
    for n in range(2, 12):
        now = 400.0 * n
        breaker.trip(now)
        base = min(300.0, 5.0 * 2 ** (n - 1))
        assert 0.8 * base <= wait(breaker, now) <= min(300.0, 1.2 * base)


def test_waits_are_short_in_a_fresh_outage() -> None:
    """In the first five minutes no wait is longer than 9.6 s, so that a short outage ends with a quick return."""
    breaker, now = a_breaker(), 0.0
    waits = []
    while now < rules.FRESH_OUTAGE_S:
        breaker.trip(now)
        waits.append(wait(breaker, now))
        now += waits[-1]
    assert 4.0 <= waits[0] <= 6.0
    assert all(6.4 <= later <= 9.6 for later in waits[1:])


def test_a_flapping_model_is_one_outage() -> None:
    """A model that closes and trips again within a minute is in the same outage: its waits grow in the end."""
    breaker = a_breaker()
    for now in range(0, 600, 20):
        breaker.trip(float(now))
        breaker.close(now + 15.0, now + 15.0)
    breaker.trip(600.0)
    assert wait(breaker, 600.0) > 200.0


@pytest.mark.parametrize(("hint", "least", "most"), [(60.0, 60.0, 60.0), (1.0, 4.0, 6.0), (9_999.0, 300.0, 300.0)])
def test_retry_after_wins_when_longer(hint: float, least: float, most: float) -> None:
    """A ``Retry-After`` stretches the wait, never shortens it, and never beyond 300 s."""
    assert least <= wait(tripped(0.0, hint), 0.0) <= most


def test_extend() -> None:
    """A longer ``Retry-After`` that comes in while open moves the end; a shorter one does not, nor does one at rest."""
    breaker = tripped()
    breaker.extend(1.0, 100.0)
    assert breaker.until == 101.0
    breaker.extend(2.0, 1.0)
    breaker.extend(2.0, 0.0)
    assert breaker.until == 101.0
    breaker.extend(2.0, 1e9)
    assert breaker.until == 302.0
    rest = a_breaker()
    rest.extend(0.0, 50.0)
    assert rest.until is None


def test_jitter_differs_between_workers() -> None:
    """Workers do not probe at the same moment, and a seed repeats a run."""
    waits = set()
    for seed in range(20):
        breaker = a_breaker(seed)
        breaker.trip(0.0)
        waits.add(wait(breaker, 0.0))
    assert len(waits) == 20
    assert tripped().until == tripped().until


def test_exponent_falls_by_the_clean_minute() -> None:
    """n falls by one for each minute closed without a trip, not while open, and not below 0."""
    breaker = a_breaker()
    for _ in range(4):
        breaker.trip(0.0)
    breaker.settle(1_000.0)
    assert breaker.exponent == 4
    breaker.close(1_000.0, 1_000.0)
    breaker.settle(1_059.0)
    assert breaker.exponent == 4
    breaker.settle(1_061.0)
    assert breaker.exponent == 3
    breaker.settle(1_125.0)
    assert breaker.exponent == 2
    breaker.settle(9_999.0)
    assert breaker.exponent == 0
    breaker.settle(19_999.0)
    assert breaker.exponent == 0


def test_close_does_not_reset_the_exponent() -> None:
    """One good probe does not forgive: the next trip soon after waits longer."""
    breaker = a_breaker()
    breaker.trip(0.0)
    breaker.close(5.0, 5.0)
    breaker.trip(6.0)
    assert breaker.exponent == 2


def test_one_probe_at_a_time() -> None:
    """The first to ask gets the probe slot of a half-open breaker; others get it when the first has ended."""
    breaker = tripped()
    breaker.take_probe("early", 1.0)
    assert breaker.probe is None
    breaker.take_probe("first", 10.0)
    breaker.take_probe("second", 10.0)
    assert breaker.probe == "first"
    assert not breaker.probe_free(10.0)
    breaker.free_probe("second")
    assert breaker.probe == "first"
    breaker.free_probe("first")
    assert breaker.probe_free(10.0)


def test_a_silent_probe_does_not_block_for_ever() -> None:
    """A probe that has shown nothing for ten seconds lets another one try."""
    breaker = tripped()
    breaker.take_probe("hung", 10.0)
    assert not breaker.probe_free(19.9)
    assert breaker.probe_free(20.0)
    breaker.take_probe("next", 20.0)
    assert breaker.probe == "next"


def test_a_closed_breaker_has_no_probe() -> None:
    """Nobody is a probe while the breaker is closed."""
    breaker = a_breaker()
    breaker.take_probe("x", 0.0)
    assert breaker.probe is None


def test_the_wait_after_a_hung_probe_counts_from_its_dispatch() -> None:
    """A probe that hung for a minute has done its waiting; the next may go in a second."""
    breaker = tripped()
    breaker.trip(70.0, since=10.0)
    assert wait(breaker, 70.0) == rules.LEAST_OPEN_S
    assert breaker.tripped_at == 10.0


def test_closing_clears_row_and_probe() -> None:
    """A closed breaker starts with a clean row and a free slot."""
    breaker = tripped()
    breaker.count_failure(1.0)
    breaker.take_probe("p", 10.0)
    breaker.close(10.0, 10.0)
    assert (breaker.state(10.0), breaker.row, breaker.probe, breaker.closed_at) == ("closed", 0, None, 10.0)


# Hearsay.


def test_one_voice_opens_for_five_seconds() -> None:
    """One other worker's word opens a closed breaker, for 5 s at most."""
    breaker = a_breaker()
    breaker.hear(10.0, [(9.0, 200.0)], -1e9)
    assert (breaker.state(14.9), breaker.state(15.0)) == ("open", "half_open")
    assert breaker.hearsay


def test_two_voices_open_for_half_a_minute() -> None:
    """Two that agree are believed for 30 s, or for as long as they say when that is less."""
    breaker = a_breaker()
    breaker.hear(10.0, [(9.0, 200.0), (8.0, 100.0)], -1e9)
    assert breaker.until == 40.0
    short = a_breaker()
    short.hear(10.0, [(9.0, 12.0), (8.0, 11.0)], -1e9)
    assert short.until == 12.0


def test_one_voice_that_agrees_with_us() -> None:
    """One voice and a failure of our own are as good as two voices."""
    breaker = a_breaker()
    breaker.count_failure(9.0)
    breaker.hear(10.0, [(9.0, 200.0)], -1e9)
    assert breaker.until == 40.0


def test_what_we_saw_ourselves_wins() -> None:
    """A success of ours that was dispatched after their trip makes their word worthless."""
    breaker = a_breaker()
    breaker.count_success(9.5)
    breaker.hear(10.0, [(9.0, 200.0), (8.0, 200.0)], -1e9)
    assert breaker.state(10.0) == "closed"


def test_old_news() -> None:
    """A trip from before our own recovery, or one whose wait is over, opens nothing."""
    breaker = tripped()
    breaker.close(8.0, 8.0)
    breaker.hear(10.0, [(7.0, 200.0)], -1e9)
    breaker.hear(10.0, [(9.0, 9.5)], -1e9)
    assert breaker.state(10.0) == "closed"


def test_a_later_success_of_the_others_outweighs_their_trips() -> None:
    """When any worker had a success after the trips, the trips are no longer news."""
    breaker = a_breaker()
    breaker.hear(20.0, [(9.0, 200.0), (8.0, 200.0)], last_ok=15.0)
    assert breaker.state(20.0) == "closed"


def test_hearsay_closes_on_better_news() -> None:
    """What was opened on their word closes when they report a success since."""
    breaker = a_breaker()
    breaker.hear(10.0, [(9.0, 200.0), (9.0, 200.0)], -1e9)
    breaker.hear(13.0, [], last_ok=-1e9)
    assert breaker.state(13.0) == "open"
    breaker.hear(14.0, [], last_ok=12.0)
    assert breaker.state(14.0) == "closed"
    assert breaker.exponent == 0


def test_hearsay_is_not_renewed() -> None:
    """Repeating it does not keep a breaker open: once the time is up, our own probe decides."""
    breaker = a_breaker()
    for now in range(10, 60):
        breaker.hear(float(now), [(now - 0.1, now + 200.0)], -1e9)
    assert breaker.state(15.5) == "half_open"


def test_hearsay_that_becomes_our_own() -> None:
    """A trip of our own while open on their word starts an outage like any other: with a short wait."""
    breaker = a_breaker()
    breaker.hear(10.0, [(9.0, 200.0)], -1e9)
    for now in (11.0, 17.0, 30.0):
        breaker.trip(now)
        assert wait(breaker, now) <= 12.0


def test_disproved_hearsay_is_not_believed_again() -> None:
    """After our own probe went well, the same talk is ignored for a minute, unless we see a failure too."""
    breaker = a_breaker()
    breaker.hear(10.0, [(9.0, 200.0)], -1e9)
    breaker.close(16.0, 16.0)
    breaker.hear(20.0, [(19.0, 200.0)], -1e9)
    assert breaker.state(20.0) == "closed"
    breaker.count_failure(21.0)
    breaker.hear(22.0, [(21.0, 200.0)], -1e9)
    assert breaker.state(22.0) == "open"
    later = a_breaker()
    later.hear(10.0, [(9.0, 200.0)], -1e9)
    later.close(16.0, 16.0)
    later.hear(77.0, [(76.0, 200.0)], -1e9)
    assert later.state(77.0) == "open"


def test_others_probes_put_ours_off() -> None:
    """A probe of theirs that failed after our trip postpones ours, by 15 s at most for one voice."""
    breaker = tripped()
    own = breaker.own_until
    breaker.hear(4.0, [(3.9, 12.0)], -1e9)
    assert breaker.until is not None
    assert 12.0 <= breaker.until <= 12.0 + rules.SPREAD_S
    assert breaker.own_until == own
    breaker.hear(11.0, [(10.9, 200.0)], -1e9)
    assert breaker.until == own + rules.ONE_POSTPONES_S


def test_many_voices_put_off_for_longer() -> None:
    """Several voices postpone by up to a minute."""
    breaker = tripped()
    breaker.hear(4.0, [(3.9, 250.0), (3.8, 250.0)], -1e9)
    assert breaker.until == breaker.own_until + rules.MANY_POSTPONE_S


def test_the_same_trip_is_heard_once() -> None:
    """Hearing of a trip again, its time a little off, puts nothing off a second time."""
    breaker = tripped()
    breaker.hear(4.0, [(3.0, 12.0)], -1e9)
    until = breaker.until
    for now in (5.0, 6.0, 7.0):
        breaker.hear(now, [(3.0 + now / 100, 20.0)], -1e9)
    assert breaker.until == until


def test_breakers_do_not_hold_each_other_open() -> None:
    """Two workers that hear each other's trips over and over both get to probe soon."""
    one, other = a_breaker(1), a_breaker(2)
    one.trip(0.0)
    other.trip(0.3)
    for now in range(1, 60):
        for me, you in ((one, other), (other, one)):
            me.hear(float(now), [(you.tripped_at, you.own_until)], -1e9)
        if "half_open" in (one.state(now), other.state(now)):
            break
    assert now <= 12


def test_a_probe_under_way_is_not_put_off() -> None:
    """Once our probe is out, talk no longer changes the breaker."""
    breaker = tripped()
    breaker.take_probe("p", 7.0)
    breaker.hear(8.0, [(7.9, 100.0)], -1e9)
    assert breaker.state(8.0) == "half_open"


def test_early_release_once_per_outage() -> None:
    """A success of theirs after our trip lets us probe at once; if that probe fails, not again in this outage."""
    breaker = tripped(0.0, 200.0)
    breaker.hear(10.0, [], last_ok=0.5)
    assert breaker.state(10.0) == "open"
    breaker.hear(10.0, [], last_ok=8.0)
    assert breaker.state(10.0) == "half_open"
    breaker.trip(11.0, 200.0, since=10.0)
    breaker.hear(20.0, [], last_ok=18.0)
    assert breaker.state(20.0) == "open"
    breaker.close(211.0, 211.0)
    breaker.trip(300.0, 200.0)
    breaker.hear(310.0, [], last_ok=305.0)
    assert breaker.state(310.0) == "half_open"


def test_good_news_for_a_closed_breaker() -> None:
    """Nothing happens to a closed breaker."""
    breaker = a_breaker()
    breaker.hear(10.0, [], last_ok=9.0)
    assert breaker.state(10.0) == "closed"


def test_a_probe_of_theirs_is_waited_for() -> None:
    """While another worker probes, ours waits, within the bound; a closed breaker is not opened by it."""
    breaker = tripped()
    assert breaker.until is not None
    before = breaker.until
    breaker.hear(4.0, [], -1e9, probing_until=13.0)
    assert 13.0 <= breaker.until <= 13.0 + rules.SPREAD_S
    breaker.hear(5.0, [], -1e9, probing_until=999.0)
    assert breaker.until == before + rules.ONE_POSTPONES_S
    calm = tripped()
    for second in range(4):
        calm.hear(4.0, [], -1e9, probing_until=second)
    assert calm.until == before
    closed = a_breaker()
    closed.hear(4.0, [], -1e9, probing_until=13.0)
    assert closed.state(4.0) == "closed"


def test_probing_s() -> None:
    """How long others should wait for our probe."""
    breaker = a_breaker()
    assert breaker.probing_s(0.0) == 0.0
    breaker = tripped(0.0, 30.0)
    assert breaker.probing_s(40.0) == 0.0
    breaker.take_probe("p", 41.0)
    assert breaker.probing_s(44.0) == rules.PROBE_PATIENCE_S - 3.0
    assert breaker.probing_s(60.0) == 0.0


def test_skewed_clocks_cannot_date_a_trip_ahead() -> None:
    """A trip that claims to lie in the future counts as one of now."""
    breaker = a_breaker()
    breaker.hear(10.0, [(999.0, 1_200.0)], -1e9)
    assert breaker.tripped_at == 10.0
    breaker.close(11.0, 11.0)
    assert breaker.state(11.0) == "closed"


def test_a_liar_alone() -> None:
    """A worker that claims every second that the model has just tripped costs an idle worker 5 s in a minute."""
    breaker, avoided = a_breaker(), 0
    for now in itertools.takewhile(lambda second: second < 600, itertools.count()):
        breaker.hear(float(now), [(now - 0.1, now + 300.0)], -1e9)
        if breaker.state(now) == "half_open":
            breaker.close(now + 0.5, now + 0.5)
        avoided += breaker.state(now + 0.6) == "open"
    assert avoided <= 60
