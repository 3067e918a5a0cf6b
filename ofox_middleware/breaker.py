"""When a model is left alone and how it comes back. Pure: time and randomness are passed in.

closed -> open: it failed too much. open -> half_open: the wait is over; one request at a time may try it.
half_open -> closed: a try did well. half_open -> open: it did not, and the next wait is longer.

What other workers report (hearsay) may open a closed breaker for a short while or put off a probe for a short while,
never more: this worker's own probe has the last word, so nobody else can keep a model away from it.
"""

from __future__ import annotations

import math
import random
from typing import Final

from ofox_middleware.failures import HINT_CAP_S
from ofox_middleware.types import HealthState

FIRST_OPEN_S: Final = 5.0
LONGEST_OPEN_S: Final = 300.0
LEAST_OPEN_S: Final = 1.0
"""Open for 5 s x 2^(n-1), at most 300 s: Finagle's failure accrual backs off from 5 to 300 s."""

FRESH_OUTAGE_S: Final = 300.0
FRESH_OPEN_S: Final = 8.0
"""In the first five minutes of an outage no wait is longer than 8 s: most outages are short, and a model that is well
again should be back within 15 s. After that the full backoff applies. A ``Retry-After`` is always honoured."""

JITTER: Final = 0.2
"""Waits vary by this share up and down, so that many workers do not probe at the same moment."""

MOST_EXPONENT: Final = 7
CLEAN_S: Final = 60.0
"""Per minute closed without a trip, n falls by one (Envoy's outlier detection does so per clean interval)."""

TRIP_ROW: Final = 5
TRIP_SHARE: Final = 0.5
TRIP_DONE: Final = 10
"""Trips: 5 hard failures in a row (Envoy, Finagle), or under 50% success with 10 or more done in the window."""

PROBE_PATIENCE_S: Final = 10.0
"""A probe that has shown nothing for this long no longer keeps others from trying."""

ONE_VOICE_S: Final = 5.0
MANY_VOICES_S: Final = 30.0
"""What one other worker reports opens a closed breaker for 5 s at most; what two report, or what agrees with a failure
seen here, for 30 s."""

ONE_POSTPONES_S: Final = 15.0
MANY_POSTPONE_S: Final = 60.0
SPREAD_S: Final = 2.0
"""Probes of one other worker put off ours by at most 15 s after our own wait, those of several by 60 s; and by up to
2 s at random, so that the worker whose probe it was tries first and the others hear of it."""

MOST_YIELDED_S: Final = 5.0
"""When our wait is over, another worker may have the first try; ours comes this much later at most, for the other may
have no request to try it with."""

DEAF_S: Final = 60.0
"""After a probe of ours disproved hearsay, more of it is not believed for this long unless we see failures too."""

SKEW_S: Final = 1.0
"""Clocks of other machines are taken to be right to within this."""


class Breaker:
    """The breaker of one model or deployment.

    Attributes:
        until: when the wait is over; ``None`` when closed.
        own_until: when the wait after this worker's own last trip, or after what it heard first, is over, whatever
            others say later.
        row: hard failures in a row.
        row_from: when the first of them was dispatched.
        exponent: n of the backoff.
        tripped_at: what is dispatched later and does well closes the breaker; ``-inf`` before the first trip.
        closed_at: when it last closed; likewise.
        recovered_from: when the request was dispatched that closed it; what failed and is older is old news.
        hearsay: open on the word of other workers only.
        last_ok: dispatch time of the latest dispatched request that went well.
        probe: who holds the probe slot (any object), ``None`` when it is free.
        moves: how often it opened or closed for what this worker saw itself.
    """

    __slots__ = (
        "_clean_from",
        "_deaf_until",
        "_heard",
        "_outage_from",
        "_probe_at",
        "_released",
        "_rng",
        "_yields_until",
        "closed_at",
        "exponent",
        "hearsay",
        "last_ok",
        "moves",
        "own_until",
        "probe",
        "recovered_from",
        "row",
        "row_from",
        "tripped_at",
        "until",
    )

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.until: float | None = None
        self.row = 0
        self.row_from = -math.inf
        self.exponent = 0
        self.tripped_at = -math.inf
        self.closed_at = -math.inf
        self.recovered_from = -math.inf
        self.last_ok = -math.inf
        self.hearsay = False
        self.probe: object | None = None
        self._probe_at = -math.inf
        self._clean_from = -math.inf
        self._outage_from = -math.inf
        self._deaf_until = -math.inf
        self.own_until = -math.inf
        self._released = False
        self._heard = -math.inf
        self._yields_until = -math.inf
        self.moves = 0

    def state(self, now: float) -> HealthState:
        """The state now. It follows from the clock: nothing has to run for an open breaker to become half-open."""
        if self.until is None:
            return "closed"
        return "open" if now < self.until else "half_open"

    def probe_free(self, now: float) -> bool:
        """Whether a half-open breaker has no probe under way, or only one that has shown nothing for long, and no
        other worker has the first try."""
        return now >= self._yields_until and (self.probe is None or now - self._probe_at >= PROBE_PATIENCE_S)

    def turn_due(self, now: float, within_s: float) -> bool:
        """Whether a probe may go within ``within_s`` seconds and the workers should settle which of them sends it."""
        until = self.until
        due = until is not None and until - within_s <= now < until + MOST_YIELDED_S
        return due and self.probe is None and not self._released

    def yield_turn(self, now: float, for_s: float) -> None:
        """Another worker has the first try: ours waits for ``for_s`` seconds from now, if that is not too long."""
        if self.until is not None and self.probe is None:
            self._yields_until = min(now + for_s, self.until + MOST_YIELDED_S)

    def take_probe(self, prober: object, now: float) -> bool:
        """Gives the probe slot to ``prober`` if the breaker is half-open and the slot free; whether it did."""
        if self.until is None or now < self.until or not self.probe_free(now):
            return False
        self.probe = prober
        self._probe_at = now
        return True

    def probing_s(self, now: float) -> float:
        """Seconds that other workers should wait for the probe under way; 0 when there is none."""
        if self.until is None or self.probe is None:
            return 0.0
        return max(0.0, self._probe_at + PROBE_PATIENCE_S - now)

    def free_probe(self, prober: object) -> None:
        """``prober`` ended; when it held the slot, the next may try."""
        if self.probe is prober:
            self.probe = None

    def count_failure(self, started: float) -> None:
        """One more hard failure in a row, of a request dispatched at ``started``."""
        if not self.row:
            self.row_from = started
        self.row += 1

    def count_success(self, started: float) -> None:
        """A success. It ends the row of failures, unless it was dispatched before the first of them: an answer that
        was under way when a provider went down says nothing about now."""
        if started >= self.row_from:
            self.row = 0
            self.row_from = -math.inf
        self.last_ok = max(self.last_ok, started)

    def due(self, ok: int, failed: int, silent: int = 0) -> bool:
        """Whether the row of failures, the requests that fell silent after them, or the window's counts call for a
        trip."""
        return self.row + silent >= TRIP_ROW or (ok + failed >= TRIP_DONE and ok < TRIP_SHARE * (ok + failed))

    def trip(self, now: float, hint_s: float = 0.0, *, since: float | None = None) -> None:
        """Opens, or opens again after a failed probe.

        For ``min(300, 5 x 2^(n-1))`` s with jitter, n counting trips, but see :data:`FRESH_OPEN_S`; ``hint_s``, a
        ``Retry-After``, wins when it is longer, up to 300 s.

        Args:
            since: for a failed probe or a silence, when it was dispatched. The wait runs from then, for what hung has
                waited already, and what was dispatched later and does well still counts.
        """
        if self.until is None or self.hearsay:
            self.settle(now)
            if now - self.closed_at >= CLEAN_S:
                self._outage_from = now
        self.exponent = min(self.exponent + 1, MOST_EXPONENT)
        wait = min(LONGEST_OPEN_S, FIRST_OPEN_S * 2.0 ** (self.exponent - 1))
        if now - self._outage_from < FRESH_OUTAGE_S:
            wait = min(wait, FRESH_OPEN_S)
        wait *= self._rng.uniform(1.0 - JITTER, 1.0 + JITTER)
        self.tripped_at = now if since is None else since
        if since is not None:
            wait = max(since + wait - now, LEAST_OPEN_S)
        self._heard = max(self._heard, self.tripped_at)
        self.until = self.own_until = now + min(max(wait, hint_s), LONGEST_OPEN_S)
        self.hearsay = False
        self.probe = None
        self._yields_until = -math.inf
        self.moves += 1

    def extend(self, now: float, hint_s: float) -> None:
        """A ``Retry-After`` that came in while open: it wins when it ends later."""
        if self.until is not None:
            self.until = max(self.until, now + min(hint_s, HINT_CAP_S))

    def close(self, now: float, started: float) -> None:
        """Closes: a request dispatched at ``started``, after the trip, does well."""
        self.recovered_from = started
        if self.hearsay:
            self._deaf_until = now + DEAF_S
        self.until = None
        self.hearsay = False
        self.probe = None
        self.row = 0
        self.row_from = -math.inf
        self.closed_at = self._clean_from = now
        self._released = False
        self._yields_until = -math.inf
        self.moves += 1

    def hear(
        self, now: float, opened: list[tuple[float, float]], last_ok: float, probing_until: float = -math.inf
    ) -> None:
        """Takes in what other workers report now.

        The newest evidence wins: a trip counts only as long as no worker had a success since. A closed breaker opens
        on the others' word, unless a request that this worker dispatched after their trip went well; see
        :data:`ONE_VOICE_S` for how long. A breaker of our own, or one opened on a word that we or several others
        confirm, waits for a probe of theirs that is under way, and longer when one failed after ours
        (:data:`ONE_POSTPONES_S`). When the newest evidence is good, what was opened
        on their word closes, and our own breaker may probe at once, though only once per outage.

        Args:
            opened: for each worker whose breaker is open: when it tripped and when it lets a probe through.
            last_ok: when any of them last dispatched a request that went well.
            probing_until: until when one of them waits for a probe.
        """
        opened = [(tripped, until) for tripped, until in opened if until > now and tripped >= last_ok - SKEW_S]
        tripped = min(now, max((at for at, _ in opened), default=-math.inf))
        until = max((until for _, until in opened), default=-math.inf)
        if not opened and last_ok > self.tripped_at + SKEW_S:
            self._hear_well(now)
        elif self.until is None:
            self._hear_ill(now, tripped, until, many=len(opened) > 1)
        elif self.probe is None and (not self.hearsay or self.row or len(opened) > 1):
            self._put_off(now, probing_until, many=len(opened) > 1)
            if tripped > self._heard + SKEW_S:
                self._heard = tripped
                self._put_off(now, until, many=len(opened) > 1)

    def _hear_ill(self, now: float, tripped: float, until: float, *, many: bool) -> None:
        if until <= now or tripped <= max(self.last_ok, self.closed_at) or (now < self._deaf_until and not self.row):
            return
        self.until = self.own_until = min(until, now + (MANY_VOICES_S if many or self.row else ONE_VOICE_S))
        self.tripped_at = self._heard = tripped
        self.hearsay = True
        self.probe = None

    def _put_off(self, now: float, theirs: float, *, many: bool) -> None:
        if self.until is not None and theirs > now:
            latest = self.own_until + (MANY_POSTPONE_S if many else ONE_POSTPONES_S)
            spread = theirs + self._rng.uniform(0.0, SPREAD_S)
            self.until = max(self.until, min(spread, latest, now + LONGEST_OPEN_S))

    def _hear_well(self, now: float) -> None:
        self._yields_until = -math.inf
        if self.hearsay:
            self.until = None
            self.hearsay = False
            self.probe = None
        elif self.until is not None and now < self.until and not self._released:
            self.until = now
            self._released = True

    def settle(self, now: float) -> None:
        """Lets n fall for the clean minutes since it was last looked at."""
        if not self.exponent or (self.until is not None and not self.hearsay):
            return
        minutes = int((now - self._clean_from) / CLEAN_S)
        if minutes > 0:
            self.exponent = max(0, self.exponent - minutes)
            self._clean_from += minutes * CLEAN_S
