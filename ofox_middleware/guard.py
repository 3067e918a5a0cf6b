"""Ends an attempt that stays silent too long, or whose client has left, as long as nothing has been answered.

The app runs in the server's own task, so that context variables, tracebacks and cancellation are as without the
middleware, and so that an attempt costs no task. What cancels it here is a timer, as in ``asyncio.timeout``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal

from ofox_middleware.replay import Line

WATCH_AFTER_S: Final = 0.05
"""Listening for the client to leave begins this long after dispatch (seconds): it takes a task, which a quick answer
should not pay for."""


LATE_S: Final = 0.1
MOST_EXTRA_S: Final = 10.0
"""A timer that fires later than this was held up by the loop itself, as by imports at a first request (seconds); how
much is given for that, unless the time is itself longer."""

STEPS: Final = 8


class Countdown:
    """Calls back after ``seconds`` of silence. What the event loop was itself late by does not count as silence: while
    it is held up, nobody hears an answer that has come. It counts in steps, to see that at any time of it.
    """

    __slots__ = ("_due_at", "_expire", "_extra_s", "_handle", "_left_s", "_loop", "_step_s")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, expire: Callable[[], object]) -> None:
        self._loop = loop
        self._expire = expire
        self._extra_s = max(seconds, MOST_EXTRA_S)
        self._left_s = seconds
        self._step_s = max(seconds / STEPS, LATE_S)
        self._start()

    def cancel(self) -> None:
        """Ends it."""
        self._handle.cancel()

    def _start(self) -> None:
        step_s = min(self._left_s, self._step_s)
        self._left_s -= step_s
        self._due_at = self._loop.time() + step_s
        self._handle = self._loop.call_at(self._due_at, self._due)

    def _due(self) -> None:
        late_s = self._loop.time() - self._due_at
        if late_s <= LATE_S:
            self._left_s -= late_s
        else:
            late_s = min(late_s, self._extra_s)
            self._extra_s -= late_s
            if self._left_s <= 0:
                # What came meanwhile needs a few turns of the loop to be heard.
                self._left_s = min(late_s, self._step_s)
        if self._left_s > 1e-3:
            self._start()
        else:
            self._expire()


class Guard:
    """Cancels the current task when an attempt's time is up, its client leaves, or another attempt is quicker.

    Attributes:
        fired: why it has cancelled, ``None`` while it has not.
    """

    __slots__ = ("_before", "_handle", "_limit_s", "_line", "_loop", "_only_ours", "_task", "_usual_s", "fired")

    def __init__(self, line: Line) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.fired: Literal["silent", "left", "overtaken"] | None = None
        self._task: asyncio.Task[Any] | None = task
        self._loop = task.get_loop()
        self._line = line
        self._handle: asyncio.TimerHandle | Countdown | None = None
        self._limit_s: float | None = None
        self._usual_s: Callable[[], float | None] | None = None
        self._before = 0
        self._only_ours = False

    def arm(self, limit_s: float | None, usual_s: Callable[[], float | None] | None = None) -> None:
        """Begins to watch for silence and for the client.

        Args:
            limit_s: seconds of silence after which the attempt ends, where there is such a limit.
            usual_s: tells of another limit, at least :data:`WATCH_AFTER_S`. It is asked only once the attempt has taken
                that long, as looking up what is usual takes longer than a quick answer should wait for.
        """
        assert self._task is not None
        # Python 3.10 does not count cancellations.
        self._before = getattr(self._task, "cancelling", int)()
        if limit_s is not None and limit_s <= WATCH_AFTER_S:
            self._handle = Countdown(self._loop, max(0.0, limit_s), self._expire)
            return
        self._limit_s, self._usual_s = limit_s, usual_s
        self._handle = self._loop.call_later(WATCH_AFTER_S, self._watch)

    def hurry(self, timeout_s: float) -> None:
        """Leaves the attempt ``timeout_s`` seconds more; it has failed and is only to come to its end."""
        self.disarm()
        self._handle = self._loop.call_later(timeout_s, self._expire)

    def overtake(self) -> None:
        """Ends the attempt, unless it has ended, because another one is answering."""
        if self.fired is None:
            self._fire("overtaken")

    def disarm(self) -> None:
        """Ends the watch."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._line.watch_no_more()

    def settle(self) -> bool:
        """Whether a cancellation that ended the attempt was only ours. To be called when the attempt has ended."""
        self.disarm()
        # Let go of, for the task of a hedge holds its result, and so this.
        task, self._task = self._task, None
        if task is not None and self.fired is not None:
            left: int = getattr(task, "uncancel", int)()
            self._only_ours = left <= self._before
        return self._only_ours

    def _watch(self) -> None:
        self._handle = None
        usual_s = None if self._usual_s is None else self._usual_s()
        limits = [limit_s for limit_s in (self._limit_s, usual_s) if limit_s is not None]
        if limits:
            self._handle = Countdown(self._loop, min(limits) - WATCH_AFTER_S, self._expire)
        self._line.watch(self._client_left)

    def _expire(self) -> None:
        self._fire("silent")

    def _client_left(self) -> None:
        self._fire("left")

    def _fire(self, why: Literal["silent", "left", "overtaken"]) -> None:
        self.disarm()
        if self._task is not None:
            self.fired = why
            self._task.cancel()
