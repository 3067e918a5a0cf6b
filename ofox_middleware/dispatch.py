"""One routed request: the app is called with the pick and, as long as nothing was sent, with the next best."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ofox_middleware import headers
from ofox_middleware.adapting import NO_EDITS, Edits, adapt, is_adaptable, is_thought
from ofox_middleware.attempts import DoorAttempt, current_attempt
from ofox_middleware.body import RequestBody
from ofox_middleware.cards import ModelFacts
from ofox_middleware.decision import Decision, Outcome
from ofox_middleware.exchange import Exchange, Stage
from ofox_middleware.guard import Guard
from ofox_middleware.hedging import Attempt, Budget, Race, hedge_after_s
from ofox_middleware.lacks import STATUSES
from ofox_middleware.patience import first_byte_s, limit_s
from ofox_middleware.replay import Client, Line, hand_back, with_body
from ofox_middleware.replies import CLIENT_LEFT, NoAnswer, refuse, respond
from ofox_middleware.router import SmartRouter
from ofox_middleware.splice import splice

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

log: Final = logging.getLogger("ofox_middleware.asgi")


class Dispatch:
    """The attempts of one routed request.

    Args:
        app: the app within.
        router: whose settings, health and observers count.
        decision: whom to try, in order.
        document: the request's body.
        scope, receive, send: the request.
        given: values of members that may have to be adapted to a model; empty where that is not wanted.
        litellm_reports: LiteLLM's callbacks feed the router's health.
        hedges: how many requests may be hedged.
    """

    def __init__(
        self,
        app: ASGIApp,
        router: SmartRouter,
        decision: Decision,
        document: RequestBody,
        *,
        scope: Scope,
        receive: Receive,
        send: Send,
        given: Mapping[str, Any],
        litellm_reports: bool,
        hedges: Budget,
    ) -> None:
        self._app = app
        self._router = router
        self._decision = decision
        self._document = document
        self._scope = scope
        self._client = Client(receive)
        self._send = send
        self._given = given
        self._litellm_reports = litellm_reports
        self._hedges = hedges
        self._clock = time.monotonic
        self._began = self._clock()
        self._tried: list[str] = []
        self._failures: dict[str, str] = {}
        self._raised: set[type[BaseException]] = set()
        self._waiting = list(decision.ranking)
        self._attempts = router.settings.max_attempts if decision.fallback else 1
        self._exchange: Exchange | None = None
        self._status: int | None = None

    async def run(self) -> None:
        """Calls the app until one attempt is the answer. Raises what the app raises when that is the answer."""
        try:
            await self._run()
        finally:
            exchange, self._exchange = self._exchange, None
            if exchange is not None:
                hand_back(self._scope, exchange.scope)
                self._report(exchange)
                exchange.error = None  # its traceback knows the exchange
            await self._client.close()

    async def _run(self) -> None:
        while True:
            name = self._next()
            after_s = self._hedge_after_s(name)
            exchange = self._exchange = await (
                self._attempt(name, retry=self._has_another()) if after_s is None else self._raced(name, after_s)
            )
            if exchange.fired == "left":
                await self._answer_nobody()
                return
            if not exchange.failed or exchange.stage is Stage.PASSING:
                await exchange.flush()
                return
            if not self._has_another() or self._seconds_left() == 0 or await self._client.left():
                await self._last_word(exchange)
                return
            log.info("model %r failed (%s); trying the next", name, self._failures.get(name))
            exchange.error = None

    async def _raced(self, name: str, after_s: float) -> Exchange:
        """An attempt that gets company when it takes longer than ``after_s``; the one of them that counts."""
        self._hedges.earn()
        self._client.shared = True
        race = Race()
        try:
            exchange = await race.run(
                self._attempt(name, race, retry=True), functools.partial(self._hedge, race), after_s
            )
        finally:
            self._exchange = race.counting
        self._router.stats["hedge_won"] += race.hedge_won
        return exchange

    def _hedge_after_s(self, name: str) -> float | None:
        """Seconds after which an attempt is to be hedged; only the first is, and only while there is another model."""
        router = self._router
        if not router.settings.hedge or len(self._tried) > 1 or not self._has_another():
            return None
        target = self._decision.targets[name]
        return hedge_after_s(router.settings, router.health, target, self._decision, self._document.fields)

    def _hedge(self, race: Race) -> Attempt | None:
        """An attempt with the next best, if one is well, somebody waits for it and the budget allows it."""
        tripped = self._router.health.tripped
        if self._client.gone is not None or all(map(tripped, self._waiting)) or not self._hedges.spend():
            return None
        self._router.stats["hedged"] += 1
        return self._attempt(self._next(), race, retry=True)

    async def _attempt(self, name: str, race: Race | None = None, *, retry: bool) -> Exchange:
        target = self._decision.targets[name]
        edits = self._edits(target) if self._given else NO_EDITS
        body = splice(self._document, model=target.model, params=target.params, edits=edits)
        inner = with_body(self._scope, len(body))
        line = Line(self._client, body)
        del body  # once it is read, the app alone decides how long it stays in memory
        guard = Guard(line)
        attempt = DoorAttempt(name, self._router.health.begin(name, prior=(target.ttft_s, target.s_per_token)))
        exchange = Exchange(
            self._send,
            self,
            attempt,
            guard,
            self._clock,
            scope=inner,
            retry=retry,
            litellm_reports=self._litellm_reports,
        )
        if race is not None:
            race.enter(exchange, guard)
        if not exchange.backup:
            self._exchange = exchange
        token = current_attempt.set(attempt)
        limit = limit_s(self._router.settings, spent_s=self._clock() - self._began, another=retry)
        guard.arm(limit, functools.partial(self._usual_s, target) if retry else None)
        try:
            await self._app(inner, line.receive, exchange.send)
        except asyncio.CancelledError as error:
            if not guard.settle():
                exchange.error = error
                raise
        except Exception as error:
            exchange.error = error
            if guard.settle():
                exchange.error = None  # what it made of its cancellation
            elif exchange.stage is Stage.PASSING or self._client.gone is not None:
                raise
            elif not (retry and exchange.failed) and not self._was_refused(exchange, error):
                await exchange.flush()
                raise
            else:
                log.warning("the app failed with model %r; trying the next", name, exc_info=error)
        except BaseException as error:
            exchange.error = error
            raise
        finally:
            guard.settle()
            current_attempt.reset(token)
            exchange.client_gone = exchange.client_gone or self._client.gone is not None
            self._note_raised(exchange)
            exchange.close()
            if exchange.failed or exchange.fired is not None:
                self._failures[name] = str(exchange.failure or exchange.fired or "exception")
        return exchange

    def _note_raised(self, exchange: Exchange) -> None:
        """An app that raises the same without a status for a second model stumbles over the request, or over what all
        models have in common: the others are still tried, but it does not count against them."""
        if exchange.error is not None and exchange.failure is None:
            kind = type(exchange.error)
            exchange.repeated = kind in self._raised
            self._raised.add(kind)

    def _next(self) -> str:
        """Whom to try now: what was decided may be old by now, so a model that has tripped since is passed over."""
        name = self._waiting[0]
        if self._tried:
            tripped = self._router.health.tripped
            name = next((name for name in self._waiting if not tripped(name)), name)
        self._tried.append(name)
        self._waiting.remove(name)
        return name

    def _has_another(self) -> bool:
        return bool(self._waiting) and len(self._tried) < self._attempts

    def refuses(self, model: str, said: str | bytes) -> bool:
        """Whether the 4xx of ``model`` tells of a lack that another model, of which some wait, may not have."""
        lack = self._router.refused(self._decision, model, said)
        if lack is None:
            return False
        targets = self._decision.targets
        again = [model] if self._given and self._tried.count(model) == 1 else []
        others = [
            other
            for other in self._waiting
            if self._router.lacks.fits(targets[other], lack, targets[model], self._decision)
        ]
        first, last = again if is_adaptable(lack.key) else [], again if is_thought(lack.key) else []
        self._waiting = [*first, *others, *last]
        return bool(self._waiting)

    def _edits(self, target: ModelFacts) -> Edits:
        surface, lacks = self._decision.surface, self._router.lacks.keys_of(target.name)
        return adapt(target, self._given, lacks, surface=surface)

    def _was_refused(self, exchange: Exchange, error: Exception) -> bool:
        """The same of an exception of the app's, as LiteLLM's are when nobody turned them into an answer."""
        return exchange.stage is Stage.WAITING and exchange.failure in STATUSES and exchange.refuses(str(error))

    def _usual_s(self, target: ModelFacts) -> float | None:
        """Seconds of silence that are usual for ``target``, ``None`` when no other model waits."""
        if not self._waiting:
            return None
        return first_byte_s(self._router.health, target, self._decision, self._document.fields)

    def _seconds_left(self) -> float | None:
        total_s = self._router.settings.total_timeout_s
        return None if total_s is None else max(0.0, total_s - (self._clock() - self._began))

    async def _last_word(self, exchange: Exchange) -> None:
        """Answers with the last failure, as no other model will be tried."""
        released = await exchange.release()
        if exchange.error is not None:
            raise exchange.error
        if released:
            return
        status = exchange.failure
        error = NoAnswer("No model answered in time." if status is None else f"The model answered {status}.")
        if status is not None:
            error.status, error.code = status, "upstream_error"
        self._status = error.status
        await refuse(self._send, error, self._decision.surface, self.headers(exchange.model))

    async def _answer_nobody(self) -> None:
        try:
            await respond(self._send, CLIENT_LEFT, b"", self.headers(self._tried[-1]))
        except OSError:
            log.debug("the client has left")

    def headers(self, model: str) -> list[tuple[bytes, bytes]]:
        """The response headers that an answer of ``model`` gets."""
        return headers.of_decision(self._decision, model, len(self._tried))

    def _report(self, exchange: Exchange) -> None:
        name = exchange.model
        # A hedge may have been asked after the model that answered; who answered comes last.
        others = [tried for tried in self._tried if tried != name]
        first = exchange.first_byte_at
        status = self._status or exchange.answer.status
        if status is None and isinstance(exchange.error, Exception):
            status = 500  # what servers make of an exception
        self._router.report(
            Outcome(
                decision=self._decision,
                model=name,
                ok=exchange.answered,
                status=None if exchange.client_gone and not exchange.done else status,
                attempts=(*others, name),
                ttft_s=None if first is None else first - self._began,
                total_s=self._clock() - self._began,
                output_tokens=exchange.answer.tokens,
                cost_usd=self._cost(name, exchange),
                failures=tuple([self._failures.get(tried, "") for tried in others]),
            )
        )

    def _cost(self, name: str, exchange: Exchange) -> float | None:
        """USD: as LiteLLM reckons it, or by the tokens seen and the prices known."""
        facts, answer = self._decision.targets[name], exchange.answer
        if answer.cost_usd is not None or not exchange.answered:
            return answer.cost_usd
        if answer.tokens is None or facts.input_usd is None or facts.output_usd is None:
            return None
        return self._decision.input_tokens * facts.input_usd + answer.tokens * facts.output_usd
