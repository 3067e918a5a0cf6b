"""The sending side of one attempt: holds back what another attempt may still better, passes everything else on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Final, Protocol

from ofox_middleware import sniff
from ofox_middleware.answer import Answer
from ofox_middleware.attempts import DoorAttempt
from ofox_middleware.guard import Guard
from ofox_middleware.headers import stamped
from ofox_middleware.lacks import BODY_BYTES, STATUSES

if TYPE_CHECKING:
    from starlette.types import Message, Scope, Send

HELD_BYTES: Final = 64 * 1024
"""An error body up to this length is kept while another model is tried; a longer one is dropped."""

GRACE_S: Final = 1.0
"""How long an attempt that has failed may take to finish before it is cancelled (seconds)."""

_BODIES: Final = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})


class Stage(Enum):
    """What has become of an attempt's answer."""

    WAITING = "no answer yet"
    PEEKING = "the start is held until the first bytes that say something show that it is no error"
    HOLDING = "it failed and another model may be tried: nothing is sent"
    PASSING = "it is the answer: everything is passed on"
    OVERTAKEN = "another attempt is the answer: nothing is sent"


class Asking(Protocol):
    """The request that an exchange is an attempt at. Both know each other; whoever asks lets go of its exchanges at
    the end, or all of a request, its body too, would stay in memory until the garbage collector comes."""

    def headers(self, model: str) -> list[tuple[bytes, bytes]]:
        """The response headers to add to an answer of ``model``."""

    def refuses(self, model: str, said: str | bytes) -> bool:
        """Told what a 4xx of ``model`` says; whether another one is to be tried because of it."""


class Exchange:
    """One attempt's answer on its way to the caller.

    Args:
        send: the server's.
        asking: the request.
        attempt: whose lease is fed with what is seen.
        guard: what ends the attempt while it is silent.
        clock: monotonic seconds.
        scope: what the app was called with.
        retry: another model may be tried after this one.
        litellm_reports: LiteLLM's callbacks are attached, so an attempt that they do not claim never reached a
            provider; a 429 of it is the app's own limit on this caller, who must not trip a breaker for the others.

    Attributes:
        stage: see :class:`Stage`.
        claims: asked before the answer is passed on, where another attempt may answer too.
        backup: it answers only when it has an answer: its errors are held.
        answer: what is seen of it.
        error: the exception with which the app ended.
        first_byte_at: clock time of the first byte that was passed on.
        done: the answer was passed on whole.
        client_gone: the client left before that.
        refused: the model cannot take this request, and another one may; that speaks against neither's health.
        repeated: the app raised what it has raised with another model: the request, not this model, may be at fault.
    """

    __slots__ = (
        "_asking", "_attempt", "_clock", "_guard", "_handle", "_held", "_held_bytes", "_litellm_reports", "_retry",
        "_send",
        "answer", "backup", "claims", "client_gone", "done", "error", "first_byte_at", "refused", "repeated", "scope",
        "stage",
    )  # fmt: skip

    def __init__(
        self,
        send: Send,
        asking: Asking,
        attempt: DoorAttempt,
        guard: Guard,
        clock: Callable[[], float],
        *,
        scope: Scope,
        retry: bool,
        litellm_reports: bool,
    ) -> None:
        self.stage = Stage.WAITING
        self.answer = Answer()
        self.error: BaseException | None = None
        self.first_byte_at: float | None = None
        self.done = False
        self.client_gone = False
        self.refused = False
        self.repeated = False
        self.scope = scope
        self._send = send
        # Functions and not bound methods, which would make each exchange a cycle of its own.
        self._handle: Callable[[Exchange, Message], Awaitable[None]] = Exchange._wait
        self._asking = asking
        self.claims: Callable[[Exchange], bool] | None = None
        self.backup = False
        self._attempt = attempt
        self._guard = guard
        self._clock = clock
        self._retry = retry
        self._litellm_reports = litellm_reports
        self._held: list[Message] | None = []
        self._held_bytes = 0

    def send(self, message: Message) -> Awaitable[None]:
        """The app's ``send``. One handler per stage, so that a chunk of a stream costs one call and no questions."""
        return self._handle(self, message)

    async def _wait(self, message: Message) -> None:
        if self._guard.fired is not None:
            return  # the app did not heed its cancellation; its answer comes too late
        if message["type"] != "http.response.start":
            if not self.backup:
                await self._send(message)  # early hints and the like
            return
        kind, failure = self.answer.begin(message), self.answer.failure
        if self._retry and failure is not None and sniff.is_passing_failure(failure):
            self._give_up(message)
            return
        status = message["status"]
        if status in STATUSES:
            self.stage, self._handle, self._held = Stage.PEEKING, Exchange._judge, [message]
            return
        if self._retry and status < 400 and kind:
            self.stage, self._handle, self._held = Stage.PEEKING, Exchange._peek, [message]
            return
        await self._pass(message)

    async def _peek(self, message: Message) -> None:
        if self._guard.fired is not None:
            return
        held = self._held
        assert held is not None
        body, answer = message.get("body", b""), self.answer
        quiet = True
        if message["type"] == "http.response.body":
            answer.look(message)
            quiet = not body or answer.says_nothing(body)
            if quiet and answer.stream and answer.hidden_error is None:
                if message.get("more_body", False):
                    held.append(message)
                    return
                answer.ends_unsaid([part.get("body", b"") for part in held] + [body])
            if answer.hidden_error is not None and self._may_do_better(answer.hidden_error, body):
                self._give_up(*held, message)
                return
        await self.flush()
        if quiet or self.stage is not Stage.PASSING:
            await self._handle(self, message)
            return
        self._begins()
        await self._rest(message)

    def _may_do_better(self, status: int, body: bytes) -> bool:
        """Whether another model may do better than one that answered with an error inside a 200."""
        return sniff.is_passing_failure(status) or (status in STATUSES and self.refuses(bytes(body[:BODY_BYTES])))

    async def _judge(self, message: Message) -> None:
        """Holds the start of a 4xx's body until it can be told whether another model would take the request."""
        held = self._held
        if self._guard.fired is not None or held is None:
            return
        held.append(message)
        self._held_bytes += len(message.get("body", b""))
        is_body = message["type"] == "http.response.body"
        if is_body and message.get("more_body", False) and self._held_bytes < BODY_BYTES:
            return
        self._held_bytes = 0
        said = b"".join(bytes(part.get("body", b"")) for part in held)
        if is_body and said and self.refuses(said[:BODY_BYTES]):
            self._give_up()
            for part in held:
                await self._hold(part)
            return
        await self.flush()

    def refuses(self, said: str | bytes) -> bool:
        """Notes what a 4xx says; whether another model is to be tried."""
        self.refused = self._asking.refuses(self.model, said) and self._retry
        return self.refused

    async def _pass(self, start: Message) -> None:
        if self.backup and start["status"] >= 400:
            self._give_up(start)
            return
        if self.claims is not None and not self.claims(self):
            self.stage, self._handle, self._held = Stage.OVERTAKEN, Exchange._drop, None
            return
        self.stage, self._handle, self._held = Stage.PASSING, Exchange._first, None
        self._guard.disarm()
        await self._send({**start, "headers": stamped(start.get("headers", ()), self._asking.headers(self.model))})

    async def _drop(self, _: Message) -> None:
        """Comes too late."""

    def _give_up(self, *messages: Message) -> None:
        self.stage, self._handle, self._held = Stage.HOLDING, Exchange._hold, list(messages)
        self._guard.hurry(GRACE_S)

    async def _hold(self, message: Message) -> None:
        if self._held is None:
            return
        self._held_bytes += len(message.get("body", b""))
        self._held.append(message)
        if self._held_bytes > HELD_BYTES:
            self._held = None

    async def _first(self, message: Message) -> None:
        if message["type"] in _BODIES and message["type"] != "http.response.body":
            self._handle = Exchange._rest  # a file, of which nothing is to be seen
        body = message.get("body")
        if body:
            if self.first_byte_at is None:
                self.first_byte_at = self._clock()
            if not self.answer.says_nothing(body):
                self.answer.look(message)
                self._begins()
        await self._rest(message)

    def _begins(self) -> None:
        """The first bytes that say something are here; whether they are an error is known."""
        self._handle = Exchange._rest
        if self.first_byte_at is None:
            self.first_byte_at = self._clock()
        if self.answer.stream and self.answer.hidden_error is None:
            self._attempt.lease.first_token()

    async def _rest(self, message: Message) -> None:
        body = message.get("body")
        if body:
            answer = self.answer
            answer.chunks += 1
            answer.tail.append(body)
        if not message.get("more_body", False) and message["type"] in _BODIES:
            self.done = True
            self.answer.end(message, unsaid=self._handle is Exchange._first)
            if not self._attempt.claimed:
                self.close()
        try:
            await self._send(message)
        except OSError:  # how servers of ASGI 2.4 and later say that the client has left
            self.client_gone = True
            raise

    async def release(self) -> bool:
        """Passes on an answer that was held, as no other model is to be tried. False when it was not kept whole."""
        held = self._held
        if self.stage is not Stage.HOLDING or not held or len(held) < 2 or held[-1].get("more_body", False):
            return False
        self.backup = False
        await self._pass(held[0])
        for message in held[1:]:
            await self._send(message)
        return True

    async def flush(self) -> None:
        """Passes on the start that is held, when there is no more reason to hold it."""
        held = self._held
        if self.stage is not Stage.PEEKING or not held:
            return
        await self._pass(held[0])
        for message in held[1:]:
            await self._handle(self, message)

    def close(self) -> None:
        """Tells the lease how the attempt ended, unless it knows."""
        lease = self._attempt.lease
        if lease.closed:
            return
        if self.answered:
            lease.succeed(output_tokens=self.answer.tokens)
        elif self._is_models_failure():
            lease.fail(status=self.failure, retry_after_s=self.answer.retry_after_s)
        elif self._guard.fired == "overtaken":
            lease.overtaken()
        else:
            lease.cancel()

    @property
    def model(self) -> str:
        """The candidate that was asked."""
        return self._attempt.model

    @property
    def fired(self) -> str | None:
        """Why the attempt was ended from outside, ``None`` when it was not."""
        return self._guard.fired

    @property
    def answered(self) -> bool:
        """Whether the caller has got a whole answer that is no error."""
        return self.done and self.failure is None

    @property
    def failure(self) -> int | None:
        """The status of a failure, ``None`` for one without: silence, or an exception that names none."""
        seen = self.answer.failure
        if seen is not None or self.done:
            return seen  # what goes wrong after the answer, as in a background task, does not make it a failure
        named = getattr(self.error, "status_code", None)
        return named if isinstance(named, int) else None

    @property
    def failed(self) -> bool:
        """Whether another model may do better."""
        if self.refused or self.stage is Stage.HOLDING or self._guard.fired == "silent":
            return True
        status = self.failure
        return sniff.is_passing_failure(status) if status is not None else self.error is not None and not self.done

    def _is_models_failure(self) -> bool:
        left = self.client_gone or self._guard.fired in ("left", "overtaken")
        if (
            self.refused
            or self.repeated
            or not self.failed
            or left
            or not isinstance(self.error, (Exception, NoneType))
        ):
            return False
        return self.failure != 429 or self._attempt.claimed or not self._litellm_reports
