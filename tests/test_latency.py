"""Means that decay towards a prior, and quantiles that forget."""

from __future__ import annotations

import math

import pytest

from ofox_middleware import latency
from ofox_middleware.latency import DecayingMean, LatencyHistogram, sane


def a_mean(*, peak: bool = False) -> DecayingMean:
    return DecayingMean(60.0, 0.05, 120.0, peak=peak)


def test_mean_starts_at_the_prior() -> None:
    """Without samples the mean is the prior, clamped."""
    mean = a_mean()
    assert mean.read(0.0, 2.0) == 2.0
    assert mean.read(0.0, 0.0) == 0.05
    assert mean.read(0.0, 1e9) == 120.0
    assert mean.read(0.0, math.nan) == 120.0
    assert mean.mass_at(50.0, 1.0) == 0.0


def test_first_sample_without_prior() -> None:
    """When no prior was ever named, the first sample is the mean."""
    mean = a_mean()
    mean.add(0.4, 0.0, None)
    assert mean.read(0.0, 9.0) == 0.4
    mean.add(0.2, 0.0, None)
    assert mean.read(0.0, 9.0) == pytest.approx(0.3)


def test_prior_counts_as_one_sample() -> None:
    """The first samples are averaged with the prior as if it were one of them."""
    mean = a_mean()
    for _ in range(3):
        mean.add(1.0, 0.0, 2.0)
    assert mean.read(0.0, 2.0) == pytest.approx((2.0 + 3 * 1.0) / 4)


def test_mean_follows_with_its_time_constant() -> None:
    """After one time constant of a steady stream, 63% of a step has been taken, as for any EWMA."""
    mean = a_mean()
    for tick in range(6_000):
        mean.add(4.0, tick * 0.1, 4.0)
    for tick in range(600):
        mean.add(2.0, 600.0 + tick * 0.1, 4.0)
    assert mean.read(660.0, 4.0) == pytest.approx(2.0 + 2.0 * math.exp(-1), rel=0.02)


def test_steady_samples_outweigh_the_prior() -> None:
    """However far off the prior is, a steady stream of samples settles on what they say."""
    mean = a_mean()
    for tick in range(3_000):
        mean.add(2.0, tick * 0.2, 40.0)
    assert mean.read(600.0, 40.0) == pytest.approx(2.0, rel=0.1)


def test_idle_mean_decays_towards_the_prior() -> None:
    """With nothing coming in, the ratio to the prior shrinks with the time constant; never past the prior."""
    mean = a_mean(peak=True)
    mean.add(16.0, 0.0, 1.0)
    assert mean.read(60.0, 1.0, tried=True) == pytest.approx(16.0 ** math.exp(-1))
    assert 1.0 <= mean.read(600.0, 1.0) <= mean.read(600.0, 1.0, tried=True) < 1.001
    low = a_mean()
    low.add(0.1, 0.0, None)
    assert 0.1 < low.read(60.0, 1.0) < low.read(120.0, 1.0) < 1.0


def test_a_bad_name_goes_when_nobody_confirms_it() -> None:
    """Five seconds after the last sample a slow model's name begins to go, and is gone within fifteen."""
    mean = a_mean(peak=True)
    mean.add(8.0, 0.0, 1.0)
    assert mean.stale_from(1.0) == latency.STALE_AFTER_S
    assert mean.read(4.9, 1.0) > 6.5
    assert mean.read(15.0, 1.0) < 1.1
    assert mean.mass_at(15.0, 1.0) < 0.05 < mean.mass_at(15.0, 1.0, tried=True)
    assert a_mean().stale_from(1.0) == math.inf


def test_a_good_name_is_kept_for_longer() -> None:
    """A model that is quicker than the catalogue says keeps that name for its time constant."""
    mean = a_mean(peak=True)
    mean.add(0.2, 0.0, None)
    assert mean.stale_from(1.0) == math.inf
    assert mean.read(15.0, 1.0) < 0.3


def test_one_good_answer_clears_a_stale_name() -> None:
    """After a pause, one quick answer outweighs any number of slow ones from before it."""
    mean = a_mean(peak=True)
    for tick in range(50):
        mean.add(8.0, tick * 0.1, 1.0)
    mean.add(1.0, 11.0, 1.0)
    assert mean.read(11.0, 1.0) == pytest.approx(1.0)
    again = a_mean(peak=True)
    for tick in range(50):
        again.add(8.0, tick * 0.1, 1.0)
    again.add(1.0, 5.2, 1.0)
    assert again.read(5.2, 1.0) > 4.0


def test_each_slow_try_puts_off_the_next() -> None:
    """Tries that stay slow are twice as far apart each time: 10 s at most at first, two minutes after five minutes."""
    mean = a_mean(peak=True)
    mean.add(8.0, 0.0, 1.0)
    now, waits = 0.0, list[float]()
    for _ in range(60):
        wait = mean.stale_from(1.0) - now
        waits.append(wait)
        now += wait + 1.0
        mean.add(8.0, now, 1.0)
    assert waits[:3] == pytest.approx([5.0, 10.0, 10.0])
    assert waits[-1] == pytest.approx(120.0)
    assert waits == sorted(waits)
    assert mean.read(now, 1.0) == pytest.approx(8.0, rel=0.05)
    mean.add(1.0, now + 121.0, 1.0)
    mean.add(8.0, now + 122.0, 1.0)
    assert mean.stale_from(1.0) == pytest.approx(now + 127.0)


def test_peak_jumps() -> None:
    """A peak mean goes up to a larger sample at once, a plain one does not."""
    peak, plain = a_mean(peak=True), a_mean()
    for mean in (peak, plain):
        for _ in range(50):
            mean.add(0.5, 0.0, 0.5)
        mean.add(8.0, 0.0, 0.5)
    assert peak.read(0.0, 0.5) == 8.0
    assert plain.read(0.0, 0.5) < 1.0


def test_peak_heals_with_good_samples() -> None:
    """A handful of good samples outweighs one bad one, without waiting for time to pass."""
    mean = a_mean(peak=True)
    mean.add(8.0, 0.0, 0.5)
    for _ in range(20):
        mean.add(0.5, 0.1, 0.5)
    assert mean.read(0.1, 0.5) < 1.3


@pytest.mark.parametrize(
    ("sample", "kept"), [(0.0, 0.05), (-3.0, 0.05), (1e9, 120.0), (math.nan, 120.0), (math.inf, 120.0)]
)
def test_samples_are_clamped(sample: float, kept: float) -> None:
    """No sample moves the mean outside of its limits."""
    mean = a_mean(peak=True)
    mean.add(sample, 0.0, None)
    assert mean.read(0.0, 1.0) == kept


def test_mass_decays_and_is_forgotten() -> None:
    """The number of samples that a mean rests on decays with time; ``forget`` goes back to the prior."""
    mean = a_mean()
    for _ in range(10):
        mean.add(1.0, 0.0, 1.0)
    assert mean.mass_at(0.0, 1.0) == 11.0
    assert mean.mass_at(60.0, 1.0) == pytest.approx(11.0 * math.exp(-1))
    mean.forget()
    assert (mean.mass_at(0.0, 1.0), mean.read(0.0, 3.0)) == (0.0, 3.0)


def test_mean_with_a_clock_that_steps_back() -> None:
    """A sample from the past neither raises nor overshoots."""
    mean = a_mean()
    mean.add(2.0, 100.0, 1.0)
    mean.add(1.0, 50.0, 1.0)
    assert 1.0 <= mean.read(50.0, 1.0) <= 2.0


def test_quantile_needs_samples() -> None:
    """With fewer than twenty samples there is no quantile."""
    histogram = LatencyHistogram(0.0)
    for _ in range(19):
        histogram.add(1.0, 0.0)
    assert histogram.quantile(0.95, 0.0) is None
    histogram.add(1.0, 0.0)
    assert histogram.quantile(0.95, 0.0) is not None


def test_quantile_is_close_from_above() -> None:
    """A quantile is the upper edge of its bucket: at most a quarter too high, never too low."""
    histogram = LatencyHistogram(0.0)
    for index in range(1, 101):
        histogram.add(index / 10, 0.0)
    for share in (0.5, 0.9, 0.95):
        found = histogram.quantile(share, 0.0)
        assert found is not None
        assert share * 10 <= found <= share * 10 * 1.26


def test_quantiles_rise_with_the_share() -> None:
    """A larger share is never met by a smaller latency, up to the last bucket."""
    histogram = LatencyHistogram(0.0)
    for value in (0.0, 0.01, 0.05, 0.3, 2.0, 30.0, 119.0, 500.0) * 5:
        histogram.add(value, 0.0)
    found = [histogram.quantile(share / 20, 0.0) for share in range(21)]
    assert found == sorted(value for value in found if value is not None)
    assert found[-1] is not None
    assert 120.0 <= found[-1] < 160.0


def test_quantile_follows_a_change() -> None:
    """Old samples weigh less: after a few hundred new ones the quantile is theirs."""
    histogram = LatencyHistogram(0.0)
    for _ in range(400):
        histogram.add(10.0, 0.0)
    for _ in range(2_000):
        histogram.add(0.5, 0.0)
    assert histogram.quantile(0.95, 0.0) == pytest.approx(0.5, rel=0.26)


def test_quantile_is_forgotten() -> None:
    """Samples count half after five minutes, and soon are too few to speak."""
    histogram = LatencyHistogram(0.0)
    for _ in range(40):
        histogram.add(1.0, 0.0)
    assert histogram.quantile(0.95, 300.0) is not None
    assert histogram.quantile(0.95, 600.0) is None
    assert histogram.quantile(0.95, 1e9) is None


@pytest.mark.parametrize("absurd", [None, -1.0, math.nan, math.inf, -math.inf, 1e9])
def test_no_durations(absurd: float | None) -> None:
    """What is no duration is as good as none."""
    assert sane(absurd) is None
    assert sane(0.0) == 0.0
    assert sane(86_400.0) == 86_400.0
