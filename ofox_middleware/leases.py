"""Leases: what a request holds on a model from its dispatch to its end, so that each is counted exactly once. Pure."""

from __future__ import annotations

from ofox_middleware.latency import Prior, sane
from ofox_middleware.model_health import ModelHealth
from ofox_middleware.windows import Bucket


def dispatch(home: ModelHealth, model: str, deployment: str | None, prior: Prior | None) -> Lease:
    """Counts a dispatch on ``home`` and on the deployment, where one is named, and hands out the lease of both."""
    with home.lock:
        now = home.clock()
        part = None if deployment is None else home.part(deployment)
        lease = Lease(home, part, model=model, deployment=deployment, started=now)
        lease.bucket = home.enter(now, prior, lease)
        if part is not None:
            lease.part_bucket = part.enter(now, prior, lease)
        return lease


class Lease:
    """One request under way on a model. Each of :meth:`succeed`, :meth:`fail` and :meth:`cancel` closes it; the first
    counts and later ones do nothing. A lease older than 10 minutes is taken to be lost: it closes itself, without a
    verdict.

    Attributes:
        model, deployment: what the request was dispatched to.
        started: when, on the book's clock.
        ttft_s: seconds to the first token, ``None`` until it came.
        late: it has shown nothing for much longer than is usual.
        probe: it was sent to find out whether a half-open model is back.
        closed: it has ended.
        bucket, part_bucket: where the model and its deployment counted the dispatch.
    """

    __slots__ = (
        "_home", "_part", "bucket", "closed", "deployment", "late", "model", "part_bucket", "probe", "started",
        "ttft_s",
    )  # fmt: skip

    def __init__(
        self,
        home: ModelHealth,
        part: ModelHealth | None,
        *,
        model: str,
        deployment: str | None,
        started: float,
    ) -> None:
        self._home = home
        self._part = part
        self.bucket: Bucket | None = None
        self.part_bucket: Bucket | None = None
        self.model = model
        self.deployment = deployment
        self.started = started
        self.ttft_s: float | None = None
        self.late = False
        self.probe = False
        self.closed = False

    def overdue(self) -> bool:
        """Whether it has shown nothing for longer than the model's requests take, by what is known of them."""
        home = self._home
        with home.lock:
            now = home.clock()
            return self.ttft_s is None and now - self.started >= home.speed.patience_s(now)

    def first_token(self) -> None:
        """The first piece of content came now; later calls do nothing. Not for an error, nor for an answer that is
        not streamed, whose first byte comes after its last token."""
        home = self._home
        with home.lock:
            if self.closed or self.ttft_s is not None:
                return
            home.in_time(self)
            now = home.clock()
            self.ttft_s = now - self.started
            home.seen(self.ttft_s, now, self.started)
            if self._part is not None:
                self._part.seen(self.ttft_s, now, self.started)

    def succeed(
        self, *, output_tokens: int | None = None, ttft_s: float | None = None, total_s: float | None = None
    ) -> None:
        """The answer came whole.

        Args:
            output_tokens: its length; from 16 tokens on it teaches the output rate.
            ttft_s: seconds to the first token of a stream, when :meth:`first_token` was not called.
            total_s: seconds to the end; from dispatch until now when ``None``.
        """
        home = self._home
        with home.lock:
            if self.closed:
                return
            now = home.clock()
            ttft_s, total_s = sane(ttft_s), sane(total_s)
            total_s = now - self.started if total_s is None else total_s
            for health in (home,) if self._part is None else (home, self._part):
                health.succeeded(now, self.started)
                if self.ttft_s is None and ttft_s is not None:
                    health.seen(ttft_s, now, self.started)
                health.speed.answer(now, ttft_s if self.ttft_s is None else self.ttft_s, total_s, output_tokens)
            self._close()

    def fail(self, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        """A hard failure, one for which :func:`~ofox_middleware.failures.is_failure` holds.

        Args:
            status: HTTP status; ``None`` for a connection error or a time-out of ours.
            retry_after_s: how long the provider asks to be left alone; with a 429 the breaker trips at once.
        """
        home = self._home
        with home.lock:
            if self.closed:
                return
            now = home.clock()
            hint_s = retry_after_s or 0.0
            if self._part is not None:
                self._part.failed(now, self.started, status, hint_s, lease=self)
            home.failed(now, self.started, status, hint_s, lease=self, part=self._part)
            self._close()

    def cancel(self) -> None:
        """Ended without a verdict: the client left, a content filter, another 4xx, superseded. The dispatch is taken
        out of the window again."""
        with self._home.lock:
            if self.closed:
                return
            self._home.window.take_back(self.bucket)
            if self._part is not None:
                self._part.window.take_back(self.part_bucket)
            self._close()

    def overtaken(self) -> None:
        """Cancelled because another attempt at the request was quicker; as :meth:`cancel`, but the time that it had
        taken by then is learned. Otherwise a model that has become slow would look as quick as before."""
        home = self._home
        with home.lock:
            if self.closed:
                return
            if self.ttft_s is None:
                now = home.clock()
                for health in (home,) if self._part is None else (home, self._part):
                    health.speed.took_longer(now - self.started, now)
            self.cancel()

    def lose(self) -> None:
        """Closes it as lost, which is no verdict and leaves the dispatch counted. For the book's own sweep."""
        self._close()

    def _close(self) -> None:
        self.closed = True
        self._home.in_time(self)
        self._home.leave(self)
        if self._part is not None:
            self._part.leave(self)
