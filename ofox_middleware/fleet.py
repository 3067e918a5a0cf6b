"""What other workers report about a model, added up with a bounded weight for each. Pure.

One worker's word must not decide: its verdicts count as four at most and its latency as three samples, all workers'
verdicts together as twelve, and what it says about an open breaker is for :meth:`Breaker.hear` to judge. Numbers are
clamped on the way in; types were checked by whoever decoded them.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from ofox_middleware.failures import HINT_CAP_S
from ofox_middleware.latency import S_PER_TOKEN_HIGH, S_PER_TOKEN_LOW, TTFT_HIGH_S, TTFT_LOW_S

REPORT_TTL_S: Final = 15.0
"""A report counts for this long."""

VERDICTS_EACH: Final = 4.0
VERDICTS_TOGETHER: Final = 12.0
SAMPLES_EACH: Final = 3.0
SAMPLES_TOGETHER: Final = 20.0
PROBING_CAP_S: Final = 10.0
HOLD_S: Final = 10.0
FADE_TAU_S: Final = 5.0
FARTHEST: Final = 10.0
"""A latency that others report is taken to be within this factor of the prior."""


class Report(NamedTuple):
    """What one worker knows of one model from its own requests, never from others.

    Attributes:
        ok, failed: verdicts of the last minute.
        failed_ago_s: seconds since the last failure; -1 when there was none.
        open_s: seconds until its breaker lets a probe through; 0 when half-open; -1 when closed.
        tripped_ago_s: seconds since that breaker tripped; 0 when closed.
        probing_s: seconds that it still waits for a probe under way; 0 when there is none.
        ok_ago_s: seconds since the dispatch of its latest request that went well; -1 when there was none.
        ttft_s, ttft_mass: time to first token, and how many samples that rests on.
        s_per_token, s_per_token_mass: likewise.
        in_flight, limit: requests under way, and how many the model is thought to bear.
    """

    ok: int = 0
    failed: int = 0
    failed_ago_s: float = 0.0
    open_s: float = -1.0
    tripped_ago_s: float = 0.0
    probing_s: float = 0.0
    ok_ago_s: float = -1.0
    ttft_s: float = 1.0
    ttft_mass: float = 0.0
    s_per_token: float = 0.01
    s_per_token_mass: float = 0.0
    in_flight: int = 0
    limit: float = 20.0


Summary = dict[str, Report]
"""What one worker knows, by model."""


class Share(NamedTuple):
    """One report after clamping and weighing, in this worker's own clock."""

    ok: float
    done: float
    ttft_log: float
    ttft_mass: float
    s_per_token_log: float
    s_per_token_mass: float
    load: float
    opened: tuple[float, float] | None
    probing_until: float
    last_ok: float


def fade(ago_s: float) -> float:
    """What is left of a bad name when the last failure was ``ago_s`` ago: all of it for 10 s, then it goes with a time
    constant of 5 s. Whoever is avoided gives no new evidence, and must not be avoided for that alone."""
    return 1.0 if ago_s <= HOLD_S else math.exp((HOLD_S - ago_s) / FADE_TAU_S)


def weigh(report: Report, now: float, age_s: float) -> Share:
    """``report``, made ``age_s`` ago, as what it adds here."""
    then = now - age_s
    ok, failed = _within(report.ok, 0, 1e6), _within(report.failed, 0, 1e6)
    scale = min(1.0, VERDICTS_EACH / max(1.0, ok + failed))
    bad = failed * scale * fade(_within(report.failed_ago_s, 0, 86_400))
    ttft_mass = _within(report.ttft_mass, 0, SAMPLES_EACH)
    s_per_token_mass = _within(report.s_per_token_mass, 0, SAMPLES_EACH)
    opened = None
    if report.open_s > 0:
        tripped = then - _within(report.tripped_ago_s, 0, 86_400)
        opened = (tripped, then + _within(report.open_s, 0, HINT_CAP_S))
    return Share(
        ok=ok * scale,
        done=ok * scale + bad,
        ttft_log=ttft_mass * math.log(_within(report.ttft_s, TTFT_LOW_S, TTFT_HIGH_S)),
        ttft_mass=ttft_mass,
        s_per_token_log=s_per_token_mass * math.log(_within(report.s_per_token, S_PER_TOKEN_LOW, S_PER_TOKEN_HIGH)),
        s_per_token_mass=s_per_token_mass,
        load=min(1.0, _within(report.in_flight, 0, 1e6) / _within(report.limit, 1, 200)),
        opened=opened,
        probing_until=then + _within(report.probing_s, 0, PROBING_CAP_S),
        last_ok=then - _within(report.ok_ago_s, 0, 86_400) if report.ok_ago_s >= 0 else -math.inf,
    )


class FleetView:
    """One model as other workers see it: the sum of their shares.

    Attributes:
        until: when the last report in it is too old to count.
        last_ok: when any worker last had a success; ``-inf`` for never.
    """

    __slots__ = (
        "_done", "_load", "_ok", "_s_per_token_log", "_s_per_token_mass", "_shares", "_ttft_log", "_ttft_mass",
        "last_ok", "until",
    )  # fmt: skip

    def __init__(self) -> None:
        self.until = -math.inf
        self.last_ok = -math.inf
        self._shares: dict[str, Share] = {}
        self._empty()

    def _empty(self) -> None:
        # Sums of floats that are added and taken away again drift; at each empty moment they start afresh.
        self._ok = self._done = self._load = 0.0
        self._ttft_log = self._ttft_mass = 0.0
        self._s_per_token_log = self._s_per_token_mass = 0.0

    @property
    def workers(self) -> int:
        """How many workers' reports are in it."""
        return len(self._shares)

    def put(self, worker: str, share: Share, until: float) -> None:
        """Takes in what ``worker`` reports, in place of what it reported before; it counts until ``until``."""
        self.drop(worker)
        self._shares[worker] = share
        self._change(share, 1.0)
        self.until = max(self.until, until)
        self.last_ok = max(self.last_ok, share.last_ok)

    def drop(self, worker: str) -> None:
        """Forgets what ``worker`` reported."""
        share = self._shares.pop(worker, None)
        if not self._shares:
            self._empty()
        elif share is not None:
            self._change(share, -1.0)

    def opened(self) -> list[tuple[float, float]]:
        """For each worker whose breaker is open: when it tripped, and when it lets a probe through."""
        return [share.opened for share in self._shares.values() if share.opened is not None]

    def probing_until(self) -> float:
        """Until when the last of them waits for its probe."""
        return max((share.probing_until for share in self._shares.values()), default=-math.inf)

    def verdicts(self) -> tuple[float, float]:
        """Successes and verdicts that the others' word is worth."""
        # Within bounds also when rounding has left the sums a little off.
        done = max(0.0, self._done)
        ok = min(max(0.0, self._ok), done)
        scale = VERDICTS_TOGETHER / max(done, VERDICTS_TOGETHER)
        return ok * scale, done * scale

    def blend_ttft(self, own: float, own_mass: float, prior: float) -> float:
        """Time to first token, ours and theirs, by samples; ours counts as one sample more."""
        return _blend(own, own_mass, prior, self._ttft_log, self._ttft_mass)

    def blend_s_per_token(self, own: float, own_mass: float, prior: float) -> float:
        """Seconds per token, likewise."""
        return _blend(own, own_mass, prior, self._s_per_token_log, self._s_per_token_mass)

    @property
    def mean_load(self) -> float:
        """Mean over the workers of in flight / limit, each 1 at most."""
        return max(0.0, self._load) / len(self._shares) if self._shares else 0.0

    def _change(self, share: Share, sign: float) -> None:
        self._ok += sign * share.ok
        self._done += sign * share.done
        self._ttft_log += sign * share.ttft_log
        self._ttft_mass += sign * share.ttft_mass
        self._s_per_token_log += sign * share.s_per_token_log
        self._s_per_token_mass += sign * share.s_per_token_mass
        self._load += sign * share.load


def _blend(own: float, own_mass: float, prior: float, log_sum: float, mass: float) -> float:
    """Mean of the logarithms, weighted by samples: one absurd report moves it far less than a mean of seconds."""
    if mass <= 1e-6:
        return own
    theirs = math.exp(log_sum / mass)
    theirs = min(max(theirs, prior / FARTHEST), prior * FARTHEST)
    weight = min(mass, SAMPLES_TOGETHER)
    return float(own * (theirs / own) ** (weight / (weight + own_mass + 1.0)))


def _within(value: float, low: float, high: float) -> float:
    """``value`` between the limits; not-a-number becomes the lower one."""
    return min(max(low, value), high)
