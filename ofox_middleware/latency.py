"""How fast a model answers, learned from its answers: means that decay towards a prior, and a decaying histogram. Pure.

No class holds a clock: ``now`` (seconds, monotonic) is passed in. Every operation is O(1).
"""

from __future__ import annotations

import bisect
import itertools
import math
from typing import Final

from ofox_middleware.cards import ModelFacts

Prior = tuple[float, float]
"""Seconds to the first token and seconds per output token that the catalogue expects."""

NO_PRIOR: Final[Prior] = (ModelFacts("", "", "").ttft_s, ModelFacts("", "", "").s_per_token)

TTFT_TAU_S: Final = 60.0
S_PER_TOKEN_TAU_S: Final = 120.0
ENOUGH_TOKENS: Final = 16
"""Shorter answers say little about a rate."""

TTFT_LOW_S: Final = 0.05
TTFT_HIGH_S: Final = 120.0
S_PER_TOKEN_LOW: Final = 1e-4
S_PER_TOKEN_HIGH: Final = 5.0
"""Limits of the two latencies, seconds: 0.05-120 to the first token, 10,000 to 0.2 tokens per second after it."""

LEAST_PATIENCE_S, WHOLE_PATIENCE_S, USUAL_PATIENCE_S, MOST_PATIENCE_S = 5.0, 30.0, 60.0, 120.0
SLOW_TAU_S: Final = 600.0
WHOLE_FOR_S: Final = 3_600.0
"""A request that shows nothing for twice the longest wait that ended well lately is late: after 5-120 s, or 60 s when
nothing is known. The longest wait is forgotten with this time constant. Where answers came whole in the last hour, not
streamed, it takes 30 s at least, for such an answer shows nothing before its end."""


STALE_AFTER_S, FADE_TAU_S = 5.0, 2.5
LONGEST_FRESH_S, LONGEST_STALE_S = 10.0, 120.0
FRESH_SPELL_S: Final = 300.0
"""A model that is thought to be slow gets no requests, and so nothing that would show that it is quick again. After 5 s
without a sample the bad name goes, with a time constant of 2.5 s, until a request tries it. When that one is slow too,
the next try is twice as far away: at most 10 s in the first five minutes of being slow, 120 s later; a breaker is tried
in the same way."""


def sane(seconds: float | None) -> float | None:
    """``seconds`` unless it is no duration: negative, not a number, or longer than a day."""
    return seconds if seconds is not None and 0.0 <= seconds <= 86_400.0 else None


class DecayingMean:
    """A moving average that forgets with time and falls back to a prior when nothing comes in.

    With ``w = exp(-dt / tau)``, the mean keeps its mass x w, the prior gets what w leaves of one sample, and a new
    sample weighs 1. So the prior counts as one sample at first and after a long pause, hardly at all in a stream of
    samples, and such a stream gives the usual EWMA with time constant ``tau``.

    Reading moves the mean towards the prior: ``prior x (mean / prior)^w``. Finagle's peak-EWMA decays towards 0, which
    makes an idle node look perfect; the ratio and not the difference decays, because latencies are compared as ratios.

    A mean that is worse than the prior and that nobody has refreshed for a while goes faster (:data:`STALE_AFTER_S`),
    and a sample that is better then counts as if nothing had been known.

    Args:
        tau_s: time constant, seconds.
        peak: jump to a sample that is above the mean (Finagle's peak-EWMA). The mass then restarts, so that a
            handful of good samples outweighs one bad one.
        low, high: samples are clamped to these.

    Attributes:
        mass: samples that the mean rests on, the prior included, decayed to the time of the last one.
    """

    __slots__ = ("_at", "_high", "_low", "_mean", "_misses", "_peak", "_slow_from", "_tau_s", "mass")

    def __init__(self, tau_s: float, low: float, high: float, *, peak: bool = False) -> None:
        self._tau_s = tau_s
        self._low = low
        self._high = high
        self._peak = peak
        self.forget()

    def forget(self) -> None:
        """Back to the prior."""
        self._mean = 0.0
        self._at = 0.0
        self.mass = 0.0
        self._misses = 0
        self._slow_from = math.inf

    def stale_from(self, prior: float) -> float:
        """When the mean begins to go faster; ``inf`` when it is no worse than the prior."""
        if not self.mass or self._mean <= self.clamp(prior):
            return math.inf
        longest = LONGEST_FRESH_S if self._at - self._slow_from < FRESH_SPELL_S else LONGEST_STALE_S
        return self._at + float(min(STALE_AFTER_S * 2.0 ** min(self._misses, 10), longest))

    def read(self, now: float, prior: float, *, tried: bool = False) -> float:
        """The mean now; ``prior`` when nothing is known.

        Args:
            tried: a request is trying whether it is still so bad; until that one tells, it is.
        """
        if not self._low <= prior < self._high:
            prior = self.clamp(prior)
        if not self.mass:
            return prior
        age, mean = now - self._at, self._mean
        if age <= 0:
            return mean
        left = math.exp(-age / self._tau_s)
        if mean > prior and not tried:
            left *= self._fresh(now, prior)
        return prior * float((mean / prior) ** left)

    def mass_at(self, now: float, prior: float, *, tried: bool = False) -> float:
        """Samples that the mean rests on now, decayed as in :meth:`read`."""
        if not self.mass:
            return 0.0
        left = math.exp(-max(0.0, now - self._at) / self._tau_s)
        return self.mass * (left if tried else left * self._fresh(now, self.clamp(prior)))

    def _fresh(self, now: float, prior: float) -> float:
        """1, and less when the mean is worse than the prior and stale."""
        stale_for = now - self.stale_from(prior)
        return 1.0 if stale_for <= 0.0 else math.exp(-stale_for / FADE_TAU_S)

    def add(self, sample: float, now: float, prior: float | None) -> None:
        """Takes in a sample. ``prior`` is ``None`` when there is none yet: then the first sample is the mean."""
        sample = self.clamp(sample)
        if prior is None and not self.mass:
            self._mean, self._at, self.mass = sample, now, 1.0
            return
        prior = self._mean if prior is None else self.clamp(prior)
        if now > self.stale_from(prior):
            if sample * sample > prior * self._mean:
                self._misses += 1  # Nearer to its bad name than to the prior, as a ratio: it is slow still.
            else:
                self._misses, self.mass = 0, 0.0
        if self._peak and sample > self.read(now, prior, tried=True):
            self._mean, self.mass = sample, 1.0
        else:
            kept = math.exp(-max(0.0, now - self._at) / self._tau_s) if self.mass else 0.0
            old = self.mass * kept
            self.mass = old + (1.0 - kept) + 1.0
            self._mean = (old * self._mean + (1.0 - kept) * prior + sample) / self.mass
        if self._mean <= prior:
            self._misses, self._slow_from = 0, math.inf
        else:
            self._slow_from = min(self._slow_from, now)
        self._at = max(now, self._at)

    def clamp(self, value: float) -> float:
        """``value`` within the limits; not-a-number becomes the upper one."""
        if self._low <= value < self._high:
            return value
        return self._low if value < self._low else self._high


class LatencyHistogram:
    """Shares of latencies between 0.05 and 120 s in buckets that grow by a quarter; older ones weigh less.

    Counts are halved when 512 have come together and after five minutes, so that a quantile follows a change.
    """

    __slots__ = ("_aged_at", "_counts", "_total")

    LOW_S: Final = 0.05
    GROWTH: Final = 1.25
    SIZE: Final = 36
    FULL: Final = 512.0
    HALF_LIFE_S: Final = 300.0
    ENOUGH: Final = 20.0
    """With fewer samples the 95th percentile is hardly more than the largest one seen."""

    def __init__(self, now: float) -> None:
        self._counts = [0.0] * self.SIZE
        self._total = 0.0
        self._aged_at = now

    def add(self, seconds: float, now: float) -> None:
        """Takes in a latency."""
        self._age(now)
        ratio = min(max(self.LOW_S, seconds) / self.LOW_S, self.GROWTH**self.SIZE)
        self._counts[min(int(math.log(ratio) * _PER_LOG), self.SIZE - 1)] += 1.0
        self._total += 1.0
        if self._total >= self.FULL:
            self._halve(1)

    def quantile(self, share: float, now: float) -> float | None:
        """Seconds that ``share`` of the latencies stay under: a bucket's upper edge; ``None`` if too few are known."""
        self._age(now)
        if self._total < self.ENOUGH:
            return None
        wanted = share * self._total
        within = list(itertools.accumulate(self._counts))
        return float(self.LOW_S * self.GROWTH ** (bisect.bisect_left(within, wanted, hi=self.SIZE - 1) + 1))

    def _age(self, now: float) -> None:
        halvings = int((now - self._aged_at) / self.HALF_LIFE_S)
        if halvings > 0:
            self._aged_at += halvings * self.HALF_LIFE_S
            self._halve(min(halvings, 60))

    def _halve(self, times: int) -> None:
        factor = 0.5**times
        self._counts = [count * factor for count in self._counts]
        self._total *= factor


_PER_LOG: Final = 1.0 / math.log(LatencyHistogram.GROWTH)


class Latencies:
    """Everything known of a model's speed.

    Attributes:
        prior: the priors last named; ``None`` before any were.
        ttft, s_per_token: peak-EWMA of the time to first token, EWMA of the seconds per token after it.
        ttfts: shares of measured times to first token.
    """

    __slots__ = ("_slow_at", "_slow_s", "_whole_at", "prior", "s_per_token", "ttft", "ttfts")

    def __init__(self, now: float) -> None:
        self.prior: Prior | None = None
        self.ttft = DecayingMean(TTFT_TAU_S, TTFT_LOW_S, TTFT_HIGH_S, peak=True)
        self.s_per_token = DecayingMean(S_PER_TOKEN_TAU_S, S_PER_TOKEN_LOW, S_PER_TOKEN_HIGH)
        self.ttfts = LatencyHistogram(now)
        self._slow_s = 0.0
        self._slow_at = now
        self._whole_at = -math.inf

    @property
    def expected(self) -> Prior:
        """The priors, or what is assumed of a model that nobody described."""
        return NO_PRIOR if self.prior is None else self.prior

    def first_token(self, ttft_s: float, now: float) -> None:
        """Learns a measured time to first token."""
        self.ttft.add(ttft_s, now, None if self.prior is None else self.prior[0])
        self.ttfts.add(ttft_s, now)

    def took_longer(self, waited_s: float, now: float) -> None:
        """Learns from an answer that was given up without blame: its first token took longer than ``waited_s``."""
        if waited_s > self.ttft.read(now, self.expected[0]):
            self.ttft.add(waited_s, now, None if self.prior is None else self.prior[0])
        p95_s = self.ttfts.quantile(0.95, now)
        if p95_s is not None and waited_s >= p95_s:
            self.ttfts.add(waited_s, now)  # It belongs to the slowest; of a shorter wait nobody can tell.

    def answer(self, now: float, ttft_s: float | None, total_s: float, output_tokens: int | None) -> None:
        """Learns the latencies of an answer.

        With a first-token time, the rest of the time over the rest of the tokens is the rate. Without one (no
        stream), both latencies are scaled by actual over expected time. Without tokens the whole time is at least an
        upper bound of the first token's.
        """
        wait_s = min(total_s if ttft_s is None else ttft_s, MOST_PATIENCE_S)
        if wait_s >= self._slow_s * math.exp(-(now - self._slow_at) / SLOW_TAU_S):
            self._slow_s, self._slow_at = wait_s, now
        enough = output_tokens is not None and output_tokens >= ENOUGH_TOKENS
        if ttft_s is not None:
            if enough and output_tokens is not None:
                rate = (total_s - ttft_s) / (output_tokens - 1)
                # Faster than any model: the answer was held back and came in one piece.
                if rate >= S_PER_TOKEN_LOW:
                    self.s_per_token.add(rate, now, None if self.prior is None else self.prior[1])
            return
        self._whole_at = now
        prior = self.expected
        first = self.ttft.read(now, prior[0], tried=True)
        if enough and output_tokens is not None:
            each = self.s_per_token.read(now, prior[1], tried=True)
            ratio = total_s / (first + output_tokens * each)
            self.ttft.add(first * ratio, now, prior[0])
            self.s_per_token.add(each * ratio, now, prior[1])
        elif total_s < first:
            self.ttft.add(total_s, now, prior[0])

    def patience_s(self, now: float) -> float:
        """Seconds of silence after which a request is late."""
        if not self._slow_s:
            return USUAL_PATIENCE_S
        slow_s = self._slow_s * math.exp((self._slow_at - now) / SLOW_TAU_S)
        least = WHOLE_PATIENCE_S if now - self._whole_at < WHOLE_FOR_S else LEAST_PATIENCE_S
        return min(max(2.0 * slow_s, least), MOST_PATIENCE_S)
