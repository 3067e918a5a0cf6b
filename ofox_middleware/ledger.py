"""The attempt ledger: LiteLLM's events, which are not one-to-one with attempts, turned into leases that close once.

What LiteLLM 1.106 does, and why plain counters drift: a call that is bridged to another endpoint starts twice; a
stream that fails before its first chunk is reported after its fallback began, under the fallback's name; later
failures of the same proxy request are not reported at all; a cancelled task or a dropped stream reports nothing;
a client that leaves is reported as a success. This file imports no LiteLLM: it is told what happened.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ofox_middleware.attempts import current_attempt
from ofox_middleware.cards import ModelFacts
from ofox_middleware.failures import is_failure
from ofox_middleware.health import HealthBook
from ofox_middleware.leases import Lease

UNKNOWN_DEPTH: Final = 0


class Attempt:
    """One try of one deployment.

    Attributes:
        lease: its lease in the health book.
        name: the model as the pool calls it.
        deployment: LiteLLM's id of the deployment, ``None`` for a call without a router.
        depth: how many fallbacks came before it.
        began: wall clock, seconds since the epoch, to compare with LiteLLM's time stamps.
    """

    __slots__ = ("began", "deployment", "depth", "lease", "name")

    def __init__(self, lease: Lease, name: str, deployment: str | None, depth: int) -> None:
        self.lease = lease
        self.name = name
        self.deployment = deployment
        self.depth = depth
        self.began = time.time()


class Call(str):
    """The attempts of one LiteLLM call, found again in every event of that call.

    It is a ``str`` so that whoever logs LiteLLM's dictionaries as JSON meets nothing odd in them, and copies of
    those dictionaries keep pointing at the one object. A client's own string in its place is not a ``Call``, and
    the call id that a client may choose plays no part, so one client cannot close another's leases.

    Attributes:
        attempts: attempts that are still open, oldest first.
        routed: what the door remembers of a request that it routed.
        own_timeout: the caller set a time-out of its own, so running into it says nothing about a provider that was
            not late by its own habit.
        end: drops what is still open, from wherever it is called; ``None`` before the first attempt.
        superseded: attempts closed because a fallback began, whose failure event may still come.
    """

    attempts: list[Attempt]
    routed: Any
    own_timeout: bool
    end: Callable[[], None] | None
    superseded: int

    def __new__(cls) -> Call:
        call = super().__new__(cls, "ofox")
        call.attempts = []
        call.routed = None
        call.own_timeout = False
        call.end = None
        call.superseded = 0
        return call

    def __copy__(self) -> Call:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Call:
        return self

    def open_attempt(self, deployment: str | None) -> Attempt | None:
        """The open attempt on ``deployment``; any open one when ``deployment`` is ``None``."""
        for attempt in self.attempts:
            if deployment is None or attempt.deployment == deployment:
                return attempt
        return None


class Ledger:
    """Opens and closes the leases of LiteLLM's attempts in one health book.

    Every method is quick and never raises on odd input: LiteLLM awaits some of its callbacks on the request path.
    """

    def __init__(self, health: HealthBook) -> None:
        self._health = health
        # Leases of calls that were dropped without an event. A finalizer may run at any moment, also in the middle
        # of the health book's own work, so it only queues; deque.append is atomic.
        self._dropped: deque[Lease] = deque()

    def begin(self, call: Call, facts: ModelFacts, deployment: str | None, *, depth: int = UNKNOWN_DEPTH) -> None:
        """An attempt starts.

        A second start on the same deployment while the first is open is the inner half of a bridged call. A start at
        a greater fallback depth means that every open attempt of the call has failed. Several open attempts of equal
        depth are a batch over several models.
        """
        self.sweep()
        if any(open_.deployment == deployment and open_.depth == depth for open_ in call.attempts):
            return
        for stale in [open_ for open_ in call.attempts if open_.depth < depth]:
            call.attempts.remove(stale)
            call.superseded += 1
            stale.lease.fail()
        if call.end is None:
            call.end = partial(_drop, call.attempts, self._dropped, self.sweep, _running_loop())
        attempt = Attempt(self._lease(facts, deployment), facts.name, deployment, depth)
        call.attempts.append(attempt)

    def _lease(self, facts: ModelFacts, deployment: str | None) -> Lease:
        door = current_attempt.get()
        if door is not None and not door.claimed and door.model == facts.name and not door.lease.closed:
            door.claimed = True
            return door.lease
        return self._health.begin(facts.name, deployment, prior=(facts.ttft_s, facts.s_per_token))

    def first_token(self, call: Call) -> None:
        """A piece of the answer went by; all but an attempt's first are free."""
        if call.attempts and call.attempts[-1].lease.ttft_s is None:
            call.attempts[-1].lease.first_token()

    def succeed(
        self,
        call: Call,
        deployment: str | None,
        *,
        output_tokens: int | None = None,
        first_token_at: float | None = None,
    ) -> None:
        """The attempt on ``deployment`` answered. ``first_token_at``: seconds since the epoch, for streams."""
        attempt = self._close(call, deployment)
        if attempt is None:
            return
        ttft_s = first_token_at - attempt.began if first_token_at is not None else None
        attempt.lease.succeed(
            output_tokens=output_tokens, ttft_s=ttft_s if ttft_s is not None and ttft_s >= 0 else None
        )

    def fail(
        self,
        call: Call,
        deployment: str | None,
        *,
        status: int | None,
        message: str = "",
        retry_after_s: float | None = None,
        late: bool = False,
    ) -> None:
        """The attempt on ``deployment`` failed.

        Args:
            late: the event is of the kind that LiteLLM sends once per request and may blame on a fallback.
        """
        if late and call.superseded:
            call.superseded -= 1
            return
        attempt = self._close(call, deployment)
        if attempt is None:
            return
        if not is_failure(status, message) or (status == 408 and call.own_timeout and not attempt.lease.overdue()):
            attempt.lease.cancel()
            return
        attempt.lease.fail(status=status, retry_after_s=retry_after_s)

    def cancel(self, call: Call, deployment: str | None = None) -> None:
        """The attempt on ``deployment`` ended without a verdict; every open one when ``deployment`` is ``None``."""
        for attempt in [open_ for open_ in call.attempts if deployment is None or open_.deployment == deployment]:
            call.attempts.remove(attempt)
            attempt.lease.cancel()

    def close_when_dropped(self, call: Call, owner: object) -> None:
        """Frees what is still open in ``call`` when nobody holds ``owner`` any more.

        ``owner`` is an object that lives as long as the call does. This is what ends a cancelled SDK call and a stream
        that its reader dropped, of which LiteLLM reports nothing.
        """
        if call.end is not None:
            weakref.finalize(owner, call.end).atexit = False

    def sweep(self) -> None:
        """Closes the leases of dropped calls; cheap when there are none."""
        while self._dropped:
            self._dropped.popleft().cancel()

    @staticmethod
    def _close(call: Call, deployment: str | None) -> Attempt | None:
        attempt = call.open_attempt(deployment)
        if attempt is None and len(call.attempts) == 1:
            # LiteLLM names the fallback's deployment in the failure of the attempt before it.
            attempt = call.attempts[0]
        if attempt is not None:
            call.attempts.remove(attempt)
        return attempt


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _drop(
    attempts: list[Attempt],
    dropped: deque[Lease],
    sweep: Callable[[], None],
    loop: asyncio.AbstractEventLoop | None,
) -> None:
    """Queues the leases of ``attempts``, and has the loop close them soon if it still runs."""
    if not attempts:
        return
    dropped.extend(attempt.lease for attempt in attempts)
    attempts.clear()
    if loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(sweep)
